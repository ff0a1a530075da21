"""What the bot remembers, over SQLite and over PostgreSQL, and what several bots over PostgreSQL agree on."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import pytest
from cryptography.fernet import Fernet, MultiFernet
from slack_sdk.oauth.installation_store import Bot as Installed
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncEngine

from bot.audience import Channel, Person
from bot.channel_settings import ChannelSettings
from bot.database import SCHEMA, WORK_SCHEMA, build_engine
from bot.directory import Directory
from bot.durable import Payload, open_durable
from bot.forgetting import forget_jobs
from bot.installations import MARK, Installations
from bot.ledger import Ledger
from bot.order import ThreadOrder
from bot.peers import NoPeer, PostgresPeers, own_name
from bot.purge import forget_rows
from bot.recent import Recent
from bot.records import BUTTON, HandedOn, Records
from bot.relief import Relief
from bot.running import Running
from bot.store import Answer, IngestedThread, Store
from bot.telemetry import Telemetry
from bot.thread import Turn
from bot.tidings import Tidings
from bot.turns import TurnJob, Turns, WithdrawJob, write_turn
from tests.databases import SQL
from tests.postgres_server import PostgresServer, needs_postgres


@pytest.fixture
def shared(request: pytest.FixtureRequest) -> str:
    """The URL of a PostgreSQL that knows of no bot."""
    server: PostgresServer = request.getfixturevalue("postgres")
    for schema in (SCHEMA, WORK_SCHEMA):
        server.execute(f"DROP SCHEMA IF EXISTS {schema} CASCADE")
    return server.url()


@pytest.fixture(params=SQL)
async def engines(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[tuple[AsyncEngine, AsyncEngine]]:
    """Two engines over one memory, as two bots have them."""
    async with AsyncExitStack() as stack:
        database: Path | str = tmp_path / "bot.sqlite"
        if request.param == "postgres":
            database = request.getfixturevalue("shared")
            assert isinstance(database, str)
            peers = await stack.enter_async_context(PostgresPeers.open(database, "first"))
            await stack.enter_async_context(peers.starting())
        both = build_engine(database), build_engine(database)
        for engine in both:
            stack.push_async_callback(engine.dispose)
        await Store(both[0]).create_tables()
        await Store(both[1]).create_tables()
        yield both


def asked(ts: str = "10.1", **changes: str) -> Turn:
    turn = Turn(team="T", channel="C", ts=ts, thread_ts="10.1", user="U", text="leave?", place="channel")
    return msgspec.structs.replace(turn, **changes)


# -------------------------------------------------------------------------------------------------- what is remembered


async def test_a_turn_that_two_bots_are_told_of_is_one_turn(engines: tuple[AsyncEngine, AsyncEngine]) -> None:
    first, second = (Ledger(engine) for engine in engines)
    assert await asyncio.gather(*(ledger.ask(asked()) for ledger in (first, second) * 5)) == [True] * 10
    assert await first.unfinished() == [("T:C:10.1", "10.1")]
    await first.end(asked().key, "")
    assert not await second.ask(asked())
    assert await second.unfinished() == []


async def test_of_two_bots_one_begins_a_turn(engines: tuple[AsyncEngine, AsyncEngine]) -> None:
    stores = [Store(engine) for engine in engines]
    assert sorted(await asyncio.gather(*(store.begin_turn("k") for store in stores * 3))) == [False] + [True] * 5


async def test_what_one_bot_has_posted_another_one_edits(engines: tuple[AsyncEngine, AsyncEngine]) -> None:
    first, second = (Store(engine) for engine in engines)
    posted = await first.posted("k")
    await posted.intend()
    assert await second.is_making("k")
    await posted.add("1.0")
    await posted.add("2.0")
    taken_up = await second.posted("k")
    assert taken_up.ts == ("1.0", "2.0")
    assert not await second.is_making("k")
    await taken_up.drop_last()
    assert await second.known_ts(["1.0", "2.0"]) == {"1.0"}
    assert (await first.posted("k")).ts == ("1.0",)


async def test_answers_and_threads_are_known_to_both(engines: tuple[AsyncEngine, AsyncEngine]) -> None:
    first, second = (Store(engine) for engine in engines)
    for store, run_id in ((first, ""), (second, "r1")):
        await store.put_answer(Answer("T", "C", "1.0", "0.9", run_id, "U"))
    assert await first.run_of("T", "C", "1.0") == "r1"
    assert [one.run_id for one in await Recent(engines[0]).questions("T", "U", 5)] == ["r1"]
    for store in (first, second):
        await store.join_thread("T", "C", "0.9")
    assert await second.is_ours("T", "C", "0.9")
    await second.leave_thread("T", "C", "0.9")
    assert not await first.is_ours("T", "C", "0.9")
    thread = IngestedThread("T", "C", "0.9", "1.0", "U")
    await first.put_thread(thread)
    await second.put_thread(msgspec.structs.replace(thread, until_ts="2.0"))
    assert sorted(await asyncio.gather(*(store.count_change(thread) for store in (first, second)))) == [1, 2]
    assert await second.drop_thread(thread.document_id) == msgspec.structs.replace(thread, until_ts="2.0", changes=2)


async def test_ratings_and_settings_are_known_to_both(engines: tuple[AsyncEngine, AsyncEngine]) -> None:
    first, second = (Records(engine) for engine in engines)
    await asyncio.gather(*(records.react("r", "U", BUTTON, 1) for records in (first, second) * 3))
    await first.react("r", "U", "-1", -1)
    standing = await second.standing("r", "U")
    assert standing is not None
    assert (standing.rating, standing.kind) == (-1, "reaction")
    await second.note_comment("r", "U", standing)
    await first.react("r", "U", "-1", None)
    left = await second.standing("r", "U")
    assert left is not None
    assert (left.rating, left.commented) == (1, False)
    await first.put_mode("T", "C", "1.0", "muted")
    await second.put_mode("T", "C", "1.0", "followed")
    assert await first.mode("T", "C", "1.0") == "followed"
    await first.put_channel_settings("T", "C", ChannelSettings(muted=True))
    await second.move_channel_settings("T", "C", "C2")
    assert await first.channel_settings("T", "C2") == ChannelSettings(muted=True)
    handed_on = HandedOn("r", "T", "D", "1.0", "1.0", "U2", "U", "C", "0.9")
    for records in (first, second):
        await records.put_handed_on(handed_on)
    assert await first.handed_on_in("T", "D", "1.0") == handed_on
    await Recent(engines[0]).note_visit("T", "U")
    assert await Recent(engines[1]).visited("T", "U") is not None
    assert await forget_rows(engines[0], "T") == 4
    assert await second.handed_on("r") is None


async def test_tokens_are_known_to_both_and_to_nobody_else(engines: tuple[AsyncEngine, AsyncEngine]) -> None:
    keys = MultiFernet([Fernet(Fernet.generate_key())])
    first, second = (Installations("1.2", engine, keys) for engine in engines)
    await first.create_tables()  # type: ignore[no-untyped-call]
    given = Installed(
        app_id="A",
        team_id="T",
        bot_token="xoxb-secret",
        bot_id="B",
        bot_user_id="U",
        installed_at=1_000.0,
        bot_token_expires_at=2_000_000_000,
    )
    await first.async_save_bot(given)
    [found] = await second.installed()
    assert (found.bot_token, found.bot_token_expires_at) == ("xoxb-secret", 2_000_000_000)
    async with engines[1].connect() as connection:
        stored = (await connection.execute(select(second.bots.c.bot_token))).scalars().all()
    assert [token.startswith(MARK) for token in stored] == [True]
    await second.forget(found)
    assert await first.installed() == []


# --------------------------------------------------------------------------------------------------------- several bots


@dataclass
class Bot:
    """One of several: what it knows of turns, and what it has said."""

    turns: Turns
    peers: PostgresPeers
    said: list[str]
    takes: float = 0.0
    """Seconds that an answer takes, unless it is cut short."""

    async def answer(self, turn: Turn) -> None:
        with self.turns.running.entered(turn) as stop:
            self.said.append(f"{turn.ts} begun")
            with suppress(TimeoutError):
                await asyncio.wait_for(stop.pressed.wait(), self.takes)
            self.said.append(f"{turn.ts} {'cut' if stop.pressed.is_set() else 'done'}")

    async def say(self, turn: Turn, text: str) -> None: ...
    async def halt(self, turn: Turn) -> None: ...
    async def take_back(self, turn: Turn) -> None:
        self.said.append(f"{turn.ts} taken back")

    async def ask(self, turn: Turn) -> None:
        await self.turns.expect(turn)
        await TurnJob(self, self.turns).attempt(write_turn(turn))


@asynccontextmanager
async def bots(url: str, *names: str) -> AsyncIterator[list[Bot]]:
    said: list[str] = []
    async with AsyncExitStack() as stack:
        opened = []
        for name in names:
            peers = await stack.enter_async_context(PostgresPeers.open(url, name))
            engine = build_engine(url)
            stack.push_async_callback(engine.dispose)
            async with peers.starting():
                await Store(engine).create_tables()
            turns = Turns(Ledger(engine), ThreadOrder(4), Running(), Telemetry(), peers)
            following = asyncio.create_task(turns.follow())
            stack.callback(following.cancel)
            opened.append(Bot(turns, peers, said))
        yield opened


async def until(done: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not done():  # noqa: ASYNC110 - what is waited for knows nothing of the test
            await asyncio.sleep(0.02)


@needs_postgres
async def test_a_question_of_which_both_bots_hear_is_answered_by_one(shared: str) -> None:
    async with bots(shared, "a", "b") as (first, second):
        first.takes = second.takes = 0.3
        await asyncio.gather(*(bot.ask(asked()) for bot in (first, second)))
        assert first.said == ["10.1 begun", "10.1 done"]


@needs_postgres
async def test_a_thread_is_answered_in_its_order_whichever_bot_hears_what(shared: str) -> None:
    async with bots(shared, "a", "b") as (first, second):
        first.takes = 0.5
        earlier = asyncio.create_task(first.ask(asked("10.1")))
        await until(lambda: bool(first.said))
        await asyncio.gather(second.ask(asked("10.2")), second.ask(asked("99.1", thread_ts="99.1")), earlier)
        assert first.said.index("99.1 done") < first.said.index("10.1 done") < first.said.index("10.2 begun")


@needs_postgres
async def test_a_later_question_that_is_heard_of_first_holds_the_earlier_one_up_nowhere(shared: str) -> None:
    async with bots(shared, "a", "b") as (first, second):
        for ts in ("10.1", "10.2"):
            await second.turns.expect(asked(ts))
        later = asyncio.create_task(second.ask(asked("10.2")))
        await asyncio.sleep(0.8)
        assert second.said == []
        await second.ask(asked("10.1"))
        await later
        assert first.said == ["10.1 begun", "10.1 done", "10.2 begun", "10.2 done"]


@needs_postgres
async def test_an_answer_is_cut_short_by_what_another_bot_was_told(shared: str) -> None:
    async with bots(shared, "a", "b") as (first, second):
        first.takes = 60.0
        at_it = asyncio.create_task(first.ask(asked()))
        await until(lambda: bool(first.said))
        assert await second.turns.stop("T:C:10.1", "11.0") == 0
        await at_it
        assert first.said.pop() == "10.1 cut"
        again = asyncio.create_task(first.ask(asked("10.5")))
        await until(lambda: "10.5 begun" in first.said)
        await WithdrawJob(second, second.turns).attempt(write_turn(asked("10.5", text="")))
        await again
        assert first.said[-3:] == ["10.5 begun", "10.5 cut", "10.5 taken back"]


class Members:
    """Slack's answer to who is where; `asked` counts the questions."""

    asked = 0

    async def channels_of(self, user: str) -> tuple[str, ...]:
        self.asked += 1
        return ("C",)

    async def channel(self, channel: str) -> Channel: ...  # type: ignore[empty-body]
    async def person(self, user: str) -> Person: ...  # type: ignore[empty-body]
    async def members(self, channel: str) -> frozenset[str]: ...  # type: ignore[empty-body]
    async def guests(self) -> frozenset[str]: ...  # type: ignore[empty-body]


