"""A real PostgreSQL on a free port of loopback, for tests: skipped where there is none, required in CI."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BufferedWriter
from pathlib import Path

import psycopg
import pytest

from tests.e2e.processes import free_port

PATIENCE = 60.0
SETTINGS = (
    "fsync=off",
    "full_page_writes=off",
    "synchronous_commit=off",
    "unix_socket_directories=",
    "max_wal_size=64MB",
)


def program(name: str) -> str | None:
    """Return the path of one of PostgreSQL's programs: Debian keeps most of them out of PATH."""
    installed = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"), key=lambda path: int(path.parts[-3]))
    return str(installed[-1]) if installed else shutil.which(name)


needs_postgres = pytest.mark.skipif(
    (program("initdb") is None or program("postgres") is None) and "CI" not in os.environ, reason="needs postgresql"
)
"""For a test that talks to PostgreSQL."""


@dataclass
class PostgresServer:
    """A running server without a password; `stop` and `start` it as you like."""

    port: int
    folder: Path
    process: subprocess.Popen[bytes] | None = None

    def url(self, database: str = "postgres") -> str:
        return f"postgresql://footnote@127.0.0.1:{self.port}/{database}"

    def execute(self, statement: str, database: str = "postgres") -> list[tuple[object, ...]]:
        """Run one statement on its own and return its rows."""
        with psycopg.connect(self.url(database), autocommit=True) as connection:
            done = connection.execute(statement.encode())
            return done.fetchall() if done.description else []

    def start(self) -> None:
        options = [word for setting in SETTINGS for word in ("-c", setting)]
        places = ("-D", str(self.folder / "data"), "-h", "127.0.0.1", "-p", str(self.port))
        with (self.folder / "log").open("ab") as log:
            self.process = _run("postgres", *places, *options, output=log)
        self._until_it_answers()

    def stop(self) -> None:
        """End it at once, as a crash would; what was committed is kept."""
        process, self.process = self.process, None
        if process is not None:
            process.send_signal(signal.SIGQUIT)
            process.wait()

    def _until_it_answers(self) -> None:
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                self.execute("SELECT 1")
                return
            except psycopg.OperationalError:
                assert self.process is not None
                assert self.process.poll() is None, (self.folder / "log").read_text()
                assert time.monotonic() < deadline, (self.folder / "log").read_text()
                time.sleep(0.05)


@contextmanager
def running_postgres() -> Iterator[PostgresServer]:
    """Run an empty server until the block ends; its folder is apart, since its owner may not look into pytest's."""
    assert program("initdb"), "postgresql is not installed"
    folder = Path(tempfile.mkdtemp(prefix="footnote-postgres-"))
    if owner := _owner():
        shutil.chown(folder, owner)
    server = PostgresServer(free_port(), folder)
    made = ("--username=footnote", "--auth=trust", "--encoding=UTF8", "--no-locale", "--no-sync", "--no-instructions")
    try:
        assert _run("initdb", "-D", str(folder / "data"), *made, output=subprocess.DEVNULL).wait() == 0
        server.start()
        yield server
    finally:
        server.stop()
        shutil.rmtree(folder)


def _owner() -> str | None:
    """Return who the server runs as where we are root, whom PostgreSQL refuses."""
    if os.geteuid() != 0:
        return None
    known = {user.pw_name for user in pwd.getpwall()}
    return "postgres" if "postgres" in known else "nobody"


def _run(name: str, *arguments: str, output: int | BufferedWriter) -> subprocess.Popen[bytes]:
    path = program(name)
    assert path
    return subprocess.Popen([path, *arguments], user=_owner(), cwd="/", stdout=output, stderr=subprocess.STDOUT)
