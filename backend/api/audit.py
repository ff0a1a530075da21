"""The audit log over HTTP: who did what, to what, when, and what came of it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

import msgspec
from litestar import get
from litestar.di import NamedDependency
from litestar.params import FromQuery, QueryParameter

from backend.api.security import needs
from backend.api.services import Services
from backend.errors import BadInput


class AuditEntry(msgspec.Struct, frozen=True):
    """`key` is the name of the key that was used, `user` the person whom its holder named, "" where nobody was."""

    deed_id: str
    at: str
    key: str
    user: str
    action: str
    team: str
    target: str
    outcome: str
    request_id: str


class AuditReply(msgspec.Struct, frozen=True):
    entries: tuple[AuditEntry, ...]
    cursor: str | None


@get(
    "/audit",
    guards=[needs("admin", action="audit.read")],
    summary="Who did what, the latest first",
    description="`of` is a key's name, a user, an action such as `document.remove`, or what it was done to.",
)
async def audit(
    services: NamedDependency[Services],
    since: FromQuery[str | None] = None,
    of: FromQuery[str] = "",
    team: FromQuery[str] = "",
    limit: Annotated[int, QueryParameter(ge=1, le=500)] = 50,
    cursor: FromQuery[str | None] = None,
) -> AuditReply:
    page = await services.audit.page(since=_moment(since), of=of, team=team, limit=limit, cursor=cursor)
    entries = (
        AuditEntry(
            deed_id=deed.deed_id,
            at=deed.at.isoformat(),
            key=deed.key,
            user=deed.user,
            action=deed.action,
            team=deed.team,
            target=deed.target,
            outcome=deed.outcome,
            request_id=deed.request_id,
        )
        for deed in page.deeds
    )
    return AuditReply(tuple(entries), page.cursor)


def _moment(text: str | None) -> datetime | None:
    try:
        return _aware(datetime.fromisoformat(text)) if text else None
    except ValueError:
        raise BadInput("since: must be a date or a moment, such as 2026-11-20 or 2026-11-20T12:00:00Z") from None


def _aware(moment: datetime) -> datetime:
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
