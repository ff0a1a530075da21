"""Ports on the way of a document: the queue, the bytes, the fetcher."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol, TypeAlias

from backend.domain import Collection, Snapshot


class CollectionQueue(Protocol):
    """Durable work: the discovery of a collection runs at least once, also after kill -9."""

    async def collect(self, collection: Collection) -> None:
        """Discover a collection and enqueue its documents; the same attempt is one piece of work."""


BLOB_START = 8192
"""Bytes at the beginning of a blob in which its owner is named."""


class Blobs(Protocol):
    """Bytes handed in or fetched, kept until they are indexed; the key is their sha256 in hex."""

    async def put(self, content: bytes) -> str: ...

    async def get(self, key: str) -> bytes:
        """NotFound if there is none."""

    async def delete(self, key: str) -> None: ...

    async def starting(self, marks: Sequence[bytes]) -> tuple[str, ...]:
        """Return the keys of the blobs that hold any of these among their first `BLOB_START` bytes."""


Work: TypeAlias = tuple[str, str, str]
"""(team, document_id, attempt)."""


class IngestQueue(Protocol):
    """Durable work: what is enqueued runs at least once, also after kill -9."""

    async def enqueue(self, team: str, document_id: str, attempt: str) -> None:
        """Ingest a document; the same (team, document_id, attempt) is one piece of work."""

    async def wait(self, team: str, document_id: str, attempt: str) -> None:
        """Return when that work has ended, whatever came of it."""

    async def without(self, works: Iterable[Work]) -> frozenset[Work]:
        """Return those of these that are neither waiting nor being worked on."""

    async def depth(self) -> int:
        """Return how many pieces of work have not ended."""

    async def oldest(self) -> datetime | None:
        """Return when the oldest of them was enqueued, None where there are none."""


@dataclass(frozen=True, slots=True)
class Fetched:
    """`url` is where redirects led. `unchanged` means that the server says so, and sent no content; `etag` and
    `last_modified` are its words for what it sent."""

    content: bytes
    url: str
    media_type: str
    file_name: str = ""
    etag: str = ""
    last_modified: str = ""
    unchanged: bool = False


class Fetcher(Protocol):
    async def fetch(self, url: str, known: Snapshot | None = None) -> Fetched:
        """Fetch over http(s) from a public or allow-listed address, or learn that nothing has changed since `known`.

        FetchRefused, FetchFailed or TooLarge otherwise.
        """
