"""One piece of thinking per turn of the event loop. What is computed on the loop for some milliseconds by many runs at
once would else be done in one go, and whoever asks for something quick, such as liveness, would wait for all of it."""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass, field
from weakref import WeakKeyDictionary


@dataclass
class Turnstile:
    """Lets one through in each turn of its loop, in the order in which they came; at once where nobody waits."""

    waiting: deque[asyncio.Future[None]] = field(default_factory=deque)
    turning: bool = False

    async def passed(self) -> None:
        loop = asyncio.get_running_loop()
        if not self.turning:
            self.turning = True
            loop.call_soon(self._turn)
            return
        waiter = loop.create_future()
        self.waiting.append(waiter)
        await waiter

    def _turn(self) -> None:
        """Let the next one through, who then computes in the loop's next turn, after what has arrived by then."""
        while self.waiting:
            waiter = self.waiting.popleft()
            if not waiter.done():  # its run may have been cancelled
                waiter.set_result(None)
                asyncio.get_running_loop().call_soon(self._turn)
                return
        self.turning = False


_turnstiles: WeakKeyDictionary[asyncio.AbstractEventLoop, Turnstile] = WeakKeyDictionary()


async def my_turn() -> None:
    """Return when it is the caller's turn to compute for some milliseconds, up to its next await."""
    await _turnstiles.setdefault(asyncio.get_running_loop(), Turnstile()).passed()
