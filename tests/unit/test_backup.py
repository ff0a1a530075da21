"""Backups of a data folder: what is copied, when it belongs together, what is found damaged, and what comes back."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path

import pytest

from backend.adapters.lance_tables import LARGEST, live_table, newest_manifest, point_to
from backend.backup.create import Source, create
from backend.backup.files import FolderFiles
from backend.backup.manifest import BLOCK, Manifest, blocks_of, chosen, superseded
from backend.backup.moment import moment
from backend.backup.restore import problems, restore
from backend.backup.store import FolderStore
from backend.cli import main
from backend.errors import BackupFailed

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)


@dataclass
class Room:
    """A data folder with a database, one version of an index and stored documents, and a store beside it."""

    folder: Path

    @property
    def data(self) -> Path:
        return self.folder / "data"

    @property
    def store(self) -> FolderStore:
        return FolderStore(self.folder / "backups")

    @property
    def source(self) -> Source:
        data = self.data
        index, blobs = FolderFiles(data / "index"), FolderFiles(data / "blobs")
        return Source(data, index, f"sqlite:///{data}/footnote.db", blobs, self.folder / "prompts")

    def write(self, path: str, content: bytes) -> Path:
        written = self.folder / path
        written.parent.mkdir(parents=True, exist_ok=True)
        written.write_bytes(content)
        return written

    def commit(self, version: int, content: bytes) -> None:
        """Write a version of the index as Lance does: its data, then its list."""
        self.write(f"data/index/chunks.lance/data/{version}.lance", content)
        self.write(f"data/index/chunks.lance/_versions/{LARGEST - version:020}.manifest", b"version %d" % version)

    def blob(self, content: bytes) -> str:
        key = sha256(content).hexdigest()
        self.write(f"data/blobs/{key[:2]}/{key}", content)
        return key

    def record(self, document_id: str, blob: str = "") -> None:
        with closing(sqlite3.connect(self.data / "footnote.db")) as database, database:
            database.execute("PRAGMA journal_mode=WAL")
            database.execute("CREATE TABLE IF NOT EXISTS documents (document_id TEXT, origin TEXT, status TEXT)")
            database.execute("INSERT INTO documents VALUES (?, ?, 'ready')", (document_id, f'{{"blob": "{blob}"}}'))

    def backed_up(self, *, full: bool = False, minutes: int = 0) -> Manifest:
        return create(self.source, self.store, full=full, now=NOW + timedelta(minutes=minutes))


@pytest.fixture
def room(tmp_path: Path) -> Room:
    made = Room(tmp_path)
    made.write("prompts/answer.md", b"Answer.")
    made.write("data/api-key", b"secret").chmod(0o600)
    made.write("data/lock", b"")
    made.write("data/work.db", b"the queue")
    made.commit(1, b"a" * (BLOCK + 10))
    made.record("d1", made.blob(b"first"))
    return made


def documents_in(database: Path) -> list[str]:
    with closing(sqlite3.connect(database)) as connection:
        return [row[0] for row in connection.execute("SELECT document_id FROM documents ORDER BY document_id")]


def test_a_backup_comes_back_as_it_was_without_the_queue(room: Room, tmp_path: Path) -> None:
    manifest = room.backed_up()
    restore(manifest, room.store, tmp_path / "new", None)
    new = tmp_path / "new"
    assert documents_in(new / "footnote.db") == ["d1"]
    assert (new / "index/chunks.lance/data/1.lance").read_bytes() == b"a" * (BLOCK + 10)
    assert newest_manifest(new / "index/chunks.lance")[0] == 1
    assert (new / "prompts/answer.md").read_bytes() == b"Answer."
    assert (new / "api-key").stat().st_mode & 0o777 == 0o600
    assert [path.read_bytes() for path in new.glob("blobs/??/*")] == [b"first"]
    assert not (new / "work.db").exists()
    assert list(tmp_path.glob(".new*")) == []


def test_the_second_backup_copies_only_what_is_new_and_both_can_be_restored(room: Room, tmp_path: Path) -> None:
    first = room.backed_up()
    room.commit(2, b"b" * 100)
    room.record("d2", room.blob(b"second"))
    second = room.backed_up(minutes=1)
    assert (first.full, second.full) == (True, False)
    assert second.copied < 100_000 < BLOCK < first.copied
    for manifest, documents in ((first, ["d1"]), (second, ["d1", "d2"])):
        restore(manifest, room.store, tmp_path / manifest.backup_id, None)
        assert documents_in(tmp_path / manifest.backup_id / "footnote.db") == documents


def test_a_full_backup_mends_a_damaged_block_that_an_incremental_one_trusts(room: Room) -> None:
    first = room.backed_up()
    damage(room, "index/chunks.lance/data/1.lance", first)
    assert list(problems(room.backed_up(minutes=1), room.store))
    assert list(problems(room.backed_up(full=True, minutes=2), room.store)) == []


def damage(room: Room, path: str, manifest: Manifest, *, remove: bool = False) -> None:
    """Flip one bit of a file's first block, or delete it."""
    (file,) = (file for file in manifest.files if file.path == path)
    block = room.store.root / "objects" / file.blocks[0][:2] / file.blocks[0]
    content = block.read_bytes()
    block.unlink()
    if not remove:
        block.write_bytes(bytes([content[0] ^ 1]) + content[1:])


