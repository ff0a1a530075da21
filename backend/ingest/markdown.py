"""Markdown → sections of plain, readable text. Pure.

Text is plain but for what structures it: `- ` and `1. ` before list items (nesting by indentation), table rows with
their bars, code lines as they are. Every line is a paragraph, an item, a row or a line of code.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal

from markdown_it import MarkdownIt
from markdown_it.token import Token

_TAGS = (
    "abbr a article aside b blockquote body br button caption center cite code col colgroup dd del details dfn "
    "div dl dt em figcaption figure font footer form h1 h2 h3 h4 h5 h6 head header hr html i iframe img input ins "
    "kbd label li link main mark meta nav object ol optgroup option p picture pre q s samp script section select "
    "small source span strike strong style sub summary sup svg table tbody td template textarea tfoot th thead "
    "time title tr tt u ul var video wbr path"
)
_TAG = re.compile(
    rf"</?(?:{'|'.join(_TAGS.split())})(?:\s[^<>]{{0,2000}})?/?>|<!--.{0, 5000}?-->|<[!?][^<>]*>", re.I | re.S
)
_COMPONENT = re.compile(r"</?[A-Z][A-Za-z]*(?:\.[A-Za-z]+)*(?:\s[^<>]{0,2000})?/?>")
"""A component of MDX; other tags in angle brackets are placeholders such as `<your-name>`, and stay."""
_SHORTCODE = re.compile(r"\{\{[<%].{0,500}?[%>]\}\}|\{%.{0,500}?%\}|\{:[^{}\n]{0,200}\}|\[\[_?TOC_?\]\]", re.S)
MAX_HEADING = 200
"""Characters; PDF conversion takes whole paragraphs of large type for headings."""
MAX_BRACKETS = 3_000
_BREAKS = re.compile(r"\s*\n\s*")
_SPACES = re.compile(r"[ \t]{2,}")


@dataclass(frozen=True, slots=True)
class Line:
    """One line of plain text and the source line that it comes from; a `header` is a table's first row."""

    text: str
    source: int
    kind: Literal["prose", "code", "row", "header"] = "prose"


@dataclass(slots=True)
class Section:
    """The lines under one heading; `headings` is the path to it, outermost first."""

    headings: tuple[str, ...]
    lines: list[Line] = field(default_factory=list)


def sections_of(markdown: str) -> list[Section]:
    """Return the sections in order, those without text left out.

    A heading with nothing under it, not even another heading, is text; so is one too long to be a heading.
    """
    tokens = _parser(markdown).parse(markdown)
    found = [Section(())]
    path: list[tuple[int, Line]] = []
    lists = _Lists()
    for position, token in enumerate(tokens):
        if token.type == "heading_open":
            title = plain(tokens[position + 1]).replace("\n", " ")
            line = Line(title, token.map[0] if token.map else 0)
            if len(title) > MAX_HEADING:
                found[-1].lines.append(line)
                continue
            level = int(token.tag[1])
            _keep_bare_heading(found[-1], path, level)
            path = [entry for entry in path if entry[0] < level] + [(level, line)]
            found.append(Section(tuple(line.text for _, line in path if line.text)))
        elif token.type != "inline" or tokens[position - 1].type != "heading_open":
            found[-1].lines.extend(_lines(tokens, position, lists))
    _keep_bare_heading(found[-1], path, 0)
    return [section for section in found if any(line.text.strip() for line in section.lines)]


def _parser(markdown: str) -> MarkdownIt:
    """Return a parser; without links for a text whose brackets would make their search take quadratic time."""
    parser = MarkdownIt("commonmark", {"html": True, "maxNesting": 40}).enable("table")
    hostile = any(part.count("[") > MAX_BRACKETS + 2 * part.count("](") for part in markdown.split("\n\n"))
    return parser.disable(["link", "image"]) if hostile else parser


