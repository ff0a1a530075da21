"""One workspace that lives through its steps: every question's traces are searched for what its readers may not see."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Literal, cast

import msgspec

from backend import codec, schema
from backend.adapters.sql_history import SqlHistory
from backend.api import present
from backend.api.questions import parse_question
from backend.domain import Done
from backend.errors import FootnoteError
from backend.evaluate.looking import Insights
from backend.experiments import NO_PLAN
from bot.audience import External
from bot.client import Backend
from bot.commands import DocsCommand
from bot.directory import Directory
from bot.documents import Shelf
from bot.listeners_audience import CHANNELS, MEMBERSHIP, AudienceListeners
from bot.readers import Readers
from bot.store import Store
from bot.thread import Place, Turn
from tests.evals.audience_house import Break, House
from tests.evals.audience_steps import Ask, Move, new_number, paper_of, text_of
from tests.evals.audience_world import BOT, Event, World
from tests.fakes.story import NOW

LOST = 1_801.0
"""Seconds after which the directory believes nothing any more, should Slack not have told it of a change."""

Surface = Literal[
    "refusal", "query", "passages", "answer", "citations", "done", "trace", "search", "error", "docs", "insights"
]
SURFACES: tuple[Surface, ...] = (
    "refusal", "query", "passages", "answer", "citations", "done", "trace", "search", "error", "docs", "insights",
)  # fmt: skip


@dataclass
class Tally:
    """What was asked, what came of it, and where words were read that should not have been."""

    worlds: int = 0
    asked: int = 0
    moves: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    hits: int = 0
    passages: int = 0
    citations: int = 0
    searched: Counter[str] = field(default_factory=Counter)
    """Texts that were looked through, by surface."""
    leaks: Counter[str] = field(default_factory=Counter)
    hits_leaked: int = 0
    examples: list[str] = field(default_factory=list)

    @property
    def leaked(self) -> int:
        return self.leaks.total()


@dataclass
class Life:
    """One workspace, its Footnote, and what happens to them. Found leaks go into the tally."""

    house: House
    world: World
    tally: Tally
    external: External
    broken: Break = "nothing"
    now: float = 0.0

    def __post_init__(self) -> None:
        self.directory = Directory(self.world, lambda: self.now)
        self.readers = Readers(self.directory, self.external)
        self.listeners = AudienceListeners(self.directory)
        shelf = DocumentsOf(self.house)
        self.shelf = Shelf(cast(Backend, shelf), self.readers, cast(Store, None))
        self.rows: dict[str, set[str]] = {}

    # ------------------------------------------------------------------------------------------------- what happens

    async def move(self, move: Move) -> None:
        world = self.world
        self.tally.moves += 1
        user = sorted(world.people)[move.user % len(world.people)]
        room = sorted(world.rooms)[move.room % len(world.rooms)]
        match move.kind:
            case "join" | "leave" | "archive" | "convert" | "share" | "restrict" | "invite":
                await self._told(self._moved(move, user, room), lost=move.lost)
            case _:
                await self._edited(move)

    def _moved(self, move: Move, user: str, room: str) -> list[Event]:
        world = self.world
        match move.kind:
            case "join":
                return list(world.join(user, room))
            case "leave":
                return list(world.leave(user, room))
            case "archive":
                return list(world.archive(room))
            case "convert":
                return list(world.convert(room))
            case "share":
                return list(world.share(room))
            case "restrict":
                return list(world.restrict(user))
            case _:  # we ourselves come and go
                here = BOT in world.rooms[room].members
                return list(world.leave(BOT, room) if here else world.join(BOT, room))

    async def _told(self, events: Sequence[Event], *, lost: bool) -> None:
        if lost:
            self.now += LOST
            return
        for event in events if self.broken != "membership" else ():
            kind = event["type"]
            if kind in MEMBERSHIP:
                await self.listeners.member(event)
            elif kind in CHANNELS:
                await self.listeners.channel(event)
            else:
                await self.listeners.person(event)

    async def _edited(self, move: Move) -> None:
        world = self.world
        if not world.papers:
            return
        paper = world.papers[sorted(world.papers)[move.paper % len(world.papers)]]
        if move.kind == "remove":
            await self.house.remove(world.papers.pop(paper.id))
            return
        new = paper_of(world, paper.id, paper.topic, move.to, public=paper.public ^ (move.to % 5 == 0))
        if move.kind == "show":  # the same words, for others to read
            new = replace(new, word=paper.word)
        world.put(new)
        await self.house.put([new], f"r{new_number()}")

    # --------------------------------------------------------------------------------------------------- a question

    async def ask(self, ask: Ask) -> None:
        world = self.world
        user = sorted(world.people)[ask.user % len(world.people)]
        rooms = world.rooms_for(user, ask.place)
        room = rooms[ask.room % len(rooms)] if rooms else ""
        place: Place = ask.place if room else "direct"
        stamp = f"{new_number()}.0"
        team = "TFOREIGN" if world.people[user].stranger else world.team
        turn = Turn(world.team, room or f"D{user}", stamp, stamp, user, text_of(ask, world), place, user_team=team)
        self.tally.asked += 1
        self.now += 1.0
        with self._faulty(ask):
            await self._asked(turn, world.readers(place, room, user))

    @contextmanager
    def _faulty(self, ask: Ask) -> Iterator[None]:
        self.house.index.down = ask.fault == "index"
        self.world.refuses = {str(ask.fault)} - {"", "index"}
        try:
            yield
        finally:
            self.house.index.down = False
            self.world.refuses = set()

    async def _asked(self, turn: Turn, people: set[str]) -> None:
        allowed, forbidden = self.world.readable(people), self.world.forbidden(people)
        self.house.index.everything = tuple(paper.visibility for paper in self.world.papers.values())
        shown = Shown(turn.text, forbidden, self._ids(allowed))
        refused = await self.readers.refusal(turn)
        if refused:
            shown.add("refusal", refused)
            self.tally.outcomes["refused"] += 1
        else:
            self.rows[turn.ts] = allowed
            await self._answered(turn, shown)
            await self._listed(turn, shown)
        self._count(shown, turn)

    def _ids(self, allowed: set[str]) -> frozenset[str]:
        return frozenset(self.world.words.values()) - allowed

    async def _answered(self, turn: Turn, shown: Shown) -> None:
        """Ask as the bot does, over the wire's own types, and look at all that comes back and stays."""
        audience = await self.readers.audience(turn)
        if self.broken == "place":
            everywhere = tuple(self.world.rooms)
            audience = schema.Audience(turn.channel, turn.user, private=True, channels=everywhere)
        sent = msgspec.json.encode(schema.QueryRequest(question=turn.text, team=turn.team, audience=audience))
        question = parse_question(msgspec.json.decode(sent, type=schema.QueryRequest), team="none")
        try:
            async for event in self.house.pipeline.answer(question, turn.ts):
                if isinstance(event, Done):
                    shown.hit = event.run.metadata.cache != "miss"
                    self.tally.hits += shown.hit
                    self.tally.outcomes[event.run.outcome] += 1
                    self.tally.passages += len(event.run.passages)
                    self.tally.citations += len(event.run.citations)
                    shown.add("done", _json(present.done(event.run)))
                    shown.add("trace", _json(codec.run_to_json(event.run)))
                else:
                    shown.add(_surface(sent := present.event(event)), _json(sent))  # type: ignore[assignment]
            query, evidence, _ = await self.house.pipeline.search(question)
            shown.add("search", _json([present.understood(query), present.compressed_passages(evidence)]))
        except FootnoteError as error:
            self.tally.outcomes["failed"] += 1
            shown.add("error", f"{error} {error!r}")
        kept = await self.house.database.runs.get(turn.ts)
        shown.add("trace", _json(kept))

    async def _listed(self, turn: Turn, shown: Shown) -> None:
        """`/docs list` in the same place; only the asker sees it."""
        alone = self.world.forbidden({turn.user})
        listed = Shown(turn.text, alone, self._ids(self.world.readable({turn.user})))
        turn = msgspec.structs.replace(turn, place="ephemeral")
        if not await self.readers.refusal(turn):
            text, blocks = await self.shelf.run(DocsCommand("list"), turn)
            listed.add("docs", f"{text} {_json(blocks)}")
        shown.leaks += listed.leaks
        shown.searched += listed.searched

    def _count(self, shown: Shown, turn: Turn) -> None:
        self.tally.searched += shown.searched
        for surface, what in shown.leaks:
            self.tally.leaks[surface] += 1
            self.tally.hits_leaked += shown.hit
            self.tally.examples.append(f"{surface}: {what} to {turn.user} in {turn.channel} ({turn.place})")

    # ---------------------------------------------------------------------------------------------------- afterwards

    async def looked_back(self) -> None:
        """Look at the rows of the insights: each names only what its run's readers might read, and the page as a whole
        only what everybody in the team may."""
        history = SqlHistory(self.house.database.engine)
        runs = await history.runs(self.world.team, NOW.replace(year=2000), limit=10_000)
        for run in runs:
            self.tally.searched["insights"] += 1
            for id in {*run.cited, *filter(None, [run.nearest])} - self.rows.get(run.run_id, set()):
                self.tally.leaks["insights"] += 1
                self.tally.examples.append(f"insights: {id} in the row of {run.run_id}")
        seen = await Insights(history, self.house.embedder, NO_PLAN).look(
            self.world.team, 10_000, NOW.replace(year=2027)
        )
        named = _json([seen.cited, seen.uncited, [gap.nearest for gap in seen.gaps]])
        for paper in self.world.papers.values():
            if paper.visibility != "team" and paper.word in named:
                self.tally.leaks["insights"] += 1
                self.tally.examples.append(f"insights: {paper.id} on the page")


