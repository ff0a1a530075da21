"""Many answers at once in one workspace, whose limits the local Slack enforces: what it takes, and what is lost."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from backend.schema import (
    CitationsEvent,
    DeltaEvent,
    DoneEvent,
    PassagesEvent,
    QueryRequest,
    QueryStreamEvent,
    RunMetadata,
    StatusEvent,
)
from bot.sandbox.limits import PER_MINUTE
from bot.sandbox.web_api import Call
from bot.sandbox.world import Message
from tests.e2e.slack_room import Room, eventually
from tests.fakes.backend_server import citation, passage

METHODS = ("chat.startStream", "chat.appendStream", "chat.stopStream", "chat.update", "chat.postMessage")


@dataclass(frozen=True)
class Plan:
    """So many answers, each of so many sentences, one every `pause` seconds."""

    answers: int
    sentences: int
    pause: float

    def words(self, question: str) -> list[str]:
        return [f"Sentence {n} of the answer to {question} stands here [1].\n" for n in range(self.sentences)]

    def script(self, request: QueryRequest) -> Sequence[QueryStreamEvent | float]:
        events: list[QueryStreamEvent | float] = [StatusEvent("retrieve"), PassagesEvent((passage(),))]
        for sentence in self.words(request.question):
            events += [self.pause, DeltaEvent(sentence)]
        return [*events, CitationsEvent((citation(),)), DoneEvent("run-1", "answered", RunMetadata())]


@dataclass
class Measured:
    """What was seen. `lost` are characters; `streamed` counts the answers that grew under their reader's eyes."""

    plan: Plan
    seconds: float = 0.0
    lost: int = 0
    messages: int = 0
    streamed: int = 0
    hanging: int = 0
    calls: Counter[str] = field(default_factory=Counter)
    busiest: dict[str, int] = field(default_factory=dict)
    """Per method, the most calls in any minute."""
    refused: Counter[str] = field(default_factory=Counter)
    """Calls that were answered with 429."""

    def table(self) -> str:
        plan = self.plan
        rows = [
            f"{plan.answers} answers at once, {plan.sentences} sentences each, written in "
            f"{plan.sentences * plan.pause:.0f} s: complete after {self.seconds:.1f} s in {self.messages} messages, "
            f"{self.streamed} of them streamed, {self.lost} characters lost, {self.hanging} hanging.",
            "",
            "| method | calls | most in a minute | Slack's limit | 429 |",
            "|---|---|---|---|---|",
        ]
        for method in METHODS:
            limit = PER_MINUTE.get(method, "1 a second per channel")
            rows.append(
                f"| `{method}` | {self.calls[method]} | {self.busiest.get(method, 0)} | {limit} | "
                f"{self.refused[method]} |"
            )
        return "\n".join(rows)


async def measure(room: Room, plan: Plan) -> Measured:
    """Ask everything at once and wait for all answers to be complete."""
    room.backend.script = plan.script
    began = time.monotonic()
    asked = {f"q{number:02d}?": room.ask(f"<@U_FOOTNOTE> q{number:02d}?").ts for number in range(plan.answers)}

    def complete() -> bool:
        ended = {message.thread_ts for message in room.answers() if "feedback_buttons" in str(message.blocks)}
        return ended == set(asked.values())

    await eventually(complete, seconds=plan.sentences * plan.pause + 150)
    seen = Measured(plan, seconds=time.monotonic() - began, messages=len(room.answers()))
    seen.hanging = sum(message.is_streaming for message in room.answers())
    seen.streamed = sum(message.stream is not None for message in room.answers())
    seen.lost = sum(abs(len(text_of(room, ts)) - len("".join(plan.words(q)))) for q, ts in asked.items())
    assert all(text_of(room, ts) == "".join(plan.words(q)) for q, ts in asked.items())
    count(seen, room.sandbox.calls)
    await asyncio.sleep(0.2)
    return seen


def text_of(room: Room, thread_ts: str) -> str:
    """Return the Markdown of all messages of one answer."""
    return "".join(markdown(message) for message in room.answers() if message.thread_ts == thread_ts)


def markdown(message: Message) -> str:
    return "".join(str(block["text"]) for block in message.blocks if block["type"] == "markdown")


def count(seen: Measured, calls: Sequence[Call]) -> None:
    for method in METHODS:
        of_method = [call for call in calls if call.method == method]
        seen.calls[method] = len(of_method)
        seen.refused[method] = sum(call.answer.get("error") == "ratelimited" for call in of_method)
        seen.busiest[method] = most_in_a_minute([call.at for call in of_method])


def most_in_a_minute(times: Sequence[float]) -> int:
    return max((sum(start <= at < start + 60 for at in times) for start in times), default=0)
