"""How fast do documents come in, beside the embedding alone and beside others with the same model?

    python -m tests.bench.bench_ingest [--documents 1000] [--rounds 1]

The floor is the forward passes alone over the same chunks, sorted by length over all documents. Peers are run by the
interpreter that FOOTNOTE_PEERS names. A shared machine is fairer by CPU seconds than by the clock, so both are printed.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

from loguru import logger

from backend.adapters.embedding import batches_by_length
from backend.adapters.minilm import INGEST_BATCH_TOKENS, MiniLM, padded
from backend.adapters.minilm_files import locate_model
from backend.api.services import Services
from backend.app import services
from backend.domain import Chunk, ChunkVectors, Extracted, IndexedDocument
from backend.ingest.pipeline import Ingest
from backend.ingest.split import split
from backend.ingest.submission import Submission, Upload
from backend.ports import Embedder, IndexWriter
from backend.settings import Settings
from tests.bench.corpus import PAGE, Text, evals, texts

THREADS = 2
MAX_FILE = 300_000
"""Bytes: one book would outweigh all the other files of its format."""
STAGES = ("extract", "split", "embed", "write")
INSTALL = (
    "peers not installed: python -m venv PEERS && PEERS/bin/pip install torch==2.13.0 sentence-transformers "
    "langchain-chroma langchain-huggingface langchain-text-splitters llama-index-core "
    "llama-index-embeddings-huggingface, then set FOOTNOTE_PEERS=PEERS/bin/python"
)
A = TypeVar("A")
R = TypeVar("R")


@dataclass(frozen=True)
class Cost:
    """Seconds by the clock, and of all cores."""

    wall: float
    cpu: float


def main() -> None:
    logger.remove()
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--documents", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=1)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(report_formats(Path(folder) / "formats"))
        report_whole(texts(options.documents), Path(folder), options.rounds)


# ------------------------------------------------------------------------------------------------------- by the format


@dataclass
class Stopwatch:
    """Seconds by stage."""

    spent: dict[str, float]

    @contextmanager
    def on(self, stage: str) -> Iterator[None]:
        began = time.perf_counter()
        try:
            yield
        finally:
            self.spent[stage] += time.perf_counter() - began

    def timed(self, stage: str, call: Callable[[A], Awaitable[R]]) -> Callable[[A], Awaitable[R]]:
        async def measured(given: A) -> R:
            with self.on(stage):
                return await call(given)

        return measured


@dataclass(frozen=True)
class TimedEmbedder:
    """What ingestion asks of an embedder, on the watch."""

    embedder: Embedder
    watch: Stopwatch
    name: str
    dimensions: int

    async def embed_chunks(self, title: str, chunks: Sequence[Chunk]) -> list[ChunkVectors]:
        with self.watch.on("embed"):
            return await self.embedder.embed_chunks(title, chunks)


@dataclass(frozen=True)
class TimedWriter:
    writer: IndexWriter
    watch: Stopwatch

    async def replace(self, documents: Sequence[IndexedDocument]) -> None:
        with self.watch.on("write"):
            await self.writer.replace(documents)

    async def delete(self, team: str, document_ids: Sequence[str]) -> None:
        await self.writer.delete(team, document_ids)


def on_watch(ingest: Ingest, watch: Stopwatch) -> Ingest:
    def timed_split(extracted: Extracted) -> tuple[Chunk, ...]:
        with watch.on("split"):
            return ingest.split(extracted)

    return replace(
        ingest,
        extract=watch.timed("extract", ingest.extract),
        split=timed_split,
        embedder=TimedEmbedder(ingest.embedder, watch, ingest.embedder.name, ingest.embedder.dimensions),  # type: ignore[arg-type]
        writer=TimedWriter(ingest.writer, watch),  # type: ignore[arg-type]
    )


async def report_formats(folder: Path) -> None:
    print("One document at a time; a page is 500 words; shares of the time of each stage\n")
    print("| format | documents | pages/s | words/s | " + " | ".join(STAGES) + " | the rest |")
    print("|---|---|---|---|" + "---|" * (len(STAGES) + 1))
    async with services(settings_of(folder)) as opened:
        for name, files in sorted(by_format().items()):
            print(await measured_format(opened, name, files), flush=True)


def by_format() -> dict[str, list[Upload]]:
    files: dict[str, list[Upload]] = defaultdict(list)
    for path in sorted((evals() / "ingest_gold" / "files").glob("*")):
        if path.stat().st_size > MAX_FILE:
            continue
        kind = path.suffix.lower().removeprefix(".")
        files[f"{kind} (expected)" if path.name.endswith(".expected.md") else kind].append(
            Upload(path.read_bytes(), path.name)
        )
    return files


async def measured_format(opened: Services, name: str, files: Sequence[Upload]) -> str:
    assert isinstance(opened.ingest, Ingest)
    watch = Stopwatch(defaultdict(float))
    ingest = on_watch(opened.ingest, watch)
    words, ready = 0, 0
    began = time.perf_counter()
    for place, file in enumerate(files):
        document = await ingest.accept(Submission("bench", upload=file, document_id=f"{name}/{place}"))
        await ingest.run(document.team, document.document_id, document.attempt)
        held = await opened.ingest.writer.contents(document.team, document.document_id)
        words += sum(len(chunk.text.split()) for chunk in held.chunks) if held else 0
        ready += held is not None
    seconds = time.perf_counter() - began
    shares = [watch.spent[stage] / seconds for stage in STAGES]
    cells = [f"{share:.0%}" for share in (*shares, 1 - sum(shares))]
    return f"| {name} | {ready} | {words / PAGE / seconds:.1f} | {words / seconds:.0f} | {' | '.join(cells)} |"


# ------------------------------------------------------------------------------------------------------------ the whole


def settings_of(folder: Path) -> Settings:
    folder.mkdir(exist_ok=True)
    return Settings(data_dir=folder, embedding_threads=THREADS, ingest_workers=THREADS, _env_file=None)  # type: ignore[call-arg]


def report_whole(documents: list[Text], folder: Path, rounds: int) -> None:
    words = sum(one.words for one in documents)
    costs: dict[str, list[Cost]] = defaultdict(list)
    for number in range(rounds):
        costs["the forward passes alone"].append(floor(documents, folder))
        costs["Footnote, durable, end to end"].append(ours(documents, folder / f"ours-{number}"))
        for name in ("langchain", "llamaindex"):
            cost = peer(name, documents, folder)
            if cost:
                costs[name].append(cost)
        costs["the forward passes alone"].append(floor(documents, folder))
    print(f"\n{len(documents)} documents, {words:,} words, {THREADS} threads for everyone, {rounds} round(s)\n")
    print("| | pages/s | words/s | seconds | CPU seconds | Footnote's throughput against it | by CPU |")
    print("|---|---|---|---|---|---|---|")
    own = middle(costs["Footnote, durable, end to end"])
    for name, several in costs.items():
        cost = middle(several)
        rates = f"{words / PAGE / cost.wall:.1f} | {words / cost.wall:.0f} | {cost.wall:.1f} | {cost.cpu:.1f}"
        print(f"| {name} | {rates} | {cost.wall / own.wall:.2f} | {cost.cpu / own.cpu:.2f} |")
    if "langchain" not in costs:
        print(f"\n{INSTALL}")


def middle(costs: Sequence[Cost]) -> Cost:
    return Cost(statistics.median(one.wall for one in costs), statistics.median(one.cpu for one in costs))


def floor(documents: Sequence[Text], folder: Path) -> Cost:
    embedder = MiniLM.open(None, folder / "models", THREADS)
    rows = [
        row
        for one in documents
        for row in embedder._tokenise_chunks(
            one.title, split(Extracted(one.text, one.title), count_tokens=embedder.count_tokens)
        )
    ]
    batches = batches_by_length([len(row.ids) for row in rows], INGEST_BATCH_TOKENS)
    passes = [padded([rows[place].ids for place in batch]) for batch in batches]
    began, burned = time.perf_counter(), time.process_time()
    with ThreadPoolExecutor(THREADS) as pool:
        for _ in pool.map(lambda one: embedder._session.run(None, {"ids": one[0], "mask": one[1]}) and None, passes):
            pass
    cost = Cost(time.perf_counter() - began, time.process_time() - burned)
    embedder.close()
    return cost


def ours(documents: Sequence[Text], folder: Path) -> Cost:
    before = os.times()
    wall, cpu = asyncio.run(index_all(documents, folder))
    after = os.times()
    workers = after.children_user + after.children_system - before.children_user - before.children_system
    return Cost(wall, cpu + workers)


async def index_all(documents: Sequence[Text], folder: Path) -> tuple[float, float]:
    """Hand everything in and wait until it is ready; the first two documents warm up, as the peers' do."""
    async with services(settings_of(folder)) as opened:
        await hand_in(opened, documents[:2], "warm")
        began, burned = time.perf_counter(), time.process_time()
        await hand_in(opened, documents, "d")
        return time.perf_counter() - began, time.process_time() - burned


