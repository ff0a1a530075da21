"""A reply on its way down the ladder: nothing is lost, nothing is said twice."""

from __future__ import annotations

import asyncio

import pytest

from bot.rungs import MaybePosted, Place
from bot.slack import Block, SlackRefused
from bot.stream import STARTS_A_MINUTE, Pace, Reply
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


async def test_the_task_card_is_shown_before_there_is_text() -> None:
    slack = FakeSlackMessages()
    async with Reply(slack, PLACE, FakePosted(), Pace()) as reply:
        reply.show_once(TASK)
        await asyncio.sleep(0.02)
        reply.show_once(TASK | {"title": "again"})
        reply.write("One.")
        await reply.finish(BELOW)
    assert [chunk["type"] for chunk in slack.chunks] == ["task_update", "markdown_text"]


async def test_beyond_the_workspaces_budget_of_streams_answers_are_posted() -> None:
    pace = Pace()
    slack = FakeSlackMessages()
    for _ in range(STARTS_A_MINUTE + 3):
        await write(slack, "One.", pace=pace)
    assert slack.calls.count("start") == STARTS_A_MINUTE
    assert slack.calls.count("post") == 3


def test_the_more_replies_are_being_written_the_slower_each_is() -> None:
    pace = Pace()
    assert pace.interval(0.8) == 0.8
    pace.live = 8
    assert pace.interval(0.8) == 6.0
