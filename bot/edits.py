"""What becomes of a question when its message is edited or deleted. Pure."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from bot.thread import Turn, is_human, question_text, turn_of_event


def edited_turn(event: Mapping[str, object], team: str, bot_user: str) -> Turn | None:
    """Read a `message_changed` event in which a person asks in other words than before, else None."""
    before, after = _inner(event, "previous_message"), _inner(event, "message")
    if event.get("subtype") != "message_changed" or not is_human(after):
        return None
    turn = _turn(event, after, team)
    if question_text(str(before.get("text") or ""), bot_user) == question_text(turn.text, bot_user):
        return None
    return msgspec.structs.replace(turn, edited_ts=str(event["event_ts"]))


def deleted_turn(event: Mapping[str, object], team: str, bot_user: str) -> Turn | None:
    """Read the deletion of somebody else's message, else None. The first message of a thread becomes a tombstone."""
    before, after = _inner(event, "previous_message"), _inner(event, "message")
    buried = event.get("subtype") == "message_changed" and after.get("subtype") == "tombstone"
    gone = before or {"ts": event.get("deleted_ts")} if event.get("subtype") == "message_deleted" else before
    if not (buried or event.get("subtype") == "message_deleted") or gone.get("user") == bot_user:
        return None
    return _turn(event, {"user": "", **gone}, team)


def _turn(event: Mapping[str, object], message: Mapping[str, object], team: str) -> Turn:
    place = {name: event[name] for name in ("channel", "channel_type") if name in event}
    return turn_of_event({**message, **place}, team)


def _inner(event: Mapping[str, object], name: str) -> Mapping[str, object]:
    found = event.get(name)
    return found if isinstance(found, Mapping) else {}
