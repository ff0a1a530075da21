"""From a backup to a data folder, and whether a backup can still be read."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from sqlalchemy import create_engine, inspect
from sqlalchemy.engine import make_url
from sqlalchemy.exc import SQLAlchemyError

from backend.backup.create import KEYS
from backend.backup.manifest import File, Manifest
from backend.backup.moment import program
from backend.backup.store import Store
from backend.errors import BackupFailed
from backend.files import flush_folder

DUMP = "database.dump"


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


def restore(manifest: Manifest, store: Store, folder: Path, database: str | None) -> None:
    """Write a backup into a folder that is new or empty; it appears when all of it is there and was found sound.

    Args:
        database: an empty PostgreSQL database, where the backup has one of PostgreSQL.

    Raises:
        BackupFailed: the folder or the database is not empty, something is missing or damaged, the disk is full.
    """
    if folder.exists() and any(folder.iterdir()):
        raise BackupFailed(f"{folder} is not empty: restore into a new folder.")
    if manifest.database == DUMP:
        _empty_database(database)
    partial = folder.with_name(f".{folder.name}.restoring-{os.getpid()}")
    try:
        for file in manifest.files:
            _write(file, store, partial)
        if manifest.database == DUMP and database:
            program("pg_restore", make_url(database), "--no-owner", "--no-privileges", "--exit-on-error",
                    "--single-transaction", f"--dbname={make_url(database).database}", str(partial / DUMP))  # fmt: skip
        _flush(partial)
        partial.replace(folder)
        flush_folder(folder.parent)
    except OSError as error:
        raise BackupFailed(f"The backup cannot be written to {folder}: {error.strerror}.") from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _write(file: File, store: Store, folder: Path) -> None:
    path = folder / file.path
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600 if file.path in KEYS else 0o644)
    with os.fdopen(descriptor, "wb") as written:
        for block in file.blocks:
            written.write(store.get(block))
        written.flush()
        os.fsync(written.fileno())


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