def _keep_bare_heading(section: Section, path: list[tuple[int, Line]], following: int) -> None:
    """Make a heading the text of its own section if that ends without text at a heading of level `following`."""
    if path and not section.lines and following <= path[-1][0]:
        section.lines.append(path[-1][1])


def _lines(tokens: Sequence[Token], position: int, lists: _Lists) -> Iterator[Line]:
    token = tokens[position]
    source = token.map[0] if token.map else 0
    if token.type in ("fence", "code_block"):
        for offset, code in enumerate(token.content.rstrip("\n").split("\n")):
            yield Line(lists.indent() + code.rstrip(), source + offset, "code")
    elif token.type == "tr_open":
        kind: Literal["row", "header"] = "header" if tokens[position - 1].type == "thead_open" else "row"
        yield Line(lists.indent() + _row(tokens, position), source, kind)
    elif token.type == "inline" and tokens[position - 1].type not in ("th_open", "td_open"):
        yield from _prose(plain(token), source, lists)
    elif token.type == "html_block":
        yield from _prose(_html_text(token.content), source, lists)
    else:
        lists.see(token)


def _prose(text: str, source: int, lists: _Lists) -> Iterator[Line]:
    for offset, line in enumerate(text.split("\n")):
        if line.strip():
            yield Line(lists.prefix() + line.strip(), source + offset)


def _row(tokens: Sequence[Token], position: int) -> str:
    cells = []
    while tokens[position].type != "tr_close":
        if tokens[position].type == "inline":
            cells.append(plain(tokens[position]).replace("\n", " "))
        position += 1
    return "| " + " | ".join(cells) + " |"


class _Lists:
    """Where in nested lists the parser is, and the marker that the next line is due."""

    def __init__(self) -> None:
        self._numbers: list[int | None] = []
        self._due = ""

    def see(self, token: Token) -> None:
        """Follow the opening and closing of lists and items."""
        if token.type == "bullet_list_open":
            self._numbers.append(None)
        elif token.type == "ordered_list_open":
            self._numbers.append(int(token.attrGet("start") or 1))
        elif token.type in ("bullet_list_close", "ordered_list_close"):
            self._numbers.pop()
        elif token.type == "list_item_open":
            number = self._numbers[-1]
            self._due = "- " if number is None else f"{number}. "
            self._numbers[-1] = None if number is None else number + 1
        elif token.type == "list_item_close":
            self._due = ""

    def indent(self) -> str:
        """Return the indentation of a line within an item."""
        return "  " * len(self._numbers)

    def prefix(self) -> str:
        """Return the marker where an item begins, the indentation elsewhere."""
        if not self._due:
            return self.indent()
        due, self._due = self._due, ""
        return "  " * (len(self._numbers) - 1) + due


def plain(token: Token) -> str:
    """Return an inline token as plain text: links by their text, images by their alternative, no emphasis, no tags.

    Lines that were only wrapped are joined; hard breaks become `\\n`.
    """
    parts: list[str] = []
    for child in token.children or ():
        if child.type == "softbreak":
            parts.append(" ")
        elif child.type == "hardbreak" or (child.type == "html_inline" and child.content.lower().startswith("<br")):
            parts.append("\n")
        elif child.type == "image":
            parts.append(plain(child))
        elif child.type == "html_inline":
            parts.append(_COMPONENT.sub("", _TAG.sub("", child.content)))
        else:
            parts.append(child.content)
    return _SPACES.sub(" ", _SHORTCODE.sub("", "".join(parts))).strip()


def _html_text(block: str) -> str:
    """Return the text of an HTML block, line by line."""
    text = re.sub(r"<(script|style|svg)\b.*?(?:</\1\s*>|\Z)", "", block, flags=re.I | re.S)
    text = _SHORTCODE.sub("", _COMPONENT.sub("", _TAG.sub(" ", text)))
    return _BREAKS.sub("\n", _SPACES.sub(" ", text)).strip()
