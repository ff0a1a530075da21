"""Every fault of a model, at every moment, ends in something that may be shown to a reader."""

from __future__ import annotations

from tests.evals.faults import cells, matrix


async def test_every_cell_of_the_fault_matrix_is_acceptable() -> None:
    tried = await matrix()
    assert len(tried) == len(cells()) > 90
    assert [(cell.fault, cell.phase, cell.models, cell.seen) for cell in tried if not cell.acceptable] == []
