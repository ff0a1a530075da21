"""A second opinion on sentences whose support the score alone cannot settle: few, and within a deadline."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Protocol

from loguru import logger

from backend.errors import LLMUnavailable


class SecondOpinion(Protocol):
    """Says whether quotes state all of a sentence."""

    async def supports(self, sentence: str, quotes: Sequence[str]) -> bool | None:
        """Return None where there is no clear answer. LLMUnavailable on failure; the caller owns the deadline."""


async def second_opinion(asked: SecondOpinion, sentence: str, quotes: Sequence[str], *, deadline: float) -> bool | None:
    """Ask within `deadline` seconds; None where no answer came, so that the first opinion stands."""
    try:
        async with asyncio.timeout(deadline):
            return await asked.supports(sentence, quotes)
    except (TimeoutError, LLMUnavailable) as error:
        logger.bind(error=type(error).__name__).warning("second opinion not given")
        return None
