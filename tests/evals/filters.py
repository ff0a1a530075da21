"""Labelled filters in the product's words, and a canonical form, in which two ways to say the same are equal."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import TypeAlias, cast

from backend.adapters.sql_catalogue import field_values
from backend.domain import And, Catalogue, Condition, FieldValue, Filter, IndexedDocument, Not, Operator, Or, Visibility
from backend.labels import label
from tests.evals.corpora import TEAM, Source
from tests.fakes.index import admits

FIELDS = {"authors": "author", "topics": "tags", "created": "published_at", "created_at": "published_at"}
"""What the sets call a field → what it is called here."""
_OPERATORS: dict[str, Operator] = {"==": "eq", "contains": "eq", "!=": "ne", ">=": "gte", "<": "lt"}

Canonical: TypeAlias = frozenset[tuple[object, ...]]
"""Conditions that must all hold."""


def gold_filter(row: object) -> Filter | None:
    """Read a labelled filter. Dates are days: "<=" is before the day after."""
    if not isinstance(row, dict):
        return None
    if "args" in row:
        items = tuple(found for one in cast(list[object], row["args"]) if (found := gold_filter(one)) is not None)
        return And(items) if row["op"] == "and" else Or(items)
    field, op, value = FIELDS.get(str(row["field"]), str(row["field"])), str(row["op"]), row["value"]
    if isinstance(value, list):
        return Condition("in", field, tuple(map(str, value)))
    if field == "published_at":
        day = datetime.fromisoformat(str(value)).replace(tzinfo=UTC)
        moment = day + timedelta(days=1) if op in ("<=", ">") else day
        return Condition("gte" if op in (">=", ">") else "lt", field, moment)
    return Condition(_OPERATORS[op], field, str(value))


def canonical(filter_: Filter | None) -> Canonical:
    """Return a filter without its order, nesting and ways of saying "one of"; values compare as in the index."""
    match filter_:
        case None:
            return frozenset()
        case And(items):
            return frozenset().union(*(canonical(item) for item in items))
        case Or(items):
            return _either([canonical(item) for item in items])
        case Not(item):
            return frozenset({("not", canonical(item))})
        case Condition("ne", field, value):
            return frozenset({("not", canonical(Condition("eq", field, value)))})
        case Condition(op, field, value):
            values = value if isinstance(value, tuple) else (value,)
            name = "any" if op in ("eq", "in", "contains") else op
            return frozenset({(name, field, frozenset(label(field, one) for one in values))})


def _either(sides: Sequence[Canonical]) -> Canonical:
    """Return "a or b" as "one of" where both are values of one field."""
    single = [next(iter(side)) for side in sides if len(side) == 1]
    if len(single) == len(sides) and len({(one[0], one[1]) for one in single}) == 1 and single[0][0] == "any":
        values = frozenset().union(*(cast(frozenset[str], one[2]) for one in single))
        return frozenset({("any", single[0][1], values)})
    return frozenset({("or", frozenset(sides))})


def catalogue_of(sources: Iterable[Source]) -> Catalogue:
    """Return the catalogue of these documents, by the code that makes the product's."""
    counts: dict[str, Counter[FieldValue]] = defaultdict(Counter)
    for source in sources:
        for name, value in field_values(source.title, source.metadata):
            counts[name][value] += 1
    return Catalogue(dict(counts))


def admitted(filter_: Filter | None, sources: Sequence[Source]) -> set[str]:
    """Return the ids of the documents that a filter admits."""
    return {source.document_id for source in sources if admits(filter_, _bare(source))}


def _bare(source: Source) -> IndexedDocument:
    return IndexedDocument(
        team=TEAM,
        document_id=source.document_id,
        revision="",
        title=source.title,
        url=source.url,
        visibility=Visibility(),
        metadata=source.metadata,
        ingested_at=datetime(2026, 1, 1, tzinfo=UTC),
        chunks=(),
        vectors=(),
    )
