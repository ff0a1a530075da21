from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backend.adapters.extractive import ExtractiveAnswerer, asked_for, choose, write
from backend.domain import Evidence, Query, QueryVectors
from backend.query.cite import Citations
from backend.query.generate import cut_sentences
from backend.query.verify import copied_from, verify
from backend.query.words import MARKER
from tests.fakes.story import TEAM, evidence_of, vector_of


def _answer(question: str, *texts: str) -> str:
    vector = vector_of(question)
    return "".join(write(choose(question, QueryVectors(vector, vector), evidence_of(*texts))))


def test_the_sentence_that_answers_is_quoted_alone() -> None:
    text = "KeePassXC is the recommended password manager. The canteen opens at noon."
    answer = _answer("Which password manager is recommended?", text)
    assert answer == "KeePassXC is the recommended password manager. [1]"


def test_a_list_comes_with_its_introduction_and_all_its_items() -> None:
    text = (
        "To install the app:\n\n1. Open the portal.\n2. Search for the app.\n3. Click the button.\n\nLunch is at noon."
    )
    assert _answer("How do I install the app?", text) == (
        "To install the app: [1]\n1. Open the portal. [1]\n2. Search for the app. [1]\n3. Click the button. [1]"
    )


def test_a_table_row_comes_with_its_header() -> None:
    text = "| Office | Badge day |\n|---|---|\n| Berlin | Monday |\n| Paris | Tuesday |"
    assert _answer("On which badge day is the Paris office?", text).startswith("| Office | Badge day |\n|---|---|\n")


def test_a_row_of_a_table_that_began_in_another_chunk_has_its_header_and_is_verified_with_it() -> None:
    (whole,) = evidence_of("| Berlin | Monday |\n| Paris | Tuesday |")
    evidence = (replace(whole, passage=replace(whole.passage, lead="| Office | Badge day |")),)
    vector = vector_of("On which badge day is the Paris office?")
    answer = "".join(write(choose("On which badge day is the Paris office?", QueryVectors(vector, vector), evidence)))
    assert answer.startswith("| Office | Badge day |\n|---|---|\n")
    assert "| Paris | Tuesday |" in answer
    (drafted,), _ = cut_sentences(answer)
    (support,) = verify(drafted, None, evidence).shown
    assert "Paris" in evidence[0].passage.text[slice(*support.quote)]


def test_a_sentence_that_leans_on_the_one_before_brings_it_along() -> None:
    text = "Business cards are printed sparingly. However, partners of the outreach team can request standard cards."
    answer = _answer("Can partners of the outreach team request standard cards?", text)
    assert answer.startswith("Business cards are printed sparingly. [1] However, ")


def test_a_question_in_a_document_is_answered_by_what_follows_it() -> None:
    text = (
        "How long is parental leave?\nTwenty weeks at full pay, if asked for early.\nWhere is the canteen?\nDownstairs."
    )
    assert _answer("How long is parental leave?", text).startswith("Twenty weeks at full pay")


def test_markers_of_the_document_itself_are_not_taken_for_ours() -> None:
    answer = _answer("When did the Normans arrive?", "The Normans arrived in the year 911.[7]")
    assert answer == "The Normans arrived in the year 911. [1]"


@pytest.mark.parametrize(
    ("question", "kind"),
    [
        ("How many days?", "amount"),
        ("When is it due?", "date"),
        ("Which weekday?", "date"),
        ("Who decides?", "name"),
        ("How do I reset it?", "steps"),
        ("Is it allowed?", ""),
        ("In 2022, how many days?", "amount"),
        ("What happens to my vacation when I leave?", ""),
        ("Do people who travel get paid?", ""),
        ("What are the steps to reset it?", "steps"),
    ],
)
def test_what_a_question_asks_for_is_read_from_its_words(question: str, kind: str) -> None:
    assert asked_for(question) == kind


async def test_no_evidence_drafts_nothing() -> None:
    vector = vector_of("x")
    draft = ExtractiveAnswerer().draft("x", Query("x", TEAM), QueryVectors(vector, vector), ())
    assert [piece async for piece in draft] == []


_words = st.sampled_from(
    ["leave", "is", "twenty", "weeks", "Dr. Smith", "e.g. this", "However", "it", "[2]", "a | b", "**bold**"]
)
_sentence = st.lists(_words, min_size=2, max_size=8).map(" ".join)
_line = st.builds(
    "{}{}{}".format, st.sampled_from(["", "- ", "1. ", "| "]), _sentence, st.sampled_from([".", ":", "?", " |", ""])
)
_texts = st.lists(st.lists(_line, min_size=1, max_size=6).map("\n".join), min_size=1, max_size=3)


@settings(max_examples=60)
@given(_texts)
def test_every_sentence_drafted_is_a_copy_of_its_passage(texts: list[str]) -> None:
    evidence: tuple[Evidence, ...] = evidence_of(*texts)
    vector = vector_of("leave twenty weeks")
    draft = "".join(write(choose("leave twenty weeks", QueryVectors(vector, vector), evidence)))
    drafted, _ = cut_sentences(draft)
    copies = [one for one in drafted if copied_from(one, evidence)]
    assert len(copies) == len(drafted)


@settings(max_examples=60)
@given(_texts)
def test_every_marker_shown_leads_to_a_quote_that_holds_its_sentence(texts: list[str]) -> None:
    evidence, vector = evidence_of(*texts), vector_of("leave twenty weeks")
    draft = "".join(write(choose("leave twenty weeks", QueryVectors(vector, vector), evidence)))
    citations = Citations()
    proved: list[tuple[str, tuple[int, ...]]] = []
    for drafted in cut_sentences(draft)[0]:
        citations, numbers = citations.cite(verify(drafted, None, evidence).shown, evidence)
        proved += [(line, numbers) for line in drafted.text.splitlines() if drafted.block is False]
    quotes = {one.n: _plain(one.quote) for one in citations.listed()}
    assert all(_plain(line) in quotes[number] for line, numbers in proved for number in numbers)


def _plain(text: str) -> str:
    return " ".join(MARKER.sub("", text).split())


def test_the_best_sentence_comes_first_though_it_stands_last() -> None:
    text = (
        "A password is a secret. The canteen opens at noon. Lunch is served there. The recommended password manager is "
        "KeePassXC."
    )
    answer = _answer("Which password manager is the recommended password manager?", text)
    assert answer.startswith("The recommended password manager is KeePassXC.")


def test_a_side_remark_of_another_document_is_left_out() -> None:
    answer = _answer(
        "When are new badges for the Berlin office processed?",
        "New badges for the Berlin office are processed on Wednesday.",
        "New badges look nice.",
    )
    assert answer == "New badges for the Berlin office are processed on Wednesday. [1]"


def test_sentences_that_would_run_together_keep_their_lines() -> None:
    answer = _answer("leave twenty weeks", "leave leave?\nit leave leave leave twenty.")
    assert all(
        copied_from(one, evidence_of("leave leave?\nit leave leave leave twenty.")) for one in cut_sentences(answer)[0]
    )


def test_a_blank_that_nobody_filled_in_answers_nothing() -> None:
    question = "How many vacation days do employees get per year?"
    for blank in ("[X days]", "TBD days", "[insert number] days", "___ days"):
        assert _answer(question, f"Employees get {blank} vacation per year. Lunch is at noon.") == ""
    assert _answer(question, "Employees get [20] vacation days per year.") != ""


def test_a_heading_is_not_brought_along() -> None:
    text = "Scope of the vacation policy\nThis policy applies to all employees of the company."
    assert _answer("To whom does the policy apply, all employees of the company?", text).startswith(
        "This policy applies"
    )
