"""Conditions on titles: a document that is called by its whole title, in quotes or after a word for it. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator

from backend.domain import Catalogue, Condition
from backend.query.guess import Guess
from backend.query.lexicon import lexicon_of
from backend.query.phrase import plain_words

_CALLED = re.compile(
    r"\b(?:documents?|docs?|pages?|notes?|posts?|articles?|memos?|files?|reports?|guides?|papers?)\s+(?:called|named|titled|entitled)\s+(?P<after>[^?\n]{3,120})|"
    r"\b(?:titled|entitled)\s+(?P<titled>[^?\n]{3,120})|"
    r"\b(?:in|from|of)\s+the\s+(?P<in>[^?,\n]{3,120}?)\s+(?:document|doc|page|article|memo)\b|"
    r"[\"“](?P<quoted>[^\"”\n]{3,120})[\"”]",
    re.IGNORECASE,
)
_CERTAINTY = {"after": 0.85, "titled": 0.85, "in": 0.7, "quoted": 0.6}
_LEAST_QUOTED = 2
"""Words of a title that stands in quotes alone: a single quoted word is rarely a title."""


def read_titles(text: str, catalogue: Catalogue) -> Iterator[Guess]:
    """Yield a guess for each title of the catalogue that the question calls a document by."""
    known = lexicon_of(catalogue).titles
    for match in _CALLED.finditer(text):
        how = next(name for name, said in match.groupdict().items() if said)
        words = plain_words(match[how])
        for length in range(len(words), 0, -1):
            title = known.get(words[:length])
            if title is not None and (how != "quoted" or _LEAST_QUOTED <= length == len(words)):
                yield Guess(Condition("eq", "title", title), match.span(), _CERTAINTY[how])
                break
