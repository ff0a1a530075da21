"""Files that break parsers, through the real backend: each ends `ready` with sane text, or `failed` with a reason.

A backend process takes them in one after another, as uploads, while one question is asked of it again and again. Memory
is what all its child processes hold together, looked at often. `manifest.jsonl` says what each file is, and what other
parsers got out of it; a file from which they got text must give text here.
"""

from __future__ import annotations

import asyncio
import os
import re
import tempfile
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter
from typing import Any

import aiohttp
from rich.table import Table

from backend.adapters.minilm import MiniLM
from backend.evaluate.metrics import median
from backend.ingest.clean import clean_text
from tests.e2e.processes import free_port, start, until_healthy
from tests.evals.corpora import evals_folder, rows

NAME = "bad_inputs"
SETS = (NAME,)
SECONDS = 25.0
MEBIBYTES = 2048.0
"""What no file may exceed."""
LOOK_EVERY = 0.05
ASKING = {"question": "How many days of paid leave does everyone have?", "understand": False}
LEAVE = {
    "title": "Leave",
    "text": "# Paid leave\n\nEveryone has 25 days of paid leave. Requests go to Ana.",
    "id": "leave",
}
_ABOUT = {
    "report_password_protected": re.compile(r"password|encrypted", re.I),
    "report_no_text": re.compile(r"text|empty|image|encrypted|password|damaged", re.I),
}
"""What a reason must speak of."""
_NOISE = re.compile("[\ufffd\ue000-\uf8ff\x00-\x08\x0e-\x1f]")
"""Replacement and control characters, and those whose meaning only a font knows."""


@dataclass(frozen=True, slots=True)
class Ended:
    """How one file ended; `unexpected` says what is wrong with that, "" if nothing is."""

    file: str
    kind: str
    status: str
    reason: str
    seconds: float
    mebibytes: float
    unexpected: str
    notices: tuple[str, ...] = ()


@dataclass(slots=True)
class Answering:
    """Times of the question in seconds, before anything was taken in and during it; answers that were not right."""

    before: list[float] = field(default_factory=list)
    during: list[float] = field(default_factory=list)
    wrong: int = 0


@dataclass(slots=True)
class Memory:
    """The most that the children of a process held since it was last asked."""

    pid: int
    most: float = 0.0

    async def watch(self) -> None:
        while True:
            self.most = max(self.most, sum(map(resident, descendants(self.pid))))
            await asyncio.sleep(LOOK_EVERY)

    def taken(self) -> float:
        most, self.most = self.most, 0.0
        return most


def descendants(pid: int) -> Iterator[int]:
    """Yield the processes that a process started, and those that they did."""
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            children = [int(child) for child in task.read_text().split()]
        except OSError:
            continue
        for child in children:
            yield child
            yield from descendants(child)


