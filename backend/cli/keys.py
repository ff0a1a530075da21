"""`keys create|list|rotate|revoke`: the API keys that are made while the backend runs."""

from __future__ import annotations

import argparse
import sys
from urllib.parse import quote

import msgspec

from backend.api.keys import KeyFacts, KeysReply, MadeKey
from backend.cli.client import Client, body_of, connected
from backend.settings import Settings


async def keys(settings: Settings, wanted: argparse.Namespace) -> int:
    """Do one of them. A new secret goes to standard output alone, what there is to say of it to standard error."""
    async with connected(settings, wanted.url) as client:
        match wanted.action:
            case "create":
                body = {**body_of(name=wanted.name, days=wanted.days), "roles": wanted.roles.split("+")}
                _print_made(await client.post("/keys", body))
            case "rotate":
                body = {"overlap_hours": wanted.overlap_hours}
                _print_made(await client.post(f"/keys/{quote(wanted.name, safe='')}/rotate", body))
            case "revoke":
                _print_keys(await client.delete(f"/keys/{quote(wanted.name, safe='')}", {}))
            case _:
                await _list(client)
    return 0


async def _list(client: Client) -> None:
    _print_keys(await client.get("/keys", {}))


def _print_made(reply: bytes) -> None:
    made = msgspec.json.decode(reply, type=MadeKey)
    sys.stderr.write(f"{_line(made.key)}\nThis is the only time that it is shown:\n")
    sys.stderr.flush()
    sys.stdout.write(f"{made.secret}\n")


def _print_keys(reply: bytes) -> None:
    listed = msgspec.json.decode(reply, type=KeysReply).keys
    sys.stdout.writelines(f"{_line(key)}\n" for key in listed)
    if not listed:
        sys.stdout.write("No keys were made; there are only those of the settings.\n")


def _line(key: KeyFacts) -> str:
    state = "accepted" if key.accepted else "revoked" if key.revoked_at else "expired"
    ends = f", until {_minute(key.expires_at)}" if key.accepted and key.expires_at else ""
    used = f"last used {_minute(key.last_used_at)}" if key.last_used_at else "never used"
    return f"{key.name}  {key.key_id}  {'+'.join(key.roles)}  {state}{ends}; made {_minute(key.created_at)}, {used}"


def _minute(moment: str) -> str:
    return f"{moment[:16].replace('T', ' ')} UTC"
