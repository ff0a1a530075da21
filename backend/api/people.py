"""What is kept of a person, told and deleted over HTTP."""

from __future__ import annotations

import msgspec
from litestar import delete, get
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery

from backend.api.security import needs
from backend.api.services import Services
from backend.codec import Json
from backend.domain import SUBJECT
from backend.errors import BadInput


class ForgottenReply(msgspec.Struct, frozen=True):
    """How much of a person was deleted. `mentions` are runs of others in which an earlier question of theirs stood;
    `brought` are documents and collections that stay, without the name of who brought them in."""

    runs: int
    feedback: int
    notices: int
    spendings: int
    documents: int
    brought: int
    mentions: int


@get(
    "/people/{user:str}",
    guards=[needs("admin", action="person.export")],
    summary="Everything that is kept of a person",
)
async def export_person(
    user: FromPath[str], services: NamedDependency[Services], team: FromQuery[str | None] = None
) -> Json:
    return await services.people.export(team or services.team, _user(user))


@delete(
    "/people/{user:str}",
    status_code=200,
    guards=[needs("admin", action="person.delete")],
    summary="Delete what is kept of a person",
    description="Their documents are out of every answer from this response on, and leave the disk like any that is "
    "removed. The audit log keeps ids.",
)
async def delete_person(
    user: FromPath[str], services: NamedDependency[Services], team: FromQuery[str | None] = None
) -> ForgottenReply:
    gone = await services.people.delete(team or services.team, _user(user))
    return ForgottenReply(
        runs=gone.runs,
        feedback=gone.feedback,
        notices=gone.notices,
        spendings=gone.spendings,
        documents=gone.documents,
        brought=gone.brought,
        mentions=gone.mentions,
    )


def _user(given: str) -> str:
    if not SUBJECT.match(given):
        raise BadInput("user: letters, digits, _ . and - only, 1 to 64 of them")
    return given
