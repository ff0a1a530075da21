"""A reply on its way down the ladder: nothing is lost, nothing is said twice."""

from __future__ import annotations

import asyncio
import time

import pytest

from bot.pace import A_MINUTE, Pace, Window
from bot.rungs import MaybePosted, Place
from bot.slack import Block, SlackRefused
from bot.stream import Reply
from tests.fakes.slack_messages import FakePosted, FakeSlackMessages

PLACE = Place("C1", "1.0", team="T1", user="U1")
BELOW: list[Block] = [{"type": "context", "elements": []}]
TASK: Block = {"type": "task_update", "id": "search", "title": "Searching", "status": "in_progress"}


async def write(
    slack: FakeSlackMessages, *texts: str, posted: FakePosted | None = None, pace: Pace | None = None
) -> FakePosted:
    """Write an answer piece by piece, letting the pump run in between, and finish it."""
    posted = posted or FakePosted()
    async with Reply(slack, PLACE, posted, pace or Pace()) as reply:
        for text in texts:
            reply.write(text)
            await asyncio.sleep(0.01)
        await reply.finish(BELOW)
    return posted


async def test_an_answer_is_streamed_in_chunks_and_closed_with_its_blocks() -> None:
    slack = FakeSlackMessages()
    posted = await write(slack, "One. ", "Two.")
    assert slack.texts == {"1.0": "One. Two."}
    assert slack.blocks["1.0"] == BELOW
    assert slack.streaming == set()
    assert slack.calls == ["start", "stop"]
    assert slack.readers == [("T1", "U1")]
    assert posted.known == ["1.0"]


async def test_the_first_piece_is_sent_at_once_and_a_flood_is_gathered() -> None:
    slack = FakeSlackMessages()
    async with Reply(slack, PLACE, FakePosted(), Pace()) as reply:
        reply.write("One. ")
        await asyncio.sleep(0.02)
        assert slack.texts == {"1.0": "One. "}
        for _ in range(50):
            reply.write("More. ")
            await asyncio.sleep(0)
        await reply.finish(BELOW)
    assert slack.calls == ["start", "stop"]
    assert slack.texts == {"1.0": "One. " + "More. " * 50}


async def test_text_that_comes_while_slack_is_being_told_is_not_lost() -> None:
    slack = FakeSlackMessages(latency=0.05)
    await write(slack, "One. ", "Two. ", "Three.")
    assert slack.texts == {"1.0": "One. Two. Three."}


@pytest.mark.parametrize("code", ["channel_type_not_supported", "missing_recipient_team_id", "invalid_thread_ts"])
async def test_where_streams_cannot_start_a_message_is_posted(code: str) -> None:
    slack = FakeSlackMessages(refuse={"start": code})
    await write(slack, "One. ", "Two.")
    assert slack.texts == {"1.0": "One. Two."}
    assert slack.blocks["1.0"] == BELOW


async def test_a_stream_that_expired_is_completed_by_an_edit_of_the_same_message() -> None:
    slack = FakeSlackMessages()
    async with Reply(slack, PLACE, FakePosted(), Pace()) as reply:
        reply.write("One. ")
        await asyncio.sleep(0.02)
        slack.streaming.clear()
        reply.write("Two.")
        await reply.finish(BELOW)
    assert slack.texts == {"1.0": "One. Two."}
    assert slack.blocks["1.0"] == BELOW


async def test_where_edits_are_refused_too_the_answer_is_posted_whole() -> None:
    slack = FakeSlackMessages(refuse={"stop": "message_not_in_streaming_state", "update": "edit_window_closed"})
    await write(slack, "One. ", "Two.")
    assert slack.texts["2.0"] == "One. Two."


async def test_where_nothing_may_be_posted_it_is_said_so() -> None:
    slack = FakeSlackMessages(refuse={"start": "is_archived", "post": "is_archived"})
    with pytest.raises(SlackRefused):
        await write(slack, "One.")


