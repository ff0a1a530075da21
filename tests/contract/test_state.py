"""One contract for the state adapters and the fakes that stand in for them elsewhere."""

from __future__ import annotations

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
from backend.domain import (
    And,
    Audience,
    Citation,
    Condition,
    Document,
    Feedback,
    FieldValue,
    Metadata,
    Not,
    Origin,
    Passage,
    Query,
    Question,
    Run,
    RunMetadata,
    Turn,
    Visibility,
)
from backend.errors import BadInput, NotFound
from backend.ports import Blobs, Documents, Feedbacks, Runs
from tests.databases import SQL
from tests.fakes.state import FakeBlobs, FakeDocuments, FakeFeedbacks, FakeRuns

NOW = datetime(2026, 11, 20, 12, 0, 0, 123456, tzinfo=UTC)
KINDS: tuple[Literal["real", "fake"], ...] = ("real", "fake")


@dataclass(frozen=True)
class State:
    documents: Documents
    runs: Runs
    feedbacks: Feedbacks
    blobs: Blobs


@pytest.fixture(params=["fake", *SQL])
async def state(
    request: pytest.FixtureRequest, tmp_path: Path, database_url: Callable[[str], str]
) -> AsyncIterator[State]:
    if request.param == "fake":
        runs = FakeRuns()
        yield State(FakeDocuments(), runs, FakeFeedbacks(runs), FakeBlobs())
        return
    database = Database.open(database_url(request.param))
    blobs: Blobs = FileBlobs(tmp_path / "blobs")
    if request.param == "postgres":  # who has the one engine has the other
        store = request.getfixturevalue("object_store")
        blobs = ObjectBlobs.open(store.uri(f"blobs-{uuid4().hex}"), store.options)
    yield State(database.documents, database.runs, database.feedbacks, blobs)
    await database.close()


def document(document_id: str = "d1", **changes: object) -> Document:
    base = Document(
        team="T1",
        document_id=document_id,
        origin=Origin(url="https://example.org/a"),
        title=f"Title of {document_id}",
        url="https://example.org/a",
        visibility=Visibility(),
        status="ready",
        created_at=NOW,
        updated_at=NOW,
    )
    return replace(base, **changes)  # type: ignore[arg-type]


# ---------------------------------------------------------------------------------------------------------- documents


async def test_a_document_comes_back_exactly_as_it_was_put(state: State) -> None:
    rich = Metadata(
        author=("Ada", "Bob"),
        source="example.org",
        doc_type="html",
        language="en",
        published_at=NOW - timedelta(days=3),
        tags=("a", "b"),
        custom={"rank": (1.5, 2), "due": (NOW,), "team name": ("x", "2026-01-01"), "at": ("at",), "none": ()},
    )
    put = document(
        origin=Origin("https://e.org", "ab" * 32, "a.pdf", "application/pdf"),
        visibility=Visibility("channel", "C1"),
        status="failed",
        reason="It is locked.",
        revision="r1",
        stated=rich,
        metadata=replace(rich, language="de"),
        chunks=7,
        refresh_days=3,
        attempt="a1",
        stated_title="Stated",
    )

    await state.documents.put(put)

    assert await state.documents.get("T1", "d1") == put
    assert await state.documents.get("T2", "d1") is None


async def test_put_replaces_the_document_of_the_same_key_only(state: State) -> None:
    await state.documents.put(document())
    await state.documents.put(document(team="T2", title="Other team"))
    await state.documents.put(document(title="New"))

    mine, theirs = await state.documents.get("T1", "d1"), await state.documents.get("T2", "d1")

    assert mine is not None
    assert theirs is not None
    assert (mine.title, theirs.title) == ("New", "Other team")


