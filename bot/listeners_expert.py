"""Ask a human: the button, what they answer, and the review before an answer is kept."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from loguru import logger
from slack_bolt.async_app import AsyncApp

from bot import modals
from bot.client import Backend, BackendProblem, BackendUnavailable
from bot.durable import Durable
from bot.expert_replies import GONE, KEEP, SEND, is_answer, readers_of, reviewable, text_of
from bot.feedback import Patience
from bot.listeners_feedback import pressed_in
from bot.offers import ASK_HUMAN, read_run
from bot.records import HandedOn, Records
from bot.slack import Slack

TOO_OFTEN = "You have asked humans a lot in the last hour. Please write to them yourself."

Body = Mapping[str, Any]
Ack = Callable[..., Awaitable[Any]]


@dataclass(frozen=True, slots=True)
class ExpertListeners:
    durable: Durable
    slack: Slack
    backend: Backend
    records: Records
    team: str
    bot_user: str
    patience: Patience = field(default_factory=lambda: Patience(most=10, seconds=3600))

    def register(self, app: AsyncApp) -> None:
        app.action(ASK_HUMAN)(self.ask)
        app.action(SEND)(self.send)
        app.action(KEEP)(self.review)
        app.view(modals.KEEP)(self.keep)

    async def ask(self, ack: Ack, body: Body, action: Body) -> None:
        if not self.patience.takes(str(body["user"]["id"])):
            await ack()
            await self.slack.respond(str(body["response_url"]), TOO_OFTEN)
            return
        if (found := read_run(str(action.get("value") or ""))) is not None:
            run_id, thread_ts = found
            place = pressed_in(body)
            payload = {
                "key": f"expert:{body['trigger_id']}",
                "team": self.team,
                "channel": place["channel"],
                "thread_ts": thread_ts or place["thread_ts"],
                "user": str(body["user"]["id"]),
                "run_id": run_id,
                "response_url": place["response_url"],
            }
            await self.durable.record("expert", payload["key"], payload)
        await ack()

    async def takes(self, event: Body) -> bool:
        """Whether a message is an expert's answer, and so no question; its writer is offered what to do with it."""
        thread_ts = str(event.get("thread_ts") or "")
        if not thread_ts:
            return False
        handed_on = await self.records.handed_on_in(self.team, str(event["channel"]), thread_ts)
        if handed_on is None or not is_answer(event, handed_on, self.bot_user):
            return False
        payload = {"run_id": handed_on.run_id, "ts": str(event["ts"]), "user": str(event["user"])}
        await self.durable.record("expert-reply", f"reply:{self.team}:{event['channel']}:{event['ts']}", payload)
        return True

    async def send(self, ack: Ack, body: Body, action: Body) -> None:
        if (found := read_run(str(action.get("value") or ""))) is not None:
            run_id, ts = found
            payload = {"run_id": run_id, "ts": ts, "user": str(body["user"]["id"])}
            payload["response_url"] = str(body["response_url"])
            await self.durable.record("expert-send", f"expert-send:{body['trigger_id']}", payload)
        await ack()

    async def review(self, ack: Ack, body: Body, action: Body) -> None:
        """Open the form with what was said, as Slack has it now."""
        await ack()
        found = read_run(str(action.get("value") or ""))
        handed_on = await self.records.handed_on(found[0]) if found else None
        said = await text_of(self.slack, handed_on, found[1]) if found and handed_on else ""
        if found is None or handed_on is None or not said:
            await self.slack.respond(str(body["response_url"]), GONE)
            return
        kept = modals.Kept(handed_on.run_id, handed_on.channel, handed_on.thread_ts, found[1])
        view = modals.keep_view(kept, await self._question(handed_on), reviewable(said), readers_of(handed_on))
        await self.slack.open_view(str(body["trigger_id"]), view)

    async def _question(self, handed_on: HandedOn) -> str:
        try:
            return (await self.backend.run(handed_on.run_id)).question.text
        except (BackendProblem, BackendUnavailable) as error:
            logger.bind(error=str(error)).info("question not known any more")
            return ""

    async def keep(self, ack: Ack, body: Body, view: Body) -> None:
        kept, title, text = modals.read_kept(view)
        payload = {
            "key": f"keep:{view['id']}",
            "team": self.team,
            "channel": kept.channel,
            "thread_ts": kept.thread_ts,
            "user": str(body["user"]["id"]),
            "run_id": kept.run_id,
            "ts": kept.ts,
            "title": title,
            "text": text,
        }
        await self.durable.record("expert-keep", payload["key"], payload)
        await ack()