async def hand_in(opened: Services, documents: Sequence[Text], prefix: str) -> None:
    for one in documents:
        upload = Upload(one.text.encode(), "document.md", "text/markdown")
        submission = Submission("bench", upload=upload, document_id=f"{prefix}/{one.name}", title=one.title)
        document = await opened.ingest.accept(submission)
        await opened.queue.enqueue(document.team, document.document_id, document.attempt)
    while set(await opened.documents.counts()) - {"ready", "failed"}:  # noqa: ASYNC110 - the records are all there is to see
        await asyncio.sleep(0.3)


def peer(name: str, documents: Sequence[Text], folder: Path) -> Cost | None:
    python = os.environ.get("FOOTNOTE_PEERS", "")
    if not Path(python).is_file():
        return None
    path = folder / "texts.jsonl"
    path.write_text("".join(json.dumps({"title": one.title, "text": one.text}) + "\n" for one in documents))
    script = Path(__file__).with_name("peers.py")
    threads = {"OMP_NUM_THREADS": str(THREADS), "TOKENIZERS_PARALLELISM": "true", "HF_HUB_OFFLINE": "1"}
    run = subprocess.run(
        [python, str(script), name, str(path), str(locate_model(None)), str(THREADS)],
        env={"PATH": os.environ["PATH"], "HOME": str(folder), "ANONYMIZED_TELEMETRY": "False", **threads},
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    if run.returncode:
        sys.stderr.write(f"{name} did not run\n")
        return None
    figures = json.loads(run.stdout.splitlines()[-1])
    return Cost(figures["wall"], figures["cpu"])


if __name__ == "__main__":
    main()
