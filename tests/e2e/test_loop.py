"""The whole loop as its user lives it: real backend, real bot, local Slack; once over HTTP and once in a browser."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
import pytest
import pytest_asyncio
from aiohttp import web
from playwright.async_api import expect

from tests.browser import needs_browser, page_at
from tests.e2e.processes import Footnote, footnote
from tests.e2e.test_collections import opened_site
from tests.fakes.slack_driver import Json, Reply, SlackDriver, walk

pytestmark = [pytest.mark.e2e, pytest.mark.asyncio(loop_scope="module")]

GENERAL = "C_GENERAL"
QUESTION = "What happens when the documents do not answer?"
PAGE = """<html><head><title>Parking</title></head><body><article><h1>Parking at the office</h1>
<p>The car park behind the building belongs to us and has room for forty cars.</p>
<p>Visitors park on level two and show their badge at the barrier, which opens at seven in the morning.</p>
<p>Bicycles stand in the yard; the key for the pump hangs at the reception.</p></article></body></html>"""


@asynccontextmanager
async def website(text: str) -> AsyncIterator[str]:
    """Serve one page on loopback; yield its address."""

    async def page(_: web.Request) -> web.Response:
        return web.Response(text=text, content_type="text/html")

    application = web.Application()
    application.router.add_get("/parking", page)
    runner = web.AppRunner(application)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/parking"
    finally:
        await runner.cleanup()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def running(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Footnote]:
    folder = tmp_path_factory.mktemp("loop")
    async with footnote(folder, FOOTNOTE_FETCH_ALLOW="127.0.0.1") as started:
        await until_ready(started)
        yield started


async def until_ready(running: Footnote) -> None:
    """Wait until the welcome corpus can be asked about: it is there, and nothing of it is still under way."""
    async with asyncio.timeout(60):
        while True:
            reply = await backend(running, "GET", "/documents")
            if {one["status"] for one in reply["documents"]} == {"ready"}:
                return
            await asyncio.sleep(0.2)


async def ready_documents(running: Footnote) -> list[Json]:
    reply = await backend(running, "GET", "/documents?status=ready")
    return list(reply["documents"])


async def backend(running: Footnote, method: str, path: str) -> Json:
    headers = {"X-API-Key": running.api_key}
    async with (
        aiohttp.ClientSession(running.backend_url, headers=headers) as session,
        session.request(method, path) as reply,
    ):
        body: Json = await reply.json()
        assert reply.status == 200, body
        return body


async def feedback_of(running: Footnote, run_id: str, count: int) -> list[Json]:
    """Return the feedback of a run once there are `count`."""
    async with asyncio.timeout(15):
        while True:
            rows = list((await backend(running, "GET", f"/runs/{run_id}"))["feedback"])
            if len(rows) == count:
                return rows
            await asyncio.sleep(0.1)


def run_of(reply: Reply) -> str:
    (buttons,) = reply.elements("feedback_buttons")
    return str(buttons["positive_button"]["value"]).partition(":")[0]


def quotes_of(reply: Reply) -> list[str]:
    texts = [str(found["text"]) for found in walk(reply.blocks) if found.get("type") == "mrkdwn"]
    return [text.split("\n>“")[1].rstrip("”") for text in texts if "\n>“" in text]


async def test_a_question_is_answered_with_quotes_rated_and_followed_up(running: Footnote) -> None:
    async with SlackDriver(running.page_url) as ana:
        await ana.connected()
        ts = await ana.post(GENERAL, f"@Footnote {QUESTION}")
        answer = await ana.reply(GENERAL, ts)
        assert "says so instead of guessing" in answer.text
        assert "[1]" in answer.text
        run = await backend(running, "GET", f"/runs/{run_of(answer)}")
        passages = " ".join(" ".join(passage["text"].split()) for passage in run["passages"])
        assert quotes_of(answer)
        assert all(" ".join(quote.split()) in passages for quote in quotes_of(answer))

        await ana.react(GENERAL, answer.ts, "+1")
        (row,) = await feedback_of(running, run_of(answer), 1)
        assert (row["user"], row["rating"], row["kind"]) == ("U_ANA", 1, "reaction")
        await ana.react(GENERAL, answer.ts, "+1", add=False)
        await feedback_of(running, run_of(answer), 0)

        await ana.post(GENERAL, "And how do I add a document?", thread_ts=ts)
        followed = await ana.reply(GENERAL, ts, n=2)
        assert "/ingest" in followed.text


async def test_a_linked_page_is_ingested_asked_about_and_removed(running: Footnote) -> None:
    async with SlackDriver(running.page_url) as ana, website(PAGE) as url:
        await ana.connected()
        await ana.command("/ingest", url)
        await ana.until(lambda state: "ready" in str(state["messages"][-1]).lower(), within=30, what="ready document")

        ts = await ana.post(GENERAL, "@Footnote Where do visitors park?")
        answer = await ana.reply(GENERAL, ts)
        assert "Visitors park on level two" in answer.text
        assert f"{url}#:~:text=" in answer.all_text

        (document,) = [one for one in await ready_documents(running) if one["url"] == url]
        await ana.command("/docs", f"remove {document['document_id']}")
        await ana.until(lambda state: bool(state["ephemerals"]), what="word about the removal")
        ts = await ana.post(GENERAL, "@Footnote Where do visitors park?")
        assert "level two" not in (await ana.reply(GENERAL, ts)).text


POOL = b"""# Swimming pool

