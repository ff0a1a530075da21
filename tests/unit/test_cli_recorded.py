"""What the command line changes is in the audit log: by whom, what, with which outcome, and nothing else."""

from __future__ import annotations

import asyncio
import os
import pwd
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from backend.access import OPERATOR, Deed
from backend.adapters.migrate import migrate
from backend.adapters.sql import Database
from backend.cli import main, parser
from backend.cli.client import Refused
from backend.cli.ingest import ingest
from backend.cli.keys import keys
from backend.cli.person import person
from backend.cli.recorded import act_of, operator, recorded
from backend.cli.replay import replay
from backend.errors import BadInput, IndexUnavailable
from backend.lock import FolderLock, Locked
from backend.settings import Settings, SettingsError
from tests.fakes.server import ADMIN, running


@pytest.fixture(scope="module")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("state") / "footnote.db"
    migrate(f"sqlite:///{path}")
    return path


@pytest.fixture
def data(tmp_path: Path, migrated: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data folder in which a backend has been, which the command line takes for its own."""
    folder = tmp_path / "data"
    folder.mkdir()
    shutil.copy(migrated, folder / "footnote.db")
    monkeypatch.setenv("FOOTNOTE_DATA_DIR", str(folder))
    monkeypatch.setenv("FOOTNOTE_BACKUPS", str(tmp_path / "backups"))
    return folder


def settings(folder: Path) -> Settings:
    return Settings.model_validate({"data_dir": folder, "api_key": ADMIN})


def deeds(folder: Path) -> list[Deed]:
    """Return what the audit log of a data folder holds, the first deed first."""

    async def read() -> list[Deed]:
        database = Database.open(f"sqlite:///{folder}/footnote.db")
        try:
            return list((await database.audit.page()).deeds)[::-1]
        finally:
            await database.close()

    return asyncio.run(read())


def told(folder: Path) -> list[tuple[str, str, str]]:
    return [(deed.action, deed.target, deed.outcome) for deed in deeds(folder)]


@pytest.mark.parametrize(
    ("typed", "action", "target"),
    [
        ("migrate", "database.migrate", "up"),
        ("migrate down 0007", "database.migrate", "down 0007"),
        ("migrate down 1 --index", "index.migrate", "down 1"),
        ("reindex", "index.rebuild", ""),
        ("reindex --from-source", "index.rebuild", "from source"),
        ("reindex --anew", "index.rebuild", "anew"),
        ("reindex --rollback", "index.rollback", ""),
        ("reindex --drop-old", "index.drop_old", ""),
        ("backup create --full --store s3://key:secret@bucket/b", "backup.create", "s3://bucket/b full"),
        ("backup restore --into new --database postgresql://u:secret@h/d", "backup.restore", "newest into new"),
        ("backup restore --into new --at 2026-11-20T09:00", "backup.restore", "at 2026-11-20T09:00:00+00:00 into new"),
        ("backup prune --keep 3", "backup.prune", "keep 3"),
        ("doctor --mend", "doctor.mend", ""),
        ("prompts release answer@v4 reading@v2", "prompt.release", "answer@v4 reading@v2"),
    ],
)
def test_what_each_command_changes_has_a_name_and_no_secret(typed: str, action: str, target: str) -> None:
    assert act_of(parser().parse_args(typed.split())) == (action, target)


@pytest.mark.parametrize(
    "typed",
    ["backup list", "backup verify", "doctor", "doctor --deleted d", "prompts list", "audit", "ask why", "search why",
     "serve", "ingest a.md", "keys create a", "keys revoke a", "person delete U1", "replay r"],
)  # fmt: skip
def test_what_only_reads_and_what_a_backend_records_is_not_recorded_here(typed: str) -> None:
    assert act_of(parser().parse_args(typed.split())) is None


def test_the_database_and_its_backups_are_recorded_with_who_it_was(data: Path, tmp_path: Path) -> None:
    new = tmp_path / "new"
    assert main(["migrate"]) == 0
    assert main(["backup", "create"]) == 0
    assert main(["backup", "restore", "--into", str(new)]) == 0
    assert main(["backup", "restore", "--into", str(new)]) == 1
    assert main(["backup", "prune", "--keep", "1"]) == 0
    restored = ("backup.restore", f"newest into {new}")
    assert told(data) == [
        ("database.migrate", "up", "done"),
        ("backup.create", "", "done"),
        (*restored, "done"),
        (*restored, "failed"),
        ("backup.prune", "keep 1", "done"),
    ]
    assert told(new) == [("database.migrate", "up", "done"), (*restored, "done")], "what goes on from here knows it"
    assert {deed.key for deed in deeds(data)} == {f"cli:{pwd.getpwuid(os.getuid()).pw_name}"}


def test_mending_and_what_is_refused_are_recorded(data: Path) -> None:
    assert main(["doctor", "--mend"]) == 0
    with FolderLock(data / "lock"):
        assert main(["doctor", "--mend"]) == 1
        assert main(["migrate", "down", "0007"]) == 1
    assert main(["migrate", "down", "newest", "--index"]) == 1
    assert main(["reindex", "--drop-old"]) == 1
    assert told(data) == [
        ("doctor.mend", "", "done"),
        ("doctor.mend", "", "refused"),
        ("database.migrate", "down 0007", "refused"),
        ("index.migrate", "down newest", "refused"),
        ("index.drop_old", "", "refused"),
    ]


def raising(error: Exception) -> Callable[[], int]:
    def command() -> int:
        raise error

    return command


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (BadInput("so not"), "refused"),
        (SettingsError("so not"), "refused"),
        (Locked(Path("data/lock"), ""), "refused"),
        (IndexUnavailable("gone"), "failed"),
        (RuntimeError("a fault of ours"), "failed"),
    ],
)
def test_what_breaks_is_recorded_and_breaks_all_the_same(data: Path, error: Exception, outcome: str) -> None:
    with pytest.raises(type(error)):
        recorded(settings(data), parser().parse_args(["reindex"]), raising(error))
    assert told(data) == [("index.rebuild", "", outcome)]


def test_a_command_stands_though_it_cannot_be_recorded(data: Path, tmp_path: Path) -> None:
    with closing(sqlite3.connect(data / "footnote.db")) as connection:
        connection.execute("DROP TABLE audit")
    assert recorded(settings(data), parser().parse_args(["reindex"]), lambda: 0) == 0
    nowhere = tmp_path / "nowhere"
    assert recorded(settings(nowhere), parser().parse_args(["prompts", "release", "a@v1"]), lambda: 1) == 1
    assert not nowhere.exists(), "no database is made for it"


async def test_a_backend_records_who_used_the_key_on_the_command_line(tmp_path: Path) -> None:
    document = tmp_path / "a.md"
    document.write_text("# Leave\n\nEveryone has 25 days of leave.")
    async with running() as backend:
        for command, typed in (
            (keys, ["keys", "create", "wiki"]),
            (keys, ["keys", "rotate", "wiki"]),
            (keys, ["keys", "revoke", "wiki"]),
            (person, ["person", "export", "U1"]),
            (person, ["person", "delete", "U1"]),
            (ingest, ["ingest", str(document)]),
        ):
            await command(settings(tmp_path), parser().parse_args([*typed, "--url", backend.url]))
        with pytest.raises(Refused):
            await replay(settings(tmp_path), parser().parse_args(["replay", "no-run", "--url", backend.url]))
        page = await backend.services.audit.page()
    assert {deed.action for deed in page.deeds} == {
        "key.create", "key.rotate", "key.revoke", "person.export", "person.delete", "document.ingest", "run.replay",
    }  # fmt: skip
    assert {deed.user for deed in page.deeds} == {operator()}
    assert OPERATOR.match(operator())
