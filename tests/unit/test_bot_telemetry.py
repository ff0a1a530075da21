"""The bot's figures: what is counted of calls, replies, turns and jobs, under labels that stay few."""

from __future__ import annotations

import asyncio
from pathlib import Path

import aiohttp
import pytest
from prometheus_client.parser import text_string_to_metric_families
from slack_sdk.errors import SlackApiError

from bot.durable import open_durable
from bot.pace import Pace
from bot.rungs import Place
from bot.sandbox import Sandbox
from bot.slack import Slack
from bot.stream import Reply
from bot.telemetry import ReplyFigures, Telemetry
from bot.thread import Turn, asked_at
from bot.web_client import WebClient
from tests.fakes.slack_messages import FakePosted, FakeSlackMessages
from tests.unit.test_bot_durable import RecordingJob, ended

PLACE = Place("C1", "1.0", team="T1", user="U1")


def read(telemetry: Telemetry, name: str, **labels: str) -> float:
    """Return the sum of a metric's samples with these labels."""
    families = text_string_to_metric_families(telemetry.render(1).decode())
    return sum(
        sample.value
        for family in families
        for sample in family.samples
        if sample.name == name and labels.items() <= sample.labels.items()
    )


async def test_calls_are_counted_by_method_and_by_how_they_ended() -> None:
    telemetry = Telemetry()
    async with Sandbox(0) as sandbox, aiohttp.ClientSession() as session:
        client = WebClient(sandbox.bot_token, session, sandbox.api_url, telemetry)
        await Slack(client, session).who_am_i()
        with pytest.raises(SlackApiError):
            await client.chat_delete(channel="C_NONE", ts="1.0")
        with pytest.raises(SlackApiError):
            await client.api_call("team.info")
    assert read(telemetry, "footnote_slack_calls_total", method="auth.test", ending="ok") == 1
    assert read(telemetry, "footnote_slack_calls_total", method="chat.delete", ending="refused") == 1
    assert read(telemetry, "footnote_slack_calls_total", method="other") == 1
    assert read(telemetry, "footnote_slack_call_seconds_count", method="auth.test") == 1


async def test_waits_that_slack_asks_for_are_counted_with_their_seconds() -> None:
    telemetry = Telemetry()
    async with Sandbox(0) as sandbox, aiohttp.ClientSession() as session:
        client = WebClient(sandbox.bot_token, session, sandbox.api_url, telemetry)
        client.gates.close("auth.test", 0.05)
        await client.auth_test()
    assert read(telemetry, "footnote_slack_waits_total", method="auth.test") == 1
    assert read(telemetry, "footnote_slack_wait_seconds_total", method="auth.test") >= 0.04


async def test_a_reply_tells_its_first_words_once_and_the_rungs_it_left_and_ended_on() -> None:
    telemetry = Telemetry()
    slack = FakeSlackMessages(refuse={"start": "not_allowed"})
    watch = ReplyFigures(telemetry, asked_at=0.0)
    async with Reply(slack, PLACE, FakePosted(), Pace(), watch=watch) as reply:
        reply.write("One. ")
        await asyncio.sleep(0.05)
        await reply.finish([])
    assert read(telemetry, "footnote_replies_stepped_down_total", rung="stream") == 1
    assert read(telemetry, "footnote_replies_total", rung="edit") == 1
    assert read(telemetry, "footnote_turn_first_words_seconds_count") == 1


async def test_a_job_that_an_earlier_process_left_behind_counts_as_recovered(tmp_path: Path) -> None:
    left, again = Telemetry(), Telemetry()
    slow, quick = RecordingJob(pause=60), RecordingJob()
    async with open_durable(tmp_path / "d.sqlite", [slow], stop_timeout=0.1, telemetry=left) as durable:
        await durable.record("turn", "k1", {"id": "1"})
        async with asyncio.timeout(30):
            while not slow.seen:  # noqa: ASYNC110 - the job knows nothing of the test
                await asyncio.sleep(0.01)
        assert read(left, "footnote_jobs_open") == read(left, "footnote_jobs_busy") == 1
    async with open_durable(tmp_path / "d.sqlite", [quick], stop_timeout=2, telemetry=again):
        await ended(quick)
    assert read(left, "footnote_jobs_total", job_kind="turn", came="recorded") == 1
    assert read(again, "footnote_jobs_total", job_kind="turn", came="recovered") == 1
    assert read(again, "footnote_jobs_total", job_kind="turn", came="recorded") == 0


def test_a_turn_is_timed_from_its_message_and_a_command_is_only_counted() -> None:
    turn = Turn("T1", "C1", "1700000000.000200", "1700000000.000200", "U1", "leave?", "channel")
    command = Turn("T1", "C1", "13345224609.738474920.80889", "", "U1", "leave?", "ephemeral")
    telemetry = Telemetry()
    telemetry.turn("answered", asked_at(turn))
    telemetry.turn("answered", asked_at(command))
    assert asked_at(turn) == 1700000000.0002
    assert read(telemetry, "footnote_turns_total", outcome="answered") == 2
    assert read(telemetry, "footnote_turn_seconds_count") == 1
