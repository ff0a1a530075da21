"""What is typed after a slash command, read into what is wanted. Pure."""

from __future__ import annotations

import re
from typing import Literal, get_args

import msgspec

from backend.schema import MAX_COLLECTION, CollectionKind

MAX_URLS = 20
COLLECTIONS: tuple[str, ...] = get_args(CollectionKind)
"""Words before an address that make it stand for many documents."""

_LINK = re.compile(r"<(https?://[^|>]+)(?:\|[^>]*)?>")
OPTION = re.compile(r"(tags|visibility|refresh|pages):(\S+)\Z", re.IGNORECASE)

INGEST_HELP = (
    "Give me one or more addresses: `/ingest https://example.com/handbook`. Options: `tags:hr,leave`, "
    "`visibility:channel` (only this channel), `visibility:private` (only you), `refresh:7d`. For a whole site, an RSS "
    "or Atom feed or a zip of pages: `/ingest site https://example.com/handbook/ pages:100`, `/ingest feed URL`, "
    "`/ingest zip URL`."
)
DOCS_HELP = "`/docs list`, `/docs search WORDS`, `/docs remove NUMBER`, `/docs refresh NUMBER`. An id works, too."


class CommandError(Exception):
    """The command cannot be read; the message says how to write it."""


class IngestCommand(msgspec.Struct, frozen=True):
    """`visibility` is None where nobody has said. With a `collection` the one URL is that of a site, a feed or a zip,
    and `limit` is how many of its documents are taken."""

    urls: tuple[str, ...]
    tags: tuple[str, ...] = ()
    visibility: Literal["team", "channel", "private"] | None = None
    refresh_days: int | None = None
    collection: CollectionKind | None = None
    limit: int = 50


class DocsCommand(msgspec.Struct, frozen=True):
    """`target` is the words of a search, or the number or id of a document."""

    verb: Literal["list", "search", "remove", "refresh"]
    target: str = ""


def read_ingest(text: str, *, needs_url: bool = True) -> IngestCommand:
    """Read `URL… [tags:a,b] [visibility:channel|private|team] [refresh:7d]`, or `site|feed|zip URL [pages:N] …`.

    CommandError if it is not that.
    """
    words = _LINK.sub(lambda found: found.group(1), text).replace("&amp;", "&").split()
    collection = _collection(words)
    urls, options = _sorted(words[1:] if collection else words)
    if (needs_url or collection) and not urls:
        raise CommandError(INGEST_HELP)
    if len(urls) > (1 if collection else MAX_URLS):
        raise CommandError(f"That is {len(urls)} addresses; I take {1 if collection else MAX_URLS} at a time.")
    if "pages" in options and not collection:
        raise CommandError("`pages:` is for whole sites: `/ingest site URL pages:100`.")
    return IngestCommand(
        urls=tuple(dict.fromkeys(urls)),
        tags=tuple(tag for tag in options.get("tags", "").split(",") if tag),
        visibility=_visibility(options["visibility"]) if "visibility" in options else None,
        refresh_days=_days(options["refresh"]) if "refresh" in options else None,
        collection=collection,
        limit=_limit(options.get("pages", "50")),
    )


def ingest_job(text: str) -> Literal["ingest", "collection"]:
    """Return which job takes what was typed after `/ingest`."""
    return "collection" if _collection(text.split()) else "ingest"


def _collection(words: list[str]) -> CollectionKind | None:
    match words[0].lower() if words else "":
        case "site":
            return "site"
        case "feed":
            return "feed"
        case "zip":
            return "zip"
        case _:
            return None


def _sorted(words: list[str]) -> tuple[list[str], dict[str, str]]:
    """Return the addresses, and the options by name."""
    urls: list[str] = []
    options: dict[str, str] = {}
    for word in words:
        option = OPTION.match(word)
        if option:
            options[option.group(1).lower()] = option.group(2)
        elif re.match(r"https?://", word, re.IGNORECASE):
            urls.append(word)
        else:
            raise CommandError(f"I don't understand `{word[:80].replace('`', '')}`. {INGEST_HELP}")
    return urls, options


def _limit(word: str) -> int:
    limit = int(word) if re.fullmatch(r"\d{1,6}", word, re.ASCII) else 0
    if not 1 <= limit <= MAX_COLLECTION:
        raise CommandError(f"`pages:` takes a number from 1 to {MAX_COLLECTION}.")
    return limit


def _visibility(word: str) -> Literal["team", "channel", "private"]:
    match word.lower():
        case "team":
            return "team"
        case "channel":
            return "channel"
        case "private":
            return "private"
        case _:
            raise CommandError("`visibility:` takes `team`, `channel` or `private`.")


def _days(word: str) -> int:
    found = re.fullmatch(r"(\d{1,3})([dw]?)", word.lower())
    days = int(found.group(1)) * (7 if found.group(2) == "w" else 1) if found else 0
    if not 1 <= days <= 365:
        raise CommandError("`refresh:` takes days or weeks up to a year, such as `refresh:7d` or `refresh:2w`.")
    return days


def read_docs(text: str) -> DocsCommand:
    """Read `[list | search TEXT | remove ID|NUMBER | refresh ID|NUMBER]`. CommandError if it is not that."""
    verb, _, target = _LINK.sub(lambda found: found.group(1), text).strip().partition(" ")
    target = target.strip()
    match verb.lower():
        case "" | "list":
            return DocsCommand("list")
        case "search" if target:
            return DocsCommand("search", target)
        case "remove" if target:
            return DocsCommand("remove", target)
        case "refresh" if target:
            return DocsCommand("refresh", target)
        case _:
            raise CommandError(DOCS_HELP)


def stated_visibility(command: IngestCommand, channel: str, user: str) -> str:
    """Return who may read what a link leads to, as the backend writes it: the team, unless somebody said else."""
    return _written(command.visibility or "team", channel, user)


def shared_visibility(command: IngestCommand, channel: str, user: str) -> str:
    """Return the visibility of what was shared in Slack: by default those who could see it there, and nobody else."""
    direct = channel.startswith("D")
    stated = command.visibility or ("private" if direct else "channel")
    return _written("private" if direct and stated == "channel" else stated, channel, user)


def _written(visibility: Literal["team", "channel", "private"], channel: str, user: str) -> str:
    return {"team": "team", "channel": f"channel:{channel}", "private": f"user:{user}"}[visibility]
