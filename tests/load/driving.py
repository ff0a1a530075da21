"""Runs locust against real backends on loopback, and looks on: memory, and the time that `/health` takes meanwhile."""

from __future__ import annotations

import asyncio
import csv
import os
import re
import shutil
import sys
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

import aiohttp
import pytest

from tests.e2e.processes import PROJECT, free_port, start, until_healthy
from tests.e2e.topology import KEY, topology
from tests.load.mix import document
from tests.load.scenarios import Name, scenario

PAGES = 200
PROBE_SECONDS = 0.05
SAMPLE_SECONDS = 5.0
UNLIMITED = {
    f"FOOTNOTE_{name}_{whose}": value
    for whose in ("USER", "CHANNEL", "TEAM")
    for name, value in (("RATE", "off"), ("DAILY_TOKENS", "0"))
}
MEMORY = re.compile(r"^process_resident_memory_bytes (\S+)$", re.MULTILINE)


Running: TypeAlias = tuple[str, aiohttp.ClientSession, Sequence[aiohttp.ClientSession]]
"""The address that people use, a session with it, and one with each backend."""


@dataclass(frozen=True)
class Times:
    """Of one kind of request, in milliseconds."""

    requests: int
    errors: int
    p50: float
    p95: float
    p99: float


@dataclass
class Found:
    """What a scenario came to. `health` in milliseconds, `bare` the same of a server that does nothing else, asked in
    turn with it; `memory` in bytes; in the order in which they were taken."""

    title: str
    seconds: float
    kinds: dict[str, Times] = field(default_factory=dict)
    health: list[float] = field(default_factory=list)
    bare: list[float] = field(default_factory=list)
    memory: list[float] = field(default_factory=list)

    @property
    def errors(self) -> int:
        return self.kinds["Aggregated"].errors

    def table(self) -> str:
        rows = [
            f"| {kind} | {one.requests} | {one.errors} | {one.p50:.0f} | {one.p95:.0f} | {one.p99:.0f} |"
            for kind, one in self.kinds.items()
        ]
        whole = self.kinds["Aggregated"]
        first, most, last = (value / 1e6 for value in (self.memory[0], max(self.memory), self.memory[-1]))
        return "\n".join(
            [
                f"\n### {self.title}\n",
                f"{whole.requests / self.seconds * 60:,.0f} requests a minute. `/health`: {shares(self.health)} ms of "
                f"{len(self.health)}; a bare server beside it: {shares(self.bare)} ms. Memory: {first:.0f} MB at "
                f"first, {most:.0f} at most, {last:.0f} at last.\n",
                "| kind | requests | errors | p50 | p95 | p99 (ms) |\n|---|---|---|---|---|---|",
                *rows,
            ]
        )


