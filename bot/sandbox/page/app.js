// The page: holds the state that the sandbox sends, draws it, and turns what people do into requests.

import { byId, el, fill, icon, refill } from "./dom.js";
import { composer } from "./composer.js";
import { avatar, dayOf, messageNode, reconcile } from "./messages.js";
import { channelMenu, joinable } from "./places.js";
import { homeNode, showModal } from "./views.js";
import { follow, send, upload } from "./server.js";

const TOGETHER_SECONDS = 300;
const HAS_KEYBOARD = window.matchMedia("(hover: hover)").matches;
const page = {
  state: null,
  channel: "C_GENERAL",
  thread: null,
  tab: "messages",
  opened: new Map(),
  unread: new Set(),
  names: {
    user: (id) => page.user(id)?.name,
    channel: (id) => page.state.channels.find((one) => one.id === id)?.name,
    people: () => page.state.users.filter((one) => !one.is_bot),
    channels: () => page.state.channels.filter((one) => one.kind !== "im"),
  },
  user: (id) => page.state.users.find((one) => one.id === id),
};
let stopFollowing = () => {};

// What people do

async function attempt(work) {
  try {
    return (await work()) ?? true;
  } catch (error) {
    toast(error.message);
    return false;
  }
}

const as = (fields) => ({ user: page.state.user, ...fields });

Object.assign(page, {
  write: (text, thread_ts) => attempt(() => send("messages", as({ channel: page.channel, text, thread_ts }))),
  command(text, thread_ts) {
    const [command] = text.split(/\s/);
    return attempt(() => send("commands", as({ channel: page.channel, command, text: text.slice(command.length).trim(), thread_ts })));
  },
  say: (text, thread_ts) => (text.startsWith("/") ? page.command(text, thread_ts) : page.write(text, thread_ts)),
  share: (file, text, thread_ts) => attempt(() => upload(as({ channel: page.channel, text, thread_ts }), file)),
  react: (message, name, add) => attempt(() => send("reactions", as({ channel: message.channel, ts: message.ts, name, add }))),
  toggle(message, name) {
    const users = message.reactions?.find((one) => one.name === name)?.users ?? [];
    return page.react(message, name, !users.includes(page.state.user));
  },
  act: (action) => attempt(() => send("actions", as(action))),
  shortcut: (one, message) => attempt(() => send("shortcuts", as({ callback_id: one.callback_id, channel: message.channel, ts: message.ts }))),
  remove: (message) => window.confirm("Delete this message?") && attempt(() => send("deletions", as({ channel: message.channel, ts: message.ts }))),
  join: (channel) => attempt(() => send("joins", as({ channel: channel.id }))),
  bring: (channel, person) => attempt(() => send("joins", as({ channel: channel.id, who: person.id }))),
  leave: (channel) => attempt(() => send("leaves", as({ channel: channel.id }))),
  archive: (channel, archived) => attempt(() => send("archives", as({ channel: channel.id, archived }))),
  stop: () => attempt(() => send("stops", as({ channel: page.channel, thread_ts: page.thread }))),
  submit: async (view, values) => (await attempt(() => send("submissions", as({ view_id: view.id, values })))).errors,
  closeView: (view) => attempt(() => send("closings", as({ view_id: view.id }))),
  dismiss(message) {
    page.state.ephemerals = page.state.ephemerals.filter((one) => one.ts !== message.ts);
    draw();
  },
  async ask(question) {
    page.channel = "C_GENERAL";
    const posted = await page.write(`@${page.state.bot.name} ${question}`);
    if (posted) open({ thread: posted.ts });
  },
  openThread: (message) => open({ thread: message.thread_ts ?? message.ts }),
});

// Where one is

function open({ channel = page.channel, thread = null, tab = "messages" }) {
  const moved = channel !== page.channel || tab !== page.tab;
  const wasAtEnd = isAtEnd(byId("messages"));
  Object.assign(page, { channel, thread, tab });
  page.unread.delete(channel);
  document.body.dataset.pane = thread ? "thread" : "channel";
  history.replaceState(null, "", `#${channel}${thread ? `/${thread}` : ""}`);
  if (tab === "home") attempt(() => send("home", as({ tab: "home" })));
  if (tab === "messages" && moved && channel.startsWith("D_")) attempt(() => send("home", as({ tab: "messages" })));
  draw();
  if (tab === "home") byId("messages").scrollTop = 0;
  else if (moved || wasAtEnd) toEnd(byId("messages"));
  if (thread) {
    toEnd(byId("replies"));
    if (HAS_KEYBOARD) threadComposer.focus();
  }
}

