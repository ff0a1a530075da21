"""The index is built anew beside a backend at work: killed in the middle, begun again, changed over to, and back."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from backend import app
from backend.adapters.lance_tables import live_table, tables_in
from backend.cli import parser
from backend.cli.mend import look
from backend.cli.reindex import reindex
from backend.settings import Settings
from tests.e2e.processes import start
from tests.e2e.test_backend import started

pytestmark = pytest.mark.e2e

KEY = "a-key-for-tests-only"
ROOMS = 40
QUESTION = "Which colour has the door of room {}?"


async def ingest(http: aiohttp.ClientSession, number: int, wait: str = "true") -> None:
    body = {
        "id": f"room-{number}",
        "title": f"Room {number}",
        "text": f"The door of room {number} has colour C{number}.",
    }
    async with http.post("/ingest", params={"wait": wait}, json=body) as reply:
        assert reply.status < 300, await reply.text()


async def colour(http: aiohttp.ClientSession, number: int) -> bool:
    """Return whether the colour of a room's door is found."""
    async with http.post("/search", json={"question": QUESTION.format(number), "limit": 8}) as reply:
        assert reply.status == 200, await reply.text()
        found: dict[str, Any] = await reply.json()
    return any(f"colour C{number}." in passage["text"] for passage in found["passages"])


async def asked_on(http: aiohttp.ClientSession, numbers: Sequence[int]) -> int:
    """Ask about these rooms until cancelled; every answer has to be there."""
    while True:
        for number in numbers:
            assert await colour(http, number), number
            await asyncio.sleep(0.02)


async def reindexed(folder: Path, *arguments: str) -> None:
    """Run the command beside the backend, in this process: that saves starting one more."""
    settings = Settings.model_validate({"data_dir": folder / "data"})
    assert await asyncio.wait_for(reindex(settings, parser().parse_args(["reindex", *arguments])), 120) == 0


async def killed_in_the_middle(folder: Path) -> None:
    environment = {"FOOTNOTE_DATA_DIR": str(folder / "data")}
    program = await start("killed", "backend", "reindex", environment=environment, folder=folder)
    data = folder / "data" / "index" / "chunks-2.lance" / "data"
    async with asyncio.timeout(120):
        while not (data.is_dir() and any(data.iterdir())):
            assert program.process.returncode is None, program.tail()
            await asyncio.sleep(0.005)
    await program.stop(kill=True)


async def test_questions_are_answered_while_the_index_is_built_anew_and_nothing_is_lost(tmp_path: Path) -> None:
    program, url = await started(tmp_path, FOOTNOTE_API_KEY=KEY)
    index = tmp_path / "data" / "index"
    try:
        async with aiohttp.ClientSession(url, headers={"X-API-Key": KEY}) as http:
            await asyncio.gather(*(ingest(http, number) for number in range(ROOMS)))
            asking = asyncio.create_task(asked_on(http, range(10, ROOMS)))
            await killed_in_the_middle(tmp_path)
            assert "chunks-2" in tables_in(index)

            again = asyncio.create_task(reindexed(tmp_path, "--from-source"))
            for number in (ROOMS, ROOMS + 1):
                await ingest(http, number)
                async with http.delete(f"/documents/room-{number - ROOMS}") as reply:
                    assert reply.status == 200
            await again
            assert live_table(index) != "chunks"
            await ingest(http, ROOMS + 2)
            assert [await colour(http, number) for number in (0, 1, ROOMS, ROOMS + 1, ROOMS + 2)] == [
                False, False, True, True, True,
            ]  # fmt: skip
            assert await faults(tmp_path) == []

            await reindexed(tmp_path, "--rollback")
            assert live_table(index) == "chunks"
            assert [await colour(http, number) for number in (0, ROOMS + 2)] == [False, True]
            assert await faults(tmp_path) == []
            await reindexed(tmp_path, "--drop-old")
            assert tables_in(index) == ["chunks"]
            assert not asking.done(), asking.exception()
            asking.cancel()
            await asyncio.wait([asking])
    finally:
        assert await program.stop() == 0


async def faults(folder: Path) -> list[str]:
    places = app.Places.of(Settings.model_validate({"data_dir": folder / "data"}))
    async with app.opened_database(places) as database:
        return (await look(places, database)).lines()
