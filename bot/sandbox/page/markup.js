// Slack's mrkdwn and Markdown to DOM nodes. Links are http(s) or mailto; anything else stays text.

import { el } from "./dom.js";

const EMOJI = {
  "+1": "👍", thumbsup: "👍", "-1": "👎", thumbsdown: "👎", eyes: "👀", white_check_mark: "✅", x: "❌", warning: "⚠️",
  tada: "🎉", heart: "❤️", mag: "🔍", hourglass_flowing_sand: "⏳", hourglass: "⌛", page_facing_up: "📄", books: "📚",
  link: "🔗", bulb: "💡", wave: "👋", pray: "🙏", raised_hands: "🙌", thinking_face: "🤔", lock: "🔒", memo: "📝",
  speech_balloon: "💬", rocket: "🚀", no_entry: "⛔", information_source: "ℹ️", question: "❓", bookmark: "🔖",
  arrows_counterclockwise: "🔄", wastebasket: "🗑️", footprints: "👣", mute: "🔇", no_bell: "🔕", shushing_face: "🤫", sparkles: "✨", smile: "😄", point_up: "☝️",
};

export const emoji = (name) => EMOJI[name] ?? `:${name}:`;

export function link(url, ...label) {
  if (!/^(https?:|mailto:)/i.test(url)) return el("span", {}, ...label);
  return el("a", { href: url, target: "_blank", rel: "noopener noreferrer", title: url }, ...label);
}

const unescapeEntities = (text) => text.replaceAll("&lt;", "<").replaceAll("&gt;", ">").replaceAll("&amp;", "&");

const withEmoji = (text) => text.replace(/:([a-z0-9_+-]+):/g, (all, name) => EMOJI[name] ?? all);

// A piece of text inside <…>: a person, a channel, a broadcast, a date or a link.
function bracketed(inside, names) {
  const [target, label] = inside.split(/\|(.*)/s);
  if (target.startsWith("@")) return el("span", { class: "mention" }, `@${names.user(target.slice(1)) ?? label ?? target.slice(1)}`);
  if (target.startsWith("#")) return el("span", { class: "mention" }, `#${label || names.channel(target.slice(1)) || target.slice(1)}`);
  if (target.startsWith("!date^")) return el("time", {}, label ?? target.split("^")[1]);
  if (target.startsWith("!")) return el("span", { class: "mention" }, `@${label ?? target.slice(1).split("^")[0]}`);
  if (/^(https?:|mailto:)/i.test(target)) {
    const url = unescapeEntities(target);
    return link(url, label ? withEmoji(unescapeEntities(label)) : url.replace(/^mailto:/, ""));
  }
  return document.createTextNode(unescapeEntities(`<${inside}>`));
}

// mrkdwn

export function mrkdwn(text, names) {
  const out = [];
  for (const [index, part] of text.split(/```\n?([\s\S]*?)```/).entries()) {
    if (index % 2) out.push(el("pre", {}, el("code", {}, unescapeEntities(part.replace(/\n$/, "")))));
    else if (part) out.push(...lines(index ? part.replace(/^\n/, "") : part, names));
  }
  return out;
}

function lines(text, names) {
  const out = [];
  let quote = null;
  text.split("\n").forEach((line, index) => {
    const quoted = /^(&gt;|>) ?(.*)$/.exec(line);
    if (quoted) {
      if (quote) quote.append(el("br"));
      else out.push((quote = el("blockquote")));
      quote.append(...inlineMrkdwn(quoted[2], names));
      return;
    }
    if (index && !quote) out.push(el("br"));
    quote = null;
    out.push(...inlineMrkdwn(line, names));
  });
  return out;
}

