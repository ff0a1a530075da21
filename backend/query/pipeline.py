"""The story of one question, in order: understand, retrieve, compress, generate, verify. It calls; others decide."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterator
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
from backend.errors import BadInput, IndexUnavailable, Unavailable
from backend.metering import Meter, metered
from backend.ports import Answerer, Compressor, Documents, Embedder, Index, Runs
from backend.query.abstain import answerable, certainty, closest, meant
from backend.query.caching.answers import Answers
from backend.query.compress import SentenceCompressor, ranked_evidence
from backend.query.conflicts import find_conflicts
from backend.query.knobs import Knobs as Knobs
from backend.query.opinion import SecondOpinion
from backend.query.planted import without_orders
from backend.query.proposal import Reader
from backend.query.retrieve import NO_EXTRAS, Extras, Retrieved, retrieve
from backend.query.small_talk import small_talk
from backend.query.story import Story
from backend.query.tokens import estimate_tokens
from backend.query.understand import Reading, read, relax
from backend.query.write import Writer
from backend.tracing import span, spanned
from backend.turnstile import my_turn

SEARCHES = 16
"""Searches at once. They are work for the processor: more of them end no sooner, and all too late; who waits here
is not yet on the clock of a search."""


def _now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True)
class Pipeline:
    """Answers questions. `answerers` are the configured ones, the default first: `Question.prompt` picks another by its
    prompt. `extractive` answers where there are none, or where the LLM is down before its first word. `answers` are
    those that were written before and are kept.
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
    answers: Answers = field(default_factory=Answers)
    knobs: Knobs = field(default_factory=Knobs)
    clock: Callable[[], datetime] = _now
    searching: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(SEARCHES))

    def check(self, question: Question) -> None:
        """Raise BadInput where the question names a prompt that no answerer has."""
        self._answerer(question)

    async def answer(self, question: Question, run_id: str) -> AsyncGenerator[Event, None]:
        """Tell the story of one question, from Began to Done; sentences leave as they are verified.

        The run is recorded whatever happens, hanging up included (close the iterator to cancel the work). What is only
        small talk is replied to without a run: its `run_id` is "".

        Raises:
            FootnoteError: the story could not be told to its end; what was yielded before stands.
        """
        if reply := small_talk(question.text):
            for event in _chat(self._story(question, ""), reply):
                yield event
            return
        story = self._story(question, run_id)
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
        story = self._story(question, "")
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
        await self._judge(story)
        if story.answerable:
            yield Began("generate")
            async with aclosing(self.answers.told(story, answerer, lambda: self._write(story, answerer))) as deltas:
                async for text in deltas:
                    yield Delta(text)
        if not story.answer:
            story.abstain()
            yield Delta(story.answer)
        yield Cited(story.citations.listed())

    async def _understand(self, story: Story) -> Reading:
        with story.timed("understand_ms"), span("understand"):
            question = story.question
            catalogue = await self.documents.catalogue(question.team, question.audience)
            now = self.clock().astimezone(ZoneInfo(question.time_zone or self.knobs.time_zone))
            reader = self.reader if self.knobs.calls > 1 else None
            with metered(story.meter):
                reading = await read(question, catalogue, now, reader, deadline=self.knobs.read_timeout)
        story.query = reading.query
        return reading

    async def _retrieve(self, story: Story, reading: Reading) -> None:
        """Retrieve, giving up the least certain condition as long as nothing is found; then compress."""
        found = await self._search(story, reading)
        while not found.passages and (relaxed := relax(reading)):
            reading = relaxed
            found = await self._search(story, reading)
        story.query, story.vectors = reading.query, found.vectors
        with story.timed("compress_ms"), span("compress"):
            await my_turn()
            story.found = tuple(map(without_orders, found.passages))
            pool = (*story.found, *map(without_orders, found.neighbours))
            with metered(story.meter):
                kept = await self.compressor.compress(
                    reading.query.text, found.vectors.sentence, pool, budget=self.knobs.token_budget
                )
            story.evidence = kept[: story.question.limit]
            await my_turn()
            story.conflicts = find_conflicts(story.evidence)
        story.tokens_before = sum(estimate_tokens(passage.text) for passage in pool)
        story.tokens_after = sum(estimate_tokens(one.text) for one in story.evidence)

    async def _judge(self, story: Story) -> None:
        """Look at the nearest sentences on their own, to see whether an answer should be attempted, and of what."""
        assert story.vectors is not None
        vector = story.vectors.sentence
        await my_turn()
        nearest = closest(story.query.text, vector, story.evidence)
        with story.timed("embedding_ms"), span("judge"):
            alone = await self.embedder.embed_sentences(nearest.sentences)
        certain = certainty(nearest, vector, alone)
        story.meant = meant(story.query, nearest.rivals)
        story.answerable = not story.meant and answerable(story.query, nearest, certain, own=story.question.filter)

    async def _search(self, story: Story, reading: Reading) -> Retrieved:
        try:
            async with self.searching, asyncio.timeout(self.knobs.search_timeout):
                with metered(story.meter), span("retrieve"):
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
        """Yield what of the draft is verified, and time it."""
        began = perf_counter()
        writer = Writer(self.embedder, self.extractive, self.opinion, self.knobs)
        try:
            async with aclosing(spanned("generate", writer.write(story, answerer))) as texts:
                async for text in texts:
                    yield text
        finally:
            story.spend("generation_ms", (perf_counter() - began) * 1000 - story.times.get("verify_ms", 0.0))

    # -------------------------------------------------------------------------------------------------- around it

    def _story(self, question: Question, run_id: str) -> Story:
        meter = Meter(allowed=self.knobs.calls)
        return Story(run_id, question, self.clock(), _unread(question), meter=meter)

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
    return Query(question.text, question.team, question.audience, question.filter, language=question.language)


def _chat(story: Story, reply: str) -> Iterator[Event]:
    story.model = "none"
    yield Delta(story.said(reply))
    yield Cited(())
    yield Done(story.run("answered"))
