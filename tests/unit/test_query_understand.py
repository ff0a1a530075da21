from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from backend.domain import Catalogue, Condition, Not, Question, Turn
from backend.errors import LLMUnavailable
from backend.query.conditions import read_conditions
from backend.query.filters import describe
from backend.query.proposal import Proposal, Proposed
from backend.query.threads import inherit
from backend.query.understand import Reading, read, relax, understand
from tests.fakes.story import ScriptedReader

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
CATALOGUE = Catalogue(
    {
        "author": {"Ana María Núñez": 3, "Victor Stinner": 2, "Ofek Lev": 1, "Bob Stone": 1, "Robert Miller": 1},
        "source": {"Handbook": 9, "confluence": 4, "slack": 3, "TechCrunch": 2, "The Age": 1, "Cnbc | World News": 1},
        "tags": {"hr": 2, "security": 1, "Typing": 2},
        "status": {"draft": 1, "final": 5, "Rejected": 2},
        "doc_type": {"pdf": 3, "email": 2},
        "language": {"en": 3, "de": 2},
        "python_version": {"3.8": 1, "3.12": 1},
        "budget": {5000.0: 1},
        "due": {datetime(2026, 3, 1, tzinfo=UTC): 1},
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
        ("What did Bob Miller say about travel?", ["author Robert Miller"]),
        ("V. Stinner's 2019 proposal on clocks", ["author Victor Stinner", "in 2019"]),
        ("documents by Ofek Lev or Victor Stinner from 2023", ["author Ofek Lev, Victor Stinner", "in 2023"]),
        ("memos by Ofek Lev and Bob Stone", ["author Ofek Lev · author Bob Stone"]),
        ("memos not by Bob Stone", ["not author Bob Stone"]),
        ("docs written by anyone but Ana", ["not author Ana María Núñez"]),
        ("Ofek Lev, 2023: single-file programs?", ["author Ofek Lev", "in 2023"]),
        ("Rejected proposals", ["status Rejected"]),
        ("Typing work newer than 2022", ["tag Typing", "since 1 Jan 2023"]),
        ("anything typing-related from this year?", ["tag Typing", "since 1 Jan 2026"]),
        ("which drafts were created in the last six months?", ["status draft", "since 20 May 2026"]),
        ("PEPs by Ofek Lev that are not final", ["author Ofek Lev", "not status final"]),
        ("What has Ofek Lev written that isn't final?", ["author Ofek Lev", "not status final"]),
        ("PEPs targeting Python 3.12 that ended up rejected", ["python version 3.12", "status Rejected"]),
        ("rejcted specs by Ofek Lev", ["status Rejected", "author Ofek Lev"]),
        ("the finished spec Ofek Lev wrote", ["status final", "author Ofek Lev"]),
        ("How much leave is there according to the handbook?", ["source Handbook"]),
        ("In Confluence, where is the on-call list?", ["source confluence"]),
        ("Do the TechCrunch article and the CNBC report agree?", ["source TechCrunch, Cnbc | World News"]),
        ("pages tagged hr about leave", ["tag hr"]),
        ("reports with status draft", ["status draft"]),
        ("documents with status: draft or final", ["status draft, final"]),
        ("all PDFs from 2024", ["type pdf", "in 2024"]),
        ("pages in German about leave", ["language de"]),
        ("In the Leave Policy document, how many days?", ["title Leave Policy"]),
        ("docs with a budget of at least 4,000", ["budget at least 4000"]),
        ("documents due before May 2026", ["due before 1 May 2026"]),
        ("documents published between March 2024 and May 2024", ["1 Mar 2024 to 31 May 2024"]),
        ("In late 2021 (October to December), which PEPs were written?", ["1 Oct 2021 to 31 Dec 2021"]),
        ("pages updated before 2020", ["before 1 Jan 2020"]),
        ("notes from last week about the launch", ["9 Nov 2026 to 15 Nov 2026"]),
        ("documents from last quarter", ["1 Jul 2026 to 30 Sep 2026"]),
        ("posts written in the last 30 days", ["since 21 Oct 2026"]),
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
        "May I take my dog into the meeting room?",
        "Who is the author of the style guide?",
        "Who is Ana Maria Nunez?",
        "When does Ana start her leave?",
        "What is Bob Stone's email?",
        "Was the proposal approved by Ana?",
        "Do I have to submit it by Friday?",
        "Can I pay by card in the canteen?",
        "What is the security policy?",
        "How do I report a security issue?",
        "Why is it called the leave policy?",
        "How do I get from Berlin to Paris?",
        "What does final mean in contracts?",
        "What does the 'final' qualifier mean?",
        "What is the final answer?",
        "How does a proposal become final?",
        "How do draft notes become final?",
        "How does Python 3.8 handle arguments?",
        "Does Slack support threads?",
        "How do I create a page in Confluence?",
        "Who became famous at the age of 16?",
    ],
)
def test_words_that_ask_for_something_else_are_no_filter(question: str) -> None:
    assert read_conditions(question, CATALOGUE, NOW) == ((), ())


