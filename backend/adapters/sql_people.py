"""What the state database has of a person, and its deletion."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import ColumnElement, Delete, RowMapping, Select, Table, Update, delete, select, update
from sqlalchemy.ext.asyncio import AsyncEngine

from backend.adapters.sql_common import translated, upsert
from backend.adapters.sql_runs import SqlRuns
from backend.adapters.sql_tables import collections, documents, feedback, forgotten, notices, runs, spendings
from backend.codec import Json
from backend.people import Belongings, Forgotten, Gone
from backend.redact import without_words

NOBODY = "user:nobody"
"""Who may read a removed document whose owner is forgotten."""


@dataclass(frozen=True, slots=True)
class SqlPeople:
    """people.Belonging and people.Forgetful."""

    engine: AsyncEngine
    now: Callable[[], datetime] = lambda: datetime.now(UTC)

    async def of(self, team: str, user: str) -> Belongings:
        named = _theirs(runs, team, user)
        ids = await self._read(select(runs.c.run_id).where(named).order_by(runs.c.created_at))
        traces = [await SqlRuns(self.engine).get(str(row["run_id"])) for row in ids]
        brought = [
            *await self._read(select(documents.c.document_id.label("id")).where(_brought(documents, team, user))),
            *await self._read(select(collections.c.collection_id.label("id")).where(_brought(collections, team, user))),
        ]
        return Belongings(
            runs=tuple(trace for trace in traces if trace),
            feedback=tuple(await self._read(select(feedback).where(_rated(team, user)))),
            notices=tuple(await self._read(select(notices).where(_theirs(notices, team, user)))),
            spendings=tuple(await self._read(select(spendings).where(_spent(team, user)))),
            brought=tuple(sorted({str(row["id"]) for row in brought})),
        )

    async def erase(self, team: str, user: str, asked: frozenset[str]) -> Gone:
        mentions = await self._withhold(team, asked) if asked else 0
        removed = (documents.c.team == team) & (documents.c.visibility == f"user:{user}")
        statements: dict[str, Delete | Update] = {
            "feedback": delete(feedback).where(_rated(team, user)),
            "runs": delete(runs).where(_theirs(runs, team, user)),
            "notices": delete(notices).where(_theirs(notices, team, user)),
            "spendings": delete(spendings).where(_spent(team, user)),
            "documents": update(documents).where(_brought(documents, team, user)).values(by=""),
            "collections": update(collections).where(_brought(collections, team, user)).values(by=""),
            "removed": update(documents).where(removed, documents.c.status == "deleted").values(visibility=NOBODY),
        }
        gone: dict[str, int] = {}
        with translated():
            async with self.engine.begin() as connection:
                await upsert(connection, forgotten, {"team": team, "user": user, "at": self.now()})
                for name, statement in statements.items():
                    gone[name] = (await connection.execute(statement)).rowcount
        brought = gone["documents"] + gone["collections"]
        return Gone(gone["runs"], gone["feedback"], gone["notices"], gone["spendings"], brought, mentions)

    async def forgotten(self) -> tuple[Forgotten, ...]:
        with translated():
            async with self.engine.connect() as connection:
                return tuple(Forgotten(**row) for row in (await connection.execute(select(forgotten))).mappings())

    async def erase_late(self, whom: Forgotten) -> int:
        late = delete(runs).where(_theirs(runs, whom.team, whom.user), runs.c.created_at <= whom.at)
        with translated():
            async with self.engine.begin() as connection:
                return (await connection.execute(late)).rowcount

    async def let_go(self, before: datetime) -> None:
        with translated():
            async with self.engine.begin() as connection:
                await connection.execute(delete(forgotten).where(forgotten.c.at < before))

    async def _withhold(self, team: str, asked: frozenset[str]) -> int:
        """Take these questions out of the history of others' runs; return how many had them."""
        stored, changed = SqlRuns(self.engine), 0
        async for page in stored.pages(team):
            without = {run_id: without_words(trace, asked) for run_id, trace in page.items()}
            changes = {run_id: trace for run_id, trace in without.items() if trace is not page[run_id]}
            await stored.replace(changes)
            changed += len(changes)
        return changed

    async def _read(self, statement: Select[tuple[object, ...]]) -> list[Json]:
        with translated():
            async with self.engine.connect() as connection:
                return [_plain(row) for row in (await connection.execute(statement)).mappings()]


def _theirs(table: Table, team: str, user: str) -> ColumnElement[bool]:
    return (table.c.team == team) & (table.c.user == user)


def _brought(table: Table, team: str, user: str) -> ColumnElement[bool]:
    return (table.c.team == team) & (table.c.by == user)


def _spent(team: str, user: str) -> ColumnElement[bool]:
    columns = spendings.c
    return (columns.team == team) & (columns.scope == "user") & (columns.subject == user)


def _rated(team: str, user: str) -> ColumnElement[bool]:
    """Return which feedback is this person's: their ratings of runs of their team."""
    return (feedback.c.user == user) & feedback.c.run_id.in_(select(runs.c.run_id).where(runs.c.team == team))


def _plain(row: RowMapping) -> Json:
    return {str(name): value.isoformat() if isinstance(value, datetime) else value for name, value in row.items()}
