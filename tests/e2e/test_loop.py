"""The whole loop as its user lives it: real backend, real bot, local Slack; once over HTTP and once in a browser."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import aiohttp
import pytest
import pytest_asyncio
from aiohttp import web
from playwright.async_api import expect

from backend.query.small_talk import WELCOME
from tests.browser import needs_browser, page_at
from tests.e2e.processes import Footnote, footnote
from tests.e2e.test_collections import opened_site
from tests.fakes.documents import pdf
from tests.fakes.slack_driver import Json, Reply, SlackDriver, walk
from tests.unit.test_discover import packed

pytestmark = [pytest.mark.e2e, pytest.mark.asyncio(loop_scope="module")]

GENERAL = "C_GENERAL"
QUESTION = "What happens when the documents do not answer?"
PAGE = """<html><head><title>Parking</title></head><body><article><h1>Parking at the office</h1>
<p>The car park behind the building belongs to us and has room for forty cars.</p>
<p>Visitors park on level two and show their badge at the barrier, which opens at seven in the morning.</p>
<p>Bicycles stand in the yard; the key for the pump hangs at the reception.</p></article></body></html>"""


@asynccontextmanager
async def website(
    content: str | bytes, path: str = "/parking", media_type: str = "text/html", *, seen: asyncio.Event | None = None
) -> AsyncIterator[str]:
    """Serve one document on loopback, once `seen` is set where it is given; yield its address."""

    async def page(_: web.Request) -> web.Response:
        if seen is not None:
            await seen.wait()
        body = content if isinstance(content, bytes) else content.encode()
        return web.Response(body=body, content_type=media_type)

    application = web.Application()
    application.router.add_get(path, page)
    runner = web.AppRunner(application)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}{path}"
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


def said(*words: str) -> Callable[[Json], bool]:
    """Whether one message, be it for one person only, holds all these words."""
    return lambda state: any(
        all(word in str(message) for word in words) for message in [*state["messages"], *state["ephemerals"]]
    )


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

        await ana.post(GENERAL, "thanks!", thread_ts=ts)
        polite = await ana.reply(GENERAL, ts, n=3)
        assert polite.text.strip() == WELCOME
        assert polite.elements("feedback_buttons") == []  # there was no run, so there is nothing to rate


async def test_a_linked_page_is_ingested_asked_about_and_removed(running: Footnote) -> None:
    async with SlackDriver(running.page_url) as ana, website(PAGE) as url:
        await ana.connected()
        await ana.command("/ingest", url)
        await ana.until(said(url, "✅ ready"), within=60, what="ready document")

        ts = await ana.post(GENERAL, "@Footnote Where do visitors park?")
        answer = await ana.reply(GENERAL, ts)
        assert "Visitors park on level two" in answer.text
        assert f"{url}#:~:text=" in answer.all_text

        (document,) = [one for one in await ready_documents(running) if one["url"] == url]
        await ana.command("/docs", f"remove {document['document_id']}")
        await ana.until(said("Removed", str(document["title"])), within=30, what="word about the removal")
        ts = await ana.post(GENERAL, "@Footnote Where do visitors park?")
        assert "level two" not in (await ana.reply(GENERAL, ts)).text


BOATS = pdf("Rowing boats are lent at the northern jetty.", "The boat house opens on the second of April.")


async def test_a_linked_pdf_is_watched_listed_asked_about_and_removed(running: Footnote) -> None:
    watched = asyncio.Event()
    async with (
        SlackDriver(running.page_url) as ana,
        website(BOATS, "/boats.pdf", "application/pdf", seen=watched) as url,
    ):
        await ana.connected()
        await ana.command("/ingest", url)
        await ana.until(said(url, "⏳ fetching"), within=30, what="progress")
        watched.set()
        await ana.until(said(url, "✅ ready"), within=60, what="ready document")
        await ana.command("/docs", "search boats")
        await ana.until(said(url, "*1 document*", "✅ ready"), within=30, what="document in the list")

        question = "@Footnote When does the boat house open?"
        answer = await ana.reply(GENERAL, await ana.post(GENERAL, question))
        assert "second of April" in answer.text, answer.all_text
        assert f"{url}#page=1" in answer.all_text, [answer.all_text]

        (document,) = [one for one in await ready_documents(running) if one["url"] == url]
        await ana.command("/docs", f"remove {document['document_id']}")
        await ana.until(said("Removed", str(document["title"])), within=30, what="word about the removal")
        assert "second of April" not in (await ana.reply(GENERAL, await ana.post(GENERAL, question))).all_text
        await ana.command("/docs", "search boats")
        await ana.until(said("Nothing matches that"), within=30, what="a list without it")


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
        await ana.until(said("Swimming pool", "✅ ready"), within=60, what="ready file")
        root = await ana.post("C_HR", "When do the new lockers for bicycles arrive?")
        await ana.post("C_HR", "The bicycle lockers arrive on the ninth of March.", thread_ts=root)
        await ana.shortcut("ingest_thread", channel="C_HR", ts=root)
        taken = await ana.reply("C_HR", root)
        await ana.until(said(taken.ts, "document_remove"), within=60, what="ready thread")

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
        await ana.until(said(site.url, "3 of 3 documents ready"), within=60, what="ready site")
        answer = await ana.reply(GENERAL, await ana.post(GENERAL, "@Footnote Where do the bicycles stand?"))
        assert "northern gate" in answer.text
        await ana.command("/docs", "search bicycles")
        await ana.until(lambda state: "bicycles" in str(state["ephemerals"]), what="document in the list")


ARCHIVE = packed(
    [
        ("house/sauna.md", b"# Sauna\n\nThe sauna of the office is heated on Thursdays from five in the afternoon."),
        ("house/roof.html", b"<h1>Roof terrace</h1><p>The roof terrace closes when the wind blows at fifty knots.</p>"),
        ("house/logo.png", b"no page"),
    ]
)


async def test_an_archive_that_is_shared_is_ingested_asked_about_and_removed(running: Footnote) -> None:
    async with SlackDriver(running.page_url) as ana:
        await ana.connected()
        shared = await ana.upload(
            "C_HR", "house.zip", ARCHIVE, mimetype="application/zip", text="@Footnote ingest this"
        )
        await ana.until(said("house.zip", "2 of 2 documents ready"), within=60, what="ready archive")
        assert "house.zip" in (await ana.reply("C_HR", shared)).all_text
        answer = await ana.reply("C_HR", await ana.post("C_HR", "@Footnote On which day is the sauna heated?"))
        assert "Thursdays" in answer.text, answer.all_text
        elsewhere = await ana.reply(GENERAL, await ana.post(GENERAL, "@Footnote On which day is the sauna heated?"))
        assert "Thursdays" not in elsewhere.text

        (sauna,) = [one for one in await ready_documents(running) if one["title"] == "Sauna"]
        await ana.command("/docs", f"remove {sauna['document_id']}", channel="C_HR")
        await ana.until(said("Removed", "Sauna"), within=30, what="word about the removal")
        answer = await ana.reply("C_HR", await ana.post("C_HR", "@Footnote On which day is the sauna heated?"))
        assert "Thursdays" not in answer.text
        answer = await ana.reply("C_HR", await ana.post("C_HR", "@Footnote When does the roof terrace close?"))
        assert "fifty knots" in answer.text


async def test_an_address_that_is_not_public_is_refused_in_words(running: Footnote) -> None:
    async with SlackDriver(running.page_url) as ana:
        await ana.connected()
        await ana.command("/ingest", "http://169.254.169.254/latest/meta-data/")
        await ana.until(said("169.254", "is a private address"), within=30, what="refusal")
    assert all("169.254" not in str(one["url"]) for one in await ready_documents(running))


async def test_a_channels_tags_limit_what_is_found_and_what_was_not_is_a_gap(running: Footnote) -> None:
    async with SlackDriver(running.page_url) as ana:
        await ana.connected()
        for tags, is_found in (("no-such-tag", False), ("Welcome", True), ("", True)):
            await ana.command("/footnote", "config", channel="C_HR")
            view = await ana.modal()
            assert await ana.submit(view["id"], {"tags": {"tags": {"value": tags}}}) == {}
            await ana.close((await ana.modal())["id"])  # it says that this was saved
            answer = await ana.reply("C_HR", await ana.post("C_HR", f"@Footnote {QUESTION}"))
            assert ("says so instead of guessing" in answer.text) is is_found, answer.all_text
        await ana.command("/footnote", "status")
        await ana.until(lambda state: "Search index" in str(state["ephemerals"]), what="status in parts")
        await ana.command("/footnote", "gaps")
        await ana.until(lambda state: f"“{QUESTION}”" in str(state["ephemerals"]), what="the question among the gaps")


async def test_a_question_while_the_backend_is_down_is_answered_once_it_is_back(running: Footnote) -> None:
    async with SlackDriver(running.page_url, user="U_BEN") as ben:
        await ben.connected()
        await running.backend.stop(kill=True)
        ts = await ben.post(GENERAL, "@Footnote How do I rate an answer?")
        await ben.until(
            lambda state: any(m.get("thread_ts") == ts for m in state["messages"][1:]), within=30, what="any word"
        )
        waiting = (await ben.replies(GENERAL, ts))[-1]
        assert "as soon as" in waiting.all_text, waiting.all_text
        await running.start_backend()
        await ben.until(
            lambda state: "react to it with" in str([m for m in state["messages"] if m.get("thread_ts") == ts]),
            within=90,
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
