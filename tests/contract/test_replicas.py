"""What several backends agree on: one contract, over PostgreSQL and where there is only one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack

import pytest

from backend.adapters.postgres_replicas import PostgresReplicas
from backend.adapters.replicas import OneBackend, Replicas
from backend.errors import DatabaseUnavailable, Unavailable
from tests.postgres_server import PostgresServer, needs_postgres, running_postgres


@pytest.fixture(params=["one", pytest.param("postgres", marks=needs_postgres)])
async def replicas(request: pytest.FixtureRequest, database_url: Callable[[str], str]) -> AsyncIterator[Replicas]:
    if request.param == "one":
        yield OneBackend()
        return
    async with PostgresReplicas.open(database_url("postgres"), "a", together=True) as opened:
        yield opened


async def test_one_task_at_a_time_holds_a_lock(replicas: Replicas) -> None:
    inside, most = 0, 0

    async def work() -> None:
        nonlocal inside, most
        async with replicas.writing:
            inside += 1
            most = max(most, inside)
            await asyncio.sleep(0)
            inside -= 1

    await asyncio.gather(*(work() for _ in range(8)))
    assert (inside, most) == (0, 1)


async def test_a_lock_is_let_go_whatever_happens_under_it(replicas: Replicas) -> None:
    with pytest.raises(ZeroDivisionError):
        async with replicas.records:
            raise ZeroDivisionError
    waiting = asyncio.create_task(asyncio.sleep(60))
    holding = asyncio.create_task(_hold(replicas, waiting))
    await asyncio.sleep(0.05)
    holding.cancel()
    await asyncio.gather(holding, waiting, return_exceptions=True)
    async with asyncio.timeout(30), replicas.records, replicas.writing:
        pass


async def _hold(replicas: Replicas, until: asyncio.Task[None]) -> None:
    async with replicas.records:
        await until


async def test_alone_it_leads_and_is_among_the_living(replicas: Replicas) -> None:
    assert await replicas.leads()
    assert await replicas.leads()
    living = await replicas.living()
    assert len(living) == 1
    assert replicas.gone([replicas.name, "nobody"], living) == ["nobody"]


@needs_postgres
async def test_two_backends_take_turns_and_one_of_them_leads(database_url: Callable[[str], str]) -> None:
    url, order = database_url("postgres"), []
    async with PostgresReplicas.open(url, "b", together=True) as second:
        async with PostgresReplicas.open(url, "a", together=True) as first:
            assert (await first.leads(), await second.leads()) == (True, False)
            assert len(await second.living()) == 2

            async def write(replicas: PostgresReplicas, name: str) -> None:
                async with replicas.writing:
                    order.append(f"{name} begins")
                    await asyncio.sleep(0.02)
                    order.append(f"{name} ends")

            await asyncio.gather(*(write(one, name) for _ in range(3) for one, name in ((first, "a"), (second, "b"))))
            assert all(begun[0] == ended[0] for begun, ended in zip(order[::2], order[1::2], strict=True))
            assert {one[0] for one in order} == {"a", "b"}
        assert second.gone(["a", "b"], await second.living()) == ["a"]
        assert await second.leads()


@needs_postgres
async def test_a_backend_that_keeps_its_index_to_itself_has_no_company(database_url: Callable[[str], str]) -> None:
    url = database_url("postgres")
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(PostgresReplicas.open(url, "a", together=False))
        for together in (False, True):
            with pytest.raises(Unavailable, match="FOOTNOTE_INDEX_URI"):
                await stack.enter_async_context(PostgresReplicas.open(url, "b", together=together))
    async with PostgresReplicas.open(url, "a", together=True):
        with pytest.raises(Unavailable, match="same name"):
            await AsyncExitStack().enter_async_context(PostgresReplicas.open(url, "a", together=True))


@needs_postgres
async def test_a_backend_that_loses_its_session_takes_a_new_one() -> None:
    with running_postgres() as server:
        async with PostgresReplicas.open(server.url(), "a", together=True) as replicas:
            assert await replicas.leads()
            server.stop()
            with pytest.raises(DatabaseUnavailable):
                async with replicas.writing:
                    pass
            server.start()
            await _until_it_leads_again(replicas, server)
            async with asyncio.timeout(30), replicas.writing:
                assert len(await replicas.living()) == 1


async def _until_it_leads_again(replicas: PostgresReplicas, server: PostgresServer) -> None:
    async with asyncio.timeout(60):
        while True:
            held = server.execute("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND granted")
            try:
                if held[0][0] == 3 and await replicas.leads():
                    return
                await replicas.leads()
            except DatabaseUnavailable:
                pass
            await asyncio.sleep(0.1)
