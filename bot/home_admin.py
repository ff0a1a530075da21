"""What admins see on their Home besides: how we are and what to do about it, ratings, gaps, settings of channels."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from loguru import logger

from bot.admins import Admins
from bot.blocks import context, counted, section
from bot.client import Backend, BackendProblem, BackendUnavailable, Figures
from bot.gaps import DAYS, Gaps, gap_blocks
from bot.home import header
from bot.settings_form import CHANNEL_SETTINGS
from bot.slack import Block, SlackUnavailable
from bot.status import Status, status_blocks

KEPT = 60.0
"""Seconds for which what admins see is not looked up again."""
SHOWN_GAPS = 5
NOT_SEEN = "My key may not see ratings and gaps: that takes one with the role `admin` (docs/operations.md)."


@dataclass(frozen=True, slots=True)
class AdminPart:
    """The part for admins; nobody else sees any of it."""

    admins: Admins
    status: Status
    gaps: Gaps
    backend: Backend
    clock: Callable[[], float] = time.monotonic
    _kept: dict[str, tuple[float, list[Block]]] = field(default_factory=dict)

    async def below(self, team: str, user: str) -> list[Block]:
        """Return what this person sees under their documents: nothing, unless they are known to be an admin."""
        try:
            if not await self.admins.includes(user):
                return []
        except SlackUnavailable:
            return []
        return [{"type": "divider"}, header("For admins"), *await self._looked(team, user), channel_picker()]

    def forget(self, user: str) -> None:
        """Look everything up again for this person: they may read less than they did."""
        self._kept.pop(user, None)

    async def _looked(self, team: str, user: str) -> list[Block]:
        kept = self._kept.get(user)
        if kept is not None and self.clock() - kept[0] < KEPT:
            return kept[1]
        parts, said = await asyncio.gather(self.status.look(), self._said(team, user))
        if len(self._kept) > 1_000:
            self._kept.clear()
        shown = [*status_blocks(parts, admin=True), *said]
        self._kept[user] = (self.clock(), shown)
        return shown

    async def _said(self, team: str, user: str) -> list[Block]:
        """Return what people's ratings and unanswered questions say, as far as this admin may read them."""
        try:
            figures, lacking = await asyncio.gather(self.backend.figures(team, DAYS), self.gaps.seen_by(team, user))
        except BackendProblem as error:
            return [context(NOT_SEEN)] if error.problem.status == 403 else []
        except (BackendUnavailable, SlackUnavailable) as error:
            logger.bind(error=str(error)).info("figures not shown")
            return []
        return [section(ratings_line(figures)), *gap_blocks(lacking, SHOWN_GAPS)]


def ratings_line(figures: Figures) -> str:
    """Return how many questions there were, what came of them, and how many ratings were good."""
    if not figures.runs:
        return f"*Questions:* none in the last {figures.days} days"
    found = figures.outcomes
    asked = f"*{counted(figures.runs, 'question')}* in the last {figures.days} days"
    known = [f"{found[name]} {words}" for name, words in OUTCOME_WORDS.items() if found.get(name)]
    rated = figures.liked.of
    liked = f"{figures.liked.hits} of {rated} rated answers were good" if rated else "nobody has rated an answer yet"
    return f"{asked}: {', '.join(known)} · {liked}"


OUTCOME_WORDS = {"answered": "answered", "abstained": "not in the documents", "failed": "failed"}


def channel_picker() -> Block:
    """Return what opens the settings of a channel."""
    picker = {
        "type": "conversations_select",
        "action_id": CHANNEL_SETTINGS,
        "placeholder": {"type": "plain_text", "text": "Choose a channel"},
        "filter": {"include": ["public", "private"], "exclude_bot_users": True},
    }
    return section("*Channel settings:* how I answer in a channel") | {"accessory": picker}
