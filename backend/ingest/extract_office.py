"""Office, e-book and RTF documents → Markdown: by own code where that loses less, else by kreuzberg. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from kreuzberg import (
    ExtractionConfig,
    ExtractionResult,
    KreuzbergError,
    extract_bytes_sync,
)

from backend.domain import Extracted, Metadata
from backend.errors import Unreadable
from backend.ingest.clean import clean_text
from backend.ingest.extract_docx import extract_docx
from backend.ingest.extract_pptx import extract_pptx
from backend.ingest.ooxml import Damaged, instant, known
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
}


_OWN: Mapping[Kind, Callable[[bytes], Extracted]] = {"docx": extract_docx, "pptx": extract_pptx}
"""What is read by own code first; what that cannot parse, or finds nothing in, is left to kreuzberg."""
NOTHING = Extracted("")


def extract_office(content: bytes, kind: Kind) -> Extracted:
    """Return the text of a document of one of `MEDIA_TYPES`. Unreadable, with the reason, where there is none."""
    if kind in _OWN:
        try:
            found = _OWN[kind](content)
        except Damaged:
            found = NOTHING
        if any(map(str.isalnum, found.text)):
            return found
    return _by_kreuzberg(content, kind)


def _by_kreuzberg(content: bytes, kind: Kind) -> Extracted:
    result = _extract(content, kind)
    text = clean_text(result.content)
    if not any(character.isalnum() for character in text):
        raise Unreadable("The document has no text.")
    title = known(result.metadata.get("title"))
    return Extracted(text=text, title=title, metadata=_metadata(result, kind))


def _extract(content: bytes, kind: Kind) -> ExtractionResult:
    config = ExtractionConfig(use_cache=False, enable_quality_processing=False, output_format="markdown")
    try:
        return extract_bytes_sync(content, MEDIA_TYPES[kind], config)
    except KreuzbergError as error:
        encrypted = "password" in str(error).lower() or "encrypted" in str(error).lower()
        raise Unreadable(ENCRYPTED if encrypted else DAMAGED) from None


def _metadata(result: ExtractionResult, kind: Kind) -> Metadata:
    found = result.metadata
    authors = (known(author) for author in found.get("authors") or ())
    return Metadata(
        author=tuple(dict.fromkeys(author for author in authors if author)),
        doc_type=kind,
        language=(found.get("language") or "").lower()[:2],
        published_at=instant(found.get("modified_at") or found.get("created_at")),
        tags=tuple(dict.fromkeys(known(word) for word in found.get("keywords") or () if known(word))),
    )
