from dataclasses import replace
from datetime import UTC, datetime

from backend.domain import Condition, Query
from backend.query.abstain import abstention, answerable
from tests.fakes.story import TEAM, evidence_of, passage_of, vector_of

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


def _answerable(question: str, **query: object) -> bool:
    return answerable(replace(Query(question, TEAM), **query), vector_of(question), evidence_of(TEXT))  # type: ignore[arg-type]


def test_a_question_is_answerable_only_with_something_near() -> None:
    assert _answerable("Which password manager is recommended?")
    assert not _answerable("Who won the world cup?")
    assert not answerable(Query("x", TEAM), vector_of("x"), ())


def test_within_an_understood_filter_less_has_to_be_near() -> None:
    by_ana, question = Condition("eq", "author", "Ana"), "What did Ana write of the manager?"
    assert not _answerable(question)
    assert _answerable(question, filter=by_ana)
    assert not _answerable(question, filter=by_ana, relaxed=True)
    query = Query(question, TEAM, filter=by_ana)
    assert not answerable(query, vector_of(question), evidence_of(TEXT), own=by_ana)


def test_a_question_that_is_all_filter_is_answered_by_what_the_filter_finds() -> None:
    by_ana = Condition("eq", "author", "Ana")
    assert _answerable("List the documents written by Ana.", filter=by_ana)
    assert not _answerable("List the documents written by Ana.")
