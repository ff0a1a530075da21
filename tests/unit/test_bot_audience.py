"""Who reads, who is refused, and what is forgotten when Slack says that somebody left."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.schema import Audience
from bot.audience import REFUSE, Channel, External, Person, audience_of, may_read, only_tags, outside, refusal
from bot.directory import Directory
from bot.listeners_audience import CHANNELS, AudienceListeners
from bot.readers import Readers
from bot.slack import SlackRefused
from bot.thread import Turn

TURN = Turn("T1", "C1", "1.1", "1.1", "U1", "why?", "channel")
NOTE = msgspec.structs.replace(TURN, place="ephemeral")
HERE, ANA = Channel(shared=False), Person(team="T1")
PUBLIC = External("tag", "public")

OUTSIDE = [
    (None, ANA),
    (HERE, None),
    (HERE, Person(gone=True)),
    (Channel(shared=True), ANA),
    (Channel(shared=False, guests=True), ANA),
    (HERE, Person(guest=True)),
    (HERE, Person(stranger=True)),
]


@pytest.mark.parametrize(("channel", "person"), OUTSIDE)
def test_what_is_unknown_shared_or_foreign_is_refused_or_limited_to_the_tag(
    channel: Channel | None, person: Person | None
) -> None:
    reader = outside(TURN, channel, person)
    assert refusal(reader, REFUSE)
    assert refusal(reader, PUBLIC) is None
    assert only_tags(reader, PUBLIC) == ("public",)
    assert audience_of(TURN, (), only_tags(reader, PUBLIC)).only_tags == ("public",)


def test_people_of_the_team_are_answered_and_those_of_others_not() -> None:
    assert outside(TURN, HERE, ANA) is None
    assert outside(msgspec.structs.replace(TURN, user_team="T2"), HERE, ANA) == "stranger"
    assert refusal(None, REFUSE) is None
    assert only_tags(None, PUBLIC) == ()


def test_a_note_to_one_person_does_not_ask_who_else_is_in_the_channel() -> None:
    assert outside(NOTE, None, ANA) is None


def test_a_note_counts_its_channel_only_while_the_asker_is_in_it() -> None:
    assert audience_of(NOTE, ("C1", "C2")) == Audience("C1", "U1", private=True, channels=("C1", "C2"))
    assert audience_of(NOTE, ("C2",)) == Audience(None, "U1", private=True, channels=("C2",))


@given(st.sampled_from(["team", "channel:C1", "user:U1"]), st.lists(st.sampled_from(["public", "hr", "Public "])))
def test_with_only_tags_a_document_without_them_is_read_by_nobody(visibility: str, tags: list[str]) -> None:
    audience = Audience("C1", "U1", private=True, only_tags=("public",))
    assert may_read(visibility, audience, tags) == ("public" in tags)


@pytest.mark.parametrize("text", ["", "yes", "tag", "tag:", "refuse:x", "tag:" + "x" * 101])
def test_a_policy_that_is_none_is_an_error(text: str) -> None:
    with pytest.raises(ValueError, match="must be refuse, tag:NAME or all"):
        External.parse(text)


def test_policies_are_read() -> None:
    assert External.parse("refuse") == REFUSE
    assert External.parse("tag:public") == PUBLIC
    assert External.parse("all").mode == "all"


# --------------------------------------------------------------------------------------------------------- directory


class FakeSlack:
    """bot.directory.SlackLookups over two sets that tests change. `meanwhile` happens during the next lookup."""

    def __init__(self) -> None:
        self.inside = {"C1": {"U1", "B"}, "C2": {"U1"}, "C3": {"B"}}
        self.restricted: set[str] = set()
        self.silent: set[str] = set()
        self.calls = 0
        self.meanwhile: Callable[[], None] = lambda: None

    async def _told(self, method: str) -> None:
        self.calls += 1
        await asyncio.sleep(0)
        if method in self.silent:
            raise SlackRefused("missing_scope")

    def _now(self) -> None:
        self.meanwhile()
        self.meanwhile = lambda: None

    async def channel(self, channel: str) -> Channel:
        await self._told("channel")
        return Channel(shared=False)

    async def person(self, user: str) -> Person:
        await self._told("person")
        return Person(guest=user in self.restricted)

    async def channels_of(self, user: str) -> tuple[str, ...]:
        await self._told("channels_of")
        found = tuple(sorted(name for name, users in self.inside.items() if (user or "B") in users))
        self._now()
        return found

    async def members(self, channel: str) -> frozenset[str]:
        await self._told("members")
        return frozenset(self.inside[channel])

    async def guests(self) -> frozenset[str]:
        await self._told("guests")
        return frozenset(self.restricted)


async def test_only_channels_that_we_are_in_too_count() -> None:
    assert await Directory(FakeSlack()).channels_of("U1") == ("C1",)


@pytest.mark.parametrize("event", ["left", *CHANNELS])
async def test_an_event_ends_a_membership_at_once(event: str) -> None:
    slack = FakeSlack()
    directory = Directory(slack)
    listeners = AudienceListeners(directory)
    assert await directory.channels_of("U1") == ("C1",)
    slack.inside["C1"].discard("U1")
    assert await directory.channels_of("U1") == ("C1",)
    if event == "left":
        await listeners.member({"type": "member_left_channel", "user": "U1", "channel": "C1"})
    else:
        await listeners.channel({"type": event, "channel": "C1"})
    assert await directory.channels_of("U1") == ()


async def test_a_membership_that_ends_while_it_is_looked_up_is_looked_up_again() -> None:
    slack = FakeSlack()
    directory = Directory(slack)

    def leave() -> None:
        slack.inside["C1"].discard("U1")
        directory.forget_membership("U1", "C1")

    slack.meanwhile = leave
    assert await directory.channels_of("U1") == ()


async def test_without_an_event_a_membership_is_believed_for_a_minute() -> None:
    now, slack = [0.0], FakeSlack()
    directory = Directory(slack, lambda: now[0])
    assert await directory.channels_of("U1") == ("C1",)
    slack.inside["C1"].discard("U1")
    now[0] = 61.0
    assert await directory.channels_of("U1") == ()


async def test_a_guest_in_a_channel_is_seen_when_they_join_and_gone_when_they_leave() -> None:
    slack = FakeSlack()
    directory = Directory(slack)
    readers, listeners = Readers(directory), AudienceListeners(directory)
    assert await readers.refusal(TURN) is None

    slack.restricted.add("G1")
    await listeners.person({"type": "team_join", "user": {"id": "G1"}})
    slack.inside["C1"].add("G1")
    await listeners.member({"type": "member_joined_channel", "user": "G1", "channel": "C1"})
    assert await readers.refusal(TURN) is not None
    assert (await Readers(directory, PUBLIC).audience(TURN)).only_tags == ("public",)

    slack.inside["C1"].discard("G1")
    await listeners.member({"type": "member_left_channel", "user": "G1", "channel": "C1"})
    assert await readers.refusal(TURN) is None


@pytest.mark.parametrize("method", ["channel", "person", "guests", "members"])
async def test_what_slack_does_not_tell_closes(method: str) -> None:
    slack = FakeSlack()
    slack.restricted.add("G1")
    slack.silent.add(method)
    assert await Readers(Directory(slack)).refusal(TURN) is not None


async def test_memberships_that_slack_does_not_tell_are_none() -> None:
    slack = FakeSlack()
    slack.silent.add("channels_of")
    audience = await Readers(Directory(slack)).audience(NOTE)
    assert (audience.channel, audience.channels) == (None, ())
