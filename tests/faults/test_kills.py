"""kill -9 of the real backend while documents are queued. In full, 20 kills and 200 documents: `make test-faults`."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.faults.kills import SHORT, survive

pytestmark = pytest.mark.e2e


async def test_a_backend_killed_while_documents_are_queued_loses_doubles_and_halves_none(tmp_path: Path) -> None:
    seen = await survive(tmp_path, SHORT)
    assert seen.searches > 0
    assert any(seen.left)