function closeThread() {
  open({ tab: page.tab });
  if (HAS_KEYBOARD) channelComposer.focus();
}

function become(user) {
  sessionStorage.setItem("user", user);
  stopFollowing();
  stopFollowing = follow(user, take, () => connection(false, "Reconnecting to the sandbox…"));
}

// What the sandbox tells

const HANDLE = {
  snapshot(change) {
    page.state = change.state;
    if (!page.state.channels.some((one) => one.id === page.channel)) Object.assign(page, { channel: "C_GENERAL", thread: null, tab: "messages" });
    draw();
    if (page.tab !== "home") toEnd(byId("messages"));
    if (page.thread) toEnd(byId("replies"));
  },
  message: (change) => keep(page.state.messages, change.message),
  ephemeral: (change) => keep(page.state.ephemerals, change.message),
  message_deleted: (change) => { page.state.messages = page.state.messages.filter((one) => one.ts !== change.ts); },
  ephemeral_deleted: (change) => { page.state.ephemerals = page.state.ephemerals.filter((one) => one.ts !== change.ts); },
  session(change) {
    const { channel, thread_ts } = change.session;
    page.state.sessions = [...page.state.sessions.filter((one) => one.channel !== channel || one.thread_ts !== thread_ts), change.session];
  },
  prompts: (change) => { page.state.prompts[change.channel] = change.prompts; },
  modals: (change) => { page.state.modals[change.user] = change.stack; },
  home: (change) => { page.state.homes[change.user] = change.view; },
  bot: (change) => { page.state.bot.connected = change.connected; },
};

function take(change) {
  HANDLE[change.type]?.(change);
  if (change.type !== "snapshot") schedule();
}

function keep(list, message) {
  const at = list.findIndex((one) => one.ts === message.ts && one.channel === message.channel);
  const before = list[at];
  if (at >= 0) list[at] = message;
  else list.push(message);
  if (at < 0 && message.channel !== page.channel) page.unread.add(message.channel);
  const finished = !message.streaming && (at < 0 || before.streaming);
  if (finished && message.user === page.state.bot.id) byId("announcer").textContent = `Footnote: ${message.text.slice(0, 200)}`;
}

// Drawing

let waiting = false;
function schedule() {
  if (waiting) return;
  waiting = true;
  requestAnimationFrame(() => { waiting = false; draw(); });
}

function draw() {
  if (!page.state) return;
  drawSidebar();
  drawBar();
  drawMessages();
  drawThread();
  showModal(page.state.modals[page.state.user] ?? [], page);
}

function drawSidebar() {
  byId("team-name").textContent = page.state.team.name;
  const row = (channel) => {
    const dm = channel.kind === "im";
    const sign = dm ? avatar(page.user(page.state.bot.id), "tiny") : channel.kind === "private" ? icon("lock") : el("span", { class: "hash" }, "#");
    return el("button", { type: "button", class: "row", "aria-current": channel.id === page.channel ? "page" : null, onclick: () => open({ channel: channel.id }) },
      sign, el("span", {}, dm ? page.state.bot.name : channel.name), dm && el("i", { class: page.state.bot.connected ? "dot on" : "dot", title: page.state.bot.connected ? "connected" : "not connected" }),
      page.unread.has(channel.id) && el("span", { class: "unread", title: "unread" }));
  };
  const group = (title, channels) => channels.length > 0 && el("section", {}, el("h2", {}, title), channels.map(row));
  const shortcut = (one) => el("button", { type: "button", class: "row", onclick: () => page.shortcut(one, {}) }, icon("bolt"), el("span", {}, one.name));
  const shortcuts = () => {
    const found = page.state.shortcuts.filter((one) => one.kind === "global");
    return found.length > 0 && el("section", {}, el("h2", {}, "Shortcuts"), found.map(shortcut));
  };
  const version = JSON.stringify([page.channel, page.state.user, page.state.channels, page.state.users, page.state.bot, page.state.joinable, [...page.unread]]);
  refill(byId("channels"), version, () => [group("Channels", page.state.channels.filter((one) => one.kind !== "im")), joinable(page), group("Direct messages", page.state.channels.filter((one) => one.kind === "im")), shortcuts()]);
  const people = page.state.users.filter((one) => !one.is_bot);
  refill(byId("people"), version, () => people.map((one) => el("button", { type: "button", role: "radio", "aria-checked": String(one.id === page.state.user), onclick: () => become(one.id) }, avatar(one, "tiny"), one.name)));
}

