"""Who may call what: API keys, their roles, and where the backend may listen."""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import os
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from litestar.connection import ASGIConnection
from litestar.handlers import BaseRouteHandler
from litestar.types import Guard

from backend.errors import Forbidden, Unauthorized

Role = Literal["ask", "ingest", "admin"]
ROLES: frozenset[Role] = frozenset(get_args(Role))
HEADER = "X-API-Key"
SHORTEST_KEY = 16
"""Characters; shorter keys can be guessed."""


@dataclass(frozen=True, slots=True)
class Key:
    """A key's SHA-256, so that comparing takes the same time for any two keys, and what it may do."""

    digest: bytes
    roles: frozenset[Role]

    @classmethod
    def of(cls, secret: str, roles: Iterable[Role]) -> Key:
        return cls(hashlib.sha256(secret.encode()).digest(), frozenset(roles))


@dataclass(frozen=True, slots=True)
class Keys:
    """The keys that the backend accepts."""

    keys: tuple[Key, ...]

    def roles(self, secret: str) -> frozenset[Role]:
        """Return the roles of a key, none for an unknown one. Every key is compared, in constant time."""
        digest = hashlib.sha256(secret.encode()).digest()
        granted: frozenset[Role] = frozenset()
        for key in self.keys:
            if hmac.compare_digest(key.digest, digest):
                granted |= key.roles
        return granted

    def authorise(self, secret: str | None, wanted: frozenset[Role]) -> None:
        """Raise Unauthorized without a known key and Forbidden where it has neither admin nor a wanted role."""
        if not secret:
            raise Unauthorized(f"Send an API key in the {HEADER} header.")
        roles = self.roles(secret)
        if not roles:
            raise Unauthorized(f"The key in the {HEADER} header is not one that this backend knows.")
        if not roles & (wanted | {"admin"}):
            names = " or ".join(sorted(wanted))
            raise Forbidden(f"This needs a key with the role {names}; this one has {', '.join(sorted(roles))}.")


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
    keys = [parse_key(text) for text in api_keys]
    if api_key is not None:
        keys.append(Key.of(_long_enough(api_key), {"admin"}))
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


def needs(*roles: Role) -> Guard:
    """Return a Litestar guard that lets through keys with any of these roles, or admin."""
    wanted = frozenset(roles)

    def guard(connection: ASGIConnection[Any, Any, Any, Any], _: BaseRouteHandler) -> None:
        keys: Keys = connection.app.state.api_keys
        keys.authorise(connection.headers.get(HEADER), wanted)

    return guard
