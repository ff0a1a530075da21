"""Jupyter notebooks and JSON → Markdown. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import TypeAlias

from backend.domain import Extracted, Metadata
from backend.errors import Unreadable
from backend.ingest.html_markdown import escape, fence, table

Json: TypeAlias = Mapping[str, "Json"] | Sequence["Json"] | str | int | float | bool | None
BROKEN = "The {kind} file is not valid: {where}; correct it and try again."
TOO_DEEP = "The JSON file is nested too deeply to read."
MAX_OUTPUT = 4_000
"""Characters of what a cell printed; the rest is seldom read by anyone."""
MAX_DEPTH = 40
_TABLE_KEYS = 12
"""Records with more fields are lists of fields, since such a row of a table could not be read."""


def extract_notebook(text: str) -> Extracted:
    """Return a notebook's cells: text, code and what it printed. Unreadable where it is no notebook."""
    notebook = _parsed(text, "notebook")
    cells = notebook.get("cells") if isinstance(notebook, Mapping) else None
    if not isinstance(notebook, Mapping) or not isinstance(cells, list):
        raise Unreadable(BROKEN.format(kind="notebook", where="it has no cells"))
    about = _mapping(notebook.get("metadata"))
    language = _text(_mapping(about.get("language_info")).get("name")) or _text(
        _mapping(about.get("kernelspec")).get("language")
    )
    parts = [part for cell in cells if isinstance(cell, Mapping) for part in _cell(cell, language)]
    authors = about.get("authors")
    names = [_text(_mapping(author).get("name")) for author in (authors if isinstance(authors, list) else [])]
    return Extracted(
        text="\n\n".join(part for part in parts if part.strip()),
        title=_text(about.get("title")),
        metadata=Metadata(author=tuple(name for name in names if name), doc_type="notebook"),
    )


def _cell(cell: Mapping[str, Json], language: str) -> Iterator[str]:
    source = _text(cell.get("source")).strip("\n")
    if cell.get("cell_type") == "code":
        if source.strip():
            yield fence(source, language)
        outputs = cell.get("outputs")
        for output in outputs if isinstance(outputs, list) else ():
            printed = _output(_mapping(output)).strip("\n")[:MAX_OUTPUT]
            if printed.strip():
                yield fence(printed)
    elif cell.get("cell_type") == "markdown":
        yield source
    else:
        yield fence(source) if source.strip() else ""


def _output(output: Mapping[str, Json]) -> str:
    shown = _mapping(output.get("data")).get("text/plain")
    return _text(shown) or _text(output.get("text"))


def _mapping(value: Json) -> Mapping[str, Json]:
    return value if isinstance(value, Mapping) else {}


def _text(value: Json) -> str:
    """Return a text that may be given line by line."""
    if isinstance(value, list):
        return "".join(part for part in value if isinstance(part, str))
    return value if isinstance(value, str) else ""


def _parsed(text: str, kind: str) -> Json:
    try:
        parsed: Json = json.loads(text)
    except RecursionError:
        raise Unreadable(TOO_DEEP) from None
    except ValueError as error:
        raise Unreadable(BROKEN.format(kind=kind, where=str(error))) from None
    return parsed


# ---------------------------------------------------------------------------------------------------------------- JSON


def extract_json(text: str) -> Extracted:
    """Return JSON, or a JSON value per line, as nested lists of names and values; alike records become a table."""
    try:
        value = _parsed(text, "JSON")
    except Unreadable:
        lines = [line for line in text.splitlines() if line.strip()]
        if len(lines) < 2 or not lines[0].lstrip().startswith(("{", "[")):
            raise
        value = [_parsed(line, "JSON") for line in lines]
    title = _mapping(value).get("title") or _mapping(value).get("name")
    return Extracted(
        text="\n".join(_shown(value, 0)),
        title=title if isinstance(title, str) else "",
        metadata=Metadata(doc_type="json"),
    )


def _shown(value: Json, depth: int) -> Iterator[str]:
    if depth > MAX_DEPTH:
        raise Unreadable(TOO_DEEP)
    columns = _columns(value) if depth == 0 else ()
    if columns and isinstance(value, list):
        yield table([columns, *([_scalar(row.get(name)) for name in columns] for row in value)])
        return
    indent = "  " * depth
    for name, item in value.items() if isinstance(value, Mapping) else enumerate(_items(value), 1):
        label = f"{indent}- {escape(str(name))}:"
        if isinstance(item, Mapping | list):
            scalars = isinstance(item, list) and all(not isinstance(one, Mapping | list) for one in item)
            if scalars and isinstance(item, list):
                yield f"{label} {escape(', '.join(map(_scalar, item)))}".rstrip()
            else:
                yield label
                yield from _shown(item, depth + 1)
        else:
            yield f"{label} {escape(_scalar(item))}".rstrip()


def _items(value: Json) -> Sequence[Json]:
    return value if isinstance(value, list) else [value]


def _columns(value: Json) -> list[str]:
    """Return the names that all of a list's flat records have, if they are few."""
    if not isinstance(value, list) or len(value) < 2 or not all(isinstance(one, Mapping) for one in value):
        return []
    rows = [_mapping(one) for one in value]
    names = list(dict.fromkeys(name for row in rows for name in row))
    flat = all(not isinstance(item, Mapping | list) for row in rows for item in row.values())
    return names if flat and 0 < len(names) <= _TABLE_KEYS else []


def _scalar(value: Json) -> str:
    if value is None:
        return ""
    return " ".join(value.split()) if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