def at(values: list[float], share: int) -> float:
    """Return a percentile: the least value that so many hundredths do not exceed."""
    ordered = sorted(values)
    return ordered[max(0, -(-len(ordered) * share // 100) - 1)]


def shares(values: list[float]) -> str:
    return ", ".join(f"p{share} {at(values, share):.1f}" for share in (50, 95, 99))


def locust() -> str | None:
    """Return where locust is: FOOTNOTE_LOCUST, or what `make load` has installed."""
    return shutil.which(os.environ.get("FOOTNOTE_LOCUST") or str(PROJECT / ".venv-load" / "bin" / "locust"))


needs_locust = pytest.mark.skipif(locust() is None and "CI" not in os.environ, reason="needs locust: make load-tools")


async def driven(name: Name, seconds: float | None, folder: Path, pages: int = PAGES, backends: int = 1) -> Found:
    """Run a scenario to its end and return what it came to. Several backends share engines and stand behind nginx."""
    whole = scenario(name, seconds)
    short = f", {whole.seconds:g} s in place of {scenario(name).seconds:g}" if seconds else ""
    several = f", {backends} backends" if backends > 1 else ""
    found = Found(f"{name}{short}{several}", whole.seconds)
    running = one_backend(folder) if backends == 1 else several_backends(folder, backends)
    async with running as (url, front, each), bare_server(folder) as bare, asyncio.TaskGroup() as looking:
        await asyncio.gather(*(handed_in(front, number) for number in range(pages)))
        tasks = [looking.create_task(probed(each[0], bare, found)), looking.create_task(sampled(each, found))]
        await attacked(
            url, {"LOAD_SCENARIO": name, "LOAD_SECONDS": str(whole.seconds), "LOAD_PAGES": str(pages)}, folder
        )
        for task in tasks:
            task.cancel()
    found.kinds = read(folder / "load_stats.csv")
    return found


@asynccontextmanager
async def one_backend(folder: Path) -> AsyncIterator[Running]:
    """Run a backend on its folder."""
    port = free_port()
    variables = {"FOOTNOTE_DATA_DIR": str(folder / "data"), "FOOTNOTE_PORT": str(port), "FOOTNOTE_API_KEY": KEY}
    program = await start("backend", "backend", "serve", environment=variables | UNLIMITED, folder=folder)
    url = f"http://127.0.0.1:{port}"
    try:
        await until_healthy(f"{url}/health/ready", program)
        async with aiohttp.ClientSession(url, headers={"X-API-Key": KEY}) as http:
            yield url, http, [http]
    finally:
        await program.stop(patience=60)


@asynccontextmanager
async def several_backends(folder: Path, backends: int) -> AsyncIterator[Running]:
    """Run them over PostgreSQL, an S3 emulator and Redis, behind nginx."""
    async with topology(folder, backends=backends, bots=0, limited=False) as running:
        yield str(running.http._base_url), running.http, [one.http for one in running.backends]


async def handed_in(http: aiohttp.ClientSession, number: int) -> None:
    async with http.post("/ingest?wait=true", json=document(number)) as reply:
        assert reply.status == 200, await reply.text()


async def attacked(url: str, scenario: dict[str, str], folder: Path) -> None:
    """Run locust to its end; its figures are in the folder."""
    program = locust()
    assert program is not None, "locust is not installed: make load-tools"
    given = {"FOOTNOTE_API_KEY": KEY, "PYTHONPATH": str(PROJECT), **scenario}
    arguments = ["-f", "tests/load/locustfile.py", "--headless", "-H", url, "--csv", str(folder / "load")]
    with (folder / "locust.log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            program,
            *arguments,
            "--exit-code-on-error=0",
            "--stop-timeout=30",
            cwd=PROJECT,
            env={"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/"), **given},
            stdout=log,
            stderr=log,
        )
        code = await process.wait()
    assert code == 0, (folder / "locust.log").read_text()[-2000:]


@asynccontextmanager
async def bare_server(folder: Path) -> AsyncIterator[aiohttp.ClientSession]:
    """Run the server that does nothing; yield a session with it."""
    port = free_port()
    program = await start("bare", "tests.load.bare", str(port), environment={}, folder=folder)
    url = f"http://127.0.0.1:{port}"
    try:
        await until_healthy(f"{url}/health", program)
        async with aiohttp.ClientSession(url) as http:
            yield http
    finally:
        await program.stop()


async def probed(http: aiohttp.ClientSession, bare: aiohttp.ClientSession, found: Found) -> None:
    """Ask both for liveness, in turn, all the time."""
    while True:
        for asked, times in ((http, found.health), (bare, found.bare)):
            began = time.perf_counter()
            async with asked.get("/health") as reply:
                assert reply.status == 200
            times.append((time.perf_counter() - began) * 1000)
        await asyncio.sleep(PROBE_SECONDS)


async def sampled(each: Sequence[aiohttp.ClientSession], found: Found) -> None:
    """Read how much memory the backends have together, now and then."""
    while True:
        found.memory.append(sum([await held(http) for http in each]))
        await asyncio.sleep(SAMPLE_SECONDS)


async def held(http: aiohttp.ClientSession) -> float:
    async with http.get("/metrics") as reply:
        figures = MEMORY.search(await reply.text())
    assert figures is not None or sys.platform != "linux"
    return float(figures[1]) if figures else 0.0


def read(path: Path) -> dict[str, Times]:
    """Return locust's figures by kind of request."""
    with path.open(newline="") as file:
        return {
            row["Name"]: Times(
                int(row["Request Count"]),
                int(row["Failure Count"]),
                *(float(row[share]) for share in ("50%", "95%", "99%")),
            )
            for row in csv.DictReader(file)
        }
