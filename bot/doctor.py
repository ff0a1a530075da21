"""`python -m bot doctor`: whether Slack and the backend let the bot work, and what to click where they do not.

It changes nothing. Slack says with every answer which scopes a token has and what time it is there.
"""

from __future__ import annotations

import sys
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Literal

import aiohttp
from slack_sdk.errors import SlackApiError, SlackClientError
from slack_sdk.web.async_slack_response import AsyncSlackResponse

from bot.client import Backend, BackendProblem, BackendUnavailable
from bot.installing import open_store
from bot.memory import open_memory
from bot.scopes import AGENT_EVENTS, AGENT_SCOPES, BOT_SCOPES, EVENTS
from bot.settings import Settings
from bot.web_client import WebClient

MAX_SKEW = 60.0
"""Seconds that our clock may be off; beyond 300 Slack's signatures are refused."""
MARKS = {"ok": "✓", "note": "·", "bad": "✗"}
APP_PAGE = "https://api.slack.com/apps → your app"
TOKEN_REMEDIES: Mapping[str, str] = {
    "invalid_auth": "Copy the token again: {page} → OAuth & Permissions → Bot User OAuth Token.",
    "account_inactive": "The app was removed from the workspace: {page} → Install App → Install to Workspace.",
    "token_revoked": "The token was revoked: {page} → Install App → Reinstall to Workspace, then copy the new one.",
    "not_allowed_token_type": "That is another kind of token; SLACK_BOT_TOKEN begins with xoxb-.",
}
SOCKET_REMEDIES: Mapping[str, str] = {
    "invalid_auth": "Make one: {page} → Basic Information → App-Level Tokens → Generate, with connections:write.",
    "not_allowed_token_type": "That is another kind of token; SLACK_APP_TOKEN begins with xapp-.",
    "missing_scope": "Make another: {page} → Basic Information → App-Level Tokens → Generate, with connections:write.",
    "socket_mode_not_enabled": "Turn it on: {page} → Socket Mode → Enable Socket Mode.",
    "forbidden_team": "Turn it on: {page} → Socket Mode → Enable Socket Mode.",
}


@dataclass(frozen=True, slots=True)
class Finding:
    """What a check found; `remedy` says what to click where it is bad."""

    level: Literal["ok", "note", "bad"]
    text: str
    remedy: str = ""


async def doctor(settings: Settings) -> int:
    """Print every finding. Return 1 if something is bad."""
    worst = 0
    async for finding in findings(settings):
        remedy = f"\n    → {finding.remedy}" if finding.remedy else ""
        sys.stdout.write(f"{MARKS[finding.level]} {finding.text}{remedy}\n")
        worst |= finding.level == "bad"
    return int(worst)


async def findings(settings: Settings) -> AsyncIterator[Finding]:
    """Yield what each check finds."""
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=20)) as session:
        if settings.mode == "sandbox":
            yield Finding("note", "No Slack tokens: the bot brings a local Slack. docs/slack.md leads to a real one.")
        else:
            async for finding in Doctor(settings, session).slack():
                yield finding
        yield await backend_finding(settings, session)


@dataclass(frozen=True, slots=True)
class Doctor:
    """The checks of Slack's side."""

    settings: Settings
    session: aiohttp.ClientSession

    async def slack(self) -> AsyncIterator[Finding]:
        for token in await self._tokens():
            async for finding in self._workspace(token):
                yield finding
        if self.settings.slack_client_id is not None:
            yield self._installable()
        if self.settings.slack_app_token is not None:
            yield await self._socket(self.settings.slack_app_token.get_secret_value())
        else:
            yield self._signing(self.settings)

    async def _tokens(self) -> list[str]:
        """Return the bot's tokens: the one that is configured, or those of all workspaces that installed it."""
        if self.settings.slack_bot_token is not None:
            return [self.settings.slack_bot_token.get_secret_value()]
        async with AsyncExitStack() as stack:
            engine = open_memory(self.settings)
            stack.push_async_callback(engine.dispose)
            store = await open_store(self.settings, engine)
            return [str(bot.bot_token) for bot in await store.installed()]

    async def _workspace(self, token: str) -> AsyncIterator[Finding]:
        client = WebClient(token, self.session, self.settings.slack_api_url)
        try:
            told = await client.auth_test()
        except (SlackApiError, SlackClientError, aiohttp.ClientError, TimeoutError) as error:
            yield refused("The bot's token", error, TOKEN_REMEDIES)
            return
        yield Finding("ok", f"The token is good: {told['user']} in {told['team']} ({told['team_id']}).")
        agent = self.settings.agent_view == "on"
        yield scopes_finding(told, {**BOT_SCOPES, **(AGENT_SCOPES if agent else {})})
        yield clock_finding(told, time.time())
        yield await self._events(client, str(told.get("bot_id") or ""), agent=agent)

    async def _events(self, client: WebClient, bot_id: str, *, agent: bool) -> Finding:
        """Compare the events with the manifest, which Slack shows only for a token of the app's owner."""
        wanted = {**EVENTS, **(AGENT_EVENTS if agent else {})}
        if self.settings.slack_config_token is None:
            text = "Slack tells nobody's bot which events it gets. To have them checked, set SLACK_CONFIG_TOKEN"
            return Finding("note", f"{text} (https://api.slack.com/apps → Your App Configuration Tokens).")
        owner = self.settings.slack_config_token.get_secret_value()
        try:
            app_id = (await client.bots_info(bot=bot_id))["bot"]["app_id"]
            manifest = (await client.apps_manifest_export(app_id=app_id, token=owner))["manifest"]
        except (SlackApiError, SlackClientError, aiohttp.ClientError, TimeoutError) as error:
            return refused("The configuration token", error, {})
        settings = manifest.get("settings") or {}
        given = set((settings.get("event_subscriptions") or {}).get("bot_events") or ())
        return events_finding(given, wanted)

    def _installable(self) -> Finding:
        url = str(self.settings.public_url).rstrip("/")
        if not url.startswith("https://"):
            return Finding("bad", f"FOOTNOTE_PUBLIC_URL is {url}.", "Slack sends browsers back to https:// only.")
        return Finding("ok", f"Workspaces install at {url}/slack/install, if {url}/slack/oauth_redirect is listed.")

    async def _socket(self, token: str) -> Finding:
        client = WebClient(None, self.session, self.settings.slack_api_url)
        try:
            await client.apps_connections_open(app_token=token)
        except (SlackApiError, SlackClientError, aiohttp.ClientError, TimeoutError) as error:
            return refused("Socket Mode", error, SOCKET_REMEDIES)
        return Finding("ok", "Socket Mode is on, and the app-level token opens a connection.")

    def _signing(self, settings: Settings) -> Finding:
        secret = settings.slack_signing_secret.get_secret_value() if settings.slack_signing_secret else ""
        if len(secret) != 32:
            remedy = f"Copy it again: {APP_PAGE} → Basic Information → Signing Secret."
            return Finding("bad", "SLACK_SIGNING_SECRET does not look like one (32 letters and digits).", remedy)
        text = f"Slack's requests are expected at port {settings.bot_port}, path /slack/events"
        if settings.bot_host in {"127.0.0.1", "localhost", "::1"}:
            return Finding("note", f"{text}, from this machine only: put a proxy with TLS in front.")
        return Finding("ok", f"{text}.")


