import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from time import perf_counter

import pytest

from backend.adapters.extractive import ExtractiveAnswerer
from backend.domain import (
    Audience,
    Began,
    Cited,
    Condition,
    Delta,
    Done,
    Event,
    Evidence,
    Found,
    Metadata,
    Query,
    QueryVectors,
    Question,
    Run,
    Understood,
    Visibility,
)
from backend.errors import BadInput, DatabaseUnavailable, IndexUnavailable, LLMInterrupted, LLMUnavailable
from backend.ports import Answerer
from backend.query.pipeline import Knobs, Pipeline
from backend.query.story import INTERRUPTED
from tests.fakes.embedder import HashEmbedder
from tests.fakes.index import FakeIndex
from tests.fakes.state import FakeDocuments, FakeRuns
from tests.fakes.story import NOW, TEAM, ScriptedAnswerer, index_of

TEXTS = {
    "Passwords": "KeePassXC is the recommended password manager. It can be installed from the self-service portal.",
    "Badges": "New badges are processed every Wednesday. Bring two forms of identification to the badge office.",
    "Secret": "The recommended password manager for the board is a locked drawer.",
}
QUESTION = Question("Which password manager is recommended?", TEAM)


async def _pipeline(*answerers: Answerer, index: FakeIndex | None = None, runs: FakeRuns | None = None) -> Pipeline:
    return Pipeline(
        index=index or await index_of(TEXTS, visibility={"Secret": Visibility("user", "U9")}),
        embedder=HashEmbedder(),
        documents=FakeDocuments(),
        runs=runs or FakeRuns(),
        extractive=ExtractiveAnswerer(),
        answerers=answerers,
        knobs=Knobs(draft_timeout=5),
        clock=lambda: NOW,
    )


async def _tell(pipeline: Pipeline, question: Question = QUESTION) -> list[Event]:
    return [event async for event in pipeline.answer(question, "r1")]


def _run(events: Sequence[Event]) -> Run:
    (done,) = [event for event in events if isinstance(event, Done)]
    return done.run


async def test_the_story_is_told_in_order_and_the_run_is_kept() -> None:
    runs = FakeRuns()
    events = await _tell(await _pipeline(runs=runs))
    kinds = [type(event) for event in events]
    assert kinds == [Began, Began, Understood, Found, Began, Delta, Cited, Done]
    run = _run(events)
    assert run.outcome == "answered"
    assert run.answer == "KeePassXC is the recommended password manager [1]."
    assert [one.quote for one in run.citations] == ["KeePassXC is the recommended password manager."]
    assert runs.rows["r1"] == run
    assert run.metadata.model == "extractive"
    assert 0 < run.metadata.tokens_after <= run.metadata.tokens_before


async def test_an_answer_uses_only_what_its_audience_may_read() -> None:
    run = _run(await _tell(await _pipeline(), replace(QUESTION, audience=Audience(channel="C1", user="U9"))))
    assert "drawer" not in run.answer
    private = replace(QUESTION, audience=Audience(user="U9", private=True))
    assert "Secret" in {one.title for one in _run(await _tell(await _pipeline(), private)).passages}


async def test_nothing_near_abstains_without_calling_the_llm() -> None:
    llm = ScriptedAnswerer(["Paris [1]."])
    run = _run(await _tell(await _pipeline(llm), Question("Who won the 1998 world cup final?", TEAM)))
    assert (run.outcome, run.citations, llm.asked) == ("abstained", (), [])
    assert "Secret" not in run.answer


async def test_sentences_that_the_passages_do_not_support_are_dropped_and_counted() -> None:
    llm = ScriptedAnswerer(["KeePassXC is the recommended pass", "word manager.[1] It costs 40 euros [1]. Nonsense!"])
    run = _run(await _tell(await _pipeline(llm)))
    assert run.answer == "KeePassXC is the recommended password manager [1]."
    assert (run.metadata.dropped_sentences, run.metadata.model, run.metadata.prompt) == (2, "scripted", "answer@v1")


async def test_nothing_left_after_verification_abstains() -> None:
    for pieces in (["It costs 40 euros [1]."], ["NO_ANSWER"], []):
        run = _run(await _tell(await _pipeline(ScriptedAnswerer(pieces))))
        assert run.outcome == "abstained"
        assert "Passwords" in run.answer


async def test_a_sentence_leaves_before_the_draft_has_ended() -> None:
    gate = asyncio.Event()
    llm = ScriptedAnswerer(
        ["KeePassXC is the recommended password manager [1]. It can be ", "installed [1]."], gate=gate
    )
    async with aclosing((await _pipeline(llm)).answer(QUESTION, "r1")) as events:
        async for event in events:
            if isinstance(event, Delta):
                break
        assert event == Delta("KeePassXC is the recommended password manager [1].")
        assert not llm.closed
        gate.set()


