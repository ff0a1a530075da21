"""A change of splitting that loses gold text, or the documents that hold it, is seen in CI."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from backend.adapters.minilm import MiniLM
from backend.ingest.split import MAX_TOKENS
from backend.settings import load_settings
from tests.evals.corpora import evals_folder
from tests.evals.splitting import by_characters, by_documents, fixed, with_path

pytestmark = [
    pytest.mark.eval,
    pytest.mark.skipif(not evals_folder().is_dir(), reason="the labelled sets are not on this machine"),
]


@pytest.fixture(scope="module")
def cache() -> Path:
    return load_settings().data_dir / "evals"


@pytest.fixture
async def embedder(cache: Path) -> AsyncIterator[MiniLM]:
    opened = await asyncio.to_thread(MiniLM.open, load_settings().model_dir, cache, 2)
    yield opened
    opened.close()


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
