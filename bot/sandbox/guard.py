"""Who may use the page's own endpoints: this machine's browser on this page, and programs on this machine."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from urllib.parse import urlsplit

from aiohttp import web

LOOPBACK = ("127.0.0.1", "localhost", "::1")
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "font-src 'self'; form-action 'none'; base-uri 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def is_local(host: str) -> bool:
    """Whether a `Host` header names this machine; a rebound DNS name does not."""
    return (urlsplit(f"//{host}").hostname or "") in LOOPBACK


def admits(host: str, origin: str | None, site: str | None) -> bool:
    """Whether a request comes from the page itself or from no page at all."""
    if not is_local(host) or site == "cross-site":
        return False
    return origin is None or origin == f"http://{host}"


@web.middleware
async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Turn away other pages and other names; the wire for the app asks for a token instead."""
    if request.path.startswith(("/api/", "/response/", "/files-pri/", "/link")):
        return await handler(request)
    headers = request.headers
    if not admits(headers.get("Host", ""), headers.get("Origin"), headers.get("Sec-Fetch-Site")):
        return web.json_response({"error": "only for this machine"}, status=403)
    response = await handler(request)
    if not response.prepared:
        response.headers.update(HEADERS)
    return response
