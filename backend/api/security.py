"""Who may call what: API keys, their roles, what is recorded of their use, and where the backend may listen."""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import os
import secrets
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from litestar import Request
from litestar.connection import ASGIConnection
from litestar.datastructures import State
from litestar.handlers import BaseRouteHandler
from litestar.types import Guard

from backend.access import OPERATOR, OPERATOR_HEADER, ROLES, Caller, Keyring, Role
from backend.domain import SUBJECT
from backend.errors import Forbidden, Unauthorized

HEADER = "X-API-Key"
SHORTEST_KEY = 16
"""Characters; shorter keys can be guessed."""


@dataclass(frozen=True, slots=True)
class Key:
    """A key's SHA-256, so that comparing takes the same time for any two keys, and what it may do."""

    digest: bytes
    roles: frozenset[Role]
    name: str = "configured"
    """How the audit log calls it."""

    @classmethod
    def of(cls, secret: str, roles: Iterable[Role], name: str = "configured") -> Key:
        return cls(hashlib.sha256(secret.encode()).digest(), frozenset(roles), name)


@dataclass(frozen=True, slots=True)
class Keys:
    """The keys of the settings."""

    keys: tuple[Key, ...]

    def caller(self, secret: str) -> Caller | None:
        """Return whose key this is, None for an unknown one. Every key is compared, in constant time."""
        digest = hashlib.sha256(secret.encode()).digest()
        known = [key for key in self.keys if hmac.compare_digest(key.digest, digest)]
        return Caller(known[0].name, frozenset().union(*(key.roles for key in known))) if known else None


@dataclass(frozen=True, slots=True)
class Access:
    """All keys that the backend accepts: those of the settings, and those that were made."""

    configured: Keys
    made: Keyring

    async def caller(self, secret: str | None) -> Caller:
        """Return who calls. Unauthorized without a key that is accepted."""
        if not secret:
            raise Unauthorized(f"Send an API key in the {HEADER} header.")
        caller = self.configured.caller(secret)
        if caller is None and (key := await self.made.recognise(secret)):
            caller = Caller(key.name, key.roles)
        if caller is None:
            raise Unauthorized(f"The key in the {HEADER} header is not one that this backend knows.")
        return caller


def check(caller: Caller, wanted: frozenset[Role]) -> None:
    """Raise Forbidden where the caller has neither admin nor a wanted role."""
    if not caller.roles & (wanted | {"admin"}):
        names = " or ".join(sorted(wanted))
        raise Forbidden(f"This needs a key with the role {names}; this one has {', '.join(sorted(caller.roles))}.")


@dataclass(slots=True)
class Doing:
    """What a request is about to do, for the audit log; a handler that knows more fills it in."""

    action: str
    key: str
    team: str = ""
    user: str = ""
    target: str = ""


def doing(request: Request[Any, Any, State]) -> Doing:
    """Return what this request does, as its guard began it."""
    begun = request.scope["state"]["doing"]
    assert isinstance(begun, Doing)
    return begun


def begin(connection: ASGIConnection[Any, Any, Any, Any], caller: Caller, action: str) -> None:
    """Let what this request does be recorded, whatever comes of it."""
    asked = connection.query_params
    connection.scope["state"]["doing"] = Doing(
        action,
        caller.name,
        team=_subject(asked.get("team")) or connection.app.state.team,
        user=_subject(asked.get("by")) or _operator(connection.headers.get(OPERATOR_HEADER)),
        target=unquote(str(next(iter(connection.path_params.values()), ""))),
    )


def _subject(given: str | None) -> str:
    return given if given and SUBJECT.match(given) else ""


def _operator(given: str | None) -> str:
    return given if given and OPERATOR.match(given) else ""


def parse_key(text: str) -> Key:
    """Read `role+role:key`; raise ValueError, without the key, where it is not that."""
    names, separator, secret = text.partition(":")
    roles = frozenset(role for role in ROLES if role in names.split("+"))
    if not separator or len(roles) != len(names.split("+")):
        raise ValueError("each key must be written role+role:key with roles of ask, ingest and admin")
    return Key.of(_long_enough(secret), roles)


def _long_enough(secret: str) -> str:
    if len(secret) < SHORTEST_KEY:
        raise ValueError(f"a key must have at least {SHORTEST_KEY} characters")
    return secret


def configured_keys(api_key: str | None, api_keys: Iterable[str]) -> Keys | None:
    """Return the keys that the settings name, or None where they name none; ValueError says what is wrong."""
    keys = [replace(parse_key(text), name=f"FOOTNOTE_API_KEYS-{n}") for n, text in enumerate(api_keys, 1)]
    if api_key is not None:
        keys.insert(0, Key.of(_long_enough(api_key), {"admin"}, "FOOTNOTE_API_KEY"))
    return Keys(tuple(keys)) if keys else None


def own_key(path: Path) -> str:
    """Return the key in this file; make one at first, which only the owner can read and nobody ever sees half."""
    if not path.exists():
        draft = path.with_name(f"{path.name}.{os.getpid()}")
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(f"{secrets.token_urlsafe(32)}\n")
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(draft, path)
        except FileExistsError:
            pass  # another program was first; its key counts
        finally:
            draft.unlink()
    return path.read_text().strip()


def is_loopback(host: str) -> bool:
    """Whether listening on `host` reaches only this machine."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def needs(*roles: Role, action: str = "") -> Guard:
    """Return a Litestar guard that lets through keys with any of these roles, or admin. What has an `action` is
    recorded in the audit log under that name, also if it is refused to a known key."""
    wanted = frozenset(roles)

    async def guard(connection: ASGIConnection[Any, Any, Any, Any], _: BaseRouteHandler) -> None:
        access: Access = connection.app.state.access
        caller = await access.caller(connection.headers.get(HEADER))
        if action:
            begin(connection, caller, action)
        check(caller, wanted)

    return guard
