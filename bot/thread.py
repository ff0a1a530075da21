"""Thread → question. Pure: what was asked, what was said before, and whether a message is for us at all."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

import msgspec

from backend.schema import HistoryTurn

MAX_TURNS = 12
"""Earlier messages that are sent along; enough for follow-ups, small enough for a prompt."""
MAX_TURN_TEXT = 4_000

MENTION = re.compile(r"<@([A-Za-z0-9_]+)(?:\|[^>]*)?>")
LINK = re.compile(r"<((?:https?|mailto):[^|>]+)(?:\|([^>]*))?>")
CHANNEL = re.compile(r"<#[A-Za-z0-9_]+\|([^>]*)>")
MARKER = re.compile(r"\s?\[\d{1,3}\]")
OPENED = "You asked"
"""How a message of ours begins that repeats a question which had none of its own."""
_OPENING = re.compile(rf"(?:{OPENED}|<@[A-Za-z0-9_]+> asked)\n(?:>|&gt;)")

Place = Literal["channel", "direct", "ephemeral"]
"""Where the answer goes: a thread that a channel reads, a direct message, or a note that only the asker sees."""


class Turn(msgspec.Struct, frozen=True):
    """One message of a Slack thread that asks us something. `ts` identifies it within its channel.

    `place` of `ephemeral` comes from a slash command: there `ts` is the command's trigger and `response_url` is where
    the answer goes.
    """

    team: str
    channel: str
    ts: str
    thread_ts: str
    user: str
    text: str
    place: Place
    user_team: str = ""
    response_url: str = ""
    reading: Literal["full", "plain"] = "full"
    """`plain`: a button asks once more without the conditions that were read from the question, `asked_ts` being then
    the message that asked it first, and `text` the question itself."""
    asked_ts: str = ""
    edited_ts: str = ""
    """The edit of the message that gave it these words, as the ts of its event; "" for the words it began with."""

    @property
    def key(self) -> str:
        """The idempotency key: redeliveries and the app_mention/message twins share it."""
        return f"turn:{self.team}:{self.channel}:{self.ts}"

    @property
    def thread(self) -> str:
        return f"{self.team}:{self.channel}:{self.thread_ts}"

    @property
    def label(self) -> str:
        """What a person quotes to us when a turn went wrong."""
        return f"{self.channel}-{self.ts}"


class Message(msgspec.Struct, frozen=True):
    """An earlier message of a thread, as far as we read it."""

    ts: str
    text: str
    user: str = ""
    is_bot: bool = False


def turn_of_event(event: Mapping[str, object], team: str) -> Turn:
    """Read an `app_mention` or `message` event. KeyError if it is neither."""
    channel, ts = str(event["channel"]), str(event["ts"])
    direct = event.get("channel_type") == "im" or channel.startswith("D")
    return Turn(
        team=team,
        channel=channel,
        ts=ts,
        thread_ts=str(event.get("thread_ts") or ts),
        user=str(event["user"]),
        text=str(event.get("text") or ""),
        place="direct" if direct else "channel",
        user_team=str(event.get("user_team") or event.get("team") or ""),
    )


def turn_of_command(command: Mapping[str, str], team: str) -> Turn:
    """Read an `/ask` command; its trigger id stands in for a ts."""
    trigger = command["trigger_id"]
    return Turn(
        team=team,
        channel=command["channel_id"],
        ts=trigger,
        thread_ts=trigger,
        user=command["user_id"],
        text=command.get("text", ""),
        place="ephemeral",
        user_team=command.get("team_id", ""),
        response_url=command["response_url"],
    )


def turn_of_button(body: Mapping[str, Any], action: Mapping[str, Any], team: str) -> Turn | None:
    """Read a press of the button that asks again; its own ts stands in for a message's. None for what is not ours."""
    asked_ts, _, question = str(action.get("value") or "").partition(":")
    if not question:
        return None
    container, channel, ts = body["container"], str(body["channel"]["id"]), str(action["action_ts"])
    private = bool(container.get("is_ephemeral"))
    direct: Place = "direct" if channel.startswith("D") else "channel"
    return Turn(
        team=team,
        channel=channel,
        ts=ts,
        thread_ts=ts if private else str(container.get("thread_ts") or container["message_ts"]),
        user=str(body["user"]["id"]),
        text=question,
        place="ephemeral" if private else direct,
        user_team=str(body["user"].get("team_id") or ""),
        response_url=str(body.get("response_url") or "") if private else "",
        reading="plain",
        asked_ts=asked_ts,
    )


