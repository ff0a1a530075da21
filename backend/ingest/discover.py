"""What a site, a feed or an archive consists of. Pure: bytes in, addresses and files out; hostile input is an error.

Formats: robots.txt (RFC 9309), sitemaps (sitemaps.org, also gzipped), RSS 2.0, RSS 1.0, Atom (RFC 4287), HTML, zip.
"""

from __future__ import annotations

import posixpath
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO
from urllib.parse import urljoin, urlsplit
from urllib.robotparser import RobotFileParser

from lxml import etree, html

from backend.domain import CollectionKind
from backend.errors import TooLarge, Unreadable

AGENT = "Footnote"
"""The name by which robots.txt may speak of us."""
MAX_XML = 20_000_000
"""Bytes of one sitemap or feed, unpacked; sitemaps.org allows 50 MB, which nobody needs for 500 pages."""
MAX_FOUND = 50_000
"""Addresses taken out of one page, sitemap or feed."""
MAX_URL = 2_048
MAX_ENTRIES = 20_000
MAX_ENTRY = 5_000_000
"""Bytes of one file of an archive, unpacked."""
MAX_UNPACKED = 100_000_000
"""Bytes of all files that are taken out of one archive, unpacked."""
TEXT_FILES = {".md": "text/markdown", ".markdown": "text/markdown", ".html": "text/html", ".htm": "text/html"}
NOT_PAGES = frozenset(
    {
        *(".css", ".js", ".mjs", ".json", ".xml", ".rss", ".atom", ".woff", ".woff2", ".ttf", ".eot"),
        *(".ico", ".png", ".jpg", ".jpeg", ".gif", ".svg", ".webp", ".avif", ".bmp"),
        *(".mp3", ".mp4", ".webm", ".ogg", ".wav", ".avi", ".mov"),
        *(".zip", ".gz", ".tar", ".tgz", ".rar", ".7z", ".exe", ".dmg", ".iso", ".apk", ".jar"),
    }
)
FILES = frozenset({".pdf", ".docx", ".pptx", ".xlsx", ".csv", ".txt", ".md", ".rtf", ".odt", ".epub"})


@dataclass(frozen=True, slots=True)
class Sitemap:
    """What a sitemap names: pages, or further sitemaps."""

    pages: tuple[str, ...] = ()
    sitemaps: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Entry:
    """One file of an archive; `path` has forward slashes, and never leads outside."""

    path: str
    content: bytes
    media_type: str


class Robots:
    """What a site asks of robots. Without a robots.txt (`text` of None) everything is allowed."""

    def __init__(self, text: str | None) -> None:
        self._parser = RobotFileParser()
        self._parser.parse((text or "").splitlines())

    def allows(self, url: str) -> bool:
        return self._parser.can_fetch(AGENT, url)

    @property
    def sitemaps(self) -> tuple[str, ...]:
        return tuple(self._parser.site_maps() or ())

    @property
    def delay(self) -> float:
        """Seconds that it asks to be left between two fetches, 0 if it does not."""
        return float(self._parser.crawl_delay(AGENT) or 0)


def kind_of(content: bytes) -> CollectionKind:
    """Tell an archive and a feed from everything else, which is a page of a site or its sitemap."""
    if content.startswith(b"PK\x03\x04"):
        return "zip"
    root = _root_name(content)
    return "feed" if root in {"rss", "feed", "rdf"} else "site"


def is_sitemap(content: bytes) -> bool:
    return content.startswith(b"\x1f\x8b") or _root_name(content) in {"urlset", "sitemapindex"}


def parse_sitemap(content: bytes) -> Sitemap:
    """Read a sitemap or an index of sitemaps. Unreadable or TooLarge if it is none."""
    root = _parsed(_unpacked(content))
    found = tuple(_texts(root, "loc"))
    match _name(root):
        case "sitemapindex":
            return Sitemap(sitemaps=found)
        case "urlset":
            return Sitemap(pages=found)
        case _:
            raise Unreadable("That is not a sitemap.")


def parse_feed(content: bytes, base: str) -> tuple[str, ...]:
    """Return the addresses of a feed's entries, in its order and once each. Unreadable or TooLarge if it is none."""
    root = _parsed(content)
    if _name(root) not in {"rss", "feed", "rdf"}:
        raise Unreadable("That is neither an RSS nor an Atom feed.")
    entries = (entry for entry in root.iter() if _name(entry) in {"item", "entry"})
    links = (link for entry in entries if (link := _link_of(entry)))
    return _once(urljoin(base, link) for link in links)


def _link_of(entry: etree._Element) -> str:
    """Return what an entry links to: Atom's alternate link, or RSS's link, or a guid that is an address."""
    for child in entry:
        if _name(child) == "link" and child.get("rel", "alternate") == "alternate":
            found = (child.get("href") or child.text or "").strip()
            if found:
                return str(found)
    guid = next((child for child in entry if _name(child) == "guid" and child.get("isPermaLink") != "false"), None)
    text = (guid.text or "").strip() if guid is not None else ""
    return text if text.startswith(("http://", "https://")) else ""


def parse_links(content: bytes, base: str) -> tuple[str, ...]:
    """Return where a page's links lead, once each, without fragments; none where it asks not to be followed."""
    parser = html.HTMLParser(no_network=True, huge_tree=False, recover=True)
    try:
        root = html.document_fromstring(content, parser=parser)
    except (etree.ParserError, etree.XMLSyntaxError, ValueError):
        return ()
    if any("nofollow" in (meta.get("content") or "").lower() for meta in root.xpath("//meta[@name='robots']")):
        return ()
    start = str(next(iter(root.xpath("//base/@href")), ""))
    anchors = (a for a in root.iter("a") if "nofollow" not in (a.get("rel") or "").lower())
    hrefs = (str(anchor.get("href") or "").strip() for anchor in anchors)
    return _once(_joined(_joined(base, start), href) for href in hrefs if href and not href.startswith("#"))


