"""Three backends over PostgreSQL, an S3 emulator and Redis, beside one on its own folder: how soon they are as one.

The emulator is Python and takes milliseconds for what S3 takes, tens of them for a listing: read ratios, not times.
"""

from __future__ import annotations

import asyncio
import statistics
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import aiohttp

from tests.e2e.processes import free_port
from tests.e2e.test_topology import ASK, LEAVE, enqueued, statuses
from tests.e2e.topology import KEY, Backend, Topology, topology

TIMES = 30
MANY = 24


def median_ms(seconds: Sequence[float]) -> str:
    return f"{statistics.median(seconds) * 1000:.0f} ms (worst {max(seconds) * 1000:.0f})"


async def timed(http: aiohttp.ClientSession, method: str, path: str, body: object = None) -> float:
    began = time.monotonic()
    async with http.request(method, path, json=body) as reply:
        assert reply.status < 300, await reply.text()
        await reply.read()
    return time.monotonic() - began


async def ingest(http: aiohttp.ClientSession) -> list[float]:
    """Seconds from handing a short document in to its being ready."""
    return [await timed(http, "POST", "/ingest?wait=true", {**LEAVE, "id": f"leave-{n}"}) for n in range(TIMES)]


async def search(http: aiohttp.ClientSession) -> list[float]:
    return [await timed(http, "POST", "/search", ASK) for _ in range(TIMES)]


async def until_found(one: Backend, other: Backend) -> list[float]:
    """Seconds from ready on one backend to found on the other, the search itself included."""
    waits = []
    for number in range(TIMES):
        word = f"zebra{number}x"
        body = {"id": word, "title": word, "text": f"# {word}\n\nThe word {word} is kept here and nowhere else."}
        async with one.http.post("/ingest?wait=true", json=body) as reply:
            assert (await reply.json())["status"] == "ready"
        began = time.monotonic()
        while not await found(other, word):
            pass
        waits.append(time.monotonic() - began)
    return waits


async def found(backend: Backend, word: str) -> bool:
    async with backend.http.post("/search", json={"question": word}) as reply:
        return any(one["document_id"] == word for one in (await reply.json())["passages"])


async def until_done_without(running: Topology) -> tuple[float, float]:
    """Seconds from the death of the leader, which has work, to its work being taken over, and to that being done."""
    first, second, _ = running.backends
    names = [f"page-{number}" for number in range(MANY)]
    name = (first.folder / f"data-{first.number}" / "replica").read_text().strip()
    pending = f"SELECT count(*) FROM dbos.workflow_status WHERE status = 'PENDING' AND executor_id = '{name}'"
    await asyncio.gather(*(enqueued(first, one) for one in names))
    while running.postgres.execute(pending) == [(0,)]:  # noqa: ASYNC110 - another process's state
        await asyncio.sleep(0.01)
    await first.stop(kill=True)
    began = time.monotonic()
    while running.postgres.execute(pending) != [(0,)]:  # noqa: ASYNC110 - another process's state
        await asyncio.sleep(0.05)
    taken = time.monotonic() - began
    while set((await statuses(second, names)).values()) != {"ready"}:  # noqa: ASYNC110 - another process's state
        await asyncio.sleep(0.1)
    return taken, time.monotonic() - began


async def run(folder: Path) -> None:
    alone_at = {"FOOTNOTE_PORT": str(free_port()), "FOOTNOTE_DATA_DIR": str(folder / "alone"), "FOOTNOTE_API_KEY": KEY}
    limits = {f"FOOTNOTE_RATE_{scope}": "off" for scope in ("USER", "CHANNEL", "TEAM")}
    async with topology(folder, backends=3) as running, Backend(9, folder, {**alone_at, **limits}) as alone:
        await alone.ready()
        first, second, _ = running.backends
        for what, measured in (("ingest one short document", ingest), ("search", search)):
            here, there = [], []
            for _ in range(2):  # interleaved
                here += await measured(alone.http)
                there += await measured(second.http)
            print(f"{what}: on a folder {median_ms(here)}, shared {median_ms(there)}")
        print(f"ready on one, found on another: {median_ms(await until_found(first, second))}, the search included")
        taken, done = await until_done_without(running)
        print(f"leader killed with {MANY} documents queued: work taken over after {taken:.1f} s, all done {done:.1f} s")


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(run(Path(folder)))


if __name__ == "__main__":
    main()
