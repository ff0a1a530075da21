"""Collections over HTTP: begun, followed, cancelled; what is wrong with a wish is said."""

from __future__ import annotations

import aiohttp
import pytest

from backend.api.services import Limits
from tests.fakes.server import ASK, running
from tests.unit.test_discover import packed

SITE = "https://a.example"
PAGES = {
    f"{SITE}/": b"<html>",
    f"{SITE}/sitemap.xml": b"<urlset><url><loc>https://a.example/one</loc></url>"
    b"<url><loc>https://a.example/two</loc></url></urlset>",
}


async def test_a_site_is_taken_in_and_its_progress_told() -> None:
    async with running() as backend:
        backend.fetcher.pages.update(PAGES)
        wish = {"url": f"{SITE}/", "visibility": "channel:C1", "metadata": {"tags": ["hr"]}, "by": "U1"}
        async with backend.http.post("/collections", json=wish) as reply:
            assert reply.status == 202
            began = await reply.json()
        async with backend.http.get(f"/collections/{began['collection_id']}") as reply:
            told = await reply.json()
    assert began["status"] == "queued"
    assert (told["status"], told["kind"], told["found"], told["limit"]) == ("discovered", "site", 2, 50)
    assert (told["counts"], told["failures"]) == ({"ready": 2}, [])
    assert {one.url for one in backend.ingest.accepted} == {f"{SITE}/one", f"{SITE}/two"}
    assert {str(one.visibility) for one in backend.ingest.accepted} == {"channel:C1"}


async def test_failures_are_told_with_their_reasons() -> None:
    async with running() as backend:
        backend.fetcher.pages.update(PAGES)
        backend.ingest.fails_with = "It needs a login."
        async with backend.http.post("/collections", json={"url": SITE + "/", "kind": "site"}) as reply:
            collection_id = (await reply.json())["collection_id"]
        async with backend.http.get(f"/collections/{collection_id}") as reply:
            told = await reply.json()
    assert told["counts"] == {"failed": 2}
    assert {(one["url"], one["reason"]) for one in told["failures"]} == {
        (f"{SITE}/one", "It needs a login."),
        (f"{SITE}/two", "It needs a login."),
    }


async def test_a_collection_is_cancelled() -> None:
    async with running() as backend:
        backend.fetcher.pages.update(PAGES)
        async with backend.http.post("/collections", json={"url": SITE + "/"}) as reply:
            path = f"/collections/{(await reply.json())['collection_id']}"
        async with backend.http.delete(path) as reply:
            assert (reply.status, (await reply.json())["status"]) == (200, "cancelled")
        async with backend.http.get(path) as reply:
            assert (await reply.json())["status"] == "cancelled"
        async with backend.http.delete("/collections/col-x") as reply:
            assert reply.status == 404


@pytest.mark.parametrize(
    ("wish", "status"),
    [
        ({"url": "file:///etc/passwd"}, 422),
        ({"url": f"{SITE}/", "limit": 501}, 400),
        ({"url": f"{SITE}/", "kind": "disk"}, 400),
        ({"url": f"{SITE}/", "visibility": "everyone"}, 400),
        ({}, 400),
    ],
)
async def test_a_wish_that_cannot_be_meant_is_refused(wish: dict[str, object], status: int) -> None:
    async with running() as backend, backend.http.post("/collections", json=wish) as reply:
        assert reply.status == status


def form(content: bytes, **fields: str) -> aiohttp.FormData:
    made = aiohttp.FormData(fields)
    made.add_field("file", content, filename="handbook.zip", content_type="application/zip")
    return made


async def test_an_archive_is_handed_in_as_a_form() -> None:
    pages = packed([("a.md", b"# A"), ("b.md", b"# B")])
    fields = {"visibility": "channel:C1", "limit": "500", "metadata": '{"tags": ["hr"]}', "by": "U1", "kind": "zip"}
    async with running() as backend:
        async with backend.http.post("/collections", data=form(pages, **fields)) as reply:
            began = await reply.json()
            assert (reply.status, began["status"]) == (202, "discovered")
        async with backend.http.get(f"/collections/{began['collection_id']}") as reply:
            told = await reply.json()
    assert (told["kind"], told["url"], told["counts"], told["limit"]) == ("zip", "handbook.zip", {"ready": 2}, 500)
    assert {(str(one.visibility), one.stated.tags) for one in backend.ingest.accepted} == {("channel:C1", ("hr",))}


@pytest.mark.parametrize(
    ("content", "fields", "status", "said"),
    [
        (b"x", {}, 422, "damaged"),
        (b"x" * 2_000, {}, 413, "at most 1,000"),
        (b"x", {"kind": "site"}, 400, "zip"),
        (b"x", {"url": "https://a.example/"}, 400, "one of url or file"),
        (b"", {}, 400, "empty"),
    ],
    ids=["no zip", "large", "site", "both", "empty"],
)
async def test_a_file_that_is_no_archive_for_us_is_refused_in_words(
    content: bytes, fields: dict[str, str], status: int, said: str
) -> None:
    async with (
        running(limits=Limits(document=1_000)) as backend,
        backend.http.post("/collections", data=form(content, **fields)) as reply,
    ):
        assert (reply.status, said in (await reply.json())["detail"]) == (status, True), await reply.text()


async def test_asking_is_not_enough_to_take_in_a_site() -> None:
    async with (
        running() as backend,
        backend.http.post("/collections", json={"url": SITE}, headers={"X-API-Key": ASK}) as reply,
    ):
        assert reply.status == 403
