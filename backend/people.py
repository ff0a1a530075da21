"""What is kept of a person: told to them, and deleted, when they ask for it.

Theirs are their questions with all that came of them, their ratings, what they are to be told, what was spent on them,
and the documents that only they can read. Documents of a channel or of the team stay: they are others' too; that this
person brought them in is forgotten. The audit log keeps ids for as long as it keeps anything.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Protocol

from loguru import logger

from backend.codec import Json
from backend.domain import Document
from backend.errors import NotFound
from backend.ports import Documents
from backend.redact import WITHHELD, folded

PAGE = 200
NO_WORDS = frozenset({"", WITHHELD})
FORGETTING = timedelta(seconds=5)
"""How often each backend looks whom another one was told to forget."""
LATE = timedelta(minutes=15)
"""How long after a deletion a run may end that had begun before it."""


@dataclass(frozen=True, slots=True)
class Belongings:
    """What the database has of a person, JSON-ready: `runs` are traces with their feedback."""

    runs: tuple[Json, ...]
    feedback: tuple[Json, ...]
    notices: tuple[Json, ...]
    spendings: tuple[Json, ...]
    brought: tuple[str, ...]
    """Ids of the documents and collections that they brought in."""


@dataclass(frozen=True, slots=True)
class Gone:
    """How much was deleted. `mentions` are runs of others in which an earlier question of this person stood."""

    runs: int
    feedback: int
    notices: int
    spendings: int
    brought: int
    mentions: int
    documents: int = 0


@dataclass(frozen=True, slots=True)
class Forgotten:
    """Who was forgotten, and when."""

    team: str
    user: str
    at: datetime


class Belonging(Protocol):
    """The database's part of it."""

    async def of(self, team: str, user: str) -> Belongings: ...

    async def erase(self, team: str, user: str, asked: frozenset[str]) -> Gone:
        """Delete it all, and note that this was done; `asked` are the person's questions (`folded`), which may stand in
        runs of others."""


class Forgetful(Protocol):
    """What the database knows of those who were forgotten."""

    async def forgotten(self) -> tuple[Forgotten, ...]: ...

    async def erase_late(self, whom: Forgotten) -> int:
        """Delete their runs that had begun by then, and were put after it; return how many there were."""

    async def let_go(self, before: datetime) -> None:
        """Forget that anybody was forgotten before that."""


class Removing(Protocol):
    async def remove(self, team: str, document_id: str) -> None: ...


class Reading(Protocol):
    async def text(self, team: str, document_id: str) -> str:
        """Return the words that the index holds of a document."""


class Keeping(Protocol):
    async def forget_answers(self, team: str) -> object: ...


@dataclass(frozen=True)
class People:
    """Tells and forgets. `kept` are answers, each with the question that it was given to: all of a team's are dropped,
    as they do not say whose question that was. `flush` makes the database let go of what was overwritten in it."""

    belonging: Belonging
    documents: Documents
    ingest: Removing
    index: Reading
    kept: Keeping
    flush: Callable[[], Awaitable[None]]

    async def export(self, team: str, user: str) -> Json:
        """Return everything that is kept of a person, JSON-ready."""
        theirs = await self.belonging.of(team, user)
        private = await self._private(team, user)
        return {
            "team": team,
            "user": user,
            "runs": theirs.runs,
            "feedback": theirs.feedback,
            "notices": theirs.notices,
            "spendings": theirs.spendings,
            "brought": theirs.brought,
            "documents": [await self._told(document) for document in private],
        }

    async def delete(self, team: str, user: str) -> Gone:
        """Delete it. To be repeated after an error: what is gone already does no harm. Documents leave every answer
        now, and the disk like any that is removed."""
        theirs = await self.belonging.of(team, user)
        private = await self._private(team, user)
        for document in private:
            await self._remove(document)
        gone = await self.belonging.erase(team, user, frozenset(map(_asked, theirs.runs)) - NO_WORDS)
        await self.kept.forget_answers(team)
        await self.flush()
        logger.bind(team=team, runs=gone.runs, documents=len(private)).info("person forgotten")
        return replace(gone, documents=len(private))

    async def _private(self, team: str, user: str) -> Sequence[Document]:
        """Return the documents that only this person can read."""
        found: list[Document] = []
        cursor: str | None = None
        while True:
            page = await self.documents.list(team, visibilities=frozenset({f"user:{user}"}), limit=PAGE, cursor=cursor)
            found += page.documents
            cursor = page.cursor
            if cursor is None:
                return found

    async def _told(self, document: Document) -> Json:
        text = await self.index.text(document.team, document.document_id)
        return {
            "document_id": document.document_id,
            "title": document.title,
            "url": document.url,
            "created_at": document.created_at.isoformat(),
            "text": text,
        }

    async def _remove(self, document: Document) -> None:
        with suppress(NotFound):  # somebody else was first
            await self.ingest.remove(document.team, document.document_id)


def _asked(trace: Json) -> str:
    question = trace["question"]
    assert isinstance(question, dict)
    return folded(str(question["text"]))


@dataclass
class Forgetting:
    """A chore of every backend: what one of them was told to forget is in the memory of the others, too, and the answer
    that somebody is waiting for meanwhile would be kept. `remembered` is the longest that anything is in memory."""

    forgetful: Forgetful
    kept: Keeping
    remembered: timedelta
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    _known: frozenset[Forgotten] | None = field(default=None, init=False)

    async def look(self) -> None:
        """Forget whom another backend, or this one, was told to forget since the last look; the first finds an empty
        memory. Unavailable if the database is down: the next one does it."""
        found = frozenset(await self.forgetful.forgotten())
        for team in sorted({one.team for one in found - (found if self._known is None else self._known)}):
            await self.kept.forget_answers(team)
        self._known = found
        now = self.now()
        for one in found:
            if one.at > now - LATE:
                await self.forgetful.erase_late(one)
        if any(one.at < now - self.remembered for one in found):
            await self.forgetful.let_go(now - self.remembered)
