"""Embeddings by an endpoint that speaks OpenAI's wire protocol."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import numpy as np
from openai import omit
from openai.types import CreateEmbeddingResponse

from backend.adapters.embedding import encodable, frame_of, unit
from backend.adapters.openai_endpoint import FAILURES, Endpoint
from backend.domain import Chunk, ChunkVectors, QueryVectors, Vectors
from backend.errors import EmbedderUnavailable
from backend.ports import Embedder
from backend.tracing import span

EMBEDDING_BATCH = 64
"""Texts in one request: small enough for every server's limits, large enough that round trips do not count."""
EMBEDDING_CHARACTERS = 8000
"""A text is cut here: OpenAI takes 8,191 tokens, and a token is hardly ever less than a character."""


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
        framed = [frame_of(title, chunk.heading, chunk.lead) + chunk.text for chunk in chunks]
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
        named = {"gen_ai.operation.name": "embeddings", "gen_ai.provider.name": "openai"}
        try:
            with span(f"embeddings {self._model}", named | {"gen_ai.request.model": self._model}, kind="client"):
                response = await self._endpoint.retried(self._request, texts)
        except FAILURES as error:
            raise EmbedderUnavailable(self._endpoint.explain(error, f"The embedding model {self._model}")) from error
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
