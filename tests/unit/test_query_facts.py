import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.query.facts import alike, disagreement, measured, missing_names, missing_numbers, turned

OFFER = (
    "The Early Bird bundle costs $100 per month for the first 20 customers who sign up before 31 August 2022.",
    "Trials last two weeks and include a comprehensive plan.",
    "Pets are not allowed in meeting rooms.",
    "Notice is given to Ana Lopez of the US office in the 2018-2019 season.",
)
WHOLE = "\n".join(OFFER)


@pytest.mark.parametrize(
    "text",
    [
        "The bundle is $100 a month for 20 customers.",
        "A trial of 2 weeks is included.",
        "It was the 2018–19 season.",
        "Sign up before August 31st, 2022.",
        "One plan is included.",
        "Three things are listed.",
    ],
)
def test_numbers_that_agree_are_found_however_they_are_written(text: str) -> None:
    assert missing_numbers(text, WHOLE) == frozenset()


@pytest.mark.parametrize(
    ("text", "missing"),
    [
        ("The bundle costs $50 per month.", {"50"}),
        ("The bundle costs €100 per month.", {"100"}),
        ("Trials last two months.", {"2"}),
        ("Trials last three weeks.", {"3"}),
        ("The first 30 customers get it.", {"30"}),
    ],
)
def test_another_value_or_unit_is_missing(text: str, missing: set[str]) -> None:
    assert missing_numbers(text, WHOLE) == missing


def test_names_are_known_in_any_form_of_the_same_word() -> None:
    assert missing_names("Tell Ana Lopez of the U.S. office.", WHOLE) == frozenset()
    assert missing_names("Ask Bob Lopez at the office.", WHOLE) == {"bob"}
    assert missing_names("They fought Nazism.", "The Nazis came.") == frozenset()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Trials do not include a comprehensive plan.", {"includ", "comprehensiv", "plan"}),
        ("Trials exclude a comprehensive plan.", {"exclud"}),
        ("The bundle costs $100 per year.", {"year"}),
        ("Sign up after 31 August 2022.", {"after"}),
        ("Pets are allowed in meeting rooms.", {"allow", "meet", "room"}),
    ],
)
def test_what_is_said_the_other_way_round_is_found(text: str, words: set[str]) -> None:
    assert turned(text, OFFER) == words


@pytest.mark.parametrize(
    "text",
    ["Pets are not allowed in meeting rooms.", "Pets are forbidden in meeting rooms.", "Customers pay monthly."],
)
def test_what_is_said_in_other_words_is_no_contradiction(text: str) -> None:
    assert turned(text, OFFER) == frozenset()


def test_an_opposite_in_another_place_is_no_contradiction() -> None:
    assert turned("Early customers like it.", ("It was late at night.", "Customers like it.")) == frozenset()


def test_free_means_at_no_cost() -> None:
    assert turned("The trial is at no cost.", ("The trial is free of cost.",)) == frozenset()


@given(st.text(max_size=120))
def test_a_text_never_disagrees_with_itself(text: str) -> None:
    assert disagreement(text, (text,)).kinds == 0


@given(st.sampled_from(OFFER), st.lists(st.sampled_from(OFFER), max_size=4))
def test_a_sentence_of_the_evidence_never_disagrees_with_it(text: str, others: list[str]) -> None:
    assert disagreement(text, (*others, text)).kinds == 0


def test_values_are_told_apart_by_what_they_measure() -> None:
    assert measured("Three days a week since 2023, not on Monday.") == {
        "day": {"3"},
        "year": {"2023"},
        "weekday": {"monday"},
    }


def test_words_of_a_family_are_alike() -> None:
    assert alike("recommend", "recommended")
    assert not alike("general", "generous")
    assert not alike("cat", "car")
