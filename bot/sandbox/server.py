"""The sandbox: one server that is a Slack workspace for the app and a web page for people."""

from __future__ import annotations

import socket
from dataclasses import replace
from types import TracebackType

from aiohttp import web

from bot.sandbox import control_api
from bot.sandbox.clock import Clock
from bot.sandbox.faults import Fault, Faults, Weather
from bot.sandbox.guard import guard
from bot.sandbox.http_delivery import HttpDelivery
from bot.sandbox.outbox import Outbox
from bot.sandbox.page_api import MAX_UPLOAD, PageApi
from bot.sandbox.people import People
from bot.sandbox.socket_mode import SocketMode
from bot.sandbox.values import Options
from bot.sandbox.web_api import Call, WebApi
from bot.sandbox.workspace import Workspace
from bot.sandbox.world import World

CLOSE_SECONDS = 1.0
MAX_LINE = 1024 * 1024
"""Bytes of a request line: slack_sdk puts whole blocks into the query of `blocks.validate`."""


class Sandbox:
    """A local Slack, open between `__aenter__` and `__aexit__`.

    With `request_url` the app is reached by signed HTTP there, else by Socket Mode. Port 0 takes a free one.
    `questions` are what the page offers a newcomer to ask. `world`, `people` and `calls` are for tests: the state,
    what people do, and what the app has called.
    """

    world: World
    people: People

    def __init__(
        self,
        port: int = 8701,
        *,
        host: str = "127.0.0.1",
        request_url: str | None = None,
        options: Options | None = None,
        questions: tuple[str, ...] | None = None,
    ) -> None:
        self.host = host
        self.port = port
        self.options = options or Options()
        if questions is not None:
            self.options = replace(self.options, questions=questions)
        self._request_url = request_url
        self._faults = Faults()

    @property
    def base_url(self) -> str:
        host = "127.0.0.1" if self.host == "0.0.0.0" else self.host
        return f"http://{host}:{self.port}"

    @property
    def api_url(self) -> str:
        """What slack_sdk takes as `base_url`, and the bot as `SLACK_API_URL`."""
        return f"{self.base_url}/api/"

    @property
    def page_url(self) -> str:
        return f"{self.base_url}/"

    @property
    def bot_token(self) -> str:
        return self.options.bot_token

    @property
    def app_token(self) -> str:
        return self.options.app_token

    @property
    def signing_secret(self) -> str:
        return self.options.signing_secret

    @property
    def calls(self) -> list[Call]:
        """Every Web API call so far, with its arguments and answer."""
        return self._web_api.calls

    def env(self) -> dict[str, str]:
        """The environment with which the unmodified bot talks to this sandbox."""
        env = {"SLACK_API_URL": self.api_url, "SLACK_BOT_TOKEN": self.bot_token}
        if self._request_url is None:
            return env | {"SLACK_APP_TOKEN": self.app_token}
        return env | {"SLACK_SIGNING_SECRET": self.signing_secret}

    async def __aenter__(self) -> Sandbox:
        listener = socket.create_server((self.host, self.port))
        self.port = listener.getsockname()[1]
        self._clock = Clock()
        self.world = World(self.options, self._clock)
        self._socket_mode = SocketMode(self.world) if self._request_url is None else None
        carrier = self._socket_mode or HttpDelivery(self.world, self._request_url or "")
        self._outbox = Outbox(carrier, self.options, self._clock)
        workspace = Workspace(self.world, self._outbox, self.base_url)
        self.people = People(workspace)
        self._web_api = WebApi(workspace, self._socket_mode, self._faults)
        self._page_api = PageApi(workspace, self.people)
        await self._listen(listener)
        return self

    async def _listen(self, listener: socket.socket) -> None:
        app = web.Application(middlewares=[guard], client_max_size=MAX_UPLOAD)
        app.add_routes(self._web_api.routes())
        app.add_routes(self._page_api.routes())
        app.add_routes(control_api.routes(self))
        if self._socket_mode is not None:
            app.router.add_get("/link", self._socket_mode.serve)
        self._runner = web.AppRunner(
            app, access_log=None, shutdown_timeout=CLOSE_SECONDS, max_line_size=MAX_LINE, max_field_size=MAX_LINE
        )
        await self._runner.setup()
        await web.SockSite(self._runner, listener).start()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._outbox.close()
        await self._page_api.close()
        await self._runner.cleanup()

    # What tests do to it

    def fail(
        self, method: str, *, times: int = 1, error: str | None = None, status: int = 200, after: bool = False
    ) -> None:
        """Let the next calls of `method` fail, with Slack's `error` or an HTTP `status`; `after` they took effect."""
        self._faults.add(Fault(method, times=times, error=error, status=status, after=after))

    def slow(self, method: str, seconds: float, *, times: int = 1) -> None:
        """Let the next calls of `method` wait first."""
        self._faults.add(Fault(method, times=times, delay=seconds))

    def silence(self, method: str, seconds: float, *, after: bool = False) -> None:
        """Let the next call of `method` get no answer for so long, and then an error; `after` it took effect."""
        self._faults.add(Fault(method, status=500, delay=seconds, after=after))

    def advance(self, seconds: float) -> None:
        """Move the sandbox's clock: streams and triggers expire, buckets refill, redeliveries come due."""
        self._clock.advance(seconds)

    def drop_sockets(self) -> None:
        """Cut all Socket Mode connections without a goodbye."""
        if self._socket_mode is not None:
            self._socket_mode.drop()

    async def refresh_sockets(self, reason: str = "refresh_requested") -> None:
        """Ask all Socket Mode connections to reconnect."""
        if self._socket_mode is not None:
            await self._socket_mode.refresh(reason)

    def duplicate_next(self, events: int = 1) -> None:
        """Deliver the next events twice, as Slack sometimes does."""
        self._outbox.duplicates += events

    def redeliver(self, events: int = 1) -> None:
        """Deliver the last events again though they were acknowledged, as after an acknowledgement that got lost."""
        self._outbox.redeliver(events)

    def weather(self, chance: float, *, hang: float = 30.0, seed: int = 0) -> int:
        """Let a share of all calls fail from now on; return how many the weather before this one has struck."""
        before, self._faults.weather = self._faults.weather, Weather(chance, hang, seed)
        return before.struck if before else 0
