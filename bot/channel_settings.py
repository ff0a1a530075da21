"""What may be settled for the answers in one channel. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Literal, TypeAlias, get_args
from urllib.parse import urlsplit

import msgspec

from backend.schema import ANSWER_LANGUAGES, FilterJSON

AutoAnswer: TypeAlias = Literal["default", "mentions", "replies", "questions"]
"""What is answered without a mention. `default`: as everywhere; `mentions`: nothing; `replies`: every reply in a thread
of ours, though the channel be busy; `questions`: also a new message that asks something."""
AUTO_ANSWERS: tuple[AutoAnswer, ...] = get_args(AutoAnswer)

MAX_LISTED = 16
MAX_TAG, MAX_SOURCE = 100, 253
_ASKED = re.compile(r"\w\S*\s+\S.*[?？؟](?=[\s\"'”’»)\]*_~]|$)", re.DOTALL)
_LINKS = re.compile(r"<[^>]*>|https?://\S+")


class ChannelSettings(msgspec.Struct, frozen=True, omit_defaults=True):
    """`tags` and `sources` (mostly hosts) limit what answers may draw on, each to documents with one of them; () is no
    limit. A model writes by `prompt`, "" is whichever is current, and in `language`, an ISO 639-1 code, "" is the
    asker's. `expert` is the id of a user or a channel, "" is the workspace's. Muted, nothing is answered for all to
    read. `changed_at` is an ISO date."""

    auto_answer: AutoAnswer = "default"
    tags: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()
    prompt: str = ""
    language: str = ""
    muted: bool = False
    expert: str = ""
    changed_by: str = ""
    changed_at: str = ""

    @property
    def filter(self) -> FilterJSON | None:
        """Return the condition on documents, as the backend reads it; None is no condition."""
        limits = (("tags", self.tags), ("source", self.sources))
        items: list[FilterJSON] = [
            {"op": "in", "field": name, "value": list(values)} for name, values in limits if values
        ]
        return {"op": "and", "items": items} if len(items) > 1 else next(iter(items), None)

    def without(self, user: str) -> ChannelSettings:
        """Return the same with no word of this person, who wants to be forgotten."""
        expert = "" if self.expert == user else self.expert
        changed_by = "" if self.changed_by == user else self.changed_by
        return msgspec.structs.replace(self, expert=expert, changed_by=changed_by)


NOTHING_SETTLED = ChannelSettings()


def asks_something(text: str) -> bool:
    """Whether a message, as Slack writes it, holds a question of two words or more."""
    return _ASKED.search(_LINKS.sub(" ", text)) is not None


def read_tags(text: str) -> tuple[str, ...]:
    """Read tags with commas between them. ValueError says what is wrong, in a sentence for a person."""
    tags = _listed(text)
    if any(len(tag) > MAX_TAG for tag in tags):
        raise ValueError(f"A tag has at most {MAX_TAG} characters.")
    return tags


def read_sources(text: str) -> tuple[str, ...]:
    """Read sources, or addresses on hosts that are such, with commas between them. ValueError as above."""
    return tuple(dict.fromkeys(_source(word) for word in _listed(text)))


def _listed(text: str) -> tuple[str, ...]:
    found = tuple(dict.fromkeys(word.strip() for word in text.replace("\n", ",").split(",") if word.strip()))
    if len(found) > MAX_LISTED:
        raise ValueError(f"That is {len(found)}; I take {MAX_LISTED} at most.")
    return found


def _source(word: str) -> str:
    """Return what documents have as their source: of an address its host, without `www.`; else the name itself."""
    try:
        source = urlsplit(word).hostname if "://" in word else word.partition("/")[0].strip()
    except ValueError:
        source = None
    if not source or len(source) > MAX_SOURCE:
        raise ValueError(f"“{word[:60]}” is no source; write a host like handbook.example.com.")
    return source.lower().removeprefix("www.")


# ------------------------------------------------------------------------------------------------------------- in words

AUTO_ANSWER_WORDS: dict[AutoAnswer, str] = {
    "default": "As in other channels",
    "mentions": "Nothing",
    "replies": "Every reply in my threads",
    "questions": "Replies, and new messages that ask something",
}


def settled_lines(settings: ChannelSettings) -> list[str]:
    """Return what is settled, one plain line each; words of people's own are not escaped yet."""
    words = AUTO_ANSWER_WORDS[settings.auto_answer]
    return [
        *(["Muted: I answer nobody here, except privately"] if settings.muted else []),
        f"Answered without a mention: {words[0].lower()}{words[1:]}",
        f"Documents: {_documents(settings.tags, settings.sources)}",
        *([f"Language: {ANSWER_LANGUAGES[settings.language]}"] if settings.language in ANSWER_LANGUAGES else []),
        *([f"Prompt: {settings.prompt}"] if settings.prompt else []),
    ]


def _documents(tags: Sequence[str], sources: Sequence[str]) -> str:
    limits = [
        *([f"tagged {' or '.join(tags)}"] if tags else []),
        *([f"from {' or '.join(sources)}"] if sources else []),
    ]
    return f"only those {' and '.join(limits)}" if limits else "all that everybody here may read"
