"""A document's blocks, page by page → Markdown: headings by size, wrapped lines joined, running heads dropped. Pure."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from backend.ingest.html_markdown import escape
from backend.ingest.pdf_layout import Block, Line

MIN_GROWTH = 1.12
"""Headings are set this much larger than the text, or bold."""
MAX_HEADING_WORDS = 16
MAX_SHARE = 0.3
"""Where more of the words than this are large or bold, that does not make them headings."""
RUNNING_PAGES = 3
"""A line at the same edge of at least so many pages, and of half of them, is a running head or foot."""
SHORT_PAGE = 10
"""Lines of a page on which the second one is seldom a part of its head."""
_LEVELS = 4
_NUMBER = re.compile(r"\d+")
_PAGE_NUMBER = re.compile(r"\W*(?:page|seite|p\.)?\s*\d{1,4}\s*(?:(?:of|von|/)\s*\d{1,4})?\W*", re.I)
_BULLET = re.compile(r"^[•◦▪●○■□➢➤\uf0b7\uf0a7‣∙·–—-]\s+(?=\S)|^o\s+(?=[A-Z])")
_NUMBERED = re.compile(r"^(?:\d{1,3}(?:\.\d{1,3})*[.)]?|[A-Z]\.)\s+\w")
_NO_HEADING = re.compile(r"\w@\w|://")
_BROKEN = re.compile(r"(\w{2,})[-\u2010\u00ad]$")


@dataclass(frozen=True, slots=True)
class Typography:
    """What tells headings from text in one document."""

    body: float
    sizes: tuple[float, ...]
    """Sizes of headings, largest first."""
    bold: bool
    """Whether bold lines are headings, too."""
    vocabulary: frozenset[str]

    def level(self, line: Line) -> int:
        """Return a line's level as a heading, 0 for text."""
        text = line.text
        if len(line.words) > MAX_HEADING_WORDS or text.endswith((",", ";", "-")) or _NO_HEADING.search(text):
            return 0
        if sum(map(str.isalpha, text)) < 0.6 * len(text.replace(" ", "")):
            return 0
        size = _rounded(line.size)
        if size in self.sizes:
            return min(self.sizes.index(size) + 1, _LEVELS)
        bold = self.bold and line.bold and size >= self.body and not text.endswith((".", ":"))
        return min(len(self.sizes) + 1, _LEVELS + 1) if bold and not _BULLET.match(text) else 0


def typography_of(pages: Sequence[Sequence[Block]]) -> Typography:
    """Measure a document: its text's size is that of most letters."""
    lines = [line for page in pages for block in page for line in block.lines]
    letters: Counter[float] = Counter()
    for line in lines:
        letters[_rounded(line.size)] += len(line.text)
    body = letters.most_common(1)[0][0] if letters else 0.0
    total = letters.total()
    large = sorted((size for size in letters if size >= MIN_GROWTH * body), reverse=True)
    while large and sum(letters[size] for size in large) > MAX_SHARE * total:
        large.pop()
    bold = sum(len(line.text) for line in lines if line.bold and _rounded(line.size) not in large)
    words = Counter(word.casefold().strip(".,;:()") for line in lines for word in line.text.split()[:-1])
    return Typography(body, tuple(large), 0 < bold <= MAX_SHARE * total, frozenset(words))


def _rounded(size: float) -> float:
    return round(size * 2) / 2


def running_lines(pages: Sequence[Sequence[Block]]) -> frozenset[str]:
    """Return the lines, their numbers masked, that stand at the edges of most pages."""
    seen: Counter[str] = Counter()
    for page in pages:
        seen.update({masked(line) for line in _edges(page)})
    needed = max(RUNNING_PAGES, len(pages) / 2)
    return frozenset(text for text, count in seen.items() if text and count >= needed)


def masked(line: Line) -> str:
    return _NUMBER.sub("#", line.text)


def _edges(page: Sequence[Block]) -> Iterator[Line]:
    """Yield the lines that may be a head or a foot: two at each edge, of a page with few lines one."""
    lines = [line for block in page for line in block.lines]
    if len(lines) > 2:
        deep = 2 if len(lines) >= SHORT_PAGE else 1
        yield from (*lines[:deep], *lines[-deep:])


def page_markdown(page: Sequence[Block], typography: Typography, running: frozenset[str]) -> str:
    """Return one page."""
    edges = {id(line) for line in _edges(page)}
    parts: list[str] = []
    for block in page:
        if block.kind == "table":
            parts.append(block.markdown)
            continue
        lines = [line for line in block.lines if id(line) not in edges or not _is_running(line, running)]
        parts += _paragraphs(lines, typography)
    return "\n\n".join(part for part in parts if part.strip())


def _is_running(line: Line, running: frozenset[str]) -> bool:
    return masked(line) in running or bool(running and _PAGE_NUMBER.fullmatch(line.text))


def _paragraphs(lines: Sequence[Line], typography: Typography) -> Iterator[str]:
    """Join wrapped lines; a line that ends early ends there, and space or a change of type parts paragraphs."""
    text, before, level = "", None, 0
    for line in lines:
        own = typography.level(line)
        if before is None or own != level or _parts(before, line, own):
            yield _block(text, level)
            text = line.text
        elif own or before.full:
            text = _joined(text, line.text, typography.vocabulary)
        else:
            text += "\n" + line.text
        before, level = line, own
    yield _block(text, level)


def _parts(before: Line, line: Line, level: int) -> bool:
    """Whether a new paragraph begins with this line, which is of the same level as the one before."""
    if level:
        return line.gap or line.size != before.size or bool(_NUMBERED.match(line.text))
    return line.gap or bool(_BULLET.match(line.text)) or (not before.full and bool(_NUMBERED.match(line.text)))


def _joined(text: str, more: str, vocabulary: frozenset[str]) -> str:
    """Put a word that was parted at the line's end together again, without its hyphen if it is not written with one."""
    broken = _BROKEN.search(text)
    if not broken or not more[:1].islower():
        return f"{text} {more}"
    rest = more.split(maxsplit=1)[0].rstrip(".,;:()")
    hyphenated = f"{broken.group(1)}-{rest}".casefold()
    return text[: broken.end(1)] + ("-" if hyphenated in vocabulary else "") + more


def _block(text: str, level: int) -> str:
    if level and text:
        return f"{'#' * level} {escape(' '.join(text.split()))}"
    bullet = _BULLET.match(text)
    if bullet:
        return "- " + escape(text[bullet.end() :]).replace("\n", "\n  ")
    return escape(text)


def document_markdown(pages: Mapping[int, Sequence[Block]]) -> dict[int, str]:
    """Return the Markdown of each page by its number."""
    typography, running = typography_of(list(pages.values())), running_lines(list(pages.values()))
    return {number: page_markdown(page, typography, running) for number, page in pages.items()}
