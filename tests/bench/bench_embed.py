"""How fast is the local embedder, and what would int8 change?

    python -m tests.bench.bench_embed             speed: half a minute
    python -m tests.bench.bench_embed --quality   retrieval as well, over the sets in FOOTNOTE_EVALS: some ten minutes

The product runs fp32 alone; the int8 graph (dynamic, weights per channel) is made here, to keep measuring that choice.
The baseline for chunks a second is the same fp32 graph used the customary way: one session on all threads, batches of
32 in the order given.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from onnxruntime.quantization import QuantType, quantize_dynamic
from tokenizers import Tokenizer

from backend.adapters.minilm import MAX_TOKENS, MiniLM, load_session, open_tokenizer, padded
from backend.adapters.minilm_files import cached_graph, locate_model
from backend.domain import Chunk, Vectors

SETS = ("tts_handbook", "anthropic_docs", "scifact")
WINDOW = 190
QUESTION = "which password manager should i use at work?"
ONNX_FLOAT = 1
WORDS = (
    "the",
    "leave",
    "policy",
    "applies",
    "to",
    "every",
    "member",
    "of",
    "a",
    "team",
    "who",
    "asks",
    "in",
    "writing",
)


@dataclass(frozen=True)
class Speed:
    load_s: float
    query_ms: float
    busy_query_ms: float
    chunks_s: float


@dataclass(frozen=True)
class Quality:
    ndcg: float
    recall: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--quality", action="store_true", help="measure retrieval over FOOTNOTE_EVALS too")
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        graphs = make_graphs(Path(folder))
        tokenizer = open_tokenizer(locate_model(None))
        report_speed(graphs, tokenizer, options.threads)
        if options.quality:
            report_quality(graphs, tokenizer, options.threads)


def make_graphs(folder: Path) -> dict[str, Path]:
    fp32 = cached_graph(locate_model(None), folder)
    int8 = folder / "int8.onnx"
    quantize_dynamic(
        fp32, int8, weight_type=QuantType.QInt8, per_channel=True, extra_options={"DefaultTensorType": ONNX_FLOAT}
    )
    return {"fp32": fp32, "int8": int8}


# ----------------------------------------------------------------------------------------------------------- speed


def report_speed(graphs: dict[str, Path], tokenizer: Tokenizer, threads: int) -> None:
    chunks = made_up_chunks(80)
    baseline = baseline_chunks_s(graphs["fp32"], tokenizer, chunks, threads)
    print(f"{threads} ingest threads, {len(chunks)} chunks of {WINDOW // 2} to {WINDOW} words, best of 3\n")
    print("| graph | load s | query ms p50 | … while 4 documents are embedded | chunks/s | against the baseline |")
    print("|---|---|---|---|---|---|")
    print(f"| fp32, the customary way (baseline) | | | | {baseline:.1f} | 1.00 |")
    for name, path in graphs.items():
        speed = asyncio.run(measure(path, tokenizer, chunks, threads))
        ratio = speed.chunks_s / baseline
        print(
            f"| {name} | {speed.load_s:.2f} | {speed.query_ms:.1f} | {speed.busy_query_ms:.1f} "
            f"| {speed.chunks_s:.1f} | {ratio:.2f} |"
        )


async def measure(graph: Path, tokenizer: Tokenizer, chunks: list[Chunk], threads: int) -> Speed:
    begun = time.perf_counter()
    embedder = MiniLM(load_session(graph), tokenizer, threads)
    load_s = time.perf_counter() - begun
    query_ms = np.median([await timed_query(embedder) for _ in range(100)])
    seconds = min([await timed_ingest(embedder, chunks) for _ in range(3)])
    documents = asyncio.gather(*(embedder.embed_chunks("Handbook", chunks[:40]) for _ in range(4)))
    busy: list[float] = []
    while not documents.done():
        busy.append(await timed_query(embedder))
        await asyncio.sleep(0.02)
    embedder.close()
    return Speed(load_s, float(query_ms), float(np.median(busy)), len(chunks) / seconds)


async def timed_query(embedder: MiniLM) -> float:
    """Milliseconds."""
    begun = time.perf_counter()
    await embedder.embed_query(QUESTION)
    return (time.perf_counter() - begun) * 1000


async def timed_ingest(embedder: MiniLM, chunks: Sequence[Chunk]) -> float:
    """Seconds."""
    begun = time.perf_counter()
    await embedder.embed_chunks("Handbook", chunks)
    return time.perf_counter() - begun


def baseline_chunks_s(graph: Path, tokenizer: Tokenizer, chunks: Sequence[Chunk], threads: int) -> float:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(str(graph), options, providers=["CPUExecutionProvider"])
    texts = [f"Handbook › {chunk.heading}\n{chunk.text}" for chunk in chunks]
    return len(texts) / min(customary_pass(session, tokenizer, texts) for _ in range(3))


def customary_pass(session: Any, tokenizer: Tokenizer, texts: Sequence[str]) -> float:
    """Seconds."""
    begun = time.perf_counter()
    for i in range(0, len(texts), 32):
        rows = [np.array(tokenizer.encode(text).ids[:MAX_TOKENS]) for text in texts[i : i + 32]]
        ids, mask = padded(rows)
        session.run(None, {"ids": ids, "mask": mask})
    return time.perf_counter() - begun


def made_up_chunks(count: int) -> list[Chunk]:
    """Chunks of common words, the same in every run, with a sentence for every 15 words or so."""
    dice = random.Random(7)
    chunks = []
    for position in range(count):
        lengths = [15] * (dice.randint(WINDOW // 2, WINDOW) // 15)
        sentences = [" ".join(dice.choices(WORDS, k=length)) + "." for length in lengths]
        chunks.append(chunk_of(position, sentences))
    return chunks


def chunk_of(position: int, sentences: Sequence[str]) -> Chunk:
    ends = np.cumsum([len(sentence) + 1 for sentence in sentences]).tolist()
    spans = tuple((end - len(sentence) - 1, end - 1) for end, sentence in zip(ends, sentences, strict=True))
    return Chunk(position, 0, "Leave", 0, " ".join(sentences), spans)


# --------------------------------------------------------------------------------------------------------- quality


def report_quality(graphs: dict[str, Path], tokenizer: Tokenizer, threads: int) -> None:
    print(f"\nVector search alone, {WINDOW}-word windows, a document by its best window\n")
    print("| set | graph | nDCG@10 | R@5 |\n|---|---|---|---|")
    for name in SETS:
        for graph, path in graphs.items():
            quality = asyncio.run(evaluate(path, tokenizer, threads, evals() / name))
            print(f"| {name} | {graph} | {quality.ndcg:.4f} | {quality.recall:.4f} |", flush=True)


def evals() -> Path:
    return Path(os.environ.get("FOOTNOTE_EVALS", "../shared/evals"))


async def evaluate(graph: Path, tokenizer: Tokenizer, threads: int, folder: Path) -> Quality:
    embedder = MiniLM(load_session(graph), tokenizer, threads)
    documents = list(read(folder / "documents.jsonl"))
    owners, vectors = await embed_windows(embedder, documents)
    scores = []
    for case in read(folder / "questions.jsonl"):
        if case.get("gold_doc_ids"):
            query = (await embedder.embed_query(case["question"])).search
            best = np.full(len(documents), -1.0)
            np.maximum.at(best, owners, vectors @ query)
            ranked = [documents[i]["doc_id"] for i in np.argsort(-best)[:10]]
            scores.append(rate(ranked, set(case["gold_doc_ids"])))
    embedder.close()
    ndcg, recall = np.mean(scores, axis=0)
    return Quality(float(ndcg), float(recall))


async def embed_windows(embedder: MiniLM, documents: Sequence[dict[str, Any]]) -> tuple[list[int], Vectors]:
    owners, vectors = [], []
    for i, document in enumerate(documents):
        words = document["text"].split()
        windows = [" ".join(words[at : at + WINDOW]) for at in range(0, max(1, len(words)), WINDOW)]
        embedded = await embedder.embed_chunks(
            document["title"], [Chunk(at, 0, "", 0, text, ()) for at, text in enumerate(windows)]
        )
        owners += [i] * len(windows)
        vectors += [chunk.vector for chunk in embedded]
    return owners, np.array(vectors)


def rate(ranked: Sequence[str], gold: set[str]) -> tuple[float, float]:
    """Return nDCG@10 with binary gains (Järvelin & Kekäläinen 2002) and recall among the first five."""
    gain = sum(1 / np.log2(rank + 2) for rank, found in enumerate(ranked) if found in gold)
    ideal = sum(1 / np.log2(rank + 2) for rank in range(min(10, len(gold))))
    return gain / ideal, len(gold.intersection(ranked[:5])) / len(gold)


def read(path: Path) -> Iterator[dict[str, Any]]:
    with path.open(encoding="utf-8") as lines:
        yield from map(json.loads, lines)


if __name__ == "__main__":
    main()
