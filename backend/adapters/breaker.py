"""A circuit breaker: an endpoint that keeps failing is left alone for a while, so that nobody waits for it in vain.

closed ──(FAILURES in a row)──> open ──(after the pause)──> half-open ──(one trial succeeds)──> closed
                                  ^───────────────(the trial fails: twice the pause)──┘
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

State: TypeAlias = Literal["closed", "half-open", "open"]

FAILURES = 5
"""Failed requests in a row after which it opens: more than the tries of one call, fewer than those of two."""
PAUSE = 15.0
"""Seconds until the first trial; doubled for each trial that fails."""
LONGEST_PAUSE = 240.0


class CircuitOpen(Exception):
    """The endpoint is left alone; `seconds` until it is tried again."""

    def __init__(self, seconds: float) -> None:
        super().__init__(f"left alone for {seconds:.0f} s")
        self.seconds = seconds


@dataclass(slots=True, eq=False)
class Breaker:
    """The state of one endpoint. `changed` hears of every change of it."""

    name: str = ""
    clock: Callable[[], float] = time.monotonic
    changed: Callable[[str, State], None] = lambda name, state: None  # noqa: ARG005
    _state: State = "closed"
    _failures: int = 0
    _pause: float = PAUSE
    _until: float = field(default=0.0)
    _trying: bool = False

    @property
    def state(self) -> State:
        return self._state

    @property
    def closed(self) -> bool:
        """Whether a request would be let through now."""
        return self._state == "closed" or (not self._trying and self.clock() >= self._until)

    @contextmanager
    def guarded(self, counts: Callable[[BaseException], bool]) -> Iterator[None]:
        """Let one request through and learn from its outcome; `counts` says which errors speak against the endpoint.

        Raises:
            CircuitOpen: it is not let through.
        """
        self._enter()
        try:
            yield
        except Exception as error:
            self._learn(failed=counts(error))
            raise
        except BaseException:  # cancelled: nothing was learnt
            self._trying = False
            raise
        self._learn(failed=False)

    def failed(self) -> None:
        """Count a failure after a request had begun well."""
        self._learn(failed=True)

    def _enter(self) -> None:
        if self._state == "closed":
            return
        if not self.closed:
            raise CircuitOpen(max(0.0, self._until - self.clock()))
        self._trying = True
        self._become("half-open")

    def _learn(self, *, failed: bool) -> None:
        self._trying = False
        if not failed:
            self._failures, self._pause = 0, PAUSE
            self._become("closed")
            return
        self._failures += 1
        if self._state == "half-open":
            self._pause = min(2 * self._pause, LONGEST_PAUSE)
        if self._state == "half-open" or self._failures >= FAILURES:
            self._until = self.clock() + self._pause
            self._become("open")

    def _become(self, state: State) -> None:
        if state != self._state:
            self._state = state
            self.changed(self.name, state)
