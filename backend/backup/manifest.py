"""What a backup is: the files of a data folder as they were at one instant, each a list of blocks named by their
sha256. Blocks that an earlier backup has are not copied again, so every backup is whole, and costs what is new."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

import msgspec

from backend.errors import BackupFailed

BLOCK = 4 << 20
"""Bytes of a block. Of a database only the blocks that changed are copied anew."""
ID = "%Y%m%dT%H%M%S.%fZ"


class File(msgspec.Struct, frozen=True):
    """A file by its path in a data folder; `modified` is its time in nanoseconds, by which it is known again."""

    path: str
    size: int
    modified: int
    blocks: tuple[str, ...]

    def sizes(self) -> list[int]:
        """Return the bytes of each block."""
        rest = self.size % BLOCK or min(self.size, BLOCK)
        return [BLOCK] * (len(self.blocks) - 1) + [rest] * bool(self.blocks)


class Manifest(msgspec.Struct, frozen=True):
    """One backup. `full` means that every file was read and written anew; `copied` is the bytes of blocks that were;
    `lost` are stored documents that the records name and that were gone before."""

    backup_id: str
    made_at: datetime
    full: bool
    database: str
    table: str
    index_version: int
    copied: int
    files: tuple[File, ...]
    lost: tuple[str, ...] = ()

    @property
    def size(self) -> int:
        return sum(file.size for file in self.files)


def id_of(moment: datetime) -> str:
    """Return a name that sorts by time."""
    return moment.astimezone(UTC).strftime(ID)


def pack(manifest: Manifest) -> bytes:
    """Return the manifest's file: its sha256, a line break, and JSON."""
    packed = msgspec.json.encode(manifest)
    return hashlib.sha256(packed).hexdigest().encode() + b"\n" + packed


def unpack(name: str, packed: bytes) -> Manifest:
    """Undo `pack`. BackupFailed where a byte is not as it was written."""
    digest, _, content = packed.partition(b"\n")
    if hashlib.sha256(content).hexdigest().encode() != digest:
        raise BackupFailed(f"The list of files of backup {name} is damaged.")
    return msgspec.json.decode(content, type=Manifest)


def chosen(manifests: Sequence[Manifest], backup_id: str | None, at: datetime | None) -> Manifest:
    """Return the backup of that id, else the newest one made by that moment, else the newest. BackupFailed if none."""
    fitting = [
        one
        for one in sorted(manifests, key=lambda one: one.backup_id)
        if (backup_id is None or one.backup_id == backup_id) and (at is None or one.made_at <= at)
    ]
    if not fitting:
        raise BackupFailed("There is no such backup; `python -m backend backup list` names those that there are.")
    return fitting[-1]


def superseded(manifests: Sequence[Manifest], keep: int) -> list[Manifest]:
    """Return all but the newest `keep`."""
    return sorted(manifests, key=lambda one: one.backup_id)[: -max(1, keep)]


def blocks_of(manifests: Iterable[Manifest]) -> set[str]:
    return {block for manifest in manifests for file in manifest.files for block in file.blocks}
