"""The drill: back up while documents come in, lose the machine, restore elsewhere, and get the same answers."""

from __future__ import annotations

import asyncio
import shutil
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from backend.cli import parser
from backend.cli.backup import backup
from backend.settings import Settings
from tests.e2e.test_backend import started
from tests.faults.kills import Plan, check_rows, rows_of, text_of

pytestmark = pytest.mark.e2e

SMALL = Plan(documents=0, kills=0, sections=3, words=40, longest=0)
CITIES = ("Lisbon", "Porto", "Braga")
DOORS = {
    city: f"# {city}\n\nThe office in {city} opens at {hour}:15 in the morning.\n"
    for hour, city in enumerate(CITIES, 7)
}


async def run(folder: Path, *arguments: str) -> None:
    settings = Settings.model_validate({"data_dir": folder / "data", "backups": str(folder / "backups")})
    wanted = parser().parse_args(["backup", *arguments])
    assert await asyncio.to_thread(backup, settings, wanted, now=datetime.now(UTC)) == 0


async def answers(http: aiohttp.ClientSession) -> list[tuple[str, list[str]]]:
    """Return what is answered about every city, with the quotes."""
    found = []
    for city in CITIES:
        async with http.post("/query", json={"question": f"When does the office in {city} open?"}) as reply:
            answer: dict[str, Any] = await reply.json()
            found.append((answer["answer"], [one["quote"] for one in answer["citations"]]))
    return found


async def ingest(http: aiohttp.ClientSession, name: str, text: str, wait: str) -> None:
    async with http.post("/ingest", params={"wait": wait}, json={"id": name, "title": name, "text": text}) as reply:
        assert reply.status < 300


async def keep_on(http: aiohttp.ClientSession) -> None:
    """Hand in documents of several chunks for ever, and remove every third again."""
    number = 0
    while True:
        await ingest(http, f"d{number}", text_of(number, SMALL), "false")
        if number % 3 == 2:
            async with http.delete(f"/documents/d{number - 1}") as reply:
                assert reply.status < 300
        number += 1
        await asyncio.sleep(0.25)


async def settled(http: aiohttp.ClientSession) -> list[dict[str, Any]]:
    """Wait until no document is under way; return them all."""
    async with asyncio.timeout(120):
        while True:
            async with http.get("/documents", params={"limit": "200"}) as reply:
                documents: list[dict[str, Any]] = (await reply.json())["documents"]
            if all(one["status"] == "ready" for one in documents):
                return documents
            await asyncio.sleep(0.2)


async def test_what_is_backed_up_under_load_is_restored_elsewhere_with_the_same_answers(tmp_path: Path) -> None:
    key = "a-key-for-tests-only"
    headers = {"X-API-Key": key}
    program, url = await started(tmp_path, FOOTNOTE_API_KEY=key)
    try:
        async with aiohttp.ClientSession(url, headers=headers) as http:
            for city, text in DOORS.items():
                await ingest(http, city, text, "true")
            original = await answers(http)
            load = asyncio.create_task(keep_on(http))
            for kind in ((), ("--full",), ()):
                await asyncio.sleep(1)
                await run(tmp_path, "create", *kind)
            assert not load.done(), load.exception()
            load.cancel()
            await asyncio.wait([load])
    finally:
        await program.stop(kill=True)
    await run(tmp_path, "verify")
    shutil.rmtree(tmp_path / "data")
    await run(tmp_path, "restore", "--into", str(tmp_path / "elsewhere" / "data"))

    program, url = await started(tmp_path / "elsewhere", FOOTNOTE_API_KEY=key)
    try:
        async with aiohttp.ClientSession(url, headers=headers) as http:
            assert await answers(http) == original
            documents = await settled(http)
            assert await answers(http) == original
    finally:
        await program.stop()
    assert [len(quotes) for _, quotes in original] == [1, 1, 1]
    rows = await rows_of(tmp_path / "elsewhere" / "data" / "index")
    numbered = [one for one in documents if one["document_id"] not in CITIES]
    assert len(numbered) > 1
    check_rows([row for row in rows if row["document_id"] not in CITIES], numbered)
