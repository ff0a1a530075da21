"""What a site, a feed or an archive consists of; hostile ones included."""

from __future__ import annotations

import gzip
import stat
import zipfile
from contextlib import suppress
from io import BytesIO

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.errors import FootnoteError, TooLarge, Unreadable
from backend.ingest import discover

SITEMAP = b"""<?xml version="1.0"?><urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9">
<url><loc> https://a.example/one </loc><lastmod>2026-01-01</lastmod></url><url><loc>https://a.example/two</loc></url>
<url><loc>javascript:alert(1)</loc></url><url><loc>https://a.example/one</loc></url></urlset>"""
RSS = b"""<?xml version="1.0"?><rss version="2.0"><channel><link>https://a.example/</link>
<item><title>One</title><link>https://a.example/one</link></item><item><link>/two</link></item>
<item><guid>https://a.example/three</guid></item><item><guid isPermaLink="false">https://a.example/no</guid></item>
</channel></rss>"""
ATOM = b"""<feed xmlns="http://www.w3.org/2005/Atom"><link href="https://a.example/"/>
<entry><link rel="edit" href="https://a.example/edit"/><link href="https://a.example/one"/></entry></feed>"""
BOMB = b"""<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;">]>
<urlset><url><loc>https://a.example/&b;</loc></url></urlset>"""
STOLEN = b"""<!DOCTYPE x [<!ENTITY f SYSTEM "file:///etc/passwd">]><urlset><url><loc>https://a.example/&f;</loc></url></urlset>"""


def zipped(**files: bytes) -> bytes:
    return packed(list(files.items()))


def packed(files: list[tuple[str, bytes]]) -> bytes:
    archive = BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as opened:
        for name, content in files:
            opened.writestr(name, content)
    return archive.getvalue()


# ------------------------------------------------------------------------------------------------------ sitemaps, feeds


@pytest.mark.parametrize("content", [SITEMAP, gzip.compress(SITEMAP)], ids=["plain", "gzip"])
def test_a_sitemap_names_its_pages_once_each(content: bytes) -> None:
    assert discover.is_sitemap(content)
    assert discover.parse_sitemap(content) == discover.Sitemap(("https://a.example/one", "https://a.example/two"))


def test_an_index_names_further_sitemaps() -> None:
    index = b"<sitemapindex><sitemap><loc>https://a.example/s1.xml</loc></sitemap></sitemapindex>"
    assert discover.parse_sitemap(index).sitemaps == ("https://a.example/s1.xml",)


def test_feeds_name_their_entries() -> None:
    base = "https://a.example/feed.xml"
    found = ("https://a.example/one", "https://a.example/two", "https://a.example/three")
    assert discover.parse_feed(RSS, base) == found
    assert discover.parse_feed(ATOM, base) == ("https://a.example/one",)


@pytest.mark.parametrize("content", [BOMB, STOLEN])
def test_entities_are_refused_and_never_read(content: bytes) -> None:
    with pytest.raises(Unreadable, match="entities"):
        discover.parse_sitemap(content)


def test_entities_in_another_encoding_are_not_resolved() -> None:
    found = discover.parse_sitemap(STOLEN.decode().encode("utf-16"))
    assert not any("root:" in page for page in found.pages)


def test_a_sitemap_that_unpacks_beyond_all_measure_is_refused() -> None:
    with pytest.raises(TooLarge):
        discover.parse_sitemap(gzip.compress(b" " * (discover.MAX_XML + 2)))


@given(st.binary(max_size=300))
def test_whatever_comes_is_read_or_refused_in_words(content: bytes) -> None:
    discover.kind_of(content)
    discover.parse_links(content, "https://a.example/")
    with suppress(FootnoteError):
        discover.parse_sitemap(content)
    with suppress(FootnoteError):
        discover.parse_feed(content, "https://a.example/")


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (zipped(a=b"x"), "zip"),
        (RSS, "feed"),
        (ATOM, "feed"),
        (b"<?xml version='1.0'?><rdf:RDF xmlns:rdf='http://www.w3.org/1999/02/22-rdf-syntax-ns#'/>", "feed"),
        (SITEMAP, "site"),
        (b"<!doctype html><html><body>hello", "site"),
        (b"plain", "site"),
        (b"", "site"),
    ],
)
def test_the_kind_is_told_from_the_first_bytes(content: bytes, kind: str) -> None:
    assert discover.kind_of(content) == kind


# -------------------------------------------------------------------------------------------------------- pages, robots


