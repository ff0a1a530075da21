"""`/docs`: what documents there are, looked through, refreshed and removed."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field

from loguru import logger

from backend.schema import Audience, Document
from bot import blocks
from bot.audience import may_read
from bot.client import Backend, BackendProblem, BackendUnavailable
from bot.commands import CommandError, DocsCommand, read_docs
from bot.durable import Payload
from bot.quotes import shortened
from bot.readers import Readers
from bot.slack import Block, Slack
from bot.store import Store
from bot.thread import Turn

SHOWN = 10
"""Documents of one list."""
SCANNED = 200
"""Documents that are looked through for those that the reader may see."""
DOWN = "I can't reach my document service at the moment. Please try again in a minute."


@dataclass(frozen=True, slots=True)
class DocsJob:
    """One `/docs` command, or a button under its list; answered once, also where the bot restarts in between."""

    shelf: Shelf
    slack: Slack
    name: str = "docs"

    async def attempt(self, payload: Payload) -> None:
        try:
            command = read_docs(payload["text"])
        except CommandError as error:
            await self._respond(payload, str(error))
            return
        asker = _asker(payload["team"], payload["user"], payload["channel"])
        if refused := await self.shelf.readers.refusal(asker):
            await self._respond(payload, refused)
            return
        exact = payload.get("exact") == "yes"
        await self._respond(payload, *await self.shelf.run(command, asker, exact=exact))

    async def give_up(self, payload: Payload) -> None:
        logger.bind(job=self.name, user=payload["user"]).error("command unanswered")

    async def fail(self, payload: Payload) -> None:
        await self._respond(payload, "Something went wrong on my side. Please run the command again.")

    async def _respond(self, payload: Payload, text: str, content: Sequence[Block] = ()) -> None:
        await self.slack.respond(payload["response_url"], text, content or [blocks.section(text)])


def _asker(team: str, user: str, channel: str = "") -> Turn:
    """Return who asked, as a turn whose answer only they see."""
    return Turn(team=team, channel=channel, ts="", thread_ts="", user=user, text="", place="ephemeral")


@dataclass(frozen=True, slots=True)
class Shelf:
    """`/docs`: what the asker may read, listed, searched, refreshed, removed. Answers are for the asker alone."""

    backend: Backend
    readers: Readers
    store: Store
    listed: OrderedDict[str, tuple[str, ...]] = field(default_factory=OrderedDict)
    """The ids that each user last saw as numbers."""

    async def run(self, command: DocsCommand, turn: Turn, *, exact: bool = False) -> tuple[str, list[Block]]:
        """Return the answer's text and blocks. With `exact` the target is an id, never a number."""
        try:
            if command.verb in {"list", "search"}:
                return await self._list(command, turn)
            document_id = command.target if exact else self._named(command.target, turn.user)
            return await self._change(command.verb, document_id, turn)
        except BackendUnavailable:
            return DOWN, []
        except BackendProblem as error:
            return str(error), []

    async def readable(self, audience: Audience, team: str, text: str = "") -> list[Document]:
        """Return the newest documents that the audience may read."""
        found = await self.backend.documents(team, text=text, limit=SCANNED)
        return [document for document in found.documents if _may_read(document, audience)]

    async def refusal(self, team: str, user: str) -> str | None:
        """Return why a person gets no answers even where only they read them, None if they do."""
        return await self.readers.refusal(_asker(team, user))

    async def home(self, team: str, user: str) -> list[Document]:
        """Return the newest documents that a person may read; none for those whom we do not answer."""
        asker = _asker(team, user)
        refused = await self.readers.refusal(asker)
        return [] if refused else await self.readable(await self.readers.audience(asker), team)

    async def _list(self, command: DocsCommand, turn: Turn) -> tuple[str, list[Block]]:
        documents = await self.readable(await self.readers.audience(turn), turn.team, command.target)
        if not documents:
            return ("Nothing matches that." if command.target else "There are no documents yet. Try `/ingest URL`."), []
        shown = documents[:SHOWN]
        self._note(turn.user, tuple(document.document_id for document in shown))
        heading = f"*{blocks.counted(len(documents), 'document')}*"
        heading += f", the {SHOWN} newest; find more with `/docs search WORDS`" if len(documents) > SHOWN else ""
        return f"{blocks.counted(len(documents), 'document')}", blocks.document_blocks(shown, heading)

    def _note(self, user: str, ids: tuple[str, ...]) -> None:
        self.listed[user] = ids
        self.listed.move_to_end(user)
        if len(self.listed) > 1_000:
            self.listed.popitem(last=False)

    async def _change(self, verb: str, document_id: str | None, turn: Turn) -> tuple[str, list[Block]]:
        if document_id is None:
            return "I don't know which one that is. Run `/docs list` first, then use its number.", []
        document = await self.backend.document(turn.team, document_id)
        audience = await self.readers.audience(turn)
        if not _may_read(document, audience):
            return "There is no such document.", []
        if audience.only_tags:
            return "Only members of this workspace can change documents.", []
        title = blocks.escaped(shortened(document.title or document.document_id, 100))
        if verb == "remove":
            await self._remove(turn.team, document_id, by=turn.user)
            return f"Removed *{title}*. No answer uses it any more.", []
        await self.backend.refresh(turn.team, document_id, by=turn.user)
        return f"Refreshing *{title}*; `/docs list` shows when it is ready.", []

    async def _remove(self, team: str, document_id: str, *, by: str) -> None:
        """Remove a document; if it is a thread, forget that first, so that no edit of it brings the document back."""
        thread = await self.store.drop_thread(document_id)
        try:
            await self.backend.remove(team, document_id, by=by)
        except BackendUnavailable:
            if thread is not None:
                await self.store.put_thread(thread)
            raise

    def _named(self, target: str, user: str) -> str | None:
        if not target.isdigit() or len(target) > 4:
            return target
        listed = self.listed.get(user, ())
        return listed[int(target) - 1] if 1 <= int(target) <= len(listed) else None


def _may_read(document: Document, audience: Audience) -> bool:
    tags = document.metadata.get("tags", ())
    return may_read(document.visibility, audience, tags if isinstance(tags, list | tuple) else ())
