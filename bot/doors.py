"""The bot's own HTTP: Slack's signed requests, the pages that install us, and how we are, in figures too."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

from aiohttp import web
from loguru import logger
from slack_bolt.adapter.aiohttp import to_aiohttp_response, to_bolt_request
from slack_bolt.oauth.async_oauth_flow import AsyncOAuthFlow

from bot.status import Check
from bot.teams import Teams
from bot.telemetry import CONTENT_TYPE, Telemetry

EVENTS_PATH = "/slack/events"
REPLAY_SECONDS = 600
"""Twice Slack's own window of five minutes, to either side of which Bolt refuses a request."""
MAX_BODY = 4 * 1024 * 1024

Look = Callable[[Telemetry], Awaitable[None]]
"""Brings figures up to date that are read when Prometheus asks."""


async def nothing_to_see(_telemetry: Telemetry) -> None:
    """Without Socket Mode there are no connections to look at."""


@dataclass(slots=True)
class Replays:
    """Signatures of requests that were acknowledged. One that failed may come again: that is Slack's own retry, which
    in the same second has the same signature."""

    clock: Callable[[], float] = time.monotonic
    _seen: dict[str, float] = field(default_factory=dict)

    def is_known(self, signature: str) -> bool:
        return self._seen.get(signature, 0.0) > self.clock()

    def note(self, signature: str) -> None:
        now = self.clock()
        if len(self._seen) > 10_000:
            self._seen = {kept: until for kept, until in self._seen.items() if until > now}
        self._seen[signature] = now + REPLAY_SECONDS


@dataclass(frozen=True, slots=True)
class Doors:
    """`checks` say what must be well for us to answer, by name; `flow` installs us, where that is wanted."""

    teams: Teams
    checks: Mapping[str, Check]
    flow: AsyncOAuthFlow | None = None
    signed: bool = False
    telemetry: Telemetry = field(default_factory=Telemetry)
    look: Look = nothing_to_see
    replays: Replays = field(default_factory=Replays)
    began: float = field(default_factory=time.monotonic)

    def web_app(self) -> web.Application:
        app = web.Application(client_max_size=MAX_BODY)
        app.add_routes([web.get("/health", self.health), web.get("/health/ready", self.ready)])
        app.add_routes([web.get("/metrics", self.metrics)])
        if self.signed:
            app.add_routes([web.post(EVENTS_PATH, self.events)])
        if self.flow is not None:
            app.add_routes(
                [
                    web.get(self.flow.install_path, self.install),
                    web.get(self.flow.redirect_uri_path, self.installed),
                ]
            )
        return app

    async def events(self, request: web.Request) -> web.Response:
        """A request of Slack's. Bolt refuses bad signatures and those older than five minutes; we what was heard."""
        signature = request.headers.get("X-Slack-Signature", "")
        if self.replays.is_known(signature):
            logger.warning("signed request replayed")
            return web.Response(status=403, text="replayed", headers={"X-Slack-No-Retry": "1"})
        answer = await self.teams.async_dispatch(await to_bolt_request(request))
        if signature and answer.status == 200:
            self.replays.note(signature)
        return await to_aiohttp_response(answer)

    async def install(self, request: web.Request) -> web.Response:
        assert self.flow is not None
        return await to_aiohttp_response(await self.flow.handle_installation(await to_bolt_request(request)))

    async def installed(self, request: web.Request) -> web.Response:
        assert self.flow is not None
        return await to_aiohttp_response(await self.flow.handle_callback(await to_bolt_request(request)))

    async def health(self, _request: web.Request) -> web.Response:
        """Whether this process runs."""
        uptime = round(time.monotonic() - self.began, 1)
        return web.json_response({"status": "ok", "uptime": uptime, "workspaces": len(self.teams.open)})

    async def ready(self, _request: web.Request) -> web.Response:
        """Whether a question that is asked now would be heard and answered; 503 names what is missing."""
        found = {name: await check() for name, check in self.checks.items()}
        ready = all(found.values())
        return web.json_response({"ready": ready, "checks": found}, status=200 if ready else 503)

    async def metrics(self, _request: web.Request) -> web.Response:
        """Figures for Prometheus, of this process."""
        await self.look(self.telemetry)
        body = self.telemetry.render(len(self.teams.open))
        return web.Response(body=body, headers={"Content-Type": CONTENT_TYPE})
