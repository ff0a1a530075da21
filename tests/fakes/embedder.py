"""A deterministic embedder without a model: texts that share words are near each other."""

from __future__ import annotations

import re
import zlib
from collections.abc import Sequence

import numpy as np

from backend.domain import Chunk, ChunkVectors, QueryVectors, Vector, Vectors

WORD = re.compile(r"\w+")


class HashEmbedder:
    """ports.Embedder as a bag of hashed words; case is ignored, a text without words gets a vector of its own."""

    name = "hash/384"
    dimensions = 384

    async def embed_query(self, text: str) -> QueryVectors:
        vector = self._vector(text)
        return QueryVectors(search=vector, sentence=vector)

    async def embed_chunks(self, title: str, chunks: Sequence[Chunk]) -> list[ChunkVectors]:
        return [self._chunk(title, chunk) for chunk in chunks]

    async def embed_sentences(self, texts: Sequence[str]) -> Vectors:
        return self._vectors(texts)

    def count_tokens(self, text: str) -> int:
        return len(WORD.findall(text))

    def _chunk(self, title: str, chunk: Chunk) -> ChunkVectors:
        return ChunkVectors(
            vector=self._vector(f"{title} {chunk.heading} {chunk.text}"),
            sentences=self._vectors([chunk.text[start:end] for start, end in chunk.sentences]),
        )

    def _vectors(self, texts: Sequence[str]) -> Vectors:
        return np.array([self._vector(text) for text in texts], dtype=np.float32).reshape(-1, self.dimensions)

    def _vector(self, text: str) -> Vector:
        return hashed(text, self.dimensions)


def hashed(text: str, dimensions: int) -> Vector:
    """Return the unit vector of a text's words."""
    vector = np.zeros(dimensions, dtype=np.float32)
    for word in WORD.findall(text.lower()) or ["\0"]:
        slot = zlib.crc32(word.encode())
        vector[slot % dimensions] += 1.0 if slot & 0x8000_0000 else -1.0
    if not vector.any():  # the words cancelled each other out
        vector[0] = 1.0
    return vector / np.linalg.norm(vector)
