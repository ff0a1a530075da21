"""Whatever is written and asked, the index answers as the reference does and never shows what is not to be seen."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from backend.adapters.lance_filter import has_any_label, literal
from backend.adapters.lancedb import LanceIndex
from backend.domain import And, Audience, Condition, FieldValue, Filter, IndexedDocument, Metadata, Not, Or, Query
from backend.domain import Visibility as Visible
from tests.fakes.corpus import DIMENSIONS, custom, indexed_document, unit_vector
from tests.fakes.index import admits

HOSTILE = (
    "' OR 1=1 --", "a'); DROP TABLE chunks; --", "x' OR team = 'T2", "\\' OR true --", "%", "_", "*", "`team`", '"',
    "\\') OR true --", "']) OR true OR array_has_any(labels, ['x",
    "\\'", "\\", "\0", "", " ", "~", "=", "a=b", "~n=", "ＦＵＬＬ", "straße", "İ", "李雷",
    "e\u0301", "NULL", "true", "1", "1.0", "2026-01-01", "2026-01-01T00:00:00+00:00", "/*", "--", "${x}", "\n",
)  # fmt: skip
TEAMS = ("T1", "T2", "T1' OR 'a'='a", "\\') OR true --", "")
SUBJECTS = ("\\') OR true --", "C1", "C1' OR 1=1 --", "U1", "team")
FIELDS = ("source", "author", "doc_type", "tags", "title", "language", "document_id")
CUSTOM = ("cost", "Owner", "x' OR 1=1 --", "Author", "due~n")
DATES = tuple(datetime(year, month, 1, tzinfo=UTC) for year in (1, 1969, 2026, 9999) for month in (1, 12))

texts = st.sampled_from(HOSTILE) | st.text(max_size=12)
dates = st.sampled_from(DATES) | st.datetimes(timezones=st.just(UTC))
numbers = st.sampled_from((0.0, -0.0, 1.0, -1.5, 1e300, -1e-300)) | st.floats(allow_nan=False)
values: st.SearchStrategy[FieldValue] = texts | numbers | dates
visibilities = st.builds(Visible, st.just("channel"), st.sampled_from(SUBJECTS)) | st.just(Visible())
visibilities |= st.builds(Visible, st.just("user"), st.sampled_from(SUBJECTS))
audiences = st.builds(
    Audience,
    channel=st.none() | st.sampled_from(SUBJECTS),
    user=st.none() | st.sampled_from(SUBJECTS),
    private=st.booleans(),
    channels=st.lists(st.sampled_from(SUBJECTS), max_size=2).map(tuple),
)
metadata = st.builds(
    Metadata,
    author=st.lists(texts, max_size=2).map(tuple),
    source=texts,
    doc_type=texts,
    language=texts,
    published_at=st.none() | dates,
    tags=st.lists(texts, max_size=3).map(tuple),
    custom=st.dictionaries(st.sampled_from(CUSTOM), st.lists(values, min_size=1, max_size=2).map(tuple), max_size=3),
)
documents = st.builds(
    lambda document_id, team, visibility, title, known: indexed_document(
        document_id, team=team, visibility=visibility, title=title, metadata=known
    ),
    texts,
    st.sampled_from(TEAMS),
    visibilities,
    texts,
    metadata,
)
names = st.sampled_from(FIELDS) | st.sampled_from(CUSTOM)
conditions: st.SearchStrategy[Filter] = (
    st.builds(Condition, st.sampled_from(("eq", "ne", "contains")), names, values)
    | st.builds(Condition, st.just("in"), names, st.lists(values, max_size=4).map(tuple))
    | st.builds(Condition, st.sampled_from(("eq", "ne", "gte", "lt")), st.sampled_from(("published_at",)), dates)
    | st.builds(Condition, st.sampled_from(("gte", "lt")), st.sampled_from(("cost", "due~n")), numbers | dates)
)
filters = st.recursive(
    conditions,
    lambda inner: (
        st.builds(And, st.lists(inner, max_size=3).map(tuple))
        | st.builds(Or, st.lists(inner, max_size=3).map(tuple))
        | st.builds(Not, inner)
    ),
    max_leaves=5,
)


@pytest.fixture(scope="module")
def runner() -> Iterator[asyncio.Runner]:
    with asyncio.Runner() as opened:
        yield opened


@pytest.fixture(scope="module")
def index(runner: asyncio.Runner, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LanceIndex]:
    folder: Path = tmp_path_factory.mktemp("index")
    opened = runner.run(LanceIndex.open(str(folder), "test", DIMENSIONS))
    yield opened
    runner.run(opened.close())


async def _compare(index: LanceIndex, corpus: list[IndexedDocument], queries: list[Query], *, fold_in: bool) -> None:
    latest = {(document.team, document.document_id): document for document in corpus}
    await index.replace(corpus)
    if fold_in:
        await index.optimise()
    for query in queries:
        found = await index.search_vector(query, unit_vector("x"), limit=1000)
        assert {passage.document_id for passage in found} == {
            document_id for (team, document_id), document in latest.items() if _seen(query, team, document)
        }
    for team in TEAMS:
        await index.delete(team, [document_id for owner, document_id in latest if owner == team])


def _seen(query: Query, team: str, document: IndexedDocument) -> bool:
    visible = str(document.visibility) in query.audience.visibilities()
    return team == query.team and visible and admits(query.filter, document)


queries = st.builds(Query, st.just(""), st.sampled_from(TEAMS), audiences, st.none() | filters)
hypothesis_settings = settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)


@hypothesis_settings
@given(st.lists(documents, min_size=1, max_size=8), st.lists(queries, min_size=1, max_size=5), st.booleans())
def test_the_index_admits_exactly_what_the_reference_does(
    runner: asyncio.Runner,
    index: LanceIndex,
    corpus: list[IndexedDocument],
    asked: list[Query],
    fold_in: bool,
) -> None:
    runner.run(_compare(index, corpus, asked, fold_in=fold_in))


async def _leaks(index: LanceIndex, query: Query) -> list[str]:
    by_vector = await index.search_vector(query, unit_vector("x"), limit=1000)
    by_text = await index.search_text(query, "secret sentence", limit=1000)
    sections = await index.section_passages(query, [query.text])
    return [passage.title for passage in (*by_vector, *by_text, *sections)]


@pytest.fixture(scope="module")
def guarded(runner: asyncio.Runner, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LanceIndex]:
    """Every team and visibility holds one document whose title says whose it is."""
    opened = runner.run(LanceIndex.open(str(tmp_path_factory.mktemp("guarded")), "test", DIMENSIONS))
    kinds = [Visible(), *(Visible(kind, name) for kind in ("channel", "user") for name in ("C1", "U1"))]
    corpus = [
        indexed_document(str(kind), ["A secret sentence."], team=team, visibility=kind, title=f"{team} {kind}")
        for team in ("T1", "T2")
        for kind in kinds
    ]
    runner.run(opened.replace([replace(document, metadata=Metadata(custom=custom(cost=1.0))) for document in corpus]))
    yield opened
    runner.run(opened.close())


@hypothesis_settings
@given(
    st.builds(Query, texts, st.sampled_from(("T1", "T2")) | texts, audiences, st.none() | filters),
)
def test_nothing_of_another_team_or_visibility_ever_comes_out(
    runner: asyncio.Runner, guarded: LanceIndex, query: Query
) -> None:
    allowed = {f"{query.team} {visibility}" for visibility in query.audience.visibilities()}
    assert set(runner.run(_leaks(guarded, query))) <= allowed


@pytest.mark.parametrize("hostile", [text for text in HOSTILE if "'" in text])
def test_a_text_that_is_no_label_is_never_put_into_sql(hostile: str) -> None:
    with pytest.raises(ValueError, match="alphabet"):
        has_any_label(["tags=ok", f"tags={hostile}"])
    with pytest.raises(ValueError, match="quotes"):
        literal(hostile)
