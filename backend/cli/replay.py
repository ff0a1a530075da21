"""`replay RUN`: ask a run's question again, perhaps with another prompt."""

from __future__ import annotations

import argparse
from urllib.parse import quote

import msgspec
from rich.console import Console

from backend import schema
from backend.cli.ask import CODES, citation_line
from backend.cli.client import as_json, body_of, connected
from backend.settings import Settings


async def replay(settings: Settings, wanted: argparse.Namespace) -> int:
    """Print the new answer. Return 0 where it was answered, 3 where the documents do not say."""
    async with connected(settings, wanted.url) as client:
        body = body_of(prompt=wanted.prompt)
        reply = await client.post(f"/runs/{quote(wanted.run, safe='')}/replay", body)
    answer = msgspec.json.decode(reply, type=schema.QueryReply)
    console = Console(highlight=False)
    if wanted.json:
        console.print(as_json(reply), markup=False, soft_wrap=True)
        return CODES[answer.outcome]
    console.print(answer.answer, markup=False, soft_wrap=True)
    console.print()
    for citation in answer.citations:
        console.print(citation_line(citation), soft_wrap=True)
    made = " · ".join(part for part in (answer.metadata.model, answer.metadata.prompt) if part)
    console.print(f"[dim]{made} · {answer.metadata.total_ms:.0f} ms · run {answer.run_id}[/dim]")
    return CODES[answer.outcome]
