"""What is backed up may be in a folder or in an object store, and so may what it is restored to."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import TypeAlias
from uuid import uuid4

import pytest

from backend.adapters.lance_tables import LARGEST, POINTER
from backend.adapters.lancedb import LanceIndex
from backend.backup.create import Source, create
from backend.backup.files import Files, FolderFiles, ObjectFiles, Seen, content_of
from backend.backup.manifest import BLOCK, Manifest
from backend.backup.moment import newest
from backend.backup.restore import problems, restore
from backend.backup.store import FolderStore
from backend.cli import main
from backend.errors import BackupFailed
from tests.contract.indexes import found
from tests.fakes.corpus import DIMENSIONS, indexed_document
from tests.object_store import ObjectStore

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
Write: TypeAlias = Callable[[str, bytes], object]


@dataclass
class Place:
    """A folder, or a prefix of an object store, of this test alone."""

    uri: str
    files: Files
    storage: Mapping[str, str] = field(default_factory=dict)

    def write(self, path: str, content: bytes) -> None:
        if isinstance(self.files, ObjectFiles):
            self.files.write(path, [content])
            return
        written = Path(self.uri, path)
        written.parent.mkdir(parents=True, exist_ok=True)
        written.write_bytes(content)

    def remove(self, path: str) -> None:
        if isinstance(self.files, ObjectFiles):
            self.files.remove([path])
        else:
            Path(self.uri, path).unlink()

    async def opened(self) -> LanceIndex:
        return await LanceIndex.open(self.uri, "test", DIMENSIONS, storage=self.storage)


Places: TypeAlias = Callable[[str], Place]


@pytest.fixture(params=["folder", "object"])
def places(request: pytest.FixtureRequest, tmp_path: Path) -> Places:
    """Return what makes a place of a name."""
    if request.param == "folder":
        return lambda name: Place(str(tmp_path / name), FolderFiles(tmp_path / name))
    return objects(request.getfixturevalue("object_store"))


def objects(served: ObjectStore) -> Places:
    unique = uuid4().hex

    def place(name: str) -> Place:
        uri = served.uri(f"{name}-{unique}")
        return Place(uri, ObjectFiles.open(uri, served.options), served.options)

    return place


@dataclass
class Room:
    """State to be backed up: a database in a folder, index and stored documents in places."""

    folder: Path
    index: Place
    blobs: Place

    @property
    def source(self) -> Source:
        return Source(self.folder, self.index.files, self.database, self.blobs.files, self.folder / "prompts")

    @property
    def database(self) -> str:
        return f"sqlite:///{self.folder}/footnote.db"

    @property
    def store(self) -> FolderStore:
        return FolderStore(self.folder / "backups")

    def record(self, document_id: str) -> None:
        """Store a document's bytes and its record."""
        key = sha256(document_id.encode()).hexdigest()
        self.blobs.write(f"{key[:2]}/{key}", document_id.encode())
        with closing(sqlite3.connect(self.folder / "footnote.db")) as database, database:
            database.execute("CREATE TABLE IF NOT EXISTS documents (document_id TEXT, origin TEXT, status TEXT)")
            database.execute("INSERT INTO documents VALUES (?, ?, 'ready')", (document_id, f'{{"blob": "{key}"}}'))

    def commit(self, version: int, content: bytes) -> None:
        """Write a version of the index as Lance does: its data, then its list."""
        self.index.write(f"chunks.lance/data/{version}.lance", content)
        self.index.write(f"chunks.lance/_versions/{LARGEST - version:020}.manifest", b"version %d" % version)

    def backed_up(self, *, minutes: int = 0, source: Source | None = None) -> Manifest:
        return create(source or self.source, self.store, full=False, now=NOW + timedelta(minutes=minutes))


@pytest.fixture
def room(places: Places, tmp_path: Path) -> Room:
    folder = tmp_path / "data"
    folder.mkdir()
    return Room(folder, places("index"), places("blobs"))


