"""Pure: how a streamed message grows, and when it may."""

from __future__ import annotations

from bot.sandbox import rules
from bot.sandbox.shapes import is_over
from bot.sandbox.values import Json, SlackError
from bot.sandbox.world import Message, Stream, World

MAX_STREAM_BLOCKS = 50
"""Blocks that chunks may bring; `chat.stopStream` may add as many again."""


def expire(world: World, message: Message) -> None:
    """Close the stream if its time is over, which appending does not extend."""
    stream = message.stream
    if stream and stream.state == "open" and is_over(message, world):
        stream.state = "stopped"
        world.changed(message)


def open_stream(world: World, message: Message, *, may_be_stopped: bool) -> Stream:
    """The stream of a message that is still being streamed; one that its reader stopped only where `may_be_stopped`."""
    expire(world, message)
    stream = message.stream
    if stream is None or stream.state == "stopped":
        raise SlackError("message_not_in_streaming_state")
    if stream.state == "stopped_by_user" and not may_be_stopped:
        raise SlackError("stopped_by_user")
    return stream


def grow(message: Message, stream: Stream, markdown: str | None, chunks: list[Json] | None) -> list[str]:
    """Add what one call brings, and return Slack's warnings.

    Raises:
        SlackError: both kinds at once, another kind than before, a chunk that is wrong, or too much text.
    """
    if markdown and chunks:
        raise SlackError("cannot_provide_both_markdown_text_and_chunks")
    if not markdown and not chunks:
        return []
    mode = "chunks" if chunks else "markdown_text"
    if stream.mode not in (None, mode):
        raise SlackError("streaming_mode_mismatch")
    new = chunks or [{"type": "markdown_text", "text": markdown}]
    rules.check_chunks(new)
    length = sum(len(chunk["text"]) for chunk in new if chunk["type"] == "markdown_text")
    if stream.length + length > rules.MAX_MARKDOWN:
        raise SlackError("msg_too_long")
    stream.mode = "chunks" if chunks else "markdown_text"
    stream.length += length
    warnings = [warning for chunk in new for warning in _add(stream, chunk)]
    render(message, stream)
    return warnings


def _add(stream: Stream, chunk: Json) -> list[str]:
    parts, kind = stream.parts, chunk["type"]
    if kind == "markdown_text" and parts and parts[-1]["type"] == "markdown":
        parts[-1] = {"type": "markdown", "text": parts[-1]["text"] + chunk["text"]}
    elif kind == "markdown_text":
        parts.append({"type": "markdown", "text": chunk["text"]})
    elif kind == "task_update":
        _update_task(parts, chunk)
    elif kind == "plan_update":
        _update_plan(parts, chunk)
    else:
        return _add_blocks(stream, chunk["blocks"])
    return []


def _update_task(parts: list[Json], chunk: Json) -> None:
    task = {"type": "task_card", "task_id": chunk["id"]}
    task |= {key: value for key, value in chunk.items() if key not in ("type", "id") and value is not None}
    for index, part in enumerate(parts):
        if part["type"] == "task_card" and part["task_id"] == chunk["id"]:
            parts[index] = part | task
            return
    parts.append(task)


def _update_plan(parts: list[Json], chunk: Json) -> None:
    plan = {"type": "header", "text": {"type": "plain_text", "text": chunk["title"]}, "block_id": "plan"}
    for index, part in enumerate(parts):
        if part.get("block_id") == "plan":
            parts[index] = plan
            return
    parts.insert(0, plan)


def _add_blocks(stream: Stream, blocks: list[Json]) -> list[str]:
    held = sum(part["type"] not in ("markdown", "task_card") for part in stream.parts)
    room = max(0, MAX_STREAM_BLOCKS - held)
    stream.parts.extend(blocks[:room])
    return ["blocks_dropped"] if len(blocks) > room else []


def render(message: Message, stream: Stream) -> None:
    """Write the stream's parts into the message: its blocks, and its text for those who read only that."""
    message.blocks = [dict(part) for part in stream.parts if part.get("text") or part["type"] != "markdown"]
    message.text = "".join(part["text"] for part in stream.parts if part["type"] == "markdown")
