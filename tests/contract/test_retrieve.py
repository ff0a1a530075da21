"""Retrieval over the real index: identifiers, languages, versions, other words."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

import pytest

from backend.adapters.lancedb import LanceIndex
from backend.domain import Chunk, IndexedDocument, Metadata, Query, Visibility
from backend.ingest.language import detect_language
from backend.query.retrieve import Retrieved, retrieve
from backend.sentences import sentence_spans
from tests.fakes.embedder import HashEmbedder

TEAM = "T1"
NOW = datetime(2026, 3, 1, tzinfo=UTC)


@pytest.fixture
async def index(tmp_path: Path) -> AsyncIterator[LanceIndex]:
    opened = await LanceIndex.open(str(tmp_path / "db"), HashEmbedder.name, HashEmbedder.dimensions)
    yield opened
    await opened.close()


async def document(title: str, *texts: str, metadata: Metadata | None = None) -> IndexedDocument:
    chunks = tuple(Chunk(place, 0, "", 0, text, tuple(sentence_spans(text))) for place, text in enumerate(texts))
    vectors = await HashEmbedder().embed_chunks(title, chunks)
    known = metadata or Metadata(language=detect_language(" ".join(texts)))
    return IndexedDocument(TEAM, title, "r", title, "", Visibility(), known, NOW, chunks, tuple(vectors))


async def search(index: LanceIndex, question: str, limit: int = 5) -> Retrieved:
    return await retrieve(Query(question, TEAM), index, HashEmbedder(), limit=limit)


async def titles(index: LanceIndex, question: str) -> Sequence[str]:
    return [passage.title for passage in (await search(index, question)).passages]


CODES = ("E-1042", "E-1043", "E-104", "SKU-12", "SKU-13", "SKU-120", "PEP 584", "PEP 585", "CVE-2024-1234")


@pytest.mark.parametrize(
    ("question", "found"),
    [
        ("What does error E-1042 mean?", "E-1042"),
        ("what does e1042 mean and how do I get rid of the error code", "E-1042"),
        ("Do we still sell SKU-12, and what does it cost?", "SKU-12"),
        ("what is sku 13", "SKU-13"),
        ("What does PEP-0584 propose?", "PEP 584"),
        ("Are we affected by CVE-2024-1234?", "CVE-2024-1234"),
    ],
)
async def test_the_document_with_the_very_identifier_comes_first(index: LanceIndex, question: str, found: str) -> None:
    noise = (
        "Error codes mean that something is to be done about what we sell, and what it costs is what PEP 1 proposes."
    )
    await index.replace(
        [
            *[await document(f"About {code}", f"{code} is described here, in 12 lines.") for code in CODES],
            *[await document(f"Errors {n}", f"{noise} See page {n}, line 584, 1042 and 13.") for n in range(12)],
        ]
    )
    assert (await titles(index, question))[0] == f"About {found}"


async def test_a_question_in_another_language_meets_inflections_and_not_its_function_words(index: LanceIndex) -> None:
    german = "Die {} {} sind für die Mitarbeiter und wie viele es im Jahr sind, das ist nicht für alle gleich."
    await index.replace(
        [
            await document("Urlaub", german.format("Urlaubstage", "verfallen")),
            *[await document(f"Anderes {n}", german.format("Parkplätze", f"von Haus {n}")) for n in range(8)],
            await document("Holidays", "There are thirty days of holiday in a year for everybody who works here."),
        ]
    )
    found = await index.search_text(Query("", TEAM), "urlaubstag", limit=5)
    assert [passage.title for passage in found] == ["Urlaub"]
    assert (await titles(index, "Wie ist es im Jahr mit einem Urlaubstag für alle, die das sind?"))[0] == "Urlaub"


async def test_a_superseded_policy_stands_below_its_successor(index: LanceIndex) -> None:
    rule = "Everyone works {} days a week in the office."
    versions = {"Office Policy 2020": ("no", 2020), "Office Policy": ("two", 2022), "Office Policy v3": ("three", 2023)}
    await index.replace(
        [
            await document(title, rule.format(days), metadata=Metadata(published_at=datetime(year, 5, 1, tzinfo=UTC)))
            for title, (days, year) in versions.items()
        ]
        + [await document(f"Canteen {n}", f"The menu of week {n} offers soup.") for n in range(9)]
    )
    assert (await titles(index, "How many days a week in the office?"))[0] == "Office Policy v3"
    assert (await titles(index, "In summer 2022, how many days a week in the office?"))[0] == "Office Policy"


async def test_one_long_document_leaves_room_for_others(index: LanceIndex) -> None:
    same = [f"The canteen menu of day {n}: the canteen serves soup." for n in range(9)]
    await index.replace([await document("Menus", *same), await document("Canteen hours", "It opens at noon.")])
    found = await search(index, "canteen menu", limit=4)
    assert {passage.title for passage in found.passages} == {"Menus", "Canteen hours"}


async def test_hits_grow_by_their_neighbours_within_the_budget(index: LanceIndex) -> None:
    words = ("alpha", "beta", "gamma", "delta", "epsilon", "zeta")
    await index.replace([await document("Guide", *(f"Step {word} is described here." for word in words))])
    query = Query("What are step beta and step epsilon?", TEAM)
    found = await retrieve(query, index, HashEmbedder(), limit=2)
    assert sorted(passage.position for passage in found.passages) == [1, 4]
    assert sorted(passage.position for passage in found.neighbours) == [0, 2, 3, 5]
    tight = await retrieve(query, index, HashEmbedder(), limit=2, budget=15)
    assert 0 < len(tight.neighbours) < 4
