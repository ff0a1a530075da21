"""The labelled sets, read in place and embedded once: the vectors are cached by the content of what was embedded."""

from __future__ import annotations

import asyncio
import gzip
import hashlib
import json
import os
import re
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from time import perf_counter

import numpy as np
import pytest

from backend.adapters.lancedb import LanceIndex
from backend.domain import Chunk, ChunkVectors, Extracted, IndexedDocument, Metadata, Visibility
from backend.ingest.split import split
from backend.ports import Embedder
from backend.sentences import sentence_spans

TEAM = "eval"
WINDOW = 190
"""Words of a chunk, where the yardstick asks for plain windows."""
SECONDS_BETWEEN_NOTES = 15


def evals_folder() -> Path:
    """Return where the labelled sets are: FOOTNOTE_EVALS, by default beside the checkout."""
    return Path(os.environ.get("FOOTNOTE_EVALS", "../shared/evals"))


def labelled(name: str = "") -> list[pytest.MarkDecorator]:
    """Return the marks of tests over the labelled sets, or over this one: they are skipped where it is not there."""
    there = (evals_folder() / name).is_dir()
    return [pytest.mark.eval, pytest.mark.skipif(not there, reason="the labelled sets are not on this machine")]


def asked_for(name: str) -> bool:
    """Whether this set was asked for by its name, and so in its long form, rather than measured with all others."""
    return name in sys.argv[1:]


def note(text: str) -> None:
    """Say beside the tables what is going on: a first run embeds for minutes."""
    print(text, file=sys.stderr, flush=True)


@dataclass(frozen=True, slots=True)
class Case:
    """One question with what is known to be right; `stale` are documents that others have superseded, and `timely` is
    a question that only the version of its time answers."""

    qid: str
    question: str
    answers: tuple[str, ...]
    gold: tuple[str, ...]
    answerable: bool = True
    stale: tuple[str, ...] = ()
    timely: bool = False


@dataclass(frozen=True, slots=True)
class Source:
    """One document of a set, before it is split."""

    document_id: str
    title: str
    text: str
    metadata: Metadata
    url: str = ""


def rows(path: Path) -> list[dict[str, object]]:
    """Read JSON lines, gzipped or not."""
    packed = path.with_name(path.name + ".gz")
    if packed.exists():
        with gzip.open(packed, "rt", encoding="utf-8") as lines:
            return [json.loads(line) for line in lines]
    with path.open(encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def load_cases(name: str) -> list[Case]:
    """Return the questions of a set."""
    return [_case(row) for row in rows(evals_folder() / name / "questions.jsonl")]


def _case(row: dict[str, object]) -> Case:
    answers = [_text(one) for one in _many(row.get("answers"))] or [_text(row.get("answer"))]
    return Case(
        qid=str(row["qid"]),
        question=str(row["question"]),
        answers=tuple(answer for answer in answers if answer),
        gold=tuple(str(one) for one in _many(row.get("gold_doc_ids"))),
        answerable=bool(row.get("answerable", True)),
        stale=tuple(str(one) for one in _many(row.get("stale_doc_ids"))),
        timely=row.get("kind") in ("recency_conflict", "temporal"),
    )


def _many(value: object) -> list[object]:
    return list(value) if isinstance(value, list) else []


def _text(value: object) -> str:
    if isinstance(value, dict):
        return str(value.get("text") or value.get("answer") or "")
    return str(value or "")


def load_sources(name: str) -> list[Source]:
    """Return the documents of a set."""
    return [
        Source(
            str(row["doc_id"]), str(row.get("title") or ""), str(row["text"]), _metadata(row), str(row.get("url") or "")
        )
        for row in rows(evals_folder() / name / "documents.jsonl")
    ]


def _metadata(row: dict[str, object]) -> Metadata:
    authors = _many(row.get("authors")) or ([row["author"]] if row.get("author") else [])
    dated = row.get("created_at") or row.get("created") or row.get("updated_at") or row.get("updated")
    return Metadata(
        author=tuple(str(author) for author in authors),
        source=str(row.get("source") or ""),
        tags=tuple(str(tag) for tag in _many(row.get("tags")) or _many(row.get("topics"))),
        published_at=_date(dated),
        custom={key: (str(row[key]),) for key in ("status", "company", "type", "python_version") if row.get(key)},
    )


def _date(value: object) -> datetime | None:
    try:
        parsed = datetime.fromisoformat(str(value)) if value else None
    except ValueError:
        return None
    return parsed and (parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)).astimezone(UTC)


