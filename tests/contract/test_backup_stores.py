"""What every store of backups keeps to: a folder, and an object store."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TypeAlias

import obstore
import pytest

from backend.backup.manifest import File, Manifest
from backend.backup.object_store import ObjectBackups
from backend.backup.restore import problems, restore
from backend.backup.store import FolderStore
from backend.errors import BackupFailed

AnyStore: TypeAlias = FolderStore | ObjectBackups
NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)


@pytest.fixture(params=["folder", "object"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> AnyStore:
    if request.param == "folder":
        return FolderStore(tmp_path / "store")
    served = request.getfixturevalue("object_store")
    return ObjectBackups.open(served.uri(f"backups-{tmp_path.name}"), served.options)


def manifest_of(backup_id: str, *files: File) -> Manifest:
    return Manifest(backup_id, NOW, True, "footnote.db", "chunks", 1, 0, files)


def kept(store: AnyStore, path: str, content: bytes) -> File:
    return File(path, len(content), 0, (store.put(content)[0],))


def test_a_block_is_written_once_and_comes_back(store: AnyStore) -> None:
    block, written = store.put(b"content")
    assert (written, store.put(b"content"), store.put(b"content", anew=True)[1]) == (True, (block, False), True)
    assert store.get(block) == b"content"
    assert (store.has(block, 7), store.has(block, 8), store.has("0" * 64, 7)) == (True, False, False)
    with pytest.raises(BackupFailed, match="missing"):
        store.get("0" * 64)


def test_a_finished_backup_is_listed_restored_and_forgotten_with_the_blocks_that_nobody_needs(
    store: AnyStore, tmp_path: Path
) -> None:
    assert store.manifests() == []
    shared = kept(store, "shared", b"both need it")
    old, new = manifest_of("1", shared, kept(store, "old", b"old")), manifest_of("2", shared)
    with store.held():
        store.finish(old)
        store.finish(new)
    assert [one.backup_id for one in store.manifests()] == ["1", "2"]
    store.forget("1")
    assert store.sweep(set(shared.blocks)) == 1
    assert store.manifests() == [new]
    restore(new, store, tmp_path / "new", None)
    assert (tmp_path / "new" / "shared").read_bytes() == b"both need it"
    assert [problem.partition(":")[0] for problem in problems(old, store)] == ["old"]


def test_a_block_that_is_not_what_its_name_says_is_damaged(store: AnyStore) -> None:
    block, _ = store.put(b"content")
    if isinstance(store, FolderStore):
        (store.root / "objects" / block[:2] / block).write_bytes(b"Content")
    else:
        obstore.put(store.store, f"objects/{block[:2]}/{block}", b"Content")
    with pytest.raises(BackupFailed, match="damaged"):
        store.get(block)
    (problem,) = problems(manifest_of("1", File("f", 7, 0, (block,))), store)
    assert problem.startswith("f: ")
