"""Pure: Slack's limits on messages, chunks, blocks and views, after docs.slack.dev and the validators of slack_sdk."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TypeAlias

from bot.sandbox.values import Json, SlackError

MAX_TEXT = 40_000
MAX_UPDATE_TEXT = 4_000
MAX_MARKDOWN = 12_000
"""Characters of Markdown in one message: of `markdown_text`, of all markdown blocks, and of a stream altogether."""
MAX_ALL_BLOCKS = 13_200
"""Characters of all blocks together; beyond it Slack answers `msg_blocks_too_long` (undocumented, measured)."""
MAX_MESSAGE_BLOCKS, MAX_VIEW_BLOCKS = 50, 100
MAX_TASK_FIELD = 256
TASK_STATUSES = ("pending", "in_progress", "complete", "error")
MAX_OPTION_VALUE = 150
MOST_OPTIONS = {"overflow": 5, "checkboxes": 10, "radio_buttons": 10, "static_select": 100, "multi_static_select": 100}
NOT_IN_CONTAINERS = ("markdown", "context_actions", "container")
ONLY_IN_MESSAGES = ("markdown", "context_actions", "table", "task_card", "plan")
MAX_VIEW_BYTES = 250_000

Say: TypeAlias = Callable[[str, str], None]
"""Takes what is wrong and the JSON pointer of where."""


def check_blocks(blocks: list[Json]) -> None:
    """Raise what Slack answers to a message with these blocks, if it does not take them."""
    _raise_if(block_errors(blocks, most=MAX_MESSAGE_BLOCKS, path="/blocks"), "invalid_blocks")
    if sum(_length(block) for block in blocks) > MAX_ALL_BLOCKS:
        raise SlackError("msg_blocks_too_long")


def check_view(view: Json) -> None:
    """Raise what Slack answers to this modal or home, if it does not take it."""
    errors: list[str] = []
    say = _collector(errors)
    if view.get("type") == "modal":
        _text(view.get("title"), 24, "/view/title", say, plain=True)
        for name in ("submit", "close"):
            if view.get(name) is not None:
                _text(view[name], 24, f"/view/{name}", say, plain=True)
        if any(_kind(block) == "input" for block in view.get("blocks", [])) and view.get("submit") is None:
            say("missing required field: submit", "/view")
    _most(view.get("private_metadata"), 3_000, "/view/private_metadata", say)
    _most(view.get("callback_id"), 255, "/view/callback_id", say)
    blocks = view.get("blocks")
    errors += (
        block_errors(blocks, most=MAX_VIEW_BLOCKS, path="/view/blocks") if isinstance(blocks, list) else ["blocks"]
    )
    for index, block in enumerate(blocks if isinstance(blocks, list) else []):
        if _kind(block) in ONLY_IN_MESSAGES:
            say(f"unsupported type: {_kind(block)}", f"/view/blocks/{index}")
    _raise_if(errors, "invalid_arguments")
    if len(json.dumps(view, ensure_ascii=False).encode()) > MAX_VIEW_BYTES:
        raise SlackError("view_too_large")


def check_chunks(chunks: list[Json]) -> None:
    """Raise `invalid_chunks`, or `msg_too_long`, where Slack would."""
    errors: list[str] = []
    for index, chunk in enumerate(chunks):
        _chunk(chunk, f"/chunks/{index}", _collector(errors))
    _raise_if(errors, "invalid_chunks")
    if sum(len(chunk["text"]) for chunk in chunks if chunk["type"] == "markdown_text") > MAX_MARKDOWN:
        raise SlackError("msg_too_long")


def block_errors(blocks: list[Json], *, most: int, path: str) -> list[str]:
    """Everything that is wrong with the blocks, in Slack's words; nothing if all is well."""
    errors: list[str] = []
    say = _collector(errors)
    if len(blocks) > most:
        say(f"no more than {most} items allowed", path)
    names = [block.get("block_id") for block in blocks if block.get("block_id")]
    if len(names) != len(set(names)):
        say("block_id must be unique", path)
    for index, block in enumerate(blocks):
        _block(block, f"{path}/{index}", say)
    if sum(len(str(b.get("text", ""))) for b in blocks if _kind(b) == "markdown") > MAX_MARKDOWN:
        say(f"markdown blocks must be less than {MAX_MARKDOWN + 1} characters together", path)
    return errors


