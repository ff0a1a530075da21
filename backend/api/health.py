"""Whether it lives, whether it can answer, how each part does, and figures for Prometheus."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import partial
from typing import Literal

import msgspec
from litestar import Response, get
from litestar.di import NamedDependency

from backend import schema, telemetry
from backend.api import vitals
from backend.api.security import needs
from backend.api.services import Services
from backend.api.vitals import Check, Finding, Verdict, answered
from backend.errors import Unavailable

API_VERSION = "1"


class Component(msgspec.Struct, frozen=True):
    """One part: whether it answers, in how many milliseconds, and its figures; how it does, and what to do about it."""

    status: Literal["ok", "down"]
    latency_ms: float
    figures: Mapping[str, str | int | float] = {}
    detail: str = ""
    verdict: Verdict = "healthy"
    advice: str = ""


class DetailedHealth(msgspec.Struct, frozen=True):
    """`verdict` is the worst of the parts'."""

    status: Literal["ok", "degraded"]
    uptime: float
    api_version: str
    components: dict[str, Component]
    verdict: Verdict = "healthy"


class Ready(msgspec.Struct, frozen=True):
    status: Literal["ready"]


@get("/health", summary="Whether the backend lives", sync_to_thread=False)
def health(services: NamedDependency[Services]) -> schema.HealthReply:
    """Touch nothing: who asks this kills what does not answer. What is known of the index is a few seconds old."""
    return schema.HealthReply("ok", _uptime(services), API_VERSION, services.pulse.index_connected)


@get("/health/ready", summary="Whether the backend can answer questions; 503 where it cannot")
async def ready(services: NamedDependency[Services]) -> Ready:
    index, counts = await asyncio.gather(
        services.pulse.look(services.index.status), answered(services.documents.counts)
    )
    down = [name for name, answer in (("index", index), ("database", counts)) if answer is None]
    if down:
        raise Unavailable(f"Not ready: the {' and the '.join(down)} cannot be reached.")
    return Ready("ready")


@get("/health/detailed", guards=[needs("admin")], summary="How each part does, and what to do about it")
async def detailed(services: NamedDependency[Services]) -> DetailedHealth:
    checks = {**_own_checks(services), **services.checks}
    found = await asyncio.gather(*(_component(name, check) for name, check in checks.items()))
    components = dict(zip(checks, found, strict=True))
    healthy = all(component.status == "ok" for component in components.values())
    return DetailedHealth(
        "ok" if healthy else "degraded",
        _uptime(services),
        API_VERSION,
        components,
        vitals.worst([component.verdict for component in found]),
    )


@get("/metrics", summary="Figures for Prometheus", include_in_schema=True)
async def metrics(services: NamedDependency[Services]) -> Response[bytes]:
    index, counts, depth, oldest = await asyncio.gather(
        services.pulse.look(services.index.status),
        answered(services.documents.counts),
        answered(services.queue.depth),
        answered(services.queue.oldest),
    )
    waited = max(0.0, (datetime.now(UTC) - oldest).total_seconds()) if oldest else 0.0
    state = telemetry.State(counts or {}, index, depth or 0, waited, len(services.work))
    return Response(services.telemetry.render(state), media_type=telemetry.CONTENT_TYPE)


def _uptime(services: Services) -> float:
    return round(time.monotonic() - services.started, 1)


def _own_checks(services: Services) -> dict[str, Check]:
    """Return the checks of what the HTTP layer knows itself."""

    async def index() -> Finding:
        return vitals.index_finding(await services.index.status())

    async def database() -> Finding:
        return Finding(dict(await services.documents.counts()))

    async def queue() -> Finding:
        depth, oldest = await asyncio.gather(services.queue.depth(), services.queue.oldest())
        return vitals.queue_finding(depth, oldest, datetime.now(UTC))

    async def embedder() -> Finding:
        return Finding({"name": services.embedder})

    async def answers() -> Finding:
        return Finding({"with": services.answers_with, "under_way": len(services.work)})

    return {"index": index, "database": database, "ingest_queue": queue, "embedder": embedder, "answers": answers}


async def _component(name: str, check: Check) -> Component:
    start = time.perf_counter()
    down = partial(_down, name, start)
    try:
        async with asyncio.timeout(vitals.PATIENCE):
            found = await check()
    except Unavailable as error:
        return down(str(error))
    except TimeoutError:
        return down(f"no answer within {vitals.PATIENCE:g} s")
    return Component("ok", _milliseconds(start), found.figures, verdict=found.verdict, advice=found.advice)


def _down(name: str, start: float, detail: str) -> Component:
    verdict, advice = vitals.IF_DOWN.get(name, vitals.OTHERWISE)
    return Component("down", _milliseconds(start), detail=detail, verdict=verdict, advice=advice)


def _milliseconds(start: float) -> float:
    return round((time.perf_counter() - start) * 1000, 2)
