"""The four scenarios: how many requests a minute, when. Pure, and of the standard library alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

Name: TypeAlias = Literal["steady", "spike", "stress", "soak"]
NAMES: tuple[Name, ...] = get_args(Name)
EACH = 30.0
"""Requests a minute of one of locust's users."""


@dataclass(frozen=True)
class Scenario:
    """`rate` requests a minute for `seconds`; in the middle third, `peak`."""

    rate: float
    peak: float
    seconds: float

    def users(self, elapsed: float) -> int | None:
        """Return how many users there are after so many seconds, None at the end."""
        if elapsed >= self.seconds:
            return None
        middle = self.seconds / 3 <= elapsed < self.seconds * 2 / 3
        return max(1, round((self.peak if middle else self.rate) / EACH))


SCENARIOS: dict[Name, Scenario] = {
    "steady": Scenario(1_000, 1_000, 600),
    "spike": Scenario(1_000, 5_000, 600),
    "stress": Scenario(10_000, 10_000, 300),
    "soak": Scenario(500, 500, 3_600),
}


def scenario(name: Name, seconds: float | None = None) -> Scenario:
    """Return a scenario, in a shorter form where `seconds` are given."""
    whole = SCENARIOS[name]
    return Scenario(whole.rate, whole.peak, seconds or whole.seconds)
