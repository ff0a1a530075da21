"""A configured LLM in two roles: it writes the draft of an answer, and reads questions."""

from __future__ import annotations

import secrets
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import aclosing
from datetime import datetime
from typing import cast

import msgspec

from backend.domain import Evidence, Query, QueryVectors, Turn
from backend.errors import LLMUnavailable
from backend.languages import language_of
from backend.ports import LLM
from backend.prompts import Prompt
from backend.query.conflicts import Conflict, find_conflicts
from backend.query.proposal import SCHEMA, Proposal

LANGUAGES = {
    "de": "German",
    "fr": "French",
    "es": "Spanish",
    "it": "Italian",
    "pt": "Portuguese",
    "nl": "Dutch",
    "sv": "Swedish",
}
"""Those that a question's own words tell for certain; of others the model is to see for itself."""
MAX_TURNS = 6
MAX_TURN_CHARACTERS = 1_000
"""What a reading needs of a thread: its last few messages, not their full length."""


class LLMAnswerer:
    """ports.Answerer by an LLM and a prompt with some of the variables question, history, sources, conflicts, language,
    settled and fence."""

    def __init__(self, llm: LLM, prompt: Prompt) -> None:
        self.model = llm.name
        self.prompt = prompt.id
        self.prompt_hash = prompt.hash
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
        messages = self._prompt.render_with(
            {
                "question": query.text or question,
                "history": [],
                "sources": [_source(one) for one in evidence],
                "conflicts": [_conflict(one, evidence) for one in find_conflicts(evidence)],
                "language": LANGUAGES.get(language_of(question), ""),
                "settled": query.language,
                "fence": secrets.token_hex(8),
            }
        )
        stream = cast(AsyncGenerator[str, None], self._llm.stream(messages, max_tokens=self._prompt.max_tokens))
        async with aclosing(stream) as pieces:
            async for piece in pieces:
                yield piece


def _conflict(conflict: Conflict, evidence: Sequence[Evidence]) -> dict[str, int]:
    return {"newer": evidence[conflict.newer.place].n, "older": evidence[conflict.older.place].n}


def _source(evidence: Evidence) -> dict[str, object]:
    passage = evidence.passage
    return {
        "n": evidence.n,
        "title": passage.title,
        "heading": passage.heading,
        "date": f"{passage.published_at:%Y-%m-%d}" if passage.published_at else "",
        "text": evidence.text,
    }


class LLMReader:
    """query.proposal.Reader by an LLM and a prompt with the variables question, history, fields and today."""

    def __init__(self, llm: LLM, prompt: Prompt) -> None:
        self._llm = llm
        self._prompt = prompt

    async def read(
        self, question: str, history: Sequence[Turn], fields: Mapping[str, Sequence[str]], now: datetime
    ) -> Proposal:
        """Return the question rewritten to stand alone, and the conditions in it, by one call."""
        turns = [{"role": turn.role, "text": turn.text[:MAX_TURN_CHARACTERS]} for turn in history[-MAX_TURNS:]]
        known = [{"name": name, "values": list(values)} for name, values in fields.items()]
        today = f"{now:%A %Y-%m-%d}"
        messages = self._prompt.render(question=question, history=turns, fields=known, today=today)
        reply = await self._llm.complete(messages, max_tokens=self._prompt.max_tokens, schema=SCHEMA)
        try:
            return msgspec.json.decode(reply, type=Proposal)
        except msgspec.ValidationError as error:
            raise LLMUnavailable(
                "The language model's reading of the question is not of the asked-for form."
            ) from error