def resident(pid: int) -> float:
    """Return the memory that a process holds, in MiB; 0 if it is gone."""
    try:
        found = re.search(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    except OSError:
        return 0.0
    return int(found[1]) / 1024 if found else 0.0


# ----------------------------------------------------------------------------------------------------------- measuring


@asynccontextmanager
async def backend(folder: Path) -> AsyncIterator[tuple[aiohttp.ClientSession, int]]:
    """Run a backend without caches and limits; yield a session with its key, and its process id."""
    port = free_port()
    off = {f"FOOTNOTE_RATE_{scope}": "off" for scope in ("USER", "CHANNEL", "TEAM")}
    variables = {"FOOTNOTE_DATA_DIR": str(folder / "data"), "FOOTNOTE_PORT": str(port), "FOOTNOTE_CACHE": "off", **off}
    program = await start("backend", "backend", "serve", environment=variables, folder=folder)
    try:
        await until_healthy(f"http://127.0.0.1:{port}/health/ready", program, patience=180)
        headers = {"X-API-Key": (folder / "data" / "api-key").read_text().strip()}
        patience = aiohttp.ClientTimeout(total=600)
        async with aiohttp.ClientSession(f"http://127.0.0.1:{port}", headers=headers, timeout=patience) as session:
            yield session, program.process.pid
    finally:
        await program.stop()


async def measure(files: Sequence[Mapping[str, object]]) -> tuple[list[Ended], Answering]:
    """Take in these files of the manifest, one after another, while the question is asked."""
    answering = Answering()
    with tempfile.TemporaryDirectory() as folder:
        async with backend(Path(folder)) as (session, pid):
            await _call(session, "POST", "/ingest?wait=true", json=LEAVE)
            answering.before = [await _asked(session, answering) for _ in range(10)]
            memory = Memory(pid)
            beside = [asyncio.create_task(memory.watch()), asyncio.create_task(_keep_asking(session, answering))]
            try:
                ended = [await take_in(session, row, memory) for row in files]
            finally:
                for task in beside:
                    task.cancel()
                await asyncio.gather(*beside, return_exceptions=True)
    return ended, answering


async def _call(session: aiohttp.ClientSession, method: str, path: str, **body: Any) -> tuple[int, dict[str, object]]:
    async with session.request(method, path, **body) as reply:
        return reply.status, await reply.json(content_type=None)


async def _keep_asking(session: aiohttp.ClientSession, answering: Answering) -> None:
    while True:
        answering.during.append(await _asked(session, answering))
        await asyncio.sleep(0.1)


async def _asked(session: aiohttp.ClientSession, answering: Answering) -> float:
    began = perf_counter()
    status, body = await _call(session, "POST", "/query", json=ASKING)
    answering.wrong += status != 200 or "25 days" not in str(body.get("answer"))
    return perf_counter() - began


async def take_in(session: aiohttp.ClientSession, row: Mapping[str, object], memory: Memory) -> Ended:
    """Upload one file and wait for its end."""
    path = evals_folder() / NAME / str(row["file"])
    document_id = re.sub(r"[^\w.-]", "_", path.name)
    form = aiohttp.FormData()
    form.add_field("file", path.read_bytes(), filename=path.name)
    form.add_field("id", document_id)
    memory.taken()
    began = perf_counter()
    status, body = await _call(session, "POST", "/ingest?wait=true", data=form)
    seconds, mebibytes = perf_counter() - began, memory.taken()
    _, document = await _call(session, "GET", f"/documents/{document_id}")
    text = await _text(session, document_id, row) if status == 200 else ""
    refused = 400 <= status < 500 and "status" in document and document["status"] == 404  # not even recorded
    state = "failed" if refused else str(document.get("status"))
    reason = str((not refused and document.get("reason")) or body.get("detail") or "")
    notices = document.get("notices")
    return Ended(
        path.name,
        str(row["kind"]),
        state,
        reason,
        seconds,
        mebibytes,
        unexpected(row, state, reason, text, seconds, mebibytes),
        tuple(notices) if isinstance(notices, list) else (),
    )


async def _text(session: aiohttp.ClientSession, document_id: str, row: Mapping[str, object]) -> str:
    """Return what is found of a document for its words, as people would see it."""
    words = row.get("must_contain_words")
    question = " ".join(words) if isinstance(words, list) else "text"
    scope = {"op": "eq", "field": "document_id", "value": document_id}
    asked = {"question": question, "filter": scope, "limit": 50, "understand": False}
    _, body = await _call(session, "POST", "/search", json=asked)
    passages = body.get("passages")
    shown = [one for one in passages if isinstance(one, dict)] if isinstance(passages, list) else []
    return "\n".join(f"{one['title']}\n{one['heading']}\n{one['text']}" for one in shown)


def unexpected(row: Mapping[str, object], status: str, reason: str, text: str, seconds: float, mebibytes: float) -> str:
    """Say what is wrong with how a file ended, "" if nothing is."""
    if seconds >= SECONDS or mebibytes >= MEBIBYTES:
        return f"{seconds:.0f} s, {mebibytes:.0f} MiB"
    if status == "failed":
        return _wrong_reason(str(row["expect"]), reason)
    if status != "ready":
        return f"ended as {status}"
    return _wrong_text(row, text)


def _wrong_reason(expected: str, reason: str) -> str:
    about = _ABOUT.get(expected)
    if len(reason) < 15 or not reason.endswith(".") or "Traceback" in reason:
        return "no reason to act on"
    if expected == "extract_text":
        return f"others find text: {reason}"
    return "" if about is None or about.search(reason) else f"another reason: {reason}"


def _wrong_text(row: Mapping[str, object], text: str) -> str:
    words = row.get("must_contain_words")
    held = _letters(text)
    missing = [word for word in words if _letters(str(word)) not in held] if isinstance(words, list) else []
    if missing:
        return f"without {', '.join(missing)}"
    if not any(map(str.isalnum, text)):
        return "ready without text"
    if len(_NOISE.findall(text)) > 0.05 * len(text):
        return "noise"
    return "" if clean_text(text).split() == text.split() else "characters that nobody sees"


def _letters(text: str) -> str:
    """Return the letters and digits, ligatures taken apart: parsers part words in different ways."""
    return "".join(filter(str.isalnum, clean_text(text).casefold().replace("ﬁ", "fi").replace("ﬂ", "fl")))


# ----------------------------------------------------------------------------------------------------------- reporting


def manifest() -> list[dict[str, object]]:
    return rows(evals_folder() / NAME / "manifest.jsonl")


async def report(names: Sequence[str], embedder: MiniLM, cache: Path) -> list[Table]:
    """Take in all files: a table by kind, and one of the files that did not end as they should."""
    ended, answering = await measure(manifest())
    return [_kinds(ended, answering), _wrong(ended)]


def _kinds(ended: Sequence[Ended], answering: Answering) -> Table:
    table = Table(title="Bad inputs: how each kind ends, through a running backend")
    for heading in ("kind", "n", "ready", "failed", "unexpected", "worst s", "worst MiB"):
        table.add_column(heading)
    kinds = sorted({one.kind for one in ended}, key=lambda kind: (-sum(one.kind == kind for one in ended), kind))
    for kind in kinds:
        table.add_row(kind, *_figures([one for one in ended if one.kind == kind]))
    table.add_section()
    table.add_row("all", *_figures(ended))
    table.caption = (
        f"limits: {SECONDS:.0f} s, {MEBIBYTES:.0f} MiB. One question meanwhile: asked {len(answering.during)} times, "
        f"{answering.wrong} not answered, median {1000 * median(answering.during):.0f} ms, worst "
        f"{1000 * max(answering.during):.0f} ms (alone {1000 * median(answering.before):.0f} ms). "
        f"Load of the machine: {os.getloadavg()[2]:.1f} on {os.cpu_count()} cores"
    )
    return table


def _figures(ended: Sequence[Ended]) -> list[str]:
    return [
        str(len(ended)),
        str(sum(one.status == "ready" for one in ended)),
        str(sum(one.status == "failed" for one in ended)),
        str(sum(bool(one.unexpected) for one in ended)),
        f"{max(one.seconds for one in ended):.1f}",
        f"{max(one.mebibytes for one in ended):.0f}",
    ]


def _wrong(ended: Sequence[Ended]) -> Table:
    table = Table("file", "status", "what is unexpected", title="Bad inputs that did not end as they should")
    for one in ended:
        if one.unexpected:
            table.add_row(one.file, one.status, one.unexpected)
    return table
