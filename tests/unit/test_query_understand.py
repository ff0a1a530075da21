from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from backend.domain import Catalogue, Condition, Question, Turn
from backend.errors import LLMUnavailable
from backend.query.filters import describe
from backend.query.understand import Reading, inherit, read_conditions, relax, stand_alone, understand
from tests.fakes.story import ScriptedRewriter

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
CATALOGUE = Catalogue(
    {
        "author": {"Ana María Núñez": 3, "Victor Stinner": 2, "Ofek Lev": 1, "Bob Stone": 1},
        "source": {"Handbook": 9, "confluence": 4},
        "tags": {"hr": 2, "security": 1},
        "status": {"draft": 1, "final": 5},
        "title": {"Leave Policy": 1},
    }
)


def _read(text: str) -> list[str]:
    return [describe(guess.filter) for guess in read_conditions(text, CATALOGUE, NOW)[0]]


@pytest.mark.parametrize(
    ("question", "filters"),
    [
        ("notes written by Ana since March", ["author Ana María Núñez", "since 1 Mar 2026"]),
        ("What did ana maria nunez write about leave?", ["author Ana María Núñez"]),
        ("documents by Victor Stiner about clocks", ["author Victor Stinner"]),
        ("documents by Ofek Lev or Victor Stinner from 2023", ["author Ofek Lev, Victor Stinner", "in 2023"]),
        ("memos not by Bob Stone", ["not author Bob Stone"]),
        ("How much leave is there according to the handbook?", ["source Handbook"]),
        ("In Confluence, where is the on-call list?", ["source confluence"]),
        ("pages tagged hr about leave", ["tag hr"]),
        ("reports with status draft", ["status draft"]),
        ("documents published between March 2024 and May 2024", ["1 Mar 2024 to 31 May 2024"]),
        ("pages updated before 2020", ["before 1 Jan 2020"]),
        ("notes from last week about the launch", ["9 Nov 2026 to 15 Nov 2026"]),
        ("documents from last quarter", ["1 Jul 2026 to 30 Sep 2026"]),
        ("posts written in the last 30 days", ["22 Oct 2026 to 20 Nov 2026"]),
        ("announcements from yesterday", ["on 19 Nov 2026"]),
        ("Which pages about Slack were changed in 2024 or later?", ["since 1 Jan 2024"]),
        ("List the Confluence documents written in 2019.", ["source confluence", "in 2019"]),
        ("tickets filed after 2026-03-05", ["since 6 Mar 2026"]),
    ],
)
def test_a_condition_on_documents_becomes_a_filter(question: str, filters: list[str]) -> None:
    assert _read(question) == filters


@pytest.mark.parametrize(
    "question",
    [
        "In summer 2022, how many office days were required?",
        "What changed since March?",
        "How many pages did the 2019 report have?",
        "Which documents do I need in December?",
        "Is the office open on 24 December?",
        "Who is the author of the style guide?",
        "Do I have to submit it by Friday?",
        "Can I pay by card in the canteen?",
        "What is the security policy?",
        "Why is it called the leave policy?",
        "How do I get from Berlin to Paris?",
        "What does final mean in contracts?",
    ],
)
def test_words_that_ask_for_something_else_are_no_filter(question: str) -> None:
    assert read_conditions(question, CATALOGUE, NOW) == ((), ())


def test_an_unknown_name_is_told_and_not_applied() -> None:
    guesses, notices = read_conditions("documents by Zoltan Kiss about leave", CATALOGUE, NOW)
    assert guesses == ()
    assert "Zoltan Kiss" in notices[0]


def test_days_are_those_of_the_asker() -> None:
    berlin = NOW.astimezone(ZoneInfo("Europe/Berlin"))
    (guess,), _ = read_conditions("notes written since March", CATALOGUE, berlin)
    assert guess.filter == Condition("gte", "published_at", datetime(2026, 2, 28, 23, tzinfo=UTC))


def test_relaxing_gives_up_the_least_certain_first_and_never_the_callers_own() -> None:
    own = Condition("eq", "tags", "hr")
    question = Question("In Confluence, notes written by Ana Maria Nunez", "T1", filter=own)
    reading: Reading | None = understand(question, question.text, CATALOGUE, NOW)
    filters = []
    while reading is not None:
        assert reading.query.filter is not None
        filters.append(describe(reading.query.filter))
        last, reading = reading, relax(reading)
    assert filters == [
        "tag hr · source confluence · author Ana María Núñez",
        "tag hr · author Ana María Núñez",
        "tag hr",
    ]
    assert last.query.relaxed
    assert len(last.query.notices) == 2


def _thread(text: str) -> Question:
    turns = (Turn("user", "How long is parental leave for employees?"), Turn("assistant", "20 weeks [1]."))
    return Question(text, "T1", history=turns)


def test_a_follow_up_takes_the_words_it_lacks_from_the_thread() -> None:
    assert inherit(_thread("and for contractors?")) == "and for contractors? (long parental leave employees)"
    assert inherit(Question("and for contractors?", "T1")) == "and for contractors?"


def test_a_new_subject_takes_nothing_from_the_thread() -> None:
    text = "Which password manager does the company recommend?"
    assert inherit(_thread(text)) == text


@pytest.mark.parametrize(
    ("rewriter", "text"),
    [
        (
            ScriptedRewriter("How long is parental leave for contractors?"),
            "How long is parental leave for contractors?",
        ),
        (ScriptedRewriter(stuck=True), "and for contractors? (long parental leave employees)"),
        (ScriptedRewriter(fault=LLMUnavailable("down")), "and for contractors? (long parental leave employees)"),
        (ScriptedRewriter(""), "and for contractors? (long parental leave employees)"),
    ],
)
async def test_the_llm_rewrites_within_its_deadline_or_the_thread_decides(
    rewriter: ScriptedRewriter, text: str
) -> None:
    assert await stand_alone(_thread("and for contractors?"), rewriter, deadline=0.02) == text
