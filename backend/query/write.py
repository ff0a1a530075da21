"""From evidence to the sentences that may be shown: a draft, its gate, and who writes where a model fails."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass
from time import perf_counter

from loguru import logger

from backend.errors import LLMInterrupted, LLMUnavailable
from backend.metering import Meter, metered
from backend.ports import Answerer, Embedder
from backend.query.defang import DEFINITION
from backend.query.gate import Heard, denies
from backend.query.generate import Drafted, drafted_sentences
from backend.query.knobs import Knobs
from backend.query.opinion import SecondOpinion, may_lift, second_opinion
from backend.query.planted import is_order, stating
from backend.query.story import Story
from backend.query.verify import Support, copied_from, quoted, verify
from backend.tracing import span

MAX_DRAFT = 40_000
"""Characters: many times what any prompt allows. A model that goes on is stopped."""
RESTARTS = 4
"""Times that an answer of which nothing has been shown is begun anew by another model."""


@dataclass(frozen=True, slots=True)
class Writer:
    """Writes answers, sentence by verified sentence. `extractive` takes over where no model can be had."""

    embedder: Embedder
    extractive: Answerer
    opinion: SecondOpinion | None
    knobs: Knobs

    async def write(self, story: Story, answerer: Answerer) -> AsyncGenerator[str, None]:
        """Yield what of the draft is verified.

        Where a model fails of whose words nothing has been shown, another one begins anew, and where none is left the
        documents are quoted; where something has been shown, the answer ends there and says so.

        Raises:
            LLMUnavailable: quoting, too, took too long.
        """
        restarts = 0
        while True:
            story.writes_with(answerer)
            try:
                async with aclosing(self._verified(story, answerer)) as texts:
                    async for text in texts:
                        yield text
                return
            except LLMUnavailable as error:
                logger.bind(run_id=story.run_id, error=type(error).__name__).warning("llm unavailable")
                if story.answer:
                    yield story.interrupt()
                    return
                if answerer is self.extractive:
                    raise
                if not isinstance(error, LLMInterrupted) or restarts == RESTARTS:
                    answerer, story.degraded = self.extractive, "quoted"
                restarts += 1

    async def _verified(self, story: Story, answerer: Answerer) -> AsyncGenerator[str, None]:
        assert story.vectors is not None
        heard = Heard()
        draft = answerer.draft(story.question.text, story.query, story.vectors, story.evidence)
        pieces = _bounded(draft, self._seconds(story, answerer), story.meter)
        async with aclosing(pieces), aclosing(drafted_sentences(pieces)) as sentences:
            async for drafted in sentences:
                again = heard.again(drafted)
                supports = () if again else await self._verify(story, drafted)
                if supports:
                    yield story.cite(drafted, supports)
                else:
                    story.dropped += 1
                    heard.unsupported += not again
                if heard.looping and not heard.unsupported:
                    return  # it had said all that it had to say
                if heard.looping:
                    raise _given_up(story.meter, "The model runs in circles.")

    def _seconds(self, story: Story, answerer: Answerer) -> float:
        """Return how long a draft may take. Quoting is quick, and what is left when a model took all the time."""
        if answerer is self.extractive:
            return self.knobs.draft_timeout
        return min(self.knobs.draft_timeout, self.knobs.answer_timeout - (perf_counter() - story.began))

    async def _verify(self, story: Story, drafted: Drafted) -> tuple[Support, ...]:
        with story.timed("verify_ms"), metered(story.meter), span("verify"):
            evidence = stating(drafted.text, story.evidence)
            if is_order(drafted.text) or DEFINITION.fullmatch(drafted.text):
                return ()
            if copied_from(drafted, evidence):
                return verify(drafted, None, evidence).shown
            if denies(drafted.text):
                return ()
            (vector,) = await self.embedder.embed_sentences([drafted.text])
            verdict = verify(drafted, vector, evidence)
            if not verdict.doubtful or self.opinion is None or not self._may_ask(story):
                return verdict.shown
            story.opinions += 1
            quotes = quoted(verdict.supports, evidence)
            said = await second_opinion(self.opinion, drafted.text, quotes, deadline=self.knobs.opinion_timeout)
            if said and not verdict.supported and not may_lift(drafted.text, quotes):
                return ()
            return verdict.shown if said is None else verdict.supports if said else ()

    def _may_ask(self, story: Story) -> bool:
        return story.opinions < self.knobs.opinions and story.meter.may_ask


def _given_up(meter: Meter, reason: str) -> LLMInterrupted:
    """Return the error of a model that goes on but is not listened to, in this run, any more."""
    meter.broken.add(meter.wrote)
    return LLMInterrupted(reason)


async def _bounded(draft: AsyncIterator[str], seconds: float, meter: Meter) -> AsyncGenerator[str, None]:
    """Pass the pieces on, within a deadline and a length for the whole draft; close the draft in any case.

    Raises:
        LLMUnavailable: it took too long.
        LLMInterrupted: it is too long.
    """
    ends = asyncio.get_running_loop().time() + seconds
    length = 0
    try:
        while length <= MAX_DRAFT:
            try:
                async with asyncio.timeout_at(ends):
                    with metered(meter):
                        piece = await anext(draft)
            except StopAsyncIteration:
                return
            except TimeoutError:
                raise LLMUnavailable("The model took too long.") from None
            length += len(piece)
            yield piece
        raise _given_up(meter, "The model would not come to an end.")
    finally:
        if isinstance(draft, AsyncGenerator):
            await draft.aclose()
