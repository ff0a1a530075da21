"""What an index still holds of a document, in any version that is on the disk. Reads only; no embedder is needed."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lancedb
import pyarrow as pa

from backend.adapters.lance_filter import documents_scope
from backend.adapters.lance_places import live_table_at
from backend.adapters.lance_schema import document_key
from backend.errors import IndexUnavailable


@dataclass(frozen=True, slots=True)
class Remains:
    """`searchable` chunks are in the newest version, `versions` older ones hold some; `marked` rows of the newest, of
    any documents, are deleted but still in its files; `files` hold the document's digest. `oldest` and `newest` are the
    versions on the disk, 0 where there is no index."""

    searchable: int = 0
    versions: int = 0
    marked: int = 0
    files: tuple[str, ...] = ()
    oldest: int = 0
    newest: int = 0

    def only_since(self, erased_version: int | None) -> bool:
        """Whether all that is there was written after the erasure. An index that was built anew counts from one."""
        return erased_version is not None and not self.oldest < erased_version <= self.newest


async def remains(uri: str, team: str, document_id: str, storage: Mapping[str, str] | None = None) -> Remains:
    """Look through every version and, where the index is a folder, every file. IndexUnavailable if it cannot be read.

    Files may be compressed, so that none holds the digest proves nothing alone. The id is not looked for: other
    documents may rightly name it.
    """
    name = await live_table_at(uri, storage or {})
    if "://" not in uri and not await asyncio.to_thread((Path(uri) / f"{name}.lance").is_dir):
        return Remains()
    try:
        connection: Any = await lancedb.connect_async(uri, storage_options=dict(storage or {}))
        table: Any = await connection.open_table(name)
        newest, *older = sorted(await table.list_versions(), key=lambda version: -version["version"])
        scope = documents_scope([(team, document_id)])
        searchable = await table.count_rows(scope)
        holding = [await _holds(table, version["version"], scope) for version in older]
        table.close()
        connection.close()
    except (OSError, RuntimeError, ValueError, pa.ArrowException) as error:
        raise IndexUnavailable(f"The index could not be looked through ({type(error).__name__}).") from error
    mark = document_key(team, document_id).encode()
    return Remains(
        searchable,
        versions=sum(holding),
        marked=int(newest["metadata"].get("total_deletion_file_rows", 0)),
        files=() if "://" in uri else await asyncio.to_thread(_files_with, Path(uri), mark),
        oldest=(older or [newest])[-1]["version"],
        newest=newest["version"],
    )


async def _holds(table: Any, version: int, scope: str) -> bool:
    await table.checkout(version)
    return bool(await table.count_rows(scope))


def _files_with(folder: Path, mark: bytes) -> tuple[str, ...]:
    paths = (Path(parent) / name for parent, _, names in os.walk(folder) for name in names)
    return tuple(sorted(str(path.relative_to(folder)) for path in paths if _holds_bytes(path, mark)))


def _holds_bytes(path: Path, mark: bytes) -> bool:
    try:
        return mark in path.read_bytes()
    except FileNotFoundError:  # dropped meanwhile
        return False
