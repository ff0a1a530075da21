// Block Kit to DOM. `place` knows names, whether containers were opened, and what pressing a control does.

import { el, icon } from "./dom.js";
import { link, markdown, richText, textObject } from "./markup.js";

export function renderBlocks(blocks, place) {
  return blocks.map((block) => el("div", { class: `block block-${block.type}` }, RENDER[block.type]?.(block, place) ?? unknown(block)));
}

const unknown = (block) => el("p", { class: "quiet" }, `[${block.type}]`);

const RENDER = {
  section: (block, place) => [
    el("div", { class: "section-text" },
      block.text && el("div", { class: "text" }, ...textObject(block.text, place.names)),
      block.fields && el("div", { class: "fields" }, block.fields.map((field) => el("div", { class: "text" }, ...textObject(field, place.names))))),
    block.accessory && el("div", { class: "accessory" }, control(block.accessory, block, place)),
  ],
  header: (block) => el("h3", {}, block.text.text),
  context: (block, place) => (block.elements ?? []).map((item) =>
    el("span", { class: "context-item" }, ...(item.type === "image" ? [imageChip(item)] : textObject(item, place.names)))),
  divider: () => el("hr"),
  actions: (block, place) => (block.elements ?? []).map((item) => control(item, block, place)),
  context_actions: (block, place) => (block.elements ?? []).map((item) => control(item, block, place)),
  image: (block) => imageChip(block),
  markdown: (block, place) => el("div", { class: "md" }, ...markdown(block.text, place.names)),
  rich_text: (block, place) => el("div", { class: "md" }, ...richText(block, place.names)),
  table: (block, place) => tableOf(block.rows, place),
  data_table: (block, place) => [block.caption && el("p", { class: "quiet" }, String(block.caption.text ?? block.caption)), tableOf(block.rows, place)],
  container: (block, place) => container(block, place),
  task_card: (block, place) => taskCard(block, place),
  plan: (block, place) => [el("h4", {}, ...textObject(block.title, place.names)), (block.tasks ?? []).map((task) => taskCard(task, place))],
  card: (block, place) => card(block, place),
  carousel: (block, place) => (block.elements ?? []).map((item) => el("div", { class: "block block-card" }, card(item, place))),
  alert: (block, place) => el("p", {}, ...textObject(block.text, place.names)),
  input: (block, place) => inputBlock(block, place),
};

// Pictures from elsewhere are not fetched: the page makes no external request.
function imageChip(image) {
  const url = image.image_url ?? "";
  return el("span", { class: "image" }, icon("file"), link(url, image.title?.text ?? image.alt_text ?? "image"));
}

function tableOf(rows, place) {
  const cell = (tag) => (item) => el(tag, {}, ...(item.type === "rich_text" ? richText(item, place.names) : [String(item.text ?? item.value ?? "")]));
  const [head, ...body] = rows ?? [[]];
  return el("div", { class: "table" }, el("table", {},
    el("thead", {}, el("tr", {}, head.map(cell("th")))),
    el("tbody", {}, body.map((row) => el("tr", {}, row.map(cell("td")))))));
}

function container(block, place) {
  const title = block.rich_text_title ? richText(block.rich_text_title, place.names) : textObject(block.title, place.names);
  const subtitle = block.subtitle && el("small", {}, ...textObject(block.subtitle, place.names));
  const children = renderBlocks(block.child_blocks ?? [], place);
  if (!block.is_collapsible) return el("section", { class: "container" }, el("h4", {}, ...title, subtitle), children);
  const open = place.isOpen(block.block_id, !block.default_collapsed);
  const node = el("details", { class: "container", open }, el("summary", {}, ...title, subtitle), el("div", { class: "container-body" }, children));
  node.addEventListener("toggle", () => place.setOpen(block.block_id, node.open));
  return node;
}

