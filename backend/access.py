"""Who may do what, and who did what: API keys that are made while the backend runs, and the audit log.

A key is `fn_<id>_<secret>`. Of the secret, 256 random bits, only a keyed hash is stored: HMAC-SHA256 under a salt of
the key's own. A slow hash would add nothing but time: there is no password to guess.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Literal, Protocol, get_args

from backend.errors import BadInput, NotFound

Role = Literal["ask", "ingest", "admin"]
ROLES: frozenset[Role] = frozenset(get_args(Role))
NAME = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,63}\Z")
SECRET = re.compile(r"fn_([0-9a-f]{12})_[A-Za-z0-9_-]{43}\Z")
BETWEEN_USES = timedelta(minutes=1)
"""How often it is written at most that a key was used."""


# --------------------------------------------------------------------------------------------------------------- keys


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls: a key's name and what it may do."""

    name: str
    roles: frozenset[Role]


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A key as it is kept. Several may have one name: those that it was rotated through, each until its end."""

    key_id: str
    name: str
    roles: frozenset[Role]
    created_at: datetime
    expires_at: datetime | None = None
    revoked_at: datetime | None = None
    last_used_at: datetime | None = None
    salt: bytes = field(default=b"", repr=False)
    digest: bytes = field(default=b"", repr=False)

    def stands(self, now: datetime) -> bool:
        """Whether it is still accepted."""
        return self.revoked_at is None and (self.expires_at is None or now < self.expires_at)

    def opens_with(self, secret: str) -> bool:
        """Whether this is its secret; any two comparisons take the same time."""
        return hmac.compare_digest(self.digest, _digest(self.salt, secret))

    @property
    def lasting(self) -> timedelta | None:
        """For how long it was made, None where it has no end."""
        return self.expires_at - self.created_at if self.expires_at else None


class ApiKeys(Protocol):
    """Where keys are kept."""

    async def add(self, key: ApiKey) -> None: ...

    async def get(self, key_id: str) -> ApiKey | None: ...

    async def list(self) -> tuple[ApiKey, ...]:
        """Return all of them, by name, the newest first."""

    async def expire(self, key_ids: Sequence[str], at: datetime) -> None:
        """Let these end at that moment, unless they end sooner."""

    async def revoke(self, key_ids: Sequence[str], at: datetime) -> None: ...

    async def used(self, key_id: str, at: datetime) -> None:
        """Note that a key was used, unless that was noted within `BETWEEN_USES`."""


def utc_now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Keyring:
    """The life of keys: made, rotated, revoked, recognised."""

    keys: ApiKeys
    now: Callable[[], datetime] = utc_now

    async def create(self, name: str, roles: frozenset[Role], lasting: timedelta | None = None) -> tuple[ApiKey, str]:
        """Return a new key and its secret, which is never to be had again. BadInput where the name is taken or none."""
        if not NAME.match(name):
            raise BadInput("name: a letter, then letters, digits, _ . and -, at most 64 in all")
        if not roles:
            raise BadInput("roles: at least one of ask, ingest, admin")
        if await self._standing(name):
            raise BadInput(f"name: there is a key called {name}; rotate it, or revoke it first")
        return await self._add(name, roles, lasting)

    async def rotate(self, name: str, overlap: timedelta) -> tuple[ApiKey, str]:
        """Return a new key of this name, for the same and for as long; what there was is accepted for `overlap` more.

        NotFound where there is none that is still accepted.
        """
        old = await self._standing(name)
        if not old:
            raise NotFound(f"There is no key called {name} that is still accepted.")
        made = await self._add(name, old[0].roles, old[0].lasting)
        await self.keys.expire([key.key_id for key in old], self.now() + overlap)
        return made

    async def revoke(self, name: str) -> tuple[ApiKey, ...]:
        """Refuse a key from now on, by its id, or all of a name; return them. NotFound where none was accepted."""
        known = [key for key in await self.keys.list() if name in (key.name, key.key_id) and key.stands(self.now())]
        if not known:
            raise NotFound(f"There is no key called {name} that is still accepted.")
        now = self.now()
        await self.keys.revoke([key.key_id for key in known], now)
        return tuple(replace(key, revoked_at=now) for key in known)

    async def recognise(self, secret: str) -> ApiKey | None:
        """Return the key that this is the secret of, if it is accepted. It is looked up each time: a key that was
        revoked, by whichever backend, is refused from then on."""
        written = SECRET.match(secret)
        key = await self.keys.get(written[1]) if written else None
        now = self.now()
        if key is None or not key.opens_with(secret) or not key.stands(now):
            return None
        if key.last_used_at is None or now - key.last_used_at >= BETWEEN_USES:
            await self.keys.used(key.key_id, now)
        return key

    async def _standing(self, name: str) -> list[ApiKey]:
        return [key for key in await self.keys.list() if key.name == name and key.stands(self.now())]

    async def _add(self, name: str, roles: frozenset[Role], lasting: timedelta | None) -> tuple[ApiKey, str]:
        key_id, salt, now = secrets.token_hex(6), secrets.token_bytes(16), self.now()
        secret = f"fn_{key_id}_{secrets.token_urlsafe(32)}"
        expires = now + lasting if lasting else None
        key = ApiKey(key_id, name, roles, now, expires, salt=salt, digest=_digest(salt, secret))
        await self.keys.add(key)
        return key, secret


def _digest(salt: bytes, secret: str) -> bytes:
    return hmac.digest(salt, secret.encode(), hashlib.sha256)


# -------------------------------------------------------------------------------------------------------------- audit

DeedOutcome = Literal["done", "refused", "failed"]
LONGEST_TARGET = 512
OPERATOR = re.compile(r"cli:[A-Za-z0-9_.-]{1,60}\Z")
"""Who is at the command line: the system's name of their user."""
OPERATOR_HEADER = "X-Footnote-Operator"
"""Says who uses a key on the command line; it is believed as far as the key is."""


@dataclass(frozen=True, slots=True)
class Deed:
    """What somebody did. `key` is the name of the key that it was done with, `user` for whom, "" where nobody is named;
    what was done on the command line without a backend has no key, but the `OPERATOR` in its place. `target` is the
    document, key or person that it was done to. `refused` is the caller's mistake, or a lacking right; `failed` is
    ours. Ids sort by time."""

    deed_id: str
    at: datetime
    key: str
    action: str
    outcome: DeedOutcome
    team: str = ""
    user: str = ""
    target: str = ""
    request_id: str = ""


@dataclass(frozen=True, slots=True)
class Deeds:
    """A page of the audit log, the latest first; `cursor` asks for the next one, None at the end."""

    deeds: tuple[Deed, ...]
    cursor: str | None = None


class Audit(Protocol):
    """The audit log: deeds are added and never changed; they leave it when they are too old."""

    async def add(self, deed: Deed) -> None: ...

    async def page(
        self, *, since: datetime | None = None, of: str = "", team: str = "", limit: int = 50, cursor: str | None = None
    ) -> Deeds:
        """Return the latest deeds; `of` is a key, user, action or target that they must have."""


def deed_id(at: datetime) -> str:
    """Return an id that sorts by time."""
    return f"{int(at.timestamp() * 1_000_000):016x}{secrets.token_hex(4)}"


def outcome_of(status: int) -> DeedOutcome:
    """Return what came of a request, by its HTTP status."""
    return "done" if status < 400 else "refused" if status < 500 else "failed"
