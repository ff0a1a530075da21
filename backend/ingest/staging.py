"""What ingestion keeps on disk between its steps: parcels (bytes to be read) and staged documents (ready to write).

Both name the work that they belong to, so that no two pieces of work share a blob and each can delete its own.
"""

from __future__ import annotations

from datetime import datetime

import msgspec
import numpy as np

from backend.codec import MetadataJson, metadata_from_json, metadata_to_json
from backend.domain import UNSEEN, Chunk, ChunkVectors, IndexedDocument, Snapshot, Vectors, Visibility
from backend.ports import Fetched


class _Parcel(msgspec.Struct, frozen=True, array_like=True):
    owner: tuple[str, str, str]
    content: bytes
    url: str
    media_type: str
    file_name: str
    etag: str = ""
    last_modified: str = ""


class _Array(msgspec.Struct, frozen=True, array_like=True):
    shape: tuple[int, int]
    content: bytes


class _Staged(msgspec.Struct, frozen=True):
    owner: tuple[str, str, str]
    revision: str
    title: str
    url: str
    visibility: str
    metadata: MetadataJson
    ingested_at: datetime
    chunks: tuple[Chunk, ...]
    vectors: _Array
    sentences: _Array
    snapshot: Snapshot = UNSEEN


class _Seen(msgspec.Struct, frozen=True):
    snapshot: Snapshot = UNSEEN


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


def pack_staged(document: IndexedDocument, *, attempt: str, snapshot: Snapshot = UNSEEN) -> bytes:
    """Serialise; chunk vectors and all sentence vectors travel as one float32 matrix each."""
    return msgspec.msgpack.encode(
        _Staged(
            owner=(document.team, document.document_id, attempt),
            revision=document.revision,
            title=document.title,
            url=document.url,
            visibility=str(document.visibility),
            metadata=metadata_to_json(document.metadata),
            ingested_at=document.ingested_at,
            chunks=document.chunks,
            vectors=_array(np.stack([of.vector for of in document.vectors])),
            sentences=_array(np.concatenate([of.sentences for of in document.vectors])),
            snapshot=snapshot,
        )
    )


def unpack_staged(packed: bytes) -> IndexedDocument:
    staged = msgspec.msgpack.decode(packed, type=_Staged)
    ends = np.cumsum([len(chunk.sentences) for chunk in staged.chunks])
    sentences = np.split(_matrix(staged.sentences), ends[:-1])
    pairs = zip(_matrix(staged.vectors), sentences, strict=True)
    team, document_id, _ = staged.owner
    return IndexedDocument(
        team=team,
        document_id=document_id,
        revision=staged.revision,
        title=staged.title,
        url=staged.url,
        visibility=Visibility.parse(staged.visibility),
        metadata=metadata_from_json(staged.metadata),
        ingested_at=staged.ingested_at,
        chunks=staged.chunks,
        vectors=tuple(ChunkVectors(vector, rows) for vector, rows in pairs),
    )


def unpack_snapshot(packed: bytes) -> Snapshot:
    """Return what a staged document's source was when it was read."""
    return msgspec.msgpack.decode(packed, type=_Seen).snapshot


def _array(matrix: Vectors) -> _Array:
    rows, columns = matrix.shape
    return _Array((rows, columns), np.ascontiguousarray(matrix, dtype="<f4").tobytes())


def _matrix(array: _Array) -> Vectors:
    return np.frombuffer(array.content, dtype="<f4").reshape(array.shape).astype(np.float32)