function taskCard(task, place) {
  const status = task.status ?? "in_progress";
  const words = { pending: "waiting", in_progress: "under way", complete: "done", error: "failed" };
  const mark = status === "complete" ? icon("check") : status === "error" ? icon("cross") : el("i");
  const sources = (task.sources ?? []).map((source) => el("li", {}, link(source.url, source.text ?? source.url)));
  return el("div", { class: `task task-${status}` },
    el("span", { class: "task-mark", title: words[status] }, mark),
    el("div", {},
      el("span", { class: "task-title" }, ...textObject(task.title, place.names)),
      task.output && el("span", { class: "task-output" }, ...textObject(task.output, place.names)),
      task.details && el("div", { class: "task-details" }, ...textObject(task.details, place.names)),
      sources.length > 0 && el("ul", { class: "chips" }, sources)));
}

function card(block, place) {
  return [
    block.title && el("h4", {}, ...textObject(block.title, place.names)),
    block.subtitle && el("p", { class: "quiet" }, ...textObject(block.subtitle, place.names)),
    block.body && el("p", {}, ...textObject(block.body, place.names)),
    block.actions && el("div", { class: "block-actions" }, block.actions.map((item) => control(item, block, place))),
  ];
}

// Controls

function control(item, block, place) {
  const act = (extra = {}) => place.act({ action_id: item.action_id, block_id: block.block_id, ...extra });
  switch (item.type) {
    case "button": return button(item, act);
    case "feedback_buttons": return feedback(item, act, place, block);
    case "icon_button": return iconButton(item, act);
    case "image": return imageChip(item);
    case "overflow": case "static_select": return select(item, act);
    case "conversations_select": case "channels_select": return channelSelect(item, act, place);
    default: return el("span", { class: "quiet" }, `[${item.type}]`);
  }
}

function confirmed(item) {
  return !item.confirm || window.confirm(`${item.confirm.title?.text ?? ""}\n\n${item.confirm.text?.text ?? ""}`);
}

function button(item, act) {
  const press = () => {
    if (!confirmed(item)) return;
    if (/^https?:/i.test(item.url ?? "")) window.open(item.url, "_blank", "noopener,noreferrer");
    act();
  };
  const style = item.style ? ` ${item.style}` : "";
  return el("button", { type: "button", class: `button${style}`, "aria-label": item.accessibility_label, onclick: press }, ...textObject(item.text, {}));
}

function feedback(item, act, place, block) {
  const key = `${block.block_id}/${item.action_id}`;
  const one = (choice, sign) => {
    const label = choice.accessibility_label ?? choice.text.text;
    const node = el("button", { type: "button", class: "feedback", title: choice.text.text, "aria-label": label, "aria-pressed": String(place.chosen(key) === choice.value) }, sign);
    node.addEventListener("click", () => {
      place.choose(key, choice.value);
      for (const other of node.parentNode.children) other.setAttribute("aria-pressed", String(other === node));
      act({ value: choice.value });
    });
    return node;
  };
  return el("span", { class: "feedback-pair", role: "group", "aria-label": "Rate this answer" }, one(item.positive_button, "👍"), one(item.negative_button, "👎"));
}

function iconButton(item, act) {
  const label = item.accessibility_label ?? item.text?.text ?? item.icon;
  return el("button", { type: "button", class: "feedback", title: label, "aria-label": label, onclick: () => confirmed(item) && act() }, icon(item.icon === "trash" ? "trash" : "more"));
}

const options = (item) => item.options ?? (item.option_groups ?? []).flatMap((group) => group.options);

function select(item, act) {
  const node = el("select", { class: "button", "aria-label": item.placeholder?.text ?? "More" },
    el("option", { value: "" }, item.placeholder?.text ?? "⋯"),
    options(item).map((option) => el("option", { value: option.value, selected: item.initial_option?.value === option.value }, option.text.text)));
  node.addEventListener("change", () => {
    const chosen = options(item).find((option) => option.value === node.value);
    if (chosen) act({ chosen: { selected_option: chosen } });
  });
  return node;
}

function channelSelect(item, act, place) {
  const name = item.type === "channels_select" ? "selected_channel" : "selected_conversation";
  const words = item.placeholder?.text ?? "Choose a channel";
  const node = el("select", { class: "button", "aria-label": words }, el("option", { value: "" }, words),
    place.names.channels().map((one) => el("option", { value: one.id }, `#${one.name}`)));
  node.addEventListener("change", () => node.value && act({ chosen: { [name]: node.value } }));
  return node;
}

