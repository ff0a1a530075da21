"""Experiments between prompts: who gets which arm, and what may be concluded from what people say."""

from __future__ import annotations

import random
from collections import Counter
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.evaluate.experiments import (
    LEAST_RATED,
    bayes_factor,
    probability_above,
    rate,
    result_of,
    verdict,
)
from backend.evaluate.history import PastRun
from backend.experiments import Experiment, parse_plan
from backend.prompts import PromptError

START = datetime(2026, 12, 1, tzinfo=UTC)
FILE = """
current: {answer: v1}
experiments:
  - name: brief
    arms: {answer@v1: 3, answer@v2: 1}
    share: 0.5
    start: 2026-12-01
    stop: 2026-12-15
"""
EXPERIMENT = Experiment("e1", (("answer@v1", 1), ("answer@v2", 1)), 1.0, START)


# ---------------------------------------------------------------------------------------------------------- assignment


def test_a_thread_keeps_its_arm_and_threads_are_shared_out_by_weight() -> None:
    plan = parse_plan(FILE)
    given = [plan.assigned("T1", f"T1:C1:{n}", START) for n in range(4_000)]
    assert given == [plan.assigned("T1", f"T1:C1:{n}", START + timedelta(days=13)) for n in range(4_000)]
    arms = Counter(one.arm if one else None for one in given)
    assert 1_850 < arms[None] < 2_150
    assert 1_370 < arms["answer@v1"] < 1_630
    assert 400 < arms["answer@v2"] < 600


@pytest.mark.parametrize("moment", [START - timedelta(seconds=1), START + timedelta(days=14)])
def test_before_its_start_and_from_its_stop_on_nobody_takes_part(moment: datetime) -> None:
    plan = parse_plan(FILE.replace("share: 0.5", "share: 1"))
    assert plan.assigned("T1", "x", START) is not None
    assert plan.assigned("T1", "x", moment) is None
    assert plan.assigned("T1", None, START) is None


def test_the_same_thread_id_of_another_team_is_another_thread() -> None:
    plan = parse_plan(FILE)
    mine, theirs = ([plan.assigned(team, str(n), START) for n in range(200)] for team in ("T1", "T2"))
    assert mine != theirs


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("answer: v1", "understand: v2", "answer is missing"),
        ("answer@v2: 1", "verify@v1: 1", "versions of answer"),
        (", answer@v2: 1", "", "at least 2"),
        ("answer@v2: 1", "answer@v2: 0", "greater than 0"),
        ("share: 0.5", "share: 2", "less than or equal to 1"),
        ("stop: 2026-12-15", "stop: 2026-12-01", "must stop after"),
        ("name: brief", "name: Brief one", "name"),
        ("share: 0.5", "shares: 0.5", "shares"),
        ("current: {", "current: {{", "not YAML"),
    ],
)
def test_a_wrong_plan_is_one_clear_line(old: str, new: str, said: str) -> None:
    assert old in FILE
    with pytest.raises(PromptError, match=said) as raised:
        parse_plan(FILE.replace(old, new, 1))
    assert "\n" not in str(raised.value)


def test_two_experiments_at_the_same_time_are_refused() -> None:
    second = FILE.split("experiments:")[1].replace("brief", "other")
    with pytest.raises(PromptError, match="same time"):
        parse_plan(FILE + second)
    later = second.replace("start: 2026-12-01", "start: 2026-12-15").replace("stop: 2026-12-15", "stop: 2026-12-20")
    assert len(parse_plan(FILE + later).experiments) == 2


# ---------------------------------------------------------------------------------------------------------- statistics


def test_a_rate_says_what_its_posterior_holds() -> None:
    assert rate(0, 0).share == 0
    assert (rate(0, 0).low, rate(0, 0).high) == pytest.approx((0.025, 0.975), abs=0.001)
    seven = rate(7, 10)  # Beta(8, 4): 0.3903 to 0.8907
    assert (seven.low, seven.high) == pytest.approx((0.3903, 0.8907), abs=0.001)


def test_the_probability_of_being_better_agrees_with_drawing_from_both_posteriors() -> None:
    drawn = random.Random(7)
    pairs = [(drawn.betavariate(13, 9), drawn.betavariate(9, 13)) for _ in range(40_000)]
    expected = sum(b > a for b, a in pairs) / len(pairs)
    assert probability_above(rate(12, 20), rate(8, 20)) == pytest.approx(expected, abs=0.01)


