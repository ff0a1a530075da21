"""Questions over many threads while bot and backend are killed, sockets drop, events come twice, and Slack's Web API
fails one call in ten. Afterwards every question has one outcome, and nothing hangs.

The local Slack, the backend and the bot are processes of their own. Each question is about a room of its own, so
that an answer tells which question it answers.
"""

from __future__ import annotations

import asyncio
import random
import re
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any, TypeAlias

import aiohttp

from tests.e2e.processes import Program, free_port, start, until_healthy
from tests.fakes.slack_driver import BOT, SlackDriver

Json: TypeAlias = dict[str, Any]
KEY = "a-key-for-tests-only"
PLACES = (("C_GENERAL", "U_ANA"), ("C_GENERAL", "U_BEN"), ("C_HR", "U_ANA"), ("D_ANA", "U_ANA"), ("D_BEN", "U_BEN"))
"""Where threads are, and who asks in them."""


@dataclass(frozen=True)
class Plan:
    """`chance` is the share of Web API calls that fail; `longest` how many seconds a process lives until it is killed;
    `pause` the longest time between two questions of a thread; `patience` how long everything may take to settle;
    `retry` when Slack delivers again what was not acknowledged."""

    questions: int
    threads: int
    kills: int
    longest: float
    pause: float
    patience: float
    chance: float = 0.1
    slack_timeout: float = 5.0
    retry: str = "0,5,20"
    seed: int = 11


SHORT = Plan(
    questions=30, threads=6, kills=4, longest=2.0, pause=1.5, patience=90.0, slack_timeout=2.0, retry="0,1,2,4,8"
)
FULL = Plan(questions=300, threads=30, kills=30, longest=12.0, pause=90.0, patience=420.0)


@dataclass
class Tally:
    """What was done to them, and what was left of it."""

    kills: Counter[str] = field(default_factory=Counter)
    sockets: Counter[str] = field(default_factory=Counter)
    struck: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    missing: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)
    strays: list[str] = field(default_factory=list)
    """Messages of the bot that are no question's outcome."""
    hanging: list[str] = field(default_factory=list)
    disordered: list[str] = field(default_factory=list)
    seconds: float = 0.0

    def table(self, plan: Plan) -> str:
        rows = [
            ("questions, threads", f"{plan.questions}, {plan.threads}"),
            ("kill -9 of the bot, of the backend", f"{self.kills['bot']}, {self.kills['backend']}"),
            ("sockets dropped, refreshed", f"{self.sockets['drop']}, {self.sockets['refresh']}"),
            ("events duplicated, redelivered late", f"{self.sockets['duplicate']}, {self.sockets['redeliver']}"),
            ("Web API calls that failed (429, 500, no answer)", str(self.struck)),
            ("outcomes", ", ".join(f"{count} {kind}" for kind, count in sorted(self.outcomes.items()))),
            ("questions without an outcome", str(len(self.missing))),
            ("duplicates", str(len(self.doubled) + len(self.strays))),
            ("hanging messages and sessions", str(len(self.hanging))),
            ("answers out of their thread's order", str(len(self.disordered))),
            ("seconds", f"{self.seconds:.0f}"),
        ]
        return "\n".join(["| | |", "|---|---|", *(f"| {name} | {value} |" for name, value in rows)])


@dataclass
class Question:
    number: int
    thread: int
    ts: str = ""

    @property
    def text(self) -> str:
        return f"How many days of paid leave has the team in room {self.number}?"


ANSWER = re.compile(r"sits in room (\d+) has")
"""The first such sentence of an answer tells which question it answers."""


def document(questions: Sequence[Question]) -> Json:
    """Return the document that answers these questions, a section for each."""
    sections = [
        f"## Room {one.number}\n\nThe team that sits in room {one.number} has {one.number + 1000} days of paid leave "
        "per year."
        for one in questions
    ]
    return {"id": "rooms", "title": "Rooms", "text": "\n\n".join(sections), "team": "local"}


