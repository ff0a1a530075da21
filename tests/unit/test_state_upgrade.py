"""A state database of an earlier release is taken over with what is in it, and can be taken back."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

from backend.adapters.migrate import downgrade, migrate
from backend.adapters.sql import Database
from backend.domain import Removal, Snapshot

MOMENT = datetime(2026, 11, 20, 12, tzinfo=UTC)
MICROSECONDS = int(MOMENT.timestamp() * 1_000_000)
METADATA = (
    '{"author": [], "source": "", "doc_type": "", "language": "", "published_at": null, "tags": [], "custom": {}}'
)
ORIGIN = '{"url": "https://e.org", "blob": "", "file_name": "", "media_type": ""}'


def old_database(folder: Path) -> str:
    """Make a database as the first release did, with a page that is refreshed weekly and a removed one."""
    url = f"sqlite:///{folder}/footnote.sqlite"
    migrate(url, "0001")
    row = ("T1", ORIGIN, "Title", "", "", "team", "", "r1", METADATA, METADATA, 2, 7, "", 1, "", MICROSECONDS)
    with closing(sqlite3.connect(folder / "footnote.sqlite")) as database, database:
        for document_id, status in (("page", "ready"), ("removed", "deleted")):
            database.execute(
                "INSERT INTO documents (team, origin, title, url, search_text, visibility, reason, revision, stated,"
                " metadata, chunks, refresh_days, attempt, change, stated_title, created_at, document_id, status,"
                f" updated_at) VALUES ({', '.join('?' * 19)})",
                (*row, document_id, status, MICROSECONDS),
            )
    return url


async def test_documents_of_the_first_release_are_due_and_what_was_removed_is_to_be_purged(tmp_path: Path) -> None:
    url = old_database(tmp_path)
    migrate(url)
    database = Database.open(url)
    [due] = await database.documents.due(MOMENT, limit=5)
    unpurged = await database.removals.unpurged()
    await database.close()
    assert (due.document_id, due.snapshot, due.same_as, due.size) == ("page", Snapshot(), "", 0)
    assert unpurged == (Removal("T1", "removed", MOMENT),)


async def test_going_back_keeps_the_documents(tmp_path: Path) -> None:
    url = old_database(tmp_path)
    migrate(url)
    downgrade(url, "0001")
    with closing(sqlite3.connect(tmp_path / "footnote.sqlite")) as old:
        rows = old.execute("SELECT document_id, title, chunks FROM documents ORDER BY document_id").fetchall()
    assert rows == [("page", "Title", 2), ("removed", "Title", 2)]
    migrate(url)
    database = Database.open(url)
    assert (await database.documents.get("T1", "page")) is not None
    await database.close()
