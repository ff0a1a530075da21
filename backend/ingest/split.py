"""Extracted text → chunks: sections by headings, whole sentences packed into a token budget. Pure."""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate, pairwise

from backend.domain import Caption, Chunk, Extracted, Span
from backend.ingest.markdown import Line, Section, sections_of
from backend.sentences import sentence_spans

MAX_TOKENS = 240
"""About 190 words of English with their heading path: within the 256 word pieces that all-MiniLM-L6-v2 was made for."""
MIN_TEXT_TOKENS = 48
"""What a long heading path must leave for the text."""
SEPARATOR = " › "
MAX_HEADING = 300
_WORD = re.compile(r"\S+\s*")
LEAD_SHARE = 3
"""A table's header is repeated if it takes at most one part in so many of a chunk's tokens."""
PAGE_SHARE = 4
"""A chunk ends with its page if it has at least one part in so many of its tokens by then; a shorter end of a page goes
with the next one."""
_MAX_WORD = 400
"""Characters after which even a word is cut: a line of base64 is one word."""

CountTokens = Callable[[str], int]
Lead = tuple[str, int]
"""A text and its tokens."""
NO_LEAD: Lead = ("", 0)


def split(extracted: Extracted, *, count_tokens: CountTokens, max_tokens: int = MAX_TOKENS) -> tuple[Chunk, ...]:
    """Return the document's chunks, each of at most `max_tokens` with its heading path.

    A sentence, list item, table row or code line is only cut where it alone exceeds the limit, then between words.
    A section's chunks do not overlap and concatenate to its text; one that begins within a table has the header row as
    its `lead`, which counts among its tokens. `count_tokens` is called once per sentence and header, and again only for
    those that must be cut.
    """
    lines = _line_offsets(extracted.text)
    chunks: list[Chunk] = []
    sections = sections_of(extracted.text)
    captions = [_captioned(caption) for caption in extracted.captions]
    for number, section in enumerate([*sections, *captions]):
        text = _Text.of(section)
        if not text.sentences:
            continue
        heading = _heading(section.headings, extracted.title)
        budget = max(max_tokens - count_tokens(heading), min(MIN_TEXT_TOKENS, max_tokens))
        text = text.with_leads(count_tokens, budget // LEAD_SHARE)
        caption = extracted.captions[number - len(sections)] if number >= len(sections) else None
        pages = _Pages(extracted.pages, text, lines) if caption is None else _Pages()
        for span, page in _pack(_pieces(text, count_tokens, budget, pages), budget):
            chunk = _chunk(text, span, len(chunks), number, heading, page)
            chunks.append(replace(chunk, page=caption.page, kind="caption") if caption else chunk)
    return tuple(chunks)


def _captioned(caption: Caption) -> Section:
    """Return the section that a caption is."""
    lines = [Line(line.strip(), 0) for line in caption.text.splitlines() if line.strip()]
    return Section((f"Image {caption.number}",), lines)


@dataclass(frozen=True, slots=True)
class _Piece:
    """A run of a section that stays together: a sentence with the white space and marker before and after it. `lead` is
    how many tokens come before it where a chunk begins with it; `page` is where it begins, if there are pages."""

    start: int
    end: int
    tokens: int
    lead: int = 0
    page: int | None = None


@dataclass(frozen=True, slots=True)
class _Text:
    """A section as one text, and where its lines start and come from. `leads` has, for each line, the header of the
    table that it goes on with, and its tokens."""

    text: str
    lines: tuple[Line, ...]
    starts: tuple[int, ...]
    sentences: tuple[Span, ...]
    leads: tuple[Lead, ...] = ()

    @classmethod
    def of(cls, section: Section) -> _Text:
        texts = [line.text for line in section.lines]
        starts = (0, *accumulate(len(text) + 1 for text in texts[:-1]))
        sentences = [
            (start + first, start + last)
            for start, line in zip(starts, section.lines, strict=True)
            for first, last in (sentence_spans(line.text) if line.kind == "prose" else _whole(line.text))
        ]
        return cls("\n".join(texts), tuple(section.lines), starts, tuple(sentences))

    def with_leads(self, count_tokens: CountTokens, limit: int) -> _Text:
        """Return the same text with the headers of its tables, but for those without words or of more tokens."""
        leads: list[Lead] = []
        header: Lead = NO_LEAD
        for line in self.lines:
            leads.append(header if line.kind == "row" else NO_LEAD)
            if line.kind == "header":
                found = line.text.strip()
                tokens = count_tokens(found) if any(map(str.isalnum, found)) else limit + 1
                header = (found, tokens) if tokens <= limit else NO_LEAD
        return replace(self, leads=tuple(leads))

    def source_line(self, offset: int) -> int:
        return self.lines[self._line(offset)].source

    def lead(self, offset: int) -> Lead:
        """Return what comes before a chunk that begins there."""
        return self.leads[self._line(offset)]

    def _line(self, offset: int) -> int:
        return bisect_right(self.starts, offset) - 1


@dataclass(frozen=True, slots=True)
class _Pages:
    """On which page of the document an offset of a section lies. `lines` are the offsets of the document's lines."""

    pages: Sequence[tuple[int, int]] = ()
    text: _Text | None = None
    lines: Sequence[int] = ()

    def at(self, offset: int) -> int | None:
        if not self.pages or self.text is None:
            return None
        return page_at(self.pages, self.lines[min(self.text.source_line(offset), len(self.lines) - 1)])


def _whole(text: str) -> list[Span]:
    """Return a row or a line of code as one sentence, if there is a letter or digit in it."""
    stripped = text.strip()
    start = len(text) - len(text.lstrip())
    return [(start, start + len(stripped))] if any(map(str.isalnum, stripped)) else []


def _heading(headings: Sequence[str], title: str) -> str:
    """Return the path without a first heading that only repeats the document's title."""
    path = list(headings)
    if path and _folded(path[0]) == _folded(title):
        path = path[1:]
    return SEPARATOR.join(" ".join(heading.split()) for heading in path)[:MAX_HEADING].strip()


def _folded(text: str) -> str:
    return " ".join(text.casefold().split())


def _line_offsets(text: str) -> list[int]:
    return [0, *(match.end() for match in re.finditer("\n", text))]


def _pieces(text: _Text, count_tokens: CountTokens, budget: int, pages: _Pages) -> Iterator[_Piece]:
    """Cut the section between its sentences; what stands between two of them goes with the first up to its line's
    end, and with the second after it, so that a list marker stays with its item."""
    starts = [_boundary(text.text, before, after) for (_, before), (after, _) in pairwise(text.sentences)]
    bounds = [0, *starts, len(text.text)]
    for start, end in pairwise(bounds):
        tokens = max(1, count_tokens(text.text[start:end]))
        _, lead = text.lead(start)
        page = pages.at(start)
        if tokens + lead <= budget:
            yield _Piece(start, end, tokens, lead, page)
        else:
            parts = _cut(text.text, start, end, count_tokens, budget - lead)
            yield from (replace(part, lead=lead, page=page) for part in parts)


def _boundary(text: str, before: int, after: int) -> int:
    line_end = text.find("\n", before, after)
    return line_end + 1 if line_end >= 0 else after


def _cut(text: str, start: int, end: int, count_tokens: CountTokens, budget: int) -> Iterator[_Piece]:
    """Cut an overlong sentence between words, each counted once; a word beyond the budget is cut by length."""
    begin, total = start, 0
    for first, last in _words(text, start, end):
        tokens = max(1, count_tokens(text[first:last]))
        if total and total + tokens > budget:
            yield _Piece(begin, first, total)
            begin, total = first, 0
        total += tokens
    yield _Piece(begin, end, total)


def _words(text: str, start: int, end: int) -> Iterator[Span]:
    position = start
    for match in _WORD.finditer(text, start, end):
        last = match.end()
        for first in range(position, last, _MAX_WORD):
            yield first, min(first + _MAX_WORD, last)
        position = last
    if position < end:
        yield position, end


def _pack(pieces: Iterator[_Piece], budget: int) -> Iterator[tuple[Span, int | None]]:
    """Join consecutive pieces while they fit, and yield where they are, with the page that most of them is on."""
    joined: list[_Piece] = []
    total = 0
    for piece in pieces:
        turned = bool(joined) and piece.page != joined[-1].page and total * PAGE_SHARE >= budget
        if joined and (turned or total + piece.tokens > budget):
            yield (joined[0].start, joined[-1].end), _page(joined)
            joined, total = [], piece.lead
        joined.append(piece)
        total += piece.tokens
    yield (joined[0].start, joined[-1].end), _page(joined)


def _page(pieces: Sequence[_Piece]) -> int | None:
    """Return the page on which most of their tokens are, the first of several."""
    tokens: Counter[int | None] = Counter()
    for piece in pieces:
        tokens[piece.page] += piece.tokens
    return tokens.most_common(1)[0][0]


def _chunk(text: _Text, span: Span, position: int, section: int, heading: str, page: int | None) -> Chunk:
    start, end = span
    lead, _ = text.lead(start)
    return Chunk(position, section, heading, start, text.text[start:end], _within(text, span), page, lead)


def _within(text: _Text, span: Span) -> tuple[Span, ...]:
    """Return the sentences, or parts of one that was cut, that lie in the span, relative to it and trimmed; the span
    itself where it is only marks that were cut off behind one."""
    start, end = span
    first = bisect_right(text.sentences, (start, start))
    if first and text.sentences[first - 1][1] > start:
        first -= 1
    after = bisect_left(text.sentences, (end, end))
    found = tuple(
        trimmed
        for left, right in text.sentences[first:after]
        for trimmed in _trimmed(text.text, max(left, start), min(right, end), start)
    )
    return found or tuple(_trimmed(text.text, start, end, start))


def _trimmed(text: str, first: int, last: int, base: int) -> Iterator[Span]:
    part = text[first:last]
    left, right = len(part) - len(part.lstrip()), len(part.rstrip())
    if right > left:
        yield first + left - base, first + right - base


def page_at(pages: Sequence[tuple[int, int]], offset: int) -> int | None:
    """Return the number of the page that `offset` lies on."""
    index = bisect_left(pages, (offset + 1, 0)) - 1
    return pages[index][1] if index >= 0 else None
