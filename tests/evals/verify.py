"""Verification on labelled claims: does our score tell supported from unsupported, and where does the threshold stand?

A claim of several sentences scores as its weakest one and is supported when all are. The naive columns are computed on
the same passages: best cosine, best sentence's word overlap, and their unweighted sum with numbers and names.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Literal, TypeAlias

import numpy as np
from rich.table import Table

from backend.adapters.minilm import MiniLM
from backend.domain import IndexedDocument, Metadata, Passage, Vectors
from backend.evaluate.metrics import Judgement, auroc, judgement, median
from backend.query.facts import missing_names, missing_numbers
from backend.query.verify import judge
from backend.query.words import content_words, names, numbers
from backend.sentences import sentences
from tests.evals.corpora import Source, embed_sources, evals_folder, rows, split_source

SETS = ("wice", "summedits_sales_email", "summedits_sales_call", "halueval_qa")
ANCHORS = {
    "wice": "sum of parts .97 / .81",
    "summedits_sales_email": "GPT-4 balanced .824, people .909 (ten domains)",
    "summedits_sales_call": "GPT-4 balanced .824, people .909 (ten domains)",
}
"""For `summedits_*`: Laban et al., "LLMs as Factual Reasoners", 2023, table of SummEdits."""
USUAL = 8
"""Passages that an answer is checked against."""
Label: TypeAlias = Literal["yes", "partly", "no"]
_WICE: dict[str, Label] = {"supported": "yes", "partially_supported": "partly", "not_supported": "no"}


@dataclass(frozen=True, slots=True)
class Claim:
    """One labelled claim against one document."""

    document_id: str
    text: str
    label: Label


@dataclass(frozen=True, slots=True)
class Scored:
    """What was found of one claim: our score and decision, the naive scores, and milliseconds per sentence."""

    label: Label
    score: float
    supported: bool
    cosine: float
    overlap: float
    parts: float
    ms: float


@dataclass(frozen=True, slots=True)
class Figures:
    """AUROC of each score, and the shipped decision, with the half-supported left out or counted as unsupported."""

    aurocs: dict[str, float]
    shipped: Judgement


def load_claims(name: str) -> tuple[list[Source], list[Claim]]:
    """Return the documents and claims of a set."""
    asked = rows(evals_folder() / name / "questions.jsonl")
    if name == "wice":
        lines = [(str(row["qid"]), "\n".join(map(str, _items(row["sentences"])))) for row in asked]
        claims = [Claim(str(row["qid"]), str(row["claim"]), _WICE[str(row["label"])]) for row in asked]
        return [Source(qid, "", text, Metadata()) for qid, text in lines], claims
    if name == "halueval_qa":
        kinds: tuple[tuple[str, Label], ...] = (("right_answer", "yes"), ("hallucinated_answer", "no"))
        claims = [Claim(str(row["qid"]), str(row[key]), label) for row in asked for key, label in kinds]
        return [Source(str(row["qid"]), "", str(row["context"]), Metadata()) for row in asked], claims
    documents = rows(evals_folder() / name / "documents.jsonl")
    claims = [
        Claim(str(row["doc_id"]), str(row["claim"]), "yes" if row["label"] == "consistent" else "no") for row in asked
    ]
    return [Source(str(row["doc_id"]), "", str(row["text"]), Metadata()) for row in documents], claims


def _items(value: object) -> list[object]:
    return value if isinstance(value, list) else []


async def score_claims(name: str, embedder: MiniLM, cache: Path, *, limit: int | None = None) -> list[Scored]:
    """Score every claim of a set, or those about its first `limit` documents."""
    sources, claims = load_claims(name)
    sources = sources[:limit]
    indexed = await embed_sources(sources, [split_source(one, embedder) for one in sources], embedder, cache)
    passages = {document.document_id: _passages(document) for document in indexed}
    wanted = [(claim, sentences(claim.text) or [claim.text]) for claim in claims if claim.document_id in passages]
    vectors = await embedder.embed_sentences([sentence for _, own in wanted for sentence in own])
    scored, at = [], 0
    for claim, own in wanted:
        scored.append(_score(claim.label, own, vectors[at : at + len(own)], passages[claim.document_id]))
        at += len(own)
    return scored


def _passages(document: IndexedDocument) -> list[Passage]:
    return [
        Passage(
            chunk_id=f"{document.document_id}#{chunk.position}",
            document_id=document.document_id,
            section_id=str(chunk.section),
            position=chunk.position,
            title=document.title,
            url="",
            heading=chunk.heading,
            text=chunk.text,
            sentences=chunk.sentences,
            sentence_vectors=vectors.sentences,
        )
        for chunk, vectors in zip(document.chunks, document.vectors, strict=True)
    ]


def _score(label: Label, own: Sequence[str], vectors: Vectors, passages: Sequence[Passage]) -> Scored:
    said = [(text, vector) for text, vector in zip(own, vectors, strict=True) if content_words(text)]
    naive = [_naive(text, vector, passages) for text, vector in said]
    judged = [judge(text, vector, passages) for text, vector in said]
    return Scored(
        label=label,
        score=min((one.score for one in judged), default=0.0),
        supported=bool(judged) and all(one.supported for one in judged),
        cosine=min((one[0] for one in naive), default=0.0),
        overlap=min((one[1] for one in naive), default=0.0),
        parts=min((sum(one) for one in naive), default=0.0),
        ms=median([_timed(text, vector, passages[:USUAL]) for text, vector in said]),
    )


def _timed(text: str, vector: np.ndarray, passages: Sequence[Passage]) -> float:
    """Return the milliseconds that one more sentence takes over passages that are read already, as in an answer."""
    began = perf_counter()
    judge(f"{text} ", vector, passages)
    return (perf_counter() - began) * 1000


def _naive(text: str, vector: np.ndarray, passages: Sequence[Passage]) -> tuple[float, float, float, float]:
    """Return best cosine, best sentence's share of the words, and the shares of numbers and names held."""
    words, whole = content_words(text), "\n".join(passage.text for passage in passages)
    held = [content_words(passage.text[start:end]) for passage in passages for start, end in passage.sentences]
    return (
        max((float((passage.sentence_vectors @ vector).max()) for passage in passages), default=0.0),
        max((len(words & one) / len(words) for one in held), default=0.0),
        1 - len(missing_numbers(text, whole)) / max(1, len(numbers(text))),
        1 - len(missing_names(text, whole)) / max(1, len(names(text))),
    )


