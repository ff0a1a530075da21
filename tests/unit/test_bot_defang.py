"""Hostile words in answers, titles, quotes and addresses: nothing of theirs works in Slack."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from markdown_it.token import Token

import bot
from backend.schema import Citation, Document, Passage
from bot import blocks
from bot.defang import defanged, escaped, linked

PIECES = (
    "[", "]", "(", ")", "!", "<", ">", "|", "`", "```", "\n", " ", ":", "//", "&", "&lt;", "*", "_", "~", "\\", "\"",
    "<!channel>", "<@U1>", "<#C1|x>", "<!subteam^S1>", "<!date^1^{date}|x>", "<https://evil.example|ok>",
    "https://evil.example/a?q=1", "HTTP://EVIL.example", "www.evil.example", "mailto:a@evil.example", "slack://x",
    "tel:+123", "@channel", "@\u200bhere", "[a](https://evil.example)",
    "![p](https://evil.example/p.png)", "[a][b]", "[b]: https://evil.example",
    "\n[b]: <https://evil.example>\n", "&#60;", "\u202e", "\u200b", "x", "word.", "1",
)  # fmt: skip
HOSTILE = st.lists(st.one_of(st.sampled_from(PIECES), st.text(max_size=4)), max_size=14).map("".join)
LIVE = ("http:", "https:", "mailto:", "slack:", "tel:", "ftp:", "www.")


def tokens(markdown: str) -> Iterator[Token]:
    """Every token that a Markdown reader makes of this, the inner ones after their block."""
    for token in MarkdownIt("commonmark").enable("table").parse(markdown):
        yield token
        yield from token.children or ()


def dangers(markdown: str) -> list[str]:
    """What would work if Slack showed this: links, images, mentions, addresses outside code."""
    found = []
    for token in tokens(markdown):
        target = str(token.attrs.get("href") or token.attrs.get("src") or "")
        if target.lower().startswith(LIVE):
            found.append(target)
        if token.type in {"text", "html_inline", "html_block"}:
            found += re.findall(
                r"(?i)https?://\w|mailto:\w|slack://|<[!@#]|<https?:", token.content.replace("&lt;", "‹")
            )
        elif token.type in {"code_inline", "fence", "code_block"}:
            found += re.findall(r"<[!@#]", token.content)
    return found


def raw_tokens(text: str) -> list[str]:
    """What Slack's mrkdwn takes for a token."""
    return re.findall(r"<[!@#a-zA-Z][^>]*>", text)


@given(HOSTILE)
@example("`a ` https://evil.example ` b`")
@example("[[a](x)](https://evil.example)")
@example("``` \n<!channel>\n```")
def test_nothing_in_an_answer_works(text: str) -> None:
    assert dangers(defanged(text)) == []
    assert raw_tokens(defanged(text)) == []
    assert not re.search(r"(?i)@(here|channel|everyone)\b", defanged(text))


@given(st.lists(HOSTILE, min_size=2, max_size=4))
@example(["a ` b", "c ` https://evil.example ` d"])
@example(["[a]", "(https://evil.example)"])
@example(["see [b]", "\n[b]: https://evil.example"])
def test_nothing_works_that_comes_in_several_deltas_either(pieces: list[str]) -> None:
    assert dangers(" ".join(defanged(piece) for piece in pieces)) == []


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Use `git push` and [the guide](https://a.example) [1].", "Use `git push` and the guide [1]."),
        ("See https://a.example/x?y now", "See `https://a.example/x?y` now"),
        ("```\nmake run\n```\nthen 3 < 4 & 5 > 4", "```\nmake run\n```\nthen 3 < 4 & 5 > 4"),
        ("Ratio 1:2, [1][2], a [note]: fine", "Ratio 1:2, [1] [2], a [note] : fine"),
        ("| a | b |\n|---|---|\n| `x` | y |", "| a | b |\n|---|---|\n| `x` | y |"),
    ],
)
def test_what_is_harmless_stays_readable(text: str, shown: str) -> None:
    assert defanged(text) == shown


# ------------------------------------------------------------------------------------------------ titles and quotes


def links(mrkdwn: str) -> list[tuple[str, str]]:
    """Read mrkdwn as Slack does: every `<…>` is a token; here all are links. AssertionError for any other."""
    found = []
    for inner in re.findall(r"<([^<>]*)>", mrkdwn):
        target, _, label = inner.partition("|")
        assert target.startswith(("http://", "https://"))
        assert "|" not in label
        found.append((target, label))
    assert not re.search(r"[<>]", re.sub(r"<[^<>]*>", "", mrkdwn.replace("\n>", "\n")))
    return found


def citation(title: str, quote: str, url: str) -> Citation:
    return Citation(n=1, document_id="d", title=title, url=url, quote=quote, heading=title)


URLS = st.one_of(
    st.just("https://docs.example/a"),
    HOSTILE.map(lambda path: f"https://docs.example/{path}"),
    HOSTILE.map(lambda query: f"https://docs.example/?q={query}#{query}"),
    HOSTILE,
)


@given(HOSTILE, HOSTILE, URLS)
def test_a_hostile_source_makes_one_link_and_that_leads_to_its_address(title: str, quote: str, url: str) -> None:
    shown = links(blocks.source_text(citation(title, quote, url)))
    assert len(shown) <= 1
    if url == "https://docs.example/a":
        assert shown[0][0].startswith(url)


@given(HOSTILE, URLS)
def test_a_hostile_title_is_harmless_wherever_documents_are_listed(title: str, url: str) -> None:
    document = Document(
        document_id="d", team="T1", title=title, url=url, visibility="team", status="failed", reason=title,
        created_at="2026-11-20", updated_at="2026-11-20", metadata={}, chunks=0, notices=(title,),
    )  # fmt: skip
    passage = Passage(chunk_id="c", document_id="d", title=title, url=url, text="", score=1.0)
    assert len(links(blocks.document_line(document))) <= 1
    for block in blocks.abstention_blocks([passage], "r"):
        text = block.get("text", {})
        links(text["text"] if text.get("type") == "mrkdwn" else "")


@given(HOSTILE, URLS)
def test_a_link_has_one_target_and_one_label(label: str, url: str) -> None:
    assert len(links(linked(label, url if url.startswith("https://") else ""))) <= 1
    assert not re.search("[<>\u202e]", escaped(label))


def posts() -> Iterator[ast.Call]:
    """Every place of the bot's code that posts a message."""
    for path in sorted(Path(bot.__file__).parent.glob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and getattr(node.func, "attr", "") == "chat_postMessage":
                yield node


def test_nothing_that_is_posted_unfurls() -> None:
    found = list(posts())
    assert found
    for call in found:
        given = {keyword.arg: ast.unparse(keyword.value) for keyword in call.keywords}
        assert (given.get("unfurl_links"), given.get("unfurl_media")) == ("False", "False")
