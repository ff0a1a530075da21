"""Which replies in our threads are answered without a mention: not those of busy channels and quiet threads."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

from loguru import logger

from bot.directory import Directory
from bot.durable import Payload
from bot.records import Mode, Records
from bot.slack import Slack, SlackRefused, SlackUnavailable
from bot.store import Store
from bot.thread import MENTION

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


def read_mode(text: str, bot_user: str) -> Mode | None:
    """Return what a message says of its thread, if it says nothing else: `mute`, `unmute`, `follow` …"""
    text = MENTION.sub(lambda found: " " if found.group(1) == bot_user else found.group(0), text)
    return WORDS.get(re.sub(r"[\s.!,]+", " ", text).strip().casefold())


def is_answered(follow_ups: FollowUps, mode: Mode | None, *, busy: bool) -> bool:
    """Whether a reply without a mention is answered: what was said of the thread counts most."""
    if mode is not None:
        return mode == "followed"
    return follow_ups == "always" or (follow_ups == "auto" and not busy)


@dataclass(frozen=True, slots=True)
class Quiet:
    """What of a thread's replies is for us. `busy_from` is how many people make a channel busy."""

    records: Records
    store: Store
    directory: Directory
    bot_user: str
    follow_ups: FollowUps = "auto"
    busy_from: int = 50

    async def set(self, event: Mapping[str, object], team: str) -> Mode | None:
        """Do what a reply says of its thread; return what that was, None if it says nothing."""
        thread_ts, channel = str(event.get("thread_ts") or ""), str(event["channel"])
        mode = read_mode(str(event.get("text") or ""), self.bot_user)
        if mode is None or not thread_ts or channel.startswith("D"):
            return None
        if not await self.store.is_ours(team, channel, thread_ts):
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
        mode = await self.records.mode(team, channel, thread_ts)
        return is_answered(self.follow_ups, mode, busy=mode is None and await self.is_busy(channel))

    async def is_missed(self, event: Mapping[str, object], team: str) -> bool:
        """Whether somebody whom we answered in this thread may wonder why we do not answer now."""
        place = team, str(event["channel"]), str(event["thread_ts"])
        return await self.records.mode(*place) is None and str(event["user"]) in await self.records.askers(*place)

    async def is_busy(self, channel: str) -> bool:
        if self.follow_ups != "auto":
            return False
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