def figures(scored: Sequence[Scored], *, partly: bool) -> Figures:
    """Compute the figures; `partly` counts half-supported claims as unsupported rather than leaving them out."""
    kept = [one for one in scored if partly or one.label != "partly"]
    labels = [one.label == "yes" for one in kept]
    ways = {
        "ours": [one.score for one in kept],
        "cosine": [one.cosine for one in kept],
        "overlap": [one.overlap for one in kept],
        "sum": [one.parts for one in kept],
    }
    aurocs = {way: auroc(scores, labels) for way, scores in ways.items()}
    return Figures(aurocs, judgement([one.supported for one in kept], labels))


async def report(names: Sequence[str], embedder: MiniLM, cache: Path) -> list[Table]:
    """Score each set's claims; `wice` twice, as its half-supported claims may be left out or count as unsupported."""
    table = Table(
        *("set", "AUROC", "sum", "overlap", "cosine", "precision", "recall", "F1", "balanced", "ms", "published"),
        title="Verify: AUROC of our score and of naive ones; decisions at the shipped threshold",
    )
    for name in names:
        scored = await score_claims(name, embedder, cache)
        ms = median([one.ms for one in scored])
        for partly in (False, True) if name == "wice" else (True,):
            row = f"{name}, {'against all others' if partly else 'partly left out'}" if name == "wice" else name
            table.add_row(row, *_cells(figures(scored, partly=partly)), f"{ms:.1f}", ANCHORS.get(name, ""))
    return [table]


def _cells(found: Figures) -> list[str]:
    aurocs = [f"{found.aurocs[way]:.3f}" for way in ("ours", "sum", "overlap", "cosine")]
    said = found.shipped
    return aurocs + [f"{value:.2f}" for value in (said.precision, said.recall, said.f1, said.balanced)]


def thresholds() -> dict[str, float]:
    """Return floors for the parts of the sets that the quick test measures, a little under what was measured."""
    return {
        "wice": 0.92,
        "wice, partly as no": 0.76,
        "halueval_qa": 0.86,
        "halueval_qa recall": 0.88,
        "summedits_sales_email balanced": 0.74,
    }
