"""Turns as they are remembered: asked once, answered once, followed when they are edited, stopped or taken back."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import pytest

from bot.database import build_engine
from bot.edits import deleted_turn, edited_turn
from bot.ledger import MAX_EDITS, Ledger
from bot.order import ThreadOrder
from bot.running import Running
from bot.slack import SlackRefused, SlackUnavailable
from bot.store import Store
from bot.thread import Turn
from bot.turns import TurnJob, Turns, UnsayableOutcome, WithdrawJob, write_turn

BOT = "U_FOOTNOTE"


@pytest.fixture
async def turns(tmp_path: Path) -> AsyncIterator[Turns]:
    engine = build_engine(tmp_path / "bot.sqlite")
    await Store(engine).create_tables()
    yield Turns(Ledger(engine), ThreadOrder(4), Running())
    await engine.dispose()


def asked(ts: str = "10.1", text: str = "leave?", **changes: Any) -> Turn:
    turn = Turn(team="T", channel="C", ts=ts, thread_ts="10.1", user="U", text=text, place="channel")
    return msgspec.structs.replace(turn, **changes)


@dataclass
class FakeAnswering:
    """Notes what is wanted of it; `error` is raised by the next call."""

    said: list[str] = field(default_factory=list)
    error: Exception | None = None

    def _note(self, what: str) -> None:
        error, self.error = self.error, None
        if error is not None:
            raise error
        self.said.append(what)

    async def answer(self, turn: Turn) -> None:
        self._note(f"answer {turn.text}")

    async def say(self, turn: Turn, text: str) -> None:
        self._note(f"say {text}")

    async def halt(self, turn: Turn) -> None:
        self._note("halt")

    async def take_back(self, turn: Turn) -> None:
        self._note("take back")


async def test_a_turn_that_has_its_outcome_is_not_answered_again(turns: Turns) -> None:
    answering = FakeAnswering()
    job = TurnJob(answering, turns)
    for _ in range(2):
        await job.attempt(write_turn(asked()))
    assert answering.said == ["answer leave?"]


async def test_a_turn_that_failed_is_answered_by_the_next_attempt(turns: Turns) -> None:
    answering = FakeAnswering(error=SlackUnavailable("away"))
    job = TurnJob(answering, turns)
    with pytest.raises(SlackUnavailable):
        await job.attempt(write_turn(asked()))
    await job.attempt(write_turn(asked()))
    assert answering.said == ["answer leave?"]


async def test_a_private_turn_is_not_kept_track_of(turns: Turns) -> None:
    answering = FakeAnswering()
    turn = asked(place="ephemeral")
    await turns.expect(turn)
    await TurnJob(answering, turns).attempt(write_turn(turn))
    assert answering.said == ["answer leave?"]
    assert await turns.ledger.asked(turn.key) is None


async def test_an_edit_of_the_last_question_is_answered_instead_of_what_it_said_before(turns: Turns) -> None:
    answering = FakeAnswering()
    job = TurnJob(answering, turns)
    await turns.expect(asked())
    edited = asked(text="parental leave?", edited_ts="11.0")
    await job.attempt(write_turn(edited))
    await job.attempt(write_turn(asked()))
    await job.attempt(write_turn(edited))
    assert answering.said == ["answer parental leave?"]


async def test_of_several_edits_the_newest_is_answered(turns: Turns) -> None:
    answering = FakeAnswering()
    job = TurnJob(answering, turns)
    await job.attempt(write_turn(asked()))
    await job.attempt(write_turn(asked(text="new", edited_ts="13.0")))
    await job.attempt(write_turn(asked(text="old", edited_ts="12.0")))
    assert answering.said == ["answer leave?", "answer new"]


async def test_an_edit_of_a_question_that_others_follow_changes_nothing(turns: Turns) -> None:
    answering = FakeAnswering()
    job = TurnJob(answering, turns)
    for ts in ("10.1", "10.2"):
        await job.attempt(write_turn(asked(ts)))
    await job.attempt(write_turn(asked(text="other", edited_ts="11.0")))
    assert answering.said == ["answer leave?", "answer leave?"]


async def test_a_question_is_not_answered_again_for_ever(turns: Turns) -> None:
    answering = FakeAnswering()
    job = TurnJob(answering, turns)
    await job.attempt(write_turn(asked()))
    for number in range(MAX_EDITS + 5):
        await job.attempt(write_turn(asked(text=str(number), edited_ts=f"{20 + number}.0")))
    assert len(answering.said) == 1 + MAX_EDITS


async def test_an_edit_cuts_short_what_is_being_written_in_the_old_words(turns: Turns) -> None:
    await turns.expect(asked())
    with turns.running.entered(asked()) as stop:
        assert await turns.is_due(asked(text="other", edited_ts="11.0"))
    assert stop.superseded
    assert stop.pressed.is_set()
    assert not await turns.is_due(asked())


async def test_a_question_that_was_taken_back_is_not_answered_and_its_answer_goes(turns: Turns) -> None:
    answering = FakeAnswering()
    await turns.expect(asked())
    await WithdrawJob(answering, turns).attempt(write_turn(asked(text="")))
    await TurnJob(answering, turns).attempt(write_turn(asked()))
    await TurnJob(answering, turns).attempt(write_turn(asked(text="other", edited_ts="11.0")))
    assert answering.said == ["take back"]


async def test_the_deletion_of_what_was_no_question_is_nothing(turns: Turns) -> None:
    answering = FakeAnswering()
    await WithdrawJob(answering, turns).attempt(write_turn(asked()))
    assert answering.said == []


async def test_a_turn_that_was_stopped_while_nobody_was_at_it_is_halted(turns: Turns) -> None:
    answering = FakeAnswering()
    await turns.expect(asked())
    assert await turns.stop("T:C:10.1", "12.0") == 0
    await TurnJob(answering, turns).attempt(write_turn(asked()))
    assert answering.said == ["halt"]


async def test_a_stop_that_is_told_late_leaves_later_questions_alone(turns: Turns) -> None:
    await turns.expect(asked("12.0"))
    with turns.running.entered(asked("12.0")) as stop:
        assert await turns.stop("T:C:10.1", "11.0") == 0
    assert not stop.pressed.is_set()
    assert not await turns.is_stopped(asked("12.0"))


async def test_what_an_earlier_process_left_is_waited_for(turns: Turns) -> None:
    await turns.ledger.ask(asked("10.1"))
    await turns.ledger.ask(asked("10.2"))
    await turns.ledger.end(asked("10.2").key, "")
    again = Turns(turns.ledger, ThreadOrder(4), Running())
    await again.resume()
    assert [line.expected for line in again.order._lines.values()] == [{(10, "1")}]


async def test_an_event_that_comes_again_after_its_outcome_is_not_waited_for(turns: Turns) -> None:
    await TurnJob(FakeAnswering(), turns).attempt(write_turn(asked()))
    await turns.expect(asked())
    assert turns.order._lines == {}


async def test_where_not_even_words_can_be_said_the_turn_is_over(turns: Turns) -> None:
    job = TurnJob(FakeAnswering(error=SlackRefused("is_archived")), turns)
    await turns.expect(asked())
    with pytest.raises(UnsayableOutcome):
        await job.fail(write_turn(asked()))
    assert not await turns.is_due(asked())


async def test_old_turns_are_forgotten(turns: Turns) -> None:
    await turns.ledger.ask(asked())
    await turns.ledger.forget(older=-1)
    assert await turns.ledger.asked(asked().key) is None


# ------------------------------------------------------------------------------------------------------ their events


def changed(before: dict[str, Any], after: dict[str, Any]) -> dict[str, Any]:
    place = {"channel": "C", "channel_type": "channel", "event_ts": "12.0", "ts": "12.0"}
    return {"type": "message", "subtype": "message_changed", "previous_message": before, "message": after, **place}


SAID = {"user": "U", "ts": "10.1", "text": f"<@{BOT}> leave?"}


def test_an_edit_is_read_as_the_same_turn_in_other_words() -> None:
    turn = edited_turn(changed(SAID, SAID | {"text": f"<@{BOT}> parental leave?"}), "T", BOT)
    assert turn is not None
    assert (turn.key, turn.thread_ts, turn.edited_ts) == ("turn:T:C:10.1", "10.1", "12.0")
    assert turn.text == f"<@{BOT}> parental leave?"


@pytest.mark.parametrize(
    "after",
    [
        SAID | {"attachments": [{"title": "unfurled"}]},
        SAID | {"text": f"  <@{BOT}>   leave?"},
        SAID | {"text": "This message was deleted.", "subtype": "tombstone"},
        SAID | {"text": "other", "bot_id": "B"},
    ],
)
def test_what_asks_nothing_new_is_no_edit(after: dict[str, Any]) -> None:
    assert edited_turn(changed(SAID, after), "T", BOT) is None


def test_a_deletion_is_read_whether_the_message_is_gone_or_a_tombstone() -> None:
    gone = {"subtype": "message_deleted", "channel": "C", "deleted_ts": "10.1", "event_ts": "12.0"}
    tombstone = changed(SAID, SAID | {"subtype": "tombstone", "user": "USLACKBOT"})
    for event in (gone | {"previous_message": SAID}, gone, tombstone):
        turn = deleted_turn(event, "T", BOT)
        assert turn is not None
        assert turn.key == "turn:T:C:10.1"


def test_neither_our_own_messages_nor_edits_are_deletions() -> None:
    ours = {"subtype": "message_deleted", "channel": "C", "previous_message": SAID | {"user": BOT}}
    assert deleted_turn(ours, "T", BOT) is None
    assert deleted_turn(changed(SAID, SAID | {"text": "other"}), "T", BOT) is None
