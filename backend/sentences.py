"""Text → sentence spans, by rules. Ingestion, verification and extractive answering all cut sentences here.

A line end always ends a sentence, so that list items, table rows and code lines are sentences; soft-wrapped prose must
be joined first. Within a line, a terminator ends a sentence unless it belongs to an abbreviation, an initial, a number
or a name. Linear in the length of the text.
"""

# ruff: noqa: SIM905 - word lists read best as words
from __future__ import annotations

import re
from collections.abc import Iterator

from backend.domain import Span

_CLOSERS = r"""["'”’»›」』】）)\]}*_`]*+"""
_TERMINATOR = re.compile(
    rf"(?:(?<![.!?…])[.!?…]++|(?<![؟۔।॥։።။])[؟۔।॥։።။]++){_CLOSERS}(?:\s?\[\d{{1,3}}\])*(?=\s|\Z)"
    rf"|[。！？｡]++[”’」』】）)\]]*+(?:\[\d{{1,3}}\])*"
)
"""Marks that end a sentence before a space, and those of Chinese and Japanese, which need none. Citation markers such
as `[2]` that follow a mark belong to the sentence that it ends."""

_MARKER = re.compile(r"[ \t]*(?:[-*+•‣◦▪–]|\(?\d{1,3}[.)]|[a-z]\.|[a-zA-Z]\))(?:\s+\[[ xX]\])?\s+|\s+")
_OPENERS = "\"'“‘«‹「『（([{*_`¿¡ \t"
_WORD = re.compile(r"[\w'’-]{1,64}")
_HAS_WORD = re.compile(r"[^\W_]")
_ACRONYM = re.compile(r"(?:[^\W\d_]\.)+[^\W\d_]\Z")
_LOOKBACK = 40

_NEVER_LAST = frozenset(
    "dr mr mrs ms mx prof st mt rev hon gen col lt sgt capt cmdr maj gov sen rep messrs mme mlle hr fr herr frau "
    "e.g eg i.e ie cf vs viz approx ca resp incl excl esp al z.b d.h bzw ggf vgl sog p.ej ej".split()
)
"""Abbreviations that do not end a sentence, whatever follows."""
_BEFORE_NUMBER = frozenset(
    "no nos nr fig figs eq eqs sec sect ch chap vol vols ed eds p pp art para tab app ver v rev ext tel c "
    "jan feb mar apr jun jul aug sep sept oct nov dec".split()
)
"""Abbreviations only where a number follows."""
_SELDOM_LAST = frozenset(
    "inc ltd corp co cos bros jr sr esq est univ dept dist assn ave blvd rd gmbh llc ph.d b.a m.a b.sc m.sc".split()
)
"""Abbreviations that end a sentence only where a word follows that mostly begins one."""
_BEFORE_LOWER = frozenset("etc a.m p.m am pm min max avg misc temp std hrs hr mins secs usw u.a".split())
"""Abbreviations that do not end a sentence where a small letter follows."""
_STARTERS = frozenset(
    "the a an this that these those there here it its he she they we you i my our your his her their if when while "
    "where what who why how in on at as for from with without after before since during because although however "
    "but and or so yet then thus also please see note all each every some many most no not do does did is are was "
    "to by under once both only der die das es er sie wir ich ein eine im am le la les il elle un une".split()
)
_MONTHS = frozenset("januar februar märz april mai juni juli august september oktober november dezember jänner".split())


def sentence_spans(text: str) -> list[Span]:
    """Return the trimmed spans of the sentences in `text`, in order, without the list marker in front of an item.

    Spans do not overlap and hold at least one letter or digit each; what lies between them (white space, list markers,
    rules, fences) belongs to no sentence.
    """
    return [span for line in _lines(text) for span in _line_spans(text, *line)]


def sentences(text: str) -> list[str]:
    """Return the sentences themselves."""
    return [text[start:end] for start, end in sentence_spans(text)]


def _lines(text: str) -> Iterator[Span]:
    start = 0
    while start <= len(text):
        end = text.find("\n", start)
        end = len(text) if end < 0 else end
        yield start, end
        start = end + 1


def _line_spans(text: str, start: int, end: int) -> Iterator[Span]:
    start = _after_marker(text, start, end)
    if text.startswith("|", start):
        yield from _trimmed(text, start, end)
        return
    for match in _TERMINATOR.finditer(text, start, end):
        if match.end() < end and _ends_sentence(text, start, match, end):
            yield from _trimmed(text, start, match.end())
            start = match.end()
    yield from _trimmed(text, start, end)


def _after_marker(text: str, start: int, end: int) -> int:
    marker = _MARKER.match(text, start, end)
    return marker.end() if marker and marker.end() < end else start


def _trimmed(text: str, start: int, end: int) -> Iterator[Span]:
    while start < end and text[start].isspace():
        start += 1
    while end > start and text[end - 1].isspace():
        end -= 1
    if _HAS_WORD.search(text, start, end):
        yield start, end


def _ends_sentence(text: str, start: int, match: re.Match[str], end: int) -> bool:
    mark = match.group()
    if mark[0] not in ".!?…":
        return True
    following = _following(text, match.end(), end)
    if mark[0] != "." or mark.startswith("..") or ")" in mark:
        return not following[:1].islower()
    before = _word_before(text, start, match.start())
    return _full_stop_ends(before, following, first=_is_first(text, start, match.start(), before))


def _following(text: str, position: int, end: int) -> str:
    """Return the next word as it is written, or the next character where no word begins."""
    while position < end and text[position] in _OPENERS:
        position += 1
    word = _WORD.match(text, position, end)
    return word.group() if word else text[position : position + 1]


def _word_before(text: str, start: int, position: int) -> str:
    """Return the run of non-spaces that ends at `position`, without opening brackets and quotes."""
    token = text[max(start, position - _LOOKBACK) : position]
    return token.split()[-1].lstrip(_OPENERS) if token.strip() and not token[-1].isspace() else ""


def _is_first(text: str, start: int, position: int, before: str) -> bool:
    """Whether at most one word stands before `before`: "1." or "Step 1." is a label rather than a sentence."""
    if len(before) > 3:
        return False
    return position - start < _LOOKBACK and len(text[start:position].split()) <= 2 and before.isdigit()


def _full_stop_ends(before: str, following: str, *, first: bool) -> bool:
    """Decide on one full stop between the words `before` and `following`."""
    word = before.lower()
    starter = following.lower() in _STARTERS and following[:1].isupper()
    if word in _NEVER_LAST or first:
        return False
    if word in _BEFORE_NUMBER and following[:1].isdigit():
        return False
    if before.isdigit() and len(before) <= 2 and following.lower() in _MONTHS:
        return False
    if word in _BEFORE_LOWER:
        return not following[:1].islower()
    if word in _SELDOM_LAST or _is_initial(before) or _ACRONYM.match(before):
        return starter
    return not following[:1].islower() or _may_precede_small_letter(before, following)


def _is_initial(before: str) -> bool:
    return len(before) == 1 and before.isupper()


def _may_precede_small_letter(before: str, following: str) -> bool:
    """Whether a sentence may go on in small letters: chat style, or a name such as iPhone."""
    return (len(before) >= 4 and before.isalpha()) or not following.islower()
