"""Supports → shown markers and their citations, numbered from 1 in order of first appearance. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

from backend.domain import Citation, Evidence, Passage, Span
from backend.query.defang import defang
from backend.query.generate import Drafted
from backend.query.verify import MAX_QUOTE, Support

MAX_GAP = 40
"""Characters between two quotes of one passage that may be quoted along: a reader should not have to search the proof
in words that prove nothing."""
_FINAL = re.compile(r"[ \t]*([.!?:;…]+[\"'”’)*_]*)\Z")


@dataclass(frozen=True, slots=True)
class _Quoted:
    evidence: Evidence
    span: Span


@dataclass(frozen=True, slots=True)
class Citations:
    """What has been cited so far. A passage is cited under one number as long as one short quote can prove it all;
    otherwise its next quote gets a number of its own."""

    quoted: tuple[_Quoted, ...] = field(default=())

    def cite(self, supports: Sequence[Support], evidence: Sequence[Evidence]) -> tuple[Citations, tuple[int, ...]]:
        """Return the citations with these supports, and the numbers to show."""
        quoted = list(self.quoted)
        shown: list[int] = []
        by_number = {one.n: one for one in evidence}
        for support in supports:
            number = _place(quoted, by_number[support.n], support.quote)
            if number not in shown:
                shown.append(number)
        return Citations(tuple(quoted)), tuple(shown)

    @classmethod
    def at(cls, places: Iterable[tuple[Evidence, Span]]) -> Citations:
        """Return the citations of these quotes, in the order of their numbers."""
        return cls(tuple(_Quoted(evidence, span) for evidence, span in places))

    def places(self) -> tuple[tuple[Evidence, Span], ...]:
        """Return where each quote stands, in the order of their numbers."""
        return tuple((one.evidence, one.span) for one in self.quoted)

    def listed(self) -> tuple[Citation, ...]:
        """Return the citations in the order of their numbers."""
        return tuple(_citation(n, one.evidence.passage, one.span) for n, one in enumerate(self.quoted, start=1))


def _place(quoted: list[_Quoted], evidence: Evidence, span: Span) -> int:
    """Return the number under which `span` is quoted, adding or widening a quote."""
    for place, one in enumerate(quoted):
        if one.evidence.passage.chunk_id == evidence.passage.chunk_id:
            joined = (min(one.span[0], span[0]), max(one.span[1], span[1]))
            apart = max(one.span[0], span[0]) - min(one.span[1], span[1])
            if joined == one.span or (apart <= MAX_GAP and joined[1] - joined[0] <= MAX_QUOTE):
                quoted[place] = replace(one, span=joined)
                return place + 1
    quoted.append(_Quoted(evidence, span))
    return len(quoted)


def _citation(n: int, passage: Passage, span: Span) -> Citation:
    return Citation(
        n=n,
        document_id=passage.document_id,
        chunk_id=passage.chunk_id,
        title=passage.title,
        url=passage.url,
        quote=passage.text[span[0] : span[1]],
        heading=passage.heading,
        page=passage.page,
        author=passage.author,
        published_at=passage.published_at,
        kind=passage.kind,
    )


def render(drafted: Drafted, numbers: Sequence[int]) -> str:
    """Write a verified sentence with its markers in front of the final full stop, safe to be posted."""
    text = defang(drafted.text)
    markers = "".join(f"[{number}]" for number in numbers)
    if drafted.block:
        return f"{drafted.lead}{text}\n{markers}"
    final = _FINAL.search(text)
    if final and final.start():
        return f"{drafted.lead}{text[: final.start()]} {markers}{final.group(1)}"
    return f"{drafted.lead}{text} {markers}"
