"""The App Home, its buttons, and the form for adding documents: Slack event → one call."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from loguru import logger
from slack_bolt.async_app import AsyncApp

from bot.commands import CommandError, ingest_job, read_ingest
from bot.durable import Durable
from bot.home import HOME_ASK
from bot.ingest_form import INGEST_FORM, FormPlace, ingest_form, problems_of, read_form
from bot.modals import ask_view
from bot.slack import Slack, SlackRefused, SlackUnavailable

NO_FORM = "Slack did not let me open the form. Write it in one line instead: `/ingest https://example.com/handbook`."
FORM_WORDS = frozenset({"", "form"})
"""What is typed after `/ingest` to get the form."""

Body = Mapping[str, Any]
Ack = Callable[..., Awaitable[Any]]


@dataclass(frozen=True, slots=True)
class HomeListeners:
    durable: Durable
    slack: Slack
    team: str

    def register(self, app: AsyncApp) -> None:
        app.action(re.compile(rf"^{HOME_ASK}(:\d+)?$"))(self.ask)
        app.action(INGEST_FORM)(self.open_form)
        app.shortcut(INGEST_FORM)(self.open_form)
        app.view(INGEST_FORM)(self.add)
        app.command("/ingest")(self.ingest)

    async def left(self, event: Body) -> None:
        """Somebody left a channel: what only its members may see goes from their Home, too."""
        user = str(event["user"])
        key = f"home:{user}:left:{event['channel']}:{event.get('event_ts', '')}"
        await self.durable.record("home", key, {"team": self.team, "user": user, "why": "left"})

    async def ask(self, ack: Ack, body: Body, action: Body) -> None:
        """Open the form for a question, with that of the button in it."""
        await ack()
        example = str(action.get("value") or "") if ":" in str(action["action_id"]) else ""
        await self.slack.open_view(str(body["trigger_id"]), ask_view(example))

    # ------------------------------------------------------------------------------------------------ adding documents

    async def ingest(self, ack: Ack, command: Mapping[str, str]) -> None:
        """Take what was typed, or open the form where nothing was."""
        text = command.get("text", "")
        if text.strip().lower() in FORM_WORDS:
            await self._open(ack, command)
            return
        try:
            read_ingest(text)
        except CommandError as error:
            await ack(response_type="ephemeral", text=str(error))
            return
        place = FormPlace(command["channel_id"], command["response_url"])
        await self._take(place, command["user_id"], text, command["trigger_id"])
        await ack()

    async def _open(self, ack: Ack, command: Mapping[str, str]) -> None:
        place = FormPlace(command["channel_id"], command["response_url"])
        try:
            await self.slack.open_view(command["trigger_id"], ingest_form(place))
        except (SlackRefused, SlackUnavailable) as error:
            logger.bind(error=str(error)).warning("form not opened")
            await ack(response_type="ephemeral", text=NO_FORM)
            return
        await ack()

    async def open_form(self, ack: Ack, body: Body) -> None:
        await ack()
        await self.slack.open_view(str(body["trigger_id"]), ingest_form(FormPlace()))

    async def add(self, ack: Ack, body: Body, view: Body) -> None:
        """Take a filled-in form the way of the command, or say beside its fields what is wrong."""
        place, text = read_form(view)
        if problems := problems_of(text):
            await ack(response_action="errors", errors=problems)
            return
        await self._take(place, str(body["user"]["id"]), text, str(view["id"]))
        await ack()

    async def _take(self, place: FormPlace, user: str, text: str, once: str) -> None:
        """Record one wish to ingest; without a channel its message goes to the person."""
        key = f"ingest:{once}"
        where = {"channel": place.channel or user, "response_url": place.response_url}
        payload = {"key": key, "team": self.team, "user": user, "text": text, **where}
        await self.durable.record(ingest_job(text), key, payload)
