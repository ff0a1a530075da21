"""Which version of a document a question asks for, and in which order its versions stand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from backend.domain import Passage
from backend.query.versions import asked_until, prefer_valid, same_title, wants_latest
from tests.fakes.story import passage_of

OLD, MIDDLE, NEW = (datetime(year, 4, 1, tzinfo=UTC) for year in (2020, 2022, 2023))
TEXT = "Employees must be in the office {} days a week from now on."
QUESTION = "How many days a week must employees be in the office?"


def version(
    name: str, day: datetime | None, score: float, *, title: str = "Office Policy", days: str = "two"
) -> Passage:
    return replace(passage_of(TEXT.format(days), title=title, chunk_id=name, score=score), published_at=day)


def order(question: str, passages: Sequence[Passage]) -> list[str]:
    return [one.chunk_id for one in prefer_valid(question, passages)]


VERSIONS = (
    version("middle", MIDDLE, 1.3, title="Office Policy Update April 2022"),
    version("new", NEW, 1.2, title="Office policy v3", days="three"),
    version("old", OLD, 1.1, title="Office Policy", days="no"),
)


def test_the_newest_version_stands_above_those_it_supersedes() -> None:
    assert order(QUESTION, VERSIONS) == ["new", "middle", "old"]


def test_versions_keep_the_scores_of_the_places_they_hold() -> None:
    assert sorted(one.score for one in prefer_valid(QUESTION, VERSIONS)) == pytest.approx([1.1, 1.2, 1.3], abs=1e-4)


def test_a_question_about_a_time_gets_the_version_valid_then_and_later_ones_last() -> None:
    assert order("In summer 2022, how many office days were required?", VERSIONS) == ["middle", "old", "new"]
    assert order("How many office days were required in 2021?", VERSIONS)[0] == "old"


def test_a_question_about_the_history_leaves_the_order_to_relevance() -> None:
    assert order("How has the rule on office days changed over the years?", VERSIONS) == ["middle", "new", "old"]


@pytest.mark.parametrize(
    ("question", "history"),
    [
        ("How did the office days change?", True),
        ("What has changed about office days?", True),
        ("How many days did we use to have, and what used to be the rule?", True),
        ("What do both versions of the office policy say?", True),
        ("How many days must employees be in the office compared to contractors?", False),
        ("Office versus home: how many days, and how do they differ?", False),
        ("How long does it take to change my office days?", False),
        ("Which form is used to ask for more days in the office?", False),
    ],
)
def test_comparing_and_changing_is_not_history(question: str, history: bool) -> None:
    assert (order(question, VERSIONS)[0] == "middle") == history


def test_a_newer_version_that_hardly_bears_on_the_question_does_not_rise() -> None:
    assert order(QUESTION, [VERSIONS[0], replace(VERSIONS[1], score=0.4)]) == ["middle", "new"]


def test_a_question_that_names_one_of_them_gets_that_one() -> None:
    versions = [version("a", OLD, 1.3, title="Office Policy Germany"), version("b", NEW, 1.2, title="Office Policy")]
    assert order(QUESTION, versions) == ["b", "a"]
    assert order("How many days in the office, in Germany?", versions) == ["a", "b"]
    years = [version(str(day.year), day, 1.3, title=f"Office Policy {day.year}") for day in (OLD, NEW)]
    assert order("office policy", years) == ["2023", "2020"]
    assert order("office policy 2020", years) == ["2020", "2023"]


def test_all_passages_of_a_version_move_together() -> None:
    second = replace(VERSIONS[0], chunk_id="middle-2", position=1, score=1.25)
    assert order(QUESTION, [*VERSIONS, second]) == ["new", "middle", "middle-2", "old"]


def test_documents_without_a_date_or_about_other_things_stay_where_they_are() -> None:
    undated = version("undated", None, 1.3)
    other = replace(
        passage_of("Pets are not allowed in kitchens.", title="Office Policy", chunk_id="pets", score=1.2),
        published_at=NEW,
    )
    assert order(QUESTION, [undated, VERSIONS[2]]) == ["undated", "old"]
    assert order(QUESTION, [version("old", OLD, 1.3), other]) == ["old", "pets"]


def test_where_the_latest_is_asked_for_newer_documents_rise() -> None:
    notes = [
        replace(passage_of(text, title=title, chunk_id=title, score=score), published_at=day)
        for text, title, score, day in (
            ("The pilot begins in May.", "Apollo", 1.25, OLD),
            ("Everyone agreed that June suits them better.", "Notes of Tuesday", 1.2, NEW),
        )
    ]
    assert order("When does the pilot begin?", notes) == ["Apollo", "Notes of Tuesday"]
    assert order("When does the pilot begin, at the moment?", notes) == ["Notes of Tuesday", "Apollo"]


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("Work From Home Policy", "WFH policy update May 2023", True),
        ("April Work From Home Update", "Wfh Policy Update May 2023", True),
        ("Travel Policy v2", "Travel policy (2021, superseded)", True),
        ("Travel Policy", "Vacation Policy", False),
        ("Leave Policy Germany 2021", "Leave Policy France 2023", False),
        ("Leave Policy", "Leave Policy Germany 2023", True),
        ("Chat 20260924_20:00", "Chat 20260925_20:00", False),
        ("Handbook", "Handbook", False),
        ("", "", False),
    ],
)
def test_titles_are_the_same_but_for_dates_and_words_like_update(one: str, other: str, same: bool) -> None:
    assert same_title(one, other) is same
    assert same_title(other, one) is same


@pytest.mark.parametrize(
    ("question", "until"),
    [
        ("In summer 2022, how many office days were required?", datetime(2022, 9, 1, tzinfo=UTC)),
        ("What was the limit as of March 2021?", datetime(2021, 4, 1, tzinfo=UTC)),
        ("What was the limit in December 2021?", datetime(2022, 1, 1, tzinfo=UTC)),
        ("Who led the team during 2019?", datetime(2020, 1, 1, tzinfo=UTC)),
        ("Revenue in Q4 of 2024?", datetime(2025, 1, 1, tzinfo=UTC)),
        ("What was planned in winter 2020?", datetime(2021, 3, 1, tzinfo=UTC)),
        ("How much should revenue grow in fiscal 2024?", None),
        ("What is the limit?", None),
    ],
)
def test_the_time_that_a_question_is_about_has_an_end(question: str, until: datetime | None) -> None:
    assert asked_until(question) == until


def test_the_present_is_asked_for_in_many_words() -> None:
    for question in ("What is the current limit?", "the latest?", "Was gilt derzeit?", "la dernière version ?"):
        assert wants_latest(question)
    for question in ("Who knows the limit?", "What was the limit?", "How do I know my nowhere list?"):
        assert not wants_latest(question)