async def test_hanging_up_closes_the_draft_and_records_the_run() -> None:
    runs = FakeRuns()
    llm = ScriptedAnswerer(["KeePassXC is the recommended password manager [1]. Then ", "x"], gate=asyncio.Event())
    pipeline = await _pipeline(llm, runs=runs)
    task = asyncio.create_task(_tell(pipeline))
    await llm.begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert llm.closed
    assert (runs.rows["r1"].outcome, runs.rows["r1"].error) == ("failed", "CancelledError")


async def test_an_llm_that_is_down_is_replaced_by_quoting() -> None:
    llm = ScriptedAnswerer(["never"], fault=LLMUnavailable("down"))
    run = _run(await _tell(await _pipeline(llm)))
    assert (run.outcome, run.metadata.model, run.metadata.prompt) == ("answered", "extractive", "")


async def _collect(pipeline: Pipeline, events: list[Event]) -> None:
    async for event in pipeline.answer(QUESTION, "r1"):
        events.append(event)


async def test_an_answer_whose_llm_fails_midway_ends_honestly_with_what_is_verified() -> None:
    runs = FakeRuns()
    pieces = ["KeePassXC is the recommended password manager [1]. It can be installed "]
    llm = ScriptedAnswerer(pieces, fault=LLMUnavailable("down"), after=1)
    events: list[Event] = []
    await _collect(await _pipeline(llm, runs=runs), events)
    assert isinstance(events[-1], Done)
    run = runs.rows["r1"]
    assert run.answer == f"KeePassXC is the recommended password manager [1].\n\n{INTERRUPTED}"
    assert (run.outcome, run.metadata.degraded, len(run.citations)) == ("answered", "interrupted", 1)


async def test_an_answer_that_breaks_off_before_anything_is_shown_is_begun_anew() -> None:
    llm = _Broken(["KeePassXC is the recomm", "ended password manager [1]. And it is "], fails=1)
    run = _run(await _tell(await _pipeline(llm)))
    assert run.answer == "KeePassXC is the recommended password manager [1]."
    assert (run.metadata.model, run.metadata.degraded) == ("scripted", "")
    run = _run(await _tell(await _pipeline(_Broken(["KeePassXC is"], fails=99))))
    assert (run.metadata.model, run.metadata.degraded, run.outcome) == ("extractive", "quoted", "answered")


@dataclass
class _Broken(ScriptedAnswerer):
    """Breaks off after its first piece, as often as `fails` says."""

    fails: int = 0

    async def draft(
        self, question: str, query: Query, vectors: QueryVectors, evidence: Sequence[Evidence]
    ) -> AsyncIterator[str]:
        self.fails -= 1
        yield self.pieces[0]
        if self.fails >= 0:
            raise LLMInterrupted("broke off")
        yield self.pieces[1]


async def test_a_draft_that_never_ends_is_cut_at_its_deadline() -> None:
    llm = ScriptedAnswerer(["x", "y"], gate=asyncio.Event())
    pipeline = replace(await _pipeline(llm), knobs=Knobs(draft_timeout=0.05))
    began = perf_counter()
    run = _run(await _tell(pipeline))
    assert perf_counter() - began < 2
    assert run.metadata.model == "extractive"
    assert llm.closed


async def test_an_index_that_is_down_fails_and_is_recorded() -> None:
    runs, index = FakeRuns(), FakeIndex()
    index.fault = IndexUnavailable("down")
    with pytest.raises(IndexUnavailable):
        await _tell(await _pipeline(index=index, runs=runs))
    assert runs.rows["r1"].error == "IndexUnavailable"


class _NoRuns(FakeRuns):
    async def put(self, run: Run) -> None:
        raise DatabaseUnavailable("down")


async def test_an_answer_stands_though_its_run_cannot_be_kept() -> None:
    assert _run(await _tell(await _pipeline(runs=_NoRuns()))).outcome == "answered"


async def test_a_prompt_is_chosen_by_name_and_an_unknown_one_refused() -> None:
    first, second = ScriptedAnswerer([]), ScriptedAnswerer([], prompt="answer@v2")
    pipeline = await _pipeline(first, second)
    await _tell(pipeline, replace(QUESTION, prompt="answer@v2"))
    assert (len(first.asked), len(second.asked)) == (0, 1)
    with pytest.raises(BadInput, match="answer@v1, answer@v2"):
        await _tell(pipeline, replace(QUESTION, prompt="answer@v9"))


