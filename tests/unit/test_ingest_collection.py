"""The story of a collection over fakes: what is found, once each and within its limits; how it ends."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace

import pytest

from backend.domain import Collection, Snapshot, Visibility
from backend.errors import FetchFailed, FetchRefused, IngestFailed, LimitReached, NotFound, Unreadable
from backend.ingest.collection import EMPTY, INTERRUPTED, NO_PAGES, Collector, Work
from backend.ingest.polite import PoliteFetcher
from backend.ingest.submission import Upload
from backend.ingest.wishes import Wish, derive_collection_id
from backend.ports import Fetched
from tests.fakes.ingest import Rig
from tests.fakes.state import FakeCollections
from tests.unit.test_discover import RSS, packed

SITE = "https://a.example"


@dataclass
class Room:
    """A collector over the ingest story's fakes."""

    rig: Rig = field(default_factory=Rig)

    def __post_init__(self) -> None:
        self.collections = FakeCollections(self.rig.documents)
        self.collector = Collector(self.collections, self.rig.ingest, self.rig.fetcher)

    def serve(self, **pages: str | bytes) -> None:
        """Serve pages by path; `_` is a slash."""
        for path, page in pages.items():
            content = page.encode() if isinstance(page, str) else page
            self.rig.fetcher.pages[f"{SITE}/{path.replace('_', '/').replace('DOT', '.')}"] = content

    async def collect(self, path: str = "/", **changes: object) -> list[str]:
        """Collect a site; return the ids of its documents, as addresses where they have one."""
        wish = replace(Wish("T1", f"{SITE}{path}"), **changes)  # type: ignore[arg-type]
        began = await self.collector.begin(wish)
        await self.collector.collect("T1", began.collection_id, began.attempt)
        return [member.url for member in await self.collections.members("T1", began.collection_id)]


@pytest.fixture
def room() -> Room:
    return Room()


def sitemap(*paths: str) -> str:
    return "<urlset>" + "".join(f"<url><loc>{SITE}{path}</loc></url>" for path in paths) + "</urlset>"


def links(*paths: str) -> str:
    return "<html>" + "".join(f'<a href="{path}">x</a>' for path in paths)


async def test_a_site_is_what_its_sitemap_names_except_what_robots_may_not_read(room: Room) -> None:
    room.serve(
        **{"": links("/elsewhere")},
        robotsDOTtxt=f"User-agent: *\nDisallow: /b\nSitemap: {SITE}/s.xml",
        sDOTxml=sitemap("/a", "/b", "/c", "/c#x", "/c?utm_source=y", "/img.png"),
    )
    assert sorted(await room.collect()) == [f"{SITE}/a", f"{SITE}/c"]


async def test_sitemaps_of_sitemaps_are_followed_and_circles_end(room: Room) -> None:
    index = f"<sitemapindex><sitemap><loc>{SITE}/sitemap.xml</loc></sitemap><sitemap><loc>{SITE}/s2.xml</loc></sitemap>"
    room.serve(**{"": "<html>"}, sitemapDOTxml=index + "</sitemapindex>", s2DOTxml=sitemap("/a"))
    assert await room.collect() == [f"{SITE}/a"]


async def test_without_a_sitemap_links_are_followed_breadth_first_on_the_same_host(room: Room) -> None:
    room.serve(**{"": links("/a", "/b", "https://b.example/x", "/x.pdf")}, a=links("/c", "/"), b=links(), c=links("/d"))
    room.serve(d=links())
    assert sorted(await room.collect()) == [f"{SITE}/{path}" for path in ("", "a", "b", "c", "d", "x.pdf")]
    assert f"{SITE}/x.pdf" not in room.rig.fetcher.fetched
    assert not any("b.example" in url for url in room.rig.fetcher.fetched)


async def test_no_more_is_taken_than_was_asked_for(room: Room) -> None:
    room.serve(**{"": "<html>"}, sitemapDOTxml=sitemap(*(f"/p{number}" for number in range(30))))
    assert len(await room.collect(limit=7)) == 7


async def test_the_same_site_twice_is_the_same_documents(room: Room) -> None:
    room.serve(**{"": "<html>"}, sitemapDOTxml=sitemap("/a", "/b"))
    first = await room.collect()
    again = await room.collect("/#top")
    assert first == again
    assert len(room.rig.documents.rows) == 2


