"""What someone hands in to be ingested: parsed from the wire, bounded, and given its document id."""

from __future__ import annotations

import hashlib
import math
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

import msgspec

from backend import schema
from backend.domain import BUILT_IN_FIELDS, FieldValue, Metadata, Visibility
from backend.errors import BadInput, FetchRefused

TEAM_WIDE = Visibility()
NOTHING_STATED = Metadata()

MAX_FIELDS = 50
MAX_VALUES = 200
MAX_VALUE = 1_000
"""Characters of one metadata value."""
FIELD_NAME = re.compile(r"[^\W\d][\w .\-]{0,63}\Z")
DATE = re.compile(r"\d{4}-\d{2}-\d{2}([T ]\d{2}:\d{2}.*)?\Z")
TRACKING = re.compile(r"(utm_\w+|gclid|fbclid|mc_eid|mc_cid)\Z")
DEFAULT_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class Upload:
    """A file that was handed in, with what its sender says it is."""

    content: bytes
    file_name: str = ""
    media_type: str = ""


@dataclass(frozen=True, slots=True)
class Submission:
    """One thing to ingest: either `url`, or `upload` (text is an upload of Markdown).

    `document_id` is the caller's own, "" to derive one. `shown_url` is where citations lead when that is not `url`.
    `by` is the user who asks for it, "" where nobody is to be told of it later.
    """

    team: str
    url: str = ""
    upload: Upload | None = None
    document_id: str = ""
    title: str = ""
    shown_url: str = ""
    visibility: Visibility = TEAM_WIDE
    stated: Metadata = NOTHING_STATED
    refresh_days: int | None = None
    by: str = ""


def parse_request(request: schema.IngestRequest, *, team: str, file: Upload | None = None) -> Submission:
    """Read a request, and the file that came beside it; `team` is used where the request names none.

    Raises:
        BadInput: what is wrong with it, and how to mend it.
        FetchRefused: the URL is one that is never fetched.
    """
    upload = _upload(request, file)
    known = _known(request.metadata)
    return Submission(
        team=request.team or team,
        url=checked_url(request.url) if request.url else "",
        upload=upload,
        document_id=_document_id(request.id),
        title=_line(request.title or ""),
        shown_url=checked_url(known.url) if known.url else "",
        visibility=_visibility(request.visibility),
        stated=parse_metadata(request.metadata),
        refresh_days=request.refresh_days,
        by=request.by or "",
    )


def parse_metadata(stated: dict[str, schema.MetadataValue | None]) -> Metadata:
    """Read the `metadata` of a request; a key that is not a known one is a custom field. BadInput if it is wrong."""
    if len(stated) > MAX_FIELDS:
        raise BadInput(f"metadata has more than {MAX_FIELDS} fields.")
    known = _known(stated)
    custom = {name: value for name, value in stated.items() if name not in _KNOWN and value is not None}
    return Metadata(
        author=_texts("author", known.author),
        source=_text("source", known.source),
        doc_type=_text("doc_type", custom.pop("doc_type", None)),
        language=_text("language", custom.pop("language", None)),
        published_at=_date("published_at", known.published_at) if known.published_at else None,
        tags=_texts("tags", known.tags.split(",") if isinstance(known.tags, str) else known.tags),
        custom={_field_name(name): _values(name, value) for name, value in custom.items()},
    )


def derive_id(submission: Submission) -> str:
    """Return the document's id: the caller's own, else one that the same URL or the same content always gets.

    Other visibilities than the team's have ids of their own: ingesting privately what the team already has must not
    hide it from the team.
    """
    if submission.document_id:
        return submission.document_id
    suffix = "" if submission.visibility.kind == "team" else f"\n{submission.visibility}"
    if submission.upload is None:
        return f"url-{_digest((normalise_url(submission.url) + suffix).encode())}"
    return f"doc-{_digest(submission.upload.content + suffix.encode())}"