def recorded_in(folder: Path) -> set[str]:
    with closing(sqlite3.connect(folder / "footnote.db")) as database:
        return {row[0] for row in database.execute("SELECT document_id FROM documents")}


def test_files_are_listed_by_folder_and_come_in_blocks(places: Places) -> None:
    place = places("files")
    content = b"a" * BLOCK + b"rest"
    for path in ("chunks.lance/data/1", "chunks-2.lance/data/1", "live"):
        place.write(path, content)
    assert [seen.path for seen in place.files.list()] == ["chunks-2.lance/data/1", "chunks.lance/data/1", "live"]
    (seen,) = place.files.list("chunks.lance")
    assert seen == place.files.look("chunks.lance/data/1")
    assert list(place.files.blocks(seen)) == [b"a" * BLOCK, b"rest"]
    assert content_of(place.files, "live") == content
    for gone in (lambda: place.files.look("gone"), lambda: next(place.files.blocks(Seen("gone", 1, 0)))):
        with pytest.raises(FileNotFoundError):
            gone()


async def test_a_live_index_comes_back_wherever_it_is_restored_to(
    room: Room, tmp_path: Path, object_store: ObjectStore
) -> None:
    """Backed up twice while it is written to, compacted and pruned; then into a folder and into an object store."""
    index = await room.index.opened()
    over = asyncio.Event()
    await index.replace([indexed_document("d0", ["first"])])
    room.record("d0")
    writing = asyncio.create_task(written(index, room, over))
    first = await asyncio.to_thread(room.backed_up)
    second = await asyncio.to_thread(room.backed_up, minutes=1)
    over.set()
    await writing
    await index.close()
    assert [list(problems(one, room.store)) for one in (first, second)] == [[], []]

    new = objects(object_store)
    elsewhere = {"index/": new("new-index"), "blobs/": new("new-blobs")}
    stores = {start: place.files for start, place in elsewhere.items() if isinstance(place.files, ObjectFiles)}
    restore(first, room.store, tmp_path / "one", None)
    restore(second, room.store, tmp_path / "two", None, stores)
    assert not [path for path in (tmp_path / "two").iterdir() if path.name in ("index", "blobs")]
    index_in, blobs_in = tmp_path / "one" / "index", tmp_path / "one" / "blobs"
    await as_recorded(tmp_path / "one", Place(str(index_in), FolderFiles(index_in)), FolderFiles(blobs_in))
    await as_recorded(tmp_path / "two", elsewhere["index/"], elsewhere["blobs/"].files)
    with pytest.raises(BackupFailed, match="not empty"):
        restore(second, room.store, tmp_path / "three", None, stores)


async def written(index: LanceIndex, room: Room, over: asyncio.Event) -> None:
    """Index document after document, each before it is recorded, and let go of what is old."""
    number = 0
    while not over.is_set():
        number += 1
        await index.replace([indexed_document(f"d{number}", [f"word {number}"])])
        await asyncio.to_thread(room.record, f"d{number}")
        if number % 4 == 0:
            await index.optimise()


async def as_recorded(folder: Path, place: Place, blobs: Files) -> None:
    """The index has what the records of the instant name, and at most what was being recorded; so have the blobs."""
    index = await place.opened()
    try:
        there, recorded = await found(index), recorded_in(folder)
        assert recorded <= there
        assert len(there - recorded) <= 1
        await index.replace([indexed_document("after", ["goes on"])])
        assert "after" in await found(index)
    finally:
        await index.close()
    assert {seen.path[3:] for seen in blobs.list()} == {sha256(one.encode()).hexdigest() for one in recorded}


def test_the_second_backup_copies_what_is_new(room: Room) -> None:
    room.commit(1, b"a" * (BLOCK + 10))
    room.record("d1")
    first = room.backed_up()
    room.commit(2, b"b" * 100)
    second = room.backed_up(minutes=1)
    assert (first.full, second.full, second.index_version) == (True, False, 2)
    assert second.copied < 100_000 < BLOCK < first.copied
    assert newest(room.index.files).number == 2


