// Who is in which channel: joining, leaving, bringing somebody in, archiving.

import { el } from "./dom.js";

const GENERAL = "C_GENERAL";

export function joinable(page) {
  const open = page.state.joinable ?? [];
  const row = (channel) => el("button", { type: "button", class: "row", "aria-label": `Join #${channel.name}`, onclick: () => page.join(channel) }, el("span", { class: "hash" }, "+"), el("span", {}, channel.name));
  return open.length > 0 && el("section", {}, el("h2", {}, "Channels to join"), open.map(row));
}

export function channelMenu(channel, page) {
  const node = el("details", { class: "menu" },
    el("summary", { class: "icon", title: "Channel", "aria-label": `Members of #${channel.name}, and more` }, "⋯"),
    el("div", {}, choices(channel, page).map(([words, act]) => el("button", { type: "button", class: "plain", onclick: () => { node.open = false; act(); } }, words))));
  node.addEventListener("focusout", (event) => { if (!node.contains(event.relatedTarget)) node.open = false; });
  return node;
}

function choices(channel, page) {
  const others = page.state.users.filter((one) => !channel.members.includes(one.id) && !one.is_stranger);
  const bring = others.map((one) => [`Add ${one.name}`, () => page.bring(channel, one)]);
  if (channel.id === GENERAL) return bring.length > 0 ? bring : [["Everybody is here", () => {}]];
  if (channel.is_archived) return [["Bring back from the archive", () => page.archive(channel, false)]];
  const warning = channel.kind === "private" ? "Only a member can bring you back. Leave?" : "Leave this channel?";
  return [
    ...bring,
    ["Leave", () => window.confirm(warning) && page.leave(channel)],
    ["Archive", () => window.confirm("Archive this channel?") && page.archive(channel, true)],
  ];
}
