"""One instant of the database and the index, while both are written to.

A reader of the database sees one state from its first read on. Where the index's newest version is the same before and
after that read, the two are of one instant. That is what a kill -9 leaves, and the backend takes up from there.

The version's files are listed afterwards: in an object store that takes too long to be done within an instant. One of
them may have gone by then, as the version is one among others as soon as something is written. So the files are listed
before as well: where one is missing the second time, it is done again. What came and went between the two cannot have
been one: what is younger than some minutes is never deleted (`lance_maintenance.VERSIONS_KEPT`).
"""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import time
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from sqlalchemy.engine import URL, make_url

from backend.adapters.lance_tables import POINTER, TABLE, version_in
from backend.backup.files import Files, Seen, content_of
from backend.errors import BackupFailed

TRIES = 200
MANIFESTS = "_versions"
"""Lance's folder of them in a table."""
PAUSE = 0.02
"""Seconds between tries: the index is written to a few times a second at most."""
QUEUE_SCHEMAS = ("dbos", "footnote_bot_work")
"""PostgreSQL's schemas of durable work, the backend's and the bot's. They are left out, as SQLite's file of it is: the
records say what is to be done, and an old queue would hold that some of it has been done."""
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
        left_out = [f"--exclude-schema={one}" for one in QUEUE_SCHEMAS]
        program("pg_dump", self.url, "--format=custom", "--no-owner", "--no-privileges",
                *left_out, f"--snapshot={self.snapshot}", f"--file={path}")  # fmt: skip
        return path

    def blobs(self) -> frozenset[str]:
        return _keys(self.origins)


@dataclass(frozen=True)
class Version:
    """The newest version of the live table, and its manifest: the list of what belongs to it, None where there is no
    index yet."""

    table: str
    number: int
    manifest: Seen | None


@dataclass(frozen=True)
class Moment:
    """What belongs together: a state of the database, and a version of the live table with the bytes of its manifest.
    `files` are all of the table's that there were at the instant: those that the manifest names are among them."""

    database: Pinned
    newest: Version
    listing: bytes
    files: tuple[Seen, ...]


@contextmanager
def moment(database: str, index: Files) -> Iterator[Moment]:
    """Hold an instant for as long as the block lasts. BackupFailed where the index changes without a pause."""
    earlier = index.list()
    for _ in range(TRIES):
        with ExitStack() as stack:
            before = newest(index)
            pinned = stack.enter_context(_pinned(database))
            listing = _read(index, before)
            if listing is not None and newest(index) == before:
                later = index.list()
                files = _files_of(before, later)
                if files.issuperset(_files_of(before, earlier)):
                    yield Moment(pinned, before, listing, tuple(sorted(files, key=lambda one: one.path)))
                    return
                earlier = later
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


def newest(index: Files) -> Version:
    """Return what the index's pointer and the names of the live table's manifests say."""
    try:
        table = content_of(index, POINTER).decode().strip() or TABLE
    except FileNotFoundError:
        table = TABLE
    named = ((version_in(seen.path), seen) for seen in index.list(f"{table}.lance/{MANIFESTS}"))
    versions = {number: seen for number, seen in named if number is not None}
    number = max(versions, default=0)
    return Version(table, number, versions.get(number))


def _read(index: Files, version: Version) -> bytes | None:
    """Return a manifest's bytes, none of an index that there is not; None where it has gone meanwhile."""
    if version.manifest is None:
        return b""
    try:
        return b"".join(index.blocks(version.manifest))
    except FileNotFoundError:
        return None


def _files_of(version: Version, listed: Iterable[Seen]) -> frozenset[Seen]:
    """Return the table's files but its manifests."""
    table = f"{version.table}.lance/"
    return frozenset(seen for seen in listed if seen.path.startswith(table) and f"/{MANIFESTS}/" not in seen.path)


def _keys(rows: list[tuple[object]]) -> frozenset[str]:
    origins = (json.loads(origin) if isinstance(origin, str) else origin for (origin,) in rows)
    return frozenset(origin["blob"] for origin in origins if isinstance(origin, dict) and origin.get("blob"))
