"""What the leader does for backends that are gone, and what nobody else does."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path

from backend.adapters.replicas import OneBackend
from backend.replicas import RollCall, led, own_name


@dataclass(frozen=True)
class Company(OneBackend):
    """Backends as a test would have them."""

    leading: list[bool] = field(default_factory=lambda: [True])
    alive: set[str] = field(default_factory=lambda: {"a", "b"})

    async def leads(self) -> bool:
        return self.leading[0]

    async def living(self) -> frozenset[str]:
        return frozenset(self.alive)


@dataclass
class World:
    company: Company = field(default_factory=Company)
    working: set[str] = field(default_factory=set)
    taken: list[str] = field(default_factory=list)
    resumed: int = 0

    def roll_call(self) -> RollCall:
        return RollCall(self.company, self.at_work, self.take_over, self.resume)

    async def at_work(self) -> Collection[str]:
        return frozenset(self.working)

    async def take_over(self, names: list[str]) -> int:
        self.taken += names
        self.working -= set(names)
        return len(names)

    async def resume(self) -> None:
        self.resumed += 1


async def test_only_who_leads_sees_to_the_work_of_others() -> None:
    world = World(working={"dead"})
    world.company.leading[0] = False
    roll_call = world.roll_call()
    await roll_call.look()
    assert (world.taken, world.resumed) == ([], 0)

    world.company.leading[0] = True
    await roll_call.look()
    assert (world.taken, world.resumed) == (["dead"], 1)


async def test_nothing_is_done_while_nobody_goes() -> None:
    world = World(working={"a", "b"})
    roll_call = world.roll_call()
    for _ in range(3):
        await roll_call.look()
    assert (world.taken, world.resumed) == ([], 1)


async def test_one_that_goes_without_having_begun_anything_is_noticed_as_well() -> None:
    world = World()
    roll_call = world.roll_call()
    await roll_call.look()
    world.company.alive.discard("b")
    await roll_call.look()
    await roll_call.look()
    assert (world.taken, world.resumed) == ([], 2)


async def test_chores_are_the_leaders() -> None:
    done: list[str] = []

    async def chore() -> None:
        done.append("chore")

    company = Company()
    company.leading[0] = False
    await led(company, {"purge": chore})["purge"]()
    assert done == []
    company.leading[0] = True
    await led(company, {"purge": chore})["purge"]()
    assert done == ["chore"]


def test_a_backend_keeps_its_name_for_as_long_as_its_folder(tmp_path: Path) -> None:
    name = own_name(tmp_path / "replica")
    assert name
    assert own_name(tmp_path / "replica") == name
    assert own_name(tmp_path / "other") != name
