"""What one run spends on models: counted where they are called, read where the run ends.

The adapters that call models serve many runs at once, so that the meter of the run under way travels in the context,
as its id does for the log.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field


@dataclass(slots=True, eq=False)
class Meter:
    """The account of one run. `allowed` is how many calls it should make at most; what is optional is left out beyond
    that. `wrote` is the model that began the answer last, `broken` are those that broke off in the middle of it.
    `cost` is in the currency of the settings' prices."""

    allowed: int = 2
    calls: int = 0
    tokens_in: int = 0
    tokens_out: int = 0
    cost: float = 0.0
    wrote: str = ""
    broken: set[str] = field(default_factory=set)

    @property
    def may_ask(self) -> bool:
        """Whether one more optional call may be made."""
        return self.calls < self.allowed

    def spend(self, tokens_in: int, tokens_out: int, cost: float) -> None:
        """Add what one request used."""
        self.tokens_in += tokens_in
        self.tokens_out += tokens_out
        self.cost += cost


_METER: ContextVar[Meter | None] = ContextVar("footnote_meter", default=None)


@contextmanager
def metered(meter: Meter) -> Iterator[Meter]:
    """Count the calls that are begun within the block on this meter. Never wrap a `yield` of a generator in it."""
    token = _METER.set(meter)
    try:
        yield meter
    finally:
        _METER.reset(token)


def current_meter() -> Meter:
    """Return the meter of the run under way; outside of a run, one that nobody reads."""
    return _METER.get() or Meter()
