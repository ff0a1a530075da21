"""Insights over HTTP, as JSON and as a page, and replays: who may see them, and what they never show."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import aiohttp
import msgspec
import pytest

from backend.api.insights import password
from backend.domain import Document, Origin, Visibility
from backend.evaluate.history import PastRun
from backend.experiments import Experiment, Plan
from bot.client import Figures
from tests.browser import needs_browser, page_at
from tests.fakes.server import ADMIN, ASK, Backend, running

NOW = datetime.now(UTC)
PLAN = Plan(
    {"answer": "answer@v1"},
    (Experiment("brief", (("answer@v1", 1), ("answer@v2", 1)), 1.0, NOW - timedelta(days=9)),),
)
NASTY = "<script>alert(1)</script> & <!channel> “parking”?"


@pytest.fixture
async def backend() -> AsyncIterator[Backend]:
    async with running(plan=PLAN) as started:
        for one in (
            document("leave", "Leave & <b>pay</b>"),
            document("old", "Old map"),
            document("gone", "Secret plan"),
        ):
            await started.documents.put(one)
        await started.documents.put(replace(document("theirs", "Their secret"), team="T2"))
        await started.ingest.remove("local", "gone")
        started.history.past += [("local", run) for run in past()] + [("T2", asked("x", "Their question?"))]
        yield started


def document(document_id: str, title: str) -> Document:
    return Document("local", document_id, Origin(), title, "", Visibility(), "ready", NOW, NOW)


def asked(run_id: str, question: str, **more: object) -> PastRun:
    run = PastRun(
        run_id, NOW - timedelta(hours=1), "answered", question, thread=run_id, prompt="answer@v1", total_ms=80
    )
    return replace(run, **more)  # type: ignore[arg-type]


def past() -> list[PastRun]:
    """Forty questions about leave, of an experiment; parking, which nobody documented; and one that was asked alone."""
    arms = ("answer@v1", "answer@v2")
    liked = [
        asked(
            f"r{n}",
            "How much leave?",
            experiment="brief",
            arm=arms[n % 2],
            prompt=arms[n % 2],
            cited=("leave", "gone"),
            ratings=(1 if n % 4 or n % 3 else -1,),
            cost=0.002,
        )
        for n in range(80)
    ]
    parking = [asked(f"p{n}", "Where may I park?", outcome="abstained", nearest="old") for n in range(3)]
    alone = asked("d1", "Am I being fired?", outcome="abstained", private=True, nearest="gone")
    return [*liked, *parking, alone, asked("n1", NASTY, ratings=(-1,))]


async def seen(backend: Backend, path: str = "/insights", **query: str) -> dict[str, object]:
    async with backend.http.get(path, params=query) as reply:
        assert reply.status == 200, await reply.text()
        body: dict[str, object] = await reply.json()
        return body


async def test_insights_tell_outcomes_gaps_prompts_and_documents(backend: Backend) -> None:
    told = await seen(backend)
    assert told["outcomes"] == {"answered": 81, "abstained": 4, "failed": 0}
    assert told["runs"] == 85
    gaps = told["gaps"]
    assert isinstance(gaps, list)
    parking = next(gap for gap in gaps if "Where may I park?" in gap["questions"])
    assert (parking["abstained"], parking["nearest"]) == (3, "Old map")
    prompts = told["prompts"]
    assert isinstance(prompts, list)
    assert {one["prompt"] for one in prompts} == {"answer@v1", "answer@v2"}
    assert told["cited"] == [{"document_id": "leave", "title": "Leave & <b>pay</b>", "runs": 80}]
    assert told["uncited"] == [{"document_id": "old", "title": "Old map"}]


async def test_what_was_asked_alone_is_counted_and_not_shown(backend: Backend) -> None:
    told = await seen(backend)
    gaps = told["gaps"]
    assert isinstance(gaps, list)
    alone = next(gap for gap in gaps if gap["private"])
    assert alone["questions"] == []
    assert "fired" not in str(told)


async def test_the_bot_reads_its_figures_from_the_insights(backend: Backend) -> None:
    figures = msgspec.convert(await seen(backend), Figures)
    assert (figures.days, figures.runs, figures.outcomes["answered"]) == (30, 85, 81)
    assert 0 <= figures.liked.hits <= figures.liked.of


async def gaps(backend: Backend, *channels: str) -> list[dict[str, object]]:
    async with backend.http.post("/gaps", json={"channels": channels, "days": 7}) as reply:
        assert reply.status == 200, await reply.text()
        found: list[dict[str, object]] = (await reply.json())["gaps"]
        return found


async def test_a_gaps_questions_are_shown_to_those_who_read_where_they_were_asked(backend: Backend) -> None:
    lost = [asked(f"h{n}", "Who is let go?", outcome="abstained", channel=where) for n, where in enumerate("HHD")]
    alone = asked("h9", "Who is let go, me?", outcome="abstained", channel="H", private=True)
    backend.history.past += [("local", run) for run in (*lost, alone)]
    (here,) = [gap for gap in await gaps(backend, "H") if gap["questions"]]
    assert (here["questions"], here["abstained"], here["elsewhere"]) == (["Who is let go?"], 4, 2)
    assert [gap["questions"] for gap in await gaps(backend)] == [[]] * len(await gaps(backend))
    assert "Secret plan" not in str(await gaps(backend, "H"))


async def test_gaps_need_the_admin_role(backend: Backend) -> None:
    async with backend.http.post("/gaps", json={}, headers={"X-API-Key": ASK}) as reply:
        assert reply.status == 403


async def test_prompts_are_told_to_whoever_may_ask(backend: Backend) -> None:
    async with backend.http.get("/prompts", headers={"X-API-Key": ASK}) as reply:
        assert await reply.json() == {"prompts": []}


@pytest.mark.parametrize("path", ["/insights", "/insights/"])
async def test_no_other_teams_and_no_removed_document_is_named(backend: Backend, path: str) -> None:
    async with backend.http.get(path) as reply:
        text = await reply.text()
    assert "Secret plan" not in text
    assert "Their" not in text


async def test_an_experiment_is_told_with_its_verdict(backend: Backend) -> None:
    experiments = (await seen(backend))["experiments"]
    assert isinstance(experiments, list)
    assert [arm["threads"] for arm in experiments[0]["arms"]] == [40, 40]
    assert experiments[0]["comparisons"][0]["verdict"] == "no difference shown"


async def test_insights_need_the_admin_role(backend: Backend) -> None:
    for path, status in (("/insights", 403), ("/insights/", 401), ("/insights/page", 401)):
        async with backend.http.get(path, headers={"X-API-Key": ASK}) as reply:
            assert reply.status == status
            assert "park" not in await reply.text()
    async with aiohttp.ClientSession(backend.url) as nobody, nobody.get("/insights/") as reply:
        assert reply.status == 401
        assert reply.headers["WWW-Authenticate"].startswith("Basic ")
    async with (
        aiohttp.ClientSession(backend.url) as person,
        person.get("/insights/", headers={"Authorization": aiohttp.encode_basic_auth("anna", ADMIN)}) as reply,
    ):
        assert reply.status == 200


@pytest.mark.parametrize("header", ["", "Basic", "Basic !!", "Bearer x", "Basic /w=="])
def test_a_header_that_holds_no_password_gives_none(header: str) -> None:
    assert not password(header)


async def test_the_page_loads_nothing_and_escapes_everything(backend: Backend) -> None:
    async with backend.http.get("/insights/") as reply:
        text, policy = await reply.text(), reply.headers["Content-Security-Policy"]
        assert reply.headers["Cache-Control"] == "no-store"
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "<script" not in text
    assert "&lt;script&gt;" in text
    assert "<b>pay" not in text
    assert not re.search(r"(?:src|href)=[\"']?(?:https?:)?//", text)
    assert not re.search(r"\son\w+=|\sstyle=", text)
    nonce = re.findall(r"nonce-([\w-]+)'", policy)
    assert nonce == re.findall(r'<style nonce="([\w-]+)"', text)


async def test_wrong_parameters_are_refused(backend: Backend) -> None:
    for query in ({"days": "0"}, {"days": "9999"}, {"team": "<x>"}):
        async with backend.http.get("/insights", params=query) as reply:
            assert reply.status == 400


@needs_browser
async def test_the_page_is_readable_and_its_policy_is_kept(backend: Backend, tmp_path: Path) -> None:
    async with page_at("about:blank", width=1100) as page:
        said: list[str] = []
        page.on("console", lambda message: said.append(message.text))
        await page.set_extra_http_headers({"X-API-Key": ADMIN})
        await page.goto(f"{backend.url}/insights/")
        assert await page.locator("h1").inner_text() == "Insights"
        assert await page.locator("svg").count() > 5
        assert await page.evaluate("getComputedStyle(document.querySelector('.card')).borderRadius") == "8px"
        for width in (1100, 400):
            await page.set_viewport_size({"width": width, "height": 800})
            assert await page.evaluate("document.documentElement.scrollWidth") <= width
        await page.set_viewport_size({"width": 1100, "height": 800})
        await page.screenshot(path=tmp_path / "insights.png", full_page=True)
        assert [line for line in said if "favicon" not in line and "404" not in line] == []


# ------------------------------------------------------------------------------------------- experiments and replays


async def test_a_threads_question_gets_its_arm_and_keeps_it(backend: Backend) -> None:
    for thread in ("T1:C1:1.1", "T1:C1:1.1", "T1:C1:2.2", "T1:C1:3.3", "T1:C1:4.4"):
        async with backend.http.post("/query", json={"question": "q", "thread": thread}) as reply:
            assert reply.status == 200
    first, again, *others = backend.pipeline.asked
    assert (first.prompt, first.experiment) == (again.prompt, "brief")
    assert {one.prompt for one in (first, *others)} == {"answer@v1", "answer@v2"}


async def test_who_names_a_prompt_or_no_thread_takes_no_part(backend: Backend) -> None:
    for more in ({"prompt": "answer@v1", "thread": "T1:C1:1.1"}, {}):
        async with backend.http.post("/query", json={"question": "q", **more}) as reply:
            assert reply.status == 200
    assert [one.experiment for one in backend.pipeline.asked] == ["", ""]


async def test_a_replay_asks_the_same_of_the_same_readers(backend: Backend) -> None:
    body = {
        "question": "And in Berlin?",
        "audience": {"channel": "C1", "user": "U1", "private": True, "channels": ["C2"]},
        "history": [{"role": "user", "text": "How much leave?"}],
        "filter": {"op": "gte", "field": "published_at", "value": "2026-01-01"},
        "limit": 3,
        "thread": "T1:C1:1.1",
    }
    async with backend.http.post("/query", json=body) as reply:
        run_id = (await reply.json())["run_id"]
    async with backend.http.post(f"/runs/{run_id}/replay", json={"prompt": "answer@v2"}) as reply:
        answer = await reply.json()
    assert answer["run_id"] != run_id
    first, again = backend.pipeline.asked
    assert again == replace(first, prompt="answer@v2", thread=None, experiment="", replay_of=run_id)


async def test_a_replay_leaves_out_what_was_removed_since(backend: Backend) -> None:
    await backend.documents.put(document("handbook", "Handbook"))
    history = [{"role": "user", "text": "Leave?"}, {"role": "assistant", "text": "25 days."}]
    async with backend.http.post("/query", json={"question": "q", "history": history}) as reply:
        run_id = (await reply.json())["run_id"]
    await backend.ingest.remove("local", "handbook")
    async with backend.http.post(f"/runs/{run_id}/replay") as reply:
        assert reply.status == 200
    assert [turn.text for turn in backend.pipeline.asked[-1].history] == ["Leave?"]


async def test_a_replay_needs_the_admin_role_and_a_run(backend: Backend) -> None:
    async with backend.http.post("/runs/nothing/replay", headers={"X-API-Key": ASK}) as reply:
        assert reply.status == 403
    async with backend.http.post("/runs/nothing/replay") as reply:
        assert reply.status == 404