def checked_url(url: str) -> str:
    """Return the URL if it could be fetched at all. FetchRefused or BadInput otherwise."""
    try:
        parts = urlsplit(url.strip())
        port_is_valid = parts.port is None or parts.port > 0
    except ValueError:
        raise BadInput("That is not a URL.") from None
    if parts.scheme not in ("http", "https"):
        raise FetchRefused("Only http and https URLs can be ingested.")
    if not parts.hostname or not port_is_valid or any(character.isspace() for character in url.strip()):
        raise BadInput("That is not a URL.")
    if parts.username or parts.password:
        raise FetchRefused("A URL with a user name or password in it is not fetched.")
    return url.strip()


def normalise_url(url: str) -> str:
    """Return one spelling for URLs that lead to the same page: case of the host, default port, fragment, tracking."""
    parts = urlsplit(url)
    host = (parts.hostname or "").lower().rstrip(".")
    port = "" if parts.port in (None, DEFAULT_PORTS.get(parts.scheme)) else f":{parts.port}"
    wanted = [(key, value) for key, value in parse_qsl(parts.query, keep_blank_values=True) if not TRACKING.match(key)]
    return urlunsplit(
        (parts.scheme, (f"[{host}]" if ":" in host else host) + port, parts.path or "/", urlencode(wanted), "")
    )


_KNOWN = frozenset(schema.IngestMetadata.__struct_fields__)


def _known(stated: dict[str, schema.MetadataValue | None]) -> schema.IngestMetadata:
    try:
        return msgspec.convert({name: stated[name] for name in _KNOWN & stated.keys()}, schema.IngestMetadata)
    except msgspec.ValidationError as error:
        raise BadInput(f"metadata: {error}") from None


def _upload(request: schema.IngestRequest, file: Upload | None) -> Upload | None:
    given = [thing for thing in (request.url, request.text, file) if thing is not None]
    if len(given) != 1:
        raise BadInput("Send one of url, text or file; a link for a text belongs in metadata.url.")
    if request.text is None:
        if file is not None and not file.content:
            raise BadInput("The file is empty.")
        return file
    if not request.text.strip():
        raise BadInput("The text is empty.")
    return Upload(request.text.encode("utf-8", "replace"), media_type="text/markdown")


def _visibility(text: str) -> Visibility:
    try:
        return Visibility.parse(text)
    except ValueError as error:
        raise BadInput(str(error)) from None


def _document_id(given: str | None) -> str:
    if given is None:
        return ""
    if not given.strip() or not given.isprintable():
        raise BadInput("id must be made of printable characters.")
    return given.strip()


def _field_name(name: str) -> str:
    if name in BUILT_IN_FIELDS:
        raise BadInput(f"metadata: {name} cannot be stated here.")
    if not FIELD_NAME.match(name):
        raise BadInput(
            "metadata: a field's name begins with a letter and has at most 64 letters, digits, _ . - or spaces."
        )
    return name


def _values(name: str, value: schema.MetadataValue) -> tuple[FieldValue, ...]:
    if isinstance(value, list):
        return _texts(name, value)
    if isinstance(value, str):
        text = _text(name, value)
        return (_moment(text) or text,) if text else ()
    if not math.isfinite(value):
        raise BadInput(f"metadata: {name} is not a finite number.")
    return (value,)


def _texts(name: str, value: str | list[str] | None) -> tuple[str, ...]:
    items = [value] if isinstance(value, str) else value or []
    if len(items) > MAX_VALUES:
        raise BadInput(f"metadata: {name} has more than {MAX_VALUES} values.")
    return tuple(dict.fromkeys(text for item in items if (text := _text(name, item))))


def _text(name: str, value: schema.MetadataValue | None) -> str:
    if value is None:
        return ""
    if not isinstance(value, str):
        raise BadInput(f"metadata: {name} must be text.")
    if len(value) > MAX_VALUE:
        raise BadInput(f"metadata: {name} has a value of more than {MAX_VALUE} characters.")
    return _line(value)


def _line(text: str) -> str:
    return " ".join(text.split())


def _date(name: str, text: str) -> datetime:
    moment = _moment(text.strip())
    if moment is None:
        raise BadInput(f"metadata: {name} must be an ISO 8601 date such as 2026-01-31.")
    return moment


def _moment(text: str) -> datetime | None:
    if not DATE.match(text):
        return None
    try:
        moment = datetime.fromisoformat(text)
        return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        return None


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:24]