const MRKDWN = /`([^`\n]+)`|<([^<>\s][^<>]*)>|(?<![\w*])\*(?=\S)([^*\n]+?)(?<=\S)\*(?![\w*])|(?<![\w_])_(?=\S)([^_\n]+?)(?<=\S)_(?![\w_])|(?<![\w~])~(?=\S)([^~\n]+?)(?<=\S)~(?![\w~])/;

function inlineMrkdwn(text, names) {
  const out = [];
  for (let rest = text; rest; ) {
    const match = MRKDWN.exec(rest);
    if (!match) return [...out, withEmoji(unescapeEntities(rest))];
    if (match.index) out.push(withEmoji(unescapeEntities(rest.slice(0, match.index))));
    const [, code, inside, bold, italic, struck] = match;
    if (code !== undefined) out.push(el("code", {}, unescapeEntities(code)));
    else if (inside !== undefined) out.push(bracketed(inside, names));
    else if (bold !== undefined) out.push(el("strong", {}, ...inlineMrkdwn(bold, names)));
    else if (italic !== undefined) out.push(el("em", {}, ...inlineMrkdwn(italic, names)));
    else out.push(el("s", {}, ...inlineMrkdwn(struck, names)));
    rest = rest.slice(match.index + match[0].length);
  }
  return out;
}

// Markdown

export function markdown(text, names) {
  return blocksOf(text.replaceAll("\r\n", "\n").split("\n"), names);
}

const ITEM = /^(\s*)([-*+•]|\d{1,9}[.)])\s+(.*)$/;
const RULE = /^\s*([-*_])(\s*\1){2,}\s*$/;
const TABLE_LINE = /^\s*\|?\s*:?-+:?\s*(\|\s*:?-+:?\s*)*\|?\s*$/;

function blocksOf(rows, names) {
  const out = [];
  for (let at = 0; at < rows.length; ) {
    const row = rows[at];
    const fence = /^\s*(```+|~~~+)/.exec(row);
    const heading = /^(#{1,6})\s+(.*?)\s*#*$/.exec(row);
    if (!row.trim()) at += 1;
    else if (fence) at = fenced(rows, at, fence[1], out);
    else if (heading) {
      out.push(el(`h${Math.min(6, heading[1].length + 2)}`, {}, ...inlineMarkdown(heading[2], names)));
      at += 1;
    } else if (RULE.test(row)) {
      out.push(el("hr"));
      at += 1;
    } else if (/^\s*>/.test(row)) at = quoted(rows, at, out, names);
    else if (row.includes("|") && TABLE_LINE.test(rows[at + 1] ?? "") && rows[at + 1].includes("-")) at = table(rows, at, out, names);
    else if (ITEM.test(row)) at = list(rows, at, out, names);
    else at = paragraph(rows, at, out, names);
  }
  return out;
}

function fenced(rows, at, mark, out) {
  let end = at + 1;
  while (end < rows.length && !rows[end].trim().startsWith(mark)) end += 1;
  out.push(el("pre", {}, el("code", {}, rows.slice(at + 1, end).join("\n"))));
  return end + 1;
}

function quoted(rows, at, out, names) {
  let end = at;
  while (end < rows.length && /^\s*>/.test(rows[end])) end += 1;
  out.push(el("blockquote", {}, ...blocksOf(rows.slice(at, end).map((row) => row.replace(/^\s*> ?/, "")), names)));
  return end;
}

const cells = (row) => row.trim().replace(/^\||\|$/g, "").split(/(?<!\\)\|/).map((cell) => cell.trim().replaceAll("\\|", "|"));

function table(rows, at, out, names) {
  let end = at + 2;
  while (end < rows.length && rows[end].includes("|")) end += 1;
  const sides = cells(rows[at + 1]).map((mark) => (mark.endsWith(":") ? (mark.startsWith(":") ? "center" : "right") : null));
  const line = (tag, row) => el("tr", {}, cells(row).map((cell, column) => el(tag, { class: sides[column] }, ...inlineMarkdown(cell, names))));
  const body = rows.slice(at + 2, end).map((row) => line("td", row));
  out.push(el("div", { class: "table" }, el("table", {}, el("thead", {}, line("th", rows[at])), el("tbody", {}, body))));
  return end;
}

function list(rows, at, out, names) {
  const [, indent, mark] = ITEM.exec(rows[at]);
  const ordered = /\d/.test(mark);
  const node = el(ordered ? "ol" : "ul", ordered ? { start: String(parseInt(mark, 10)) } : {});
  let end = at;
  while (end < rows.length) {
    const item = ITEM.exec(rows[end]);
    if (!item || item[1].length > indent.length + 1 || /\d/.test(item[2]) !== ordered || item[1].length < indent.length) break;
    const body = [item[3]];
    for (end += 1; end < rows.length; end += 1) {
      const next = ITEM.exec(rows[end]);
      if (next && next[1].length <= indent.length + 1) break;
      if (!rows[end].trim() && !/^\s{2,}\S/.test(rows[end + 1] ?? "")) break;
      if (rows[end].trim() && !/^\s{2,}/.test(rows[end])) break;
      body.push(rows[end].slice(Math.min(indent.length + 2, rows[end].length - rows[end].trimStart().length)));
    }
    const parts = blocksOf(body, names);
    node.append(el("li", {}, ...(parts[0]?.tagName === "P" ? [...parts[0].childNodes, ...parts.slice(1)] : parts)));
    if (!rows[end]?.trim() && ITEM.test(rows[end + 1] ?? "")) end += 1;
  }
  out.push(node);
  return end;
}