async def test_an_outage_of_slack_loses_nothing() -> None:
    slack = FakeSlackMessages(outages={"stop": 2})
    await write(slack, "One. ", "Two.")
    assert slack.texts == {"1.0": "One. Two."}


@pytest.mark.parametrize("refuse", [{}, {"start": "channel_type_not_supported"}])
async def test_a_message_that_may_exist_is_not_made_twice_in_one_attempt(refuse: dict[str, str]) -> None:
    slack = FakeSlackMessages(refuse=refuse, outages={"post" if refuse else "start": 1})
    with pytest.raises(MaybePosted):
        await write(slack, "One. ", "Two.")
    assert slack.texts == {}


async def test_a_second_attempt_edits_what_the_first_posted_and_removes_what_is_too_much() -> None:
    slack = FakeSlackMessages(texts={"1.0": "Half", "2.0": "old"}, blocks={"1.0": [], "2.0": []}, streaming={"1.0"})
    posted = await write(slack, "One. ", "Two.", posted=FakePosted(["1.0", "2.0"]))
    assert slack.texts == {"1.0": "One. Two."}
    assert posted.known == ["1.0"]
    assert "start" not in slack.calls


async def test_other_words_replace_what_was_streamed() -> None:
    slack = FakeSlackMessages()
    async with Reply(slack, PLACE, FakePosted(), Pace()) as reply:
        reply.write("Half an ans")
        await asyncio.sleep(0.02)
        await reply.replace("Something went wrong.")
    assert slack.texts == {"1.0": "Something went wrong."}
    assert slack.streaming == set()


async def test_a_long_answer_goes_on_in_a_next_message() -> None:
    slack = FakeSlackMessages()
    sentence = "Parents get twenty weeks of leave [1]. " * 20
    await write(slack, *[sentence] * 30)
    assert "".join(slack.texts.values()) == sentence * 30
    assert all(len(text) <= 11_000 for text in slack.texts.values())
    assert [bool(blocks) for blocks in slack.blocks.values()] == [False, False, True]
    assert slack.streaming == set()


async def test_an_old_stream_is_ended_before_slack_ends_it() -> None:
    now = 0.0
    slack = FakeSlackMessages()
    async with Reply(slack, PLACE, FakePosted(), Pace(lambda: now), clock=lambda: now) as reply:
        reply.write("One. ")
        await asyncio.sleep(0.02)
        now = 250.0
        reply.write("Two. ")
        await asyncio.sleep(0.9)
        reply.write("Three.")
        await reply.finish(BELOW)
    assert list(slack.texts.values()) == ["One. Two. ", "Three."]


async def test_a_reader_who_presses_stop_is_noticed() -> None:
    slack = FakeSlackMessages()
    async with Reply(slack, PLACE, FakePosted(), Pace()) as reply:
        reply.write("One. ")
        await asyncio.sleep(0.02)
        slack.refuse["append"] = "stopped_by_user"
        reply.write("Two. ")
        async with asyncio.timeout(3):
            await reply.stopped.wait()
        await reply.finish(BELOW)
    assert slack.texts == {"1.0": "One. Two. "}


async def test_the_task_card_is_shown_before_there_is_text_and_brought_up_to_date() -> None:
    slack = FakeSlackMessages()
    async with Reply(slack, PLACE, FakePosted(), Pace()) as reply:
        reply.show(TASK)
        await asyncio.sleep(0.02)
        reply.show(TASK | {"title": "again"})
        reply.show(TASK | {"status": "complete"})
        reply.write("One.")
        await reply.finish(BELOW)
    assert [chunk["type"] for chunk in slack.chunks] == ["task_update", "task_update", "markdown_text"]
    assert slack.chunks[1]["status"] == "complete"


