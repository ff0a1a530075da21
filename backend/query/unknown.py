"""Names that a question limits documents by and that no document has. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from backend.domain import Catalogue
from backend.query.guess import Guess, overlap

_NAME = r"[A-Z][\w.'’-]+(?:\s+(?:[A-Z][\w.'’-]*|van|von|de|der|da|del|la))"
_MADE = "written|published|created|posted|authored|sent|drafted|proposed|submitted"
_THINGS = "docs?|documents?|pages?|notes?|posts?|articles?|memos?|reports?|papers?|peps?|proposals?|emails?|messages?"
_WRITES = "write|written|post|posted|publish|published|author|authored|propose|proposed"
_CLAIMED = (
    ("author", re.compile(rf"\b(?i:{_MADE}|{_THINGS}|anything|everything)\s+by\s+({_NAME}{{0,3}})")),
    ("author", re.compile(rf"\b(?i:did|has|have)\s+({_NAME}{{1,3}})\s+(?:ever\s+)?(?:{_WRITES})\b")),
    ("tags", re.compile(r"\b(?i:tagged|labell?ed)\s+(?:with\s+|as\s+)?[\"“#]?([\w-]+)")),
)
"""Constructions in which a name can be nothing but a condition, whether it is known or not."""


def unknown_names(text: str, catalogue: Catalogue, guesses: Sequence[Guess]) -> Iterator[str]:
    """Yield a notice for each name that a question limits documents by and that no document has."""
    for field, pattern in _CLAIMED:
        for match in pattern.finditer(text):
            known = any(overlap(match.span(1), guess.span) for guess in guesses)
            if not known and catalogue.values.get(field):
                yield unknown_notice(field, match[1].rstrip(".,'’"))


def unknown_notice(field: str, name: str) -> str:
    """Say that no document has this value."""
    called = {"tags": "tag", "doc_type": "type"}.get(field, field.replace("_", " "))
    return f"No document here has the {called} “{name[:60]}”, so I did not filter by it."
