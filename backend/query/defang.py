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
INVISIBLE = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180e\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f\u3164\ufeff"
    "\uffa0\U000e0000-\U000e0fff]|(?<=[\x00-\x7f])[\u200c\u200d]|[\u200c\u200d](?=[\x00-\x7f])"
)
"""What hides in a text, splits a word or turns its direction; joiners between letters that need them may stay."""
_ENTITY = re.compile(r"&(?:lt|#0*60|#x0*3c);(?=[!@#])", re.I)
DEFINITION = re.compile(r"^[ \t]*\[[^\]\n]+\]:[ \t]*\S.*$", re.MULTILINE)
"""A reference link's address, which stands apart from its label."""
_CODE = re.compile(r"(```.*?```|`[^`\n]+`)", re.DOTALL)
_BARE_ADDRESS = re.compile(
    r"(?<![\w@`.-])(?:www\.)?(?:[a-z0-9](?:[a-z0-9-]{0,62})\.)+"
    r"(?:com|net|org|io|dev|app|example|info|biz|co|me|ai|ru|cn|eu|de|uk|fr|xyz|top|site|online|link|click|zip|mov|ly)"
    r"\b(?!`)(?:[:/?#][^\s<>`|)\]]*[^\s<>`|)\].,;:!?'\"*_])?",
    re.I,
)
"""A host that clients make a link of though it has no scheme."""


def defang(text: str) -> str:
    """Return `text` with links as their labels, images as their descriptions, HTML and Slack's `<…>` forms removed.

    A bare address stays readable as code without its scheme, and a tag without attributes as ‹tag›. Applying it twice
    changes nothing more.
    """
    previous = None
    while previous != text:
        previous = text
        text = _once(text)
    parts = _CODE.split(_OPENING.sub("‹", text))
    return "".join(part if at % 2 else _BARE_ADDRESS.sub(r"`\g<0>`", part) for at, part in enumerate(parts))


def _once(text: str) -> str:
    text = _ENTITY.sub("<", INVISIBLE.sub("", text))
    text = DEFINITION.sub("", text)
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
