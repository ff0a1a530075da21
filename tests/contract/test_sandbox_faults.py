"""The sandbox's rate limits, the faults that it can be told to make, and who may use its page."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress

import aiohttp
import pytest
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient

from bot.sandbox import Options, Sandbox
from bot.sandbox.world import Hook
from tests.fakes.slack_driver import SlackDriver

GENERAL, HR = "C_GENERAL", "C_HR"


@pytest.fixture
async def sandbox() -> AsyncIterator[Sandbox]:
    async with Sandbox(0) as sandbox:
        yield sandbox


@pytest.fixture
def slack(sandbox: Sandbox) -> AsyncWebClient:
    return AsyncWebClient(token=sandbox.bot_token, base_url=sandbox.api_url)


async def start(slack: AsyncWebClient, thread_ts: str) -> None:
    await slack.chat_startStream(
        channel=GENERAL, thread_ts=thread_ts, recipient_team_id="local", recipient_user_id="U_ANA"
    )


async def test_beyond_its_tier_a_method_answers_429_until_the_bucket_refills(
    sandbox: Sandbox, slack: AsyncWebClient
) -> None:
    root = sandbox.people.write(channel=GENERAL, user="U_ANA", text="hello").ts
    for _ in range(20):
        await start(slack, root)
    with pytest.raises(SlackApiError) as error:
        await start(slack, root)
    assert error.value.response.status_code == 429
    assert int(error.value.response.headers["Retry-After"]) >= 1
    sandbox.advance(int(error.value.response.headers["Retry-After"]))
    await start(slack, root)


async def test_rate_limits_can_be_switched_off() -> None:
    async with Sandbox(0, options=Options(rate_limits=False)) as sandbox:
        slack = AsyncWebClient(token=sandbox.bot_token, base_url=sandbox.api_url)
        for _ in range(30):
            await slack.chat_postMessage(channel=GENERAL, text="t")


async def test_the_next_calls_fail_as_ordered(sandbox: Sandbox, slack: AsyncWebClient) -> None:
    sandbox.fail("chat.postMessage", error="msg_too_long")
    sandbox.fail("chat.postMessage", status=429)
    sandbox.fail("chat.postMessage", status=503, after=True)
    with pytest.raises(SlackApiError, match="msg_too_long"):
        await slack.chat_postMessage(channel=GENERAL, text="1")
    with pytest.raises(SlackApiError, match="ratelimited"):
        await slack.chat_postMessage(channel=GENERAL, text="2")
    with pytest.raises(SlackApiError):
        await slack.chat_postMessage(channel=GENERAL, text="3")
    await slack.chat_postMessage(channel=GENERAL, text="4")
    assert [message.text for message in sandbox.world.in_channel(GENERAL)] == ["3", "4"]


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "evil.example:8701"},
        {"Origin": "https://evil.example"},
        {"Sec-Fetch-Site": "cross-site"},
    ],
)
async def test_other_pages_and_rebound_names_are_turned_away(sandbox: Sandbox, headers: dict[str, str]) -> None:
    async with aiohttp.ClientSession() as http:
        async with http.get(f"{sandbox.page_url}sandbox/state", headers=headers) as answer:
            assert answer.status == 403
        async with http.get(f"{sandbox.page_url}sandbox/live", headers=headers) as answer:
            assert answer.status == 403


async def test_the_page_has_a_strict_policy_and_asks_for_json(sandbox: Sandbox) -> None:
    async with aiohttp.ClientSession() as http:
        async with http.get(sandbox.page_url) as answer:
            assert "script-src 'self'" in answer.headers["Content-Security-Policy"]
        async with http.post(f"{sandbox.page_url}sandbox/messages", data={"channel": GENERAL}) as answer:
            assert answer.status == 415


async def test_a_person_sees_only_their_channels_and_whispers(sandbox: Sandbox, slack: AsyncWebClient) -> None:
    sandbox.people.write(channel=HR, user="U_ANA", text="secret")
    await slack.chat_postEphemeral(channel=GENERAL, user="U_ANA", text="psst")
    async with SlackDriver(sandbox.page_url) as anyone:
        state = await anyone.state(user="U_BEN")
    assert [channel["id"] for channel in state["channels"]] == [GENERAL, "D_BEN"]
    assert (state["messages"], state["ephemerals"]) == ([], [])


async def test_a_response_url_works_five_times_within_half_an_hour(sandbox: Sandbox) -> None:
    def url() -> str:
        hook = Hook(GENERAL, "U_ANA", sandbox.world.clock.now())
        hook.settled.set()
        return f"{sandbox.base_url}/response/{sandbox.world.hook(hook)}"

    async with aiohttp.ClientSession() as http:
        often, late = url(), url()
        statuses = [(await http.post(often, json={"text": "t"})).status for _ in range(6)]
        sandbox.advance(1801)
        assert statuses == [200] * 5 + [404]
        assert (await http.post(late, json={"text": "t"})).status == 404


async def test_in_bad_weather_a_share_of_all_calls_fails_in_its_own_way(
    sandbox: Sandbox, slack: AsyncWebClient
) -> None:
    sandbox.weather(0.5, hang=0.01, seed=3)
    for _ in range(60):
        with suppress(SlackApiError):
            await slack.auth_test()
    failed = sum(not call.answer["ok"] for call in sandbox.calls)
    assert 15 <= failed <= 45
    assert sandbox.weather(0.0) == failed
    assert {call.answer.get("error") for call in sandbox.calls} == {None, "ratelimited", "internal_error"}
    assert (await slack.auth_test())["ok"]


async def test_a_connection_that_was_asked_to_go_is_cut_if_it_stays() -> None:
    async with Sandbox(0, options=Options(retire_seconds=0.2)) as sandbox, aiohttp.ClientSession() as http:
        opened = await AsyncWebClient(base_url=sandbox.api_url).apps_connections_open(app_token=sandbox.app_token)
        async with http.ws_connect(opened["url"]) as socket:
            assert (await socket.receive_json())["type"] == "hello"
            await sandbox.refresh_sockets()
            assert (await socket.receive_json())["type"] == "disconnect"
            async with asyncio.timeout(2):
                assert (await socket.receive()).type in (aiohttp.WSMsgType.CLOSED, aiohttp.WSMsgType.ERROR)
