"""What may be used for a turn, from who Slack says will read the answer."""

from __future__ import annotations

from dataclasses import dataclass

from backend.schema import Audience
from bot.audience import REFUSE, External, Outside, audience_of, only_tags, outside, refusal
from bot.directory import Directory
from bot.thread import Turn


@dataclass(frozen=True, slots=True)
class Readers:
    """SlackUnavailable passes through; what Slack refuses to tell closes."""

    directory: Directory
    external: External = REFUSE

    async def refusal(self, turn: Turn) -> str | None:
        """Return why this turn is not answered, as a sentence for the asker alone, or None."""
        return refusal(await self._outside(turn), self.external)

    async def audience(self, turn: Turn) -> Audience:
        """Return who will read the answer to a turn that is not refused."""
        channels = () if turn.place == "channel" else await self.directory.channels_of(turn.user)
        return audience_of(turn, channels, only_tags(await self._outside(turn), self.external))

    async def _outside(self, turn: Turn) -> Outside | None:
        if self.external.mode == "all":
            return None
        channel = await self.directory.channel(turn.channel) if turn.place == "channel" else None
        return outside(turn, channel, await self.directory.person(turn.user))
