"""A reranker on loopback that scores by shared words: Cohere's and Jina's shape, or TEI's, as it is asked.

async with rerank_server() as url:
    async with HttpReranker(url, "model", "key", timeout=5) as reranker: ...
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from aiohttp import web

from backend.query.words import content_words


@dataclass(slots=True)
class Seen:
    """Requests as they came, and what to do to all of them: refuse with `status`, never answer, or reply `raw`."""

    bodies: list[dict[str, object]] = field(default_factory=list)
    keys: list[str | None] = field(default_factory=list)
    status: int = 200
    stall: bool = False
    raw: str | None = None


@asynccontextmanager
async def rerank_server(seen: Seen | None = None) -> AsyncIterator[str]:
    """Serve until the block ends; yields the URL of `/rerank`."""
    journal = seen or Seen()

    async def rerank(request: web.Request) -> web.Response:
        return await _reply(request, journal)

    app = web.Application()
    app.router.add_post("/rerank", rerank)
    runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        host, port = runner.addresses[0][:2]
        yield f"http://{host}:{port}/rerank"
    finally:
        await runner.cleanup()


async def _reply(request: web.Request, seen: Seen) -> web.Response:
    body = await request.json()
    seen.bodies.append(body)
    seen.keys.append(request.headers.get("Authorization"))
    if seen.stall:
        await asyncio.Event().wait()
    if seen.status != 200 or seen.raw is not None:
        return web.Response(status=seen.status, text=seen.raw or "refused")
    words = content_words(body["query"])
    texts = body.get("documents") or body["texts"]
    scores = sorted(((len(words & content_words(text)), index) for index, text in enumerate(texts)), reverse=True)
    if "texts" in body:
        return web.json_response([{"index": index, "score": score} for score, index in scores])
    return web.json_response({"results": [{"index": index, "relevance_score": score} for score, index in scores]})
