"""A change that misreads questions is seen in CI: figures on the labelled sets against floors."""

from __future__ import annotations

import pytest

from backend.evaluate.metrics import mean
from tests.evals.corpora import labelled
from tests.evals.understand import GROUPS, Parsed, parse_peps, parse_sources, thresholds

pytestmark = labelled()


@pytest.fixture(scope="module")
def parsed() -> list[Parsed]:
    return parse_peps()


def _of(parsed: list[Parsed], group: str) -> list[Parsed]:
    return [one for one in parsed if GROUPS[group](one.kind)]


def test_filters_of_handwritten_questions_are_the_labelled_ones(parsed: list[Parsed]) -> None:
    own = _of(parsed, "handwritten")
    assert mean([one.exact for one in own]) >= thresholds()["peps exact, handwritten"]
    assert mean([one.f1 for one in own]) >= thresholds()["peps set F1, handwritten"]


def test_filters_of_templates_are_the_labelled_ones(parsed: list[Parsed]) -> None:
    assert mean([one.exact for one in _of(parsed, "templates")]) >= thresholds()["peps exact, templates"]


def test_questions_that_ask_for_no_filter_get_none(parsed: list[Parsed]) -> None:
    assert mean([not one.filtered for one in _of(parsed, "asks for no filter")]) >= thresholds()["peps no filter"]


def test_sources_are_those_that_the_question_names_and_all_are_known() -> None:
    found = parse_sources()
    assert mean([one.exact for one in found]) >= thresholds()["sources exact"]
    assert sum(one.unknown for one in found) == 0
