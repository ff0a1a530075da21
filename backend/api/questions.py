"""Requests → questions: what the wire says, in the domain's words."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec

from backend import schema
from backend.codec import Json
from backend.domain import Audience, Question, Turn
from backend.errors import BadInput
from backend.experiments import Plan
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
        thread=request.thread,
        language=_language(request.language),
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


def in_experiment(question: Question, plan: Plan, moment: datetime) -> Question:
    """Return the question with the prompt that its thread's arm of an experiment has, unless it names one itself."""
    assigned = plan.assigned(question.team, question.thread, moment) if question.prompt is None else None
    return replace(question, prompt=assigned.arm, experiment=assigned.experiment) if assigned else question


class _TracedTurn(msgspec.Struct, frozen=True):
    role: Literal["user", "assistant"]
    text: str


class _TracedQuestion(msgspec.Struct, frozen=True):
    text: str
    team: str
    audience: schema.Audience
    history: tuple[_TracedTurn, ...] = ()
    filter: schema.FilterJSON | None = None
    limit: int = 8
    prompt: str | None = None
    understand: bool = True
    time_zone: str | None = None
    language: str = ""


def question_of_trace(trace: Json, *, prompt: str | None = None) -> Question:
    """Return the question of a run's trace, to be asked again, with another prompt where one is named."""
    asked = msgspec.convert(trace["question"], _TracedQuestion)
    return Question(
        text=asked.text,
        team=asked.team,
        audience=parse_audience(asked.audience),
        history=tuple(Turn(turn.role, turn.text) for turn in asked.history),
        filter=filter_from_json(asked.filter) if asked.filter is not None else None,
        limit=asked.limit,
        prompt=prompt or asked.prompt,
        understand=asked.understand,
        time_zone=asked.time_zone,
        replay_of=str(trace["run_id"]),
        language=asked.language,
    )


def parse_audience(audience: schema.Audience | None) -> Audience:
    """Read an audience; none means one that may read the team's documents only."""
    if audience is None:
        return Audience()
    return Audience(audience.channel, audience.user, audience.private, audience.channels, audience.only_tags)


def _language(code: str | None) -> str:
    if code is None:
        return ""
    if code not in schema.ANSWER_LANGUAGES:
        raise BadInput(f"language: must be one of {', '.join(sorted(schema.ANSWER_LANGUAGES))}")
    return schema.ANSWER_LANGUAGES[code]


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
