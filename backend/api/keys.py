"""API keys over HTTP: made, listed, rotated, revoked. A secret is told once, in the reply that makes it."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated

import msgspec
from litestar import Request, delete, get, post
from litestar.datastructures import State
from litestar.di import NamedDependency
from litestar.params import FromPath, RawBody

from backend.access import ApiKey, Role
from backend.api import bodies, present
from backend.api.documentation import reads
from backend.api.security import doing, needs
from backend.api.services import Services

Days = Annotated[int, msgspec.Meta(ge=1, le=3650)]
Hours = Annotated[int, msgspec.Meta(ge=0, le=24 * 90)]
OVERLAP = 24
"""Hours for which a key that was rotated is still accepted, unless others are asked for."""


class KeyRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A key for `days`, or without an end."""

    name: Annotated[str, msgspec.Meta(max_length=64)]
    roles: tuple[Role, ...]
    days: Days | None = None


class RotateRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    overlap_hours: Hours = OVERLAP


class KeyFacts(msgspec.Struct, frozen=True):
    """What is known of a key; its secret is not."""

    key_id: str
    name: str
    roles: tuple[str, ...]
    created_at: str
    expires_at: str | None
    revoked_at: str | None
    last_used_at: str | None
    """To the minute."""
    accepted: bool


class MadeKey(msgspec.Struct, frozen=True):
    secret: str
    """To be kept now: it cannot be had again."""
    key: KeyFacts


class KeysReply(msgspec.Struct, frozen=True):
    keys: tuple[KeyFacts, ...]


@post(
    "/keys",
    status_code=201,
    guards=[needs("admin", action="key.create")],
    operation_class=reads(KeyRequest),
    summary="Make an API key",
)
async def create_key(
    request: Request[object, object, State], body: RawBody, services: NamedDependency[Services]
) -> MadeKey:
    wanted = bodies.decode(body, KeyRequest)
    doing(request).target = wanted.name
    lasting = timedelta(days=wanted.days) if wanted.days else None
    made = services.access.made
    return _made(*await made.create(wanted.name, frozenset(wanted.roles), lasting), made.now())


@get("/keys", guards=[needs("admin", action="key.list")], summary="List API keys, without their secrets")
async def list_keys(services: NamedDependency[Services]) -> KeysReply:
    made = services.access.made
    return KeysReply(tuple(_facts(key, made.now()) for key in await made.keys.list()))


@post(
    "/keys/{name:str}/rotate",
    status_code=201,
    guards=[needs("admin", action="key.rotate")],
    operation_class=reads(RotateRequest),
    summary="Make a new key of this name; the old one is accepted for a while",
)
async def rotate_key(name: FromPath[str], body: RawBody, services: NamedDependency[Services]) -> MadeKey:
    wanted = bodies.decode(body, RotateRequest) if body else RotateRequest()
    made = services.access.made
    return _made(*await made.rotate(name, timedelta(hours=wanted.overlap_hours)), made.now())


@delete(
    "/keys/{name:str}",
    status_code=200,
    guards=[needs("admin", action="key.revoke")],
    summary="Refuse a key from now on, by its name or its id",
)
async def revoke_key(name: FromPath[str], services: NamedDependency[Services]) -> KeysReply:
    made = services.access.made
    return KeysReply(tuple(_facts(key, made.now()) for key in await made.revoke(name)))


def _made(key: ApiKey, secret: str, now: datetime) -> MadeKey:
    return MadeKey(secret, _facts(key, now))


def _facts(key: ApiKey, now: datetime) -> KeyFacts:
    return KeyFacts(
        key_id=key.key_id,
        name=key.name,
        roles=tuple(sorted(key.roles)),
        created_at=key.created_at.isoformat(),
        expires_at=present.iso(key.expires_at),
        revoked_at=present.iso(key.revoked_at),
        last_used_at=present.iso(key.last_used_at),
        accepted=key.stands(now),
    )
