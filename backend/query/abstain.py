"""Do the documents answer at all? Decided before anything is written, from figures that retrieval has anyway. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from backend.domain import Evidence, Filter, Passage, Query, Vector
from backend.query.defang import defang
from backend.query.filters import describe
from backend.query.relevance import score_sentences, weigh
from backend.query.words import content_words

ANSWERED_FROM = 0.41
"""Least confidence at which an answer is attempted. What is refused in vain weighs more than what is attempted in vain,
as each sentence must still be proved. `docs/evaluation.md` has the whole curve and what else was tried: no mixture of
39 figures (margins, coverage, expected kind of answer, agreement of the legs, titles) ranked better than this one."""
FILTERED_FROM = 0.25
"""The same within what was understood as a filter, if it found something: the words that named an author, a source or a
date need not be near any sentence."""
_LISTING = content_words(
    "documents docs pages files posts notes messages articles memos reports papers emails everything anything "
    "listed found available made written published created posted authored updated sent source author"
)
NAMED = 3
"""Documents, and people, that an abstention names."""


def confidence(question: str, vector: Vector, evidence: Sequence[Evidence]) -> float:
    """Return how near the best sentence comes to the question, about 0 to 1: its cosine, its chunk's and the weight of
    the question's words that it holds, as in compression. No evidence is no confidence."""
    passages = [one.passage for one in evidence]
    terms = weigh(question, passages)
    scored = score_sentences(terms, vector, passages)
    return max((one.nearness for one in scored), default=0.0)


def answerable(query: Query, vector: Vector, evidence: Sequence[Evidence], *, own: Filter | None = None) -> bool:
    """Whether an answer should be attempted; without evidence, never. `own` is the caller's filter, which says nothing
    of the question."""
    narrowed = query.filter is not None and query.filter != own and not query.relaxed
    if not evidence or (narrowed and _asks_for_no_more(query)):
        return bool(evidence)
    return confidence(query.text, vector, evidence) >= (FILTERED_FROM if narrowed else ANSWERED_FROM)


def _asks_for_no_more(query: Query) -> bool:
    """Whether the filter is all that was asked for: "Documents from Teams before 2023?"."""
    named = content_words(describe(query.filter)) if query.filter else frozenset()
    return content_words(query.text) <= named | _LISTING


def abstention(nearest: Iterable[Passage]) -> str:
    """Say that the documents do not answer, which of them come nearest, and who wrote those and may know more."""
    by_title: dict[str, Passage] = {}
    for passage in nearest:
        by_title.setdefault(_plain(passage.title), passage)
    documents = [passage for title, passage in by_title.items() if title][:NAMED]
    if not documents:
        return "I found nothing about this in the documents that everyone here may read."
    listed = ", ".join(_described(passage) for passage in documents)
    people = list(dict.fromkeys(_plain(passage.author) for passage in documents if passage.author))
    asked = f" You could ask {_either(people)}." if people else ""
    return f"I could not find an answer to this in the documents. The closest: {listed}.{asked}"


def _described(passage: Passage) -> str:
    dated = f" ({passage.published_at:%-d %b %Y})" if passage.published_at else ""
    return f"“{_plain(passage.title)}”{dated}"


def _plain(text: str) -> str:
    """Return a title or name on one line, shortened, safe to be posted: documents may be called anything."""
    return defang(" ".join(text.split()))[:120]


def _either(people: Sequence[str]) -> str:
    return " or ".join(people) if len(people) < NAMED else f"{', '.join(people[:-1])} or {people[-1]}"
