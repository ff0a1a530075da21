"""An index in memory that is quick enough for tens of thousands of questions, and documents that change under it."""

from __future__ import annotations

import random
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from math import log

import numpy as np

from backend.domain import Chunk, IndexedDocument, Passage, Query, Vector, Visibility
from backend.ports import IndexStatus
from tests.fakes.index import admits

_WORD = re.compile(r"\w+")
K1, B = 1.2, 0.75
"""BM25's usual constants."""
DEPTH = 12
"""Passages of each leg: at sixty the run takes several times as long, for passages that a cache treats alike."""


@dataclass(frozen=True, slots=True, eq=False)
class _Row:
    passage: Passage
    document: IndexedDocument
    vector: Vector
    words: Counter[str]


@dataclass
class QuickIndex:
    """ports.Index and a writer over arrays: exact cosine and BM25, under the same access rule as the real one.

    Until a document changes, the same search is made once: what is measured is not this index.
    """

    documents: dict[str, IndexedDocument] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._rows: dict[str, list[_Row]] = {}
        self._holders: defaultdict[str, set[str]] = defaultdict(set)
        for document in self.documents.values():
            self._hold(document)
        self._build()

    async def replace(self, documents: Sequence[IndexedDocument]) -> None:
        for document in documents:
            self._let_go(document.document_id)
            self._hold(document)
        if documents:
            self._build()

    async def delete(self, team: str, document_ids: Sequence[str]) -> None:
        for document_id in document_ids:
            self._let_go(document_id)
            self.documents.pop(document_id, None)
            self._rows.pop(document_id, None)
        if document_ids:
            self._build()

    def _hold(self, document: IndexedDocument) -> None:
        self.documents[document.document_id] = document
        self._rows[document.document_id] = _rows_of(document)
        for row in self._rows[document.document_id]:
            for word in row.words:
                self._holders[word].add(document.document_id)

    def _let_go(self, document_id: str) -> None:
        """Forget which words a document holds; it keeps its place in the order until it is deleted."""
        for row in self._rows.get(document_id, ()):
            for word in row.words:
                self._holders[word].discard(document_id)

    def _build(self) -> None:
        self._found: dict[tuple[object, ...], list[Passage]] = {}
        self._postings: dict[str, np.ndarray] = {}
        self._masks: dict[tuple[object, ...], np.ndarray] = {}
        self._all = [row for rows in self._rows.values() for row in rows]
        sizes = [len(rows) for rows in self._rows.values()]
        self._first = dict(zip(self._rows, np.cumsum([0, *sizes[:-1]]).tolist(), strict=True))
        self._scores = np.empty(len(self._all), np.float64)
        self._vectors = np.stack([row.vector for row in self._all])
        self._lengths = np.array([row.words.total() for row in self._all], np.float32)
        self._seen = np.array([str(row.document.visibility) for row in self._all])
        self._sections: defaultdict[str, list[int]] = defaultdict(list)
        for at, row in enumerate(self._all):
            self._sections[row.passage.section_id].append(at)
        self._norms = K1 * (1 - B + B * self._lengths / (self._lengths.mean() or 1.0))

    def _admitted(self, query: Query) -> np.ndarray:
        key = (query.audience.visibilities(), query.filter)
        if key not in self._masks:
            self._masks[key] = self._mask(query)
        return self._masks[key]

    def _mask(self, query: Query) -> np.ndarray:
        mask = np.isin(self._seen, sorted(query.audience.visibilities()))
        if query.filter is not None:
            mask &= np.array([admits(query.filter, row.document) for row in self._all])
        return mask

    def _held(self, word: str) -> np.ndarray:
        """Return the place of each row that holds a word, in order, and how often."""
        if word not in self._postings:
            self._postings[word] = self._looked_up(word)
        return self._postings[word]

    def _looked_up(self, word: str) -> np.ndarray:
        held = [
            (self._first[key] + at, row.words[word])
            for key in self._holders.get(word, ())
            for at, row in enumerate(self._rows[key])
            if word in row.words
        ]
        return np.array(sorted(held), np.intp).reshape(-1, 2)

    async def search_vector(self, query: Query, vector: Vector, *, limit: int) -> list[Passage]:
        key = (query.audience.visibilities(), query.filter, vector.tobytes(), limit)
        if key not in self._found:
            self._found[key] = self._best(np.where(self._admitted(query), self._vectors @ vector, -np.inf), limit)
        return self._found[key]

    async def search_text(self, query: Query, text: str, *, limit: int) -> list[Passage]:
        words = tuple(sorted(set(_words(text))))
        key = (query.audience.visibilities(), query.filter, words, limit)
        if key not in self._found:
            self._found[key] = self._by_words(query, words, limit)
        return self._found[key]

    def _by_words(self, query: Query, words: Sequence[str], limit: int) -> list[Passage]:
        scores = self._scores
        scores.fill(0.0)
        for word in words:
            held = self._held(word)
            rarity = log(1 + (len(self._all) - len(held) + 0.5) / (len(held) + 0.5))
            rows, counts = held[:, 0], held[:, 1]
            scores[rows] += rarity * counts * (K1 + 1) / (counts + self._norms[rows])
        return self._best(np.where(self._admitted(query) & (scores > 0), scores, -np.inf), limit)

    async def section_passages(self, query: Query, section_ids: Sequence[str]) -> list[Passage]:
        mask = self._admitted(query)
        rows = [self._all[at].passage for one in set(section_ids) for at in self._sections.get(one, ()) if mask[at]]
        return sorted(rows, key=lambda one: (one.document_id, one.position))

    async def status(self) -> IndexStatus:
        return IndexStatus(len(self._all), 0, 0, "quick")

    def _best(self, scores: np.ndarray, limit: int) -> list[Passage]:
        order = [int(at) for at in np.argsort(-scores, kind="stable")[: min(limit, DEPTH)] if np.isfinite(scores[at])]
        return [replace(self._all[at].passage, score=float(scores[at])) for at in order]


