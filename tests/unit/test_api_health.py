"""What is said of each part, what to do about it, and that liveness waits for nobody."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from backend.api import vitals
from backend.api.vitals import Finding
from backend.errors import CacheUnavailable, FetchFailed, FetchRefused, LLMUnavailable, TooFast, TooLarge, Unreadable
from backend.ingest.figures import failure_of
from backend.ports import IndexStatus
from backend.telemetry import State, Telemetry
from tests.fakes.server import ADMIN, FakeIndexStatus, running, served

NOW = datetime(2026, 11, 20, tzinfo=UTC)
INDEX = IndexStatus(rows=50_000, unindexed_rows=10, version=3, embedder="e", optimised_at=NOW)


@pytest.mark.parametrize(
    ("finding", "verdict", "says"),
    [
        (vitals.index_finding(INDEX, 4096), "healthy", ""),
        (vitals.index_finding(replace(INDEX, unindexed_rows=20_001)), "degraded", "index not optimised"),
        (vitals.queue_finding(0, None, NOW), "healthy", ""),
        (vitals.queue_finding(9, NOW - timedelta(minutes=14), NOW), "healthy", ""),
        (vitals.queue_finding(9, NOW - timedelta(minutes=16), NOW), "degraded", "FOOTNOTE_INGEST_WORKERS"),
        (vitals.disk_finding(5_000_000_000, 10**12), "healthy", ""),
        (vitals.disk_finding(4_999_999_999, 10**12), "degraded", "soon"),
        (vitals.disk_finding(999_999_999, 10**12), "unhealthy", "any moment"),
        (vitals.models_finding({}), "healthy", ""),
        (vitals.models_finding({"a:443": "closed", "b:443": "open"}), "degraded", "b:443 keeps failing"),
    ],
)
def test_a_part_that_is_not_healthy_comes_with_what_to_do(finding: Finding, verdict: str, says: str) -> None:
    assert finding.verdict == verdict
    assert says in finding.advice
    assert bool(finding.advice) == (verdict != "healthy")


def test_the_whole_is_as_well_as_its_worst_part() -> None:
    assert vitals.worst(["healthy", "unhealthy", "degraded"]) == "unhealthy"
    assert vitals.worst(["healthy", "degraded"]) == "degraded"
    assert vitals.worst([]) == "healthy"


class Stuck(FakeIndexStatus):
    """An index that does not answer."""

    async def status(self) -> IndexStatus:
        await asyncio.Event().wait()
        raise AssertionError


async def test_liveness_answers_at_once_while_the_index_hangs() -> None:
    async with running() as backend, served(replace(backend.services, index=Stuck())) as url:
        async with asyncio.timeout(vitals.PATIENCE / 2), backend.http.get(url + "/health") as reply:
            assert (reply.status, (await reply.json())["index_connected"]) == (200, True)
        async with backend.http.get(url + "/health/ready") as reply:
            assert reply.status == 503
        async with backend.http.get(url + "/health") as reply:
            assert (reply.status, (await reply.json())["index_connected"]) == (200, False)


@pytest.fixture
async def parts() -> AsyncIterator[dict[str, object]]:
    """What is said of a backend whose Redis is down and whose disk is nearly full."""

    async def redis() -> Finding:
        raise CacheUnavailable("Redis cannot be reached.")

    async def disk() -> Finding:
        return vitals.disk_finding(2_000_000_000, 10**12)

    async with (
        running() as backend,
        served(replace(backend.services, checks={"cache_l2": redis, "disk": disk})) as url,
        backend.http.get(url + "/health/detailed", headers={"X-API-Key": ADMIN}) as reply,
    ):
        said: dict[str, object] = await reply.json()
        yield said


async def test_a_cache_that_is_down_degrades_and_makes_nothing_unhealthy(parts: dict[str, object]) -> None:
    components = parts["components"]
    assert isinstance(components, dict)
    assert (parts["status"], parts["verdict"]) == ("degraded", "degraded")
    assert components["cache_l2"]["status"] == "down"
    assert components["cache_l2"]["detail"] == "Redis cannot be reached."
    assert components["cache_l2"]["advice"]
    assert (components["disk"]["status"], components["disk"]["verdict"]) == ("ok", "degraded")
    assert components["index"]["verdict"] == "healthy"


# ------------------------------------------------------------------------------------------------------------ figures


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (FetchRefused("private"), "refused"),
        (FetchFailed("gone", gone=True), "gone"),
        (FetchFailed("later", retry=True), "not_fetched"),
        (Unreadable("empty"), "unreadable"),
        (TooLarge("large"), "too_large"),
        (TooFast("slow down"), "limit"),
        (LLMUnavailable("down"), "unavailable"),
        (ZeroDivisionError(), "unexpected"),
    ],
)
def test_documents_fail_for_one_of_a_few_reasons(error: Exception, reason: str) -> None:
    assert failure_of(error) == reason


def figures(telemetry: Telemetry) -> str:
    return telemetry.render(State({"ready": 2}, INDEX, 3, oldest_seconds=7.5, under_way=1)).decode()


def test_what_has_not_happened_yet_is_0_and_not_missing() -> None:
    telemetry = Telemetry()
    telemetry.expect_prompts(["answer@v1"])
    telemetry.expect_model("writer", ["answer"])
    said = figures(telemetry)
    for series in (
        'footnote_runs_total{outcome="failed"} 0.0',
        'footnote_feedback_total{prompt="answer@v1",rating="down"} 0.0',
        'footnote_llm_retries_total{model="writer"} 0.0',
        'footnote_llm_calls_total{model="writer",outcome="interrupted",role="answer"} 0.0',
        'footnote_ingest_failures_total{reason="unexpected"} 0.0',
        'footnote_ingest_stage_seconds_count{stage="fetch"} 0.0',
        'footnote_documents{status="failed"} 0.0',
        "footnote_ingest_oldest_seconds 7.5",
        "footnote_runs_under_way 1.0",
        "process_resident_memory_bytes",
    ):
        assert series in said


def test_ratings_count_by_prompts_that_are_known() -> None:
    telemetry = Telemetry()
    telemetry.expect_prompts(["answer@v1"])
    for rating, prompt in ((1, "answer@v1"), (-1, ""), (1, "answer@v77"), (1, "answer@v78")):
        telemetry.rated(rating, prompt)
    said = figures(telemetry)
    assert 'footnote_feedback_total{prompt="answer@v1",rating="up"} 1.0' in said
    assert 'footnote_feedback_total{prompt="none",rating="down"} 1.0' in said
    assert 'footnote_feedback_total{prompt="other",rating="up"} 2.0' in said
    assert "v77" not in said
