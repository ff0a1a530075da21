from dataclasses import replace
from itertools import pairwise

import pytest

from backend.domain import Audience, Chunk, IndexedDocument, Metadata, Query, Visibility
from backend.errors import IndexUnavailable
from backend.query.abstain import confidence
from backend.query.fuse import PER_DOCUMENT, fuse, rrf, spread
from backend.query.parents import beside
from backend.query.retrieve import retrieve
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
    fused = fuse("E-1234", vector_of("E-1234"), [[vector_only]], [[text_only]], full=60)
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
    assert [passage.chunk_id for passage in beside([found], [found, near, far, other], budget=100)] == ["n"]


LONG = "Parental leave is 20 weeks. The canteen opens at noon. Lunch costs five euros. Leave must be requested early."


def test_confidence_tells_near_from_far() -> None:
    evidence = evidence_of(LONG)
    near, far = "How long is parental leave?", "Who won the football championship?"
    assert confidence(near, vector_of(near), evidence) > confidence(far, vector_of(far), evidence)
    assert confidence(near, vector_of(near), ()) == 0
