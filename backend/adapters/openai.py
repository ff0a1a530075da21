"""Models behind OpenAI's wire protocol, of OpenAI itself or of any server that speaks it (vLLM, Ollama, llama.cpp …).

A stream is retried only until its first piece has been handed on.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
from openai import AsyncStream, omit
from openai.types import CreateEmbeddingResponse
from openai.types.chat import ChatCompletion, ChatCompletionChunk

from backend.adapters.embedding import encodable, frame_of, unit
from backend.adapters.openai_endpoint import FAILURES, Endpoint, explain
from backend.domain import Chunk, ChunkVectors, QueryVectors, Vectors
from backend.errors import EmbedderUnavailable, LLMUnavailable
from backend.ports import ChatMessage, Embedder

if TYPE_CHECKING:
    from openai.types.chat import ChatCompletionMessageParam
    from openai.types.chat.completion_create_params import ResponseFormat

EMBEDDING_BATCH = 64
"""Texts in one request: small enough for every server's limits, large enough that round trips do not count."""
EMBEDDING_CHARACTERS = 8000
"""A text is cut here: OpenAI takes 8,191 tokens, and a token is hardly ever less than a character."""


class OpenAILLM:
    """ports.LLM over chat completions, at temperature 0."""

    def __init__(self, endpoint: Endpoint, model: str) -> None:
        self.name = model
        self._endpoint = endpoint

    @classmethod
    def open(cls, base_url: str | None, api_key: str | None, model: str, *, timeout: float) -> OpenAILLM:
        """Connects when first used. `timeout` is the longest silence in seconds."""
        return cls(Endpoint.open(base_url, api_key, timeout), model)

    async def close(self) -> None:
        await self._endpoint.client.close()

    async def stream(self, messages: Sequence[ChatMessage], *, max_tokens: int) -> AsyncIterator[str]:
        try:
            reply = await self._endpoint.retried(self._begin, messages, max_tokens)
            async with reply.chunks:
                async for piece in reply.pieces():
                    yield piece
        except FAILURES as error:
            raise self._unavailable(error) from error

    async def complete(
        self, messages: Sequence[ChatMessage], *, max_tokens: int, schema: dict[str, object] | None = None
    ) -> str:
        """`schema` must suit strict mode: every property required, `additionalProperties` false."""
        try:
            completion = await self._endpoint.retried(self._complete, messages, max_tokens, schema)
        except FAILURES as error:
            raise self._unavailable(error) from error
        if not isinstance(completion, ChatCompletion) or not completion.choices:
            raise LLMUnavailable("The language model's reply is not a chat completion: check OPENAI_BASE_URL.")
        text = completion.choices[0].message.content or ""
        if schema is not None and not _is_json(text):
            raise LLMUnavailable(f"The language model {self.name} did not answer in JSON.")
        return text

    async def _begin(self, messages: Sequence[ChatMessage], max_tokens: int) -> _Reply:
        """Open a stream and read up to its first piece, so that all that fails until then can be retried."""
        chunks = await self._endpoint.client.chat.completions.create(
            model=self.name, messages=_wire(messages), max_tokens=max_tokens, temperature=0, stream=True
        )
        reply = _Reply(chunks)
        try:
            await reply.begin()
        except BaseException:
            await chunks.close()
            raise
        return reply

    async def _complete(
        self, messages: Sequence[ChatMessage], max_tokens: int, schema: dict[str, object] | None
    ) -> ChatCompletion:
        return await self._endpoint.client.chat.completions.create(
            model=self.name,
            messages=_wire(messages),
            max_tokens=max_tokens,  # deprecated by OpenAI, but the one name that every server understands
            temperature=0,
            response_format=_response_format(schema) if schema is not None else omit,
        )

    def _unavailable(self, error: Exception) -> LLMUnavailable:
        return LLMUnavailable(explain(error, f"The language model {self.name}"))