@pytest.mark.parametrize("question", ["documents by Zoltan Kiss about leave", "What did Zoltan Kiss propose?"])
def test_an_unknown_name_is_told_and_not_applied(question: str) -> None:
    guesses, notices = read_conditions(question, CATALOGUE, NOW)
    assert guesses == ()
    assert "Zoltan Kiss" in notices[0]


def test_a_name_that_several_share_means_all_of_them() -> None:
    catalogue = Catalogue({"author": {"Ana Lovelace": 1, "Ana Stone": 1}})
    (guess,), _ = read_conditions("notes by Ana", catalogue, NOW)
    assert guess.filter == Condition("in", "author", ("Ana Lovelace", "Ana Stone"))


@pytest.mark.parametrize("said", ["Loewis", "von Lowis", "Martin v. Löwis", "MARTIN VON LÖWIS"])
def test_names_are_known_without_their_accents_and_by_their_initials(said: str) -> None:
    catalogue = Catalogue({"author": {"Martin von Löwis": 1, "Łukasz Langa": 1}})
    (guess,), _ = read_conditions(f"PEPs by {said}", catalogue, NOW)
    assert guess.filter == Condition("eq", "author", "Martin von Löwis")


def test_days_are_those_of_the_asker() -> None:
    berlin = NOW.astimezone(ZoneInfo("Europe/Berlin"))
    (guess,), _ = read_conditions("notes written since March", CATALOGUE, berlin)
    assert guess.filter == Condition("gte", "published_at", datetime(2026, 2, 28, 23, tzinfo=UTC))


def test_what_became_a_filter_is_left_out_of_the_text() -> None:
    reading = understand(Question("Ofek Lev's rejected idea on version numbers?", "T1"), CATALOGUE, NOW)
    assert reading.query.text == "idea on version numbers?"


def test_asked_without_understanding_nothing_is_read_from_the_question() -> None:
    own = Condition("eq", "tags", "hr")
    question = Question("Rejected proposals by Ofek Lev", "T1", filter=own, understand=False)
    reading = understand(question, CATALOGUE, NOW)
    assert (reading.query.text, reading.query.filter) == (question.text, own)
    assert reading.query.understood is None


def test_relaxing_gives_up_the_least_certain_first_and_never_the_callers_own() -> None:
    own = Condition("eq", "tags", "hr")
    question = Question("In Confluence, notes written by Ana Maria Nunez", "T1", filter=own)
    reading: Reading | None = understand(question, CATALOGUE, NOW)
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
    assert last.query.understood is None


def test_two_authors_are_first_taken_together_and_then_as_either() -> None:
    reading = understand(Question("memos by Ofek Lev and Bob Stone about clocks", "T1"), CATALOGUE, NOW)
    relaxed = relax(reading)
    assert relaxed is not None
    assert relaxed.query.filter == Condition("in", "author", ("Ofek Lev", "Bob Stone"))
    assert "author Ofek Lev, Bob Stone" in relaxed.query.notices[0]


