"""What people write, blotted before it is stored: questions with their threads, and comments on ratings."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal

from backend.domain import And, Condition, Feedback, Filter, Not, Or, Query, Question, Run, Turn
from backend.ports import Feedbacks, Runs

Blot = Callable[[str], str]


@dataclass(frozen=True, slots=True)
class BlottedRuns:
    """ports.Runs over another. The answer of a run that has one is documents' words, and stays as it is."""

    runs: Runs
    blot: Blot

    async def put(self, run: Run) -> None:
        answer = run.answer if run.outcome == "answered" else self.blot(run.answer)
        question, query = _question(run.question, self.blot), _query(run.query, self.blot)
        await self.runs.put(replace(run, question=question, query=query, answer=answer))

    async def get(self, run_id: str) -> dict[str, object] | None:
        return await self.runs.get(run_id)

    async def redact(self, team: str, removed: Mapping[str, datetime]) -> int:
        return await self.runs.redact(team, removed)

    async def holding(self, team: str, document_id: str) -> int:
        return await self.runs.holding(team, document_id)


@dataclass(frozen=True, slots=True)
class BlottedFeedbacks:
    """ports.Feedbacks over another."""

    feedbacks: Feedbacks
    blot: Blot

    async def put(self, feedback: Feedback) -> None:
        await self.feedbacks.put(replace(feedback, comment=self.blot(feedback.comment)))

    async def delete(self, run_id: str, user: str, kind: Literal["reaction", "button"]) -> bool:
        return await self.feedbacks.delete(run_id, user, kind)


def _question(question: Question, blot: Blot) -> Question:
    history = tuple(Turn(turn.role, blot(turn.text)) for turn in question.history)
    return replace(question, text=blot(question.text), history=history, filter=_filter(question.filter, blot))


def _query(query: Query, blot: Blot) -> Query:
    return replace(
        query,
        text=blot(query.text),
        filter=_filter(query.filter, blot),
        notices=tuple(map(blot, query.notices)),
        understood=_filter(query.understood, blot),
    )


def _filter(filter_: Filter | None, blot: Blot) -> Filter | None:
    match filter_:
        case None:
            return None
        case Condition(op=op, field=field, value=tuple() as values):
            return Condition(op, field, tuple(blot(one) if isinstance(one, str) else one for one in values))
        case Condition(op=op, field=field, value=str() as value):
            return Condition(op, field, blot(value))
        case And(items=items):
            return And(tuple(one for item in items if (one := _filter(item, blot))))
        case Or(items=items):
            return Or(tuple(one for item in items if (one := _filter(item, blot))))
        case Not(item=item):
            inner = _filter(item, blot)
            return Not(inner) if inner else None
    return filter_
