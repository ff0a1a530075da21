"""What was named on the command line → what to send: files, folders, globs, URLs and `.jsonl` of documents."""

from __future__ import annotations

import glob
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from backend.errors import BadInput

SUFFIXES = frozenset(
    {".md", ".markdown", ".txt", ".html", ".htm", ".pdf", ".docx", ".pptx", ".xlsx", ".csv", ".tsv", ".eml", ".rst",
     ".odt", ".epub", ".rtf"}
)  # fmt: skip
"""What is taken of a folder; a file that is named itself is taken whatever it is."""
DATES = ("published_at", "updated_at", "created_at")
"""Fields of a `.jsonl` that say when a document is from, the first that it has."""
TAKEN = frozenset(
    {"doc_id", "id", "document_id", "title", "text", "url", "author", "authors", "metadata", "ingested_at", *DATES}
)


@dataclass(frozen=True, slots=True)
class Item:
    """One document to send: a JSON body, or a file with fields. `name` is for people."""

    name: str
    body: Mapping[str, object] = field(default_factory=dict)
    path: Path | None = None


def items(sources: Sequence[str]) -> Iterator[Item]:
    """Yield everything that the sources name, in order. BadInput where one names nothing or cannot be read."""
    for source in sources:
        if source.startswith(("http://", "https://")):
            yield Item(source, {"url": source})
            continue
        paths = sorted(_paths(source))
        if not paths:
            raise BadInput(f"{source}: there is nothing to ingest.")
        for path in paths:
            yield from _file(path)


def _paths(source: str) -> Iterator[Path]:
    path = Path(source).expanduser()
    if path.is_dir():
        yield from (found for found in path.rglob("*") if found.is_file() and _wanted(found, path))
    elif path.is_file():
        yield path
    else:
        matches = (Path(match) for match in glob.glob(source, recursive=True))  # noqa: PTH207 - a pattern may be absolute
        yield from (match for match in matches if match.is_file())


def _wanted(found: Path, folder: Path) -> bool:
    hidden = any(part.startswith(".") for part in found.relative_to(folder).parts)
    return not hidden and found.suffix.lower() in SUFFIXES | {".jsonl"}


def _file(path: Path) -> Iterator[Item]:
    if path.suffix.lower() != ".jsonl":
        yield Item(str(path), path=path)
        return
    with path.open(encoding="utf-8") as lines:
        for number, line in enumerate(lines, start=1):
            if line.strip():
                yield _line(f"{path}:{number}", line)


def _line(name: str, line: str) -> Item:
    try:
        row = json.loads(line)
    except ValueError:
        raise BadInput(f"{name}: not a line of JSON.") from None
    if not isinstance(row, dict) or not isinstance(row.get("text") or row.get("url"), str):
        raise BadInput(f"{name}: not a document: it has neither text nor url.")
    return Item(name, document_of(row))


def document_of(row: Mapping[str, object]) -> dict[str, object]:
    """Return the body of `POST /ingest` for a line: its id is kept, and what has no place of its own is metadata.

    None, nested values and lists of other things than text are dropped.
    """
    text, url = row.get("text"), _web(row.get("url"))
    stated = row.get("metadata")
    loose = {**(stated if isinstance(stated, dict) else {}), **{k: v for k, v in row.items() if k not in TAKEN}}
    metadata = {
        **{name: value for name, value in loose.items() if _plain(value)},
        "author": row.get("author") or row.get("authors"),
        "published_at": next((row[name] for name in DATES if row.get(name)), None),
        "url": url if text else None,
    }
    body: dict[str, object] = {
        "id": row.get("doc_id") or row.get("id"),
        "title": row.get("title"),
        "text": text,
        "url": None if text else url,
        "metadata": {name: value for name, value in metadata.items() if value not in (None, "", [])},
    }
    if body["id"] is not None:
        body["id"] = str(body["id"])
    return {name: value for name, value in body.items() if value not in (None, "", {})}


def _web(url: object) -> str | None:
    """Return a URL that a reader can open; exports often carry paths and the like in its place."""
    return url if isinstance(url, str) and url.startswith(("http://", "https://")) else None


def _plain(value: object) -> bool:
    if isinstance(value, list):
        return bool(value) and all(isinstance(item, str) for item in value)
    return isinstance(value, str | int | float) and not isinstance(value, bool) and value != ""
