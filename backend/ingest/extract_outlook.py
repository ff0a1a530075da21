"""A message as Outlook saves it (MSG) → Markdown with subject, sender and date, as of any mail. Pure."""

from __future__ import annotations

import re

from kreuzberg import ExtractionConfig, ExtractionResult, KreuzbergError, extract_bytes_sync

from backend.domain import Extracted, Metadata
from backend.errors import Unreadable
from backend.ingest.clean import clean_text
from backend.ingest.extract_text import plain_to_markdown
from backend.ingest.ooxml import instant, known
from backend.ingest.sniff import DAMAGED

MEDIA_TYPE = "application/vnd.ms-outlook"
_HEAD = re.compile(r"(?:(?:Subject|From|To|CC|BCC|Date): [^\n]*(?:\n|\Z))+\n?", re.I)
"""What the parser writes above a message's own words."""


def extract_outlook(content: bytes) -> Extracted:
    """Return a message's body beneath its subject. Unreadable where it is damaged or has no text of its own.

    Attachments are named, not read.
    """
    result = _parsed(content)
    found = result.metadata
    subject, sent = known(found.get("subject")), instant(found.get("created_at"))
    body = _body(result.content, headed=bool(subject or sent or found.get("from_email")))
    if not any(character.isalnum() for character in body):
        raise Unreadable("The message has no text.")
    lines = (
        ("From", known(found.get("from_email"))),
        ("To", known(", ".join(found.get("to_emails") or ()))),
        ("Date", f"{sent:%Y-%m-%d %H:%M} UTC" if sent else ""),
    )
    head = "\n".join(f"- {name}: {plain_to_markdown(value)}" for name, value in lines if value)
    attached = "\n".join(f"- Attachment: {name}" for name in found.get("attachments") or ())
    authors = tuple(name for author in found.get("authors") or () if (name := known(author)))
    parts = (f"# {subject}" if subject else "", head, body, attached)
    return Extracted(
        text=clean_text("\n\n".join(part for part in parts if part)),
        title=subject,
        metadata=Metadata(author=authors, doc_type="email", published_at=sent),
    )


def _parsed(content: bytes) -> ExtractionResult:
    """Read the message as plain text: as Markdown the parser runs its lines into one."""
    config = ExtractionConfig(use_cache=False, enable_quality_processing=False, output_format="plain")
    try:
        return extract_bytes_sync(content, MEDIA_TYPE, config)
    except KreuzbergError:
        raise Unreadable(DAMAGED) from None


def _body(text: str, *, headed: bool) -> str:
    head = _HEAD.match(text) if headed else None
    own = text[head.end() :] if head else text
    return plain_to_markdown(clean_text(own).strip())
