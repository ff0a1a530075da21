"""Word documents (.docx) → Markdown: headings, numbered lists, tables, text boxes, equations, notes, charts. Pure.

Own code, since what converters lose here is what a question asks for: section numbers, merged cells, the text of
boxes and of charts. Left out are headers and footers, reviewers' comments and deleted text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from lxml import etree

from backend.domain import Extracted
from backend.ingest.docx_styles import WORD, Numbering, Style, is_monospaced, is_on, number_of, read_styles, value
from backend.ingest.html_markdown import escape, fence, table
from backend.ingest.omml import MATH, latex
from backend.ingest.ooxml import CHART, RELATION, Package

_COMPATIBLE = "{http://schemas.openxmlformats.org/markup-compatibility/2006}"
_WORD_2010 = "{http://schemas.microsoft.com/office/word/2010/wordml}"
_SKIPPED = frozenset(
    (
        *(WORD + name for name in ("del", "moveFrom", "instrText", "delText", "pPr", "rPr", "sdtPr", "sdtEndPr")),
        *(WORD + name for name in ("tblPr", "tblGrid", "tcPr", "trPr", "sectPr", "ruby", "fldData")),
        _COMPATIBLE + "Fallback",
    )
)
_ASIDE = (WORD + "txbxContent", CHART + "chart", WORD + "footnoteReference", WORD + "endnoteReference")
_CHECKED = {"☒": "[x] ", "☑": "[x] ", "☐": "[ ] "}
_BOX = re.compile(r"^\[[ x]\] ")
_PLAIN_NUMBER = re.compile(r"\d{1,9}[.)]")
MAX_DEPTH = 60
MAX_ACROSS = 100


@dataclass(slots=True)
class _Paragraph:
    """A paragraph's text, and what stands beside it: boxes, charts and notes that are anchored in it."""

    text: str = ""
    math_only: bool = True
    monospaced: bool = True
    beside: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Line:
    """A block of Markdown; `code` and `item` lines join with those next to them."""

    text: str
    kind: str = ""


def extract_docx(content: bytes) -> Extracted:
    """Return a document's text with its title and metadata. Damaged where the package or its main part is."""
    with Package(content) as package:
        title, metadata = package.title_and_metadata("docx")
        return Extracted(text=_Document(package).markdown(), title=title, metadata=metadata)


