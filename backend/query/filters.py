"""The filter of the HTTP contract ↔ `domain.Filter`, and how a person reads one."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import cast

from backend.domain import And, Condition, FieldValue, Filter, Not, Operator, Or
from backend.errors import BadInput
from backend.schema import FilterJSON

MAX_DEPTH = 8
MAX_CONDITIONS = 64
MAX_VALUES = 256
MAX_TEXT = 512
DATE_FIELDS = frozenset({"published_at", "ingested_at"})
OPERATORS = ("eq", "ne", "in", "gte", "lt", "contains")


def filter_from_json(value: FilterJSON) -> Filter:
    """Parse a filter from the wire.

    Raises:
        BadInput: the message names the path of what is wrong, as in "filter.items[1].value: …".
    """
    parsed = _parse(value, "filter", 1)
    if conditions(parsed) > MAX_CONDITIONS:
        raise BadInput(f"filter: at most {MAX_CONDITIONS} conditions")
    return parsed


def filter_to_json(filter_: Filter) -> FilterJSON:
    """Return the filter as it travels; `filter_from_json` reads it back as the same value."""
    match filter_:
        case And(items):
            return {"op": "and", "items": [filter_to_json(item) for item in items]}
        case Or(items):
            return {"op": "or", "items": [filter_to_json(item) for item in items]}
        case Not(item):
            return {"op": "not", "items": [filter_to_json(item)]}
        case Condition(op, field, value):
            wire = [_value_to_json(one) for one in value] if isinstance(value, tuple) else _value_to_json(value)
            return {"op": op, "field": field, "value": wire}


def conditions(filter_: Filter) -> int:
    """Return how many conditions a filter holds."""
    match filter_:
        case And(items) | Or(items):
            return sum(conditions(item) for item in items)
        case Not(item):
            return conditions(item)
        case Condition():
            return 1


def both(first: Filter | None, second: Filter | None) -> Filter | None:
    """Return what both filters admit; None admits everything."""
    if first is None or second is None:
        return first or second
    left = first.items if isinstance(first, And) else (first,)
    right = second.items if isinstance(second, And) else (second,)
    return And((*left, *right))


# ------------------------------------------------------------------------------------------------------------ parsing


def _parse(value: object, path: str, depth: int) -> Filter:
    if depth > MAX_DEPTH:
        raise BadInput(f"{path}: nested deeper than {MAX_DEPTH}")
    if not isinstance(value, dict):
        raise BadInput(f"{path}: must be an object with op")
    op = value.get("op")
    if op in ("and", "or", "not"):
        return _parse_group(cast(str, op), value, path, depth)
    if op in OPERATORS:
        return _parse_condition(cast(Operator, op), value, path)
    raise BadInput(f"{path}.op: must be one of and, or, not, {', '.join(OPERATORS)}")


def _parse_group(op: str, value: FilterJSON, path: str, depth: int) -> Filter:
    _only(value, {"op", "items"}, path)
    items = value.get("items")
    if not isinstance(items, list) or not items:
        raise BadInput(f"{path}.items: must be a list with at least one filter")
    if len(items) > MAX_CONDITIONS:
        raise BadInput(f"{path}.items: at most {MAX_CONDITIONS} items")
    parsed = tuple(_parse(item, f"{path}.items[{place}]", depth + 1) for place, item in enumerate(items))
    if op == "and":
        return And(parsed)
    if op == "or":
        return Or(parsed)
    if len(parsed) != 1:
        raise BadInput(f"{path}.items: not takes exactly one filter")
    return Not(parsed[0])


def _parse_condition(op: Operator, value: FilterJSON, path: str) -> Condition:
    _only(value, {"op", "field", "value"}, path)
    field = value.get("field")
    if not isinstance(field, str) or not field.strip() or len(field) > 64:
        raise BadInput(f"{path}.field: must be the name of a metadata field, at most 64 characters")
    raw = value.get("value")
    if op == "in":
        if not isinstance(raw, list) or not 0 < len(raw) <= MAX_VALUES:
            raise BadInput(f"{path}.value: in takes a list of 1 to {MAX_VALUES} values")
        many = tuple(_parse_value(field, one, f"{path}.value[{place}]") for place, one in enumerate(raw))
        return Condition(op, field, many)
    return Condition(op, field, _parse_value(field, raw, f"{path}.value"))


def _parse_value(field: str, value: object, path: str) -> FieldValue:
    if field in DATE_FIELDS:
        return _parse_date(value, path)
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise BadInput(f"{path}: must be a string or a number")
    if isinstance(value, str):
        if not value.strip() or len(value) > MAX_TEXT:
            raise BadInput(f"{path}: must hold 1 to {MAX_TEXT} characters")
        return value
    if not -1e300 < value < 1e300:
        raise BadInput(f"{path}: must be a finite number")
    return float(value)


def _parse_date(value: object, path: str) -> datetime:
    message = f"{path}: must be an ISO 8601 date such as 2026-03-01 or 2026-03-01T09:00:00+01:00"
    if not isinstance(value, str) or len(value) > 40:
        raise BadInput(message)
    try:
        parsed = datetime.fromisoformat(value)
        return (parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        raise BadInput(message) from None


def _only(value: FilterJSON, allowed: set[str], path: str) -> None:
    unknown = sorted(str(key)[:40] for key in value if key not in allowed)
    if unknown:
        raise BadInput(f"{path}: unknown key {unknown[0]}")


def _value_to_json(value: FieldValue) -> str | float:
    return value.isoformat() if isinstance(value, datetime) else value


# ------------------------------------------------------------------------------------------------------------ reading


def describe(filter_: Filter) -> str:
    """Say a filter for a person: "author Ana · since 1 Mar 2026"."""
    match filter_:
        case And(items):
            return " · ".join(_describe_all(items))
        case Or(items):
            return " or ".join(_grouped(item) for item in items)
        case Not(item):
            return f"not {_grouped(item)}"
        case Condition():
            return _describe_condition(filter_)


def _describe_all(items: Sequence[Filter]) -> list[str]:
    """Describe each item, a date range's two ends as one."""
    parts: list[str] = []
    rest = list(items)
    while rest:
        item = rest.pop(0)
        end = rest[0] if rest else None
        if _is_date(item, "gte") and _is_date(end, "lt"):
            parts.append(_describe_range(cast(Condition, item), cast(Condition, rest.pop(0))))
        else:
            parts.append(_grouped(item))
    return parts


