"""How much a team may keep, and hand in on a day: generous by default, there so that a mistake cannot fill a disk."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta

from backend.domain import Document
from backend.errors import LimitReached, TeamFull
from backend.ports import Usages

FULL_OF_DOCUMENTS = (
    "Your team has {has:,} documents, which is as many as it may have. Remove some, or have the limit raised "
    "(FOOTNOTE_MAX_DOCUMENTS)."
)
FULL_OF_BYTES = (
    "With this one, your team's documents would come to {size}, and they may have {limit}. Remove some, or have the "
    "limit raised (FOOTNOTE_MAX_TEAM_BYTES)."
)
ENOUGH_TODAY = (
    "Your team has added {limit:,} documents today, which is as many as it may add in a day. Go on tomorrow (UTC), or "
    "have the limit raised (FOOTNOTE_MAX_PAGES_A_DAY)."
)


@dataclass(frozen=True, slots=True)
class TeamLimits:
    """Of one team: documents kept, bytes of their sources, and documents handed in or linked in a day (UTC), whether
    they are new or not. What is refreshed does not count."""

    documents: int = 100_000
    bytes: int = 20_000_000_000
    pages_a_day: int = 50_000


@dataclass(frozen=True, slots=True)
class Allowance:
    """Says no where a limit is reached. Under the lock of `Ingest`, so that what is counted is what is there."""

    usages: Usages
    limits: TeamLimits
    now: Callable[[], datetime]

    async def admit(self, new: Document, old: Document | None) -> None:
        """Count a document that is handed in. TeamFull or LimitReached, and nothing is counted, if it is one too many.

        Args:
            new: its record, with the size of what was handed in, 0 for a link.
            old: the record that it replaces, None or a removed one if it adds to what is kept.
        """
        now = self.now().astimezone(UTC)
        used = await self.usages.of(new.team, now.date())
        if used.pages >= self.limits.pages_a_day:
            midnight = datetime.combine(now.date() + timedelta(days=1), time(), UTC)
            retry_after = int((midnight - now).total_seconds()) + 1
            raise LimitReached(ENOUGH_TODAY.format(limit=self.limits.pages_a_day), retry_after=retry_after)
        kept = old if old and old.status != "deleted" else None
        if kept is None and used.documents >= self.limits.documents:
            raise TeamFull(FULL_OF_DOCUMENTS.format(has=used.documents))
        self._check_bytes(used.bytes - (kept.size if kept else 0), new.size)
        await self.usages.add_page(new.team, now.date())

    async def fits(self, document: Document, size: int) -> None:
        """TeamFull if a document of so many bytes is more than the team may have; its own earlier size is free."""
        used = await self.usages.of(document.team, self.now().astimezone(UTC).date())
        self._check_bytes(used.bytes - document.size, size)

    def _check_bytes(self, others: int, size: int) -> None:
        if size and others + size > self.limits.bytes:
            raise TeamFull(FULL_OF_BYTES.format(size=in_words(others + size), limit=in_words(self.limits.bytes)))


def in_words(size: int) -> str:
    """Return a number of bytes for a person, in units of a thousand."""
    for unit, factor in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if size >= factor:
            return f"{size / factor:,.4g} {unit}"
    return f"{size} bytes"
