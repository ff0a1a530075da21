"""Faults over HTTP, for tests that run in another process."""

from __future__ import annotations

from typing import Protocol

from aiohttp import web

from bot.sandbox.arguments import Arguments
from bot.sandbox.page_api import serve
from bot.sandbox.values import Json


class Controls(Protocol):
    """What a test may do to the sandbox."""

    def fail(self, method: str, *, times: int, error: str | None, status: int, after: bool) -> None: ...
    def slow(self, method: str, seconds: float, *, times: int) -> None: ...
    def advance(self, seconds: float) -> None: ...
    def drop_sockets(self) -> None: ...
    async def refresh_sockets(self, reason: str) -> None: ...
    def duplicate_next(self, events: int) -> None: ...
    def redeliver(self, events: int) -> None: ...
    def weather(self, chance: float, *, hang: float, seed: int) -> int: ...


def routes(controls: Controls) -> list[web.RouteDef]:
    """`POST /sandbox/control/{fail,slow,weather,clock,sockets,duplicates,redeliveries}`."""

    async def fail(body: Arguments) -> Json:
        error = body.text("error") or None
        status = body.number("status", 200, most=599)
        times = body.number("times", 1, most=1000)
        controls.fail(body.need("method"), times=times, error=error, status=status, after=bool(body.flag("after")))
        return {}

    async def slow(body: Arguments) -> Json:
        times = body.number("times", 1, most=1000)
        controls.slow(body.need("method"), float(body.need("seconds")), times=times)
        return {}

    async def clock(body: Arguments) -> Json:
        controls.advance(float(body.need("seconds")))
        return {}

    async def sockets(body: Arguments) -> Json:
        if body.need("do") == "drop":
            controls.drop_sockets()
        else:
            await controls.refresh_sockets(body.text("reason", "refresh_requested"))
        return {}

    async def duplicates(body: Arguments) -> Json:
        controls.duplicate_next(body.number("events", 1, most=1000))
        return {}

    async def redeliveries(body: Arguments) -> Json:
        controls.redeliver(body.number("events", 1, most=1000))
        return {}

    async def weather(body: Arguments) -> Json:
        hang, seed = float(body.text("hang", "30")), int(body.text("seed", "0"))
        return {"struck": controls.weather(float(body.need("chance")), hang=hang, seed=seed)}

    actions = {"fail": fail, "slow": slow, "weather": weather, "clock": clock, "sockets": sockets}
    actions |= {"duplicates": duplicates, "redeliveries": redeliveries}
    return [web.post(f"/sandbox/control/{name}", serve(action)) for name, action in actions.items()]
