"""The story: one question, one reply in Slack. It calls, in order; the decisions are elsewhere."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Protocol

from loguru import logger

from backend.schema import (
    LIMITS,
    MAX_QUESTION,
    Audience,
    CitationsEvent,
    DeltaEvent,
    DoneEvent,
    FailedEvent,
    HistoryTurn,
    PassagesEvent,
    Problem,
    QueryEvent,
    QueryRequest,
    QueryStreamEvent,
    StatusEvent,
)
from bot import blocks
from bot.channels import Channels, usable_prompt
from bot.client import Backend, BackendProblem, BackendUnavailable
from bot.directory import Directory
from bot.experts import Experts
from bot.offers import offered
from bot.pace import Pace
from bot.readers import Readers
from bot.rungs import remove_last
from bot.running import Running, Stop, until
from bot.slack import Block, Slack, SlackRefused
from bot.steps import Steps
from bot.store import Answer, PostedMessages, Store
from bot.stream import Reply
from bot.telemetry import Outcome, ReplyFigures, Telemetry
from bot.thread import Turn, asked_at, history_of, position, question_text
from bot.wording import Run, abstained, down, failed, outcome_of, place_of, private_message, sentence, understood

EMPTY = "Ask me something about the documents, for example: _what is our policy on parental leave?_"
TOO_LONG = (
    f"That question is longer than {MAX_QUESTION:,} characters. Please ask in fewer words; long texts can be added "
    "with `/ingest` and then asked about."
)
SLOW = "That took too long, so I stopped. Please ask again, perhaps more narrowly."


class Writer(Protocol):
    """Where an answer is written as it comes: a bot.stream.Reply, or `Collected`."""

    @property
    def text(self) -> str: ...
    def write(self, text: str) -> None: ...
    def show(self, task: Block) -> None: ...


@dataclass(slots=True)
class Collected:
    """An answer that is shown only once it is complete."""

    text: str = ""

    def write(self, text: str) -> None:
        self.text += text

    def show(self, task: Block) -> None:
        pass


@dataclass(frozen=True, slots=True)
class Conversation:
    slack: Slack
    backend: Backend
    store: Store
    directory: Directory
    running: Running
    pace: Pace
    bot_user: str
    readers: Readers
    experts: Experts
    channels: Channels
    timeout: float
    telemetry: Telemetry = field(default_factory=Telemetry)

    async def answer(self, turn: Turn) -> None:
        """Bring one turn to its outcome: an answer, an abstention, or a plain sentence. Repeatable.

        Raises:
            BackendUnavailable, SlackUnavailable: nothing final was said; worth another attempt.
        """
        with self.running.entered(turn) as stop:
            await self._bring_about(turn, stop)

    async def _bring_about(self, turn: Turn, stop: Stop) -> None:
        repeated = await self.store.begin_turn(turn.key)
        posted = await self._posted(turn)
        if refused := await self._refusal(turn):
            await self._refuse(turn, refused, posted)
            self._count(turn, "refused")
            return
        if turn.place == "channel":
            await self.store.join_thread(turn.team, turn.channel, turn.thread_ts)
        question = question_text(turn.text, self.bot_user)
        if not question or len(question) > MAX_QUESTION:
            await self.say(turn, TOO_LONG if question else EMPTY, posted)
            self._count(turn, "explained")
            return
        try:
            request = await self._request(turn, question)
            if turn.place == "ephemeral":
                await self._answer_privately(turn, request, repeated=repeated)
            else:
                await self._answer(turn, request, posted, stop)
        except BackendProblem as error:
            await self._decline(turn, error.problem, posted)
            self._count(turn, "declined")

    async def say(self, turn: Turn, text: str, posted: PostedMessages | None = None) -> None:
        """Make a plain message the turn's outcome, in place of whatever was shown of it."""
        if turn.place == "ephemeral":
            await self._whisper(turn, text)
            return
        posted = posted or await self.store.posted(turn.key)
        async with Reply(self.slack, place_of(turn), posted, self.pace, watch=self._figures(turn)) as reply:
            await reply.replace(text)
        await self._remember(turn, posted, run_id="")

    async def halt(self, turn: Turn) -> None:
        """End a turn that was stopped while nobody was at work on it: what is shown of it stays, marked as stopped."""
        posted = await self._posted(turn)
        try:
            if posted.ts:
                await self.slack.stop_stream(turn.channel, posted.ts[-1], blocks=blocks.stopped_blocks())
                self._count(turn, "stopped")
                return
        except SlackRefused as error:
            logger.bind(code=error.code).info("nothing streams that could be stopped")
        await self.say(turn, "_Stopped._", posted)
        self._count(turn, "stopped")

    async def take_back(self, turn: Turn) -> None:
        """Delete whatever a turn has posted."""
        posted = await self._posted(turn)
        await self.store.drop_answers(turn.team, turn.channel, posted.ts)
        while posted.ts:
            await remove_last(self.slack, place_of(turn), posted)
        logger.bind(turn=turn.label).info("turn taken back")

    # ---------------------------------------------------------------------------------------- before the backend

    async def _posted(self, turn: Turn) -> PostedMessages:
        """Return what this turn has posted; after a crash, also a message that was posted but not yet noted."""
        posted = await self.store.posted(turn.key)
        if await self.store.is_making(turn.key):
            after = max([turn.ts, *posted.ts], key=position)
            ours = [
                message.ts
                for message in await self.slack.replies(turn.channel, turn.thread_ts, after=after)
                if message.user == self.bot_user and position(message.ts) > position(after)
            ]
            known = await self.store.known_ts(ours)
            for ts in [ts for ts in ours if ts not in known]:
                await posted.add(ts)
            await posted.dismiss()
        return posted

    async def _refuse(self, turn: Turn, words: str, posted: PostedMessages) -> None:
        """Say to the asker alone that they get no answer here."""
        if turn.place == "direct":
            await self.say(turn, words, posted)
            return
        if posted.ts:
            await self.take_back(turn)
        if turn.ts == turn.thread_ts:
            await self.store.leave_thread(turn.team, turn.channel, turn.thread_ts)
        await self._whisper(turn, words)

    async def _refusal(self, turn: Turn) -> str | None:
        return await self.readers.refusal(turn) or await self.channels.refusal(turn)

    async def _whisper(self, turn: Turn, text: str, below: Sequence[Block] = ()) -> None:
        if turn.place == "ephemeral":
            await self.slack.respond(turn.response_url, text, below)
        else:
            thread = turn.thread_ts if turn.thread_ts != turn.ts else None
            await self.slack.whisper(turn.channel, turn.user, text, below, thread_ts=thread)

    async def _decline(self, turn: Turn, problem: Problem, posted: PostedMessages) -> None:
        """Say why there is no answer. A limit concerns only who asked: they are told when to ask again, privately."""
        limited = problem.type in LIMITS
        if not limited or posted.ts or turn.place == "direct":
            await self.say(turn, problem.detail if limited else sentence(problem, turn), posted)
            return
        try:
            await self._whisper(turn, problem.detail)
        except SlackRefused:  # such as that they are not in the channel: better in public than not at all
            await self.say(turn, problem.detail, posted)
        logger.bind(turn=turn.label, type=problem.type).info("turn declined")

    async def _request(self, turn: Turn, question: str) -> QueryRequest:
        audience, history, person, settled = await asyncio.gather(
            self.audience(turn), self._history(turn), self.directory.person(turn.user), self.channels.of(turn.channel)
        )
        return QueryRequest(
            question=question,
            team=turn.team,
            audience=audience,
            history=history,
            filter=settled.filter,
            prompt=await usable_prompt(settled, self.backend),
            language=settled.language or None,
            stream=True,
            understand=turn.reading == "full",
            time_zone=person.time_zone if person else None,
            thread=turn.thread,
        )

    async def audience(self, turn: Turn) -> Audience:
        return await self.readers.audience(turn)

    async def _history(self, turn: Turn) -> tuple[HistoryTurn, ...]:
        if turn.thread_ts == turn.ts:
            return ()
        try:
            messages = await self.slack.replies(turn.channel, turn.thread_ts)
        except SlackRefused as error:
            logger.bind(code=error.code).warning("thread not readable")
            return ()
        return history_of(messages, bot_user=self.bot_user, before=turn.asked_ts or turn.ts)

    # ------------------------------------------------------------------------------------------------- the answer

    async def _answer(self, turn: Turn, request: QueryRequest, posted: PostedMessages, stop: Stop) -> None:
        before = len(posted.ts)
        async with Reply(
            self.slack, place_of(turn), posted, self.pace, stopped=stop.pressed, watch=self._figures(turn)
        ) as reply:
            try:
                run = await self._consume(request, reply, stop.pressed)
            except BackendUnavailable:
                if not before or reply.text:
                    await reply.replace(down(turn))
                raise
            if stop.superseded:
                return
            await self._conclude(turn, run, reply)
            self._count(turn, outcome_of(run))
        await self._remember(turn, posted, run_id=run.done.run_id if run.done else "")

    async def _consume(self, request: QueryRequest, reply: Writer, stop: asyncio.Event) -> Run:
        """Follow a run to its end, or to the Stop button, writing as it speaks."""
        run, steps = Run(question=request.question), Steps(reply.show)
        try:
            async with asyncio.timeout(self.timeout), aclosing(self.backend.query(request)) as events:
                async for event in until(stop, events):
                    self._take(event, run, reply, steps)
        except TimeoutError:
            run.problem = Problem(title="Timeout", status=504, detail=SLOW)
        steps.end("error" if run.problem else "complete")
        return run

    def _take(self, event: QueryStreamEvent, run: Run, reply: Writer, steps: Steps) -> None:
        match event:
            case QueryEvent():
                run.understood = event.query
            case PassagesEvent():
                run.passages = event.passages
                steps.read(event.passages)
            case DeltaEvent():
                steps.write()
                reply.write(blocks.defanged(event.text))
            case CitationsEvent():
                run.citations = event.citations
            case DoneEvent():
                run.done = event
            case FailedEvent():
                run.problem = failed(event.problem)
            case StatusEvent(stage="generate"):
                steps.write()
            case StatusEvent():
                steps.search()

    async def _conclude(self, turn: Turn, run: Run, reply: Reply) -> None:
        log = logger.bind(turn=turn.label, run_id=run.done.run_id if run.done else None)
        if run.problem is not None:
            await self._conclude_failed(turn, run.problem, reply)
            log.bind(status=run.problem.status).warning("turn failed")
        elif run.done is None:
            await self._conclude_stopped(run, reply)
            log.info("turn stopped")
        else:
            last = self._last_words(turn, run, run.done, reply)
            await reply.finish([*last, *await self._offered(turn, run, run.done)])
            log.bind(outcome=run.done.outcome).info("turn done")

    def _last_words(self, turn: Turn, run: Run, done: DoneEvent, reply: Reply) -> list[Block]:
        if not done.run_id:
            return []  # small talk: there is nothing to cite or to rate
        if done.outcome == "answered":
            return [*understood(turn, run), *blocks.answer_blocks(run.citations, done.metadata, done.run_id)]
        if not reply.text:
            reply.write(abstained(turn))
        return [*understood(turn, run), *blocks.abstention_blocks(run.passages, done.run_id, reply.text)]

    async def _offered(self, turn: Turn, run: Run, done: DoneEvent) -> list[Block]:
        expert = await self.experts.of(turn.channel)
        asked = run.understood.text if run.understood and turn.ts != turn.thread_ts else run.question
        return offered(turn, done, asked, expert=expert is not None) if done.run_id else []

    async def _conclude_stopped(self, run: Run, reply: Reply) -> None:
        if reply.text:
            await reply.finish([*blocks.source_blocks(run.citations), *blocks.stopped_blocks(run.passages)])
        else:
            await reply.replace("_Stopped._")

    async def _conclude_failed(self, turn: Turn, problem: Problem, reply: Reply) -> None:
        if reply.text:
            await reply.finish([blocks.context(f"⚠️ {blocks.escaped(sentence(problem, turn))}")])
        else:
            await reply.replace(sentence(problem, turn))

    async def _answer_privately(self, turn: Turn, request: QueryRequest, *, repeated: bool) -> None:
        reply = Collected()
        try:
            run = await self._consume(request, reply, asyncio.Event())
        except BackendUnavailable:
            if not repeated:
                await self._whisper(turn, down(turn))
            raise
        text, shown = private_message(turn, run, reply.text)
        await self._whisper(turn, text, [*shown, *(await self._offered(turn, run, run.done) if run.done else [])])
        self._count(turn, outcome_of(run))
        if run.done and run.done.run_id:
            await self.store.put_answer(Answer(turn.team, turn.channel, turn.ts, "", run.done.run_id, turn.user))

    def _figures(self, turn: Turn) -> ReplyFigures:
        return ReplyFigures(self.telemetry, asked_at(turn))

    def _count(self, turn: Turn, outcome: Outcome) -> None:
        self.telemetry.turn(outcome, asked_at(turn))

    async def _remember(self, turn: Turn, posted: PostedMessages, *, run_id: str) -> None:
        """Open the run's messages to reactions."""
        for ts in posted.ts:
            await self.store.put_answer(Answer(turn.team, turn.channel, ts, turn.thread_ts, run_id, turn.user))
