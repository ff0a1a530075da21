"""One instant of the database and the index, while both are written to.

A reader of the database sees one state from its first read on. Where the index's newest version is the same before and
after that read, the two are of one instant. That is what a kill -9 leaves, and the backend takes up from there.
"""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from sqlalchemy.engine import URL, make_url

from backend.adapters.lance_tables import live_table, newest_manifest
from backend.errors import BackupFailed

TRIES = 200
PAUSE = 0.02
"""Seconds between tries: the index is written to a few times a second at most."""
QUEUE_SCHEMA = "dbos"
"""PostgreSQL's schema of durable work. It is left out, as SQLite's file of it is: the records say what is to be done,
and an old queue would hold that some of it has been done."""
BLOBS = "SELECT origin FROM documents WHERE status <> 'deleted'"


class Pinned(Protocol):
    """A state of the database that does not change while it is read."""

    def copy_to(self, folder: Path) -> Path:
        """Write it to a file in that folder."""

    def blobs(self) -> frozenset[str]:
        """Return the keys of the stored documents that its records name."""


@dataclass(frozen=True)
class PinnedSqlite:
    connection: sqlite3.Connection

    def copy_to(self, folder: Path) -> Path:
        return copied(self.connection, folder / "footnote.db")

    def blobs(self) -> frozenset[str]:
        if not self.connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'documents'").fetchone():
            return frozenset()
        return _keys(self.connection.execute(BLOBS).fetchall())


@dataclass(frozen=True)
class PinnedPostgres:
    url: URL
    snapshot: str
    origins: list[tuple[object]]

    def copy_to(self, folder: Path) -> Path:
        path = folder / "database.dump"
        program("pg_dump", self.url, "--format=custom", "--no-owner", "--no-privileges",
                f"--exclude-schema={QUEUE_SCHEMA}", f"--snapshot={self.snapshot}", f"--file={path}")  # fmt: skip
        return path

    def blobs(self) -> frozenset[str]:
        return _keys(self.origins)


@dataclass(frozen=True)
class Moment:
    """What belongs together: a state of the database, and a version of the live table with the bytes of its manifest
    (None where there is no index yet)."""

    database: Pinned
    table: str
    version: int
    manifest: Path | None
    listing: bytes


@contextmanager
def moment(database: str, index: Path) -> Iterator[Moment]:
    """Hold an instant for as long as the block lasts. BackupFailed where the index changes without a pause."""
    for _ in range(TRIES):
        with ExitStack() as stack:
            before = _newest(index)
            pinned = stack.enter_context(_pinned(database))
            listing = _read(before[2])
            if listing is not None and _newest(index) == before:
                table, version, manifest = before
                yield Moment(pinned, table, version, manifest, listing)
                return
        time.sleep(PAUSE)
    raise BackupFailed("The index is written to without a pause; try again later.")


def copied(source: sqlite3.Connection, path: Path) -> Path:
    """Copy a database as its connection sees it, and look whether the copy is sound."""
    with closing(sqlite3.connect(path)) as copy:
        source.backup(copy)
        (verdict,) = copy.execute("PRAGMA quick_check(1)").fetchone()
        copy.execute("PRAGMA journal_mode=DELETE")
    if verdict != "ok":
        raise BackupFailed(f"The database is damaged: {verdict}.")
    return path


def program(name: str, url: URL, *arguments: str) -> None:
    """Run one of PostgreSQL's programs on a database; its password stays off the command line."""
    said = {
        "PGHOST": url.host, "PGPORT": str(url.port or 5432), "PGUSER": url.username,
        "PGPASSWORD": str(url.password) if url.password else None, "PGDATABASE": url.database,
    }  # fmt: skip
    environment = {**os.environ, **{key: value for key, value in said.items() if value}}
    try:
        subprocess.run([name, *arguments], env=environment, check=True, capture_output=True, text=True)  # noqa: S603
    except FileNotFoundError:
        raise BackupFailed(f"The program {name} is needed; it comes with PostgreSQL's client.") from None
    except subprocess.CalledProcessError as error:
        last = error.stderr.strip().splitlines()[-1:] or ["no reason given"]
        raise BackupFailed(f"{name} did not work: {last[0]}") from None


@contextmanager
def _pinned(database: str) -> Iterator[Pinned]:
    if database.startswith("sqlite"):
        with _pinned_sqlite(Path(make_url(database).database or "")) as pinned:
            yield pinned
        return
    with _pinned_postgres(make_url(database)) as pinned:
        yield pinned


@contextmanager
def _pinned_sqlite(path: Path) -> Iterator[Pinned]:
    try:
        with closing(sqlite3.connect(f"{path.as_uri()}?mode=rw", uri=True, isolation_level=None)) as connection:
            connection.execute("PRAGMA busy_timeout=10000")
            connection.execute("BEGIN")
            connection.execute("SELECT count(*) FROM sqlite_master").fetchone()  # the state seen from now on
            yield PinnedSqlite(connection)
    except sqlite3.Error as error:
        raise BackupFailed(f"The database {path} cannot be read ({error}).") from error


@contextmanager
def _pinned_postgres(url: URL) -> Iterator[Pinned]:
    import psycopg

    plain = url.set(drivername="postgresql").render_as_string(hide_password=False)
    try:
        with psycopg.connect(plain) as connection:
            connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
            exported = connection.execute("SELECT pg_export_snapshot()").fetchone()
            origins = connection.execute(BLOBS).fetchall()
            yield PinnedPostgres(url, str(exported[0]) if exported else "", origins)
    except psycopg.Error as error:
        raise BackupFailed(f"The database cannot be read ({type(error).__name__}).") from error


def _newest(index: Path) -> tuple[str, int, Path | None]:
    table = live_table(index)
    try:
        version, manifest = newest_manifest(index / f"{table}.lance")
    except FileNotFoundError:
        return table, 0, None
    return table, version, manifest


def _read(path: Path | None) -> bytes | None:
    """Return a manifest's bytes, none of an index that there is not; None where it has gone meanwhile."""
    if path is None:
        return b""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None


def _keys(rows: list[tuple[object]]) -> frozenset[str]:
    origins = (json.loads(origin) if isinstance(origin, str) else origin for (origin,) in rows)
    return frozenset(origin["blob"] for origin in origins if isinstance(origin, dict) and origin.get("blob"))
