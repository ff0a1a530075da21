"""Draft text in pieces of any size → finished sentences with their markers. Pure but for reading the stream."""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import aclosing
from dataclasses import dataclass

from backend.query.pauses import with_pauses
from backend.query.words import MARKER
from backend.sentences import sentence_spans

NO_ANSWER = "NO_ANSWER"
"""What the answer prompt tells the LLM to write when the sources do not answer."""

PAUSE = 0.04
"""Seconds of silence behind what can only be a whole sentence, after which it is not held back for what may follow:
with its verification it leaves well within 100 ms of its last token."""
MAX_UNIT = 4_000
"""Characters in which a draft must come to the end of a sentence, list item or block; it is cut there if it does not,
so that no draft can hold everything back, or cost ever more to be read."""

_SPACE = re.compile(r"\s*")
_FENCE = re.compile(r"(```|~~~).*?\n\1[ \t]*(?=\n|\Z)", re.DOTALL)
_TABLE = re.compile(r"(?:\|[^\n]*(?:\n[ \t]*(?=\|)|(?=\n|\Z)))+")
_HEADING = re.compile(r"#{1,6}[ \t]")
_MARKERS = re.compile(r"(?:\s*\[\d{1,3}(?:\s*,\s*\d{1,3})*\])*")
_AFTER_STOP = re.compile(r"([.!?…]+[\"'”’)]*)((?:[ \t]*\[\d{1,3}(?:\s*,\s*\d{1,3})*\])+)")
_MAYBE_MARKER = re.compile(r"\s*(?:\[[\d\s,]*)?\Z")
_WHOLE_WORD = re.compile(r"\s*\S+\s")
_ENDED = re.compile(r"(?:\][ \t]*[.!?…]+|[。！？｡]+(?:\[\d{1,3}\])*)[\"'”’」』)*_]*\Z")
"""The end of a sentence that leaves no doubt: a marker and a full stop, or a full stop of Chinese or Japanese."""
_EMPTY_BRACKETS = re.compile(r"[ \t]*\(\s*\)")


@dataclass(frozen=True, slots=True)
class Drafted:
    """One finished unit of a draft: a sentence, a list item, or a whole table or code block.

    `text` is without markers and list marker; `markers` are the evidence numbers that it cites, in order; `lead` is
    the white space and list marker in front of it; a `block` keeps its lines.
    """

    text: str
    markers: tuple[int, ...] = ()
    lead: str = ""
    block: bool = False


@dataclass(frozen=True, slots=True)
class _Cut:
    """What was cut off the front of a buffer: up to `end`, with a unit unless there was nothing to say."""

    end: int
    drafted: Drafted | None = None


async def drafted_sentences(pieces: AsyncIterator[str], *, pause: float = PAUSE) -> AsyncGenerator[Drafted, None]:
    """Yield each sentence of a streamed draft as soon as it, and any marker behind it, is complete.

    Headings, rules and NO_ANSWER are left out. `pieces` is read by a task that ends, and closes it, with this
    generator: close it.
    """
    buffer, begun = "", False
    async with aclosing(with_pauses(pieces, pause)) as heard:
        async for piece in heard:
            buffer += piece or ""
            final = len(buffer) > MAX_UNIT
            ready, rest = cut_sentences(buffer, begun=begun, final=final, paused=piece is None)
            begun, buffer = begun or len(rest) < len(buffer), rest
            for drafted in ready:
                yield drafted
    for drafted in cut_sentences(buffer, begun=begun, final=True)[0]:
        yield drafted


def cut_sentences(
    buffer: str, *, begun: bool = False, final: bool = True, paused: bool = False
) -> tuple[list[Drafted], str]:
    """Cut the finished units off a buffer; return them and the rest, "" when `final`.

    `begun` says that the buffer goes on within a draft, so that its first sentence may stand within a line; `paused`,
    that nothing has followed it for a moment.
    """
    ready: list[Drafted] = []
    while (cut := _cut(buffer, begun=begun, final=final, paused=paused)) is not None:
        if cut.drafted and cut.drafted.text.strip() and NO_ANSWER not in cut.drafted.text:
            ready.append(cut.drafted)
        buffer, begun = buffer[cut.end :], True
    return ready, "" if final else buffer


