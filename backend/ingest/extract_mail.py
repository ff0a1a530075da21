"""A mail message → Markdown with subject, sender and date. Pure."""

from __future__ import annotations

from datetime import UTC, datetime
from email import message_from_bytes, policy
from email.errors import MessageError
from email.message import EmailMessage
from email.utils import getaddresses, parsedate_to_datetime

from backend.domain import Extracted, Metadata
from backend.errors import Unreadable
from backend.ingest.clean import clean_text, decode
from backend.ingest.extract_html import extract_html
from backend.ingest.extract_text import plain_to_markdown


def extract_mail(content: bytes) -> Extracted:
    """Return a message's body beneath its subject. Unreadable where it is encrypted or has no text.

    Attachments are named, not read.
    """
    if content[:2] in (b"\xff\xfe", b"\xfe\xff") or b"\0" in content[:200]:
        content = decode(content).encode()
    message = message_from_bytes(content.lstrip(), policy=policy.default)
    if not isinstance(message, EmailMessage):
        raise Unreadable("The message cannot be read.")
    if message.get_content_type() in ("multipart/encrypted", "application/pkcs7-mime"):
        raise Unreadable("The message is encrypted; save it without encryption and try again.")
    subject, body = _header(message, "Subject"), _body(message)
    if not any(character.isalnum() for character in body):
        raise Unreadable("The message has no text.")
    senders = tuple(name or address for name, address in getaddresses([_header(message, "From")]) if name or address)
    attached = [f"- Attachment: {name}" for part in message.walk() if (name := part.get_filename())]
    parts = (f"# {subject}" if subject else "", _head(message), body, "\n".join(attached))
    return Extracted(
        text="\n\n".join(part for part in parts if part),
        title=subject,
        metadata=Metadata(author=senders, doc_type="email", published_at=_date(message)),
    )


def _head(message: EmailMessage) -> str:
    lines = ((name, _header(message, name)) for name in ("From", "To", "Date"))
    return "\n".join(f"- {name}: {value}" for name, value in lines if value)


def _header(message: EmailMessage, name: str) -> str:
    """Return a header in one line, "" where it is missing or malformed beyond reading."""
    try:
        return " ".join(clean_text(str(message[name] or "")).split())
    except (ValueError, IndexError, AttributeError, MessageError):  # the parser stumbles over some hostile headers
        return ""


def _body(message: EmailMessage) -> str:
    try:
        part = message.get_body(preferencelist=("plain", "html"))
    except (AttributeError, KeyError):
        part = None
    if part is None:
        return ""
    payload = part.get_payload(decode=True)
    text = decode(payload if isinstance(payload, bytes) else b"", str(part.get("Content-Type", "")))
    if part.get_content_subtype() == "html" or text.lstrip()[:9].lower() == "<!doctype":
        return clean_text(extract_html(text).text)
    return clean_text(plain_to_markdown(text))


def _date(message: EmailMessage) -> datetime | None:
    try:
        found = parsedate_to_datetime(_header(message, "Date"))
    except (ValueError, TypeError):
        return None
    return found.astimezone(UTC) if found.tzinfo else found.replace(tzinfo=UTC)
