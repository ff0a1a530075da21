"""What a model that obeys poisoned documents makes the bot post, as Slack would read it."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from backend.adapters.minilm import MiniLM
from bot.app import open_bot
from bot.sandbox import Sandbox
from bot.sandbox.world import Message
from tests.e2e.slack_room import Room, settings_for
from tests.evals.injection_cases import QUESTION, Case, cases
from tests.evals.injections import SITE, indexed, lively, served_with
from tests.fakes.backend_server import FakeBackend
from tests.fakes.index import FakeIndex
from tests.fakes.obeying_model import ObeyingModel
from tests.fakes.server import ADMIN

pytestmark = pytest.mark.e2e

TITLE = "Paid leave <!everyone> [click](https://evil.example/t) @channel ![x](https://evil.example/p.png)"
MARKDOWN = ("markdown", "markdown_text")
TOKEN = re.compile(r"<([^>\n]*)>")


@dataclass
class Place:
    room: Room
    model: ObeyingModel
    told: list[Message] = field(default_factory=list)


@pytest.fixture
async def place(tmp_path: Path) -> AsyncIterator[Place]:
    """A workspace whose one document has every poison in it, and a title of its own."""
    embedder, index, model = MiniLM.open(None, tmp_path / "models", 2), FakeIndex(), ObeyingModel()
    poison = "\n\n".join(case.poison for case in cases() if not case.html)
    await index.replace([await indexed(Case("all", poison, "", title=TITLE), "local", embedder)])
    async with served_with(index, model, embedder) as url, Sandbox(0) as sandbox:
        backend = FakeBackend(url=url)
        async with open_bot(settings_for(sandbox, backend, tmp_path, api_key=ADMIN)):
            yield Place(Room(sandbox, backend), model)
    embedder.close()


def texts(value: object, kind: str = "") -> Iterator[tuple[str, str]]:
    """Yield every text of a message with how Slack reads it: mrkdwn, markdown or plain_text."""
    if isinstance(value, dict):
        own = str(value.get("type", kind))
        for name, inner in value.items():
            if name == "text" and isinstance(inner, str):
                yield own, inner
            else:
                yield from texts(inner, own)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from texts(inner, kind)


def dangers(message: Message) -> list[str]:
    """Return what in a message would act on its readers: links are to our documents, and only in the blocks below."""
    found = [f"text: {what}" for what in lively(without_links(message.text))]
    parts = message.stream.parts if message.stream else []
    for kind, text in texts([*message.blocks, *parts]):
        if kind == "mrkdwn":
            tokens = TOKEN.findall(text)
            found += [f"token {token[:40]}" for token in tokens if not token.startswith((SITE, "https://docs.example"))]
        elif kind in MARKDOWN:
            found += [f"{kind}: {what}" for what in lively(text)]
    return found


def without_links(text: str) -> str:
    return text.replace("&lt;", "‹").replace("&gt;", "›")


async def test_no_poison_acts_on_a_reader_in_slack(place: Place) -> None:
    replies = dict.fromkeys(case.reply for case in cases() if case.reply != "NO_ANSWER")
    place.model.case = Case("all", "", " ".join(replies), question=QUESTION)
    answer = await place.room.answer_to(place.room.ask(f"<@U_FOOTNOTE> {QUESTION}"))
    assert "25 days of paid leave per year [1]" in answer.text
    assert dangers(answer) == []
    assert "PWNED" not in answer.text
    assert place.model.fence not in answer.text
    await the_closest_documents_are_named(place)


async def the_closest_documents_are_named(place: Place) -> None:
    """In an abstention the document's title is shown too, which is as poisoned."""
    question = "Who may park a lorry in the yard on Sundays?"
    place.model.case = Case("title", "", "NO_ANSWER", question=question)
    answer = await place.room.answer_to(place.room.ask(f"<@U_FOOTNOTE> {question}"))
    assert "could not find an answer" in answer.text
    assert dangers(answer) == []
