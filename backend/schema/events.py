"""The server-sent events of a streamed query, to and from the wire."""

from __future__ import annotations

from typing import Literal, TypeAlias

import msgspec

from backend.schema.common import Problem
from backend.schema.questions import Citation, Outcome, Passage, RunMetadata, Understood


class StatusEvent(msgspec.Struct, frozen=True, tag_field="event", tag="status"):
    stage: Literal["understand", "retrieve", "generate"]


class QueryEvent(msgspec.Struct, frozen=True, tag_field="event", tag="query"):
    query: Understood


class PassagesEvent(msgspec.Struct, frozen=True, tag_field="event", tag="passages"):
    passages: tuple[Passage, ...]


class DeltaEvent(msgspec.Struct, frozen=True, tag_field="event", tag="delta"):
    text: str


class CitationsEvent(msgspec.Struct, frozen=True, tag_field="event", tag="citations"):
    citations: tuple[Citation, ...]


class DoneEvent(msgspec.Struct, frozen=True, tag_field="event", tag="done"):
    run_id: str
    outcome: Outcome
    metadata: RunMetadata


class FailedEvent(msgspec.Struct, frozen=True, tag_field="event", tag="failed"):
    problem: Problem


QueryStreamEvent: TypeAlias = (
    StatusEvent | QueryEvent | PassagesEvent | DeltaEvent | CitationsEvent | DoneEvent | FailedEvent
)


_PlainEvent: TypeAlias = StatusEvent | PassagesEvent | DeltaEvent | CitationsEvent | DoneEvent

_PLAIN_EVENTS: dict[str, type[_PlainEvent]] = {
    "status": StatusEvent,
    "passages": PassagesEvent,
    "delta": DeltaEvent,
    "citations": CitationsEvent,
    "done": DoneEvent,
}


def encode_event(event: QueryStreamEvent) -> tuple[str, bytes]:
    """Return the event's name and its `data`, which is one line of JSON without the name.

    `query` carries the understood query itself and `failed` the problem details themselves.
    """
    name = str(event.__struct_config__.tag)
    match event:
        case QueryEvent():
            return name, msgspec.json.encode(event.query)
        case FailedEvent():
            return name, msgspec.json.encode(event.problem)
        case _:
            fields = {field: getattr(event, field) for field in event.__struct_fields__}
            return name, msgspec.json.encode(fields)


def decode_event(name: str, data: bytes | str) -> QueryStreamEvent:
    """Read what `encode_event` wrote; raise ValueError for an unknown name or data that is not of its shape."""
    try:
        match name:
            case "query":
                return QueryEvent(msgspec.json.decode(data, type=Understood))
            case "failed":
                return FailedEvent(msgspec.json.decode(data, type=Problem))
            case _:
                return msgspec.json.decode(data, type=_PLAIN_EVENTS[name])
    except KeyError:
        raise ValueError(f"unknown event {name[:40]!r}") from None
    except msgspec.DecodeError as error:
        raise ValueError(f"event {name}: {error}") from None
