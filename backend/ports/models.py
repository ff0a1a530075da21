"""Ports of models: what reranks, captions, writes, compresses and answers."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

from backend.domain import Evidence, Figure, Passage, Query, QueryVectors, Vector


class Reranker(Protocol):
    """A model that reads a question and a passage together. `name` is the model's."""

    name: str

    async def rerank(self, question: str, texts: Sequence[str]) -> list[float]:
        """Return one score per text, in their order; higher is better. RerankerUnavailable on failure."""


@dataclass(frozen=True, slots=True)
class Image:
    """A picture for a model that sees, such as `image/png`."""

    media_type: str
    content: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class ChatMessage:
    """`images` stand behind the text of a user's message."""

    role: Literal["system", "user", "assistant"]
    content: str
    images: tuple[Image, ...] = ()


class Captioner(Protocol):
    """A model that sees. `name` is the model's."""

    name: str

    async def caption(self, figure: Figure, title: str) -> str:
        """Say what an image in the document of this title shows, "" if nothing worth finding. LLMUnavailable on
        failure."""


class LLM(Protocol):
    """A configured model that completes and streams. `name` is the model's."""

    name: str

    def stream(self, messages: Sequence[ChatMessage], *, max_tokens: int) -> AsyncIterator[str]:
        """Yield pieces of the completion; closing the iterator cancels the call. LLMUnavailable on failure,
        LLMInterrupted where pieces had been yielded: calling again asks a model that has not failed in this run."""

    async def complete(
        self, messages: Sequence[ChatMessage], *, max_tokens: int, schema: dict[str, object] | None = None
    ) -> str:
        """Return the whole completion, JSON that follows `schema` where one is given."""


class Compressor(Protocol):
    """Passages → evidence within a budget. What it keeps are sentences of the passages, word for word."""

    async def compress(
        self, question: str, vector: Vector, passages: Sequence[Passage], *, budget: int
    ) -> tuple[Evidence, ...]:
        """Return what bears on `question`, numbered from 1, best passage first, in at most about `budget` tokens.

        `vector` is the question in the space of sentence vectors. Never fails: where a model does, or takes too long,
        what is kept is decided without it.
        """


class Answerer(Protocol):
    """Writes the draft of an answer from evidence, with `[n]` markers; the verifier decides what of it is shown."""

    @property
    def model(self) -> str: ...
    @property
    def prompt(self) -> str: ...
    @property
    def prompt_hash(self) -> str: ...

    def draft(
        self, question: str, query: Query, vectors: QueryVectors, evidence: Sequence[Evidence]
    ) -> AsyncIterator[str]:
        """Yield text in pieces of any size. Nothing yielded means: the evidence does not answer."""
