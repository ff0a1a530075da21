"""Past runs as insights read them, from the database: figures and ids, ratings, no replay, no other team's."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from backend.adapters.sql import Database
from backend.adapters.sql_history import SqlHistory
from backend.domain import (
    Audience,
    Citation,
    Document,
    Feedback,
    Origin,
    Passage,
    Query,
    Question,
    Run,
    RunMetadata,
    Visibility,
)
from backend.evaluate.history import PastRun, RunHistory, Titled
from tests.databases import SQL
from tests.fakes.history import FakeHistory
from tests.fakes.state import FakeDocuments

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
PASSAGE = Passage(
    "c1", "d1", "s1", 0, "Title", "https://e.org", "H", "Text.", ((0, 5),), np.zeros((1, 384), np.float32)
)


@pytest.fixture(params=SQL)
async def database(request: pytest.FixtureRequest, database_url: Callable[[str], str]) -> AsyncIterator[Database]:
    opened = Database.open(database_url(request.param))
    yield opened
    await opened.close()


def run(run_id: str, *, team: str = "T1", cited: tuple[str, ...] = ("d1",), **asked: object) -> Run:
    question = replace(
        Question("How long?", team, Audience("C1", "U1", private=True), thread="T1:C1:1.0"),
        **asked,  # type: ignore[arg-type]
    )
    citations = tuple(Citation(n, id, f"c{n}", "Title", "https://e.org", "Text.") for n, id in enumerate(cited, 1))
    metadata = RunMetadata(
        total_ms=12.5, dropped_sentences=2, prompt="answer@v2", prompt_hash="ab", tokens_in=10, tokens_out=5, cost=0.01
    )
    query = Query("how long", team, question.audience)
    return Run(run_id, question, "answered", query, (PASSAGE,), "Text [1].", citations, metadata, NOW)


async def test_a_run_is_read_with_its_figures_and_ratings(database: Database) -> None:
    await database.runs.put(run("r1", cited=("d1", "d2", "d1"), prompt="answer@v2", experiment="e1"))
    await database.feedbacks.put(Feedback("r1", "U1", 1, "button"))
    await database.feedbacks.put(Feedback("r1", "U2", -1, "reaction"))
    (found,) = await SqlHistory(database.engine).runs("T1", NOW, limit=10)
    assert replace(found, ratings=()) == PastRun(
        run_id="r1",
        created_at=NOW,
        outcome="answered",
        question="How long?",
        private=True,
        channel="C1",
        thread="T1:C1:1.0",
        experiment="e1",
        arm="answer@v2",
        prompt="answer@v2",
        prompt_hash="ab",
        model="extractive",
        dropped=2,
        tokens=15,
        cost=0.01,
        total_ms=12.5,
        cited=("d1", "d2"),
        nearest="d1",
    )
    assert sorted(found.ratings) == [-1, 1]
    assert found.liked is None


async def test_only_the_teams_runs_of_the_time_count_and_no_replays(database: Database) -> None:
    await database.runs.put(run("mine"))
    await database.runs.put(run("theirs", team="T2"))
    await database.runs.put(run("again", replay_of="mine"))
    await database.runs.put(replace(run("old"), created_at=NOW - timedelta(days=40)))
    await database.runs.put(run("tried", experiment="e1"))
    history = SqlHistory(database.engine)
    assert {one.run_id for one in await history.runs("T1", NOW - timedelta(days=30), limit=10)} == {"mine", "tried"}
    assert [one.run_id for one in await history.runs("T1", NOW, limit=10, experiment="e1")] == ["tried"]
    assert len(await history.runs("T1", NOW, limit=1)) == 1


async def test_a_run_from_before_there_were_threads_is_read_too(database: Database) -> None:
    await database.runs.put(replace(run("r1", thread=None, cited=()), passages=()))
    (found,) = await SqlHistory(database.engine).runs("T1", NOW, limit=10)
    assert (found.thread, found.cited, found.nearest) == ("", (), "")


@pytest.fixture(params=["sql", "fake"])
async def documents(request: pytest.FixtureRequest, database: Database) -> tuple[FakeDocuments, RunHistory]:
    kept = FakeDocuments()
    rows = [
        document("old", "Old", age=3),
        document("new", "New", age=1),
        document("gone", "Gone", status="deleted"),
        document("twin", "Twin", same_as="old"),
        document("waiting", "Waiting", status="queued"),
        replace(document("other", "Other"), team="T2"),
    ]
    for row in rows:
        await kept.put(row)
        await database.documents.put(row)
    return kept, SqlHistory(database.engine) if request.param == "sql" else FakeHistory(kept)


def document(document_id: str, title: str, *, age: int = 0, **more: object) -> Document:
    made = Document(
        team="T1",
        document_id=document_id,
        origin=Origin(),
        title=title,
        url="",
        visibility=Visibility(),
        status="ready",
        created_at=NOW - timedelta(days=age),
        updated_at=NOW,
    )
    return replace(made, **more)  # type: ignore[arg-type]


async def test_titles_are_of_the_teams_documents_that_are_there(documents: tuple[FakeDocuments, RunHistory]) -> None:
    _, history = documents
    assert await history.titles("T1", ["old", "gone", "other", "unknown"]) == {"old": "Old"}


async def test_what_was_never_cited_can_be_found_and_is_told_oldest_first(
    documents: tuple[FakeDocuments, RunHistory],
) -> None:
    _, history = documents
    assert await history.uncited("T1", [], limit=5) == (2, (Titled("old", "Old"), Titled("new", "New")))
    assert await history.uncited("T1", ["old", "gone", "other"], limit=5) == (1, (Titled("new", "New"),))
    assert await history.uncited("T1", [], limit=1) == (2, (Titled("old", "Old"),))
