"""Two workspaces install the app, are answered each on its own, and one throws it out again. Signed HTTP throughout."""

from __future__ import annotations

import json
import socket
import sqlite3
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import pytest

from bot.app import open_bot
from bot.sandbox import Sandbox
from bot.sandbox.events import event
from bot.sandbox.http_delivery import signature
from bot.sandbox.values import Options
from bot.scopes import BOT_SCOPES
from bot.settings import Settings
from tests.e2e.slack_com import CLIENT, SlackCom, open_slack_com
from tests.e2e.slack_room import Room, eventually
from tests.fakes.backend_server import FakeBackend, open_backend

pytestmark = pytest.mark.e2e


@dataclass
class Town:
    """Slack, two workspaces and a backend; `settings` are the bot's."""

    slack: SlackCom
    backend: FakeBackend
    settings: Settings
    session: aiohttp.ClientSession

    @property
    def url(self) -> str:
        return str(self.settings.public_url)

    async def install(self, team: str) -> tuple[int, str]:
        """Go the way of somebody who installs the app; return the last page."""
        async with self.session.get(f"{self.url}/slack/install") as page:
            text = await page.text()
            state = page.cookies["slack-app-oauth-state"].value
        back = self.slack.allowed(link_in(text), team)
        headers = {"Cookie": f"slack-app-oauth-state={state}"}
        async with self.session.get(back, headers=headers) as page:
            return page.status, await page.text()

    def room(self, team: str) -> Room:
        room = Room.__new__(Room)
        room.sandbox, room.backend = self.slack.sandboxes[team], self.backend
        room.user, room.channel, room.dm = "U_ANA", "C_GENERAL", "D_ANA"
        return room

    async def health(self) -> tuple[int, dict[str, object]]:
        async with self.session.get(f"{self.url}/health/ready") as page:
            return page.status, await page.json()

    def stored(self) -> list[tuple[str, str]]:
        with sqlite3.connect(self.settings.data_dir / "bot.sqlite") as connection:
            return connection.execute("select team_id, bot_token from slack_bots").fetchall()


def link_in(page: str) -> str:
    """Return where the button of the install page leads."""
    return page.partition('<a href="')[2].partition('"')[0].replace("&amp;", "&")


@pytest.fixture
async def town(tmp_path: Path) -> AsyncIterator[Town]:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    async with AsyncExitStack() as stack:
        backend = await stack.enter_async_context(open_backend())
        sandboxes = {}
        for team in ("TONE", "TTWO"):
            options = Options(team=team, bot_token=f"xoxb-inside-{team}")
            sandbox = Sandbox(0, request_url=f"http://127.0.0.1:{port}/slack/events", options=options)
            sandboxes[team] = await stack.enter_async_context(sandbox)
        slack = await stack.enter_async_context(open_slack_com(sandboxes, expires_in=43_200))
        session = await stack.enter_async_context(aiohttp.ClientSession())
        given = {
            "data_dir": tmp_path, "backend_url": backend.url, "api_key": "key", "stop_timeout": 3.0, "bot_port": port,
            "SLACK_API_URL": f"{slack.url}/api/", "SLACK_CLIENT_ID": CLIENT[0], "SLACK_CLIENT_SECRET": CLIENT[1],
            "SLACK_SIGNING_SECRET": sandbox.signing_secret, "public_url": f"http://127.0.0.1:{port}",
        }  # fmt: skip
        yield Town(slack, backend, Settings.model_validate(given), session)


async def test_two_workspaces_install_and_are_answered_each_on_its_own(town: Town) -> None:
    async with open_bot(town.settings):
        assert await town.health() == (200, {"ready": True, "checks": {"backend": True, "workspaces": True}})
        for team in ("TONE", "TTWO"):
            status, page = await town.install(team)
            assert (status, "Thank you" in page) == (200, True)
            room = town.room(team)
            answer = await room.answer_to(room.ask("<@U_FOOTNOTE> how much parental leave?"))
            assert "twenty weeks" in answer.text
        assert town.slack.asked_scopes == set(BOT_SCOPES)
        assert [query.team for query in town.backend.queries] == ["TONE", "TTWO"]
        assert [len(town.room(team).answers()) for team in ("TONE", "TTWO")] == [1, 1]
        raw = (town.settings.data_dir / "bot.sqlite").read_bytes()
        assert not any(token.encode() in raw for token in town.slack.tokens)
        assert {team for team, token in town.stored() if token.startswith("gAAAA")} == {"TONE", "TTWO"}
    assert (town.settings.data_dir / "encryption-key").stat().st_mode & 0o777 == 0o600


async def test_after_a_restart_tokens_that_end_are_renewed_and_what_is_uninstalled_is_forgotten(town: Town) -> None:
    town.slack.expires_in = 60
    async with open_bot(town.settings):
        await town.install("TONE")
        await town.install("TTWO")
    first = set(town.slack.tokens)
    async with open_bot(town.settings):
        await eventually(lambda: not first & set(town.slack.tokens))
        room = town.room("TONE")
        assert "twenty weeks" in (await room.answer_to(room.ask("<@U_FOOTNOTE> leave?"))).text

        two = town.room("TTWO")
        sandbox = two.sandbox
        sandbox._outbox.send(event(sandbox.world, {"type": "app_uninstalled"}))
        await eventually(lambda: {team for team, _ in town.stored()} == {"TONE"})
        asked = len(town.backend.queries)
        two.ask("<@U_FOOTNOTE> leave?")
        await room.answer_to(room.ask("<@U_FOOTNOTE> and again?"))
        assert len(town.backend.queries) == asked + 1
        assert two.answers() == []


async def test_a_state_that_is_not_the_browsers_installs_nothing(town: Town) -> None:
    async with open_bot(town.settings):
        async with town.session.get(f"{town.url}/slack/install") as page:
            back = town.slack.allowed(link_in(await page.text()), "TONE")
        async with town.session.get(back, headers={"Cookie": "slack-app-oauth-state=other"}) as page:
            assert page.status == 400
        assert town.stored() == []


async def test_a_request_that_is_unsigned_old_or_heard_before_is_refused(town: Town) -> None:
    sandbox = town.slack.sandboxes["TONE"]
    body = json.dumps(event(sandbox.world, {"type": "team_join", "user": {"id": "U9"}}).payload)

    async def send(age: float, secret: str = sandbox.signing_secret) -> int:
        stamp = str(int(time.time() - age))
        headers = {
            "Content-Type": "application/json",
            "X-Slack-Request-Timestamp": stamp,
            "X-Slack-Signature": signature(secret, stamp, body),
        }
        async with town.session.post(f"{town.url}/slack/events", data=body, headers=headers) as answer:
            return answer.status

    async with open_bot(town.settings):
        await town.install("TONE")
        assert await send(301) == 401
        assert await send(0, "another-secret") == 401
        began = int(time.time())
        statuses = [await send(time.time() - began) for _ in range(2)]
        assert statuses == [200, 403]
