"""Ratings, and what admins ask for."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from backend.schema.common import Identifier


class FeedbackRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    run_id: Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
    user: Identifier
    rating: Literal[1, -1]
    kind: Literal["reaction", "button"] = "button"
    comment: Annotated[str, msgspec.Meta(max_length=4_000)] = ""


class FeedbackReply(msgspec.Struct, frozen=True):
    run_id: str
    recorded: bool


class GapsRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the runs of the last `days` lacked, for somebody who reads `channels` and nothing else."""

    channels: Annotated[tuple[Identifier, ...], msgspec.Meta(max_length=5_000)] = ()
    team: Identifier | None = None
    days: Annotated[int, msgspec.Meta(ge=1, le=365)] = 30


class KnowledgeGap(msgspec.Struct, frozen=True):
    """Questions about the same thing that were not answered, or badly: at most five of those that were asked in the
    channels of the request. `elsewhere` counts the others. `nearest` is the title of the document of the whole team
    that came closest, "" if none did."""

    abstained: int
    disliked: int
    questions: tuple[str, ...]
    elsewhere: int
    nearest: str = ""


class GapsReply(msgspec.Struct, frozen=True):
    """The largest gaps first, at most twenty; `runs` is how many questions there were at all."""

    days: int
    runs: int
    gaps: tuple[KnowledgeGap, ...]


class PromptsReply(msgspec.Struct, frozen=True):
    """The versions of the prompt that writes answers, the default first; none where answers are only quoted."""

    prompts: tuple[str, ...]


class HealthReply(msgspec.Struct, frozen=True):
    status: Literal["ok"]
    uptime: float
    api_version: str
    index_connected: bool