function current() {
  return page.state.channels.find((one) => one.id === page.channel);
}

function drawBar() {
  const channel = current();
  const dm = channel.kind === "im";
  fill(byId("channel-name"), dm ? page.state.bot.name : [channel.kind === "private" ? icon("lock") : "# ", channel.name]);
  byId("channel-topic").textContent = dm ? "Answers here are for you alone" : [channel.topic, `${channel.members.length} members`].filter(Boolean).join(" · ");
  document.title = `${dm ? page.state.bot.name : `#${channel.name}`} · local Slack`;
  const tabs = byId("tabs");
  tabs.hidden = !dm;
  refill(tabs, page.tab, () => ["messages", "home"].map((name) => el("button", { type: "button", role: "tab", "aria-selected": String(page.tab === name), onclick: () => open({ tab: name }) }, name === "home" ? "Home" : "Messages")));
  refill(byId("channel-menu"), JSON.stringify([channel, page.state.user, page.state.users]), () => (dm ? [] : [channelMenu(channel, page)]));
  connection(page.state.bot.connected, "Footnote is not connected");
}

function connection(is, words) {
  const node = byId("connection");
  node.hidden = is;
  node.textContent = is ? "" : words;
}

function drawMessages() {
  const scroll = byId("messages");
  const home = page.tab === "home";
  byId("composer-channel").hidden = home || current().is_archived;
  byId("composer-thread").hidden = current().is_archived;
  if (home) {
    const view = page.state.homes[page.state.user];
    return reconcile(scroll, [{ key: "home", version: JSON.stringify(view ?? null), build: () => homeNode(view, page) }]);
  }
  const roots = page.state.messages.filter((one) => one.channel === page.channel && (!one.thread_ts || one.thread_ts === one.ts));
  const whispers = page.state.ephemerals.filter((one) => one.channel === page.channel && !one.thread_ts);
  return sticky(scroll, () => reconcile(scroll, [intro(), ...rows([...roots, ...whispers], { inThread: false })]));
}

function rows(messages, { inThread }) {
  const out = [];
  let before = null;
  for (const message of messages.sort((a, b) => a.ts.localeCompare(b.ts))) {
    const day = dayOf(message.ts);
    if (!inThread && (!before || dayOf(before.ts) !== day)) {
      out.push({ key: `day ${day}`, version: "", build: () => el("div", { class: "day" }, el("span", {}, day)) });
      before = null;
    }
    const isCompact = Boolean(before && before.user === message.user && !before.only_for && !message.only_for && message.ts - before.ts < TOGETHER_SECONDS && !before.reply_count);
    const version = `${isCompact}${page.state.user}${JSON.stringify(message)}`;
    out.push({ key: message.ts, version, build: () => messageNode(message, page, { inThread, isCompact }) });
    before = message;
  }
  return out;
}

function intro() {
  const channel = current();
  const prompts = page.state.prompts[channel.id];
  const version = JSON.stringify([channel.id, channel.is_archived, page.state.questions, page.state.bot.connected, prompts]);
  return { key: "intro", version, build: () => (channel.id === "C_GENERAL" ? welcome() : beginning(channel, prompts)) };
}

function welcome() {
  const question = (text) => el("button", { type: "button", class: "question", disabled: !page.state.bot.connected, onclick: () => page.ask(text) }, el("span", {}, text), icon("send"));
  return el("section", { class: "welcome", "aria-label": "Welcome" },
    avatar({ is_bot: true }, "large"),
    el("div", {},
      el("h2", {}, "Ask Footnote a question"),
      el("p", {}, "It answers from your team’s documents, in a thread, and proves every sentence with a quote. Its own documentation is already here to ask about:"),
      el("div", { class: "questions" }, page.state.questions.map(question)),
      el("dl", { class: "tips" }, tip(`@${page.state.bot.name}`, "Ask a question of your own"), page.state.commands.map((one) => tip(one.name, one.description))),
      !page.state.bot.connected && el("p", { class: "notice" }, "Footnote is not connected yet. It appears here by itself once it runs.")));
}

