"""Ask a human: a question that the documents did not answer goes to whoever may know, with what was tried.

They are shown nothing that they may not read: not the source, and not an answer that draws on it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec
from loguru import logger

from backend.schema import Audience, Citation, Passage
from bot import blocks
from bot.audience import may_read
from bot.channels import Channels
from bot.client import Backend, BackendProblem, Trace
from bot.directory import Directory
from bot.durable import Payload
from bot.quotes import opened_at, shortened
from bot.readers import Readers
from bot.records import HandedOn, Records
from bot.slack import Block, Slack, SlackRefused
from bot.store import Store
from bot.thread import Turn

MAX_TRIED = 1_500
"""Characters of the attempt that an expert is shown."""
NOBODY = "Nobody is named whom I could ask. Whoever runs me can set `FOOTNOTE_EXPERT` to a person or a channel."
NO_RUN = "I no longer know what was asked there. Please ask me again first."
UNREACHED = "I couldn't reach {expert}: Slack says `{code}`. Whoever runs me can look at `FOOTNOTE_EXPERT`."


@dataclass(frozen=True, slots=True)
class Experts:
    """Whom to ask where the documents do not answer: the id of a user or a channel, "" is nobody. A channel's own
    expert comes before the `default`."""

    channels: Channels
    default: str = ""

    async def of(self, channel: str) -> str | None:
        return (await self.channels.of(channel)).expert or self.default or None


class Asking(msgspec.Struct, frozen=True):
    """Somebody's wish to ask a human. `thread_ts` is "" where only the asker reads the answer."""

    key: str
    team: str
    channel: str
    thread_ts: str
    user: str
    run_id: str
    response_url: str


class Destination(msgspec.Struct, frozen=True):
    """Where the expert is asked: in a thread, or where `thread_ts` is "" by a message of its own."""

    channel: str
    thread_ts: str
    expert: str
    audience: Audience | None
    """None: nothing is shown there beside the question."""


class Shown(msgspec.Struct, frozen=True):
    """What the expert may be shown. `withheld`: something was left out."""

    tried: str = ""
    citations: tuple[Citation, ...] = ()
    closest: tuple[Passage, ...] = ()
    withheld: bool = False


@dataclass(frozen=True, slots=True)
class ExpertJob:
    """One press of *Ask a human*. A run's question is handed on once."""

    slack: Slack
    backend: Backend
    store: Store
    records: Records
    readers: Readers
    directory: Directory
    experts: Experts
    name: str = "expert"

    async def attempt(self, payload: Payload) -> None:
        asking = msgspec.convert(payload, Asking)
        expert = await self.experts.of(asking.channel)
        known = await self.records.handed_on(asking.run_id)
        if expert is None or known is not None:
            await self._tell(asking, already(known) if known else NOBODY)
            return
        try:
            trace = await self.backend.run(asking.run_id)
        except BackendProblem:
            await self._tell(asking, NO_RUN)
            return
        await self._hand_on(asking, expert, trace)

    async def _hand_on(self, asking: Asking, expert: str, trace: Trace) -> None:
        destination = await self._destination(asking, expert)
        shown = await self._shown(trace, asking.team, destination.audience)
        try:
            channel, ts = await self._post(asking, destination, trace, shown)
        except SlackRefused as error:
            logger.bind(code=error.code).warning("expert not reached")
            await self._tell(asking, UNREACHED.format(expert=named(expert), code=error.code))
            return
        handed_on = HandedOn(
            run_id=asking.run_id,
            team=asking.team,
            channel=channel,
            ts=ts,
            thread_ts=destination.thread_ts or ts,
            expert=destination.expert,
            asker=asking.user,
            asked_channel=asking.channel,
            asked_ts=asking.thread_ts,
        )
        await self.records.put_handed_on(handed_on)
        await self._tell(asking, f"I have asked {named(expert)}.")
        logger.bind(run_id=asking.run_id, in_place=handed_on.in_place).info("expert asked")

    async def _destination(self, asking: Asking, expert: str) -> Destination:
        if not is_person(expert):
            return Destination(expert, "", "", await self._audience(asking, expert, "channel", asking.user))
        public = asking.thread_ts and is_shared(asking.channel)
        if public and asking.channel in await self.directory.channels_of(expert):
            audience = await self._audience(asking, asking.channel, "channel", asking.user)
            return Destination(asking.channel, asking.thread_ts, expert, audience)
        return Destination(expert, "", expert, await self._audience(asking, "", "ephemeral", expert))

    async def _audience(self, asking: Asking, channel: str, place: str, user: str) -> Audience | None:
        """Return who reads what is posted there; None where nothing from the documents may be."""
        turn = Turn(
            team=asking.team,
            channel=channel,
            ts="",
            thread_ts="",
            user=user,
            text="",
            place="channel" if place == "channel" else "ephemeral",
        )
        return None if await self.readers.refusal(turn) else await self.readers.audience(turn)

    async def _shown(self, trace: Trace, team: str, audience: Audience | None) -> Shown:
        answered = trace.outcome == "answered"
        found: Sequence[Citation | Passage] = trace.citations if answered else trace.passages
        readable = {one: await self._may_read(one, team, audience) for one in {item.document_id for item in found}}
        return shown_of(trace, {one for one, may in readable.items() if may})

    async def _may_read(self, document_id: str, team: str, audience: Audience | None) -> bool:
        """Whether every reader there may read a document as it is now; one that is gone nobody may."""
        if audience is None:
            return False
        try:
            document = await self.backend.document(team, document_id)
        except BackendProblem:
            return False
        tags = document.metadata.get("tags", ())
        is_there = document.status != "deleted"
        return is_there and may_read(document.visibility, audience, tags if isinstance(tags, list | tuple) else ())

    async def _post(self, asking: Asking, destination: Destination, trace: Trace, shown: Shown) -> tuple[str, str]:
        posted = await self.store.posted(asking.key)
        if not posted.ts:
            link = await self._link(asking)
            text, below = request_message(asking, destination, trace.question.text, shown, link)
            at = await self.slack.post(destination.channel, text, below, thread_ts=destination.thread_ts or None)
            await posted.add(" ".join(at))
        channel, _, ts = posted.ts[0].partition(" ")
        return channel, ts

    async def _link(self, asking: Asking) -> str:
        """Return where it was asked, "" where that is nobody else's business."""
        if not asking.thread_ts or not is_shared(asking.channel):
            return ""
        try:
            return await self.slack.permalink(asking.channel, asking.thread_ts)
        except SlackRefused:
            return ""

    async def _tell(self, asking: Asking, words: str) -> None:
        await self.slack.respond(asking.response_url, words, [blocks.section(words)])

    async def give_up(self, payload: Payload) -> None:
        await self._tell(msgspec.convert(payload, Asking), "I couldn't ask anybody: my document service is away.")

    async def fail(self, payload: Payload) -> None:
        await self._tell(msgspec.convert(payload, Asking), "Something went wrong on my side, so I have asked nobody.")


