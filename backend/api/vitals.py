"""How the parts do, and what to do about it: the rules by which a part's figures become a verdict. Pure, but for the
one thing that liveness remembers."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, TypeAlias, TypeVar

from backend.errors import Unavailable
from backend.ports import IndexStatus

T = TypeVar("T")
Verdict: TypeAlias = Literal["healthy", "degraded", "unhealthy"]
Figures: TypeAlias = Mapping[str, str | int | float]

PATIENCE = 2.0
"""Seconds after which a part that does not answer counts as down."""
UNINDEXED = 20_000
"""Chunks that a search by words may have to scan: some 50 ms. Thirty commits of ingestion bring fewer."""
LONG_WAIT = 900.0
"""Seconds that work may wait before somebody should look: three times what is promised for a document."""
FREE_SOON, FREE_NOW = 5_000_000_000, 1_000_000_000
"""Bytes of disk below which to act soon, and below which writing may fail now (as `doctor` says)."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What a look at a part found; `advice` says what to do where it is not healthy."""

    figures: Figures = field(default_factory=dict)
    verdict: Verdict = "healthy"
    advice: str = ""


Check: TypeAlias = Callable[[], Awaitable[Finding]]
"""A look at one part; raises Unavailable where it does not answer."""

IF_DOWN: Mapping[str, tuple[Verdict, str]] = {
    "index": (
        "unhealthy",
        "Questions cannot be answered. See the log and the disk, run `python -m backend doctor`, then restart.",
    ),
    "database": (
        "unhealthy",
        "Questions cannot be answered. Check that the database of FOOTNOTE_DATABASE_URL runs and can be reached; "
        "without that variable, the data folder.",
    ),
    "ingest_queue": ("degraded", "Documents are not taken in. Check the database, then restart: work goes on."),
}  # fmt: skip
OTHERWISE: tuple[Verdict, str] = ("degraded", "See the log; answers go on without it.")


@dataclass
class Pulse:
    """Whether the index answered when somebody last looked, so that liveness need not ask it."""

    index_connected: bool = True

    async def look(self, ask: Callable[[], Awaitable[IndexStatus]]) -> IndexStatus | None:
        """Ask the index, None where it is down or too slow, and remember which."""
        status = await answered(ask)
        self.index_connected = status is not None
        return status


async def answered(ask: Callable[[], Awaitable[T]]) -> T | None:
    """Return what a part answers, None where it is down or too slow."""
    try:
        async with asyncio.timeout(PATIENCE):
            return await ask()
    except (Unavailable, TimeoutError):
        return None


def worst(verdicts: list[Verdict]) -> Verdict:
    """Return the worst of these."""
    order: tuple[Verdict, ...] = ("healthy", "degraded", "unhealthy")
    return max(verdicts, key=order.index, default="healthy")


def index_finding(status: IndexStatus, size: int | None = None) -> Finding:
    """Judge the index; `size` in bytes where it is on this disk."""
    figures: dict[str, str | int | float] = {
        "rows": status.rows,
        "unindexed_rows": status.unindexed_rows,
        "version": status.version,
        "embedder": status.embedder,
        "optimised_at": status.optimised_at.isoformat() if status.optimised_at else "not since the start",
    }
    if size is not None:
        figures["bytes"] = size
    if status.unindexed_rows > UNINDEXED:
        return Finding(
            figures,
            "degraded",
            "Searches by words scan chunks that are not indexed yet. While documents are being ingested this passes; "
            'if it does not, look for "index not optimised" in the log.',
        )
    return Finding(figures)


def queue_finding(depth: int, oldest: datetime | None, now: datetime) -> Finding:
    """Judge the queue of durable work by how long its oldest piece has waited."""
    waited = max(0.0, (now - oldest).total_seconds()) if oldest else 0.0
    figures = {"depth": depth, "oldest_seconds": round(waited, 1)}
    if waited > LONG_WAIT:
        return Finding(
            figures,
            "degraded",
            "Documents wait long. If the depth falls, let it work, or raise FOOTNOTE_INGEST_WORKERS; if it does not, "
            'look for "ingestion gave up" and "model call failed" in the log, and restart: work is taken up again.',
        )
    return Finding(figures)


def disk_finding(free: int, total: int) -> Finding:
    """Judge what is left of the data folder's disk."""
    figures = {"free_bytes": free, "total_bytes": total}
    if free < FREE_NOW:
        return Finding(figures, "unhealthy", "Writing may fail any moment. Free some space, or enlarge the disk.")
    if free < FREE_SOON:
        return Finding(figures, "degraded", "Free some space soon, or enlarge the disk.")
    return Finding(figures)


def models_finding(breakers: Mapping[str, str]) -> Finding:
    """Judge the endpoints of models by the states of their breakers."""
    left_alone = [endpoint for endpoint, state in breakers.items() if state != "closed"]
    if left_alone:
        return Finding(
            dict(breakers),
            "degraded",
            f"{', '.join(left_alone)} keeps failing and is left alone for a while; another model writes the answers, "
            'or they are quoted. Look for "model call failed" in the log: it names the key, the address or the quota.',
        )
    return Finding(dict(breakers))
