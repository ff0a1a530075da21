"""Presentations (.pptx) → Markdown: a section per slide with its title, text from top to bottom, tables, charts and the
speaker's notes. A slide is a page. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from lxml import etree

from backend.domain import Extracted
from backend.ingest.clean import clean_text
from backend.ingest.html_markdown import escape, table
from backend.ingest.ooxml import CHART, DRAWING, RELATION, Package, Related

SLIDES = "{http://schemas.openxmlformats.org/presentationml/2006/main}"
_TITLES = ("title", "ctrTitle")
_AROUND = ("dt", "ftr", "sldNum", "hdr", "sldImg")
"""Places for dates, footers and numbers."""
_SHAPES = tuple(SLIDES + name for name in ("sp", "graphicFrame", "grpSp"))
_ROW = 200_000
"""Shapes whose tops differ by less (about half a centimetre) stand side by side."""
MAX_DEPTH = 20


def extract_pptx(content: bytes) -> Extracted:
    """Return a presentation's slides, each a page. Damaged where the package or its main part is."""
    with Package(content) as package:
        title, metadata = package.title_and_metadata("pptx")
        text, pages = "", []
        for number, part in enumerate(_slides(package), 1):
            slide = clean_text(_slide(package, part, number))
            if slide:
                text += "\n\n" if text else ""
                pages.append((len(text), number))
                text += slide
        return Extracted(text=text, title=title, metadata=metadata, pages=tuple(pages))


def _slides(package: Package) -> list[str]:
    """Return the slides' parts in the order in which they are shown."""
    main = package.main()
    relations = package.relations(main)
    ids = (one.get(RELATION + "id") for one in package.root(main).iter(SLIDES + "sldId"))
    return [relations[name].target for name in ids if name in relations]


def _slide(package: Package, part: str, number: int) -> str:
    root, relations = package.xml(part), package.relations(part)
    if root is None or root.get("show") == "0":
        return ""
    tree = root.find(f"{SLIDES}cSld/{SLIDES}spTree")
    shapes = list(_shapes(tree, 0)) if tree is not None else []
    titles = [shape for shape in shapes if _kind(shape) in _TITLES]
    title = " ".join(" ".join(_paragraphs(shape)) for shape in titles)
    parts = [f"## {escape(title) or f'Slide {number}'}"]
    parts += [_shape(package, shape, relations) for shape in shapes if shape not in titles]
    notes = _notes(package, relations)
    parts += [f"Notes: {notes}" if notes else ""]
    said = [part for part in parts if part]
    return "\n\n".join(said) if title or len(said) > 1 else ""


def _shapes(tree: etree._Element, depth: int) -> Iterator[etree._Element]:
    """Yield the shapes from top to bottom, those side by side from left to right, groups by their members."""
    own = [child for child in tree if child.tag in _SHAPES]
    for shape in sorted(own, key=lambda one: (_place(one)[1] // _ROW, _place(one)[0])):
        if shape.tag != SLIDES + "grpSp":
            yield shape
        elif depth < MAX_DEPTH:
            yield from _shapes(shape, depth + 1)


def _place(shape: etree._Element) -> tuple[int, int]:
    """Return x and y; those of a placeholder, which its layout knows, as at the top."""
    offset = next((one for one in shape.iter(DRAWING + "off")), None)
    return (int(offset.get("x") or 0), int(offset.get("y") or 0)) if offset is not None else (0, 0)


def _kind(shape: etree._Element) -> str:
    place = next(shape.iter(SLIDES + "ph"), None)
    return "" if place is None else str(place.get("type") or "body")


def _shape(package: Package, shape: etree._Element, relations: dict[str, Related]) -> str:
    if _kind(shape) in _AROUND:
        return ""
    grid = next(shape.iter(DRAWING + "tbl"), None)
    if grid is not None:
        return table([_row(row) for row in grid.iter(DRAWING + "tr")])
    chart = next(shape.iter(CHART + "chart"), None)
    if chart is not None:
        target = relations.get(str(chart.get(RELATION + "id")))
        return package.chart(target.target) if target else ""
    return _text(shape, bullets=_kind(shape) in ("body", "obj"))


def _row(row: etree._Element) -> list[str]:
    cells: list[str] = []
    for cell in row.iter(DRAWING + "tc"):
        merged = cell.get("hMerge") in ("1", "true") and cells
        cells.append(cells[-1] if merged else " ".join(_paragraphs(cell)))
    return cells


def _text(shape: etree._Element, *, bullets: bool) -> str:
    """Return a shape's paragraphs; in the places for lists, several are items by their levels."""
    levels = [(int(one.get("lvl") or 0), text) for one, text in _levelled(shape)]
    if not bullets or len(levels) < 2:
        return "\n\n".join(escape(text) for _, text in levels)
    return "\n".join(f"{'  ' * level}- {escape(text)}" for level, text in levels)


def _levelled(shape: etree._Element) -> Iterator[tuple[etree._Element, str]]:
    for paragraph in shape.iter(DRAWING + "p"):
        properties = paragraph.find(DRAWING + "pPr")
        text = _line(paragraph)
        if text:
            yield properties if properties is not None else paragraph, text


def _paragraphs(shape: etree._Element) -> list[str]:
    return [text for _, text in _levelled(shape)]


def _line(paragraph: etree._Element) -> str:
    parts = (
        one.text or "" if one.tag == DRAWING + "t" else " " for one in paragraph.iter(DRAWING + "t", DRAWING + "br")
    )
    return " ".join("".join(parts).split())


def _notes(package: Package, relations: dict[str, Related]) -> str:
    part = next((one.target for one in relations.values() if one.kind == "notesSlide"), "")
    root = package.xml(part) if part else None
    shapes = (shape for shape in root.iter(SLIDES + "sp") if _kind(shape) == "body") if root is not None else ()
    return " ".join(escape(text) for shape in shapes for text in _paragraphs(shape))