def _cut(buffer: str, *, begun: bool, final: bool, paused: bool) -> _Cut | None:
    """Cut one unit, or return None where more of the draft is needed (or nothing is left)."""
    space = _SPACE.match(buffer)
    start = space.end() if space else 0
    if start == len(buffer):
        return None
    lead = _lead(buffer[:start], begun=begun)
    if lead != " ":
        if buffer.startswith(("```", "~~~"), start):
            return _cut_block(buffer, start, lead, _FENCE, final=final)
        if buffer.startswith("|", start):
            return _cut_block(buffer, start, lead, _TABLE, final=final)
    return _cut_text(buffer, start, lead, final=final, paused=paused)


def _lead(space: str, *, begun: bool) -> str:
    if not begun:
        return ""
    lines = space.count("\n")
    return "\n\n" if lines > 1 else "\n" if lines else " "


def _cut_block(buffer: str, start: int, lead: str, shape: re.Pattern[str], *, final: bool) -> _Cut | None:
    match = shape.match(buffer, start)
    end = match.end() if match else len(buffer)
    if not final and (not match or _MAYBE_MARKER.match(buffer, end)):
        return None
    markers = _MARKERS.match(buffer, end)
    after = markers.end() if markers else end
    return _Cut(after, _drafted(buffer[start:end], buffer[start:after], lead, block=True))


def _cut_text(buffer: str, start: int, lead: str, *, final: bool, paused: bool) -> _Cut | None:
    stop = buffer.find("\n", start)
    whole = final or stop >= 0
    stop = len(buffer) if stop < 0 else stop
    heading = lead != " " and _HEADING.match(buffer, start)
    line = buffer[start:stop]
    spans = sentence_spans(line)
    if heading or not spans:
        return _Cut(stop) if whole else None
    first, end = spans[0]
    end = _with_markers(line, end)
    held = _MAYBE_MARKER.match(line, end) or not _WHOLE_WORD.match(line, end)
    if not whole and held and not (paused and _has_ended(line, end)):
        return None
    return _Cut(start + end, _drafted(line[first:end], line[first:end], lead + _list_marker(line, first)))


def _has_ended(line: str, end: int) -> bool:
    """Whether a line that stops here has come to the end of a sentence, whatever word follows: no abbreviation, no
    number of which more may come."""
    if line[end:].strip():
        return False
    return bool(_ENDED.search(line, 0, end)) or len(sentence_spans(f"{line[:end]} x")) > 1


def _list_marker(line: str, first: int) -> str:
    """Return the list marker in front of the first sentence of a line; opening quotes and the like are not one."""
    before = line[:first]
    return before.lstrip() if before.strip() else ""


def _with_markers(line: str, end: int) -> int:
    """Return where a sentence ends with the markers that follow its full stop, and a full stop after those."""
    markers = _MARKERS.match(line, end)
    if not markers or markers.end() == end:
        return end
    after = markers.end()
    return after + 1 if line[after : after + 1] in (".", "!", "?") else after


def _drafted(text: str, cited: str, lead: str, *, block: bool = False) -> Drafted:
    cited = cited if block else _AFTER_STOP.sub(r"\2\1", cited)
    text = text if block else cited
    plain = _EMPTY_BRACKETS.sub("", MARKER.sub("", text))
    return Drafted(text=plain.strip(), markers=tuple(_numbers(cited)), lead=lead, block=block)


def _numbers(text: str) -> Iterator[int]:
    seen: set[int] = set()
    for match in MARKER.finditer(text):
        for number in match.group(1).split(","):
            if (n := int(number)) not in seen:
                seen.add(n)
                yield n
