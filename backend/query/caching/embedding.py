"""An embedder that remembers: many ask the same question, and the same sentences are nearest to it each time."""

from __future__ import annotations

from collections.abc import Sequence
from time import monotonic

import numpy as np

from backend.domain import Chunk, ChunkVectors, QueryVectors, Vectors
from backend.ports import CacheStore, Embedder, Entry
from backend.query.caching.kept import decode_vectors, encode_vectors
from backend.query.caching.keys import embedding_key
from backend.query.caching.tiers import Tiers

SENTENCE = "sentence"
"""Stands for the local embedder, which embeds sentences whoever embeds the rest."""
SENTENCE_DIMENSIONS = 384


class CachedEmbedder:
    """ports.Embedder over another, at query time. Vectors are the text's alone, whoever asks. Those of queries are in
    `tiers`, those of sentences, which are documents' words, only in `sentences`: this process."""

    def __init__(self, embedder: Embedder, tiers: Tiers, sentences: CacheStore) -> None:
        self.name, self.dimensions = embedder.name, embedder.dimensions
        self._embedder = embedder
        self._tiers = tiers
        self._sentences = sentences

    async def embed_query(self, text: str) -> QueryVectors:
        key = embedding_key(text, f"{self.name}/{self.dimensions}")
        found = await self._tiers.get(key)
        known = decode_vectors(found[0].value, self.dimensions) if found else None
        self._tiers.figures.looked_up("vectors", found[1] if found and known else "miss")
        if known:
            return known
        began = monotonic()
        vectors = await self._embedder.embed_query(text)
        await self._tiers.put(key, Entry(encode_vectors(vectors)), began=began)
        return vectors

    async def embed_chunks(self, title: str, chunks: Sequence[Chunk]) -> list[ChunkVectors]:
        return await self._embedder.embed_chunks(title, chunks)

    async def embed_sentences(self, texts: Sequence[str]) -> Vectors:
        keys = [embedding_key(text, SENTENCE) for text in texts]
        kept = {key: entry.value for key in keys if (entry := await self._sentences.get(key))}
        missing = {key: text for key, text in zip(keys, texts, strict=True) if key not in kept}
        if missing:
            rows = await self._embedder.embed_sentences(list(missing.values()))
            for key, row in zip(missing, rows, strict=True):
                kept[key] = row.tobytes()
                await self._sentences.put(key, Entry(kept[key]))
        flat = np.frombuffer(b"".join(kept[key] for key in keys), dtype=np.float32)
        return flat.reshape(len(texts), SENTENCE_DIMENSIONS)

    def count_tokens(self, text: str) -> int:
        return self._embedder.count_tokens(text)
