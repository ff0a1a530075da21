"""What an expert answers: passed on to who asked, and kept as a document once somebody has looked it over."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from loguru import logger

from backend.schema import IngestRequest
from bot import blocks
from bot.audience import refusal_to_ingest
from bot.blocks import button
from bot.client import Backend
from bot.directory import Directory
from bot.durable import Payload
from bot.progress import Asked, Progress, end_in_words, follow, follow_all
from bot.quotes import shortened
from bot.records import HandedOn, Records
from bot.slack import Block, Slack, SlackRefused
from bot.store import Store
from bot.thread import mentions
from bot.thread_document import rendered, visibility_of

SEND = "expert_send"
"""The action id of the button that passes an answer on; its value is `run_id|ts`."""
KEEP = "expert_keep"
"""The action id of the button that opens the review; its value is `run_id|ts`."""
OFFER = "Thanks! Shall I do something with that answer?"
GONE = "I can no longer find that message."


def is_answer(event: Mapping[str, object], handed_on: HandedOn, bot_user: str) -> bool:
    """Whether a message in the expert's thread is taken to answer: by the expert, or in a channel by anybody else."""
    user = event.get("user")
    if mentions(str(event.get("text") or ""), bot_user):
        return False
    return user == handed_on.expert if handed_on.expert else user != handed_on.asker


@dataclass(frozen=True, slots=True)
class ReplyJob:
    """One message that answers: its writer is offered what can be done with it."""

    slack: Slack
    records: Records
    name: str = "expert-reply"

    async def attempt(self, payload: Payload) -> None:
        handed_on = await self.records.handed_on(payload["run_id"])
        if handed_on is None:
            return
        below = offer_blocks(handed_on, payload["ts"])
        try:
            await self.slack.whisper(handed_on.channel, payload["user"], OFFER, below, thread_ts=handed_on.thread_ts)
        except SlackRefused as error:
            logger.bind(code=error.code).info("expert not offered anything")

    async def give_up(self, payload: Payload) -> None:
        logger.bind(run_id=payload["run_id"]).warning("expert not offered anything")

    async def fail(self, payload: Payload) -> None:
        logger.bind(run_id=payload["run_id"]).warning("expert not offered anything")


@dataclass(frozen=True, slots=True)
class SendJob:
    """One press of *Send to …*: the answer, in its writer's words and name, to where it was asked. Once a message."""

    slack: Slack
    store: Store
    records: Records
    name: str = "expert-send"

    async def attempt(self, payload: Payload) -> None:
        handed_on = await self.records.handed_on(payload["run_id"])
        said = await text_of(self.slack, handed_on, payload["ts"]) if handed_on else ""
        if handed_on is None or not said:
            await self._respond(payload, GONE)
            return
        posted = await self.store.posted(f"expert-send:{handed_on.channel}:{payload['ts']}")
        if not posted.ts:
            place, thread_ts = (handed_on.asked_channel, handed_on.asked_ts) if handed_on.asked_ts else ("", "")
            text, below = answer_message(handed_on, payload["user"], said)
            at = await self.slack.post(place or handed_on.asker, text, below, thread_ts=thread_ts or None)
            await posted.add(" ".join(at))
        await self._respond(payload, f"Sent to <@{handed_on.asker}>.")

    async def _respond(self, payload: Payload, words: str) -> None:
        await self.slack.respond(payload["response_url"], words)

    async def give_up(self, payload: Payload) -> None:
        logger.bind(run_id=payload["run_id"]).error("expert's answer not sent")

    async def fail(self, payload: Payload) -> None:
        await self._respond(payload, "I couldn't send that. Please write to them yourself.")


