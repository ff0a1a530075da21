"""Compression on labelled data: what is kept of the gold evidence that retrieval found, and at how many tokens.

`chunk_spans` has gold characters: each way of scoring keeps a half and a quarter of the text of the top 8 chunks. The
others are compressed as shipped, and each naive way is given as much text as ours kept: `clapnq` has gold sentences,
`xquad_en` the sentences of its answers; `tts_handbook` and `anthropic_docs` have answers only, so that the words of the
answer that stand in the gold documents' passages, and not in the question, are a proxy.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from time import perf_counter

import numpy as np
from numpy.typing import NDArray
from rich.table import Table

from backend.adapters.minilm import MiniLM
from backend.domain import Evidence, IndexedDocument, Passage, Query, Span, Vector
from backend.evaluate.metrics import mean, median
from backend.query.compress import compress
from backend.query.retrieve import retrieve
from backend.query.tokens import estimate_tokens
from backend.query.words import content_words, numbers, stems
from tests.evals.corpora import TEAM, embed_sources, evals_folder, index_of, load_sources, rows, split_source
from tests.evals.spans import aligned, gold_letters, letters

SPANS = "chunk_spans"
SETS = (SPANS, "clapnq", "xquad_en", "tts_handbook", "anthropic_docs")
CHUNKS = 8
FACTORS = (2, 4)
BUDGET = 1500
"""Tokens, as FOOTNOTE_TOKEN_BUDGET is by default."""

Weights = Mapping[str, NDArray[np.float32]]
"""By chunk id: how much gold each of its sentences holds."""


@dataclass(frozen=True, slots=True, eq=False)
class Pool:
    """What retrieval found for one question, with the gold in it: sentences, or `words` of the answer as a proxy."""

    question: str
    vector: Vector
    passages: tuple[Passage, ...]
    gold: Weights = field(default_factory=dict)
    words: frozenset[str] = frozenset()

    def share(self, kept: Mapping[str, Sequence[int]]) -> float | None:
        """Return the share of the gold in those sentences (by chunk id); None where there is none in the pool."""
        if self.words:
            texts = [_text(one, index) for one in self.passages for index in kept.get(one.chunk_id, ())]
            return len(self.words & _said(texts)) / len(self.words)
        total = sum(float(weights.sum()) for weights in self.gold.values())
        found = sum(float(self.gold[key][list(indices)].sum()) for key, indices in kept.items() if key in self.gold)
        return found / total if total else None


def _text(passage: Passage, index: int) -> str:
    start, end = passage.sentences[index]
    return passage.text[start:end]


def _said(texts: Sequence[str]) -> frozenset[str]:
    return frozenset().union(*(content_words(text) | numbers(text) for text in texts))


# ------------------------------------------------------------------------------------------------------------- reading


async def embedded(name: str, embedder: MiniLM, cache: Path) -> list[IndexedDocument]:
    """Return the set's documents as ingestion makes them."""
    sources = load_sources(name)
    return await embed_sources(sources, [split_source(source, embedder) for source in sources], embedder, cache)


def questions(name: str) -> list[dict[str, object]]:
    """Return the answerable questions of a set."""
    return [row for row in rows(evals_folder() / name / "questions.jsonl") if row.get("answerable", True)]


async def found_by_story(name: str, documents: Sequence[IndexedDocument], embedder: MiniLM) -> list[Pool]:
    """Retrieve as the story does, what stands beside the found included (left out where chunks are counted)."""
    label = _labels(name, documents)
    async with index_of(documents, embedder) as index:
        pools = []
        for row in questions(name):
            found = await retrieve(Query(str(row["question"]), TEAM), index, embedder, limit=CHUNKS)
            beside = () if name == SPANS else found.neighbours
            pools.append(label(row, Pool(str(row["question"]), found.vectors.sentence, (*found.passages, *beside))))
    return pools


async def found_by_vector(name: str, documents: Sequence[IndexedDocument], embedder: MiniLM) -> list[Pool]:
    """Retrieve the nearest chunks by their vectors alone, of whichever document: the plainest way."""
    label = _labels(name, documents)
    passages = [passage for document in documents for passage in passages_of(document)]
    vectors = np.array([one.vector for document in documents for one in document.vectors])
    pools = []
    for row in questions(name):
        asked = await embedder.embed_query(str(row["question"]))
        scores = vectors @ asked.search
        top = [replace(passages[at], score=float(scores[at])) for at in np.argsort(-scores)[:CHUNKS].tolist()]
        pools.append(label(row, Pool(str(row["question"]), asked.sentence, tuple(top))))
    return pools


def passages_of(document: IndexedDocument) -> list[Passage]:
    """Return a document's chunks as a search would, unranked."""
    return [
        Passage(
            chunk_id=_chunk_id(document.document_id, chunk.position),
            document_id=document.document_id,
            section_id=f"{document.document_id}/{chunk.section}",
            position=chunk.position,
            title=document.title,
            url=document.url,
            heading=chunk.heading,
            text=chunk.text,
            sentences=chunk.sentences,
            sentence_vectors=vectors.sentences,
        )
        for chunk, vectors in zip(document.chunks, document.vectors, strict=True)
    ]


