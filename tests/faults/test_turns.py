"""kill -9 of bot and backend while questions are asked. In full, 300 questions and 30 kills: `make test-faults`."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.faults.turns import SHORT, check, survive

pytestmark = pytest.mark.e2e


async def test_every_question_has_one_outcome_whatever_is_killed_lost_or_told_twice(tmp_path: Path) -> None:
    tally = await survive(tmp_path, SHORT)
    check(tally, SHORT)
    assert tally.kills["bot"] == tally.kills["backend"] == SHORT.kills // 2
    assert tally.struck > 0
