"""Whole answers by quoting alone, without an LLM: what they hold, how little they show, and when they abstain.

The naive answer is the `NAIVE` sentences of the found passages that are nearest to the question; the naive confidence
is the cosine of the nearest one.
"""

from __future__ import annotations

import math
import re
import string
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from rich.table import Table

from backend.adapters.extractive import ExtractiveAnswerer
from backend.adapters.minilm import MiniLM
from backend.domain import Audience, Catalogue, Done, Evidence, Found, Passage, Question, Run, Turn, Vector
from backend.evaluate.metrics import auroc, holds_answer, mean, median
from backend.query.abstain import ANSWERED_FROM, certainty, closest
from backend.query.pipeline import Pipeline
from backend.query.words import MARKER
from backend.sentences import sentences
from tests.evals.corpora import (
    TEAM,
    Case,
    evals_folder,
    load_cases,
    load_sources,
    open_index,
    rows,
    split_source,
)
from tests.evals.filters import catalogue_of
from tests.fakes.state import FakeDocuments, FakeRuns

SPANS = "xquad_en"
SUPPORT = "clapnq"
ABSTAIN = ("clapnq", "mtrag_un", "enterprise_rag_bench", "workplace", "tts_handbook")
SETS = ("tts_handbook", "anthropic_docs", SPANS, SUPPORT, "mtrag_un", "enterprise_rag_bench", "workplace")
NAIVE = 3
CURVE = (0.3, 0.35, 0.4, ANSWERED_FROM, 0.5, 0.55, 0.6, 0.65, 0.7)


@dataclass(frozen=True, slots=True)
class Told:
    """One question of a set and what came of it; `shown` are the answer's sentences without markers."""

    case: Case
    run: Run
    shown: tuple[str, ...]
    naive: tuple[str, ...]
    confidence: float
    nearness: float
    cosine: float

    @property
    def answered(self) -> bool:
        return self.run.outcome == "answered"


@dataclass
class CataloguedDocuments(FakeDocuments):
    """A record of documents that knows a set's catalogue and nothing else."""

    known: Catalogue = field(default_factory=Catalogue)

    async def catalogue(self, team: str, audience: Audience) -> Catalogue:
        return self.known


async def tell(name: str, embedder: MiniLM, cache: Path, *, every: int = 1) -> list[Told]:
    """Ask a set's questions, or each `every`-th, of the real pipeline over an index of its own."""
    sources = load_sources(name)
    histories = _histories(name)
    async with open_index(sources, [split_source(one, embedder) for one in sources], embedder, cache) as index:
        documents = CataloguedDocuments(known=catalogue_of(sources))
        pipeline = Pipeline(index, embedder, documents, FakeRuns(), ExtractiveAnswerer())
        return [
            await _told(pipeline, embedder, case, histories.get(case.qid, ())) for case in load_cases(name)[::every]
        ]


def _histories(name: str) -> dict[str, tuple[Turn, ...]]:
    found: dict[str, tuple[Turn, ...]] = {}
    for row in rows(evals_folder() / name / "questions.jsonl"):
        turns = row.get("history")
        if isinstance(turns, list):
            found[str(row["qid"])] = tuple(
                Turn("user" if speaker == "user" else "assistant", str(text)) for speaker, text in turns
            )
    return found


async def _told(pipeline: Pipeline, embedder: MiniLM, case: Case, history: tuple[Turn, ...]) -> Told:
    question = Question(case.question, TEAM, history=history)
    events = [event async for event in pipeline.answer(question, case.qid)]
    (found,) = [event for event in events if isinstance(event, Found)]
    (done,) = [event for event in events if isinstance(event, Done)]
    vector = (await embedder.embed_query(done.run.query.text)).sentence
    naive, cosine = _nearest(found.evidence, vector)
    nearest = closest(done.run.query.text, vector, found.evidence)
    return Told(
        case=case,
        run=done.run,
        shown=tuple(_sentences(done.run)),
        naive=naive,
        confidence=certainty(nearest, vector, await embedder.embed_sentences(nearest.sentences)),
        nearness=nearest.nearness,
        cosine=cosine,
    )


def _sentences(run: Run) -> list[str]:
    return sentences(MARKER.sub("", run.answer)) if run.outcome == "answered" else []


