"""A DOM → Markdown: headings, paragraphs, lists, tables with their merged cells filled in, code. Pure.

Emphasis and the targets of links are left out, since the index holds plain text; what would read as Markdown is
escaped.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain

from lxml.html import HtmlElement

MAX_DEPTH = 120
"""Elements within elements; what lies deeper is taken as one text."""
MAX_ACROSS, MAX_DOWN = 50, 1_000
"""Columns and rows that one cell is repeated over."""
MAX_CELLS = 200_000
"""Cells of a table once merged ones are filled in; beyond that they stay empty."""
LAYOUT_WORDS = 60
"""A cell of several paragraphs with more words than this is no cell of data: the table only places text on a page."""
_BLOCKS = frozenset(
    (  # noqa: SIM905
        "address article aside blockquote body center dd details dialog dir div dl dt fieldset figcaption figure "
        "footer form h1 h2 h3 h4 h5 h6 header hgroup hr legend li main menu nav ol p pre section summary table tbody "
        "td tfoot th thead tr ul"
    ).split()
)
_HEADINGS = frozenset(("h1", "h2", "h3", "h4", "h5", "h6"))
_SKIPPED = frozenset(
    (  # noqa: SIM905
        "script style noscript template head title meta link button input select textarea option datalist svg canvas "
        "iframe object embed audio video map base param source track colgroup col"
    ).split()
)
_LANGUAGE = re.compile(r"(?:^|\s)(?:language|lang|highlight-source|highlight|brush:?)[-:\s]([A-Za-z0-9+#]{1,20})\b")
_ENTITY = re.compile(r"&(?=#?\w{1,31};)")
_SPECIAL = re.compile(r"\\(?=[!-/:-@\[-`{-~])|[*`]|(?<!\w)_|_(?!\w)|<(?=[A-Za-z/!?])|~~")
_BLOCK_MARK = re.compile(r"^(?=(?:#{1,6}|[-+>])(?:\s|$)|={1,}\s*$|-{2,}\s*$|~~~|\|)|^(\d{1,9})(?=[.)](?:\s|$))", re.M)
_BREAK = "\x00"


@dataclass(frozen=True, slots=True)
class Block:
    """A block of Markdown, the words in it, and how many of these are links."""

    text: str
    words: int
    linked: int
    heading: bool = False


@dataclass(slots=True)
class _Inline:
    """Text that gathers until a block begins or ends."""

    parts: list[str] = field(default_factory=list)
    linked: int = 0

    def take(self) -> tuple[str, int]:
        """Return what has gathered, its white space as a browser would show it, and how many words are links."""
        lines = "".join(self.parts).split(_BREAK)
        text = "\n".join(line for raw in lines if (line := " ".join(raw.split())))
        linked, self.parts, self.linked = self.linked, [], 0
        return text, linked


def escape(text: str) -> str:
    """Return plain text as Markdown that reads the same; its lines become hard breaks."""
    text = _ENTITY.sub("&amp;", _SPECIAL.sub(lambda match: "".join("\\" + each for each in match.group()), text))
    return _BLOCK_MARK.sub(lambda match: (match.group(1) or "") + "\\", text).replace("\n", "\\\n")


def fence(code: str, language: str = "") -> str:
    """Return lines of code as a fenced block."""
    longest = max((len(run) for run in re.findall(r"`{3,}", code)), default=2)
    ticks = "`" * (longest + 1)
    return f"{ticks}{language}\n{code}\n{ticks}"


def table(rows: Sequence[Sequence[str]]) -> str:
    """Return rows of plain cells as a Markdown table whose first row is its header; "" without a cell."""
    rows = [row for row in rows if any(cell.strip() for cell in row)]
    width = max(map(len, rows), default=0)
    if not width:
        return ""
    lines = [_row([*row, *[""] * (width - len(row))]) for row in rows]
    return "\n".join(chain(lines[:1], ["|" + " --- |" * width], lines[1:]))


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(escape(" ".join(cell.split())).replace("|", "\\|") for cell in cells) + " |"


def to_markdown(element: HtmlElement) -> str:
    """Return an element's content as Markdown."""
    return "\n\n".join(block.text for block in blocks_of(element))


