"""Slack event → one call. A listener records durable work and returns; only then does Slack get its acknowledgement.

So whatever cannot be recorded is not acknowledged, and Slack delivers it again; whatever is delivered again finds its
key taken.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from loguru import logger
from slack_bolt.async_app import AsyncApp

from bot.blocks import ASK_PLAINLY
from bot.collection_jobs import CANCEL
from bot.commands import ingest_job
from bot.durable import Durable, Payload
from bot.edits import deleted_turn, edited_turn
from bot.files import files_of
from bot.ingest import payload_of_wish
from bot.listeners_expert import ExpertListeners
from bot.missed import Missed
from bot.quiet import TOLD, Quiet
from bot.store import Store
from bot.thread import Turn, is_for_others, is_human, mentions, position, turn_of_button, turn_of_command, turn_of_event
from bot.thread_document import ThreadChange, change_of
from bot.thread_jobs import payload_of_change
from bot.turns import Turns, write_turn
from bot.wish import read_wish

INGEST_THREAD = "ingest_thread"
"""The callback id of the message shortcut, as in the manifest."""

Body = Mapping[str, Any]
Ack = Callable[..., Awaitable[Any]]


@dataclass(frozen=True, slots=True)
class Listeners:
    durable: Durable
    store: Store
    turns: Turns
    quiet: Quiet
    experts: ExpertListeners
    missed: Missed
    team: str
    bot_user: str
    is_agent: bool = False
    """Whether the app is declared an agent, whose conversations begin with suggested questions."""

    def register(self, app: AsyncApp) -> None:
        """Tell Bolt which listener is for what. The last two take what we do not act on, so that it is acknowledged."""
        app.event("app_mention")(self.mention)
        app.event("message")(self.message)
        app.event("app_home_opened")(self.home_opened)
        app.event("assistant_thread_started")(self.assistant_started)
        app.event("agent_session_stopped")(self.session_stopped)
        app.shortcut(INGEST_THREAD)(self.ingest_thread)
        app.command("/ask")(self.ask)
        app.command("/docs")(self.docs)
        app.action(ASK_PLAINLY)(self.ask_plainly)
        app.action(re.compile("^document_(remove|refresh)$"))(self.document_button)
        app.action(CANCEL)(self.cancel_collection)
        app.event(re.compile(".*"))(self.nothing)
        app.action(re.compile(".*"))(self.acknowledge)
        app.error(self.failed)

    # ---------------------------------------------------------------------------------------------------- questions

    async def mention(self, event: Body) -> None:
        if is_human(event) and not await self._sets_mode(event):
            await self._record_message(event)
            for reply in await self.missed.replies(event):
                await self.message(reply)

    async def message(self, event: Body) -> None:
        if is_human(event):
            if not (await self._sets_mode(event) or await self.experts.takes(event)) and await self._is_for_us(event):
                await self._record_message(event)
            return
        await self._follow_question(event)
        if (change := change_of(event, self.bot_user)) is not None:
            await self._record_change(change)

    async def _record_message(self, event: Body) -> None:
        """Record what a message is to us: a wish to ingest, which must be addressed to us, or else a question."""
        turn = turn_of_event(event, self.team)
        files = files_of(event)
        wish = read_wish(turn.text, self.bot_user, has_files=bool(files))
        if wish is None or not (turn.place == "direct" or mentions(turn.text, self.bot_user)):
            await self._record_turn(turn)
            return
        payload = payload_of_wish(turn, wish, files)
        await self.durable.record(ingest_job(wish), payload["key"], payload)

    async def _is_for_us(self, event: Body) -> bool:
        """Whether a message without a mention asks us: in a direct message always, else as a reply in our thread, or as
        a question where the channel wants such answered."""
        if event.get("channel_type") == "im":
            return True
        thread_ts, text = event.get("thread_ts"), str(event.get("text") or "")
        if not thread_ts:
            return await self.quiet.takes(event)
        if is_for_others(text, self.bot_user):
            return False
        if not await self.store.is_ours(self.team, str(event["channel"]), str(thread_ts)):
            return False
        answered = await self.quiet.answers(self.team, str(event["channel"]), str(thread_ts))
        if not answered and (words := await self.quiet.missed(event, self.team)):
            await self._tell(event, f"busy:{event['channel']}:{thread_ts}", words)
        return answered

    async def _sets_mode(self, event: Body) -> bool:
        """Whether a message says that its thread be quiet or not, and nothing else; done if so."""
        mode = await self.quiet.set(event, self.team)
        if mode is not None:
            await self._tell(event, f"mode:{event['channel']}:{event['ts']}", TOLD[mode])
        return mode is not None

    async def _tell(self, event: Body, key: str, words: str) -> None:
        place = {"channel": str(event["channel"]), "thread_ts": str(event["thread_ts"]), "user": str(event["user"])}
        await self.durable.record("mode", key, {**place, "key": key, "words": words})

    async def ask(self, ack: Ack, command: Mapping[str, str]) -> None:
        await self._record_turn(turn_of_command(command, self.team))
        await ack()

    async def ask_plainly(self, ack: Ack, body: Body, action: Body) -> None:
        turn = turn_of_button(body, action, self.team)
        if turn is not None:
            await self._record_turn(turn)
        await ack()

    async def _follow_question(self, event: Body) -> None:
        """Have an answer follow the edit or the deletion of its question."""
        if (turn := edited_turn(event, self.team, self.bot_user)) and await self.turns.ledger.asked(turn.key):
            await self.durable.record("turn", f"{turn.key}:{turn.edited_ts}", write_turn(turn))
        elif (turn := deleted_turn(event, self.team, self.bot_user)) and await self.turns.ledger.asked(turn.key):
            await self.durable.record("withdraw", f"withdraw:{turn.key}", write_turn(turn))

    async def _record_turn(self, turn: Turn) -> None:
        """Record a question; from then on its thread is ours."""
        await self.turns.expect(turn)
        if turn.place == "channel":
            await self.store.join_thread(turn.team, turn.channel, turn.thread_ts)
        await self.durable.record("turn", turn.key, write_turn(turn))
        logger.bind(turn=turn.label, place=turn.place).info("turn recorded")

    async def session_stopped(self, event: Body) -> None:
        thread_ts = event.get("thread_ts") or event.get("ts")
        thread = f"{self.team}:{event['channel']}:{thread_ts}"
        stopped = await self.turns.stop(thread, str(event["event_ts"]))
        logger.bind(answers=stopped).info("stop pressed")

    # ---------------------------------------------------------------------------------------------------- documents

    async def ingest_thread(self, ack: Ack, body: Body) -> None:
        message = body["message"]
        payload = {
            "key": f"thread:{body['trigger_id']}",
            "team": self.team,
            "channel": str(body["channel"]["id"]),
            "thread_ts": str(message.get("thread_ts") or message["ts"]),
            "until_ts": str(body["action_ts"]),
            "user": str(body["user"]["id"]),
            "response_url": str(body["response_url"]),
        }
        await self.durable.record("thread", payload["key"], payload)
        await ack()

    async def _record_change(self, change: ThreadChange) -> None:
        """Have a thread's document follow an edit or deletion of what it holds."""
        thread = await self.store.thread(self.team, change.channel, change.thread_ts)
        if thread is None or position(change.ts) > position(thread.until_ts):
            return
        number = await self.store.count_change(thread)
        await self.durable.record(
            "thread-change",
            f"{thread.document_id}:{thread.until_ts}:{number}",
            payload_of_change(self.team, change, number),
        )

    async def docs(self, ack: Ack, command: Mapping[str, str]) -> None:
        await self.durable.record("docs", f"docs:{command['trigger_id']}", self._command_payload(command))
        await ack()

    async def document_button(self, ack: Ack, body: Body, action: Body) -> None:
        verb = str(action["action_id"]).removeprefix("document_")
        payload = {
            "team": self.team,
            "channel": str((body.get("channel") or {}).get("id", "")),
            "user": str(body["user"]["id"]),
            "text": f"{verb} {action['value']}",
            "exact": "yes",
            "response_url": str(body["response_url"]),
        }
        await self.durable.record("docs", f"docs:{body['trigger_id']}", payload)
        await ack()

    async def cancel_collection(self, ack: Ack, body: Body, action: Body) -> None:
        payload = {
            "team": self.team,
            "collection_id": str(action["value"]),
            "user": str(body["user"]["id"]),
            "response_url": str(body["response_url"]),
        }
        await self.durable.record("collection-cancel", f"cancel:{body['trigger_id']}", payload)
        await ack()

    def _command_payload(self, command: Mapping[str, str]) -> Payload:
        return {
            "team": self.team,
            "channel": command["channel_id"],
            "user": command["user_id"],
            "text": command.get("text", ""),
            "response_url": command["response_url"],
        }

    async def home_opened(self, event: Body) -> None:
        if event.get("tab") in {"home", None}:
            key = f"home:{event['user']}:{event.get('event_ts', '')}"
            await self.durable.record("home", key, {"team": self.team, "user": str(event["user"])})
        elif self.is_agent:
            await self._suggest(str(event["user"]), str(event["channel"]), event_ts=str(event.get("event_ts", "")))

    async def assistant_started(self, event: Body) -> None:
        """A conversation of the older kind was opened; where Slack tells of it, the app has it."""
        thread = event["assistant_thread"]
        await self._suggest(str(thread["user_id"]), str(thread["channel_id"]), str(thread["thread_ts"]))

    async def _suggest(self, user: str, channel: str, thread_ts: str = "", *, event_ts: str = "") -> None:
        payload = {"team": self.team, "user": user, "channel": channel, "thread_ts": thread_ts}
        await self.durable.record("prompts", f"prompts:{channel}:{thread_ts or event_ts}", payload)

    # -------------------------------------------------------------------------------------------------------- rest

    async def nothing(self, event: Body) -> None:
        logger.bind(type=event.get("type")).debug("event not acted on")

    async def acknowledge(self, ack: Ack) -> None:
        await ack()

    async def failed(self, error: Exception) -> None:
        """Log it; Bolt then answers 500, which leaves the event unacknowledged."""
        logger.opt(exception=error).error("listener failed")
