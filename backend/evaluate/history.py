"""What is known of past runs, as far as insights need it: ids, figures and the asker's own words, no document's."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from backend.domain import Outcome


@dataclass(frozen=True, slots=True)
class PastRun:
    """One run. `private` means that its asker alone read the answer; `channel` is where it was asked; `cited` are
    document ids, `nearest` that of the best passage, "" if none was found; `arm` is the prompt that `experiment` chose;
    `ratings` are 1 or -1 each."""

    run_id: str
    created_at: datetime
    outcome: Outcome
    question: str
    private: bool = False
    channel: str = ""
    thread: str = ""
    experiment: str = ""
    arm: str = ""
    prompt: str = ""
    prompt_hash: str = ""
    model: str = ""
    cache: str = "miss"
    dropped: int = 0
    tokens: int = 0
    cost: float = 0.0
    total_ms: float = 0.0
    cited: tuple[str, ...] = ()
    nearest: str = ""
    ratings: tuple[int, ...] = ()

    @property
    def liked(self) -> bool | None:
        """Whether those who rated it liked it, None where nobody did or they are divided."""
        total = sum(self.ratings)
        return total > 0 if total else None


@dataclass(frozen=True, slots=True)
class Titled:
    """A document that is there, by id and title."""

    document_id: str
    title: str


class RunHistory(Protocol):
    async def runs(self, team: str, since: datetime, *, limit: int, experiment: str = "") -> tuple[PastRun, ...]:
        """Return a team's runs from that moment on, the newest first, those of one experiment where it is named.
        Replays are left out."""

    async def titles(self, team: str, document_ids: Collection[str]) -> dict[str, str]:
        """Return the titles of those of these documents that the team has and has not removed."""

    async def uncited(self, team: str, cited: Collection[str], *, limit: int) -> tuple[int, tuple[Titled, ...]]:
        """Return how many of the team's documents can be found but are not among the cited, and some of them, the
        oldest first."""
