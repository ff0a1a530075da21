"""Splitting on labelled data: ways to cut a document at several sizes, judged by characters and by documents.

`chunk_spans` has gold characters: of the best chunks up to the same amount of text for every way, how much of the gold
is in them (recall), and how much of the first five is gold (precision). The other sets judge by documents. Everything
but the splitting is as shipped: the title before each chunk, hybrid retrieval, the index.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from rich.table import Table

from backend.adapters.minilm import MiniLM
from backend.domain import Chunk, Extracted, IndexedDocument, Passage, QueryVectors, Span
from backend.evaluate.metrics import mean, ndcg, recall
from backend.ingest.split import MAX_TOKENS, CountTokens, split
from backend.query.fuse import fuse, spread
from backend.query.retrieve import LEG
from backend.query.words import STOP_WORDS, stem, tokens
from backend.sentences import sentence_spans
from tests.evals.compress import passages_of
from tests.evals.corpora import Case, Source, embed_sources, evals_folder, load_cases, load_sources, rows
from tests.evals.spans import aligned, letters

SPANS = "chunk_spans"
MEASURED = (SPANS, "workplace", "anthropic_docs", "tts_handbook")
SETS = ("splitting",)
"""All of `MEASURED`: each way embeds them anew, so none is measured alone."""
SIZES = (128, 192, MAX_TOKENS, 384)
"""Tokens of a chunk with its heading path. The embedder reads 256 with the title: of a larger one, the beginning."""
SAME_TEXT = 4_000
"""Letters of retrieved text, some 1,000 tokens, at which recall is taken for every way and size."""
FIRST = 5
"""Chunks whose share of gold is the precision."""
DEPTH = 40
DISTRACTORS = 3
"""Of the documents that no question asks for, one in so many stands in the index: every way is embedded anew."""

_ASKED: dict[str, QueryVectors] = {}
Cut: TypeAlias = Callable[[Source, CountTokens, int], list[Chunk]]


# ------------------------------------------------------------------------------------------------------ ways to split


def fixed(source: Source, count_tokens: CountTokens, size: int) -> list[Chunk]:
    """Cut after so many tokens, between words, wherever that is."""
    return _packed(source.text, [match.span() for match in re.finditer(r"\S+\s*", source.text)], count_tokens, size)


def sentences(source: Source, count_tokens: CountTokens, size: int) -> list[Chunk]:
    """Cut between sentences, without regard to headings."""
    text = source.text
    starts = [start for start, _ in sentence_spans(text)]
    whole = list(zip([0, *starts[1:]], [*starts[1:], len(text)], strict=True)) if starts else []
    pieces = [piece for span in whole for piece in _short(text, span, count_tokens, size)]
    return _packed(text, pieces, count_tokens, size)


def headings(source: Source, count_tokens: CountTokens, size: int) -> list[Chunk]:
    """Cut as ingestion does, but embed and search the text without its heading path."""
    return [replace(chunk, heading="") for chunk in with_path(source, count_tokens, size)]


def with_path(source: Source, count_tokens: CountTokens, size: int) -> list[Chunk]:
    """Cut as ingestion does."""
    return list(split(Extracted(source.text, source.title), count_tokens=count_tokens, max_tokens=size))


WAYS: Mapping[str, Cut] = {
    "fixed windows": fixed,
    "sentence windows": sentences,
    "headings": headings,
    "headings, path embedded": with_path,
}


def _short(text: str, span: Span, count_tokens: CountTokens, size: int) -> list[Span]:
    """Return a sentence, or its words where it is beyond the size."""
    if count_tokens(text[slice(*span)]) <= size:
        return [span]
    return [match.span() for match in re.compile(r"\S+\s*").finditer(text, *span)]


def _packed(text: str, pieces: Sequence[Span], count_tokens: CountTokens, size: int) -> list[Chunk]:
    """Join consecutive pieces while they fit."""
    return [
        Chunk(place, 0, "", start, text[start:end], tuple(sentence_spans(text[start:end])))
        for place, (start, end) in enumerate(_joined(text, pieces, count_tokens, size))
        if text[start:end].strip()
    ]


def _joined(text: str, pieces: Sequence[Span], count_tokens: CountTokens, size: int) -> Iterator[Span]:
    begin = end = total = 0
    for start, stop in pieces:
        tokens = count_tokens(text[start:stop])
        if total and total + tokens > size:
            yield begin, end
            begin, total = start, 0
        end, total = stop, total + tokens
    if end:
        yield begin, end


# ----------------------------------------------------------------------------------------------------------- measuring


@dataclass(frozen=True, slots=True)
class ByCharacters:
    """Means over the questions: gold found in `SAME_TEXT` letters, and in the first chunks the share found and gold."""

    recall: float
    first_recall: float
    precision: float


@dataclass(frozen=True, slots=True)
class ByDocuments:
    ndcg: float
    recall: float


async def embedded(
    sources: Sequence[Source], cut: Cut, size: int, embedder: MiniLM, cache: Path
) -> list[IndexedDocument]:
    """Split the documents this way and embed them."""
    chunks = [cut(source, embedder.count_tokens, size) for source in sources]
    return await embed_sources(sources, chunks, embedder, cache)


class Found:
    """An index in memory: cosine and BM25 (k1 1.2, b .75) over title, heading path and text, fused as shipped.

    Sixteen indexes in LanceDB would take most of the eval's time, and rank by the same two scores.
    """

    def __init__(self, documents: Sequence[IndexedDocument]) -> None:
        self._passages = [passage for document in documents for passage in passages_of(document)]
        self._vectors = np.array([one.vector for document in documents for one in document.vectors])
        words = [Counter(_words(f"{one.title} {one.heading} {one.text}")) for one in self._passages]
        lengths = np.array([one.total() for one in words], np.float32)
        self._dampened = 1.2 * (0.25 + 0.75 * lengths / lengths.mean())
        self._postings: dict[str, list[tuple[int, int]]] = defaultdict(list)
        for place, counted in enumerate(words):
            for word, times in counted.items():
                self._postings[word].append((place, times))

    def ranked(self, question: str, vectors: QueryVectors) -> list[Passage]:
        """Return the passages as the story's fusion ranks them, not yet spread over documents."""
        near = self._best(self._vectors @ vectors.search)
        worded = [one for one in self._best(self._bm25(question)) if one.score > 0]
        return fuse(question, vectors.sentence, [near], [worded], full=LEG)

    def _best(self, scores: NDArray[np.float32]) -> list[Passage]:
        return [replace(self._passages[at], score=float(scores[at])) for at in np.argsort(-scores)[:LEG].tolist()]

    def _bm25(self, question: str) -> NDArray[np.float32]:
        scores = np.zeros(len(self._passages), np.float32)
        for word in dict.fromkeys(_words(question)):
            found = np.array(self._postings.get(word, ()), np.intp).reshape(-1, 2)
            rarity = np.log(1 + (len(scores) - len(found) + 0.5) / (len(found) + 0.5))
            scores[found[:, 0]] += rarity * 2.2 * found[:, 1] / (found[:, 1] + self._dampened[found[:, 0]])
        return scores


