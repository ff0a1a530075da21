"""The work of bots that are gone is taken over by whichever of those that live sees it first."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from dbos import error as dbos_error
from loguru import logger
from sqlalchemy.exc import SQLAlchemyError

from bot.durable import Durable
from bot.peers import GRACE, PostgresPeers

EVERY = 1.0
"""Seconds between two looks."""


@dataclass
class Relief:
    """Looks for bots that have begun work and are gone, for `grace` seconds at least."""

    peers: PostgresPeers
    durable: Durable
    grace: float = GRACE
    clock: Callable[[], float] = time.monotonic
    _missing: dict[str, float] = field(default_factory=dict, init=False)
    """Since when each of them is gone, as this one has seen it."""
    _life: int = field(default=0, init=False)

    async def watch(self) -> None:
        """Look for ever."""
        while True:
            await asyncio.sleep(EVERY)
            try:
                await self.look()
            except (SQLAlchemyError, dbos_error.DBOSException, OSError) as error:
                logger.bind(error=type(error).__name__).warning("other bots not looked for: the database is away")

    async def look(self) -> None:
        at_work = await self.durable.workers()  # first: who begins work after this is among the living
        gone = await self.peers.gone(at_work - {self.peers.name})
        now = self.clock()
        before = self._missing if self._life == self.peers.lives else {}
        self._life = self.peers.lives
        self._missing = {name: before.get(name, now) for name in gone}
        for name in [name for name, since in self._missing.items() if now - since >= self.grace]:
            await self._relieve(name)

    async def _relieve(self, name: str) -> None:
        async with self.peers.in_place_of(name) as free:
            if free:
                jobs = await self.durable.take_over(name)
                logger.bind(bot=name, jobs=jobs).warning("work of another bot taken over")
        self._missing.pop(name, None)
