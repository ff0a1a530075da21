"""What surrounds every request: its id, its log line, its figures, and document ids that may hold any character."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass
from urllib.parse import quote, unquote
from uuid import uuid4

from litestar.enums import ScopeType
from litestar.types import ASGIApp, HTTPScope, Message, Receive, Scope, Send
from loguru import logger

from backend.api.insights import PAGE
from backend.telemetry import Telemetry

HEADER = b"x-request-id"
SANE_ID = re.compile(rb"[A-Za-z0-9._:-]{1,128}\Z")
QUIET_ROUTES = frozenset({"/health", "/health/ready", "/metrics"})
"""Routes that machines ask all the time: they are counted, not logged."""

_DOCUMENTS = b"/documents/"
_REFRESH = b"/refresh"


@dataclass(frozen=True)
class Envelope:
    """The outermost ASGI application. It stands outside of Litestar so that it also surrounds what no route takes."""

    app: ASGIApp
    telemetry: Telemetry

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != ScopeType.HTTP:
            await self.app(scope, receive, send)
            return
        request_id = request_id_of(scope["headers"])
        scope.setdefault("state", {})["request_id"] = request_id
        scope["path"] = routed_path(scope["method"], scope["path"], scope["raw_path"])
        with logger.contextualize(request_id=request_id):
            await self._answer(scope, receive, send, request_id)

    async def _answer(self, scope: HTTPScope, receive: Receive, send: Send, request_id: str) -> None:
        start = time.perf_counter()
        status = 0

        async def stamped(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message["headers"], (HEADER, request_id.encode())]
            await send(message)

        try:
            await self.app(scope, receive, stamped)
        finally:
            self._record(scope, status, time.perf_counter() - start)

    def _record(self, scope: HTTPScope, status: int, seconds: float) -> None:
        route = str(scope.get("path_template") or "unmatched")
        self.telemetry.request(scope["method"], route, status, seconds)
        level = "DEBUG" if route in QUIET_ROUTES else "INFO"
        fields = {"method": scope["method"], "route": route, "status": status, "ms": round(seconds * 1000, 1)}
        logger.bind(**fields).log(level, "request")


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
