"""`python -m bot purge TEAM --user USER`: forget a person, on their request: what the bot remembers of them."""

from __future__ import annotations

import asyncio
import re
import sqlite3
import sys
from contextlib import closing, suppress
from pathlib import Path

import msgspec
from dbos import DBOSClient
from sqlalchemy import Connection, MetaData, Table, delete, inspect, or_, select, update
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import AsyncEngine

from bot.channel_settings import ChannelSettings
from bot.database import WORK_SCHEMA
from bot.memory import open_memory, work_url
from bot.records import CHANNEL_SETTINGS
from bot.settings import Settings

NAMES = ("user", "asker", "expert")
"""Columns that name people."""
SHARED = "thread_documents"
"""Rows that are the channel's and stay, without the name."""
ENDED = ["SUCCESS", "ERROR", "CANCELLED"]


async def forget(settings: Settings, team: str, user: str) -> int:
    """Do it and say what went. What is being done for this person right now is forgotten three days after its end."""
    engine = open_memory(settings)
    try:
        rows = await forget_user(engine, team, user)
    finally:
        await engine.dispose()
    jobs = await asyncio.to_thread(forget_jobs, work_url(settings), team, user)
    sys.stdout.write(f"{user}: {rows} rows of the bot's memory and {jobs} ended jobs with their words deleted.\n")
    sys.stdout.write(f"What the backend keeps: python -m backend person delete {user} --team {team}\n")
    return 0


async def forget_user(engine: AsyncEngine, team: str, user: str) -> int:
    """Delete every row that names the person, from whichever table has such a column; return how many."""
    async with engine.begin() as connection:
        return await connection.run_sync(_forget_user, team, user)


def _forget_user(connection: Connection, team: str, user: str) -> int:
    metadata = MetaData()
    metadata.reflect(connection, only=inspect(connection).get_table_names())
    rows = sum(_forget_in(connection, table, team, user) for table in metadata.tables.values())
    return rows + _forget_in_settings(connection, team, user)


def _forget_in_settings(connection: Connection, team: str, user: str) -> int:
    """Take a person out of what is settled for channels, which stays the channels'; return in how many they were."""
    if not inspect(connection).has_table(CHANNEL_SETTINGS.name):
        return 0
    here = CHANNEL_SETTINGS.c.team == team
    changed = 0
    for channel, written in connection.execute(
        select(CHANNEL_SETTINGS.c.channel, CHANNEL_SETTINGS.c.settings).where(here)
    ):
        settings = msgspec.json.decode(written, type=ChannelSettings)
        if (left := settings.without(user)) != settings:
            rewritten = update(CHANNEL_SETTINGS).where(here, CHANNEL_SETTINGS.c.channel == channel)
            connection.execute(rewritten.values(settings=msgspec.json.encode(left).decode()))
            changed += 1
    return changed


def _forget_in(connection: Connection, table: Table, team: str, user: str) -> int:
    """Return how many rows of a table named this person. Slack's ids of people are not used again elsewhere, so that a
    row without a team can be told by them alone."""
    named = [table.c[name] == user for name in NAMES if name in table.c]
    if not named:
        return 0
    where = (or_(*named), *([table.c.team == team] if "team" in table.c else []))
    statement = update(table).values(user="") if table.name == SHARED else delete(table)
    return connection.execute(statement.where(*where)).rowcount


def forget_jobs(url: str, team: str, user: str) -> int:
    """Delete the jobs that ended and were about this person; return how many. Blocking."""
    file = make_url(url).database if url.startswith("sqlite") else None
    if file is not None and not Path(file).exists():
        return 0
    client = DBOSClient(system_database_url=url, dbos_system_schema=WORK_SCHEMA)
    try:
        ended = client.list_workflows(status=ENDED, load_output=False)
        theirs = [one.workflow_id for one in ended if _names(str(one.input), team, user)]
        client.delete_workflows(theirs)
    finally:
        client.destroy()
    if file is not None:
        with closing(sqlite3.connect(file, timeout=5)) as database, suppress(sqlite3.OperationalError):
            database.execute("VACUUM")  # what was deleted is not in the file any more; a bot at work may be in the way
            database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return len(theirs)


def _names(payload: str, team: str, user: str) -> bool:
    return all(re.search(rf"(?<![A-Za-z0-9]){re.escape(one)}(?![A-Za-z0-9])", payload) for one in (team, user))
