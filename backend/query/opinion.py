"""A second opinion on sentences whose support the score alone cannot settle: few, and within a deadline."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from typing import Protocol

from loguru import logger

from backend.errors import LLMUnavailable
from backend.query.words import content_words

_MARKS = re.compile(r"\[[\d\s,–-]+\]")
LIFTED_FROM = 0.6
"""Share of a sentence's content words that its quotes must hold for a yes to make up for too low a score."""


class SecondOpinion(Protocol):
    """Says whether quotes state all of a sentence."""

    async def supports(self, sentence: str, quotes: Sequence[str]) -> bool | None:
        """Return None where there is no clear answer. LLMUnavailable on failure; the caller owns the deadline."""


def may_lift(sentence: str, quotes: Sequence[str]) -> bool:
    """Whether a yes can make up for what the rules missed: only where the quotes hold most of the sentence's words. The
    quotes may have been written to talk whoever judges them into a yes."""
    words = content_words(_MARKS.sub("", sentence))
    held = frozenset().union(*(content_words(quote) for quote in quotes))
    return bool(words) and len(words & held) >= LIFTED_FROM * len(words)


async def second_opinion(asked: SecondOpinion, sentence: str, quotes: Sequence[str], *, deadline: float) -> bool | None:
    """Ask within `deadline` seconds; None where no answer came, so that the first opinion stands."""
    try:
        async with asyncio.timeout(deadline):
            return await asked.supports(sentence, quotes)
    except (TimeoutError, LLMUnavailable) as error:
        logger.bind(error=type(error).__name__).warning("second opinion not given")
        return None