async def test_a_filter_that_finds_nothing_is_relaxed_but_not_the_callers_own() -> None:
    texts = {"Passwords": TEXTS["Passwords"]}
    question = replace(QUESTION, text="Which password manager is recommended in documents published in 2019?")
    run = _run(await _tell(await _pipeline(index=await index_of(texts)), question))
    assert run.outcome == "answered"
    assert run.query.relaxed
    assert "2019" in run.query.notices[0]
    own = replace(QUESTION, filter=Condition("eq", "source", "nowhere"))
    refused = _run(await _tell(await _pipeline(index=await index_of(texts)), own))
    assert (refused.outcome, refused.passages) == ("abstained", ())


async def test_a_search_generates_nothing() -> None:
    llm = ScriptedAnswerer(["x"])
    query, evidence, metadata = await (await _pipeline(llm)).search(QUESTION)
    assert query.text == QUESTION.text
    assert [(one.n, one.passage.title) for one in evidence] == [(1, "Passwords"), (2, "Badges")]
    assert [one.text for one in evidence] == [TEXTS["Passwords"], ""]
    assert llm.asked == []
    assert metadata.search_ms > 0


@dataclass
class _Opinion:
    says: bool | None
    asked: list[tuple[str, list[str]]] = field(default_factory=list)

    async def supports(self, sentence: str, quotes: Sequence[str]) -> bool | None:
        self.asked.append((sentence, list(quotes)))
        return self.says


@pytest.mark.parametrize(("says", "outcome"), [(True, "answered"), (False, "abstained"), (None, "abstained")])
async def test_a_second_opinion_decides_on_a_doubtful_sentence(says: bool | None, outcome: str) -> None:
    opinion = _Opinion(says)
    llm = ScriptedAnswerer(["The manager that staff should pick for a password is KeePassXC [1]."])
    run = _run(await _tell(replace(await _pipeline(llm), opinion=opinion)))
    assert run.outcome == outcome
    ((sentence, quotes),) = opinion.asked
    assert sentence.startswith("The manager")
    assert quotes == ["KeePassXC is the recommended password manager."]


async def test_second_opinions_are_asked_for_doubtful_sentences_only_and_at_most_a_few() -> None:
    opinion = _Opinion(True)
    said = ("The", "This", "That", "Any", "Each", "Some", "Such", "Every", "What")
    doubtful = [f"{one} manager that staff should pick for a password is KeePassXC [1]. " for one in said]
    sure = ["KeePassXC is the recommended password manager [1]. ", "It costs 40 euros [1]. "]
    asked = replace(await _pipeline(ScriptedAnswerer([*sure, *doubtful])), opinion=opinion)
    await _tell(asked)
    assert len(opinion.asked) == Knobs().opinions


async def test_documents_that_disagree_are_introduced_with_their_dates() -> None:
    texts = {
        "Policy 2022": "Employees work two days per week from the office.",
        "Policy 2023": "Employees work three days per week from the office.",
    }
    dated = {title: Metadata(published_at=datetime(int(title[-4:]), 5, 1, tzinfo=UTC)) for title in texts}
    question = Question("How many days per week do employees work from the office?", TEAM)
    run = _run(await _tell(await _pipeline(index=await index_of(texts, metadata=dated)), question))
    lead, *sides = run.answer.split("\n\n")
    assert lead == "The documents disagree here: “Policy 2023” (1 May 2023) and “Policy 2022” (1 May 2022)."
    assert [side.split(" days")[0] for side in sides] == ["Employees work three", "Employees work two"]


@dataclass
class _CrowdedEmbedder(HashEmbedder):
    """Takes a moment for each question, and counts how many it is asked at once."""

    at_once: int = 0
    most: int = 0

    async def embed_query(self, text: str) -> QueryVectors:
        self.at_once += 1
        self.most = max(self.most, self.at_once)
        await asyncio.sleep(0.1)
        self.at_once -= 1
        return await super().embed_query(text)


async def test_in_a_rush_searches_wait_before_their_clock_runs() -> None:
    embedder = _CrowdedEmbedder()
    pipeline = replace(
        await _pipeline(), embedder=embedder, searching=asyncio.Semaphore(1), knobs=Knobs(search_timeout=2)
    )
    questions = [replace(QUESTION, text=f"Which password manager is recommended for team {n}?") for n in range(30)]
    told = await asyncio.gather(*(_tell(pipeline, question) for question in questions))
    assert {_run(events).error for events in told} == {""}
    assert embedder.most == 1
