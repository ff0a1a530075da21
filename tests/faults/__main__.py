"""`make test-faults`: the backend killed while documents are queued, bot and backend while questions are asked."""

from __future__ import annotations

import asyncio
import tempfile
import time
from pathlib import Path

from tests.faults import turns
from tests.faults.kills import FULL, survive


def main() -> None:
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        seen = asyncio.run(survive(Path(folder), FULL))
    print(f"{FULL.kills} kills, {FULL.documents} documents, {time.monotonic() - began:.0f} s: nothing lost or doubled")
    print(f"{seen.searches} searches meanwhile: {seen.whole} saw a whole document, {len(seen.halves)} saw half of one")
    print("documents not ended at each kill:", *seen.left)
    with tempfile.TemporaryDirectory() as folder:
        tally = asyncio.run(turns.survive(Path(folder), turns.FULL))
    print(f"\n{tally.table(turns.FULL)}")
    turns.check(tally, turns.FULL)


if __name__ == "__main__":
    main()
