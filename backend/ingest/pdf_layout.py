"""Words with their places on a page → blocks in reading order: columns, tables, paragraphs. Pure.

A page is cut into columns wherever a gutter runs beside lines of prose, and only there: side by side, short pieces are
a form or a table, and are read row by row. Lengths are in points, y grows upwards.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median
from typing import Literal

from backend.ingest.html_markdown import table

MIN_GUTTER = 0.6
"""Widths of gutters and of gaps between cells are in units of the letters' height."""
CELL_GAP = 1.1
COLUMN_ROWS = 5
"""Columns of prose are at least so many lines tall,"""
COLUMN_FILLED = 0.6
"""their median line fills this share of them,"""
COLUMN_WORDS = 3.5
"""and has so many words."""
LINE_FULL = 0.8
"""A line that fills this share of its column goes on in the next one."""
PARAGRAPH_GAP = 0.75
"""Space between two lines, in letters' heights, that parts paragraphs."""
KEPT_COLUMNS = 0.6
"""A row across which fewer of the gutters go on than this share begins another table."""
Interval = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Word:
    """A word and the box of its letters; `bold` by its font."""

    text: str
    left: float
    bottom: float
    right: float
    top: float
    size: float
    bold: bool = False


@dataclass(frozen=True, slots=True)
class Line:
    """A row's words within one column; `full` if it fills the column, so that the next line goes on with it."""

    words: tuple[Word, ...]
    full: bool = False
    gap: bool = False
    """Whether there is more space above it than between a paragraph's lines."""

    @property
    def text(self) -> str:
        return " ".join(word.text for word in self.words)

    @property
    def size(self) -> float:
        return median(word.size for word in self.words)

    @property
    def bold(self) -> bool:
        return all(word.bold for word in self.words if any(map(str.isalnum, word.text)))


@dataclass(frozen=True, slots=True)
class Block:
    """A run of lines; if they are a table, it as Markdown, too."""

    kind: Literal["lines", "table"]
    lines: tuple[Line, ...] = ()
    markdown: str = ""


def blocks_of(words: Sequence[Word]) -> list[Block]:
    """Return a page's blocks in reading order."""
    return list(_region(_rows(words))) if words else []


Row = list[Word]


def _rows(words: Sequence[Word]) -> list[Row]:
    """Group words into rows from top to bottom: words belong together that are side by side for most of their height,
    so that a raised figure stays with its line."""
    rows: list[Row] = []
    tallest: list[Word] = []
    for word in sorted(words, key=lambda one: (-(one.top + one.bottom), one.left)):
        for index in range(len(rows) - 1, max(-1, len(rows) - 4), -1):
            if _beside(word, tallest[index]) and not any(_overlap(word, other) for other in rows[index]):
                rows[index].append(word)
                tallest[index] = max(word, tallest[index], key=lambda one: one.top - one.bottom)
                break
        else:
            rows.append([word])
            tallest.append(word)
    return [sorted(row, key=lambda one: one.left) for row in rows]


def _beside(one: Word, other: Word) -> bool:
    shared = min(one.top, other.top) - max(one.bottom, other.bottom)
    return shared > 0.6 * min(one.top - one.bottom, other.top - other.bottom)


def _overlap(one: Word, other: Word) -> bool:
    return min(one.right, other.right) - max(one.left, other.left) > 0.5 * min(
        one.right - one.left, other.right - other.left
    )


# -------------------------------------------------------------------------------------------------------------- columns


def _region(rows: list[Row], depth: int = 0) -> Iterator[Block]:
    """Cut off bands of columns from top to bottom, each column being a region of its own."""
    plain: list[Row] = []
    index = 0
    while index < len(rows):
        band, gutter = _band(rows[index:]) if depth < 6 else (0, 0.0)
        if not band:
            plain.append(rows[index])
            index += 1
            continue
        yield from _column(plain)
        plain = []
        inside = rows[index : index + band]
        for side in _sides(inside, gutter):
            yield from _region(side, depth + 1)
        index += band
    yield from _column(plain)


def _sides(rows: Sequence[Row], gutter: float) -> tuple[list[Row], list[Row]]:
    left = [[word for word in row if word.left < gutter] for row in rows]
    right = [[word for word in row if word.left >= gutter] for row in rows]
    return [row for row in left if row], [row for row in right if row]


