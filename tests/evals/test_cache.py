"""A change that lets the cache serve what it must not is seen in CI: a short mix, every tenth answer computed anew."""

from __future__ import annotations

import asyncio

from backend.adapters.minilm import MiniLM
from backend.settings import load_settings
from tests.evals.cache import opened_world, replay
from tests.evals.corpora import labelled

pytestmark = labelled()


async def test_nothing_stale_or_foreign_is_served_while_documents_change() -> None:
    settings = load_settings()
    cache = settings.data_dir / "evals"
    embedder = await asyncio.to_thread(MiniLM.open, settings.model_dir, cache, settings.embedding_threads)
    try:
        world, questions = await opened_world(embedder, cache, ("workplace",))
        mix = await replay(world, questions, 200)
    finally:
        embedder.close()
    assert (mix.stale, mix.foreign, mix.different) == (0, 0, 0)
    assert mix.checked == 10
    assert mix.results["l1"] > mix.requests / 5
