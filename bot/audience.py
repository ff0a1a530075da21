"""Who will read the answer. Pure, and closed by default: what is not known to be admitted is not."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from backend.schema import Audience
from bot.thread import Turn


class Channel(msgspec.Struct, frozen=True):
    """What Slack says of a channel. `shared` means that another workspace reads it."""

    shared: bool
    name: str = ""


class Person(msgspec.Struct, frozen=True):
    """What Slack says of a person. `guest` covers single- and multi-channel guests; `stranger` other workspaces;
    `time_zone` is an IANA name."""

    team: str = ""
    guest: bool = False
    stranger: bool = False
    bot: bool = False
    name: str = ""
    time_zone: str | None = None


def audience_of(turn: Turn, channels: Sequence[str] = ()) -> Audience:
    """Return who reads the answer to this turn; `channels` are those that the asker is known to be in.

    In a channel everyone reads, so the asker's own documents and other channels' do not count.
    """
    if turn.place == "channel":
        return Audience(channel=turn.channel, user=turn.user, private=False)
    return Audience(channel=turn.channel, user=turn.user, private=True, channels=tuple(channels))


def may_read(visibility: str, audience: Audience) -> bool:
    """Whether every reader of `audience` may read a document of this visibility: the backend's rule, for lists."""
    kind, _, subject = visibility.partition(":")
    if visibility == "team":
        return True
    if kind == "channel":
        return subject == audience.channel or (audience.private and subject in audience.channels)
    return kind == "user" and audience.private and subject == audience.user


def refusal(turn: Turn, channel: Channel | None, person: Person | None) -> str | None:
    """Return why this turn is not answered, as a sentence for the asker alone, or None. None for unknown refuses."""
    if person is None or channel is None:
        return (
            "I couldn't check who would read the answer, so I haven't answered. Please try again in a direct message."
        )
    if person.guest:
        return "I answer from this workspace's own documents, so I can't answer guests."
    if person.stranger or (turn.user_team and turn.user_team != turn.team):
        return "I answer from this workspace's own documents, so I can't answer people of other workspaces."
    if channel.shared and turn.place == "channel":
        return (
            "This channel is shared with another workspace, so I don't answer from our documents here. "
            "Ask me in a direct message or with `/ask`."
        )
    return None


def refusal_to_ingest(person: Person | None) -> str | None:
    """Return why this person adds nothing to the documents, as a sentence for them alone, or None."""
    if person is None:
        return "I couldn't check who you are, so I haven't added anything. Please try again in a minute."
    if person.guest or person.stranger:
        return "Only members of this workspace can add documents."
    return None
