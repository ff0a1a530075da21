"""The story of one question, in order: understand, retrieve, compress, generate, verify. It calls; others decide."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from time import perf_counter
from zoneinfo import ZoneInfo

from loguru import logger

from backend.domain import (
    Began,
    Cited,
    Delta,
    Done,
    Event,
    Evidence,
    Found,
    Query,
    Question,
    Run,
    RunMetadata,
    Understood,
)
from backend.errors import BadInput, IndexUnavailable, LLMUnavailable, Unavailable
from backend.ports import Answerer, Compressor, Documents, Embedder, Index, Runs
from backend.query.abstain import answerable
from backend.query.compress import SentenceCompressor, ranked_evidence
from backend.query.conflicts import find_conflicts
from backend.query.generate import Drafted, drafted_sentences
from backend.query.opinion import SecondOpinion, second_opinion
from backend.query.proposal import Reader
from backend.query.retrieve import NO_EXTRAS, Extras, Retrieved, retrieve
from backend.query.story import Story
from backend.query.tokens import estimate_tokens
from backend.query.understand import Reading, read, relax
from backend.query.verify import Support, copied_from, quoted, verify


@dataclass(frozen=True, slots=True)
class Knobs:
    """What may be set of the story. `token_budget` is of the evidence; timeouts are in seconds, one per port;
    `opinions` is how many second opinions one answer may ask for."""

    token_budget: int = 1500
    time_zone: str = "UTC"
    search_timeout: float = 15.0
    read_timeout: float = 4.0
    draft_timeout: float = 60.0
    opinion_timeout: float = 3.0
    opinions: int = 4


def _now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True)
class Pipeline:
    """Answers questions. `answerers` are the configured ones, the default first: `Question.prompt` picks another by its
    prompt. `extractive` answers where there are none, or where the LLM is down before its first word.
    """

    index: Index
    embedder: Embedder
    documents: Documents
    runs: Runs
    extractive: Answerer
    answerers: tuple[Answerer, ...] = ()
    reader: Reader | None = None
    opinion: SecondOpinion | None = None
    compressor: Compressor = field(default_factory=SentenceCompressor)
    extras: Extras = NO_EXTRAS
    knobs: Knobs = field(default_factory=Knobs)
    clock: Callable[[], datetime] = _now

    def check(self, question: Question) -> None:
        """Raise BadInput where the question names a prompt that no answerer has."""
        self._answerer(question)

    async def answer(self, question: Question, run_id: str) -> AsyncGenerator[Event, None]:
        """Tell the story of one question, from Began to Done; sentences leave as they are verified.

        The run is recorded whatever happens, hanging up included (close the iterator to cancel the work).

        Raises:
            FootnoteError: the story could not be told to its end; what was yielded before stands.
        """
        story = Story(run_id=run_id, question=question, created_at=self.clock(), query=_unread(question))
        try:
            async with aclosing(self._tell(story)) as events:
                async for event in events:
                    yield event
        except BaseException as error:  # recorded and raised again, cancellation too: no run is lost
            await asyncio.shield(self._record(story.run("failed", error=type(error).__name__)))
            raise
        run = story.run(story.outcome)
        await self._record(run)
        yield Done(run)

    async def search(self, question: Question) -> tuple[Query, tuple[Evidence, ...], RunMetadata]:
        """Understand, retrieve and compress only. Every passage found is returned, as retrieval ranks them, at most
        `question.limit`; `text` is "" where compression kept nothing. Raises FootnoteError."""
        story = Story(run_id="", question=question, created_at=self.clock(), query=_unread(question))
        reading = await self._understand(story)
        await self._retrieve(story, reading)
        return story.query, ranked_evidence(story.found, story.evidence), story.measured()

    # ------------------------------------------------------------------------------------------ the story, in order

    async def _tell(self, story: Story) -> AsyncGenerator[Event, None]:
        answerer = self._answerer(story.question)
        yield Began("understand")
        reading = await self._understand(story)
        yield Began("retrieve")
        await self._retrieve(story, reading)
        yield Understood(story.query)
        yield Found(story.evidence)
        if story.answerable:
            yield Began("generate")
            async with aclosing(self._write(story, answerer)) as deltas:
                async for text in deltas:
                    yield Delta(text)
        if not story.answer:
            story.abstain()
            yield Delta(story.answer)
        yield Cited(story.citations.listed())

    async def _understand(self, story: Story) -> Reading:
        with story.timed("understand_ms"):
            question = story.question
            catalogue = await self.documents.catalogue(question.team, question.audience)
            now = self.clock().astimezone(ZoneInfo(question.time_zone or self.knobs.time_zone))
            reading = await read(question, catalogue, now, self.reader, deadline=self.knobs.read_timeout)
        story.query = reading.query
        return reading

    async def _retrieve(self, story: Story, reading: Reading) -> None:
        """Retrieve, giving up the least certain condition as long as nothing is found; then compress."""
        found = await self._search(story, reading)
        while not found.passages and (relaxed := relax(reading)):
            reading = relaxed
            found = await self._search(story, reading)
        story.query, story.vectors = reading.query, found.vectors
        with story.timed("compress_ms"):
            pool = (*found.passages, *found.neighbours)
            story.found = found.passages
            kept = await self.compressor.compress(
                reading.query.text, found.vectors.sentence, pool, budget=self.knobs.token_budget
            )
            story.evidence = kept[: story.question.limit]
            story.conflicts = find_conflicts(story.evidence)
            own = story.question.filter
            story.answerable = answerable(reading.query, found.vectors.sentence, story.evidence, own=own)
        story.tokens_before = sum(estimate_tokens(passage.text) for passage in pool)
        story.tokens_after = sum(estimate_tokens(one.text) for one in story.evidence)

    async def _search(self, story: Story, reading: Reading) -> Retrieved:
        try:
            async with asyncio.timeout(self.knobs.search_timeout):
                found = await retrieve(
                    reading.query,
                    self.index,
                    self.embedder,
                    limit=story.question.limit,
                    budget=self.knobs.token_budget,
                    extras=self.extras,
                )
        except TimeoutError:
            raise IndexUnavailable("The search took too long; try again in a moment.") from None
        story.spend("embedding_ms", found.embedding_ms)
        story.spend("search_ms", found.search_ms)
        return found

    async def _write(self, story: Story, answerer: Answerer) -> AsyncGenerator[str, None]:
        """Yield what of the draft is verified; where the LLM is down before its first word, quote instead."""
        began = perf_counter()
        story.writes_with(answerer)
        try:
            async with aclosing(self._verified(story, answerer)) as texts:
                async for text in texts:
                    yield text
        except LLMUnavailable as error:
            logger.bind(run_id=story.run_id, error=type(error).__name__).warning("llm unavailable")
            if story.drafted or answerer is self.extractive:
                raise
            story.writes_with(self.extractive)
            async with aclosing(self._verified(story, self.extractive)) as texts:
                async for text in texts:
                    yield text
        finally:
            story.spend("generation_ms", (perf_counter() - began) * 1000 - story.times.get("verify_ms", 0.0))

    async def _verified(self, story: Story, answerer: Answerer) -> AsyncGenerator[str, None]:
        assert story.vectors is not None
        draft = answerer.draft(story.question.text, story.query, story.vectors, story.evidence)
        async with aclosing(_bounded(draft, self.knobs.draft_timeout)) as pieces:
            async for drafted in drafted_sentences(pieces):
                story.drafted = True
                supports = await self._verify(story, drafted)
                if supports:
                    yield story.cite(drafted, supports)
                else:
                    story.dropped += 1

    async def _verify(self, story: Story, drafted: Drafted) -> tuple[Support, ...]:
        with story.timed("verify_ms"):
            if copied_from(drafted, story.evidence):
                return verify(drafted, None, story.evidence).shown
            (vector,) = await self.embedder.embed_sentences([drafted.text])
            verdict = verify(drafted, vector, story.evidence)
            if not verdict.doubtful or self.opinion is None or story.opinions >= self.knobs.opinions:
                return verdict.shown
            story.opinions += 1
            quotes = quoted(verdict.supports, story.evidence)
            said = await second_opinion(self.opinion, drafted.text, quotes, deadline=self.knobs.opinion_timeout)
            return verdict.shown if said is None else verdict.supports if said else ()

    # -------------------------------------------------------------------------------------------------- around it

    def _answerer(self, question: Question) -> Answerer:
        """Return who writes. Without an LLM there are no prompts, so a prompt that is asked for does not apply."""
        if not self.answerers:
            return self.extractive
        if question.prompt is None:
            return self.answerers[0]
        for answerer in self.answerers:
            if answerer.prompt == question.prompt:
                return answerer
        known = ", ".join(answerer.prompt for answerer in self.answerers)
        raise BadInput(f"prompt: there is no such prompt; there are {known}")

    async def _record(self, run: Run) -> None:
        """Keep the trace. An answer that was given is not taken back because its trace could not be kept."""
        try:
            await self.runs.put(run)
        except Unavailable as error:
            logger.bind(run_id=run.run_id, error=type(error).__name__).error("run not recorded")
        logger.bind(
            run_id=run.run_id, outcome=run.outcome, error=run.error, total_ms=round(run.metadata.total_ms)
        ).info("run ended")


def _unread(question: Question) -> Query:
    return Query(question.text, question.team, question.audience, question.filter)


async def _bounded(draft: AsyncIterator[str], seconds: float) -> AsyncGenerator[str, None]:
    """Pass the pieces on, within a deadline for the whole draft; close the draft in any case.

    Raises:
        LLMUnavailable: the deadline passed.
    """
    ends = asyncio.get_running_loop().time() + seconds
    try:
        while True:
            try:
                async with asyncio.timeout_at(ends):
                    piece = await anext(draft)
            except StopAsyncIteration:
                return
            except TimeoutError:
                raise LLMUnavailable("The model took too long.") from None
            yield piece
    finally:
        if isinstance(draft, AsyncGenerator):
            await draft.aclose()
