"""A Slack thread as a document: its text, authors and times, and which events change it. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

import msgspec

from backend.schema import IngestRequest, MetadataValue
from bot.quotes import shortened
from bot.thread import CHANNEL, LINK, MENTION, position

MAX_AUTHORS = 100
MAX_TITLE = 80

_SPECIAL = re.compile(r"<!([^>|^]+)[^>|]*(?:\|([^>]*))?>")
_HEADING = re.compile(r"^(\s{0,3})(#{1,6}\s|={3,}\s*$|-{3,}\s*$)", re.MULTILINE)
_FENCE = re.compile(r"^\s{0,3}```", re.MULTILINE)


class ThreadMessage(msgspec.Struct, frozen=True):
    """One message as Slack has it. `author` is a user's id, or "" for an app, whose name is `app`."""

    ts: str
    text: str
    author: str = ""
    app: str = ""
    files: tuple[str, ...] = ()


class ThreadChange(msgspec.Struct, frozen=True):
    """An edit or a deletion of the message `ts`; `ends` where the message that began the thread is gone."""

    channel: str
    thread_ts: str
    ts: str
    ends: bool = False


def document_id_of(team: str, channel: str, thread_ts: str) -> str:
    """Return the id that a thread's document keeps through every edit."""
    return f"slack/{team}/{channel}/{thread_ts}"


def visibility_of(channel: str, user: str) -> str:
    """Return who may read a thread's document: those who read the thread, never more."""
    return f"user:{user}" if channel.startswith("D") else f"channel:{channel}"


def people_in(messages: Sequence[ThreadMessage]) -> list[str]:
    """Return the ids of those who wrote or are mentioned."""
    mentioned = (found.group(1) for message in messages for found in MENTION.finditer(message.text))
    return list(dict.fromkeys([*(message.author for message in messages if message.author), *mentioned]))


def up_to(messages: Sequence[ThreadMessage], until_ts: str, bot_user: str) -> list[ThreadMessage]:
    """Return what belongs into the document: written by others than us, with something in it, not after `until_ts`.

    Our own answers stay out: they would become evidence for themselves.
    """
    return [
        message
        for message in messages
        if message.author != bot_user
        and position(message.ts) <= position(until_ts)
        and (message.text.strip() or message.files)
    ]


def thread_request(
    messages: Sequence[ThreadMessage],
    names: Mapping[str, str],
    *,
    team: str,
    channel: str,
    thread_ts: str,
    user: str,
    url: str,
) -> IngestRequest:
    """Return the document of a thread: a heading with author and time (UTC) over each message, oldest first."""
    authors = list(dict.fromkeys(name_of(message, names) for message in messages))
    metadata: dict[str, MetadataValue | None] = {
        "author": authors[:MAX_AUTHORS],
        "source": "slack",
        "published_at": moment(thread_ts).isoformat(timespec="seconds"),
    }
    return IngestRequest(
        id=document_id_of(team, channel, thread_ts),
        title=title_of(messages, names),
        text="\n\n".join(_section(message, names) for message in messages),
        team=team,
        visibility=visibility_of(channel, user),
        metadata=metadata | ({"url": url} if url else {}),
        by=user,
    )


def title_of(messages: Sequence[ThreadMessage], names: Mapping[str, str]) -> str:
    """Return the first words of the thread."""
    words = " ".join(rendered(messages[0].text, names).replace("`", "").split())
    return f"Thread: {shortened(words, MAX_TITLE) or ', '.join(messages[0].files)}"


def name_of(message: ThreadMessage, names: Mapping[str, str]) -> str:
    return names.get(message.author) or message.app or message.author or "somebody"


def moment(ts: str) -> datetime:
    """Return when a Slack ts is."""
    return datetime.fromtimestamp(float(ts), UTC)


def _section(message: ThreadMessage, names: Mapping[str, str]) -> str:
    name = " ".join(name_of(message, names).split())
    files = [f"(file: {file})" for file in message.files]
    body = "\n\n".join(part for part in (rendered(message.text, names), *files) if part)
    return f"## {name} · {moment(message.ts):%Y-%m-%d %H:%M} UTC\n\n{body}"


def rendered(text: str, names: Mapping[str, str]) -> str:
    """Return a message as Markdown: tokens by their names, no line that would pass for a heading, no open code."""
    text = MENTION.sub(lambda found: f"@{names.get(found.group(1), found.group(1))}", text)
    text = CHANNEL.sub(lambda found: f"#{found.group(1)}", text)
    text = LINK.sub(lambda found: f"[{found.group(2)}]({found.group(1)})" if found.group(2) else found.group(1), text)
    text = _SPECIAL.sub(lambda found: found.group(2) or f"@{found.group(1)}", text)
    text = text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&").strip()
    text = _HEADING.sub(r"\1\\\2", text)
    return f"{text}\n```" if len(_FENCE.findall(text)) % 2 else text


# ---------------------------------------------------------------------------------------------------------- its changes


def change_of(event: Mapping[str, object], bot_user: str) -> ThreadChange | None:
    """Return what a `message` event changes in a thread that exists already. None for what changes no words of others.

    Slack tells of the deletion of a thread's first message as a deletion, or as its change into a tombstone.
    """
    before, after = _inner(event, "previous_message"), _inner(event, "message")
    match event.get("subtype"):
        case "message_deleted":
            changed, ts = before, str(event.get("deleted_ts") or before.get("ts") or "")
        case "message_changed" if _differs(before, after):
            changed, ts = after, str(after.get("ts") or "")
        case _:
            return None
    if not ts or changed.get("user") == bot_user:
        return None
    thread_ts = str(changed.get("thread_ts") or before.get("thread_ts") or ts)
    gone = event.get("subtype") == "message_deleted" or after.get("subtype") == "tombstone"
    return ThreadChange(str(event["channel"]), thread_ts, ts, ends=gone and ts == thread_ts)


def _inner(event: Mapping[str, object], name: str) -> Mapping[str, object]:
    found = event.get(name)
    return found if isinstance(found, Mapping) else {}


def _differs(before: Mapping[str, object], after: Mapping[str, object]) -> bool:
    """Whether a person changed it; an unfurled link changes a message, too."""
    return any(before.get(field) != after.get(field) for field in ("text", "files", "subtype"))
