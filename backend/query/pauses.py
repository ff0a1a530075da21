"""A stream with its silences: what comes, and that for a while nothing does."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from typing import TypeVar

T = TypeVar("T")


async def with_pauses(items: AsyncIterator[T], pause: float) -> AsyncGenerator[T | None, None]:
    """Yield the items as they come, and None once in every silence of `pause` seconds.

    One task reads them all, whatever the reader of this does meanwhile; it is cancelled when this generator is closed,
    which also ends `items`. Errors of `items` are raised behind what came before them.
    """
    queue: asyncio.Queue[T | None] = asyncio.Queue()  # bounded by what a draft may be
    reading = asyncio.create_task(_read(items, queue))
    try:
        while True:
            try:
                async with asyncio.timeout(pause):
                    item = await queue.get()
            except TimeoutError:
                yield None
                item = await queue.get()
            if item is None:
                break
            yield item
        await reading
    finally:
        reading.cancel()
        await asyncio.wait({reading})
        if not reading.cancelled():
            reading.exception()  # it was raised above, or nobody waits for it any more


async def _read(items: AsyncIterator[T], queue: asyncio.Queue[T | None]) -> None:
    """Put every item on the queue, then None."""
    try:
        async for item in items:
            queue.put_nowait(item)
    finally:
        queue.put_nowait(None)
