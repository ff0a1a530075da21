"""What the doctor finds, and that the manifests, the scopes and the listeners say the same."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import pytest
import yaml
from aiohttp import web

from bot.doctor import findings
from bot.listeners_asking import ANSWER
from bot.listeners_audience import CHANNELS, MEMBERSHIP, PEOPLE
from bot.modals import ASK
from bot.sandbox.values import COMMANDS, SHORTCUTS
from bot.scopes import AGENT_EVENTS, AGENT_SCOPES, BOT_SCOPES, EVENTS
from bot.settings import PROJECT, Settings
from tests.fakes.backend_server import open_backend


@dataclass
class SlackDesk:
    """As much of Slack as the doctor asks. `skew` is how far its clock is ahead of ours."""

    scopes: Sequence[str] = tuple(BOT_SCOPES)
    events: Sequence[str] = tuple(EVENTS)
    skew: timedelta = timedelta()
    errors: dict[str, str] = field(default_factory=dict)

    async def call(self, request: web.Request) -> web.Response:
        method = request.match_info["method"]
        body = {"ok": True} | self._answer(method)
        if method in self.errors:
            body = {"ok": False, "error": self.errors[method]}
        now = datetime.now(UTC) + self.skew
        headers = {"X-OAuth-Scopes": ",".join(self.scopes), "Date": format_datetime(now, usegmt=True)}
        return web.json_response(body, headers=headers)

    def _answer(self, method: str) -> dict[str, object]:
        match method:
            case "auth.test":
                return {"user": "footnote", "team": "Acme", "team_id": "T1", "user_id": "U1", "bot_id": "B1"}
            case "bots.info":
                return {"bot": {"app_id": "A1"}}
            case "apps.manifest.export":
                return {"manifest": {"settings": {"event_subscriptions": {"bot_events": list(self.events)}}}}
            case _:
                return {"url": "wss://127.0.0.1/link"}


@asynccontextmanager
async def opened(desk: SlackDesk) -> AsyncIterator[str]:
    app = web.Application()
    app.add_routes([web.route("*", "/api/{method}", desk.call)])
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}/api/"
    await runner.cleanup()


async def found(desk: SlackDesk, tmp_path: Path, **changes: object) -> tuple[list[str], str]:
    """Return what is bad, and everything that is said."""
    async with opened(desk) as url, open_backend() as backend:
        given = {
            "data_dir": tmp_path, "backend_url": backend.url, "api_key": "key", "SLACK_API_URL": url,
            "SLACK_BOT_TOKEN": "xoxb-1", "SLACK_APP_TOKEN": "xapp-1", "SLACK_CONFIG_TOKEN": "xoxe.xoxp-1",
        }  # fmt: skip
        seen = [one async for one in findings(Settings.model_validate(given | changes))]
    return [one.text for one in seen if one.level == "bad"], "\n".join(f"{one.text} {one.remedy}" for one in seen)


async def test_where_all_is_well_nothing_is_bad(tmp_path: Path) -> None:
    bad, said = await found(SlackDesk(), tmp_path)
    assert bad == []
    for words in (
        "token is good",
        "scopes of the manifest",
        "clock agrees",
        "events of the manifest",
        "Socket Mode is on",
    ):
        assert words in said
    assert "backend answers" in said


@pytest.mark.parametrize(
    ("desk", "named", "click"),
    [
        (SlackDesk(scopes=["chat:write"]), "users:read (who is a guest", "Reinstall to Workspace"),
        (SlackDesk(events=["app_mention"]), "member_left_channel", "Add Bot User Event"),
        (SlackDesk(skew=timedelta(minutes=-7)), "ahead of Slack's", "time synchronisation"),
        (SlackDesk(errors={"auth.test": "token_revoked"}), "token_revoked", "Reinstall to Workspace"),
        (SlackDesk(errors={"apps.connections.open": "missing_scope"}), "missing_scope", "connections:write"),
    ],
)
async def test_what_is_wrong_is_named_with_what_to_click(
    desk: SlackDesk, named: str, click: str, tmp_path: Path
) -> None:
    bad, said = await found(desk, tmp_path)
    assert len(bad) == 1
    assert named in bad[0]
    assert click in said


async def test_a_backend_that_is_down_is_bad_and_the_agents_scopes_are_wanted_of_agents(tmp_path: Path) -> None:
    bad, _ = await found(SlackDesk(), tmp_path, backend_url="http://127.0.0.1:1", agent_view="on")
    assert ["assistant:write" in text for text in bad] == [True, False, False]
    assert "agent_session_stopped" in bad[1]
    assert "cannot be reached" in bad[2]


async def test_without_tokens_the_doctor_says_where_to_get_them(tmp_path: Path) -> None:
    _, said = await found(SlackDesk(), tmp_path, SLACK_BOT_TOKEN="", SLACK_APP_TOKEN="")
    assert "docs/slack.md" in said


# --------------------------------------------------------------------------------------------------------- manifests


@pytest.mark.parametrize("name", ["manifest.yaml", "manifest-agent.yaml"])
def test_the_manifests_are_what_the_bot_needs_and_what_slack_takes(name: str) -> None:
    manifest = yaml.safe_load((PROJECT / "deploy" / "slack" / name).read_text())
    agent = name == "manifest-agent.yaml"
    features, settings = manifest["features"], manifest["settings"]
    scopes, events = manifest["oauth_config"]["scopes"]["bot"], settings["event_subscriptions"]["bot_events"]
    assert scopes == [*BOT_SCOPES, *(AGENT_SCOPES if agent else ())]
    assert events == [*EVENTS, *(AGENT_EVENTS if agent else ())]
    assert ("agent_view" in features) == agent
    assert len(manifest["display_information"]["description"]) <= 140
    if agent:
        assert len(features["agent_view"]["agent_description"]) <= 300
        assert len(features["agent_view"]["suggested_prompts"]) <= 4
    assert {one["command"] for one in features["slash_commands"]} >= {"/ask", "/ingest", "/docs"}
    assert {one["callback_id"] for one in features["shortcuts"]} >= {ANSWER, ASK, "ingest_thread"}
    assert all(len(one["name"]) <= 24 for one in features["shortcuts"])


def test_the_local_slack_knows_the_commands_and_shortcuts_of_the_manifest() -> None:
    features = yaml.safe_load((PROJECT / "deploy" / "slack" / "manifest.yaml").read_text())["features"]
    assert {one["command"] for one in features["slash_commands"]} == {one.name for one in COMMANDS}
    assert {one["callback_id"] for one in features["shortcuts"]} == {one.callback_id for one in SHORTCUTS}


def test_every_event_that_ends_a_membership_is_subscribed_to() -> None:
    assert {*MEMBERSHIP, *CHANNELS, *PEOPLE} <= set(EVENTS)


def test_every_scope_and_event_is_explained_in_the_guide() -> None:
    guide = (PROJECT / "docs" / "slack.md").read_text()
    for name in (*BOT_SCOPES, *AGENT_SCOPES, *EVENTS, *AGENT_EVENTS):
        assert f"`{name}`" in guide