def _words(text: str) -> list[str]:
    return [stem(word) for word in tokens(text) if word not in STOP_WORDS]


async def asked(question: str, embedder: MiniLM) -> QueryVectors:
    """Embed a question once, for every way to split."""
    if question not in _ASKED:
        _ASKED[question] = await embedder.embed_query(question)
    return _ASKED[question]


async def by_characters(cut: Cut, size: int, embedder: MiniLM, cache: Path) -> ByCharacters:
    """Measure one way on `chunk_spans`."""
    sources = load_sources(SPANS)
    documents = await embedded(sources, cut, size, embedder, cache)
    held, offsets = _letters_held(sources, documents)
    index = Found(documents)
    measured = []
    for row in rows(evals_folder() / SPANS / "questions.jsonl"):
        question = str(row["question"])
        ranking = index.ranked(question, await asked(question, embedder))
        gold = _gold(row, offsets)
        measured.append(_shares(gold, [held[one.chunk_id] for one in ranking]))
    return ByCharacters(*np.mean(measured, axis=0).tolist())


Offsets: TypeAlias = Mapping[str, tuple[int, list[int]]]
"""By document: the number of its first letter, all documents in a row, and the offset of each letter in its text."""


def _letters_held(
    sources: Sequence[Source], documents: Sequence[IndexedDocument]
) -> tuple[dict[str, NDArray[np.intp]], Offsets]:
    """Return the numbers of the letters that each chunk (by id) holds."""
    held: dict[str, NDArray[np.intp]] = {}
    offsets: dict[str, tuple[int, list[int]]] = {}
    base = 0
    for source, document in zip(sources, documents, strict=True):
        offsets[source.document_id] = (base, letters(source.text)[1])
        for passage, spans in zip(passages_of(document), aligned(source.text, document.chunks), strict=True):
            parts = [np.arange(base + span[0], base + span[1]) for span in spans if span]
            held[passage.chunk_id] = np.concatenate([np.zeros(0, np.intp), *parts])
        base += len(offsets[source.document_id][1])
    return held, offsets


