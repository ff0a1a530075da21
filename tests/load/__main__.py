"""A scenario against backends of its own: `make load [SCENARIO=steady] [SECONDS=60] [BACKENDS=2]`.

Prints what `docs/performance.md` shows: times by kind of request, errors, memory, and how quickly `/health` answers.
"""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
from pathlib import Path

from tests.load.driving import driven
from tests.load.scenarios import NAMES


def main(arguments: list[str]) -> int:
    name = arguments[0] if arguments else "steady"
    if name not in NAMES:
        print(f"usage: python -m tests.load {'|'.join(NAMES)} [seconds]; BACKENDS=2 for as many as that")
        return 2
    seconds = float(arguments[1]) if len(arguments) > 1 else None
    with tempfile.TemporaryDirectory() as folder:
        found = asyncio.run(driven(name, seconds, Path(folder), backends=int(os.environ.get("BACKENDS") or 1)))
    print(found.table())
    return 0 if not found.errors else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
