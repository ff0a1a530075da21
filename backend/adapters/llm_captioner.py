"""A configured LLM that sees, saying what an image in a document shows."""

from __future__ import annotations

import re
from dataclasses import replace

from backend.domain import Figure
from backend.ports import LLM, Image
from backend.prompts import Prompt

MAX_TITLE = 200
_NOTHING = re.compile(r"\W*(?:nothing|none|decorative)?\W*\Z", re.I)
"""What the prompt asks for where an image only decorates."""


class LLMCaptioner:
    """ports.Captioner."""

    def __init__(self, llm: LLM, prompt: Prompt) -> None:
        self.name = f"{llm.name}/{prompt.id}"
        self._llm = llm
        self._prompt = prompt

    async def caption(self, figure: Figure, title: str) -> str:
        *before, last = self._prompt.render(title=" ".join(title.split())[:MAX_TITLE])
        seen = replace(last, images=(Image(figure.media_type, figure.content),))
        text = await self._llm.complete([*before, seen], max_tokens=self._prompt.max_tokens)
        return "" if _NOTHING.match(text) else text
