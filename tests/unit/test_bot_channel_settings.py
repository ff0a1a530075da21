"""What is settled for a channel, who may settle it, and how health and gaps are told: decisions, words and limits."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from backend.query.filters import filter_from_json
from backend.schema import GapsReply, KnowledgeGap
from bot.admins import Admins, is_admin
from bot.audience import Channel, Person
from bot.channel_settings import (
    AUTO_ANSWERS,
    MAX_LISTED,
    NOTHING_SETTLED,
    ChannelSettings,
    asks_something,
    read_sources,
    read_tags,
)
from bot.channels import MUTED, Channels
from bot.client import Health, Part
from bot.database import build_engine
from bot.directory import Directory
from bot.footnote_command import misused, read_footnote
from bot.forgetting import forget_user
from bot.gaps import gap_blocks, gaps_line
from bot.listeners_audience import AudienceListeners
from bot.quiet import follow_ups_of
from bot.records import Records
from bot.sandbox.rules import check_blocks, check_view
from bot.settings import Settings
from bot.settings_form import Wrong, read_settings, settings_form, settled_blocks, settled_view
from bot.status import KEY_TOO_SMALL, own_part, parts_of, status_blocks, status_line, verdict_of
from bot.status import Part as Told
from bot.store import Store
from bot.thread import Turn

LONG = tuple(f"{'x' * 90}-{n}" for n in range(MAX_LISTED))
FULL = ChannelSettings(
    auto_answer="questions",
    tags=LONG,
    sources=LONG,
    prompt="answer@v2",
    language="de",
    muted=True,
    expert="U1",
    changed_by="U2",
    changed_at="2026-11-20",
)


@pytest.fixture
async def records(tmp_path: Path) -> AsyncIterator[Records]:
    engine = build_engine(tmp_path / "bot.sqlite")
    await Store(engine).create_tables()
    yield Records(engine)
    await engine.dispose()


# -------------------------------------------------------------------------------------------------------------- settled


async def test_what_is_settled_is_kept_for_its_channel_and_replaced_whole(records: Records) -> None:
    await records.put_channel_settings("T1", "C1", FULL)
    assert await records.channel_settings("T1", "C1") == FULL
    assert await records.channel_settings("T2", "C1") is None
    assert await records.channel_settings("T1", "C2") is None
    await records.put_channel_settings("T1", "C1", NOTHING_SETTLED)
    assert await records.channel_settings("T1", "C1") == NOTHING_SETTLED


async def test_a_setting_that_came_later_is_as_if_nothing_was_said_of_it(records: Records) -> None:
    await records.put_channel_settings("T1", "C1", msgspec.json.decode(b'{"muted":true}', type=ChannelSettings))
    found = await records.channel_settings("T1", "C1")
    assert found == ChannelSettings(muted=True)


async def test_who_wants_to_be_forgotten_is_taken_out_of_what_is_settled(tmp_path: Path) -> None:
    engine = build_engine(tmp_path / "bot.sqlite")
    await Store(engine).create_tables()
    records = Records(engine)
    for team, channel in (("T1", "C1"), ("T2", "C1"), ("T1", "C2")):
        await records.put_channel_settings(team, channel, FULL if channel == "C1" else ChannelSettings(expert="C3"))
    assert [await forget_user(engine, "T1", user) for user in ("U1", "U2", "U3")] == [1, 1, 0]
    left = await records.channel_settings("T1", "C1")
    assert left == msgspec.structs.replace(FULL, expert="", changed_by="")
    assert await records.channel_settings("T2", "C1") == FULL
    await engine.dispose()


async def test_a_channel_that_gets_another_id_keeps_what_is_settled_for_it(records: Records) -> None:
    await records.put_channel_settings("T1", "G1", FULL)
    listeners = AudienceListeners(Directory(House()), moved=Channels(records, "T1").moved)
    for _ in range(2):  # Slack may tell it again
        await listeners.channel({"type": "channel_id_changed", "old_channel_id": "G1", "new_channel_id": "C1"})
    assert await records.channel_settings("T1", "C1") == FULL
    assert await records.channel_settings("T1", "G1") is None
    await records.put_channel_settings("T1", "G1", ChannelSettings(muted=True))
    await Channels(records, "T1").moved("G1", "C1")
    assert await records.channel_settings("T1", "C1") == FULL


async def test_muting_concerns_what_all_read_and_nothing_else(records: Records) -> None:
    await records.put_channel_settings("T1", "C1", ChannelSettings(muted=True))
    channels = Channels(records, "T1")
    turn = Turn(team="T1", channel="C1", ts="1.0", thread_ts="1.0", user="U1", text="?", place="channel")
    assert await channels.refusal(turn) == MUTED
    assert await channels.refusal(msgspec.structs.replace(turn, place="ephemeral")) is None
    assert await channels.refusal(msgspec.structs.replace(turn, channel="C2")) is None
    assert await channels.of("") == await channels.of("D1") == NOTHING_SETTLED


def test_limits_are_a_filter_that_the_backend_reads() -> None:
    assert NOTHING_SETTLED.filter is None
    assert ChannelSettings(tags=("hr",)).filter == {"op": "in", "field": "tags", "value": ["hr"]}
    assert FULL.filter
    assert FULL.filter["op"] == "and"
    for settled in (FULL, ChannelSettings(sources=("a.example",))):
        assert settled.filter
        filter_from_json(settled.filter)


@pytest.mark.parametrize(
    ("text", "asks"),
    [
        ("How long is leave?", True),
        ("Wie lange dauert das? Danke!", True),
        ("有人知道 休假多久？", True),
        ("I wonder:\nhow long is it?", True),
        ("Does *anybody* know “how long”? :pray:", True),
        ("Thanks all", False),
        ("Really?", False),
        ("?", False),
        ("see https://wiki.example/?q=how long", False),
        ("see <https://wiki.example/?|the page>", False),
        ("a ternary: x ?y : z", False),
        ("", False),
    ],
)
def test_a_question_is_told_from_other_messages(text: str, asks: bool) -> None:
    assert asks_something(text) is asks


def test_what_a_channel_wants_answered_comes_before_what_is_settled_for_all() -> None:
    assert [follow_ups_of(one, "auto") for one in AUTO_ANSWERS] == ["auto", "mentions", "always", "always"]
    assert follow_ups_of("default", "mentions") == "mentions"


def test_tags_and_hosts_are_read_as_people_write_them() -> None:
    assert read_tags(" HR,policy ,\n, HR") == ("HR", "policy")
    assert read_sources("https://www.Handbook.example/leave?x=1, wiki.example/page, handbook.example, Team Notes") == (
        "handbook.example",
        "wiki.example",
        "team notes",
    )
    for wrong in ("/page", "http://", "http://[bad", "x" * 300):
        with pytest.raises(ValueError, match="is no source"):
            read_sources(wrong)
    with pytest.raises(ValueError, match="16 at most"):
        read_tags(",".join(str(n) for n in range(17)))


# ------------------------------------------------------------------------------------------------------------- the form


def sent(view: dict[str, Any]) -> dict[str, Any]:
    """The form as Slack sends it when nothing is changed."""
    values = {}
    for block in view["blocks"]:
        element = block.get("element")
        if element:
            initial = {name: one for name, one in element.items() if name.startswith("initial_")}
            given = {f"selected_{name.removeprefix('initial_')}": one for name, one in initial.items()}
            given["value"] = element.get("initial_value")
            values[block["block_id"]] = {block["block_id"]: given}
    return view | {"state": {"values": values}}


@pytest.mark.parametrize("settled", [NOTHING_SETTLED, FULL, ChannelSettings(expert="C9", auto_answer="mentions")])
def test_the_form_fits_into_slack_and_says_unchanged_what_it_was_told(settled: ChannelSettings) -> None:
    prompts = ("answer@v1", "answer@v2")
    view = settings_form("C1", settled, prompts)
    check_view(view)
    known = msgspec.structs.replace(settled, changed_by="", changed_at="")
    assert read_settings(sent(view), settled) == known
    assert read_settings(sent(settings_form("C1", settled)), settled) == known
    check_view(settled_view("C1", settled, "Saved."))
    check_blocks(settled_blocks("C1", settled, "note"))


def test_a_prompt_that_is_gone_is_shown_as_the_current_one() -> None:
    view = settings_form("C1", ChannelSettings(prompt="answer@v9"), ("answer@v1",))
    check_view(view)
    assert read_settings(sent(view), NOTHING_SETTLED).prompt == ""


def test_every_wrong_field_is_named_at_once() -> None:
    view = sent(settings_form("C1", NOTHING_SETTLED))
    values = view["state"]["values"]
    values["tags"]["tags"]["value"] = "x" * 101
    values["sources"]["sources"]["value"] = "http://"
    values["expert"]["expert"]["selected_user"] = "U1"
    values["expert_channel"]["expert_channel"]["selected_conversation"] = "C1"
    with pytest.raises(Wrong) as wrong:
        read_settings(view, NOTHING_SETTLED)
    assert sorted(wrong.value.errors) == ["expert_channel", "sources", "tags"]


def test_hostile_words_are_escaped_where_they_are_shown() -> None:
    shown = str(settled_blocks("C1", ChannelSettings(tags=("<!channel>",)), "<!here>"))
    assert "<!channel>" not in shown
    assert "<!here>" not in shown


# ------------------------------------------------------------------------------------------------------------ who may


PEOPLE = {
    "UADMIN": Person(team="T1", admin=True),
    "UCARA": Person(team="T1"),
    "UBEN": Person(team="T1"),
    "UEVE": Person(team="T1", admin=True),
    "UGUEST": Person(team="T1", guest=True, admin=True),
    "UGONE": Person(team="T1", gone=True, admin=True),
}


class House:
    """One channel, made by Cara, with all of these in it but Eve."""

    async def channel(self, channel: str) -> Channel:
        return Channel(shared=False, creator="UCARA")

    async def person(self, user: str) -> Person:
        return PEOPLE[user]

    async def channels_of(self, user: str) -> tuple[str, ...]:
        return () if user == "UEVE" else ("C1",)

    async def members(self, channel: str) -> frozenset[str]:
        return frozenset()

    async def guests(self) -> frozenset[str]:
        return frozenset()


async def test_a_channel_is_settled_from_inside_by_admins_and_by_who_made_it() -> None:
    admins = Admins(Directory(House()), frozenset({"UNAMED", "UGUEST"}))
    may = [user for user in PEOPLE if await admins.may_settle(user, "C1")]
    assert may == ["UADMIN", "UCARA"]
    assert not await admins.may_settle("UADMIN", "C2")


def test_admins_are_those_of_slack_and_those_who_are_named() -> None:
    named = frozenset({"U1"})
    assert is_admin("U1", Person(), named)
    assert is_admin("U2", Person(admin=True), named)
    for person in (None, Person(), Person(admin=True, guest=True), Person(admin=True, bot=True)):
        assert not is_admin("U2", person, named)
    assert Settings(admins=" U1, W2 ,").named_admins == {"U1", "W2"}
    with pytest.raises(ValueError, match="ids of users"):
        Settings(admins="ana")


# ---------------------------------------------------------------------------------------------------- status and gaps


@pytest.mark.parametrize(
    ("text", "verb"), [("", "help"), ("Status now", "status"), ("config", "config"), ("gaps", "gaps"), ("x", None)]
)
def test_the_first_word_counts(text: str, verb: str | None) -> None:
    assert read_footnote(text) == verb


def test_what_is_not_understood_is_repeated_without_its_marks() -> None:
    assert misused("`<!channel>` x").startswith("I don't know `!channel`.")


def test_the_whole_is_as_bad_as_its_worst_part_and_only_admins_see_the_parts() -> None:
    health = Health("degraded", {"index": Part("ok"), "disk": Part("ok", "degraded", "Free <space>.")})
    parts = [own_part("socket", well=True), *parts_of(health)]
    assert verdict_of(parts) == "degraded"
    assert verdict_of([*parts, own_part("socket", well=False)]) == "unhealthy"
    assert verdict_of([Told("x", "unseen", KEY_TOO_SMALL), Told("y", "healthy")]) == "unseen"
    assert verdict_of([]) == "healthy"
    seen, told = str(status_blocks(parts, admin=True)), str(status_blocks(parts, admin=False))
    assert "Free &lt;space&gt;." in seen
    assert "Free" not in told
    assert status_line(parts) in told
    many = parts_of(Health("unhealthy", {f"part{n}": Part("down", "unhealthy", "x" * 2_000) for n in range(60)}))
    check_blocks(status_blocks(many[:10], admin=True))
    assert len(status_blocks(many, admin=True)) <= 50


def test_gaps_fit_into_a_message_and_show_the_largest() -> None:
    gap = KnowledgeGap(5, 1, tuple(f"{n} <b> {'x' * 300}" for n in range(5)), 2, "T" * 300)
    found = GapsReply(30, 100, (gap,) * 20)
    check_blocks(gap_blocks(found))
    assert "and 10 more" in str(gap_blocks(found))
    assert "and 2 more like it" in str(gap_blocks(found))
    assert "Nobody has asked" in gaps_line(GapsReply(30, 0, ()))
