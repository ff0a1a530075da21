"""The Web API client against the local Slack: it waits where it is told to, and repeats only what may be repeated."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator

import aiohttp
import pytest

from bot.sandbox import Sandbox
from bot.slack import Slack, SlackBusy, SlackUnavailable
from bot.web_client import Gates, WebClient

GENERAL = "C_GENERAL"


@pytest.fixture
async def sandbox() -> AsyncIterator[Sandbox]:
    async with Sandbox(0) as sandbox:
        yield sandbox


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=0.5)) as session:
        yield session


@pytest.fixture
def slack(sandbox: Sandbox, session: aiohttp.ClientSession) -> Slack:
    return Slack(WebClient(sandbox.bot_token, session, sandbox.api_url), session)


def calls(sandbox: Sandbox, method: str) -> int:
    return sum(call.method == method for call in sandbox.calls)


async def test_what_slack_tells_one_call_all_calls_of_that_method_keep_to_and_no_others(
    sandbox: Sandbox, slack: Slack
) -> None:
    _, ts = await slack.post(GENERAL, "hello")
    sandbox.fail("chat.update", status=429)
    began = time.monotonic()
    first = asyncio.create_task(slack.update(GENERAL, ts, "one"))
    await asyncio.sleep(0.1)
    second = asyncio.create_task(slack.update(GENERAL, ts, "two"))
    await slack.permalink(GENERAL, ts)
    assert time.monotonic() - began < 0.9
    await asyncio.gather(first, second)
    assert time.monotonic() - began >= 1.0
    assert calls(sandbox, "chat.update") == 3


async def test_nothing_is_said_before_it_is_certain_that_no_other_bot_speaks_in_our_place(
    sandbox: Sandbox, session: aiohttp.ClientSession
) -> None:
    certain = asyncio.Event()

    async def sure() -> None:
        await certain.wait()

    slack = Slack(WebClient(sandbox.bot_token, session, sandbox.api_url, sure=sure), session)
    saying = asyncio.create_task(slack.post(GENERAL, "one"))
    await asyncio.sleep(0.1)
    assert calls(sandbox, "chat.postMessage") == 0
    certain.set()
    await saying
    assert calls(sandbox, "chat.postMessage") == 1


async def test_who_is_told_to_wait_in_one_channel_says_nothing_of_another(sandbox: Sandbox, slack: Slack) -> None:
    sandbox.fail("chat.postMessage", status=429)
    waiting = asyncio.create_task(slack.post(GENERAL, "one"))
    await asyncio.sleep(0.1)
    began = time.monotonic()
    await slack.post("C_HR", "two")
    assert time.monotonic() - began < 0.5
    await waiting


async def test_a_method_that_stays_closed_is_busy_and_nothing_has_happened(sandbox: Sandbox, slack: Slack) -> None:
    sandbox.fail("chat.postMessage", status=429, times=4)
    with pytest.raises(SlackBusy):
        await slack.post(GENERAL, "one")
    assert not sandbox.world.messages


@pytest.mark.parametrize("after", [False, True])
async def test_a_call_that_is_not_answered_in_time_is_given_up_and_a_post_is_not_repeated(
    sandbox: Sandbox, slack: Slack, after: bool
) -> None:
    sandbox.silence("chat.postMessage", 1.0, after=after)
    with pytest.raises(SlackUnavailable):
        await slack.post(GENERAL, "one")
    assert len(sandbox.world.messages) == int(after)


async def test_a_gate_opens_by_itself_and_keeps_to_the_longest_that_was_said() -> None:
    gates = Gates()
    gates.close("chat.update", 0.2)
    gates.close("chat.update", 0.05)
    began = time.monotonic()
    await gates.passed("chat.appendStream")
    assert time.monotonic() - began < 0.1
    await gates.passed("chat.update")
    assert time.monotonic() - began >= 0.2


async def test_a_thread_is_read_to_its_end_whatever_fits_one_page(sandbox: Sandbox, slack: Slack) -> None:
    _, root = await slack.post(GENERAL, "root")
    for number in range(205):
        message = sandbox.people.write(channel=GENERAL, user="U_ANA", text=f"reply {number}", thread_ts=root)
    messages = await slack.replies(GENERAL, root)
    assert [one.text for one in messages] == ["root", *(f"reply {number}" for number in range(205))]
    assert [one.text for one in await slack.replies(GENERAL, root, after=message.ts)] == ["root"]
