"""A model vendor on loopback: OpenAI's wire protocol, with replies that a plain function writes and faults on order.

async with openai_server(lambda messages: ["The notice is ", "two weeks [1]."]) as base_url:
    llm = OpenAILLM.open(base_url, "key", "model", timeout=5)
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import chain, repeat

from aiohttp import web

from backend.ports import ChatMessage
from tests.fakes.embedder import hashed

Script = Callable[[list[ChatMessage]], Iterable[str]]
"""The conversation → the pieces of the reply."""


@dataclass(frozen=True, slots=True)
class Fault:
    """What goes wrong with one request: an HTTP `status` (with `headers`), or, after `pieces` pieces of a streamed
    reply, `then`: stall for ever, cut the connection, or end the stream as if it were complete."""

    status: int = 0
    headers: tuple[tuple[str, str], ...] = ()
    code: str = ""
    then: str = ""
    pieces: int = 0


@dataclass(slots=True)
class Journal:
    """What the server saw: the body of every request, and whether a client hung up on a reply."""

    bodies: list[dict[str, object]] = field(default_factory=list)
    hung_up: asyncio.Event = field(default_factory=asyncio.Event)


def echo(messages: list[ChatMessage]) -> list[str]:
    """Repeat the last message, word by word."""
    return [f"{word} " for word in messages[-1].content.split()]


@asynccontextmanager
async def openai_server(
    script: Script = echo, *, faults: Sequence[Fault | None] = (), journal: Journal | None = None
) -> AsyncIterator[str]:
    """Serve until the block ends; yields the base URL. The first requests suffer `faults`, one each, in order."""
    vendor = _Vendor(script, faults, journal or Journal())
    app = web.Application()
    app.router.add_post("/v1/chat/completions", vendor.chat)
    app.router.add_post("/v1/embeddings", vendor.embeddings)
    runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        host, port = runner.addresses[0][:2]
        yield f"http://{host}:{port}/v1"
    finally:
        await runner.cleanup()


class _Vendor:
    def __init__(self, script: Script, faults: Sequence[Fault | None], journal: Journal) -> None:
        self._script = script
        self._faults = chain(faults, repeat(None))
        self._journal = journal

    async def chat(self, request: web.Request) -> web.StreamResponse:
        body, fault = await self._next(request)
        if fault.status:
            return _refusal(fault)
        pieces = self._script([ChatMessage(message["role"], message["content"]) for message in body["messages"]])
        if not body.get("stream"):
            return web.json_response(_completion(body["model"], "".join(pieces)))
        try:
            return await _stream(request, body["model"], pieces, fault)
        except (asyncio.CancelledError, ConnectionResetError):
            self._journal.hung_up.set()
            raise

    async def embeddings(self, request: web.Request) -> web.Response:
        body, fault = await self._next(request)
        if fault.status:
            return _refusal(fault)
        vectors = [2 * hashed(text, body.get("dimensions") or 1536) for text in body["input"]]  # not of unit length
        rows = [{"object": "embedding", "index": i, "embedding": vector.tolist()} for i, vector in enumerate(vectors)]
        usage = {"prompt_tokens": 1, "total_tokens": 1}
        return web.json_response({"object": "list", "model": body["model"], "data": rows[::-1], "usage": usage})

    async def _next(self, request: web.Request) -> tuple[dict, Fault]:  # type: ignore[type-arg]
        body = await request.json()
        self._journal.bodies.append(body)
        return body, next(self._faults) or Fault()


async def _stream(request: web.Request, model: str, pieces: Iterable[str], fault: Fault) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
    await response.prepare(request)
    for i, piece in enumerate(pieces):
        if fault.then and i == fault.pieces:
            break
        await _send(response, json.dumps(_chunk(model, {"role": "assistant", "content": piece})))
    if fault.then == "stall":
        await asyncio.Event().wait()
    elif fault.then == "cut" and request.transport is not None:
        request.transport.abort()
    elif not fault.then:
        await _send(response, json.dumps(_chunk(model, {}, "stop")))
        await _send(response, "[DONE]")
    return response


async def _send(response: web.StreamResponse, content: str) -> None:
    await response.write(f"data: {content}\n\n".encode())


def _chunk(model: str, delta: dict[str, str], finish_reason: str | None = None) -> dict[str, object]:
    choice = {"index": 0, "delta": delta, "finish_reason": finish_reason}
    return {"id": "c", "object": "chat.completion.chunk", "created": 0, "model": model, "choices": [choice]}


def _completion(model: str, text: str) -> dict[str, object]:
    choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
    return {"id": "c", "object": "chat.completion", "created": 0, "model": model, "choices": [choice]}


def _refusal(fault: Fault) -> web.Response:
    error = {"message": "scripted", "type": "scripted", "code": fault.code or None, "param": None}
    return web.json_response({"error": error}, status=fault.status, headers=dict(fault.headers))
