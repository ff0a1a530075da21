"""A configured LLM that offers more to search with: a passage like the answer's (HyDE), or other wordings."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import OrderedDict

from pydantic import BaseModel, ConfigDict, ValidationError

from backend.errors import LLMUnavailable
from backend.ports import LLM
from backend.prompts import Prompt
from backend.query.expand import Expansion

REMEMBERED = 64
"""Questions whose expansion is kept: a search that gives up a filter asks again, and that is no second call."""


class _Expander(ABC):
    """query.expand.Expander with one call a question. What fails is not remembered."""

    def __init__(self, llm: LLM, prompt: Prompt) -> None:
        self._llm = llm
        self._prompt = prompt
        self._known: OrderedDict[str, Expansion] = OrderedDict()

    async def expand(self, question: str) -> Expansion:
        known = self._known.get(question)
        if known is not None:
            return known
        expansion = await self._ask(question)
        self._known[question] = expansion
        if len(self._known) > REMEMBERED:
            self._known.popitem(last=False)
        return expansion

    @abstractmethod
    async def _ask(self, question: str) -> Expansion: ...

    async def _complete(self, question: str, schema: dict[str, object] | None = None) -> str:
        messages = self._prompt.render(question=question)
        return await self._llm.complete(messages, max_tokens=self._prompt.max_tokens, schema=schema)


class LLMHyde(_Expander):
    """By a prompt with the variable question."""

    async def _ask(self, question: str) -> Expansion:
        return Expansion(passage=await self._complete(question))


class _Queries(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    queries: list[str]


class LLMMultiQuery(_Expander):
    """By a prompt with the variable question, whose reply is JSON."""

    async def _ask(self, question: str) -> Expansion:
        reply = await self._complete(question, _Queries.model_json_schema())
        try:
            return Expansion(wordings=tuple(_Queries.model_validate_json(reply).queries))
        except ValidationError:
            raise LLMUnavailable("The language model's wordings are not of the shape asked for.") from None
