"""What Slack tells one bot of who reads what, all bots forget: Slack tells each event to one of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import msgspec

from bot.directory import Directory
from bot.peers import Peers


@dataclass(frozen=True, slots=True)
class Tidings:
    """`directories` are those of this bot, by team."""

    peers: Peers
    directories: dict[str, Directory] = field(default_factory=dict)

    async def tell(self, team: str, *change: str) -> None:
        """Have the other bots forget, too. Untold if they cannot: then the event is best not acknowledged."""
        if not self.peers.alone:
            await self.peers.tell(msgspec.json.encode([team, *change]).decode())

    def hear(self, told: str | None) -> None:
        """Forget what has changed; everything where something may have been missed."""
        if told is None:
            for directory in self.directories.values():
                directory.forget_all()
            return
        team, *change = msgspec.json.decode(told, type=list[str])
        if (known := self.directories.get(team)) is not None:
            forget(known, change)


def forget(directory: Directory, change: Sequence[str]) -> None:
    match change:
        case ["membership", user, channel]:
            directory.forget_membership(user, channel)
        case ["channel", channel]:
            directory.forget_channel(channel)
        case ["person", user]:
            directory.forget_person(user)
