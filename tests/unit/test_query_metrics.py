import math

import pytest

from backend.evaluate.metrics import Judgement, auroc, coverage, holds_answer, judgement, median, ndcg, recall


def test_ndcg_is_one_for_a_perfect_ranking_and_discounts_by_rank() -> None:
    assert ndcg(["a", "b", "x"], {"a", "b"}, 10) == pytest.approx(1)
    assert ndcg(["x", "a"], {"a"}, 10) == pytest.approx(1 / math.log2(3))
    assert ndcg(["x"] * 9 + ["y", "a"], {"a"}, 2) == 0


def test_a_document_counts_once_where_it_first_stands() -> None:
    assert ndcg(["a", "a", "b"], {"a", "b"}, 2) == pytest.approx(1)
    assert recall(["a", "a", "a", "b"], {"a", "b"}, 2) == 1


def test_an_answer_is_held_from_six_tenths_of_its_words() -> None:
    assert coverage("It takes 20 weeks.", "20 weeks of leave") == pytest.approx(2 / 3)
    assert holds_answer("It takes 20 weeks.", ["nothing alike", "20 weeks of leave"])
    assert not holds_answer("It takes time.", ["20 weeks of leave"])


def test_auroc_counts_ties_as_half() -> None:
    assert auroc([3, 2, 1], [True, True, False]) == 1
    assert auroc([1, 1], [True, False]) == 0.5
    assert math.isnan(auroc([1], [True]))
    assert median([3, 1, 2]) == 2


def test_decisions_are_compared_with_labels() -> None:
    found = judgement([True, True, False, False], [True, False, True, False])
    assert found == Judgement(0.5, 0.5, 0.5, 0.5)
    assert judgement([False], [True]) == Judgement(0.0, 0.0, 0.0, 0.0)
