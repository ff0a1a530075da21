"""Blobs as objects named by their sha256, in S3 or what speaks like it, through the client that LanceDB has inside."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import obstore
from obstore.exceptions import BaseError, NotFoundError
from obstore.store import ObjectStore, from_url

from backend.adapters.blobs import KEY
from backend.errors import NotFound, Unavailable
from backend.ports import BLOB_START

AT_ONCE = 32
"""Beginnings of objects that are read at a time."""
CLIENT_OPTIONS = frozenset({"allow_http", "timeout", "connect_timeout", "proxy_url"})
"""Those of the storage options that are about the connection: LanceDB takes both kinds as one."""


@dataclass(frozen=True, slots=True)
class ObjectBlobs:
    """ports.Blobs under a prefix of an object store. A put is atomic there: nothing is ever half-written."""

    store: ObjectStore

    @classmethod
    def open(cls, uri: str, options: Mapping[str, str]) -> ObjectBlobs:
        """Open `s3://bucket/prefix`, or another scheme that obstore knows; credentials come from the options, else from
        the environment or the machine's role, as for LanceDB.

        Raises:
            Unavailable: the URI or an option is none that can be used.
        """
        client = {name: value for name, value in options.items() if name in CLIENT_OPTIONS}
        config = {name: value for name, value in options.items() if name not in CLIENT_OPTIONS}
        try:
            return cls(from_url(uri, config=config, client_options=client))  # type: ignore[call-overload]
        except (BaseError, ValueError, TypeError) as error:
            raise Unavailable(
                f"FOOTNOTE_BLOBS_URI or FOOTNOTE_STORAGE_OPTIONS cannot be used ({type(error).__name__})."
            ) from error

    async def put(self, content: bytes) -> str:
        key = hashlib.sha256(content).hexdigest()
        with _translated("stored"):
            await obstore.put_async(self.store, _path(key), content)
        return key

    async def get(self, key: str) -> bytes:
        with _translated("read"):
            try:
                return bytes(await (await obstore.get_async(self.store, _path(key))).bytes_async())
            except (NotFoundError, FileNotFoundError):
                raise NotFound("The stored document is gone; ingest it again.") from None

    async def delete(self, key: str) -> None:
        with _translated("deleted"):
            try:
                await obstore.delete_async(self.store, _path(key))
            except (NotFoundError, FileNotFoundError):
                return

    async def starting(self, marks: Sequence[bytes]) -> tuple[str, ...]:
        if not marks:
            return ()
        found: list[str] = []
        with _translated("read"):
            async for page in obstore.list(self.store):
                keys = [key for one in page if KEY.match(key := one["path"].rpartition("/")[2])]
                for at in range(0, len(keys), AT_ONCE):
                    starts = await asyncio.gather(*(self._start(key) for key in keys[at : at + AT_ONCE]))
                    found += [
                        key
                        for key, start in zip(keys[at : at + AT_ONCE], starts, strict=True)
                        if any(mark in start for mark in marks)
                    ]
        return tuple(sorted(found))

    async def _start(self, key: str) -> bytes:
        """Return an object's first bytes, none if it was deleted meanwhile."""
        try:
            return bytes(await obstore.get_range_async(self.store, _path(key), start=0, length=BLOB_START))
        except (NotFoundError, FileNotFoundError):
            return b""


def _path(key: str) -> str:
    """Only a sha256 is a key, so no key leads out of the prefix."""
    if not KEY.match(key):
        raise NotFound("There is no such stored document.")
    return f"{key[:2]}/{key}"


@contextmanager
def _translated(done: str) -> Iterator[None]:
    try:
        yield
    except (BaseError, OSError) as error:
        raise Unavailable(f"The document cannot be {done}: {type(error).__name__} of the object store.") from error