function paragraph(rows, at, out, names) {
  let end = at + 1;
  while (end < rows.length && rows[end].trim() && !/^\s*(```|~~~|>|#{1,6}\s)/.test(rows[end]) && !ITEM.test(rows[end])) end += 1;
  const node = el("p");
  rows.slice(at, end).forEach((row, index) => {
    if (index) node.append(el("br"));
    node.append(...inlineMarkdown(row.trim(), names));
  });
  out.push(node);
  return end;
}

const MARKDOWN = new RegExp([
  /\\([\\`*_{}[\]()#+\-.!|<>~])/,
  /(`+)(.+?)\2(?!`)/,
  /!?\[((?:[^[\]]|\[[^\]]*\])*)\]\(\s*<?([^\s)>]+)>?(?:\s+"[^"]*")?\s*\)/,
  /<(https?:[^>\s|]+(?:\|[^>]*)?|mailto:[^>\s]+|@\w+|#\w+(?:\|[^>]*)?)>/,
  /(https?:\/\/[^\s<>()]+[^\s<>().,;:!?'"\]])/,
  /\*\*(?=\S)(.+?)(?<=\S)\*\*/,
  /(?<![\w_])__(?=\S)(.+?)(?<=\S)__(?![\w_])/,
  /(?<![\w*])\*(?=[^\s*])(.+?)(?<=[^\s*])\*(?![\w*])/,
  /(?<![\w_])_(?=[^\s_])(.+?)(?<=[^\s_])_(?![\w_])/,
  /~~(?=\S)(.+?)(?<=\S)~~/,
].map((part) => part.source).join("|"));

function inlineMarkdown(text, names) {
  const out = [];
  for (let rest = text; rest; ) {
    const match = MARKDOWN.exec(rest);
    if (!match) return [...out, withEmoji(unescapeEntities(rest))];
    if (match.index) out.push(withEmoji(unescapeEntities(rest.slice(0, match.index))));
    out.push(inlineNode(match, names));
    rest = rest.slice(match.index + match[0].length);
  }
  return out;
}

function inlineNode(match, names) {
  const [, escaped, , code, label, url, inside, bare, bold, bold2, italic, italic2, struck] = match;
  if (escaped !== undefined) return document.createTextNode(escaped);
  if (code !== undefined) return el("code", {}, code.trim());
  if (url !== undefined) return link(url, ...inlineMarkdown(label, names));
  if (inside !== undefined) return bracketed(inside, names);
  if (bare !== undefined) return link(bare, bare);
  if (struck !== undefined) return el("s", {}, ...inlineMarkdown(struck, names));
  if (bold !== undefined || bold2 !== undefined) return el("strong", {}, ...inlineMarkdown(bold ?? bold2, names));
  return el("em", {}, ...inlineMarkdown(italic ?? italic2, names));
}

// Text objects and rich text

export function textObject(text, names) {
  if (!text) return [];
  if (typeof text === "string") return [text];
  if (text.type === "mrkdwn") return mrkdwn(text.text, names);
  if (text.type === "rich_text") return richText(text, names);
  return [withEmoji(text.text ?? "")];
}

export function richText(block, names) {
  return (block.elements ?? []).map((part) => richPart(part, names));
}

function richPart(part, names) {
  const inner = () => (part.elements ?? []).map((item) => richItem(item, names));
  switch (part.type) {
    case "rich_text_list":
      return el(part.style === "ordered" ? "ol" : "ul", { class: `indent-${part.indent ?? 0}` }, (part.elements ?? []).map((item) => el("li", {}, richPart(item, names))));
    case "rich_text_preformatted":
      return el("pre", {}, el("code", {}, ...inner()));
    case "rich_text_quote":
      return el("blockquote", {}, ...inner());
    default:
      return el("span", { class: "rich" }, ...inner());
  }
}

function richItem(item, names) {
  switch (item.type) {
    case "link": return link(item.url, item.text ?? item.url);
    case "user": return bracketed(`@${item.user_id}`, names);
    case "channel": return bracketed(`#${item.channel_id}`, names);
    case "broadcast": return bracketed(`!${item.range}`, names);
    case "emoji": return document.createTextNode(emoji(item.name));
    case "text": return styled(item.text ?? "", item.style ?? {});
    default: return document.createTextNode(item.text ?? "");
  }
}

function styled(text, style) {
  let node = document.createTextNode(text);
  for (const [name, tag] of [["code", "code"], ["bold", "strong"], ["italic", "em"], ["strike", "s"]]) {
    if (style[name]) node = el(tag, {}, node);
  }
  return node;
}
