from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from time import perf_counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.domain import Evidence, Passage
from backend.query.bearing import bear
from backend.query.compress import SentenceCompressor, compress, kept_text, ranked_evidence, support_of
from backend.query.occurrences import occurrences
from backend.query.tokens import estimate_tokens, span_tokens
from backend.query.words import content_words, stems
from backend.sentences import sentence_spans
from tests.fakes.story import passage_of, vector_of

QUESTION = "How long is parental leave?"
LUNCH = " ".join(f"On day {n} the canteen serves dish number {n} with potatoes and salad." for n in range(12))
LONG = f"Parental leave is 20 weeks. It must be requested early. {LUNCH}"


def kept(question: str, *passages: Passage, budget: int = 500) -> tuple[Evidence, ...]:
    return compress(question, vector_of(question), passages, budget=budget)


def following(*texts: str, document: str = "d", start: int = 0) -> list[Passage]:
    """Return passages that follow one another in one document, each a little less well ranked."""
    return [
        replace(
            passage_of(text, chunk_id=f"{document}{start + n}"),
            document_id=document,
            position=start + n,
            score=1 - n / 10,
        )
        for n, text in enumerate(texts)
    ]


def test_sentences_that_do_not_bear_are_dropped_and_order_is_kept() -> None:
    (evidence,) = kept(QUESTION, passage_of(LONG))
    assert evidence.text.startswith("Parental leave is 20 weeks. It must be requested early.")
    assert "day 11" not in evidence.text
    assert list(evidence.kept) == sorted(evidence.kept)


def test_the_budget_holds_but_never_leaves_nothing() -> None:
    (evidence,) = kept(QUESTION, passage_of(LONG), budget=1)
    assert evidence.text == "Parental leave is 20 weeks."


def test_most_of_what_is_found_is_left_out_whatever_the_budget() -> None:
    passages = [passage_of(f"Parental leave rule {n}: {LONG}", chunk_id=str(n)) for n in range(8)]
    before = sum(estimate_tokens(passage.text) for passage in passages)
    assert sum(estimate_tokens(one.text) for one in kept(QUESTION, *passages, budget=100_000)) <= 0.41 * before


def test_rows_of_a_table_that_began_in_another_chunk_have_its_header_before_them() -> None:
    lead = "| Office | Badge day |"
    rows = replace(passage_of("| Berlin | Monday |\n| Paris | Tuesday |\nThe canteen is closed in May."), lead=lead)
    assert kept_text(rows, [1]) == f"{lead}\n| Paris | Tuesday |"
    assert kept_text(rows, [2]) == "The canteen is closed in May."
    assert [support_of(rows, index) for index in range(3)] == [(), (), ()]
    (evidence,) = kept("On which badge day is the Paris office?", rows)
    assert evidence.text.startswith(f"{lead}\n|")


def test_nothing_found_is_no_evidence() -> None:
    assert kept(QUESTION) == ()
    assert kept(QUESTION, passage_of("")) == ()


def test_the_best_is_kept_however_far_it_is() -> None:
    far = replace(passage_of("Soup is free."), sentence_vectors=-vector_of(QUESTION)[None, :], score=0.0)
    assert [one.text for one in kept(QUESTION, far)] == ["Soup is free."]


def test_a_question_without_content_words_goes_by_meaning_alone() -> None:
    assert kept("Why?", passage_of(LONG))


def test_a_sentence_said_twice_is_kept_once() -> None:
    twice = [passage_of("Parental leave is 20 weeks.", chunk_id=name) for name in ("a", "b")]
    assert len(kept(QUESTION, *twice)) == 1


def test_a_sentence_that_adds_no_word_of_its_own_is_left_out() -> None:
    longer = passage_of("The parental leave for all of us is 20 weeks long.", chunk_id="a")
    shorter = passage_of("The parental leave for all of us is 20 weeks.", chunk_id="b", score=0.2)
    assert [one.passage.chunk_id for one in kept(QUESTION, longer, shorter)] == ["a"]


def test_rows_that_mean_nearly_the_same_and_differ_in_a_word_are_both_kept() -> None:
    table = passage_of("| Office | Leave |\n| Berlin office | 20 weeks |\n| Paris office | 22 weeks |")
    same = replace(table, sentence_vectors=np.repeat(table.sentence_vectors[:1], 3, axis=0))
    (evidence,) = kept("How many weeks of leave has each office?", same)
    assert evidence.kept == (0, 1, 2)


def test_a_table_row_keeps_its_header() -> None:
    rows = "\n".join(f"| Office {n} | Room {n} |" for n in range(30))
    table = passage_of(f"| Office | Badge day |\n|---|---|\n{rows}\n| Paris | Tuesday |")
    (evidence,) = kept("On which day are badges made in Paris?", table, budget=20)
    assert evidence.text.startswith("| Office | Badge day |")
    assert evidence.text.endswith("| Paris | Tuesday |")


def test_a_table_that_goes_on_in_the_next_chunk_keeps_the_header_of_the_chunk_before() -> None:
    rows = "\n".join(f"| Office {n} | Room {n} |" for n in range(30))
    first, second = following(f"| Office | Badge day |\n{rows}", "| Berlin | Monday |\n| Paris | Tuesday |")
    evidence = kept("Paris", first, second, budget=20)
    assert {"| Office | Badge day |", "| Paris | Tuesday |"} <= {
        line for one in evidence for line in one.text.split("\n")
    }


