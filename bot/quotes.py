"""Where a citation leads: its source opened at the quote, and the quote as it is shown. Pure."""

from __future__ import annotations

import re
from urllib.parse import quote, urlsplit, urlunsplit

MAX_QUOTE = 600
"""Characters of a quote that are shown."""
WHOLE_WORDS = 10
"""Up to so many words the fragment carries the quote as a whole; longer ones are matched by their two ends."""
END_WORDS = 4
MAX_URL = 2_000

_LINK = re.compile(r"!?\[([^\]]*)\]\([^)]*\)")
_LINE_MARKS = re.compile(r"^\s*(?:#{1,6}\s+|[-*+]\s+|\d+[.)]\s+|>\s?|\|)", re.MULTILINE)
_INLINE_MARKS = re.compile(r"[*_`~]{1,3}(?=\S)|(?<=\S)[*_`~]{1,3}")


def plain(text: str) -> str:
    """Return a document's Markdown as its page shows it, line by line: without link targets, bullets and emphasis."""
    return _INLINE_MARKS.sub("", _LINE_MARKS.sub("", _LINK.sub(r"\1", text))).strip()


def shortened(text: str, limit: int = MAX_QUOTE) -> str:
    """Cut a text at a word boundary to at most `limit` characters, the ellipsis included."""
    text = " ".join(text.split())
    if len(text) <= limit:
        return text
    cut = text[: limit - 1]
    head, space, _ = cut.rpartition(" ")
    return (head if space and len(head) > limit // 2 else cut).rstrip(" ,;:.") + "…"


def text_fragment(text: str) -> str:
    """Return the `:~:text=` directive that finds `text` in a page (https://wicg.github.io/scroll-to-text-fragment/).

    A match cannot span two blocks of the page by one term, so long and many-line quotes are given as start and end.
    """
    lines = [line for line in (plain(line) for line in text.splitlines()) if line]
    words = " ".join(lines).split()
    if not words:
        return ""
    if len(lines) == 1 and len(words) <= WHOLE_WORDS:
        return f":~:text={_term(words)}"
    start, end = lines[0].split()[:END_WORDS], lines[-1].split()[-END_WORDS:]
    return f":~:text={_term(start)},{_term(end)}"


def _term(words: list[str]) -> str:
    """Percent-encode a term; the dash too, which otherwise marks a prefix or suffix."""
    return quote(" ".join(words), safe="").replace("-", "%2D")


def opened_at(url: str, quoted: str, page: int | None = None) -> str:
    """Return `url` opened at the quote, or at the page where there are pages; "" for what is not a web address."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return ""
    if parts.scheme not in {"http", "https"} or not parts.netloc:
        return ""
    if page is not None or parts.path.lower().endswith(".pdf"):
        fragment = f"page={page}" if page is not None else parts.fragment
    else:
        fragment = parts.fragment.partition(":~:")[0] + text_fragment(quoted)
    opened = urlunsplit(parts._replace(fragment=fragment))
    return opened if len(opened) <= MAX_URL else urlunsplit(parts)
