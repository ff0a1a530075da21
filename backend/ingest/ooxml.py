"""What Office's XML packages have in common: parts, relations, properties, charts. Pure."""

from __future__ import annotations

import io
import posixpath
import re
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from types import TracebackType
from typing import Self

from lxml import etree

from backend.domain import Metadata
from backend.errors import Unreadable
from backend.ingest.html_markdown import escape, table

MAX_PART = 150_000_000
"""Bytes of one unpacked part of XML, the tree of which takes about five times as much."""
CHART = "{http://schemas.openxmlformats.org/drawingml/2006/chart}"
DRAWING = "{http://schemas.openxmlformats.org/drawingml/2006/main}"
RELATION = "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}"
_PLACEHOLDER = re.compile(
    r"\W*(?:anonymous|untitled|unspecified|unknown|powerpoint presentation|presentation|slide 1|python-docx|openpyxl"
    r"|un-named|microsoft (?:office )?word.*|document ?\d*|author|administrator|user)?\W*\Z",
    re.I,
)
_STRICT = re.compile(rb"http://purl\.oclc\.org/ooxml/(\w+)/(\w+)")
_TRANSITIONAL = rb"http://schemas.openxmlformats.org/\1/2006/\2"
"""Names of the strict form of the format, and what everyone else calls them."""
TOO_LARGE = "The document unpacks to more than can be read; split it and try again."
_UNZIPPING = (
    zipfile.BadZipFile,
    zlib.error,
    KeyError,
    RuntimeError,
    NotImplementedError,
    OSError,
    EOFError,
    ValueError,
)


class Damaged(Exception):
    """A part that the document cannot do without is missing or is not XML."""


@dataclass(frozen=True, slots=True)
class Related:
    kind: str
    """The last word of the relation's type, such as `image` or `slideLayout`."""
    target: str


class Package:
    """The parts of a zipped document by their paths; open it with `with`. Damaged where it is not a zip."""

    def __init__(self, content: bytes) -> None:
        try:
            self._zip = zipfile.ZipFile(io.BytesIO(content))
        except _UNZIPPING as error:
            raise Damaged("The package cannot be opened.") from error
        self._names = {name.lower(): name for name in self._zip.namelist()}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._zip.close()

    def names(self) -> list[str]:
        return list(self._names.values())

    def read(self, name: str) -> bytes | None:
        """Return a part, None where it is missing or damaged. Unreadable where it is too large."""
        known = self._names.get(name.lstrip("/").lower())
        if known is None:
            return None
        if self._zip.getinfo(known).file_size > MAX_PART:
            raise Unreadable(TOO_LARGE)
        try:
            return self._zip.read(known)
        except _UNZIPPING:
            return None

    def xml(self, name: str) -> etree._Element | None:
        """Return a part's root, as far as it can be parsed; None where nothing can."""
        content = self.read(name)
        parser = etree.XMLParser(recover=True, resolve_entities=False, no_network=True, huge_tree=False)
        try:
            return etree.fromstring(_STRICT.sub(_TRANSITIONAL, content), parser) if content else None
        except (etree.XMLSyntaxError, ValueError):
            return None

    def root(self, name: str) -> etree._Element:
        """Return the root of a part that the document cannot do without. Damaged where it is not there."""
        found = self.xml(name)
        if found is None:
            raise Damaged(name)
        return found

    def main(self) -> str:
        """Return the path of the main part. Damaged where no relation names it."""
        parts = (one.target for one in self.relations("").values() if one.kind == "officeDocument")
        found = next((part for part in parts if part.lower() in self._names), None)
        if found is None:
            raise Damaged("There is no main part.")
        return found

    def relations(self, part: str) -> dict[str, Related]:
        """Return what a part ("" is the package) refers to within the package, by the ids that it uses."""
        folder, name = posixpath.split(part)
        root = self.xml(posixpath.join(folder, "_rels", name + ".rels"))
        found = {}
        for one in root if root is not None else ():
            if one.get("TargetMode") != "External" and one.get("Id"):
                target = posixpath.normpath(posixpath.join("/", folder, one.get("Target") or "")).lstrip("/")
                found[str(one.get("Id"))] = Related(posixpath.basename(one.get("Type") or ""), target)
        return found

    def title_and_metadata(self, doc_type: str) -> tuple[str, Metadata]:
        """Return what the core properties say, without what programs write there by themselves."""
        root = self.xml("docProps/core.xml")
        fields = {etree.QName(one).localname: one.text or "" for one in _elements(root)}
        authors = (known(name) for name in re.split(r"[;,]", fields.get("creator", "")))
        words = (known(word) for word in re.split(r"[;,]", fields.get("keywords", "")))
        metadata = Metadata(
            author=tuple(dict.fromkeys(name for name in authors if name)),
            doc_type=doc_type,
            language=fields.get("language", "")[:2].lower(),
            published_at=instant(fields.get("modified")) or instant(fields.get("created")),
            tags=tuple(dict.fromkeys(word for word in words if word)),
        )
        return known(fields.get("title")), metadata

    def chart(self, part: str) -> str:
        """Return a chart's numbers as a table beneath its title or kind, "" where there are none."""
        root = self.xml(part)
        return chart_markdown(root) if root is not None else ""


def _elements(root: etree._Element | None) -> Iterator[etree._Element]:
    return (one for one in (root if root is not None else ()) if isinstance(one.tag, str))


def known(value: str | None) -> str:
    """Return a metadata value in one line, "" for the placeholders that programs write."""
    text = " ".join((value or "").split())
    return "" if _PLACEHOLDER.match(text) else text


def instant(text: str | None) -> datetime | None:
    """Return an instant of ISO 8601 that a document can have been written at, else None."""
    try:
        found = datetime.fromisoformat(text.strip()) if text else None
    except ValueError:
        return None
    if found is None or not 1970 < found.year < 2200:
        return None
    return found.astimezone(UTC) if found.tzinfo else found.replace(tzinfo=UTC)


def chart_markdown(root: etree._Element) -> str:
    """Return a chart as a table: a row per category, a column per series."""
    plot = root.find(f".//{CHART}plotArea")
    kind = next((etree.QName(one).localname for one in _elements(plot) if one.find(CHART + "ser") is not None), "")
    series = [(_cached(one, "tx"), _cached(one, "cat", "xVal"), _cached(one, "val", "yVal")) for one in _series(plot)]
    if not series:
        return ""
    categories = max((names for _, names, _ in series), key=len)
    rows = [["", *(" ".join(name.values()) for name, _, _ in series)]]
    for index in sorted(set(categories).union(*(values for _, _, values in series))):
        rows.append([categories.get(index, ""), *(values.get(index, "") for _, _, values in series)])
    title = " ".join("".join(one.text or "" for one in root.iterfind(f".//{CHART}title//{DRAWING}t")).split())
    return f"{escape(title or _words(kind))}\n\n{table(rows)}"


def _words(kind: str) -> str:
    """Return `lineChart` as `Line chart`."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", " ", kind).capitalize()


def _series(plot: etree._Element | None) -> list[etree._Element]:
    return list(plot.iter(CHART + "ser")) if plot is not None else []


def _cached(series: etree._Element, *names: str) -> dict[int, str]:
    """Return the values that a chart remembers of the cells that it shows."""
    found = next((one for name in names if (one := series.find(CHART + name)) is not None), None)
    points = found.iter(CHART + "pt") if found is not None else ()
    return {int(point.get("idx", 0)): point.findtext(CHART + "v") or "" for point in points}
