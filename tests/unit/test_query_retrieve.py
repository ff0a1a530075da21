from dataclasses import replace
from itertools import pairwise
from time import perf_counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.domain import Audience, Chunk, IndexedDocument, Metadata, Query, Visibility
from backend.errors import IndexUnavailable
from backend.query.abstain import abstention, confidence
from backend.query.compress import compress
from backend.query.retrieve import PER_DOCUMENT, beside, fuse, retrieve, rrf, spread
from backend.sentences import sentence_spans
from tests.fakes.embedder import HashEmbedder
from tests.fakes.index import FakeIndex
from tests.fakes.story import NOW, TEAM, evidence_of, index_of, passage_of, vector_of

TEXTS = {"Leave": "Parental leave is 20 weeks.", "Badges": "Badges are processed every Wednesday."}


async def test_what_both_sides_rank_first_is_first_and_scores_descend() -> None:
    index = await index_of(TEXTS)
    found = await retrieve(Query("How long is parental leave?", TEAM), index, HashEmbedder(), limit=5)
    assert [passage.title for passage in found.passages] == ["Leave", "Badges"]
    assert all(first.score >= second.score for first, second in pairwise(found.passages))


async def test_an_index_that_is_down_is_told() -> None:
    index = FakeIndex()
    index.fault = IndexUnavailable("down")
    with pytest.raises(IndexUnavailable):
        await retrieve(Query("leave", TEAM), index, HashEmbedder(), limit=5)


async def test_passages_beside_the_found_come_along_but_not_from_another_audience() -> None:
    texts = [f"Step {word} is described here." for word in ("alpha", "beta", "gamma", "delta")]
    chunks = tuple(Chunk(n, 0, "", 0, text, tuple(sentence_spans(text))) for n, text in enumerate(texts))
    embedder, index = HashEmbedder(), FakeIndex()
    vectors = tuple(await embedder.embed_chunks("Guide", chunks))
    await index.replace(
        [IndexedDocument(TEAM, "g", "r", "Guide", "", Visibility("channel", "C1"), Metadata(), NOW, chunks, vectors)]
    )
    query = Query("What is step beta?", TEAM, Audience(channel="C1"))
    found = await retrieve(query, index, embedder, limit=1)
    assert [passage.position for passage in found.passages] == [1]
    assert [passage.position for passage in found.neighbours] == [0, 2]
    hidden = await retrieve(replace(query, audience=Audience(channel="C2")), index, embedder, limit=1)
    assert (hidden.passages, hidden.neighbours) == ((), ())


def test_rrf_is_the_sum_of_reciprocal_ranks() -> None:
    one, two = passage_of("One thing.", chunk_id="a"), passage_of("Other thing.", chunk_id="b")
    fused = rrf([one, two], [two], k=60)
    assert [(passage.chunk_id, passage.score) for passage in fused] == [("b", 1 / 62 + 1 / 61), ("a", 1 / 61)]


def test_a_passage_that_one_side_alone_found_is_kept() -> None:
    vector_only, text_only = passage_of("Leave.", chunk_id="a"), passage_of("Badge E-1234.", chunk_id="b")
    fused = fuse("E-1234", vector_of("E-1234"), [vector_only], [text_only])
    assert {passage.chunk_id for passage in fused} == {"a", "b"}


def test_one_document_does_not_fill_the_list_while_others_are_left() -> None:
    same = [replace(passage_of("x y.", chunk_id=f"a{n}"), document_id="a") for n in range(6)]
    other = passage_of("z.", chunk_id="b")
    kept = spread([*same, other], limit=PER_DOCUMENT + 1)
    assert [passage.document_id for passage in kept] == ["a"] * PER_DOCUMENT + ["d-b"]
    assert len(spread(same, limit=6)) == 6


def test_neighbours_are_of_the_same_section_only() -> None:
    found = replace(passage_of("x.", chunk_id="a"), section_id="s", position=4)
    near = replace(found, chunk_id="n", position=5)
    far, other = replace(found, chunk_id="f", position=7), replace(found, chunk_id="o", position=3, section_id="t")
    assert [passage.chunk_id for passage in beside([found], [found, near, far, other])] == ["n"]


LONG = "Parental leave is 20 weeks. The canteen opens at noon. Lunch costs five euros. Leave must be requested early."


def test_sentences_that_do_not_bear_are_dropped_and_order_is_kept() -> None:
    question = "How long is parental leave?"
    (evidence,) = compress(question, vector_of(question), [passage_of(LONG)], budget=500)
    assert evidence.kept[0] == 0
    assert "canteen" not in evidence.text
    assert list(evidence.kept) == sorted(evidence.kept)


def test_the_budget_holds_but_never_leaves_nothing() -> None:
    question = "How long is parental leave?"
    (evidence,) = compress(question, vector_of(question), [passage_of(LONG)], budget=1)
    assert evidence.text == "Parental leave is 20 weeks."


def test_a_sentence_said_twice_is_kept_once() -> None:
    question = "How long is parental leave?"
    twice = [passage_of("Parental leave is 20 weeks.", chunk_id=name) for name in ("a", "b")]
    assert len(compress(question, vector_of(question), twice, budget=500)) == 1


def test_a_table_row_keeps_its_header() -> None:
    table = passage_of("| Office | Badge day |\n|---|---|\n| Berlin | Monday |\n| Paris | Tuesday |")
    question = "On which day are badges made in Paris?"
    (evidence,) = compress(question, vector_of(question), [table], budget=12)
    assert "| Office | Badge day |" in evidence.text
    assert "Paris" in evidence.text


@given(st.lists(st.text(alphabet="abc .\n|-", max_size=60), max_size=6), st.integers(1, 60))
def test_evidence_is_numbered_from_one_and_holds_only_words_of_its_passage(texts: list[str], budget: int) -> None:
    passages = [passage_of(text, chunk_id=str(n)) for n, text in enumerate(texts)]
    evidence = compress("abc cab", vector_of("abc cab"), passages, budget=budget)
    assert [one.n for one in evidence] == list(range(1, len(evidence) + 1))
    for one in evidence:
        assert all(one.passage.text[slice(*one.passage.sentences[index])] in one.text for index in one.kept)


def test_twenty_passages_are_compressed_quickly() -> None:
    passages = [passage_of(f"{LONG} Item {n} of the list is here. " * 2, chunk_id=str(n)) for n in range(20)]
    question = "How long is parental leave?"
    vector = vector_of(question)
    times = []
    for _ in range(5):
        began = perf_counter()
        compress(question, vector, passages, budget=1500)
        times.append(perf_counter() - began)
    assert min(times) < 0.05  # measured: about 4 ms; this machine may be busy


def test_confidence_tells_near_from_far() -> None:
    evidence = evidence_of(LONG)
    near, far = "How long is parental leave?", "Who won the football championship?"
    assert confidence(near, vector_of(near), evidence) > confidence(far, vector_of(far), evidence)
    assert confidence(near, vector_of(near), ()) == 0


def test_an_abstention_names_up_to_three_documents_once_each() -> None:
    passages = [passage_of("x.", title=title) for title in ("A", "A", "B", "C", "D")]
    assert abstention(passages).endswith("“A”, “B”, “C”.")
    assert "found nothing" in abstention([])
