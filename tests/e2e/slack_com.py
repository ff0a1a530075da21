"""Slack itself, in front of several workspaces: the page where an app is allowed, and the tokens that come of it.

Each workspace is a sandbox of its own; calls are handed on to the one whose token they bear.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import count
from urllib.parse import parse_qs, urlencode, urlsplit

import aiohttp
from aiohttp import web

from bot.sandbox import Sandbox

CLIENT = ("123.456", "client-secret")


@dataclass
class SlackCom:
    """`expires_in`, where set, makes tokens that rotate. `tokens` are those that work, with their workspaces."""

    sandboxes: dict[str, Sandbox]
    session: aiohttp.ClientSession
    expires_in: int | None = None
    url: str = ""
    tokens: dict[str, str] = field(default_factory=dict)
    codes: dict[str, str] = field(default_factory=dict)
    refreshes: dict[str, str] = field(default_factory=dict)
    asked_scopes: set[str] = field(default_factory=set)
    _numbers: count[int] = field(default_factory=lambda: count(1))

    def allowed(self, authorize_url: str, team: str) -> str:
        """Press "Allow" on the page at this address; return where the browser is sent."""
        parts = urlsplit(authorize_url)
        given = {name: values[0] for name, values in parse_qs(parts.query).items()}
        assert (parts.path, given["client_id"]) == ("/oauth/v2/authorize", CLIENT[0])
        self.asked_scopes = set(given["scope"].split(","))
        code = f"code{next(self._numbers)}"
        self.codes[code] = team
        return f"{given['redirect_uri']}?{urlencode({'code': code, 'state': given['state']})}"

    async def access(self, request: web.Request) -> web.Response:
        """`oauth.v2.access`: a code, used once, or a refresh token for a token."""
        form = await request.post()
        if (form.get("client_id"), form.get("client_secret")) != CLIENT:
            return web.json_response({"ok": False, "error": "bad_client_secret"})
        if form.get("grant_type") == "refresh_token":
            team = self.refreshes.pop(str(form.get("refresh_token")), None)
        else:
            team = self.codes.pop(str(form.get("code")), None)
        if team is None:
            return web.json_response({"ok": False, "error": "invalid_code"})
        self.tokens = {token: of for token, of in self.tokens.items() if of != team}
        return web.json_response(self._granted(team))

    def _granted(self, team: str) -> dict[str, object]:
        number = next(self._numbers)
        token = f"xoxb-{team}-{number}"
        self.tokens[token] = team
        body: dict[str, object] = {"ok": True, "access_token": token, "token_type": "bot", "scope": "chat:write"}
        body |= {"bot_user_id": "U_FOOTNOTE", "app_id": "A_FOOTNOTE", "team": {"id": team, "name": team}}
        body |= {"authed_user": {"id": "U_ANA"}, "enterprise": None, "is_enterprise_install": False}
        if self.expires_in is not None:
            refresh = f"xoxe-1-{team}-{number}"
            self.refreshes[refresh] = team
            body |= {"refresh_token": refresh, "expires_in": self.expires_in}
        return body

    async def call(self, request: web.Request) -> web.Response:
        """Any other method: of the workspace whose token is borne."""
        team = self.tokens.get(request.headers.get("Authorization", "").removeprefix("Bearer "))
        if team is None:
            return web.json_response({"ok": False, "error": "invalid_auth"})
        sandbox = self.sandboxes[team]
        headers = {"Authorization": f"Bearer {sandbox.bot_token}", "Content-Type": request.headers["Content-Type"]}
        url = f"{sandbox.api_url}{request.match_info['method']}?{request.query_string}"
        async with self.session.post(url, data=await request.read(), headers=headers) as answer:
            return web.Response(body=await answer.read(), status=answer.status, content_type=answer.content_type)


@asynccontextmanager
async def open_slack_com(sandboxes: dict[str, Sandbox], expires_in: int | None = None) -> AsyncIterator[SlackCom]:
    async with aiohttp.ClientSession() as session:
        slack = SlackCom(sandboxes, session, expires_in)
        app = web.Application()
        app.add_routes([web.post("/api/oauth.v2.access", slack.access), web.route("*", "/api/{method}", slack.call)])
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        slack.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        yield slack
        await runner.cleanup()
