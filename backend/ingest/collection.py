"""The story of a collection: begin → discover, page after page → each document into the ingest queue, or cancel.

`discover.py` decides what belongs to it; everything is fetched through the one fetcher, so its rules hold here, too.
Documents get the ids that they would have on their own: the same site twice is the same documents.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Protocol
from urllib.parse import urljoin, urlsplit
from uuid import uuid4

from loguru import logger

from backend import schema
from backend.domain import Collection, Document, Member
from backend.errors import (
    BadInput,
    FetchFailed,
    FetchRefused,
    IngestFailed,
    LimitReached,
    NotFound,
    TooLarge,
    Unreadable,
)
from backend.ingest import discover
from backend.ingest.submission import Submission, Upload, checked_url, normalise_url
from backend.ingest.wishes import Wish, derive_collection_id, labelled, member_id
from backend.ports import CollectionQueue, Collections, Fetched, Fetcher

MAX_SITEMAPS = 20
MAX_LOOKED_AT = 2 * schema.MAX_COLLECTION
"""Pages that are fetched for their links, at most."""
MAX_DELAY = 5.0
"""Seconds between two fetches, at most, whatever robots.txt asks for."""
TELL_EVERY = 5
"""Documents found between two notes of how many there are."""
EMPTY = "Nothing was found there that could be ingested. Is it the address of a site, a feed or a zip of pages?"
FORBIDDEN = "The site's robots.txt asks not to be read by robots."
NO_PAGES = "There is no Markdown or HTML file in that archive."
INTERRUPTED = "Footnote was interrupted before it had taken the archive in. Share it again."

Work = tuple[str, str]
"""(document_id, attempt) of a document to be enqueued."""


class Accepting(Protocol):
    """What of the ingest story is needed; see backend.ingest.pipeline.Ingest for the contracts."""

    async def accept(self, submission: Submission) -> Document: ...
    async def remove(self, team: str, document_id: str) -> None: ...


@dataclass(frozen=True)
class Collector:
    """One instance per process: it holds the lock under which a collection's record changes."""

    collections: Collections
    ingest: Accepting
    fetcher: Fetcher
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    new_attempt: Callable[[], str] = lambda: uuid4().hex
    lock: AbstractAsyncContextManager[object] = field(default_factory=asyncio.Lock)

    # --------------------------------------------------------------------------------------- what a person asks for

    async def begin(self, wish: Wish) -> Collection:
        """Record what is to be collected; enqueue it next. The same wish while it is under way is one collection."""
        collection_id = derive_collection_id(wish)
        old = await self.collections.get(wish.team, collection_id)
        if old is not None and old.status in ("queued", "discovering"):
            return old
        collection = self._recorded(wish, old)
        await self.collections.put(collection)
        logger.bind(team=wish.team, collection_id=collection_id).info("collection queued")
        return collection

    async def take_in(self, wish: Wish, archive: Upload) -> tuple[Collection, list[Work]]:
        """Accept the documents of an archive that was handed in; return what is to be enqueued.

        Nobody keeps the archive: whoever was interrupted hands it in again, and finds the same collection. Where a
        limit of the team stops it at its first document, the collection ends as failed.

        Raises:
            Unreadable, TooLarge: it is no archive that can be read, or there is nothing in it for us.
        """
        entries = await asyncio.to_thread(lambda: list(discover.parse_zip(archive.content)))
        if not entries:
            raise Unreadable(NO_PAGES)
        old = await self.collections.get(wish.team, derive_collection_id(wish))
        collection = replace(self._recorded(wish, old), status="discovering")
        await self.collections.put(collection)
        try:
            works = await self._accept_all(collection, _each(_members(collection, entries)), in_all=len(entries))
        except IngestFailed as error:
            await self.fail(wish.team, collection.collection_id, collection.attempt, str(error))
            works = []
        return await self._existing(wish.team, collection.collection_id), works

    async def report(self, team: str, collection_id: str) -> tuple[Collection, tuple[Member, ...]]:
        """Return a collection and its documents as they are now. NotFound if there is none."""
        return await self._existing(team, collection_id), await self.collections.members(team, collection_id)

    async def cancel(self, team: str, collection_id: str) -> int:
        """Stop looking for documents, and take out those that are still queued; return how many. NotFound if none.

        What is ready stays, and so does what was ready before and was only to be refreshed.
        """
        async with self.lock:
            collection = await self._existing(team, collection_id)
            await self.collections.put(replace(collection, status="cancelled", attempt="", updated_at=self.now()))
        waiting = [
            member
            for member in await self.collections.members(team, collection_id)
            if member.status == "queued" and not member.chunks
        ]
        for member in waiting:
            await self.ingest.remove(team, member.document_id)
        logger.bind(team=team, collection_id=collection_id, removed=len(waiting)).info("collection cancelled")
        return len(waiting)

    async def resume(self, queue: CollectionQueue) -> None:
        """Take up at start what a crash interrupted before it was enqueued."""
        for collection in await self.collections.unfinished():
            await queue.collect(collection)

    # ------------------------------------------------------------------------------------------------ the durable steps

    async def collect(self, team: str, collection_id: str, attempt: str) -> list[Work]:
        """Find and accept the documents; return what is to be enqueued. Repeatable; nothing for superseded work.

        Raises:
            IngestFailed, TooLarge: nothing can be had from that address.
        """
        collection = await self._current(team, collection_id, attempt)
        if collection is None:
            return []
        if not is_fetchable(collection.url):
            raise IngestFailed(INTERRUPTED)
        first = await self.fetcher.fetch(collection.url)
        kind = collection.kind or discover.kind_of(first.content)
        collection = replace(collection, kind=kind, status="discovering", found=0)
        await self._note(collection)
        return await self._accept_all(collection, self._submissions(collection, first))

    async def fail(self, team: str, collection_id: str, attempt: str, reason: str) -> None:
        """Mark the collection failed; `reason` is for a person. Its documents stay."""
        collection = await self._current(team, collection_id, attempt)
        if collection and await self._note(replace(collection, status="failed", reason=reason), ends=True):
            logger.bind(team=team, collection_id=collection_id).warning("collection failed")

    # ----------------------------------------------------------------------------------------------------------- inside

    def _recorded(self, wish: Wish, old: Collection | None) -> Collection:
        now, collection_id = self.now(), derive_collection_id(wish)
        return Collection(
            team=wish.team,
            collection_id=collection_id,
            url=wish.url.partition("#")[0],
            kind=wish.kind,
            limit=wish.limit,
            visibility=wish.visibility,
            status="queued",
            created_at=old.created_at if old else now,
            updated_at=now,
            stated=labelled(wish.stated, collection_id),
            refresh_days=wish.refresh_days,
            by=wish.by,
            attempt=self.new_attempt(),
        )

    async def _accept_all(
        self, collection: Collection, submissions: AsyncIterator[Submission], *, in_all: int = 0
    ) -> list[Work]:
        """Accept what belongs to a collection, up to its limit, and note that it is whole. Where it is known how many
        there are `in_all`, the record says that some were left out."""
        team, collection_id = collection.team, collection.collection_id
        if in_all > collection.limit:
            collection = replace(collection, reason=f"It holds {in_all:,} pages; {collection.limit:,} were taken.")
        works: list[Work] = []
        async for submission in submissions:
            try:
                document = await self.ingest.accept(submission)
            except LimitReached as error:  # What was taken before stays.
                collection = replace(collection, reason=str(error))
                break
            await self.collections.add(team, collection_id, document.document_id)
            works += [(document.document_id, document.attempt)] if document.attempt else []
            collection = replace(collection, found=collection.found + 1)
            if not await self._goes_on(collection):
                break
        await self._found_all(collection)
        return works

    async def _existing(self, team: str, collection_id: str) -> Collection:
        collection = await self.collections.get(team, collection_id)
        if collection is None:
            raise NotFound("There is no such collection.")
        return collection

    async def _current(self, team: str, collection_id: str, attempt: str) -> Collection | None:
        collection = await self.collections.get(team, collection_id)
        return collection if collection and collection.attempt == attempt else None

    async def _note(self, collection: Collection, *, ends: bool = False) -> bool:
        """Record how far a collection is; return False, and do nothing, if it was superseded or cancelled."""
        async with self.lock:
            if await self._current(collection.team, collection.collection_id, collection.attempt) is None:
                return False
            attempt = "" if ends else collection.attempt
            await self.collections.put(replace(collection, attempt=attempt, updated_at=self.now()))
        return True

    async def _goes_on(self, collection: Collection) -> bool:
        """Return whether more is wanted; note now and then how far it is."""
        if collection.found >= collection.limit:
            return False
        if collection.found % TELL_EVERY == 0:
            return await self._note(collection)
        return await self._current(collection.team, collection.collection_id, collection.attempt) is not None

    async def _found_all(self, collection: Collection) -> None:
        if not collection.found:
            raise IngestFailed(collection.reason or EMPTY)
        if not await self._note(replace(collection, status="discovered"), ends=True):
            await self._take_back(collection)
        logger.bind(collection_id=collection.collection_id, found=collection.found).info("collection discovered")

    async def _take_back(self, collection: Collection) -> None:
        """Remove what was accepted between the cancelling and our noticing it."""
        now = await self.collections.get(collection.team, collection.collection_id)
        if now is not None and now.status == "cancelled":
            await self.cancel(collection.team, collection.collection_id)

    async def _submissions(self, collection: Collection, first: Fetched) -> AsyncIterator[Submission]:
        if collection.kind == "zip":
            for member in _members(
                collection, await asyncio.to_thread(lambda: list(discover.parse_zip(first.content)))
            ):
                yield replace(member, shown_url=collection.url)
            return
        async for url in self._pages(collection, first):
            if is_fetchable(url):
                yield replace(_template(collection), url=url)

    async def _pages(self, collection: Collection, first: Fetched) -> AsyncIterator[str]:
        if collection.kind == "feed":
            for url in await asyncio.to_thread(discover.parse_feed, first.content, first.url):
                yield url
            return
        robots = await self._robots(first.url)
        if not robots.allows(first.url):
            raise FetchRefused(FORBIDDEN)
        seen: set[str] = set()
        found = False
        async for url in self._in_sitemaps(first, robots):
            if _is_new(url, seen) and robots.allows(url):
                found = True
                yield url
        if not found:
            async for url in self._linked(first, robots):
                yield url

    async def _robots(self, url: str) -> discover.Robots:
        """Read robots.txt. Where there is none everything is allowed; while it cannot be had, nothing is (RFC 9309)."""
        try:
            fetched = await self.fetcher.fetch(urljoin(url, "/robots.txt"))
        except FetchFailed as error:
            if error.retry:
                raise
            return discover.Robots(None)
        except IngestFailed:
            return discover.Robots(None)
        return discover.Robots(fetched.content[:500_000].decode("utf-8", "replace"))

    async def _in_sitemaps(self, first: Fetched, robots: discover.Robots) -> AsyncIterator[str]:
        """Yield the site's pages that its sitemaps name. A sitemap that cannot be read names none."""
        given = discover.is_sitemap(first.content)
        start = urljoin(first.url, "/") if given else first.url
        waiting = deque([first.url] if given else robots.sitemaps or [urljoin(first.url, "/sitemap.xml")])
        read: set[str] = set()
        while waiting and len(read) < MAX_SITEMAPS:
            url = waiting.popleft()
            if url in read or not _same_host(url, first.url):
                continue
            read.add(url)
            sitemap = await self._sitemap(url, first)
            waiting.extend(sitemap.sitemaps)
            for page in sitemap.pages:
                if discover.is_page_of(page, start):
                    yield page

    async def _sitemap(self, url: str, first: Fetched) -> discover.Sitemap:
        try:
            content = first.content if url == first.url else (await self.fetcher.fetch(url)).content
            return await asyncio.to_thread(discover.parse_sitemap, content)
        except (IngestFailed, TooLarge) as error:
            logger.bind(error=type(error).__name__).info("sitemap not read")
            return discover.Sitemap()

    async def _linked(self, first: Fetched, robots: discover.Robots) -> AsyncIterator[str]:
        """Yield the site's pages breadth-first, one fetch at a time, beginning with the one that was named."""
        seen = {normalise_url(first.url)}
        waiting = deque([first.url])
        looked_at = 0
        while waiting and looked_at < MAX_LOOKED_AT:
            url = waiting.popleft()
            if url == first.url or not discover.has_links(url):
                page: Fetched | None = first if url == first.url else None
            else:
                looked_at += 1
                page = await self._page(url, robots)
                if page is None:
                    continue
            yield url
            links = await asyncio.to_thread(discover.parse_links, page.content, page.url) if page else ()
            waiting.extend(
                link
                for link in links
                if discover.is_page_of(link, first.url) and robots.allows(link) and _is_new(link, seen)
            )

    async def _page(self, url: str, robots: discover.Robots) -> Fetched | None:
        """Fetch a page for its links, after the pause that the site asks for; None for one that cannot be had."""
        await asyncio.sleep(min(robots.delay, MAX_DELAY))
        try:
            return await self.fetcher.fetch(url)
        except (IngestFailed, TooLarge):
            return None


