// One message, and lists of them that change only where something changed.

import { el, icon, keepFocus } from "./dom.js";
import { renderBlocks } from "./blocks.js";
import { emoji, mrkdwn } from "./markup.js";

const QUICK = ["+1", "-1", "eyes", "mute"];
const TIME = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit" });
const DAY = new Intl.DateTimeFormat(undefined, { weekday: "long", day: "numeric", month: "long" });

const dateOf = (ts) => new Date(parseFloat(ts) * 1000);
export const timeOf = (ts) => TIME.format(dateOf(ts));
export const dayOf = (ts) => DAY.format(dateOf(ts));

export function avatar(user, size = "") {
  const content = user?.is_bot ? ["F", el("sup", {}, "1")] : [(user?.name ?? "?")[0]];
  return el("span", { class: `avatar ${size} ${user?.is_bot ? "avatar-bot" : `avatar-${(user?.name ?? "?").charCodeAt(0) % 4}`}`, "aria-hidden": "true" }, ...content);
}

// Keep the nodes of messages that did not change: an open "Sources" stays open and a stream does not flicker.
export function reconcile(parent, wanted) {
  const old = new Map([...parent.children].map((node) => [node.dataset.key, node]));
  let last = null;
  for (const { key, version, build } of wanted) {
    let node = old.get(key);
    if (!node || node.dataset.version !== version) {
      const fresh = build();
      fresh.dataset.key = key;
      fresh.dataset.version = version;
      if (node) {
        const stale = node;
        keepFocus(stale, () => { stale.replaceWith(fresh); return fresh; });
      }
      node = fresh;
    }
    old.delete(key);
    const next = last ? last.nextSibling : parent.firstChild;
    if (next !== node) parent.insertBefore(node, next);
    last = node;
  }
  for (const node of old.values()) node.remove();
}

export function messageNode(message, page, { inThread, isCompact }) {
  const user = page.user(message.user);
  const names = page.names;
  const whisper = Boolean(message.only_for);
  const node = el("article", { class: classes(message, user, isCompact), "aria-label": `${user?.name ?? "Someone"}, ${timeOf(message.ts)}` },
    whisper && el("p", { class: "whisper" }, "Only visible to you", el("button", { type: "button", class: "plain", onclick: () => page.dismiss(message) }, "Dismiss")),
    avatar(user),
    el("div", { class: "body" },
      el("header", {}, el("strong", {}, user?.name ?? message.user), user?.is_bot && el("span", { class: "badge" }, "APP"),
        el("time", { datetime: dateOf(message.ts).toISOString() }, timeOf(message.ts)), message.edited && !message.stream && el("small", {}, "(edited)")),
      el("div", { class: "blocks" }, content(message, page, names)),
      (message.files ?? []).map((file) => el("p", { class: "file" }, icon("file"), el("span", {}, file.name), el("small", {}, sizeOf(file.size)))),
      reactions(message, page),
      !inThread && threadLink(message, page)),
    !whisper && message.subtype !== "tombstone" && tools(message, page, inThread));
  return node;
}

function classes(message, user, isCompact) {
  const flags = { "is-bot": user?.is_bot, "is-compact": isCompact, "is-whisper": message.only_for, "is-streaming": message.streaming, "is-gone": message.subtype === "tombstone" };
  return ["message", ...Object.keys(flags).filter((name) => flags[name])].join(" ");
}

function content(message, page, names) {
  const place = {
    names,
    act: (action) => page.act({ channel: message.channel, ts: message.ts, ...action }),
    isOpen: (block, otherwise) => page.opened.get(`${message.ts}/${block}`) ?? otherwise,
    setOpen: (block, open) => page.opened.set(`${message.ts}/${block}`, open),
    chosen: (key) => page.opened.get(`${message.ts}/${key}/${page.state.user}`),
    choose: (key, value) => page.opened.set(`${message.ts}/${key}/${page.state.user}`, value),
  };
  if (message.blocks?.length) return renderBlocks(message.blocks, place);
  if (message.streaming && !message.text) return el("span", { class: "dots", "aria-label": "Footnote is writing" }, el("i"), el("i"), el("i"));
  return message.text ? el("div", { class: "text" }, ...mrkdwn(message.text, names)) : [];
}

function sizeOf(bytes) {
  return bytes < 1024 ? `${bytes} B` : bytes < 1048576 ? `${Math.round(bytes / 1024)} KB` : `${(bytes / 1048576).toFixed(1)} MB`;
}

function reactions(message, page) {
  if (!message.reactions?.length) return null;
  return el("div", { class: "reactions" }, message.reactions.map((reaction) => {
    const mine = reaction.users.includes(page.state.user);
    const who = reaction.users.map((id) => page.user(id)?.name ?? id).join(", ");
    return el("button", { type: "button", class: "pill", title: `${who} reacted with :${reaction.name}:`, "aria-label": `:${reaction.name}: ${reaction.count}, ${who}`, "aria-pressed": String(mine),
      onclick: () => page.react(message, reaction.name, !mine) }, emoji(reaction.name), el("span", {}, String(reaction.count)));
  }));
}

function threadLink(message, page) {
  if (!message.reply_count) return null;
  const faces = message.reply_users.slice(0, 3).map((id) => avatar(page.user(id), "tiny"));
  const words = `${message.reply_count} ${message.reply_count === 1 ? "reply" : "replies"}`;
  return el("button", { type: "button", class: "thread-link", onclick: () => page.openThread(message) }, faces, el("strong", {}, words), el("small", {}, `last at ${timeOf(message.latest_reply)}`));
}

function tools(message, page, inThread) {
  const quick = QUICK.map((name) => el("button", { type: "button", class: "icon", title: `React with :${name}:`, "aria-label": `React with ${name}`, onclick: () => page.toggle(message, name) }, emoji(name)));
  const reply = !inThread && el("button", { type: "button", class: "icon", title: "Reply in thread", "aria-label": "Reply in thread", onclick: () => page.openThread(message) }, icon("reply"));
  const shortcuts = page.state.shortcuts.filter((one) => one.kind === "message");
  const bin = message.user === page.state.user && el("button", { type: "button", class: "icon", title: "Delete", "aria-label": "Delete message", onclick: () => page.remove(message) }, icon("trash"));
  return el("div", { class: "tools-place" }, el("div", { class: "tools", role: "group", "aria-label": "Message actions" }, quick, reply, bin, shortcuts.length > 0 && menu(shortcuts, message, page)));
}

function menu(shortcuts, message, page) {
  const node = el("details", { class: "menu" },
    el("summary", { class: "icon", title: "More actions", "aria-label": "More actions" }, "⋯"),
    el("div", {}, shortcuts.map((one) => el("button", { type: "button", class: "plain", onclick: () => { node.open = false; page.shortcut(one, message); } }, one.name))));
  node.addEventListener("toggle", () => {
    const room = node.closest(".scroll")?.getBoundingClientRect().bottom ?? window.innerHeight;
    node.classList.remove("up");
    node.classList.toggle("up", node.open && node.lastChild.getBoundingClientRect().bottom > room);
  });
  node.addEventListener("focusout", (event) => { if (!node.contains(event.relatedTarget)) node.open = false; });
  return node;
}