async def test_pages_of_a_listing_hold_every_document_once_newest_first(state: State) -> None:
    for number in range(7):
        await state.documents.put(document(f"d{number}", updated_at=NOW + timedelta(seconds=number // 2)))

    seen: list[str] = []
    cursor: str | None = None
    while True:
        page = await state.documents.list("T1", limit=3, cursor=cursor)
        seen += [row.document_id for row in page.documents]
        cursor = page.cursor
        if cursor is None:
            break

    assert seen == ["d6", "d5", "d4", "d3", "d2", "d1", "d0"]


async def test_a_listing_is_narrowed_by_status_text_and_visibility(state: State) -> None:
    await state.documents.put(document("open", title="Ärger 100%_sure", url=""))
    await state.documents.put(document("hers", visibility=Visibility("user", "U1"), title="Leave"))
    await state.documents.put(document("gone", status="deleted"))
    await state.documents.put(document("bad", status="failed", url="https://WIKI.example.org"))

    async def listed(**asked: object) -> set[str]:
        page = await state.documents.list("T1", **asked)  # type: ignore[arg-type]
        return {row.document_id for row in page.documents}

    assert await listed() == {"open", "hers", "bad"}
    assert await listed(status="deleted") == {"gone"}
    assert await listed(text="ärger") == {"open"}
    assert await listed(text="0%_S") == {"open"}
    assert await listed(text="%") == {"open"}
    assert await listed(text="wiki.") == {"bad"}
    assert await listed(visibilities=frozenset({"team"})) == {"open", "bad"}
    assert await listed(visibilities=frozenset()) == set()


@pytest.mark.parametrize("cursor", ["", "x", "====", "bm90IGEgY3Vyc29y", "ä"])
async def test_a_cursor_that_no_listing_returned_is_bad_input(state: State, cursor: str) -> None:
    with pytest.raises(BadInput):
        await state.documents.list("T1", cursor=cursor)


async def test_the_catalogue_counts_values_of_what_the_audience_may_read(state: State) -> None:
    known = Metadata(author=("Ada",), source="wiki", tags=("hr", "leave"), custom={"rank": (3.0,)})
    await state.documents.put(document("a", metadata=known, title="A"))
    await state.documents.put(document("b", metadata=replace(known, tags=("hr",)), title="B"))
    await state.documents.put(document("c", metadata=known, title="C", visibility=Visibility("user", "U1")))
    await state.documents.put(document("d", metadata=known, title="D", status="queued"))
    await state.documents.put(document("e", metadata=known, title="E", status="processing", chunks=2))

    everyone = (await state.documents.catalogue("T1", Audience(channel="C1", user="U1"))).values
    hers = (await state.documents.catalogue("T1", Audience(user="U1", private=True))).values

    assert everyone == {
        "author": {"Ada": 3},
        "source": {"wiki": 3},
        "tags": {"hr": 3, "leave": 2},
        "rank": {3.0: 3},
        "title": {"A": 1, "B": 1, "E": 1},
    }
    assert hers["title"] == {"A": 1, "B": 1, "C": 1, "E": 1}
    assert (await state.documents.catalogue("T2", Audience())).values == {}


async def test_the_catalogue_follows_every_write(state: State) -> None:
    async def titles() -> dict[FieldValue, int]:
        return dict((await state.documents.catalogue("T1", Audience())).values.get("title", {}))

    await state.documents.put(document("a", title="A"))
    assert await titles() == {"A": 1}
    await state.documents.put(document("b", title="A"))
    assert await titles() == {"A": 2}
    await state.documents.put(document("a", title="Z"))
    assert await titles() == {"A": 1, "Z": 1}
    await state.documents.put(document("b", status="deleted"))
    assert await titles() == {"Z": 1}


async def test_what_is_put_together_is_found_together(state: State) -> None:
    both = [document("a", title="A"), document("b", title="B")]
    await state.documents.put_all([*both, document("c", team="T2")])
    assert await state.documents.several("T1", ["b", "a", "c", "none"]) == {"a": both[0], "b": both[1]}
    assert await state.documents.several("T1", []) == {}
    assert (await state.documents.catalogue("T1", Audience())).values["title"] == {"A": 1, "B": 1}


async def test_only_the_attempt_that_is_under_way_begins(state: State) -> None:
    await state.documents.put_all(
        [
            document("a", attempt="2", status="queued", chunks=3, title="A"),
            document("gone", attempt="2", status="deleted"),
        ]
    )
    assert await state.documents.begin("T1", "a", "1") is None
    assert await state.documents.begin("T2", "a", "2") is None
    assert await state.documents.begin("T1", "gone", "2") is None
    begun = await state.documents.begin("T1", "a", "2")
    assert begun == document("a", attempt="2", status="processing", chunks=3, title="A")
    assert await state.documents.begin("T1", "a", "2") == begun == await state.documents.get("T1", "a")
    assert (await state.documents.catalogue("T1", Audience())).values["title"] == {"A": 1}


async def test_unfinished_documents_of_all_teams_are_found(state: State) -> None:
    await state.documents.put(document("a", attempt="1", status="queued"))
    await state.documents.put(document("b", team="T2", attempt="2", status="deleted"))
    await state.documents.put(document("c"))

    assert {row.document_id for row in await state.documents.unfinished()} == {"a", "b"}


async def test_kept_documents_of_all_teams_are_listed_but_not_deleted_ones(state: State) -> None:
    await state.documents.put(document("a", status="failed"))
    await state.documents.put(document("b", team="T2", status="deleted"))
    await state.documents.put(document("c", team="T2"))

    assert {row.document_id for row in await state.documents.kept()} == {"a", "c"}


async def test_documents_are_counted_by_status(state: State) -> None:
    await state.documents.put(document("a"))
    await state.documents.put(document("b", team="T2"))
    await state.documents.put(document("c", status="failed"))

    assert await state.documents.counts() == {"ready": 2, "failed": 1}


# --------------------------------------------------------------------------------------------------- runs and feedback


def run(**changes: object) -> Run:
    condition = Condition("in", "tags", ("a", NOW))
    asked = Question("Why?", "T1", Audience("C1", "U1"), (Turn("user", "Hi"),), Not(condition), prompt="answer@v1")
    passage = Passage(
        "c1",
        "d1",
        "s1",
        0,
        "Title",
        "https://e.org",
        "H",
        "Text.",
        ((0, 5),),
        np.zeros((1, 384), np.float32),
        score=0.5,
    )
    base = Run(
        run_id="r1",
        question=asked,
        outcome="answered",
        query=Query("why", "T1", asked.audience, And((condition,)), notices=("n",)),
        passages=(passage,),
        answer="Because [1].",
        citations=(Citation(1, "d1", "c1", "Title", "https://e.org", "Text.", published_at=NOW),),
        metadata=RunMetadata(total_ms=12.5, model="extractive"),
        created_at=NOW,
    )
    return replace(base, **changes)  # type: ignore[arg-type]


async def test_a_run_comes_back_as_a_trace_without_vectors(state: State) -> None:
    await state.runs.put(run())

    trace = await state.runs.get("r1")

    condition = {"op": "in", "field": "tags", "value": ["a", "2026-11-20T12:00:00.123456+00:00"]}
    assert trace is not None
    assert trace["question"] == {
        "text": "Why?",
        "team": "T1",
        "audience": {"channel": "C1", "user": "U1", "private": False, "channels": [], "only_tags": []},
        "history": [{"role": "user", "text": "Hi"}],
        "filter": {"op": "not", "items": [condition]},
        "limit": 8,
        "prompt": "answer@v1",
        "understand": True,
        "time_zone": None,
        "language": "",
        "thread": None,
        "experiment": "",
        "replay_of": "",
    }
    assert trace["query"] == {
        "text": "why",
        "filter": {"op": "and", "items": [condition]},
        "relaxed": False,
        "notices": ["n"],
    }
    assert isinstance(trace["passages"], list)
    assert trace["passages"][0]["text"] == "Text."
    assert not any("vector" in name for name in trace["passages"][0])
    assert trace["feedback"] == []
    assert await state.runs.get("r2") is None


async def test_putting_a_run_again_replaces_it_and_keeps_its_feedback(state: State) -> None:
    await state.runs.put(run())
    await state.feedbacks.put(Feedback("r1", "U1", 1, "button"))
    await state.runs.put(run(outcome="failed", error="It broke."))

    trace = await state.runs.get("r1")

    assert trace is not None
    assert (trace["outcome"], trace["error"]) == ("failed", "It broke.")
    assert isinstance(trace["feedback"], list)
    assert [given["user"] for given in trace["feedback"]] == ["U1"]


async def test_a_person_has_one_rating_of_each_kind(state: State) -> None:
    await state.runs.put(run())
    await state.feedbacks.put(Feedback("r1", "U1", 1, "reaction", created_at=NOW))
    await state.feedbacks.put(Feedback("r1", "U1", -1, "reaction", "Wrong.", NOW))
    await state.feedbacks.put(Feedback("r1", "U1", 1, "button", created_at=NOW))

    trace = await state.runs.get("r1")

    at = NOW.isoformat()
    assert trace is not None
    assert trace["feedback"] == [
        {"user": "U1", "rating": 1, "kind": "button", "comment": "", "created_at": at},
        {"user": "U1", "rating": -1, "kind": "reaction", "comment": "Wrong.", "created_at": at},
    ]


async def test_feedback_on_no_run_is_not_found(state: State) -> None:
    with pytest.raises(NotFound):
        await state.feedbacks.put(Feedback("r9", "U1", 1, "button"))


async def test_removing_feedback_tells_whether_there_was_any(state: State) -> None:
    await state.runs.put(run())
    await state.feedbacks.put(Feedback("r1", "U1", 1, "button"))

    assert await state.feedbacks.delete("r1", "U1", "reaction") is False
    assert await state.feedbacks.delete("r1", "U1", "button") is True
    assert await state.feedbacks.delete("r1", "U1", "button") is False


# -------------------------------------------------------------------------------------------------------------- blobs


async def test_a_blob_comes_back_by_the_key_of_its_content(state: State) -> None:
    key = await state.blobs.put(b"\0bytes")

    assert await state.blobs.get(key) == b"\0bytes"
    assert await state.blobs.put(b"\0bytes") == key
    assert await state.blobs.put(b"other") != key


async def test_a_deleted_blob_is_not_found_and_deleting_it_again_is_fine(state: State) -> None:
    key = await state.blobs.put(b"bytes")
    await state.blobs.delete(key)
    await state.blobs.delete(key)

    with pytest.raises(NotFound):
        await state.blobs.get(key)


@pytest.mark.parametrize("key", ["", "/etc/passwd", "../../etc/passwd", "ab/../cd", "A" * 64, "a" * 64 + "\n"])
async def test_no_key_leads_out_of_the_folder(state: State, key: str) -> None:
    with pytest.raises(NotFound):
        await state.blobs.get(key)
