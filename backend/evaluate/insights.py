"""What a team's runs of some days say: outcomes, ratings, gaps in the documents, prompts, what is cited. Pure."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, median

from backend.domain import Vectors
from backend.evaluate.experiments import Rate, Result, rate
from backend.evaluate.history import PastRun, Titled
from backend.redact import WITHHELD

SAME_GAP = 0.6
"""Least cosine of two questions that are about the same gap."""
MAX_GAPS = 20
MAX_QUESTIONS = 5
"""Of one gap that are shown."""
MAX_QUESTION = 200
"""Characters of a question that are shown."""


@dataclass(frozen=True, slots=True)
class PromptFigures:
    """Runs that one prompt wrote, or that were quoted without one (`prompt` is "")."""

    prompt: str
    runs: int
    liked: Rate
    abstained: Rate
    dropped: Rate
    median_ms: float
    mean_cost: float


@dataclass(frozen=True, slots=True)
class Gap:
    """Questions about the same thing that were not answered, or badly. `nearest` is the document that came closest, if
    there is one. Questions that were asked privately are counted, not shown."""

    abstained: int
    disliked: int
    questions: tuple[str, ...]
    private: int
    nearest: str = ""

    @property
    def runs(self) -> int:
        return self.abstained + self.disliked


@dataclass(frozen=True, slots=True)
class Cited:
    document_id: str
    title: str
    runs: int


@dataclass(frozen=True, slots=True)
class Overview:
    """Everything that insights tell of a team. `complete` is false where there were more runs than were read."""

    team: str
    days: int
    runs: int
    complete: bool
    outcomes: dict[str, int]
    rated: int
    liked: Rate
    cache_hits: Rate
    median_ms: float
    cost: float
    prompts: tuple[PromptFigures, ...]
    experiments: tuple[Result, ...]
    gaps: tuple[Gap, ...]
    cited: tuple[Cited, ...]
    uncited_count: int
    uncited: tuple[Titled, ...]


def is_gap(run: PastRun) -> bool:
    """Whether this run says that something is missing: an abstention, or an answer that was not liked. Where its words
    are kept no longer, it does not say what."""
    if run.question == WITHHELD:
        return False
    return run.outcome == "abstained" or (run.outcome == "answered" and run.liked is False)


def by_prompt(runs: Sequence[PastRun]) -> tuple[PromptFigures, ...]:
    """Return the figures of each prompt, the most used first."""
    of: dict[str, list[PastRun]] = defaultdict(list)
    for run in runs:
        of[run.prompt].append(run)
    return tuple(_figures(prompt, of[prompt]) for prompt in sorted(of, key=lambda id: (-len(of[id]), id)))


def _figures(prompt: str, runs: Sequence[PastRun]) -> PromptFigures:
    return PromptFigures(
        prompt=prompt,
        runs=len(runs),
        liked=liked_of(runs),
        abstained=rate(sum(run.outcome == "abstained" for run in runs), len(runs)),
        dropped=rate(sum(run.dropped > 0 for run in runs), len(runs)),
        median_ms=median(run.total_ms for run in runs),
        mean_cost=fmean(run.cost for run in runs),
    )


def liked_of(runs: Sequence[PastRun]) -> Rate:
    """Return the share of liked runs among those that were rated."""
    opinions = [run.liked for run in runs if run.liked is not None]
    return rate(sum(opinions), len(opinions))


def gaps_of(runs: Sequence[PastRun], vectors: Vectors) -> list[tuple[Gap, str]]:
    """Return groups of similar questions, the largest first, each with the id of its nearest document, or "".

    `vectors` are those of the runs' questions. Each question joins the first group whose first question is near.
    """
    groups: list[list[int]] = []
    for at in range(len(runs)):
        near = (group for group in groups if float(vectors[group[0]] @ vectors[at]) >= SAME_GAP)
        found = next(near, None)
        if found is None:
            groups.append([at])
        else:
            found.append(at)
    groups.sort(key=len, reverse=True)
    return [_gap([runs[at] for at in group]) for group in groups[:MAX_GAPS]]


def _gap(runs: Sequence[PastRun]) -> tuple[Gap, str]:
    shown = dict.fromkeys(_short(run.question) for run in runs if not run.private)
    nearest = Counter(run.nearest for run in runs if run.nearest)
    gap = Gap(
        abstained=sum(run.outcome == "abstained" for run in runs),
        disliked=sum(run.outcome == "answered" for run in runs),
        questions=tuple(shown)[:MAX_QUESTIONS],
        private=sum(run.private for run in runs),
    )
    return gap, nearest.most_common(1)[0][0] if nearest else ""


def _short(question: str) -> str:
    text = " ".join(question.split())
    return text if len(text) <= MAX_QUESTION else f"{text[: MAX_QUESTION - 1]}…"


def citations_of(runs: Sequence[PastRun]) -> Counter[str]:
    """Return in how many runs each document was cited."""
    return Counter(document_id for run in runs for document_id in set(run.cited))