@given(st.integers(0, 60), st.integers(0, 60), st.integers(0, 60), st.integers(0, 60))
def test_one_of_two_is_better(hits: int, misses: int, others: int, missed: int) -> None:
    one, other = rate(hits, hits + misses), rate(others, others + missed)
    assert probability_above(one, other) + probability_above(other, one) == pytest.approx(1)
    assert bayes_factor(one, other) == pytest.approx(bayes_factor(other, one))


def test_little_data_is_said_to_be_little() -> None:
    assert verdict(rate(LEAST_RATED - 1, LEAST_RATED - 1), rate(0, 500)) == "not enough data"
    assert verdict(rate(500, 500), rate(0, LEAST_RATED - 1)) == "not enough data"


# --------------------------------------------------------------------------------- simulated feedback, many experiments


def simulated(seed: int, likes: dict[str, float], threads: int) -> list[PastRun]:
    """Return runs of threads that are assigned as in life; some ask again, two of three rate."""
    chance = random.Random(seed)
    runs: list[PastRun] = []
    for n in range(threads):
        arm = EXPERIMENT.arm_of(f"T{seed}", str(n))
        assert arm is not None
        for turn in range(1 + (chance.random() < 0.3)):
            rated = (1 if chance.random() < likes[arm] else -1,) if chance.random() < 0.66 and not turn else ()
            moment = START + timedelta(minutes=10 * n + turn)
            runs.append(
                PastRun(
                    f"{n}.{turn}", moment, "answered", "q", thread=str(n), experiment="e1", arm=arm, prompt=arm,
                    prompt_hash=arm, total_ms=100.0, cost=0.01, ratings=rated,
                )
            )  # fmt: skip
    return runs


def test_a_known_difference_is_found() -> None:
    found = [result_of(EXPERIMENT, simulated(seed, {"answer@v1": 0.6, "answer@v2": 0.85}, 400)) for seed in range(30)]
    assert sum(one.winner == "answer@v2" for one in found) >= 27
    first = found[0]
    (arm_a, arm_b), (compared,) = first.arms, first.comparisons
    assert arm_a.liked.low < 0.6 < arm_a.liked.high
    assert arm_b.liked.low < 0.85 < arm_b.liked.high
    assert arm_a.threads + arm_b.threads == 400
    assert 0.2 < arm_a.followed_up.share < 0.4
    assert compared.verdict == "better"
    assert compared.probability > 0.99


def test_the_worse_arm_is_called_worse_and_not_promoted() -> None:
    result = result_of(EXPERIMENT, simulated(3, {"answer@v1": 0.85, "answer@v2": 0.5}, 400))
    assert result.comparisons[0].verdict == "worse"
    assert result.winner is None


@pytest.mark.parametrize("liked", [0.5, 0.75, 0.9])
def test_without_a_difference_nothing_is_claimed_however_often_one_looks(liked: float) -> None:
    """300 experiments without a difference, looked at after every 10 ratings: few may ever claim one."""
    chance, alarms, looks = random.Random(11), 0, range(LEAST_RATED, 310, 10)
    for _ in range(300):
        hits = [[chance.random() < liked for _ in range(310)] for _ in range(2)]
        seen = [[sum(arm[:count]) for count in looks] for arm in hits]
        alarms += any(
            verdict(rate(b, count), rate(a, count)) in ("better", "worse")
            for a, b, count in zip(*seen, looks, strict=True)
        )
    assert alarms <= 300 * 0.05


def test_more_of_the_same_ratings_make_one_surer() -> None:
    grown = [probability_above(rate(8 * n, 10 * n), rate(6 * n, 10 * n)) for n in (1, 3, 9, 27)]
    assert all(later > earlier for earlier, later in pairwise(grown))


def test_divided_ratings_of_a_thread_say_nothing_and_many_count_once() -> None:
    runs = [
        PastRun("1", START, "answered", "q", thread="a", arm="answer@v1", ratings=(1, -1)),
        PastRun("2", START, "answered", "q", thread="b", arm="answer@v1", ratings=(1, 1, 1)),
        PastRun("3", START, "abstained", "q", thread="c", arm="answer@v1", dropped=2),
    ]
    arm = result_of(EXPERIMENT, runs).arms[0]
    assert (arm.liked.hits, arm.liked.of, arm.threads) == (1, 1, 3)
    assert (arm.abstained.hits, arm.dropped.hits) == (1, 1)
