"""Which arm of an experiment is better: rates with what is still possible of them, and a verdict that may be looked at
every day. Pure.

A thread is what was assigned, so it is what is counted: its ratings count once, as their sum. Rates have a uniform
prior; their posterior is Beta(1 + hits, 1 + misses).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import exp, lgamma, log
from statistics import fmean, median
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from backend.evaluate.history import PastRun
from backend.experiments import Experiment

CREDIBLE = 0.95
LEAST_RATED = 30
"""Rated threads of each arm below which nothing is said."""
SURE_FROM = 0.975
"""Probability of being better from which an arm may be called better."""
EVIDENCE_FROM = 20.0
"""Bayes factor against "both arms are liked equally" from which one may be called better. Such a factor exceeds 20 at
any time in at most one of 20 experiments without a difference, however often one looks (Ville's inequality); the
probability alone does so in most, if one looks every day."""
_STEPS = 4_000
_GRID = (np.arange(_STEPS) + 0.5) / _STEPS

Verdict: TypeAlias = Literal["not enough data", "no difference shown", "better", "worse"]


@dataclass(frozen=True, slots=True)
class Rate:
    """`hits` of `of`, and their `share`; `low` and `high` hold the true rate with a probability of 95 %."""

    hits: int
    of: int
    share: float
    low: float
    high: float


def rate(hits: int, of: int) -> Rate:
    """Return a rate with its 95 % credible interval, equal tails."""
    reached = np.cumsum(_density(hits, of))
    low, high = np.interp(((1 - CREDIBLE) / 2, (1 + CREDIBLE) / 2), reached, _GRID)
    return Rate(hits, of, hits / of if of else 0.0, round(float(low), 4), round(float(high), 4))


@lru_cache(maxsize=512)
def _density(hits: int, of: int) -> NDArray[np.float64]:
    """Return the posterior of a rate on the grid; it sums to 1."""
    logs = hits * np.log(_GRID) + (of - hits) * np.log1p(-_GRID)
    density: NDArray[np.float64] = np.exp(logs - logs.max())
    total: float = density.sum()
    return np.divide(density, total)


def probability_above(one: Rate, other: Rate) -> float:
    """Return the probability that the true rate of `one` is above that of `other`."""
    mine, theirs = _density(one.hits, one.of), _density(other.hits, other.of)
    return float(mine @ (np.cumsum(theirs) - theirs / 2))


def bayes_factor(one: Rate, other: Rate) -> float:
    """Return how much likelier the ratings are if both rates differ than if they are one rate, with uniform priors."""
    together = _marginal(one.hits + other.hits, one.of + other.of)
    return exp(min(600.0, _marginal(one.hits, one.of) + _marginal(other.hits, other.of) - together))


def _marginal(hits: int, of: int) -> float:
    """Return the log of the chance of one order of hits and misses under a uniform prior: B(1 + hits, 1 + misses)."""
    return lgamma(1 + hits) + lgamma(1 + of - hits) - lgamma(2 + of)


@dataclass(frozen=True, slots=True)
class Arm:
    """What came of one arm. Rates are of threads: liked of those rated; whose first question was declined; in which a
    sentence was left out; in which was asked again. Latency and cost are of runs."""

    prompt: str
    threads: int
    runs: int
    liked: Rate
    abstained: Rate
    dropped: Rate
    followed_up: Rate
    median_ms: float
    mean_cost: float
    mean_tokens: float
    hashes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Comparison:
    """An arm beside the first: the probability that it is liked more, and what may be concluded from that."""

    prompt: str
    against: str
    probability: float
    evidence: float
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class Result:
    """What came of an experiment so far."""

    name: str
    arms: tuple[Arm, ...]
    comparisons: tuple[Comparison, ...]

    @property
    def winner(self) -> str | None:
        """Return the arm to promote: a better one, the likeliest of several; None if there is none."""
        better = [one for one in self.comparisons if one.verdict == "better"]
        return max(better, key=lambda one: one.probability).prompt if better else None


def result_of(experiment: Experiment, runs: Sequence[PastRun]) -> Result:
    """Return what the experiment's runs say of its arms."""
    arms = tuple(_arm(id, [run for run in runs if run.arm == id]) for id, _ in experiment.arms)
    return Result(experiment.name, arms, tuple(_compared(one, arms[0]) for one in arms[1:]))


def _arm(prompt: str, runs: Sequence[PastRun]) -> Arm:
    threads: dict[str, list[PastRun]] = defaultdict(list)
    for run in sorted(runs, key=lambda run: run.created_at):
        threads[run.thread].append(run)
    each = list(threads.values())
    liked = [opinion for thread in each if (opinion := _opinion(thread)) is not None]
    return Arm(
        prompt=prompt,
        threads=len(each),
        runs=len(runs),
        liked=rate(sum(liked), len(liked)),
        abstained=_share([thread[0].outcome == "abstained" for thread in each]),
        dropped=_share([any(run.dropped for run in thread) for thread in each]),
        followed_up=_share([len(thread) > 1 for thread in each]),
        median_ms=median([run.total_ms for run in runs]) if runs else 0.0,
        mean_cost=fmean([run.cost for run in runs]) if runs else 0.0,
        mean_tokens=fmean([run.tokens for run in runs]) if runs else 0.0,
        hashes=tuple(sorted({run.prompt_hash for run in runs if run.prompt == prompt})),
    )


def _opinion(thread: Sequence[PastRun]) -> bool | None:
    total = sum(sum(run.ratings) for run in thread)
    return total > 0 if total else None


def _share(flags: Sequence[bool]) -> Rate:
    return rate(sum(flags), len(flags))


def _compared(arm: Arm, first: Arm) -> Comparison:
    probability, evidence = probability_above(arm.liked, first.liked), bayes_factor(arm.liked, first.liked)
    return Comparison(arm.prompt, first.prompt, probability, evidence, verdict(arm.liked, first.liked))


def verdict(one: Rate, other: Rate) -> Verdict:
    """Say what may be concluded of `one` beside `other`."""
    if min(one.of, other.of) < LEAST_RATED:
        return "not enough data"
    if bayes_factor(one, other) < EVIDENCE_FROM:
        return "no difference shown"
    probability = probability_above(one, other)
    if 1 - SURE_FROM < probability < SURE_FROM:
        return "no difference shown"
    return "better" if probability >= SURE_FROM else "worse"


def evidence_words(factor: float) -> str:
    """Return a Bayes factor for people: what the ratings speak for, and how strongly."""
    return f"{factor:.1f} : 1 for a difference" if log(factor) > 0 else f"{1 / factor:.1f} : 1 for none"
