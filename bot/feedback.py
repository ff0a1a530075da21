"""Reactions and buttons → feedback on the run that wrote the message: one rating a person, the newest that stands."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from loguru import logger

from backend.schema import FeedbackRequest
from bot.client import Backend, BackendProblem
from bot.durable import Payload
from bot.experts import Experts
from bot.offers import unhelpful_blocks
from bot.order import ThreadOrder
from bot.records import Kind, Rating, Records
from bot.slack import Slack, SlackRefused
from bot.store import Store

NOTED = "Thanks for telling me that this answer was no help."
TOO_MANY = "That was a lot of ratings in a short time, so I have not kept this one."


class Emoji:
    """Which reactions rate an answer, by their names; skin tones (`+1::skin-tone-3`) do not matter."""

    def __init__(self, good: Iterable[str], bad: Iterable[str]) -> None:
        self._ratings: dict[str, Rating] = dict.fromkeys(good, 1)
        self._ratings |= dict.fromkeys(bad, -1)

    def rating_of(self, reaction: str) -> Rating | None:
        return self._ratings.get(reaction.partition("::")[0])


def read_button(value: str) -> tuple[str, Rating] | None:
    """Read a feedback button's `run_id:rating`."""
    run_id, _, rating = value.rpartition(":")
    if not run_id or rating not in {"1", "-1"}:
        return None
    return run_id, 1 if rating == "1" else -1


class Patience:
    """How many ratings are taken from one person: `most` in any `seconds`, counted in this process."""

    def __init__(self, most: int = 60, seconds: float = 600.0, clock: Callable[[], float] = time.monotonic) -> None:
        self._most = most
        self._seconds = seconds
        self._clock = clock
        self._given: dict[str, deque[float]] = {}

    def takes(self, user: str) -> bool:
        """Whether one more is taken from this person now; counts it if so."""
        now = self._clock()
        if len(self._given) > 1_000:
            self._given = {who: when for who, when in self._given.items() if when[-1] > now - self._seconds}
        given = self._given.setdefault(user, deque())
        while given and given[0] <= now - self._seconds:
            given.popleft()
        if len(given) >= self._most:
            return False
        given.append(now)
        return True


@dataclass(frozen=True, slots=True)
class FeedbackJob:
    """Brings one person's rating of one run to the backend, as it stands when the job runs: order does not matter.

    A 👎 is asked about once, where only its giver sees it.
    """

    backend: Backend
    slack: Slack
    store: Store
    records: Records
    experts: Experts
    order: ThreadOrder = field(default_factory=lambda: ThreadOrder(16))
    name: str = "feedback"

    async def attempt(self, payload: Payload) -> None:
        run_id, user = payload["run_id"], payload["user"]
        async with self.order.turn((run_id, user), (0, "")):
            try:
                rating = await self._deliver(run_id, user, payload.get("comment", ""))
            except BackendProblem as error:
                logger.bind(run_id=run_id, status=error.problem.status).warning("feedback refused")
                return
        if rating == -1 and payload.get("channel"):
            await self._offer(payload)

    async def _deliver(self, run_id: str, user: str, comment: str) -> Rating | None:
        """A rating that the backend has a comment with is left alone: it would take the comment away."""
        standing = await self.records.standing(run_id, user)
        kinds: set[Kind] = {"button", "reaction"}
        if standing is not None and (comment or not standing.commented):
            said = comment if standing.rating == -1 else ""
            await self.backend.rate(
                FeedbackRequest(run_id=run_id, user=user, rating=standing.rating, kind=standing.kind, comment=said)
            )
            if said:
                await self.records.note_comment(run_id, user, standing)
        for kind in kinds - {standing.kind if standing else None}:
            await self.backend.unrate(run_id, user, kind)
        logger.bind(run_id=run_id, rating=standing.rating if standing else None).info("feedback delivered")
        return standing.rating if standing else None

    async def _offer(self, payload: Payload) -> None:
        """Say once to who was not helped what they can do now."""
        channel, thread_ts, run_id, user = (payload[name] for name in ("channel", "thread_ts", "run_id", "user"))
        expert = await self.experts.of(channel)
        below = unhelpful_blocks(NOTED, run_id, thread_ts, why=payload["asked"] != "yes", expert=expert is not None)
        if not below or await self.store.begin_turn(f"unhelpful:{run_id}:{user}"):
            return
        try:
            if payload["response_url"]:
                await self.slack.respond(payload["response_url"], NOTED, below)
            else:
                await self.slack.whisper(channel, user, NOTED, below, thread_ts=thread_ts or None)
        except SlackRefused as error:
            logger.bind(code=error.code).info("could not ask what was wrong")

    async def give_up(self, payload: Payload) -> None:
        logger.bind(run_id=payload["run_id"]).error("feedback lost")

    async def fail(self, payload: Payload) -> None:
        logger.bind(run_id=payload["run_id"]).error("feedback lost")
