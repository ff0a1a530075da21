"""Slack event → a workspace threw us out."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from loguru import logger
from slack_bolt.async_app import AsyncApp

Body = Mapping[str, Any]
Gone: TypeAlias = Callable[[str], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class InstallListeners:
    team: str
    gone: Gone

    def register(self, app: AsyncApp) -> None:
        app.event("app_uninstalled")(self.uninstalled)
        app.event("tokens_revoked")(self.revoked)

    async def uninstalled(self, event: Body) -> None:
        logger.bind(team=self.team, event=event.get("type")).warning("uninstalled")
        await self.gone(self.team)

    async def revoked(self, event: Body) -> None:
        """People's tokens, which we do not have, are revoked one by one; ours is under `bot`."""
        if (event.get("tokens") or {}).get("bot"):
            await self.uninstalled(event)
