"""What a filter means, in every index."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from backend.domain import And, Condition, Filter, Metadata, Not, Or, Query
from backend.errors import BadInput
from tests.contract.indexes import AnyIndex, found
from tests.fakes.corpus import INGESTED, custom, indexed_document

MAY = datetime(2026, 5, 1, tzinfo=UTC)
JUNE = datetime(2026, 6, 1, tzinfo=UTC)


def condition(op: str, field: str, value: object) -> Condition:
    return Condition(op, field, value)  # type: ignore[arg-type]


RICH = Metadata(
    author=("Zoë Müller", "Bo"),
    source="Confluence",
    doc_type="page",
    language="en",
    published_at=MAY,
    tags=("C++", "rfc"),
    custom=custom(cost=12.5, due=JUNE, owner=("Ann O'Neil", "李雷"), day="2026-06-01", version="3.10"),
)


CONDITIONS: list[tuple[str, str, object, bool]] = [
    ("eq", "source", "confluence", True),
    ("eq", "source", "conf", False),
    ("ne", "source", "confluence", False),
    ("ne", "source", "jira", True),
    ("in", "source", ("jira", "Confluence"), True),
    ("in", "source", (), False),
    ("eq", "author", "zoe muller", True),
    ("eq", "author", "Zoë", False),
    ("contains", "author", "bo", True),
    ("eq", "doc_type", "PAGE", True),
    ("in", "language", ("de", "en"), True),
    ("contains", "tags", "c++", True),
    ("contains", "tags", "c", False),
    ("eq", "tags", "rfc", True),
    ("ne", "tags", "rfc", False),
    ("eq", "title", "the café guide", True),
    ("contains", "title", "CAFE", True),
    ("contains", "title", "100%", False),
    ("contains", "title", "' OR 1=1 --", False),
    ("eq", "document_id", "rich", True),
    ("eq", "published_at", MAY, True),
    ("eq", "published_at", "2026-05-01", True),
    ("ne", "published_at", MAY, False),
    ("in", "published_at", (MAY, JUNE), True),
    ("gte", "published_at", MAY, True),
    ("lt", "published_at", MAY, False),
    ("lt", "published_at", MAY.astimezone(timezone(timedelta(hours=2))) + timedelta(microseconds=1), True),
    ("gte", "ingested_at", INGESTED, True),
    ("lt", "ingested_at", INGESTED, False),
    ("eq", "cost", 12.5, True),
    ("eq", "COST", "12.5", True),
    ("gte", "cost", 12.5, True),
    ("gte", "cost", 12.500001, False),
    ("lt", "cost", 12.5, False),
    ("lt", "cost", 1e9, True),
    ("gte", "cost", -3.0, True),
    ("gte", "cost", MAY, False),
    ("gte", "due", JUNE, True),
    ("lt", "due", JUNE, False),
    ("gte", "day", "2026-05-31T23:59:59Z", True),
    ("lt", "day", JUNE, False),
    ("gte", "version", 3.0, False),
    ("eq", "version", "3.10", True),
    ("eq", "version", 3.1, False),
    ("contains", "owner", "ann o'neil", True),
    ("eq", "owner", "李雷", True),
    ("eq", "owner", "李", False),
    ("ne", "nonexistent", "x", True),
    ("gte", "nonexistent", 0.0, False),
]


async def test_a_condition_admits_what_it_says(index: AnyIndex) -> None:
    await index.replace([indexed_document("rich", title="The Café  Guide", metadata=RICH)])
    for op, field, value, admitted in CONDITIONS:
        expected = {"rich"} if admitted else set()
        assert await found(index, condition(op, field, value)) == expected, (op, field, value)


async def test_what_is_unknown_satisfies_only_ne_and_not(index: AnyIndex) -> None:
    await index.replace([indexed_document("bare")])
    for field, value in (("published_at", MAY), ("source", "wiki"), ("tags", "rfc"), ("cost", 1.0)):
        assert await found(index, condition("ne", field, value)) == {"bare"}
        assert await found(index, Not(condition("eq", field, value))) == {"bare"}
        assert await found(index, condition("eq", field, value)) == set()
    assert await found(index, condition("gte", "published_at", MAY)) == set()
    assert await found(index, Not(condition("lt", "published_at", MAY))) == {"bare"}


async def test_and_or_not_nest(index: AnyIndex) -> None:
    await index.replace(
        [indexed_document(name, metadata=Metadata(source=name, tags=(name, "all"))) for name in ("a", "b", "c")]
    )
    a, b = condition("eq", "source", "a"), condition("contains", "tags", "b")
    everywhere = condition("contains", "tags", "all")
    assert await found(index, And((everywhere, Or((a, b))))) == {"a", "b"}
    assert await found(index, And((everywhere, Not(Or((a, b)))))) == {"c"}
    assert await found(index, Not(And((a, b)))) == {"a", "b", "c"}
    assert await found(index, And(())) == {"a", "b", "c"}
    assert await found(index, Or(())) == set()


async def test_a_filter_applies_to_full_text_too(index: AnyIndex) -> None:
    await index.replace([indexed_document(n, ["same words"], metadata=Metadata(source=n)) for n in ("a", "b")])
    query = Query("", "T1", filter=condition("eq", "source", "b"))
    assert [p.document_id for p in await index.search_text(query, "words", limit=5)] == ["b"]


def nested(depth: int) -> Filter:
    inner: Filter = condition("eq", "source", "a")
    for _ in range(depth):
        inner = Not(inner)
    return inner


MEANINGLESS: list[Filter] = [
    condition("gte", "author", "a"),
    condition("contains", "published_at", MAY),
    condition("eq", "published_at", "yesterday"),
    condition("gte", "cost", "cheap"),
    condition("gte", "cost", float("nan")),
    condition("eq", "source", ("a", "b")),
    condition("in", "source", "a"),
    condition("in", "source", tuple(str(n) for n in range(501))),
    nested(30),
    And(tuple(condition("eq", "source", str(n)) for n in range(80))),
]


async def test_a_filter_that_means_nothing_is_bad_input(index: AnyIndex) -> None:
    for meaningless in MEANINGLESS:
        with pytest.raises(BadInput):
            await found(index, meaningless)
