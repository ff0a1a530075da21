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
        input_of("wrong", "What was wrong?", multiline=True, limit=MAX_WHY),
        input_of("right", "The right answer, if you know it", multiline=True, limit=MAX_WHY, optional=True),
    ]
    return modal(WHY, "About this answer", "Send", fields, about)


def ask_view(question: str = "") -> Block:
    """Return the form that asks a question, with these words in it to begin with."""
    hint = "The answer comes as a direct message that only you read."
    limit = min(MAX_QUESTION, 3_000)
    field = input_of("question", "Question", hint, value=question[:limit], multiline=True, limit=limit)
    return modal(ASK, "Ask the docs", "Ask", [field])


def share_view(question: str) -> Block:
    """Return the form that asks in which channel a question shall be asked again, and in which words."""
    picker: Block = {"type": "conversations_select", "action_id": "channel"}
    picker["filter"] = {"include": ["public", "private"], "exclude_external_shared_channels": True}
    hint = "The answer there uses only what everybody in that channel may read."
    fields = [
        {"type": "input", "block_id": "channel", "label": {"type": "plain_text", "text": "Channel"}, "element": picker},
        input_of("question", "Question", hint, value=question, multiline=True, limit=3_000),
    ]
    return modal(SHARE, "Share to channel", "Ask there", fields)


def keep_view(kept: Kept, title: str, text: str, readers: str) -> Block:
    """Return the review of an expert's answer; `readers` says who will be answered from the document."""
    fields = [
        input_of("title", "Title", value=title[:150], limit=150),
        input_of("text", "Text", readers, value=text[:MAX_KEPT], multiline=True, limit=MAX_KEPT),
    ]
    return modal(KEEP, "Keep this answer", "Save", fields, kept)


def read_why(view: View) -> tuple[About, str]:
    """Return what a submitted form is about and its two fields as one comment."""
    wrong, right = value_of(view, "wrong"), value_of(view, "right")
    comment = "\n\n".join([*([wrong] if wrong else []), *([f"The right answer: {right}"] if right else [])])
    return msgspec.json.decode(view["private_metadata"], type=About), comment


def read_question(view: View) -> str:
    return value_of(view, "question")


def read_share(view: View) -> tuple[str, str]:
    """Return the channel that was chosen, "" if none was, and the question."""
    state = view["state"]["values"].get("channel", {}).get("channel", {})
    return str(state.get("selected_conversation") or ""), value_of(view, "question")


def read_kept(view: View) -> tuple[Kept, str, str]:
    """Return which message was reviewed, and the title and text that it shall have."""
    return msgspec.json.decode(view["private_metadata"], type=Kept), value_of(view, "title"), value_of(view, "text")


def value_of(view: View, name: str) -> str:
    """Return what was written into a text input, "" for nothing."""
    state = view["state"]["values"].get(name, {}).get(name, {})
    return str(state.get("value") or "").strip()


def modal(callback: str, title: str, submit: str, fields: list[Block], about: msgspec.Struct | None = None) -> Block:
    """Return a form; `about` travels with it. Each field's block id is its name."""
    return {
        "type": "modal",
        "callback_id": callback,
        "private_metadata": msgspec.json.encode(about).decode() if about else "",
        "title": {"type": "plain_text", "text": title},
        "submit": {"type": "plain_text", "text": submit},
        "close": {"type": "plain_text", "text": "Cancel"},
        "blocks": fields,
    }


def input_of(
    name: str,
    label: str,
    hint: str = "",
    *,
    limit: int,
    value: str = "",
    multiline: bool = False,
    optional: bool = False,
) -> Block:
    """Return a text input whose block and action are both called `name`."""
    element: Block = {"type": "plain_text_input", "action_id": name, "multiline": multiline, "max_length": limit}
    element |= {"initial_value": value} if value else {}
    field: Block = {"type": "input", "block_id": name, "optional": optional, "element": element}
    field["label"] = {"type": "plain_text", "text": label}
    return field | ({"hint": {"type": "plain_text", "text": hint}} if hint else {})
