"""`person export|delete USER`: what is kept of somebody, when they ask for it."""

from __future__ import annotations

import argparse
import sys

import msgspec

from backend.api.people import ForgottenReply
from backend.cli.client import as_json, connected
from backend.settings import Settings


async def person(settings: Settings, wanted: argparse.Namespace) -> int:
    """Print it as JSON, or delete it and say how much it was."""
    team = wanted.team or settings.team
    async with connected(settings, wanted.url) as client:
        if wanted.action == "export":
            sys.stdout.write(f"{as_json(await client.get(f'/people/{wanted.user}', {'team': team}))}\n")
            return 0
        gone = msgspec.json.decode(await client.delete(f"/people/{wanted.user}", {"team": team}), type=ForgottenReply)
    sys.stdout.write(
        f"{wanted.user}: {gone.runs} questions, {gone.feedback} ratings, {gone.notices} notices, "
        f"{gone.spendings} days of spending and {gone.documents} private documents deleted; "
        f"{gone.mentions} runs of others and {gone.brought} documents mention them no longer.\n"
        "The documents' words leave the disk within FOOTNOTE_PURGE_AFTER. "
        f"What the bot keeps: python -m bot purge {team} --user {wanted.user}\n"
    )
    return 0
