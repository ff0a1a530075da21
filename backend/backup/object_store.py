"""Backups in S3 or what speaks like it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import obstore
from obstore.exceptions import NotFoundError
from obstore.store import ObjectStore

from backend.backup.files import ObjectFiles, obliging
from backend.backup.manifest import Manifest, pack, unpack
from backend.errors import BackupFailed

_GONE = (NotFoundError, FileNotFoundError)


@dataclass(frozen=True)
class ObjectBackups:
    """backend.backup.store.Store under a prefix of an object store. Nobody is kept from making two backups at once:
    they do each other no harm, but pruning must not go on meanwhile."""

    store: ObjectStore

    @classmethod
    def open(cls, uri: str, options: Mapping[str, str]) -> ObjectBackups:
        """Open `s3://bucket/prefix`, with options as for the index. BackupFailed if that cannot be meant."""
        return cls(ObjectFiles.open(uri, options).store)

    def has(self, block: str, size: int) -> bool:
        with obliging():
            try:
                return bool(obstore.head(self.store, _object(block))["size"] == size)
            except _GONE:
                return False

    def put(self, content: bytes, *, anew: bool = False) -> tuple[str, bool]:
        block = hashlib.sha256(content).hexdigest()
        if not anew and self.has(block, len(content)):
            return block, False
        with obliging():
            obstore.put(self.store, _object(block), content)
        return block, True

    def get(self, block: str) -> bytes:
        with obliging():
            try:
                content = bytes(obstore.get(self.store, _object(block)).bytes())
            except _GONE:
                raise BackupFailed(f"The block {block} is missing.") from None
        if hashlib.sha256(content).hexdigest() != block:
            raise BackupFailed(f"The block {block} is damaged.")
        return content

    def manifests(self) -> list[Manifest]:
        with obliging():
            paths = sorted(one["path"] for page in obstore.list(self.store, "backups") for one in page)
            return [unpack(_name(path), bytes(obstore.get(self.store, path).bytes())) for path in paths]

    def finish(self, manifest: Manifest) -> None:
        with obliging():
            obstore.put(self.store, f"backups/{manifest.backup_id}.json", pack(manifest))

    def forget(self, backup_id: str) -> None:
        with obliging():
            obstore.delete(self.store, f"backups/{backup_id}.json")

    def sweep(self, kept: set[str]) -> int:
        with obliging():
            paths = [one["path"] for page in obstore.list(self.store, "objects") for one in page]
            gone = [path for path in paths if _name(path) not in kept]
            if gone:
                obstore.delete(self.store, gone)
        return len(gone)

    @contextmanager
    def held(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise BackupFailed(f"The backup did not work: {error.strerror}.") from error


def _object(block: str) -> str:
    return f"objects/{block[:2]}/{block}"


def _name(path: str) -> str:
    return path.rpartition("/")[2].removesuffix(".json")
