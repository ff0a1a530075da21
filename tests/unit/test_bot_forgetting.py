"""What the bot remembers of a person goes when they ask for it, and nothing of anybody else does."""

from __future__ import annotations

import asyncio
from pathlib import Path

from dbos import DBOS, DBOSClient
from sqlalchemy import select

from bot.database import build_engine
from bot.durable import Payload, open_durable
from bot.forgetting import forget, forget_jobs
from bot.records import HANDED_ON, REACTIONS, HandedOn, Records
from bot.settings import Settings
from bot.store import ANSWERS, THREAD_DOCUMENTS, Answer, IngestedThread, Store


class Says:
    """A job that is done at once."""

    name = "say"

    async def attempt(self, payload: Payload) -> None:
        return None

    async def give_up(self, payload: Payload) -> None:
        return None

    async def fail(self, payload: Payload) -> None:
        return None


async def jobs_with_words(folder: Path) -> None:
    """Let the bot do three jobs, one of them for U1 of T1."""
    async with open_durable(folder / "bot-dbos.sqlite", [Says()], stop_timeout=30) as durable:
        for team, user, text in (("T1", "U1", "xylophone"), ("T1", "U12", "lunch"), ("T2", "U1", "elsewhere")):
            await durable.record("say", f"{team}-{user}", {"team": team, "user": user, "text": text})
        async with asyncio.timeout(60):
            for key in ("T1-U1", "T1-U12", "T2-U1"):
                await (await DBOS.retrieve_workflow_async(key)).get_result()


async def memories(folder: Path) -> None:
    engine = build_engine(folder / "bot.sqlite")
    store, records = Store(engine), Records(engine)
    await store.create_tables()
    for user in ("U1", "U2"):
        await store.put_answer(Answer("T1", "C1", f"1.{user}", "1.0", f"r-{user}", user))
        await store.put_thread(IngestedThread("T1", "C1", f"2.{user}", "3.0", user))
        await records.react(f"r-{user}", user, "+1", 1)
    await records.put_handed_on(HandedOn("r-U2", "T1", "C1", "4", "4", "U1", "U2", "C1", "1.0"))
    await store.put_answer(Answer("T2", "C1", "1.U1", "1.0", "r", "U1"))
    await engine.dispose()


async def test_a_person_is_forgotten_and_nobody_else(tmp_path: Path) -> None:
    await memories(tmp_path)
    await jobs_with_words(tmp_path)
    assert "xylophone" in jobs_of(tmp_path)

    assert await forget(Settings.model_validate({"data_dir": tmp_path}), "T1", "U1") == 0

    engine = build_engine(tmp_path / "bot.sqlite")
    async with engine.connect() as connection:
        asked = [(row.team, row.asker) for row in await connection.execute(select(ANSWERS))]
        assert sorted(asked) == [("T1", "U2"), ("T2", "U1")]
        assert [row.user for row in await connection.execute(select(REACTIONS))] == ["U2"]
        assert sorted(row.user for row in await connection.execute(select(THREAD_DOCUMENTS))) == ["", "U2"]
        assert (await connection.execute(select(HANDED_ON))).all() == []
    await engine.dispose()
    left = jobs_of(tmp_path)
    assert ("xylophone" in left, "lunch" in left, "elsewhere" in left) == (False, True, True)


def jobs_of(folder: Path) -> str:
    """Return what the jobs that are kept were asked to do."""
    client = DBOSClient(system_database_url=f"sqlite:///{folder / 'bot-dbos.sqlite'}")
    try:
        return str([job.input for job in client.list_workflows()])
    finally:
        client.destroy()


def test_without_jobs_there_is_nothing_to_forget(tmp_path: Path) -> None:
    assert forget_jobs(f"sqlite:///{tmp_path / 'none.sqlite'}", "T1", "U1") == 0
