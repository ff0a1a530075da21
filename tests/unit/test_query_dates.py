from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.domain import And, Catalogue, Condition, Filter, Not, Or
from backend.query.conditions import read_conditions
from backend.query.dates import find_dates

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)


def _ranges(text: str, now: datetime = NOW) -> list[tuple[str, str]]:
    return [(f"{one.start or ''}"[:10], f"{one.end or ''}"[:10]) for one in find_dates(text, now)]


@pytest.mark.parametrize(
    ("text", "start", "end"),
    [
        ("2019", "2019-01-01", "2020-01-01"),
        ("Q3 2024", "2024-07-01", "2024-10-01"),
        ("H1 2024", "2024-01-01", "2024-07-01"),
        ("in the 1990s", "1990-01-01", "2000-01-01"),
        ("late 2021", "2021-09-01", "2022-01-01"),
        ("in summer 2022", "2022-06-01", "2022-09-01"),
        ("in March", "2026-03-01", "2026-04-01"),
        ("in December", "2025-12-01", "2026-01-01"),
        ("3rd of March 2024", "2024-03-03", "2024-03-04"),
        ("on 2024-02-29", "2024-02-29", "2024-03-01"),
        ("since the start of 2023", "2023-01-01", ""),
        ("from 2015 through 2017", "2015-01-01", "2018-01-01"),
        ("2015–2017", "2015-01-01", "2018-01-01"),
        ("between March and May 2024", "2024-03-01", "2024-06-01"),
        ("between 2022 and 2020", "2020-01-01", "2023-01-01"),
        ("from November to February", "2025-11-01", "2026-03-01"),
        ("after 2022", "2023-01-01", ""),
        ("newer than March 2022", "2022-04-01", ""),
        ("before 2010", "", "2010-01-01"),
        ("until 2010", "", "2011-01-01"),
        ("no later than 2019-05-01", "", "2019-05-02"),
        ("2023 onwards", "2023-01-01", ""),
        ("2019 or earlier", "", "2020-01-01"),
        ("last year", "2025-01-01", "2026-01-01"),
        ("this quarter", "2026-10-01", ""),
        ("in the last year", "2025-11-20", ""),
        ("the past two weeks", "2026-11-06", ""),
        ("three months ago", "2026-08-20", "2026-09-20"),
        ("last Monday", "2026-11-16", "2026-11-17"),
        ("yesterday", "2026-11-19", "2026-11-20"),
    ],
)
def test_words_for_dates_mean_half_open_ranges(text: str, start: str, end: str) -> None:
    assert _ranges(f"notes {text}") == [(start, end)]


def test_what_stands_in_parentheses_after_a_date_says_it_more_exactly() -> None:
    assert _ranges("In late 2021 (October to December), which") == [("2021-10-01", "2022-01-01")]


@pytest.mark.parametrize(
    "text", ["May I go?", "on 31 February 2024", "PEP 2026", "$2000", "version 2.2019", "10 March-ish"]
)
def test_what_is_no_date_is_none(text: str) -> None:
    assert _ranges(text) == []


def test_a_day_begins_where_the_asker_is() -> None:
    tokyo = NOW.astimezone(ZoneInfo("Asia/Tokyo"))
    (yesterday,) = find_dates("yesterday", tokyo)
    assert yesterday.start == datetime(2026, 11, 18, 15, tzinfo=UTC)


SAID = (
    "notes by Ana Lovelace or Bob not from 2019 to last week final drafts that are tagged hr , : since May 31 30 "
    "February Final rejected proposals in the handbook which 's (2020) 9999-99-99 about who what isn't except"
)
WORDS = st.sampled_from(list(dict.fromkeys(SAID.split(" "))))
CATALOGUE = Catalogue({"author": {"Ana Lovelace": 1}, "status": {"final": 1, "Rejected": 2}, "tags": {"hr": 1}})


def _named(filter_: Filter) -> list[Condition]:
    match filter_:
        case Condition():
            return [filter_]
        case Not(item):
            return _named(item)
        case And(items) | Or(items):
            return [one for item in items for one in _named(item)]


@given(st.lists(WORDS, max_size=14).map(" ".join) | st.text(max_size=80))
def test_whatever_is_asked_a_filter_names_only_what_the_catalogue_holds(text: str) -> None:
    guesses, _ = read_conditions(text, CATALOGUE, NOW)
    for guess in guesses:
        assert 0 <= guess.span[0] <= guess.span[1] <= len(text)
        for one in _named(guess.filter):
            values = one.value if isinstance(one.value, tuple) else (one.value,)
            assert one.field == "published_at" or set(values) <= set(CATALOGUE.values[one.field])