def _chunk_id(document_id: str, position: int) -> str:
    return f"{document_id}/{position}"


Labelling = Callable[[dict[str, object], Pool], Pool]


def _labels(name: str, documents: Sequence[IndexedDocument]) -> Labelling:
    """Return what puts the gold of a row into its pool."""
    if name == "clapnq":
        return _by_sentences
    if name not in (SPANS, "xquad_en"):
        return _by_words
    texts = {source.document_id: source.text for source in load_sources(name)}
    places = {one.document_id: aligned(texts[one.document_id], one.chunks) for one in documents}
    offsets = {document_id: letters(text)[1] for document_id, text in texts.items()}

    def by_spans(row: dict[str, object], pool: Pool) -> Pool:
        gold: dict[str, NDArray[np.float32]] = {}
        for passage in pool.passages:
            spans = _spans(row, passage.document_id)
            if spans:
                own = places[passage.document_id][passage.position]
                gold[passage.chunk_id] = gold_letters(offsets[passage.document_id], spans, own)
        whole = gold if name == SPANS else {key: (weights > 0).astype(np.float32) for key, weights in gold.items()}
        return replace(pool, gold=whole)

    return by_spans


def _spans(row: dict[str, object], document_id: str) -> list[Span]:
    spans = row["gold_spans"]
    assert isinstance(spans, list)
    return [(start, end) for document, start, end in spans if document == document_id]


def _by_sentences(row: dict[str, object], pool: Pool) -> Pool:
    """Gold are the sentences that are, hold or are part of a supporting sentence."""
    supporting = [letters(str(one))[0] for one in _listed(row["support_sentences"])]
    gold = {}
    for passage in pool.passages:
        if passage.document_id in _listed(row["gold_doc_ids"]):
            own = [letters(passage.text[start:end])[0] for start, end in passage.sentences]
            held = [any(text and (text in one or one in text) for one in supporting) for text in own]
            gold[passage.chunk_id] = np.array(held, np.float32)
    return replace(pool, gold=gold)


def _by_words(row: dict[str, object], pool: Pool) -> Pool:
    answer = str(row.get("answer") or "")
    wanted = (content_words(answer) | numbers(answer)) - content_words(pool.question)
    gold = [passage.text for passage in pool.passages if passage.document_id in _listed(row.get("gold_doc_ids"))]
    return replace(pool, words=wanted & _said(gold))


def _listed(value: object) -> list[str]:
    return [str(one) for one in value] if isinstance(value, list) else []


# ----------------------------------------------------------------------------------------------------------- baselines

Way = Callable[[Pool, Passage], NDArray[np.float32]]
"""A naive way to score a passage's sentences."""


def by_overlap(pool: Pool, passage: Passage) -> NDArray[np.float32]:
    """Score by the share of the question's content words."""
    words = content_words(pool.question)
    shared = [len(words & stems(passage.text[start:end])) for start, end in passage.sentences]
    return np.array(shared, np.float32) / np.float32(max(1, len(words)))


def by_vector(pool: Pool, passage: Passage) -> NDArray[np.float32]:
    """Score by the stored sentence vectors alone."""
    return np.asarray(passage.sentence_vectors @ pool.vector, np.float32)


def by_vector_and_chunk(pool: Pool, passage: Passage) -> NDArray[np.float32]:
    """Score by the stored sentence vectors plus half the cosine of their chunk."""
    whole = passage.sentence_vectors.mean(axis=0)
    return by_vector(pool, passage) + np.float32(0.5 * (whole @ pool.vector) / np.linalg.norm(whole))


BASELINES: Mapping[str, Way] = {
    "lexical overlap": by_overlap,
    "sentence vectors": by_vector,
    "+ ½ chunk": by_vector_and_chunk,
}


def best_first(pool: Pool, way: Way, room: float) -> dict[str, list[int]]:
    """Keep the best sentences that fit into `room` characters."""
    scored = [
        (float(score), passage, index)
        for passage in pool.passages
        if passage.sentences
        for index, score in enumerate(way(pool, passage))
    ]
    kept: dict[str, list[int]] = {}
    used = 0
    for _, passage, index in sorted(scored, key=lambda item: -item[0]):
        size = passage.sentences[index][1] - passage.sentences[index][0] + 1
        if not used or used + size <= room:
            used += size
            kept.setdefault(passage.chunk_id, []).append(index)
    return kept


# ----------------------------------------------------------------------------------------------------------- measuring


def characters(passages: Sequence[Passage], kept: Mapping[str, Sequence[int]] | None = None) -> int:
    """Return the characters of the kept sentences, or of all."""
    return sum(
        end - start + 1
        for passage in passages
        for index, (start, end) in enumerate(passage.sentences)
        if kept is None or index in kept.get(passage.chunk_id, ())
    )


def indices_of(evidence: Sequence[Evidence]) -> dict[str, Sequence[int]]:
    return {one.passage.chunk_id: one.kept for one in evidence}


