"""What every check over the labelled sets starts from."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from backend.adapters.minilm import MiniLM
from backend.settings import load_settings


@pytest.fixture(scope="module")
def cache() -> Path:
    """Return where embeddings are kept from one run to the next."""
    return load_settings().data_dir / "evals"


@pytest.fixture
async def embedder(cache: Path) -> AsyncIterator[MiniLM]:
    opened = await asyncio.to_thread(MiniLM.open, load_settings().model_dir, cache, 2)
    yield opened
    opened.close()
