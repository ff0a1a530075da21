"""What an LLM takes a question to mean, and how much of that is believed: names must be in the catalogue, words in the
question. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal, Protocol, TypeAlias

from backend.domain import Catalogue, Condition, FieldValue, Filter, Not, Or, Span, Turn
from backend.labels import as_instant, field_name
from backend.query.guess import Guess
from backend.query.lexicon import nearest
from backend.query.unknown import unknown_notice

MAX_SHOWN = 40
"""Values of one field that the LLM is shown, the most frequent first: more would cost more than they help."""
PROPOSED = 0.7
"""Certainty of a condition that only the LLM sees."""
AGREED = 0.95
"""Certainty of a condition that the LLM and the words agree on."""
DATES = ("published_at", "ingested_at")

Comparison: TypeAlias = Literal["is", "is_not", "since", "before"]


@dataclass(frozen=True, slots=True)
class Proposed:
    """One condition: the values of a field are alternatives, `words` are those of the question that say so."""

    field: str
    op: Comparison
    values: tuple[str, ...]
    words: str


@dataclass(frozen=True, slots=True)
class Proposal:
    """The stand-alone question and the conditions, all of which must hold. Nothing in it has been checked."""

    question: str
    conditions: tuple[Proposed, ...] = ()


SCHEMA: dict[str, object] = {
    "type": "object",
    "additionalProperties": False,
    "required": ["question", "conditions"],
    "properties": {
        "question": {"type": "string"},
        "conditions": {
            "type": "array",
            "items": {
                "type": "object",
                "additionalProperties": False,
                "required": ["field", "op", "values", "words"],
                "properties": {
                    "field": {"type": "string"},
                    "op": {"type": "string", "enum": ["is", "is_not", "since", "before"]},
                    "values": {"type": "array", "items": {"type": "string"}},
                    "words": {"type": "string"},
                },
            },
        },
    },
}
"""JSON schema of a proposal, in the strict form: every property required, no others."""


class Reader(Protocol):
    """An LLM that reads a question in its thread."""

    async def read(
        self, question: str, history: Sequence[Turn], fields: Mapping[str, Sequence[str]], now: datetime
    ) -> Proposal:
        """Propose what the question means, in one call. `fields` are the known fields with their commonest values.

        Raises:
            LLMUnavailable: the call failed, or the reply is no proposal.
        """


def known_fields(catalogue: Catalogue) -> dict[str, list[str]]:
    """Return what the LLM is shown of the catalogue: fields with values that a person would name, and the dates."""
    shown: dict[str, list[str]] = {}
    for name, values in sorted(catalogue.values.items()):
        if name not in ("title", "document_id"):
            often = sorted(values.items(), key=lambda item: (-item[1], str(item[0])))[:MAX_SHOWN]
            shown[name] = [str(value) for value, _ in often]
    return shown | {name: [] for name in DATES}


def believed(
    proposal: Proposal, asked: str, catalogue: Catalogue, now: datetime
) -> tuple[tuple[Guess, ...], tuple[str, ...]]:
    """Return the conditions of a proposal that hold against the catalogue and the words of `asked`, and notices of
    names that are unknown. Spans are those of the words in `asked`."""
    guesses: list[Guess] = []
    notices: list[str] = []
    for one in proposal.conditions:
        span = _span(one.words, asked)
        if span is None or not one.values:
            continue
        filter_, unknown = _filter(one, catalogue, now)
        notices += [unknown_notice(one.field, name) for name in unknown]
        if filter_ is not None:
            guesses.append(Guess(filter_, span, PROPOSED))
    return tuple(guesses), tuple(dict.fromkeys(notices))


def _span(words: str, asked: str) -> Span | None:
    """Return where the words stand, None where they do not: then the condition was made up."""
    start = asked.casefold().find(words.strip().casefold())
    return (start, start + len(words.strip())) if words.strip() and start >= 0 else None


def _filter(one: Proposed, catalogue: Catalogue, now: datetime) -> tuple[Filter | None, list[str]]:
    name = field_name(one.field)
    values = next((known for field, known in catalogue.values.items() if field_name(field) == name), None)
    if name in DATES or (values and one.op in ("since", "before")):
        return _date_filter(one, name, now), []
    if values is None or one.op in ("since", "before"):
        return None, []
    meant = [nearest(one.field, said, catalogue) for said in one.values]
    unknown = [said for said, found in zip(one.values, meant, strict=True) if not found]
    return _equal(one, tuple(dict.fromkeys(value for found in meant for value in found))), unknown


def _equal(one: Proposed, values: tuple[FieldValue, ...]) -> Filter | None:
    if not values:
        return None
    op: Literal["contains", "eq"] = "contains" if one.field == "tags" else "eq"
    condition = Condition("in", one.field, values) if len(values) > 1 else Condition(op, one.field, values[0])
    return Not(condition) if one.op == "is_not" else condition


def _date_filter(one: Proposed, field: str, now: datetime) -> Filter | None:
    moments = [moment for value in one.values if (moment := _moment(value, now)) is not None]
    if one.op == "since" and moments:
        return Condition("gte", field, min(moments))
    if one.op == "before" and moments:
        return Condition("lt", field, max(moments))
    return None


def _moment(value: str, now: datetime) -> datetime | None:
    """Read an ISO date as a day of the asker's."""
    if as_instant(value) is None:
        return None
    moment = datetime.fromisoformat(value)
    return (moment if moment.tzinfo else moment.replace(tzinfo=now.tzinfo)).astimezone(UTC)


def checked(proposed: Sequence[Guess], read: Sequence[Guess], *, sure: float) -> tuple[Guess, ...]:
    """Return the conditions to apply: what both see is certain, what only the LLM sees less so; what only the words
    say is kept where they say it surely of a field that the LLM left alone."""
    merged = [Guess(one.filter, one.span, AGREED if _said(one, read) else one.certainty) for one in proposed]
    fields = {field for one in proposed for field in fields_of(one.filter)}
    merged += [one for one in read if one.certainty >= sure and not fields & set(fields_of(one.filter))]
    return tuple(sorted(merged, key=lambda one: one.span))


def _said(one: Guess, read: Sequence[Guess]) -> bool:
    return any(set(fields_of(one.filter)) <= set(fields_of(other.filter)) for other in read)


def fields_of(filter_: Filter) -> tuple[str, ...]:
    """Return the fields that a filter speaks of, each once."""
    match filter_:
        case Condition(_, field):
            return (field,)
        case Not(item):
            return fields_of(item)
        case Or(items):
            return tuple(dict.fromkeys(field for item in items for field in fields_of(item)))
        case _:
            return tuple(dict.fromkeys(field for item in filter_.items for field in fields_of(item)))
