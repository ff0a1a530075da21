"""What others wrote, made harmless for Slack: no link, image, mention or other token of theirs comes to life. Pure.

The backend takes such things out of answers already; this holds though it should not.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

_CODE = re.compile(r"(?<!`)(```(?!`).*?(?<!`)```(?!`)|`(?!`)[^`\n]+`(?!`))", re.DOTALL)
_ESCAPED_TICK = re.compile(r"\\+(?=`)")
_IMAGE = re.compile(r"!\[([^\]]*)\]\([^)]*\)")
_LINK = re.compile(r"\[([^\]]*)\]\((?:[^()]|\([^()]*\))*\)")
_REFERENCE = re.compile(r"^\s*\[[^\]]+\]:\s*\S+.*$", re.MULTILINE)
_URL = re.compile(r"(<?\b(?:https?://|mailto:|www\.)[^\s<>|`]+>?)", re.IGNORECASE)
_SCHEME = re.compile(r"(?<=\w):(?=//)|(?<=mailto):|(?<=tel):|(?<=slack):", re.IGNORECASE)
_TOKEN = re.compile(r"(?:<|&(?:lt|#0*60|#x0*3c);)(?=[!@#/a-z])", re.IGNORECASE)
_JOINTS = re.compile(r"\](?=[(\[:])")
_SHOUT = re.compile(r"@(?=(?:here|channel|everyone)\b)", re.IGNORECASE)
_UNSEEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\u200b\u200e\u200f\u202a-\u202e\u2060-\u2069\ufeff]")
"""Characters that are not seen but change how others are read: the order of letters, or where a word ends."""


def escaped(text: str) -> str:
    """Make text safe inside mrkdwn: no token, link or mention comes to life."""
    text = _UNSEEN.sub("", text)
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def linked(label: str, url: str) -> str:
    """Return a mrkdwn link, or the label alone where there is nowhere safe to lead."""
    label = escaped(" ".join(label.split())).replace("|", "¦")
    if not url:
        return label
    target = "".join(url.split()).replace("&", "&amp;").replace("|", "%7C").replace("<", "%3C").replace(">", "%3E")
    return f"<{_UNSEEN.sub('', target)}|{label or 'source'}>"


def defanged(markdown: str) -> str:
    """Return an answer's Markdown in which no link, image or mention works: links that count are the sources'.

    A link keeps its label, an image its description, a bare address is shown as code. What is code stays, but for
    Slack's own tokens, which work even there; backticks that pair with none could turn code inside out further on.
    """
    parts = _CODE.split(_ESCAPED_TICK.sub("", _UNSEEN.sub("", markdown)))
    shown: list[str] = []
    for at, part in enumerate(parts):
        shown += [_TOKEN.sub("‹", part)] if at % 2 else _outside_code(part)
    return _SHOUT.sub("@\u2060", "".join(_apart(shown)))


def _outside_code(text: str) -> list[str]:
    """Return the pieces of a text: addresses as code, and what is between them."""
    text = text.replace("`", "'")
    previous = None
    while previous != text:  # what is taken out may have hidden another
        previous, text = text, _REFERENCE.sub("", _LINK.sub(r"\1", _IMAGE.sub(r"\1", text)))
    parts = _URL.split(text)
    return [_as_code(part) if at % 2 else _plain(part) for at, part in enumerate(parts)]


def _as_code(address: str) -> str:
    shown = address.strip("\\<>")
    return f"`{shown}`"


def _plain(text: str) -> str:
    """Part whatever could still be joined into a link, and let no backslash reach what comes after."""
    return _TOKEN.sub("‹", _JOINTS.sub("] ", _SCHEME.sub(" :", text))).rstrip("\\")


def _apart(pieces: Iterable[str]) -> Iterator[str]:
    """Keep code from running into code: its marks would count together."""
    last = ""
    for piece in pieces:
        if piece:
            yield f" {piece}" if last.endswith("`") and piece.startswith("`") else piece
            last = piece
