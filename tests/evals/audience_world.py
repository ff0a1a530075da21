"""Random workspaces: people, channels, memberships and documents that move, and who may truly read what.

Nothing here knows Footnote's rule. `World.may_read` is Slack's: a person reads the documents of their team unless they
are from outside, those of channels that they are in, and their own. Every document carries a word of its own, which
stands in its title, text, author and tags: where that word is read, the document was.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

from bot.audience import Channel, Person
from bot.slack import SlackRefused

Event = dict[str, object]
BOT = "UBOT"
TOPICS = (
    "parental leave", "travel budget", "laptop renewal", "office access", "expense report", "sick pay",
    "training course", "parking permit", "overtime bonus", "pension plan",
)  # fmt: skip
POLICY_TAG = "public"


@dataclass
class Human:
    id: str
    guest: bool = False
    stranger: bool = False

    @property
    def outside(self) -> bool:
        return self.guest or self.stranger


@dataclass
class Room:
    id: str
    kind: Literal["public", "private"]
    members: set[str]
    archived: bool = False
    shared: bool = False


@dataclass
class Paper:
    """A document. `word` occurs in it and nowhere else."""

    id: str
    team: str
    topic: str
    visibility: str
    public: bool
    word: str

    @property
    def title(self) -> str:
        return f"{self.topic.capitalize()} {self.word}"

    @property
    def text(self) -> str:
        return (
            f"The {self.topic} allowance is {len(self.word)} days for {self.word}. "
            f"Ask the {self.word} desk about {self.topic}."
        )

    @property
    def tags(self) -> tuple[str, ...]:
        return (f"tag-{self.word}", *((POLICY_TAG,) if self.public else ()))


@dataclass
class World:
    """One workspace as it is now, which is what Slack's Web API tells (bot.directory.SlackLookups).

    Slack tells an app who joins and leaves only in channels that the app is in. `refuses` are methods that answer with
    an error for the moment.
    """

    team: str
    people: dict[str, Human] = field(default_factory=dict)
    rooms: dict[str, Room] = field(default_factory=dict)
    papers: dict[str, Paper] = field(default_factory=dict)
    refuses: set[str] = field(default_factory=set)
    words: dict[str, str] = field(default_factory=dict)
    """Every word that ever was in a document, with the document's id."""

    # -------------------------------------------------------------------------------------------------- the truth

    def readers(self, place: str, room: str, user: str) -> set[str]:
        """Return the people who read an answer that is given there."""
        return {one for one in self.rooms[room].members if one != BOT} if place == "channel" else {user}

    def rooms_for(self, user: str, place: str) -> list[str]:
        """Return the channels in which this person can ask us: to answer in public we must be in there, too."""
        if place == "direct":
            return []
        needed = {user, BOT} if place == "channel" else {user}
        return sorted(room.id for room in self.rooms.values() if needed <= room.members and not room.archived)

    def may_read(self, user: str, paper: Paper) -> bool:
        kind, _, subject = paper.visibility.partition(":")
        if paper.team != self.team:
            return False
        if kind == "user":
            return subject == user
        if kind == "channel":
            room = self.rooms[subject]
            return user in room.members and not room.archived
        return not self.people[user].outside or paper.public

    def readable(self, readers: set[str]) -> set[str]:
        """Return the ids of the documents that may be used for all of these readers: with somebody from outside among
        them only those with the tag."""
        foreign = any(self.people[one].outside for one in readers)
        return {
            paper.id
            for paper in self.papers.values()
            if all(self.may_read(one, paper) for one in readers) and (paper.public or not foreign)
        }

    def forbidden(self, readers: set[str]) -> dict[str, str]:
        """Return the words that these readers must not meet, each with its document: also those of old revisions."""
        allowed = {self.papers[id].word for id in self.readable(readers)}
        return {word: id for word, id in self.words.items() if word not in allowed}

    def put(self, paper: Paper) -> None:
        self.papers[paper.id] = paper
        self.words[paper.word] = paper.id

    # ---------------------------------------------------------------------------------------------- what Slack tells

    def _tells(self, method: str) -> None:
        if method in self.refuses:
            raise SlackRefused("missing_scope")

    async def channel(self, channel: str) -> Channel:
        self._tells("channel")
        room = self.rooms[channel]
        if room.kind == "private" and BOT not in room.members:
            raise SlackRefused("channel_not_found")
        return Channel(shared=room.shared)

    async def person(self, user: str) -> Person:
        self._tells("person")
        human = self.people[user]
        return Person(team=self.team, guest=human.guest, stranger=human.stranger)

    async def channels_of(self, user: str) -> tuple[str, ...]:
        self._tells("channels_of")
        who = user or BOT
        return tuple(
            room.id
            for room in self.rooms.values()
            if who in room.members and not room.archived and (room.kind == "public" or BOT in room.members)
        )

    async def members(self, channel: str) -> frozenset[str]:
        self._tells("members")
        return frozenset(self.rooms[channel].members)

    async def guests(self) -> frozenset[str]:
        self._tells("guests")
        return frozenset(one.id for one in self.people.values() if one.guest)

    # ------------------------------------------------------------------------------------------------- what happens

    def join(self, user: str, room: str) -> Iterator[Event]:
        there = self.rooms[room]
        if user in there.members or there.archived or (user != BOT and self.people[user].stranger and not there.shared):
            return
        there.members.add(user)
        yield from self._told(room, {"type": "member_joined_channel", "user": user, "channel": room})

    def leave(self, user: str, room: str) -> Iterator[Event]:
        there = self.rooms[room]
        if user not in there.members:
            return
        told = BOT in there.members
        there.members.discard(user)
        if told:
            yield {"type": "member_left_channel", "user": user, "channel": room}

    def archive(self, room: str) -> Iterator[Event]:
        there = self.rooms[room]
        there.archived = not there.archived
        yield from self._told(room, {"type": f"channel_{'' if there.archived else 'un'}archive", "channel": room})

    def convert(self, room: str) -> Iterator[Event]:
        """Private becomes public, or the other way; Slack has no event for it."""
        there = self.rooms[room]
        there.kind = "private" if there.kind == "public" else "public"
        yield from ()

    def share(self, room: str) -> Iterator[Event]:
        """Share a channel with another workspace, or end that: then its people are gone."""
        there = self.rooms[room]
        there.shared = not there.shared
        if not there.shared:
            there.members -= {one.id for one in self.people.values() if one.stranger}
        yield {"type": "channel_shared" if there.shared else "channel_unshared", "channel": room}

    def restrict(self, user: str) -> Iterator[Event]:
        """Make a member a guest, or a guest a member."""
        if not self.people[user].stranger:
            self.people[user].guest = not self.people[user].guest
            yield {"type": "user_change", "user": {"id": user}}

    def _told(self, room: str, event: Event) -> Iterator[Event]:
        if BOT in self.rooms[room].members:
            yield event
