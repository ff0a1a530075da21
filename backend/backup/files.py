"""What is backed up, and where it is written back to: files in a folder, or objects under a prefix of a store.

Paths are relative to the folder or the prefix, with `/` between their parts.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import obstore
from obstore.exceptions import BaseError, NotFoundError
from obstore.store import ObjectStore

from backend.adapters.object_blobs import ObjectBlobs
from backend.backup.manifest import BLOCK
from backend.errors import BackupFailed, Unavailable
from backend.files import UNFINISHED

if TYPE_CHECKING:
    from obstore import ObjectMeta

TOGETHER = 8
"""Objects that are copied at a time: each is a round trip or two, and at most a block of memory."""


@dataclass(frozen=True, slots=True)
class Seen:
    """A file as it was listed; `modified` is its time in nanoseconds, by which it is known again."""

    path: str
    size: int
    modified: int


class Files(Protocol):
    """Files that others write to meanwhile. BackupFailed where they cannot be reached."""

    @property
    def together(self) -> int:
        """How many are best copied at a time."""

    def list(self, under: str = "") -> list[Seen]:
        """Return the finished files in a folder and all that are in it, sorted."""

    def look(self, path: str) -> Seen:
        """Return one of them. FileNotFoundError if it is not there."""

    def blocks(self, seen: Seen) -> Iterator[bytes]:
        """Yield what is in a file, in blocks of `BLOCK` bytes. FileNotFoundError if it is gone."""


def content_of(files: Files, path: str) -> bytes:
    """Return all that is in a small file. FileNotFoundError if it is not there."""
    return b"".join(files.blocks(files.look(path)))


@dataclass(frozen=True, slots=True)
class FolderFiles:
    """Files in a folder."""

    root: Path
    together: int = field(default=1, init=False)

    def list(self, under: str = "") -> list[Seen]:
        found: list[Seen] = []
        for parent, _, names in os.walk(self.root / under):
            for name in names:
                path = Path(parent) / name
                if "#" not in name and not name.startswith(UNFINISHED):
                    try:
                        found.append(self.look(path.relative_to(self.root).as_posix()))
                    except FileNotFoundError:  # it went since its folder was read
                        continue
        return sorted(found, key=lambda one: one.path)

    def look(self, path: str) -> Seen:
        seen = (self.root / path).stat()
        return Seen(path, seen.st_size, seen.st_mtime_ns)

    def blocks(self, seen: Seen) -> Iterator[bytes]:
        with (self.root / seen.path).open("rb") as content:
            yield from iter(lambda: content.read(BLOCK), b"")


@dataclass(frozen=True, slots=True)
class ObjectFiles:
    """Objects under a prefix of S3 or what speaks like it."""

    store: ObjectStore
    together: int = field(default=TOGETHER, init=False)

    @classmethod
    def open(cls, uri: str, options: Mapping[str, str]) -> ObjectFiles:
        """Open `s3://bucket/prefix`, with options as for the index. BackupFailed if that cannot be meant."""
        try:
            return cls(ObjectBlobs.open(uri, options).store)
        except Unavailable:
            raise BackupFailed(f"{uri} cannot be used with FOOTNOTE_STORAGE_OPTIONS.") from None

    def list(self, under: str = "") -> list[Seen]:
        with obliging():
            pages = obstore.list(self.store, under or None)
            found = [_seen(one) for page in pages for one in page]
        return sorted(found, key=lambda one: one.path)

    def look(self, path: str) -> Seen:
        with obliging(), _missed():
            return _seen(obstore.head(self.store, path))

    def blocks(self, seen: Seen) -> Iterator[bytes]:
        for start in range(0, seen.size, BLOCK):
            length = min(BLOCK, seen.size - start)
            with obliging(), _missed():
                content = bytes(obstore.get_range(self.store, seen.path, start=start, length=length))
            yield content

    def write(self, path: str, blocks: Iterable[bytes]) -> None:
        """Write an object, which appears when all of it is there, and not at all if a block cannot be had; no more than
        some are in memory."""
        writer = obstore.open_writer(self.store, path, max_concurrency=2)
        for block in blocks:
            with obliging():
                writer.write(block)
        with obliging():
            writer.close()

    def remove(self, paths: Sequence[str]) -> None:
        if paths:
            with obliging():
                obstore.delete(self.store, list(paths))

    def empty(self) -> bool:
        """Whether there is nothing under the prefix."""
        with obliging():
            return not any(obstore.list(self.store, chunk_size=1))


@contextmanager
def obliging() -> Iterator[None]:
    """Raise BackupFailed for what an object store raises, but for FileNotFoundError."""
    try:
        yield
    except BaseError as error:
        raise BackupFailed(f"The object store does not oblige ({type(error).__name__}).") from error


@contextmanager
def _missed() -> Iterator[None]:
    """Raise FileNotFoundError for an object that is not there."""
    try:
        yield
    except NotFoundError as error:
        raise FileNotFoundError from error


def _seen(one: ObjectMeta) -> Seen:
    return Seen(one["path"], one["size"], int(one["last_modified"].timestamp()) * 1_000_000_000)
