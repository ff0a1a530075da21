"""Rate limits and budgets: who is let in, who is told when to come back, and what is counted."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from limits import parse

from backend.adapters.migrate import migrate
from backend.adapters.rates import WindowRates
from backend.adapters.sql import Database
from backend.api.limits import Budgets, Doorkeeper, MeteredRuns, spoken
from backend.domain import Audience, Query, Question, Run, RunMetadata
from backend.errors import BudgetSpent, DatabaseUnavailable, TooFast
from backend.ports import Scope, Spendings, Spent
from backend.schema import BUDGET_SPENT, TOO_FAST
from tests.fakes.server import running
from tests.fakes.state import FakeRuns, FakeSpendings
from tests.redis_server import needs_redis, running_redis

NOW = datetime(2026, 11, 20, 21, 30, tzinfo=UTC)
QUESTION = Question("Why?", "T1", Audience(channel="C1", user="U1"))
NOBODY = Question("Why?", "T1")
MODEST: dict[Scope, str | None] = {"user": "2/minute", "channel": "3/minute", "team": "4/minute"}


@dataclass
class Counts:
    refused: list[tuple[str, Scope]] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)

    def limited(self, limit: str, scope: Scope) -> None:
        self.refused.append((limit, scope))

    def limit_failed(self, limit: str) -> None:
        self.failed.append(limit)


def door(counts: Counts, *, spendings: Spendings | None = None, budgets: Budgets | None = None) -> Doorkeeper:
    rates = WindowRates.open(MODEST, None, counts)
    return Doorkeeper(rates, spendings or FakeSpendings(), budgets or Budgets(), counts, now=lambda: NOW)


def by(user: str | None, channel: str | None = "C1", team: str = "T1") -> Question:
    return Question("Why?", team, Audience(channel=channel, user=user))


async def test_each_of_user_channel_and_team_has_a_limit_and_the_narrowest_is_named() -> None:
    counts = Counts()
    keeper = door(counts)
    for question in (by("U1"), by("U1"), by("U2")):
        await keeper.admit(question)
    refused = [(by("U1"), "You have"), (by("U3"), "This channel has")]
    for question, whose in refused:
        with pytest.raises(TooFast, match=f"{whose} asked a lot in a short time. Please ask again in \\d+ s."):
            await keeper.admit(question)
    await keeper.admit(by("U3", channel="C2"))
    with pytest.raises(TooFast, match="Your team has"):
        await keeper.admit(by(None, channel=None))
    await keeper.admit(by("U1", team="T2"))
    assert counts.refused == [("rate", "user"), ("rate", "channel"), ("rate", "team")]


async def test_who_hammers_uses_up_their_own_share_only() -> None:
    keeper = door(Counts())
    for _ in range(2):
        await keeper.admit(by("U1"))
    for _ in range(20):
        with pytest.raises(TooFast):
            await keeper.admit(by("U1"))
    await keeper.admit(by("U2"))


async def test_the_wait_that_is_told_is_long_enough_and_no_longer_than_the_window() -> None:
    rates = WindowRates({"user": parse("2/second")}, Counts())
    for _ in range(2):
        assert await rates.take("T1", {"user": "U1"}) is None
    wait = await rates.take("T1", {"user": "U1"})
    assert wait is not None
    assert wait.seconds == 1
    await asyncio.sleep(wait.seconds + 0.05)
    assert await rates.take("T1", {"user": "U1"}) is None


@pytest.mark.parametrize(
    ("seconds", "words"), [(1, "1 s"), (20, "20 s"), (120, "120 s"), (121, "3 min"), (7201, "3 h"), (9000, "3 h")]
)
def test_a_wait_is_told_as_a_person_says_it(seconds: int, words: str) -> None:
    assert spoken(seconds) == words


@pytest.mark.parametrize(
    ("budgets", "named"),
    [
        (Budgets(tokens={"user": 100}), "You have"),
        (Budgets(tokens={"channel": 100, "user": 101}), "This channel has"),
        (Budgets(cost={"team": 0.5}), "Your team has"),
    ],
)
async def test_a_budget_that_is_spent_says_so_and_when_it_starts_anew(budgets: Budgets, named: str) -> None:
    counts, spendings = Counts(), FakeSpendings()
    keeper = door(counts, spendings=spendings, budgets=budgets)
    await keeper.admit(by("U1"))
    runs = MeteredRuns(FakeRuns(), spendings, counts)
    await runs.put(run(QUESTION, tokens_in=60, tokens_out=40, cost=0.5))
    with pytest.raises(BudgetSpent, match=f"{named} used up .* midnight UTC, in 3 h") as refused:
        await keeper.admit(by("U1"))
    assert refused.value.retry_after == 2.5 * 3600
    tomorrow = Doorkeeper(keeper.rates, spendings, budgets, counts, now=lambda: NOW + timedelta(hours=3))
    await tomorrow.admit(by("U2"))


async def test_what_is_searched_without_a_model_costs_no_budget() -> None:
    spendings = FakeSpendings()
    await spendings.add("T1", NOW.date(), {"team": "T1"}, Spent(1_000, 1.0))
    await door(Counts(), spendings=spendings, budgets=Budgets(tokens={"team": 10})).slow_down(NOBODY)


async def test_a_run_that_cost_nothing_is_recorded_without_an_account() -> None:
    runs, spendings = FakeRuns(), FakeSpendings()
    await MeteredRuns(runs, spendings, Counts()).put(run(QUESTION))
    assert (len(runs.rows), spendings.rows) == (1, {})


@dataclass
class _Down:
    async def of(self, team: str, day: date, subjects: Mapping[Scope, str]) -> dict[Scope, Spent]:
        raise DatabaseUnavailable("down")

    async def add(self, team: str, day: date, subjects: Mapping[Scope, str], spent: Spent) -> None:
        raise DatabaseUnavailable("down")


async def test_a_budget_that_cannot_be_looked_up_lets_questions_in_and_is_counted() -> None:
    counts, runs = Counts(), FakeRuns()
    await door(counts, spendings=_Down(), budgets=Budgets(tokens={"team": 1})).admit(QUESTION)
    await MeteredRuns(runs, _Down(), counts).put(run(QUESTION, tokens_in=1))
    assert counts.failed == ["budget", "budget"]
    assert runs.rows


@pytest.fixture(params=["real", "fake"])
async def spendings(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Spendings]:
    if request.param == "fake":
        yield FakeSpendings()
        return
    migrate(f"sqlite:///{tmp_path}/footnote.sqlite")
    database = Database.open(f"sqlite:///{tmp_path}/footnote.sqlite")
    yield database.spendings
    await database.close()


async def test_spendings_add_up_per_team_day_and_subject(spendings: Spendings) -> None:
    subjects: dict[Scope, str] = {"user": "X", "channel": "X", "team": "T1"}
    today = NOW.date()
    await asyncio.gather(*(spendings.add("T1", today, subjects, Spent(10, 0.25)) for _ in range(4)))
    await spendings.add("T1", today, {"user": "X"}, Spent(1, 0.0))
    await spendings.add("T2", today, subjects, Spent(7, 0.0))
    await spendings.add("T1", today - timedelta(days=1), subjects, Spent(5, 0.0))
    assert await spendings.of("T1", today, {**subjects, "user": "Y"}) == {
        "user": Spent(), "channel": Spent(40, 1.0), "team": Spent(40, 1.0),
    }  # fmt: skip
    assert await spendings.of("T1", today, {"user": "X"}) == {"user": Spent(41, 1.0)}


async def test_over_http_a_limit_is_a_problem_with_the_seconds_to_wait() -> None:
    spendings = FakeSpendings()
    keeper = door(Counts(), spendings=spendings, budgets=Budgets(tokens={"user": 5}))
    body = {"question": "Why?", "team": "T1", "audience": {"channel": "C1", "user": "U1"}, "stream": True}
    async with running(door=keeper) as backend:
        for _ in range(2):
            async with backend.http.post("/query", json=body) as reply:
                assert reply.status == 200
                await reply.read()
        for path in ("/query", "/search"):
            sent = {key: value for key, value in body.items() if path == "/query" or key != "stream"}
            async with backend.http.post(path, json=sent) as reply:
                problem = await reply.json(content_type="application/problem+json")
                assert (reply.status, problem["type"]) == (429, TOO_FAST)
                assert 0 < int(reply.headers["Retry-After"]) <= 60
                assert problem["detail"].endswith(" s.")
        await spendings.add("T1", NOW.date(), {"user": "U2"}, Spent(5))
        body["audience"] = {"user": "U2"}
        async with backend.http.post("/query", json=body) as reply:
            problem = await reply.json(content_type="application/problem+json")
            assert (reply.status, problem["type"], problem["title"]) == (429, BUDGET_SPENT, "Budget spent")


@needs_redis
async def test_replicas_share_a_limit_through_redis_and_go_on_alone_without_it(tmp_path: Path) -> None:
    counts = Counts()
    async with running_redis(tmp_path) as server:
        one, other = (WindowRates.open({"team": "3/minute"}, server.url, counts) for _ in range(2))
        subjects: dict[Scope, str] = {"team": "T1"}
        taken = [await rates.take("T1", subjects) for rates in (one, other, one, other, one)]
        assert [wait is None for wait in taken] == [True, True, True, False, False]
        await server.stop()
        taken = [await one.take("T1", subjects) for _ in range(4)]
        assert [wait is None for wait in taken] == [True, True, True, False]
        assert counts.failed == ["rate"]
        await one.close()
        await other.close()


def run(question: Question, **cost: float) -> Run:
    metadata = RunMetadata(**cost)  # type: ignore[arg-type]
    query = Query(question.text, question.team)
    return Run("r", question, "answered", query, (), "", (), metadata, NOW)
