from dataclasses import replace
from datetime import UTC, datetime

import numpy as np

from backend.adapters.extractive import ExtractiveAnswerer
from backend.domain import Condition, Done, Filter, Query, Question
from backend.query.abstain import LOOKED_AT, Closest, abstention, answerable, asking_back, certainty, closest, meant
from backend.query.pipeline import Pipeline
from tests.fakes.embedder import HashEmbedder
from tests.fakes.state import FakeDocuments, FakeRuns
from tests.fakes.story import TEAM, evidence_of, index_of, passage_of, vector_of

TEXT = "KeePassXC is the recommended password manager."


def test_an_abstention_names_up_to_three_documents_once_each() -> None:
    passages = [passage_of("x.", title=title) for title in ("A", "A", "B", "C", "D")]
    assert abstention(passages).endswith("“A”, “B”, “C”.")
    assert "found nothing" in abstention([])


def test_an_abstention_says_when_the_nearest_were_published_and_whom_to_ask() -> None:
    dated = replace(passage_of("x.", title="Leave"), author="Ana Lopez", published_at=datetime(2026, 3, 5, tzinfo=UTC))
    other = replace(passage_of("y.", title="Pay", chunk_id="c2"), author="Bo Li")
    assert abstention([dated, other, dated]).endswith("“Leave” (5 Mar 2026), “Pay”. You could ask Ana Lopez or Bo Li.")


def test_a_title_can_neither_mention_nor_link() -> None:
    text = abstention([passage_of("x.", title="<!channel> [win](https://evil.example) @here")])
    assert "<!" not in text
    assert "evil.example" not in text
    assert "@here" not in text


def _answerable(question: str, own: Filter | None = None, **query: object) -> bool:
    asked, vector = replace(Query(question, TEAM), **query), vector_of(question)  # type: ignore[arg-type]
    found = closest(question, vector, evidence_of(TEXT))
    certain = certainty(found, vector, np.array([vector_of(one) for one in found.sentences]))
    return answerable(asked, found, certain, own=own)


def test_a_question_is_answerable_only_with_something_near() -> None:
    assert _answerable("Which password manager is recommended?")
    assert not _answerable("Who won the world cup?")
    nothing = closest("x", vector_of("x"), ())
    assert certainty(nothing, vector_of("x"), np.zeros((0, 384), np.float32)) == 0
    assert not answerable(Query("x", TEAM), nothing, 1.0)


def test_within_an_understood_filter_less_has_to_be_near() -> None:
    by_ana, question = Condition("eq", "author", "Ana"), "What did Ana write of the manager?"
    assert not _answerable(question)
    assert _answerable(question, filter=by_ana)
    assert not _answerable(question, filter=by_ana, relaxed=True)
    assert not _answerable(question, filter=by_ana, own=by_ana)


def test_a_question_that_is_all_filter_is_answered_by_what_the_filter_finds() -> None:
    by_ana = Condition("eq", "author", "Ana")
    assert _answerable("List the documents written by Ana.", filter=by_ana)
    assert not _answerable("List the documents written by Ana.")


def test_what_the_title_says_and_what_is_near_only_in_its_context_count_less() -> None:
    vector = vector_of("password manager")
    same, other = np.array([vector]), np.array([vector_of("Who won the world cup?")])
    plain, titled = Closest((TEXT,), 0.5), Closest((TEXT,), 0.5, titled=1.0)
    assert certainty(plain, vector, same) > certainty(titled, vector, same)
    assert certainty(plain, vector, same) > certainty(plain, vector, other)


def test_the_sentences_that_are_looked_at_are_few_and_the_best_is_first() -> None:
    texts = [f"KeePassXC is recommended as password manager number {n}." for n in range(9)]
    found = closest(
        "Which password manager?", vector_of("Which password manager?"), evidence_of("We close at noon.", *texts)
    )
    assert len(found.sentences) == LOOKED_AT
    assert "We close at noon." not in found.sentences


PHASES = [passage_of("It began in March.", title=f"Harbour project (phase {n})", chunk_id=f"c{n}") for n in (9, 10)]


def test_a_question_about_one_of_several_documents_alike_is_asked_back() -> None:
    query = Query("When did the Harbour project phase begin?", TEAM)
    assert meant(query, PHASES) == tuple(PHASES)
    assert "“Harbour project (phase 9)” or “Harbour project (phase 10)”?" in asking_back(meant(query, PHASES))


def test_a_question_that_names_one_or_speaks_of_all_is_not_asked_back() -> None:
    for text in (
        "When did the Harbour project phase 9 begin?",
        "When did the phases of the Harbour project begin?",
        "How many phases has Harbour?",
        "Who won the world cup?",
    ):
        assert meant(Query(text, TEAM), PHASES) == ()
    narrowed = Query("When did the Harbour project phase begin?", TEAM, filter=Condition("eq", "author", "Ana"))
    assert meant(narrowed, PHASES) == ()
    assert meant(narrowed, ()) == ()


def test_of_dated_versions_of_a_document_none_is_asked_for() -> None:
    dated = [
        replace(one, title=f"Leave Policy {year}", published_at=datetime(year, 1, 1, tzinfo=UTC))
        for one, year in zip(PHASES, (2023, 2024), strict=True)
    ]
    assert meant(Query("What does the leave policy say?", TEAM), dated) == ()


async def test_what_is_asked_back_is_the_reply_and_costs_no_answer() -> None:
    texts = {
        "Harbour project (phase 9)": "The harbour project phase did begin in March.",
        "Harbour project (phase 10)": "The harbour project phase did begin in May.",
    }
    pipeline = Pipeline(await index_of(texts), HashEmbedder(), FakeDocuments(), FakeRuns(), ExtractiveAnswerer())
    question = Question("When did the Harbour project phase begin?", TEAM)
    runs = [event.run async for event in pipeline.answer(question, "r1") if isinstance(event, Done)]
    assert [run.outcome for run in runs] == ["abstained"]
    assert "I am not sure which one you mean: “Harbour project (phase" in runs[0].answer
    named = replace(question, text="When did the Harbour project phase 10 begin?")
    runs = [event.run async for event in pipeline.answer(named, "r2") if isinstance(event, Done)]
    assert runs[0].answer.startswith("The harbour project phase did begin in May")


def test_a_title_counts_against_an_answer_only_where_it_says_a_part_of_the_question() -> None:
    evidence = [replace(one, passage=replace(one.passage, title="Leave policy")) for one in evidence_of(TEXT)]
    for question, titled in (("What is the leave policy?", False), ("What is the leave policy for cats?", True)):
        assert (closest(question, vector_of(question), evidence).titled > 0) is titled
