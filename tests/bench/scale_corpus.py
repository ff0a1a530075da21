"""A synthetic team of any size, the same in every process: documents by number, and questions that ask for them.

Vectors are clustered as a company's texts are: a chunk is near its document's others (cosine about 0.7), less near to
others of its topic (0.5), and a question is nearer to its chunk (0.65) than to anything else. Words follow Zipf's law;
the most frequent are English stop words, which the full-text index leaves out, as it does with real text.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from backend.domain import And, Chunk, ChunkVectors, Condition, IndexedDocument, Metadata, Query, Vector, Vectors
from tests.fakes.corpus import EVERYONE, INGESTED

DIMENSIONS = 384
CHUNKS = 20
"""Of a document; four to a section."""
SENTENCES = 5
WORDS = 16
"""Of a sentence, so 80 of a chunk."""
TOPICS = 2_000
ASKED_WORDS = 6
SMALL_TEAM = 10
"""One in so many documents is another team's."""
TAGS = 10
EPOCH = datetime(2020, 1, 1, tzinfo=UTC)
DAYS = 2_000

MINE = Query("", "T1")
THEIRS = Query("", "T2")
FILTERED = Query(
    "",
    "T1",
    filter=And((Condition("eq", "tags", "tag3"), Condition("gte", "published_at", EPOCH + timedelta(DAYS // 2)))),
)
"""One of ten tags and half of the days: one in twenty of the team's chunks."""

_STOP_WORDS = [
    "the", "of", "and", "to", "in", "is", "for", "it", "with", "as",
    "on", "be", "at", "by", "this", "are", "or", "an", "not", "if",
]  # fmt: skip
_SYLLABLES = [
    "ba", "ce", "di", "fo", "gu", "ha", "je", "ki", "lo", "mu", "na", "pe",
    "qui", "ro", "su", "ta", "ve", "wi", "xo", "zu", "stra", "plen", "grim", "tork",
]  # fmt: skip
_VOCABULARY = 60_000
_TOPIC, _DOCUMENT, _OWN = 0.7, 0.45, 0.55
_ASKED, _OTHERWISE = 0.65, 0.76


@dataclass(frozen=True, slots=True, eq=False)
class Question:
    text: str
    vector: Vector


def unit(vectors: Vectors) -> Vectors:
    norms: Vectors = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return vectors / norms


class Corpus:
    """Documents 0, 1, 2 …, each from its number alone."""

    def __init__(self) -> None:
        generator = np.random.default_rng(7)
        self._topics = _drawn(generator, TOPICS)
        self._sentences = _drawn(generator, 4_096)
        self._words = np.array(_vocabulary(), dtype=object)
        frequencies = 1.0 / (np.arange(_VOCABULARY) + 2.7)
        self._cumulated: NDArray[np.float64] = np.cumsum(frequencies / frequencies.sum())

    def vectors(self, number: int) -> Vectors:
        """Return the vectors of a document's chunks."""
        generator = np.random.default_rng([1, number])
        topic = self._topics[generator.integers(TOPICS)]
        return unit(_TOPIC * topic + _DOCUMENT * _drawn(generator, 1) + _OWN * _drawn(generator, CHUNKS))

    def texts(self, number: int) -> list[list[str]]:
        """Return the sentences of each of its chunks."""
        generator = np.random.default_rng([2, number])
        ranks = np.searchsorted(self._cumulated, generator.random((CHUNKS, SENTENCES, WORDS)), side="right")
        words = self._words[np.minimum(ranks, _VOCABULARY - 1)]
        return [[" ".join(sentence) + "." for sentence in chunk] for chunk in words.tolist()]

    def document(self, number: int) -> IndexedDocument:
        chunks = [_chunk(position, sentences) for position, sentences in enumerate(self.texts(number))]
        own = np.random.default_rng([3, number]).integers(len(self._sentences), size=(CHUNKS, SENTENCES))
        vectors = [
            ChunkVectors(vector, self._sentences[rows]) for vector, rows in zip(self.vectors(number), own, strict=True)
        ]
        return IndexedDocument(
            team_of(number),
            f"d{number}",
            "r",
            f"Handbook {number}",
            f"https://docs.example.com/{number}",
            EVERYONE,
            Metadata(tags=(tag_of(number),), source="bench", published_at=published(number)),
            INGESTED,
            tuple(chunks),
            tuple(vectors),
        )

    def questions(self, documents: int, count: int) -> list[Question]:
        """Return questions for so many chunks of the large team, drawn among so many documents."""
        generator = np.random.default_rng(11)
        return [self._question(int(number), generator) for number in generator.integers(documents, size=count)]

    def _question(self, number: int, generator: np.random.Generator) -> Question:
        number -= team_of(number) != MINE.team
        position = int(generator.integers(CHUNKS))
        words = " ".join(self.texts(number)[position]).replace(".", "").split()
        telling = [word for word in words if word not in _STOP_WORDS]
        vector = _ASKED * self.vectors(number)[position] + _OTHERWISE * _drawn(generator, 1)[0]
        return Question(" ".join(generator.permutation(telling)[:ASKED_WORDS]), unit(vector))


def team_of(number: int) -> str:
    return THEIRS.team if number % SMALL_TEAM == SMALL_TEAM - 1 else MINE.team


def tag_of(number: int) -> str:
    return f"tag{number // SMALL_TEAM % TAGS}"


def published(number: int) -> datetime:
    return EPOCH + timedelta(days=number * 7919 % DAYS)


def admitted(query: Query, number: int) -> bool:
    """Whether one of the three queries above admits a document."""
    right = team_of(number) == query.team
    return right and (query.filter is None or (tag_of(number) == "tag3" and number * 7919 % DAYS >= DAYS // 2))


class Nearest:
    """The ten nearest chunks to each question, found by comparing every one as it goes by."""

    def __init__(self, query: Query, questions: Iterable[Question], count: int = 10) -> None:
        self._query = query
        self._count = count
        self._asked = np.stack([question.vector for question in questions])
        self._scores = np.full((len(self._asked), count), -2.0, dtype=np.float32)
        self._places = np.full((len(self._asked), count), -1, dtype=np.int64)

    def see(self, numbers: Iterable[int], corpus: Corpus) -> None:
        seen = [number for number in numbers if admitted(self._query, number)]
        if not seen:
            return
        scores = self._asked @ np.concatenate([corpus.vectors(number) for number in seen]).T
        places = np.concatenate([np.arange(number * CHUNKS, (number + 1) * CHUNKS) for number in seen])
        both = np.concatenate([self._scores, scores], axis=1)
        named = np.concatenate([self._places, np.broadcast_to(places, scores.shape)], axis=1)
        best = np.argpartition(-both, self._count - 1, axis=1)[:, : self._count]
        self._scores = np.take_along_axis(both, best, axis=1)
        self._places = np.take_along_axis(named, best, axis=1)

    def found(self) -> list[frozenset[int]]:
        """Return for each question the places of the chunks, document * CHUNKS + position."""
        return [frozenset(row) - {-1} for row in self._places.tolist()]


def _drawn(generator: np.random.Generator, rows: int) -> Vectors:
    return unit(generator.standard_normal((rows, DIMENSIONS), dtype=np.float32))


def _vocabulary() -> list[str]:
    generator = np.random.default_rng(5)
    drawn = generator.integers(len(_SYLLABLES), size=(3 * _VOCABULARY, 4)).tolist()
    lengths = generator.integers(2, 5, size=len(drawn)).tolist()
    made = dict.fromkeys("".join(_SYLLABLES[at] for at in row[:n]) for row, n in zip(drawn, lengths, strict=True))
    return [*_STOP_WORDS, *made][:_VOCABULARY]


def _chunk(position: int, sentences: list[str]) -> Chunk:
    ends = np.cumsum([len(sentence) + 1 for sentence in sentences]).tolist()
    spans = tuple((start, end - 1) for start, end in pairwise([0, *ends]))
    return Chunk(position, position // 4, "Handbook › Rules", 0, " ".join(sentences), spans)
