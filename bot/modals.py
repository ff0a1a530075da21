"""The forms that open over Slack, and what people write into them. Pure.

What a form is about travels in its `private_metadata`, which holds 3,000 characters.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from backend.schema import MAX_QUESTION
from bot.slack import Block

WHY = "feedback_why"
"""The callback id of "What was wrong?"."""
ASK = "ask_modal"
"""The callback id of the global shortcut "Ask the docs", and of its form."""
KEEP = "expert_keep"
"""The callback id of the review of an expert's answer before it becomes a document."""

SHARE = "share_modal"
"""The callback id of the form that asks where a private question shall be asked again."""

MAX_WHY = 1_900
"""Characters of each of the two fields: together they fit into a comment, which takes 4,000."""
MAX_KEPT = 3_000
"""Characters of a text input, Slack's own limit."""

View = Mapping[str, Any]


class About(msgspec.Struct, frozen=True):
    """What the form "What was wrong?" is about."""

    run_id: str
    channel: str = ""
    thread_ts: str = ""


class Kept(msgspec.Struct, frozen=True):
    """Which message of an expert is reviewed."""

    run_id: str
    channel: str
    thread_ts: str
    ts: str


def why_view(about: About) -> Block:
    """Return the form that asks what was wrong with an answer."""
    fields = [
        _input("wrong", "What was wrong?", multiline=True, limit=MAX_WHY),
        _input("right", "The right answer, if you know it", multiline=True, limit=MAX_WHY, optional=True),
    ]
    return _modal(WHY, "About this answer", "Send", fields, about)


def ask_view() -> Block:
    """Return the form that asks a question."""
    hint = "The answer comes as a direct message that only you read."
    limit = min(MAX_QUESTION, 3_000)
    return _modal(ASK, "Ask the docs", "Ask", [_input("question", "Question", hint, multiline=True, limit=limit)])


def share_view(question: str) -> Block:
    """Return the form that asks in which channel a question shall be asked again, and in which words."""
    picker: Block = {"type": "conversations_select", "action_id": "channel"}
    picker["filter"] = {"include": ["public", "private"], "exclude_external_shared_channels": True}
    hint = "The answer there uses only what everybody in that channel may read."
    fields = [
        {"type": "input", "block_id": "channel", "label": {"type": "plain_text", "text": "Channel"}, "element": picker},
        _input("question", "Question", hint, value=question, multiline=True, limit=3_000),
    ]
    return _modal(SHARE, "Share to channel", "Ask there", fields)


def keep_view(kept: Kept, title: str, text: str, readers: str) -> Block:
    """Return the review of an expert's answer; `readers` says who will be answered from the document."""
    fields = [
        _input("title", "Title", value=title[:150], limit=150),
        _input("text", "Text", readers, value=text[:MAX_KEPT], multiline=True, limit=MAX_KEPT),
    ]
    return _modal(KEEP, "Keep this answer", "Save", fields, kept)


def read_why(view: View) -> tuple[About, str]:
    """Return what a submitted form is about and its two fields as one comment."""
    wrong, right = _value(view, "wrong"), _value(view, "right")
    comment = "\n\n".join([*([wrong] if wrong else []), *([f"The right answer: {right}"] if right else [])])
    return msgspec.json.decode(view["private_metadata"], type=About), comment


def read_question(view: View) -> str:
    return _value(view, "question")


def read_share(view: View) -> tuple[str, str]:
    """Return the channel that was chosen, "" if none was, and the question."""
    state = view["state"]["values"].get("channel", {}).get("channel", {})
    return str(state.get("selected_conversation") or ""), _value(view, "question")


def read_kept(view: View) -> tuple[Kept, str, str]:
    """Return which message was reviewed, and the title and text that it shall have."""
    return msgspec.json.decode(view["private_metadata"], type=Kept), _value(view, "title"), _value(view, "text")


def _value(view: View, name: str) -> str:
    state = view["state"]["values"].get(name, {}).get(name, {})
    return str(state.get("value") or "").strip()


def _modal(callback: str, title: str, submit: str, fields: list[Block], about: msgspec.Struct | None = None) -> Block:
    return {
        "type": "modal",
        "callback_id": callback,
        "private_metadata": msgspec.json.encode(about).decode() if about else "",
        "title": {"type": "plain_text", "text": title},
        "submit": {"type": "plain_text", "text": submit},
        "close": {"type": "plain_text", "text": "Cancel"},
        "blocks": fields,
    }


def _input(
    name: str,
    label: str,
    hint: str = "",
    *,
    limit: int,
    value: str = "",
    multiline: bool = False,
    optional: bool = False,
) -> Block:
    element: Block = {"type": "plain_text_input", "action_id": name, "multiline": multiline, "max_length": limit}
    element |= {"initial_value": value} if value else {}
    field: Block = {"type": "input", "block_id": name, "optional": optional, "element": element}
    field["label"] = {"type": "plain_text", "text": label}
    return field | ({"hint": {"type": "plain_text", "text": hint}} if hint else {})