def kept_at(pools: Sequence[Pool], factor: int) -> list[float]:
    """Return what ours keeps of the gold of each pool at 1/factor of the text."""
    shares = []
    for pool in pools:
        evidence = compress(pool.question, pool.vector, pool.passages, budget=10**6, share=1 / factor, within=-np.inf)
        shares.append(pool.share(indices_of(evidence)))
    return [share for share in shares if share is not None]


def naively_kept_at(pools: Sequence[Pool], way: Way, factor: int) -> list[float]:
    """Return the same of a naive way."""
    shares = [pool.share(best_first(pool, way, characters(pool.passages) / factor)) for pool in pools]
    return [share for share in shares if share is not None]


@dataclass(frozen=True, slots=True)
class Shipped:
    """Means over the questions whose gold was found: tokens fewer (of all together), gold kept, and the baselines'."""

    fewer: float
    kept: float
    naive: Mapping[str, float]


def as_shipped(pools: Sequence[Pool]) -> Shipped:
    """Compress as the story does; let each baseline keep as many characters of the same pool."""
    before = after = 0
    shares: dict[str, list[float]] = {name: [] for name in ("ours", *BASELINES)}
    for pool in pools:
        evidence = compress(pool.question, pool.vector, pool.passages, budget=BUDGET)[:CHUNKS]
        before += sum(estimate_tokens(passage.text) for passage in pool.passages)
        after += sum(estimate_tokens(one.text) for one in evidence)
        kept: dict[str, Mapping[str, Sequence[int]]] = {"ours": indices_of(evidence)}
        room = characters(pool.passages, kept["ours"])
        kept |= {name: best_first(pool, way, room) for name, way in BASELINES.items()}
        for name, one in kept.items():
            share = pool.share(one) if pool.gold or pool.words else None
            if share is not None:
                shares[name].append(share)
    means = {name: mean(values) for name, values in shares.items()}
    return Shipped(1 - after / before if before else 0.0, means.pop("ours"), means)


def milliseconds(pools: Sequence[Pool], passages: int = 20) -> float:
    """Return the median time to compress that many passages, of several questions together."""
    times = []
    for first in range(min(len(pools), 120) - 5):
        mixed = {one.chunk_id: one for pool in pools[first : first + 5] for one in pool.passages}
        if len(mixed) < passages:
            continue
        chosen = list(mixed.values())[:passages]
        began = perf_counter()
        compress(pools[first].question, pools[first].vector, chosen, budget=BUDGET)
        times.append((perf_counter() - began) * 1000)
    return median(times)


# ----------------------------------------------------------------------------------------------------------- reporting


async def report(names: Sequence[str], embedder: MiniLM, cache: Path) -> list[Table]:
    """Measure the sets: one table for the labelled characters, one for the questions and answers."""
    tables = []
    if SPANS in names:
        documents = await embedded(SPANS, embedder, cache)
        by_retrieval = {
            "our retrieval": await found_by_story(SPANS, documents, embedder),
            "nearest chunks": await found_by_vector(SPANS, documents, embedder),
        }
        tables.append(_spans_table(by_retrieval))
    others = [name for name in names if name != SPANS]
    if others:
        pools = {name: await found_by_story(name, await embedded(name, embedder, cache), embedder) for name in others}
        tables.append(_shipped_table(pools))
    return tables


def _spans_table(by_retrieval: Mapping[str, Sequence[Pool]]) -> Table:
    table = Table(title="Compress · chunk_spans: share of the gold characters in the top 8 chunks that is kept")
    for heading in ("chunks by", "text kept", "ours", "to reach", *BASELINES, "separate embeddings*"):
        table.add_column(heading)
    anchors = {2: ("≥ .96", ".90"), 4: ("≥ .90", ".79")}
    for retrieval, pools in by_retrieval.items():
        for factor in FACTORS:
            naive = [mean(naively_kept_at(pools, way, factor)) for way in BASELINES.values()]
            table.add_row(
                retrieval,
                f"1/{factor}",
                f"{mean(kept_at(pools, factor)):.3f}",
                anchors[factor][0],
                *(f"{one:.3f}" for one in naive),
                anchors[factor][1],
            )
    table.caption = "* measured elsewhere, on the same questions"
    return table


def _shipped_table(pools: Mapping[str, Sequence[Pool]]) -> Table:
    table = Table(title="Compress · as shipped: tokens saved, and gold evidence kept; baselines keep as much text")
    for heading in ("set", "questions", "tokens fewer", "kept", "to reach", *BASELINES, "ms, 20 passages"):
        table.add_column(heading)
    for name, own in pools.items():
        found = as_shipped(own)
        table.add_row(
            name + ("" if own and own[0].gold else " (by words)"),
            str(len(own)),
            f"{found.fewer:.3f}",
            f"{found.kept:.3f}",
            "≥ .60, ≥ .97",
            *(f"{share:.3f}" for share in found.naive.values()),
            f"{milliseconds(own):.1f}",
        )
    return table


def thresholds() -> dict[str, float]:
    """Return floors a little under the shipped figures, for `test_compress.py`."""
    return {"1/2": 0.975, "1/4": 0.90, "fewer": 0.70, "kept": 0.975}
