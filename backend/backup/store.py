"""Where backups are kept: a port of five calls, and a folder that has them."""

from __future__ import annotations

import fcntl
import hashlib
import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from backend.backup.manifest import Manifest, pack, unpack
from backend.errors import BackupFailed
from backend.files import write_whole


class Store(Protocol):
    """Blocks by their sha256, and the lists of files that they make up. BackupFailed where it does not oblige."""

    def has(self, block: str, size: int) -> bool:
        """Whether a block of that size is there; what is in it is not looked at."""

    def put(self, content: bytes, *, anew: bool = False) -> tuple[str, bool]:
        """Keep a block, whole or not at all; return its name, and whether it was written. `anew` replaces it."""

    def get(self, block: str) -> bytes:
        """Return a block. BackupFailed where it is missing, or not what its name says."""

    def manifests(self) -> list[Manifest]:
        """Return every finished backup, the oldest first."""

    def finish(self, manifest: Manifest) -> None:
        """Make a backup one: all of its blocks are there."""

    def forget(self, backup_id: str) -> None: ...

    def sweep(self, kept: set[str]) -> int:
        """Delete every block but these; return how many went."""

    def held(self) -> AbstractContextManager[None]:
        """A context in which nobody else writes to the store."""


@dataclass(frozen=True)
class FolderStore:
    """Store in a folder, which only its owner can read: `objects/ab/<sha256>`, `backups/<id>.json`."""

    root: Path

    def has(self, block: str, size: int) -> bool:
        try:
            return self._object(block).stat().st_size == size
        except FileNotFoundError:
            return False

    def put(self, content: bytes, *, anew: bool = False) -> tuple[str, bool]:
        block = hashlib.sha256(content).hexdigest()
        if not anew and self.has(block, len(content)):
            return block, False
        _write(self._object(block), content)
        return block, True

    def get(self, block: str) -> bytes:
        try:
            content = self._object(block).read_bytes()
        except FileNotFoundError:
            raise BackupFailed(f"The block {block} is missing.") from None
        except OSError as error:
            raise BackupFailed(f"The block {block} cannot be read: {error.strerror}.") from error
        if hashlib.sha256(content).hexdigest() != block:
            raise BackupFailed(f"The block {block} is damaged.")
        return content

    def manifests(self) -> list[Manifest]:
        return [unpack(path.stem, path.read_bytes()) for path in sorted(self._backups.glob("*.json"))]

    def finish(self, manifest: Manifest) -> None:
        _write(self._backups / f"{manifest.backup_id}.json", pack(manifest))

    def forget(self, backup_id: str) -> None:
        (self._backups / f"{backup_id}.json").unlink(missing_ok=True)

    def sweep(self, kept: set[str]) -> int:
        gone = [path for path in (self.root / "objects").glob("??/*") if path.name not in kept]
        for path in gone:
            path.unlink(missing_ok=True)
        return len(gone)

    @contextmanager
    def held(self) -> Iterator[None]:
        try:
            self.root.mkdir(mode=0o700, parents=True, exist_ok=True)
            descriptor = os.open(self.root / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise BackupFailed(f"The folder {self.root} cannot be written: {error.strerror}.") from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            raise BackupFailed(f"Somebody else is writing to {self.root}.") from None
        try:
            yield
        except OSError as error:
            raise BackupFailed(f"The backup did not work: {error.strerror}.") from error
        finally:
            os.close(descriptor)

    @property
    def _backups(self) -> Path:
        return self.root / "backups"

    def _object(self, block: str) -> Path:
        return self.root / "objects" / block[:2] / block


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    write_whole(path, content)
