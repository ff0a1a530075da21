"""A run once more: the same question for the same readers, over the documents as they are now."""

from __future__ import annotations

import msgspec
from litestar import Request, Response, post
from litestar.datastructures import State
from litestar.di import NamedDependency
from litestar.params import FromPath, RawBody

from backend import schema
from backend.api import bodies
from backend.api.documentation import reads
from backend.api.queries import begun, new_run_id, whole
from backend.api.questions import question_of_trace
from backend.api.removed import redacted
from backend.api.security import needs
from backend.api.services import Services
from backend.errors import NotFound
from backend.redact import has_words

ApiRequest = Request[object, object, State]


class ReplayRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`prompt` is another version to answer with; without it, the one that was asked for."""

    prompt: str | None = None


@post(
    "/runs/{run_id:str}/replay",
    status_code=200,
    guards=[needs("admin", action="run.replay")],
    operation_class=reads(ReplayRequest),
    summary="Ask a run's question again, for the same readers and with the same filter, as a new run",
    description="What was removed since stays out. Replays do not count in insights.",
)
async def replay(
    request: ApiRequest, run_id: FromPath[str], body: RawBody, services: NamedDependency[Services]
) -> Response[schema.QueryReply]:
    wanted = bodies.decode(body, ReplayRequest) if body else ReplayRequest()
    trace = await services.runs.get(run_id)
    if trace is None:
        raise NotFound("There is no such run.")
    if not has_words(trace):
        raise NotFound("The words of this run are kept no longer; see FOOTNOTE_KEEP_TRACES_DAYS.")
    question = question_of_trace(await redacted(trace, services.removals), prompt=wanted.prompt)
    services.pipeline.check(question)
    request.scope["state"]["run_id"] = replayed = new_run_id()
    return Response(await whole(request, begun(services, question, replayed)))
