"""The images inside a document: how many there are, and those that are worth a caption. Pure.

Counting is cheap, because it is done for every document; images are taken out only where a model will look at them.
Marks, bullets and hairlines are no images here, and an image that a page only links to is not fetched.
"""

from __future__ import annotations

import base64
import binascii
import io
import re
import zipfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import PurePosixPath

from kreuzberg import ExtractionConfig, ImageExtractionConfig, KreuzbergError, extract_bytes_sync

from backend.domain import Figure
from backend.errors import Unreadable
from backend.ingest.sniff import Kind, sniff
from backend.ports import Fetched

MIN_SIDE = 64
"""Pixels: what is narrower or lower is an icon or a line."""
MIN_BYTES = 1_000
"""Of what does not say how large it is."""
MAX_BYTES = 4_000_000
"""Of one image: the usual endpoints accept it in a request, in base64."""
MAX_TOTAL = 30_000_000
"""Of all that are taken out of a document."""
MAX_SIDE = 2_048
"""Pixels: larger images of a PDF are scaled down."""
_TYPES = ((b"\x89PNG\r\n\x1a\n", "image/png"), (b"\xff\xd8\xff", "image/jpeg"), (b"GIF8", "image/gif"))
_SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".gif", ".webp"})
_DAMAGED = (zipfile.BadZipFile, NotImplementedError, RuntimeError, OSError, ValueError, EOFError)
_PDF_IMAGE = re.compile(rb"/Subtype\s*/Image\b")
_PDF_MASK = re.compile(rb"/S?Mask\s+(\d+)\s+\d+\s+R")
_JPEG_FRAME = re.compile(rb"\xff[\xc0-\xc3]..\x08(..)(..)", re.S)
_DATA_URI = re.compile(r"data:image/(?:png|jpe?g|gif|webp);base64,([A-Za-z0-9+/=\s]{100,6000000})")
_MARKDOWN_IMAGE = re.compile(r"!\[[^\[\]]{0,500}\]\(")
_HTML_TAG = re.compile(r"<(/?)(img|nav|header|footer|aside|noscript|template)\b[^<>]{0,5000}>", re.I)
_SMALL = re.compile(r"\b(?:width|height)\s*=\s*[\"']?(\d{1,2})(?:px)?[\"'\s>]", re.I)


@dataclass(frozen=True, slots=True)
class Images:
    """How many images a document has, and the first of them that may be captioned."""

    count: int = 0
    figures: tuple[Figure, ...] = ()


def images_in(fetched: Fetched, *, limit: int) -> Images:
    """Return a document's images, of which at most `limit` are taken out."""
    content, media_type = fetched.content, media_type_of(fetched.content)
    if media_type:
        return Images(1, tuple(_different(_worth_while([Figure(media_type, content)]), limit)))
    try:
        kind = sniff(fetched)
    except Unreadable:
        return Images()
    figures = tuple(_different(_worth_while(_figures(content, kind)), limit)) if limit else ()
    return Images(max(_count(content, kind), len(figures)), figures)


def media_type_of(content: bytes) -> str:
    """Return the type of an image that models take, "" for anything else."""
    if content[:4] == b"RIFF" and content[8:12] == b"WEBP":
        return "image/webp"
    return next((name for start, name in _TYPES if content.startswith(start)), "")


def size_of(content: bytes) -> tuple[int, int] | None:
    """Return width and height in pixels of a PNG, GIF or JPEG whose head tells them."""
    if content.startswith(b"\x89PNG") and len(content) >= 24:
        return int.from_bytes(content[16:20], "big"), int.from_bytes(content[20:24], "big")
    if content.startswith(b"GIF8") and len(content) >= 10:
        return int.from_bytes(content[6:8], "little"), int.from_bytes(content[8:10], "little")
    frame = _JPEG_FRAME.search(content, 0, 200_000) if content.startswith(b"\xff\xd8") else None
    return (int.from_bytes(frame[2], "big"), int.from_bytes(frame[1], "big")) if frame else None


def _different(figures: Iterable[Figure], limit: int) -> Iterator[Figure]:
    """Yield the first different ones: a logo stands on every page."""
    seen: set[bytes] = set()
    room = MAX_TOTAL
    for figure in figures:
        room -= len(figure.content)
        if len(seen) >= limit or room < 0:
            return
        digest = sha256(figure.content).digest()
        if digest not in seen:
            seen.add(digest)
            yield figure


def _worth_while(figures: Iterable[Figure]) -> Iterator[Figure]:
    for figure in figures:
        sides = size_of(figure.content)
        large = min(sides) >= MIN_SIDE if sides else len(figure.content) >= MIN_BYTES
        if large and len(figure.content) <= MAX_BYTES:
            yield figure


def _count(content: bytes, kind: Kind) -> int:
    if kind == "pdf":  # an image of a PDF is a stream, and streams are never packed into others
        return max(0, len(_PDF_IMAGE.findall(content)) - len(set(_PDF_MASK.findall(content))))
    if kind in ("html", "markdown"):
        text = content.decode("utf-8", "replace")
        return _count_tags(text) + (len(_MARKDOWN_IMAGE.findall(text)) if kind == "markdown" else 0)
    return sum(1 for _ in _members(content))


def _count_tags(page: str) -> int:
    """Count the images of a page that are no icons, and stand outside of what frames its main part."""
    count = depth = 0
    for tag in _HTML_TAG.finditer(page):
        if tag[2].lower() != "img":
            depth = max(0, depth - 1) if tag[1] else depth + 1
        elif not depth and not any(int(side) < MIN_SIDE for side in _SMALL.findall(tag[0])):
            count += 1
    return count


def _figures(content: bytes, kind: Kind) -> Iterator[Figure]:
    if kind == "pdf":
        yield from _of_pdf(content)
    elif kind in ("html", "markdown"):
        yield from _embedded(content.decode("utf-8", "replace"))
    else:
        yield from _of_archive(content)


def _of_pdf(content: bytes) -> Iterator[Figure]:
    wanted = ImageExtractionConfig(extract_images=True, max_image_dimension=MAX_SIDE)
    try:
        found = extract_bytes_sync(content, "application/pdf", ExtractionConfig(use_cache=False, images=wanted)).images
    except KreuzbergError:
        return
    for image in found or ():
        taken = bytes(image["data"])
        if media_type := media_type_of(taken):
            yield Figure(media_type, taken, image.get("page_number"))


def _of_archive(content: bytes) -> Iterator[Figure]:
    """Yield the image members of an Office document or e-book."""
    for member in _members(content):
        if member.file_size > MAX_BYTES:
            continue
        try:
            with zipfile.ZipFile(io.BytesIO(content)) as archive, archive.open(member) as opened:
                taken = opened.read(MAX_BYTES + 1)
        except _DAMAGED:
            continue
        if media_type := media_type_of(taken):
            yield Figure(media_type, taken)


def _members(content: bytes) -> Iterator[zipfile.ZipInfo]:
    if not content.startswith(b"PK\x03\x04"):
        return
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            members = archive.infolist()
    except _DAMAGED:
        return
    for member in members:
        if PurePosixPath(member.filename).suffix.lower() in _SUFFIXES and member.file_size >= MIN_BYTES:
            yield member


def _embedded(text: str) -> Iterator[Figure]:
    """Yield the images that a page carries in itself."""
    for match in _DATA_URI.finditer(text):
        try:
            content = base64.b64decode(match[1])
        except binascii.Error:
            continue
        if media_type := media_type_of(content):
            yield Figure(media_type, content)
