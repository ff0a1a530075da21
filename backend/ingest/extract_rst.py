"""reStructuredText → Markdown. Pure.

Own code, since what Sphinx adds to the language is unknown to its parsers, which leave out what they do not know.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from backend.domain import Extracted, Metadata
from backend.ingest.html_markdown import fence, table

_ADORNED = re.compile(r"([!-/:-@\[-`{-~])\1{2,}\s*$")
_DIRECTIVE = re.compile(r"^( *)\.\. ([\w:.+-]+)::[ \t]*(.*)$")
_COMMENT = re.compile(r"^( *)\.\.(?:\s+(?!_|\[|\|).*)?$")
_TARGET = re.compile(r"^ *\.\. _[^:]*:.*$|^ *__ .*$")
_NOTE = re.compile(r"^( *)\.\. \[([^\]]+)\] ")
_OPTION = re.compile(r"^\s+:([\w-]+):[ \t]*(.*)$")
_FIELD = re.compile(r"^:([\w -]+):[ \t]+(.+)$")
_ROLE = re.compile(r":[\w:+.-]+:`([^`<]+?)(?:\s*<[^`>]*>)?`")
_LINK = re.compile(r"`([^`<]+?)\s*<[^`>]*>`__?|`([^`]+)`__?")
_SILENT = frozenset(
    "toctree image figure contents raw include index highlight meta role default-role only tabularcolumns".split()  # noqa: SIM905
)
_CODE = frozenset("code code-block sourcecode parsed-literal literalinclude math prompt doctest testcode".split())  # noqa: SIM905


def rst_to_markdown(text: str) -> Extracted:
    """Return reStructuredText as Markdown: headings by their lines, directives by their text, roles by their text."""
    return _Rst(text.expandtabs(8).split("\n")).extracted()


class _Rst:
    def __init__(self, lines: Sequence[str]) -> None:
        self._lines = lines
        self._levels: list[str] = []
        self._fields: dict[str, str] = {}

    def extracted(self) -> Extracted:
        text = "\n".join(self._blocks())
        author = self._fields.get("author", "") or self._fields.get("authors", "")
        return Extracted(
            text=text,
            title=self._fields.get("title", ""),
            metadata=Metadata(
                author=tuple(name.strip() for name in re.split(r"[;,]", author) if name.strip()), doc_type="rst"
            ),
        )

    def _blocks(self) -> Iterator[str]:
        at = 0
        while at < len(self._lines):
            line = self._lines[at]
            heading = self._heading(at)
            if heading:
                used, level, title = heading
                yield f"\n{'#' * min(level, 6)} {_inline(title.strip())}\n"
                at += used
            elif directive := _DIRECTIVE.match(line):
                body, at = self._indented(at + 1, len(directive.group(1)))
                yield from _directive(directive.group(2), directive.group(3), body)
            elif _TARGET.match(line):
                at += 1
            elif note := _NOTE.match(line):
                yield f"\n\\[{note.group(2)}\\] {_inline(line[note.end() :])}"
                at += 1
            elif _COMMENT.match(line):
                _, at = self._indented(at + 1, len(line) - len(line.lstrip()))
            elif (found := _FIELD.match(line)) and len(self._levels) < 2:
                self._fields[found.group(1).strip().lower()] = found.group(2).strip()
                at += 1
            elif line.rstrip().endswith("::"):
                yield _inline(line.rstrip().removesuffix("::") + ":") if line.strip() != "::" else ""
                body, at = self._indented(at + 1, len(line) - len(line.lstrip()))
                yield f"\n{fence(_dedented(body))}\n" if any(map(str.strip, body)) else ""
            elif _is_rule(line):
                rows, at = self._table(at)
                yield "\n" + table(rows) + "\n" if rows else ""
            else:
                yield _inline(line)
                at += 1

    def _heading(self, at: int) -> tuple[int, int, str] | None:
        """Return how many lines a heading takes, its level and its text; None where there is none."""
        lines = [*self._lines[at : at + 3], "", "", ""]
        over = _ADORNED.fullmatch(lines[0])
        if over and lines[1].strip() and lines[2].strip() == lines[0].strip() and not _is_rule(lines[0]):
            return 3, self._level(over.group(1) * 2), lines[1]
        under = _ADORNED.fullmatch(lines[1])
        plain = lines[0].strip() and not lines[0].startswith(" ") and not _ADORNED.fullmatch(lines[0])
        if under and plain and len(lines[1].strip()) >= 0.7 * len(lines[0].strip()):
            return 2, self._level(under.group(1)), lines[0]
        return None

    def _level(self, mark: str) -> int:
        if mark not in self._levels:
            self._levels.append(mark)
        return self._levels.index(mark) + 1

    def _indented(self, at: int, indent: int) -> tuple[list[str], int]:
        """Return the lines that are indented further than this, and where they end."""
        end = at
        while end < len(self._lines) and (
            not self._lines[end].strip() or len(self._lines[end]) - len(self._lines[end].lstrip()) > indent
        ):
            end += 1
        return list(self._lines[at:end]), end

    def _table(self, at: int) -> tuple[list[list[str]], int]:
        """Return the rows of a simple table or a grid."""
        end = at
        while end < len(self._lines) and self._lines[end].strip():
            end += 1
        if self._lines[at].lstrip().startswith("+"):
            return _grid(self._lines[at:end]), end
        rules = [number for number in range(at, len(self._lines)) if _is_rule(self._lines[number])][:3]
        last = rules[-1] if len(rules) > 1 else at
        return _simple(self._lines[at : last + 1]), last + 1


def _is_rule(line: str) -> bool:
    """Whether a line is a border of a table: several runs of `=`, or `+---+`."""
    text = line.strip()
    return bool(re.fullmatch(r"=+(?: +=+)+|\+(?:[-=]+\+)+", text))


def _simple(lines: Sequence[str]) -> list[list[str]]:
    columns = [(run.start(), run.end()) for run in re.finditer("=+", lines[0])]
    ends = [start for start, _ in columns[1:]] + [10_000]
    rows = [line for line in lines if line.strip() and not re.fullmatch(r"[=\- ]+", line)]
    return [[_plain(row[start:end]) for (start, _), end in zip(columns, ends, strict=True)] for row in rows]


def _grid(lines: Sequence[str]) -> list[list[str]]:
    rows: list[list[str]] = []
    fresh = True
    for line in lines:
        if line.lstrip().startswith("+"):
            fresh = True
            continue
        cells = [_plain(cell) for cell in line.strip().strip("|").split("|")]
        if fresh or not rows or len(rows[-1]) != len(cells):
            rows.append(cells)
        else:
            rows[-1] = [f"{above} {cell}".strip() for above, cell in zip(rows[-1], cells, strict=True)]
        fresh = False
    return rows


def _directive(name: str, argument: str, body: list[str]) -> Iterator[str]:
    while body and (_OPTION.match(body[0]) or (not body[0].strip() and len(body) > 1 and _OPTION.match(body[1]))):
        body = body[1:]
    if name in _CODE:
        code = _dedented(body)
        yield (
            f"\n{fence(code, argument.strip() if name.startswith(('code', 'source')) else '')}\n"
            if code.strip()
            else ""
        )
    elif name == "figure" or name not in _SILENT:
        shown = "" if name == "figure" else argument
        yield f"\n{_inline(shown)}" if shown.strip() else ""
        yield rst_to_markdown(_dedented(body)).text


def _dedented(lines: Sequence[str]) -> str:
    indents = [len(line) - len(line.lstrip()) for line in lines if line.strip()]
    cut = min(indents, default=0)
    return "\n".join(line[cut:].rstrip() for line in lines).strip("\n")


def _inline(line: str) -> str:
    """Return a line with its markup as Markdown's, which is much alike."""
    shown = _LINK.sub(lambda link: link.group(1) or link.group(2), _ROLE.sub(r"\1", line))
    return re.sub(r"^(\s*)#\.", r"\g<1>1.", shown.replace("``", "`"))


def _plain(cell: str) -> str:
    return _inline(cell.strip()).replace("`", "")
