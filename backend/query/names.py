"""Which value of the catalogue a phrase names: tolerant of case, accents, order and typing errors. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import TypeAlias

from backend.domain import FieldValue
from backend.query.words import STOP_WORDS, tokens

TYPO = 0.84
"""Least similarity (Ratcliff and Obershelp) of a misspelt name: one wrong letter in six or seven."""


_Known: TypeAlias = tuple[str, list[str]]


@dataclass(frozen=True, slots=True)
class Named:
    """The value that `words` words of a phrase name, and how sure that is, 0 to 1."""

    value: FieldValue
    words: int
    certainty: float


def find_name(phrase: str, values: Iterable[FieldValue], *, exact: bool = False, parts: bool = False) -> Named | None:
    """Return the value that the beginning of `phrase` names, the longest first; None where none or several could be.

    `exact` admits no typing error; `parts` admits a first or last name alone where it is of one value only.
    """
    said = tokens(phrase)[:8]
    known = [(value, tokens(value)) for value in values if isinstance(value, str) and tokens(value)]
    begins = [said[:length] for length in range(len(said), 0, -1) if said[length - 1] not in STOP_WORDS]
    found = [_match(begin, known, parts=parts) for begin in begins]
    guessed = [] if exact else [_nearest(begin, known) for begin in begins]
    return next((named for named in (*found, *guessed) if named is not None), None)


def _match(said: list[str], known: Sequence[_Known], *, parts: bool) -> Named | None:
    whole = [value for value, words in known if sorted(words) == sorted(said)]
    if whole:
        return Named(whole[0], len(said), 0.95)
    joined = "".join(said).removesuffix("s")
    squeezed = [value for value, words in known if "".join(words).removesuffix("s") == joined]
    if len(squeezed) == 1:
        return Named(squeezed[0], len(said), 0.9)
    partly = [value for value, words in known if len(words) > 1 and _part(said, words)] if parts else []
    return Named(partly[0], len(said), 0.8) if len(partly) == 1 else None


def _part(said: list[str], words: list[str]) -> bool:
    """Whether `said` is the first or last name, or the last with initials: "Ana", "Lovelace", "A Lovelace"."""
    if len(said) == 1:
        return len(said[0]) > 1 and said[0] in (words[0], words[-1])
    return said[-1] == words[-1] and all(
        len(short) == 1 and full.startswith(short) for short, full in zip(said[:-1], words[:-1], strict=False)
    )


def _nearest(begin: list[str], known: Sequence[_Known]) -> Named | None:
    said = " ".join(begin)
    scored = sorted(
        ((SequenceMatcher(None, said, " ".join(words)).ratio(), value) for value, words in known), reverse=True
    )
    if len(said) < 4 or not scored or scored[0][0] < TYPO:
        return None
    rival = len(scored) > 1 and scored[1][0] > scored[0][0] - 0.03
    return None if rival else Named(scored[0][1], len(begin), 0.6)
