"""The other ways to ask: a shortcut on a message, a form from anywhere, a private answer shared with its channel."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec
from loguru import logger
from slack_bolt.async_app import AsyncApp

from bot import modals
from bot.directory import Directory
from bot.durable import Durable
from bot.modals import ASK, ask_view, read_question
from bot.offers import SHARE, SHARE_TO
from bot.opening import Opening
from bot.slack import Slack, SlackRefused
from bot.thread import turn_of_shortcut
from bot.turns import Turns, write_turn

ANSWER = "answer_message"
"""The callback id of the message shortcut "Answer from docs"."""
NOT_BOTH = "Choose a channel that both you and I are in. To invite me, write /invite @Footnote there."
NO_WORDS = "There are no words in that message that I could answer."

Body = Mapping[str, Any]
Ack = Callable[..., Awaitable[Any]]


@dataclass(frozen=True, slots=True)
class AskingListeners:
    durable: Durable
    slack: Slack
    directory: Directory
    turns: Turns
    team: str

    def register(self, app: AsyncApp) -> None:
        app.shortcut(ANSWER)(self.answer_message)
        app.shortcut(ASK)(self.open_form)
        app.view(ASK)(self.asked)
        app.action(SHARE)(self.share)
        app.action(SHARE_TO)(self.choose_channel)
        app.view(modals.SHARE)(self.share_to)

    async def answer_message(self, ack: Ack, body: Body) -> None:
        joined = await self._is_joined(str(body["channel"]["id"]))
        turn = turn_of_shortcut(body, self.team, joined=joined)
        if turn is None:
            await ack()
            await self.slack.respond(str(body["response_url"]), NO_WORDS)
            return
        await self.turns.expect(turn)
        await self.durable.record("turn", turn.key, write_turn(turn))
        logger.bind(turn=turn.label, place=turn.place).info("turn recorded")
        await ack()

    async def _is_joined(self, channel: str) -> bool:
        try:
            return await self.slack.is_joined(channel)
        except SlackRefused:
            return False

    async def open_form(self, ack: Ack, body: Body) -> None:
        await ack()
        await self.slack.open_view(str(body["trigger_id"]), ask_view())

    async def asked(self, ack: Ack, body: Body, view: Body) -> None:
        user = body["user"]
        opening = Opening(
            key=f"form:{view['id']}",
            team=self.team,
            user=str(user["id"]),
            question=read_question(view),
            user_team=str(user.get("team_id") or ""),
        )
        await self._record(opening)
        await ack()

    async def share(self, ack: Ack, body: Body, action: Body) -> None:
        """Ask a private question again for its channel. The button stays, but works once: its key is the question's."""
        reading, _, question = str(action.get("value") or "").partition(":")
        channel, user = str(body["channel"]["id"]), body["user"]
        if question:
            opening = Opening(
                key=f"share:{channel}:{user['id']}:{body['container'].get('message_ts', body['trigger_id'])}",
                team=self.team,
                user=str(user["id"]),
                question=question,
                channel=channel,
                user_team=str(user.get("team_id") or ""),
                response_url=str(body["response_url"]),
                reading="plain" if reading == "plain" else "full",
            )
            await self._record(opening)
        await ack()

    async def choose_channel(self, ack: Ack, body: Body, action: Body) -> None:
        await ack()
        _, _, question = str(action.get("value") or "").partition(":")
        await self.slack.open_view(str(body["trigger_id"]), modals.share_view(question))

    async def share_to(self, ack: Ack, body: Body, view: Body) -> None:
        """Ask in the channel that was chosen, which must be one that the asker and we are in."""
        channel, question = modals.read_share(view)
        user = body["user"]
        if channel not in await self.directory.channels_of(str(user["id"])):
            await ack(response_action="errors", errors={"channel": NOT_BOTH})
            return
        opening = Opening(
            key=f"form:{view['id']}",
            team=self.team,
            user=str(user["id"]),
            question=question,
            channel=channel,
            user_team=str(user.get("team_id") or ""),
        )
        await self._record(opening)
        await ack()

    async def _record(self, opening: Opening) -> None:
        await self.durable.record("opening", opening.key, msgspec.structs.asdict(opening))
