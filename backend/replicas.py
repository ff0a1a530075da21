"""The part of the composition root that makes one of several backends: who they are, and what the leader does."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from pathlib import Path
from uuid import uuid4

from loguru import logger

from backend.adapters import lance_tables
from backend.adapters.lance_places import Building
from backend.adapters.postgres_replicas import BUILDING, PostgresReplicas, tried
from backend.adapters.replicas import OneBackend, Replicas
from backend.upkeep import Chore

ROLL_CALL = timedelta(seconds=3)
"""How often the leader looks who is gone, and the others whether the leader is."""


@asynccontextmanager
async def opened_replicas(database: str, name_file: Path, *, together: bool) -> AsyncIterator[Replicas]:
    """Be one of the backends over a database until the block ends: the only one, where that is SQLite.

    Raises:
        Unavailable, DatabaseUnavailable: see `PostgresReplicas.open`.
    """
    if database.startswith("sqlite"):
        yield OneBackend()
        return
    async with PostgresReplicas.open(database, own_name(name_file), together=together) as replicas:
        yield replicas


def own_name(file: Path) -> str:
    """Return this backend's name, which stays the same for as long as its data folder: made at the first start."""
    if not file.exists():
        file.write_text(f"{uuid4().hex[:12]}\n")
    return file.read_text().strip()


def building_right(database: str, folder: Path) -> Building:
    """Return the right to have tables beside the live one of an index in an object store: held through the database,
    or through the data folder of the only backend that there is."""
    if not database.startswith("sqlite"):
        return partial(tried, database, BUILDING)

    @asynccontextmanager
    async def here() -> AsyncIterator[bool]:
        with lance_tables.building(folder) as alone:
            yield alone

    return here


def led(replicas: Replicas, chores: Mapping[str, Chore]) -> dict[str, Chore]:
    """Return the chores, which only the leader does."""
    return {name: _led(replicas, chore) for name, chore in chores.items()}


def _led(replicas: Replicas, chore: Chore) -> Chore:
    async def only_as_leader() -> None:
        if await replicas.leads():
            await chore()

    return only_as_leader


@dataclass
class RollCall:
    """Sees to the work of backends that are gone. A backend that is only slow loses nothing: work that is done twice
    has an effect once, since the second finds its attempt ended."""

    replicas: Replicas
    at_work: Callable[[], Awaitable[Collection[str]]]
    """Who has begun work that has not ended."""
    take_over: Callable[[list[str]], Awaitable[int]]
    resume: Callable[[], Awaitable[object]]
    """Take up what was interrupted before it was enqueued."""
    _seen: frozenset[str] = field(default=frozenset(), init=False)

    async def look(self) -> None:
        """To be called now and then. Unavailable if the database is down."""
        if not await self.replicas.leads():
            self._seen = frozenset()
            return
        at_work = await self.at_work()  # first: who begins work after this is among the living
        living = await self.replicas.living()
        gone = self.replicas.gone(at_work, living)
        if gone:
            logger.bind(backends=len(gone), works=await self.take_over(gone)).warning("work taken over")
        if gone or not self._seen or self._seen - living:
            await self.resume()
        self._seen = living
