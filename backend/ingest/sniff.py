"""Which kind of document some bytes are: by the bytes themselves first, then name and header. Pure."""

from __future__ import annotations

import io
import json
import re
import zipfile
from pathlib import PurePosixPath
from typing import Literal, TypeAlias
from urllib.parse import urlsplit

from backend.errors import Unreadable
from backend.ingest.clean import decode
from backend.ports import Fetched

Kind: TypeAlias = Literal[
    "html", "markdown", "text", "csv", "email", "image", "json", "notebook", "rst",
    "pdf", "docx", "pptx", "xlsx", "odt", "odp", "ods", "epub", "rtf", "doc", "ppt", "xls", "msg",
]  # fmt: skip

MAX_UNZIPPED = 500_000_000
MAX_CONTROLS = 10
"""Control characters in the first 8 KB of a text; more, beside one in a hundred, make it a binary."""
_ZIP_PARTS: tuple[tuple[str, Kind], ...] = (("word/", "docx"), ("ppt/", "pptx"), ("xl/", "xlsx"))
_ZIP_TYPES: dict[bytes, Kind] = {
    b"application/vnd.oasis.opendocument.text": "odt",
    b"application/vnd.oasis.opendocument.presentation": "odp",
    b"application/vnd.oasis.opendocument.spreadsheet": "ods",
    b"application/epub+zip": "epub",
}
_OLE_STREAMS: tuple[tuple[str, Kind], ...] = (
    ("WordDocument", "doc"),
    ("PowerPoint Document", "ppt"),
    ("Workbook", "xls"),
    ("__substg1.0_", "msg"),
)
_BINARY_NAMES = frozenset("pdf docx pptx xlsx odt odp ods epub doc ppt xls msg zip".split())  # noqa: SIM905
_IMAGES = (b"\x89PNG", b"\xff\xd8\xff", b"GIF8", b"II*\x00", b"MM\x00*")
_HTML = re.compile(r"<(?:!doctype\s+html|html|head|body)[\s>]", re.I)
_HTML_PART = re.compile(r"<(?:p|div|h[1-6]|table|ul|ol|article|main|span|meta|title|br)[\s/>]", re.I)
_MAIL = re.compile(r"(?:[A-Za-z][A-Za-z0-9-]*:[^\n]*\n(?:[ \t][^\n]*\n)*){2,}", re.A)
_MAIL_FIELDS = re.compile(r"^(?:from|to|received|mime-version|message-id|delivered-to|return-path):", re.I | re.M)
_JSON = ("application/json", "application/x-ndjson", "application/jsonl", "application/geo+json")
_CONTROL = re.compile("[\x00-\x08\x0e-\x1a\x1c-\x1f]")
ENCRYPTED = "The document is encrypted; remove the password and try again."
DAMAGED = "The document is damaged or cut off; open it, save it anew and try again."
UNKNOWN = "This is an unknown type of document; text can be had from HTML, PDF, Office, mail, Markdown and plain text."


