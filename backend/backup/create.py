"""Making a backup of a data folder that is in use: blobs, then one instant of database and index, then their files.

Files of the index never change once written, but they go when nothing needs them any more. Where one goes before it
is copied, a later instant is taken; what was copied by then stays copied.
"""

from __future__ import annotations

import os
import sqlite3
import tempfile
from collections.abc import Iterable
from contextlib import closing
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from backend.backup.manifest import BLOCK, File, Manifest, id_of
from backend.backup.moment import Moment, copied, moment
from backend.backup.store import Store
from backend.errors import BackupFailed
from backend.files import UNFINISHED

INSTANTS = 10
OTHER_DATABASES = ("bot.sqlite",)
"""What the bot remembers. Its instant is its own: nothing in it depends on the backend's."""
KEYS = ("api-key",)


@dataclass(frozen=True, slots=True)
class Source:
    """Where the state of a backend is. `database` is a URL, `prompts` the folder of the prompts in use."""

    data: Path
    index: Path
    database: str
    blobs: Path
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

    def file(self, source: Path, path: str) -> File:
        """Copy one file; FileNotFoundError if it is not there."""
        seen = source.stat()
        for known in (self.done.get(path), None if self.anew else self.known.get(path)):
            if known and (known.size, known.modified) == (seen.st_size, seen.st_mtime_ns) and self._has(known):
                self.done[path] = known
                return known
        with source.open("rb") as content:
            blocks = tuple(self._put(block) for block in iter(lambda: content.read(BLOCK), b""))
            size = content.tell()
        self.done[path] = File(path, size, seen.st_mtime_ns, blocks)
        return self.done[path]

    def content(self, content: bytes, path: str) -> File:
        """Keep bytes that are at hand, fewer than a block, as a file."""
        return File(path, len(content), 0, (self._put(content),))

    def _has(self, file: File) -> bool:
        return all(self.store.has(block, size) for block, size in zip(file.blocks, file.sizes(), strict=True))

    def _put(self, content: bytes) -> str:
        block, written = self.store.put(content, anew=self.anew)
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


def _stored(blobs: Path, copying: Copying) -> None:
    """Copy the documents that were handed in: those that are removed before the instant are not listed."""
    for path in sorted(blobs.glob("??/*")):
        if not path.name.startswith(UNFINISHED):
            try:
                copying.file(path, _blob(path.name))
            except FileNotFoundError:
                continue


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
        table=instant.table,
        index_version=instant.version,
        copied=copying.copied,
        files=tuple(sorted(files, key=lambda file: file.path)),
        lost=tuple(sorted(lost)),
    )


def _index_files(index: Path, instant: Moment, copying: Copying) -> list[File]:
    """Copy one version: its list, which was read at the instant, and every file that it may name."""
    if instant.manifest is None:
        return []
    table = index / f"{instant.table}.lance"
    try:
        files = [copying.file(path, f"index/{path.relative_to(index)}") for path in _listed(table)]
    except FileNotFoundError:
        raise _Moved from None
    files.append(copying.content(instant.listing, f"index/{instant.manifest.relative_to(index)}"))
    return [*files, copying.content(instant.table.encode(), "index/live")]


def _listed(table: Path) -> list[Path]:
    """Return every finished file but the lists of versions, without a look at any: one that goes is to be missed."""
    found = ((Path(parent), name) for parent, _, names in os.walk(table) for name in names)
    return sorted(parent / name for parent, name in found if parent.name != "_versions" and "#" not in name)


def _blob_files(folder: Path, named: Iterable[str], copying: Copying) -> tuple[list[File], list[str]]:
    """Return the stored documents that the records of the instant name, and which of them were gone before it."""
    files: list[File] = []
    gone: list[str] = []
    for key in sorted(named):
        try:
            files.append(copying.done.get(_blob(key)) or copying.file(folder / key[:2] / key, _blob(key)))
        except FileNotFoundError:
            gone.append(key)
    if not copying.missing.issuperset(gone):
        copying.missing.update(gone)
        raise _Moved
    return files, gone


def _beside(source: Source, copying: Copying, staging: Path) -> list[File]:
    """Copy the prompts, the key and what the bot remembers."""
    files = [
        copying.file(path, f"prompts/{path.relative_to(source.prompts)}")
        for path in sorted(source.prompts.rglob("*"))
        if path.is_file()
    ]
    files += [copying.file(source.data / name, name) for name in KEYS if (source.data / name).exists()]
    for name in OTHER_DATABASES:
        if (source.data / name).exists():
            with closing(sqlite3.connect(source.data / name)) as connection:
                files.append(copying.file(copied(connection, staging / name), name))
    return files


def _blob(key: str) -> str:
    return f"blobs/{key[:2]}/{key}"