def blocks_of(element: HtmlElement) -> list[Block]:
    """Return an element's content block by block."""
    inline = _Inline()
    found = list(_walk(element, inline, 0))
    return [*found, *_paragraph(inline)]


def _walk(element: HtmlElement, inline: _Inline, depth: int) -> Iterator[Block]:
    """Yield the blocks in an element; text that no block holds gathers in `inline`."""
    inline.parts.append(element.text or "")
    for child in element:
        yield from _child(child, inline, depth)
        inline.parts.append(child.tail or "")


def _child(child: HtmlElement, inline: _Inline, depth: int) -> Iterator[Block]:
    tag = child.tag if isinstance(child.tag, str) else ""
    if not tag or tag in _SKIPPED:
        return
    if depth > MAX_DEPTH:
        inline.parts.append(_flat(child))
    elif tag in _BLOCKS:
        yield from _paragraph(inline)
        yield from _block(child, tag, depth + 1)
    elif tag == "br":
        inline.parts.append(_BREAK)
    elif tag == "img":
        inline.parts.append(_alternative(child))
    else:
        inline.linked += len(" ".join(child.itertext()).split()) if tag == "a" else 0
        yield from _walk(child, inline, depth + 1)


def _paragraph(inline: _Inline) -> Iterator[Block]:
    text, linked = inline.take()
    if text:
        yield Block(escape(text), len(text.split()), linked)


def _block(element: HtmlElement, tag: str, depth: int) -> Iterator[Block]:
    if tag in _HEADINGS:
        yield from _heading(element, tag)
    elif tag == "pre":
        yield from _code(element)
    elif tag in ("ul", "ol", "menu", "dir"):
        yield from _list(element, tag, depth)
    elif tag == "table" and not _is_layout(element):
        yield from _table(element)
    else:
        inline = _Inline()
        yield from _walk(element, inline, depth)
        yield from _paragraph(inline)


def _heading(element: HtmlElement, tag: str) -> Iterator[Block]:
    text = _flat(element)
    if text:
        yield Block(f"{'#' * int(tag[1])} {escape(text)}", len(text.split()), 0, heading=True)


def _code(element: HtmlElement) -> Iterator[Block]:
    for line_break in element.iter("br"):
        line_break.tail = "\n" + (line_break.tail or "")
    code = "".join(element.itertext()).replace("\r\n", "\n").strip("\n").rstrip()
    classes = " ".join([element.get("class", ""), *(str(inner.get("class", "")) for inner in element.iter("code"))])
    language = _LANGUAGE.search(classes)
    if code.strip():
        yield Block(fence(code, language.group(1).lower() if language else ""), len(code.split()), 0)


def _list(element: HtmlElement, tag: str, depth: int) -> Iterator[Block]:
    """Yield a list as one block; what stands in it outside of items counts as an item."""
    number = _number(element.get("start")) or 1
    lines: list[str] = []
    words = linked = 0
    for item in element:
        if not isinstance(item.tag, str) or item.tag in _SKIPPED:
            continue
        number = _number(item.get("value")) or number
        inline = _Inline()
        inner = list(_walk(item, inline, depth) if item.tag == "li" else _child(item, inline, depth))
        inner += _paragraph(inline)
        if not inner:
            continue
        nested = item.tag in ("ul", "ol")
        mark = "" if nested else f"{number}. " if tag == "ol" else "- "
        lines.append(_indented(inner, mark, "   " if nested else " " * len(mark)))
        number += not nested
        words, linked = words + sum(one.words for one in inner), linked + sum(one.linked for one in inner)
    if lines:
        yield Block("\n".join(lines), words, linked)


def _indented(blocks: Sequence[Block], mark: str, indent: str) -> str:
    """Return an item: its blocks below each other, a list right below what it belongs to."""
    text = blocks[0].text
    for block in blocks[1:]:
        text += ("\n" if re.match(r"- |\d+\. ", block.text) else "\n\n") + block.text
    first, _, rest = text.partition("\n")
    body = re.sub(r"^(?=.)", indent, rest, flags=re.M)
    return (mark or indent) + first + ("\n" + body if rest else "")


