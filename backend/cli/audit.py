"""`audit`: who did what, to what, when, and what came of it."""

from __future__ import annotations

import argparse
import sys
from datetime import UTC, datetime

import msgspec

from backend.api.audit import AuditEntry, AuditReply
from backend.cli.client import as_json, connected
from backend.settings import Settings, read_duration

PAGE = 500


async def audit(settings: Settings, wanted: argparse.Namespace) -> int:
    """Print the entries, the latest first."""
    entries: list[AuditEntry] = []
    cursor: str | None = ""
    async with connected(settings, wanted.url) as client:
        while cursor is not None and len(entries) < wanted.limit:
            asked = {"since": since(wanted.since), "of": wanted.of, "team": wanted.team or "", "cursor": cursor}
            asked["limit"] = str(min(PAGE, wanted.limit - len(entries)))
            reply = await client.get("/audit", {name: value for name, value in asked.items() if value})
            page = msgspec.json.decode(reply, type=AuditReply)
            entries += page.entries
            cursor = page.cursor
    if wanted.json:
        sys.stdout.write(f"{as_json(msgspec.json.encode(entries))}\n")
    else:
        sys.stdout.writelines(f"{line(entry)}\n" for entry in entries)
    return 0


def since(text: str) -> str:
    """Return a moment: that long ago for `7d`, else as it stands."""
    try:
        return (datetime.now(UTC) - read_duration(text)).isoformat()
    except ValueError:
        return text


def line(entry: AuditEntry) -> str:
    """Return an entry for people."""
    who = f"{entry.user} by {entry.key}" if entry.user else entry.key
    return f"{entry.at[:19].replace('T', ' ')}  {who}  {entry.action}  {entry.target or '-'}  {entry.outcome}"
