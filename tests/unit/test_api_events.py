"""The server-sent events of a streamed query, to and from the wire."""

import json

import msgspec
import pytest

from backend import schema

CITATION = schema.Citation(n=1, document_id="d", title="T", url="https://a.example/d", quote="q\nr")
PASSAGE = schema.Passage(chunk_id="c", document_id="d", title="T", url="", text="line\nline", score=0.5)
EVENTS: list[schema.QueryStreamEvent] = [
    schema.StatusEvent("retrieve"),
    schema.QueryEvent(schema.Understood("leave", {"op": "eq", "field": "source", "value": "hr"}, True, ("relaxed",))),
    schema.PassagesEvent((PASSAGE,)),
    schema.DeltaEvent("Twenty days\n[1]. "),
    schema.CitationsEvent((CITATION,)),
    schema.DoneEvent("r1", "answered", schema.RunMetadata(total_ms=3.5)),
    schema.FailedEvent(schema.Problem("Unavailable", 503, "later", run_id="r1")),
]


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: type(event).__name__)
def test_an_event_survives_the_wire(event: schema.QueryStreamEvent) -> None:
    name, data = schema.encode_event(event)
    assert schema.decode_event(name, data) == event
    assert b"\n" not in data


def test_data_is_what_the_contract_says_and_repeats_no_name() -> None:
    wire = {name: json.loads(data) for name, data in map(schema.encode_event, EVENTS)}
    assert list(wire) == ["status", "query", "passages", "delta", "citations", "done", "failed"]
    assert wire["delta"] == {"text": "Twenty days\n[1]. "}
    assert set(wire["query"]) == {"text", "filter", "relaxed", "notices", "described"}
    assert set(wire["done"]) == {"run_id", "outcome", "metadata"}
    assert wire["failed"] == {"title": "Unavailable", "status": 503, "detail": "later", "run_id": "r1"}
    assert set(wire["citations"]) == {"citations"}


@pytest.mark.parametrize(("name", "data"), [("nonsense", b"{}"), ("delta", b"{"), ("delta", b'{"text": 1}')])
def test_what_is_not_an_event_is_a_value_error(name: str, data: bytes) -> None:
    with pytest.raises(ValueError, match=name):
        schema.decode_event(name, data)


def test_a_problem_names_its_type_only_when_it_has_one() -> None:
    assert msgspec.json.decode(msgspec.json.encode(schema.Problem("t", 400, "d"))) == {
        "title": "t", "status": 400, "detail": "d",
    }  # fmt: skip
