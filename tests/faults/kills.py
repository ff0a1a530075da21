"""The backend is killed again and again while documents are queued; a client insists, a searcher watches.

Every document begins and ends with a word that no other has, in its first and in its last chunk: a search for both
finds both or neither.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import lancedb

from tests.e2e.processes import Program, free_port, start, until_healthy

KEY = "a-key-for-tests-only"
WORDS = ("leave", "policy", "applies", "to", "every", "member", "of", "a", "team", "who", "asks", "in", "writing")
BROKEN_EVERY = 10
"""One document in so many is a PDF that nobody can read."""
PATIENCE = 600.0


@dataclass(frozen=True)
class Plan:
    """`longest` is how many seconds a process may live after it is ready."""

    documents: int
    kills: int
    sections: int
    words: int
    longest: float
    seed: int = 7


SHORT = Plan(documents=20, kills=2, sections=4, words=100, longest=0.7)
FULL = Plan(documents=200, kills=20, sections=8, words=120, longest=4.0)


@dataclass
class Seen:
    """What happened meanwhile. `halves` are documents of which a search found one end alone."""

    searches: int = 0
    whole: int = 0
    halves: list[str] = field(default_factory=list)
    left: list[int] = field(default_factory=list)
    """Documents that had not ended at each kill."""


@dataclass
class Room:
    """A data folder, the process that serves it, and how it is talked to."""

    folder: Path
    plan: Plan
    client: aiohttp.ClientSession
    seen: Seen = field(default_factory=Seen)
    port: int = field(default_factory=free_port)
    program: Program | None = None

    @property
    def data(self) -> Path:
        return self.folder / "data"

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def begin(self) -> Program:
        environment = {"FOOTNOTE_DATA_DIR": str(self.data), "FOOTNOTE_PORT": str(self.port), "FOOTNOTE_API_KEY": KEY}
        self.program = await start("backend", "backend", "serve", environment=environment, folder=self.folder)
        return self.program

    async def ask(self, method: str, path: str, **arguments: Any) -> dict[str, Any] | None:
        """Return the reply, None where nobody answers."""
        try:
            async with self.client.request(method, f"{self.url}{path}", **arguments) as reply:
                assert reply.status < 300, (reply.status, await reply.text())
                found: dict[str, Any] = await reply.json()
                return found
        except (aiohttp.ClientError, TimeoutError):
            return None

    async def documents(self) -> list[dict[str, Any]]:
        listed: list[dict[str, Any]] = []
        cursor: dict[str, str] = {}
        while True:
            page = await self.ask("GET", "/documents", params={"limit": "200", **cursor})
            assert page is not None
            listed += page["documents"]
            if not page["cursor"]:
                return listed
            cursor = {"cursor": page["cursor"]}


def text_of(number: int, plan: Plan) -> str:
    """Return a document of several sections: a chunk each at least."""
    dice = random.Random(number)
    bodies = [" ".join(dice.choices(WORDS, k=plan.words)) for _ in range(plan.sections)]
    bodies[0] = f"Begin{number}q. {bodies[0]}"
    bodies[-1] = f"{bodies[-1]}. End{number}q"
    return "\n\n".join(f"## Part {place}\n\n{body}." for place, body in enumerate(bodies))


def is_broken(number: int) -> bool:
    return number % BROKEN_EVERY == BROKEN_EVERY - 1


async def hand_in(room: Room, numbers: Iterable[int]) -> None:
    """Hand documents in, some at once, each again until the backend has said that it has it."""
    gate = asyncio.Semaphore(8)

    async def insist(number: int) -> None:
        async with gate:
            while await _handed_in(room, number) is None:  # noqa: ASYNC110 - what is waited for is another process
                await asyncio.sleep(0.1)

    await asyncio.gather(*(insist(number) for number in numbers))


async def _handed_in(room: Room, number: int) -> dict[str, Any] | None:
    if not is_broken(number):
        asked = {"id": f"d{number}", "title": f"Document {number}", "text": text_of(number, room.plan)}
        return await room.ask("POST", "/ingest", json=asked)
    form = aiohttp.FormData({"id": f"d{number}"})
    form.add_field("file", b"%PDF-1.7 broken " + str(number).encode(), filename="b.pdf", content_type="application/pdf")
    return await room.ask("POST", "/ingest", data=form)


async def watch(room: Room) -> None:
    """Search for both ends of some document, for ever."""
    dice = random.Random(room.plan.seed)
    while True:
        number = dice.randrange(room.plan.documents)
        question = f"Begin{number}q End{number}q"
        found = await room.ask("POST", "/search", json={"question": question, "limit": 8})
        if found is not None:
            note(room.seen, number, "\n".join(passage["text"] for passage in found["passages"]))
        await asyncio.sleep(0.02)


def note(seen: Seen, number: int, texts: str) -> None:
    ends = (f"Begin{number}q" in texts, f"End{number}q" in texts)
    seen.searches += 1
    seen.whole += all(ends)
    if any(ends) and not all(ends):
        seen.halves.append(f"d{number}")


async def kill_often(room: Room) -> None:
    """Kill the process at random moments of its life and start the next one."""
    dice = random.Random(room.plan.seed)
    for _ in range(room.plan.kills):
        program = room.program
        assert program is not None
        if dice.random() < 0.8:
            await until_healthy(f"{room.url}/health/ready", program)
        await asyncio.sleep(dice.uniform(0, room.plan.longest))
        counted = await room.ask("GET", "/documents", params={"limit": "200"})
        if counted is not None:
            room.seen.left.append(sum(one["status"] in ("queued", "processing") for one in counted["documents"]))
        await program.stop(kill=True)
        await room.begin()
    assert room.program is not None
    await until_healthy(f"{room.url}/health/ready", room.program)


async def ended(room: Room) -> list[dict[str, Any]]:
    """Wait until no document is under way; return them all."""
    async with asyncio.timeout(PATIENCE):
        while True:
            documents = await room.documents()
            if len(documents) == room.plan.documents and all(one["status"] in ("ready", "failed") for one in documents):
                return documents
            await asyncio.sleep(0.3)


@asynccontextmanager
async def opened(folder: Path, plan: Plan) -> AsyncIterator[Room]:
    timeout = aiohttp.ClientTimeout(total=30)
    async with aiohttp.ClientSession(headers={"X-API-Key": KEY}, timeout=timeout) as client:
        room = Room(folder, plan, client)
        await room.begin()
        try:
            yield room
        finally:
            if room.program is not None:
                await room.program.stop()


async def survive(folder: Path, plan: Plan) -> Seen:
    """Run the plan and check what is left; AssertionError where something was lost, doubled or seen by halves."""
    async with opened(folder, plan) as room:
        watching = asyncio.create_task(watch(room))
        most = plan.documents * 3 // 4
        await hand_in(room, range(most))
        async with asyncio.TaskGroup() as work:
            work.create_task(hand_in(room, range(most, plan.documents)))
            work.create_task(kill_often(room))
        documents = await ended(room)
        await asyncio.sleep(0.5)
        watching.cancel()
        await asyncio.wait([watching])
        assert watching.cancelled(), watching.exception()
        check_documents(documents, plan)
        assert room.seen.halves == []
    rows = await rows_of(folder / "data" / "index")
    check_rows(rows, documents)
    check_blobs(folder / "data" / "blobs", plan)
    return room.seen


async def rows_of(index: Path) -> list[dict[str, Any]]:
    connection: Any = await lancedb.connect_async(str(index))
    table = await connection.open_table("chunks")
    columns = ["key", "document_id", "position", "revision", "text"]
    rows: list[dict[str, Any]] = (await table.query().select(columns).to_arrow()).to_pylist()
    table.close()
    connection.close()
    return rows


def check_documents(documents: list[dict[str, Any]], plan: Plan) -> None:
    states = {one["document_id"]: one for one in documents}
    assert len(states) == len(documents) == plan.documents
    for number in range(plan.documents):
        one = states[f"d{number}"]
        if is_broken(number):
            assert one["status"] == "failed", one
            assert one["reason"], one
        else:
            assert (one["status"], one["reason"]) == ("ready", ""), one


def check_rows(rows: list[dict[str, Any]], documents: list[dict[str, Any]]) -> None:
    """No chunk twice, none of a document that is not ready, and every ready one whole, of one revision."""
    assert [key for key, times in Counter(row["key"] for row in rows).items() if times > 1] == []
    ready = {one["document_id"] for one in documents if one["status"] == "ready"}
    assert {row["document_id"] for row in rows} == ready
    for document_id in ready:
        own = sorted((row for row in rows if row["document_id"] == document_id), key=lambda row: int(row["position"]))
        number = document_id.removeprefix("d")
        assert [row["position"] for row in own] == list(range(len(own)))
        assert len({row["revision"] for row in own}) == 1
        assert f"Begin{number}q" in own[0]["text"]
        assert f"End{number}q" in own[-1]["text"]


def check_blobs(folder: Path, plan: Plan) -> None:
    """What was handed in is kept once, and nothing else."""
    assert len([path for path in folder.rglob("*") if path.is_file()]) == plan.documents