def _raise_if(errors: list[str], code: str) -> None:
    if errors:
        raise SlackError(code, errors=errors, response_metadata={"messages": errors})


def _collector(errors: list[str]) -> Say:
    return lambda problem, path: errors.append(f"[ERROR] {problem} [json-pointer:{path}]")


def _length(value: object) -> int:
    """Characters of all texts in a block."""
    if isinstance(value, dict):
        own = value.get("text")
        inner = sum(_length(item) for name, item in value.items() if not (name == "text" and isinstance(item, str)))
        return inner + (len(own) if isinstance(own, str) else 0)
    return sum(_length(item) for item in value) if isinstance(value, list) else 0


def _kind(value: object) -> str:
    return str(value.get("type", "")) if isinstance(value, dict) else ""


def _most(value: object, limit: int, path: str, say: Say) -> None:
    if isinstance(value, str) and len(value) > limit:
        say(f"must be less than {limit + 1} characters", path)


def _count(value: object, limit: int, path: str, say: Say) -> list[Json]:
    """The items of a list that must have 1 to `limit` of them."""
    if not isinstance(value, list) or not value:
        say("must be a non-empty array", path)
        return []
    if len(value) > limit:
        say(f"no more than {limit} items allowed", path)
    return value


def _text(value: object, limit: int, path: str, say: Say, *, plain: bool = False) -> None:
    """A text object: its type, that it is not empty, and its length."""
    if not isinstance(value, dict) or not isinstance(value.get("text"), str):
        say("missing required field: text", path)
        return
    if value.get("type") not in (("plain_text",) if plain else ("plain_text", "mrkdwn")):
        say("unsupported text type", f"{path}/type")
    if not value["text"]:
        say("must be more than 0 characters", f"{path}/text")
    _most(value["text"], limit, f"{path}/text", say)


def _block(block: object, path: str, say: Say) -> None:
    check = BLOCKS.get(_kind(block))
    if not isinstance(block, dict) or check is None:
        say(f"unsupported type: {_kind(block) or 'none'}", path)
        return
    _most(block.get("block_id"), 255, f"{path}/block_id", say)
    check(block, path, say)


def _section(block: Json, path: str, say: Say) -> None:
    if "text" not in block and "fields" not in block:
        say("must have text or fields", path)
    if "text" in block:
        _text(block["text"], 3_000, f"{path}/text", say)
    if "fields" in block:
        for index, item in enumerate(_count(block["fields"], 10, f"{path}/fields", say)):
            _text(item, 2_000, f"{path}/fields/{index}", say)
    if "accessory" in block:
        _element(block["accessory"], f"{path}/accessory", say)


def _header(block: Json, path: str, say: Say) -> None:
    _text(block.get("text"), 150, f"{path}/text", say, plain=True)


def _context(block: Json, path: str, say: Say) -> None:
    for index, item in enumerate(_count(block.get("elements"), 10, f"{path}/elements", say)):
        if _kind(item) == "image":
            _image(item, f"{path}/elements/{index}", say)
        else:
            _text(item, 3_000, f"{path}/elements/{index}", say)


def _actions(block: Json, path: str, say: Say) -> None:
    _elements(block, 25, path, say)


def _context_actions(block: Json, path: str, say: Say) -> None:
    for index, item in enumerate(_elements(block, 5, path, say)):
        if _kind(item) not in ("feedback_buttons", "icon_button"):
            say(f"unsupported type: {_kind(item)}", f"{path}/elements/{index}")


