"""What is done without being asked: chores at intervals, for as long as the backend runs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from datetime import timedelta

from loguru import logger

from backend.errors import FootnoteError

Chore = Callable[[], Awaitable[object]]
LONGEST = timedelta(minutes=1)
SHORTEST = timedelta(milliseconds=200)


def interval(*deadlines: timedelta) -> timedelta:
    """Return how often to look, so that whatever has one of these deadlines is noticed well within it."""
    return max(SHORTEST, min(LONGEST, *(deadline / 8 for deadline in deadlines)))


@asynccontextmanager
async def kept_up(chores: Mapping[str, Chore], every: timedelta) -> AsyncIterator[None]:
    """Do the chores in turn, every so often, until the block ends; what they begin is durable elsewhere."""
    task = asyncio.create_task(_keep_up(chores, every))
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def _keep_up(chores: Mapping[str, Chore], every: timedelta) -> None:
    while True:
        for name, chore in chores.items():
            await _attempt(name, chore)
        await asyncio.sleep(every.total_seconds())


async def _attempt(name: str, chore: Chore) -> None:
    try:
        await chore()
    except FootnoteError as error:
        logger.bind(chore=name, error=str(error)).warning("chore put off")
    except Exception:  # noqa: BLE001 - the rim: a chore that breaks must end neither the others nor the backend
        logger.bind(chore=name).exception("chore failed")
