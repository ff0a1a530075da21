"""Text → pages that each fit one Slack message. Pure; pages only grow at their end, so that they can be streamed."""

from __future__ import annotations

import re

_FENCE = re.compile(r"^[ ]{0,3}(```+|~~~+)([^\n`]*)$", re.MULTILINE)
_DELIMITERS = re.compile(r"^\|[ :|-]*-[ :|-]*$")
_MAX_HEAD = 1_000
_CLOSING_ROOM = 16
"""Characters kept free for closing a code block at a page's end."""


class Pages:
    """A text as it grows, cut into pages of at most `limit` characters.

    A code block that a page's end cuts through is closed there and opened again on the next page; a table's head is
    repeated above the rows that go on there.
    """

    def __init__(self, limit: int) -> None:
        self._room = limit - _CLOSING_ROOM
        self.pages: list[str] = [""]
        self._head = ""
        """Of the table that the last page's end cut through, while it is not known whether more rows come."""

    @property
    def is_between(self) -> bool:
        """Whether a page may end here without cutting a line of a table or of code in two."""
        last = self.pages[-1]
        return last.endswith("\n") or not (open_fence(last) or open_table(last))

    def add(self, text: str) -> None:
        """Append text; it begins a new page where it does not fit whole, and is cut only if no page could hold it."""
        if self._head and text:
            text, self._head = (self._head if text.startswith("|") else "") + text, ""
        while text:
            free = self._room - len(self.pages[-1])
            if len(text) <= free:
                self.pages[-1] += text
                return
            if len(text) > self._room:
                piece = text[: cut_at(text, free)]
                self.pages[-1] += piece
                text = text[len(piece) :]
            self.turn()
            text, self._head = (self._head if text.startswith("|") else "") + text, ""

    def turn(self) -> None:
        """Begin a new page, unless the last one is still empty."""
        last = self.pages[-1]
        if not last:
            return
        fence = open_fence(last)
        if fence is not None:
            marks, language = fence
            self.pages[-1] = f"{last}{'' if last.endswith(chr(10)) else chr(10)}{marks}"
            self.pages.append(f"{marks}{language}\n")
        else:
            self._head = open_table(last)
            self.pages.append("")


def open_table(text: str) -> str:
    """Return the two head lines of the table that `text` ends in, or "". Long heads are not worth repeating."""
    lines = text.splitlines(keepends=True)
    rows = len(lines)
    while rows and lines[rows - 1].startswith("|"):
        rows -= 1
    table = lines[rows:]
    if len(table) < 2 or not _DELIMITERS.match(table[1]) or len(table[0]) + len(table[1]) > _MAX_HEAD:
        return ""
    return table[0] + table[1].rstrip("\n") + "\n"


def open_fence(text: str) -> tuple[str, str] | None:
    """Return the marks and the language of the code block that `text` leaves open, or None."""
    opened: tuple[str, str] | None = None
    for found in _FENCE.finditer(text):
        marks, rest = found.group(1), found.group(2).strip()
        if opened is None:
            opened = (marks, rest[:40])
        elif marks.startswith(opened[0]) and not rest:
            opened = None
    return opened


def cut_at(text: str, limit: int) -> int:
    """Return where to cut `text` so that at most `limit` characters come first: after a line, else after a word."""
    if limit <= 0:
        return 0
    for mark in ("\n", " "):
        at = text.rfind(mark, limit // 2, limit)
        if at >= 0:
            return at + 1
    return limit
