"""Bytes → Markdown with what can be told of the document. Pure; `extract_pool.py` runs it out of harm's way."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import replace

from backend.domain import Extracted, Metadata
from backend.errors import Unreadable
from backend.ingest.clean import clean_text, decode
from backend.ingest.extract_html import extract_html
from backend.ingest.extract_json import extract_json, extract_notebook
from backend.ingest.extract_mail import extract_mail
from backend.ingest.extract_office import extract_office
from backend.ingest.extract_outlook import extract_outlook
from backend.ingest.extract_pdf import extract_pdf
from backend.ingest.extract_rst import rst_to_markdown
from backend.ingest.extract_text import csv_to_markdown, plain_to_markdown
from backend.ingest.front_matter import split_front_matter
from backend.ingest.ocr import Ocr, image_text
from backend.ingest.ooxml import Damaged
from backend.ingest.sniff import Kind, name_suffix, sniff
from backend.ports import Fetched

MAX_TITLE = 300
_HEADING = re.compile(r"^ {0,3}#{1,6}[ \t]+(.{1,300}?)[ \t]*#*[ \t]*$|^(?=\S)(.{1,200})\n(?:=+|-{3,})[ \t]*$", re.M)
_FENCE = re.compile(r"^ {0,3}(```|~~~).*?(?:^ {0,3}\1|\Z)", re.M | re.S)
_COMMENT = re.compile(r"<!--.*?(?:-->|\Z)", re.S)
_TEXTS: Mapping[Kind, Callable[[str], Extracted]] = {
    "json": extract_json, "notebook": extract_notebook, "rst": rst_to_markdown,
}  # fmt: skip
_MARKUP = re.compile(r"[*_`]{1,3}(?=\S)|(?<=\S)[*_`]{1,3}|!?\[([^\]]*)\]\([^)]*\)|\\(?=[!-/:-@\[-`{-~])")


def extract(fetched: Fetched, ocr: Ocr | None = None) -> Extracted:
    """Return a document's text, title and metadata. Unreadable, with a reason a person can act on, where it has none.

    `ocr` reads scans and images; without it they have no text. The title is the front matter's or the file's own, else
    the first heading; "" where there is neither.
    """
    kind = sniff(fetched)
    found = _read(fetched, kind, ocr)
    text = found.text if found.pages else clean_text(found.text)
    if not any(character.isalnum() for character in text):
        raise Unreadable("The document has no text.")
    title = clean_text(found.title or _first_heading(text)).replace("\n", " ")[:MAX_TITLE].strip()
    return replace(found, text=text, title=title)


def _read(fetched: Fetched, kind: Kind, ocr: Ocr | None) -> Extracted:
    if kind == "pdf":
        return _pdf(fetched.content, ocr)
    if kind == "image":
        return Extracted(text=image_text(fetched.content, ocr), metadata=Metadata(doc_type="image"))
    if kind == "email":
        return extract_mail(fetched.content)
    if kind == "msg":
        return extract_outlook(fetched.content)
    if kind not in _TEXTS and kind not in ("html", "markdown", "text", "csv"):
        return extract_office(fetched.content, kind)
    text = decode(fetched.content, fetched.media_type)
    if kind == "html":
        return extract_html(text, fetched.url)
    if kind in _TEXTS:
        return _TEXTS[kind](clean_text(text))
    if kind == "csv":
        table = csv_to_markdown(text, tabs=name_suffix(fetched) == "tsv")
        return Extracted(text=table, metadata=Metadata(doc_type="csv"))
    return _markdown(clean_text(text), kind)


def _pdf(content: bytes, ocr: Ocr | None) -> Extracted:
    try:
        return extract_pdf(content, ocr)
    except Damaged:
        return extract_office(content, "pdf")  # its parser knows other ways to mend a file


def _markdown(text: str, kind: Kind) -> Extracted:
    title, metadata, body = split_front_matter(text)
    body = plain_to_markdown(body) if kind == "text" else _without_comments(body)
    return Extracted(text=body, title=title, metadata=metadata.over(Metadata(doc_type=kind)))


def _without_comments(text: str) -> str:
    """Drop HTML comments, but not those that code blocks show."""
    parts, position = [], 0
    for fence in _FENCE.finditer(text):
        parts += [_COMMENT.sub("", text[position : fence.start()]), fence.group()]
        position = fence.end()
    return "".join([*parts, _COMMENT.sub("", text[position:])])


def _first_heading(text: str) -> str:
    match = _HEADING.search(_FENCE.sub("", text[:20_000]))
    return _MARKUP.sub(r"\1", match.group(1) or match.group(2)).strip() if match else ""
