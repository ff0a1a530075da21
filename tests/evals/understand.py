"""Understanding on labelled sets: are the filters read from plain questions the right ones, do they help to find the
document, do questions without a filter stay without, and what is a thread worth to a follow-up.

In process and without an LLM. "Exact" compares filters in a canonical form; "set F1" the documents that they admit.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from time import perf_counter
from typing import cast

from rich.table import Table

from backend.adapters.lancedb import LanceIndex
from backend.adapters.minilm import MiniLM
from backend.domain import And, Catalogue, Condition, Filter, Not, Or, Query, Question, Turn
from backend.evaluate.metrics import mean, median, recall, set_f1
from backend.query.retrieve import retrieve
from backend.query.understand import Reading, relax, understand
from tests.evals.corpora import TEAM, Source, evals_folder, load_sources, open_index, rows, split_source
from tests.evals.filters import admitted, canonical, catalogue_of, gold_filter

SETS = ("peps_selfquery", "multihoprag_filters", "mtrag_un")
NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
"""The labels' today (`asked_at`)."""
DEPTH = 40


@dataclass(frozen=True, slots=True)
class Asked:
    """A question with its gold filter and documents."""

    kind: str
    question: str
    gold: Filter | None
    documents: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Parsed:
    """One question as it was read: is the filter right, how right are the documents, is there any, how long it took."""

    kind: str
    exact: bool
    f1: float
    filtered: bool
    ms: float


async def report(names: Sequence[str], embedder: MiniLM, cache: Path) -> list[Table]:
    """Measure the sets that are asked for."""
    tables: list[Table] = []
    if "peps_selfquery" in names:
        tables += [parse_table(parse_peps()), search_table(await search_peps(embedder, cache))]
    if "multihoprag_filters" in names:
        tables.append(sources_table(parse_sources()))
    if "mtrag_un" in names:
        tables.append(threads_table(await search_threads(embedder, cache)))
    return tables


def thresholds() -> dict[str, float]:
    """Return floors a little under the shipped figures."""
    return {
        "peps exact, handwritten": 0.85,
        "peps set F1, handwritten": 0.90,
        "peps exact, templates": 0.95,
        "peps no filter": 0.95,
        "sources exact": 0.97,
    }


# ------------------------------------------------------------------------------------------------------ peps_selfquery


def load_asked() -> list[Asked]:
    return [
        Asked(
            str(row["kind"]),
            str(row["question"]),
            gold_filter(row["gold_filter"]),
            tuple(map(str, cast(list[object], row["gold_doc_ids"]))),
        )
        for row in rows(evals_folder() / "peps_selfquery" / "questions.jsonl")
    ]


def parse_peps() -> list[Parsed]:
    """Read every question and compare with its label."""
    sources = load_sources("peps_selfquery")
    catalogue = catalogue_of(sources)
    return [_parsed(asked, sources, catalogue) for asked in load_asked()]


def _parsed(asked: Asked, sources: Sequence[Source], catalogue: Catalogue) -> Parsed:
    began = perf_counter()
    found = understand(Question(asked.question, TEAM), catalogue, NOW).query.filter
    ms = (perf_counter() - began) * 1000
    f1 = set_f1(admitted(found, sources), admitted(asked.gold, sources))
    return Parsed(asked.kind, canonical(found) == canonical(asked.gold), f1, found is not None, ms)


GROUPS: dict[str, Callable[[str], bool]] = {
    "handwritten": lambda kind: kind == "handwritten",
    "templates": lambda kind: kind.startswith("template"),
    "relative dates": lambda kind: kind == "relative_date",
    "names no document has": lambda kind: kind == "no_match",
    "asks for no filter": lambda kind: kind == "no_filter",
}


def parse_table(parsed: Sequence[Parsed]) -> Table:
    table = Table(title="peps_selfquery: filters read from questions (targets: exact .85, set F1 .90, no filter .95)")
    for heading in ("questions", "n", "exact", "set F1", "filtered", "ms p50"):
        table.add_column(heading)
    for name, belongs in GROUPS.items():
        own = [one for one in parsed if belongs(one.kind)]
        table.add_row(
            name,
            str(len(own)),
            f"{mean([one.exact for one in own]):.3f}",
            f"{mean([one.f1 for one in own]):.3f}",
            f"{mean([one.filtered for one in own]):.3f}",
            f"{median([one.ms for one in own]):.1f}",
        )
    return table


