"""What every request may hold, and what every refusal looks like."""

from __future__ import annotations

from typing import Annotated

import msgspec

Identifier = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9_.\-]{1,64}$")]
Tag = Annotated[str, msgspec.Meta(min_length=1, max_length=100)]
TimeZone = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9_+/\-]{1,64}$")]
LIMIT_REACHED = "urn:footnote:limit-reached"
"""`type` of the problem that the team has handed in as much as it may today: trying again at once is no use."""
TOO_FAST = "urn:footnote:too-many-questions"
BUDGET_SPENT = "urn:footnote:budget-spent"
LIMITS = frozenset({LIMIT_REACHED, TOO_FAST, BUDGET_SPENT})
"""Types of problems that say when to come back: `detail` in words, `Retry-After` in seconds."""


class Problem(msgspec.Struct, frozen=True, omit_defaults=True):
    """RFC 9457 problem details, `application/problem+json`."""

    title: str
    status: int
    detail: str
    type: str = "about:blank"
    run_id: str | None = None
    request_id: str | None = None
