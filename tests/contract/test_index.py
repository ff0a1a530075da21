"""What every index keeps to: the real one and the fake."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from backend.adapters.lancedb import LanceIndex
from backend.domain import Audience, Condition, Metadata, Not, Or, Query, Visibility
from backend.errors import IndexUnavailable
from tests.contract.indexes import AnyIndex, found
from tests.fakes.corpus import DIMENSIONS, INGESTED, indexed_document, unit_vector
from tests.fakes.index import FakeIndex

MAY = datetime(2026, 5, 1, tzinfo=UTC)


async def found_by_words(index: AnyIndex, text: str) -> set[str]:
    return {passage.document_id for passage in await index.search_text(Query(text, "T1"), text, limit=100)}


# ---------------------------------------------------------------------------------------------------------- searching


async def test_an_empty_index_finds_nothing(index: AnyIndex) -> None:
    query = Query("", "T1")
    assert await index.search_vector(query, unit_vector("a"), limit=5) == []
    assert await index.search_text(query, "anything", limit=5) == []
    assert await index.section_passages(query, ["nope"]) == []
    assert (await index.status()).rows == 0


async def test_the_nearest_vector_comes_first_with_its_cosine(index: AnyIndex) -> None:
    texts = [f"text {n}" for n in range(8)]
    await index.replace([indexed_document("d", texts)])
    wanted = unit_vector("text 3")
    passages = await index.search_vector(Query("", "T1"), wanted, limit=5)
    cosines = sorted((float(unit_vector(text) @ wanted) for text in texts), reverse=True)
    assert passages[0].text == "text 3"
    assert [passage.score for passage in passages] == pytest.approx(cosines[:5], abs=1e-5)


async def test_a_passage_carries_everything_that_a_citation_shows(index: AnyIndex) -> None:
    metadata = Metadata(author=("Ann", "Bo"), source="wiki", published_at=MAY)
    document = indexed_document("d/1 '“", ["First.", "Second."], title="Guide", heading="A › B", metadata=metadata)
    await index.replace([document])
    passages = await index.search_vector(Query("", "T1"), unit_vector("Second."), limit=1)
    passage = passages[0]
    assert (passage.document_id, passage.position, passage.text) == ("d/1 '“", 1, "Second.")
    assert (passage.title, passage.heading, passage.url) == ("Guide", "A › B", document.url)
    assert (passage.author, passage.source, passage.page) == ("Ann, Bo", "wiki", None)
    assert (passage.published_at, passage.ingested_at) == (MAY, INGESTED)
    assert passage.sentences == ((0, 7),)


async def test_the_header_that_a_chunk_goes_on_from_is_searched_and_comes_with_its_passage(index: AnyIndex) -> None:
    document = indexed_document("d", ["| Paris | Tuesday |", "The fountain."])
    row, caption = document.chunks
    chunks = (replace(row, lead="| Office | Badgeday |"), replace(caption, kind="caption"))
    await index.replace([replace(document, chunks=chunks)])
    [found_row] = await index.search_text(Query("", "T1"), "badgeday", limit=5)
    assert (found_row.text, found_row.lead, found_row.kind) == ("| Paris | Tuesday |", "| Office | Badgeday |", "text")
    [found_caption] = await index.search_text(Query("", "T1"), "fountain", limit=5)
    assert (found_caption.lead, found_caption.kind) == ("", "caption")
    contents = await index.contents("T1", "d")
    assert contents is not None
    assert contents.chunks == chunks


async def test_sentence_vectors_come_back_as_unit_vectors(index: AnyIndex) -> None:
    document = indexed_document("d", ["Only sentence."])
    await index.replace([document])
    [passage] = await index.search_vector(Query("", "T1"), unit_vector("x"), limit=1)
    assert passage.sentence_vectors.dtype == np.float32
    assert passage.sentence_vectors.shape == (1, 384)
    assert np.linalg.norm(passage.sentence_vectors[0]) == pytest.approx(1, abs=1e-6)
    assert passage.sentence_vectors[0] @ document.vectors[0].sentences[0] == pytest.approx(1, abs=1e-4)


async def test_a_chunk_without_sentences_has_no_sentence_vectors(index: AnyIndex) -> None:
    await index.replace([indexed_document("d", [""])])
    [passage] = await index.search_vector(Query("", "T1"), unit_vector("x"), limit=1)
    assert passage.sentence_vectors.shape == (0, 384)


@pytest.mark.parametrize("limit", [0, 1, 3])
async def test_no_more_than_the_limit_is_returned(index: AnyIndex, limit: int) -> None:
    await index.replace([indexed_document("d", [f"word {n}" for n in range(6)])])
    query = Query("", "T1")
    assert len(await index.search_vector(query, unit_vector("a"), limit=limit)) == limit
    assert len(await index.search_text(query, "word", limit=limit)) == limit


@pytest.mark.parametrize("words", ["latency", "Guide", "parental", "LATENCY, please!"])
async def test_words_of_the_text_the_title_and_the_heading_are_found(index: AnyIndex, words: str) -> None:
    await index.replace(
        [
            indexed_document("d", ["Kafka latency is high."], title="Guide", heading="Leave › Parental"),
            indexed_document("other", ["Nothing alike."]),
        ]
    )
    assert await found_by_words(index, words) == {"d"}


async def test_identifiers_are_found(index: AnyIndex) -> None:
    identifiers = ("PEP-0584", "E1234", "prod-eu-west-1", "user_service.py", "v2.3.1")
    await index.replace([indexed_document(name, [f"See {name}, there."]) for name in identifiers])
    for identifier in identifiers:
        best, *_ = await index.search_text(Query("", "T1"), identifier, limit=3)
        assert best.document_id == identifier


async def test_a_text_without_a_word_of_the_documents_finds_nothing(index: AnyIndex) -> None:
    await index.replace([indexed_document("d", ["Kafka latency."])])
    for text in ("", "   ", "!?", "'", '"', "* ~ : ( ) ^ \\", "\0", "zebra"):
        assert await found_by_words(index, text) == set()


async def test_punctuation_in_a_text_is_not_a_query_language(index: AnyIndex) -> None:
    await index.replace([indexed_document("d", ["Kafka latency."]), indexed_document("e", ["Something else."])])
    for text in ('"latency', "latency AND (", "latency' OR 1=1 --", "-latency", "title:latency"):
        assert await found_by_words(index, text) == {"d"}


async def test_the_rarer_and_more_frequent_words_rank_higher(index: AnyIndex) -> None:
    await index.replace(
        [
            indexed_document("both", ["kafka zookeeper"]),
            indexed_document("one", ["kafka brokers"]),
            indexed_document("two", ["kafka topics"]),
        ]
    )
    passages = await index.search_text(Query("", "T1"), "kafka zookeeper", limit=3)
    assert passages[0].document_id == "both"
    assert [passage.score for passage in passages] == sorted((p.score for p in passages), reverse=True)


async def test_a_section_is_its_chunks_in_order(index: AnyIndex) -> None:
    await index.replace([indexed_document("d", ["a", "b", "c", "d", "e"], chunks_per_section=3)])
    query = Query("", "T1")
    [passage] = await index.search_vector(query, unit_vector("b"), limit=1)
    section = await index.section_passages(query, [passage.section_id, passage.section_id])
    assert [item.text for item in section] == ["a", "b", "c"]
    assert {item.score for item in section} == {0.0}


async def test_a_section_is_hidden_from_those_who_may_not_read_it(index: AnyIndex) -> None:
    await index.replace([indexed_document("d", visibility=Visibility("channel", "C1"))])
    inside = Query("", "T1", Audience(channel="C1"))
    [passage] = await index.search_vector(inside, unit_vector("x"), limit=1)
    assert len(await index.section_passages(inside, [passage.section_id])) == 1
    assert await index.section_passages(Query("", "T1"), [passage.section_id]) == []
    assert await index.section_passages(Query("", "T2", Audience(channel="C1")), [passage.section_id]) == []


# ------------------------------------------------------------------------------------------------------------ writing


async def test_replacing_a_document_leaves_nothing_of_the_old_one(index: AnyIndex) -> None:
    await index.replace([indexed_document("d", ["old one", "old two", "old three"]), indexed_document("e", ["kept"])])
    await index.replace([indexed_document("d", ["new"], revision="r2")])
    passages = await index.search_vector(Query("", "T1"), unit_vector("x"), limit=10)
    assert sorted(passage.text for passage in passages) == ["kept", "new"]
    assert await found_by_words(index, "old") == set()


async def test_replacing_by_an_empty_document_removes_it(index: AnyIndex) -> None:
    await index.replace([indexed_document("d"), indexed_document("e")])
    await index.replace([indexed_document("d", [])])
    assert await found(index) == {"e"}


async def test_replacing_the_same_document_twice_leaves_one(index: AnyIndex) -> None:
    for _ in range(2):
        await index.replace([indexed_document("d", ["a", "b"])])
    assert (await index.status()).rows == 2


async def test_of_two_documents_with_one_id_in_a_batch_the_later_counts(index: AnyIndex) -> None:
    await index.replace([indexed_document("d", ["a", "b"]), indexed_document("d", ["c"], revision="r2")])
    passages = await index.search_vector(Query("", "T1"), unit_vector("x"), limit=10)
    assert [passage.text for passage in passages] == ["c"]


async def test_a_batch_over_several_teams_touches_only_its_own_documents(index: AnyIndex) -> None:
    everything = [indexed_document(name, ["a", "b"], team=team) for team in ("T1", "T2") for name in ("d", "e")]
    await index.replace(everything)
    await index.replace([indexed_document("d", ["c"], team="T1"), indexed_document("e", ["c"], team="T2")])
    counts = {}
    for team in ("T1", "T2"):
        passages = await index.search_vector(Query("", team), unit_vector("x"), limit=10)
        counts[team] = sorted((passage.document_id, passage.text) for passage in passages)
    assert counts["T1"] == [("d", "c"), ("e", "a"), ("e", "b")]
    assert counts["T2"] == [("d", "a"), ("d", "b"), ("e", "c")]


async def test_ids_that_look_alike_are_different_documents(index: AnyIndex) -> None:
    pairs = [("ab", "c"), ("a", "bc"), ("a", "b-1"), ("a-b", "1"), ("A", "bc")]
    for team, document_id in pairs:
        await index.replace([indexed_document(document_id, ["x", "y"], team=team)])
    assert (await index.status()).rows == 2 * len(pairs)


async def test_hostile_ids_delete_and_replace_only_themselves(index: AnyIndex) -> None:
    hostile = ("\\') OR true --", "') OR true --", "' OR ''='", "%", "\\")
    await index.replace([indexed_document(name) for name in ("kept", *hostile)])
    await index.replace([indexed_document(name, ["new", "chunks"]) for name in hostile])
    assert await found(index) == {"kept", *hostile}
    for name in hostile:
        await index.delete("T1", [name])
        await index.delete(name, ["kept"])
    assert await found(index) == {"kept"}


async def test_a_deleted_document_is_found_no_more(index: AnyIndex) -> None:
    await index.replace([indexed_document("d'", ["word"]), indexed_document("e", ["word"])])
    await index.replace([indexed_document("d'", ["word"], team="T2")])
    await index.delete("T1", ["d'", "unknown"])
    assert await found(index) == {"e"}
    assert await found_by_words(index, "word") == {"e"}
    assert await found(index, team="T2") == {"d'"}


async def test_writing_nothing_is_no_commit(index: AnyIndex) -> None:
    await index.replace([])
    await index.delete("T1", [])
    assert await found(index) == set()


async def test_optimising_changes_no_result(index: AnyIndex) -> None:
    for number in range(4):
        await index.replace([indexed_document(f"d{number}", ["word here"])])
    await index.optimise()
    assert await found_by_words(index, "word") == {"d0", "d1", "d2", "d3"}
    status = await index.status()
    assert (status.rows, status.unindexed_rows, status.embedder) == (4, 0, "test")


async def test_a_commit_raises_the_version(index: AnyIndex) -> None:
    before = (await index.status()).version
    await index.replace([indexed_document("d")])
    assert (await index.status()).version > before


async def test_searches_during_replaces_never_see_half_a_document(index: AnyIndex) -> None:
    def edition(number: int) -> list[str]:
        return [f"edition {number} part {part}" for part in range(3 + number % 4)]

    await index.replace([indexed_document("d", edition(0), revision="0")])
    done = asyncio.Event()

    async def write() -> None:
        for number in range(1, 12):
            await index.replace([indexed_document("d", edition(number), revision=str(number))])
        done.set()

    async def read() -> int:
        searches = 0
        while not done.is_set():
            passages = await index.search_vector(Query("", "T1"), unit_vector("x"), limit=100)
            number = int(passages[0].text.split()[1])
            assert sorted(passage.text for passage in passages) == edition(number)
            searches += 1
            await asyncio.sleep(0)
        return searches

    _, *searches = await asyncio.gather(write(), read(), read())
    assert all(searches) or isinstance(index, FakeIndex)


async def test_concurrent_writes_leave_no_duplicates(index: AnyIndex) -> None:
    await asyncio.gather(*(index.replace([indexed_document("d", ["a", "b"], revision=str(n))]) for n in range(5)))
    assert (await index.status()).rows == 2


# ----------------------------------------------------------------------------------------------------------- audience

VISIBILITIES = {
    "all": Visibility(),
    "c1": Visibility("channel", "C1"),
    "c2": Visibility("channel", "C2"),
    "u1": Visibility("user", "U1"),
    "u2": Visibility("user", "U2"),
}


AUDIENCES: list[tuple[Audience, set[str]]] = [
    (Audience(), {"all"}),
    (Audience(channel="C1", user="U1"), {"all", "c1"}),
    (Audience(channel="C1", user="U1", channels=("C2",)), {"all", "c1"}),
    (Audience(user="U1", private=True), {"all", "u1"}),
    (Audience(user="U1", private=True, channels=("C1", "C2")), {"all", "u1", "c1", "c2"}),
    (Audience(private=True), {"all"}),
    (Audience(channel="C1' OR 1=1 --"), {"all"}),
]


async def test_only_what_every_reader_may_read_is_found(index: AnyIndex) -> None:
    await index.replace([indexed_document(name, ["word"], visibility=kind) for name, kind in VISIBILITIES.items()])
    await index.replace([indexed_document("foreign", ["word"], team="T2")])
    for audience, admitted in AUDIENCES:
        assert await found(index, audience=audience) == admitted
        passages = await index.search_text(Query("", "T1", audience), "word", limit=100)
        assert {passage.document_id for passage in passages} == admitted


async def test_a_filter_cannot_widen_the_audience(index: AnyIndex) -> None:
    await index.replace([indexed_document("d"), indexed_document("secret", visibility=Visibility("user", "U1"))])
    everything = Or((Condition("eq", "document_id", "secret"), Not(Condition("eq", "document_id", "secret"))))
    assert await found(index, everything) == {"d"}


# ----------------------------------------------------------------------------------------------- the real index alone


async def test_what_was_written_is_there_after_reopening(tmp_path: Path) -> None:
    index = await LanceIndex.open(str(tmp_path / "db"), "test", DIMENSIONS)
    await index.replace([indexed_document("d")])
    await index.close()
    index = await LanceIndex.open(str(tmp_path / "db"), "test", DIMENSIONS)
    assert await found(index) == {"d"}
    await index.close()


@pytest.mark.parametrize(("name", "dimensions"), [("another", DIMENSIONS), ("test", DIMENSIONS * 2)])
async def test_an_index_of_another_embedder_is_refused(tmp_path: Path, name: str, dimensions: int) -> None:
    index = await LanceIndex.open(str(tmp_path / "db"), "test", DIMENSIONS)
    await index.close()
    with pytest.raises(IndexUnavailable, match="reindex"):
        await LanceIndex.open(str(tmp_path / "db"), name, dimensions)


async def test_a_commit_is_seen_by_another_open_index(tmp_path: Path) -> None:
    writer = await LanceIndex.open(str(tmp_path / "db"), "test", DIMENSIONS)
    reader = await LanceIndex.open(str(tmp_path / "db"), "test", DIMENSIONS)
    await writer.replace([indexed_document("d")])
    assert await found(reader) == {"d"}
    await writer.delete("T1", ["d"])
    assert await found(reader) == set()
    await writer.close()
    await reader.close()


async def test_a_closed_index_is_unavailable(tmp_path: Path) -> None:
    index = await LanceIndex.open(str(tmp_path / "db"), "test", DIMENSIONS)
    await index.close()
    with pytest.raises(IndexUnavailable):
        await found(index)
    with pytest.raises(IndexUnavailable):
        await index.replace([indexed_document("d")])


async def test_a_folder_that_cannot_be_written_is_unavailable(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(IndexUnavailable):
        await LanceIndex.open(str(tmp_path / "file" / "db"), "test", DIMENSIONS)


async def test_a_vector_of_the_wrong_length_is_unavailable_not_a_crash(tmp_path: Path) -> None:
    index = await LanceIndex.open(str(tmp_path / "db"), "test", DIMENSIONS)
    with pytest.raises(IndexUnavailable):
        await index.search_vector(Query("", "T1"), unit_vector("x", DIMENSIONS + 1), limit=1)
    await index.close()
