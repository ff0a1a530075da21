"""Blobs as files named by their sha256, in 256 folders."""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from backend.errors import NotFound, Unavailable
from backend.files import UNFINISHED, write_whole
from backend.ports import BLOB_START

KEY = re.compile(r"[0-9a-f]{64}\Z")


@dataclass(frozen=True, slots=True)
class FileBlobs:
    """ports.Blobs in a folder, which is made when it is first written to. Unavailable if the disk does not oblige."""

    folder: Path

    async def put(self, content: bytes) -> str:
        """Keep the bytes; when this returns they are on the disk, whole."""
        try:
            return await asyncio.to_thread(self._write, content)
        except OSError as error:
            raise Unavailable(f"The document cannot be stored: {error.strerror}.") from error

    async def get(self, key: str) -> bytes:
        path = self._path(key)
        try:
            return await asyncio.to_thread(path.read_bytes)
        except FileNotFoundError:
            raise NotFound("The stored document is gone; ingest it again.") from None
        except OSError as error:
            raise Unavailable(f"The stored document cannot be read: {error.strerror}.") from error

    async def clear_unfinished(self) -> None:
        """Delete what a crash left half-written; nobody else may be writing."""
        await asyncio.to_thread(self._clear_unfinished)

    async def starting(self, marks: Sequence[bytes]) -> tuple[str, ...]:
        try:
            return await asyncio.to_thread(self._starting, marks)
        except OSError as error:
            raise Unavailable(f"The stored documents cannot be read: {error.strerror}.") from error

    async def delete(self, key: str) -> None:
        try:
            await asyncio.to_thread(self._path(key).unlink, missing_ok=True)
        except OSError as error:
            raise Unavailable(f"The stored document cannot be deleted: {error.strerror}.") from error

    def _path(self, key: str) -> Path:
        """Only a sha256 is a key, so no key leads out of the folder."""
        if not KEY.match(key):
            raise NotFound("There is no such stored document.")
        return self.folder / key[:2] / key

    def _clear_unfinished(self) -> None:
        for path in self.folder.glob(f"??/{UNFINISHED}*"):
            path.unlink(missing_ok=True)

    def _starting(self, marks: Sequence[bytes]) -> tuple[str, ...]:
        files = (path for path in self.folder.glob("??/*") if KEY.match(path.name))
        starts = ((path.name, _start(path)) for path in files)
        return tuple(sorted(key for key, start in starts if any(mark in start for mark in marks)))

    def _write(self, content: bytes) -> str:
        key = hashlib.sha256(content).hexdigest()
        path = self._path(key)
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            write_whole(path, content)
        return key


def _start(path: Path) -> bytes:
    """Return a file's first bytes, none if it was deleted meanwhile."""
    try:
        with path.open("rb") as file:
            return file.read(BLOB_START)
    except FileNotFoundError:
        return b""
