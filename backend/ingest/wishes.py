"""What somebody asks to have collected: parsed from the wire, and named so that the same wish is one collection."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace

from backend import schema
from backend.domain import CollectionKind, Metadata, Visibility
from backend.errors import BadInput
from backend.ingest.submission import NOTHING_STATED, TEAM_WIDE, Upload, normalise_url, parse_request

LABEL = "collection"
"""The metadata field of each document that names its collection."""
UNNAMED = "archive.zip"


@dataclass(frozen=True, slots=True)
class Wish:
    """A collection as somebody asks for it: what `url` leads to, or an archive that was handed in (`upload`; `url` is
    then its file's name)."""

    team: str
    url: str
    kind: CollectionKind | None = None
    limit: int = 50
    visibility: Visibility = TEAM_WIDE
    stated: Metadata = NOTHING_STATED
    refresh_days: int | None = None
    by: str = ""
    upload: Upload | None = None


def parse_wish(request: schema.CollectionRequest, *, team: str, file: Upload | None = None) -> Wish:
    """Read a request, and the archive that came beside it; `team` is used where the request names none.

    Raises:
        BadInput: what is wrong with it, and how to mend it.
        FetchRefused: the URL is one that is never fetched.
    """
    if (request.url is None) == (file is None):
        raise BadInput("Send one of url or file.")
    if file is not None and request.kind not in (None, "zip"):
        raise BadInput("kind: a file that is handed in can only be a zip.")
    as_document = schema.IngestRequest(
        url=request.url,
        team=request.team,
        visibility=request.visibility,
        metadata=request.metadata,
        refresh_days=request.refresh_days,
        by=request.by,
    )
    one = parse_request(as_document, team=team, file=file)
    return Wish(
        team=one.team,
        url=one.url if file is None else file.file_name or UNNAMED,
        kind=request.kind if file is None else "zip",
        limit=request.limit,
        visibility=one.visibility,
        stated=one.stated,
        refresh_days=one.refresh_days if file is None else None,
        by=one.by,
        upload=file,
    )


def derive_collection_id(wish: Wish) -> str:
    """Return the id that the same address, or the same archive, always gets for the same readers."""
    suffix = "" if wish.visibility.kind == "team" else f"\n{wish.visibility}"
    if wish.upload is not None:
        return f"col-{_digest(wish.upload.content + suffix.encode())}"
    return f"col-{_digest((normalise_url(wish.url) + suffix).encode())}"


def member_id(collection_id: str, path: str) -> str:
    """Return the id of an archive's file: the same path is the same document, whatever is in it now."""
    return f"{collection_id}/{path}" if len(path) <= 400 else f"{collection_id}/{_digest(path.encode())}"


def labelled(stated: Metadata, collection_id: str) -> Metadata:
    return replace(stated, custom={**stated.custom, LABEL: (collection_id,)})


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:24]
