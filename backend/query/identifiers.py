"""Identifiers in a text: error codes, ticket and part numbers, versions, however they are hyphenated and padded."""

from __future__ import annotations

import re
from functools import lru_cache

_CODE = re.compile(
    r"(?<![\w.-])(?:(?P<other>v?\d+(?:\.\d+){2,}|0x[0-9A-Fa-f]+)|"
    r"(?P<letters>[A-Za-z][A-Za-z_]{0,14}(?:-[A-Za-z]{1,14}){0,3})(?P<joint>[-_#]|[ ]#?)?"
    r"0*(?P<digits>\d+(?:[-.]\d+)*[A-Za-z]?))(?![\w-]*\w)"
)

_MARKS = re.compile(r"[\W_]")


@lru_cache(maxsize=8_192)
def identifiers(text: str, *, spoken: bool = False) -> frozenset[str]:
    """Return the identifiers, folded so that "PEP-0584", "PEP 584" and "pep584" are one.

    A word and a number with a space between are one where the word is in capitals ("SKU 12", not "page 12"); of a text
    that is `spoken`, as questions are, in any case.
    """
    return frozenset(_folded(match) for match in _CODE.finditer(text) if spoken or _written(match))


def _written(match: re.Match[str]) -> bool:
    return not (match["joint"] or "").startswith(" ") or match["letters"].isupper()


def _folded(match: re.Match[str]) -> str:
    if match["letters"] is None:
        return match[0].lower().removeprefix("v")
    return f"{match['letters'].lower()}{match['digits'].lower()}"


def joined(found: frozenset[str]) -> str:
    """Return identifiers as words of full text, which it would cut at hyphens and dots and never join."""
    return " ".join(sorted(_MARKS.sub("", one) for one in found))