def _words(text: str) -> list[str]:
    return [word.lower() for word in _WORD.findall(text)]


def _rows_of(document: IndexedDocument) -> list[_Row]:
    owner = f"{document.document_id}/{document.revision}"
    rows: list[_Row] = []
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
            sentence_vectors=vectors.sentences,
            page=chunk.page,
            visibility=str(document.visibility),
        )
        rows.append(_Row(passage, document, vectors.vector, Counter(_words(f"{document.title} {chunk.text}"))))
    return rows


def shown_to(document_id: str) -> Visibility:
    """Give seven documents of ten to the team, one to each of two channels, one to a user."""
    place = sum(document_id.encode()) % 10
    return {7: Visibility("channel", "C1"), 8: Visibility("channel", "C2"), 9: Visibility("user", "U1")}.get(
        place, Visibility()
    )


def revised(document: IndexedDocument, number: int) -> IndexedDocument:
    """Return the document with other words at the end of every sentence's first chunk, in a new revision."""
    chunks = tuple(_revised(chunk, number) for chunk in document.chunks)
    return replace(document, revision=f"r{number}", chunks=chunks)


def _revised(chunk: Chunk, number: int) -> Chunk:
    """Write the revision into each sentence, in front of its last character."""
    text, spans, at = "", [], 0
    for start, end in chunk.sentences:
        text += chunk.text[at:start]
        begin = len(text)
        text += f"{chunk.text[start : end - 1]}, as of revision {number}{chunk.text[end - 1 : end]}"
        spans.append((begin, len(text)))
        at = end
    return replace(chunk, text=text + chunk.text[at:], sentences=tuple(spans))


Change = Callable[[QuickIndex, random.Random, int], tuple[list[IndexedDocument], list[str]]]


def rewrite(index: QuickIndex, chance: random.Random, number: int) -> tuple[list[IndexedDocument], list[str]]:
    """Rewrite a document."""
    return [revised(index.documents[chance.choice(sorted(index.documents))], number)], []


def move(index: QuickIndex, chance: random.Random, number: int) -> tuple[list[IndexedDocument], list[str]]:
    """Give a document to other readers, without another word in it."""
    document = index.documents[chance.choice(sorted(index.documents))]
    to = chance.choice([Visibility(), Visibility("channel", "C1"), Visibility("user", "U1")])
    return [replace(document, visibility=to)], []


def add(index: QuickIndex, chance: random.Random, number: int) -> tuple[list[IndexedDocument], list[str]]:
    """Add a document that says the same in other words."""
    document = revised(index.documents[chance.choice(sorted(index.documents))], number)
    return [replace(document, document_id=f"{document.document_id}-{number}", title=f"{document.title} anew")], []


def remove(index: QuickIndex, chance: random.Random, number: int) -> tuple[list[IndexedDocument], list[str]]:
    """Remove a document."""
    return [], [chance.choice(sorted(index.documents))]