def test_a_list_item_keeps_its_introduction() -> None:
    text = "For a new badge bring the following:\n- a photo\n- the signed contract\n- your passport"
    (evidence,) = kept("Is the passport needed?", passage_of(text), budget=12)
    assert evidence.text.startswith("For a new badge bring the following:\n")
    assert evidence.text.endswith("- your passport")


def test_the_sentence_after_the_one_that_names_the_subject_counts_for_more() -> None:
    near = passage_of(f"{LUNCH} Parental leave is generous. Twenty weeks are paid.")
    bearing = bear(QUESTION, vector_of(QUESTION), [near])
    assert bearing.totals[-1] > bearing.totals[:10].max()


def test_a_passage_counts_for_more_beside_another_that_names_the_subject() -> None:
    about, beside = following("Parental leave is generous.", "Twenty weeks are paid.")
    (elsewhere,) = following("Twenty weeks are paid.", document="z", start=7)
    bearing = bear(QUESTION, vector_of(QUESTION), [replace(elsewhere, score=beside.score), about, beside])
    scores = dict(zip([one.chunk_id for one in bearing.passages], bearing.totals.tolist(), strict=True))
    assert scores[beside.chunk_id] > scores[elsewhere.chunk_id]


def test_the_passage_with_the_best_sentence_is_first() -> None:
    evidence = kept(QUESTION, passage_of("Parental matters.", chunk_id="a"), passage_of(LONG, chunk_id="b"))
    assert evidence[0].passage.chunk_id == "b"


def test_every_passage_found_is_listed_in_its_order_with_what_was_kept_of_it() -> None:
    found = [passage_of(LUNCH, chunk_id="a", score=0.1), passage_of(LONG, chunk_id="b")]
    listed = ranked_evidence(found, kept(QUESTION, *found, budget=1))
    assert [(one.n, one.text) for one in listed] == [(1, ""), (2, "Parental leave is 20 weeks.")]


async def test_the_compressor_without_a_model_is_compress() -> None:
    passages = [passage_of(LONG)]
    by_port = await SentenceCompressor().compress(QUESTION, vector_of(QUESTION), passages, budget=500)
    assert [one.kept for one in by_port] == [one.kept for one in kept(QUESTION, *passages)]


@given(st.lists(st.text(alphabet="abc .\n|-", max_size=60), max_size=6), st.integers(1, 60))
def test_evidence_is_numbered_from_one_and_holds_only_words_of_its_passage(texts: list[str], budget: int) -> None:
    passages = [passage_of(text, chunk_id=str(n)) for n, text in enumerate(texts)]
    evidence = kept("abc cab", *passages, budget=budget)
    assert [one.n for one in evidence] == list(range(1, len(evidence) + 1))
    for one in evidence:
        assert all(first < second for first, second in pairwise(one.kept))
        assert all(one.passage.text[slice(*one.passage.sentences[index])] in one.text for index in one.kept)


_WORDS = (
    "policy policies leave leaves leaving left achieve achieved achievement run running runs stop stopped café "
    "Cafés E-1234 PEP-0584 2024 24 classes class address addresses information inform us use used assembly x don't"
)
_VOCABULARY = _WORDS.split()


@given(st.lists(st.sampled_from(_VOCABULARY), min_size=1, max_size=5), st.lists(st.sampled_from(_VOCABULARY)))
def test_words_are_found_where_reading_every_sentence_finds_them(asked: Sequence[str], said: Sequence[str]) -> None:
    words = sorted(content_words(" ".join(asked)))
    texts = [*said, " ".join(said)]
    assert occurrences(words, texts).tolist() == [[word in stems(text) for word in words] for text in texts]


def test_a_word_is_found_in_its_possessive() -> None:
    assert occurrences(["barker"], ["Barker's and Barker’s early work.", "Barking."]).tolist() == [[True], [False]]


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("", 0),
        ("The notice period is two weeks.", 7),
        ("Write to hr@example.com (24/7), or call 030-1234.", 20),
        ("休暇は二十週です。", 9),
        ("L’été à Łódź coûte 12 €", 10),
    ],
)
def test_tokens_are_estimated_from_words_and_marks(text: str, tokens: int) -> None:
    assert abs(estimate_tokens(text) - tokens) <= max(1, 0.2 * tokens)


def test_the_tokens_of_spans_are_those_of_their_text() -> None:
    spans = sentence_spans(LONG)
    assert span_tokens(LONG, spans).round().tolist() == [estimate_tokens(LONG[start:end]) for start, end in spans]


def test_twenty_passages_are_compressed_quickly() -> None:
    passages = [passage_of(f"{LONG} Item {n} of the list is here.", chunk_id=str(n)) for n in range(20)]
    vector = vector_of(QUESTION)
    times = []
    for _ in range(7):
        began = perf_counter()
        compress(QUESTION, vector, passages, budget=1500)
        times.append(perf_counter() - began)
    assert min(times) < 0.01  # measured: about 1.5 ms; this machine may be busy
