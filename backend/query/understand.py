"""Question → query: stand-alone text and filter, decided from the words, the thread and the catalogue.

A condition is taken only where the question signals one ("by Ana", "from the handbook", "tagged hr"); a name that the
catalogue does not hold is matched to the nearest or left out with a notice.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Protocol

from backend.domain import Catalogue, Condition, FieldValue, Filter, Not, Query, Question, Span, Turn
from backend.errors import LLMUnavailable
from backend.query.dates import NOUNS, VERBS, document_dates
from backend.query.filters import both, describe
from backend.query.names import find_name
from backend.query.words import STOP_WORDS, WORD, content_words, stem, tokens

MAX_INHERITED = 12
"""Words that a follow-up takes from the thread: about what one question holds."""
CERTAIN = 0.75
"""Certainty from which the words of a condition are left out of the text."""
SHORT = 2
"""Content words up to which a question with history is taken for a follow-up."""


class Rewriter(Protocol):
    """An LLM that makes a follow-up stand alone."""

    async def rewrite(self, question: str, history: Sequence[Turn]) -> str:
        """Return the stand-alone question, or "" where it has none to offer. LLMUnavailable on failure."""


@dataclass(frozen=True, slots=True)
class Guess:
    """A condition understood from the words at `span`, and how certain that is, 0 to 1."""

    filter: Filter
    span: Span
    certainty: float


@dataclass(frozen=True, slots=True)
class Reading:
    """What a question was taken to mean; `guesses` are the conditions beside the caller's own filter."""

    query: Query
    own: Filter | None = None
    guesses: tuple[Guess, ...] = ()


def understand(question: Question, text: str, catalogue: Catalogue, now: datetime) -> Reading:
    """Read the conditions in the question itself; `text` is what it asks, standing alone. `now` is the asker's time."""
    guesses, notices = read_conditions(question.text, catalogue, now)
    asked = _without(text, question.text, guesses)
    query = Query(asked, question.team, question.audience, _joined(question.filter, guesses), notices=notices)
    return Reading(query, question.filter, guesses)


def _without(text: str, question: str, guesses: Sequence[Guess]) -> str:
    """Take out of `text` what became a certain condition: it need not be matched as well. What is left must ask."""
    left = text
    for guess in guesses:
        if guess.certainty >= CERTAIN:
            left = left.replace(question[guess.span[0] : guess.span[1]], " ", 1)
    left = re.sub(r"\s+([?.,!])", r"\1", " ".join(left.split()))
    left = re.sub(r"\b(?:in|from|of)\s*(?=[?.!]|\Z)", "", left).strip()
    return left if len(content_words(left)) >= SHORT else text


def relax(reading: Reading) -> Reading | None:
    """Return the reading without its least certain condition, saying so; None where nothing is left to give up.

    The caller's own filter, the team and the audience are never given up.
    """
    if not reading.guesses:
        return None
    least = min(reading.guesses, key=lambda guess: guess.certainty)
    left = tuple(guess for guess in reading.guesses if guess is not least)
    notice = f"Nothing was found with “{describe(least.filter)}”, so I searched without it."
    query = replace(
        reading.query,
        filter=_joined(reading.own, left),
        relaxed=True,
        notices=(*reading.query.notices, notice),
    )
    return Reading(query, reading.own, left)


def _joined(own: Filter | None, guesses: Sequence[Guess]) -> Filter | None:
    joined = own
    for guess in guesses:
        joined = both(joined, guess.filter)
    return joined


# --------------------------------------------------------------------------------------------------------- conditions

_NAME = r"(?P<name>[\w#@.&'’+/-]+(?:\s+[\w#@.&'’+/-]+){0,5})"
_UNTIL = re.compile(
    r"\s+(?:since|in|from|before|after|between|about|on|during|that|which|and\s+(?:what|how|who|when)|is|are|was|were|to|say|says)\b.*|[,;:?!].*",
    re.I | re.S,
)


@dataclass(frozen=True, slots=True)
class _Signal:
    """Words that announce a value of `field`. A `weak` one is believed only for an exact value; an unknown name after
    any other is told in a notice where the signal is `firm`."""

    field: str
    pattern: re.Pattern[str]
    certainty: float = 0.9
    weak: bool = False
    firm: bool = False


def _signal(field: str, pattern: str, **how: bool | float) -> _Signal:
    return _Signal(field, re.compile(pattern, re.IGNORECASE), **how)  # type: ignore[arg-type]


