"""A condition as it was understood, before it is certain."""

from __future__ import annotations

from dataclasses import dataclass

from backend.domain import Filter, Span


@dataclass(frozen=True, slots=True)
class Guess:
    """A condition understood from the words at `span`, and how certain that is, 0 to 1. `looser`, where set, is what
    else the words may mean, and admits more."""

    filter: Filter
    span: Span
    certainty: float
    looser: Filter | None = None


def overlap(first: Span, second: Span) -> bool:
    """Whether two spans share a character."""
    return first[0] < second[1] and second[0] < first[1]
