"""`backup create|list|verify|restore|prune`: beside a running backend, which notices nothing of it."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path

from backend.backup import create, restore
from backend.backup.files import Files, FolderFiles, ObjectFiles
from backend.backup.manifest import Manifest, blocks_of, chosen, superseded
from backend.backup.store import FolderStore, Store
from backend.errors import BackupFailed
from backend.settings import Settings


def backup(settings: Settings, wanted: argparse.Namespace, *, now: datetime) -> int:
    """Do what is wanted. Return 1 if a backup is damaged; BackupFailed if it cannot be done."""
    place = wanted.store or settings.backups
    store = _opened(settings, place)
    actions: dict[str, Callable[[], int]] = {
        "create": lambda: _create(settings, store, place, wanted.full, now),
        "list": lambda: _list(store),
        "verify": lambda: _verify(store, wanted.id),
        "restore": lambda: _restore(settings, store, wanted),
        "prune": lambda: _prune(store, wanted.keep),
    }
    return actions[wanted.action]()


def _opened(settings: Settings, place: str) -> Store:
    if "://" not in place:
        return FolderStore(Path(place).expanduser().resolve())
    from backend.backup.object_store import ObjectBackups

    return ObjectBackups.open(place, settings.storage_options)


def source_of(settings: Settings) -> create.Source:
    """Return what is to be backed up. BackupFailed where an object store cannot be used."""
    from backend import app  # two seconds of importing that the other actions do not need

    places = app.Places.of(settings)
    index = files_at(places.index, places.storage)
    blobs = files_at(places.blobs_uri or str(places.blobs), places.storage)
    return create.Source(places.data, index, places.database, blobs, app.PROMPTS)


def files_at(place: str, storage: Mapping[str, str]) -> Files:
    """Return the files in a folder, or under an object store's URI."""
    return ObjectFiles.open(place, storage) if "://" in place else FolderFiles(Path(place))


def inside(place: str, other: str) -> bool:
    """Whether a folder or URI is the other one, or within it."""
    if "://" in place or "://" in other:
        return f"{place.rstrip('/')}/".startswith(f"{other.rstrip('/')}/")
    return Path(place).expanduser().resolve().is_relative_to(Path(other).expanduser().resolve())


def _create(settings: Settings, store: Store, place: str, full: bool, now: datetime) -> int:
    source = source_of(settings)
    index = settings.index_uri or str(source.data / "index")
    if inside(place, index):
        raise BackupFailed("The backups cannot be inside the index.")
    made = create.create(source, store, full=full, now=now)
    _say(f"{_line(made)}; {_megabytes(made.copied)} of it new")
    for key in made.lost:
        _say(f"  lost before: the stored document {key}; `python -m backend doctor` says whose it is")
    return 0


def _list(store: Store) -> int:
    for manifest in store.manifests():
        _say(_line(manifest))
    return 0


def _verify(store: Store, backup_id: str | None) -> int:
    wanted = store.manifests() if backup_id is None else [chosen(store.manifests(), backup_id, None)]
    worst = 0
    for manifest in wanted:
        found = list(restore.problems(manifest, store))
        _say(f"{manifest.backup_id}: {f'{len(found)} problems' if found else 'sound'}")
        for problem in found:
            _say(f"  {problem}")
        worst |= bool(found)
    if not wanted:
        _say("There are no backups.")
    return int(worst)


def _restore(settings: Settings, store: Store, wanted: argparse.Namespace) -> int:
    manifest = chosen(store.manifests(), wanted.id, wanted.at)
    folder = Path(wanted.into).expanduser().resolve()
    named = {"index/": wanted.index, "blobs/": wanted.blobs}
    elsewhere = {start: ObjectFiles.open(uri, settings.storage_options) for start, uri in named.items() if uri}
    restore.restore(manifest, store, folder, wanted.database, elsewhere)
    beside = "".join(f", {uri}" for uri in named.values() if uri)
    _say(f"restored {manifest.backup_id} into {folder}{beside}")
    return 0


def _prune(store: Store, keep: int) -> int:
    with store.held():
        manifests = store.manifests()
        old = superseded(manifests, keep)
        for manifest in old:
            store.forget(manifest.backup_id)
        swept = store.sweep(blocks_of(one for one in manifests if one not in old))
    _say(f"deleted {len(old)} backups, {swept} blocks; {len(manifests) - len(old)} backups left")
    return 0


def _line(manifest: Manifest) -> str:
    kind = "full" if manifest.full else "incremental"
    return f"{manifest.backup_id}  {kind}  {len(manifest.files)} files, {_megabytes(manifest.size)}"


def _megabytes(size: int) -> str:
    return f"{size / 1e6:.1f} MB"


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
