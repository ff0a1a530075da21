"""Bytes → text and text → clean text: charsets, line ends, invisible characters. Pure."""

from __future__ import annotations

import codecs
import re
import unicodedata

from charset_normalizer import from_bytes

_BOMS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_CHARSET = re.compile(r"charset\s*=\s*[\"']?([\w.:-]{2,40})", re.I)
_SAMPLE = 200_000
_WESTERN = frozenset("äöüßÄÖÜéèêëàâçîïôûùñáíóúãõåæøœÉÀÇÅÆØ¿¡–—‘’“”„‚‹›«»…•€£§°·©®™½²³\u00a0")
_SPACES = dict.fromkeys([0x0B, 0xA0, *range(0x2000, 0x200B), 0x202F, 0x205F, 0x3000], " ")
_LINE_ENDS = dict.fromkeys(map(ord, "\u2028\u2029\u0085\x0c"), "\n")
_INVISIBLE = re.compile(
    "[\x00-\x08\x0e-\x1f\x7f-\x84\x86-\x9f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180e\u200b\u200e\u200f"
    "\u202a-\u202e\u2060-\u206f\u3164\ufe00-\ufe0e\ufeff\uffa0\ufff0-\ufffb\ufffe\uffff"
    "\U0001d173-\U0001d17a\U000e0000-\U000e0fff\ud800-\udfff]"
)
"""Control, bidirectional, zero-width, filler and tag characters, which can hide or reorder text. The joiners U+200C and
U+200D are handled apart: Persian, Indic scripts and emoji need them."""
_JOINER = re.compile(
    "(?<![\u0590-\u0dff\u1780-\u17ff\u2600-\u27bf\ufe0f\U0001f000-\U0001faff])[\u200c\u200d]+|[\u200c\u200d]{2,}"
)
_TRAILING = re.compile(r"[ \t]+$", re.M)
_BLANK_LINES = re.compile(r"\n{4,}")


def clean_text(text: str) -> str:
    """Return the text in NFC with `\\n` line ends and without invisible characters or trailing spaces.

    Two trailing spaces, Markdown's line break, become its other form, a backslash.
    """
    text = text.replace("\r\n", "\n").replace("\r", "\n").translate(_LINE_ENDS | _SPACES)
    text = _JOINER.sub("", _INVISIBLE.sub("", text))
    text = re.sub(r"(?<=\S) {2,}\n(?=\S)", "\\\\\n", text)
    return _BLANK_LINES.sub("\n\n\n", _TRAILING.sub("", unicodedata.normalize("NFC", text))).strip("\n")


def decode(content: bytes, declared: str = "") -> str:
    """Decode text of an unknown charset; never fails.

    In order: byte order mark, UTF-16 by its NULs, UTF-8 (which other charsets do not pass for), what the header or the
    document declares, Windows-1252 where that gives Western letters only, statistics, and at last Windows-1252 with
    replacement characters.
    """
    for bom, charset in _BOMS:
        if content.startswith(bom):
            return content[len(bom) :].decode(charset, "replace")
    for candidate in (_utf16(content), "utf-8", _charset(declared), _charset(content[:2_048].decode("latin-1"))):
        text = _strictly(content, candidate)
        if text is not None:
            return text
    western = content.decode("cp1252", "replace")
    if all(character < "\x80" or character in _WESTERN for character in western[:_SAMPLE]):
        return western
    best = from_bytes(content[:_SAMPLE]).best()
    text = _strictly(content, best.encoding if best else "")
    return text if text is not None else western


def _utf16(content: bytes) -> str:
    """Guess UTF-16 without a mark: mostly Latin text has a NUL in every other byte."""
    sample = content[:2_000]
    if len(sample) < 4 or sample.count(0) < len(sample) // 4:
        return ""
    return "utf-16-le" if sample[1::2].count(0) > sample[0::2].count(0) else "utf-16-be"


def _charset(declared: str) -> str:
    match = _CHARSET.search(declared)
    name = match.group(1).lower() if match else ""
    return "cp1252" if name in ("iso-8859-1", "latin1", "latin-1", "us-ascii", "ascii") else name


def _strictly(content: bytes, charset: str) -> str | None:
    if not charset:
        return None
    try:
        return codecs.decode(content, charset) if codecs.lookup(charset)._is_text_encoding else None
    except (LookupError, ValueError):
        return None