@needs_postgres
async def test_who_left_a_channel_has_left_it_for_all_bots(shared: str) -> None:
    async with bots(shared, "a", "b") as (first, second):
        slack = Members()
        heard = Tidings(second.peers, {"T": Directory(slack)})
        listening = asyncio.create_task(second.peers.listen(heard.hear))
        try:
            async with asyncio.timeout(30):
                while slack.asked < 6:  # at first, and again once it listens, and once it is told
                    assert await heard.directories["T"].channels_of("U") == ("C",)
                    await Tidings(first.peers).tell("T", "membership", "U", "C")
                    await asyncio.sleep(0.05)
        finally:
            listening.cancel()


@needs_postgres
async def test_a_name_is_one_bots(shared: str, tmp_path: Path) -> None:
    assert own_name(tmp_path) == own_name(tmp_path)
    async with bots(shared, "a", "b") as (first, second):
        assert await first.peers.gone({"a", "b", "c"}) == {"c"}
        assert first.peers.living == 2
        async with second.peers.in_place_of("a") as free:
            assert not free
        async with second.peers.in_place_of("c") as free:
            assert free
            assert await first.peers.gone({"c"}) == set()
        assert await first.peers.gone({"c"}) == {"c"}
    with pytest.raises(NoPeer):
        async with PostgresPeers.open("postgresql://nobody@127.0.0.1:1/none", "a"):
            pass


