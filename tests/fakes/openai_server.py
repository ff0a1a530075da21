"""A model vendor on loopback: OpenAI's wire protocol, with replies that a plain function writes and faults on order.

async with openai_server(lambda messages: ["The notice is ", "two weeks [1]."]) as base_url:
    llm = OpenAILLM.open(base_url, "key", "model", timeout=5)
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Collection, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import chain, repeat
from typing import Any, TypeAlias

from aiohttp import web

from backend.ports import ChatMessage
from tests.fakes.embedder import hashed

Script = Callable[[list[ChatMessage]], Iterable[str | float]]
"""The conversation → the pieces of the reply; a number is a pause in seconds."""

Usage: TypeAlias = tuple[int, int]
"""Tokens read and written."""


@dataclass(frozen=True, slots=True)
class Fault:
    """What goes wrong with one request: an HTTP `status` (with `headers`), or, after `pieces` pieces of a streamed
    reply, `then`: `stall` for ever, `cut` the connection, `end` the stream as if it were complete, send what is
    `malformed` or an `error` event (of `status` then), come to the `length`, be stopped by a `content_filter`,
    `refuse`, or go on for `ever`."""

    status: int = 0
    headers: tuple[tuple[str, str], ...] = ()
    code: str = ""
    then: str = ""
    pieces: int = 0


@dataclass(slots=True)
class Journal:
    """What the server saw: the body of every request, and whether a client hung up on a reply."""

    bodies: list[dict[str, object]] = field(default_factory=list)
    sent: list[tuple[str, float]] = field(default_factory=list)
    """Each piece and when it was sent, by the loop's clock."""
    hung_up: asyncio.Event = field(default_factory=asyncio.Event)


def echo(messages: list[ChatMessage]) -> list[str]:
    """Repeat the last message, word by word."""
    return [f"{word} " for word in messages[-1].content.split()]


@asynccontextmanager
async def openai_server(
    script: Script = echo,
    *,
    faults: Iterable[Fault | None] = (),
    journal: Journal | None = None,
    usage: Usage | None = None,
    refuses: Collection[str] = (),
) -> AsyncIterator[str]:
    """Serve until the block ends; yields the base URL. The first requests suffer `faults`, one each, in order; `usage`
    is told of every reply; a parameter that the server `refuses` is a bad request."""
    vendor = _Vendor(script, faults, journal or Journal(), usage, refuses)
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
    def __init__(
        self,
        script: Script,
        faults: Iterable[Fault | None],
        journal: Journal,
        usage: Usage | None,
        refuses: Collection[str],
    ) -> None:
        self._script = script
        self._faults = chain(faults, repeat(None))
        self._journal = journal
        self._usage = usage
        self._refuses = refuses

    async def chat(self, request: web.Request) -> web.StreamResponse:
        body, fault = await self._next(request)
        if fault.status and not fault.then:
            return _refusal(fault)
        for name in self._refuses:
            if name in body:
                return _refusal(Fault(400), param=name)
        pieces = self._script([ChatMessage(one["role"], _text(one["content"])) for one in body["messages"]])
        if not body.get("stream"):
            return await self._whole(request, body["model"], pieces, fault)
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        try:
            await self._stream(request, response, body, pieces, fault)
        except asyncio.CancelledError:
            self._journal.hung_up.set()
            raise
        except ConnectionResetError:
            self._journal.hung_up.set()
        return response

    async def _whole(
        self, request: web.Request, model: str, pieces: Iterable[str | float], fault: Fault
    ) -> web.StreamResponse:
        if fault.then == "stall":
            await asyncio.Event().wait()
        if fault.then == "cut" and request.transport is not None:
            request.transport.abort()
        if fault.then in ("malformed", "error", "end"):
            return web.Response(text='{"choices": [{"mess', content_type="application/json")
        text = "".join(piece for piece in pieces if isinstance(piece, str))
        return web.json_response(_completion(model, text, fault.then) | self._usage_of())

    async def _stream(
        self,
        request: web.Request,
        response: web.StreamResponse,
        body: dict[str, Any],
        pieces: Iterable[str | float],
        fault: Fault,
    ) -> None:
        model = body["model"]
        await response.prepare(request)
        said = list(pieces)
        said = said[: fault.pieces] if fault.then else said
        for piece in said:
            if isinstance(piece, str):
                await _send(response, _chunk(model, {"role": "assistant", "content": piece}))
                self._journal.sent.append((piece, asyncio.get_running_loop().time()))
            else:
                await asyncio.sleep(piece)
        if not await _spoilt(request, response, model, fault):
            if body.get("stream_options") and self._usage is not None:
                await _send(response, _chunk(model, {}) | {"choices": []} | self._usage_of())
            await response.write(b"data: [DONE]\n\n")

    def _usage_of(self) -> dict[str, object]:
        if self._usage is None:
            return {}
        into, out = self._usage
        return {"usage": {"prompt_tokens": into, "completion_tokens": out, "total_tokens": into + out}}

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


async def _spoilt(request: web.Request, response: web.StreamResponse, model: str, fault: Fault) -> bool:
    """Bring a reply to its end, as its fault has it; return whether nothing may follow."""
    match fault.then:
        case "stall":
            await asyncio.Event().wait()
        case "cut" if request.transport is not None:
            request.transport.abort()
        case "malformed":
            await response.write(b'data: {"choices": [{"del\n\n')
        case "error":
            await _send(response, {"error": {"message": "scripted", "type": "scripted", "code": fault.status or None}})
        case "refuse":
            await _send(response, _chunk(model, {"refusal": "I cannot help with that."}))
            await _send(response, _chunk(model, {}, "stop"))
        case "length" | "content_filter":
            await _send(response, _chunk(model, {}, fault.then))
        case "ever":
            while True:
                await _send(response, _chunk(model, {"content": "and on and on it goes " * 20}))
                await asyncio.sleep(0)
        case "":
            await _send(response, _chunk(model, {}, "stop"))
    return fault.then in ("stall", "cut", "malformed", "error", "end")


async def _send(response: web.StreamResponse, content: dict[str, object]) -> None:
    await response.write(f"data: {json.dumps(content)}\n\n".encode())


def _text(content: str | list[dict[str, str]]) -> str:
    return content if isinstance(content, str) else "".join(part.get("text", "") for part in content)


def _chunk(model: str, delta: dict[str, str], finish_reason: str | None = None) -> dict[str, object]:
    choice = {"index": 0, "delta": delta, "finish_reason": finish_reason}
    return {"id": "c", "object": "chat.completion.chunk", "created": 0, "model": model, "choices": [choice]}


def _completion(model: str, text: str, then: str) -> dict[str, object]:
    message = {"role": "assistant", "content": None if then == "refuse" else text}
    message |= {"refusal": "No."} if then == "refuse" else {}
    choice = {
        "index": 0,
        "message": message,
        "finish_reason": then if then in ("length", "content_filter") else "stop",
    }
    return {"id": "c", "object": "chat.completion", "created": 0, "model": model, "choices": [choice]}


def _refusal(fault: Fault, param: str | None = None) -> web.Response:
    error = {"message": "scripted", "type": "scripted", "code": fault.code or None, "param": param}
    return web.json_response({"error": error}, status=fault.status, headers=dict(fault.headers))
