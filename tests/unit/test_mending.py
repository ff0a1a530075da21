"""What the doctor finds wrong between records, index and stored documents, and that mending brings it right."""

from __future__ import annotations

import sqlite3
from contextlib import closing, redirect_stdout
from dataclasses import replace
from datetime import UTC, datetime
from io import StringIO
from pathlib import Path
from typing import Any

import lancedb
import pytest

from backend import app
from backend.api.services import Services
from backend.cli.mend import Seen, look, mend
from backend.domain import Document, Origin, Visibility
from backend.ingest.mending import faults, lost, queued_anew, strays
from backend.ingest.submission import Submission, Upload
from backend.lock import FolderLock, Locked
from backend.ports import Holding
from backend.settings import Settings
from tests.fakes.corpus import indexed_document

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
READY = Document(
    "T1", "d", Origin(blob="a" * 64), "D", "", Visibility(), "ready", NOW, NOW, revision="r1", chunks=2
)  # fmt: skip
HELD = Holding(2, 2, frozenset({"r1"}), frozenset({"team"}))


def found(
    document: Document | None, held: Holding | None, *others: Document, ended: str = ""
) -> list[tuple[str, bool, bool]]:
    """Return kind, delete and ingest of what is wrong with one document."""
    documents = [one for one in (document, *others) if one]
    holding = {("T1", "d"): held} if held else {}
    return [(one.kind, one.delete, one.ingest) for one in faults(documents, holding, {("T1", "d", ended)})]


def test_what_agrees_is_no_fault() -> None:
    other = replace(READY, document_id="e", same_as="d", chunks=0)
    assert faults([READY, other], {("T1", "d"): HELD}, set()) == []


@pytest.mark.parametrize(
    ("document", "held", "expected"),
    [
        (None, HELD, ("orphan", True, False)),
        (replace(READY, status="deleted", chunks=0), HELD, ("orphan", True, False)),
        (replace(READY, chunks=0, revision="", status="failed"), HELD, ("orphan", True, False)),
        (READY, None, ("missing", False, True)),
        (READY, replace(HELD, rows=4), ("doubled", True, True)),
        (READY, replace(HELD, revisions=frozenset({"r0"})), ("drifted", False, True)),
        (READY, replace(HELD, revisions=frozenset({"r0", "r1"})), ("drifted", False, True)),
        (READY, replace(HELD, rows=1, positions=1), ("drifted", False, True)),
        (READY, replace(HELD, visibilities=frozenset({"user:U1"})), ("drifted", True, True)),
        (replace(READY, status="processing"), HELD, ("stuck", False, True)),
        (replace(READY, status="processing", attempt="over"), HELD, ("stuck", False, True)),
        (replace(READY, same_as="nobody", chunks=0), None, ("dangling", False, True)),
    ],
)  # fmt: skip
def test_each_fault_has_its_remedy(
    document: Document | None, held: Holding | None, expected: tuple[str, bool, bool]
) -> None:
    assert found(document, held, ended="over") == [expected]


@pytest.mark.parametrize(
    "document",
    [
        replace(READY, status="processing", attempt="a1", revision=""),
        replace(READY, status="queued", attempt="a1", visibility=Visibility("user", "U1")),
        replace(READY, status="deleted", attempt="removing", chunks=0),
        replace(READY, status="failed", revision=""),
    ],
)
def test_what_is_under_way_or_known_to_differ_is_no_fault(document: Document) -> None:
    assert found(document, HELD) == []


def test_a_document_that_is_begun_anew_counts_as_not_indexed_and_keeps_what_people_said() -> None:
    anew = queued_anew(replace(READY, stated_title="Mine", same_as="x"), "a2")
    assert (anew.status, anew.attempt, anew.revision, anew.same_as, anew.stated_title) == (
        "queued",
        "a2",
        "",
        "",
        "Mine",
    )


def test_stored_documents_without_a_record_are_strays_and_records_without_one_are_lost() -> None:
    removed = replace(READY, document_id="e", status="deleted", origin=Origin(blob="b" * 64))
    assert strays([READY, removed], ["a" * 64, "b" * 64, "c" * 64]) == ["b" * 64, "c" * 64]
    assert lost([READY, removed], []) == [READY]


