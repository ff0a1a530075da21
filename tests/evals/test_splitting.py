"""A change of splitting that loses gold text, or the documents that hold it, is seen in CI."""

from __future__ import annotations

from pathlib import Path

from backend.adapters.minilm import MiniLM
from backend.ingest.split import MAX_TOKENS
from tests.evals.corpora import labelled
from tests.evals.splitting import by_characters, by_documents, fixed, with_path

pytestmark = labelled()


async def test_what_is_retrieved_holds_the_gold_text_in_chunks_that_are_mostly_about_it(
    embedder: MiniLM, cache: Path
) -> None:
    ours = await by_characters(with_path, MAX_TOKENS, embedder, cache)
    windows = await by_characters(fixed, MAX_TOKENS, embedder, cache)
    assert ours.recall >= 0.92
    assert ours.precision >= windows.precision


async def test_chunks_of_sections_find_the_documents(embedder: MiniLM, cache: Path) -> None:
    ours = await by_documents("workplace", with_path, MAX_TOKENS, embedder, cache)
    windows = await by_documents("workplace", fixed, MAX_TOKENS, embedder, cache)
    assert ours.ndcg >= windows.ndcg
