"""A site and an archive with the real backend: from an address to answers, through a kill -9, and cancelled."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web

from tests.e2e.processes import Program, free_port, start, until_healthy
from tests.fakes.slack_driver import Json
from tests.unit.test_discover import packed

pytestmark = pytest.mark.e2e

ROBOTS = "User-agent: *\nDisallow: /private\n"
FACTS = {
    "parking": "Visitors park on level two and show their badge at the barrier.",
    "bicycles": "Bicycles stand in the yard behind the northern gate.",
    "private": "The vault opens with the number four thousand and twelve.",
}


@dataclass
class Site:
    """A small site without a sitemap. `pause` is how long each page takes; `asked` counts what was fetched."""

    url: str = ""
    pause: float = 0.0
    asked: Counter[str] = field(default_factory=Counter)
    at_once: int = 0
    most_at_once: int = 0

    async def page(self, request: web.Request) -> web.Response:
        name = request.match_info["name"]
        self.asked[name] += 1
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        await asyncio.sleep(self.pause)
        self.at_once -= 1
        if name == "robots.txt":
            return web.Response(text=ROBOTS)
        if name == "docs.zip":
            return web.Response(body=packed([(f"{n}.md", f"# {n}\n\n{fact}".encode()) for n, fact in FACTS.items()]))
        if name and name not in FACTS:
            return web.Response(status=404)
        links = "".join(f'<li><a href="/{fact}">About {fact}</a></li>' for fact in FACTS)
        body = f"<h1>About {name}</h1><p>{FACTS[name]}</p>" if name else f"<h1>House rules</h1><ul>{links}</ul>"
        title = f"<title>{name or 'House rules'}</title>"
        return web.Response(
            text=f"<html><head>{title}</head><body><article>{body}</article></body></html>", content_type="text/html"
        )


@asynccontextmanager
async def opened_site() -> AsyncIterator[Site]:
    site = Site()
    application = web.Application()
    application.router.add_get("/{name:.*}", site.page)
    runner = web.AppRunner(application)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        site.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        yield site
    finally:
        await runner.cleanup()


@dataclass
class Backend:
    """A real backend process that may be killed and started again."""

    folder: Path
    port: int
    program: Program

    @property
    def http(self) -> aiohttp.ClientSession:
        key = (self.folder / "data" / "api-key").read_text().strip()
        return aiohttp.ClientSession(f"http://127.0.0.1:{self.port}", headers={"X-API-Key": key})

    async def restart(self) -> None:
        await self.program.stop(kill=True)
        self.program = await launched(self.folder, self.port)

    async def collect(self, **wish: object) -> str:
        async with self.http as http, http.post("/collections", json=wish) as reply:
            assert reply.status == 202, await reply.text()
            return str((await reply.json())["collection_id"])

    async def told(self, collection_id: str) -> Json:
        async with self.http as http, http.get(f"/collections/{collection_id}") as reply:
            told: Json = await reply.json()
            return told

    async def ended(self, collection_id: str, within: float = 40.0) -> Json:
        async with asyncio.timeout(within):
            while True:
                told = await self.told(collection_id)
                under_way = {"queued", "processing"} & told["counts"].keys()
                if told["status"] not in ("queued", "discovering") and not under_way:
                    return told
                await asyncio.sleep(0.1)

    async def answer(self, question: str) -> str:
        async with self.http as http, http.post("/query", json={"question": question}) as reply:
            return str((await reply.json())["answer"])


async def launched(folder: Path, port: int) -> Program:
    environment = {
        "FOOTNOTE_DATA_DIR": str(folder / "data"),
        "FOOTNOTE_PORT": str(port),
        "FOOTNOTE_FETCH_ALLOW": "127.0.0.1",
    }
    program = await start("backend", "backend", "serve", environment=environment, folder=folder)
    await until_healthy(f"http://127.0.0.1:{port}/health/ready", program)
    return program


@pytest.fixture
async def backend(tmp_path: Path) -> AsyncIterator[Backend]:
    port = free_port()
    running = Backend(tmp_path, port, await launched(tmp_path, port))
    yield running
    await running.program.stop()


async def test_a_site_becomes_documents_that_are_asked_about_except_what_robots_may_not_read(backend: Backend) -> None:
    async with opened_site() as site:
        site.pause = 0.05
        first = await backend.collect(url=site.url + "/")
        told = await backend.ended(first)
        assert (told["status"], told["kind"], told["found"]) == ("discovered", "site", 3)
        assert told["counts"]["ready"] == 3, told
        assert "level two" in await backend.answer("Where do visitors park?")
        assert "four thousand" not in await backend.answer("With which number does the vault open?")
        assert site.asked["private"] == 0
        assert site.most_at_once <= 2
        assert await backend.collect(url=site.url) == first
        assert (await backend.ended(first))["counts"] == told["counts"]


async def test_an_archive_becomes_a_document_per_file_and_knows_them_again(backend: Backend) -> None:
    async with opened_site() as site:
        told = await backend.ended(await backend.collect(url=f"{site.url}/docs.zip"))
        assert (told["kind"], told["counts"]) == ("zip", {"ready": 3})
        assert "northern gate" in await backend.answer("Where do bicycles stand?")
        told = await backend.ended(await backend.collect(url=f"{site.url}/docs.zip"))
        assert told["counts"] == {"ready": 3}


async def test_a_site_is_taken_in_whole_though_the_backend_is_killed_meanwhile(backend: Backend) -> None:
    async with opened_site() as site:
        site.pause = 0.4
        collection_id = await backend.collect(url=site.url + "/")
        async with asyncio.timeout(20):
            while not site.asked["parking"]:  # noqa: ASYNC110 - another program is waited for
                await asyncio.sleep(0.02)
        await backend.restart()
        site.pause = 0.0
        told = await backend.ended(collection_id)
        assert (told["status"], told["counts"]) == ("discovered", {"ready": 3})


async def test_a_cancelled_site_takes_nothing_more_in(backend: Backend) -> None:
    async with opened_site() as site:
        site.pause = 1.0
        collection_id = await backend.collect(url=site.url + "/")
        async with asyncio.timeout(20):
            while not site.asked[""]:  # noqa: ASYNC110 - another program is waited for
                await asyncio.sleep(0.02)
        async with backend.http as http, http.delete(f"/collections/{collection_id}") as reply:
            assert reply.status == 200
        told = await backend.ended(collection_id)
        await asyncio.sleep(2.5)
        assert (await backend.told(collection_id))["status"] == "cancelled"
        assert "ready" not in told["counts"]
        assert "level two" not in await backend.answer("Where do visitors park?")
