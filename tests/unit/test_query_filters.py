from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.domain import And, Condition, Filter, Not, Or
from backend.errors import BadInput
from backend.query.filters import MAX_DEPTH, describe, filter_from_json, filter_to_json

_text = st.text(min_size=1, max_size=20).filter(str.strip)
_number = st.floats(allow_nan=False, allow_infinity=False, min_value=-1e9, max_value=1e9)
_field = st.sampled_from(["source", "author", "tags", "status", "priority"])
_date = st.datetimes(datetime(1990, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC))
_condition = st.one_of(
    st.builds(Condition, st.sampled_from(["eq", "ne", "contains", "gte", "lt"]), _field, _text | _number),
    st.builds(Condition, st.just("in"), _field, st.lists(_text | _number, min_size=1, max_size=4).map(tuple)),
    st.builds(Condition, st.sampled_from(["gte", "lt"]), st.just("published_at"), _date),
)
_filters = st.recursive(
    _condition,
    lambda inner: st.one_of(
        st.builds(And, st.lists(inner, min_size=1, max_size=3).map(tuple)),
        st.builds(Or, st.lists(inner, min_size=1, max_size=3).map(tuple)),
        st.builds(Not, inner),
    ),
    max_leaves=6,
)


@given(_filters)
def test_a_filter_comes_back_from_the_wire_as_it_went(filter_: Filter) -> None:
    try:
        back = filter_from_json(filter_to_json(filter_))
    except BadInput as error:
        assert "nested deeper" in str(error)  # noqa: PT017 - the only refusal that these can meet
    else:
        assert back == filter_


@pytest.mark.parametrize(
    ("wire", "told"),
    [
        ({}, "filter.op"),
        ({"op": "xor", "items": []}, "filter.op"),
        ({"op": "and", "items": []}, "filter.items"),
        ({"op": "not", "items": [{"op": "eq", "field": "a", "value": "b"}] * 2}, "exactly one"),
        ({"op": "and", "items": [{"op": "eq", "field": "a"}]}, "filter.items[0].value"),
        ({"op": "eq", "field": "", "value": "x"}, "filter.field"),
        ({"op": "eq", "field": "a", "value": True}, "filter.value"),
        ({"op": "eq", "field": "a", "value": None}, "filter.value"),
        ({"op": "eq", "field": "a", "value": "x", "extra": 1}, "unknown key extra"),
        ({"op": "in", "field": "a", "value": "x"}, "list"),
        ({"op": "in", "field": "a", "value": ["x", []]}, "filter.value[1]"),
        ({"op": "gte", "field": "published_at", "value": "March"}, "ISO 8601"),
        ({"op": "gte", "field": "published_at", "value": "0001-01-01T00:00:00+23:00"}, "ISO 8601"),
        ({"op": "eq", "field": "a", "value": float("nan")}, "finite"),
        ({"op": "and", "items": [["x"]]}, "filter.items[0]"),
    ],
)
def test_a_wrong_filter_is_refused_with_the_path_of_what_is_wrong(wire: dict[str, object], told: str) -> None:
    with pytest.raises(BadInput) as raised:
        filter_from_json(wire)
    assert told in str(raised.value)


def test_nesting_and_size_are_bounded() -> None:
    deep: dict[str, object] = {"op": "eq", "field": "a", "value": "b"}
    wide: dict[str, object] = {"op": "or", "items": [{"op": "and", "items": [deep] * 40}] * 2}
    for _ in range(MAX_DEPTH):
        deep = {"op": "not", "items": [deep]}
    with pytest.raises(BadInput, match="deeper"):
        filter_from_json(deep)
    with pytest.raises(BadInput, match="conditions"):
        filter_from_json(wide)


def test_a_date_without_a_zone_is_utc() -> None:
    read = filter_from_json({"op": "lt", "field": "ingested_at", "value": "2026-03-01"})
    assert read == Condition("lt", "ingested_at", datetime(2026, 3, 1, tzinfo=UTC))


def test_a_filter_reads_like_a_sentence() -> None:
    march, april = datetime(2026, 3, 1, tzinfo=UTC), datetime(2026, 4, 1, tzinfo=UTC)
    ana, since = Condition("eq", "author", "Ana"), Condition("gte", "published_at", march)
    assert describe(And((ana, since))) == "author Ana · since 1 Mar 2026"
    assert describe(And((since, Condition("lt", "published_at", april)))) == "1 Mar 2026 to 31 Mar 2026"
    assert describe(Not(Or((ana, Condition("contains", "tags", "hr"))))) == "not (author Ana or tag hr)"
