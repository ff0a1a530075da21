"""Who may ask now: rate limits per user, channel and team, and what models may be used for each of them in a day."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Protocol

from loguru import logger

from backend.domain import Question, Run
from backend.errors import BudgetSpent, DatabaseUnavailable, TooFast
from backend.ports import Rates, Runs, Scope, Spendings, Spent

LONGEST_MINUTE = 120
"""Seconds from which a wait is told in minutes, and 120 of those from which it is in hours."""
WHOSE: Mapping[Scope, str] = {"user": "You have", "channel": "This channel has", "team": "Your team has"}


class Refusals(Protocol):
    """Counts what limits do."""

    def limited(self, limit: str, scope: Scope) -> None: ...
    def limit_failed(self, limit: str) -> None: ...


@dataclass(frozen=True, slots=True)
class Budgets:
    """What each user, channel and team may spend in a day (UTC); a scope that is not named has no limit."""

    tokens: Mapping[Scope, int] = field(default_factory=dict)
    cost: Mapping[Scope, float] = field(default_factory=dict)

    def exceeded(self, spent: Mapping[Scope, Spent]) -> tuple[str, Scope] | None:
        """Return the first limit that is reached, `tokens` or `cost`, and whose it is; the narrowest first."""
        for scope in ("user", "channel", "team"):
            used = spent.get(scope, Spent())
            if 0 < self.tokens.get(scope, 0) <= used.tokens:
                return "tokens", scope
            if 0 < self.cost.get(scope, 0.0) <= used.cost:
                return "cost", scope
        return None


@dataclass(frozen=True)
class Doorkeeper:
    """Lets a question in, or says when to come back. What cannot be looked up lets it in, counted."""

    rates: Rates
    spendings: Spendings
    budgets: Budgets
    refusals: Refusals
    now: Callable[[], datetime] = lambda: datetime.now(UTC)

    async def admit(self, question: Question) -> None:
        """Count a question.

        Raises:
            TooFast: there were too many in a short time.
            BudgetSpent: the day's tokens or money are used up.
        """
        await self.slow_down(question)
        if not self.budgets.tokens and not self.budgets.cost:
            return
        now, subjects = self.now(), subjects_of(question)
        try:
            spent = await self.spendings.of(question.team, now.date(), subjects)
        except DatabaseUnavailable as error:
            self.refusals.limit_failed("budget")
            logger.bind(error=type(error).__name__).warning("budget not looked up")
            return
        if exceeded := self.budgets.exceeded(spent):
            self.refusals.limited(*exceeded)
            raise _spent(exceeded[1], now)

    async def slow_down(self, question: Question) -> None:
        """Count a question that costs no model. Raises TooFast."""
        wait = await self.rates.take(question.team, subjects_of(question))
        if wait:
            self.refusals.limited("rate", wait.scope)
            asked = f"{WHOSE[wait.scope]} asked a lot in a short time."
            raise TooFast(f"{asked} Please ask again in {spoken(wait.seconds)}.", retry_after=wait.seconds)


@dataclass(frozen=True)
class MeteredRuns:
    """ports.Runs over another: what a run spent on models is added to what its asker's spent that day."""

    runs: Runs
    spendings: Spendings
    refusals: Refusals

    async def put(self, run: Run) -> None:
        spent = Spent(run.metadata.tokens_in + run.metadata.tokens_out, run.metadata.cost)
        if spent != Spent():
            await self._spend(run, spent)
        await self.runs.put(run)

    async def _spend(self, run: Run, spent: Spent) -> None:
        day = run.created_at.astimezone(UTC).date()
        try:
            await self.spendings.add(run.question.team, day, subjects_of(run.question), spent)
        except DatabaseUnavailable as error:
            self.refusals.limit_failed("budget")
            logger.bind(run_id=run.run_id, error=type(error).__name__).error("spending not recorded")

    async def get(self, run_id: str) -> dict[str, object] | None:
        return await self.runs.get(run_id)

    async def redact(self, team: str, removed: Mapping[str, datetime]) -> int:
        return await self.runs.redact(team, removed)

    async def holding(self, team: str, document_id: str) -> int:
        return await self.runs.holding(team, document_id)


def subjects_of(question: Question) -> dict[Scope, str]:
    """Return whom a question counts for: who asked, where, and their team, as far as they are named."""
    named: dict[Scope, str | None] = {
        "user": question.audience.user,
        "channel": question.audience.channel,
        "team": question.team,
    }
    return {scope: name for scope, name in named.items() if name}


def spoken(seconds: int) -> str:
    """Return a stretch of time as a person says it, never shorter than it is: `20 s`, `3 min`, `5 h`."""
    if seconds <= LONGEST_MINUTE:
        return f"{seconds} s"
    minutes = -(-seconds // 60)
    return f"{minutes} min" if minutes <= LONGEST_MINUTE else f"{-(-minutes // 60)} h"


def _spent(scope: Scope, now: datetime) -> BudgetSpent:
    midnight = datetime.combine(now.date() + timedelta(days=1), datetime.min.time(), UTC)
    seconds = max(1, int((midnight - now).total_seconds()))
    used = f"{WHOSE[scope]} used up what the language model may be used for today."
    return BudgetSpent(f"{used} It starts anew at midnight UTC, in {spoken(seconds)}.", retry_after=seconds)