def test_links_are_made_whole_and_those_that_are_not_to_be_followed_are_left() -> None:
    page = b"""<base href="/docs/"><a href="one#part">1</a><a href="../two?x=1">2</a><a href="mailto:x@a.example">m</a>
    <a rel="nofollow" href="three">3</a><a>4</a><a href="http://[bad">5</a><a href="https://b.example/">6</a>"""
    assert discover.parse_links(page, "https://a.example/x") == (
        "https://a.example/docs/one",
        "https://a.example/two?x=1",
        "https://b.example/",
    )
    robots = b'<meta name="robots" content="noindex, nofollow"><a href="/one">1</a>'
    assert discover.parse_links(robots, "https://a.example/") == ()


@pytest.mark.parametrize(
    ("url", "start", "belongs"),
    [
        ("https://a.example/b/c", "https://a.example/b/", True),
        ("https://a.example/b/../c", "https://a.example/b/", False),
        ("https://a.example/bc", "https://a.example/b/", False),
        ("https://a.example/b", "https://a.example/b/", True),
        ("https://a.example/c", "https://a.example/b", True),
        ("https://a.example", "https://a.example", True),
        ("https://A.example/x.PDF", "https://a.example/", True),
        ("https://a.example/x.png", "https://a.example/", False),
        ("https://a.example:8443/x", "https://a.example/", False),
        ("https://b.example/x", "https://a.example/", False),
        ("ftp://a.example/x", "https://a.example/", False),
        ("http://[bad/x", "https://a.example/", False),
        ("https://a.example/" + "x" * 3_000, "https://a.example/", False),
    ],
)
def test_a_site_ends_at_its_host_and_its_folder(url: str, start: str, belongs: bool) -> None:
    assert discover.is_page_of(url, start) is belongs


def test_robots_txt_is_heeded_by_our_own_name_first() -> None:
    text = "User-agent: *\nDisallow: /\n\nUser-agent: footnote\nDisallow: /private\nCrawl-delay: 3\n\nSitemap: https://a.example/s"
    robots = discover.Robots(text)
    assert robots.allows("https://a.example/open")
    assert not robots.allows("https://a.example/private/x")
    assert (robots.delay, robots.sitemaps) == (3.0, ("https://a.example/s",))
    assert discover.Robots(None).allows("https://a.example/anything")


# ------------------------------------------------------------------------------------------------------------- archives


def test_an_archive_gives_its_markdown_and_html_files() -> None:
    archive = packed([("docs/", b""), ("docs/a.md", b"# A"), ("b.HTML", b"<p>b"), ("c.png", b"x"), (".git/d.md", b"d")])
    assert list(discover.parse_zip(archive)) == [
        discover.Entry("docs/a.md", b"# A", "text/markdown"),
        discover.Entry("b.HTML", b"<p>b", "text/html"),
    ]


@pytest.mark.parametrize(
    "name", ["../a.md", "/etc/a.md", "a/../../b.md", "C:/a.md", "..\\a.md", "a//b.md", "a\nb.md", "__MACOSX/a.md"]
)
def test_paths_that_lead_elsewhere_are_left_out(name: str) -> None:
    assert list(discover.parse_zip(packed([(name, b"x")]))) == []


def test_links_in_an_archive_are_left_out() -> None:
    archive = BytesIO()
    with zipfile.ZipFile(archive, "w") as opened:
        link = zipfile.ZipInfo("a.md")
        link.external_attr = (stat.S_IFLNK | 0o777) << 16
        opened.writestr(link, "/etc/passwd")
    assert list(discover.parse_zip(archive.getvalue())) == []


def test_a_bomb_is_refused_after_as_many_bytes_as_are_taken() -> None:
    with pytest.raises(TooLarge):
        list(discover.parse_zip(zipped(**{"a.md": b" " * (discover.MAX_ENTRY + 1)})))
    many = [(f"{number}.md", b" " * discover.MAX_ENTRY) for number in range(21)]
    with pytest.raises(TooLarge):
        list(discover.parse_zip(packed(many)))


def test_an_archive_that_lies_about_its_sizes_is_refused() -> None:
    archive = bytearray(zipped(**{"a.md": b"x" * 1_000}))
    at = archive.rfind(b"PK\x01\x02")
    archive[at + 24 : at + 28] = (1).to_bytes(4, "little")
    with pytest.raises(FootnoteError):
        list(discover.parse_zip(bytes(archive)))


@pytest.mark.parametrize(
    "content",
    [b"", b"PK\x03\x04", b"nothing", zipped(**{"a.md": b"x"})[:-30]],
    ids=["empty", "magic", "words", "cut off"],  # a zip holds the time at which it was made
)
def test_what_is_no_archive_is_refused(content: bytes) -> None:
    with pytest.raises(Unreadable):
        list(discover.parse_zip(content))
