"""`reindex`: every document once more, into an index that begins empty."""

from __future__ import annotations

from rich.console import Console

from backend.app import rebuilding
from backend.cli.ingest import Summary, bar, told
from backend.settings import Settings


async def reindex(settings: Settings) -> int:
    """Build the index anew. Return 1 if a document failed. Locked where a backend is running."""
    console, summary = Console(stderr=True, highlight=False), Summary()
    async with rebuilding(settings) as (opened, documents):
        with bar(console) as progress:
            task = progress.add_task("reindexing", total=len(documents))
            for one in documents:
                await opened.queue.wait(one.team, one.document_id, one.attempt)
                after = await opened.documents.get(one.team, one.document_id)
                if after and after.status == "ready":
                    summary.ready += 1
                else:
                    summary.failures.append((one.title, after.reason if after else "removed meanwhile"))
                progress.advance(task)
    return told(console, summary)
