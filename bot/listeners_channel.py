"""`/footnote`, and the form of a channel's settings: Slack event → one call."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import msgspec
from loguru import logger
from slack_bolt.async_app import AsyncApp

from bot.admins import Admins, is_member
from bot.channel_settings import ChannelSettings
from bot.channels import Channels
from bot.client import Backend, BackendProblem, BackendUnavailable
from bot.durable import Durable
from bot.footnote_command import HELP, misused, read_footnote
from bot.records import Records
from bot.settings_form import (
    CHANNEL_SETTINGS,
    Wrong,
    channel_of,
    read_settings,
    settings_form,
    settled_blocks,
    settled_view,
)
from bot.slack import Slack, SlackRefused, SlackUnavailable

SOON = 2.0
"""Seconds that looking something up may take before the form opens: Slack wants it within three."""
IN_A_CHANNEL = "Settings are a channel's: run `/footnote config` in one."
NOT_THERE = "I'm not in this channel, so there is nothing to settle. `/invite @Footnote` brings me in."
WHO_MAY = "Admins of this workspace, and who made the channel, can change this."
NOT_YOURS = "Only admins of this workspace, and who made the channel, can change its settings, from inside it."
NOT_KNOWN = "I couldn't check with Slack who you are. Please try again in a minute."
NOT_AN_EXPERT = "Choose a full member of this workspace."
NOT_BOTH = "Choose a channel that both you and I are in."
SAVED = "Saved. It counts from now on."

Body = Mapping[str, Any]
Ack = Callable[..., Awaitable[Any]]


@dataclass(frozen=True, slots=True)
class ChannelListeners:
    durable: Durable
    slack: Slack
    backend: Backend
    records: Records
    channels: Channels
    admins: Admins
    team: str

    def register(self, app: AsyncApp) -> None:
        app.command("/footnote")(self.footnote)
        app.action(CHANNEL_SETTINGS)(self.choose)
        app.view(CHANNEL_SETTINGS)(self.save)

    async def footnote(self, ack: Ack, command: Mapping[str, str]) -> None:
        text = command.get("text", "")
        verb = read_footnote(text)
        if verb is None or verb == "help":
            await ack(response_type="ephemeral", text=misused(text) if verb is None else HELP)
        elif verb == "config":
            await self._config(ack, command)
        else:
            payload = {"team": self.team, "user": command["user_id"], "verb": verb}
            payload["response_url"] = command["response_url"]
            await self.durable.record("footnote", f"footnote:{command['trigger_id']}", payload)
            await ack()

    # ------------------------------------------------------------------------------------------------------ the form

    async def _config(self, ack: Ack, command: Mapping[str, str]) -> None:
        """Open the form for those who may use it; tell the others what is settled, or why there is nothing."""
        channel, user = command["channel_id"], command["user_id"]
        words, view = await self._shown(channel, user)
        if view is not None and await self._opened(command["trigger_id"], view):
            await ack()
        elif words:
            await ack(response_type="ephemeral", text=words)
        else:
            settled = await self.channels.of(channel)
            blocks = settled_blocks(channel, settled, WHO_MAY)
            await ack(response_type="ephemeral", text=f"How I answer here. {WHO_MAY}", blocks=blocks)

    async def _shown(self, channel: str, user: str) -> tuple[str, dict[str, Any] | None]:
        """Return why there is nothing to show, or the form; neither for somebody who may read and not change."""
        if channel.startswith("D"):
            return IN_A_CHANNEL, None
        try:
            async with asyncio.timeout(SOON):
                if channel not in await self.admins.directory.channels_of(user):
                    return NOT_THERE, None
                if not await self.admins.may_settle(user, channel):
                    return "", None
                return "", await self._form(channel)
        except (SlackUnavailable, TimeoutError):
            return NOT_KNOWN, None

    async def choose(self, ack: Ack, body: Body, action: Body) -> None:
        """Open a channel's settings from the App Home: to be changed, or with why they cannot be."""
        await ack()
        channel = str(action.get("selected_conversation") or action.get("value") or "")
        if channel:
            words, view = await self._shown(channel, str(body["user"]["id"]))
            settled = await self.channels.of(channel) if not words else ChannelSettings()
            fallback = _only(words) if words else settled_view(channel, settled, NOT_YOURS)
            await self._opened(str(body["trigger_id"]), view or fallback)

    async def _form(self, channel: str) -> dict[str, Any]:
        return settings_form(channel, await self.channels.of(channel), await self._prompts())

    async def _prompts(self) -> tuple[str, ...]:
        """Return the prompts to choose from; none where that cannot be known at once."""
        try:
            async with asyncio.timeout(SOON / 2):
                return await self.backend.prompts()
        except (BackendUnavailable, BackendProblem, TimeoutError) as error:
            logger.bind(error=str(error)).info("prompts not known")
            return ()

    async def _opened(self, trigger: str, view: dict[str, Any]) -> bool:
        try:
            await self.slack.open_view(trigger, view)
        except (SlackRefused, SlackUnavailable) as error:
            logger.bind(error=str(error)).warning("form not opened")
            return False
        return True

    async def save(self, ack: Ack, body: Body, view: Body) -> None:
        """Keep what was filled in, if whoever did may still do so; then show what is settled now."""
        channel, user = channel_of(view), str(body["user"]["id"])
        try:
            if not await self.admins.may_settle(user, channel):
                await ack(response_action="update", view=_only(NOT_YOURS))
                return
            filled = read_settings(view, await self.channels.of(channel))
            if problems := await self._problems(filled, user):
                raise Wrong(problems)
        except Wrong as error:
            await ack(response_action="errors", errors=error.errors)
            return
        settled = msgspec.structs.replace(filled, changed_by=user, changed_at=f"{datetime.now(UTC):%Y-%m-%d}")
        await self.records.put_channel_settings(self.team, channel, settled)
        logger.bind(channel=channel, user=user, muted=settled.muted, auto=settled.auto_answer).info("channel settled")
        await ack(response_action="update", view=settled_view(channel, settled, SAVED))

    async def _problems(self, filled: ChannelSettings, user: str) -> dict[str, str]:
        """Return what is wrong with whom to ask: they must be able to be asked, and be no stranger."""
        directory = self.admins.directory
        if filled.expert.startswith(("U", "W")):
            return {} if is_member(await directory.person(filled.expert)) else {"expert": NOT_AN_EXPERT}
        if filled.expert and filled.expert not in await directory.channels_of(user):
            return {"expert_channel": NOT_BOTH}
        return {}


def _only(words: str) -> dict[str, Any]:
    """Return a view that says one thing."""
    title = {"type": "plain_text", "text": "Channel settings"}
    close = {"type": "plain_text", "text": "Close"}
    said = {"type": "section", "text": {"type": "mrkdwn", "text": words}}
    return {"type": "modal", "title": title, "close": close, "blocks": [said]}
