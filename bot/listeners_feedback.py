"""Reactions and the buttons under an answer → feedback; 🔇 → a quiet thread."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from loguru import logger
from slack_bolt.async_app import AsyncApp

from bot.blocks import FEEDBACK
from bot.durable import Durable, Payload
from bot.feedback import TOO_MANY, Emoji, Patience, read_button
from bot.modals import WHY, About, read_why, why_view
from bot.offers import SAY_WHY, read_run
from bot.quiet import MUTE_EMOJI, TOLD, Quiet
from bot.records import BUTTON, Records
from bot.slack import Slack, SlackRefused, SlackUnavailable
from bot.store import Store

Body = Mapping[str, Any]
Ack = Callable[..., Awaitable[Any]]

LOOKS, PAUSE = 10, 0.1
"""An answer is complete in Slack a moment before it is remembered here: who reacts at once is waited for."""


@dataclass(frozen=True, slots=True)
class FeedbackListeners:
    durable: Durable
    slack: Slack
    store: Store
    records: Records
    quiet: Quiet
    emoji: Emoji
    team: str
    bot_user: str
    patience: Patience = field(default_factory=Patience)

    def register(self, app: AsyncApp) -> None:
        app.event("reaction_added")(self.reaction_added)
        app.event("reaction_removed")(self.reaction_removed)
        app.action(FEEDBACK)(self.feedback_button)
        app.action(SAY_WHY)(self.say_why)
        app.view(WHY)(self.said_why)

    async def reaction_added(self, event: Body) -> None:
        await self._reaction(event, added=True)

    async def reaction_removed(self, event: Body) -> None:
        await self._reaction(event, added=False)

    async def _reaction(self, event: Body, *, added: bool) -> None:
        """Take what rates a message of ours that a run wrote, and what quiets a thread."""
        name, item, user = str(event["reaction"]), event["item"], str(event["user"])
        if item.get("type") != "message" or user == self.bot_user:
            return
        if event.get("item_user") == self.bot_user and (name in MUTE_EMOJI or self.emoji.rating_of(name) is not None):
            await self._remembered(str(item["channel"]), str(item["ts"]))
        if name in MUTE_EMOJI:
            await self._quieten(event, added=added)
            return
        rating = self.emoji.rating_of(name)
        if rating is None or event.get("item_user", self.bot_user) != self.bot_user:
            return
        run_id = await self.store.run_of(self.team, str(item["channel"]), str(item["ts"]))
        if run_id is None or not self.patience.takes(user):
            return
        await self.records.react(run_id, user, name, rating if added else None)
        thread_ts = await self.records.thread_of(self.team, str(item["channel"]), str(item["ts"])) or ""
        place = about(str(item["channel"]), thread_ts) if added and rating == -1 else {}
        key = f"reaction:{run_id}:{user}:{event['event_ts']}"
        await self.durable.record("feedback", key, {"run_id": run_id, "user": user, **place})

    async def _remembered(self, channel: str, ts: str) -> None:
        """Wait, but not for long, until a message of ours is known as an answer."""
        for _ in range(LOOKS):
            if await self.records.thread_of(self.team, channel, ts) is not None:
                return
            await asyncio.sleep(PAUSE)

    async def _quieten(self, event: Body, *, added: bool) -> None:
        thread_ts = await self.quiet.set_by_reaction(self.team, event["item"], added=added)
        if thread_ts is not None:
            key = f"mode:{event['item']['channel']}:{event['event_ts']}"
            payload = {"key": key, "channel": str(event["item"]["channel"]), "thread_ts": thread_ts}
            words = TOLD["muted" if added else "followed"]
            await self.durable.record("mode", key, {**payload, "user": str(event["user"]), "words": words})

    async def feedback_button(self, ack: Ack, body: Body, action: Body) -> None:
        """Take a rating; a bad one is asked about at once, in a form."""
        pressed, user = read_button(str(action.get("value") or "")), str(body["user"]["id"])
        if pressed is None:
            await ack()
            return
        run_id, rating = pressed
        if not self.patience.takes(user):
            await ack()
            await self.slack.respond(str(body["response_url"]), TOO_MANY)
            return
        standing = await self.records.standing(run_id, user)
        if standing is None or (standing.rating, standing.kind) != (rating, "button"):
            await self.records.react(run_id, user, BUTTON, rating)
        place = pressed_in(body) | {"asked": "yes"} if rating == -1 else {}
        key = f"button:{run_id}:{user}:{action.get('action_ts', body.get('trigger_id', ''))}"
        await self.durable.record("feedback", key, {"run_id": run_id, "user": user, **place})
        await ack()
        if rating == -1:
            await self._ask_why(body, About(run_id, place["channel"], place["thread_ts"]))

    async def say_why(self, ack: Ack, body: Body, action: Body) -> None:
        await ack()
        if (found := read_run(str(action.get("value") or ""))) is not None:
            await self._ask_why(body, About(found[0], pressed_in(body)["channel"], found[1]))

    async def _ask_why(self, body: Body, about_: About) -> None:
        """Open the form; where that fails the rating counts nevertheless."""
        try:
            await self.slack.open_view(str(body["trigger_id"]), why_view(about_))
        except (SlackRefused, SlackUnavailable) as error:
            logger.bind(error=str(error)).warning("form not opened")

    async def said_why(self, ack: Ack, body: Body, view: Body) -> None:
        found, comment = read_why(view)
        user = str(body["user"]["id"])
        if self.patience.takes(user):
            standing = await self.records.standing(found.run_id, user)
            if standing is None or standing.rating != -1:
                await self.records.react(found.run_id, user, BUTTON, -1)
            payload = {"run_id": found.run_id, "user": user, "comment": comment[:4_000]}
            await self.durable.record("feedback", f"why:{view['id']}", payload)
        await ack()


def about(channel: str, thread_ts: str, *, asked: str = "", response_url: str = "") -> Payload:
    """Return where to ask what was wrong, as the job is told."""
    return {"channel": channel, "thread_ts": thread_ts, "asked": asked, "response_url": response_url}


def pressed_in(body: Body) -> Payload:
    """Return where a button was pressed; the thread is "" where only who pressed it sees the message."""
    container = body.get("container") or {}
    private = bool(container.get("is_ephemeral"))
    thread_ts = "" if private else str(container.get("thread_ts") or container.get("message_ts") or "")
    channel = str((body.get("channel") or {}).get("id") or container.get("channel_id") or "")
    return about(channel, thread_ts, response_url=str(body.get("response_url") or ""))
