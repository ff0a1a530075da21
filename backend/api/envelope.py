"""What surrounds every request: its id, its log line, its figures, what is recorded of it, what browsers may do with
its answer, and document ids that may hold any character."""

from __future__ import annotations

import re
import time
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import quote, unquote
from uuid import uuid4

from litestar.enums import ScopeType
from litestar.types import ASGIApp, HTTPScope, Message, Receive, Scope, Send
from loguru import logger

from backend.access import LONGEST_TARGET, Audit, Deed, deed_id, outcome_of
from backend.api.insights import PAGE
from backend.api.security import Doing
from backend.errors import DatabaseUnavailable
from backend.telemetry import Telemetry
from backend.tracing import TRACEPARENT, UNTRACED, Span, span

HEADER = b"x-request-id"
SANE_ID = re.compile(rb"[A-Za-z0-9._:-]{1,128}\Z")
QUIET_ROUTES = frozenset({"/health", "/health/ready", "/metrics"})
"""Routes that machines ask all the time: they are counted, not logged."""

SAFE = (
    (b"cache-control", b"no-store"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"referrer-policy", b"no-referrer"),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
)
"""Every answer has these: nothing here is for pages of others to show, keep or run. (OWASP's list for REST APIs.)"""

_DOCUMENTS = b"/documents/"
_REFRESH = b"/refresh"


@dataclass(frozen=True)
class Envelope:
    """The outermost ASGI application. It stands outside of Litestar so that it also surrounds what no route takes."""

    app: ASGIApp
    telemetry: Telemetry
    audit: Audit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != ScopeType.HTTP:
            await self.app(scope, receive, send)
            return
        request_id = request_id_of(scope["headers"])
        scope.setdefault("state", {})["request_id"] = request_id
        scope["path"] = routed_path(scope["method"], scope["path"], scope["raw_path"])
        with self._spanned(scope) as traced, logger.contextualize(request_id=request_id):
            await self._answer(scope, receive, send, request_id)
            traced.rename(f"{scope['method']} {route_of(scope)}")
            traced.note({"http.route": route_of(scope)})

    def _spanned(self, scope: HTTPScope) -> AbstractContextManager[Span]:
        """Return a span of the request, part of its caller's; machines that ask all the time are not traced."""
        if scope["path"] in QUIET_ROUTES:
            return nullcontext(UNTRACED)
        given = next((value.decode("latin-1") for name, value in scope["headers"] if name == TRACEPARENT.encode()), "")
        named = {"http.request.method": scope["method"]}
        return span(scope["method"], named, kind="server", parent=given)

    async def _answer(self, scope: HTTPScope, receive: Receive, send: Send, request_id: str) -> None:
        start = time.perf_counter()
        status = 0

        async def stamped(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                await self._note(scope["state"].get("doing"), status, request_id)
                message["headers"] = [*message["headers"], (HEADER, request_id.encode()), *_missing(message["headers"])]
            await send(message)

        try:
            await self.app(scope, receive, stamped)
        finally:
            self._record(scope, status, time.perf_counter() - start)

    async def _note(self, doing: Doing | None, status: int, request_id: str) -> None:
        """Record what was done before anybody hears that it was. What cannot be recorded is in the log."""
        if doing is None:
            return
        now = datetime.now(UTC)
        deed = Deed(
            deed_id(now), now, doing.key, doing.action, outcome_of(status), doing.team, doing.user,
            doing.target[:LONGEST_TARGET], request_id,
        )  # fmt: skip
        try:
            await self.audit.add(deed)
        except DatabaseUnavailable:
            logger.bind(key=deed.key, action=deed.action, target=deed.target).error("not in the audit log")

    def _record(self, scope: HTTPScope, status: int, seconds: float) -> None:
        route = route_of(scope)
        self.telemetry.request(scope["method"], route, status, seconds)
        level = "DEBUG" if route in QUIET_ROUTES else "INFO"
        fields = {"method": scope["method"], "route": route, "status": status, "ms": round(seconds * 1000, 1)}
        logger.bind(**fields).log(level, "request")


def _missing(headers: object) -> list[tuple[bytes, bytes]]:
    """Return those of `SAFE` that an answer does not have already."""
    assert isinstance(headers, list | tuple)
    there = {name.lower() for name, _ in headers}
    return [(name, value) for name, value in SAFE if name not in there]


def route_of(scope: HTTPScope) -> str:
    """Return the template of the path that was routed."""
    return str(scope.get("path_template") or "unmatched")


def request_id_of(headers: object) -> str:
    """Return the caller's own request id where it is a sane one, else a new one."""
    assert isinstance(headers, list | tuple)
    given = next((value for name, value in headers if name == HEADER), b"")
    return given.decode() if SANE_ID.match(given) else uuid4().hex


def routed_path(method: str, path: str, raw_path: bytes) -> str:
    """Return the path to route by, in which a document id is one segment, percent-encoded.

    Callers choose ids, and URLs are good ids: `/documents/https%3A%2F%2Fa.example%2Fb` must not be decoded into
    segments. An id that came unencoded, or that a proxy decoded, is taken whole in the same way.
    """
    if not raw_path.startswith(_DOCUMENTS):
        return PAGE if path == "/insights/" else path
    tail = raw_path.removeprefix(_DOCUMENTS)
    refresh = method == "POST" and tail.endswith(_REFRESH)
    document_id = unquote(tail.removesuffix(_REFRESH) if refresh else tail)
    if not document_id:
        return path
    return f"/documents/{quote(document_id, safe='')}{'/refresh' if refresh else ''}"
