"""Several backends over PostgreSQL, an object store and Redis, behind nginx: they are one, whichever of them dies."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from pathlib import Path
from typing import Any
from urllib.parse import quote

import aiohttp
import lancedb
import pytest

from backend.adapters.lance_tables import TABLE
from tests.e2e.nginx import needs_nginx
from tests.e2e.topology import Backend, Topology, topology
from tests.postgres_server import needs_postgres
from tests.redis_server import needs_redis

pytestmark = [pytest.mark.e2e, needs_nginx, needs_postgres, needs_redis]

PATIENCE = 120.0
MANY = 24
LEAVE = {
    "id": "leave",
    "title": "Leave",
    "text": "# Paid leave\n\nEveryone has 25 days of paid leave per year. Requests go to Ana Lima in the people team.",
}
ASK = {"question": "How many days of paid leave do I have?"}


async def test_several_backends_are_one_whichever_of_them_ends(tmp_path: Path) -> None:
    async with topology(tmp_path, backends=3) as running:
        await what_one_takes_in_is_answered_by_all(running)
        await what_is_removed_through_one_is_answered_by_none(running)
        await the_work_of_one_that_dies_is_done_once(running)
        await a_rolling_restart_loses_no_request(running)


async def what_one_takes_in_is_answered_by_all(running: Topology) -> None:
    first, *others = running.backends
    async with first.http.post("/ingest?wait=true", json=LEAVE) as reply:
        assert await reply.json() == {"document_id": "leave", "status": "ready"}
    for http in (*(one.http for one in others), running.http):
        assert await outcome(http) == "answered"


async def what_is_removed_through_one_is_answered_by_none(running: Topology) -> None:
    first, second, third = running.backends
    async with third.http.delete("/documents/leave") as reply:
        assert reply.status == 200
    for one in (first, second, third):
        assert await outcome(one.http) == "abstained"


async def the_work_of_one_that_dies_is_done_once(running: Topology) -> None:
    """The first one leads, so that it is not only its work that is taken over."""
    first, second, _ = running.backends
    names = [f"page-{number}" for number in range(MANY)]
    await asyncio.gather(*(enqueued(first, name) for name in names))
    await begun_by(running, first)
    await first.stop(kill=True)

    async with asyncio.timeout(PATIENCE):
        while set((await statuses(second, names)).values()) != {"ready"}:  # noqa: ASYNC110 - another process's state
            await asyncio.sleep(0.3)

    rows = await rows_in_index(running)
    assert {name: rows[name] for name in names} == dict.fromkeys(names, 1)
    done = running.postgres.execute("SELECT status, count(*) FROM dbos.workflow_status GROUP BY 1")
    assert done == [("SUCCESS", MANY + 1)]
    leaders = running.postgres.execute(
        "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objid = 4 AND objsubid = 2 AND granted"
    )
    assert leaders == [(1,)]


async def a_rolling_restart_loses_no_request(running: Topology) -> None:
    """Of the two that are left; nginx still names the dead one, too."""
    over = asyncio.Event()
    load = [asyncio.create_task(asking(running.http, over, number)) for number in range(4)]
    for one in running.backends[1:]:
        await one.stop()
        await one.begin()
        await one.ready()
    await asyncio.sleep(1)
    over.set()
    counts = sum(await asyncio.gather(*load), Counter[str]())
    assert set(counts) == {"search 200", "query 200", "documents 200", "ingest 202"}, counts
    assert min(counts.values()) > 3


# ------------------------------------------------------------------------------------------------------------- helpers


async def outcome(http: aiohttp.ClientSession) -> str:
    async with http.post("/query", json=ASK) as reply:
        assert reply.status == 200, await reply.text()
        return str((await reply.json())["outcome"])


async def enqueued(backend: Backend, name: str) -> None:
    text = f"# Page {name}\n\nThe secret word of {name} is number {quote(name)}. It is kept by its owner."
    async with backend.http.post("/ingest", json={"id": name, "title": name, "text": text}) as reply:
        assert reply.status == 202, await reply.text()


async def begun_by(running: Topology, backend: Backend) -> None:
    """Return once this backend works on some of what is queued."""
    name = (backend.folder / f"data-{backend.number}" / "replica").read_text().strip()
    pending = f"SELECT count(*) FROM dbos.workflow_status WHERE status = 'PENDING' AND executor_id = '{name}'"
    async with asyncio.timeout(PATIENCE):
        while running.postgres.execute(pending) == [(0,)]:  # noqa: ASYNC110 - another process's state
            await asyncio.sleep(0.01)


async def statuses(backend: Backend, names: list[str]) -> dict[str, str]:
    async with backend.http.get("/documents?limit=100") as reply:
        listed = (await reply.json())["documents"]
    return {one["document_id"]: one["status"] for one in listed if one["document_id"] in names}


async def rows_in_index(running: Topology) -> Counter[str]:
    connection: Any = await lancedb.connect_async(running.store.uri("index"), storage_options=running.store.options)
    table: Any = await connection.open_table(TABLE)
    rows = (await table.query().select(["document_id"]).to_arrow()).to_pylist()
    table.close()
    connection.close()
    return Counter(row["document_id"] for row in rows)


async def asking(http: aiohttp.ClientSession, over: asyncio.Event, number: int) -> Counter[str]:
    """Do as people do, below nginx's limit, until told to end; count what came of it."""
    counts: Counter[str] = Counter()
    calls = (
        ("search", "POST", "/search", {"question": "secret word"}),
        ("query", "POST", "/query", {"question": "What is the secret word of page-7?"}),
        ("documents", "GET", "/documents?limit=5", None),
        ("ingest", "POST", "/ingest", {"id": f"late-{number}", "text": "# Late\n\nThe gate closes at nine."}),
    )
    while not over.is_set():
        for name, method, path, body in calls:
            began = time.monotonic()
            async with http.request(method, path, json=body) as reply:
                await reply.read()
                counts[f"{name} {reply.status}"] += 1
            await asyncio.sleep(max(0.0, 0.3 - (time.monotonic() - began)))
    return counts
