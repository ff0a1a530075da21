"""Documents, collections and notices."""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

import msgspec

from backend.schema.common import Identifier

MAX_TEXT = 5_000_000
"""Characters of a document handed in as text."""
MAX_COLLECTION = 500
"""Documents of one site, feed or archive."""
CollectionKind: TypeAlias = Literal["site", "feed", "zip"]
CollectionStatus: TypeAlias = Literal["queued", "discovering", "discovered", "failed", "cancelled"]
Status: TypeAlias = Literal["queued", "processing", "ready", "failed", "deleted"]
MetadataValue: TypeAlias = str | int | float | list[str]


class IngestMetadata(msgspec.Struct, frozen=True):
    """The known fields; any other key of `metadata` is a custom field and is parsed beside this."""

    author: str | list[str] | None = None
    source: str | None = None
    published_at: str | None = None
    tags: str | list[str] | None = None
    url: str | None = None


class IngestRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Either `url`, or `title` and `text`."""

    url: Annotated[str, msgspec.Meta(max_length=2_048)] | None = None
    title: Annotated[str, msgspec.Meta(max_length=1_000)] | None = None
    text: Annotated[str, msgspec.Meta(max_length=MAX_TEXT)] | None = None
    id: Annotated[str, msgspec.Meta(min_length=1, max_length=512)] | None = None
    team: Identifier | None = None
    visibility: str = "team"
    metadata: dict[str, MetadataValue | None] = {}
    refresh_days: Annotated[int, msgspec.Meta(ge=1, le=365)] | None = None
    by: Identifier | None = None
    """The user who asks for it, to be told (`GET /notices`) if it is gone one day."""


class IngestReply(msgspec.Struct, frozen=True):
    document_id: str
    status: Status


class Document(msgspec.Struct, frozen=True):
    document_id: str
    team: str
    title: str
    url: str
    visibility: str
    status: Status
    reason: str
    chunks: int
    created_at: str
    updated_at: str
    metadata: dict[str, object]
    refresh_days: int | None = None
    by: str = ""
    checked_at: str | None = None
    """When its source was last looked at; null for what was handed in."""
    same_as: str = ""
    """The document of the same text that is found and cited in its stead."""
    same_as_title: str = ""
    similar_to: str = ""
    """A document that shares most sentences with it."""
    similar_to_title: str = ""
    notices: tuple[str, ...] = ()
    """What a person should know of what is indexed of it: images that were skipped or described by a model, sentences
    that speak to an AI."""


class DocumentsReply(msgspec.Struct, frozen=True):
    documents: tuple[Document, ...]
    cursor: str | None = None


class CollectionRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A site, a feed or a zip of Markdown and HTML files; without `kind` it is found out. Either `url`, or a zip beside
    it as the file of a form. The rest as in `IngestRequest`, for each of its documents."""

    url: Annotated[str, msgspec.Meta(min_length=1, max_length=2_048)] | None = None
    kind: CollectionKind | None = None
    limit: Annotated[int, msgspec.Meta(ge=1, le=MAX_COLLECTION)] = 50
    team: Identifier | None = None
    visibility: str = "team"
    metadata: dict[str, MetadataValue | None] = {}
    refresh_days: Annotated[int, msgspec.Meta(ge=1, le=365)] | None = None
    by: Identifier | None = None


class CollectionReply(msgspec.Struct, frozen=True):
    collection_id: str
    status: CollectionStatus


class CollectionFailure(msgspec.Struct, frozen=True):
    document_id: str
    url: str
    reason: str


class Collection(msgspec.Struct, frozen=True):
    """`found` grows until `status` is `discovered`; `counts` says how many of its documents have each status."""

    collection_id: str
    team: str
    url: str
    kind: CollectionKind | None
    limit: int
    visibility: str
    status: CollectionStatus
    reason: str
    found: int
    counts: dict[str, int]
    failures: tuple[CollectionFailure, ...]
    """At most 50 of them."""
    created_at: str
    updated_at: str


class Notice(msgspec.Struct, frozen=True):
    """What `user` is to be told of a document: it is gone from where it was, and out of the answers."""

    notice_id: str
    user: str
    document_id: str
    title: str
    url: str
    reason: str
    created_at: str


class NoticesReply(msgspec.Struct, frozen=True):
    notices: tuple[Notice, ...]