def _elements(block: Json, limit: int, path: str, say: Say) -> list[Json]:
    items = _count(block.get("elements"), limit, f"{path}/elements", say)
    for index, item in enumerate(items):
        _element(item, f"{path}/elements/{index}", say)
    names = [item.get("action_id") for item in items if isinstance(item, dict) and item.get("action_id")]
    if len(names) != len(set(names)):
        say("action_id must be unique within a block", f"{path}/elements")
    return items


def _element(item: object, path: str, say: Say) -> None:
    if not isinstance(item, dict) or _kind(item) not in ELEMENTS:
        say(f"unsupported type: {_kind(item) or 'none'}", path)
        return
    _most(item.get("action_id"), 255, f"{path}/action_id", say)
    _most(item.get("value"), 2_000, f"{path}/value", say)
    _most(item.get("url"), 3_000, f"{path}/url", say)
    _most(item.get("accessibility_label"), 75, f"{path}/accessibility_label", say)
    if _kind(item) == "button":
        _text(item.get("text"), 75, f"{path}/text", say, plain=True)
    if _kind(item) == "image":
        _image(item, path, say)
    if _kind(item) in MOST_OPTIONS and "option_groups" not in item:
        _options(item, MOST_OPTIONS[_kind(item)], path, say)
    if _kind(item) == "feedback_buttons":
        for name in ("positive_button", "negative_button"):
            _feedback_button(item.get(name), f"{path}/{name}", say)


def _options(item: Json, limit: int, path: str, say: Say) -> None:
    """What can be chosen: how many, how long each may be, and that what is chosen at first is among them."""
    options = _count(item.get("options"), limit, f"{path}/options", say)
    for index, option in enumerate(options):
        _text(option.get("text"), 75, f"{path}/options/{index}/text", say)
        _most(option.get("value"), MAX_OPTION_VALUE, f"{path}/options/{index}/value", say)
    initial = [*(item.get("initial_options") or ()), *([item["initial_option"]] if item.get("initial_option") else ())]
    if any(one not in options for one in initial):
        say("initial option must be among the options", path)


def _feedback_button(button: object, path: str, say: Say) -> None:
    if not isinstance(button, dict):
        say("missing required field", path)
        return
    _text(button.get("text"), 75, f"{path}/text", say, plain=True)
    _most(button.get("value"), 2_000, f"{path}/value", say)


def _image(block: Json, path: str, say: Say) -> None:
    if not block.get("alt_text"):
        say("missing required field: alt_text", path)
    _most(block.get("alt_text"), 2_000, f"{path}/alt_text", say)
    if not block.get("image_url") and not block.get("slack_file"):
        say("missing required field: image_url", path)


def _markdown(block: Json, path: str, say: Say) -> None:
    if not isinstance(block.get("text"), str) or not block["text"]:
        say("missing required field: text", path)
    _most(block.get("text"), MAX_MARKDOWN, f"{path}/text", say)


def _input(block: Json, path: str, say: Say) -> None:
    _text(block.get("label"), 2_000, f"{path}/label", say, plain=True)
    _element(block.get("element"), f"{path}/element", say)


def _table(block: Json, path: str, say: Say) -> None:
    for index, row in enumerate(_count(block.get("rows"), 100, f"{path}/rows", say)):
        _count(row, 20, f"{path}/rows/{index}", say)


def _data_table(block: Json, path: str, say: Say) -> None:
    _count(block.get("rows"), 101, f"{path}/rows", say)
    if not block.get("caption"):
        say("missing required field: caption", path)


def _container(block: Json, path: str, say: Say) -> None:
    if "rich_text_title" not in block:
        _text(block.get("title"), 150, f"{path}/title", say, plain=True)
    if block.get("subtitle") is not None:
        _text(block["subtitle"], 150, f"{path}/subtitle", say)
    if block.get("is_collapsible") and block.get("has_header_divider"):
        say("has_header_divider cannot be set when is_collapsible is true", path)
    for index, child in enumerate(_count(block.get("child_blocks"), 10, f"{path}/child_blocks", say)):
        if _kind(child) in NOT_IN_CONTAINERS:
            say(f"unsupported type: {_kind(child)}", f"{path}/child_blocks/{index}")
        else:
            _block(child, f"{path}/child_blocks/{index}", say)


