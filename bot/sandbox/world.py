"""The state of the local Slack: people, channels, messages, views. No I/O; every change is told to the watchers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import count
from time import time_ns
from typing import Literal, TypeAlias

from bot.sandbox.clock import Clock
from bot.sandbox.values import BOT_ID, BOT_NAME, BOT_USER, Json, Options, SlackError

ChannelKind: TypeAlias = Literal["public", "private", "im"]
StreamState: TypeAlias = Literal["open", "stopped", "stopped_by_user"]
Watcher: TypeAlias = Callable[[Json], None]


@dataclass(frozen=True)
class User:
    """A person or the bot. `team` differs from the workspace's for people of another company (Slack Connect)."""

    id: str
    name: str
    team: str
    is_bot: bool = False
    is_guest: bool = False
    is_admin: bool = False


@dataclass
class Channel:
    id: str
    name: str
    kind: ChannelKind
    members: list[str]
    is_shared: bool = False
    """Shared with another company through Slack Connect."""
    is_archived: bool = False
    topic: str = ""
    creator: str = ""


@dataclass
class Stream:
    """How a streamed message came to be. `parts` are its chunks in order, texts joined and tasks brought up to date."""

    opened_at: float
    mode: Literal["chunks", "markdown_text"] | None = None
    state: StreamState = "open"
    parts: list[Json] = field(default_factory=list)
    length: int = 0
    recipient: str | None = None


@dataclass
class Message:
    channel: str
    ts: str
    user: str
    text: str
    thread_ts: str | None = None
    blocks: list[Json] = field(default_factory=list)
    reactions: dict[str, list[str]] = field(default_factory=dict)
    files: list[Json] = field(default_factory=list)
    subtype: str | None = None
    edited_ts: str | None = None
    metadata: Json | None = None
    unfurl_links: bool | None = None
    unfurl_media: bool | None = None
    stream: Stream | None = None
    only_for: str | None = None
    """The one reader of an ephemeral message."""

    @property
    def is_streaming(self) -> bool:
        return self.stream is not None and self.stream.state == "open"


@dataclass
class Session:
    """An agent session of one thread. `note` is the free text of the legacy `assistant.threads.setStatus`."""

    status: str
    title: str = ""
    note: str = ""
    since: float = 0.0


@dataclass
class File:
    id: str
    name: str
    mimetype: str
    user: str
    content: bytes
    channels: list[str] = field(default_factory=list)


@dataclass
class Trigger:
    user: str
    opened_at: float
    used: bool = False


@dataclass
class Hook:
    """A `response_url`: where it posts, and how often it was used.

    `ts` is the message it may replace. `settled` is set once the acknowledgement, which may post that message, is in.
    """

    channel: str
    user: str
    opened_at: float
    ts: str | None = None
    thread_ts: str | None = None
    uses: int = 0
    settled: asyncio.Event = field(default_factory=asyncio.Event)


