"""Whether it lives, whether it can answer, how each part does, and figures for Prometheus."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Literal, TypeVar

import msgspec
from litestar import Response, get
from litestar.di import NamedDependency

from backend import schema, telemetry
from backend.api.security import needs
from backend.api.services import Services
from backend.errors import Unavailable
from backend.ports import IndexStatus

API_VERSION = "1"
PATIENCE = 2.0
"""Seconds after which a part that does not answer counts as down."""

T = TypeVar("T")


class Component(msgspec.Struct, frozen=True):
    """One part: whether it answers, in how many milliseconds, and its figures."""

    status: Literal["ok", "down"]
    latency_ms: float
    figures: dict[str, str | int | float] = {}
    detail: str = ""


class DetailedHealth(msgspec.Struct, frozen=True):
    status: Literal["ok", "degraded"]
    uptime: float
    api_version: str
    components: dict[str, Component]


class Ready(msgspec.Struct, frozen=True):
    status: Literal["ready"]


@get("/health", summary="Whether the backend lives")
async def health(services: NamedDependency[Services]) -> schema.HealthReply:
    index = await _answer(services.index.status)
    return schema.HealthReply("ok", _uptime(services), API_VERSION, index_connected=index is not None)


@get("/health/ready", summary="Whether the backend can answer questions; 503 where it cannot")
async def ready(services: NamedDependency[Services]) -> Ready:
    index, counts = await asyncio.gather(_answer(services.index.status), _answer(services.documents.counts))
    down = [name for name, answer in (("index", index), ("database", counts)) if answer is None]
    if down:
        raise Unavailable(f"Not ready: the {' and the '.join(down)} cannot be reached.")
    return Ready("ready")


@get("/health/detailed", guards=[needs("admin")], summary="How each part does")
async def detailed(services: NamedDependency[Services]) -> DetailedHealth:
    index, database, queue = await asyncio.gather(
        _component(services.index.status, _index_figures),
        _component(services.documents.counts, dict),
        _component(services.queue.depth, lambda depth: {"depth": depth}),
    )
    components = {
        "index": index,
        "database": database,
        "ingest_queue": queue,
        "embedder": Component("ok", 0.0, {"name": services.embedder}),
        "answers": Component("ok", 0.0, {"with": services.answers_with, "under_way": len(services.work)}),
    }
    healthy = all(component.status == "ok" for component in components.values())
    return DetailedHealth("ok" if healthy else "degraded", _uptime(services), API_VERSION, components)


@get("/metrics", summary="Figures for Prometheus", include_in_schema=True)
async def metrics(services: NamedDependency[Services]) -> Response[bytes]:
    index, counts, depth = await asyncio.gather(
        _answer(services.index.status), _answer(services.documents.counts), _answer(services.queue.depth)
    )
    state = telemetry.State(counts or {}, index, depth or 0)
    return Response(services.telemetry.render(state), media_type=telemetry.CONTENT_TYPE)


def _uptime(services: Services) -> float:
    return round(time.monotonic() - services.started, 1)


def _index_figures(status: IndexStatus) -> dict[str, str | int | float]:
    return {
        "rows": status.rows,
        "unindexed_rows": status.unindexed_rows,
        "version": status.version,
        "embedder": status.embedder,
    }


async def _answer(ask: Callable[[], Awaitable[T]]) -> T | None:
    """Return what a part answers, None where it is down or too slow."""
    try:
        async with asyncio.timeout(PATIENCE):
            return await ask()
    except (Unavailable, TimeoutError):
        return None


async def _component(
    ask: Callable[[], Awaitable[T]], figures: Callable[[T], dict[str, str | int | float]]
) -> Component:
    start = time.perf_counter()
    try:
        async with asyncio.timeout(PATIENCE):
            answer = await ask()
    except Unavailable as error:
        return Component("down", _milliseconds(start), detail=str(error))
    except TimeoutError:
        return Component("down", _milliseconds(start), detail=f"no answer within {PATIENCE:g} s")
    return Component("ok", _milliseconds(start), figures(answer))


def _milliseconds(start: float) -> float:
    return round((time.perf_counter() - start) * 1000, 2)
