"""What is kept of removed documents, and how it goes: one contract for the adapters and the fakes."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal
from uuid import uuid4

import numpy as np
import pytest

from backend.adapters.blobs import FileBlobs
from backend.adapters.object_blobs import ObjectBlobs
from backend.adapters.sql import Database
from backend.domain import Citation, Passage, Query, Question, Removal, Run, RunMetadata
from backend.ports import BLOB_START, Blobs, Removals, Runs
from backend.redact import WITHHELD
from tests.databases import SQL
from tests.fakes.state import FakeBlobs, FakeRemovals, FakeRuns

NOW = datetime(2026, 11, 20, 12, 0, 0, 123456, tzinfo=UTC)
KINDS: tuple[Literal["real", "fake"], ...] = ("real", "fake")


@dataclass(frozen=True)
class State:
    removals: Removals
    runs: Runs
    blobs: Blobs


@pytest.fixture(params=["fake", *SQL])
async def state(
    request: pytest.FixtureRequest, tmp_path: Path, database_url: Callable[[str], str]
) -> AsyncIterator[State]:
    if request.param == "fake":
        yield State(FakeRemovals(), FakeRuns(), FakeBlobs())
        return
    database = Database.open(database_url(request.param))
    blobs: Blobs = FileBlobs(tmp_path / "blobs")
    if request.param == "postgres":  # who has the one engine has the other
        store = request.getfixturevalue("object_store")
        blobs = ObjectBlobs.open(store.uri(f"blobs-{uuid4().hex}"), store.options)
    yield State(database.removals, database.runs, blobs)
    await database.close()


def run(run_id: str, *documents: str, team: str = "T1", created_at: datetime = NOW) -> Run:
    passages = tuple(
        Passage(f"{one}#0", one, "s", 0, "Title", "", "", "Words.", ((0, 6),), np.zeros((1, 384), np.float32))
        for one in documents
    )
    citations = tuple(Citation(n, one, f"{one}#0", "Title", "", "Words.") for n, one in enumerate(documents, 1))
    return Run(
        run_id, Question("Why?", team), "answered", Query("why", team), passages, "Words [1].", citations,
        RunMetadata(), created_at,
    )  # fmt: skip


def files_in(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


async def test_a_removal_comes_back_as_it_was_put_and_the_newest_counts(state: State) -> None:
    first = Removal("T1", "d", NOW, 7, NOW + timedelta(hours=1), NOW + timedelta(hours=2))
    await state.removals.put(first)
    assert await state.removals.get("T1", "d") == first
    assert await state.removals.get("T2", "d") is None

    again = Removal("T1", "d", NOW + timedelta(days=1))
    await state.removals.put(again)
    assert await state.removals.get("T1", "d") == again


async def test_progress_is_recorded_unless_the_document_was_removed_anew(state: State) -> None:
    removal = Removal("T1", "d", NOW)
    await state.removals.put(removal)
    erased = replace(removal, erased_version=3, erased_at=NOW + timedelta(hours=1))
    await state.removals.advance(erased)
    assert await state.removals.get("T1", "d") == erased

    again = Removal("T1", "d", NOW + timedelta(days=1))
    await state.removals.put(again)
    await state.removals.advance(replace(erased, purged_at=NOW + timedelta(days=2)))
    assert await state.removals.get("T1", "d") == again


async def test_removals_of_a_team_since_a_moment_include_that_moment(state: State) -> None:
    for number in range(3):
        await state.removals.put(Removal("T1", f"d{number}", NOW + timedelta(microseconds=number)))
    await state.removals.put(Removal("T2", "other", NOW + timedelta(hours=1)))

    assert await state.removals.since("T1", NOW + timedelta(microseconds=1)) == {"d1", "d2"}
    assert await state.removals.since("T3", NOW) == frozenset()


async def test_what_is_not_purged_is_listed_over_all_teams_the_earliest_first(state: State) -> None:
    late, early = Removal("T1", "late", NOW + timedelta(hours=1)), Removal("T2", "early", NOW)
    for removal in (late, early, Removal("T1", "gone", NOW, 1, NOW, NOW)):
        await state.removals.put(removal)

    assert await state.removals.unpurged() == (early, late)


async def test_redacting_takes_the_words_out_of_older_traces_only(state: State) -> None:
    await state.runs.put(run("before", "a", "b"))
    await state.runs.put(run("after", "a", created_at=NOW + timedelta(hours=2)))
    await state.runs.put(run("other", "a", team="T2"))
    for number in range(120):
        await state.runs.put(run(f"many-{number:03}", "b"))

    assert await state.runs.redact("T1", {"a": NOW + timedelta(hours=1)}) == 1
    assert await state.runs.redact("T1", {"a": NOW + timedelta(hours=1)}) == 0

    trace = await state.runs.get("before")
    assert trace is not None
    assert trace["answer"] == WITHHELD
    assert "Words" not in str(trace["passages"][0])  # type: ignore[index]
    assert "Words" in str(trace["passages"][1])  # type: ignore[index]
    assert await state.runs.holding("T1", "a") == 1
    assert await state.runs.holding("T2", "a") == 1
    assert await state.runs.holding("T1", "b") == 121
    assert await state.runs.redact("T1", {}) == 0


async def test_blobs_are_found_by_what_they_begin_with(state: State) -> None:
    key = await state.blobs.put(b"mine" + b"x" * BLOB_START)
    await state.blobs.put(b"x" * BLOB_START + b"mine")

    assert await state.blobs.starting([b"nobody's", b"mine"]) == (key,)
    assert await state.blobs.starting([b"nobody's"]) == ()
    assert await state.blobs.starting([]) == ()


async def test_what_a_crash_left_half_written_is_cleared(tmp_path: Path) -> None:
    blobs = FileBlobs(tmp_path)
    key = await blobs.put(b"whole")
    (tmp_path / key[:2] / ".tmp-half").write_bytes(b"half")

    await blobs.clear_unfinished()

    assert [path.name for path in files_in(tmp_path)] == [key]


async def test_words_that_were_redacted_are_not_left_in_the_database_files(
    tmp_path: Path, migrated_sqlite: Path
) -> None:
    shutil.copy(migrated_sqlite, tmp_path / "footnote.sqlite")
    database = Database.open(f"sqlite:///{tmp_path}/footnote.sqlite")
    secret = "Xylophone-Quartz-7731 " * 500
    found = Passage("c", "a", "s", 0, "T", "", "", secret, (), np.zeros((0, 384), np.float32))
    await database.runs.put(replace(run("r", "a"), passages=(found,)))

    await database.runs.redact("T1", {"a": NOW})
    await database.flush()

    held = [path.name for path in files_in(tmp_path) if b"Xylophone" in path.read_bytes()]
    await database.close()
    assert held == []