async def search_peps(embedder: MiniLM, cache: Path) -> dict[str, dict[str, float]]:
    """Return R@5 by way of asking and group of questions; of more than five gold documents, five count as all."""
    sources = load_sources("peps_selfquery")
    catalogue, asked = catalogue_of(sources), [one for one in load_asked() if one.documents]
    async with open_index(sources, [split_source(one, embedder) for one in sources], embedder, cache) as index:
        ways: dict[str, list[list[str]]] = {
            "BM25, no filter": [await _by_text(index, one.question) for one in asked],
            "retrieve, no filter": [await _by_reading(index, embedder, _plain(one)) for one in asked],
            "ours (self-query)": [await _by_reading(index, embedder, _read(one, catalogue)) for one in asked],
            "retrieve, gold filter": [await _by_reading(index, embedder, _gold(one, catalogue)) for one in asked],
        }
    return {way: _recalls(asked, rankings) for way, rankings in ways.items()}


def _plain(asked: Asked) -> Reading:
    return Reading(Query(asked.question, TEAM))


def _read(asked: Asked, catalogue: Catalogue) -> Reading:
    return understand(Question(asked.question, TEAM), catalogue, NOW)


def _gold(asked: Asked, catalogue: Catalogue) -> Reading:
    """Return our text with the labelled filter."""
    return Reading(Query(_read(asked, catalogue).query.text, TEAM, filter=asked.gold))


async def _by_text(index: LanceIndex, text: str) -> list[str]:
    return [one.document_id for one in await index.search_text(Query(text, TEAM), text, limit=DEPTH)]


async def _by_reading(index: LanceIndex, embedder: MiniLM, reading: Reading) -> list[str]:
    """Retrieve as the pipeline does, giving up conditions as long as nothing is found."""
    found = (await retrieve(reading.query, index, embedder, limit=DEPTH)).passages
    while not found and (relaxed := relax(reading)):
        reading = relaxed
        found = (await retrieve(reading.query, index, embedder, limit=DEPTH)).passages
    return [one.document_id for one in found]


def _recalls(asked: Sequence[Asked], rankings: Sequence[Sequence[str]]) -> dict[str, float]:
    found: dict[str, list[float]] = {"handwritten": [], "no filter": [], "all": []}
    for one, ranking in zip(asked, rankings, strict=True):
        share = recall(ranking, one.documents, 5) * max(1.0, len(one.documents) / 5)
        found["all"].append(share)
        if one.kind == "handwritten":
            found["handwritten"].append(share)
        elif one.gold is None:
            found["no filter"].append(share)
    return {group: mean(shares) for group, shares in found.items()}


def search_table(found: dict[str, dict[str, float]]) -> Table:
    table = Table(title="peps_selfquery: R@5 by document (target .90 with self-query; a gold filter gives 1.00)")
    for heading in ("way", "handwritten", "asks for no filter", "all"):
        table.add_column(heading)
    for way, shares in found.items():
        table.add_row(way, *(f"{shares[group]:.3f}" for group in ("handwritten", "no filter", "all")))
    return table


# ------------------------------------------------------------------------------------------------- multihoprag_filters


@dataclass(frozen=True, slots=True)
class Sourced:
    """One question: our sources and GPT-3.5's against the label, and how many conditions name what is not known."""

    exact: bool
    published: bool
    unknown: int
    others: bool


def parse_sources() -> list[Sourced]:
    """Read every question; the catalogue is the set of all sources that the labels name."""
    labelled = rows(evals_folder() / "multihoprag_filters" / "questions.jsonl")
    golds = [set(map(str, cast(dict[str, list[object]], row["gold_filter"])["value"])) for row in labelled]
    catalogue = Catalogue(
        {"source": {name: sum(name in gold for gold in golds) for name in sorted(set().union(*golds))}}
    )
    return [_sourced(row, gold, catalogue) for row, gold in zip(labelled, golds, strict=True)]


