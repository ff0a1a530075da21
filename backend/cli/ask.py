"""`ask` and `search`: an answer as it is written, its sources with their quotes; or passages."""

from __future__ import annotations

import argparse

import msgspec
from rich.console import Console
from rich.markup import escape

from backend import schema
from backend.cli.client import Client, Refused, as_json, body_of, connected
from backend.settings import Settings

CODES = {"answered": 0, "abstained": 3}
"""Exit codes by outcome: a script can tell that the documents do not answer."""


async def ask(settings: Settings, wanted: argparse.Namespace) -> int:
    """Print an answer. Return 0 where it was answered, 3 where the documents do not say."""
    async with connected(settings, wanted.url) as client:
        if not wanted.json:
            return await _stream(client, _body(wanted), Console(highlight=False))
        reply = await client.post("/query", _body(wanted))
        Console(highlight=False).print(as_json(reply), markup=False, soft_wrap=True)
        return CODES[msgspec.json.decode(reply, type=schema.QueryReply).outcome]


async def search(settings: Settings, wanted: argparse.Namespace) -> int:
    """Print passages, best first. Return 0 if there are any, else 3."""
    console = Console(highlight=False)
    async with connected(settings, wanted.url) as client:
        reply = await client.post("/search", _body(wanted))
    if wanted.json:
        console.print(as_json(reply), markup=False, soft_wrap=True)
    found = msgspec.json.decode(reply, type=schema.SearchReply)
    for number, passage in enumerate(found.passages if not wanted.json else (), start=1):
        console.print(_passage(number, passage), soft_wrap=True)
    if not found.passages and not wanted.json:
        console.print("Nothing found.")
    return 0 if found.passages else 3


def _body(wanted: argparse.Namespace) -> dict[str, object]:
    audience = {"channel": wanted.channel} if wanted.channel else None
    return body_of(question=wanted.question, limit=wanted.limit, team=wanted.team, audience=audience)


async def _stream(client: Client, body: dict[str, object], console: Console) -> int:
    code = 1
    async for event in client.events(body):
        match event:
            case schema.QueryEvent(query):
                for notice in query.notices:
                    console.print(f"[dim]{escape(notice)}[/dim]")
            case schema.DeltaEvent(text):
                console.print(text, end="", markup=False, soft_wrap=True)
            case schema.CitationsEvent(citations):
                console.print("\n")
                for citation in citations:
                    console.print(citation_line(citation), soft_wrap=True)
            case schema.DoneEvent(run_id, outcome, metadata):
                if run_id:
                    console.print(f"[dim]{metadata.model} · {metadata.total_ms:.0f} ms · run {run_id}[/dim]")
                code = CODES[outcome]
            case schema.FailedEvent(problem):
                raise Refused(f"{problem.detail} (run {problem.run_id})")
    return code


def citation_line(citation: schema.Citation) -> str:
    """Return a source as it is printed below an answer."""
    place = " › ".join(part for part in (citation.title, citation.heading) if part)
    page = f", page {citation.page}" if citation.page else ""
    page += ", caption of an image, written by a model" if citation.kind == "caption" else ""
    link = f"\n    [dim]{escape(citation.url)}[/dim]" if citation.url else ""
    return f"[bold]\\[{citation.n}][/bold] {escape(place)}{page}{link}\n    “{escape(citation.quote)}”"


def _passage(number: int, passage: schema.Passage) -> str:
    place = " › ".join(part for part in (passage.title, passage.heading) if part)
    text = escape(passage.compressed or passage.text)
    return f"[bold]{number}.[/bold] {escape(place)} [dim]{escape(passage.document_id)}[/dim]\n{text}\n"
