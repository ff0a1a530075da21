"""What the trace of a run may still show once documents that it drew on were removed. Pure, over the trace's JSON."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime

from backend.codec import Json

WITHHELD = "(removed)"
"""Stands where a removed document's words stood."""

_WORDS = ("text", "title", "url", "heading", "lead", "quote", "author", "source")
"""What a passage or citation shows of its document."""


def redact(trace: Json, removed: Collection[str]) -> Json:
    """Return the trace without what it holds of these documents, all of which were removed after the run.

    Of their passages and citations the words are withheld. So is the answer if it cites them, or names the closest
    documents (an abstention). What the assistant said earlier in the thread is left out whatever it was: the trace does
    not say which documents that came from.
    """
    if not removed:
        return trace
    passages, named = _withheld(trace["passages"], removed)
    citations, cited = _withheld(trace["citations"], removed)
    hides_answer = cited or (named and trace["outcome"] != "answered")
    return {
        **trace,
        "passages": passages,
        "citations": citations,
        "answer": WITHHELD if hides_answer and trace["answer"] else trace["answer"],
        "question": _without_answers(trace["question"]),
    }


def without_words(trace: Json, asked: Collection[str]) -> Json:
    """Return somebody else's trace without these questions (as `folded`), which stand in it as earlier turns of the
    thread, and without what was answered to them. The query, which may have been made of them, is then what was asked.
    """
    question = trace["question"]
    assert isinstance(question, dict)
    turns = _items(question["history"])
    told = [turn["role"] == "user" and folded(str(turn["text"])) in asked for turn in turns]
    answers = [turn["role"] == "assistant" and at > 0 and told[at - 1] for at, turn in enumerate(turns)]
    kept = [turn for at, turn in enumerate(turns) if not told[at] and not answers[at]]
    if len(kept) == len(turns):
        return trace
    query = trace["query"]
    assert isinstance(query, dict)
    return {**trace, "question": {**question, "history": kept}, "query": {**query, "text": question["text"]}}


def folded(text: str) -> str:
    """Return a question as it is compared: case and spaces say nothing."""
    return " ".join(text.split()).casefold()


def stripped(trace: Json) -> Json:
    """Return the trace of a run whose words are kept no longer: its figures and the ids of documents are left."""
    question, query = trace["question"], trace["query"]
    assert isinstance(question, dict)
    assert isinstance(query, dict)
    return {
        **trace,
        "question": {**question, "text": WITHHELD, "history": [], "filter": None},
        "query": {**query, "text": WITHHELD, "filter": None, "notices": []},
        "passages": [_blank(item) for item in _items(trace["passages"])],
        "citations": [_blank(item) for item in _items(trace["citations"])],
        "answer": WITHHELD if trace["answer"] else "",
        "error": "",
    }


def has_words(trace: Json) -> bool:
    """Whether the trace still says what was asked."""
    question = trace["question"]
    return isinstance(question, dict) and question["text"] != WITHHELD


def removed_since(created_at: str, removed: Mapping[str, datetime]) -> frozenset[str]:
    """Return the documents that were removed when a run of this moment (ISO 8601) was under way, or later."""
    began = datetime.fromisoformat(created_at)
    return frozenset(document_id for document_id, moment in removed.items() if moment >= began)


def holds(trace: Json, document_id: str) -> bool:
    """Whether the trace still shows words of this document."""
    return any(
        item["document_id"] == document_id and _shown(item)
        for part in ("passages", "citations")
        for item in _items(trace[part])
    )


def _withheld(listed: object, removed: Collection[str]) -> tuple[list[Json], bool]:
    items = _items(listed)
    hidden = [item["document_id"] in removed for item in items]
    return [_blank(item) if hide else item for item, hide in zip(items, hidden, strict=True)], any(hidden)


def _blank(item: Json) -> Json:
    return {name: WITHHELD if name in _WORDS and value else value for name, value in item.items()}


def _shown(item: Json) -> bool:
    return any(item.get(name) not in ("", None, WITHHELD) for name in _WORDS)


def _without_answers(question: object) -> Json:
    assert isinstance(question, dict)
    turns = [turn for turn in _items(question["history"]) if turn["role"] != "assistant"]
    return {**question, "history": turns}


def _items(listed: object) -> list[Json]:
    assert isinstance(listed, list)
    return listed
