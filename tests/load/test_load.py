"""The steady scenario in ten seconds: every kind of request works out while documents come in."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

import pytest

from tests.load.driving import driven, needs_locust
from tests.load.mix import SHARES, actions
from tests.load.scenarios import NAMES, SCENARIOS, scenario


@pytest.mark.e2e
@needs_locust
async def test_ten_seconds_of_people_at_work_go_without_an_error(tmp_path: Path) -> None:
    found = await driven("steady", 10, tmp_path, pages=40)
    assert found.errors == 0, (tmp_path / "locust.log").read_text()[-2000:]
    assert {"ask", "ask streamed", "search", "rate", "ingest", "list"} <= set(found.kinds)
    assert found.kinds["Aggregated"].requests > 20
    assert found.health
    assert "ERROR" not in (tmp_path / "backend.log").read_text()
    print(found.table())


def test_actions_are_the_same_for_the_same_seed_and_mixed_as_they_should_be() -> None:
    done = list(islice(actions(7, 200), 5_000))
    assert done == list(islice(actions(7, 200), 5_000))
    for kind, share in SHARES.items():
        assert abs(sum(one.kind == kind for one in done) - share * 50) < share * 10 + 25, kind
    asked = [one.words for one in done if one.kind.startswith("ask")]
    assert len(set(asked)) < len(asked) / 2


@pytest.mark.parametrize("name", NAMES)
def test_a_shorter_form_has_the_same_rates(name: str) -> None:
    whole = next(SCENARIOS[one] for one in NAMES if one == name)
    short = scenario(next(one for one in NAMES if one == name), 9)
    assert [short.users(second) for second in (0, 4, 8)] == [
        whole.users(whole.seconds * part) for part in (0, 0.45, 0.9)
    ]
    assert short.users(9) is None
