"""Several backends over PostgreSQL, an object store and Redis, behind nginx, and two bots in front of them: they are
one, whichever of them dies."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from pathlib import Path
from typing import Any
from urllib.parse import quote

import aiohttp
import lancedb
import pytest

from backend.adapters.lance_tables import TABLE
from tests.e2e.nginx import needs_nginx
from tests.e2e.topology import Backend, Bot, Topology, topology
from tests.e2e.topology_care import care_is_taken_beside_backends_at_work
from tests.faults.turns import Question, Tally, document, examine_thread, kind_of, of_bot
from tests.postgres_server import needs_postgres
from tests.redis_server import needs_redis

pytestmark = [pytest.mark.e2e, needs_nginx, needs_postgres, needs_redis]

PATIENCE = 120.0
MANY = 24
LEAVE = {
    "id": "leave",
    "title": "Leave",
    "text": "# Paid leave\n\nEveryone has 25 days of paid leave per year. Requests go to Ana Lima in the people team.",
}
ASK = {"question": "How many days of paid leave do I have?"}


QUESTIONS = [Question(100 + number, number % 5) for number in range(20)]
FIRST, SECOND = QUESTIONS[:10], QUESTIONS[10:]
"""What is asked while a bot is killed for good, and while the other one is replaced: two in each of five threads."""


async def test_several_backends_are_one_whichever_of_them_ends(tmp_path: Path) -> None:
    async with topology(tmp_path, backends=3, bots=2) as running:
        await what_one_takes_in_is_answered_by_all(running)
        await what_is_removed_through_one_is_answered_by_none(running)
        async with running.http.post("/ingest?wait=true", json=document(QUESTIONS)) as reply:
            assert (await reply.json())["status"] == "ready"
        _, first = await asyncio.gather(
            the_work_of_one_that_dies_is_done_once(running), asked_while_a_bot_dies(running)
        )
        _, second = await asyncio.gather(
            a_rolling_restart_loses_no_request(running), asked_while_a_bot_is_replaced(running)
        )
        await every_question_has_one_outcome(running, [(first, FIRST), (second, SECOND)])
        await care_is_taken_beside_backends_at_work(running, tmp_path)


async def what_one_takes_in_is_answered_by_all(running: Topology) -> None:
    first, *others = running.backends
    async with first.http.post("/ingest?wait=true", json=LEAVE) as reply:
        assert await reply.json() == {"document_id": "leave", "status": "ready"}
    for http in (*(one.http for one in others), running.http):
        assert await outcome(http) == "answered"


async def what_is_removed_through_one_is_answered_by_none(running: Topology) -> None:
    first, second, third = running.backends
    async with third.http.delete("/documents/leave") as reply:
        assert reply.status == 200
    for one in (first, second, third):
        assert await outcome(one.http) == "abstained"


async def the_work_of_one_that_dies_is_done_once(running: Topology) -> None:
    """The first one leads, so that it is not only its work that is taken over."""
    first, second, _ = running.backends
    names = [f"page-{number}" for number in range(MANY)]
    await asyncio.gather(*(enqueued(first, name) for name in names))
    await begun_by(running, first)
    await first.stop(kill=True)

    async with asyncio.timeout(PATIENCE):
        while set((await statuses(second, names)).values()) != {"ready"}:  # noqa: ASYNC110 - another process's state
            await asyncio.sleep(0.3)

    rows = await rows_in_index(running)
    assert {name: rows[name] for name in names} == dict.fromkeys(names, 1)
    assert running.postgres.execute("SELECT DISTINCT status FROM dbos.workflow_status") == [("SUCCESS",)]
    leaders = running.postgres.execute(
        "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objid = 4 AND objsubid = 2 AND granted"
    )
    assert leaders == [(1,)]


async def asked_while_a_bot_dies(running: Topology) -> dict[int, str]:
    """Kill the first one for good in the middle of an answer; return the threads once everything is answered."""
    first, _, third = running.bots
    await running.slack.slow("chat.stopStream", 1.5, times=len(FIRST))
    threads = await asked(running, FIRST)
    await in_the_middle(running, first)
    await first.stop(kill=True)
    await third.begin()
    await settled(running, FIRST)
    return threads


async def asked_while_a_bot_is_replaced(running: Topology) -> dict[int, str]:
    """End the second one as an upgrade does, while the third one is there."""
    _, second, third = running.bots
    await third.ready()
    _, threads = await asyncio.gather(second.stop(), asked(running, SECOND))
    await settled(running, QUESTIONS)
    return threads


async def every_question_has_one_outcome(running: Topology, begun: list[tuple[dict[int, str], list[Question]]]) -> None:
    tally, said = Tally(), of_bot(await running.slack.state())
    for threads, questions in begun:
        for thread, root in threads.items():
            theirs = sorted((one for one in said if one.get("thread_ts") == root), key=lambda one: str(one["ts"]))
            examine_thread(tally, [one for one in questions if one.thread == thread], theirs)
    assert (tally.missing, tally.doubled, tally.strays, tally.hanging, tally.disordered) == ([], [], [], [], [])
    assert tally.outcomes == Counter(answer=len(QUESTIONS)) == Counter(answer=len(said))


async def a_rolling_restart_loses_no_request(running: Topology) -> None:
    """Of the two that are left; nginx still names the dead one, too."""
    over = asyncio.Event()
    load = [asyncio.create_task(asking(running.http, over, number)) for number in range(4)]
    for one in running.backends[1:]:
        await one.stop()
        await one.begin()
        await one.ready()
    await asyncio.sleep(1)
    over.set()
    counts = sum(await asyncio.gather(*load), Counter[str]())
    assert set(counts) == {"search 200", "query 200", "documents 200", "ingest 202"}, counts
    assert min(counts.values()) > 3


# ------------------------------------------------------------------------------------------------------------- helpers


async def outcome(http: aiohttp.ClientSession) -> str:
    async with http.post("/query", json=ASK) as reply:
        assert reply.status == 200, await reply.text()
        return str((await reply.json())["outcome"])


async def asked(running: Topology, questions: list[Question]) -> dict[int, str]:
    """Ask everything at once, some questions before the last one of their thread is answered; return the threads."""
    roots: dict[int, str] = {}
    for question in questions:
        root = roots.get(question.thread)
        text = f"<@U_FOOTNOTE> {question.text}"
        question.ts = await running.slack.post("C_GENERAL", text, thread_ts=root)
        roots.setdefault(question.thread, question.ts)
    return roots


async def in_the_middle(running: Topology, bot: Bot) -> None:
    """Return once Slack has a message of an answer that this bot is at."""
    at_it = (
        "SELECT count(*) FROM footnote_bot_work.workflow_status AS work JOIN footnote_bot.posted AS posted"
        f" ON posted.key = work.workflow_uuid WHERE work.status = 'PENDING' AND work.executor_id = '{bot.name}'"
    )
    async with asyncio.timeout(PATIENCE):
        while running.postgres.execute(at_it) == [(0,)]:  # noqa: ASYNC110 - another process's state
            await asyncio.sleep(0.05)


async def settled(running: Topology, questions: list[Question]) -> None:
    """Return once there are as many messages as questions, each at its end."""

    def is_settled(state: dict[str, Any]) -> bool:
        said = of_bot(state)
        return len(said) >= len(questions) and all(kind_of(message) for message in said)

    await running.slack.until(is_settled, within=PATIENCE, what="end of all answers")


async def enqueued(backend: Backend, name: str) -> None:
    text = f"# Page {name}\n\nThe secret word of {name} is number {quote(name)}. It is kept by its owner."
    async with backend.http.post("/ingest", json={"id": name, "title": name, "text": text}) as reply:
        assert reply.status == 202, await reply.text()


async def begun_by(running: Topology, backend: Backend) -> None:
    """Return once this backend works on some of what is queued."""
    name = (backend.folder / f"data-{backend.number}" / "replica").read_text().strip()
    pending = f"SELECT count(*) FROM dbos.workflow_status WHERE status = 'PENDING' AND executor_id = '{name}'"
    async with asyncio.timeout(PATIENCE):
        while running.postgres.execute(pending) == [(0,)]:  # noqa: ASYNC110 - another process's state
            await asyncio.sleep(0.01)


async def statuses(backend: Backend, names: list[str]) -> dict[str, str]:
    async with backend.http.get("/documents?limit=100") as reply:
        listed = (await reply.json())["documents"]
    return {one["document_id"]: one["status"] for one in listed if one["document_id"] in names}


async def rows_in_index(running: Topology) -> Counter[str]:
    connection: Any = await lancedb.connect_async(running.store.uri("index"), storage_options=running.store.options)
    table: Any = await connection.open_table(TABLE)
    rows = (await table.query().select(["document_id"]).to_arrow()).to_pylist()
    table.close()
    connection.close()
    return Counter(row["document_id"] for row in rows)


async def asking(http: aiohttp.ClientSession, over: asyncio.Event, number: int) -> Counter[str]:
    """Do as people do, below nginx's limit, until told to end; count what came of it."""
    counts: Counter[str] = Counter()
    calls = (
        ("search", "POST", "/search", {"question": "secret word"}),
        ("query", "POST", "/query", {"question": "What is the secret word of page-7?"}),
        ("documents", "GET", "/documents?limit=5", None),
        ("ingest", "POST", "/ingest", {"id": f"late-{number}", "text": "# Late\n\nThe gate closes at nine."}),
    )
    while not over.is_set():
        for name, method, path, body in calls:
            began = time.monotonic()
            async with http.request(method, path, json=body) as reply:
                await reply.read()
                counts[f"{name} {reply.status}"] += 1
            await asyncio.sleep(max(0.0, 0.3 - (time.monotonic() - began)))
    return counts