class _Document:
    def __init__(self, package: Package) -> None:
        self._package = package
        self._main = package.main()
        self._relations = package.relations(self._main)
        self._styles = read_styles(self._part("styles"))
        self._numbering = Numbering.of(self._part("numbering"))
        self._notes = {kind: self._part(kind + "s") for kind in ("footnote", "endnote")}

    def markdown(self) -> str:
        body = self._package.root(self._main).find(WORD + "body")
        return _joined(self._blocks(body, 0)) if body is not None else ""

    def _part(self, kind: str) -> etree._Element | None:
        return next((self._package.xml(one.target) for one in self._relations.values() if one.kind == kind), None)

    def _blocks(self, parent: etree._Element, depth: int) -> Iterator[_Line]:
        for element in parent if depth < MAX_DEPTH else ():
            if element.tag == WORD + "p":
                yield from self._paragraph(element, depth)
            elif element.tag == WORD + "tbl":
                yield _Line(table(self._rows(element, depth + 1)))
            elif isinstance(element.tag, str) and element.tag not in _SKIPPED:
                yield from self._blocks(element, depth + 1)

    # ------------------------------------------------------------------------------------------------------ paragraphs

    def _paragraph(self, element: etree._Element, depth: int) -> Iterator[_Line]:
        found, properties = _Paragraph(), element.find(WORD + "pPr")
        found.text = "".join(self._inline(element, found, depth)).strip("\n")
        style = self._styles.get(value(properties, "pStyle") or "", Style())
        if found.text.strip():
            yield self._line(found, properties, style)
        yield from (_Line(text) for text in found.beside if text)

    def _line(self, found: _Paragraph, properties: etree._Element | None, style: Style) -> _Line:
        outline = value(properties, "outlineLvl")
        level = style.level if outline is None else number_of(outline, 9) + 1
        code = style.code or found.monospaced
        if code and not level:
            return _Line(found.text.expandtabs(4).rstrip(), "code")
        text = " ".join(found.text.split()) if level else _tidy(found.text)
        list_id, at = self._list(properties, style)
        number = self._numbering.next(list_id, at) if list_id else None
        if level and level < 10:
            return _Line(f"{'#' * min(level, 6)} {escape(f'{number} {text}'.strip() if number else text)}")
        if number is not None:
            return _Line(_item(number, escape(text), at), "item")
        if _BOX.match(text):
            return _Line(f"- {escape(text)}", "item")
        return _Line(escape(f"${text}$" if found.math_only and text.count("$") == 2 else text))

    def _list(self, properties: etree._Element | None, style: Style) -> tuple[str, int]:
        own, at = value(properties, "numPr/numId"), value(properties, "numPr/ilvl")
        list_id = style.list_id if own is None else own
        return "" if list_id == "0" else list_id, style.list_level if at is None else number_of(at)

    def _inline(self, parent: etree._Element, found: _Paragraph, depth: int) -> Iterator[str]:
        """Yield a paragraph's text in runs, equations between dollars."""
        for element in parent if depth < MAX_DEPTH else ():
            if element.tag == WORD + "r":
                yield from self._run(element, found, depth)
            elif element.tag == MATH + "oMath":
                found.monospaced = False
                yield f" ${latex(element).strip()}$ "
            elif element.tag == WORD + "sdt":
                yield from self._control(element, found, depth)
            elif isinstance(element.tag, str) and element.tag not in _SKIPPED:
                yield from self._inline(element, found, depth + 1)

    def _control(self, element: etree._Element, found: _Paragraph, depth: int) -> Iterator[str]:
        box = element.find(f"{WORD}sdtPr/{_WORD_2010}checkbox/{_WORD_2010}checked")
        if box is not None:
            found.math_only = found.monospaced = False
            yield "[x] " if box.get(_WORD_2010 + "val") in ("1", "true") else "[ ] "
        else:
            yield from self._inline(element, found, depth + 1)

    def _run(self, run: etree._Element, found: _Paragraph, depth: int) -> Iterator[str]:
        properties = run.find(WORD + "rPr")
        if is_on(properties, "vanish"):
            return
        for element in run.iter():
            if element.tag in _ASIDE:
                if not any(parent.tag == _COMPATIBLE + "Fallback" for parent in element.iterancestors()):
                    yield self._aside(element, found, depth)
            elif _within_box(element, run):
                continue
            elif element.tag == WORD + "t" and element.text:
                found.math_only = found.math_only and not element.text.strip()
                found.monospaced = found.monospaced and (not element.text.strip() or is_monospaced(properties))
                yield element.text
            elif element.tag in (WORD + "br", WORD + "cr") and element.get(WORD + "type") in (None, "textWrapping"):
                yield "\n"
            elif element.tag == WORD + "tab":
                yield "\t"
            elif element.tag == WORD + "noBreakHyphen":
                yield "-"

    def _aside(self, element: etree._Element, found: _Paragraph, depth: int) -> str:
        """Set aside what is anchored here, and return what stands in its place."""
        if element.tag == WORD + "txbxContent":
            if _box_of(element.getparent()) is None:
                found.beside.append(_joined(self._blocks(element, depth + 1)))
        elif element.tag == CHART + "chart":
            part = self._relations.get(str(element.get(RELATION + "id")))
            found.beside.append(self._package.chart(part.target) if part else "")
        else:
            kind = str(element.tag).removeprefix(WORD).removesuffix("Reference")
            return self._note(kind, str(element.get(WORD + "id")), found, depth)
        return ""

    def _note(self, kind: str, name: str, found: _Paragraph, depth: int) -> str:
        notes = self._notes[kind]
        for note in notes if notes is not None and depth < 3 else ():
            if note.get(WORD + "id") == name:
                text = " ".join(_joined(self._blocks(note, depth + 5)).split())
                found.beside.append(f"\\[{name}\\] {text}" if text else "")
                return f"[{name}]" if text else ""
        return ""

    # ---------------------------------------------------------------------------------------------------------- tables

    def _rows(self, element: etree._Element, depth: int) -> list[list[str]]:
        """Return a table's cells, those that are merged repeated wherever they reach."""
        rows: list[list[str]] = []
        for row in _rows_of(element):
            line = [""] * number_of(value(row, "trPr/gridBefore"))
            for cell in _cells_of(row):
                properties = cell.find(WORD + "tcPr")
                across = max(1, min(number_of(value(properties, "gridSpan"), 1), MAX_ACROSS))
                merged = value(properties, "vMerge")
                above = rows[-1][len(line)] if rows and len(line) < len(rows[-1]) else ""
                line += [above if merged not in (None, "restart") else self._cell(cell, depth)] * across
            rows.append(line)
        return rows

    def _cell(self, cell: etree._Element, depth: int) -> str:
        """Return a cell's text in one line, unescaped."""
        return " ".join(_unescaped(line.text) for line in self._blocks(cell, depth + 1))


