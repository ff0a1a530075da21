"""Many who compute on the loop at once leave room for what is quick."""

from __future__ import annotations

import asyncio

from backend.turnstile import my_turn


async def test_one_computes_in_each_turn_of_the_loop_in_the_order_in_which_they_came() -> None:
    turns, done = [0], []

    def count() -> None:
        turns[0] += 1
        asyncio.get_running_loop().call_soon(count)

    async def think(number: int) -> None:
        await my_turn()
        done.append((number, turns[0]))

    count()
    await asyncio.gather(*map(think, range(20)))
    assert [number for number, _ in done] == list(range(20))
    assert len({turn for _, turn in done}) == 20


async def test_who_gives_up_waiting_holds_nobody_up() -> None:
    done: list[int] = []

    async def think(number: int) -> None:
        await my_turn()
        done.append(number)

    tasks = [asyncio.create_task(think(number)) for number in range(5)]
    await asyncio.sleep(0)
    tasks[2].cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    await my_turn()
    assert done == [0, 1, 3, 4]


async def test_alone_there_is_no_wait() -> None:
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    waiting = my_turn().__await__()
    try:
        next(waiting)
    except StopIteration:
        return
    raise AssertionError("it waited")