_SIGNALS = (
    _signal("author", rf"\b(?:{VERBS}|{NOUNS})\s+by\s+{_NAME}", firm=True),
    _signal("author", rf"\b(?:authors?|written by)\s*(?:is|are|:|=)?\s+{_NAME}"),
    _signal("author", rf"\bby\s+{_NAME}", certainty=0.8),
    _signal(
        "author",
        r"\b(?:did|has|have|does)\s+(?P<name>[\w.'’-]+(?:\s+[\w.'’-]+){0,2}?)\s+(?:write|written|post|posted|publish|published|author|authored|propose|proposed)\b",
    ),
    _signal("author", rf"(?P<name>\b[\w.-]+(?:\s+[\w.-]+)?)['’]s?\s+(?:\w+\s+)?{NOUNS}\b", certainty=0.7, weak=True),
    _signal("tags", rf"\b(?:tagged|labell?ed)\s+(?:with|as)?\s*[\"“#]?{_NAME}", firm=True),
    _signal(
        "tags",
        rf"\b(?:tags?|topics?|label)\s*[:=]\s*{_NAME}|\bwith\s+the\s+(?:tags?|topic|label)\s+[\"“#]?(?P<other>[\w#-]+(?:\s+[\w-]+){{0,2}})",
    ),
    _signal("source", rf"\b(?:according\s+to|source\s*[:=]?)\s+(?:the\s+|our\s+)?{_NAME}", certainty=0.8),
    _signal("source", rf"\b(?P<name>[\w-]+)\s+{NOUNS}\b", certainty=0.6, weak=True),
    _signal("doc_type", rf"\b(?P<name>[\w-]+)\s+{NOUNS}\b", certainty=0.5, weak=True),
    _signal("source", rf"\b(?:from|in|on|via)\s+(?:the\s+|our\s+)?{_NAME}", certainty=0.5, weak=True),
    _signal("author", rf"\b{NOUNS}\s+from\s+{_NAME}", certainty=0.7, weak=True),
    _signal(
        "doc_type",
        rf"\b(?:in|from|only|the|our|any)\s+(?:an?\s+|the\s+)?(?P<name>\w+)(?:\s+{NOUNS})?(?=[\s,?.!]|\Z)",
        certainty=0.4,
        weak=True,
    ),
    _signal(
        "title",
        rf"\b(?:{NOUNS}\s+(?:called|named)|titled|entitled)\s+[\"“']?(?P<name>[^\"”?\n]{{3,120}})",
        certainty=0.8,
    ),
    _signal("title", r"[\"“](?P<name>[^\"”\n]{3,120})[\"”]", certainty=0.6, weak=True),
    _signal("language", rf"\b{NOUNS}\s+in\s+(?P<name>\w+)", certainty=0.5, weak=True),
)
_DOC_TYPE_NEEDS = re.compile(rf"\b(?:{NOUNS}|pdfs?|slides?|spreadsheets?|tickets?|e-?mails?)\b", re.IGNORECASE)
_NEGATED = re.compile(
    r"\b(?:not|except|excluding|other\s+than|but\s+not|without|outside)\s+(?:\w+\s+)?(?:the\s+)?\Z", re.I
)


def read_conditions(text: str, catalogue: Catalogue, now: datetime) -> tuple[tuple[Guess, ...], tuple[str, ...]]:
    """Return the conditions that `text` puts on documents, in its order, and notices of names that are unknown."""
    guesses: list[Guess] = []
    notices: list[str] = []
    for signal in (*_SIGNALS, *_custom_signals(catalogue)):
        for match in signal.pattern.finditer(text):
            guess, notice = _read_signal(signal, match, text, catalogue)
            if guess and not any(_overlap(guess.span, other.span) for other in guesses):
                guesses.append(guess)
            notices += [notice] if notice and not any(_overlap(match.span(), other.span) for other in guesses) else []
    authored = any(isinstance(guess.filter, Condition) and guess.filter.field == "author" for guess in guesses)
    guesses += [Guess(found.filter(), found.span, 0.85) for found in document_dates(text, now, authored=authored)]
    ordered = sorted(guesses, key=lambda guess: guess.span)
    return tuple(ordered), tuple(dict.fromkeys(notices))


def _custom_signals(catalogue: Catalogue) -> Iterator[_Signal]:
    """Signals for fields that only this team's documents carry: "status: draft", "with status draft"."""
    known = {signal.field for signal in _SIGNALS} | {"published_at", "ingested_at", "document_id"}
    for field in sorted(catalogue.values.keys() - known):
        name = re.escape(field).replace("_", r"[\s_-]")
        yield _signal(
            field,
            rf"\b{name}\s*[:=]\s*{_NAME}|\b(?:with|whose|of|has|have|having)\s+(?:an?\s+|the\s+)?{name}\s+(?:is\s+|of\s+|are\s+)?(?P<other>[\w.-]+(?:\s+[\w.-]+){{0,3}})",
        )
        yield _signal(field, rf"\b(?P<name>[\w-]+(?:\s+[\w-]+)?)\s+{name}\b", certainty=0.5, weak=True)


