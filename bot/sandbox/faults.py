"""Faults that a test orders: the next calls of a method fail, or are slow."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class Fault:
    """What happens to the next `times` calls of `method` ("*" for any).

    Attributes:
        error: Slack's error code, answered with `status` 200; or None.
        status: the HTTP status; 429 carries `retry_after`, 500 has no JSON.
        delay: seconds before the call is looked at; alone, it makes the call slow and nothing else.
        after: the call takes effect first and only its answer is lost.
    """

    method: str
    times: int = 1
    error: str | None = None
    status: int = 200
    delay: float = 0.0
    retry_after: int = 1
    after: bool = False

    @property
    def fails(self) -> bool:
        return self.error is not None or self.status != 200


@dataclass
class Faults:
    """Faults in the order they were given; each is used up by the calls that meet it."""

    waiting: list[Fault] = field(default_factory=list)

    def add(self, fault: Fault) -> None:
        self.waiting.append(fault)

    def take(self, method: str) -> Fault | None:
        """The fault that this call meets."""
        for fault in self.waiting:
            if fault.method in (method, "*"):
                fault.times -= 1
                if fault.times <= 0:
                    self.waiting.remove(fault)
                return fault
        return None