@dataclass(frozen=True)
class Interrupted:
    """Files of which one goes just before they are listed for the second time, or just after."""

    files: Files
    going: Callable[[], object]
    before: bool
    lists: list[str] = field(default_factory=list)

    @property
    def together(self) -> int:
        return self.files.together

    def list(self, under: str = "") -> list[Seen]:
        if under:
            return self.files.list(under)
        self.lists.append(under)
        found = [] if self.before else self.files.list()
        if len(self.lists) == 2:
            self.going()
        return self.files.list() if self.before else found

    def look(self, path: str) -> Seen:
        return self.files.look(path)

    def blocks(self, seen: Seen) -> object:
        return self.files.blocks(seen)


@pytest.mark.parametrize("before", [True, False])
def test_a_file_that_goes_before_or_after_it_is_listed_costs_another_try(room: Room, before: bool) -> None:
    for version in (1, 2):
        room.commit(version, b"%d" % version)
    room.record("d1")

    def pruned() -> None:
        room.commit(3, b"3")
        room.index.remove("chunks.lance/data/2.lance")

    source = room.source
    index = Interrupted(source.index, pruned, before)
    manifest = room.backed_up(source=Source(source.data, index, source.database, source.blobs, source.prompts))  # type: ignore[arg-type]
    assert manifest.index_version == 3
    assert [file.path for file in manifest.files if "/data/" in file.path] == [
        "index/chunks.lance/data/1.lance", "index/chunks.lance/data/3.lance",
    ]  # fmt: skip


def test_a_damaged_backup_leaves_nothing_in_an_object_store(
    room: Room, tmp_path: Path, object_store: ObjectStore
) -> None:
    room.commit(1, b"content")
    room.record("d1")
    manifest = room.backed_up()
    (damaged,) = (file for file in manifest.files if file.path == "index/chunks.lance/data/1.lance")
    (room.store.root / "objects" / damaged.blocks[0][:2] / damaged.blocks[0]).write_bytes(b"Content")
    new = objects(object_store)("new")
    assert isinstance(new.files, ObjectFiles)
    with pytest.raises(BackupFailed, match="damaged"):
        restore(manifest, room.store, tmp_path / "new", None, {"index/": new.files})
    assert new.files.empty()
    assert not (tmp_path / "new").exists()


def test_the_command_line_backs_up_and_restores_what_is_in_an_object_store(
    object_store: ObjectStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    place = objects(object_store)
    data = tmp_path / "data"
    data.mkdir()
    room, new, kept = Room(data, place("index"), place("blobs")), place("restored"), place("kept")
    large = b"a" * BLOCK + b"b" * (2 * BLOCK) + b"rest"  # more than is uploaded in one part
    room.commit(1, large)
    room.index.write(POINTER, b"chunks")
    room.record("d1")
    monkeypatch.setenv("FOOTNOTE_DATA_DIR", str(data))
    monkeypatch.setenv("FOOTNOTE_INDEX_URI", room.index.uri)
    monkeypatch.setenv("FOOTNOTE_BLOBS_URI", room.blobs.uri)
    monkeypatch.setenv("FOOTNOTE_BACKUPS", kept.uri)
    monkeypatch.setenv("FOOTNOTE_STORAGE_OPTIONS", json.dumps(object_store.options))
    assert main(["backup", "create"]) == 0
    assert main(["backup", "verify"]) == 0
    assert main(["backup", "restore", "--into", str(tmp_path / "new"), "--index", new.uri]) == 0
    assert "sound" in capsys.readouterr().out
    assert content_of(new.files, "chunks.lance/data/1.lance") == large
    assert [path.read_bytes() for path in (tmp_path / "new/blobs").glob("??/*")] == [b"d1"]
    assert main(["backup", "create", "--store", f"{room.index.uri}/backups"]) == 1
    assert "inside the index" in capsys.readouterr().err
