"""What a message asks to be ingested, if it asks that. Pure.

A message is a wish only where every word of it belongs to one: "ingest this", a link, an option. Any other word makes
it a question, so that a question with a link in it stays a question.
"""

from __future__ import annotations

import re

from bot.commands import COLLECTIONS, OPTION, words_of
from bot.thread import LINK, MENTION

VERBS = frozenset({"ingest", "add", "index", "import", "save", "learn"})
THESE = frozenset({"this", "that", "these", "those", "it", "them"})
POLITE = frozenset({"please", "pls", "thanks", "can", "could", "would", "you"})
THINGS = frozenset({"link", "links", "url", "urls", "page", "pages", "pdf", "file", "files", "doc", "docs"})
MORE_THINGS = frozenset({"document", "documents", "attached", "attachment", "attachments", "following", *COLLECTIONS})
FILLERS = THESE | POLITE | THINGS | MORE_THINGS | {"the", "here", "to", "your", "our", "and", "all", "both", "whole"}

_ADDRESS = re.compile(r"https?://\S+", re.IGNORECASE)


def read_wish(text: str, bot_user: str, *, has_files: bool) -> str | None:
    """Return what follows `/ingest` in a wish's stead: its links and options. None for anything but a wish.

    "" is a wish that names nothing itself: "ingest this", about its files or the message that it replies to.
    """
    words = words_of(LINK.sub(lambda found: f" {found.group(1)} ", _without_us(text, bot_user)).replace("&amp;", "&"))
    targets = [word for word in words if _ADDRESS.match(word)]
    options = [word for word in words if OPTION.match(word)]
    spoken = [word.strip(".,:;!?…").lower() for word in words if word not in {*targets, *options}]
    spoken = [word for word in spoken if word]
    if not set(spoken) <= VERBS | FILLERS:
        return None
    if not (_is_asked(spoken) if spoken else targets or has_files):
        return None
    kinds = [word for word in spoken if word in COLLECTIONS and len(targets) == 1][:1]
    return " ".join([*kinds, *targets, *options]) if targets or has_files or THESE & set(spoken) else None


def _without_us(text: str, bot_user: str) -> str:
    return MENTION.sub(lambda found: " " if found.group(1) == bot_user else found.group(0), text)


def _is_asked(spoken: list[str]) -> bool:
    return not VERBS.isdisjoint(spoken)


def links_in(text: str) -> list[str]:
    """Return the web addresses of a message, as Slack writes them, in order and once each."""
    found = (link.group(1).replace("&amp;", "&") for link in LINK.finditer(text))
    return list(dict.fromkeys(url for url in found if _ADDRESS.match(url)))
