"""The local embedder: all-MiniLM-L6-v2 (384 dimensions) on onnxruntime, in process.

One forward pass gives the state of every token; their mean is the text's vector (as sentence-transformers pools this
model), and the mean over a sentence's tokens is that sentence's vector, made with its whole chunk in view.
"""

from __future__ import annotations

import asyncio
import os
import sys
import threading
from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar, TypeVarTuple

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from onnxruntime.capi import onnxruntime_pybind11_state as onnx_errors
from tokenizers import Encoding, Tokenizer

from backend.adapters.embedding import batches_by_length, encodable, frame_of, unit
from backend.adapters.minilm_files import build_into, cached_graph, locate_model, tokenizer_json
from backend.domain import Chunk, ChunkVectors, QueryVectors, Span, Vector, Vectors
from backend.errors import EmbedderUnavailable

DIMENSIONS = 384
MAX_TOKENS = 256
"""The limit that the model's authors set. Positions go on to 512, but were hardly trained there: see docs/design.md."""
INGEST_BATCH_TOKENS = 1024
QUERY_BATCH_TOKENS = 256
"""Padded tokens of one pass. Larger batches are no faster on a CPU, and a short pass soon makes room for the next."""
PASS_TOKENS = 16
"""What a pass costs beside its tokens, in tokens (measured: 8 to 16): more padding is dearer than one more pass."""
INGEST_NICENESS = 10
"""Linux gives a thread of niceness 10 a tenth of the share of one at 0 (sched(7): each step is a factor of 1.25)."""
UNREADABLE = (
    onnx_errors.InvalidProtobuf,
    onnx_errors.InvalidGraph,
    onnx_errors.Fail,
    onnx_errors.NoSuchFile,
    onnx_errors.InvalidArgument,
    onnx_errors.RuntimeException,
)
"""What onnxruntime raises for a graph that it cannot load or run."""

T = TypeVar("T")
R = TypeVar("R")
Ts = TypeVarTuple("Ts")
States = NDArray[np.float32]
"""Shape (tokens, 384)."""


@dataclass(frozen=True, slots=True, eq=False)
class TokenisedText:
    """A text as one row of a forward pass: its token ids, special ones first and last, and each sentence's tokens.

    A sentence has None where it was cut off, wholly or in part, or is of characters that make no token.
    """

    ids: NDArray[np.int64]
    sentences: tuple[slice | None, ...] = ()

    def pool(self, states: States) -> Vectors:
        """Return the text's vector, then one for each sentence that has tokens: shape (1 + sentences, 384)."""
        held = [states[tokens].mean(axis=0) for tokens in self.sentences if tokens is not None]
        return unit([states.mean(axis=0), *held])


class Lane:
    """Threads of its own for one kind of work, so that one kind never queues behind the other."""

    def __init__(self, name: str, threads: int, *, niceness: int = 0) -> None:
        self._width = threads
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix=name, initializer=_be_nice, initargs=(niceness,))

    async def run(self, work: Callable[[*Ts], R], *args: *Ts) -> R:
        return await asyncio.get_running_loop().run_in_executor(self._pool, work, *args)

    async def map(self, work: Callable[[T], R], items: Sequence[T]) -> list[R]:
        """Work on all items, but hold no more threads than there are, so that callers take turns item by item."""
        gate = asyncio.Semaphore(self._width)

        async def one(item: T) -> R:
            async with gate:
                return await self.run(work, item)

        return list(await asyncio.gather(*(one(item) for item in items)))

    def close(self) -> None:
        self._pool.shutdown(cancel_futures=True)