def _band(rows: Sequence[Row]) -> tuple[int, float]:
    """Return how many rows from the first one on share a gutter between columns of prose, and where; 0 if none do."""
    left, right = rows[0][0].left, rows[0][-1].right
    free: list[Interval] = [(-1e9, 1e9)]
    best = (0, 0.0)
    for count, row in enumerate(rows, 1):
        left, right = min(left, row[0].left), max(right, row[-1].right)
        free = _minus(free, row)
        inner = [(low, high) for low, high in free if low >= left and high <= right]
        wide = [gap for gap in inner if gap[1] - gap[0] >= MIN_GUTTER * row[0].size]
        if count >= COLUMN_ROWS and wide:
            low, high = max(wide, key=lambda gap: gap[1] - gap[0])
            best = (count, (low + high) / 2)
        elif count >= COLUMN_ROWS:
            break
    if best[0] and all(_is_prose(side) for side in _sides(rows[: best[0]], best[1])):
        return best
    return 0, 0.0


def _minus(free: Sequence[Interval], row: Row) -> list[Interval]:
    """Take the words of a row, with the spaces between them, out of what is free."""
    for low, high in _runs(row, MIN_GUTTER):
        free = [
            part
            for begin, end in free
            for part in ((begin, min(end, low)), (max(begin, high), end))
            if part[1] > part[0]
        ]
    return list(free)


def _runs(row: Row, gap: float) -> list[Interval]:
    """Return what a row covers, gaps below `gap` letters' heights included."""
    found = [(row[0].left, row[0].right)]
    for before, word in pairwise(row):
        if word.left - found[-1][1] < gap * min(before.size, word.size):
            found[-1] = (found[-1][0], max(found[-1][1], word.right))
        else:
            found.append((word.left, word.right))
    return found


def _is_prose(rows: Sequence[Row]) -> bool:
    if len(rows) < COLUMN_ROWS:
        return False
    width = max(row[-1].right for row in rows) - min(row[0].left for row in rows)
    filled = median(row[-1].right - row[0].left for row in rows)
    return filled >= COLUMN_FILLED * width and median(len(row) for row in rows) >= COLUMN_WORDS


# ------------------------------------------------------------------------------------------------ tables and paragraphs


def _column(rows: Sequence[Row]) -> Iterator[Block]:
    """Part a column's rows into tables and the lines between them."""
    start = 0
    while start < len(rows):
        count = _table_rows(rows[start:])
        if count:
            inside = rows[start : start + count]
            yield Block("table", tuple(_lines(inside)), table(_cells(inside)))
            start += count
            continue
        end = start + 1
        while end < len(rows) and not _table_rows(rows[end:]):
            end += 1
        yield Block("lines", tuple(_lines(rows[start:end])))
        start = end


def _table_rows(rows: Sequence[Row]) -> int:
    """Return how many rows from the first one on are a table: at least two, of at least two cells below each other."""
    if len(_runs(rows[0], CELL_GAP)) < 2:
        return 0
    free: list[Interval] = [(-1e9, 1e9)]
    found = 0
    for count, (before, row) in enumerate(pairwise([rows[0], *rows]), 1):
        if before is not row and before[0].bottom - row[0].top > 2.5 * row[0].size:
            break
        before_it = len(free) - 2
        free = [gap for gap in _minus(free, row) if gap[1] - gap[0] >= MIN_GUTTER * row[0].size]
        if len(free) < 3 or len(free) - 2 < KEPT_COLUMNS * before_it:
            break
        found = count if len(_runs(row, CELL_GAP)) >= 2 else found
    return found if found >= 2 else 0


def _cells(rows: Sequence[Row]) -> list[list[str]]:
    free: list[Interval] = [(-1e9, 1e9)]
    for row in rows:
        free = [gap for gap in _minus(free, row) if gap[1] - gap[0] >= MIN_GUTTER * row[0].size]
    edges = sorted((low + high) / 2 for low, high in free[1:-1])
    return [_row_cells(row, edges) for row in rows]


def _row_cells(row: Row, edges: Sequence[float]) -> list[str]:
    cells: list[list[str]] = [[] for _ in range(len(edges) + 1)]
    for word in row:
        cells[sum(word.left >= edge for edge in edges)].append(word.text)
    return [" ".join(cell) for cell in cells]


def _lines(rows: Sequence[Row]) -> Iterator[Line]:
    left, right = min(row[0].left for row in rows), max(row[-1].right for row in rows)
    for before, row in pairwise([None, *rows]):
        assert row is not None
        space = min(one.bottom for one in before) - max(one.top for one in row) if before else 0.0
        full = row[-1].right - left >= LINE_FULL * (right - left) and len(row) >= COLUMN_WORDS
        yield Line(tuple(row), full, gap=space > PARAGRAPH_GAP * min(_height(row), _height(before or row)))


def _height(row: Row) -> float:
    return max(word.size for word in row)
