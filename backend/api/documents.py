"""Documents: taken in, listed, refreshed, removed."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import unquote

from litestar import Request, Response, delete, get, post
from litestar.datastructures import State
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, QueryParameter

from backend import schema
from backend.api import forms, present
from backend.api.documentation import IngestForm, reads
from backend.api.security import doing, needs
from backend.api.services import Services
from backend.domain import Document, Visibility
from backend.errors import BadInput, IngestFailed, NotFound
from backend.ingest.submission import parse_request

ApiRequest = Request[object, object, State]


@post(
    "/ingest",
    status_code=202,
    guards=[needs("ingest", action="document.ingest")],
    operation_class=reads(schema.IngestRequest, form=IngestForm),
    summary="Take in a URL, a text or a file",
    description="The same content is not indexed twice. With `wait=true` the reply comes when the document is ready "
    "(200), or says why it is not (422).",
)
async def ingest(
    request: ApiRequest, services: NamedDependency[Services], wait: FromQuery[bool] = False
) -> Response[schema.IngestReply]:
    wanted, file = await forms.read(request, schema.IngestRequest, most=services.limits.document)
    submission = parse_request(wanted, team=services.team, file=file)
    noted = doing(request)
    noted.team, noted.user, noted.target = submission.team, submission.by or noted.user, submission.document_id
    document = await services.ingest.accept(submission)
    noted.target = document.document_id
    return await _enqueue(services, document, wait=wait)


@post(
    "/documents/{document_id:str}/refresh",
    status_code=202,
    guards=[needs("ingest", action="document.refresh")],
    summary="Bring a document up to date",
)
async def refresh_document(
    document_id: FromPath[str],
    services: NamedDependency[Services],
    team: FromQuery[str | None] = None,
    wait: FromQuery[bool] = False,
) -> Response[schema.IngestReply]:
    document = await services.ingest.refresh(team or services.team, unquote(document_id))
    return await _enqueue(services, document, wait=wait)


@get("/documents", guards=[needs("ask", "ingest")], summary="List documents, the latest change first")
async def list_documents(
    services: NamedDependency[Services],
    team: FromQuery[str | None] = None,
    status: FromQuery[schema.Status | None] = None,
    q: FromQuery[str] = "",
    visibility: Annotated[list[str] | None, QueryParameter(description="Only these; repeatable")] = None,
    limit: Annotated[int, QueryParameter(ge=1, le=200)] = 50,
    cursor: FromQuery[str | None] = None,
) -> schema.DocumentsReply:
    page = await services.documents.list(
        team or services.team,
        status=status,
        text=q.strip(),
        visibilities=_visibilities(visibility),
        limit=limit,
        cursor=cursor,
    )
    listed = [present.document(row, await _named(services, row)) for row in page.documents]
    return schema.DocumentsReply(tuple(listed), page.cursor)


@get("/documents/{document_id:str}", guards=[needs("ask", "ingest")], summary="One document")
async def get_document(
    document_id: FromPath[str], services: NamedDependency[Services], team: FromQuery[str | None] = None
) -> schema.Document:
    document = await services.documents.get(team or services.team, unquote(document_id))
    if document is None:
        raise NotFound("There is no such document.")
    return present.document(document, await _named(services, document))


@delete(
    "/documents/{document_id:str}",
    status_code=200,
    guards=[needs("ingest", action="document.remove")],
    summary="Remove a document: out of every answer from this response on",
)
async def delete_document(
    document_id: FromPath[str], services: NamedDependency[Services], team: FromQuery[str | None] = None
) -> schema.IngestReply:
    document_id = unquote(document_id)
    await services.ingest.remove(team or services.team, document_id)
    return schema.IngestReply(document_id, "deleted")


async def _named(services: Services, document: Document) -> dict[str, Document]:
    """Return the documents that this one names, unless they were removed or are for other readers by now."""
    ids = {document.same_as, document.similar_to} - {""}
    found = [other for one in ids if (other := await services.documents.get(document.team, one))]
    known = [one for one in found if one.status != "deleted" and one.visibility == document.visibility]
    return {one.document_id: one for one in known}


async def _enqueue(services: Services, document: Document, *, wait: bool) -> Response[schema.IngestReply]:
    """Hand an attempt to the queue; with `wait`, answer with what came of it."""
    team, document_id, attempt = document.team, document.document_id, document.attempt
    if attempt:
        await services.queue.enqueue(team, document_id, attempt)
    if not wait:
        return Response(schema.IngestReply(document_id, document.status), status_code=202)
    if attempt:
        await services.queue.wait(team, document_id, attempt)
    ended = await services.documents.get(team, document_id) or document
    if ended.status == "failed":
        raise IngestFailed(ended.reason)
    return Response(schema.IngestReply(document_id, ended.status), status_code=200)


def _visibilities(given: list[str] | None) -> frozenset[str] | None:
    try:
        return None if given is None else frozenset(str(Visibility.parse(text)) for text in given)
    except ValueError as error:
        raise BadInput(str(error)) from None
