"""Do the documents answer at all? Decided before anything is written, from figures that retrieval has anyway. Pure."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from backend.domain import Evidence, Filter, Passage, Query, Vector, Vectors
from backend.query.defang import defang
from backend.query.filters import describe
from backend.query.relevance import score_sentences, weigh
from backend.query.versions import same_title
from backend.query.words import content_words, stem, tokens

NEARNESS, ALONE, TITLED, CENTRE = 9.0, 3.0, -2.0, 5.2
"""A logistic model of three figures (see `Closest` and `certainty`), fitted to eight labelled sets that count alike.
With the set that is judged left out it ranks better than nearness alone over four sets together (.85 against .81),
because what counts as near differs less between them: see `docs/evaluation.md`."""
ANSWERED_FROM = 0.45
"""Least certainty at which an answer is attempted: on five of six labelled sets it refuses less than a tenth of what
could be answered. What is refused in vain weighs more than what is attempted in vain, as each sentence must still be
proved."""
LOOKED_AT = 4
"""Sentences that are embedded once more, on their own."""
WHOLLY = 0.99
"""Of a question, from which on its title is all that was asked for: "What is the leave policy?"."""
RIVAL = 0.8
"""Of the best document's nearness: one that comes as near may be meant as well."""
FILTERED_FROM = 0.25
"""Least nearness within what was understood as a filter, if it found something: the words that named an author, a
source or a date need not be near any sentence."""
_LISTING = content_words(
    "documents docs pages files posts notes messages articles memos reports papers emails everything anything "
    "listed found available made written published created posted authored updated sent source author"
)
_THE_ONE = re.compile(r"\b(?:the|this|that)\b(?:\s+[\w'’-]+){1,3}", re.IGNORECASE)
_PLURAL = re.compile(r"[^s]s\Z")
MEANT = 2
"""Documents from which on a question is unclear."""
NAMED = 3
"""Documents, and people, that an abstention names."""


@dataclass(frozen=True, slots=True)
class Closest:
    """What comes nearest to a question: the first `LOOKED_AT` sentences, best first; how near the best is, 0 to about
    1; how much of the question its document's title says already, 0 to 1, and 0 where it says all. `rivals` are the
    best passages of the documents that come about as near, best first."""

    sentences: tuple[str, ...] = ()
    nearness: float = 0.0
    titled: float = 0.0
    rivals: tuple[Passage, ...] = ()


def closest(question: str, vector: Vector, evidence: Sequence[Evidence]) -> Closest:
    """Look for what comes nearest by what the index holds: a sentence counts by its cosine, its chunk's and the weight
    of the question's words that it holds, as in compression. `vector` is the question among sentence vectors."""
    passages = [one.passage for one in evidence]
    terms = weigh(question, passages)
    scored = score_sentences(terms, vector, passages)
    ranked = sorted(
        ((float(score), place, index) for place, one in enumerate(scored) for index, score in enumerate(one.near)),
        key=lambda item: (-item[0], item[1], item[2]),
    )[:LOOKED_AT]
    if not ranked:
        return Closest()
    best = passages[ranked[0][1]]
    return Closest(
        tuple(_sentence(passages[place], index) for _, place, index in ranked),
        ranked[0][0],
        titled if (titled := terms.coverage(best.title)) < WHOLLY else 0.0,
        _rivals(passages, [one.nearness for one in scored]),
    )


def _rivals(passages: Sequence[Passage], near: Sequence[float]) -> tuple[Passage, ...]:
    least = RIVAL * max(near)
    ranked = sorted(zip(near, passages, strict=True), key=lambda item: -item[0])
    best = {one.document_id: one for score, one in reversed(ranked) if score >= least}
    return tuple(reversed(best.values()))


def _sentence(passage: Passage, index: int) -> str:
    start, end = passage.sentences[index]
    return passage.text[start:end]


def confidence(question: str, vector: Vector, evidence: Sequence[Evidence]) -> float:
    """Return how near the best sentence comes to the question, about 0 to 1, by what the index holds; 0 of nothing."""
    return closest(question, vector, evidence).nearness


def certainty(found: Closest, vector: Vector, alone: Vectors) -> float:
    """Return how likely the documents answer, 0 to 1. `alone` are the vectors of `found.sentences` on their own.

    A stored sentence vector was made in view of its chunk and title, and is near to all that is asked of these; on its
    own the sentence must bear on the question itself. To be about the topic is no answer either: where the title says
    part of the question, the rest is what was asked.
    """
    if not found.sentences:
        return 0.0
    own = float((alone @ vector).max())
    return 1 / (1 + math.exp(-(NEARNESS * found.nearness + ALONE * own + TITLED * found.titled - CENTRE)))


def answerable(query: Query, found: Closest, certain: float, *, own: Filter | None = None) -> bool:
    """Whether an answer should be attempted; where nothing was found, never. `own` is the caller's filter, which says
    nothing of the question."""
    narrowed = query.filter is not None and query.filter != own and not query.relaxed
    if not found.sentences or (narrowed and _asks_for_no_more(query)):
        return bool(found.sentences)
    return found.nearness >= FILTERED_FROM if narrowed else certain >= ANSWERED_FROM


def meant(query: Query, rivals: Sequence[Passage]) -> tuple[Passage, ...]:
    """Return the documents between which a question that speaks of one thing does not tell; empty where it does, or
    where the difference is not in their titles.

    "When did the Grey's Anatomy season begin?" may mean “Grey's Anatomy (season 9)” as well as “(season 10)”: the
    question says "the", its words are at least half of either title, and what is left of the titles differs. Dated
    documents of one title are versions, of which the valid one is meant.
    """
    words = content_words(query.text)
    shared = content_words(rivals[0].title) & words if rivals else frozenset()
    if query.filter is not None or not _speaks_of_one(query.text, shared):
        return ()
    alike = [one for one in rivals if content_words(one.title) & words == shared and _half(one.title, words)]
    rests = {content_words(one.title) - words: one for one in reversed(alike)}
    versions = all(one.published_at for one in alike) and all(same_title(rivals[0].title, one.title) for one in alike)
    told_apart = rivals[0] not in alike or len(rests) < MEANT or versions
    return () if told_apart else tuple(reversed(rests.values()))


def _speaks_of_one(text: str, words: frozenset[str]) -> bool:
    """Whether one of these words stands within three words of "the", "this" or "that", and none of them as a plural."""
    spoken = [[word for word in tokens(match.group()) if stem(word) in words] for match in _THE_ONE.finditer(text)]
    return any(said and not any(map(_PLURAL.search, said)) for said in spoken)


def _half(title: str, words: frozenset[str]) -> bool:
    """Whether the question names half of a title and something of it is left."""
    own = content_words(title)
    return 0 < len(own - words) <= len(own & words)


def asking_back(documents: Sequence[Passage]) -> str:
    """Ask which of these documents is meant."""
    listed = [f"“{title}”" for title in dict.fromkeys(_plain(one.title) for one in documents)][:NAMED]
    return f"I am not sure which one you mean: {_either(listed)}? Please ask again and name it."


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


def _either(choices: Sequence[str]) -> str:
    return " or ".join(choices) if len(choices) < NAMED else f"{', '.join(choices[:-1])} or {choices[-1]}"
