"""Labels are safe by their alphabet, and mean what they say."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.domain import FieldValue
from backend.labels import LABEL, at_least, below, fold, label, ordinal, range_labels

anything = st.text() | st.floats() | st.datetimes() | st.datetimes(timezones=st.timezones())
numbers = st.floats(allow_nan=False) | st.integers(-(10**20), 10**20).map(float)
instants = st.datetimes(timezones=st.just(UTC))


@given(st.text(), anything)
def test_a_label_never_leaves_its_alphabet(field: str, value: FieldValue) -> None:
    texts = (label(field, value), *range_labels(field, value), *at_least(field, value), *below(field, value))
    assert all(LABEL.fullmatch(text) for text in texts)


@given(st.text())
def test_a_folded_text_holds_neither_quote_nor_backslash(text: str) -> None:
    assert not {"'", "\\"} & set(fold(text + "'\\＇"))


@given(st.text(), st.text())
def test_two_values_share_a_label_only_if_they_fold_alike(one: str, other: str) -> None:
    same = fold(one).replace(" ", "_") == fold(other).replace(" ", "_")
    assert (label("f", one) == label("f", other)) == same


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Zoë Müller", "zoe  muller"),
        ("O'Neil", "o’neil"),
        ("ＦＵＬＬ", "full"),
        ("cost center", "cost_center"),
        (3.0, "3"),
        (-0.0, 0.0),
        (12.5, "12.5"),
        ("2026-01-31", datetime(2026, 1, 31, tzinfo=UTC)),
        ("2026-01-31T02:00:00+02:00", "2026-01-31"),
        (datetime(2026, 1, 31, 2, tzinfo=timezone(timedelta(hours=2))), "2026-01-31"),
    ],
)
def test_values_that_people_take_for_the_same_are(one: FieldValue, other: FieldValue) -> None:
    assert label("field", one) == label("Field", other)


@pytest.mark.parametrize(
    ("one", "other"),
    [("C++", "C#"), ("3.1", "3.10"), ("が", "か"), ("й", "и"), ("", "~"), ("a" * 200, "a" * 199 + "b")],
)
def test_values_that_differ_have_different_labels(one: str, other: str) -> None:
    assert label("field", one) != label("field", other)


@given(numbers, numbers)
def test_codes_of_numbers_compare_as_the_numbers_do(one: float, other: float) -> None:
    assert ordinal(one) is not None
    assert (ordinal(one) < ordinal(other)) == (one < other)  # type: ignore[operator]


@given(instants, instants)
def test_codes_of_instants_compare_as_the_instants_do(one: datetime, other: datetime) -> None:
    assert (ordinal(one) < ordinal(other)) == (one < other)  # type: ignore[operator]


@given(numbers | instants, numbers | instants)
def test_a_value_carries_a_label_of_a_range_exactly_if_it_lies_in_it(value: FieldValue, bound: FieldValue) -> None:
    here, there = ordinal(value), ordinal(bound)
    assert here is not None
    assert there is not None
    carried, comparable = set(range_labels("f", value)), here[0] == there[0]
    assert bool(carried & set(at_least("f", bound))) == (comparable and here[1] >= there[1])
    assert bool(carried & set(below("f", bound))) == (comparable and here[1] < there[1])


@given(numbers)
def test_a_range_is_a_bounded_number_of_labels(bound: float) -> None:
    assert len(at_least("f", bound)) + len(below("f", bound)) == 16 * 15 + 1


@pytest.mark.parametrize("value", ["cheap", "3.10", float("nan"), "2026-13-01"])
def test_some_values_have_no_order(value: FieldValue) -> None:
    assert ordinal(value) is None
    assert range_labels("f", value) == at_least("f", value) == below("f", value) == ()