@pytest.mark.parametrize(("remove", "said"), [(False, "damaged"), (True, "missing")])
def test_a_flipped_bit_and_a_missing_block_are_found_and_never_restored(
    room: Room, tmp_path: Path, remove: bool, said: str
) -> None:
    manifest = room.backed_up()
    assert list(problems(manifest, room.store)) == []
    damage(room, "footnote.db", manifest, remove=remove)
    (problem,) = problems(manifest, room.store)
    assert problem.startswith("footnote.db: ")
    assert said in problem
    with pytest.raises(BackupFailed, match=said):
        restore(manifest, room.store, tmp_path / "new", None)
    assert not (tmp_path / "new").exists()


def test_a_damaged_list_of_files_is_found(room: Room) -> None:
    room.backed_up()
    (path,) = (room.store.root / "backups").iterdir()
    path.write_bytes(path.read_bytes().replace(b"footnote.db", b"footnote.dc"))
    with pytest.raises(BackupFailed, match="damaged"):
        room.store.manifests()


def test_a_folder_with_something_in_it_is_not_restored_into(room: Room) -> None:
    with pytest.raises(BackupFailed, match="not empty"):
        restore(room.backed_up(), room.store, room.data, None)


def test_database_and_index_are_of_one_instant(room: Room) -> None:
    """A commit that comes while the database is being pinned makes the next instant be taken."""
    seen: list[int] = []
    with moment(f"sqlite:///{room.data}/footnote.db", room.source.index) as instant:
        room.record("late")
        room.commit(2, b"late")
        seen.append(instant.newest.number)
        copy = instant.database.copy_to(room.folder)
    assert seen == [1]
    assert documents_in(copy) == ["d1"]


def test_an_index_file_that_goes_while_it_is_copied_costs_another_try(room: Room) -> None:
    room.commit(2, b"two")
    going = room.data / "index/chunks.lance/data/2.lance"

    def optimised() -> None:
        going.unlink()
        room.commit(3, b"three")

    store = Interrupting(room.store.root, going, optimised)
    manifest = create(room.source, store, full=False, now=NOW)
    assert manifest.index_version == 3
    assert list(problems(manifest, store)) == []


@dataclass(frozen=True)
class Interrupting(FolderStore):
    """A store that lets something happen once, while another file is copied and before `going` is."""

    going: Path
    happen: Callable[[], object]

    def put(self, content: bytes, *, anew: bool = False) -> tuple[str, bool]:
        if self.going.exists() and content.startswith(b"aaaa"):
            self.happen()
        return super().put(content, anew=anew)


def test_a_stored_document_that_was_lost_before_is_said_and_the_rest_is_backed_up(room: Room) -> None:
    room.record("d2", "f" * 64)
    manifest = room.backed_up()
    assert manifest.lost == ("f" * 64,)


def test_stored_documents_that_no_record_names_stay_out(room: Room) -> None:
    orphan = room.blob(b"orphan")
    assert not [file for file in room.backed_up().files if orphan in file.path]


def test_pruning_keeps_the_newest_and_every_block_that_they_need(room: Room, tmp_path: Path) -> None:
    made = [room.backed_up(minutes=minute) for minute in range(3)]
    room.write("data/index/chunks.lance/data/1.lance", b"changed")
    made.append(room.backed_up(minutes=3))
    assert superseded(made, 1) == made[:3]
    for manifest in made[:3]:
        room.store.forget(manifest.backup_id)
    assert room.store.sweep(blocks_of(made[3:])) > 0
    assert room.store.manifests() == made[3:]
    assert list(problems(made[3], room.store)) == []


def test_a_point_in_time_is_the_newest_backup_before_it(room: Room) -> None:
    made: Sequence[Manifest] = [room.backed_up(minutes=minute) for minute in (0, 10, 20)]
    assert chosen(made, None, None) == made[2]
    assert chosen(made, None, NOW + timedelta(minutes=19)) == made[1]
    assert chosen(made, made[0].backup_id, None) == made[0]
    with pytest.raises(BackupFailed, match="no such backup"):
        chosen(made, None, NOW - timedelta(seconds=1))


def test_two_at_a_time_are_refused(room: Room) -> None:
    with room.store.held(), pytest.raises(BackupFailed, match="Somebody else"):
        room.backed_up()


def test_the_backup_of_another_table_than_the_first_restores_as_the_live_one(room: Room, tmp_path: Path) -> None:
    (room.data / "index/chunks.lance").rename(room.data / "index/chunks-2.lance")
    point_to(room.data / "index", "chunks-2")
    restore(room.backed_up(), room.store, tmp_path / "new", None)
    assert live_table(tmp_path / "new/index") == "chunks-2"


def test_the_command_line_makes_lists_verifies_and_prunes(
    room: Room, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setenv("FOOTNOTE_DATA_DIR", str(room.data))
    monkeypatch.setenv("FOOTNOTE_BACKUPS", str(tmp_path / "kept"))
    assert [main(["backup", "create"]) for _ in range(2)] == [0, 0]
    assert main(["backup", "list"]) == 0
    assert main(["backup", "verify"]) == 0
    assert main(["backup", "prune", "--keep", "1"]) == 0
    assert main(["backup", "restore", "--into", str(tmp_path / "new")]) == 0
    printed = capsys.readouterr().out
    assert (printed.count("full"), printed.count("incremental"), printed.count("sound")) == (2, 2, 2)
    assert "deleted 1 backups" in printed
    assert documents_in(tmp_path / "new" / "footnote.db") == ["d1"]
    assert main(["backup", "restore", "--into", str(room.data)]) == 1
    assert "not empty" in capsys.readouterr().err
    for block in (tmp_path / "kept/objects").glob("??/*"):
        block.write_bytes(b"")
    assert main(["backup", "verify"]) == 1