def _nearest(evidence: Sequence[Evidence], vector: Vector) -> tuple[tuple[str, ...], float]:
    scored = [pair for one in evidence for pair in _by_cosine(one.passage, vector)]
    best = sorted(scored, reverse=True)[:NAIVE]
    return tuple(text for _, text in best), best[0][0] if best else 0.0


def _by_cosine(passage: Passage, vector: Vector) -> list[tuple[float, str]]:
    cosines = passage.sentence_vectors @ vector
    spans = passage.sentences[: len(cosines)]
    return [(float(cosine), passage.text[start:end]) for cosine, (start, end) in zip(cosines, spans, strict=True)]


# ----------------------------------------------------------------------------------------------------------- figures


def normal(text: str) -> str:
    """Lower-case, without punctuation and articles, as SQuAD compares (Rajpurkar et al., 2016)."""
    spaced = "".join(" " if character in string.punctuation else character for character in text.lower())
    return " ".join(word for word in spaced.split() if word not in ("a", "an", "the"))


def holds_span(shown: Sequence[str], answers: Sequence[str]) -> bool:
    """Whether one of the answers stands in the shown sentences, as SQuAD compares."""
    whole = f" {normal(' '.join(shown))} "
    return any(f" {normal(answer)} " in whole for answer in answers)


def span_f1(shown: Sequence[str], answers: Sequence[str]) -> float:
    """Return the best F1 of words between an answer and as long a stretch of the shown sentences."""
    words = normal(" ".join(shown)).split()
    return max((_stretch_f1(words, normal(answer).split()) for answer in answers), default=0.0)


def _stretch_f1(words: Sequence[str], answer: Sequence[str]) -> float:
    size = len(answer)
    if not size or not words:
        return 0.0
    stretches = [words[at : at + size] for at in range(max(1, len(words) - size + 1))]
    common = max(sum(min(stretch.count(word), answer.count(word)) for word in set(answer)) for stretch in stretches)
    return 2 * common / (size + min(size, len(words)))


def support_shares(shown: Sequence[str], gold: Sequence[str]) -> tuple[float, float]:
    """Return the recall and precision of gold support sentences among the shown; a part of one counts as it."""
    said, wanted = [_bare(text) for text in shown], [_bare(text) for text in gold]
    found = sum(any(_same(one, other) for other in said) for one in wanted)
    right = sum(any(_same(one, other) for other in wanted) for one in said)
    return found / len(wanted) if wanted else math.nan, right / len(said) if said else 0.0


def _bare(text: str) -> str:
    return re.sub(r"[\W_]+", "", text.lower())


def _same(one: str, other: str) -> bool:
    return one == other or (min(len(one), len(other)) > 20 and (one in other or other in one))


def support_of(name: str) -> dict[str, tuple[str, ...]]:
    """Return the support sentences of the answerable questions."""
    return {
        str(row["qid"]): tuple(map(str, gold))
        for row in rows(evals_folder() / name / "questions.jsonl")
        if isinstance(gold := row.get("support_sentences"), list) and gold
    }


# ------------------------------------------------------------------------------------------------------------ tables


async def report(names: Sequence[str], embedder: MiniLM, cache: Path) -> list[Table]:
    """Answer each set's questions from an index of its own."""
    told = {name: await tell(name, embedder, cache) for name in names}
    tables = [_answers(told)]
    if SPANS in told:
        tables.append(_spans(told[SPANS]))
    if SUPPORT in told:
        tables.append(_support(told[SUPPORT]))
    declined = {name: told[name] for name in names if name in ABSTAIN}
    return [*tables, _ranked(declined), _curve(declined)] if declined else tables


def _answers(told: dict[str, list[Told]]) -> Table:
    table = Table(
        *("set", "gold covered", "naive", "refused", "declined", "sentences", "words", "ms p50"),
        title=f"Answers by quoting alone; naive: the {NAIVE} nearest sentences, never refusing",
    )
    for name, all_told in told.items():
        asked = [one for one in all_told if one.case.answerable and one.case.answers]
        answered = [one for one in asked if one.answered]
        table.add_row(
            name,
            _share([holds_answer(" ".join(one.shown), one.case.answers) for one in asked]),
            _share([holds_answer(" ".join(one.naive), one.case.answers) for one in asked]),
            _share([not one.answered for one in all_told if one.case.answerable]),
            _share([not one.answered for one in all_told if not one.case.answerable]),
            f"{mean([len(one.shown) for one in answered]):.1f}",
            f"{mean([len(' '.join(one.shown).split()) for one in answered]):.0f}",
            f"{median([one.run.metadata.total_ms for one in all_told]):.0f}",
        )
    return table