# ------------------------------------------------------------------------------------------------------------ take-over


@dataclass
class Says:
    """Does its work, or is at it until it is cut off."""

    hang: bool = False
    name: str = "turn"
    begun: list[str] = field(default_factory=list)
    done: list[str] = field(default_factory=list)

    async def attempt(self, payload: Payload) -> None:
        self.begun.append(payload["id"])
        if self.hang:
            await asyncio.sleep(60)
        self.done.append(payload["id"])

    async def give_up(self, payload: Payload) -> None: ...
    async def fail(self, payload: Payload) -> None: ...


@needs_postgres
async def test_the_work_of_a_bot_that_is_gone_is_done_by_another_of_any_version_once(shared: str) -> None:
    cut_off, job = Says(hang=True), Says()
    async with (
        PostgresPeers.open(shared, "gone") as gone,
        open_durable(shared, [cut_off], stop_timeout=0.1, version="older", peers=gone) as durable,
    ):
        await durable.record("turn", "k1", {"id": "1"})
        await until(lambda: bool(cut_off.begun))
    async with (
        PostgresPeers.open(shared, "other") as other,
        open_durable(shared, [job], stop_timeout=2, peers=other) as durable,
    ):
        await durable.record("turn", "k2", {"id": "2"})
        relief = Relief(other, durable, grace=0.5)
        await relief.look()
        await durable.record("turn", "k1", {"id": "1"})  # Slack tells it once more, to whoever is there
        await asyncio.sleep(0.2)
        assert job.done == ["2"]
        await asyncio.sleep(0.4)
        await relief.look()
        await until(lambda: len(job.done) == 2)
        await relief.look()
        await asyncio.sleep(1.3)
        assert job.begun == ["2", "1"]


@needs_postgres
async def test_a_bot_that_loses_its_session_leaves_its_work_and_begins_it_anew(
    shared: str, postgres: PostgresServer
) -> None:
    job = Says(hang=True)
    async with (
        PostgresPeers.open(shared, "only") as peers,
        open_durable(shared, [job], stop_timeout=0.1, peers=peers) as durable,
    ):
        peers.abandon, peers.resume = durable.abandon, lambda: durable.take_over("only")
        await durable.record("turn", "k1", {"id": "1", "team": "T", "user": "U1"})
        await until(lambda: bool(job.begun))
        job.hang = False
        postgres.execute("SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory'")
        await until(lambda: bool(job.done))
        await peers.sure()
        assert (job.begun, job.done, peers.lives) == (["1", "1"], ["1"], 2)
        async with asyncio.timeout(30):
            while not await asyncio.to_thread(forget_jobs, shared, "T", "U1"):  # noqa: ASYNC110 - until it has ended
                await asyncio.sleep(0.1)
