"""What the contract suites run over."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from backend.adapters.lancedb import LanceIndex
from tests.contract.indexes import AnyIndex
from tests.fakes.corpus import DIMENSIONS
from tests.fakes.index import FakeIndex


@pytest.fixture(params=["lance", "fake"])
async def index(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[AnyIndex]:
    if request.param == "fake":
        yield FakeIndex("test")
        return
    opened = await LanceIndex.open(str(tmp_path / "db"), "test", DIMENSIONS)
    yield opened
    await opened.close()
