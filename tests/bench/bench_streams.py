"""Twenty answers at once in one workspace, long enough to meet every limit that Slack counts by the minute."""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path

from bot.app import open_bot
from bot.sandbox import Sandbox
from tests.e2e.slack_room import Room, settings_for
from tests.e2e.streams import Measured, Plan, measure
from tests.fakes.backend_server import open_backend

PLANS = (Plan(answers=20, sentences=120, pause=0.5), Plan(answers=60, sentences=40, pause=0.5))


async def run(plan: Plan, folder: Path) -> Measured:
    async with (
        open_backend() as backend,
        Sandbox(0) as sandbox,
        open_bot(settings_for(sandbox, backend, folder, concurrent_turns=64)),
    ):
        return await measure(Room(sandbox, backend), plan)


def main() -> None:
    for plan in PLANS:
        with tempfile.TemporaryDirectory() as folder:
            print(asyncio.run(run(plan, Path(folder))).table(), end="\n\n")


if __name__ == "__main__":
    main()
