"""What may be set of the query story."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Knobs:
    """`token_budget` is of the evidence; timeouts are in seconds, one per port, `draft_timeout` for one draft and
    `answer_timeout` from the question to the end of what models write; `calls` is how many calls to models one answer
    should make, `opinions` how many second opinions it may ask for among them."""

    token_budget: int = 1500
    time_zone: str = "UTC"
    search_timeout: float = 15.0
    read_timeout: float = 4.0
    draft_timeout: float = 60.0
    answer_timeout: float = 90.0
    opinion_timeout: float = 3.0
    opinions: int = 4
    calls: int = 2
