"""The workspaces that we answer, each with its own token, listeners and jobs; what arrives goes to the one it is of."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from loguru import logger
from slack_bolt.async_app import AsyncApp
from slack_bolt.request.async_request import AsyncBoltRequest
from slack_bolt.response import BoltResponse

from backend.tracing import span
from bot.durable import Durable, Job, Payload
from bot.web_client import WebClient


@dataclass(frozen=True, slots=True)
class Team:
    """One workspace. `close` ends what is done for it in the background."""

    id: str
    bot_user: str
    app: AsyncApp
    client: WebClient
    jobs: Mapping[str, Job]
    close: Callable[[], Awaitable[None]]


@dataclass(slots=True)
class Teams:
    """`lobby` takes what is of no workspace: Slack's handshake with the address that events go to."""

    lobby: AsyncApp
    open: dict[str, Team] = field(default_factory=dict)
    known: asyncio.Event = field(default_factory=asyncio.Event)
    """Set once all workspaces are open that were installed before the start."""
    logger: logging.Logger = field(default_factory=lambda: logging.getLogger("bot.teams"))

    async def async_dispatch(self, request: AsyncBoltRequest) -> BoltResponse:
        """Hand a request to its workspace; the name is Bolt's, whose Socket Mode adapter takes this for an app."""
        with span("slack event", {"slack.type": type_of(request.body)}, kind="consumer"):
            return await self._dispatch(request)

    async def _dispatch(self, request: AsyncBoltRequest) -> BoltResponse:
        team = self.open.get(request.context.team_id or "")
        if team is not None:
            return await team.app.async_dispatch(request)
        if request.mode == "socket_mode":  # acknowledged, so that Slack does not deliver it again
            logger.bind(type=request.body.get("type")).info("event of a workspace that did not install us")
            return BoltResponse(status=200)
        return await self.lobby.async_dispatch(request)

    async def put(self, team: Team) -> None:
        """Answer a workspace from now on, in place of what was open for it."""
        before = self.open.pop(team.id, None)
        self.open[team.id] = team
        if before is not None:
            await before.close()
        logger.bind(team=team.id).info("workspace open")

    async def drop(self, team_id: str) -> None:
        """Answer a workspace no longer."""
        gone = self.open.pop(team_id, None)
        if gone is not None:
            await gone.close()
            logger.bind(team=team_id).info("workspace closed")

    async def close(self) -> None:
        """End what is done in the background; jobs that are under way still find their workspace."""
        for team in list(self.open.values()):
            await team.close()

    async def job(self, payload: Payload, name: str) -> Job | None:
        """Return the workspace's job that this is for, None where the workspace is gone."""
        await self.known.wait()
        only = next(iter(self.open.values()), None) if len(self.open) == 1 else None
        team = self.open.get(payload["team"]) if "team" in payload else only
        return team.jobs.get(name) if team else None


def type_of(body: Mapping[str, Any]) -> str:
    """Return what kind of thing Slack tells: an event's own type, or that of the request."""
    event = body.get("event")
    return str((event.get("type") if isinstance(event, Mapping) else body.get("type") or body.get("command")) or "")


@dataclass(frozen=True, slots=True)
class TeamJob:
    """A job of whichever workspace the payload names."""

    name: str
    teams: Teams

    async def attempt(self, payload: Payload) -> None:
        job = await self.teams.job(payload, self.name)
        if job is None:
            logger.bind(job=self.name, team=payload.get("team")).warning("job dropped: the workspace is gone")
            return
        await job.attempt(payload)

    async def give_up(self, payload: Payload) -> None:
        if job := await self.teams.job(payload, self.name):
            await job.give_up(payload)

    async def fail(self, payload: Payload) -> None:
        if job := await self.teams.job(payload, self.name):
            await job.fail(payload)


class TeamDurable(Durable):
    """Records jobs of one workspace."""

    def __init__(self, durable: Durable, team: str) -> None:
        self._durable = durable
        self._team = team

    async def record(self, name: str, key: str, payload: Payload) -> None:
        await self._durable.record(name, key, {"team": self._team} | payload)

    async def drain(self, timeout: float) -> None:  # noqa: ASYNC109 - as Durable's
        await self._durable.drain(timeout)