class World:
    """Everything that exists in the workspace, and the lookups over it that answer with Slack's error codes."""

    def __init__(self, options: Options, clock: Clock) -> None:
        self.options = options
        self.clock = clock
        self.users: dict[str, User] = {}
        self.channels: dict[str, Channel] = {}
        self.messages: dict[tuple[str, str], Message] = {}
        self.ephemerals: dict[tuple[str, str], Message] = {}
        self.sessions: dict[tuple[str, str], Session] = {}
        self.prompts: dict[str, Json] = {}
        self.files: dict[str, File] = {}
        self.modals: dict[str, list[Json]] = {}
        self.homes: dict[str, Json] = {}
        self.triggers: dict[str, Trigger] = {}
        self.hooks: dict[str, Hook] = {}
        self.watchers: list[Watcher] = []
        self._numbers = count(1)
        self._born = f"{time_ns() // 1_000_000 & 0xFFFFFFFF:08x}"
        self._furnish()

    def _furnish(self) -> None:
        team = self.options.team
        for user in (
            User("U_ANA", "Ana", team, is_admin=True),
            User("U_BEN", "Ben", team),
            User(BOT_USER, BOT_NAME, team, is_bot=True),
        ):
            self.users[user.id] = user
        everyone = ["U_ANA", "U_BEN", BOT_USER]
        self.add_channel(Channel("C_GENERAL", "general", "public", everyone, topic="Company-wide questions and news"))
        self.add_channel(Channel("C_HR", "hr", "private", ["U_ANA", BOT_USER], topic="People matters, members only"))
        for user_id in ("U_ANA", "U_BEN"):
            self.dm(user_id)

    def new_id(self, prefix: str) -> str:
        """A short id that was never given before, by an earlier sandbox either, such as `Ev3f9a000007`."""
        return f"{prefix}{self._born}{next(self._numbers):06d}"

    def tell(self, kind: str, **fields: object) -> None:
        """Tell the watchers of one change."""
        change = {"type": kind, **fields}
        for watcher in list(self.watchers):
            watcher(change)

    # People and channels

    def add_user(self, user: User) -> User:
        self.users[user.id] = user
        self.tell("user", user=user.id)
        return user

    def add_channel(self, channel: Channel) -> Channel:
        self.channels[channel.id] = channel
        self.tell("channel", channel=channel.id)
        return channel

    def dm(self, user_id: str) -> Channel:
        """The direct messages between `user_id` and the bot, opened if they were not."""
        channel_id = f"D_{user_id.removeprefix('U_')}"
        if channel_id not in self.channels:
            self.add_channel(Channel(channel_id, self.user(user_id).name, "im", [user_id, BOT_USER]))
        return self.channels[channel_id]

    def user(self, user_id: str) -> User:
        if user_id not in self.users:
            raise SlackError("user_not_found")
        return self.users[user_id]

    def channel(self, channel_id: str) -> Channel:
        """The channel with that id; a user's id means their direct messages with the bot, as in `chat.postMessage`."""
        if channel_id in self.users and channel_id != BOT_USER:
            return self.dm(channel_id)
        if channel_id not in self.channels:
            raise SlackError("channel_not_found")
        return self.channels[channel_id]

    def joined(self, channel_id: str) -> Channel:
        """The channel, if the bot is in it. A private one that it is not in does not exist for it."""
        channel = self.channel(channel_id)
        if BOT_USER not in channel.members:
            raise SlackError("not_in_channel" if channel.kind == "public" else "channel_not_found")
        return channel

    def in_use(self, channel_id: str) -> Channel:
        """The channel, if something can still be written in it."""
        channel = self.channel(channel_id)
        if channel.is_archived:
            raise SlackError("is_archived")
        return channel

    # Messages

    def message(self, channel_id: str, ts: str) -> Message:
        found = self.messages.get((channel_id, ts))
        if found is None:
            raise SlackError("message_not_found")
        return found

    def in_channel(self, channel_id: str) -> Iterator[Message]:
        """Messages of a channel, oldest first, replies included."""
        return (message for (channel, _), message in sorted(self.messages.items()) if channel == channel_id)

    def thread(self, channel_id: str, thread_ts: str) -> list[Message]:
        """The root and its replies, oldest first."""
        return [m for m in self.in_channel(channel_id) if thread_ts in (m.ts, m.thread_ts)]

    def root_ts(self, channel_id: str, ts: str, *, error: str) -> str:
        """The `ts` of the root of the thread that `ts` belongs to."""
        found = self.messages.get((channel_id, ts))
        if found is None:
            raise SlackError(error)
        return found.thread_ts or found.ts

    def add(self, message: Message) -> Message:
        """Keep a new message, with ids for its blocks as Slack gives them, and mark the root of its thread as one."""
        number_blocks(message.blocks)
        shelf = self.ephemerals if message.only_for else self.messages
        shelf[(message.channel, message.ts)] = message
        self.changed(message)
        return message

    def changed(self, message: Message) -> None:
        self.tell("ephemeral" if message.only_for else "message", channel=message.channel, ts=message.ts)

    def remove(self, message: Message) -> None:
        """Delete; a root with replies stays as a tombstone."""
        replies = [m for m in self.thread(message.channel, message.ts) if m.ts != message.ts]
        if message.only_for:
            del self.ephemerals[(message.channel, message.ts)]
            self.tell("ephemeral_deleted", channel=message.channel, ts=message.ts, user=message.only_for)
        elif replies:
            message.text, message.blocks, message.files = "This message was deleted.", [], []
            message.subtype = "tombstone"
            self.changed(message)
        else:
            del self.messages[(message.channel, message.ts)]
            self.tell("message_deleted", channel=message.channel, ts=message.ts)

    # Views and sessions

    def set_modals(self, user_id: str, stack: list[Json]) -> None:
        self.modals[user_id] = stack
        self.tell("modals", user=user_id)

    def set_session(self, channel_id: str, thread_ts: str, session: Session) -> None:
        self.sessions[(channel_id, thread_ts)] = session
        self.tell("session", channel=channel_id, thread_ts=thread_ts)

    def trigger(self, user_id: str) -> str:
        trigger_id = self.new_id("trigger.")
        self.triggers[trigger_id] = Trigger(user_id, self.clock.now())
        return trigger_id

    def hook(self, hook: Hook) -> str:
        hook_id = self.new_id("hook")
        self.hooks[hook_id] = hook
        return hook_id


def number_blocks(blocks: list[Json]) -> None:
    """Give each block without a `block_id` one, as Slack does."""
    taken = {block.get("block_id") for block in blocks}
    free = (name for name in (f"b{n}" for n in count()) if name not in taken)
    for block in blocks:
        if "block_id" not in block:
            block["block_id"] = next(free)


def is_bot(message: Message) -> bool:
    return message.user == BOT_USER


def bot_fields(team: str) -> Json:
    """What Slack adds to a message that an app posted."""
    return {"bot_id": BOT_ID, "app_id": "A_FOOTNOTE", "bot_profile": {"id": BOT_ID, "name": BOT_NAME, "team_id": team}}