@dataclass
class Room:
    """Three processes, how to start each again, and the people who ask."""

    folder: Path
    plan: Plan
    slack: SlackDriver
    slack_port: int
    backend_port: int
    programs: dict[str, Program] = field(default_factory=dict)
    tally: Tally = field(default_factory=Tally)
    roots: dict[int, tuple[str, str, str]] = field(default_factory=dict)
    """Per thread: channel, who asks, and the thread's ts."""
    questions: list[Question] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.dice = random.Random(self.plan.seed)

    @property
    def backend_url(self) -> str:
        return f"http://127.0.0.1:{self.backend_port}"

    async def begin(self, name: str) -> None:
        data = str(self.folder / name)
        shared = {"FOOTNOTE_PORT": str(self.backend_port), "FOOTNOTE_API_KEY": KEY, "FOOTNOTE_DATA_DIR": data}
        if name == "backend":
            environment = shared | {f"FOOTNOTE_RATE_{who}": "off" for who in ("USER", "CHANNEL", "TEAM")}
            self.programs[name] = await start(name, "backend", "serve", environment=environment, folder=self.folder)
            return
        environment = shared | {
            "FOOTNOTE_SLACK_TIMEOUT": str(self.plan.slack_timeout),
            "SLACK_API_URL": f"http://127.0.0.1:{self.slack_port}/api/",
            "SLACK_BOT_TOKEN": "xoxb-sandbox",
            "SLACK_APP_TOKEN": "xapp-sandbox",
        }
        self.programs[name] = await start(name, "bot", environment=environment, folder=self.folder)

    async def until_ready(self, name: str) -> None:
        if name == "backend":
            await until_healthy(f"{self.backend_url}/health/ready", self.programs[name])
        else:
            await self.slack.connected(within=60)

    async def kill(self, name: str) -> None:
        """End a process in the middle of whatever it does, and start it again."""
        program = self.programs[name]
        if program.process.returncode is None:
            self.tally.kills[name] += 1
            await program.stop(kill=True)
        await self.begin(name)


async def ingest(room: Room) -> None:
    """Have the backend know all answers."""
    async with (
        aiohttp.ClientSession(room.backend_url, headers={"X-API-Key": KEY}) as client,
        client.post("/ingest", params={"wait": "true"}, json=document(room.questions)) as reply,
    ):
        assert reply.status == 200, await reply.text()


async def ask_in_thread(room: Room, thread: int) -> None:
    """Ask the thread's questions, sometimes before the last one is answered."""
    channel, user = PLACES[thread % len(PLACES)]
    dice = random.Random(room.plan.seed * 1000 + thread)
    root: str | None = None
    await asyncio.sleep(dice.uniform(0, room.plan.pause))
    for question in [one for one in room.questions if one.thread == thread]:
        mention = "" if channel.startswith("D") or (root and dice.random() < 0.5) else "<@U_FOOTNOTE> "
        question.ts = await room.slack.post(channel, mention + question.text, thread_ts=root, user=user)
        if root is None:
            root = question.ts
            room.roots[thread] = (channel, user, root)
            await asyncio.sleep(2.0)  # until the thread is ours, so that a mention is not needed
        await asyncio.sleep(dice.choice((0.0, 0.1, dice.uniform(0, 2 * room.plan.pause))))


async def kill_often(room: Room) -> None:
    """Kill the bot or the backend at any moment, also while it starts or takes up what was left."""
    for number in range(room.plan.kills):
        name = ("bot", "backend")[number % 2]
        await asyncio.sleep(room.dice.uniform(0.2, room.plan.longest))
        await room.kill(name)
        if room.dice.random() < 0.8:
            await room.until_ready(name)
        await revive(room)


async def revive(room: Room) -> None:
    """Start again what ended by itself, as whoever runs it would."""
    for name, program in list(room.programs.items()):
        if program.process.returncode is not None:
            room.tally.kills[f"{name} ended"] += 1
            await room.begin(name)


async def disturb(room: Room) -> None:
    """Drop and refresh sockets, deliver events twice and again, for as long as it is let."""
    deeds: dict[str, Callable[[], Awaitable[None]]] = {
        "drop": room.slack.drop_sockets,
        "refresh": room.slack.refresh_sockets,
        "duplicate": lambda: room.slack.duplicate_next(4),
        "redeliver": lambda: room.slack.redeliver(4),
    }
    while True:
        await asyncio.sleep(room.dice.uniform(0, room.plan.longest))
        name = room.dice.choice(list(deeds))
        await deeds[name]()
        room.tally.sockets[name] += 4 if name in {"duplicate", "redeliver"} else 1


# ------------------------------------------------------------------------------------------------------- what is left


def of_bot(state: Json) -> list[Json]:
    return [message for message in state["messages"] if message["user"] == BOT and message.get("subtype") is None]


def kind_of(message: Json) -> str:
    """Return which outcome a message is: `answer`, `abstention`, `error`, or `` for one that is not at its end."""
    shown = str(message.get("blocks", []))
    if message["streaming"] or "I can't reach" in message["text"] or message["text"] == "…":
        return ""
    if "feedback_buttons" in shown:
        return "answer" if ANSWER.search(message["text"]) else "abstention"
    return "error" if "`" in message["text"] and ("(run" in message["text"] or "(turn" in message["text"]) else ""


