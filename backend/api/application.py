"""The ASGI application over the services: routes, errors, limits, OpenAPI."""

from __future__ import annotations

from litestar import Litestar
from litestar.datastructures import State
from litestar.di import Provide
from litestar.openapi.config import OpenAPIConfig
from litestar.openapi.plugins import JsonRenderPlugin
from litestar.openapi.spec import Components, SecurityScheme
from litestar.router import Router

from backend.api import (
    audit,
    collections,
    documents,
    feedback,
    health,
    insights,
    keys,
    notices,
    people,
    queries,
    replay,
)
from backend.api.envelope import Envelope
from backend.api.problems import HANDLERS
from backend.api.security import HEADER
from backend.api.services import Services

ENVELOPE_BYTES = 1_000_000
"""What JSON escapes or a form may add to a document."""


def create(services: Services) -> Envelope:
    """Return the whole HTTP application. Opening and closing the services is the caller's."""
    ingestion = Router(
        "/",
        route_handlers=[documents.ingest, collections.begin_collection],
        request_max_body_size=services.limits.document + ENVELOPE_BYTES,
    )
    litestar = Litestar(
        route_handlers=[
            queries.query,
            queries.search,
            ingestion,
            documents.list_documents,
            documents.get_document,
            documents.delete_document,
            documents.refresh_document,
            collections.get_collection,
            collections.cancel_collection,
            feedback.give_feedback,
            feedback.take_feedback_back,
            feedback.get_run,
            replay.replay,
            insights.insights,
            insights.page,
            insights.gaps,
            queries.prompts,
            notices.list_notices,
            notices.delete_notice,
            keys.create_key,
            keys.list_keys,
            keys.rotate_key,
            keys.revoke_key,
            audit.audit,
            people.export_person,
            people.delete_person,
            health.health,
            health.ready,
            health.detailed,
            health.metrics,
        ],
        dependencies={"services": Provide(lambda: services, sync_to_thread=False)},
        state=State({"access": services.access, "team": services.team}),
        exception_handlers=HANDLERS,
        request_max_body_size=services.limits.body,
        openapi_config=_openapi(),
        logging_config=None,
    )
    return Envelope(litestar, services.telemetry, services.audit)


def _openapi() -> OpenAPIConfig:
    return OpenAPIConfig(
        title="Footnote",
        version=health.API_VERSION,
        description="Answers from a team's own documents, each sentence proved by a quote. "
        "Errors are RFC 9457 problem details.",
        path="/schema",
        render_plugins=[JsonRenderPlugin(path=["/", "/openapi.json"])],
        components=Components(
            security_schemes={"key": SecurityScheme(type="apiKey", name=HEADER, security_scheme_in="header")}
        ),
        security=[{"key": []}],
    )
