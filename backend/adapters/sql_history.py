"""Past runs in the state database, read without the words of any document: the database takes traces apart."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, RowMapping, func, select
from sqlalchemy.ext.asyncio import AsyncEngine

from backend.adapters.sql_common import translated
from backend.adapters.sql_tables import documents, feedback, runs
from backend.evaluate.history import PastRun, Titled

_TRACE = runs.c.trace
_QUESTION, _METADATA = _TRACE["question"], _TRACE["metadata"]
_ASKED = func.coalesce(_QUESTION["replay_of"].as_string(), "") == ""
_CITED = 12
"""Citations of one run that are looked at; an answer of five sentences has hardly more."""
_BATCH = 500
"""Ids in one statement: databases limit parameters."""

_COLUMNS: tuple[ColumnElement[object], ...] = (
    runs.c.run_id,
    runs.c.created_at,
    runs.c.outcome,
    runs.c.private,
    runs.c.prompt,
    runs.c.model,
    runs.c.total_ms,
    _QUESTION["text"].as_string().label("question"),
    _QUESTION["audience"]["channel"].as_string().label("channel"),
    _QUESTION["thread"].as_string().label("thread"),
    _QUESTION["experiment"].as_string().label("experiment"),
    _QUESTION["prompt"].as_string().label("arm"),
    _METADATA["prompt_hash"].as_string().label("prompt_hash"),
    _METADATA["cache"].as_string().label("cache"),
    _METADATA["dropped_sentences"].as_integer().label("dropped"),
    _METADATA["tokens_in"].as_integer().label("tokens_in"),
    _METADATA["tokens_out"].as_integer().label("tokens_out"),
    _METADATA["cost"].as_float().label("cost"),
    _TRACE["passages"][0]["document_id"].as_string().label("nearest"),
    *(_TRACE["citations"][at]["document_id"].as_string().label(f"cited_{at}") for at in range(_CITED)),
)


@dataclass(frozen=True, slots=True)
class SqlHistory:
    """evaluate.history.RunHistory."""

    engine: AsyncEngine

    async def runs(self, team: str, since: datetime, *, limit: int, experiment: str = "") -> tuple[PastRun, ...]:
        wanted = [runs.c.team == team, runs.c.created_at >= since, _ASKED]
        wanted += [_QUESTION["experiment"].as_string() == experiment] if experiment else []
        newest = select(*_COLUMNS).where(*wanted).order_by(runs.c.created_at.desc(), runs.c.run_id).limit(limit)
        rated = select(feedback.c.run_id, feedback.c.rating).join(runs, runs.c.run_id == feedback.c.run_id)
        with translated():
            async with self.engine.connect() as connection:
                rows = (await connection.execute(newest)).mappings().all()
                given = (await connection.execute(rated.where(*wanted))).all()
        ratings: dict[str, list[int]] = defaultdict(list)
        for run_id, rating in given:
            ratings[run_id].append(rating)
        return tuple(_run(row, ratings.get(row["run_id"], ())) for row in rows)

    async def titles(self, team: str, document_ids: Collection[str]) -> dict[str, str]:
        ids, found = sorted(set(document_ids)), {}
        with translated():
            async with self.engine.connect() as connection:
                for at in range(0, len(ids), _BATCH):
                    named = documents.c.document_id.in_(ids[at : at + _BATCH])
                    statement = select(documents.c.document_id, documents.c.title).where(*_kept(team), named)
                    found.update({row.document_id: row.title for row in await connection.execute(statement)})
        return found

    async def uncited(self, team: str, cited: Collection[str], *, limit: int) -> tuple[int, tuple[Titled, ...]]:
        findable = (*_kept(team), documents.c.status == "ready", documents.c.same_as == "")
        there = await self._count(findable)
        known = await self.titles(team, cited)
        first = select(documents.c.document_id, documents.c.title).where(*findable)
        first = first.order_by(documents.c.created_at, documents.c.document_id).limit(limit + len(known))
        with translated():
            async with self.engine.connect() as connection:
                rows = (await connection.execute(first)).all()
        never = tuple(Titled(row.document_id, row.title) for row in rows if row.document_id not in known)
        return max(there - await self._findable(findable, known), 0), never[:limit]

    async def _findable(self, findable: Sequence[ColumnElement[bool]], ids: Mapping[str, str]) -> int:
        """Return how many of these documents can be found."""
        listed = sorted(ids)
        batches = [listed[at : at + _BATCH] for at in range(0, len(listed), _BATCH)]
        return sum([await self._count((*findable, documents.c.document_id.in_(batch))) for batch in batches])

    async def _count(self, wanted: Sequence[ColumnElement[bool]]) -> int:
        with translated():
            async with self.engine.connect() as connection:
                return int(await connection.scalar(select(func.count()).select_from(documents).where(*wanted)) or 0)


def _kept(team: str) -> tuple[ColumnElement[bool], ...]:
    """Who looks at insights need not be in every channel: only documents of the whole team are named there."""
    return documents.c.team == team, documents.c.status != "deleted", documents.c.visibility == "team"


def _run(row: RowMapping, ratings: Sequence[int]) -> PastRun:
    return PastRun(
        run_id=row["run_id"],
        created_at=row["created_at"],
        outcome=row["outcome"],
        question=row["question"] or "",
        private=bool(row["private"]),
        channel=row["channel"] or "",
        thread=row["thread"] or "",
        experiment=row["experiment"] or "",
        arm=row["arm"] or "",
        prompt=row["prompt"],
        prompt_hash=row["prompt_hash"] or "",
        model=row["model"],
        cache=row["cache"] or "miss",
        dropped=row["dropped"] or 0,
        tokens=(row["tokens_in"] or 0) + (row["tokens_out"] or 0),
        cost=row["cost"] or 0.0,
        total_ms=row["total_ms"],
        cited=tuple(dict.fromkeys(id for at in range(_CITED) if (id := row[f"cited_{at}"]))),
        nearest=row["nearest"] or "",
        ratings=tuple(ratings),
    )