def _number(text: str | None) -> int:
    return int(text) if text and text.isdecimal() and len(text) < 7 else 0


def _flat(element: HtmlElement) -> str:
    """Return an element's text in one line, with a space where a block or a line ends."""
    return " ".join(" ".join(_texts(element, 0)).replace(_BREAK, " ").split())


def _texts(element: HtmlElement, depth: int) -> Iterator[str]:
    """Yield the text of an element in runs; only between blocks is there white space that the source does not have."""
    run = [element.text or ""]
    for child in element:
        tag = child.tag if isinstance(child.tag, str) else ""
        if tag and tag not in _SKIPPED:
            if tag == "img":
                run.append(_alternative(child))
            elif tag in _BLOCKS or tag == "br":
                yield "".join(run)
                run = []
                yield from [" ".join(child.itertext())] if depth > MAX_DEPTH else _texts(child, depth + 1)
            else:
                inner = [" ".join(child.itertext())] if depth > MAX_DEPTH else list(_texts(child, depth + 1))
                run.append(" ".join(inner))
        run.append(child.tail or "")
    yield "".join(run)


def _alternative(image: HtmlElement) -> str:
    """Return the text that stands for an image, unless a caption does."""
    figure = next(image.iterancestors("figure"), None)
    captioned = figure is not None and figure.find(".//figcaption") is not None
    return "" if captioned else f" {image.get('alt', '')} "


# -------------------------------------------------------------------------------------------------------------- tables


def _is_layout(element: HtmlElement) -> bool:
    if element.get("role") in ("presentation", "none"):
        return True
    cells = list(element.iter("td", "th"))
    rows = _rows(element)
    if len(cells) <= 1 or all(len(row) <= 1 for row in rows):
        return any(_is_prose(cell) for cell in cells)
    return any(_is_prose(cell) for row in rows for cell in row)


def _is_prose(cell: HtmlElement) -> bool:
    blocks = sum(1 for _ in cell.iter("p", "h1", "h2", "h3", "h4", "table", "pre", "br"))
    return blocks > 1 and len(" ".join(cell.itertext()).split()) > LAYOUT_WORDS


def _rows(element: HtmlElement) -> list[list[HtmlElement]]:
    """Return the cells of a table's own rows, not those of tables within it."""
    rows = chain.from_iterable([one] if one.tag == "tr" else one.iterchildren("tr") for one in element)
    return [list(row.iterchildren("td", "th")) for row in rows if isinstance(row.tag, str)]


def _table(element: HtmlElement) -> Iterator[Block]:
    for caption in element.iterchildren("caption"):
        text = _flat(caption)
        if text:
            yield Block(escape(text), len(text.split()), 0)
    rows = _grid(_rows(element))
    text = table(rows)
    linked = sum(len(" ".join(link.itertext()).split()) for link in element.iter("a"))
    if text:
        yield Block(text, sum(len(cell.split()) for row in rows for cell in row), linked)


def _grid(rows: Sequence[Sequence[HtmlElement]]) -> list[list[str]]:
    """Repeat each merged cell wherever it reaches; a row of nothing but cells that reach on is dropped."""
    below: dict[int, tuple[int, str]] = {}
    grid: list[list[str]] = []
    cells = 0
    for row in rows:
        line: list[str] = []
        for cell in row:
            _fill(line, below)
            text = _flat(cell)
            across = min(_number(cell.get("colspan")) or 1, MAX_ACROSS if cells < MAX_CELLS else 1)
            down = min(_number(cell.get("rowspan")) or 1, MAX_DOWN if cells < MAX_CELLS else 1)
            if down > 1:
                below.update((len(line) + offset, (down - 1, text)) for offset in range(across))
            line += [text] * across
        _fill(line, below)
        cells += len(line)
        if not row or not all((_number(cell.get("rowspan")) or 1) > 1 for cell in row):
            grid.append(line)
    return grid


def _fill(line: list[str], below: dict[int, tuple[int, str]]) -> None:
    """Go on with the cells that reach down into this row from above."""
    while len(line) in below:
        left, text = below.pop(len(line))
        if left > 1:
            below[len(line)] = (left - 1, text)
        line.append(text)
