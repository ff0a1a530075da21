"""The short form of the audience run; `make eval SET=audience` is the long one."""

from __future__ import annotations

import pytest

from tests.evals.audience import BROKEN, explored
from tests.evals.audience_house import Break

QUESTIONS = 120


def test_no_reader_meets_a_document_that_they_may_not_read() -> None:
    tally = explored(QUESTIONS)
    assert (tally.leaked, tally.examples) == (0, [])
    assert tally.asked >= QUESTIONS
    assert tally.outcomes["answered"] > QUESTIONS / 10
    assert tally.outcomes["refused"]
    assert tally.hits
    assert tally.searched.total() > 5 * QUESTIONS


@pytest.mark.parametrize("broken", BROKEN)
def test_the_same_search_finds_the_leaks_of_what_is_broken_on_purpose(broken: Break) -> None:
    assert explored(1_000, broken, leaks=1).leaked
