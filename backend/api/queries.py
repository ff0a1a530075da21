"""Questions in, answers out."""

from __future__ import annotations

import asyncio
import secrets
from datetime import UTC, datetime

from litestar import Request, Response, get, post
from litestar.datastructures import State
from litestar.di import NamedDependency
from litestar.params import RawBody
from litestar.response import Stream

from backend import schema
from backend.api import bodies, present, streams
from backend.api.documentation import reads
from backend.api.questions import in_experiment, parse_question, parse_search
from backend.api.removed import still_there, without_removed
from backend.api.security import needs
from backend.api.services import Services
from backend.domain import Question

ApiRequest = Request[object, object, State]


def new_run_id() -> str:
    """Return an id that is short enough to be read out to a colleague."""
    return secrets.token_hex(8)


@post(
    "/query",
    status_code=200,
    guards=[needs("ask")],
    operation_class=reads(schema.QueryRequest),
    summary="Answer a question",
    description="With `stream` the reply is `text/event-stream`: `status`, `query`, `passages`, `delta`, `citations`, "
    "then exactly one of `done` or `failed`; comments keep it alive. Hanging up cancels the work.",
)
async def query(
    request: ApiRequest, body: RawBody, services: NamedDependency[Services]
) -> Response[schema.QueryReply] | Stream:
    asked = bodies.decode(body, schema.QueryRequest)
    question = in_experiment(parse_question(asked, team=services.team), services.plan, datetime.now(UTC))
    services.pipeline.check(question)
    await services.door.admit(question)
    run_id = new_run_id()
    request.scope["state"]["run_id"] = run_id
    run = begun(services, question, run_id)
    if asked.stream:
        sent = streams.stream(run, request_id=request.scope["state"]["request_id"])
        return Stream(sent, media_type=streams.MEDIA_TYPE, headers=streams.HEADERS)
    return Response(await whole(request, run))


@post(
    "/search",
    status_code=200,
    guards=[needs("ask")],
    operation_class=reads(schema.SearchRequest),
    summary="Find passages, without an answer",
)
async def search(body: RawBody, services: NamedDependency[Services]) -> schema.SearchReply:
    question = parse_search(bodies.decode(body, schema.SearchRequest), team=services.team)
    await services.door.slow_down(question)
    began = datetime.now(UTC)
    understood, found, metadata = await services.pipeline.search(question)
    evidence = await still_there(found, services.removals, question.team, began)
    services.telemetry.stages(metadata)
    return schema.SearchReply(
        query=present.understood(understood),
        passages=present.compressed_passages(evidence),
        metadata=present.metadata(metadata),
    )


@get("/prompts", guards=[needs("ask")], summary="Which prompts can write an answer", sync_to_thread=False)
def prompts(services: NamedDependency[Services]) -> schema.PromptsReply:
    return schema.PromptsReply(services.prompts)


def begun(services: Services, question: Question, run_id: str) -> streams.Run:
    """Return the run of a question; nothing is done before it is listened to."""
    told = without_removed(
        services.pipeline.answer(question, run_id), services.removals, question.team, datetime.now(UTC)
    )
    return streams.Run(services, told, run_id)


async def whole(request: ApiRequest, run: streams.Run) -> schema.QueryReply:
    """Return a run's answer in one piece; a caller who hangs up ends it."""
    gone = asyncio.create_task(_hung_up(request))
    try:
        async with run.begun() as work:
            await asyncio.wait({work, gone}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        gone.cancel()
    error = streams.error_of(work)
    if error is not None:
        raise error
    return present.reply(work.result().run, run.evidence)


async def _hung_up(request: ApiRequest) -> None:
    """Return when the caller has gone."""
    while (await request.receive())["type"] != "http.disconnect":
        pass
