"""HTML → Markdown with title, author, date and language. Pure."""

from __future__ import annotations

import re
from datetime import UTC, datetime

import trafilatura
from kreuzberg import ExtractionConfig, KreuzbergError, extract_bytes_sync
from lxml import etree, html

from backend.domain import Extracted, Metadata
from backend.errors import Unreadable

NEEDS_LOGIN = "The page asks for a login; share it publicly or upload the file instead."
NO_TEXT = "The page has no text; if a script draws it, save the page as PDF or HTML and upload that."
MIN_SHARE = 0.5
"""Trafilatura may drop half of a page's words as boilerplate; where it drops more it has missed the main part."""
LOGIN_WORDS = 150
"""A page with a password field and fewer words than this is a login."""
_HIDDEN_STYLE = re.compile(
    r"display\s*:\s*none|visibility\s*:\s*hidden|opacity\s*:\s*0(?:\.0+)?\s*(?:;|$)|font-size\s*:\s*0(?:px|em|pt|%)?\s*(?:;|$)"
    r"|(?:left|top|text-indent)\s*:\s*-\d{3,}",
    re.I,
)
_HIDDEN = "//script|//style|//noscript|//template|//*[@hidden]|//comment()|//processing-instruction()|//svg|//iframe"
_AROUND = (
    "//nav|//footer|//aside|//*[@role='navigation']|//form//select|//header[not(ancestor::main or ancestor::article)]"
)
_PASSWORD = "//input[translate(@type,'PASSWORD','password')='password']"  # noqa: S105 - an XPath
_LANGUAGE = re.compile(r"[a-z]{2,3}\b")


def extract_html(page: str, url: str = "") -> Extracted:
    """Return a page's main text. Unreadable where it is a login or has no text."""
    tree = _parse(page)
    asks_password = bool(tree.xpath(_PASSWORD))
    head_title, language = _title(tree), _language(tree)
    _strip(tree, _HIDDEN)
    _strip_hidden(tree)
    found = trafilatura.bare_extraction(
        html.fromstring(html.tostring(tree, encoding="unicode")),
        url=url or None,
        favor_recall=True,
        include_comments=False,
        include_formatting=True,
        include_tables=True,
        output_format="markdown",
        with_metadata=True,
    )
    text = _fuller(str(getattr(found, "text", None) or ""), tree)
    words = len(text.split())
    if asks_password and words < LOGIN_WORDS:
        raise Unreadable(NEEDS_LOGIN)
    if not words:
        raise Unreadable(NO_TEXT)
    metadata = Metadata(
        author=_names(getattr(found, "author", None)),
        doc_type="html",
        language=language,
        published_at=_day(getattr(found, "date", None)),
        tags=tuple(dict.fromkeys(str(tag) for tag in getattr(found, "tags", None) or ())),
    )
    return Extracted(text=text, title=_best_title(getattr(found, "title", None), head_title), metadata=metadata)


def _parse(page: str) -> html.HtmlElement:
    parser = html.HTMLParser(recover=True, huge_tree=False, remove_comments=True, remove_pis=True, encoding="utf-8")
    try:
        tree = html.document_fromstring(page.encode("utf-8", "replace"), parser=parser)
    except (etree.ParserError, ValueError):
        raise Unreadable(NO_TEXT) from None
    return tree


def _strip(tree: html.HtmlElement, xpath: str) -> None:
    for element in tree.xpath(xpath):
        if element.getparent() is not None:
            element.drop_tree()


def _strip_hidden(tree: html.HtmlElement) -> None:
    for element in tree.xpath("//*[@style]"):
        if _HIDDEN_STYLE.search(element.get("style", "")) and element.getparent() is not None:
            element.drop_tree()


def _fuller(found: str, tree: html.HtmlElement) -> str:
    """Return what trafilatura found, or the whole body as Markdown where that is too little of it."""
    _strip(tree, _AROUND)
    main = tree.xpath("//main|//*[@role='main']")
    body = main[0] if len(main) == 1 else tree
    whole = " ".join(body.itertext()).split()
    if len(found.split()) >= MIN_SHARE * len(whole):
        return found
    try:
        result = extract_bytes_sync(
            html.tostring(body, encoding="utf-8"),
            "text/html",
            ExtractionConfig(use_cache=False, enable_quality_processing=False, output_format="markdown"),
        )
    except KreuzbergError:
        return found or " ".join(whole)
    text = re.sub(r"\A---\n.*?\n---\n", "", result.content, flags=re.S)
    return text if len(text.split()) > len(found.split()) else found


def _title(tree: html.HtmlElement) -> str:
    return " ".join(str(tree.findtext(".//title") or "").split())


def _best_title(found: str | None, head: str) -> str:
    """Prefer what trafilatura took for the title, which leaves out the site's name, else the head's."""
    return " ".join((found or "").split()) or head


def _language(tree: html.HtmlElement) -> str:
    match = _LANGUAGE.match(str(tree.get("lang") or "").lower())
    return match.group() if match else ""


def _names(author: str | None) -> tuple[str, ...]:
    return tuple(name.strip() for name in (author or "").split(";") if name.strip())


def _day(date: str | None) -> datetime | None:
    try:
        return datetime.fromisoformat(date).replace(tzinfo=UTC) if date else None
    except ValueError:
        return None