def _read_signal(
    signal: _Signal, match: re.Match[str], text: str, catalogue: Catalogue
) -> tuple[Guess | None, str | None]:
    group = "name" if match["name"] else "other"
    said, start = match[group], match.start(group)
    values = catalogue.values.get(signal.field, {})
    if signal.field == "doc_type" and not _DOC_TYPE_NEEDS.search(match.group()):
        return None, None
    named = find_name(
        said, values, exact=signal.weak, parts=signal.field == "author" and (signal.firm or _capitalised(said))
    )
    if named is None:
        return None, _unknown(signal, said, values) if signal.firm else None
    chosen, end = _alternatives(said, start, named.words, named.value, values)
    condition = _condition(signal.field, chosen)
    negative = _NEGATED.search(text[: match.start()]) is not None
    certainty = min(signal.certainty, named.certainty)
    return Guess(Not(condition) if negative else condition, (match.start(), end), certainty), None


def _alternatives(
    said: str, start: int, words: int, value: FieldValue, values: Mapping[FieldValue, int]
) -> tuple[tuple[FieldValue, ...], int]:
    """Follow "or" and "and" from the value found; return all values named and where the last of them ends."""
    chosen = [value]
    ends = [found.end() for found in WORD.finditer(said)]
    end = ends[min(words, len(ends)) - 1]
    while (link := re.match(r"\s*(?:,|,?\s*(?:or|and))\s+", said[end:])) is not None:
        after = end + link.end()
        named = find_name(said[after:], values, parts=True)
        if named is None or named.value in chosen:
            break
        chosen.append(named.value)
        own = [found.end() for found in WORD.finditer(said[after:])]
        end = after + own[min(named.words, len(own)) - 1]
    return tuple(chosen), start + end


def _condition(field: str, values: Sequence[FieldValue]) -> Condition:
    if len(values) > 1:
        return Condition("in", field, tuple(values))
    return Condition("contains" if field == "tags" else "eq", field, values[0])


def _capitalised(said: str) -> bool:
    return said[:1].isupper()


def _unknown(signal: _Signal, said: str, values: Mapping[FieldValue, int]) -> str | None:
    """Say that a name is unknown, where it looks like one."""
    name = _UNTIL.sub("", said).strip()
    if not name or not values or (signal.field == "author" and not _capitalised(name)):
        return None
    word = {"author": "author", "tags": "tag"}[signal.field]
    return f"No document here has the {word} “{name[:60]}”, so I did not filter by it."


def _overlap(first: Span, second: Span) -> bool:
    return first[0] < second[1] and second[0] < first[1]


# --------------------------------------------------------------------------------------------------------- follow-ups

_OPENING = re.compile(
    r"\s*(?:and|but|or|so|then|also|what\s+about|how\s+about|what\s+if|what\s+else|why(?:\s+not)?\s*\?|anything\s+else|"
    r"which\s+one|the\s+same|same\s+for|for\s+\w+\s*\?|really|is\s+that|are\s+those)\b",
    re.IGNORECASE,
)
_POINTING = re.compile(
    r"\b(?:it|its|they|them|their|theirs|that|those|these|this|there|he|she|him|his|her|hers|ones?|same|former|latter|"
    r"above|previous|else|another|others?)\b",
    re.IGNORECASE,
)


def follows_up(question: Question) -> bool:
    """Whether the question leans on its thread."""
    if not any(turn.role == "user" for turn in question.history):
        return False
    few = len(content_words(question.text)) <= SHORT
    return few or bool(_OPENING.match(question.text) or _POINTING.search(question.text))


def inherit(question: Question) -> str:
    """Return the question with the salient words of the questions before it, the nearest first."""
    if not follows_up(question):
        return question.text
    held = set(content_words(question.text))
    inherited: list[str] = []
    earlier = [turn.text for turn in reversed(question.history) if turn.role == "user"]
    for text in earlier[:2]:
        for match in WORD.finditer(text):
            words = tokens(match.group())
            key = stem(words[0]) if words else ""
            if key and words[0] not in STOP_WORDS and key not in held and len(inherited) < MAX_INHERITED:
                held.add(key)
                inherited.append(match.group())
        if len(inherited) >= MAX_INHERITED // 2:
            break
    return f"{question.text} ({' '.join(inherited)})" if inherited else question.text


async def stand_alone(question: Question, rewriter: Rewriter | None, *, deadline: float) -> str:
    """Return what the question asks without its thread: by the LLM within `deadline` seconds where there is one and
    the question leans on its thread, else from the words of the thread."""
    if rewriter is None or not follows_up(question):
        return inherit(question)
    try:
        async with asyncio.timeout(deadline):
            text = await rewriter.rewrite(question.text, question.history)
    except (LLMUnavailable, TimeoutError):
        return inherit(question)
    return " ".join(text.split())[:1000] or inherit(question)
