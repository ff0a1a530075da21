"""Slack event → what the directory forgets: who joined and left, which channel closed or opened, who became a guest."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from slack_bolt.async_app import AsyncApp

from bot.directory import Directory
from bot.tidings import forget

Body = Mapping[str, Any]

MEMBERSHIP = ("member_joined_channel", "member_left_channel")
CHANNELS = (
    "channel_archive", "channel_unarchive", "channel_deleted", "channel_left",
    "group_archive", "group_unarchive", "group_deleted", "group_left",
    "channel_shared", "channel_unshared", "channel_id_changed",
)  # fmt: skip
PEOPLE = ("team_join", "user_change")


@dataclass(frozen=True, slots=True)
class AudienceListeners:
    """`left` is called, where it is given, after somebody has left a channel; `moved` after a channel got another id,
    with the old one and the new one; `tell` after the directory has forgotten something, with what."""

    directory: Directory
    left: Callable[[Body], Awaitable[None]] | None = None
    moved: Callable[[str, str], Awaitable[None]] | None = None
    tell: Callable[..., Awaitable[None]] | None = None

    def register(self, app: AsyncApp) -> None:
        """Tell Bolt, before those who take every event, which ones change who reads what."""
        for names, listener in ((MEMBERSHIP, self.member), (CHANNELS, self.channel), (PEOPLE, self.person)):
            for name in names:
                app.event(name)(listener)

    async def member(self, event: Body) -> None:
        await self._forget("membership", str(event["user"]), str(event["channel"]))
        if self.left is not None and event["type"] == "member_left_channel":
            await self.left(event)

    async def channel(self, event: Body) -> None:
        for name in ("channel", "old_channel_id", "new_channel_id"):
            if event.get(name):
                await self._forget("channel", _id(event[name]))
        if self.moved is not None and event.get("type") == "channel_id_changed":
            await self.moved(str(event["old_channel_id"]), str(event["new_channel_id"]))

    async def person(self, event: Body) -> None:
        await self._forget("person", _id(event["user"]))

    async def _forget(self, *change: str) -> None:
        forget(self.directory, change)
        if self.tell is not None:
            await self.tell(*change)


def _id(value: object) -> str:
    """Return an id that Slack gives as it is, or inside the whole object."""
    return str(value["id"] if isinstance(value, Mapping) else value)
