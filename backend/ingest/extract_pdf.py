"""PDF → Markdown with page numbers: PDFium gives letters and their places, `pdf_layout` and `pdf_text` the rest.

Pages without text are read by OCR, where there is one.
"""

from __future__ import annotations

import ctypes
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pypdfium2
from pypdfium2 import raw

from backend.domain import Extracted, Metadata
from backend.errors import Unreadable
from backend.ingest.clean import clean_text
from backend.ingest.extract_text import plain_to_markdown
from backend.ingest.ocr import Ocr, OcrTooSlow
from backend.ingest.ooxml import Damaged, known
from backend.ingest.pdf_layout import Block, Word, blocks_of
from backend.ingest.pdf_text import document_markdown
from backend.ingest.sniff import ENCRYPTED

NO_TEXT_LAYER = "The PDF has no text layer (a scan?), and OCR is not installed here; run OCR over it and try again."
NOTHING_READ = "The PDF has no text layer (a scan?), and OCR finds no text in it."
SCAN_TOO_LONG = (
    "The PDF is a scan, and only {read} of its {pages} pages could be read in the time that there is; "
    "split it into parts of at most {read} pages, or run OCR over it and try again."
)
MAX_PAGES = 5_000
DETAILED_LETTERS = 1_500_000
"""Letters of a document that are placed one by one, at about 5 µs each; pages after that are taken as PDFium orders
them."""
MIN_LETTERS = 12
"""A page with fewer letters is read by OCR, if there is one and the page shows something."""
OCR_DPI = 200
MAX_PIXELS = 25_000_000
_DATE = re.compile(r"(?:D:)?(\d{4})(\d\d)?(\d\d)?(\d\d)?(\d\d)?(\d\d)?(Z|[+-]\d\d)?'?(\d\d)?")
_BOLD = re.compile(rb"bold|black|heavy|semibold|demi", re.I)
_HYPHENS = "\x02\ufffe"
"""PDFium's marks of a hyphen at which a word was parted."""


def extract_pdf(content: bytes, ocr: Ocr | None, *, detailed: int = DETAILED_LETTERS) -> Extracted:
    """Return a PDF's text, where each page begins in it, title and metadata. `detailed` letters are placed one by one.

    Raises:
        Unreadable: it has no text, for the reason that it gives.
        Damaged: PDFium cannot open it.
    """
    try:
        document = pypdfium2.PdfDocument(content)
    except pypdfium2.PdfiumError as error:
        if "password" in str(error).lower():
            raise Unreadable(ENCRYPTED) from None
        raise Damaged(str(error)) from error
    with closing(document):
        reader = _Reader(document, ocr, detailed)
        text, pages = _assembled(reader.pages())
        if not any(map(str.isalnum, text)) and not reader.scans:
            raise Damaged("There is no text, and no image either.")
        if not any(map(str.isalnum, text)):
            raise Unreadable(reader.without_text())
        title, metadata = _described(document, reader.unread)
        return Extracted(text=text, title=title, metadata=metadata, pages=pages)


def _assembled(pages: Mapping[int, str]) -> tuple[str, tuple[tuple[int, int], ...]]:
    text, starts = "", []
    for number, page in sorted(pages.items()):
        cleaned = clean_text(page)
        if cleaned.strip():
            text += "\n\n" if text else ""
            starts.append((len(text), number))
            text += cleaned
    return text, tuple(starts)


@dataclass(slots=True)
class _Reader:
    document: Any
    ocr: Ocr | None
    detailed: int
    letters: int = 0
    scans: int = 0
    unread: int = 0

    def pages(self) -> dict[int, str]:
        """Return the Markdown of each page by its number, from 1."""
        placed: dict[int, Sequence[Block]] = {}
        found: dict[int, str] = {}
        for number in range(1, min(len(self.document), MAX_PAGES) + 1):
            try:
                page = self.document[number - 1]
            except pypdfium2.PdfiumError:  # a broken page is no reason to lose the others
                continue
            with closing(page):
                self._page(page, number, placed, found)
        if self.unread and not placed and self.unread < self.scans:
            raise Unreadable(SCAN_TOO_LONG.format(read=self.scans - self.unread, pages=self.scans))
        return found | document_markdown(placed)

    def without_text(self) -> str:
        """Return why there is no text."""
        if self.ocr is not None:
            return NOTHING_READ if not self.unread else SCAN_TOO_LONG.format(read=1, pages=self.scans)
        return NO_TEXT_LAYER

    def _page(self, page: Any, number: int, placed: dict[int, Sequence[Block]], found: dict[int, str]) -> None:
        with closing(page.get_textpage()) as textpage:
            count = textpage.count_chars()
            words = words_of(textpage, count) if self.letters < self.detailed else []
            self.letters += count
            ordered = textpage.get_text_range() if not words and count >= MIN_LETTERS else ""
        if sum(len(word.text) for word in words) >= MIN_LETTERS:
            placed[number] = blocks_of(words)
        elif any(map(str.isalnum, ordered)):  # a turned page, or one of a very long document
            found[number] = plain_to_markdown(ordered.replace("\r\n", "\n"))
        else:
            found[number] = self._scanned(page) or " ".join(word.text for word in words)

    def _scanned(self, page: Any) -> str:
        """Read a page that shows something but has no text."""
        if next(iter(page.get_objects(max_depth=2)), None) is None:
            return ""
        self.scans += 1
        if self.ocr is None:
            return ""
        try:
            return self.ocr.read(rendered(page))
        except OcrTooSlow:
            self.unread += 1
            return ""