# ----------------------------------------------------------------------------------------------------------- decisions


def _template(collection: Collection) -> Submission:
    return Submission(
        collection.team,
        visibility=collection.visibility,
        stated=collection.stated,
        refresh_days=collection.refresh_days,
        by=collection.by,
    )


def _members(collection: Collection, entries: Iterable[discover.Entry]) -> Iterable[Submission]:
    """Return the files of an archive, each as a document of its own."""
    for entry in entries:
        yield replace(
            _template(collection),
            upload=Upload(entry.content, entry.path.rpartition("/")[2], entry.media_type),
            document_id=member_id(collection.collection_id, entry.path),
            refresh_days=None,
        )


async def _each(submissions: Iterable[Submission]) -> AsyncIterator[Submission]:
    for submission in submissions:
        yield submission


def is_fetchable(url: str) -> bool:
    try:
        checked_url(url)
    except (BadInput, FetchRefused):
        return False
    return True


def _is_new(url: str, seen: set[str]) -> bool:
    """Whether no spelling of this address was seen before; notes it."""
    try:
        name = normalise_url(url)
    except ValueError:
        return False
    if name in seen:
        return False
    seen.add(name)
    return True


def _same_host(url: str, other: str) -> bool:
    try:
        return urlsplit(url).hostname == urlsplit(other).hostname
    except ValueError:
        return False