def _sourced(row: dict[str, object], gold: set[str], catalogue: Catalogue) -> Sourced:
    found = understand(Question(str(row["question"]), TEAM), catalogue, NOW).query.filter
    conditions = _conditions(found)
    named = {str(v) for one in conditions if one.field == "source" for v in _values(one)}
    published = cast(dict[str, dict[str, list[str]]], row["gpt35_filter"] or {}).get("source", {}).get("$in", [])
    return Sourced(
        exact=named == gold,
        published=set(published) == gold,
        unknown=len(named - {str(value) for value in catalogue.values["source"]}),
        others=any(one.field not in ("source", "published_at") for one in conditions),
    )


def _conditions(filter_: Filter | None) -> list[Condition]:
    match filter_:
        case None:
            return []
        case Condition():
            return [filter_]
        case Not(item):
            return _conditions(item)
        case And(items) | Or(items):
            return [one for item in items for one in _conditions(item)]


def _values(condition: Condition) -> tuple[object, ...]:
    return condition.value if isinstance(condition.value, tuple) else (condition.value,)


def sources_table(parsed: Sequence[Sourced]) -> Table:
    table = Table(title="multihoprag_filters: sources read from questions (target .97; GPT-3.5 as published .944)")
    for heading in ("n", "exact", "GPT-3.5 on these", "not in the catalogue", "other fields"):
        table.add_column(heading)
    table.add_row(
        str(len(parsed)),
        f"{mean([one.exact for one in parsed]):.3f}",
        f"{mean([one.published for one in parsed]):.3f}",
        str(sum(one.unknown for one in parsed)),
        str(sum(one.others for one in parsed)),
    )
    return table


# ------------------------------------------------------------------------------------------------------------ mtrag_un


async def search_threads(embedder: MiniLM, cache: Path) -> dict[str, dict[str, float]]:
    """Return R@5 by what is asked (the last turn alone, or with its thread) and by what searches."""
    labelled = [row for row in rows(evals_folder() / "mtrag_un" / "questions.jsonl") if row["gold_doc_ids"]]
    golds = [[str(one) for one in cast(list[object], row["gold_doc_ids"])] for row in labelled]
    sources = load_sources("mtrag_un")
    async with open_index(sources, [split_source(one, embedder) for one in sources], embedder, cache) as index:
        found: dict[str, dict[str, float]] = {}
        for way, with_thread in (("last turn alone", False), ("with its thread", True)):
            texts = [_asked(row, with_thread=with_thread) for row in labelled]
            found[way] = {
                name: mean(
                    [recall(await search(index, embedder, t), gold, 5) for t, gold in zip(texts, golds, strict=True)]
                )
                for name, search in SEARCHES.items()
            }
    return found


def _asked(row: dict[str, object], *, with_thread: bool) -> str:
    turns = cast(list[tuple[str, str]], row["history"]) if with_thread else []
    history = tuple(Turn("user" if who == "user" else "assistant", text) for who, text in turns)
    return understand(Question(str(row["question"]), TEAM, history=history), Catalogue(), NOW).query.text


async def _text_only(index: LanceIndex, embedder: MiniLM, text: str) -> list[str]:
    return await _by_text(index, text)


async def _vector_only(index: LanceIndex, embedder: MiniLM, text: str) -> list[str]:
    vectors = await embedder.embed_query(text)
    return [one.document_id for one in await index.search_vector(Query(text, TEAM), vectors.search, limit=DEPTH)]


async def _both(index: LanceIndex, embedder: MiniLM, text: str) -> list[str]:
    return [one.document_id for one in (await retrieve(Query(text, TEAM), index, embedder, limit=DEPTH)).passages]


SEARCHES = {"BM25": _text_only, "vectors": _vector_only, "retrieve": _both}


def threads_table(found: dict[str, dict[str, float]]) -> Table:
    table = Table(title="mtrag_un: R@5 of follow-ups (published, full corpora: BM25 .29 → .36, ELSER .40 → .49)")
    for heading in ("asked", *SEARCHES):
        table.add_column(heading)
    for way, shares in found.items():
        table.add_row(way, *(f"{shares[name]:.3f}" for name in SEARCHES))
    return table
