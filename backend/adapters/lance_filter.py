"""The access rule and domain.Filter → LanceDB's prefilter, SQL made of constant text, integers and `literal`s.

LanceDB 0.40 has no bind parameters, and `lancedb.expr` is no way out: beside a condition in SQL (which list columns and
NULL need) it is rendered to SQL itself, and there a backslash before a quote lets a value out of its quotes. So every
text that reaches SQL is first turned into one without either: a digest, a label or a folded title.
Every leaf is two-valued.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from backend.adapters.lance_schema import access_key, document_key, microseconds
from backend.domain import And, Condition, Filter, Not, Or, Query
from backend.filters import DATE_FIELDS, check_filter, condition_values
from backend.labels import LABEL, as_instant, at_least, below, field_name, fold, label

_EVERYTHING = "true"
_NOTHING = "false"
_UNSAFE = re.compile(r"['\\]")
_SECTION_ID = re.compile(r"[0-9a-f]{32}-s[0-9]{1,10}")


def literal(text: str) -> str:
    """Return `text` in quotes, or raise ValueError if it holds what could end them."""
    if _UNSAFE.search(text):
        raise ValueError("a text with quotes or backslashes cannot be put into SQL")
    return f"'{text}'"


def _one_of(column: str, texts: Iterable[str]) -> str:
    listed = ", ".join(map(literal, texts))
    return f"{column} IN ({listed})" if listed else _NOTHING


def prefilter(query: Query) -> str:
    """Return the condition of every search: what the team's audience may read, and of that what the filter admits."""
    access = _one_of("access", (access_key(query.team, name) for name in sorted(query.audience.visibilities())))
    if query.audience.only_tags:
        access = f"({access}) AND {has_any_label([label('tags', tag) for tag in query.audience.only_tags])}"
    return access if query.filter is None else f"({access}) AND {compile_filter(query.filter)}"


def documents_scope(owners: Iterable[tuple[str, str]]) -> str:
    """Return the condition that holds for the chunks of exactly these (team, document_id)s."""
    return _one_of("document_key", (document_key(team, document_id) for team, document_id in owners))


def sections_scope(section_ids: Iterable[str]) -> str:
    """Return the condition that holds for these sections' chunks; what cannot be a section's id is no section."""
    return _one_of("section_id", sorted({text for text in section_ids if _SECTION_ID.fullmatch(text)}))


def compile_filter(condition: Filter) -> str:
    """Return the SQL condition that admits what `condition` does, or raise BadInput where it means nothing."""
    check_filter(condition)
    return _compile(condition)


def _compile(condition: Filter) -> str:
    match condition:
        case And(items):
            return _joined("AND", [_compile(item) for item in items])
        case Or(items):
            return _joined("OR", [_compile(item) for item in items])
        case Not(item):
            return f"(NOT {_compile(item)})"
        case Condition(op="ne", field=field, value=value):
            return f"(NOT {_leaf(Condition('eq', field, value))})"
        case Condition():
            return _leaf(condition)


def _joined(word: str, clauses: Sequence[str]) -> str:
    if not clauses:
        return _EVERYTHING if word == "AND" else _NOTHING
    return f"({f' {word} '.join(clauses)})"


def _leaf(condition: Condition) -> str:
    name = field_name(condition.field)
    if name in DATE_FIELDS:
        return _date_clause(name, condition)
    values = condition_values(condition)
    if condition.op == "gte":
        return has_any_label(at_least(condition.field, values[0]))
    if condition.op == "lt":
        return has_any_label(below(condition.field, values[0]))
    if condition.op == "contains" and name == "title":
        return f"contains(title_folded, {literal(fold(str(values[0])))})"
    return has_any_label([label(condition.field, value) for value in values])


def _date_clause(name: str, condition: Condition) -> str:
    instants = [instant for value in condition_values(condition) if (instant := as_instant(value)) is not None]
    codes = [str(microseconds(instant)) for instant in instants]
    if condition.op in ("eq", "in"):
        return f"({name} IS NOT NULL AND {name} IN ({', '.join(codes)}))" if codes else _NOTHING
    return f"({name} IS NOT NULL AND {name} {'>=' if condition.op == 'gte' else '<'} {codes[0]})"


def has_any_label(labels: Sequence[str]) -> str:
    """Return the condition that a chunk carries one of `labels`; ValueError for a text that is not a label."""
    for text in labels:
        if not LABEL.fullmatch(text):
            raise ValueError("a label is outside its alphabet")
    if not labels:
        return _NOTHING
    return f"array_has_any(labels, [{', '.join(map(literal, labels))}])"
