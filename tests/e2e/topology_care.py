"""What an admin does beside several backends at work: build their index anew, back all up, have a person forgotten."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from pathlib import Path

import aiohttp

from backend.adapters.lance_holdings import holdings
from backend.adapters.lance_places import live_table_at
from backend.backup.object_store import ObjectBackups
from backend.backup.restore import problems
from backend.cli import parser
from backend.cli.backup import backup
from backend.cli.reindex import reindex
from backend.settings import Settings
from tests.e2e.topology import KEY, Topology

PATIENCE = 120.0
GATE = {"id": "gate", "title": "Gate", "text": "# Gate\n\nThe north gate closes at nine in the evening."}
ASK = {"question": "When does the north gate close?", "audience": {"channel": "C1", "user": "U9"}}
"""What somebody asks who will be forgotten."""


async def care_is_taken_beside_backends_at_work(running: Topology, folder: Path) -> None:
    """Of the backends that run. The index has another live table at the end."""
    one, *others = [backend.http for backend in running.backends if backend.program is not None]
    async with asyncio.timeout(PATIENCE):
        while running.postgres.execute("SELECT count(*) FROM documents WHERE attempt <> ''") != [(0,)]:  # noqa: ASYNC110
            await asyncio.sleep(0.3)
    async with one.post("/ingest?wait=true", json=GATE) as reply:
        assert reply.status == 200
    over = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        asking = [group.create_task(asked(http, over)) for http in (one, *others)]
        await the_index_is_built_anew(settings(running, folder), one, others)
        await all_is_backed_up_and_restored(running, settings(running, folder), folder)
        over.set()
    assert min(task.result() for task in asking) > 0
    await a_person_is_forgotten_by_all(one, others)


def settings(running: Topology, folder: Path) -> Settings:
    """Return the settings of somebody on a machine of their own, where the model has been before."""
    models = folder / "admin" / "models"
    if not models.exists():
        models.parent.mkdir()
        models.symlink_to(folder / f"data-{running.backends[-1].number}" / "models")
    return Settings.model_validate(
        {
            "data_dir": folder / "admin",
            "api_key": KEY,
            "database_url": running.postgres.url(),
            "index_uri": running.store.uri("index"),
            "blobs_uri": running.store.uri("blobs"),
            "storage_options": running.store.options,
            "backups": running.store.uri("backups"),
        }
    )


async def asked(http: aiohttp.ClientSession, over: asyncio.Event) -> int:
    """Ask until told to end; each time the answer is there. Return how often."""
    count = 0
    while not over.is_set():
        async with http.post("/search", json={"question": ASK["question"], "limit": 8}) as reply:
            assert reply.status == 200, await reply.text()
            assert any("at nine" in passage["text"] for passage in (await reply.json())["passages"])
        count += 1
        await asyncio.sleep(0.5)
    return count


async def the_index_is_built_anew(
    chosen: Settings, one: aiohttp.ClientSession, others: list[aiohttp.ClientSession]
) -> None:
    before = await holdings(chosen.index_uri or "", chosen.storage_options)
    building = asyncio.create_task(reindex(chosen, parser().parse_args(["reindex"])))
    async with one.post("/ingest?wait=true", json={**GATE, "id": "meanwhile", "title": "Meanwhile"}) as reply:
        assert reply.status == 200, await reply.text()
    assert await asyncio.wait_for(building, PATIENCE) == 0
    assert await live_table_at(chosen.index_uri or "", chosen.storage_options) == "chunks-2"
    async with others[0].delete("/documents/meanwhile") as reply:
        assert reply.status == 200, await reply.text()
    for http in (one, *others):
        async with http.post("/search", json={"question": ASK["question"], "limit": 8}) as reply:
            assert {passage["document_id"] for passage in (await reply.json())["passages"]} >= {"gate"}
            assert "meanwhile" not in {passage["document_id"] for passage in (await reply.json())["passages"]}
    assert await holdings(chosen.index_uri or "", chosen.storage_options) == before


async def all_is_backed_up_and_restored(running: Topology, chosen: Settings, folder: Path) -> None:
    now = datetime.now(UTC)
    assert await asyncio.to_thread(backup, chosen, parser().parse_args(["backup", "create"]), now=now) == 0
    store = ObjectBackups.open(str(chosen.backups), chosen.storage_options)
    (manifest,) = store.manifests()
    assert (manifest.table, list(problems(manifest, store)), manifest.lost) == ("chunks-2", [], ())
    running.postgres.execute("CREATE DATABASE restored")
    index, blobs = (running.store.uri(f"restored-{name}") for name in ("index", "blobs"))
    typed = ["backup", "restore", "--into", str(folder / "restored"), "--database", running.postgres.url("restored")]
    wanted = parser().parse_args([*typed, "--index", index, "--blobs", blobs])
    assert await asyncio.to_thread(backup, chosen, wanted, now=now) == 0
    counted = "SELECT count(*) FROM documents WHERE status = 'ready' AND same_as = ''"
    restored = await holdings(index, chosen.storage_options)
    assert running.postgres.execute(counted, "restored") == [(len(restored),)]


async def a_person_is_forgotten_by_all(one: aiohttp.ClientSession, others: list[aiohttp.ClientSession]) -> None:
    """Each backend has the answer in its memory: it is not there any more soon after one was told to forget."""
    for http in (one, *others):
        await cached(http)
    assert {await cached(http) for http in (one, *others)} == {"l1"}
    async with one.delete("/people/U9", params={"team": "local"}) as reply:
        assert (await reply.json())["runs"] > 0
    for http in others:
        async with asyncio.timeout(PATIENCE):
            while await cached(http) == "l1":  # noqa: ASYNC110 - another process's state
                await asyncio.sleep(0.5)


async def cached(http: aiohttp.ClientSession) -> str:
    async with http.post("/query", json=ASK) as reply:
        assert reply.status == 200, await reply.text()
        return str((await reply.json())["metadata"]["cache"])
