"""What a team's runs say of its documents and prompts: as JSON, and as a page for people."""

from __future__ import annotations

import base64
import binascii
import secrets
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from litestar import Response, get, post
from litestar.connection import ASGIConnection
from litestar.di import NamedDependency
from litestar.exceptions import HTTPException
from litestar.handlers import BaseRouteHandler
from litestar.params import QueryParameter, RawBody

from backend import schema
from backend.api import bodies
from backend.api.documentation import reads
from backend.api.security import HEADER, Access, begin, check, needs
from backend.api.services import Services
from backend.errors import Forbidden, Unauthorized
from backend.evaluate.experiments import Rate, evidence_words
from backend.evaluate.insights import Overview

PAGE = "/insights/page"
"""Where `/insights/` is routed to: to Litestar that is the same address as `/insights`."""
POLICY = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
ASK_FOR_KEY = {"WWW-Authenticate": 'Basic realm="Footnote: any name, and an admin API key as the password"'}
_TEMPLATES = Path(__file__).parent / "pages"

Team = Annotated[str | None, QueryParameter(pattern=r"^[A-Za-z0-9_.\-]{1,64}$")]
Days = Annotated[int, QueryParameter(ge=1, le=365)]


async def admin_in_browser(connection: ASGIConnection[Any, Any, Any, Any], _: BaseRouteHandler) -> None:
    """Litestar guard: an admin key in our header, or as the password that a browser asks for; no cookie, no script."""
    access: Access = connection.app.state.access
    try:
        given = connection.headers.get(HEADER) or password(connection.headers.get("Authorization", ""))
        caller = await access.caller(given)
        begin(connection, caller, "insights.read")
        check(caller, frozenset({"admin"}))
    except (Unauthorized, Forbidden) as error:
        raise HTTPException(status_code=401, detail=str(error), headers=ASK_FOR_KEY) from None


def password(header: str) -> str | None:
    """Return the password of a Basic Authorization header (RFC 7617), None where it holds none."""
    scheme, _, value = header.partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        return base64.b64decode(value, validate=True).decode().partition(":")[2]
    except (binascii.Error, UnicodeDecodeError):
        return None


@get(
    "/insights",
    guards=[needs("admin", action="insights.read")],
    summary="What the runs of some days say of documents and prompts",
)
async def insights(services: NamedDependency[Services], team: Team = None, days: Days = 30) -> Overview:
    return await services.insights.look(team or services.team, days, datetime.now(UTC))


@post(
    "/gaps",
    status_code=200,
    guards=[needs("admin", action="gaps.read")],
    operation_class=reads(schema.GapsRequest),
    summary="What the documents lack, for somebody who reads these channels",
    description="The text of a question is shown only if it was asked in one of them.",
)
async def gaps(body: RawBody, services: NamedDependency[Services]) -> schema.GapsReply:
    asked = bodies.decode(body, schema.GapsRequest)
    team, channels = asked.team or services.team, frozenset(asked.channels)
    runs, found = await services.insights.gaps(team, asked.days, datetime.now(UTC), channels)
    told = (schema.KnowledgeGap(gap.abstained, gap.disliked, gap.questions, gap.private, gap.nearest) for gap in found)
    return schema.GapsReply(asked.days, runs, tuple(told))


@get(PAGE, guards=[admin_in_browser], include_in_schema=False)
async def page(services: NamedDependency[Services], team: Team = None, days: Days = 30) -> Response[str]:
    seen = await services.insights.look(team or services.team, days, datetime.now(UTC))
    nonce = secrets.token_urlsafe(16)
    headers = {"Content-Security-Policy": f"{POLICY}; style-src 'nonce-{nonce}'"}
    return Response(rendered(seen, nonce), media_type="text/html; charset=utf-8", headers=headers)


def rendered(seen: Overview, nonce: str) -> str:
    """Return the page: one piece of HTML that loads nothing, with everything escaped."""
    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(percent=percent, between=between, evidence=evidence_words)
    return environment.get_template("insights.html").render(seen=seen, nonce=nonce)


def percent(rate: Rate) -> str:
    """Return a rate for people, "–" where nothing was counted."""
    return f"{100 * rate.share:.0f} %" if rate.of else "–"


def between(rate: Rate) -> str:
    """Return a rate with the range that holds it."""
    return f"{percent(rate)} ({100 * rate.low:.0f}–{100 * rate.high:.0f}) of {rate.of}" if rate.of else "none yet"