async def test_documents_carry_their_collection_and_its_readers(room: Room) -> None:
    room.serve(**{"": "<html>"}, sitemapDOTxml=sitemap("/a"))
    await room.collect(visibility=Visibility.parse("channel:C1"), by="U1")
    (document,) = room.rig.documents.rows.values()
    (collection_id,) = {key[1] for key in room.collections.rows}
    assert document.stated.custom["collection"] == (collection_id,)
    assert (str(document.visibility), document.by) == ("channel:C1", "U1")


async def test_a_feed_is_its_entries_wherever_they_are(room: Room) -> None:
    room.serve(feed=RSS)
    assert sorted(await room.collect("/feed")) == [f"{SITE}/one", f"{SITE}/three", f"{SITE}/two"]


async def test_an_archive_is_a_document_per_file_with_an_id_of_its_path(room: Room) -> None:
    room.serve(docsDOTzip=packed([("h/a.md", b"# A"), ("h/b.md", b"# B"), ("../c.md", b"# C")]))
    await room.collect("/docs.zip")
    ids = sorted(document_id for _, document_id in room.rig.documents.rows)
    assert [one.partition("/")[2] for one in ids] == ["h/a.md", "h/b.md"]


async def test_a_site_that_robots_may_not_read_is_not_read(room: Room) -> None:
    room.serve(**{"": links("/a")}, robotsDOTtxt="User-agent: *\nDisallow: /")
    with pytest.raises(FetchRefused, match="robots"):
        await room.collect()
    assert room.rig.documents.rows == {}


async def test_while_robots_txt_cannot_be_had_nothing_is_read(room: Room) -> None:
    room.serve(**{"": links("/a")})
    room.rig.fetcher.pages[f"{SITE}/robots.txt"] = FetchFailed("It did not answer.", retry=True)
    with pytest.raises(FetchFailed):
        await room.collect()


async def test_nothing_found_is_said(room: Room) -> None:
    room.serve(feed=b"<rss><channel/></rss>")
    with pytest.raises(IngestFailed, match="Nothing was found"):
        await room.collect("/feed")
    (collection,) = room.collections.rows.values()
    await room.collector.fail("T1", collection.collection_id, collection.attempt, EMPTY)
    found, _ = await room.collector.report("T1", collection.collection_id)
    assert (found.status, found.reason) == ("failed", EMPTY)


async def test_cancelling_takes_out_what_is_queued_and_leaves_what_is_ready(room: Room) -> None:
    room.serve(**{"": "<html>"}, sitemapDOTxml=sitemap("/a", "/b"), a="Text.", b="Text.")
    await room.collect()
    (collection_id,) = {key[1] for key in room.collections.rows}
    ready = next(row for row in room.rig.documents.rows.values() if row.url.endswith("/a"))
    await room.rig.run(ready)
    assert await room.collector.cancel("T1", collection_id) == 1
    collection, members = await room.collector.report("T1", collection_id)
    assert collection.status == "cancelled"
    assert {member.url: member.status for member in members} == {f"{SITE}/a": "ready", f"{SITE}/b": "deleted"}


async def test_cancelling_while_pages_are_looked_for_ends_the_search(room: Room) -> None:
    chain = {f"p{number}": links(f"/p{number + 1}") for number in range(40)}
    room.serve(**{"": links("/p0")}, **chain)
    began = await room.collector.begin(Wish("T1", f"{SITE}/"))

    class Cancelling:
        async def fetch(self, url: str, known: Snapshot | None = None) -> Fetched:
            if url.endswith("/p5"):
                await room.collector.cancel("T1", began.collection_id)
            return await room.rig.fetcher.fetch(url, known)

    collector = replace(room.collector, fetcher=Cancelling())
    await collector.collect("T1", began.collection_id, began.attempt)
    assert len(room.rig.fetcher.fetched) < 12
    assert {row.status for row in room.rig.documents.rows.values()} == {"deleted"}


async def test_superseded_work_does_nothing_and_unfinished_work_is_taken_up(room: Room) -> None:
    began = await room.collector.begin(Wish("T1", f"{SITE}/"))
    assert await room.collector.begin(Wish("T1", f"{SITE}/")) == began
    assert await room.collector.collect("T1", began.collection_id, "another") == []
    assert room.rig.fetcher.fetched == []
    taken_up = []

    class Queue:
        async def collect(self, collection: object) -> None:
            taken_up.append(collection)

    await room.collector.resume(Queue())
    assert taken_up == [began]


async def test_there_is_no_collection_that_nobody_asked_for(room: Room) -> None:
    for call in (room.collector.report, room.collector.cancel):
        with pytest.raises(NotFound):
            await call("T1", "col-x")


