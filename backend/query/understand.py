"""Question → query: stand-alone text and filter, decided from the words, the thread and the catalogue.

A condition is taken only where the question puts it on documents ("by Ana", "rejected proposals", "tagged hr"); a name
that the catalogue does not hold is matched to the nearest or left out with a notice. An LLM, where there is one, is
asked once, and only where the words show that there may be a condition or that the thread is needed; what it says is
checked against the catalogue and the words, which also decide where it fails.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from backend.domain import Catalogue, Filter, Query, Question
from backend.errors import LLMUnavailable
from backend.query.conditions import has_signs, read_conditions
from backend.query.filters import both, describe
from backend.query.guess import Guess
from backend.query.lexicon import lexicon_of
from backend.query.proposal import Proposal, Reader, believed, checked, fields_of, known_fields
from backend.query.threads import follows_up, inherit, last_asked, opens_as_follow_up
from backend.query.words import content_words

CERTAIN = 0.75
"""Certainty from which the words of a condition are left out of the text."""
SURE = 0.8
"""Certainty from which a condition stands although the LLM does not see it."""
INHERITED = 0.7
"""What a condition of the question before is worth in a follow-up, beside what it was worth there."""
LEAST_LEFT = 2
"""Content words that must be left of a text whose conditions were taken out."""
MAX_TEXT = 1_000
"""Characters of a stand-alone text: an LLM's reply is cut here."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What a question was taken to mean; `guesses` are the conditions beside the caller's own filter."""

    query: Query
    own: Filter | None = None
    guesses: tuple[Guess, ...] = ()


async def read(
    question: Question, catalogue: Catalogue, now: datetime, reader: Reader | None, *, deadline: float
) -> Reading:
    """Read a question, with the LLM where there is one and the words call for it, within `deadline` seconds.

    `now` is in the asker's time zone.
    """
    await asyncio.to_thread(lexicon_of, catalogue)  # made once per catalogue, which for a large one takes a while
    leans = follows_up(question)
    signs = question.understand and has_signs(question.text, catalogue, now)
    if reader is None or not (leans or signs):
        return understand(question, catalogue, now)
    try:
        async with asyncio.timeout(deadline):
            proposal = await reader.read(question.text, question.history, known_fields(catalogue), now)
    except (LLMUnavailable, TimeoutError):
        return understand(question, catalogue, now)
    return adopt(proposal, question, catalogue, now)


def understand(question: Question, catalogue: Catalogue, now: datetime) -> Reading:
    """Read a question by its words and those of its thread alone. `now` is in the asker's time zone."""
    text = inherit(question)
    if not question.understand:
        return _reading(question, text, (), ())
    guesses, notices = read_conditions(question.text, catalogue, now)
    guesses = (*guesses, *_inherited(question, guesses, catalogue, now))
    return _reading(question, _without(text, question.text, guesses), guesses, notices)


def adopt(proposal: Proposal, question: Question, catalogue: Catalogue, now: datetime) -> Reading:
    """Read a question by what an LLM proposes, as far as the catalogue and the words bear it out."""
    text = " ".join(proposal.question.split())[:MAX_TEXT] or inherit(question)
    if not question.understand:
        return _reading(question, text, (), ())
    asked = f"{question.text}\n{text}"
    proposed, unknown = believed(proposal, asked, catalogue, now)
    said, notices = read_conditions(question.text, catalogue, now)
    guesses = checked(proposed, said, sure=SURE)
    return _reading(question, _without(text, asked, guesses), guesses, tuple(dict.fromkeys((*notices, *unknown))))


def relax(reading: Reading) -> Reading | None:
    """Return the reading without its least certain condition, or with a looser one, saying so; None where nothing is
    left to give up. The caller's own filter, the team and the audience are never given up.
    """
    if not reading.guesses:
        return None
    least = min(reading.guesses, key=lambda guess: (guess.looser is None, guess.certainty))
    instead = (replace(least, filter=least.looser, looser=None),) if least.looser else ()
    left = tuple(one for guess in reading.guesses for one in ((guess,) if guess is not least else instead))
    how = f"with “{describe(instead[0].filter)}”" if instead else "without it"
    notice = f"Nothing was found with “{describe(least.filter)}”, so I searched {how}."
    query = replace(
        reading.query,
        filter=_joined(reading.own, left),
        relaxed=True,
        notices=(*reading.query.notices, notice),
        understood=_joined(None, left),
    )
    return Reading(query, reading.own, left)


def _reading(question: Question, text: str, guesses: tuple[Guess, ...], notices: tuple[str, ...]) -> Reading:
    query = Query(
        text,
        question.team,
        question.audience,
        _joined(question.filter, guesses),
        notices=notices,
        understood=_joined(None, guesses),
        language=question.language,
    )
    return Reading(query, question.filter, guesses)


def _joined(own: Filter | None, guesses: Sequence[Guess]) -> Filter | None:
    joined = own
    for guess in guesses:
        joined = both(joined, guess.filter)
    return joined


def _inherited(question: Question, guesses: Sequence[Guess], catalogue: Catalogue, now: datetime) -> tuple[Guess, ...]:
    """Return the conditions of the question before that a follow-up leaves as they are ("and the rejected ones?")."""
    if not (follows_up(question) and opens_as_follow_up(question.text)):
        return ()
    earlier, _ = read_conditions(last_asked(question), catalogue, now)
    taken = {field for guess in guesses for field in fields_of(guess.filter)}
    end = len(question.text)
    return tuple(
        Guess(one.filter, (end, end), one.certainty * INHERITED, one.looser)
        for one in earlier
        if not taken & set(fields_of(one.filter))
    )


def _without(text: str, question: str, guesses: Sequence[Guess]) -> str:
    """Take out of `text` what became a certain condition: it need not be matched as well. What is left must ask."""
    left = text
    for guess in sorted(guesses, key=lambda guess: guess.span, reverse=True):
        words = question[guess.span[0] : guess.span[1]]
        if guess.certainty >= CERTAIN and words:
            left = left.replace(words, " ", 1)
    left = re.sub(r"\s+([?.,!])", r"\1", " ".join(left.split()))
    left = re.sub(r"\b(?:in|from|of|by)\s*(?=[?.!]|\Z)", "", left).strip(" ,:;-–")
    return left if len(content_words(left)) >= LEAST_LEFT else text
