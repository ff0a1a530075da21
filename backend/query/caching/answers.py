"""An answer is written once: whoever's question leads to the same evidence is told what was written then."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import dataclass, field
from time import monotonic

from backend.languages import language_of
from backend.ports import Answerer, Entry
from backend.query.caching.kept import KeptAnswer, citations_in, decode_answer, encode_answer, quotes_of
from backend.query.caching.keys import Maker, answer_key, drawn_on, normalised
from backend.query.caching.semantic import Semantic
from backend.query.caching.tiers import Tiers
from backend.query.story import Story

Write = Callable[[], AsyncGenerator[str, None]]


@dataclass(frozen=True)
class Answers:
    """The cache of answers. `recipe` stands for what decides on an answer beside its evidence and its answerer;
    `semantic`, where it is on, looks for answers to other questions that answer this one too."""

    tiers: Tiers = field(default_factory=Tiers)
    recipe: str = ""
    semantic: Semantic | None = None
    blot: Callable[[str], str] = str
    """What is done to a question before it is kept."""

    async def told(self, story: Story, answerer: Answerer, write: Write) -> AsyncGenerator[str, None]:
        """Yield the pieces of the answer: those that are kept, else what `write` yields, which is then kept.

        `story` ends the same either way: its answer, its citations and who wrote it.
        """
        if not self.tiers.stores:
            async with aclosing(write()) as pieces:
                async for piece in pieces:
                    yield piece
            return
        began, maker = monotonic(), self._maker(story, answerer)
        if kept := await self._recalled(story, maker):
            story.writes_with(answerer)
            for piece in kept.pieces:
                yield story.said(piece)
            return
        told: list[str] = []
        async with aclosing(write()) as pieces:
            async for piece in pieces:
                told.append(piece)
                yield piece
        if _whole(story, answerer):
            await self._keep(story, maker, tuple(told), began)

    async def _recalled(self, story: Story, maker: Maker) -> KeptAnswer | None:
        found = await self.tiers.get(answer_key(story.query, story.evidence, maker))
        if found and (kept := self._fits(story, found[0])):
            story.cache = found[1]
        elif kept := await self._alike(story, maker):
            story.cache = "semantic"
        self.tiers.figures.looked_up("answers", story.cache)
        return kept

    def _fits(self, story: Story, entry: Entry) -> KeptAnswer | None:
        """Return what is kept if this asker may read it and all its quotes stand in this evidence; `story` then cites
        them. The key sees to both; this holds though a cache should be wrong."""
        kept = decode_answer(entry.value)
        if kept is None or entry.team != story.query.team:
            return None
        citations = citations_in(kept, story.evidence)
        if citations is None or not story.query.audience.visibilities().issuperset(kept.visibilities):
            return None
        story.citations = citations
        return kept

    async def _alike(self, story: Story, maker: Maker) -> KeptAnswer | None:
        """Return the answer to another question, if every sentence of it answers this one."""
        if self.semantic is None:
            return None
        for key in self.semantic.near(story, maker):
            found = await self.tiers.get(key)
            kept = decode_answer(found[0].value) if found else None
            if found and kept and await self.semantic.agrees(story, kept) and self._fits(story, found[0]):
                return kept
        return None

    async def _keep(self, story: Story, maker: Maker, pieces: tuple[str, ...], began: float) -> None:
        answer = KeptAnswer(
            pieces=pieces,
            quotes=quotes_of(story.citations),
            visibilities=drawn_on(story.evidence, story.query.audience),
            question=self.blot(normalised(story.query.text)),
        )
        key = answer_key(story.query, story.evidence, maker)
        documents = tuple(sorted({one.passage.document_id for one in story.evidence}))
        await self.tiers.put(key, Entry(encode_answer(answer), story.query.team, documents), began=began)
        if self.semantic and pieces:
            self.semantic.add(story, maker, key)

    def _maker(self, story: Story, answerer: Answerer) -> Maker:
        language = language_of(story.question.text)
        return Maker(answerer.model, answerer.prompt, answerer.prompt_hash, self.recipe, language)


def _whole(story: Story, answerer: Answerer) -> bool:
    """Whether the answer is what it was meant to be: faults of the models are not worth keeping."""
    told = story.measured()
    return not told.degraded and (told.model, told.prompt) == (answerer.model, answerer.prompt)
