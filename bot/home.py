"""App Home: what I can be asked, and the newest documents. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from backend.schema import Document
from bot.blocks import context, document_line, section
from bot.slack import Block

SHOWN = 10

HOW = (
    "*Ask me about your team's documents*\n"
    "• Mention me in a channel, or write to me here under *Messages*. Reply in the thread to follow up.\n"
    "• `/ask` answers so that only you see it.\n"
    "• `/ingest URL` adds a document; `/docs` lists, searches, refreshes and removes them."
)
WHY = (
    "Every sentence of an answer is supported by a quote that you can open. What the documents do not say, "
    "I leave out. In a channel I use only what everybody there may read."
)


def home_blocks(documents: Sequence[Document] | None) -> list[Block]:
    """Return the view's blocks; None means that the documents cannot be had now."""
    return [section(HOW), context(WHY), {"type": "divider"}, *_documents(documents)]


def _documents(documents: Sequence[Document] | None) -> list[Block]:
    if documents is None:
        return [section("I can't reach my document service at the moment.")]
    if not documents:
        return [section("There are no documents yet. Try `/ingest URL` in any channel.")]
    return [section("*Newest documents*"), *(section(document_line(document)) for document in documents[:SHOWN])]
