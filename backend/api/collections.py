"""Collections: a site, a feed or an archive taken in as many documents, followed, and cancelled."""

from __future__ import annotations

from litestar import Request, delete, get, post
from litestar.datastructures import State
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery

from backend import schema
from backend.api import bodies, present
from backend.api.documentation import reads
from backend.api.security import needs
from backend.api.services import Services
from backend.ingest.collection import parse_wish


@post(
    "/collections",
    status_code=202,
    guards=[needs("ingest")],
    operation_class=reads(schema.CollectionRequest),
    summary="Take in a site, a feed or a zip of pages",
    description="The same address is the same collection; while it is under way, asking again changes nothing.",
)
async def begin_collection(
    request: Request[object, object, State], services: NamedDependency[Services]
) -> schema.CollectionReply:
    wanted = bodies.decode(await request.body(), schema.CollectionRequest)
    collection = await services.collector.begin(parse_wish(wanted, team=services.team))
    await services.collections.collect(collection)
    return schema.CollectionReply(collection.collection_id, collection.status)


@get("/collections/{collection_id:str}", guards=[needs("ask", "ingest")], summary="How far a collection is")
async def get_collection(
    collection_id: FromPath[str], services: NamedDependency[Services], team: FromQuery[str | None] = None
) -> schema.Collection:
    return present.collection(*await services.collector.report(team or services.team, collection_id))


@delete(
    "/collections/{collection_id:str}",
    status_code=200,
    guards=[needs("ingest")],
    summary="Cancel a collection: what is queued is not taken in, what is ready stays",
)
async def cancel_collection(
    collection_id: FromPath[str], services: NamedDependency[Services], team: FromQuery[str | None] = None
) -> schema.CollectionReply:
    await services.collector.cancel(team or services.team, collection_id)
    return schema.CollectionReply(collection_id, "cancelled")
