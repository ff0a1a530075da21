"""Many callers, few commits: whoever is ready to be written goes along with the others that are."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

from backend.errors import FootnoteError
from backend.ingest.twins import Prepared

MAX_BATCH = 16
"""Documents in one commit; each may hold some megabytes of vectors."""
LINGER = 0.5
"""Seconds that what is ready waits for company, while more is on its way: a commit costs as much as embedding some
hundred words, however little it writes."""


@dataclass(frozen=True, slots=True, eq=False)
class _Waiting:
    prepared: Prepared
    written: asyncio.Future[None]


@dataclass(frozen=True)
class GroupCommit:
    """Commits one batch at a time; a batch that fails is tried again one by one, so that no document holds up others.

    `more` says whether anything else is on its way: alone, a document does not wait.
    """

    commit: Callable[[Sequence[Prepared]], Awaitable[None]]
    more: Callable[[int], bool]
    linger: float = LINGER
    waiting: list[_Waiting] = field(default_factory=list)
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    changed: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def __call__(self, prepared: Prepared) -> None:
        """Return when it is written; raise what its own commit raised."""
        mine = _Waiting(prepared, asyncio.get_running_loop().create_future())
        self.waiting.append(mine)
        await self.look()
        try:
            async with self.turn:
                while not mine.written.done():
                    await self._gather()
                    await self._write(self._taken())
        finally:
            if mine in self.waiting:
                self.waiting.remove(mine)
            mine.written.cancel()
        await mine.written

    async def look(self) -> None:
        """Something has arrived, or something that was on its way will not: look whether to wait on."""
        async with self.changed:
            self.changed.notify_all()

    async def _gather(self) -> None:
        try:
            async with asyncio.timeout(self.linger), self.changed:
                await self.changed.wait_for(self._enough)
        except TimeoutError:
            pass

    def _enough(self) -> bool:
        return len(self.waiting) >= MAX_BATCH or not self.more(len(self.waiting))

    def _taken(self) -> list[_Waiting]:
        batch = self.waiting[:MAX_BATCH]
        del self.waiting[:MAX_BATCH]
        return batch

    async def _write(self, batch: Sequence[_Waiting]) -> None:
        try:
            await self.commit([one.prepared for one in batch])
        except FootnoteError as error:
            if len(batch) == 1:
                _settle(batch[0], error)
                return
            for one in batch:
                await self._write([one])
            return
        except BaseException:
            for one in batch:
                one.written.cancel()
            raise
        for one in batch:
            _settle(one, None)


def _settle(one: _Waiting, error: FootnoteError | None) -> None:
    if one.written.done():
        return
    if error is None:
        one.written.set_result(None)
    else:
        one.written.set_exception(error)