@dataclass
class DocumentsOf:
    """What bot.documents.Shelf needs of bot.client.Backend, without HTTP."""

    house: House

    async def documents(
        self, team: str, *, text: str = "", limit: int = 50, cursor: str | None = None
    ) -> schema.DocumentsReply:
        page = await self.house.database.documents.list(team, text=text, limit=limit)
        return schema.DocumentsReply(tuple(map(present.document, page.documents)))


@dataclass
class Shown:
    """Everything that one question brought out, searched for what it must not hold."""

    question: str
    forbidden: Mapping[str, str]
    ids: frozenset[str]
    hit: bool = False
    leaks: list[tuple[Surface, str]] = field(default_factory=list)
    searched: Counter[str] = field(default_factory=Counter)

    def add(self, surface: Surface, text: str) -> None:
        """Search a text. Words that the asker wrote are no news to them; the ids of their documents would be."""
        self.searched[surface] += 1
        found = {id for word, id in self.forbidden.items() if word in text and word not in self.question}
        found |= {id for id in self.ids if f'"{id}"' in text}
        self.leaks.extend((surface, id) for id in sorted(found))


def _surface(event: schema.QueryStreamEvent) -> Surface:
    match event:
        case schema.PassagesEvent():
            return "passages"
        case schema.DeltaEvent():
            return "answer"
        case schema.CitationsEvent():
            return "citations"
        case _:
            return "query"


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()