def _grouped(filter_: Filter) -> str:
    text = describe(filter_)
    return f"({text})" if isinstance(filter_, And | Or) else text


def _is_date(filter_: Filter | None, op: Operator) -> bool:
    return isinstance(filter_, Condition) and filter_.op == op and isinstance(filter_.value, datetime)


def _describe_range(start: Condition, end: Condition) -> str:
    first, after = cast(datetime, start.value), cast(datetime, end.value)
    last = after - timedelta(days=1)
    if (first.month, first.day, after.month, after.day) == (1, 1, 1, 1) and after.year == first.year + 1:
        return f"{_prefix(start.field)}in {first.year}"
    if first.date() == last.date():
        return f"{_prefix(start.field)}on {_day(first)}"
    return f"{_prefix(start.field)}{_day(first)} to {_day(last)}"


def _describe_condition(condition: Condition) -> str:
    field, value = condition.field, condition.value
    if isinstance(value, tuple):
        return f"{_label(field)} {', '.join(_show(one) for one in value)}"
    if isinstance(value, datetime) and condition.op in ("gte", "lt"):
        return f"{_prefix(field)}{'since' if condition.op == 'gte' else 'before'} {_day(value)}"
    words = {"eq": "", "contains": "", "ne": "not ", "gte": "at least ", "lt": "under ", "in": ""}[condition.op]
    return f"{_label(field)} {words}{_show(value)}"


def _prefix(field: str) -> str:
    return "" if field == "published_at" else f"{_label(field)} "


def _label(field: str) -> str:
    known = {"tags": "tag", "doc_type": "type", "published_at": "published", "ingested_at": "ingested"}
    return known.get(field, field.replace("_", " "))


def _show(value: FieldValue) -> str:
    if isinstance(value, datetime):
        return _day(value)
    return f"{value:g}" if isinstance(value, float) else value


def _day(value: datetime) -> str:
    return f"{value.day} {value:%b %Y}"