def _share(flags: Sequence[bool]) -> str:
    return f"{mean(flags):.3f}" if flags else "–"


def _spans(told: Sequence[Told]) -> Table:
    table = Table("", "exact", "F1", "sentences", "words", title=f"{SPANS}: the answer's words within what is shown")
    ways: tuple[tuple[str, Callable[[Told], Sequence[str]]], ...] = (
        ("ours", lambda one: one.shown),
        (f"nearest {NAIVE}", lambda one: one.naive),
    )
    for way, shown in ways:
        table.add_row(
            way,
            _share([holds_span(shown(one), one.case.answers) for one in told]),
            f"{mean([span_f1(shown(one), one.case.answers) for one in told]):.3f}",
            f"{mean([len(shown(one)) for one in told]):.2f}",
            f"{mean([len(' '.join(shown(one)).split()) for one in told]):.0f}",
        )
    return table


def support_figures(
    told: Sequence[Told], gold: dict[str, tuple[str, ...]], *, naive: bool = False
) -> tuple[float, ...]:
    """Return mean recall and precision of support sentences, and how many sentences are shown."""
    kept = [(one.naive if naive else one.shown, gold[one.case.qid]) for one in told if one.case.qid in gold]
    shares = [support_shares(shown, wanted) for shown, wanted in kept]
    return mean([one for one, _ in shares]), mean([one for _, one in shares]), mean([len(shown) for shown, _ in kept])


def _support(told: Sequence[Told]) -> Table:
    table = Table("", "recall", "precision", "F1", "sentences", title=f"{SUPPORT}: support sentences among the shown")
    gold = support_of(SUPPORT)
    for way, naive in (("ours", False), (f"nearest {NAIVE}", True)):
        recall, precision, shown = support_figures(told, gold, naive=naive)
        f1 = 2 * recall * precision / (recall + precision) if recall + precision else 0.0
        table.add_row(way, f"{recall:.3f}", f"{precision:.3f}", f"{f1:.3f}", f"{shown:.2f}")
    return table


def _ranked(told: dict[str, list[Told]]) -> Table:
    table = Table(
        *("set", "certainty", "nearness alone", "nearest sentence"),
        title="Abstain: AUROC / unanswerable refused where .10 of the answerable are",
    )
    together = [one for all_told in told.values() for one in all_told]
    for name, all_told in {**told, "together, by one threshold": together}.items():
        labels = [one.case.answerable for one in all_told]
        ways = ([getattr(one, way) for one in all_told] for way in ("confidence", "nearness", "cosine"))
        table.add_row(
            name, *(f"{auroc(scores, labels):.3f} / {refused_at(scores, labels, 0.1):.2f}" for scores in ways)
        )
    return table


def refused_at(scores: Sequence[float], labels: Sequence[bool], share: float) -> float:
    """Return the share of unanswerable questions that a threshold refuses which refuses `share` of the answerable."""
    least = float(np.quantile([score for score, label in zip(scores, labels, strict=True) if label], share))
    return mean([score < least for score, label in zip(scores, labels, strict=True) if not label])


def _curve(told: dict[str, list[Told]]) -> Table:
    table = Table(
        "threshold", *told, title="Coverage and accuracy: unanswerable refused / answerable refused, by threshold"
    )
    for least in CURVE:
        shipped = " (shipped)" if least == ANSWERED_FROM else ""
        table.add_row(f"{least:.2f}{shipped}", *(_point(all_told, least) for all_told in told.values()))
    return table


def _point(told: Sequence[Told], least: float) -> str:
    wrong = mean([one.confidence < least for one in told if one.case.answerable])
    right = mean([one.confidence < least for one in told if not one.case.answerable])
    return f"{right:.2f} / {wrong:.3f}"


def thresholds() -> dict[str, float]:
    """Return floors (`refused` is a ceiling) for the sets of the quick test, a little off what was measured."""
    return {
        "clapnq AUROC": 0.86,
        "clapnq declined": 0.55,
        "clapnq recall": 0.65,
        "clapnq precision": 0.45,
        "xquad exact": 0.85,
        "refused": 0.13,
    }
