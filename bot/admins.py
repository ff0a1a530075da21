"""Who may see how we are, and who may change what is settled for a channel. What is not known is no."""

from __future__ import annotations

from dataclasses import dataclass

from bot.audience import Person
from bot.directory import Directory


@dataclass(frozen=True, slots=True)
class Admins:
    """The workspace's admins and owners, and those whom the settings name. SlackUnavailable passes through."""

    directory: Directory
    named: frozenset[str] = frozenset()

    async def includes(self, user: str) -> bool:
        return is_admin(user, await self.directory.person(user), self.named)

    async def may_settle(self, user: str, channel: str) -> bool:
        """Whether a person may change a channel's settings: one of its members who is an admin, or who made it."""
        person = await self.directory.person(user)
        if not is_member(person) or channel not in await self.directory.channels_of(user):
            return False
        if is_admin(user, person, self.named):
            return True
        found = await self.directory.channel(channel)
        return found is not None and found.creator == user


def is_admin(user: str, person: Person | None, named: frozenset[str]) -> bool:
    return person is not None and is_member(person) and (person.admin or user in named)


def is_member(person: Person | None) -> bool:
    """Whether somebody is known to be a full member of the workspace."""
    return person is not None and not (person.gone or person.guest or person.stranger or person.bot)