def _box_of(element: etree._Element | None) -> etree._Element | None:
    return next(element.iterancestors(WORD + "txbxContent"), None) if element is not None else None


def _within_box(element: etree._Element, run: etree._Element) -> bool:
    """Whether an element of a run belongs to a text box that is anchored in it, or to the older copy of one."""
    if element.getparent() is run:
        return False
    around = element.iterancestors()
    first = next((one for one in around if one.tag in _SKIPPED or one.tag == WORD + "txbxContent"), None)
    return first is not None and run in first.iterancestors()


def _rows_of(element: etree._Element) -> Iterator[etree._Element]:
    """Yield a table's own rows, through content controls."""
    for child in element:
        if child.tag == WORD + "tr":
            yield child
        elif child.tag in (WORD + "sdt", WORD + "sdtContent", WORD + "ins"):
            yield from _rows_of(child)


def _cells_of(row: etree._Element) -> Iterator[etree._Element]:
    for child in row:
        if child.tag == WORD + "tc":
            yield child
        elif child.tag in (WORD + "sdt", WORD + "sdtContent"):
            yield from _cells_of(child)


def _tidy(text: str) -> str:
    lines = (" ".join(line.split()) for line in text.split("\n"))
    text = "\n".join(line for line in lines if line)
    return _CHECKED.get(text[:1], text[:1]) + text[1:].lstrip() if text[:1] in _CHECKED else text


def _unescaped(markdown: str) -> str:
    """Return a block as the plain text of a cell, which will be escaped as a whole."""
    return re.sub(r"\\(?=[!-/:-@\[-`{-~\n])|^#{1,6} ", "", markdown, flags=re.M).replace("\n", " ")


def _item(number: str, text: str, level: int) -> str:
    """Return a list item; Markdown knows no number but plain ones, so that others follow a bullet."""
    plain = _PLAIN_NUMBER.fullmatch(number) and level == 0
    mark = f"{number} " if plain else f"- {escape(number)} " if number else "- "
    return "    " * level + mark + text.replace("\n", "\n" + "    " * (level + 1))


def _joined(lines: Iterator[_Line]) -> str:
    """Join blocks: runs of code become one fenced block, items stay below each other."""
    parts: list[str] = []
    code: list[str] = []
    before = ""
    for line in (*lines, _Line("")):
        if code and line.kind != "code":
            parts.append(fence("\n".join(code)))
            code = []
        if line.kind == "code":
            code.append(line.text)
        elif line.text:
            parts.append(("\n" if before == line.kind == "item" else "\n\n") + line.text)
        before = line.kind
    return _spaced(parts)


def _spaced(parts: Sequence[str]) -> str:
    return "".join(part if part.startswith("\n") else "\n\n" + part for part in parts).strip("\n")