def _gold(row: Mapping[str, object], offsets: Offsets) -> NDArray[np.intp]:
    spans = row["gold_spans"]
    assert isinstance(spans, list)
    parts = []
    for document, start, end in spans:
        base, own = offsets[document]
        parts.append(np.arange(base + bisect_left(own, start), base + bisect_left(own, end)))
    return np.unique(np.concatenate(parts))


def _shares(gold: NDArray[np.intp], held: Sequence[NDArray[np.intp]]) -> tuple[float, float, float]:
    """Return recall at the same text, and recall and precision of the first chunks."""
    same = np.concatenate(held)[:SAME_TEXT]
    first = np.concatenate(held[:FIRST])
    among = np.isin(gold, first).mean()
    return float(np.isin(gold, same).mean()), float(among), float(among * len(gold) / max(1, len(first)))


async def by_documents(name: str, cut: Cut, size: int, embedder: MiniLM, cache: Path) -> ByDocuments:
    """Measure one way on a set of questions with gold documents."""
    cases = [case for case in load_cases(name) if case.gold]
    sources = sample(load_sources(name), cases)
    documents = await embedded(sources, cut, size, embedder, cache)
    index = Found(documents)
    ranked = [
        [
            one.document_id
            for one in spread(index.ranked(case.question, await asked(case.question, embedder)), limit=DEPTH)
        ]
        for case in cases
    ]
    return ByDocuments(
        mean([ndcg(ranking, case.gold, 10) for ranking, case in zip(ranked, cases, strict=True)]),
        mean([recall(ranking, case.gold, 5) for ranking, case in zip(ranked, cases, strict=True)]),
    )


def sample(sources: Sequence[Source], cases: Sequence[Case]) -> list[Source]:
    """Return the documents that are asked for, and one in `DISTRACTORS` of the others."""
    gold = {document_id for case in cases for document_id in case.gold}
    return [one for place, one in enumerate(sources) if one.document_id in gold or place % DISTRACTORS == 0]


# ----------------------------------------------------------------------------------------------------------- reporting


async def report(names: Sequence[str], embedder: MiniLM, cache: Path) -> list[Table]:
    """Measure every way at every size: one table, the shipped one marked."""
    table = Table(title="Splitting: gold characters found, and nDCG@10 / R@5 by document")
    for heading in ("split by", "tokens", *_headings(MEASURED)):
        table.add_column(heading)
    for way, cut in WAYS.items():
        for size in SIZES:
            shipped = cut is with_path and size == MAX_TOKENS
            cells = [await _cell(name, cut, size, embedder, cache) for name in MEASURED]
            table.add_row(way + (" (shipped)" if shipped else ""), str(size), *(one for cell in cells for one in cell))
        table.add_section()
    return [table]


def _headings(names: Sequence[str]) -> list[str]:
    spans = [f"recall in {SAME_TEXT} letters", f"recall in {FIRST} chunks", f"precision of {FIRST}"]
    return [heading for name in names for heading in (spans if name == SPANS else [name])]


async def _cell(name: str, cut: Cut, size: int, embedder: MiniLM, cache: Path) -> list[str]:
    if name == SPANS:
        one = await by_characters(cut, size, embedder, cache)
        return [f"{one.recall:.3f}", f"{one.first_recall:.3f}", f"{one.precision:.3f}"]
    other = await by_documents(name, cut, size, embedder, cache)
    return [f"{other.ndcg:.3f} / {other.recall:.3f}"]