def _task_card(block: Json, path: str, say: Say) -> None:
    if not block.get("task_id") or not block.get("title"):
        say("missing required field: task_id, title", path)
    if block.get("status") not in (None, *TASK_STATUSES):
        say("must be one of pending, in_progress, complete, error", f"{path}/status")


def _card(block: Json, path: str, say: Say) -> None:
    for name, limit in (("title", 150), ("subtitle", 150), ("body", 200)):
        if block.get(name) is not None:
            _text(block[name], limit, f"{path}/{name}", say)


def _carousel(block: Json, path: str, say: Say) -> None:
    for index, card in enumerate(_count(block.get("elements"), 10, f"{path}/elements", say)):
        _block(card, f"{path}/elements/{index}", say)


def _nothing(block: Json, path: str, say: Say) -> None:
    """Known, and not looked into."""


BLOCKS: dict[str, Callable[[Json, str, Say], None]] = {
    "section": _section,
    "header": _header,
    "context": _context,
    "divider": _nothing,
    "actions": _actions,
    "context_actions": _context_actions,
    "image": _image,
    "markdown": _markdown,
    "input": _input,
    "table": _table,
    "data_table": _data_table,
    "container": _container,
    "task_card": _task_card,
    "card": _card,
    "carousel": _carousel,
    "plan": _nothing,
    "rich_text": _nothing,
    "alert": _nothing,
    "video": _nothing,
}
ELEMENTS = (
    *("button", "feedback_buttons", "icon_button", "workflow_button", "overflow", "image", "file_input"),
    *("static_select", "external_select", "users_select", "conversations_select", "channels_select"),
    *("multi_static_select", "multi_external_select", "multi_users_select"),
    *("multi_conversations_select", "multi_channels_select"),
    *("checkboxes", "radio_buttons", "datepicker", "timepicker", "datetimepicker"),
    *("plain_text_input", "email_text_input", "number_input", "url_text_input", "rich_text_input"),
)


def _chunk(chunk: Json, path: str, say: Say) -> None:
    kind = _kind(chunk)
    if kind == "markdown_text":
        if not isinstance(chunk.get("text"), str):
            say("missing required field: text", path)
    elif kind == "task_update":
        _task_chunk(chunk, path, say)
    elif kind == "plan_update":
        _short(chunk, "title", path, say)
    elif kind == "blocks" and isinstance(chunk.get("blocks"), list):
        for problem in block_errors(chunk["blocks"], most=MAX_MESSAGE_BLOCKS, path=f"{path}/blocks"):
            say(problem.removeprefix("[ERROR] "), path)
    else:
        say(f"unsupported type: {kind or 'none'}", path)


def _task_chunk(chunk: Json, path: str, say: Say) -> None:
    for name in ("id", "title"):
        _short(chunk, name, path, say)
    for name in ("details", "output"):
        _most(chunk.get(name), MAX_TASK_FIELD, f"{path}/{name}", say)
    if chunk.get("status", "pending") not in TASK_STATUSES:
        say("must be one of pending, in_progress, complete, error", f"{path}/status")
    for index, source in enumerate(chunk.get("sources") or []):
        if _kind(source) != "url" or not source.get("url") or not source.get("text"):
            say("a source needs type url, url and text", f"{path}/sources/{index}")


def _short(chunk: Json, name: str, path: str, say: Say) -> None:
    if not isinstance(chunk.get(name), str) or not chunk[name]:
        say(f"missing required field: {name}", path)
    _most(chunk.get(name), MAX_TASK_FIELD, f"{path}/{name}", say)
