"""Pure: what a person types, as Slack stores it."""

from __future__ import annotations

import re
from html import escape

from bot.sandbox.world import World

TOKEN = re.compile(
    r"(?P<kept><(?:@\w+|#\w+(?:\|[^>|]*)?|!\w+|https?://[^>\s]+)>)"
    r"|(?P<url>https?://[^\s<>]+[^\s<>.,;:!?)'\"])"
    r"|(?<!\w)@(?P<user>\w+)"
    r"|(?<!\w)\#(?P<channel>[\w-]+)"
)


def encode(text: str, world: World) -> str:
    """Escape `& < >`, and write mentions, channels and links in angle brackets. What is written so already stays."""
    pieces, end = [], 0
    for match in TOKEN.finditer(text):
        pieces += [escape(text[end : match.start()], quote=False), _token(match, world)]
        end = match.end()
    return "".join([*pieces, escape(text[end:], quote=False)])


def _token(match: re.Match[str], world: World) -> str:
    if match["kept"]:
        return match["kept"]
    if match["url"]:
        return f"<{escape(match['url'], quote=False)}>"
    if match["user"]:
        name = match["user"].lower()
        return next((f"<@{u.id}>" for u in world.users.values() if u.name.lower() == name), match[0])
    named = (c for c in world.channels.values() if c.kind != "im" and c.name == match["channel"])
    return next((f"<#{c.id}|{c.name}>" for c in named), match[0])
