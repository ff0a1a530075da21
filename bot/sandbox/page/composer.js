// Where people write: Enter sends, Shift+Enter breaks the line, "/" suggests commands and "@" people.

import { el, fill, icon } from "./dom.js";

export function composer({ label, onSend, onFile, suggestions }) {
  const box = el("textarea", { rows: "1", "aria-label": label, placeholder: label, autocomplete: "off", spellcheck: "true" });
  const list = el("ul", { class: "suggestions", role: "listbox", hidden: true });
  const picker = el("input", { type: "file", class: "unseen", tabindex: "-1", "aria-hidden": "true" });
  const attach = el("button", { type: "button", class: "icon", "aria-label": "Attach a file", title: "Attach a file", onclick: () => picker.click() }, icon("clip"));
  const go = el("button", { type: "submit", class: "icon send", "aria-label": "Send", title: "Send (Enter)" }, icon("send"));
  const form = el("form", { class: "composer" }, list, box, el("div", { class: "composer-tools" }, attach, picker, el("span", { class: "hint" }, "Enter to send · Shift+Enter for a new line"), go));
  let shown = [];
  let at = 0;

  const grow = () => {
    box.style.height = "auto";
    box.style.height = `${Math.min(box.scrollHeight, 200)}px`;
  };
  const hide = () => {
    shown = [];
    list.hidden = true;
  };
  const draw = () => {
    list.hidden = shown.length === 0;
    fill(list, shown.map((one, index) => el("li", { role: "option", "aria-selected": String(index === at), onmousedown: (event) => { event.preventDefault(); take(one); } },
      el("strong", {}, one.name), one.hint && el("code", {}, one.hint), one.description && el("span", {}, one.description))));
  };
  const word = () => /(^\/\S*|(?:^|\s)@\w*)$/.exec(box.value.slice(0, box.selectionStart))?.[1].trim() ?? "";
  const look = () => {
    const typed = word().toLowerCase();
    shown = typed ? suggestions(typed[0]).filter((one) => one.name.toLowerCase().startsWith(typed)) : [];
    if (shown.length === 1 && shown[0].name.toLowerCase() === typed) shown = [];
    at = 0;
    draw();
  };
  const take = (one) => {
    const caret = box.selectionStart;
    const start = caret - word().length;
    box.setRangeText(`${one.name} `, start, caret, "end");
    hide();
    box.focus();
    grow();
  };
  const submit = async () => {
    const text = box.value.trim();
    if (!text) return;
    box.value = "";
    hide();
    grow();
    if (!(await onSend(text)) && !box.value) box.value = text;
    grow();
  };

  box.addEventListener("input", () => { grow(); look(); });
  box.addEventListener("blur", hide);
  box.addEventListener("keydown", (event) => {
    if (event.isComposing) return;
    if (shown.length && ["ArrowDown", "ArrowUp"].includes(event.key)) {
      at = (at + (event.key === "ArrowDown" ? 1 : shown.length - 1)) % shown.length;
      draw();
    } else if (shown.length && (event.key === "Tab" || event.key === "Enter")) take(shown[at]);
    else if (shown.length && event.key === "Escape") { hide(); event.stopPropagation(); }
    else if (event.key === "Enter" && !event.shiftKey) submit();
    else return;
    event.preventDefault();
  });
  form.addEventListener("submit", (event) => { event.preventDefault(); submit(); });
  picker.addEventListener("change", async () => {
    const [file] = picker.files;
    if (file && (await onFile(file, box.value.trim()))) { box.value = ""; grow(); }
    picker.value = "";
  });
  return { node: form, focus: () => box.focus(), label: (text) => { box.placeholder = text; box.setAttribute("aria-label", text); } };
}
