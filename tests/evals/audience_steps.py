"""Random workspaces to begin with, and what happens in them: as numbers, which hypothesis draws and makes smaller."""

from __future__ import annotations

from itertools import count
from typing import Literal, TypeAlias, get_args

import msgspec
from hypothesis import strategies as st

from bot.thread import Place
from tests.evals.audience_world import BOT, TOPICS, Human, Paper, Room, World


class Ask(msgspec.Struct, frozen=True):
    """A question about a `topic`. `style` is how it is put, `near` picks the document's word that it may name."""

    user: int
    place: Place
    room: int
    topic: int
    style: int
    near: int
    fault: Literal["", "index", "channel", "person", "channels_of", "guests", "members"] = ""


Happening = Literal["join", "leave", "archive", "convert", "share", "restrict", "invite", "rewrite", "show", "remove"]


class Move(msgspec.Struct, frozen=True):
    """Something happens. Where `lost`, Slack does not tell of it, and much time passes."""

    kind: Happening
    user: int
    room: int
    paper: int
    to: int
    lost: bool = False


class Start(msgspec.Struct, frozen=True):
    """A workspace to begin with, as numbers: what people, rooms and documents are like."""

    people: tuple[int, ...]
    rooms: tuple[tuple[int, int], ...]
    papers: tuple[tuple[int, int, bool], ...]
    tagged: bool


Step: TypeAlias = Ask | Move
_SMALL = st.integers(0, 13)
_FAULTS = st.sampled_from(("",) * 60 + ("index", "channel", "person", "channels_of", "guests", "members"))
_PLACES = st.sampled_from(("channel", "channel", "direct", "ephemeral"))
_KINDS = st.sampled_from(get_args(Happening))
ASKS = st.builds(
    Ask, user=_SMALL, place=_PLACES, room=_SMALL, topic=_SMALL, style=st.integers(0, 7), near=_SMALL, fault=_FAULTS
)
MOVES = st.builds(
    Move, kind=_KINDS, user=_SMALL, room=_SMALL, paper=_SMALL, to=_SMALL, lost=st.sampled_from((False,) * 5 + (True,))
)
STARTS = st.builds(
    Start,
    people=st.lists(st.sampled_from((0, 0, 0, 0, 1, 2)), min_size=3, max_size=5).map(tuple),
    rooms=st.lists(st.tuples(st.integers(0, 63), st.integers(0, 7)), min_size=3, max_size=4).map(tuple),
    papers=st.lists(
        st.tuples(st.sampled_from((0, 0, 0, 3)), st.integers(0, 13), st.booleans()), min_size=6, max_size=10
    ).map(tuple),
    tagged=st.booleans(),
)
STEPS = st.lists(st.one_of(*[ASKS] * 5, MOVES), min_size=40, max_size=50)


_NUMBERS = count(1)


def new_number() -> int:
    """Return a number that was never given before."""
    return next(_NUMBERS)


def word_of(number: int) -> str:
    """Return a word that stands in no other, of letters alone."""
    letters = ""
    for _ in range(7):
        number, letter = divmod(number, 21)
        letters += "bcdfghjklmnpqrstvwxyz"[letter]
    return f"q{letters}q"


def furnished(start: Start) -> World:
    world = World(f"T{new_number():05d}")
    for at, kind in enumerate(start.people):
        world.people[f"U{at}"] = Human(f"U{at}", guest=kind == 1, stranger=kind == 2)
    for at, (mask, flags) in enumerate(start.rooms):
        shared = flags == 7
        inside = {one.id for place, one in enumerate(world.people.values()) if mask >> place & 1}
        inside -= set() if shared else {one.id for one in world.people.values() if one.stranger}
        room = Room(f"C{at}", "private" if flags & 1 else "public", inside, shared=shared)
        world.rooms[room.id] = room
        if flags & 6 or at == 0:
            room.members.add(BOT)
    for at, (topic, to, public) in enumerate(start.papers):
        world.put(paper_of(world, f"d{at}", TOPICS[(at * 3 + topic) % len(TOPICS)], to, public=public))
    return world


def paper_of(world: World, name: str, topic: str, to: int, *, public: bool) -> Paper:
    """Return a document with a new word; `to` picks who may read it."""
    choices = [*["team"] * 4, *(f"channel:{one}" for one in world.rooms), *(f"user:{one}" for one in world.people)]
    id = name if name.startswith(world.team) else f"{world.team}-{name}"
    return Paper(id, world.team, topic, choices[to % len(choices)], public, word_of(new_number()))


def misspelt(word: str) -> str:
    """Return a word that is near another, and is none."""
    return f"{word[:-2]}a{word[-1]}"


def text_of(ask: Ask, world: World) -> str:
    ids = sorted(set(world.words.values()))
    topic = TOPICS[int(ids[ask.topic % len(ids)].rpartition("-d")[2]) * 3 % len(TOPICS)]
    word = sorted(world.words)[ask.near % len(world.words)]
    return (
        f"How many days is the {topic} allowance?",
        f"how many days is the {topic} allowance",
        f"What is the {topic} allowance by Author {misspelt(word)}?",
        f"{topic} allowance tagged tag-{misspelt(word)}",
        f"How many days is the {topic} allowance for {word}?",
        f"What did Author {word} write about {topic} in source-{word}?",
    )[max(0, ask.style - 2)]
