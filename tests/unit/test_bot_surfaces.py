"""Feedback, forms, quiet threads, experts and the agent view: their decisions, and what is remembered of them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

from backend.schema import Citation, DoneEvent, Passage, RunMetadata
from bot.client import Asked, Trace
from bot.database import build_engine
from bot.expert_replies import is_answer
from bot.experts import shown_of
from bot.feedback import Emoji, Patience
from bot.modals import MAX_WHY, About, Kept, ask_view, keep_view, read_kept, read_share, read_why, share_view, why_view
from bot.offers import offered
from bot.quiet import FollowUps, is_answered, read_mode
from bot.records import BUTTON, HandedOn, Mode, Records
from bot.sandbox.rules import check_view
from bot.sessions import prompts_for
from bot.settings import Settings
from bot.store import Store
from bot.thread import Message, Turn, history_of


@pytest.fixture
async def records(tmp_path: Path) -> AsyncIterator[Records]:
    engine = build_engine(tmp_path / "bot.sqlite")
    await Store(engine).create_tables()
    yield Records(engine)
    await engine.dispose()


HANDED_ON = HandedOn("run", "T1", "C9", "9.0", "9.0", "", "U1", "C1", "1.0")


# --------------------------------------------------------------------------------------------------------- what is kept


async def test_the_newest_rating_that_stands_counts(records: Records) -> None:
    await records.react("r", "U1", BUTTON, 1)
    await records.react("r", "U1", "-1", -1)
    found = await records.standing("r", "U1")
    assert found
    assert (found.rating, found.kind) == (-1, "reaction")
    await records.react("r", "U1", "-1", None)
    found = await records.standing("r", "U1")
    assert found
    assert (found.rating, found.kind) == (1, "button")
    await records.react("r", "U1", BUTTON, None)
    assert await records.standing("r", "U1") is None


async def test_a_comment_belongs_to_the_rating_that_it_was_made_with(records: Records) -> None:
    await records.react("r", "U1", BUTTON, -1)
    standing = await records.standing("r", "U1")
    assert standing
    await records.note_comment("r", "U1", standing)
    commented = await records.standing("r", "U1")
    assert commented
    assert commented.commented
    await records.react("r", "U1", BUTTON, -1)
    anew = await records.standing("r", "U1")
    assert anew
    assert not anew.commented


async def test_a_question_is_handed_on_once(records: Records) -> None:
    await records.put_handed_on(HANDED_ON)
    await records.put_handed_on(msgspec.structs.replace(HANDED_ON, channel="C8"))
    assert await records.handed_on("run") == HANDED_ON
    assert await records.handed_on_in("T1", "C9", "9.0") == HANDED_ON
    assert await records.handed_on_in("T2", "C9", "9.0") is None


async def test_the_last_word_on_a_thread_counts(records: Records) -> None:
    assert await records.mode("T1", "C1", "1.0") is None
    for mode in ("muted", "followed"):
        await records.put_mode("T1", "C1", "1.0", "muted" if mode == "muted" else "followed")
        assert await records.mode("T1", "C1", "1.0") == mode


# ------------------------------------------------------------------------------------------------------------ decisions


def test_ratings_by_one_person_are_bounded_and_others_are_not_affected() -> None:
    now = [0.0]
    patience = Patience(most=2, seconds=10, clock=lambda: now[0])
    assert [patience.takes("U1"), patience.takes("U1"), patience.takes("U1")] == [True, True, False]
    assert patience.takes("U2")
    now[0] = 11.0
    assert patience.takes("U1")


def test_which_emoji_rate_is_a_setting() -> None:
    emoji = Emoji(["white_check_mark", "tada"], ["x"])
    assert [emoji.rating_of(name) for name in ("tada", "x", "+1")] == [1, -1, None]


@pytest.mark.parametrize(
    ("text", "mode"),
    [
        ("mute", "muted"),
        ("<@UBOT> Mute!", "muted"),
        (":mute:", "muted"),
        ("unmute.", "followed"),
        ("<@UBOT> follow this thread", "followed"),
        ("how do I mute a channel?", None),
        ("<@U2> mute", None),
        ("", None),
    ],
)
def test_only_a_message_that_says_nothing_else_sets_a_threads_mode(text: str, mode: Mode | None) -> None:
    assert read_mode(text, "UBOT") == mode


@pytest.mark.parametrize(
    ("follow_ups", "mode", "busy", "answered"),
    [
        ("auto", None, False, True),
        ("auto", None, True, False),
        ("auto", "followed", True, True),
        ("always", "muted", False, False),
        ("always", None, True, True),
        ("mentions", None, False, False),
        ("mentions", "followed", True, True),
    ],
)
def test_what_was_said_of_a_thread_counts_more_than_the_setting(
    follow_ups: FollowUps, mode: Mode | None, *, busy: bool, answered: bool
) -> None:
    assert is_answered(follow_ups, mode, busy=busy) is answered


def trace(outcome: str, *documents: str) -> Trace:
    citations = tuple(Citation(n, name, name, "", f"quote of {name}") for n, name in enumerate(documents, 1))
    passages = tuple(Passage(name, name, name, "", "…", 0.5) for name in documents)
    return Trace("run", Asked("?"), outcome, "Said [1].", citations if outcome == "answered" else (), passages)


def test_an_answer_is_shown_to_an_expert_only_if_all_of_it_may_be() -> None:
    shown = shown_of(trace("answered", "open", "secret"), {"open"})
    assert (shown.tried, [one.document_id for one in shown.citations], shown.withheld) == ("", ["open"], True)
    assert shown_of(trace("answered", "open"), {"open"}).tried == "Said [1]."


def test_what_was_said_in_place_of_an_answer_is_never_shown_since_it_names_documents() -> None:
    shown = shown_of(trace("abstained", "secret", "open"), {"open"})
    assert (shown.tried, [one.document_id for one in shown.closest]) == ("", ["open"])


@pytest.mark.parametrize(
    ("user", "text", "expert", "answers"),
    [
        ("U2", "It is Maria.", "U2", True),
        ("U3", "I wonder, too.", "U2", False),
        ("U2", "<@UBOT> who is Maria?", "U2", False),
        ("U3", "It is Maria.", "", True),
        ("U1", "Anybody?", "", False),
    ],
)
def test_who_answers_for_an_expert(user: str, text: str, expert: str, *, answers: bool) -> None:
    handed_on = msgspec.structs.replace(HANDED_ON, expert=expert)
    assert is_answer({"user": user, "text": text}, handed_on, "UBOT") is answers


def turn(place: str, channel: str = "C1") -> Turn:
    return Turn("T1", channel, "1.0", "1.0", "U1", "?", "ephemeral" if place == "ephemeral" else "channel")


@pytest.mark.parametrize(
    ("place", "channel", "outcome", "labels"),
    [
        ("ephemeral", "C1", "answered", ["Share to channel"]),
        ("ephemeral", "D1", "answered", ["Share to channel …"]),
        ("channel", "C1", "answered", []),
        ("channel", "C1", "abstained", ["Ask a human"]),
    ],
)
def test_what_is_offered_below_an_outcome(place: str, channel: str, outcome: str, labels: list[str]) -> None:
    done = DoneEvent("run", "answered" if outcome == "answered" else "abstained", RunMetadata())
    shown = offered(turn(place, channel), done, "?", expert=True)
    assert [element["text"]["text"] for block in shown for element in block["elements"]] == labels


def test_the_forms_keep_to_slacks_limits_and_come_back_as_they_were_filled_in() -> None:
    about, kept = About("run" * 20, "C1", "1.0"), Kept("run", "C1", "1.0", "2.0")
    views = [why_view(about), ask_view(), keep_view(kept, "t" * 9_000, "x" * 9_000, "Who reads it."), share_view("?")]
    for view in views:
        check_view(view)
    filled = {"wrong": "a" * MAX_WHY, "right": "b" * MAX_WHY, "title": " T ", "text": "X"}
    state = {"values": {name: {name: {"value": value}} for name, value in filled.items()}}
    found, comment = read_why(views[0] | {"state": state})
    assert (found, len(comment) <= 4_000) == (about, True)
    assert read_share(views[3] | {"state": {"values": {}}}) == ("", "")
    assert read_kept(views[2] | {"state": state}) == (kept, "T", "X")


def test_a_question_that_we_repeated_is_its_askers_in_the_history() -> None:
    messages = [Message("1.0", "<@U1> asked\n&gt;Is it *so*?", "UBOT", True), Message("2.0", "Yes [1].", "UBOT", True)]
    turns = history_of(messages, bot_user="UBOT", before="3.0")
    assert [(one.role, one.text) for one in turns] == [("user", "Is it *so*?"), ("assistant", "Yes.")]


def test_at_most_four_questions_are_suggested_and_each_once() -> None:
    prompts = prompts_for(["A", "A", "Who signs?", "C", "D"], ["How?", "What?"])
    assert [name for name, _ in prompts] == ["What is in “A”?", "Who signs?", "How?", "What?"]


def test_an_expert_must_be_an_id() -> None:
    with pytest.raises(ValueError, match="id of a user"):
        Settings.model_validate({"expert": "@maria"})
    assert Settings.model_validate({"expert": "C0123"}).expert == "C0123"
