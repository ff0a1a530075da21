"""Which replies in our threads are answered without a mention: not those of busy channels and quiet threads."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

from loguru import logger

from bot.channel_settings import AutoAnswer, asks_something
from bot.channels import Channels
from bot.directory import Directory
from bot.durable import Payload
from bot.records import Mode, Records
from bot.slack import Slack, SlackRefused, SlackUnavailable
from bot.store import Store
from bot.thread import MENTION, is_for_others, mentions

FollowUps: TypeAlias = Literal["auto", "always", "mentions"]
"""`auto`: answered without a mention, except in busy channels; `mentions`: answered only with one."""

MUTE_EMOJI = frozenset({"mute", "no_bell", "shushing_face"})
WORDS: dict[str, Mode] = {
    **dict.fromkeys(("mute", "quiet", "be quiet", "mute this thread", ":mute:", "🔇"), "muted"),
    **dict.fromkeys(("unmute", "follow", "follow this thread", "unmute this thread", "wake up"), "followed"),
}
TOLD: dict[Mode, str] = {
    "muted": "I'll stay quiet in this thread unless you mention me. Write `unmute`, or take the 🔇 away, to wake me.",
    "followed": "I'll answer every reply in this thread, also without a mention. Write `mute` to quiet me.",
}
BUSY = (
    "There are many people in this channel, so here I answer a reply only if it mentions me. Write `follow` in this "
    "thread to have me answer every reply."
)
UNMENTIONED = (
    "In this channel I answer a reply only if it mentions me. Write `follow` in this thread to have me answer every "
    "reply."
)


def read_mode(text: str, bot_user: str) -> Mode | None:
    """Return what a message says of its thread, if it says nothing else: `mute`, `unmute`, `follow` …"""
    text = MENTION.sub(lambda found: " " if found.group(1) == bot_user else found.group(0), text)
    return WORDS.get(re.sub(r"[\s.!,]+", " ", text).strip().casefold())


def is_answered(follow_ups: FollowUps, mode: Mode | None, *, busy: bool) -> bool:
    """Whether a reply without a mention is answered: what was said of the thread counts most."""
    if mode is not None:
        return mode == "followed"
    return follow_ups == "always" or (follow_ups == "auto" and not busy)


def follow_ups_of(auto_answer: AutoAnswer, otherwise: FollowUps) -> FollowUps:
    """Return which replies a channel wants answered, where it says so."""
    wanted: dict[AutoAnswer, FollowUps] = {"mentions": "mentions", "replies": "always", "questions": "always"}
    return wanted.get(auto_answer, otherwise)


@dataclass(frozen=True, slots=True)
class Quiet:
    """What of a thread's replies is for us. `busy_from` is how many people make a channel busy."""

    records: Records
    store: Store
    directory: Directory
    channels: Channels
    bot_user: str
    follow_ups: FollowUps = "auto"
    busy_from: int = 50

    async def set(self, event: Mapping[str, object], team: str) -> Mode | None:
        """Do what a reply says of its thread; return what that was, None if it says nothing."""
        thread_ts, channel = str(event.get("thread_ts") or ""), str(event["channel"])
        mode = read_mode(str(event.get("text") or ""), self.bot_user)
        if mode is None or not thread_ts or channel.startswith("D"):
            return None
        if not await self.store.is_ours(team, channel, thread_ts) or (await self.channels.of(channel)).muted:
            return None
        await self.records.put_mode(team, channel, thread_ts, mode)
        logger.bind(mode=mode).info("thread mode set")
        return mode

    async def set_by_reaction(self, team: str, item: Mapping[str, object], *, added: bool) -> str | None:
        """Do what a 🔇, added or removed, says of its thread: on an answer or the thread's first message. Return the
        thread, None if it is not ours."""
        channel, ts = str(item["channel"]), str(item["ts"])
        thread_ts = await self.records.thread_of(team, channel, ts) or ts
        if channel.startswith("D") or not await self.store.is_ours(team, channel, thread_ts):
            return None
        await self.records.put_mode(team, channel, thread_ts, "muted" if added else "followed")
        return thread_ts

    async def answers(self, team: str, channel: str, thread_ts: str) -> bool:
        """Whether a reply without a mention is answered in this thread."""
        settled = await self.channels.of(channel)
        if settled.muted:
            return False
        mode = await self.records.mode(team, channel, thread_ts)
        follow_ups = follow_ups_of(settled.auto_answer, self.follow_ups)
        busy = mode is None and follow_ups == "auto" and await self.is_busy(channel)
        return is_answered(follow_ups, mode, busy=busy)

    async def takes(self, event: Mapping[str, object]) -> bool:
        """Whether a message that begins a thread without mentioning us is answered: a question, where such are."""
        text = str(event.get("text") or "")
        if not asks_something(text) or is_for_others(text, self.bot_user) or mentions(text, self.bot_user):
            return False
        settled = await self.channels.of(str(event["channel"]))
        return settled.auto_answer == "questions" and not settled.muted

    async def missed(self, event: Mapping[str, object], team: str) -> str | None:
        """Return what to tell somebody whom we answered in this thread and who may wonder why we do not now, if any."""
        place = team, str(event["channel"]), str(event["thread_ts"])
        settled = await self.channels.of(str(event["channel"]))
        if settled.muted or await self.records.mode(*place) is not None:
            return None
        if str(event["user"]) not in await self.records.askers(*place):
            return None
        return BUSY if follow_ups_of(settled.auto_answer, self.follow_ups) == "auto" else UNMENTIONED

    async def is_busy(self, channel: str) -> bool:
        try:
            found = await self.directory.channel(channel)
        except SlackUnavailable:  # rather an answer too many than one that nobody gets
            return False
        return found is not None and found.members >= self.busy_from


@dataclass(frozen=True, slots=True)
class ModeJob:
    """Tells one person, where only they see it, how a thread is answered from now on."""

    slack: Slack
    store: Store
    name: str = "mode"

    async def attempt(self, payload: Payload) -> None:
        if await self.store.begin_turn(payload["key"]):
            return
        try:
            await self.slack.whisper(
                payload["channel"], payload["user"], payload["words"], thread_ts=payload["thread_ts"]
            )
        except SlackRefused as error:
            logger.bind(code=error.code).info("thread mode not told")

    async def give_up(self, payload: Payload) -> None:
        """Nobody waits for it."""

    async def fail(self, payload: Payload) -> None:
        """Nobody waits for it."""
