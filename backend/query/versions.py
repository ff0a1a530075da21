"""Versions of one document: which supersedes which, and which of them a question asks for. Pure.

Documents are versions of one another where their titles are the same but for dates and words like "update", and their
texts are about the same. Versions keep the places that they hold in a ranking; the one that is valid takes the first.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import numpy as np

from backend.domain import Passage, Vector
from backend.query.fuse import best_first
from backend.query.words import MONTHS, STOP_WORDS, content_words, stem, tokens

EXTRA = 1
"""Words that one title may have beside the other's, of which it holds all, two at least: "leave policy (Germany)" may
be a version of "leave policy", never of "leave policy (France)"."""
ALIKE = 0.45
"""Similarity of the texts of two such documents; minutes of the same meeting about different matters stay below."""
SAME = 0.95
"""Similarity from which on the titles do not matter."""
RIVAL = 0.7
"""Of the best version's score: one that answers as well takes part, one that merely is newer does not."""
RECENT_WEIGHT = 0.1
"""For the newest passage where the latest is asked for, less for older ones by their order."""

_STEP = 1e-6
"""Between versions that score the same."""

_VERSION = (
    "update updated updates version revised revision draft final new newest old latest current amendment amended "
    "edition interim copy archive archived superseded effective"
)
_VERSION_WORDS = frozenset(map(stem, (*_VERSION.split(), *MONTHS, *(month[:3] for month in MONTHS))))
_LATEST = re.compile(
    r"\b(?:(?:right )?now(?:adays)?|current(?:ly)?|latest|newest|most recent(?:ly)?|up[- ]to[- ]date|today|presently|"
    r"at (?:the|this) moment|at present|these days|"
    r"aktuelle?[nrs]?|derzeit(?:ige[nrs]?)?|jetzt|momentan|heute|neueste[nrs]?|actuel(?:le)?(?:ment)?s?|maintenant|"
    r"en ce moment|aujourd['’]hui|derniers?|dernière|actual(?:mente)?|ahora|hoy|último|última|attual[ei]?(?:mente)?|"
    r"adesso|oggi|ultim[oa]|atual(?:mente)?|agora|hoje|huidige?|momenteel|vandaag|nieuwste|nuvarande|just nu|"
    r"senaste)\b",
    re.IGNORECASE,
)
_HISTORY = re.compile(
    r"\b(?:history|evol(?:ve|ution)\w*|over (?:the (?:years|months)|time)|"
    r"(?:it|we|they|there|you|i|what|people) used to|"
    r"previous(?:ly)?|former(?:ly)?|original(?:ly)?|earlier|superseded|old(?:er)?|"
    r"how (?:has|have|had|did)\b[^.?!]*\bchanged?|what(?:['’]s| has| have)? (?:been )?changed|"
    r"change[ds]? (?:since|between|over)|(?:all|both|different|two|between(?: the)?) versions)\b",
    re.IGNORECASE,
)
"""Asks what was, beside what is. Comparing two things, or changing one, is not about versions: such words alone left a
tenth of the evals' questions with whichever version came first."""
_SEASONS = {"spring": 6, "summer": 9, "autumn": 12, "fall": 12, "winter": 15, "q1": 4, "q2": 7, "q3": 10, "q4": 13}
"""The month before which each has ended, counted from January of its year."""
_ASKED = re.compile(
    r"\b(?:in|during|as of|back in|by|until|at|through)\s+(?:the\s+)?(?:(?:early|mid|late)[- ]?|end of\s+)?"
    rf"(?:(?P<part>{'|'.join([*_SEASONS, *MONTHS])}|{'|'.join(month[:3] for month in MONTHS)})\.?,?\s+(?:of\s+)?)?"
    r"(?P<year>(?:19|20)\d\d)\b(?![-/])",
    re.IGNORECASE,
)


def wants_latest(question: str) -> bool:
    """Whether the question says that it is about the present."""
    return _LATEST.search(question) is not None


def asked_until(question: str) -> datetime | None:
    """Return the end of the time that the question is about ("in summer 2022": 1 September 2022), if it names one."""
    match = _ASKED.search(question)
    if match is None:
        return None
    year, month = divmod(_month_after(match["part"]) - 1, 12)
    return datetime(int(match["year"]) + year, month + 1, 1, tzinfo=UTC)


def _month_after(part: str | None) -> int:
    if part is None:
        return 13
    folded = part.lower()
    if folded in _SEASONS:
        return _SEASONS[folded]
    return 2 + next(place for place, month in enumerate(MONTHS) if month.startswith(folded))


