"""Documents follow their sources, as people see it in the local Slack: real backend, real bot, a page that changes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial

import pytest
import pytest_asyncio
from aiohttp import web

from tests.e2e.processes import Footnote, footnote
from tests.fakes.slack_driver import Json, SlackDriver

pytestmark = [pytest.mark.e2e, pytest.mark.asyncio(loop_scope="module")]

GENERAL = "C_GENERAL"
NUMBERS = ["one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"]


@dataclass
class Site:
    """Pages on loopback by path; None is gone. ETags are honoured."""

    url: str = ""
    pages: dict[str, str | None] = field(default_factory=dict)
    statuses: list[int] = field(default_factory=list)

    async def page(self, request: web.Request) -> web.Response:
        text = self.pages.get(request.path)
        etag = f'"{hash(text)}"'
        status = 404 if text is None else 304 if request.headers.get("If-None-Match") == etag else 200
        self.statuses.append(status)
        body = None if status == 304 else f"<html><article><h1>Parking</h1>{text}</article></html>"
        return web.Response(status=status, text=body, content_type="text/html", headers={"ETag": etag})


@asynccontextmanager
async def website() -> AsyncIterator[Site]:
    site = Site()
    application = web.Application()
    application.router.add_get("/{path:.*}", site.page)
    runner = web.AppRunner(application)
    await runner.setup()
    listening = web.TCPSite(runner, "127.0.0.1", 0)
    await listening.start()
    site.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield site
    finally:
        await runner.cleanup()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def running(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Footnote]:
    settings = {"FOOTNOTE_FETCH_ALLOW": "127.0.0.1", "FOOTNOTE_GONE_AFTER": "2s", "FOOTNOTE_NOTICES_EVERY": "0.3"}
    async with footnote(tmp_path_factory.mktemp("current"), **settings) as started:
        yield started


def parking(level: str) -> str:
    return (
        f"<p>Visitors park on level {level} and show their badge at the barrier, which opens at seven.</p>"
        "<p>The car park behind the building belongs to us and has room for forty cars.</p>"
    )


async def listed(ana: SlackDriver, n: int) -> str:
    """What the `n`th private answer says, which is a list."""
    await ana.command("/docs", "search Parking")
    return (await ana.ephemeral(n=n)).all_text


async def answer(ana: SlackDriver) -> str:
    ts = await ana.post(GENERAL, "@Footnote On which level do visitors park?")
    return (await ana.reply(GENERAL, ts, within=30)).text


async def answered(ana: SlackDriver, words: str) -> bool:
    """Ask until the answer says so, a few times."""
    for _ in range(10):
        if words in await answer(ana):
            return True
        await asyncio.sleep(0.5)
    return False


def said_privately(state: Json, words: str) -> bool:
    return any(m["channel"].startswith("D") and words in str(m) for m in state["messages"])


async def test_a_page_is_followed_as_it_changes_and_its_person_is_told_when_it_is_gone(running: Footnote) -> None:
    async with SlackDriver(running.page_url) as ana, website() as site:
        site.pages["/parking"] = parking("two")
        await ana.connected()
        await ana.command("/ingest", f"{site.url}/parking refresh:7d")
        await ana.until(lambda state: "✅ ready" in str(state["messages"]), within=60, what="ready document")
        assert "level two" in await answer(ana)

        first = await listed(ana, 1)
        assert "checked 20" in first
        assert "every 7 days" in first

        await ana.command("/docs", "refresh 1")
        await ana.ephemeral(n=2)
        async with asyncio.timeout(20):
            while 304 not in site.statuses:  # noqa: ASYNC110 - another process asks
                await asyncio.sleep(0.1)

        site.pages["/parking"] = parking("nine")
        await ana.command("/docs", "refresh 1")
        assert await answered(ana, "level nine")

        site.pages["/parking"] = None
        await ana.command("/docs", "refresh 1")
        await ana.until(lambda state: said_privately(state, "is gone"), within=30, what="word about the loss")
        assert "level nine" not in await answer(ana)
        state = await ana.state()
        assert sum("is gone" in str(m) for m in state["messages"]) == 1


async def test_one_text_at_two_addresses_is_one_document_until_one_of_them_is_removed(running: Footnote) -> None:
    async with SlackDriver(running.page_url, user="U_BEN") as ben, website() as site:
        text = "<p>The canteen opens at eleven and serves soup on Mondays. Guests pay by card at the till.</p>"
        site.pages |= {"/canteen": text, "/copy": text}
        await ben.connected()
        for path in site.pages:
            await ben.command("/ingest", site.url + path)
            await ben.until(partial(ready, site.url + path), within=60, what="ready document")
        await ben.command("/docs", "search /copy")
        assert "the same as “Parking”" in (await ben.ephemeral(n=1)).all_text

        ts = await ben.post(GENERAL, "@Footnote When does the canteen open?")
        assert f"{site.url}/canteen#" in (await ben.reply(GENERAL, ts, within=30)).all_text
        await ben.command("/docs", "search /canteen")
        await ben.ephemeral(n=2)
        await ben.command("/docs", "remove 1")
        await ben.ephemeral(n=3)
        ts = await ben.post(GENERAL, "@Footnote When does the canteen open?")
        again = await ben.reply(GENERAL, ts, within=30)
        assert "opens at eleven" in again.text
        assert f"{site.url}/copy#" in again.all_text
        assert "/canteen" not in again.all_text


async def test_what_is_nearly_the_same_is_listed_as_such(running: Footnote) -> None:
    async with SlackDriver(running.page_url, user="U_BEN") as ben, website() as site:
        rules = "".join(f"<p>Boat {word} is lent on {word} mornings.</p>" for word in NUMBERS)
        site.pages |= {
            "/boats": f"{rules}<p>The boat house opens in April.</p>",
            "/boats-last-year": f"{rules}<p>The boat house opened in May.</p>",
        }
        await ben.connected()
        for path in site.pages:
            await ben.command("/ingest", site.url + path)
            await ben.until(partial(ready, site.url + path), within=60, what="ready document")
        await ben.command("/docs", "search /boats")
        state = await ben.until(partial(listing, "/boats-last-year"), within=30, what="both documents in the list")
        assert str(state["ephemerals"]).count("nearly the same as “Parking”") == 1


def listing(words: str, state: Json) -> bool:
    return any(words in str(message) for message in state["ephemerals"])


def ready(url: str, state: Json) -> bool:
    return any(url in str(message) and "✅ ready" in str(message) for message in state["messages"])