# ------------------------------------------------------------------------------------------------- on a real folder

NAMES = ("sound", "missing", "doubled", "drifted", "stuck", "silent", "dangling", "removed")


async def ingested(opened: Services) -> None:
    for name in NAMES:
        content = f"# {name}\n\nThe {name} door is painted in the colour of {name}.\n".encode()
        upload = Upload(content, f"{name}.md", "text/markdown")
        document = await opened.ingest.accept(Submission("T1", document_id=name, upload=upload))
        await opened.queue.enqueue("T1", name, document.attempt)
        await opened.queue.wait("T1", name, document.attempt)


async def broken(settings: Settings) -> None:
    """Break a folder in every way that the doctor knows."""
    places = app.Places.of(settings)
    async with (
        app.opened_database(places) as database,
        app.opened_embedder(settings, places) as embedder,
        app.opened_index(places, embedder) as index,
    ):
        documents = {one.document_id: one for one in await database.documents.all()}
        await index.replace([indexed_document("ghost", dimensions=embedder.dimensions)])
        await index.delete("T1", ["missing", "dangling"])
        ended = "T1/stuck/"
        await database.documents.put(
            replace(documents["stuck"], status="processing", attempt=attempt_of(places, ended))
        )
        await database.documents.put(replace(documents["silent"], status="processing"))
        await database.documents.put(replace(documents["dangling"], same_as="nobody", chunks=0))
        await database.documents.put(replace(documents["removed"], status="deleted", chunks=0))
    connection: Any = await lancedb.connect_async(places.index)
    table = await connection.open_table("chunks")
    await table.add(await table.query().where("document_id = 'doubled'").to_arrow())
    await table.update(updates={"revision": "other"}, where="document_id = 'drifted'")
    table.close()
    connection.close()
    (places.blobs / "00").mkdir(exist_ok=True)
    for name in ("0" * 64, ".tmp-crash"):
        (places.blobs / "00" / name).write_bytes(b"stray")


def attempt_of(places: app.Places, prefix: str) -> str:
    """Return the attempt of work that has ended, as the queue names it."""
    with closing(sqlite3.connect(places.work.removeprefix("sqlite:///"))) as work:
        query = "SELECT workflow_uuid FROM workflow_status WHERE workflow_uuid LIKE ? AND status = 'SUCCESS'"
        (row,) = work.execute(query, (f"{prefix}%",)).fetchall()
    return str(row[0]).removeprefix(prefix)


async def examined(settings: Settings) -> Seen:
    places = app.Places.of(settings)
    async with app.opened_database(places) as database:
        return await look(places, database)


async def test_a_broken_folder_is_found_broken_mended_and_answers_again(tmp_path: Path) -> None:
    settings = Settings.model_validate({"data_dir": tmp_path / "data", "team": "T1", "cache": "off"})
    with FolderLock(app.Places.of(settings).lock), pytest.raises(Locked):
        await mend(settings)
    async with app.services(settings) as opened:
        await ingested(opened)
    assert (await examined(settings)).lines() == []

    await broken(settings)
    seen = await examined(settings)
    assert {(one.document_id, one.kind) for one in seen.faults} == {
        ("ghost", "orphan"), ("missing", "missing"), ("doubled", "doubled"), ("drifted", "drifted"),
        ("stuck", "stuck"), ("silent", "stuck"), ("dangling", "dangling"), ("removed", "orphan"),
    }  # fmt: skip
    assert len(seen.strays) == 2
    assert len(seen.unfinished) == 1

    with redirect_stdout(StringIO()) as said:
        assert await mend(settings) == 0
    assert "ghost: in the index without a record; taken out" in said.getvalue()
    async with app.services(settings) as opened:
        for document in await opened.documents.unfinished():
            await opened.queue.wait("T1", document.document_id, document.attempt)
        statuses = {name: await opened.documents.get("T1", name) for name in NAMES}
    assert {name for name, one in statuses.items() if one and one.status == "ready"} == {*NAMES} - {"removed"}
    assert (await examined(settings)).lines() == []