def turn_of_shortcut(body: Mapping[str, Any], team: str, *, joined: bool) -> Turn | None:
    """Read a use of "Answer from docs" on a message: the message is the question, who used it the asker, and the answer
    goes into its thread, or where we are not in the conversation (`joined`) to the asker alone. None without words."""
    message, channel, ts = body["message"], str(body["channel"]["id"]), str(body["action_ts"])
    text = str(message.get("text") or "")
    if not text.strip():
        return None
    direct: Place = "direct" if channel.startswith("D") else "channel"
    return Turn(
        team=team,
        channel=channel,
        ts=ts,
        thread_ts=str(message.get("thread_ts") or message["ts"]) if joined else ts,
        user=str(body["user"]["id"]),
        text=text,
        place=direct if joined else "ephemeral",
        user_team=str(body["user"].get("team_id") or ""),
        response_url="" if joined else str(body["response_url"]),
        asked_ts=str(message["ts"]),
    )


def is_human(event: Mapping[str, object]) -> bool:
    """Whether a person wrote this just now: no bot, no edit, no deletion, no channel notice."""
    plain = event.get("subtype") in {None, "file_share", "thread_broadcast"}
    return plain and bool(event.get("user")) and not event.get("bot_id") and not event.get("hidden")


def is_for_others(text: str, bot_user: str) -> bool:
    """Whether a reply in our thread opens by addressing somebody else."""
    first = MENTION.match(text.lstrip())
    return first is not None and first.group(1) != bot_user


def mentions(text: str, bot_user: str) -> bool:
    return any(found.group(1) == bot_user for found in MENTION.finditer(text))


def question_text(text: str, bot_user: str) -> str:
    """Return what was asked, as a person reads it: our mention gone, Slack's tokens unwrapped, entities decoded."""
    text = MENTION.sub(lambda found: " " if found.group(1) == bot_user else f"@{found.group(1)}", text)
    text = CHANNEL.sub(lambda found: f"#{found.group(1)}", text)
    text = LINK.sub(lambda found: found.group(2) or found.group(1), text)
    text = text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
    return re.sub(r"[ \t]+", " ", text).strip()


def history_of(messages: Iterable[Message], *, bot_user: str, before: str) -> tuple[HistoryTurn, ...]:
    """Return the thread's last turns before `before`, oldest first: people as user, our answers as assistant.

    Other bots are left out, and so are the markers of our answers: they point into another run's passages.
    """
    turns = [
        turn
        for message in sorted(messages, key=lambda message: position(message.ts))
        if position(message.ts) < position(before)
        if (turn := _history_turn(message, bot_user)) is not None
    ]
    return tuple(turns[-MAX_TURNS:])


def _history_turn(message: Message, bot_user: str) -> HistoryTurn | None:
    ours = message.user == bot_user
    if message.is_bot and not ours:
        return None
    if ours and (opening := _OPENING.match(message.text)):
        asked = question_text(message.text[opening.end() :], bot_user)[:MAX_TURN_TEXT]
        return HistoryTurn(role="user", text=asked) if asked else None
    text = MARKER.sub("", message.text) if ours else question_text(message.text, bot_user)
    text = text.strip()[:MAX_TURN_TEXT]
    return HistoryTurn(role="assistant" if ours else "user", text=text) if text else None


def position(ts: str) -> tuple[int, str]:
    """Sort key of a Slack ts, which is seconds and a counter; anything else sorts by its text."""
    seconds, _, rest = ts.partition(".")
    return (int(seconds), rest) if seconds.isdigit() else (0, ts)


def asked_at(turn: Turn) -> float | None:
    """Return when a turn was asked in its present words, in seconds since the epoch; None where its ts is no time."""
    if turn.place == "ephemeral":
        return None
    seconds, fraction = position(turn.edited_ts or turn.ts)
    return float(f"{seconds}.{fraction}") if seconds and fraction.isdigit() else None


def readable_text(text: str, blocks: Sequence[Mapping[str, object]]) -> str:
    """Return a message's full text: its Markdown blocks where it has any, since `text` may be a shortened copy."""
    markdown = [str(block.get("text", "")) for block in blocks if block.get("type") == "markdown"]
    return "\n".join(markdown) if markdown else text
