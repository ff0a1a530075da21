"""What people are to be told: listed for whoever tells them, and struck off once they are told."""

from __future__ import annotations

from typing import Annotated

from litestar import delete, get
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, QueryParameter

from backend import schema
from backend.api import present
from backend.api.security import needs
from backend.api.services import Services
from backend.errors import NotFound


@get("/notices", guards=[needs("ingest")], summary="What people are to be told, the oldest first")
async def list_notices(
    services: NamedDependency[Services],
    team: FromQuery[str | None] = None,
    limit: Annotated[int, QueryParameter(ge=1, le=200)] = 50,
) -> schema.NoticesReply:
    listed = await services.notices.list(team or services.team, limit=limit)
    return schema.NoticesReply(tuple(present.notice(one) for one in listed))


@delete("/notices/{notice_id:str}", status_code=204, guards=[needs("ingest")], summary="Strike one off: it was told")
async def delete_notice(
    notice_id: FromPath[str], services: NamedDependency[Services], team: FromQuery[str | None] = None
) -> None:
    if not await services.notices.delete(team or services.team, notice_id):
        raise NotFound("There is no such notice.")
