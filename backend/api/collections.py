"""Collections: a site, a feed or an archive taken in as many documents, followed, and cancelled."""

from __future__ import annotations

from litestar import Request, delete, get, post
from litestar.datastructures import State
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery

from backend import schema
from backend.api import forms, present
from backend.api.documentation import CollectionForm, reads
from backend.api.security import doing, needs
from backend.api.services import Services
from backend.ingest.wishes import parse_wish


@post(
    "/collections",
    status_code=202,
    guards=[needs("ingest", action="collection.begin")],
    operation_class=reads(schema.CollectionRequest, form=CollectionForm),
    summary="Take in a site, a feed or a zip of pages",
    description="The same address is the same collection; while it is under way, asking again changes nothing. A zip "
    "may also be sent as the file of a form: the same bytes are the same collection.",
)
async def begin_collection(
    request: Request[object, object, State], services: NamedDependency[Services]
) -> schema.CollectionReply:
    wanted, file = await forms.read(request, schema.CollectionRequest, most=services.limits.document)
    wish = parse_wish(wanted, team=services.team, file=file)
    noted = doing(request)
    noted.team, noted.user = wish.team, wish.by or noted.user
    if file is None:
        collection = await services.collector.begin(wish)
        await services.collections.collect(collection)
    else:
        collection, works = await services.collector.take_in(wish, file)
        for document_id, attempt in works:
            await services.queue.enqueue(collection.team, document_id, attempt)
    noted.target = collection.collection_id
    return schema.CollectionReply(collection.collection_id, collection.status)


@get("/collections/{collection_id:str}", guards=[needs("ask", "ingest")], summary="How far a collection is")
async def get_collection(
    collection_id: FromPath[str], services: NamedDependency[Services], team: FromQuery[str | None] = None
) -> schema.Collection:
    return present.collection(*await services.collector.report(team or services.team, collection_id))


@delete(
    "/collections/{collection_id:str}",
    status_code=200,
    guards=[needs("ingest", action="collection.cancel")],
    summary="Cancel a collection: what is queued is not taken in, what is ready stays",
)
async def cancel_collection(
    collection_id: FromPath[str], services: NamedDependency[Services], team: FromQuery[str | None] = None
) -> schema.CollectionReply:
    await services.collector.cancel(team or services.team, collection_id)
    return schema.CollectionReply(collection_id, "cancelled")
