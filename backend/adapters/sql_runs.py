"""Runs and their feedback in the state database."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

from sqlalchemy import ColumnElement, RowMapping, delete, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncEngine

from backend.adapters.sql_common import translated, upsert
from backend.adapters.sql_tables import feedback as feedback_table
from backend.adapters.sql_tables import runs as runs_table
from backend.codec import Json, feedback_to_json, run_to_json
from backend.domain import Feedback, Run
from backend.errors import NotFound
from backend.redact import holds, redact, removed_since

PAGE = 50
"""Traces that are read at once."""


@dataclass(frozen=True, slots=True)
class SqlRuns:
    """ports.Runs."""

    engine: AsyncEngine

    async def put(self, run: Run) -> None:
        """Insert, or replace the trace of the same run; its feedback stays."""
        with translated():
            async with self.engine.begin() as connection:
                await upsert(connection, runs_table, _run_values(run))

    async def get(self, run_id: str) -> dict[str, object] | None:
        given = feedback_table.c
        with translated():
            async with self.engine.connect() as connection:
                trace = await connection.scalar(select(runs_table.c.trace).where(runs_table.c.run_id == run_id))
                if trace is None:
                    return None
                rows = await connection.execute(
                    select(feedback_table).where(given.run_id == run_id).order_by(given.user, given.kind)
                )
                return {**trace, "feedback": [feedback_to_json(_feedback(row)) for row in rows.mappings()]}

    async def redact(self, team: str, removed: Mapping[str, datetime]) -> int:
        changed = 0
        if removed:
            async for page in self.pages(team, max(removed.values())):
                redacted = {run_id: redact(trace, _removed(trace, removed)) for run_id, trace in page.items()}
                changes = {run_id: trace for run_id, trace in redacted.items() if trace != page[run_id]}
                await self.replace(changes)
                changed += len(changes)
        return changed

    async def holding(self, team: str, document_id: str) -> int:
        return sum([holds(trace, document_id) async for page in self.pages(team) for trace in page.values()])

    async def pages(self, team: str, until: datetime | None = None) -> AsyncIterator[dict[str, Json]]:
        """Yield a team's traces, a few at a time: they may be many, and large."""
        wanted = [runs_table.c.team == team]
        wanted += [runs_table.c.created_at <= until] if until else []
        last = ""
        while True:
            statement = select(runs_table.c.run_id, runs_table.c.trace).where(*wanted, runs_table.c.run_id > last)
            with translated():
                async with self.engine.connect() as connection:
                    rows = (await connection.execute(statement.order_by(runs_table.c.run_id).limit(PAGE))).all()
            if not rows:
                return
            last = rows[-1].run_id
            yield {row.run_id: row.trace for row in rows}

    async def replace(self, traces: Mapping[str, Json]) -> None:
        """Store these traces in place of those of the same runs."""
        with translated():
            async with self.engine.begin() as connection:
                for run_id, trace in traces.items():
                    await connection.execute(
                        update(runs_table).where(runs_table.c.run_id == run_id).values(trace=trace)
                    )


@dataclass(frozen=True, slots=True)
class SqlFeedbacks:
    """ports.Feedbacks."""

    engine: AsyncEngine

    async def put(self, feedback: Feedback) -> None:
        with translated():
            try:
                async with self.engine.begin() as connection:
                    await upsert(connection, feedback_table, _feedback_values(feedback))
            except IntegrityError:
                raise NotFound("There is no such run.") from None

    async def delete(self, run_id: str, user: str, kind: Literal["reaction", "button"]) -> bool:
        with translated():
            async with self.engine.begin() as connection:
                gone = await connection.execute(delete(feedback_table).where(*_is(run_id, user, kind)))
                return gone.rowcount > 0


def _removed(trace: Json, removed: Mapping[str, datetime]) -> frozenset[str]:
    return removed_since(str(trace["created_at"]), removed)


def _is(run_id: str, user: str, kind: str) -> tuple[ColumnElement[bool], ...]:
    columns = feedback_table.c
    return columns.run_id == run_id, columns.user == user, columns.kind == kind


def _run_values(run: Run) -> Mapping[str, object]:
    audience = run.question.audience
    return {
        "run_id": run.run_id,
        "team": run.question.team,
        "channel": audience.channel,
        "user": audience.user,
        "private": int(audience.private),
        "outcome": run.outcome,
        "prompt": run.metadata.prompt,
        "model": run.metadata.model,
        "total_ms": run.metadata.total_ms,
        "trace": run_to_json(run),
        "created_at": run.created_at,
    }


def _feedback(row: RowMapping) -> Feedback:
    return Feedback(row["run_id"], row["user"], row["rating"], row["kind"], row["comment"], row["created_at"])


def _feedback_values(given: Feedback) -> Mapping[str, object]:
    return {
        "run_id": given.run_id,
        "user": given.user,
        "kind": given.kind,
        "rating": given.rating,
        "comment": given.comment,
        "created_at": given.created_at or datetime.now(UTC),
    }
