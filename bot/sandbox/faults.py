"""Faults that a test orders: the next calls of a method fail, or are slow; or a share of all calls does, as in bad
weather."""

from __future__ import annotations

import random
from dataclasses import dataclass, field


@dataclass
class Fault:
    """What happens to the next `times` calls of `method` ("*" for any).

    Attributes:
        error: Slack's error code, answered with `status` 200; or None.
        status: the HTTP status; 429 carries `retry_after`, 500 has no JSON.
        delay: seconds before the call is looked at (answered, where `after`); alone, it makes the call slow.
        after: the call takes effect first and only its answer is lost.
    """

    method: str
    times: int = 1
    error: str | None = None
    status: int = 200
    delay: float = 0.0
    retry_after: int = 1
    after: bool = False

    @property
    def fails(self) -> bool:
        return self.error is not None or self.status != 200


@dataclass
class Weather:
    """A share (`chance`) of all calls fails, each in a way of its own: told to wait, an error before or after the
    effect, or no answer for `hang` seconds, before or after the effect."""

    chance: float
    hang: float
    seed: int = 0
    struck: int = 0

    def __post_init__(self) -> None:
        self._dice = random.Random(self.seed)  # noqa: S311 - weather, not a secret

    def strike(self, method: str) -> Fault | None:
        if self._dice.random() >= self.chance:
            return None
        self.struck += 1
        kind, after = self._dice.choice(("busy", "error", "silent")), self._dice.random() < 0.5
        if kind == "busy":
            return Fault(method, status=429)
        delay = self.hang if kind == "silent" else 0.0
        return Fault(method, status=500, after=after, delay=delay)


@dataclass
class Faults:
    """Faults in the order they were given; each is used up by the calls that meet it."""

    waiting: list[Fault] = field(default_factory=list)
    weather: Weather | None = None

    def add(self, fault: Fault) -> None:
        self.waiting.append(fault)

    def take(self, method: str) -> Fault | None:
        """The fault that this call meets."""
        for fault in self.waiting:
            if fault.method in (method, "*"):
                fault.times -= 1
                if fault.times <= 0:
                    self.waiting.remove(fault)
                return fault
        return self.weather.strike(method) if self.weather else None
