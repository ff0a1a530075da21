"""What a team's runs say of its documents and prompts: as JSON, and as a page for people."""

from __future__ import annotations

import base64
import binascii
import secrets
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from litestar import Response, get
from litestar.connection import ASGIConnection
from litestar.di import NamedDependency
from litestar.exceptions import HTTPException
from litestar.handlers import BaseRouteHandler
from litestar.params import QueryParameter

from backend.api.security import HEADER, Keys, needs
from backend.api.services import Services
from backend.errors import Forbidden, Unauthorized
from backend.evaluate.experiments import Rate, evidence_words
from backend.evaluate.insights import Overview

PAGE = "/insights/page"
"""Where `/insights/` is routed to: to Litestar that is the same address as `/insights`."""
POLICY = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
HEADERS = {
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
ASK_FOR_KEY = {"WWW-Authenticate": 'Basic realm="Footnote: any name, and an admin API key as the password"'}
_TEMPLATES = Path(__file__).parent / "pages"

Team = Annotated[str | None, QueryParameter(pattern=r"^[A-Za-z0-9_.\-]{1,64}$")]
Days = Annotated[int, QueryParameter(ge=1, le=365)]


def admin_in_browser(connection: ASGIConnection[Any, Any, Any, Any], _: BaseRouteHandler) -> None:
    """Litestar guard: an admin key in our header, or as the password that a browser asks for; no cookie, no script."""
    keys: Keys = connection.app.state.api_keys
    try:
        given = connection.headers.get(HEADER) or password(connection.headers.get("Authorization", ""))
        keys.authorise(given, frozenset({"admin"}))
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


@get("/insights", guards=[needs("admin")], summary="What the runs of some days say of documents and prompts")
async def insights(services: NamedDependency[Services], team: Team = None, days: Days = 30) -> Overview:
    return await services.insights.look(team or services.team, days, datetime.now(UTC))


@get(PAGE, guards=[admin_in_browser], include_in_schema=False)
async def page(services: NamedDependency[Services], team: Team = None, days: Days = 30) -> Response[str]:
    seen = await services.insights.look(team or services.team, days, datetime.now(UTC))
    nonce = secrets.token_urlsafe(16)
    headers = {**HEADERS, "Content-Security-Policy": f"{POLICY}; style-src 'nonce-{nonce}'"}
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
