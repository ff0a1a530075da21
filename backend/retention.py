"""What is kept for a while only, and the chore that lets go of it when its time is over."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Protocol

from loguru import logger

EVERY = timedelta(hours=1)
"""How often it is looked for what is too old: limits are in days."""


@dataclass(frozen=True, slots=True)
class Terms:
    """For how many days each is kept; 0 is for ever. `traces` are the words of runs, whose figures stay."""

    runs: int = 365
    traces: int = 0
    feedback: int = 0
    spendings: int = 60
    audit: int = 730


class Keeping(Protocol):
    """Drops what is older than a moment; each returns how much that was."""

    async def drop_runs(self, before: datetime) -> int: ...
    async def drop_feedback(self, before: datetime) -> int: ...
    async def drop_spendings(self, before: datetime) -> int: ...
    async def drop_audit(self, before: datetime) -> int: ...
    async def strip_traces(self, before: datetime) -> int: ...


class Trimming(Protocol):
    async def trim(self) -> int:
        """Drop the answers that are kept for too long."""


@dataclass
class Retention:
    """A chore: the first time it is done, and from then on every hour."""

    keeping: Keeping
    kept: Trimming
    terms: Terms
    flush: Callable[[], Awaitable[None]]
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    _next: datetime = field(default=datetime.min.replace(tzinfo=UTC), init=False)

    async def run(self) -> None:
        """Let go of what is too old, if an hour has passed. Unavailable if a part is down."""
        now = self.now()
        if now < self._next:
            return
        gone = await self._let_go(now)
        self._next = now + EVERY
        if any(gone.values()):
            await self.flush()
            logger.bind(**gone).info("kept no longer")

    async def _let_go(self, now: datetime) -> dict[str, int]:
        chores = {
            "runs": (self.terms.runs, self.keeping.drop_runs),
            "traces": (self.terms.traces, self.keeping.strip_traces),
            "feedback": (self.terms.feedback, self.keeping.drop_feedback),
            "spendings": (self.terms.spendings, self.keeping.drop_spendings),
            "audit": (self.terms.audit, self.keeping.drop_audit),
        }
        gone = {name: await drop(now - timedelta(days=days)) for name, (days, drop) in chores.items() if days}
        return {**gone, "answers": await self.kept.trim()}
