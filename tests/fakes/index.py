"""An index in memory, and the reference meaning of filters: what the real index is compared with."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from math import log

import numpy as np

from backend.domain import (
    And,
    ChunkVectors,
    Condition,
    Contents,
    FieldValue,
    Filter,
    IndexedDocument,
    Not,
    Or,
    Passage,
    Query,
    Vector,
    Vectors,
)
from backend.filters import check_filter, condition_values
from backend.labels import as_instant, field_name, field_values, fold, label, ordinal
from backend.ports import IndexStatus

_WORD = re.compile(r"\w+")


def admits(condition: Filter | None, document: IndexedDocument) -> bool:
    """Say whether a document satisfies a filter, in two-valued logic: unknown satisfies only `ne` and `not`."""
    match condition:
        case None:
            return True
        case And(items):
            return all(admits(item, document) for item in items)
        case Or(items):
            return any(admits(item, document) for item in items)
        case Not(item):
            return not admits(item, document)
        case Condition(op="ne", field=field, value=value):
            return not _holds(Condition("eq", field, value), document)
        case Condition():
            return _holds(condition, document)


def _holds(condition: Condition, document: IndexedDocument) -> bool:
    name = field_name(condition.field)
    if name in ("published_at", "ingested_at"):
        known = document.metadata.published_at if name == "published_at" else document.ingested_at
        return known is not None and _date_holds(condition, known)
    members = field_values(document).get(name, ())
    if condition.op in ("gte", "lt"):
        return any(_ordered(condition.op, member, condition.value) for member in members)
    wanted = condition_values(condition)
    if condition.op == "contains" and name == "title":
        return all(fold(str(value)) in fold(document.title) for value in wanted)
    return bool({label(name, member) for member in members} & {label(name, value) for value in wanted})


def _date_holds(condition: Condition, known: datetime) -> bool:
    instants = [instant for value in condition_values(condition) if (instant := as_instant(value)) is not None]
    if condition.op in ("eq", "in"):
        return known in instants
    return known >= instants[0] if condition.op == "gte" else known < instants[0]


def _ordered(op: str, member: FieldValue, bound: FieldValue | tuple[FieldValue, ...]) -> bool:
    here, there = ordinal(member), None if isinstance(bound, tuple) else ordinal(bound)
    if here is None or there is None or here[0] != there[0]:
        return False
    return here[1] >= there[1] if op == "gte" else here[1] < there[1]


@dataclass(frozen=True, slots=True, eq=False)
class _Row:
    passage: Passage
    document: IndexedDocument
    vector: Vector
    words: Counter[str]


class FakeIndex:
    """Both ports over a dict, with brute-force cosine and a plain BM25 without stemming.

    `fault`, where set, is raised by every call: a dependency that is down.
    """

    def __init__(self, embedder: str = "fake") -> None:
        self.fault: Exception | None = None
        self._embedder = embedder
        self._documents: dict[tuple[str, str], IndexedDocument] = {}
        self._rows: list[_Row] = []
        self._version = 0

    async def search_vector(self, query: Query, vector: Vector, *, limit: int) -> list[Passage]:
        self._check()
        return _best(self._admitted(query), lambda row: float(row.vector @ vector), limit)

    async def search_text(self, query: Query, text: str, *, limit: int) -> list[Passage]:
        self._check()
        words, rows = set(_words(text)), self._admitted(query)
        found = [row for row in rows if words & row.words.keys()]
        return _best(found, lambda row: _bm25(words, row, rows), limit)

    async def section_passages(self, query: Query, section_ids: Sequence[str]) -> list[Passage]:
        self._check()
        wanted = set(section_ids)
        rows = [row for row in self._admitted(query) if row.passage.section_id in wanted]
        return [row.passage for row in sorted(rows, key=_document_order)]

    async def status(self) -> IndexStatus:
        self._check()
        return IndexStatus(len(self._rows), 0, self._version, self._embedder)

    async def replace(self, documents: Sequence[IndexedDocument]) -> None:
        self._check()
        self._documents |= {(document.team, document.document_id): document for document in documents}
        self._commit()

    async def delete(self, team: str, document_ids: Sequence[str]) -> None:
        self._check()
        for document_id in document_ids:
            self._documents.pop((team, document_id), None)
        self._commit()

    async def contents(self, team: str, document_id: str) -> Contents | None:
        self._check()
        held = self._documents.get((team, document_id))
        if held is None or not held.chunks:
            return None
        halved = (ChunkVectors(of.vector, _through_half_precision(of.sentences)) for of in held.vectors)
        return Contents(held.chunks, tuple(halved))

    async def optimise(self) -> None:
        self._check()

    def _check(self) -> None:
        if self.fault is not None:
            raise self.fault

    def _commit(self) -> None:
        self._rows = [row for document in self._documents.values() for row in _rows(document)]
        self._version += 1

    def _admitted(self, query: Query) -> list[_Row]:
        check_filter(query.filter)
        visible = query.audience.visibilities()
        tags = {label("tags", tag) for tag in query.audience.only_tags}
        return [
            row
            for row in self._rows
            if row.document.team == query.team
            and str(row.document.visibility) in visible
            and (not tags or tags & {label("tags", tag) for tag in row.document.metadata.tags})
            and admits(query.filter, row.document)
        ]


def _document_order(row: _Row) -> tuple[str, int]:
    return row.passage.document_id, row.passage.position


def _best(rows: list[_Row], score: Callable[[_Row], float], limit: int) -> list[Passage]:
    scored = [(score(row), row) for row in rows]
    scored.sort(key=lambda pair: (-pair[0], *_document_order(pair[1])))
    return [replace(row.passage, score=value) for value, row in scored[:limit]]


def _bm25(words: set[str], row: _Row, rows: list[_Row], k: float = 1.2, b: float = 0.75) -> float:
    mean = sum(other.words.total() for other in rows) / len(rows)
    total = 0.0
    for word in words & row.words.keys():
        holding = sum(word in other.words for other in rows)
        count = row.words[word]
        rarity = log(1 + (len(rows) - holding + 0.5) / (holding + 0.5))
        total += rarity * count * (k + 1) / (count + k * (1 - b + b * row.words.total() / mean))
    return total


def _words(text: str) -> list[str]:
    return _WORD.findall(fold(text).replace("_", " "))


def _rows(document: IndexedDocument) -> list[_Row]:
    """Make one row per chunk; ids hold the revision, as the real index's do, so that revisions cannot be mixed."""
    owner = f"{document.team}/{document.document_id}/{document.revision}"
    rows = []
    for chunk, vectors in zip(document.chunks, document.vectors, strict=True):
        passage = Passage(
            chunk_id=f"{owner}#{chunk.position}",
            document_id=document.document_id,
            section_id=f"{owner}#s{chunk.section}",
            position=chunk.position,
            title=document.title,
            url=document.url,
            heading=chunk.heading,
            text=chunk.text,
            sentences=chunk.sentences,
            sentence_vectors=_through_half_precision(vectors.sentences),
            page=chunk.page,
            author=", ".join(document.metadata.author) or None,
            source=document.metadata.source,
            published_at=document.metadata.published_at,
            ingested_at=document.ingested_at,
            lead=chunk.lead,
            kind=chunk.kind,
            visibility=str(document.visibility),
        )
        words = Counter(_words(f"{document.title} {chunk.heading} {chunk.lead} {chunk.text}"))
        rows.append(_Row(passage, document, vectors.vector, words))
    return rows


def _through_half_precision(vectors: Vectors) -> Vectors:
    rounded = vectors.astype(np.float16).astype(np.float32)
    norms: Vectors = np.maximum(np.linalg.norm(rounded, axis=1, keepdims=True), 1e-12).astype(np.float32)
    return rounded / norms
