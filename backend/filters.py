"""Which filters mean something: the one check, before any of them is sent to an index.

Two-valued: a document whose field is unknown satisfies only `ne` and `not`. `eq`, `in` and `contains` compare by
`backend.labels.label` and hold if any member of the field does; `contains` on the title looks for a part of it.
`gte` and `lt` order dates with dates and numbers with numbers; a value of another kind satisfies neither.
"""

from __future__ import annotations

from backend.domain import And, Condition, FieldValue, Filter, Not, Or
from backend.errors import BadInput
from backend.labels import as_instant, field_name, ordinal

DATE_FIELDS = ("published_at", "ingested_at")
TEXT_FIELDS = ("source", "author", "doc_type", "tags", "title", "language", "document_id")
MAX_DEPTH = 16
"""A query planner's work grows out of hand with nested parentheses: LanceDB 0.40 hangs on a hundred."""
MAX_CONDITIONS = 64
MAX_VALUES = 500


def check_filter(condition: Filter | None) -> None:
    """Raise BadInput, with what to do, if a filter is too large or asks what cannot be asked of its field."""
    if condition is not None and _count(condition, depth=1) > MAX_CONDITIONS:
        raise BadInput(f"The filter has more than {MAX_CONDITIONS} conditions; leave some out.")


def _count(condition: Filter, depth: int) -> int:
    if depth > MAX_DEPTH:
        raise BadInput(f"The filter is nested more than {MAX_DEPTH} levels deep; flatten it.")
    match condition:
        case And(items) | Or(items):
            return 1 + sum(_count(item, depth + 1) for item in items)
        case Not(item):
            return 1 + _count(item, depth + 1)
        case Condition():
            _check_condition(condition)
            return 1


def condition_values(condition: Condition) -> tuple[FieldValue, ...]:
    """Return the values of a condition, one unless its operator is `in`."""
    return condition.value if isinstance(condition.value, tuple) else (condition.value,)


def _check_condition(condition: Condition) -> None:
    values = condition_values(condition)
    if isinstance(condition.value, tuple) != (condition.op == "in"):
        raise BadInput(f"{condition.op} on {_named(condition)} takes {_arity(condition)}.")
    if len(values) > MAX_VALUES:
        raise BadInput(f"in on {_named(condition)} lists more than {MAX_VALUES} values; list fewer.")
    if field_name(condition.field) in DATE_FIELDS:
        _check_date(condition, values)
    elif condition.op in ("gte", "lt"):
        _check_range(condition, values)


def _arity(condition: Condition) -> str:
    return "a list of values" if condition.op == "in" else "one value"


def _named(condition: Condition) -> str:
    return f"{condition.field[:80]!r}"


def _check_date(condition: Condition, values: tuple[FieldValue, ...]) -> None:
    if condition.op == "contains":
        raise BadInput(f"contains does not apply to {_named(condition)}, a date; use gte and lt.")
    if any(as_instant(value) is None for value in values):
        raise BadInput(f"{_named(condition)} is compared with an ISO 8601 date such as 2026-01-31.")


def _check_range(condition: Condition, values: tuple[FieldValue, ...]) -> None:
    if field_name(condition.field) in TEXT_FIELDS:
        raise BadInput(f"{condition.op} does not apply to {_named(condition)}, a text; use eq, in or contains.")
    if any(ordinal(value) is None for value in values):
        raise BadInput(f"{condition.op} on {_named(condition)} takes a number or an ISO 8601 date.")
