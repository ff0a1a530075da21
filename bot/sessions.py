"""Slack's agent view: the status and title of a conversation, and questions to begin with. Nothing depends on it.

An app that is no agent, or a workspace without the feature, refuses these calls; then they are not made again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field

from loguru import logger

from bot.client import BackendProblem, BackendUnavailable
from bot.documents import Shelf
from bot.durable import Payload
from bot.quotes import shortened
from bot.slack import Slack, SlackRefused, SlackUnavailable
from bot.thread import Turn, question_text
from bot.turns import Answering

MAX_TITLE = 60
PATIENCE = 2.0
"""Seconds that an answer waits for its session to be shown."""
MAX_PROMPTS = 4
ABOUT_US = ("How do I add a document?", "What happens when the documents do not answer?")
"""What can always be asked about Footnote itself, where its own pages are among the documents."""
GREETING = "Ask about your team's documents"


@dataclass(slots=True)
class Sessions:
    """`on`: the app is declared an agent. Refusals switch it off for good."""

    slack: Slack
    bot_user: str
    on: bool

    async def begin(self, turn: Turn) -> None:
        """Show in Slack's list of conversations that we are at work, and what it is about when it is new."""
        if not self._has(turn):
            return
        title = title_of(turn, self.bot_user) if turn.ts == turn.thread_ts else ""
        await self._set(turn, "processing", title)

    async def end(self, turn: Turn) -> None:
        if self._has(turn):
            await self._set(turn, "active")

    def _has(self, turn: Turn) -> bool:
        return self.on and turn.place == "direct"

    async def _set(self, turn: Turn, status: str, title: str = "") -> None:
        try:
            async with asyncio.timeout(PATIENCE):
                await self.slack.set_session(turn.channel, turn.thread_ts, status, user=turn.user, title=title)
        except SlackRefused as error:
            self.on = self.on and error.code not in {"not_agent_app", "not_authorized", "unknown_method"}
            logger.bind(code=error.code, on=self.on).info("session not set")
        except (SlackUnavailable, TimeoutError) as error:
            logger.bind(error=str(error)).info("session not set")


@dataclass(frozen=True, slots=True)
class InSession:
    """Answers turns as another does, and shows in Slack's agent view that it is doing so."""

    answering: Answering
    sessions: Sessions

    async def answer(self, turn: Turn) -> None:
        await self.sessions.begin(turn)
        try:
            await self.answering.answer(turn)
        finally:
            await self.sessions.end(turn)

    async def say(self, turn: Turn, text: str) -> None:
        await self.answering.say(turn, text)

    async def halt(self, turn: Turn) -> None:
        await self.answering.halt(turn)

    async def take_back(self, turn: Turn) -> None:
        await self.answering.take_back(turn)


@dataclass(frozen=True, slots=True)
class PromptsJob:
    """One opening of the agent's conversation: questions about the newest documents that this person may read.

    `thread_ts` is that of a legacy assistant thread, else "".
    """

    slack: Slack
    shelf: Shelf
    about_us: Sequence[str] = field(default=ABOUT_US)
    name: str = "prompts"

    async def attempt(self, payload: Payload) -> None:
        prompts = prompts_for(await self._titles(payload), self.about_us)
        try:
            await self.slack.suggest(payload["channel"], prompts, title=GREETING, thread_ts=payload["thread_ts"])
        except SlackRefused as error:
            logger.bind(code=error.code).info("prompts not suggested")

    async def _titles(self, payload: Payload) -> list[str]:
        try:
            documents = await self.shelf.home(payload["team"], payload["user"])
        except (BackendProblem, BackendUnavailable):
            return []
        return [document.title for document in documents if document.status == "ready" and document.title]

    async def give_up(self, payload: Payload) -> None:
        """Nobody waits for it."""

    async def fail(self, payload: Payload) -> None:
        """Nobody waits for it."""


def title_of(turn: Turn, bot_user: str) -> str:
    return shortened(question_text(turn.text, bot_user), MAX_TITLE)


def prompts_for(titles: Sequence[str], about_us: Sequence[str]) -> list[tuple[str, str]]:
    """Return at most four questions: what each is called, and what is asked."""
    newest = list(dict.fromkeys(titles))[: MAX_PROMPTS - len(about_us)]
    return [*(_prompt(title) for title in newest), *((question, question) for question in about_us)]


def _prompt(title: str) -> tuple[str, str]:
    if title.endswith("?"):
        return shortened(title, 60), shortened(title, 200)
    return f"What is in “{shortened(title, 40)}”?", f"What does “{shortened(title, 100)}” say?"
