"""Requests → questions: what the wire says, in the domain's words."""

from __future__ import annotations

from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from backend import schema
from backend.domain import Audience, Question, Turn
from backend.errors import BadInput
from backend.query.filters import filter_from_json


def parse_question(request: schema.QueryRequest, *, team: str) -> Question:
    """Read a query request; `team` is used where it names none. BadInput says what is wrong with it."""
    return Question(
        text=_text(request.question),
        team=request.team or team,
        audience=parse_audience(request.audience),
        history=tuple(Turn(turn.role, turn.text) for turn in request.history),
        filter=filter_from_json(request.filter) if request.filter is not None else None,
        limit=request.limit,
        prompt=request.prompt,
        understand=request.understand,
        time_zone=_time_zone(request.time_zone),
    )


def parse_search(request: schema.SearchRequest, *, team: str) -> Question:
    """Read a search request, which is a question without history and prompt."""
    return Question(
        text=_text(request.question),
        team=request.team or team,
        audience=parse_audience(request.audience),
        filter=filter_from_json(request.filter) if request.filter is not None else None,
        limit=request.limit,
        understand=request.understand,
        time_zone=_time_zone(request.time_zone),
    )


def parse_audience(audience: schema.Audience | None) -> Audience:
    """Read an audience; none means one that may read the team's documents only."""
    if audience is None:
        return Audience()
    return Audience(audience.channel, audience.user, audience.private, audience.channels)


def _text(question: str) -> str:
    text = question.strip()
    if not text:
        raise BadInput("question: must not be empty")
    return text


def _time_zone(name: str | None) -> str | None:
    try:
        return ZoneInfo(name).key if name else None
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise BadInput("time_zone: must be an IANA name such as Europe/Berlin") from None