class OpenAIEmbedder:
    """ports.Embedder that searches with an endpoint's vectors; sentence vectors and tokens are `local`'s."""

    def __init__(self, endpoint: Endpoint, model: str, dimensions: int, local: Embedder) -> None:
        self.name = f"openai/{model}/{dimensions}"
        self.dimensions = dimensions
        self._endpoint = endpoint
        self._model = model
        self._local = local

    @classmethod
    def open(
        cls,
        base_url: str | None,
        api_key: str | None,
        model: str,
        *,
        dimensions: int,
        timeout: float,
        local: Embedder,
    ) -> OpenAIEmbedder:
        """Connects when first used. `timeout` is the longest silence in seconds; `local` stays its owner's."""
        return cls(Endpoint.open(base_url, api_key, timeout), model, dimensions, local)

    async def close(self) -> None:
        await self._endpoint.client.close()

    async def embed_query(self, text: str) -> QueryVectors:
        search, local = await asyncio.gather(self._embed([text]), self._local.embed_query(text))
        return QueryVectors(search=search[0], sentence=local.sentence)

    async def embed_chunks(self, title: str, chunks: Sequence[Chunk]) -> list[ChunkVectors]:
        framed = [frame_of(title, chunk.heading) + chunk.text for chunk in chunks]
        vectors = [
            row
            for i in range(0, len(framed), EMBEDDING_BATCH)
            for row in await self._embed(framed[i : i + EMBEDDING_BATCH])
        ]
        local = await self._local.embed_chunks(title, chunks)
        return [ChunkVectors(vector, own.sentences) for vector, own in zip(vectors, local, strict=True)]

    async def embed_sentences(self, texts: Sequence[str]) -> Vectors:
        return await self._local.embed_sentences(texts)

    def count_tokens(self, text: str) -> int:
        return self._local.count_tokens(text)

    async def _embed(self, texts: Sequence[str]) -> Vectors:
        """Embed one batch."""
        try:
            response = await self._endpoint.retried(self._request, texts)
        except FAILURES as error:
            raise EmbedderUnavailable(explain(error, f"The embedding model {self._model}")) from error
        return self._checked(response, len(texts))

    async def _request(self, texts: Sequence[str]) -> CreateEmbeddingResponse:
        return await self._endpoint.client.embeddings.create(
            model=self._model,
            input=[encodable(text[:EMBEDDING_CHARACTERS]) or " " for text in texts],  # an empty input is refused
            encoding_format="float",
            # the one family whose vectors can be shortened; other models refuse the parameter
            dimensions=self.dimensions if self._model.startswith("text-embedding-3") else omit,
        )

    def _checked(self, response: CreateEmbeddingResponse, count: int) -> Vectors:
        """Return the vectors in the order of the request."""
        if not isinstance(response, CreateEmbeddingResponse) or len(response.data) != count:
            raise EmbedderUnavailable("The embeddings endpoint's reply is not a list of embeddings.")
        rows = [np.array(row.embedding, np.float32) for row in sorted(response.data, key=lambda row: row.index)]
        for row in rows:
            if len(row) != self.dimensions:
                raise EmbedderUnavailable(
                    f"{self._model} makes vectors of {len(row)} dimensions: set FOOTNOTE_EMBEDDING_DIMENSIONS to that."
                )
            if not np.isfinite(row).all() or not row.any():
                raise EmbedderUnavailable(f"{self._model} returned a vector without a direction.")
        return unit(rows)


class _Reply:
    """A streamed completion. One that ends without a finish reason was cut off."""

    def __init__(self, chunks: AsyncStream[ChatCompletionChunk]) -> None:
        self.chunks = chunks
        self._texts = self._read()
        self._first = ""
        self._finished = False

    async def begin(self) -> None:
        """Read up to the first piece."""
        self._first = await anext(self._texts, "")

    async def pieces(self) -> AsyncIterator[str]:
        if self._first:
            yield self._first
        async for text in self._texts:
            yield text
        if not self._finished:
            raise LLMUnavailable("The language model broke off its answer.")

    async def _read(self) -> AsyncIterator[str]:
        async for chunk in self.chunks:
            for choice in chunk.choices:
                self._finished = self._finished or choice.finish_reason is not None
                if choice.delta.content:
                    yield choice.delta.content


def _wire(messages: Sequence[ChatMessage]) -> list[ChatCompletionMessageParam]:
    return [_param(message) for message in messages]


def _param(message: ChatMessage) -> ChatCompletionMessageParam:
    match message.role:
        case "system":
            return {"role": "system", "content": message.content}
        case "user":
            return {"role": "user", "content": message.content}
        case "assistant":
            return {"role": "assistant", "content": message.content}


def _response_format(schema: dict[str, object]) -> ResponseFormat:
    return {"type": "json_schema", "json_schema": {"name": "reply", "schema": schema, "strict": True}}


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except json.JSONDecodeError:
        return False
    return True
