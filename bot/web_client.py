"""slack_sdk's client with better manners: it waits where Slack says so, and repeats only what may be repeated."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Protocol

import aiohttp
from slack_sdk.http_retry.builtin_async_handlers import (
    AsyncConnectionErrorRetryHandler,
    AsyncRateLimitErrorRetryHandler,
)
from slack_sdk.http_retry.request import HttpRequest
from slack_sdk.http_retry.response import HttpResponse
from slack_sdk.http_retry.state import RetryState
from slack_sdk.web.async_client import AsyncWebClient
from slack_sdk.web.async_slack_response import AsyncSlackResponse

from backend.tracing import span

UNREPEATABLE = frozenset({"chat.startStream", "chat.appendStream", "chat.postMessage", "chat.postEphemeral"})
"""Methods that do their work once more when they are called once more: Slack knows no idempotency key."""
PER_CHANNEL = frozenset({"chat.postMessage"})
"""Methods that are limited per channel, so that waiting in one says nothing of another."""
WAITS = 3
"""How often one call waits for as long as Slack says."""


class Gates:
    """Which methods are closed, and until when: what one call is told, all calls of that method keep to."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._until: dict[str, float] = {}

    def close(self, method: str, seconds: float) -> None:
        if method not in PER_CHANNEL:
            self._until[method] = max(self._until.get(method, 0.0), self._clock() + seconds)

    async def passed(self, method: str) -> float:
        """Return once the method is open, with the seconds that this took."""
        began = self._clock()
        while (left := self._until.get(method, 0.0) - self._clock()) > 0:  # noqa: ASYNC110 - it may close again
            await asyncio.sleep(left)
        return self._clock() - began


class Watch(Protocol):
    """Who counts calls; see bot.telemetry.Telemetry."""

    def calling(self, method: str) -> AbstractContextManager[None]:
        """Count and time the call within the block."""

    def waited(self, method: str, seconds: float) -> None:
        """Count a wait that Slack asked for."""


class Unwatched:
    """A Watch that nobody reads."""

    def calling(self, method: str) -> AbstractContextManager[None]:  # noqa: ARG002
        return nullcontext()

    def waited(self, method: str, seconds: float) -> None: ...


class WebClient(AsyncWebClient):
    """One per workspace, because that is what Slack's limits are per."""

    def __init__(
        self,
        token: str | None,
        session: aiohttp.ClientSession,
        api_url: str,
        watch: Watch | None = None,
        sure: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        """`sure` returns once it is certain that no other bot speaks in our place."""
        self._sure = sure
        self.gates = Gates()
        self.watch = watch or Unwatched()
        super().__init__(
            token=token,
            base_url=api_url if api_url.endswith("/") else api_url + "/",
            session=session,
            trust_env_in_session=False,
            retry_handlers=[BrokenLine(), Busy(self.gates, self.watch)],
        )

    async def may_speak(self) -> None:
        """Return once it is we who speak here."""
        if self._sure is not None:
            await self._sure()

    async def api_call(self, api_method: str, **given: Any) -> AsyncSlackResponse:
        if (waited := await self.gates.passed(api_method)) > 0.001:
            self.watch.waited(api_method, waited)
        await self.may_speak()
        with self.watch.calling(api_method), span(f"slack {api_method}", kind="client"):
            return await super().api_call(api_method, **given)


class Busy(AsyncRateLimitErrorRetryHandler):
    """Waits `Retry-After` inside the call, with everybody else who calls the method."""

    def __init__(self, gates: Gates, watch: Watch) -> None:
        super().__init__(max_retry_count=WAITS)
        self._gates = gates
        self._watch = watch

    async def prepare_for_next_attempt_async(
        self,
        *,
        state: RetryState,
        request: HttpRequest,
        response: HttpResponse | None = None,
        error: Exception | None = None,
    ) -> None:
        if response is not None:
            self._gates.close(method_of(request), retry_after(response))
        began = time.monotonic()
        await super().prepare_for_next_attempt_async(state=state, request=request, response=response, error=error)
        self._watch.waited(method_of(request), time.monotonic() - began)


class BrokenLine(AsyncConnectionErrorRetryHandler):
    """Calls once more where the line broke, if nothing can have come of the first call, or nothing comes of two."""

    async def _can_retry_async(
        self,
        *,
        state: RetryState,
        request: HttpRequest,
        response: HttpResponse | None = None,
        error: Exception | None = None,
    ) -> bool:
        if method_of(request) in UNREPEATABLE and not isinstance(error, aiohttp.ClientConnectorError):
            return False
        return await super()._can_retry_async(state=state, request=request, response=response, error=error)


def method_of(request: HttpRequest) -> str:
    return request.url.partition("?")[0].rpartition("/")[2]


def retry_after(response: HttpResponse) -> float:
    """Return the seconds that Slack wants us to wait; 1 where it does not say."""
    given = {name.lower(): value for name, value in response.headers.items()}.get("retry-after", ["1"])
    return float(given[0]) if given and given[0].isdigit() else 1.0
