"""HTML → Markdown with title, author, date and language. Pure."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime

import trafilatura
from lxml import etree, html

from backend.domain import Extracted, Metadata
from backend.errors import Unreadable
from backend.ingest.hidden import strip_hidden
from backend.ingest.html_markdown import Block, blocks_of, to_markdown

NEEDS_LOGIN = "The page asks for a login; share it publicly or upload the file instead."
NO_TEXT = "The page has no text; if a script draws it, save the page as PDF or HTML and upload that."
MIN_SHARE = 0.5
"""Trafilatura may drop half of a page's words as boilerplate; where it drops more it has missed the main part."""
ARTICLE_WORDS = 150
"""On a page with fewer words in its main part, nothing of its edges can be spared."""
EDGE_WORDS = 25
"""A block beyond the edge of an article with fewer words is a caption of the site: a date, a button, an imprint."""
LINK_WORDS = 6
"""A block that is all links and has at least so many words is a menu."""
LOGIN_WORDS = 150
"""A page with a password field and fewer words than this is a login."""
_HIDDEN = "//script|//style|//noscript|//template|//*[@hidden]|//comment()|//processing-instruction()|//svg|//iframe"
_AROUND = (
    "//nav|//footer|//aside|//*[@role='navigation']|//*[@role='search']|//*[@role='banner']|//*[@role='contentinfo']"
    "|//*[@aria-hidden='true']|//form//select|//header[not(ancestor::main or ancestor::article)]"
)
_UPDATED = (
    "//meta[@property='article:modified_time' or @property='og:updated_time' or @itemprop='dateModified'"
    " or @name='last-modified' or @name='revised']/@content"
)
_WORD = re.compile(r"\w+")
_PASSWORD = "//input[translate(@type,'PASSWORD','password')='password']"  # noqa: S105 - an XPath
_LANGUAGE = re.compile(r"[a-z]{2,3}\b")


def extract_html(page: str, url: str = "") -> Extracted:
    """Return a page's main text. Unreadable where it is a login or has no text."""
    tree = _parse(page)
    asks_password = bool(tree.xpath(_PASSWORD))
    head_title, language = _title(tree), _language(tree)
    updated_at = _updated(tree)
    strip_hidden(tree)
    _strip(tree, _HIDDEN)
    found = trafilatura.bare_extraction(
        html.fromstring(html.tostring(tree, encoding="unicode")),
        url=url or None,
        favor_recall=True,
        include_comments=False,
        with_metadata=True,
    )
    text = main_text(tree, str(getattr(found, "text", None) or ""))
    words = len(text.split())
    if asks_password and words < LOGIN_WORDS:
        raise Unreadable(NEEDS_LOGIN)
    if not words:
        raise Unreadable(NO_TEXT)
    metadata = Metadata(
        author=_names(getattr(found, "author", None)),
        doc_type="html",
        language=language,
        published_at=_day(getattr(found, "date", None)) or updated_at,
        tags=tuple(dict.fromkeys(str(tag) for tag in getattr(found, "tags", None) or ())),
    )
    return Extracted(text=text, title=_best_title(getattr(found, "title", None), head_title), metadata=metadata)


def fragment_to_markdown(page: str) -> str:
    """Return the whole visible text of a piece of HTML that has nothing around it: a mail, a chapter, a cell."""
    tree = _parse(page)
    strip_hidden(tree)
    _strip(tree, _HIDDEN)
    return to_markdown(tree)


def main_text(tree: html.HtmlElement, kept: str) -> str:
    """Return the page as Markdown without what stands around its main part.

    `kept` is what trafilatura takes for that part. Where it is an article's worth of the page, blocks before its first
    and after its last one go too, if they are short or mostly links.
    """
    _strip(tree, _AROUND)
    blocks = _without_link_lists(blocks_of(_main(tree)))
    words = sum(block.words for block in blocks)
    known = Counter(_WORD.findall(kept.casefold()))
    if known.total() >= max(ARTICLE_WORDS, MIN_SHARE * words):
        blocks = _without_edges(blocks, " ".join(_WORD.findall(kept.casefold())))
    return "\n\n".join(block.text for block in blocks)


def _main(tree: html.HtmlElement) -> html.HtmlElement:
    main = tree.xpath("//main|//*[@role='main']")
    return main[0] if len(main) == 1 and len(" ".join(main[0].itertext()).split()) >= 20 else tree


def _without_link_lists(blocks: Sequence[Block]) -> list[Block]:
    """Drop blocks of links and nothing else, if most of the page is something else."""
    links = sum(block.words for block in blocks if _is_links(block))
    if links > MIN_SHARE * sum(block.words for block in blocks):
        return list(blocks)
    return [block for block in blocks if not _is_links(block) or block.words < LINK_WORDS]


def _is_links(block: Block) -> bool:
    return block.linked >= 0.8 * block.words and not block.heading


def _without_edges(blocks: list[Block], kept: str) -> list[Block]:
    inside = [index for index, block in enumerate(blocks) if _is_kept(block, kept)]
    if not inside:
        return blocks
    first, last = inside[0], inside[-1]
    while first and blocks[first - 1].heading:
        first -= 1
    return [block for index, block in enumerate(blocks) if first <= index <= last or not _is_edge(block)]


def _is_kept(block: Block, kept: str) -> bool:
    probe = " ".join(_WORD.findall(block.text.casefold())[:12])
    return bool(probe) and probe in kept


def _is_edge(block: Block) -> bool:
    return block.words < EDGE_WORDS or block.linked > 0.3 * block.words


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


def _updated(tree: html.HtmlElement) -> datetime | None:
    """Return when the page says that it was last changed."""
    found = tree.xpath(_UPDATED)
    return _day(str(found[0]).strip()) if found else None


def _day(date: str | None) -> datetime | None:
    try:
        instant = datetime.fromisoformat(date) if date else None
    except ValueError:
        return None
    return instant.replace(tzinfo=instant.tzinfo or UTC).astimezone(UTC) if instant else None
