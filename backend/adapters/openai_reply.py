"""A streamed completion: its pieces, how it ended, and what it used."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress

from openai import AsyncStream
from openai.types.chat import ChatCompletionChunk
from openai.types.chat.chat_completion_chunk import Choice

from backend.adapters.openai_bill import Bill
from backend.adapters.openai_endpoint import FAILURES
from backend.errors import LLMUnavailable

AFTER_END = 0.5
"""Seconds in which the count of tokens may follow the end of the text."""


class Reply:
    """One that ends without a finish reason was cut off."""

    def __init__(self, name: str, chunks: AsyncStream[ChatCompletionChunk], bill: Bill) -> None:
        self.chunks = chunks
        self._name = name
        self._bill = bill
        self._texts = self._read()
        self._first = ""
        self._finish: str | None = None
        self._declined = False

    async def begin(self) -> None:
        """Read up to the first piece, or to the end."""
        async for text in self._texts:
            if text:
                self._first = text
                return

    async def pieces(self, ends: float, silence: float) -> AsyncIterator[str]:
        """Yield the text as it comes, until the loop's time `ends` and without a longer silence, in seconds.

        Raises:
            TimeoutError: it took too long.
            LLMUnavailable: it ended, but not well.
        """
        if self._first:
            yield self._first
        while self._finish is None:
            async with asyncio.timeout_at(min(ends, asyncio.get_running_loop().time() + silence)):
                text = await anext(self._texts, None)
            if text is None:
                break
            if text:
                yield text
        await self._read_rest()
        self._judge()

    async def _read(self) -> AsyncIterator[str]:
        """Yield the text of each chunk, "" for one without."""
        async for chunk in self.chunks:
            if not isinstance(chunk, ChatCompletionChunk):
                raise ValueError("not a chunk of a completion")
            text = "".join(self._said(choice) for choice in chunk.choices or ())
            self._bill.received(text, chunk.usage)
            yield text

    def _said(self, choice: Choice) -> str:
        self._finish = choice.finish_reason or self._finish
        if not choice.delta:
            return ""
        self._declined = self._declined or bool(choice.delta.refusal)
        return choice.delta.content if isinstance(choice.delta.content, str) else ""

    async def _read_rest(self) -> None:
        """Wait a moment for the count of tokens; the answer stands without it."""
        with suppress(*FAILURES):
            async with asyncio.timeout(AFTER_END):
                async for _ in self._texts:
                    pass

    def _judge(self) -> None:
        if self._declined or self._finish == "content_filter":
            raise declined(self._name)
        if self._finish == "length":
            raise too_long(self._name)
        if self._finish in (None, "error"):
            raise LLMUnavailable(f"The language model {self._name} broke off its answer.")


def declined(name: str) -> LLMUnavailable:
    """Return the error of a model, or its provider's filter, that will not answer."""
    return LLMUnavailable(f"The language model {name} declined to answer.")


def too_long(name: str) -> LLMUnavailable:
    """Return the error of an answer whose last words are missing."""
    return LLMUnavailable(f"The language model {name} came to the limit of its length.")