# --------------------------------------------------------------------------------------------------------- follow-ups


def _thread(text: str, before: str = "How long is parental leave for employees?") -> Question:
    turns = (Turn("user", before), Turn("assistant", "20 weeks [1]."))
    return Question(text, "T1", history=turns)


def test_a_follow_up_takes_the_words_it_lacks_from_the_thread() -> None:
    assert (
        inherit(_thread("and for contractors?")) == "and for contractors? (long parental leave employees contractors)"
    )
    assert inherit(Question("and for contractors?", "T1")) == "and for contractors?"


def test_a_new_subject_takes_nothing_from_the_thread() -> None:
    text = "Which password manager does the company recommend?"
    assert inherit(_thread(text)) == text


@pytest.mark.parametrize("text", ["How do I add a document?", "What is a safe room?", "Where can visitors park?"])
def test_a_short_question_that_is_whole_takes_nothing_from_the_thread(text: str) -> None:
    question = Question(text, "T1", history=(Turn("user", "What happens when the documents do not answer?"),))
    assert inherit(question) == text


def test_a_follow_up_keeps_the_conditions_that_it_does_not_change() -> None:
    asked = _thread("and the ones by Bob Stone?", before="Rejected proposals by Ofek Lev since 2020")
    filter_ = understand(asked, CATALOGUE, NOW).query.filter
    assert filter_ is not None
    assert describe(filter_) == "author Bob Stone · status Rejected · since 1 Jan 2020"


# --------------------------------------------------------------------------------------------------------- with an LLM


async def _with(reader: ScriptedReader, question: Question) -> Reading:
    return await read(question, CATALOGUE, NOW, reader, deadline=0.02)


async def test_the_llm_makes_a_follow_up_stand_alone() -> None:
    reader = ScriptedReader(Proposal("How long is parental leave for contractors?"))
    assert (await _with(reader, _thread("and for contractors?"))).query.text == reader.proposal.question


@pytest.mark.parametrize(
    "reader", [ScriptedReader(stuck=True), ScriptedReader(fault=LLMUnavailable("down")), ScriptedReader()]
)
async def test_where_the_llm_fails_the_words_decide(reader: ScriptedReader) -> None:
    reading = await _with(reader, _thread("and for contractors?"))
    assert reading.query.text == "and for contractors? (long parental leave employees contractors)"


async def test_a_question_without_a_sign_of_a_filter_costs_no_call() -> None:
    reader = ScriptedReader(Proposal("never"))
    await _with(reader, Question("How long is parental leave?", "T1"))
    assert reader.asked == []


async def test_what_the_llm_proposes_is_held_against_catalogue_and_words() -> None:
    text = "What did we hear from Anna Nuñez in Q2 about the Handbok by Nobody?"
    proposal = Proposal(
        text,
        (
            Proposed("author", "is", ("Ana Maria Nunez",), "Anna Nuñez"),
            Proposed("published_at", "since", ("2026-04-01",), "in Q2"),
            Proposed("published_at", "before", ("2026-07-01",), "in Q2"),
            Proposed("author", "is_not", ("Nobody",), "by Nobody"),
            Proposed("status", "is", ("final",), "finished ones"),
            Proposed("mood", "is", ("good",), "hear"),
        ),
    )
    reading = await _with(ScriptedReader(proposal), Question(text, "T1"))
    assert reading.query.filter is not None
    assert describe(reading.query.filter) == "author Ana María Núñez · 1 Apr 2026 to 30 Jun 2026"
    assert any("Nobody" in notice for notice in reading.query.notices)


async def test_a_sure_condition_stands_although_the_llm_misses_it() -> None:
    reader = ScriptedReader(Proposal("documents by Bob Stone not in German"))
    reading = await _with(reader, Question("documents not by Bob Stone", "T1"))
    assert reading.query.filter == Not(Condition("eq", "author", "Bob Stone"))
