"""`ingest`: many documents, a few at once, with a bar while it goes on and every failure with its reason at the end."""

from __future__ import annotations

import argparse
import asyncio
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from backend.cli.client import Client, Refused, body_of, connected
from backend.cli.sources import Item, items
from backend.settings import Settings

PATH = "/ingest?wait=true"


@dataclass
class Summary:
    """What came of it: `failures` are pairs of a name and a reason."""

    ready: int = 0
    failures: list[tuple[str, str]] = field(default_factory=list)


async def ingest(settings: Settings, wanted: argparse.Namespace) -> int:
    """Ingest what is named. Return 1 if anything failed."""
    todo = list(items(wanted.sources))
    console = Console(stderr=True, highlight=False)
    async with connected(settings, wanted.url) as client:
        with bar(console) as progress:
            task = progress.add_task("ingesting", total=len(todo))
            summary = await send_all(client, todo, wanted, lambda: progress.advance(task))
    return told(console, summary)


def told(console: Console, summary: Summary) -> int:
    """Print what came of it and return the exit code."""
    for name, reason in summary.failures:
        console.print(f"failed: {name}: {reason}", markup=False, soft_wrap=True)
    console.print(f"{summary.ready} ready, {len(summary.failures)} failed")
    return 1 if summary.failures else 0


def bar(console: Console) -> Progress:
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    return Progress(*columns, console=console, transient=True)


async def send_all(
    client: Client, todo: list[Item], wanted: argparse.Namespace, advance: Callable[[], None]
) -> Summary:
    """Send everything, at most `wanted.jobs` at once."""
    summary, rest = Summary(), iter(todo)
    async with asyncio.TaskGroup() as group:
        for _ in range(max(1, wanted.jobs)):
            group.create_task(_work(client, rest, wanted, summary, advance))
    return summary


async def _work(
    client: Client, rest: Iterator[Item], wanted: argparse.Namespace, summary: Summary, advance: Callable[[], None]
) -> None:
    for item in rest:
        try:
            await send(client, item, wanted)
            summary.ready += 1
        except (Refused, OSError) as error:
            summary.failures.append((item.name, str(error)))
        advance()


async def send(client: Client, item: Item, wanted: argparse.Namespace) -> None:
    """Send one document and wait until it is ready. Refused, with the reason, where it is not."""
    common = body_of(team=wanted.team, visibility=wanted.visibility, refresh_days=wanted.refresh_days)
    if item.path is None:
        metadata = with_metadata(item.body.get("metadata"), wanted)
        await client.post(PATH, {**item.body, **common, **body_of(metadata=metadata)})
        return
    fields = {name: str(value) for name, value in common.items()}
    fields["metadata"] = json.dumps(with_metadata(None, wanted))
    fields["id"] = item.path.resolve().as_posix()
    content = await asyncio.to_thread(item.path.read_bytes)
    await client.upload(PATH, fields, content, item.path.name)


def with_metadata(own: object, wanted: argparse.Namespace) -> dict[str, object]:
    """Return a document's own metadata with what the command line says of all; the command line wins, tags add up."""
    known: dict[str, object] = dict(own) if isinstance(own, Mapping) else {}
    stated = body_of(source=wanted.source, author=wanted.author)
    tags = [tag.strip() for tag in wanted.tags.split(",") if tag.strip()]
    return {**known, **stated, **body_of(tags=[*_listed(known.get("tags")), *tags])}


def _listed(tags: object) -> list[str]:
    if isinstance(tags, str):
        return [tag.strip() for tag in tags.split(",") if tag.strip()]
    return [str(tag) for tag in tags] if isinstance(tags, list) else []
