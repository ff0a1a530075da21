"""App Home: what I can be asked, what this person asked, and the newest documents that they may read. Pure.

A view holds 100 blocks.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

import msgspec

from backend.schema import Document
from bot.blocks import button, context, document_line, escaped, linked, section
from bot.ingest_form import INGEST_FORM
from bot.quotes import shortened
from bot.slack import Block

HOME_ASK = "home_ask"
"""How the action ids of the buttons begin that open the form for a question; their value is what stands in it."""
SHOWN = 8
"""Documents that are shown; `/docs` shows more."""
SHOWN_QUESTIONS = 5
MAX_BLOCKS = 100
DOWN = "I can't reach my document service at the moment. Open this tab again in a minute."

HOW = (
    "• Mention me in a channel, or write to me under *Messages*. Reply in the thread to follow up.\n"
    "• `/ask` answers so that only you see it.\n"
    "• `/ingest` adds documents; `/docs` lists, searches, refreshes and removes them."
)
WHY = (
    "Every sentence of an answer is supported by a quote that you can open. What the documents do not say, "
    "I leave out. In a channel I use only what everybody there may read."
)
OUTCOMES = {
    "answered": "✅ answered",
    "abstained": "🔎 not in the documents",
    "failed": "⚠️ something went wrong",
}


class Recently(msgspec.Struct, frozen=True):
    """A question of the person whose Home it is. `link` leads to the answer, "" where there is no message to go to;
    `channel` is "" where only they saw it; `at` is in Unix seconds."""

    question: str
    outcome: str
    at: float
    link: str = ""
    channel: str = ""


class Contents(msgspec.Struct, frozen=True):
    """What one Home shows. None is what cannot be had now; `refused` is why this person gets no answers, "" if they do;
    `below` is what admins see besides."""

    examples: Sequence[tuple[str, str]] = ()
    recent: Sequence[Recently] | None = ()
    documents: Sequence[Document] | None = ()
    refused: str = ""
    below: Sequence[Block] = ()


def home_blocks(contents: Contents) -> list[Block]:
    """Return the view's blocks, at most as many as Slack takes."""
    shown = [header("Ask me about your team's documents"), section(HOW)]
    if contents.refused:
        return [*shown, {"type": "divider"}, section(contents.refused), context(WHY)]
    shown += [_doors(), *_examples(contents.examples)]
    shown += [{"type": "divider"}, header("Your recent questions"), *_recent(contents.recent)]
    shown += [{"type": "divider"}, header("Newest documents"), *_documents(contents.documents)]
    return [*shown, context(WHY), *contents.below][:MAX_BLOCKS]


def header(text: str) -> Block:
    return {"type": "header", "text": {"type": "plain_text", "text": text}}


def _doors() -> Block:
    ask = button("Ask a question", HOME_ASK, "ask", "Ask a question: opens a form; only you read the answer")
    add = button("Add documents", INGEST_FORM, "add", "Add documents: opens a form")
    return {"type": "actions", "elements": [ask | {"style": "primary"}, add]}


def _examples(examples: Sequence[tuple[str, str]]) -> list[Block]:
    """Return questions to begin with, each a button that opens the form with it."""
    buttons = [
        button(shortened(name, 70), f"{HOME_ASK}:{number}", shortened(question, 1_900), f"Ask: {question}")
        for number, (name, question) in enumerate(examples)
        if name.strip() and question.strip()
    ]
    return [context("For example:"), {"type": "actions", "elements": buttons[:5]}] if buttons else []


def _recent(recent: Sequence[Recently] | None) -> list[Block]:
    if recent is None:
        return [section(DOWN)]
    if not recent:
        return [section("You haven't asked anything yet.")]
    return [section(_recent_line(one)) for one in recent[:SHOWN_QUESTIONS]]


def _recent_line(one: Recently) -> str:
    direct = "in a direct message" if one.link else "only you saw the answer"
    where = f"in <#{escaped(one.channel)}>" if one.channel else direct
    facts = [OUTCOMES.get(one.outcome, escaped(one.outcome)), where, moment(one.at)]
    return f"{linked(shortened(one.question, 150), one.link)}\n{' · '.join(facts)}"


def moment(at: float) -> str:
    """Return a moment as Slack shows it in each reader's own time."""
    plain = datetime.fromtimestamp(at, UTC).strftime("%d %b %Y, %H:%M UTC")
    return f"<!date^{int(at)}^{{date_short_pretty}} {{time}}|{plain}>"


def _documents(documents: Sequence[Document] | None) -> list[Block]:
    if documents is None:
        return [section(DOWN)]
    if not documents:
        return [section("There are no documents that you may read yet. Add the first one.")]
    lines = [section(document_line(document)) for document in documents[:SHOWN]]
    return [*lines, context("`/docs` lists the others.")] if len(documents) > SHOWN else lines
