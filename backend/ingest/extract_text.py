"""Plain text and CSV → Markdown. Pure."""

from __future__ import annotations

import csv
import io
import re
from itertools import chain

_TAG = re.compile(r"<(?=[A-Za-z/!?])")
_BLOCK = re.compile(r"\s*(?:[-*+•>|#]|\d{1,3}[.)]\s|```|~~~|=+$|-+$)")
_WRAPPED = 60
"""In hard-wrapped prose nearly every line but a paragraph's last is at least this long."""
MAX_CELL = 2_000


def plain_to_markdown(text: str) -> str:
    """Return plain text as Markdown that reads the same: short lines stay lines, `<x>` is no tag."""
    paragraphs = re.split(r"(\n[ \t]*(?:\n[ \t]*)+)", _TAG.sub(r"\\<", text))
    return "".join(_paragraph(part) if part.strip() else part for part in paragraphs)


def _paragraph(text: str) -> str:
    lines = text.split("\n")
    wrapped = sum(len(line) >= _WRAPPED for line in lines[:-1]) * 2 > len(lines) - 1
    if wrapped or len(lines) == 1 or any(map(_BLOCK.match, lines)) or text.startswith(("    ", "\t")):
        return text
    return "\\\n".join(lines)


def csv_to_markdown(text: str, *, tabs: bool = False) -> str:
    """Return rows of a CSV as a Markdown table, its first row as the header."""
    csv.field_size_limit(max(csv.field_size_limit(), len(text)))
    rows = [row for row in _rows(text, tabs=tabs) if any(cell.strip() for cell in row)]
    if not rows:
        return ""
    width = max(map(len, rows))
    lines = [_row([*row, *[""] * (width - len(row))]) for row in rows]
    return "\n".join(chain(lines[:1], ["|" + " --- |" * width], lines[1:]))


def _rows(text: str, *, tabs: bool) -> list[list[str]]:
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    try:
        delimiter = csv.Sniffer().sniff(text[:10_000], delimiters="\t" if tabs else ",;|\t").delimiter
    except csv.Error:
        delimiter = "\t" if tabs else ","
    try:
        return list(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter))
    except csv.Error:
        return [[line] for line in text.splitlines()]


def _row(cells: list[str]) -> str:
    return "| " + " | ".join(" ".join(cell.split())[:MAX_CELL].replace("|", "\\|") for cell in cells) + " |"