def rendered(page: Any) -> bytes:
    """Return a page as a greyscale image in the PGM format."""
    width, height = page.get_size()
    scale = min(OCR_DPI / 72, (MAX_PIXELS / max(1.0, width * height)) ** 0.5)
    with closing(page.render(scale=scale, grayscale=True, draw_annots=False)) as bitmap:
        pixels = bytes(bitmap.to_numpy())
        return b"P5 %d %d 255\n" % (bitmap.width, bitmap.height) + pixels


# --------------------------------------------------------------------------------------------------------------- words


@dataclass(slots=True)
class _Gathered:
    """The letters of a word so far, and the box around them."""

    text: str
    left: float
    bottom: float
    right: float
    top: float
    size: float
    bold: bool
    upright: bool

    def add(self, letter: str, left: float, bottom: float, right: float, top: float) -> None:
        self.text += letter
        self.left, self.right = min(self.left, left), max(self.right, right)
        self.bottom, self.top = min(self.bottom, bottom), max(self.top, top)

    def word(self) -> Word:
        return Word(self.text, self.left, self.bottom, self.right, self.top, self.size, self.bold)


def words_of(textpage: Any, count: int) -> list[Word]:
    """Return a page's words: letters up to white space, or to a gap that is wider than one between letters.

    Words that do not stand upright, such as stamps in the margin, are left out.
    """
    return [gathered.word() for gathered in _gathered(textpage.raw, count) if gathered.upright]


def _gathered(page: Any, count: int) -> Iterator[_Gathered]:
    box = raw.FS_RECTF()
    at = ctypes.byref(box)
    word: _Gathered | None = None
    for index in range(count):
        letter = _letter(raw.FPDFText_GetUnicode(page, index))
        if letter.isspace() or not letter or not raw.FPDFText_GetLooseCharBox(page, index, at):
            if word and letter:
                yield word
                word = None
            continue
        left, bottom, right, top = box.left, box.bottom, box.right, box.top
        if word and _continues(word, left, bottom, top) and not (letter.isdigit() and _is_raised(word, bottom, top)):
            word.add(letter, left, bottom, right, top)
            continue
        if word:
            yield word
        word = _Gathered(
            letter, left, bottom, right, top, top - bottom, _is_bold(page, index), _is_upright(page, index)
        )
    if word:
        yield word


def _letter(code: int) -> str:
    """Return a letter; "" for what has no meaning as text."""
    if code == 0 or 0xD800 <= code <= 0xDFFF:
        return ""
    letter = chr(code)
    return "-" if letter in _HYPHENS else letter


def _continues(word: _Gathered, left: float, bottom: float, top: float) -> bool:
    """Whether a letter at this place belongs to the word: on its line, and close behind it."""
    if not word.bottom < (bottom + top) / 2 < word.top:
        return False
    return -2 * word.size < left - word.right < 0.25 * word.size


def _is_raised(word: _Gathered, bottom: float, top: float) -> bool:
    """Whether a figure is the number of a note rather than a part of the word."""
    return top - bottom < 0.85 * word.size and bottom > word.bottom + 0.2 * word.size


def _manner(page: Any, index: int) -> tuple[bool, bool]:
    """Whether a letter is bold, and upright."""
    return _is_bold(page, index), _is_upright(page, index)


def _is_bold(page: Any, index: int) -> bool:
    if raw.FPDFText_GetFontWeight(page, index) >= 600:
        return True
    name = ctypes.create_string_buffer(100)
    raw.FPDFText_GetFontInfo(page, index, name, 100, None)
    return bool(_BOLD.search(name.value))


def _is_upright(page: Any, index: int) -> bool:
    angle = raw.FPDFText_GetCharAngle(page, index)
    return bool(angle < 0.2 or angle > 2 * math.pi - 0.2)


# ------------------------------------------------------------------------------------------------------------ metadata


def _described(document: Any, unread: int) -> tuple[str, Metadata]:
    fields = document.get_metadata_dict(skip_empty=True)
    authors = (known(name) for name in re.split(r"[;,]| and ", fields.get("Author", "")))
    words = (known(word) for word in re.split(r"[;,]", fields.get("Keywords", "")))
    metadata = Metadata(
        author=tuple(dict.fromkeys(name for name in authors if name)),
        doc_type="pdf",
        published_at=pdf_date(fields.get("ModDate", "")) or pdf_date(fields.get("CreationDate", "")),
        tags=tuple(dict.fromkeys(word for word in words if word)),
        custom={"pages_not_read": (float(unread),)} if unread else {},
    )
    return known(fields.get("Title")), metadata


def pdf_date(text: str) -> datetime | None:
    """Return a date of a PDF, `D:YYYYMMDDHHmmSSOHH'mm'`, of which all after the year may be missing."""
    match = _DATE.match(text.strip())
    if match is None:
        return None
    year, month, day, hour, minute, second = (int(part or 0) for part in match.groups()[:6])
    zone = match.group(7) or "Z"
    offset = timedelta() if zone == "Z" else timedelta(hours=int(zone), minutes=int(zone[0] + (match.group(8) or "0")))
    try:
        found = datetime(year, month or 1, day or 1, hour, minute, second, tzinfo=timezone(offset))
    except ValueError:
        return None
    return found.astimezone(UTC) if 1970 < year < 2200 else None
