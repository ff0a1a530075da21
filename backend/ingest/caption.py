"""Images inside a document → captions that are found and cited like its text, marked as what they are."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace

from loguru import logger

from backend.domain import Caption, Extracted, Figure
from backend.errors import LLMUnavailable, Unreadable
from backend.ingest.clean import clean_text
from backend.ports import Captioner, Fetched

MAX_FIGURES = 20
"""Images of a document that are captioned."""
MAX_CAPTION = 1_500
"""Characters."""
AT_ONCE = 4


@dataclass(frozen=True, slots=True)
class Captioning:
    """Extraction that has what it finds captioned, all images of a document within `deadline` seconds. An image that
    the model fails at, or says nothing of, is skipped."""

    extract: Callable[[Fetched], Awaitable[Extracted]]
    captioner: Captioner
    deadline: float = 60.0

    async def __call__(self, fetched: Fetched) -> Extracted:
        """Unreadable where there is neither a text nor a caption."""
        found = await self.extract(fetched)
        captions = await self._captions(found.figures, found.title or fetched.file_name)
        if found.reason and not captions:
            raise Unreadable(found.reason)
        return replace(found, figures=(), captions=captions, reason="")

    async def _captions(self, figures: Sequence[Figure], title: str) -> tuple[Caption, ...]:
        if not figures:
            return ()
        gate = asyncio.Semaphore(AT_ONCE)
        tasks = [asyncio.create_task(self._caption(gate, one, title)) for one in figures[:MAX_FIGURES]]
        try:
            await asyncio.wait(tasks, timeout=self.deadline)
        finally:
            for task in tasks:
                task.cancel()
            texts = await asyncio.gather(*tasks, return_exceptions=True)
        said = [(n, text, figure.page) for n, (text, figure) in enumerate(zip(texts, figures, strict=False), start=1)]
        captions = tuple(Caption(n, text, page) for n, text, page in said if isinstance(text, str) and text)
        logger.bind(images=len(figures), captions=len(captions)).info("images captioned")
        return captions

    async def _caption(self, gate: asyncio.Semaphore, figure: Figure, title: str) -> str:
        async with gate:
            try:
                text = await self.captioner.caption(figure, title)
            except LLMUnavailable as error:
                logger.bind(error=type(error).__name__).warning("image not captioned")
                return ""
        return clean_text(text)[:MAX_CAPTION].strip()