@dataclass(frozen=True, slots=True)
class KeepJob:
    """One reviewed answer becomes a document for those who could read the question's channel."""

    slack: Slack
    backend: Backend
    store: Store
    records: Records
    directory: Directory
    allow_external: bool = False
    name: str = "expert-keep"

    async def attempt(self, payload: Payload) -> None:
        handed_on = await self.records.handed_on(payload["run_id"])
        asked = _asked(payload)
        person = await self.directory.person(asked.user)
        refused = None if self.allow_external else refusal_to_ingest(person)
        if handed_on is None or refused:
            await asked.whisper(self.slack, refused or GONE)
            return
        link = await self._link(handed_on, payload["ts"])
        request = kept_request(handed_on, payload, person.name if person else "", link)
        await self._bring_in(request, asked)

    async def _link(self, handed_on: HandedOn, ts: str) -> str:
        try:
            return await self.slack.permalink(handed_on.channel, ts)
        except SlackRefused:
            return ""

    async def _bring_in(self, request: IngestRequest, asked: Asked) -> None:
        name = request.id or ""
        labels = {name: blocks.escaped(request.title or "")}
        progress = Progress(self.slack, await self.store.posted(asked.key), asked, labels)
        await progress.begin(private=False)
        await follow_all(
            progress, [follow(self.backend, asked.team, name, lambda: self.backend.ingest(request), progress)]
        )
        await progress.finish([blocks.remove_button(name)])

    async def give_up(self, payload: Payload) -> None:
        await self._end(payload, "My document service was away for too long. Please try again.")

    async def fail(self, payload: Payload) -> None:
        await self._end(payload, "Something went wrong on my side. Please try again.")

    async def _end(self, payload: Payload, words: str) -> None:
        await end_in_words(self.slack, await self.store.posted(payload["key"]), _asked(payload), words)


async def text_of(slack: Slack, handed_on: HandedOn, ts: str) -> str:
    """Return what a message of the expert's thread says now, "" if it is gone."""
    try:
        messages = await slack.replies(handed_on.channel, handed_on.thread_ts)
    except SlackRefused:
        return ""
    return next((message.text for message in messages if message.ts == ts), "")


# --------------------------------------------------------------------------------------------- decisions and wording


def _asked(payload: Payload) -> Asked:
    return Asked(
        key=payload["key"],
        team=payload["team"],
        channel=payload["channel"],
        user=payload["user"],
        thread_ts=payload["thread_ts"],
    )


def offer_blocks(handed_on: HandedOn, ts: str) -> list[Block]:
    value = f"{handed_on.run_id}|{ts}"
    keep = button("Keep as a document …", KEEP, value, "Keep as a document: look it over first")
    send = button("Send to who asked", SEND, value, "Send to who asked: your answer, in your name")
    elements = [keep] if handed_on.in_place else [send | {"style": "primary"}, keep]
    return [blocks.section(OFFER), {"type": "actions", "elements": elements}]


def answer_message(handed_on: HandedOn, user: str, said: str) -> tuple[str, list[Block]]:
    """Return an expert's answer as it is passed on; nothing in it calls a whole channel."""
    quoted = "\n".join(f">{line}" for line in said.replace("<!", "&lt;!").splitlines())
    head = f"<@{handed_on.asker}>, <@{user}> answers your question:"
    return blocks.fallback(f"{head}\n{quoted}"), [blocks.section(f"{head}\n{quoted[:2_800]}")]


def kept_request(handed_on: HandedOn, payload: Payload, author: str, link: str) -> IngestRequest:
    """Return the document: the reviewed words, by the expert, for the readers of the asking channel."""
    metadata: dict[str, str | int | float | list[str] | None] = {"source": "slack", "tags": ["answer"]}
    metadata |= {"author": author} if author else {}
    metadata |= {"url": link} if link else {}
    return IngestRequest(
        id=f"expert/{handed_on.team}/{handed_on.channel}/{payload['ts']}",
        title=shortened(payload["title"], 150),
        text=payload["text"],
        team=handed_on.team,
        visibility=visibility_of(handed_on.asked_channel, handed_on.asker),
        metadata=metadata,
        by=payload["user"],
    )


def readers_of(handed_on: HandedOn) -> str:
    """Say who will be answered from the document."""
    if handed_on.asked_channel.startswith("D"):
        return "Only the person who asked will be answered from it."
    return "Those who are in the channel where it was asked will be answered from it."


def reviewable(said: str) -> str:
    """Return an expert's message as Markdown to be looked over."""
    return rendered(said, {})
