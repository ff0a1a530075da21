"""What a document is called and what is known of it: pure decisions over what was stated, detected and fetched."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import PurePosixPath
from urllib.parse import unquote, urlsplit

import msgspec

from backend.codec import metadata_to_json
from backend.domain import Document, Extracted, Metadata, Origin, Snapshot
from backend.ingest.language import detect_language
from backend.ports import Fetched

DOC_TYPES = {
    "text/html": "html",
    "application/xhtml+xml": "html",
    "application/pdf": "pdf",
    "text/markdown": "markdown",
    "text/plain": "text",
    "text/csv": "csv",
    "application/json": "json",
    "application/rtf": "rtf",
    "application/epub+zip": "epub",
    "message/rfc822": "email",
    "application/vnd.ms-outlook": "email",
    "application/msword": "doc",
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document": "docx",
    "application/vnd.openxmlformats-officedocument.presentationml.presentation": "pptx",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": "xlsx",
    "application/vnd.oasis.opendocument.text": "odt",
}
SUFFIXES = {"md": "markdown", "htm": "html", "txt": "text", "eml": "email", "msg": "email"}
"""Suffixes whose document type has another name."""
MAX_TITLE = 300


@dataclass(frozen=True, slots=True)
class Description:
    title: str
    metadata: Metadata


def describe(document: Document, fetched: Fetched, extracted: Extracted) -> Description:
    """Return title and metadata: what a person stated, then what was detected, then what can be told from outside."""
    outside = Metadata(
        source=host_of(document.url or fetched.url),
        doc_type=doc_type_of(fetched.media_type, fetched.file_name or urlsplit(fetched.url).path),
        language=extracted.metadata.language or detect_language(extracted.text),
    )
    detected = extracted.metadata.over(outside)
    title = document.stated_title or _line(extracted.title) or provisional_title(document.origin, "")
    return Description(
        title=(title or _first_line(extracted.text) or document.document_id)[:MAX_TITLE],
        metadata=document.stated.over(detected),
    )


def provisional_title(origin: Origin, fallback: str) -> str:
    """Return what to call a document before it is read: its file's name, or the end of its URL."""
    name = PurePosixPath(origin.file_name.replace("\\", "/")).stem if origin.file_name else ""
    if not name and origin.url:
        parts = urlsplit(origin.url)
        name = unquote(PurePosixPath(parts.path).name) or parts.hostname or ""
    return _line(name)[:MAX_TITLE] or fallback


def host_of(url: str) -> str:
    return (urlsplit(url).hostname or "").removeprefix("www.") if url else ""


def doc_type_of(media_type: str, name: str) -> str:
    """Return a short word for the kind of document, "" if neither its media type nor its name tells."""
    suffix = PurePosixPath(name).suffix.lower().removeprefix(".")
    by_name = SUFFIXES.get(suffix) or (suffix if suffix in DOC_TYPES.values() else "")
    by_type = DOC_TYPES.get(media_type.partition(";")[0].strip().lower(), "")
    return by_name if by_type in ("", "text") and by_name else by_type


def revision_of(document: Document, extracted: Extracted, description: Description, version: str) -> str:
    """Return the identity of everything that the index would hold: equal revisions need not be indexed again."""
    parts = (
        version,
        description.title,
        document.url,
        str(document.visibility),
        metadata_to_json(description.metadata),
        extracted.pages,
        extracted.text,
        extracted.captions,
    )
    return hashlib.sha256(msgspec.json.encode(parts, order="deterministic")).hexdigest()[:32]


def snapshot_of(document: Document, fetched: Fetched, version: str) -> Snapshot:
    """Return what to remember of a source that was just read: equal `digest` and `recipe` make equal revisions."""
    names = (fetched.url, fetched.media_type, fetched.file_name)
    digest = hashlib.sha256(msgspec.json.encode(names) + b"\n" + fetched.content).hexdigest()
    recipe = recipe_of(document, version)
    return Snapshot(fetched.etag, fetched.last_modified, digest, recipe, size=len(fetched.content))


def recipe_of(document: Document, version: str) -> str:
    """Return the identity of all that a revision depends on beside what is fetched."""
    parts = (version, document.url, str(document.visibility), metadata_to_json(document.stated), document.stated_title)
    return hashlib.sha256(msgspec.json.encode(parts, order="deterministic")).hexdigest()[:32]


def _first_line(text: str) -> str:
    lines = (_line(line.lstrip("#>-*• ")) for line in text.splitlines())
    return next((line for line in lines if line), "")[:80]


def _line(text: str) -> str:
    return " ".join(text.split())