def windows(text: str) -> list[Chunk]:
    """Cut a text into windows of `WINDOW` words: the plainest chunks there are."""
    words = [match.span() for match in re.finditer(r"\S+", text)]
    starts = [words[at][0] if at else 0 for at in range(0, len(words), WINDOW)] or [0]
    slices = zip(starts, [*starts[1:], len(text)], strict=True)
    return [
        Chunk(place, 0, "", start, text[start:end], tuple(sentence_spans(text[start:end])))
        for place, (start, end) in enumerate(slices)
    ]


def split_source(source: Source, embedder: Embedder) -> tuple[Chunk, ...]:
    """Cut a document as ingestion does."""
    return split(Extracted(source.text, source.title), count_tokens=embedder.count_tokens)


async def embed_sources(
    sources: Sequence[Source], chunks: Sequence[Sequence[Chunk]], embedder: Embedder, cache: Path
) -> list[IndexedDocument]:
    """Embed the documents, or read their vectors from `cache`."""
    path = cache / f"{_key(sources, chunks, embedder)}.npz"
    if not path.exists():
        await asyncio.to_thread(_save, path, await _embed(sources, chunks, embedder))
    loaded = iter(await asyncio.to_thread(_load, path))
    return [_indexed(source, own, [next(loaded) for _ in own]) for source, own in zip(sources, chunks, strict=True)]


async def _embed(
    sources: Sequence[Source], chunks: Sequence[Sequence[Chunk]], embedder: Embedder
) -> list[ChunkVectors]:
    """Return the vectors of all chunks in order, saying how far it is."""
    count, began = sum(map(len, chunks)), perf_counter()
    note(f"embedding {count:,} chunks of {len(sources):,} documents ({sources[0].document_id} …), this once")
    vectors: list[ChunkVectors] = []
    told = began
    for source, own in zip(sources, chunks, strict=True):
        vectors += await embedder.embed_chunks(source.title, own)
        if perf_counter() - told > SECONDS_BETWEEN_NOTES:
            told = perf_counter()
            note(f"  {len(vectors) / count:.0%} after {told - began:.0f} s")
    note(f"  embedded in {perf_counter() - began:.0f} s")
    return vectors


@asynccontextmanager
async def open_index(
    sources: Sequence[Source], chunks: Sequence[Sequence[Chunk]], embedder: Embedder, cache: Path
) -> AsyncIterator[LanceIndex]:
    """Keep a real index of these documents in a folder that goes away with it."""
    documents = await embed_sources(sources, chunks, embedder, cache)
    async with index_of(documents, embedder) as index:
        yield index


@asynccontextmanager
async def index_of(documents: Sequence[IndexedDocument], embedder: Embedder) -> AsyncIterator[LanceIndex]:
    """Keep a real index of documents that are embedded already."""
    with tempfile.TemporaryDirectory() as folder:
        index = await LanceIndex.open(folder, embedder.name, embedder.dimensions)
        try:
            await index.replace([document for document in documents if document.chunks])
            await index.optimise()
            yield index
        finally:
            await index.close()


def _key(sources: Sequence[Source], chunks: Sequence[Sequence[Chunk]], embedder: Embedder) -> str:
    digest = hashlib.sha256(embedder.name.encode())
    for source, own in zip(sources, chunks, strict=True):
        digest.update(source.title.encode())
        for chunk in own:
            digest.update(f"{chunk.heading}\0{chunk.text}\0{chunk.sentences}".encode())
    return digest.hexdigest()[:24]


def _save(path: Path, vectors: Sequence[ChunkVectors]) -> None:
    """Write beside the place and move there: several evals may share the folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=path.parent, suffix=".part", delete=False) as file:
        np.savez(
            file,
            chunks=np.array([one.vector for one in vectors], np.float32),
            sentences=np.concatenate([one.sentences for one in vectors]).astype(np.float16),
            counts=np.array([len(one.sentences) for one in vectors]),
        )
    Path(file.name).replace(path)


def _load(path: Path) -> Iterator[ChunkVectors]:
    with np.load(path) as saved:
        vectors, sentences, counts = saved["chunks"], saved["sentences"].astype(np.float32), saved["counts"]
    ends = np.cumsum(counts)
    return iter([ChunkVectors(v, sentences[e - c : e]) for v, e, c in zip(vectors, ends, counts, strict=True)])


def _indexed(source: Source, chunks: Sequence[Chunk], vectors: Sequence[ChunkVectors]) -> IndexedDocument:
    return IndexedDocument(
        team=TEAM,
        document_id=source.document_id,
        revision="eval",
        title=source.title,
        url=source.url,
        visibility=Visibility(),
        metadata=source.metadata,
        ingested_at=datetime.now(UTC),
        chunks=tuple(chunks),
        vectors=tuple(vectors),
    )
