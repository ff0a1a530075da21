"""Reactions and buttons → feedback on the run that wrote the message. The newest reaction that still stands counts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from loguru import logger

from backend.schema import FeedbackRequest
from bot.client import Backend, BackendProblem
from bot.durable import Payload
from bot.order import ThreadOrder
from bot.store import Store

Rating = Literal[1, -1]

NAMES: dict[str, Rating] = {"+1": 1, "thumbsup": 1, "-1": -1, "thumbsdown": -1}


def rating_of(reaction: str) -> Rating | None:
    """Return what a reaction's name says of an answer; skin tones (`+1::skin-tone-3`) do not matter."""
    return NAMES.get(reaction.partition("::")[0])


def read_button(value: str) -> tuple[str, Rating] | None:
    """Read a feedback button's `run_id:rating`."""
    run_id, _, rating = value.rpartition(":")
    if not run_id or rating not in {"1", "-1"}:
        return None
    return run_id, 1 if rating == "1" else -1


@dataclass(frozen=True, slots=True)
class FeedbackJob:
    """Brings one person's rating of one run to the backend, as it stands when the job runs: order does not matter."""

    backend: Backend
    store: Store
    order: ThreadOrder
    name: str = "feedback"

    async def attempt(self, payload: Payload) -> None:
        run_id, user = payload["run_id"], payload["user"]
        async with self.order.turn((run_id, user), (0, "")):
            try:
                await self._deliver(run_id, user, payload.get("button", ""))
            except BackendProblem as error:
                logger.bind(run_id=run_id, status=error.problem.status).warning("feedback refused")

    async def _deliver(self, run_id: str, user: str, button: str) -> None:
        if button:
            rating: Rating | None = 1 if button == "1" else -1
            kind: Literal["button", "reaction"] = "button"
        else:
            rating, kind = await self.store.reaction_rating(run_id, user), "reaction"
        if rating is None:
            await self.backend.unrate(run_id, user, kind)
        else:
            await self.backend.rate(FeedbackRequest(run_id=run_id, user=user, rating=rating, kind=kind))
        logger.bind(run_id=run_id, rating=rating, kind=kind).info("feedback delivered")

    async def give_up(self, payload: Payload) -> None:
        logger.bind(run_id=payload["run_id"]).error("feedback lost")

    async def fail(self, payload: Payload) -> None:
        logger.bind(run_id=payload["run_id"]).error("feedback lost")