const tip = (name, words) => [el("dt", {}, el("code", {}, name)), el("dd", {}, words)];

function beginning(channel, prompts) {
  const dm = channel.kind === "im";
  const words = channel.is_archived ? "This channel is archived. Nothing is written in it, and no answer uses its documents." : dm ? "Ask anything here without a mention. Only you will see the answer." : channel.kind === "private" ? "This channel is private: only its members see what is written and answered here." : channel.topic;
  return el("section", { class: "beginning" },
    dm && avatar({ is_bot: true }, "large"),
    el("h2", {}, dm ? page.state.bot.name : `#${channel.name}`), el("p", { class: "quiet" }, words),
    prompts && el("div", { class: "questions" }, prompts.prompts.map((one) => el("button", { type: "button", class: "question", onclick: () => page.write(one.message) }, el("span", {}, one.title), icon("send")))));
}

function drawThread() {
  const pane = byId("thread");
  pane.hidden = !page.thread;
  document.body.classList.toggle("has-thread", Boolean(page.thread));
  if (!page.thread) return;
  const channel = current();
  byId("thread-topic").textContent = channel.kind === "im" ? page.state.bot.name : `#${channel.name}`;
  const inThread = [...page.state.messages, ...page.state.ephemerals].filter((one) => one.channel === page.channel && (one.ts === page.thread || one.thread_ts === page.thread));
  const scroll = byId("replies");
  sticky(scroll, () => reconcile(scroll, rows(inThread, { inThread: true })));
  drawWorking(inThread);
}

function drawWorking(messages) {
  const session = page.state.sessions.find((one) => one.channel === page.channel && one.thread_ts === page.thread);
  const streaming = messages.some((one) => one.streaming);
  const working = session?.status === "processing" || streaming;
  const title = session?.title;
  byId("thread-name").textContent = title || "Thread";
  const version = `${working}${session?.note ?? ""}`;
  const node = byId("working");
  if (node.dataset.version === version) return;
  node.dataset.version = version;
  const words = session?.note ? `${page.state.bot.name} ${session.note}` : `${page.state.bot.name} is working`;
  fill(node, (working || session?.note) && [el("span", { class: "dots" }, el("i"), el("i"), el("i")), words, working && el("button", { type: "button", class: "button small", onclick: page.stop }, "Stop")]);
}

// Stay at the end if one was there.
function sticky(scroll, change) {
  const atEnd = isAtEnd(scroll);
  change();
  if (atEnd) toEnd(scroll);
}

function isAtEnd(scroll) {
  return scroll.scrollHeight - scroll.scrollTop - scroll.clientHeight < 60;
}

function toEnd(scroll) {
  scroll.scrollTop = scroll.scrollHeight;
}

let toasting;
function toast(text) {
  const node = byId("toast");
  node.textContent = text;
  node.classList.add("shown");
  clearTimeout(toasting);
  toasting = setTimeout(() => node.classList.remove("shown"), 6000);
}

// Beginning

function suggestions(sign) {
  if (sign === "/") return page.state.commands;
  return page.state.users.filter((one) => one.id !== page.state.user).map((one) => ({ name: `@${one.name}`, description: one.is_bot ? "app" : "" }));
}

const channelComposer = composer({ label: "Write a message, or / for commands", onSend: (text) => page.say(text), onFile: (file, text) => page.share(file, text), suggestions });
const threadComposer = composer({ label: "Reply", onSend: (text) => page.say(text, page.thread), onFile: (file, text) => page.share(file, text, page.thread), suggestions: (sign) => (sign === "@" ? suggestions(sign) : []) });

function begin() {
  byId("composer-channel").append(channelComposer.node);
  byId("composer-thread").append(threadComposer.node);
  for (const [id, name] of [["to-channels", "back"], ["to-channel", "back"], ["close-thread", "close"]]) byId(id).append(icon(name));
  byId("to-channels").addEventListener("click", () => { document.body.dataset.pane = "sidebar"; });
  byId("to-channel").addEventListener("click", closeThread);
  byId("close-thread").addEventListener("click", closeThread);
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && page.thread && !byId("modal").open) closeThread();
  });
  const [channel, thread] = location.hash.slice(1).split("/");
  if (channel) Object.assign(page, { channel, thread: thread ?? null });
  document.body.dataset.pane = thread ? "thread" : "channel";
  become(sessionStorage.getItem("user") ?? "U_ANA");
}

begin();
