"""Output safety: nothing in an answer may link, embed, mention or notify; only citations link."""

from __future__ import annotations

import re

_IMAGE = re.compile(r"!\[([^\]\n]*)\]\([^)\n]*\)")
_LINK = re.compile(r"\[([^\]\n]*)\]\((?:[^()\n]|\([^()\n]*\))*\)")
_REFERENCE = re.compile(r"\[([^\]\n]{1,300})\]\[[^\]\n]*[^\]\d\n][^\]\n]*\]")
_SLACK_LINK = re.compile(
    r"<(?:https?|mailto|tel|ftp|slack|javascript|data|file|vbscript)[^\s|>]*(?:\|([^>\n]*))?>", re.I
)
_SLACK_MENTION = re.compile(r"<([!@#])[^>\n]{0,200}>?")
_BARE_TAG = re.compile(r"<(/?[A-Za-z][\w-]{0,40} ?/?)>")
_TAG = re.compile(r"</?[A-Za-z][^>\n]{0,2000}>|<!--.*?(?:-->|\Z)", re.DOTALL)
_URL = re.compile(r"(`?)https?://([^\s<>`|)\]]*[^\s<>`|)\].,;:!?'\"*_])?", re.I)
_OTHER_SCHEME = re.compile(r"\b(javascript|data|vbscript|file|slack|ftp|tel|mailto):(?=\S)", re.I)
_BRACKETED = re.compile(r"(?<![\w\]`])\[([^\W\d][^\[\]\n]{1,200}|\d[^\[\]\n]*[^\W\d][^\[\]\n]*)\](?![\[(])")
"""A label that lost its address."""
_OPENING = re.compile(r"<(?=[A-Za-z/!@#])")
"""What still could open a tag or a mention, though it is not closed."""
_BROADCAST = re.compile(r"@(here|channel|everyone)\b", re.I)
_WORD_JOINER = "\u2060"


def defang(text: str) -> str:
    """Return `text` with links as their labels, images as their descriptions, HTML and Slack's `<…>` forms removed.

    A bare address stays readable as code without its scheme, and a tag without attributes as ‹tag›. Applying it twice
    changes nothing more.
    """
    previous = None
    while previous != text:
        previous = text
        text = _once(text)
    return _OPENING.sub("‹", text)


def _once(text: str) -> str:
    text = _IMAGE.sub(r"\1", text)
    text = _LINK.sub(r"\1", text)
    text = _REFERENCE.sub(r"\1", text)
    text = _SLACK_LINK.sub(lambda match: match.group(1) or "", text)
    text = _SLACK_MENTION.sub("", text)
    text = _BARE_TAG.sub(r"‹\1›", text)
    text = _TAG.sub("", text)
    text = _URL.sub(_address, text)
    text = _OTHER_SCHEME.sub(lambda match: f"{match.group(1)} ", text)
    text = _BROADCAST.sub(rf"@{_WORD_JOINER}\1", text)
    text = _BRACKETED.sub(r"\1", text)
    return text.replace("](", "] (")


def _address(match: re.Match[str]) -> str:
    code, address = match.group(1), match.group(2) or ""
    return f"{code}{address}" if code or not address else f"`{address}`"