@dataclass(frozen=True, slots=True, eq=False)
class _Document:
    """What is known of one document from its passages in a ranking."""

    document_id: str
    title: str
    published_at: datetime
    score: float
    direction: Vector


def prefer_valid(question: str, ranked: Sequence[Passage]) -> list[Passage]:
    """Return the passages with superseded versions below the valid one, and newer ones up where the latest is asked."""
    if wants_latest(question):
        ranked = _newer_up(ranked)
    if _HISTORY.search(question) is None:
        ranked = _valid_first(question, ranked)
    return sorted(ranked, key=best_first)


def _newer_up(ranked: Sequence[Passage]) -> list[Passage]:
    dates = sorted({one.published_at for one in ranked if one.published_at is not None})
    order = {date: place / max(1, len(dates) - 1) for place, date in enumerate(dates)}
    return [
        replace(one, score=one.score + RECENT_WEIGHT * order[one.published_at]) if one.published_at else one
        for one in ranked
    ]


def _valid_first(question: str, ranked: Sequence[Passage]) -> list[Passage]:
    until, words = asked_until(question), content_words(question)
    if until is not None:
        words = frozenset(word for word in words if not word.isdigit())
    shifts: dict[str, float] = {}
    for family in families(_documents(ranked)):
        best = max(one.score for one in family)
        rivals = [one for one in family if one.score >= RIVAL * best]
        if _told_apart(words, [one.title for one in rivals]):
            continue
        scores = sorted((one.score for one in rivals), reverse=True)
        for place, one in enumerate(sorted(rivals, key=lambda one: _validity(one, until))):
            shifts[one.document_id] = scores[place] - place * _STEP - one.score
    return [
        replace(one, score=one.score + shifts[one.document_id]) if one.document_id in shifts else one for one in ranked
    ]


def _told_apart(words: frozenset[str], titles: Sequence[str]) -> bool:
    """Whether the question names what some of these titles say and others do not: it means those, however old."""
    named = {words & content_words(title) - _VERSION_WORDS for title in titles}
    return len(named) > 1


def _validity(document: _Document, until: datetime | None) -> tuple[bool, float]:
    """The newest first; where a time is asked about, the newest of that time, and what came after it last."""
    return until is not None and document.published_at >= until, -document.published_at.timestamp()


def _documents(ranked: Sequence[Passage]) -> list[_Document]:
    """Return the dated documents, each with its best score and the direction of its passages."""
    passages: dict[str, list[Passage]] = {}
    for one in ranked:
        if one.published_at is not None and len(one.sentence_vectors):
            passages.setdefault(one.document_id, []).append(one)
    return [_document(own) for own in passages.values()]


def _document(passages: Sequence[Passage]) -> _Document:
    best = min(passages, key=best_first)
    assert best.published_at is not None
    mean = np.mean([one.sentence_vectors.mean(axis=0) for one in passages], axis=0)
    direction: Vector = (mean / (np.linalg.norm(mean) or 1.0)).astype(np.float32)
    return _Document(best.document_id, best.title, best.published_at, best.score, direction)


def families(documents: Sequence[_Document]) -> list[list[_Document]]:
    """Return the groups of two and more versions of one document, each document in at most one."""
    groups: list[list[_Document]] = []
    for document in documents:
        home = next((group for group in groups if any(_versions(document, one) for one in group)), None)
        if home is None:
            groups.append([document])
        else:
            home.append(document)
    return [group for group in groups if len({one.published_at for one in group}) > 1]


def _versions(one: _Document, other: _Document) -> bool:
    alike = float(one.direction @ other.direction)
    return alike >= SAME or (alike >= ALIKE and same_title(one.title, other.title))


def same_title(one: str, other: str) -> bool:
    """Whether two titles are the same but for dates and words like "update"; initials stand for their words."""
    mine, theirs = _spelled_out(tokens(one), tokens(other)), _spelled_out(tokens(other), tokens(one))
    return len(mine & theirs) >= 2 and (mine <= theirs or theirs <= mine) and len(mine ^ theirs) <= EXTRA


def _spelled_out(words: Sequence[str], beside: Sequence[str]) -> set[str]:
    """Return the stems of what a title is about, "wfh" as those words of the title `beside` it that it stands for."""
    initials = "".join(word[0] for word in beside)
    said: list[str] = []
    for word in words:
        at = initials.find(word) if len(word) > 2 else -1
        said += [word] if at < 0 else beside[at : at + len(word)]
    return {stem(word) for word in said if word not in STOP_WORDS and not any(map(str.isdigit, word))} - _VERSION_WORDS
