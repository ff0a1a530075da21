"""Conditions on custom fields that hold numbers or dates: "budget over 5000", "due before March". Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime

from backend.domain import And, Catalogue, Condition, FieldValue, Filter, Not, Or
from backend.labels import as_instant
from backend.query.dates import find_dates
from backend.query.guess import Guess

_LOWEST = r"(?:at\s+least|from|>=|≥|no\s+less\s+than|not\s+(?:under|below))"
_OVER = r"(?:over|above|more\s+than|greater\s+than|higher\s+than|exceeding|>)"
_UNDER = r"(?:under|below|less\s+than|lower\s+than|fewer\s+than|<)"
_MOST = r"(?:at\s+most|up\s+to|no\s+more\s+than|<=|≤)"
_NUMBER = r"[$€£]?\s*(?P<number>\d[\d,]*(?:\.\d+)?)\s*(?P<scale>k|m|million|thousand|%)?(?![\w.]*\d)"
_SCALES = {"k": 1e3, "thousand": 1e3, "m": 1e6, "million": 1e6}
_BUILT_IN = frozenset({"published_at", "ingested_at", "title", "author", "source", "tags", "doc_type", "language"})
CERTAINTY = 0.85


def read_measures(text: str, catalogue: Catalogue, now: datetime, *, spoken: bool = True) -> Iterator[Guess]:
    """Yield a guess for each comparison with a field of numbers or dates that the question calls by its name. A bare
    number counts only where documents are `spoken` of: "What is priority 1?" asks what that means."""
    for field, values in catalogue.values.items():
        if field in _BUILT_IN:
            continue
        name = re.escape(field).replace("_", r"[\s_-]").replace(r"\-", r"[\s_-]")
        if any(isinstance(value, float | int) for value in values):
            yield from (Guess(found, span, CERTAINTY) for found, span in _numbers(text, field, name, bare=spoken))
        elif any(as_instant(value) is not None for value in values):
            yield from (Guess(found, span, CERTAINTY) for found, span in _dates(text, field, name, now))


def _numbers(text: str, field: str, name: str, *, bare: bool) -> Iterator[tuple[Filter, tuple[int, int]]]:
    pattern = rf"\b{name}s?\s*(?:is|are|was|of|:|=)?\s*(?P<how>{_LOWEST}|{_OVER}|{_UNDER}|{_MOST})?\s*{_NUMBER}"
    for match in re.finditer(pattern, text, re.IGNORECASE):
        if not match["how"] and not bare:
            continue
        number = float(match["number"].replace(",", "")) * _SCALES.get((match["scale"] or "").lower(), 1.0)
        yield _compared(field, number, match["how"]), match.span()


def _compared(field: str, number: FieldValue, how: str | None) -> Filter:
    """A half-open range has no "greater than": that is "at least, and not equal"."""
    said = (how or "").lower()
    if not said:
        return Condition("eq", field, number)
    if re.fullmatch(_LOWEST, said):
        return Condition("gte", field, number)
    if re.fullmatch(_UNDER, said):
        return Condition("lt", field, number)
    equal = Condition("eq", field, number)
    if re.fullmatch(_OVER, said):
        return And((Condition("gte", field, number), Not(equal)))
    return Or((Condition("lt", field, number), equal))


def _dates(text: str, field: str, name: str, now: datetime) -> Iterator[tuple[Filter, tuple[int, int]]]:
    for match in re.finditer(rf"\b{name}\b(?:\s+(?:date|is|are|was|on|by))*\s*", text, re.IGNORECASE):
        for date in find_dates(text, now):
            if date.span[0] >= match.end() and not text[match.end() : date.span[0]].strip(" :="):
                yield date.filter(field), (match.start(), date.span[1])