async def test_beyond_the_workspaces_budget_of_streams_answers_are_posted() -> None:
    pace = Pace()
    slack = FakeSlackMessages()
    for _ in range(A_MINUTE["start"] + 3):
        await write(slack, "One.", pace=pace)
    assert slack.calls.count("start") == A_MINUTE["start"]
    assert slack.calls.count("post") == 3


def test_the_more_replies_are_being_written_the_slower_each_is() -> None:
    pace = Pace()
    assert pace.interval("append", 0.8) == 0.8
    pace.live = 17
    assert pace.interval("append", 0.8) == 12.0


async def test_a_window_lets_so_many_through_in_any_stretch_of_time_and_the_first_first() -> None:
    window, passed = Window(2, time.monotonic, seconds=0.2), list[int]()

    async def go(number: int) -> None:
        await window.take()
        passed.append(number)

    began = time.monotonic()
    await asyncio.gather(*(go(number) for number in range(5)))
    assert passed == [0, 1, 2, 3, 4]
    assert 0.4 <= time.monotonic() - began < 0.6


async def test_who_gives_up_waiting_leaves_their_place_to_others() -> None:
    window = Window(1, time.monotonic, seconds=0.2)
    await window.take()
    waiting = asyncio.create_task(window.take())
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.wait({waiting})
    began = time.monotonic()
    await window.take()
    assert time.monotonic() - began < 0.3


async def test_what_may_have_been_appended_is_not_appended_again() -> None:
    slack = FakeSlackMessages(late={"append": 1})
    async with Reply(slack, PLACE, FakePosted(), Pace()) as reply:
        reply.write("One. ")
        await asyncio.sleep(0.02)
        reply.write("Two. ")
        await asyncio.sleep(0.9)
        reply.write("Three.")
        await reply.finish(BELOW)
    assert slack.texts == {"1.0": "One. Two. Three."}
    assert slack.blocks["1.0"] == BELOW
    assert slack.streaming == set()


@pytest.mark.parametrize("method", ["stop", "update"])
async def test_an_end_that_was_not_confirmed_is_brought_about_once(method: str) -> None:
    slack = FakeSlackMessages(late={method: 1}, outages={"append": 9})
    async with Reply(slack, PLACE, FakePosted(), Pace()) as reply:
        reply.write("One. ")
        await asyncio.sleep(0.02)
        if method == "update":
            reply.write("Two. ")
            await asyncio.sleep(0.9)
        reply.write("Three.")
        await reply.finish(BELOW)
    assert list(slack.texts.values()) == ["One. Two. Three." if method == "update" else "One. Three."]
    assert slack.blocks["1.0"] == BELOW


async def test_a_message_that_slack_was_too_busy_to_make_does_not_exist() -> None:
    slack, posted = FakeSlackMessages(busy={"start": 1}), FakePosted()
    await write(slack, "One.", posted=posted)
    assert slack.texts == {"1.0": "One."}
    assert not posted.making


async def test_a_message_that_may_exist_is_remembered_to_be_looked_for() -> None:
    slack, posted = FakeSlackMessages(late={"start": 1}), FakePosted()
    with pytest.raises(MaybePosted):
        await write(slack, "One. ", "Two.", posted=posted)
    assert posted.making


async def test_a_reply_that_was_left_off_stays_as_it_is() -> None:
    slack = FakeSlackMessages()
    async with Reply(slack, PLACE, FakePosted(), Pace()) as reply:
        reply.write("One. ")
        await asyncio.sleep(0.02)
    assert slack.texts == {"1.0": "One. "}
    assert slack.streaming == {"1.0"}


async def test_where_an_edit_is_refused_what_was_shown_is_taken_back_before_the_answer_is_posted() -> None:
    slack = FakeSlackMessages(refuse={"update": "edit_window_closed"}, texts={"1.0": "Half"}, blocks={"1.0": []})
    posted = await write(slack, "One.", posted=FakePosted(["1.0"]))
    assert list(slack.texts.values()) == ["One."]
    assert len(posted.known) == 1