The swimming pool of the office opens at six in the morning and closes at ten at night.
Towels lie in the basket beside the door; guests swim only on Fridays.
"""


async def test_a_file_and_a_thread_are_ingested_asked_about_and_removed_where_they_were_shared(
    running: Footnote,
) -> None:
    async with SlackDriver(running.page_url) as ana:
        await ana.connected()
        await ana.upload("C_HR", "pool.md", POOL, mimetype="text/markdown", text="@Footnote ingest this")
        await ana.until(lambda state: "ready" in str(state["messages"][-1]).lower(), within=30, what="ready file")
        root = await ana.post("C_HR", "When do the new lockers for bicycles arrive?")
        await ana.post("C_HR", "The bicycle lockers arrive on the ninth of March.", thread_ts=root)
        await ana.shortcut("ingest_thread", channel="C_HR", ts=root)
        taken = await ana.reply("C_HR", root)
        await ana.until(lambda state: "document_remove" in str(state["messages"][-1]), within=30, what="ready thread")

        for question, words in (
            ("When does the swimming pool open?", "six in"),
            ("When do bicycle lockers arrive?", "ninth of"),
        ):
            answer = await ana.reply("C_HR", await ana.post("C_HR", f"@Footnote {question}"))
            assert words in answer.text, answer.all_text
            elsewhere = await ana.reply(GENERAL, await ana.post(GENERAL, f"@Footnote {question}"))
            assert words not in elsewhere.text

        await ana.act(taken, "document_remove")
        await ana.until(lambda state: "Removed" in str(state["ephemerals"]), what="word about the removal")
        answer = await ana.reply("C_HR", await ana.post("C_HR", "@Footnote When do bicycle lockers arrive?"))
        assert "ninth of" not in answer.text


async def test_a_whole_site_is_counted_and_asked_about_from_a_command(running: Footnote) -> None:
    async with SlackDriver(running.page_url) as ana, opened_site() as site:
        await ana.connected()
        await ana.command("/ingest", f"site {site.url}/ pages:10")
        await ana.until(
            lambda state: "3 of 3 documents ready" in str(state["messages"][-1]), within=40, what="ready site"
        )
        answer = await ana.reply(GENERAL, await ana.post(GENERAL, "@Footnote Where do the bicycles stand?"))
        assert "northern gate" in answer.text
        await ana.command("/docs", "search bicycles")
        await ana.until(lambda state: "bicycles" in str(state["ephemerals"]), what="document in the list")


async def test_an_address_that_is_not_public_is_refused_in_words(running: Footnote) -> None:
    async with SlackDriver(running.page_url) as ana:
        await ana.connected()
        await ana.command("/ingest", "http://169.254.169.254/latest/meta-data/")
        await ana.until(lambda state: "is a private address" in str(state["messages"][-1]), within=30, what="refusal")
    assert all("169.254" not in str(one["url"]) for one in await ready_documents(running))


async def test_a_question_while_the_backend_is_down_is_answered_once_it_is_back(running: Footnote) -> None:
    async with SlackDriver(running.page_url, user="U_BEN") as ben:
        await ben.connected()
        await running.backend.stop(kill=True)
        ts = await ben.post(GENERAL, "@Footnote How do I rate an answer?")
        await ben.until(lambda state: any(m.get("thread_ts") == ts for m in state["messages"][1:]), what="any word")
        waiting = (await ben.replies(GENERAL, ts))[-1]
        assert "as soon as" in waiting.all_text, waiting.all_text
        await running.start_backend()
        await ben.until(
            lambda state: "React with" in str([m for m in state["messages"] if m.get("thread_ts") == ts]),
            within=40,
            what="answer after the outage",
        )
        assert len(await ben.replies(GENERAL, ts)) == 1


@needs_browser
async def test_a_newcomer_in_the_browser_asks_checks_rates_and_adds(running: Footnote) -> None:
    async with page_at(running.page_url) as page, website(PAGE.replace("two", "five")) as url:
        problems: list[str] = []
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.on("console", lambda message: problems.append(message.text) if message.type == "error" else None)

        await page.get_by_role("button", name=QUESTION).first.click()
        thread = page.get_by_role("complementary")
        await expect(thread.get_by_text("says so instead of guessing").first).to_be_visible()
        await expect(thread.get_by_text("Quotes only, no model")).to_be_visible()
        await thread.get_by_role("button", name="Good answer").click()
        await expect(thread.get_by_role("button", name="Good answer")).to_have_attribute("aria-pressed", "true")

        await thread.get_by_role("textbox").fill("How do I add a document?")
        await thread.get_by_role("textbox").press("Enter")
        await expect(thread.get_by_text("/ingest followed by its link").first).to_be_visible()
        await page.keyboard.press("Escape")

        composer = page.get_by_role("textbox").first
        await composer.fill(f"/ingest {url}")
        await composer.press("Enter")
        added = page.get_by_role("article").filter(has=page.locator(f'a[href="{url}"]'))
        await expect(added.filter(has_text="✅ ready")).to_be_visible()
        await composer.fill("@Footnote On which level do visitors park?")
        await composer.press("Enter")
        asked = page.get_by_role("article").filter(has_text="On which level do visitors park?")
        await asked.get_by_role("button", name="1 reply").click()
        await expect(thread.get_by_text("Visitors park on level five").first).to_be_visible()
        assert problems == []
