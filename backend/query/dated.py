"""Which dates of a question say when documents are from, rather than belonging to what is asked. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence

from backend.domain import And, Condition, Filter, Not, Or
from backend.query.dates import DateRange
from backend.query.guess import Guess, overlap
from backend.query.phrase import ANYTHING, AUTHORING, Phrase, wordset
from backend.query.scene import Scene, tokens_of

CERTAINTY = 0.85
_AUTHORED = 0.6
"""Certainty from which a named author makes "in 2019" the time of writing."""


def limiting_dates(scene: Scene, guesses: Sequence[Guess]) -> list[Guess]:
    free = [date for date in scene.dates if not any(overlap(date.span, guess.span) for guess in guesses)]
    limiting: list[DateRange] = []
    for date in free:
        if _limits(scene, date, guesses) or (limiting and _joined(scene.phrase.text, limiting[-1], date)):
            limiting.append(date)
    if len(limiting) > 1 and all(date.word in ("", "in") for date in limiting):
        span = (limiting[0].span[0], limiting[-1].span[1])
        return [Guess(Or(tuple(date.filter() for date in limiting)), span, CERTAINTY)]
    return [_date_guess(scene, date) for date in limiting]


def _joined(text: str, before: DateRange, date: DateRange) -> bool:
    """Whether nothing but "and", "or" or a comma stands between the two: "from 2019 or 2020"."""
    return _JOIN.fullmatch(text[before.span[1] : date.span[0]]) is not None


def _date_guess(scene: Scene, date: DateRange) -> Guess:
    at = tokens_of(scene.phrase, date.span)[0]
    range_ = date.filter()
    return Guess(Not(range_) if scene.negated(at) else range_, date.span, CERTAINTY)


def _limits(scene: Scene, date: DateRange, guesses: Sequence[Guess]) -> bool:
    """Whether the date says when documents are from, rather than belonging to what is asked."""
    phrase = scene.phrase
    start, end = tokens_of(phrase, date.span)
    after = phrase.possessive(end)
    if not date.word and scene.noun_after(after, unknown=3 if after == end else 0, dated=True) is not None:
        return True
    if "(" in phrase.gap(start) and (phrase.is_document(start - 1) or _guessed(phrase, start - 1, guesses)):
        return True
    if phrase.word(end) == "only" or phrase.word(start - 1) == "only":
        return True
    if _governed(scene, start, date, guesses) or _opens(scene, date, end):
        return True
    authored = any(_is_authored(guess.filter) and guess.certainty >= _AUTHORED for guess in guesses)
    of_work = scene.noun_after(end, unknown=3) is not None
    return authored and (bool(date.word) or of_work or _beside(phrase, date, guesses))


def _governed(scene: Scene, start: int, date: DateRange, guesses: Sequence[Guess]) -> bool:
    """Whether a noun for documents or a verb of writing stands before, with nothing but their modifiers between."""
    phrase = scene.phrase
    at = start - 1
    while at >= 0 and not phrase.parted(at + 1) and _passes(phrase, at, guesses):
        at -= 1
    if 0 <= at < start - 1 and phrase.parted(at + 1):
        return False
    word = phrase.word(at)
    if word in _DATING:
        happened = word in _HAPPENING and scene.noun_before(at, 12) is None and not guesses
        return not happened and (word != "posts" or bool(date.word))
    written = bool(set(phrase.words(at + 1, start)) & _DATING)
    named = _has_guess(phrase, at + 1, start, guesses)
    if word in _ASKED and not named and not set(phrase.words(at + 1, start)) & _DATING - _CHANGING:
        return False
    if written or (bool(date.word) and _guessed(phrase, start - 1, guesses) and at < 0):
        return True
    if phrase.is_document(at) or word in ANYTHING or _guessed(phrase, at, guesses):
        return bool(date.word) and (named or at == start - 1 or date.word != "in")
    return bool(date.word) and _about(scene, at, start)


def _passes(phrase: Phrase, at: int, guesses: Sequence[Guess]) -> bool:
    """Whether the token belongs to another condition, or only joins conditions."""
    leads = phrase.word(at) in _LEADING and (_guessed(phrase, at + 1, guesses) or phrase.word(at + 1) in _LEADING)
    return leads or phrase.word(at) in _PASSED or _guessed(phrase, at, guesses)


def _about(scene: Scene, at: int, start: int) -> bool:
    """Whether a topic stands between a noun for documents and the date: "notes about the launch from …"."""
    phrase = scene.phrase
    for here in range(at, max(-1, at - 8), -1):
        if phrase.parted(here + 1):
            return False
        if phrase.word(here) in ("about", "on", "regarding", "concerning"):
            written = bool(set(phrase.words(here, start)) & _DATING)
            since = phrase.word(start) != "in"
            return phrase.is_document(here - 1, ideas=False) and (written or since)
    return False


def _guessed(phrase: Phrase, at: int, guesses: Sequence[Guess]) -> bool:
    token = phrase.tokens[at] if 0 <= at < len(phrase) else None
    return token is not None and any(guess.span[0] <= token.start < guess.span[1] for guess in guesses)


def _has_guess(phrase: Phrase, start: int, end: int, guesses: Sequence[Guess]) -> bool:
    return any(_guessed(phrase, at, guesses) for at in range(start, end))


def _opens(scene: Scene, date: DateRange, end: int) -> bool:
    """ "In 2019, which documents …": what is asked for are documents."""
    phrase = scene.phrase
    if date.span[0] > 0 or "," not in phrase.gap(end) + phrase.text[date.span[1] : date.span[1] + 1]:
        return False
    asked = phrase.word(end) in ("which", "what", "list", "show", "find", "any")
    return asked and any(phrase.is_document(at) for at in range(end + 1, end + 5))


def _beside(phrase: Phrase, date: DateRange, guesses: Sequence[Guess]) -> bool:
    """Whether the date stands right after a name: "Ka-Ping Yee, 2006: …"."""
    before = phrase.text[: date.span[0]].rstrip(" ,(")
    return any(len(before) == guess.span[1] for guess in guesses if _is_authored(guess.filter))


def _is_authored(filter_: Filter) -> bool:
    match filter_:
        case Condition(_, "author"):
            return True
        case And(items) | Or(items):
            return any(_is_authored(item) for item in items)
        case _:
            return False


_DATING = AUTHORING - {"say", "said", "says", "think", "thinks", "put", "posts"} | wordset(
    "dated date dates dating made changed edited revised added uploaded filed issued updated modified ingested "
    "finalised finalized accepted rejected withdrawn submitted started opened closed came from"
)
_LEADING = wordset("on about with of for in status topic type version tag tagged there")
_CHANGING = wordset("made changed edited revised updated modified started opened closed came from accepted")
_HAPPENING = wordset("started opened closed came made accepted rejected withdrawn submitted issued")
"""Verbs that are said of shops and offers as well as of documents."""
_JOIN = re.compile(r"\s*(?:,|,?\s*(?:and|or|but|as\s+well\s+as))\s*", re.IGNORECASE)
_ASKED = wordset("what which that those all")
_PASSED = wordset(
    "related that which were was are is have has been being we i they by from also first originally and or only "
    "back s as it published created written updated changed edited dated"
)
