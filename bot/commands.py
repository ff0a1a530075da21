"""What is typed after a slash command, read into what is wanted. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date
from typing import Literal, get_args

import msgspec

from backend.schema import MAX_COLLECTION, CollectionKind, MetadataValue

MAX_URLS = 20
COLLECTIONS: tuple[str, ...] = get_args(CollectionKind)
"""Words before an address that make it stand for many documents."""

_LINK = re.compile(r"<(https?://[^|>]+)(?:\|[^>]*)?>")
OPTION = re.compile(r"(tags|visibility|refresh|pages|title|author|date):(.+)\Z", re.IGNORECASE | re.DOTALL)
"""A word of `words_of` that says how to take in what is beside it."""
MAX_TITLE = 300
MAX_TAG = 100
_QUOTED = re.compile(r'"((?:\\.|[^"\\]){0,1000})"|“([^“”]{0,1000})”')
_WORD = re.compile(rf"(?:{_QUOTED.pattern}|\S)+")

INGEST_HELP = (
    "Give me one or more addresses: `/ingest https://example.com/handbook`. Options: `tags:hr,leave`, "
    "`visibility:channel` (only this channel), `visibility:private` (only you), `refresh:7d`, "
    '`title:"Parental leave"`, `author:"Ana Li"`, `date:2026-03-01`. For a whole site, an RSS or Atom feed or a zip of '
    "pages: `/ingest site https://example.com/handbook/ pages:100`, `/ingest feed URL`, `/ingest zip URL`. `/ingest` "
    "alone opens a form."
)
DOCS_HELP = "`/docs list`, `/docs search WORDS`, `/docs remove NUMBER`, `/docs refresh NUMBER`. An id works, too."


class CommandError(Exception):
    """The command cannot be read; the message says how to write it.

    `about` is the option that is wrong, "" for the addresses; `briefly` is what a form says beside it.
    """

    def __init__(self, words: str, *, about: str = "", briefly: str = "") -> None:
        super().__init__(words)
        self.about = about
        self.briefly = briefly or words


class IngestCommand(msgspec.Struct, frozen=True):
    """`visibility` is None where nobody has said. With a `collection` the one URL is that of a site, a feed or a zip,
    and `limit` is how many of its documents are taken."""

    urls: tuple[str, ...]
    tags: tuple[str, ...] = ()
    visibility: Literal["team", "channel", "private"] | None = None
    refresh_days: int | None = None
    collection: CollectionKind | None = None
    limit: int = 50
    title: str = ""
    authors: tuple[str, ...] = ()
    published: str = ""

    @property
    def metadata(self) -> dict[str, MetadataValue | None]:
        """What was said of the documents, as the backend takes it."""
        said: dict[str, MetadataValue | None] = {"tags": list(self.tags)} if self.tags else {}
        said |= {"author": list(self.authors)} if self.authors else {}
        return said | ({"published_at": self.published} if self.published else {})


class DocsCommand(msgspec.Struct, frozen=True):
    """`target` is the words of a search, or the number or id of a document."""

    verb: Literal["list", "search", "remove", "refresh"]
    target: str = ""


def words_of(text: str) -> list[str]:
    """Split what was typed into words; what stands in quotation marks stays together."""
    return [found.group() for found in _WORD.finditer(text)]


def quoted(value: str) -> str:
    """Return a value as one word, as it can be typed after an option and its colon."""
    escaped = " ".join(value.split()).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def read_ingest(text: str, *, needs_url: bool = True) -> IngestCommand:
    """Read `URL… [tags:a,b] [visibility:channel|private|team] [refresh:7d] [title:"…"] [author:"…"] [date:2026-03-01]`,
    or `site|feed|zip URL [pages:N] …`.

    CommandError if it is not that.
    """
    words = words_of(_plain(text))
    collection = _collection(words)
    urls, options = _sorted(words[1:] if collection else words)
    urls = list(dict.fromkeys(urls))
    if (needs_url or collection) and not urls:
        raise CommandError(INGEST_HELP, briefly="Give at least one address, such as https://example.com/handbook.")
    if len(urls) > (1 if collection else MAX_URLS):
        raise CommandError(f"That is {len(urls)} addresses; I take {1 if collection else MAX_URLS} at a time.")
    if "pages" in options and not collection:
        raise CommandError("`pages:` is for whole sites: `/ingest site URL pages:100`.", about="pages")
    return IngestCommand(
        urls=tuple(urls),
        tags=_listed(options, "tags"),
        visibility=_visibility(options["visibility"]) if "visibility" in options else None,
        refresh_days=_days(options["refresh"]) if "refresh" in options else None,
        collection=collection,
        limit=_limit(options.get("pages", "50")),
        title=_title(options, single=not collection and len(urls) < 2),
        authors=_listed(options, "author"),
        published=_published(options),
    )


def ingest_job(text: str) -> Literal["ingest", "collection"]:
    """Return which job takes what was typed after `/ingest`."""
    return "collection" if _collection(words_of(text)) else "ingest"


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
            options[option.group(1).lower()] = _unquoted(option.group(2))
        elif re.match(r"https?://", word, re.IGNORECASE):
            urls.append(word)
        else:
            shown = word[:80].replace("`", "")
            briefly = f"“{shown}” is not an address that I can read: it must begin with https:// or http://."
            raise CommandError(f"I don't understand `{shown}`. {INGEST_HELP}", briefly=briefly)
    return urls, options


def _plain(text: str) -> str:
    """Return what was typed with Slack's links unwrapped and its entities decoded."""
    text = _LINK.sub(lambda found: found.group(1), text)
    return text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")


def _unquoted(value: str) -> str:
    found = _QUOTED.fullmatch(value)
    if found is None:
        return value
    inner = found.group(1) if found.group(1) is not None else found.group(2)
    return re.sub(r"\\(.)", r"\1", inner).strip()


def _listed(options: Mapping[str, str], name: str) -> tuple[str, ...]:
    """Return what stands between the commas of an option."""
    listed = tuple(part for part in (part.strip() for part in options.get(name, "").split(",")) if part)
    if any(len(part) > MAX_TAG for part in listed):
        raise CommandError(f"`{name}:` takes at most {MAX_TAG} characters between two commas.", about=name)
    return listed


def _title(options: Mapping[str, str], *, single: bool) -> str:
    title = " ".join(options.get("title", "").split())
    if title and not single:
        raise CommandError("A title is for one document; give that one alone.", about="title")
    if len(title) > MAX_TITLE:
        raise CommandError(f"A title may have at most {MAX_TITLE} characters.", about="title")
    return title


def _published(options: Mapping[str, str]) -> str:
    word = options.get("date", "")
    try:
        return date.fromisoformat(word).isoformat() if word else ""
    except ValueError:
        raise CommandError("`date:` takes a day such as `date:2026-03-01`.", about="date") from None


def _limit(word: str) -> int:
    limit = int(word) if re.fullmatch(r"\d{1,6}", word, re.ASCII) else 0
    if not 1 <= limit <= MAX_COLLECTION:
        raise CommandError(f"`pages:` takes a number from 1 to {MAX_COLLECTION}.", about="pages")
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
            raise CommandError("`visibility:` takes `team`, `channel` or `private`.", about="visibility")


def _days(word: str) -> int:
    found = re.fullmatch(r"(\d{1,3})([dw]?)", word.lower())
    days = int(found.group(1)) * (7 if found.group(2) == "w" else 1) if found else 0
    if not 1 <= days <= 365:
        words = "`refresh:` takes days or weeks up to a year, such as `refresh:7d` or `refresh:2w`."
        raise CommandError(words, about="refresh")
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