// Inputs of modals; `readValues` reads them back in Slack's shape.

function inputBlock(block, place) {
  const item = block.element;
  const id = `input-${block.block_id}`;
  const field = inputField(item, id, place);
  field.dataset.block = block.block_id;
  field.dataset.action = item.action_id ?? "";
  field.dataset.type = item.type;
  if (field instanceof HTMLElement && !block.optional && "required" in field) field.required = true;
  const group = field.tagName === "FIELDSET";
  return [
    group ? el("span", { class: "label" }, block.label.text) : el("label", { for: id }, block.label.text, block.optional && el("small", {}, " (optional)")),
    field,
    block.hint && el("p", { class: "quiet" }, ...textObject(block.hint, place.names)),
    el("p", { class: "problem", id: `${id}-problem`, role: "alert" }),
  ];
}

function inputField(item, id, place) {
  const placeholder = item.placeholder?.text;
  switch (item.type) {
    case "plain_text_input":
      return item.multiline
        ? el("textarea", { id, rows: "5", placeholder, maxlength: item.max_length && String(item.max_length) }, item.initial_value ?? "")
        : el("input", { id, type: "text", placeholder, value: item.initial_value ?? "" });
    case "users_select":
      return el("select", { id }, nobody(item), place.names.people().map((one) => el("option", { value: one.id, selected: one.id === item.initial_user }, one.name)));
    case "static_select":
      return el("select", { id }, item.initial_option ? null : nobody(item), options(item).map((option) => el("option", { value: option.value, selected: item.initial_option?.value === option.value }, option.text.text)));
    case "conversations_select": case "channels_select":
      return el("select", { id }, nobody(item), place.names.channels().map((one) => el("option", { value: one.id, selected: one.id === item.initial_conversation }, `#${one.name}`)));
    case "radio_buttons": case "checkboxes":
      return choices(item, id);
    case "datepicker": return el("input", { id, type: "date", value: item.initial_date ?? "" });
    case "number_input": return el("input", { id, type: "number", value: item.initial_value ?? "" });
    case "email_text_input": return el("input", { id, type: "email", value: item.initial_value ?? "" });
    case "url_text_input": return el("input", { id, type: "url", placeholder, value: item.initial_value ?? "" });
    default: return el("input", { id, type: "text", placeholder });
  }
}

// What an empty list of choices shows; choosing it again takes the choice back.
const nobody = (item) => el("option", { value: "" }, item.placeholder?.text ?? "Choose…");

function choices(item, id) {
  const type = item.type === "checkboxes" ? "checkbox" : "radio";
  const initial = [item.initial_option, ...(item.initial_options ?? [])].map((option) => option?.value);
  return el("fieldset", { id }, options(item).map((option) =>
    el("label", { class: "choice" }, el("input", { type, name: id, value: option.value, checked: initial.includes(option.value) }), ...textObject(option.text, {}))));
}

export function readValues(form, view) {
  const values = {};
  for (const block of view.blocks.filter((one) => one.type === "input")) {
    const field = form.querySelector(`[data-block="${CSS.escape(block.block_id)}"]`);
    values[block.block_id] = { [block.element.action_id ?? ""]: { type: block.element.type, ...valueOf(field, block.element) } };
  }
  return values;
}

function valueOf(field, item) {
  const picked = [...field.querySelectorAll("input:checked")].map((input) => options(item).find((option) => option.value === input.value));
  switch (item.type) {
    case "static_select": return { selected_option: options(item).find((option) => option.value === field.value) ?? null };
    case "users_select": return { selected_user: field.value || null };
    case "conversations_select": return { selected_conversation: field.value || null };
    case "channels_select": return { selected_channel: field.value || null };
    case "radio_buttons": return { selected_option: picked[0] ?? null };
    case "checkboxes": return { selected_options: picked };
    case "datepicker": return { selected_date: field.value || null };
    default: return { value: field.value || null };
  }
}

