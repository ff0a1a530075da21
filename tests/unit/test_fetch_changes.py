"""Asking a server only for what has changed."""

from __future__ import annotations

import pytest
from aiohttp import web

from backend.domain import Snapshot
from backend.errors import FetchFailed
from tests.unit.test_fetch import fails, local, serving

DATE = "Fri, 20 Nov 2026 12:00:00 GMT"


async def answer(request: web.BaseRequest) -> web.StreamResponse:
    if request.path == "/old":
        return web.Response(status=302, headers={"Location": "/page"})
    if request.headers.get("If-None-Match") == '"v1"' or request.headers.get("If-Modified-Since") == DATE:
        return web.Response(status=304)
    return web.Response(text="hello", headers={"ETag": '"v1"', "Last-Modified": DATE})


async def test_what_a_server_calls_its_document_is_remembered() -> None:
    async with serving(answer) as base, local() as fetcher:
        fetched = await fetcher.fetch(base + "/page")
    assert (fetched.etag, fetched.last_modified, fetched.unchanged) == ('"v1"', DATE, False)


@pytest.mark.parametrize("path", ["/page", "/old"])
@pytest.mark.parametrize("known", [Snapshot(etag='"v1"'), Snapshot(last_modified=DATE)])
async def test_a_document_that_has_not_changed_is_not_sent_again(path: str, known: Snapshot) -> None:
    async with serving(answer) as base, local() as fetcher:
        fetched = await fetcher.fetch(base + path, known)
    assert (fetched.unchanged, fetched.content) == (True, b"")


@pytest.mark.parametrize("known", [None, Snapshot(), Snapshot(etag='"v0"')])
async def test_a_document_that_has_changed_is(known: Snapshot | None) -> None:
    async with serving(answer) as base, local() as fetcher:
        assert (await fetcher.fetch(base + "/page", known)).content == b"hello"


async def test_a_server_that_says_unchanged_without_being_asked_has_failed() -> None:
    async def confused(request: web.BaseRequest) -> web.StreamResponse:
        return web.Response(status=304)

    error = await fails(confused)
    assert isinstance(error, FetchFailed)


async def test_a_validator_that_could_not_be_sent_back_is_forgotten() -> None:
    async def odd(request: web.BaseRequest) -> web.StreamResponse:
        return web.Response(text="hello", headers={"ETag": '"' + "x" * 600 + '"', "Last-Modified": "é"})

    async with serving(odd) as base, local() as fetcher:
        fetched = await fetcher.fetch(base)
    assert (fetched.etag, fetched.last_modified) == ("", "")


@pytest.mark.parametrize(("status", "gone"), [(404, True), (410, True), (403, False), (500, False)])
async def test_only_what_is_not_there_is_gone(status: int, gone: bool) -> None:
    async def missing(request: web.BaseRequest) -> web.StreamResponse:
        return web.Response(status=status)

    error = await fails(missing)
    assert isinstance(error, FetchFailed)
    assert error.gone is gone
