"""Making a backup of what is in use: blobs, then one instant of database and index, then their files.

Files of the index never change once written, but they go when nothing needs them any more. Where one goes before it
is copied, a later instant is taken; what was copied by then stays copied. Index and blobs may be in a folder or in an
object store, each on its own.
"""

from __future__ import annotations

import re
import sqlite3
import tempfile
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from threading import Lock

from backend.adapters.lance_tables import POINTER
from backend.backup.files import Files, FolderFiles, Seen
from backend.backup.manifest import BLOCK, File, Manifest, id_of
from backend.backup.moment import Moment, copied, moment
from backend.backup.store import Store
from backend.errors import BackupFailed

INSTANTS = 10
OTHER_DATABASES = ("bot.sqlite",)
"""What the bot remembers. Its instant is its own: nothing in it depends on the backend's."""
KEYS = ("api-key",)
BLOB = re.compile(r"[0-9a-f]{2}/[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Source:
    """Where the state of a backend is. `database` is a URL, `prompts` the folder of the prompts in use."""

    data: Path
    index: Files
    database: str
    blobs: Files
    prompts: Path


class _Moved(Exception):
    """What was to be copied is gone."""


@dataclass
class Copying:
    """Copies files into the store. `known` are those of the last backup; `anew` reads and writes every one."""

    store: Store
    known: dict[str, File]
    anew: bool
    copied: int = 0
    done: dict[str, File] = field(default_factory=dict)
    missing: set[str] = field(default_factory=set)
    _counting: Lock = field(default_factory=Lock, init=False)

    def all(self, files: Files, wanted: Iterable[tuple[Seen, str]]) -> list[File]:
        """Copy files, each to its path; FileNotFoundError if one is not there."""
        if files.together == 1:
            return [self.one(files, seen, path) for seen, path in wanted]
        with ThreadPoolExecutor(files.together) as threads:
            return list(threads.map(lambda one: self.one(files, *one), wanted))

    def one(self, files: Files, seen: Seen, path: str) -> File:
        """Copy one file; FileNotFoundError if it is not there."""
        for known in (self.done.get(path), None if self.anew else self.known.get(path)):
            if known and (known.size, known.modified) == (seen.size, seen.modified) and self._has(known):
                self.done[path] = known
                return known
        size, blocks = 0, list[str]()
        for block in files.blocks(seen):
            blocks.append(self._put(block))
            size += len(block)
        self.done[path] = File(path, size, seen.modified, tuple(blocks))
        return self.done[path]

    def file(self, source: Path, path: str) -> File:
        """Copy one file of this machine; FileNotFoundError if it is not there."""
        files = FolderFiles(source.parent)
        return self.one(files, files.look(source.name), path)

    def content(self, content: bytes, path: str) -> File:
        """Keep bytes that are at hand as a file."""
        blocks = tuple(self._put(content[start : start + BLOCK]) for start in range(0, len(content), BLOCK))
        return File(path, len(content), 0, blocks)

    def _has(self, file: File) -> bool:
        return all(self.store.has(block, size) for block, size in zip(file.blocks, file.sizes(), strict=True))

    def _put(self, content: bytes) -> str:
        block, written = self.store.put(content, anew=self.anew)
        with self._counting:
            self.copied += len(content) * written
        return block


def create(source: Source, store: Store, *, full: bool, now: datetime) -> Manifest:
    """Make a backup; only what no earlier one has is copied, unless it is `full`. BackupFailed if it cannot be done."""
    with store.held():
        last = store.manifests()[-1:]
        known = {file.path: file for manifest in last for file in manifest.files}
        copying = Copying(store, known, full or not last)
        with tempfile.TemporaryDirectory(prefix="footnote-backup-") as staging:
            manifest = _taken(source, copying, Path(staging), now)
        store.finish(manifest)
        return manifest


def _taken(source: Source, copying: Copying, staging: Path, now: datetime) -> Manifest:
    for _ in range(INSTANTS):
        _stored(source.blobs, copying)
        try:
            with moment(source.database, source.index) as instant:
                return _written(source, instant, copying, staging, now)
        except _Moved:
            continue
    raise BackupFailed("Files of the index go faster than they can be copied; try again later.")


def _stored(blobs: Files, copying: Copying) -> None:
    """Copy the documents that were handed in: those that are removed before the instant are not listed."""

    def copied_if_there(seen: Seen) -> None:
        with suppress(FileNotFoundError):
            copying.one(blobs, seen, f"blobs/{seen.path}")

    found = [seen for seen in blobs.list() if BLOB.fullmatch(seen.path)]
    with ThreadPoolExecutor(blobs.together) as threads:
        list(threads.map(copied_if_there, found))


def _written(source: Source, instant: Moment, copying: Copying, staging: Path, now: datetime) -> Manifest:
    database = instant.database.copy_to(staging)
    files = [copying.file(database, database.name)]
    files += _index_files(source.index, instant, copying)
    blobs, lost = _blob_files(source.blobs, instant.database.blobs(), copying)
    files += [*blobs, *_beside(source, copying, staging)]
    return Manifest(
        backup_id=id_of(now),
        made_at=now,
        full=copying.anew,
        database=database.name,
        table=instant.newest.table,
        index_version=instant.newest.number,
        copied=copying.copied,
        files=tuple(sorted(files, key=lambda file: file.path)),
        lost=tuple(sorted(lost)),
    )


def _index_files(index: Files, instant: Moment, copying: Copying) -> list[File]:
    """Copy one version: its list, which was read at the instant, and every file that it may name."""
    newest = instant.newest
    if newest.manifest is None:
        return []
    try:
        files = copying.all(index, ((seen, f"index/{seen.path}") for seen in instant.files))
    except FileNotFoundError:
        raise _Moved from None
    files.append(copying.content(instant.listing, f"index/{newest.manifest.path}"))
    return [*files, copying.content(newest.table.encode(), f"index/{POINTER}")]


def _blob_files(blobs: Files, named: Iterable[str], copying: Copying) -> tuple[list[File], list[str]]:
    """Return the stored documents that the records of the instant name, and which of them were gone before it."""
    files: list[File] = []
    gone: list[str] = []
    for key in sorted(named):
        path = f"{key[:2]}/{key}"
        try:
            files.append(copying.done.get(f"blobs/{path}") or copying.one(blobs, blobs.look(path), f"blobs/{path}"))
        except FileNotFoundError:
            gone.append(key)
    if not copying.missing.issuperset(gone):
        copying.missing.update(gone)
        raise _Moved
    return files, gone


def _beside(source: Source, copying: Copying, staging: Path) -> list[File]:
    """Copy the prompts, the key and what the bot remembers."""
    prompts = FolderFiles(source.prompts)
    files = copying.all(prompts, ((seen, f"prompts/{seen.path}") for seen in prompts.list()))
    files += [copying.file(source.data / name, name) for name in KEYS if (source.data / name).exists()]
    for name in OTHER_DATABASES:
        if (source.data / name).exists():
            with closing(sqlite3.connect(source.data / name)) as connection:
                files.append(copying.file(copied(connection, staging / name), name))
    return files
