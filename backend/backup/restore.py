"""From a backup to a data folder, and object stores beside it, and whether a backup can still be read."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path

from sqlalchemy import create_engine, inspect
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import SQLAlchemyError

from backend.adapters.lance_tables import POINTER, version_in
from backend.backup.create import KEYS
from backend.backup.files import ObjectFiles
from backend.backup.manifest import File, Manifest
from backend.backup.moment import program
from backend.backup.store import Store
from backend.errors import BackupFailed
from backend.files import flush_folder

DUMP = "database.dump"
Elsewhere = Mapping[str, ObjectFiles]
"""Where files go whose paths begin so, such as `index/`: an object store instead of the folder."""


def problems(manifest: Manifest, store: Store) -> Iterator[str]:
    """Read every block of a backup; yield what is wrong with which file."""
    sound: set[str] = set()
    for file in manifest.files:
        for block, size in zip(file.blocks, file.sizes(), strict=True):
            if block in sound:
                continue
            try:
                if len(store.get(block)) != size:
                    yield f"{file.path}: The block {block} is of another size."
            except BackupFailed as error:
                yield f"{file.path}: {error}"
            else:
                sound.add(block)


def restore(
    manifest: Manifest, store: Store, folder: Path, database: str | None, elsewhere: Elsewhere | None = None
) -> None:
    """Write a backup into a folder that is new or empty; it appears when all of it is there and was found sound. What
    goes into an object store appears there one by one, what makes it an index last; it goes again if this fails.

    Args:
        database: an empty PostgreSQL database, where the backup has one of PostgreSQL.
        elsewhere: empty object stores for parts of it.

    Raises:
        BackupFailed: the folder, the database or a store is not empty, something is missing or damaged, the disk is
            full.
    """
    elsewhere = elsewhere or {}
    if folder.exists() and any(folder.iterdir()):
        raise BackupFailed(f"{folder} is not empty: restore into a new folder.")
    for start, objects in elsewhere.items():
        if not objects.empty():
            raise BackupFailed(f"The place for {start} is not empty: restore into a new one.")
    if manifest.database == DUMP:
        _empty_database(database)
    partial = folder.with_name(f".{folder.name}.restoring-{os.getpid()}")
    try:
        with _objects(manifest, store, elsewhere):
            for file in manifest.files:
                if not file.path.startswith(tuple(elsewhere)):
                    _write(file, store, partial)
            if manifest.database == DUMP and database:
                _load(partial / DUMP, make_url(database))
            _flush(partial)
            partial.replace(folder)
            flush_folder(folder.parent)
    except OSError as error:
        raise BackupFailed(f"The backup cannot be written to {folder}: {error.strerror}.") from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)


@contextmanager
def _objects(manifest: Manifest, store: Store, elsewhere: Elsewhere) -> Iterator[None]:
    """Write what goes into object stores, and take it away again if the block fails."""
    with ExitStack() as undoing:
        for start, objects in elsewhere.items():
            named = {file.path.removeprefix(start): file for file in manifest.files if file.path.startswith(start)}
            undoing.callback(objects.remove, list(named))
            last = [path for path in named if path == POINTER or version_in(path) is not None]
            for paths in ([path for path in named if path not in last], last):
                _put(objects, paths, named, store)
        yield
        undoing.pop_all()


def _put(objects: ObjectFiles, paths: Sequence[str], named: Mapping[str, File], store: Store) -> None:
    with ThreadPoolExecutor(objects.together) as threads:
        list(threads.map(lambda path: objects.write(path, map(store.get, named[path].blocks)), paths))


def _write(file: File, store: Store, folder: Path) -> None:
    path = folder / file.path
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600 if file.path in KEYS else 0o644)
    with os.fdopen(descriptor, "wb") as written:
        for block in file.blocks:
            written.write(store.get(block))
        written.flush()
        os.fsync(written.fileno())


def _load(dump: Path, database: URL) -> None:
    program("pg_restore", database, "--no-owner", "--no-privileges", "--exit-on-error",
            "--single-transaction", f"--dbname={database.database}", str(dump))  # fmt: skip


def _flush(folder: Path) -> None:
    for parent, _, _ in os.walk(folder):
        flush_folder(Path(parent))


def _empty_database(url: str | None) -> None:
    if url is None:
        raise BackupFailed("The backup holds a PostgreSQL database: name an empty one with --database postgresql://…")
    engine = create_engine(make_url(url).set(drivername="postgresql+psycopg"))
    try:
        if inspect(engine).get_table_names():
            raise BackupFailed("The database is not empty: restore into a new one.")
    except SQLAlchemyError as error:
        raise BackupFailed(f"The database cannot be reached ({type(error).__name__}).") from error
    finally:
        engine.dispose()
