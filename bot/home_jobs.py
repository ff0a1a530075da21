"""The App Home of each person: put together, published, and kept fresh while somebody looks at it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from contextvars import Context
from dataclasses import dataclass, field

from loguru import logger

from backend.schema import Document
from bot.blocks import escaped
from bot.client import Backend, BackendProblem, BackendUnavailable
from bot.documents import Shelf
from bot.durable import Durable, Job, Payload
from bot.home import SHOWN_QUESTIONS, Contents, Recently, home_blocks
from bot.home_admin import AdminPart
from bot.recent import Asked, Recent
from bot.sessions import ABOUT_US, prompts_for
from bot.slack import Block, Slack, SlackRefused, SlackUnavailable

APART = 1.0
"""Seconds between two publications of one person's Home; what is wanted meanwhile is one publication, at their end."""
FRESH = 3_600.0
"""Seconds for which a Home follows what its person does; later it is put together when it is opened again."""


@dataclass(slots=True)
class Turnstile:
    """Lets one of all who want the same through at a time, and not before the last one was a while ago."""

    apart: float = APART
    clock: Callable[[], float] = time.monotonic
    _last: dict[str, float] = field(default_factory=dict)
    _waiting: set[str] = field(default_factory=set)

    async def admits(self, key: str) -> bool:
        """Wait for one's turn; False where another waits for the same already."""
        if key in self._waiting:
            return False
        self._waiting.add(key)
        try:
            await asyncio.sleep(max(0.0, self._last.get(key, -self.apart) + self.apart - self.clock()))
        finally:
            self._waiting.discard(key)
        if len(self._last) > 5_000:
            self._last.clear()
        self._last[key] = self.clock()
        return True


@dataclass(frozen=True, slots=True)
class Home:
    """What one person may see on their Home: their own questions, and documents by the rule of a private answer."""

    slack: Slack
    backend: Backend
    shelf: Shelf
    recent: Recent
    admin_part: AdminPart | None = None
    turnstile: Turnstile = field(default_factory=Turnstile)

    async def publish(self, team: str, user: str) -> None:
        """Publish a Home as it is now. SlackUnavailable, SlackRefused."""
        if await self.turnstile.admits(f"{team}:{user}"):
            await self.slack.publish_home(user, home_blocks(await self.contents(team, user)))

    async def contents(self, team: str, user: str) -> Contents:
        if refused := await self.shelf.refusal(team, user):
            return Contents(refused=escaped(refused))
        documents, recent, below = await asyncio.gather(
            self._documents(team, user), self._recent(team, user), self._below(team, user)
        )
        return Contents(examples(documents or ()), recent, documents, below=below)

    def forget(self, user: str) -> None:
        """Keep nothing of what was found for this person."""
        if self.admin_part is not None:
            self.admin_part.forget(user)

    async def _below(self, team: str, user: str) -> list[Block]:
        return await self.admin_part.below(team, user) if self.admin_part is not None else []

    async def _documents(self, team: str, user: str) -> list[Document] | None:
        try:
            return await self.shelf.home(team, user)
        except (BackendUnavailable, BackendProblem):
            return None

    async def _recent(self, team: str, user: str) -> list[Recently] | None:
        try:
            asked = await self.recent.questions(team, user, SHOWN_QUESTIONS)
            found = await asyncio.gather(*(self._told(one) for one in asked))
        except BackendUnavailable:
            return None
        return [one for one in found if one is not None]

    async def _told(self, asked: Asked) -> Recently | None:
        """Return a question in the words that its run remembers; None where it does not any more."""
        try:
            trace = await self.backend.run(asked.run_id)
        except BackendProblem:
            return None
        direct = asked.channel.startswith("D")
        link = "" if asked.is_whispered else await self._link(asked)
        channel = "" if asked.is_whispered or direct else asked.channel
        return Recently(trace.question.text, trace.outcome, asked.at, link, channel)

    async def _link(self, asked: Asked) -> str:
        try:
            return await self.slack.permalink(asked.channel, asked.ts)
        except (SlackRefused, SlackUnavailable):
            return ""


@dataclass(frozen=True, slots=True)
class HomeJob:
    """A Home is put together anew: because it was `opened`, because its person `left` a channel and may read less than
    before, or because something that it tells of is `done`."""

    home: Home
    name: str = "home"

    async def attempt(self, payload: Payload) -> None:
        team, user, why = payload["team"], payload["user"], payload.get("why", "opened")
        if why == "opened":
            await self.home.recent.note_visit(team, user)
        elif await self.home.recent.visited(team, user) is None:
            return
        if why == "left":
            self.home.forget(user)
        await self.home.publish(team, user)

    async def give_up(self, payload: Payload) -> None:
        logger.bind(job=self.name, user=payload["user"]).warning("home not shown")

    async def fail(self, payload: Payload) -> None:
        logger.bind(job=self.name, user=payload["user"]).warning("home not shown")


@dataclass(frozen=True, slots=True)
class ThenHome:
    """Does another job; the Home of the person whom it was for then shows what came of it, if they have looked at it
    lately. It is shown by a job of its own: that it cannot be shown is no reason to do the other one again."""

    job: Job
    recent: Recent
    durable: Durable

    @property
    def name(self) -> str:
        return self.job.name

    async def attempt(self, payload: Payload) -> None:
        await self.job.attempt(payload)
        team, user, now = payload["team"], payload["user"], time.time()
        visited = await self.recent.visited(team, user)
        if visited is not None and now - visited < FRESH:
            wanted = self.durable.record("home", f"home:{user}:{now}", {"team": team, "user": user, "why": "done"})
            await asyncio.create_task(wanted, context=Context())  # of its own: DBOS begins no job inside another's step

    async def give_up(self, payload: Payload) -> None:
        await self.job.give_up(payload)

    async def fail(self, payload: Payload) -> None:
        await self.job.fail(payload)


FOLLOWED = frozenset({"turn", "opening", "withdraw", "ingest", "collection", "thread", "docs"})
"""Jobs after which a Home shows something else."""


def then_home(jobs: Sequence[Job], recent: Recent, durable: Durable) -> list[Job]:
    """Return the jobs, those that a Home tells of with that at their end."""
    return [ThenHome(job, recent, durable) if job.name in FOLLOWED else job for job in jobs]


def examples(documents: Sequence[Document]) -> list[tuple[str, str]]:
    """Return questions to begin with: about the newest documents, and about us."""
    titles = [document.title for document in documents if document.status == "ready" and document.title]
    return prompts_for(titles, ABOUT_US)
