"""The way of one look at a team's runs: read, group, name. It calls; `insights` and `experiments` decide."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from statistics import median
from typing import get_args

from backend.domain import Outcome
from backend.evaluate.experiments import Result, rate, result_of
from backend.evaluate.history import PastRun, RunHistory
from backend.evaluate.insights import Cited, Gap, Overview, by_prompt, citations_of, gaps_of, is_gap, liked_of
from backend.experiments import Plan
from backend.ports import Embedder

OUTCOMES: tuple[Outcome, ...] = get_args(Outcome)
MAX_RUNS = 10_000
MAX_GAP_RUNS = 300
"""Questions that are grouped: each must be embedded, the newest are."""
MAX_DOCUMENTS = 20


@dataclass(frozen=True, slots=True)
class Insights:
    """Looks at the runs of one team at a time."""

    history: RunHistory
    embedder: Embedder
    plan: Plan

    async def look(self, team: str, days: int, now: datetime) -> Overview:
        """Return what the last days' runs say. Experiments are told from their start, however long ago.

        Raises:
            DatabaseUnavailable, EmbedderUnavailable
        """
        runs = await self.history.runs(team, now - timedelta(days=days), limit=MAX_RUNS)
        counted = citations_of(runs)
        most = counted.most_common(5 * MAX_DOCUMENTS)
        gaps = await self._gaps(runs)
        titles = await self.history.titles(team, [*(id for id, _ in most), *(id for _, id in gaps if id)])
        uncited_count, uncited = await self.history.uncited(team, counted, limit=MAX_DOCUMENTS)
        cited = tuple(Cited(id, titles[id], count) for id, count in most if id in titles)
        return Overview(
            team=team,
            days=days,
            runs=len(runs),
            complete=len(runs) < MAX_RUNS,
            outcomes={outcome: sum(run.outcome == outcome for run in runs) for outcome in OUTCOMES},
            rated=sum(bool(run.ratings) for run in runs),
            liked=liked_of(runs),
            cache_hits=rate(sum(run.cache != "miss" for run in runs), len(runs)),
            median_ms=median(run.total_ms for run in runs) if runs else 0.0,
            cost=sum(run.cost for run in runs),
            prompts=by_prompt(runs),
            experiments=await self._experiments(team, now),
            gaps=tuple(replace(gap, nearest=titles.get(id, "")) for gap, id in gaps),
            cited=cited[:MAX_DOCUMENTS],
            uncited_count=uncited_count,
            uncited=uncited,
        )

    async def gaps(self, team: str, days: int, now: datetime, channels: Collection[str]) -> tuple[int, tuple[Gap, ...]]:
        """Return how many runs there were and what they lack, as somebody may see it who reads these channels: what was
        asked elsewhere is counted like what was asked privately.

        Raises:
            DatabaseUnavailable, EmbedderUnavailable
        """
        runs = await self.history.runs(team, now - timedelta(days=days), limit=MAX_RUNS)
        gaps = await self._gaps([replace(run, private=run.private or run.channel not in channels) for run in runs])
        titles = await self.history.titles(team, [id for _, id in gaps if id])
        return len(runs), tuple(replace(gap, nearest=titles.get(id, "")) for gap, id in gaps)

    async def _gaps(self, runs: Sequence[PastRun]) -> list[tuple[Gap, str]]:
        missing = [run for run in runs if is_gap(run)][:MAX_GAP_RUNS]
        if not missing:
            return []
        return gaps_of(missing, await self.embedder.embed_sentences([run.question for run in missing]))

    async def _experiments(self, team: str, now: datetime) -> tuple[Result, ...]:
        begun = [one for one in self.plan.experiments if one.start <= now]
        return tuple(
            [
                result_of(one, await self.history.runs(team, one.start, limit=MAX_RUNS, experiment=one.name))
                for one in begun
            ]
        )