class MiniLM:
    """ports.Embedder in process. `open` it in a thread (it reads 90 MB) and `close` it."""

    name = "all-MiniLM-L6-v2/fp32"
    dimensions = DIMENSIONS

    def __init__(self, session: Any, tokenizer: Tokenizer, threads: int) -> None:
        self._session = session
        self._tokenizer = tokenizer
        self._queries = Lane("embed-query", threads)
        self._ingest = Lane("embed-ingest", threads, niceness=INGEST_NICENESS)

    @classmethod
    def open(cls, model_dir: Path | None, cache_dir: Path, threads: int) -> MiniLM:
        """Load the model (0.2 s; the first time 2 s, to build its graph into `cache_dir`). Blocks: call it in a thread.

        `threads` bounds how many passes run at once for ingesting, and again for queries; each pass runs on one thread.

        Raises:
            EmbedderUnavailable: the model is missing, is not the published one, or cannot be loaded.
        """
        folder = locate_model(model_dir)
        return cls(open_session(folder, cache_dir), open_tokenizer(folder), threads)

    def close(self) -> None:
        """Wait for the passes that are running and end the threads."""
        self._queries.close()
        self._ingest.close()

    async def embed_query(self, text: str) -> QueryVectors:
        (vector,) = await self._queries.run(self._embed_one, text)
        return QueryVectors(search=vector, sentence=vector)

    async def embed_sentences(self, texts: Sequence[str]) -> Vectors:
        return await self._embed_alone(self._queries, QUERY_BATCH_TOKENS, texts)

    async def embed_chunks(self, title: str, chunks: Sequence[Chunk]) -> list[ChunkVectors]:
        rows = await self._ingest.run(self._tokenise_chunks, title, chunks)
        pooled = await self._embed_rows(self._ingest, INGEST_BATCH_TOKENS, rows)
        cut = [
            chunk.text[start:end]
            for row, chunk in zip(rows, chunks, strict=True)
            for tokens, (start, end) in zip(row.sentences, chunk.sentences, strict=True)
            if tokens is None
        ]
        alone = iter(await self._embed_alone(self._ingest, INGEST_BATCH_TOKENS, cut))
        return [_chunk_vectors(row, vectors, alone) for row, vectors in zip(rows, pooled, strict=True)]

    def count_tokens(self, text: str) -> int:
        return len(self._encode(text, special=False))

    async def _embed_alone(self, lane: Lane, batch_tokens: int, texts: Sequence[str]) -> Vectors:
        rows = await lane.run(self._tokenise_texts, texts)
        pooled = await self._embed_rows(lane, batch_tokens, rows)
        return np.array([vectors[0] for vectors in pooled], dtype=np.float32).reshape(-1, DIMENSIONS)

    async def _embed_rows(self, lane: Lane, batch_tokens: int, rows: Sequence[TokenisedText]) -> list[Vectors]:
        batches = batches_by_length([len(row.ids) for row in rows], batch_tokens, PASS_TOKENS)
        embedded = await lane.map(self._embed, [[rows[i] for i in batch] for batch in batches])
        order = [i for batch in batches for i in batch]
        found = dict(zip(order, (vectors for batch in embedded for vectors in batch), strict=True))
        return [found[i] for i in range(len(rows))]

    def _embed(self, rows: Sequence[TokenisedText]) -> list[Vectors]:
        """One forward pass."""
        ids, mask = padded([row.ids for row in rows])
        try:
            (states,) = self._session.run(None, {"ids": ids, "mask": mask})
        except UNREADABLE as error:
            raise EmbedderUnavailable("The local embedding model failed; the log of onnxruntime says why.") from error
        return [row.pool(states[i, : len(row.ids)]) for i, row in enumerate(rows)]

    def _embed_one(self, text: str) -> Vectors:
        return self._embed([self._tokenise(text)])[0]

    def _tokenise_texts(self, texts: Sequence[str]) -> list[TokenisedText]:
        return [self._tokenise(text) for text in texts]

    def _tokenise_chunks(self, title: str, chunks: Sequence[Chunk]) -> list[TokenisedText]:
        return [self._tokenise_framed(frame_of(title, chunk.heading, chunk.lead), chunk) for chunk in chunks]

    def _tokenise_framed(self, frame: str, chunk: Chunk) -> TokenisedText:
        shift = len(frame)
        return self._tokenise(frame + chunk.text, [(start + shift, end + shift) for start, end in chunk.sentences])

    def _tokenise(self, text: str, sentences: Sequence[Span] = ()) -> TokenisedText:
        encoding = self._encode(text, special=True)
        ids, offsets = encoding.ids, encoding.offsets
        end = len(text)
        if len(ids) > MAX_TOKENS:
            ids, offsets = ids[: MAX_TOKENS - 1] + ids[-1:], offsets[: MAX_TOKENS - 1] + offsets[-1:]
            end = offsets[-2][1]
        return TokenisedText(np.array(ids, dtype=np.int64), tokens_of(sentences, offsets, end))

    def _encode(self, text: str, *, special: bool) -> Encoding:
        return self._tokenizer.encode(encodable(text), add_special_tokens=special)


def open_session(folder: Path, cache_dir: Path) -> Any:
    """Load the graph of the weights in `folder`; one that was damaged on disk is built anew, once."""
    path = cached_graph(folder, cache_dir)
    try:
        return load_session(path)
    except UNREADABLE:
        build_into(path, folder / "model.safetensors")
    try:
        return load_session(path)
    except UNREADABLE as error:
        raise EmbedderUnavailable(f"onnxruntime cannot load the embedding model's graph {path}.") from error


def load_session(path: Path) -> Any:
    """One session for all threads: each runs its pass alone, so there is no pool for passes to fight over.

    Memory patterns are off because they are kept for every shape that was ever seen.
    """
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.enable_mem_pattern = False
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def open_tokenizer(folder: Path) -> Tokenizer:
    """Load the tokenizer without the truncation and padding that its file sets."""
    tokenizer = Tokenizer.from_str(tokenizer_json(folder))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer


def tokens_of(sentences: Sequence[Span], offsets: Sequence[Span], end: int) -> tuple[slice | None, ...]:
    """Return the tokens that begin in each sentence, or None without any or if the text was read only up to `end`.

    `offsets` are the tokens' spans in the text; the first and the last token are special and have no place in it.
    """
    starts = [start for start, _ in offsets[1:-1]]
    ranges = [(1 + bisect_left(starts, first), 1 + bisect_left(starts, last), last) for first, last in sentences]
    return tuple(slice(first, stop) if first < stop and last <= end else None for first, stop, last in ranges)


def padded(rows: Sequence[NDArray[np.int64]]) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
    """Return token ids and mask, both (batch, longest)."""
    mask = np.arange(max(map(len, rows))) < np.array([[len(row)] for row in rows])
    ids = np.zeros(mask.shape, dtype=np.int64)
    ids[mask] = np.concatenate(rows)
    return ids, mask.astype(np.int32)


def _chunk_vectors(row: TokenisedText, pooled: Vectors, alone: Iterator[Vector]) -> ChunkVectors:
    held = iter(pooled[1:])
    sentences = [next(alone if tokens is None else held) for tokens in row.sentences]
    return ChunkVectors(pooled[0], np.array(sentences, dtype=np.float32).reshape(-1, DIMENSIONS))


def _be_nice(niceness: int) -> None:
    """Lower this thread's priority. Linux alone has priorities per thread; elsewhere all are equal."""
    if niceness and sys.platform == "linux":
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), niceness)
