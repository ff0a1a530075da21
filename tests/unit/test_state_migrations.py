"""From every earlier schema, with a row in each of its tables: up to the newest, and back, and nothing is lost."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import JSON, Column, Connection, Float, Integer, LargeBinary, MetaData, Table, create_engine

from backend.adapters.migrate import MIGRATIONS, downgrade, migrate

Rows = dict[str, dict[str, object]]


def revisions() -> list[str]:
    """Return every revision, the earliest first."""
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.set_main_option("path_separator", "os")
    return [one.revision for one in ScriptDirectory.from_config(config).walk_revisions()][::-1]


def value_for(column: Column[Any]) -> object:
    """Return something of the column's type, short enough for any."""
    if isinstance(column.type, JSON) or column.name in JSONS:
        return JSONS.get(column.name, {"kept": True})
    if isinstance(column.type, LargeBinary):
        return b"kept"
    if isinstance(column.type, Float):
        return 1.5
    return 7 if isinstance(column.type, Integer) else TEXTS.get(column.name, "kept")


JSONS: Mapping[str, object] = {"documents": ["kept"]}
TEXTS = {"status": "ready", "visibility": "team", "day": "2026-11-20", "same_as": ""}


def reflected(connection: Connection) -> list[Table]:
    """Return the tables, those that others refer to first."""
    found = MetaData()
    found.reflect(connection)
    return [table for table in found.sorted_tables if table.name != "alembic_version"]


def filled(url: str) -> Rows:
    """Write a row into every table; return them."""
    engine = create_engine(url)
    with engine.begin() as connection:
        for table in reflected(connection):
            connection.execute(table.insert().values({column.name: value_for(column) for column in table.columns}))
    engine.dispose()
    return read(url)


def read(url: str) -> Rows:
    """Return the row of every table that has the key `filled` wrote."""
    engine = create_engine(url)
    with engine.connect() as connection:
        rows = {table.name: connection.execute(table.select()).mappings().first() for table in reflected(connection)}
    engine.dispose()
    return {name: dict(row) for name, row in rows.items() if row is not None}


def kept(before: Rows, after: Rows) -> Rows:
    """Return of `after` what `before` has."""
    return {
        name: {column: value for column, value in after[name].items() if column in row} for name, row in before.items()
    }


@pytest.mark.parametrize("revision", revisions())
def test_rows_of_every_schema_come_up_and_back(tmp_path: Path, revision: str) -> None:
    url = f"sqlite:///{tmp_path}/state.db"
    migrate(url, revision)
    before = filled(url)
    assert before
    migrate(url)
    assert kept(before, read(url)) == before
    downgrade(url, revision)
    assert read(url) == before


def test_the_newest_schema_goes_back_step_by_step_and_keeps_what_the_first_one_knows(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/state.db"
    migrate(url)
    newest = filled(url)
    for revision in reversed(revisions()[:-1]):
        downgrade(url, revision)
    first = read(url)
    assert first
    assert kept(first, newest) == first
