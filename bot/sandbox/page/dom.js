// Building DOM. Text always goes in as text nodes; nothing on this page is parsed as HTML.

const ICONS = {
  back: "M15 5l-7 7 7 7",
  close: "M6 6l12 12M18 6L6 18",
  send: "M4 12l16-8-6 17-3-7z",
  clip: "M8 12.5l6-6a3 3 0 014.3 4.3l-7.6 7.6a5 5 0 01-7-7L11 4",
  reply: "M4 5h16v11H9l-5 4z",
  trash: "M5 7h14M9 7V4h6v3M7 7l1 13h8l1-13",
  check: "M5 12.5l4.5 4.5L19 7.5",
  cross: "M7 7l10 10M17 7L7 17",
  lock: "M7 11V8a5 5 0 0110 0v3M6 11h12v9H6z",
  file: "M7 3h7l4 4v14H7zM14 3v4h4",
  bolt: "M13 3L5 14h6l-1 7 8-11h-6z",
  more: "M6 12h.01M12 12h.01M18 12h.01",
};

export function el(tag, properties = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (value === undefined || value === null || value === false) continue;
    if (name === "class") node.className = value;
    else if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (name in node && typeof value !== "string") node[name] = value;
    else node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return node;
}

export function icon(name) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("aria-hidden", "true");
  const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
  path.setAttribute("d", ICONS[name]);
  svg.append(path);
  return svg;
}

export const byId = (id) => document.getElementById(id);

export function fill(node, ...children) {
  node.replaceChildren(...children.flat(Infinity).filter(Boolean));
}

// Fill only when `version` changed, so that a press is not lost to a redraw between down and up.
export function refill(node, version, build) {
  if (node.dataset.version === version) return;
  node.dataset.version = version;
  keepFocus(node, () => {
    fill(node, build());
    return node;
  });
}

const FOCUSABLE = "button, a[href], summary, input, select, textarea";

// Where the focus was within `node`, put it at the same place within what `change` returns.
export function keepFocus(node, change) {
  const before = node.contains(document.activeElement) ? [...node.querySelectorAll(FOCUSABLE)].indexOf(document.activeElement) : -1;
  const after = change();
  if (before >= 0) after.querySelectorAll(FOCUSABLE)[before]?.focus({ preventScroll: true });
}
