"""What ingestion keeps on disk until a document is read: parcels, the bytes that were handed in.

A parcel names the document that it belongs to, so that no two share a blob and each can delete its own.
"""

from __future__ import annotations

import msgspec

from backend.ports import Fetched


class _Parcel(msgspec.Struct, frozen=True, array_like=True):
    owner: tuple[str, str, str]
    content: bytes
    url: str
    media_type: str
    file_name: str
    etag: str = ""
    last_modified: str = ""


def owner_mark(team: str, document_id: str) -> bytes:
    """Return the bytes by which every blob of a document's work names its owner, near its beginning."""
    return msgspec.msgpack.encode(team) + msgspec.msgpack.encode(document_id)


def pack_parcel(fetched: Fetched, *, team: str, document_id: str, attempt: str = "") -> bytes:
    owner = (team, document_id, attempt)
    names = (fetched.url, fetched.media_type, fetched.file_name, fetched.etag, fetched.last_modified)
    return msgspec.msgpack.encode(_Parcel(owner, fetched.content, *names))


def unpack_parcel(packed: bytes) -> Fetched:
    parcel = msgspec.msgpack.decode(packed, type=_Parcel)
    names = (parcel.url, parcel.media_type, parcel.file_name, parcel.etag, parcel.last_modified)
    return Fetched(parcel.content, *names)