def refused(what: str, error: Exception, remedies: Mapping[str, str]) -> Finding:
    """Say what Slack refused, or that it cannot be reached."""
    if not isinstance(error, SlackApiError):
        remedy = "Is the network up, and may this machine reach SLACK_API_URL?"
        return Finding("bad", f"{what}: Slack cannot be reached ({type(error).__name__}).", remedy)
    code = str(error.response.get("error") or "unknown_error")
    return Finding("bad", f"{what}: Slack says {code}.", remedies.get(code, "").format(page=APP_PAGE))


def scopes_finding(told: AsyncSlackResponse, wanted: Mapping[str, str]) -> Finding:
    """Compare the scopes that Slack names with every answer with those of the manifest."""
    headers = {str(name).lower(): str(value) for name, value in told.headers.items()}
    granted = {scope.strip() for scope in headers.get("x-oauth-scopes", "").split(",")} - {""}
    if not granted:
        return Finding("note", "Slack does not say which scopes the token has.")
    missing = sorted(set(wanted) - granted)
    if not missing:
        return Finding("ok", f"All {len(wanted)} scopes of the manifest are granted.")
    named = "; ".join(f"{scope} ({wanted[scope]})" for scope in missing)
    remedy = f"{APP_PAGE} → OAuth & Permissions → Scopes → Bot Token Scopes → Add, then Reinstall to Workspace."
    return Finding("bad", f"Scopes are missing: {named}.", remedy)


def clock_finding(told: AsyncSlackResponse, now: float) -> Finding:
    """Compare Slack's clock with ours."""
    headers = {str(name).lower(): str(value) for name, value in told.headers.items()}
    try:
        skew = now - parsedate_to_datetime(headers.get("date", "")).timestamp()
    except ValueError:
        return Finding("note", "Slack does not say what time it is.")
    if abs(skew) <= MAX_SKEW:
        return Finding("ok", "The clock agrees with Slack's.")
    way = "ahead of" if skew > 0 else "behind"
    remedy = "Turn on time synchronisation (timedatectl set-ntp true): from five minutes on signatures are refused."
    return Finding("bad", f"The clock is {abs(round(skew))} s {way} Slack's.", remedy)


def events_finding(given: set[str], wanted: Mapping[str, str]) -> Finding:
    missing = sorted(set(wanted) - given)
    if not missing:
        return Finding("ok", f"All {len(wanted)} events of the manifest are subscribed to.")
    named = "; ".join(f"{event} ({wanted[event]})" for event in missing)
    remedy = f"{APP_PAGE} → Event Subscriptions → Subscribe to bot events → Add Bot User Event, then Save Changes."
    return Finding("bad", f"Events are missing: {named}.", remedy)


async def backend_finding(settings: Settings, session: aiohttp.ClientSession) -> Finding:
    backend = Backend(session, settings.backend, settings.read_api_key)
    try:
        await backend.documents("doctor", limit=1)
    except BackendUnavailable as error:
        remedy = "Start it (python -m backend serve), or set FOOTNOTE_BACKEND_URL to where it is."
        return Finding("bad", f"The backend cannot be reached at {settings.backend} ({error}).", remedy)
    except BackendProblem as error:
        if error.problem.status in {401, 403}:
            remedy = "Set FOOTNOTE_API_KEY to a key of the backend's that may ask and ingest."
            return Finding("bad", f"The backend at {settings.backend} refuses our key.", remedy)
        return Finding("bad", f"The backend at {settings.backend} answers: {error}.")
    return Finding("ok", f"The backend answers at {settings.backend}.")
