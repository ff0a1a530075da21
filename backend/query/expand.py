"""Other wordings of a question to search with, by an LLM: one call, within a deadline, never needed."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Protocol

from backend.errors import LLMUnavailable

MAX_WORDINGS = 3
MAX_CHARACTERS = 2_000
"""Of a wording: more than the embedder reads."""


@dataclass(frozen=True, slots=True)
class Expansion:
    """`passage` is what an answer might read like: its vector is averaged with the question's (HyDE, Gao et al. 2022).
    `wordings` are other ways to ask: each is searched for on both sides (multi-query)."""

    passage: str = ""
    wordings: tuple[str, ...] = ()


NOTHING = Expansion()


class Expander(Protocol):
    """An LLM that offers more to search with."""

    async def expand(self, question: str) -> Expansion:
        """LLMUnavailable on failure."""


async def expanded(question: str, expander: Expander | None, *, deadline: float) -> Expansion:
    """Return what the expander offers within `deadline` seconds, nothing where it fails or there is none."""
    if expander is None:
        return NOTHING
    try:
        async with asyncio.timeout(deadline):
            return tidy(question, await expander.expand(question))
    except (LLMUnavailable, TimeoutError):
        return NOTHING


def tidy(question: str, offered: Expansion) -> Expansion:
    """Return at most `MAX_WORDINGS` different wordings, none of which is the question itself, without overlong text."""
    texts = (" ".join(one.split())[:MAX_CHARACTERS] for one in offered.wordings)
    known = {question.strip().casefold(): ""}
    wordings = {text.casefold(): text for text in texts if text}
    kept = tuple(text for key, text in wordings.items() if key not in known)
    return Expansion(" ".join(offered.passage.split())[:MAX_CHARACTERS], kept[:MAX_WORDINGS])
