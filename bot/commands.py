"""What is typed after a slash command, read into what is wanted. Pure."""

from __future__ import annotations

import re
from typing import Literal

import msgspec

MAX_URLS = 20

_LINK = re.compile(r"<(https?://[^|>]+)(?:\|[^>]*)?>")
_OPTION = re.compile(r"(tags|visibility|refresh):(\S+)\Z", re.IGNORECASE)

INGEST_HELP = (
    "Give me one or more addresses: `/ingest https://example.com/handbook`. Options: `tags:hr,leave`, "
    "`visibility:channel` (only this channel), `visibility:private` (only you), `refresh:7d`."
)
DOCS_HELP = "`/docs list`, `/docs search WORDS`, `/docs remove NUMBER`, `/docs refresh NUMBER`. An id works, too."


class CommandError(Exception):
    """The command cannot be read; the message says how to write it."""


class IngestCommand(msgspec.Struct, frozen=True):
    urls: tuple[str, ...]
    tags: tuple[str, ...] = ()
    visibility: Literal["team", "channel", "private"] = "team"
    refresh_days: int | None = None


class DocsCommand(msgspec.Struct, frozen=True):
    """`target` is the words of a search, or the number or id of a document."""

    verb: Literal["list", "search", "remove", "refresh"]
    target: str = ""


def read_ingest(text: str) -> IngestCommand:
    """Read `URL… [tags:a,b] [visibility:channel|private|team] [refresh:7d]`. CommandError if it is not that."""
    urls: list[str] = []
    options: dict[str, str] = {}
    for word in _LINK.sub(lambda found: found.group(1), text).replace("&amp;", "&").split():
        option = _OPTION.match(word)
        if option:
            options[option.group(1).lower()] = option.group(2)
        elif re.match(r"https?://", word, re.IGNORECASE):
            urls.append(word)
        else:
            raise CommandError(f"I don't understand `{word[:80].replace('`', '')}`. {INGEST_HELP}")
    if not urls:
        raise CommandError(INGEST_HELP)
    if len(urls) > MAX_URLS:
        raise CommandError(f"That is {len(urls)} addresses; I take {MAX_URLS} at a time.")
    return IngestCommand(
        urls=tuple(dict.fromkeys(urls)),
        tags=tuple(tag for tag in options.get("tags", "").split(",") if tag),
        visibility=_visibility(options.get("visibility", "team")),
        refresh_days=_days(options["refresh"]) if "refresh" in options else None,
    )


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
    """Return the visibility as the backend writes it."""
    return {"team": "team", "channel": f"channel:{channel}", "private": f"user:{user}"}[command.visibility]
