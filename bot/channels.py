"""What is settled for a channel, looked up when it counts."""

from __future__ import annotations

from dataclasses import dataclass

from loguru import logger

from bot.channel_settings import NOTHING_SETTLED, ChannelSettings
from bot.client import Backend, BackendUnavailable
from bot.records import Records
from bot.thread import Turn

MUTED = "I'm muted in this channel. Ask me in a direct message or with `/ask`: then only you see the answer."


@dataclass(frozen=True, slots=True)
class Channels:
    """The channels of one workspace."""

    records: Records
    team: str

    async def of(self, channel: str) -> ChannelSettings:
        """Return a channel's settings; direct messages have none."""
        if not channel or channel.startswith("D"):
            return NOTHING_SETTLED
        return await self.records.channel_settings(self.team, channel) or NOTHING_SETTLED

    async def moved(self, old: str, new: str) -> None:
        """Keep what is settled for a channel that got another id, as one does that is shared."""
        await self.records.move_channel_settings(self.team, old, new)

    async def refusal(self, turn: Turn) -> str | None:
        """Return why nothing is answered where this turn's answer would be read by all, or None."""
        return MUTED if turn.place == "channel" and (await self.of(turn.channel)).muted else None


async def usable_prompt(settled: ChannelSettings, backend: Backend) -> str | None:
    """Return the prompt that a channel is answered with, None for whichever is current: also where the backend has the
    channel's no more, which is no reason to answer nobody there."""
    if not settled.prompt:
        return None
    try:
        known = await backend.prompts()
    except BackendUnavailable:  # the question itself will meet that, and says so
        return settled.prompt
    if settled.prompt not in known:
        logger.bind(prompt=settled.prompt, known=len(known)).warning("a channel's prompt is not there")
    return settled.prompt if settled.prompt in known else None
