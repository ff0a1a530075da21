"""What a trace may still show once documents that it drew on were removed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from backend.redact import WITHHELD, holds, redact, removed_since

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)


def item(document_id: str, **more: object) -> dict[str, object]:
    return {"document_id": document_id, "title": "Leave", "url": "", "heading": None, "score": 0.5, **more}


def trace(**changes: object) -> dict[str, object]:
    history = [{"role": "user", "text": "Hi"}, {"role": "assistant", "text": "A secret."}]
    return {
        "outcome": "answered",
        "passages": [item("a", text="Secret."), item("b", text="Open.")],
        "citations": [item("b", quote="Open.")],
        "answer": "Open [1].",
        "question": {"text": "Why?", "history": history},
        **changes,
    }


def test_nothing_removed_changes_nothing() -> None:
    assert redact(trace(), frozenset()) == trace()


def test_passages_of_a_removed_document_keep_their_place_but_no_words() -> None:
    after = redact(trace(), {"a"})
    assert after["passages"] == [item("a", text=WITHHELD, title=WITHHELD), item("b", text="Open.")]
    assert after["answer"] == "Open [1]."
    assert not holds(after, "a")
    assert holds(after, "b")


def test_an_answer_that_cites_a_removed_document_is_withheld_with_its_quote() -> None:
    after = redact(trace(), {"b"})
    assert after["answer"] == WITHHELD
    assert after["citations"] == [item("b", quote=WITHHELD, title=WITHHELD)]


def test_an_abstention_that_names_the_closest_documents_is_withheld() -> None:
    after = redact(trace(outcome="abstained", citations=[], answer="The closest: “Leave”."), {"a"})
    assert after["answer"] == WITHHELD


def test_earlier_answers_of_the_thread_are_left_out_whatever_they_drew_on() -> None:
    after = redact(trace(), {"elsewhere"})
    assert after["question"] == {"text": "Why?", "history": [{"role": "user", "text": "Hi"}]}
    assert after["passages"] == trace()["passages"]


def test_redacting_twice_is_redacting_once() -> None:
    assert redact(redact(trace(), {"a", "b"}), {"a"}) == redact(trace(), {"a", "b"})


def test_only_what_was_removed_since_the_run_began_counts() -> None:
    removed = {"before": NOW - timedelta(seconds=1), "during": NOW, "after": NOW + timedelta(days=1)}
    assert removed_since(NOW.isoformat(), removed) == {"during", "after"}