def sniff(fetched: Fetched) -> Kind:
    """Return the kind of a document. Unreadable, with the reason, for what holds no text that we can get at."""
    content = fetched.content
    if not content.strip(b"\0 \t\r\n"):
        raise Unreadable("The document is empty.")
    if b"%PDF-" in content[:1024]:
        return "pdf"
    if content.startswith(b"PK\x03\x04"):
        return _zip_kind(content)
    if content.startswith(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"):
        return _ole_kind(fetched)
    if content.startswith(b"{\\rtf"):
        return "rtf"
    if _is_image(content):
        return "image"
    return _text_kind(fetched)


def may_be_scan(content: bytes) -> bool:
    """Whether a document's text may be in images."""
    return b"%PDF-" in content[:1024] or _is_image(content)


def _is_image(content: bytes) -> bool:
    return content.startswith(_IMAGES) or (content.startswith(b"RIFF") and content[8:12] == b"WEBP")


def name_suffix(fetched: Fetched) -> str:
    """Return the suffix of the file's name or of the URL's path, lower case, without the dot."""
    name = fetched.file_name or urlsplit(fetched.url).path
    return PurePosixPath(name).suffix.lower().removeprefix(".")


def _zip_kind(content: bytes) -> Kind:
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            members = archive.infolist()
            stated = archive.read("mimetype")[:100].strip() if "mimetype" in archive.namelist() else b""
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, OSError, ValueError, KeyError):
        raise Unreadable(DAMAGED) from None
    if sum(member.file_size for member in members) > MAX_UNZIPPED:
        raise Unreadable(f"The document unpacks to more than {MAX_UNZIPPED // 1_000_000} MB.")
    kinds = (kind for folder, kind in _ZIP_PARTS if any(member.filename.startswith(folder) for member in members))
    kind = _ZIP_TYPES.get(stated) or next(kinds, None)
    if kind is None:
        raise Unreadable("This is an archive; upload the documents in it one by one.")
    return kind


def _ole_kind(fetched: Fetched) -> Kind:
    content = fetched.content
    if "EncryptedPackage".encode("utf-16-le") in content:
        raise Unreadable(ENCRYPTED)
    kind = next((kind for stream, kind in _OLE_STREAMS if stream.encode("utf-16-le") in content), None)
    if kind is None:  # its directory may be at the end, and cut off
        raise Unreadable(DAMAGED if name_suffix(fetched) in _BINARY_NAMES else UNKNOWN)
    return kind


def _text_kind(fetched: Fetched) -> Kind:
    suffix, header = name_suffix(fetched), fetched.media_type.partition(";")[0].strip().lower()
    if suffix in _BINARY_NAMES or header == "application/pdf":
        raise Unreadable(f"The document is called {suffix or 'pdf'} but is not one, or is damaged.")
    head = decode(fetched.content[:8_000], fetched.media_type)
    if len(_CONTROL.findall(head)) > MAX_CONTROLS + len(head) // 100:
        raise Unreadable(UNKNOWN)
    return _named_kind(suffix, header, head) or _told_kind(fetched, suffix, head)


def _named_kind(suffix: str, header: str, head: str) -> Kind | None:
    """Decide by name and header where the text does not speak against them."""
    if suffix in ("eml", "mht", "mhtml") or header == "message/rfc822":
        return "email"
    if suffix in ("md", "markdown", "mdx", "mdown") or header in ("text/markdown", "text/x-markdown"):
        return "markdown"
    if suffix in ("csv", "tsv") or header in ("text/csv", "text/tab-separated-values"):
        return "csv"
    if suffix in ("rst", "rest") or header in ("text/x-rst", "text/prs.fallenstein.rst"):
        return "rst"
    if suffix == "ipynb" or header == "application/x-ipynb+json":
        return "notebook"
    if suffix in ("json", "jsonl", "ndjson", "geojson") or header in _JSON:
        return "json"
    if (suffix in ("html", "htm", "xhtml") or "html" in header) and (_HTML.search(head) or _HTML_PART.search(head)):
        return "html"
    return None


def _told_kind(fetched: Fetched, suffix: str, head: str) -> Kind:
    """Decide by the text itself."""
    start = head.lstrip("\ufeff \t\r\n")
    if _HTML.search(start[:2_000]) and start.startswith("<"):
        return "html"
    if start.startswith(("{", "[")) and _is_json(fetched.content):
        return "notebook" if '"nbformat"' in decode(fetched.content) else "json"
    if start.startswith("<?xml"):
        raise Unreadable(UNKNOWN)
    mail = _MAIL.match(start)
    if mail and suffix != "txt" and len(_MAIL_FIELDS.findall(mail.group())) >= 2:
        return "email"
    return "text"


def _is_json(content: bytes) -> bool:
    try:
        json.loads(content)
    except (ValueError, RecursionError):
        return False
    return True
