// Modals and the App Home.

import { byId, el, fill, icon } from "./dom.js";
import { readValues, renderBlocks } from "./blocks.js";

function placeOf(view, page) {
  return {
    names: page.names,
    act: (action) => page.act({ view_id: view.id, ...action }),
    isOpen: (block, otherwise) => page.opened.get(`${view.id}/${block}`) ?? otherwise,
    setOpen: (block, open) => page.opened.set(`${view.id}/${block}`, open),
    chosen: () => undefined,
    choose: () => undefined,
  };
}

export function homeNode(view, page) {
  if (!view) return el("div", { class: "home empty" }, el("h2", {}, "Home"), el("p", { class: "quiet" }, "Footnote has not put anything here yet."));
  return el("div", { class: "home" }, renderBlocks(view.blocks ?? [], placeOf(view, page)));
}

export function showModal(stack, page) {
  const dialog = byId("modal");
  const view = stack.at(-1);
  if (!view) return dialog.close();
  if (dialog.dataset.hash === view.hash && dialog.open) return;
  dialog.dataset.hash = view.hash;
  fill(dialog, modalForm(view, page));
  if (!dialog.open) dialog.showModal();
  dialog.querySelector("textarea, input, select")?.focus();
}

function modalForm(view, page) {
  const close = () => page.closeView(view);
  byId("modal").oncancel = (event) => { event.preventDefault(); close(); };
  const form = el("form", { class: "view", novalidate: true },
    el("header", {}, el("h2", { id: "modal-title" }, view.title.text), el("button", { type: "button", class: "icon", "aria-label": "Close", onclick: close }, icon("close"))),
    el("div", { class: "view-body" }, renderBlocks(view.blocks, placeOf(view, page))),
    el("footer", {}, el("button", { type: "button", class: "button", onclick: close }, view.close?.text ?? "Cancel"),
      view.submit && el("button", { type: "submit", class: "button primary" }, view.submit.text)));
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    for (const problem of form.querySelectorAll(".problem")) problem.textContent = "";
    const errors = await page.submit(view, readValues(form, view));
    for (const [block, text] of Object.entries(errors ?? {})) {
      const problem = byId(`input-${block}-problem`);
      if (problem) problem.textContent = text;
    }
  });
  return form;
}
