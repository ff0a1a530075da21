"""A configured LLM as the second opinion on a sentence and its quotes."""

from __future__ import annotations

import re
import secrets
from collections.abc import Sequence

from backend.ports import LLM
from backend.prompts import Prompt

_SAID = re.compile(r"\W*(yes|no)\b", re.IGNORECASE)


class LLMSecondOpinion:
    """query.opinion.SecondOpinion by an LLM and a prompt with the variables sentence, quotes and fence."""

    def __init__(self, llm: LLM, prompt: Prompt) -> None:
        self._llm = llm
        self._prompt = prompt

    async def supports(self, sentence: str, quotes: Sequence[str]) -> bool | None:
        """Return what the LLM says; None where it says anything but yes or no."""
        messages = self._prompt.render(sentence=sentence, quotes=list(quotes), fence=secrets.token_hex(8))
        said = _SAID.match(await self._llm.complete(messages, max_tokens=self._prompt.max_tokens))
        return said.group(1).lower() == "yes" if said else None