def test_other_readers_have_another_collection() -> None:
    team, channel = Wish("T1", f"{SITE}/#a"), Wish("T1", f"{SITE}/", visibility=Visibility.parse("channel:C1"))
    assert derive_collection_id(team) == derive_collection_id(Wish("T1", SITE))
    assert derive_collection_id(team) != derive_collection_id(channel)


async def test_one_host_is_never_asked_for_more_than_two_things_at_once() -> None:
    at_once: dict[str, int] = {}
    most: dict[str, int] = {}

    class Counting:
        async def fetch(self, url: str, known: Snapshot | None = None) -> Fetched:
            host = url.split("/")[2]
            at_once[host] = at_once.get(host, 0) + 1
            most[host] = max(most.get(host, 0), at_once[host])
            await asyncio.sleep(0.005)
            at_once[host] -= 1
            return Fetched(b"", url, "")

    polite = PoliteFetcher(Counting())
    await asyncio.gather(
        *(polite.fetch(f"https://{host}/{n}") for n in range(9) for host in ("a.example", "b.example"))
    )
    assert most == {"a.example": 2, "b.example": 2}
    assert len(polite.gates) == 0


# ------------------------------------------------------------------------------------------- archives handed in

PAGES = packed([("h/a.md", b"# A\nText of a."), ("h/b.html", b"<h1>B</h1>Text."), ("h/c.png", b"x"), ("../d.md", b"D")])


async def handed_in(room: Room, content: bytes = PAGES, **changes: object) -> tuple[Collection, list[Work]]:
    upload = Upload(content, "handbook.zip", "application/zip")
    wish = replace(Wish("T1", "handbook.zip", "zip", upload=upload), **changes)  # type: ignore[arg-type]
    return await room.collector.take_in(wish, upload)


async def test_an_archive_that_is_handed_in_is_a_document_per_page_at_once(room: Room) -> None:
    collection, works = await handed_in(room, visibility=Visibility.parse("channel:C1"), by="U1")
    assert (collection.status, collection.kind, collection.url, collection.found) == (
        "discovered", "zip", "handbook.zip", 2,
    )  # fmt: skip
    assert [one.rpartition("/")[2] for one, _ in works] == ["a.md", "b.html"]
    documents = [room.rig.documents.rows["T1", one] for one, _ in works]
    assert {(str(one.visibility), one.by, one.url) for one in documents} == {("channel:C1", "U1", "")}
    for document in documents:
        await room.rig.run(document)
    _, members = await room.collector.report("T1", collection.collection_id)
    assert {member.status for member in members} == {"ready"}


async def test_the_same_archive_again_is_the_same_documents_and_another_is_not(room: Room) -> None:
    first, _ = await handed_in(room)
    again, _ = await handed_in(room)
    other, _ = await handed_in(room, packed([("h/a.md", b"# Another handbook")]))
    assert again.collection_id == first.collection_id != other.collection_id
    assert len(room.rig.documents.rows) == 3


async def test_an_archive_that_holds_more_than_is_taken_says_so(room: Room) -> None:
    collection, works = await handed_in(room, packed([(f"{n}.md", b"# X") for n in range(5)]), limit=3)
    assert (len(works), collection.found, collection.status) == (3, 3, "discovered")
    assert collection.reason == "It holds 5 pages; 3 were taken."


@pytest.mark.parametrize(
    ("content", "said"),
    [(b"PK\x03\x04 not a zip", "damaged"), (packed([("a.png", b"x")]), NO_PAGES)],
    ids=["damaged", "no pages"],
)
async def test_an_archive_with_nothing_for_us_is_refused_and_leaves_no_trace(
    room: Room, content: bytes, said: str
) -> None:
    with pytest.raises(Unreadable, match=said):
        await handed_in(room, content)
    assert room.collections.rows == {}


async def test_a_team_that_is_full_is_told_instead_of_half_an_error(room: Room) -> None:
    class Full:
        async def accept(self, submission: object) -> object:
            raise LimitReached("Your team is full.")

    room.collector = replace(room.collector, ingest=Full())  # type: ignore[arg-type]
    collection, works = await handed_in(room)
    assert (collection.status, collection.reason, works) == ("failed", "Your team is full.", [])


async def test_an_archive_whose_taking_in_was_interrupted_is_asked_for_again(room: Room) -> None:
    collection, _ = await handed_in(room)
    interrupted = replace(collection, status="discovering", attempt="a1")
    await room.collections.put(interrupted)
    with pytest.raises(IngestFailed, match="Share it again") as told:
        await room.collector.collect("T1", collection.collection_id, "a1")
    assert str(told.value) == INTERRUPTED
