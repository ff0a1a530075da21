"""The YAML block at the head of a Markdown document → title and metadata. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, date, datetime

import yaml

from backend.domain import FieldValue, Metadata

_BLOCK = re.compile(r"\A---[ \t]*\n(.{0,20000}?)^(?:---|\.\.\.)[ \t]*(?:\n|\Z)", re.S | re.M)
_DATES = (
    *("date", "published_at", "published", "updated_at", "updated", "last_updated", "modified"),
    *("created_at", "created"),
)
_AUTHORS = ("author", "authors")
_TAGS = ("tags", "tag", "keywords", "topics", "categories")
_PLAIN = ("source", "doc_type", "language", "lang", "title")
_KNOWN = frozenset((*_AUTHORS, *_TAGS, *_PLAIN, "date", "published_at", "published"))
MAX_FIELDS = 50


def split_front_matter(text: str) -> tuple[str, Metadata, str]:
    """Return the title, the metadata and the rest of the text; the text as it is where it has no front matter."""
    block = _BLOCK.match(text)
    fields = _fields(block.group(1)) if block else None
    if block is None or fields is None:
        return "", Metadata(), text
    metadata = Metadata(
        author=_names(fields, _AUTHORS),
        source=_line(fields.get("source")),
        doc_type=_line(fields.get("doc_type")),
        language=_line(fields.get("language") or fields.get("lang"))[:2].lower(),
        published_at=next((day for name in _DATES if (day := _instant(fields.get(name)))), None),
        tags=_names(fields, _TAGS),
        custom=_custom(fields),
    )
    return _line(fields.get("title")), metadata, text[block.end() :]


def _fields(block: str) -> Mapping[str, object] | None:
    if re.search(r"[&*]\w+\s*(?:$|\[|-)", block, re.M) and "*" in block and "&" in block:
        return None  # anchors and aliases can swell without bound, and no front matter needs them
    try:
        loaded = yaml.safe_load(block)
    except (yaml.YAMLError, ValueError, RecursionError):
        return None
    return {str(name).strip().lower(): value for name, value in loaded.items()} if isinstance(loaded, dict) else None


def _custom(fields: Mapping[str, object]) -> dict[str, tuple[FieldValue, ...]]:
    found = {name: _values(value) for name, value in fields.items() if name not in _KNOWN}
    return {name[:64]: values for name, values in list(found.items())[:MAX_FIELDS] if values}


def _values(value: object) -> tuple[FieldValue, ...]:
    items = value if isinstance(value, list) else [value]
    return tuple(scalar for item in items[:100] if (scalar := _scalar(item)) is not None)


def _scalar(value: object) -> FieldValue | None:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return float(value)
    if isinstance(value, date):
        return _instant(value)
    return _line(value) or None


def _names(fields: Mapping[str, object], keys: tuple[str, ...]) -> tuple[str, ...]:
    """Read one name, a list of names, or names with commas between them, under the first key that is there."""
    value = next((fields[key] for key in keys if fields.get(key)), None)
    items = value if isinstance(value, list) else re.split(r"[,;]", value) if isinstance(value, str) else [value]
    return tuple(dict.fromkeys(line for item in items[:100] if (line := _name(item))))


def _name(item: object) -> str:
    return _line(item.get("name")) if isinstance(item, dict) else _line(item)


def _line(value: object) -> str:
    return " ".join(str(value).split())[:500] if isinstance(value, str | int | float) else ""


def _instant(value: object) -> datetime | None:
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value.strip())
        except ValueError:
            return None
    if isinstance(value, datetime):
        return value.astimezone(UTC) if value.tzinfo else value.replace(tzinfo=UTC)
    return datetime(value.year, value.month, value.day, tzinfo=UTC) if isinstance(value, date) else None