# --------------------------------------------------------------------------------------------- decisions and wording


def is_person(expert: str) -> bool:
    return expert.startswith(("U", "W"))


def is_shared(channel: str) -> bool:
    """Whether a channel is read by more than the asker."""
    return not channel.startswith("D")


def named(expert: str) -> str:
    return f"<@{expert}>" if is_person(expert) else f"<#{expert}>"


def already(handed_on: HandedOn) -> str:
    whom = f"<@{handed_on.expert}>" if handed_on.expert else f"<#{handed_on.channel}>"
    return f"That was handed on to {whom} already."


def shown_of(trace: Trace, readable: set[str]) -> Shown:
    """Return what of a run may be shown to those who may read only these documents.

    An answer is shown whole or not at all. What was said in place of one names documents, and is never shown.
    """
    if trace.outcome != "answered":
        closest = {passage.document_id: passage for passage in reversed(trace.passages)}
        return Shown(closest=tuple(one for name, one in reversed(closest.items()) if name in readable)[:3])
    citations = tuple(citation for citation in trace.citations if citation.document_id in readable)
    whole = len(citations) == len(trace.citations)
    return Shown(tried=trace.answer if whole else "", citations=citations, withheld=not whole)


def request_message(
    asking: Asking, destination: Destination, question: str, shown: Shown, link: str
) -> tuple[str, list[Block]]:
    """Return the text and the blocks of what the expert is asked."""
    who = f"<@{destination.expert}>, can you help?" if destination.expert else "Can somebody help?"
    where = f" <{link}|in this thread>" if link and destination.thread_ts != asking.thread_ts else ""
    head = f"{who} <@{asking.user}> asked{where}:\n>{blocks.escaped(shortened(question, 1_500))}"
    below = [blocks.section(head), *_tried(shown)]
    if shown.withheld:
        below.append(blocks.context("Some of what I used is not shown, because not everybody here may read it."))
    below.append(blocks.context("Answer in this thread. I can then pass the answer on and keep it as a document."))
    return blocks.fallback(f"{who} {blocks.escaped(shortened(question, 300))}"), below


def _tried(shown: Shown) -> list[Block]:
    if shown.tried or shown.citations:
        said = blocks.escaped(shortened(shown.tried, MAX_TRIED))
        head = [blocks.section(f"*What I answered*\n{said}")] if said else []
        return [*head, *blocks.source_blocks(shown.citations[:5])]
    if shown.withheld:
        return []
    names = [
        blocks.linked(shortened(one.title or one.document_id, 100), opened_at(one.url, "")) for one in shown.closest
    ]
    found = "\n*Closest documents*\n" + "\n".join(f"• {name}" for name in names) if names else ""
    return [blocks.section(f"I found no answer in the documents.{found}")]
