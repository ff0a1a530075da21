"""A backup of a PostgreSQL database: one instant of it, restored into an empty one and into no other."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from backend.adapters.migrate import migrate
from backend.adapters.sql import Database
from backend.backup.create import Source, create
from backend.backup.files import FolderFiles
from backend.backup.manifest import Manifest
from backend.backup.moment import moment
from backend.backup.restore import problems, restore
from backend.backup.store import FolderStore
from backend.domain import Document, Origin, Visibility
from backend.errors import BackupFailed
from tests.postgres_server import PostgresServer, needs_postgres
from tests.programs import needs

pytestmark = [needs_postgres, needs("pg_dump", "pg_restore")]

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
DOCUMENT = Document("T1", "before", Origin(blob="a" * 64), "Before", "", Visibility(), "ready", NOW, NOW, chunks=1)


async def put(url: str, document: Document) -> None:
    database = Database.open(url)
    await database.documents.put(document)
    await database.close()


async def names(url: str) -> Mapping[str, str]:
    database = Database.open(url)
    found = {one.document_id: one.title for one in await database.documents.all()}
    await database.close()
    return found


def source(folder: Path, url: str) -> Source:
    data = folder / "data"
    return Source(data, FolderFiles(data / "index"), url, FolderFiles(data / "blobs"), folder / "prompts")


def backed_up(folder: Path, url: str) -> tuple[Manifest, FolderStore]:
    store = FolderStore(folder / "backups")
    return create(source(folder, url), store, full=False, now=NOW), store


async def test_a_postgresql_database_is_restored_as_it_was_at_its_instant(
    tmp_path: Path, postgres: PostgresServer
) -> None:
    for name in ("backup_from", "backup_into"):
        postgres.execute(f"CREATE DATABASE {name}")
    url, into = postgres.url("backup_from"), postgres.url("backup_into")
    migrate(url)
    postgres.execute("CREATE SCHEMA dbos", "backup_from")
    postgres.execute("CREATE TABLE dbos.workflow_status (workflow_uuid text)", "backup_from")
    await put(url, DOCUMENT)

    with moment(url, FolderFiles(tmp_path / "data/index")) as instant:
        await put(url, replace(DOCUMENT, document_id="after"))
        assert instant.database.blobs() == {"a" * 64}
        assert instant.database.copy_to(tmp_path).stat().st_size > 0

    manifest, store = backed_up(tmp_path, url)
    assert list(problems(manifest, store)) == []
    with pytest.raises(BackupFailed, match="--database"):
        restore(manifest, store, tmp_path / "new", None)
    with pytest.raises(BackupFailed, match="not empty"):
        restore(manifest, store, tmp_path / "new", url)
    restore(manifest, store, tmp_path / "new", into)
    migrate(into)
    assert await names(into) == {"before": "Before", "after": "Before"}
    assert postgres.execute("SELECT 1 FROM pg_namespace WHERE nspname = 'dbos'", "backup_into") == []


def test_a_program_that_is_missing_is_named(
    tmp_path: Path, postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    postgres.execute("CREATE DATABASE backup_without")
    migrate(postgres.url("backup_without"))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(BackupFailed, match="pg_dump is needed"):
        backed_up(tmp_path, postgres.url("backup_without"))


def test_a_server_that_is_down_is_said_without_its_password(tmp_path: Path) -> None:
    with pytest.raises(BackupFailed, match="cannot be read") as failed:
        backed_up(tmp_path, "postgresql://footnote:secret@127.0.0.1:9/x")
    assert "secret" not in str(failed.value)