def is_settled(room: Room, state: Json) -> bool:
    messages = of_bot(state)
    return len(messages) >= room.plan.questions and all(kind_of(message) for message in messages)


def examine(room: Room, state: Json) -> None:
    """Match messages to questions: an answer by its code, anything else by its place in the thread."""
    for thread, (channel, _, root) in room.roots.items():
        asked = [question for question in room.questions if question.thread == thread]
        said = [m for m in of_bot(state) if m["channel"] == channel and m.get("thread_ts") == root]
        examine_thread(room.tally, asked, sorted(said, key=lambda message: str(message["ts"])))
    threads = {root for _, _, root in room.roots.values()}
    room.tally.strays += [m["text"][:60] for m in of_bot(state) if m.get("thread_ts") not in threads]
    room.tally.strays += [m["text"][:60] for m in state["ephemerals"]]
    room.tally.hanging += [
        f"session {one['thread_ts']}" for one in state["sessions"] if one["status"] == "processing" or one["note"]
    ]


def examine_thread(tally: Tally, asked: list[Question], said: list[Json]) -> None:
    left = {question.number: question for question in asked}
    order: list[int] = []
    nameless: list[Json] = []
    for message in said:
        kind = kind_of(message)
        if not kind:
            tally.hanging.append(f"{message['ts']} {message['text'][:60]}")
            continue
        named = ANSWER.search(message["text"])
        if named is None:
            nameless.append(message)
        elif left.pop(int(named.group(1)), None) is None:
            tally.doubled.append(f"{message['ts']} {message['text'][:60]}")
        else:
            tally.outcomes[kind] += 1
            order.append(int(named.group(1)))
    tally.disordered += [f"{a} before {b}" for a, b in pairwise(order) if a > b]
    for message in nameless:
        if left:
            left.pop(next(iter(left)))
            tally.outcomes[kind_of(message)] += 1
        else:
            tally.strays.append(f"{message['ts']} {message['text'][:60]}")
    tally.missing += [f"{question.text} {question.ts}" for question in left.values()]


# ---------------------------------------------------------------------------------------------------------- the run


@asynccontextmanager
async def opened(folder: Path, plan: Plan) -> AsyncIterator[Room]:
    port = free_port()
    sandbox = await start(
        "sandbox", "bot.sandbox", "--port", str(port), "--retry", plan.retry, environment={}, folder=folder
    )
    async with SlackDriver(f"http://127.0.0.1:{port}") as slack:
        room = Room(folder, plan, slack, port, free_port())
        room.questions = [Question(100 + number, number % plan.threads) for number in range(plan.questions)]
        try:
            await until_healthy(f"http://127.0.0.1:{port}/", sandbox)
            await room.begin("backend")
            await room.until_ready("backend")
            await ingest(room)
            await room.begin("bot")
            await room.until_ready("bot")
            yield room
        finally:
            for program in room.programs.values():
                await program.stop(kill=True)
            await sandbox.stop(kill=True)


async def survive(folder: Path, plan: Plan) -> Tally:
    """Run the plan and return what was left of it; `check` says whether that is right."""
    began = time.monotonic()
    async with opened(folder, plan) as room:
        await room.slack.weather(plan.chance, hang=plan.slack_timeout + 1, seed=plan.seed)
        disturbing = asyncio.create_task(disturb(room))
        async with asyncio.TaskGroup() as work:
            for thread in range(plan.threads):
                work.create_task(ask_in_thread(room, thread))
            work.create_task(kill_often(room))
        disturbing.cancel()
        await asyncio.wait([disturbing])
        room.tally.struck = await room.slack.weather(0.0, hang=0.0)
        await settle(room)
        room.tally.seconds = time.monotonic() - began
        return room.tally


async def settle(room: Room) -> None:
    """Wait until everything is at its end, or no longer; then a little, for what should not come."""
    deadline = time.monotonic() + room.plan.patience
    while not is_settled(room, await room.slack.state()) and time.monotonic() < deadline:
        await revive(room)
        await asyncio.sleep(0.5)
    await asyncio.sleep(1.5)
    examine(room, await room.slack.state())


def check(tally: Tally, plan: Plan) -> None:
    """AssertionError where a question has no outcome, or two, or something hangs."""
    assert tally.missing == []
    assert tally.doubled == []
    assert tally.strays == []
    assert tally.hanging == []
    assert sum(tally.outcomes.values()) == plan.questions
