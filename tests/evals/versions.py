"""Versions of documents: a copy of every gold document, three years older and with other numbers, beside the original.

The copies are made, so that many documents have a version: a question of the set shall find the present one first, the
same question "In 2021, …" the old one. Every second copy has the year in its title. Plain RRF has no dates to go by.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from rich.table import Table

from backend.adapters.lancedb import LanceIndex
from backend.adapters.minilm import MiniLM
from backend.domain import Passage, Query
from backend.evaluate.metrics import mean
from backend.query.fuse import rrf
from backend.query.retrieve import retrieve
from tests.evals.corpora import (
    TEAM,
    Case,
    Source,
    embed_sources,
    index_of,
    load_cases,
    load_sources,
    note,
    split_source,
)

VERSIONED = ("workplace", "tts_handbook", "anthropic_docs")
OLD, NEW = datetime(2021, 2, 1, tzinfo=UTC), datetime(2024, 2, 1, tzinfo=UTC)
MARK = "old copy of "
LIMIT = 8
DEPTH = 100
_NUMBER = re.compile(r"\b\d{1,3}\b")


@dataclass(frozen=True, slots=True)
class Ranked:
    """Of the questions whose present or old document was found, the share where the right one stands above the other;
    `newest` asks the question as it is, `then` asks it of 2021."""

    newest: float
    then: float


async def versions_table(names: Sequence[str], embedder: MiniLM, cache: Path) -> Table:
    """Measure each set beside its old copies."""
    table = Table("set", "questions", "present first", "plain RRF", "“In 2021, …”: old first", "plain RRF")
    table.title = "Retrieve: which of two versions of a document stands first"
    for name in names:
        asked, found = await rank_versions(name, embedder, cache)
        ours, plain = found["ours"], found["RRF"]
        figures = (ours.newest, plain.newest, ours.then, plain.then)
        table.add_row(name, str(asked), *(f"{figure:.2f}" for figure in figures))
    return table


async def rank_versions(name: str, embedder: MiniLM, cache: Path) -> tuple[int, Mapping[str, Ranked]]:
    """Return how many questions were asked, and what each way put first."""
    cases = [case for case in load_cases(name) if case.gold and not case.timely]
    note(f"versions: {name} ({len(cases)})")
    sources = [replace(one, metadata=replace(one.metadata, published_at=NEW)) for one in load_sources(name)]
    copies = copies_of(sources, {one for case in cases for one in case.gold})
    documents = [
        *await embed_sources(sources, [split_source(one, embedder) for one in sources], embedder, cache),
        *await embed_sources(copies, [split_source(one, embedder) for one in copies], embedder, cache),
    ]
    async with index_of(documents, embedder) as index:
        newest = [await _first(index, embedder, case, case.question) for case in cases]
        then = [await _first(index, embedder, case, f"In 2021, {_lowered(case.question)}") for case in cases]
    return len(cases), {
        way: Ranked(_share([one[way] for one in newest], old=False), _share([one[way] for one in then], old=True))
        for way in ("ours", "RRF")
    }


def copies_of(sources: Sequence[Source], gold: set[str]) -> list[Source]:
    """Return for each source in `gold` a copy as of 2021 whose small numbers are one higher."""
    return [_copy(place, one) for place, one in enumerate(one for one in sources if one.document_id in gold)]


def _copy(place: int, source: Source) -> Source:
    """Ties are broken by id, so that half of the copies stand before their originals there."""
    return replace(
        source,
        document_id=f"{'0' if place % 4 < 2 else 'z'} {MARK}{source.document_id}",
        title=f"{source.title} (2021)" if place % 2 else source.title,
        text=_NUMBER.sub(lambda match: str(int(match[0]) + 1), source.text),
        metadata=replace(source.metadata, published_at=OLD),
    )


def _lowered(question: str) -> str:
    return question[:1].lower() + question[1:]


async def _first(index: LanceIndex, embedder: MiniLM, case: Case, question: str) -> dict[str, str | None]:
    """Return for each way the first of the gold documents and their copies."""
    query = Query(question, TEAM)
    vectors = await embedder.embed_query(question)
    ours = (await retrieve(query, index, embedder, limit=LIMIT, budget=0)).passages
    near = await index.search_vector(query, vectors.search, limit=DEPTH)
    plain = rrf(near, await index.search_text(query, question, limit=DEPTH))
    return {"ours": _first_of(ours, case.gold), "RRF": _first_of(plain, case.gold)}


def _first_of(ranking: Sequence[Passage], gold: Sequence[str]) -> str | None:
    return next((one.document_id for one in ranking if one.document_id.rpartition(MARK)[2] in gold), None)


def _share(first: Sequence[str | None], *, old: bool) -> float:
    return mean([(MARK in one) == old for one in first if one is not None])
