"""A configured LLM in two roles: it writes the draft of an answer, and makes follow-ups stand alone."""

from __future__ import annotations

import secrets
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing
from typing import cast

from backend.domain import Evidence, Query, QueryVectors, Turn
from backend.ports import LLM
from backend.prompts import Prompt

MAX_TURNS = 6
MAX_TURN_CHARACTERS = 1_000
"""What a rewrite needs of a thread: its last few messages, not their full length."""


class LLMAnswerer:
    """ports.Answerer by an LLM and a prompt with the variables question, history, sources and fence."""

    def __init__(self, llm: LLM, prompt: Prompt) -> None:
        self.model = llm.name
        self.prompt = prompt.id
        self._llm = llm
        self._prompt = prompt

    async def draft(
        self,
        question: str,
        query: Query,
        vectors: QueryVectors,  # noqa: ARG002 - for answerers that choose sentences themselves
        evidence: Sequence[Evidence],
    ) -> AsyncIterator[str]:
        """Yield the completion as it comes. The sources stand between marks that no document can guess."""
        messages = self._prompt.render(
            question=query.text or question,
            history=[],
            sources=[_source(one) for one in evidence],
            fence=secrets.token_hex(8),
        )
        stream = cast(AsyncGenerator[str, None], self._llm.stream(messages, max_tokens=self._prompt.max_tokens))
        async with aclosing(stream) as pieces:
            async for piece in pieces:
                yield piece


def _source(evidence: Evidence) -> dict[str, object]:
    passage = evidence.passage
    return {
        "n": evidence.n,
        "title": passage.title,
        "heading": passage.heading,
        "date": f"{passage.published_at:%Y-%m-%d}" if passage.published_at else "",
        "text": evidence.text,
    }


class LLMRewriter:
    """query.understand.Rewriter by an LLM and a prompt with the variables question and history."""

    def __init__(self, llm: LLM, prompt: Prompt) -> None:
        self._llm = llm
        self._prompt = prompt

    async def rewrite(self, question: str, history: Sequence[Turn]) -> str:
        """Return the question rewritten to stand alone."""
        turns = [{"role": turn.role, "text": turn.text[:MAX_TURN_CHARACTERS]} for turn in history[-MAX_TURNS:]]
        messages = self._prompt.render(question=question, history=turns)
        return (await self._llm.complete(messages, max_tokens=self._prompt.max_tokens)).strip().strip('"“”')
