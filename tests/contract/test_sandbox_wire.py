"""The sandbox against the real thing that talks to it: slack-bolt and slack_sdk, unmodified."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import web
from slack_bolt.adapter.socket_mode.async_handler import AsyncSocketModeHandler
from slack_bolt.async_app import AsyncApp
from slack_sdk.web.async_client import AsyncWebClient

from bot.sandbox import Options, Sandbox
from tests.fakes.slack_driver import Refused, SlackDriver

GENERAL = "C_GENERAL"
Listen = Callable[..., Awaitable[None]]


def make_app(sandbox: Sandbox) -> AsyncApp:
    client = AsyncWebClient(token=sandbox.bot_token, base_url=sandbox.api_url)
    return AsyncApp(client=client, signing_secret=sandbox.signing_secret)


@asynccontextmanager
async def connected(app: AsyncApp, sandbox: Sandbox) -> AsyncIterator[AsyncSocketModeHandler]:
    handler = AsyncSocketModeHandler(
        app, sandbox.app_token, ping_interval=0.1, web_client=AsyncWebClient(base_url=sandbox.api_url)
    )
    await handler.connect_async()  # type: ignore[no-untyped-call]
    try:
        yield handler
    finally:
        await handler.close_async()  # type: ignore[no-untyped-call]


@pytest.fixture
async def sandbox() -> AsyncIterator[Sandbox]:
    async with Sandbox(0, options=Options(ack_seconds=0.5, retry_seconds=(0.0, 60.0, 300.0))) as sandbox:
        yield sandbox


@pytest.fixture
async def ana(sandbox: Sandbox) -> AsyncIterator[SlackDriver]:
    async with SlackDriver(sandbox.page_url) as driver:
        yield driver


async def test_a_mention_is_answered_by_a_stream_with_blocks(sandbox: Sandbox, ana: SlackDriver) -> None:
    app = make_app(sandbox)

    @app.event("app_mention")
    async def mentioned(event: dict[str, Any], client: AsyncWebClient) -> None:
        stream = await client.chat_stream(
            channel=event["channel"],
            thread_ts=event["ts"],
            recipient_team_id=event["team"],
            recipient_user_id=event["user"],
        )
        task = {"type": "task_update", "id": "1", "title": "Searching", "status": "in_progress"}
        await stream.append(chunks=[task])
        await stream.append(markdown_text="Thirty days [1].")
        await stream.append(chunks=[task | {"status": "complete", "output": "3 passages"}])
        section = {"type": "section", "text": {"type": "mrkdwn", "text": "[1] Leave"}}
        await stream.stop(markdown_text=" See the handbook.", blocks=[section])

    async with connected(app, sandbox):
        ts = await ana.post(GENERAL, "@Footnote how many days?")
        reply = await ana.reply(GENERAL, ts)

    assert reply.text == "Thirty days [1]. See the handbook."
    assert [block["type"] for block in reply.blocks] == ["task_card", "markdown", "section"]
    assert reply.blocks[0]["status"] == "complete"
    assert (await ana.state())["sessions"][0]["status"] == "active"


async def test_a_mention_arrives_as_twins_with_different_event_ids(sandbox: Sandbox, ana: SlackDriver) -> None:
    app, seen = make_app(sandbox), dict[str, dict[str, Any]]()

    @app.event("app_mention")
    @app.event("message")
    async def heard(body: dict[str, Any]) -> None:
        seen[body["event"]["type"]] = body

    async with connected(app, sandbox):
        ts = await ana.post(GENERAL, "@Footnote hello & <bye>")
        await eventually(lambda: len(seen) == 2)

    assert seen["message"]["event"]["ts"] == seen["app_mention"]["event"]["ts"] == ts
    assert seen["message"]["event_id"] != seen["app_mention"]["event_id"]
    assert seen["message"]["event"]["text"] == "<@U_FOOTNOTE> hello &amp; &lt;bye&gt;"
    assert seen["message"]["event"]["channel_type"] == "channel"


async def test_what_is_not_acknowledged_is_delivered_again(sandbox: Sandbox, ana: SlackDriver) -> None:
    app, attempts = make_app(sandbox), list[tuple[str, str]]()

    @app.middleware
    async def flaky(req: Any, body: dict[str, Any], next_: Callable[[], Awaitable[None]]) -> Any:
        attempts.append((body["event_id"], req.headers["x-slack-retry-num"][0]))
        if len(attempts) == 1:
            await asyncio.sleep(0.8)
        return await next_()

    @app.event("message")
    async def heard() -> None:
        """Acknowledged by Bolt before it runs."""

    async with connected(app, sandbox):
        await ana.post("D_ANA", "hello")
        await eventually(lambda: len(attempts) == 2)

    assert [number for _, number in attempts] == ["0", "1"]
    assert attempts[0][0] == attempts[1][0]


async def test_events_wait_for_a_connection(sandbox: Sandbox, ana: SlackDriver) -> None:
    app, heard = make_app(sandbox), list[str]()

    @app.event("message")
    async def hear(event: dict[str, Any]) -> None:
        heard.append(event["text"])

    await ana.post("D_ANA", "is anyone there?")
    async with connected(app, sandbox):
        await eventually(lambda: heard == ["is anyone there?"])


@pytest.mark.parametrize("how", ["drop", "refresh"])
async def test_after_a_lost_or_refreshed_socket_events_still_arrive(
    sandbox: Sandbox, ana: SlackDriver, how: str
) -> None:
    app, heard = make_app(sandbox), list[str]()

    @app.event("message")
    async def hear(event: dict[str, Any]) -> None:
        heard.append(event["text"])

    async with connected(app, sandbox):
        await (ana.drop_sockets() if how == "drop" else ana.refresh_sockets())
        await ana.post("D_ANA", "still there?")
        await eventually(lambda: heard == ["still there?"])


async def test_each_event_goes_to_one_of_several_connections(sandbox: Sandbox, ana: SlackDriver) -> None:
    app, heard = make_app(sandbox), list[str]()

    @app.event("message")
    async def hear(event: dict[str, Any]) -> None:
        heard.append(event["text"])

    async with connected(app, sandbox), connected(app, sandbox):
        for number in range(6):
            await ana.post("D_ANA", str(number))
        await eventually(lambda: len(heard) == 6)
        await asyncio.sleep(0.05)

    assert sorted(heard) == ["0", "1", "2", "3", "4", "5"]


async def test_a_duplicated_event_keeps_its_id(sandbox: Sandbox, ana: SlackDriver) -> None:
    app, ids = make_app(sandbox), list[str]()

    @app.event("message")
    async def hear(body: dict[str, Any]) -> None:
        ids.append(body["event_id"])

    async with connected(app, sandbox):
        await ana.duplicate_next()
        await ana.post("D_ANA", "once")
        await eventually(lambda: len(ids) == 2)

    assert ids[0] == ids[1]


async def test_a_slash_command_is_acknowledged_and_answered_through_its_response_url(
    sandbox: Sandbox, ana: SlackDriver
) -> None:
    app = make_app(sandbox)

    @app.command("/ask")
    async def ask(ack: Any, respond: Any, command: dict[str, Any]) -> None:
        await ack("Looking…")
        await respond(f"About {command['text']}", replace_original=True)

    async with connected(app, sandbox):
        await ana.command("/ask", "leave in <C>")
        state = await ana.until(lambda s: any("About" in m["text"] for m in s["ephemerals"]))

    assert [m["text"] for m in state["ephemerals"]] == ["About leave in &lt;C&gt;"]


async def test_a_command_without_a_bot_is_refused_as_in_slack(sandbox: Sandbox, ana: SlackDriver) -> None:
    with pytest.raises(Refused, match="504 app_did_not_respond"):
        await ana.command("/ask", "anyone?")
    with pytest.raises(Refused, match="unknown_command"):
        await ana.command("/nonsense")


async def test_feedback_buttons_open_a_modal_that_can_refuse_and_close(sandbox: Sandbox, ana: SlackDriver) -> None:
    app, ratings = make_app(sandbox), list[str]()

    @app.action("feedback")
    async def rated(ack: Any, action: dict[str, Any], body: dict[str, Any], client: AsyncWebClient) -> None:
        await ack()
        ratings.append(action["value"])
        await client.views_open(trigger_id=body["trigger_id"], view=MODAL)

    @app.view("why")
    async def why(ack: Any, view: dict[str, Any]) -> None:
        if view["state"]["values"]["comment"]["text"]["value"]:
            await ack()
        else:
            await ack(response_action="errors", errors={"comment": "Say something"})

    async with connected(app, sandbox):
        ts = await ana.post(GENERAL, "hello")
        await app.client.chat_postMessage(channel=GENERAL, thread_ts=ts, text="Hi", blocks=[FEEDBACK])
        await ana.act(await ana.reply(GENERAL, ts), "feedback", value="down")
        modal = await ana.modal()
        empty = {"comment": {"text": {"type": "plain_text_input", "value": ""}}}
        assert await ana.submit(modal["id"], empty) == {"comment": "Say something"}
        full = {"comment": {"text": {"type": "plain_text_input", "value": "wrong year"}}}
        assert await ana.submit(modal["id"], full) == {}

    assert ratings == ["down"]
    assert (await ana.state())["modals"]["U_ANA"] == []


async def test_opening_home_publishes_it_for_that_person(sandbox: Sandbox, ana: SlackDriver) -> None:
    app = make_app(sandbox)

    @app.event("app_home_opened")
    async def opened(event: dict[str, Any], client: AsyncWebClient) -> None:
        block = {"type": "section", "text": {"type": "mrkdwn", "text": "Welcome"}}
        await client.views_publish(user_id=event["user"], view={"type": "home", "blocks": [block]})

    async with connected(app, sandbox):
        await ana.open_home()
        view = await ana.home()

    assert view["blocks"][0]["text"]["text"] == "Welcome"
    assert (await ana.state(user="U_BEN"))["homes"] == {}


async def test_stop_ends_the_stream_and_tells_the_bot(sandbox: Sandbox, ana: SlackDriver) -> None:
    app, stopped = make_app(sandbox), list[dict[str, Any]]()

    @app.event("agent_session_stopped")
    async def stop(event: dict[str, Any]) -> None:
        stopped.append(event)

    async with connected(app, sandbox):
        ts = await ana.post("D_ANA", "hello")
        stream = await app.client.chat_startStream(channel="D_ANA", thread_ts=ts)
        await ana.stop("D_ANA", ts)
        await eventually(lambda: bool(stopped))

    assert stopped[0]["streaming_message_ts"] == [stream["ts"]]
    assert stopped[0]["thread_ts"] == ts


async def test_signed_http_delivery_reaches_the_unmodified_app() -> None:
    site = HttpSite()
    async with site, Sandbox(0, request_url=site.url, options=Options(ack_seconds=0.5)) as sandbox:
        app, heard = make_app(sandbox), list[str]()

        @app.event("message")
        async def hear(event: dict[str, Any]) -> None:
            heard.append(event["text"])

        @app.command("/ask")
        async def ask(ack: Any) -> None:
            await ack("Looking…")

        site.app = app
        async with SlackDriver(sandbox.page_url) as ana:
            await ana.post("D_ANA", "over HTTP")
            await eventually(lambda: heard == ["over HTTP"])
            await ana.command("/ask", "and commands")
            assert (await ana.ephemeral()).text == "Looking…"


async def test_http_delivery_is_retried_until_it_is_taken() -> None:
    site = HttpSite(failures=1)
    async with site, Sandbox(0, request_url=site.url, options=Options(ack_seconds=0.5)) as sandbox:
        app, retries = make_app(sandbox), list[str]()

        @app.event("message")
        async def hear(request: Any) -> None:
            retries.extend(request.headers["x-slack-retry-num"])

        site.app = app
        async with SlackDriver(sandbox.page_url) as ana:
            await ana.post("D_ANA", "again")
            await eventually(lambda: retries == ["1"])


class HttpSite:
    """Bolt behind a real HTTP server; the first `failures` requests answer 500."""

    def __init__(self, failures: int = 0) -> None:
        self.app: AsyncApp | None = None
        self.failures = failures

    async def serve(self, request: web.Request) -> web.Response:
        from slack_bolt.adapter.aiohttp import to_aiohttp_response, to_bolt_request

        if self.failures:
            self.failures -= 1
            return web.Response(status=500)
        assert self.app is not None
        return await to_aiohttp_response(await self.app.async_dispatch(await to_bolt_request(request)))

    async def __aenter__(self) -> None:
        site = web.Application()
        site.router.add_post("/slack/events", self.serve)
        self.runner = web.AppRunner(site)
        await self.runner.setup()
        await web.TCPSite(self.runner, "127.0.0.1", 0).start()

    @property
    def url(self) -> str:
        host, port = self.runner.addresses[0][:2]
        return f"http://{host}:{port}/slack/events"

    async def __aexit__(self, *_: object) -> None:
        await self.runner.cleanup()


async def eventually(ready: Callable[[], bool]) -> None:
    for _ in range(500):
        if ready():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("did not happen")


FEEDBACK = {
    "type": "context_actions",
    "elements": [
        {
            "type": "feedback_buttons",
            "action_id": "feedback",
            "positive_button": {"text": {"type": "plain_text", "text": "Good"}, "value": "up"},
            "negative_button": {"text": {"type": "plain_text", "text": "Bad"}, "value": "down"},
        }
    ],
}
MODAL = {
    "type": "modal",
    "callback_id": "why",
    "title": {"type": "plain_text", "text": "What was wrong?"},
    "submit": {"type": "plain_text", "text": "Send"},
    "blocks": [
        {
            "type": "input",
            "block_id": "comment",
            "label": {"type": "plain_text", "text": "Comment"},
            "element": {"type": "plain_text_input", "action_id": "text"},
        }
    ],
}