def _joined(base: str, href: str) -> str:
    try:
        return urljoin(base, href).partition("#")[0]
    except ValueError:
        return ""


def is_page_of(url: str, start: str) -> bool:
    """Whether `url` is a page of the site of `start`: on the same host, in or below the folder that `start` is in."""
    try:
        parts, first = urlsplit(url), urlsplit(start)
        same_host = (parts.hostname, parts.port) == (first.hostname, first.port)
    except ValueError:
        return False
    if parts.scheme not in ("http", "https") or not same_host or len(url) > MAX_URL:
        return False
    folder = first.path.rpartition("/")[0] + "/"
    return f"{posixpath.normpath(parts.path or '/')}/".startswith(folder) and _extension(parts.path) not in NOT_PAGES


def has_links(url: str) -> bool:
    """Whether a page may lead on to others, as far as its address tells."""
    return _extension(urlsplit(url).path) not in FILES


def _extension(path: str) -> str:
    return posixpath.splitext(path)[1].lower()


# ------------------------------------------------------------------------------------------------------------ archives


def parse_zip(content: bytes) -> Iterator[Entry]:
    """Yield the Markdown and HTML files of an archive, in its order. Nothing is trusted that it says of itself.

    Raises:
        Unreadable: no archive, damaged, or encrypted.
        TooLarge: more files or more bytes than we unpack, whatever its directory claims.
    """
    try:
        with zipfile.ZipFile(BytesIO(content)) as archive:
            listed = archive.infolist()
            if len(listed) > MAX_ENTRIES:
                raise TooLarge(f"The archive has {len(listed):,} files; at most {MAX_ENTRIES:,} are looked at.")
            left = MAX_UNPACKED
            for info in listed:
                path = _safe_path(info)
                if path:
                    unpacked = _read(archive, info, min(left, MAX_ENTRY))
                    left -= len(unpacked)
                    yield Entry(path, unpacked, TEXT_FILES[_extension(path)])
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, ValueError) as error:
        raise Unreadable("The archive is damaged, encrypted or packed in a way that is not read.") from error


def _safe_path(info: zipfile.ZipInfo) -> str:
    """Return the path of a file that is wanted, "" for any other."""
    path = info.filename.replace("\\", "/")
    steps = path.split("/")
    is_link = (info.external_attr >> 16) & 0o170000 == 0o120000
    if info.is_dir() or is_link or path.startswith("/") or ":" in steps[0] or not path.isprintable():
        return ""
    if any(step in ("", ".", "..", "__MACOSX", "node_modules") or step.startswith(".") for step in steps):
        return ""
    return path if _extension(path) in TEXT_FILES else ""


def _read(archive: zipfile.ZipFile, info: zipfile.ZipInfo, limit: int) -> bytes:
    with archive.open(info) as file:
        unpacked = file.read(limit + 1)
    if len(unpacked) > limit:
        raise TooLarge(
            f"The archive unpacks to more than is taken: {MAX_ENTRY // 1_000_000} MB a file, "
            f"{MAX_UNPACKED // 1_000_000} MB in all."
        )
    return unpacked


# ----------------------------------------------------------------------------------------------------------------- XML


def _unpacked(content: bytes) -> bytes:
    """Unpack a gzipped sitemap, no further than is allowed."""
    if not content.startswith(b"\x1f\x8b"):
        return content
    unzip = zlib.decompressobj(wbits=31)
    try:
        unpacked = unzip.decompress(content, MAX_XML + 1)
    except zlib.error:
        raise Unreadable("The sitemap is damaged.") from None
    return unpacked


def _parsed(content: bytes) -> etree._Element:
    """Parse XML without entities, DTDs, network or huge trees."""
    if len(content) > MAX_XML:
        raise TooLarge(f"The sitemap or feed is larger than {MAX_XML // 1_000_000} MB.")
    if b"<!ENTITY" in content:
        raise Unreadable("The sitemap or feed declares entities, which are not read.")
    parser = etree.XMLParser(
        resolve_entities=False, no_network=True, huge_tree=False, load_dtd=False, recover=True, remove_comments=True
    )
    try:
        root = etree.fromstring(content, parser)
    except (etree.XMLSyntaxError, ValueError):
        root = None
    if root is None:
        raise Unreadable("The sitemap or feed is not XML.")
    return root


def _root_name(content: bytes) -> str:
    """Return the name of the first element, looking no further than the beginning."""
    start = content[:100_000].lstrip(b"\xef\xbb\xbf \t\r\n")
    if not start.startswith(b"<"):
        return ""
    parser = etree.XMLPullParser(
        events=("start",), resolve_entities=False, no_network=True, huge_tree=False, load_dtd=False, recover=True
    )
    try:
        parser.feed(start)
        first = next(parser.read_events(), None)
    except (etree.XMLSyntaxError, ValueError):
        return ""
    return _name(first[1]) if first else ""


def _name(element: etree._Element) -> str:
    """Return an element's name in lower case, without its namespace; "" for what is none."""
    return etree.QName(element).localname.lower() if isinstance(element.tag, str) else ""


def _texts(root: etree._Element, name: str) -> Iterator[str]:
    found = ((element.text or "").strip() for element in root.iter() if _name(element) == name)
    return iter(_once(text for text in found if text))


def _once(urls: Iterator[str]) -> tuple[str, ...]:
    kept: dict[str, None] = {}
    for url in urls:
        if url.startswith(("http://", "https://")) and len(url) <= MAX_URL:
            kept[url] = None
        if len(kept) >= MAX_FOUND:
            break
    return tuple(kept)
