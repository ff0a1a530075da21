"""Ratings of runs, and the runs themselves."""

from __future__ import annotations

from typing import Annotated, Literal

from litestar import delete, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, QueryParameter, RawBody

from backend import schema
from backend.api import bodies
from backend.api.documentation import reads
from backend.api.removed import redacted
from backend.api.security import needs
from backend.api.services import Services
from backend.codec import Json
from backend.domain import Feedback
from backend.errors import NotFound


@post(
    "/feedback",
    status_code=200,
    guards=[needs("ask")],
    operation_class=reads(schema.FeedbackRequest),
    summary="Rate a run; the same person's earlier rating of the same kind is replaced",
)
async def give_feedback(body: RawBody, services: NamedDependency[Services]) -> schema.FeedbackReply:
    given = bodies.decode(body, schema.FeedbackRequest)
    await services.feedbacks.put(Feedback(given.run_id, given.user, given.rating, given.kind, given.comment))
    services.telemetry.rated(given.rating, _prompt(await services.runs.get(given.run_id)))
    return schema.FeedbackReply(given.run_id, recorded=True)


@delete("/feedback", status_code=200, guards=[needs("ask")], summary="Take a rating back")
async def take_feedback_back(
    services: NamedDependency[Services],
    run_id: FromQuery[str],
    user: Annotated[str, QueryParameter(pattern=r"^[A-Za-z0-9_.\-]{1,64}$")],
    kind: FromQuery[Literal["reaction", "button"]] = "button",
) -> schema.FeedbackReply:
    """Say in `recorded` whether there was one to take back: taking back twice is no error."""
    return schema.FeedbackReply(run_id, recorded=await services.feedbacks.delete(run_id, user, kind))


@get("/runs/{run_id:str}", guards=[needs("ask")], summary="The whole trace of a run")
async def get_run(run_id: FromPath[str], services: NamedDependency[Services]) -> dict[str, object]:
    run = await services.runs.get(run_id)
    if run is None:
        raise NotFound("There is no such run.")
    return await redacted(run, services.removals)


def _prompt(trace: Json | None) -> str:
    """Return the prompt that wrote the answer of a run's trace, "" where it was quoted."""
    metadata = trace.get("metadata") if trace else None
    return str(metadata.get("prompt", "")) if isinstance(metadata, dict) else ""
