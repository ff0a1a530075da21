"""`prompts/experiments.yaml`: which version of a prompt is current, and which are being compared. Pure but for reading.

    current:
      answer: v1
    experiments:
      - name: short-answers
        arms: {answer@v1: 1, answer@v2: 1}   # the first is what the others are compared with; the numbers are weights
        share: 0.5                           # of all threads; the others get the current version
        start: 2026-12-01                    # from midnight UTC
        stop: 2027-01-01                     # optional

A thread keeps its arm for as long as the experiment runs: the arm follows from a hash of the experiment's name, the
team and the thread.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time
from itertools import accumulate, combinations
from pathlib import Path
from types import MappingProxyType
from typing import Annotated

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from backend.prompts import PromptError, Prompts

FILE = "experiments.yaml"
ANSWER = "answer"
"""The prompt that is experimented with: the one whose words people rate."""

PromptId = Annotated[str, Field(pattern=r"^[a-z_]+@v[1-9]\d*$")]


@dataclass(frozen=True, slots=True)
class Assignment:
    """The arm of an experiment that a thread is in; `arm` is a prompt's id."""

    experiment: str
    arm: str


@dataclass(frozen=True, slots=True)
class Experiment:
    """Versions of the answer prompt, compared on a `share` of all threads from `start` up to `stop`."""

    name: str
    arms: tuple[tuple[str, float], ...]
    share: float
    start: datetime
    stop: datetime | None = None

    def running(self, moment: datetime) -> bool:
        return self.start <= moment and (self.stop is None or moment < self.stop)

    def arm_of(self, team: str, thread: str) -> str | None:
        """Return the arm of a thread, None for one that takes no part."""
        if _fraction(self.name, "share", team, thread) >= self.share:
            return None
        place = _fraction(self.name, "arm", team, thread) * sum(weight for _, weight in self.arms)
        reached = accumulate(weight for _, weight in self.arms)
        return next((id for (id, _), end in zip(self.arms, reached, strict=True) if place < end), self.arms[-1][0])


def _fraction(*parts: str) -> float:
    """Return a number in [0, 1) that these words always give, evenly spread."""
    return int.from_bytes(hashlib.sha256("\0".join(parts).encode()).digest()[:8]) / 2**64


@dataclass(frozen=True, slots=True)
class Plan:
    """What `experiments.yaml` says; `current` is by prompt name."""

    current: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    experiments: tuple[Experiment, ...] = ()

    def assigned(self, team: str, thread: str | None, moment: datetime) -> Assignment | None:
        """Return the arm that writes for this thread now, None where no experiment concerns it."""
        if thread is None:
            return None
        for one in self.experiments:
            if one.running(moment) and (arm := one.arm_of(team, thread)) is not None:
                return Assignment(one.name, arm)
        return None

    def chosen_from(self, prompts: Prompts) -> Prompts:
        """Return the prompts, with the current ones chosen. BadInput where this names one that there is not."""
        for id in sorted(self.in_use()):
            prompts.get(id)
        return prompts.choosing(self.current)

    def in_use(self) -> frozenset[str]:
        """Return the ids of all prompts that are current or an arm."""
        return frozenset((*self.current.values(), *(id for one in self.experiments for id, _ in one.arms)))


NO_PLAN = Plan()


class _Experiment(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,63}$")]
    arms: Annotated[dict[PromptId, Annotated[float, Field(gt=0)]], Field(min_length=2)]
    share: Annotated[float, Field(gt=0, le=1)] = 1.0
    start: date
    stop: date | None = None


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    current: dict[str, Annotated[str, Field(pattern=r"^v[1-9]\d*$")]]
    experiments: list[_Experiment] = []


def load_plan(folder: Path) -> Plan:
    """Read `experiments.yaml` in the folder of prompts. PromptError, one line, where it is missing or wrong."""
    path = folder / FILE
    try:
        return parse_plan(path.read_text())
    except (OSError, UnicodeDecodeError) as error:
        raise PromptError(f"{path}: cannot be read: {error}") from error
    except PromptError as error:
        raise PromptError(f"{path}: {error}") from error


def parse_plan(content: str) -> Plan:
    """Read the content of `experiments.yaml`. Raises PromptError."""
    try:
        file = _File.model_validate(yaml.safe_load(content))
    except yaml.YAMLError as error:
        raise PromptError(f"not YAML: {' '.join(str(error).split())}") from error
    except ValidationError as error:
        first = error.errors()[0]
        raise PromptError(f"{'.'.join(map(str, first['loc'])) or 'file'}: {first['msg']}") from error
    plan = Plan(
        current={name: f"{name}@{version}" for name, version in file.current.items()},
        experiments=tuple(_experiment(one) for one in file.experiments),
    )
    for wrong in _contradictions(plan):
        raise PromptError(wrong)
    return plan


def _experiment(one: _Experiment) -> Experiment:
    stop = _midnight(one.stop) if one.stop else None
    return Experiment(one.name, tuple(one.arms.items()), one.share, _midnight(one.start), stop)


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)


def _contradictions(plan: Plan) -> Iterator[str]:
    if ANSWER not in plan.current:
        yield f"current: {ANSWER} is missing"
    for one in plan.experiments:
        if any(not id.startswith(f"{ANSWER}@") for id, _ in one.arms):
            yield f"{one.name}: its arms must be versions of {ANSWER}"
        if one.stop is not None and one.stop <= one.start:
            yield f"{one.name}: must stop after it starts"
    for one, other in combinations(plan.experiments, 2):
        if one.name == other.name:
            yield f"{one.name}: two experiments have this name"
        if _overlap(one, other):
            yield f"{one.name} and {other.name} run at the same time: a verdict could not tell their arms apart"


def _overlap(one: Experiment, other: Experiment) -> bool:
    begins = max(one.start, other.start)
    return one.running(begins) and other.running(begins)
