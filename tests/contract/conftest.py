"""What the contract suites run over."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest

from backend.adapters.lancedb import LanceIndex
from backend.adapters.migrate import migrate
from tests.contract.indexes import AnyIndex
from tests.databases import emptied
from tests.fakes.corpus import DIMENSIONS
from tests.fakes.index import FakeIndex
from tests.object_store import ObjectStore, running_object_store
from tests.postgres_server import PostgresServer, running_postgres


@pytest.fixture(params=["lance", "fake"])
async def index(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[AnyIndex]:
    if request.param == "fake":
        yield FakeIndex("test")
        return
    opened = await LanceIndex.open(str(tmp_path / "db"), "test", DIMENSIONS)
    yield opened
    await opened.close()


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    with running_postgres() as server:
        yield server


@pytest.fixture(scope="session")
def object_store() -> Iterator[ObjectStore]:
    with running_object_store() as store:
        yield store


@pytest.fixture(scope="session")
def migrated_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("state") / "empty.sqlite"
    migrate(f"sqlite:///{path}")
    return path


@pytest.fixture
def database_url(request: pytest.FixtureRequest, tmp_path: Path, migrated_sqlite: Path) -> Callable[[str], str]:
    """Return what gives the URL of an empty database of a kind: `sqlite` or `postgres`."""

    def url_of(kind: str) -> str:
        if kind == "postgres":
            return emptied(request.getfixturevalue("postgres"))
        shutil.copy(migrated_sqlite, tmp_path / "footnote.sqlite")
        return f"sqlite:///{tmp_path}/footnote.sqlite"

    return url_of
