"""`python -m bot purge TEAM`: forget a workspace, on its request: its documents, what the bot remembers, its token."""

from __future__ import annotations

import sys

import aiohttp
from sqlalchemy import MetaData, delete, inspect
from sqlalchemy.engine import Connection
from sqlalchemy.ext.asyncio import AsyncEngine

from bot.client import Backend
from bot.installing import open_store
from bot.memory import open_memory
from bot.settings import Settings

PAGE = 50


async def purge(settings: Settings, team: str) -> int:
    """Do it and say what went. Raises BackendUnavailable, BackendProblem; to be run again then."""
    async with aiohttp.ClientSession() as session:
        documents = await remove_documents(Backend(session, settings.backend, settings.read_api_key), team)
    engine = open_memory(settings)
    try:
        if settings.slack_client_id is not None:
            store = await open_store(settings, engine)
            for bot in await store.installed():
                if bot.team_id == team:
                    await store.forget(bot)
        rows = await forget_rows(engine, team)
    finally:
        await engine.dispose()
    sys.stdout.write(f"{team}: {documents} documents removed, {rows} rows of the bot's memory deleted.\n")
    sys.stdout.write("The backend erases the documents' words from disk after FOOTNOTE_PURGE_AFTER.\n")
    return 0


async def remove_documents(backend: Backend, team: str) -> int:
    """Take all documents of a team out of every answer; return how many there were."""
    removed = 0
    while found := (await backend.documents(team, limit=PAGE)).documents:
        for document in found:
            await backend.remove(team, document.document_id)
        removed += len(found)
    return removed


async def forget_rows(engine: AsyncEngine, team: str) -> int:
    """Delete every row that names the team, from whichever table has such a column; return how many."""
    async with engine.begin() as connection:
        return await connection.run_sync(_forget_rows, team)


def _forget_rows(connection: Connection, team: str) -> int:
    metadata = MetaData()
    metadata.reflect(connection, only=inspect(connection).get_table_names())
    tables = [table for table in metadata.tables.values() if "team" in table.c]
    return sum(connection.execute(delete(table).where(table.c.team == team)).rowcount for table in tables)
