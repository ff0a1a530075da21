"""PDF, Office, e-book and RTF documents → Markdown, with page numbers for PDF, through kreuzberg. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime

from kreuzberg import (
    ExtractionConfig,
    ExtractionResult,
    KreuzbergError,
    PageConfig,
    ParsingError,
    PdfConfig,
    extract_bytes_sync,
)

from backend.domain import Extracted, Metadata
from backend.errors import Unreadable
from backend.ingest.clean import clean_text
from backend.ingest.sniff import DAMAGED, ENCRYPTED, Kind

MEDIA_TYPES: dict[Kind, str] = {
    "pdf": "application/pdf",
    "docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    "pptx": "application/vnd.openxmlformats-officedocument.presentationml.presentation",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "odt": "application/vnd.oasis.opendocument.text",
    "ods": "application/vnd.oasis.opendocument.spreadsheet",
    "odp": "application/vnd.oasis.opendocument.presentation",
    "epub": "application/epub+zip",
    "rtf": "application/rtf",
    "doc": "application/msword",
    "ppt": "application/vnd.ms-powerpoint",
    "xls": "application/vnd.ms-excel",
    "msg": "application/vnd.ms-outlook",
}
NO_TEXT_LAYER = "The PDF has no text layer (a scan?); OCR is not set up."
_PLACEHOLDER = re.compile(
    r"\W*(?:anonymous|untitled|unspecified|unknown|powerpoint presentation|microsoft word.*)?\W*\Z", re.I
)
_PROBES = 12
_PROBE_LENGTH = 40


def extract_office(content: bytes, kind: Kind) -> Extracted:
    """Return the text of a document of one of `MEDIA_TYPES`. Unreadable, with the reason, where there is none."""
    result = _extract(content, kind)
    text = clean_text(result.content)
    if not any(character.isalnum() for character in text):
        raise Unreadable(NO_TEXT_LAYER if kind == "pdf" else "The document has no text.")
    pages = page_starts(text, [page["content"] for page in result.pages or []]) if kind == "pdf" else ()
    title = _known(result.metadata.get("title"))
    return Extracted(text=text, title=title, metadata=_metadata(result, kind), pages=pages)


def _extract(content: bytes, kind: Kind) -> ExtractionResult:
    try:
        return _run(content, kind, pages=kind == "pdf")
    except ParsingError as error:
        if "password" in str(error).lower() or "encrypted" in str(error).lower():
            raise Unreadable(ENCRYPTED) from None
        if kind != "pdf":
            raise Unreadable(DAMAGED) from None
    except KreuzbergError:
        raise Unreadable(DAMAGED) from None
    try:  # a broken page tree is no reason to lose the text
        return _run(content, kind, pages=False)
    except KreuzbergError:
        raise Unreadable(DAMAGED) from None


def _run(content: bytes, kind: Kind, *, pages: bool) -> ExtractionResult:
    config = ExtractionConfig(
        use_cache=False,
        enable_quality_processing=False,
        output_format="markdown",
        pages=PageConfig(extract_pages=True) if pages else None,
        pdf_options=PdfConfig(extract_metadata=pages) if kind == "pdf" else None,
    )
    return extract_bytes_sync(content, MEDIA_TYPES[kind], config)


def _metadata(result: ExtractionResult, kind: Kind) -> Metadata:
    found = result.metadata
    authors = (_known(author) for author in found.get("authors") or ())
    return Metadata(
        author=tuple(dict.fromkeys(author for author in authors if author)),
        doc_type=kind,
        language=(found.get("language") or "").lower()[:2],
        published_at=_instant(found.get("modified_at") or found.get("created_at")),
        tags=tuple(dict.fromkeys(_known(word) for word in found.get("keywords") or () if _known(word))),
    )


def _known(value: str | None) -> str:
    """Return a metadata value in one line, "" for the placeholders that programs write."""
    text = " ".join((value or "").split())
    return "" if _PLACEHOLDER.match(text) else text


def _instant(text: str | None) -> datetime | None:
    try:
        instant = datetime.fromisoformat(text) if text else None
    except ValueError:
        return None
    if instant is None or not 1970 < instant.year < 2200:
        return None
    return instant.astimezone(UTC) if instant.tzinfo else instant.replace(tzinfo=UTC)


def page_starts(text: str, pages: Sequence[str]) -> tuple[tuple[int, int], ...]:
    """Return at which offset of `text` each page begins, by finding the pages' first words in it.

    Kreuzberg gives pages as plain text, and Markdown without page breaks; both are compared by letters and digits
    alone. A page of which no line is found gets no entry, and counts with the page before it.
    """
    kept = [offset for offset, character in enumerate(text) if character.isalnum()]
    letters = "".join(text[offset] for offset in kept)
    starts: list[tuple[int, int]] = []
    cursor = 0
    for number, page in enumerate(pages, 1):
        length = sum(character.isalnum() for character in page)
        found = 0 if number == 1 and kept else _find(letters, page, cursor, cursor + 2 * length + 5_000)
        if found is not None and length:
            starts.append((0 if number == 1 else _line_start(text, kept[found]), number))
            cursor = found + max(1, length // 2)
    return tuple(pair for index, pair in enumerate(starts) if not index or pair[0] > starts[index - 1][0])


def _find(letters: str, page: str, start: int, end: int) -> int | None:
    for line in page.splitlines()[:_PROBES]:
        probe = "".join(character for character in clean_text(line) if character.isalnum())[:_PROBE_LENGTH]
        found = letters.find(probe, start, end) if len(probe) >= 8 else -1
        if found >= 0:
            return found
    return None


def _line_start(text: str, offset: int) -> int:
    """Step back over Markdown's own marks to the start of the line, if nothing else stands before `offset` in it."""
    start = text.rfind("\n", 0, offset) + 1
    return start if not any(character.isalnum() for character in text[start:offset]) else offset
