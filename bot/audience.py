"""Who will read the answer. Pure, and closed by default: what is not known to be admitted is not."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, TypeAlias

import msgspec

from backend.schema import Audience
from bot.thread import Turn


class Channel(msgspec.Struct, frozen=True):
    """What Slack says of a channel. `shared`: another workspace reads it; `guests`: guests of this one do;
    `members` is how many people are in it, 0 where that is not known; `creator` is who made it, "" likewise."""

    shared: bool
    name: str = ""
    guests: bool = False
    members: int = 0
    creator: str = ""


class Person(msgspec.Struct, frozen=True):
    """What Slack says of a person. `guest` covers single- and multi-channel guests; `stranger` other workspaces;
    `gone` is who was deactivated; `admin` an admin or owner of the workspace; `time_zone` is an IANA name."""

    team: str = ""
    guest: bool = False
    stranger: bool = False
    bot: bool = False
    name: str = ""
    time_zone: str | None = None
    gone: bool = False
    admin: bool = False


class External(msgspec.Struct, frozen=True):
    """What is used where people from outside ask or read: nothing, the documents with one tag, or all documents."""

    mode: Literal["refuse", "tag", "all"] = "refuse"
    tag: str = ""

    @classmethod
    def parse(cls, text: str) -> External:
        """Read `refuse`, `tag:NAME` or `all`; ValueError for anything else."""
        kind, _, tag = text.partition(":")
        match kind.strip().lower(), tag.strip():
            case "refuse", "":
                return cls()
            case "all", "":
                return cls("all")
            case "tag", tag if 0 < len(tag) <= 100:
                return cls("tag", tag)
        raise ValueError("must be refuse, tag:NAME or all")


REFUSE = External()

Outside: TypeAlias = Literal["unknown", "guest", "stranger", "shared", "guests"]
"""Why an answer would be read from outside the workspace, or might be."""

_IN_PRIVATE = "Ask me in a direct message or with `/ask`."
REFUSALS: dict[Outside, str] = {
    "unknown": "I couldn't check who would read the answer, so I haven't answered. Please try again in a direct "
    "message.",
    "guest": "I answer from this workspace's own documents, so I can't answer guests.",
    "stranger": "I answer from this workspace's own documents, so I can't answer people of other workspaces.",
    "shared": "This channel is shared with another workspace, so I don't answer from our documents here. "
    + _IN_PRIVATE,
    "guests": f"There are guests in this channel, so I don't answer from our documents here. {_IN_PRIVATE}",
}


def outside(turn: Turn, channel: Channel | None, person: Person | None) -> Outside | None:
    """Return whether somebody from outside will read the answer; None is nobody, what is not known is somebody.

    `channel` is looked at only where all of it reads the answer.
    """
    if person is None or person.gone or (turn.place == "channel" and channel is None):
        return "unknown"
    if person.guest:
        return "guest"
    if person.stranger or (turn.user_team and turn.user_team != turn.team):
        return "stranger"
    if turn.place == "channel" and channel is not None:
        return "shared" if channel.shared else "guests" if channel.guests else None
    return None


def refusal(reader: Outside | None, external: External = REFUSE) -> str | None:
    """Return why a turn is not answered, as a sentence for the asker alone, or None."""
    return REFUSALS[reader] if reader is not None and external.mode == "refuse" else None


def only_tags(reader: Outside | None, external: External = REFUSE) -> tuple[str, ...]:
    """Return the tags to which documents are limited; () is no limit. A turn that `refusal` stops has none to use."""
    return (external.tag,) if reader is not None and external.mode == "tag" else ()


def audience_of(turn: Turn, channels: Sequence[str] = (), tags: tuple[str, ...] = ()) -> Audience:
    """Return who reads the answer to this turn; `channels` are those that the asker is known to be in now.

    In a channel everyone reads, so the asker's own documents and other channels' do not count. A note that only the
    asker sees stands in a channel that they may have left meanwhile: it counts only if they are known to be in it.
    """
    if turn.place == "channel":
        return Audience(channel=turn.channel, user=turn.user, private=False, only_tags=tags)
    here = turn.channel if turn.place == "direct" or turn.channel in channels else None
    return Audience(channel=here, user=turn.user, private=True, channels=tuple(channels), only_tags=tags)


def may_read(visibility: str, audience: Audience, tags: Sequence[str] = ()) -> bool:
    """Whether every reader of `audience` may read a document: the backend's rule, for lists."""
    if audience.only_tags and not {tag.casefold() for tag in audience.only_tags} & {tag.casefold() for tag in tags}:
        return False
    kind, _, subject = visibility.partition(":")
    if visibility == "team":
        return True
    if kind == "channel":
        return subject == audience.channel or (audience.private and subject in audience.channels)
    return kind == "user" and audience.private and subject == audience.user


def refusal_to_ingest(person: Person | None) -> str | None:
    """Return why this person adds nothing to the documents, as a sentence for them alone, or None."""
    if person is None or person.gone:
        return "I couldn't check who you are, so I haven't added anything. Please try again in a minute."
    if person.guest or person.stranger:
        return "Only members of this workspace can add documents."
    return None
