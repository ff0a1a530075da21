"""Files that break parsers end as they should, and the service answers meanwhile: a sample of every kind, in CI."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping

from tests.evals.bad_inputs import NAME, manifest, measure
from tests.evals.corpora import labelled

pytestmark = labelled(NAME)
OF_EACH_KIND = 2
MAX_BYTES = 100_000
"""Larger ones are a matter of the embedder's speed."""
ANSWERED_WITHIN = 5.0
"""Seconds, on a machine that does other things."""


def sample() -> list[Mapping[str, object]]:
    """Return the smallest files of each kind that has small ones."""
    by_kind: dict[str, list[Mapping[str, object]]] = defaultdict(list)
    for row in sorted(manifest(), key=lambda row: int(str(row["bytes"]))):
        if int(str(row["bytes"])) <= MAX_BYTES:
            by_kind[str(row["kind"])].append(row)
    return [row for rows in by_kind.values() for row in rows[:OF_EACH_KIND]]


async def test_every_kind_of_bad_input_ends_ready_or_with_a_reason_while_questions_are_answered() -> None:
    ended, answering = await measure(sample())
    assert {one.file: one.unexpected for one in ended if one.unexpected} == {}
    assert answering.wrong == 0
    assert max(answering.during) < ANSWERED_WITHIN
    told = {one.file: one.notices for one in ended}
    assert any("speaks to an AI" in notice for notice in told["made__injection_visible.md"])
