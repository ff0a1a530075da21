"""The Web API over HTTP: who calls, what with, whether they may yet, and the answer in Slack's envelope."""

from __future__ import annotations

import asyncio
import json
from contextlib import suppress
from dataclasses import dataclass

from aiohttp import web

from bot.sandbox.arguments import Arguments
from bot.sandbox.faults import Fault, Faults
from bot.sandbox.limits import Limits
from bot.sandbox.methods import Method, agents, chat, conversations, streams, various, views
from bot.sandbox.socket_mode import SocketMode
from bot.sandbox.values import BOT_USER, Json, SlackError
from bot.sandbox.workspace import Workspace
from bot.sandbox.world import Hook, Message, number_blocks

METHODS: dict[str, Method] = (
    chat.METHODS | streams.METHODS | agents.METHODS | conversations.METHODS | various.METHODS | views.METHODS
)
HOOK_USES, HOOK_SECONDS = 5, 1800.0
"""A `response_url` works five times within half an hour."""
SETTLE_SECONDS = 0.25
"""How long a post to a `response_url` waits for the acknowledgement that it may have overtaken."""


@dataclass(frozen=True)
class Call:
    """One call that reached the sandbox, for tests to look at."""

    method: str
    arguments: Json
    answer: Json
    at: float = 0.0
    """When, on the sandbox's clock."""


class WebApi:
    """Answers `/api/{method}`, `/response/{hook}` and the contents of files."""

    def __init__(self, workspace: Workspace, socket_mode: SocketMode | None, faults: Faults) -> None:
        self.calls: list[Call] = []
        self._workspace = workspace
        self._socket_mode = socket_mode
        self._faults = faults
        self._limits = Limits(workspace.world.clock)
        self._options = workspace.world.options

    def routes(self) -> list[web.RouteDef]:
        return [
            web.route("*", "/api/{method}", self.serve),
            web.post("/response/{hook}", self.respond),
            web.get("/files-pri/{file}/{name}", self.download),
        ]

    async def serve(self, request: web.Request) -> web.Response:
        method = request.match_info["method"]
        try:
            arguments = await _arguments(request)
        except SlackError as error:
            return web.json_response({"ok": False, "error": error.code})
        fault = self._faults.take(method)
        if fault is not None and not fault.after:
            await asyncio.sleep(fault.delay)
        if fault is not None and fault.fails and not fault.after:
            return self._fail(method, arguments, fault)
        wait = self._limits.wait(method, str(arguments.get("channel"))) if self._options.rate_limits else 0
        if wait:
            return self._fail(method, arguments, Fault(method, status=429, retry_after=wait))
        answer = self._answer(request, method, arguments)
        if fault is not None and fault.after:
            await asyncio.sleep(fault.delay)
        if fault is not None and fault.fails:
            return self._fail(method, arguments, fault)
        self.calls.append(Call(method, arguments, answer, self._workspace.world.clock.now()))
        return web.json_response(answer, headers={"X-OAuth-Scopes": ",".join(self._options.scopes)})

    def _fail(self, method: str, arguments: Json, fault: Fault) -> web.Response:
        answer = {"ok": False, "error": fault.error or ("ratelimited" if fault.status == 429 else "internal_error")}
        self.calls.append(Call(method, arguments, answer, self._workspace.world.clock.now()))
        headers = {"Retry-After": str(fault.retry_after)} if fault.status == 429 else {}
        if fault.status >= 500:
            return web.Response(status=fault.status, text="upstream error")
        return web.json_response(answer, status=fault.status, headers=headers)

    def _answer(self, request: web.Request, method: str, arguments: Json) -> Json:
        try:
            if method == "apps.connections.open":
                return {"ok": True} | self._open_connection(request)
            run = METHODS.get(method)
            if run is None:
                raise SlackError("unknown_method", req_method=method)
            self._authorize(request, self._options.bot_token)
            return {"ok": True} | run(self._workspace, Arguments(arguments))
        except SlackError as error:
            return {"ok": False, "error": error.code} | error.details

    def _authorize(self, request: web.Request, token: str) -> None:
        scheme, _, given = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not given:
            raise SlackError("not_authed")
        if given == token:
            return
        known = (self._options.bot_token, self._options.app_token)
        raise SlackError("not_allowed_token_type" if given in known else "invalid_auth")

    def _open_connection(self, request: web.Request) -> Json:
        self._authorize(request, self._options.app_token)
        if self._socket_mode is None:
            raise SlackError("socket_mode_not_enabled")
        return {"url": f"ws://{request.host}/link?ticket={self._socket_mode.open_ticket()}"}

    async def respond(self, request: web.Request) -> web.Response:
        """A post to a `response_url`."""
        hook = self._workspace.world.hooks.get(request.match_info["hook"])
        if hook is None:
            return web.Response(status=404, text="no_such_hook")
        if hook.uses >= HOOK_USES or self._workspace.world.clock.now() - hook.opened_at > HOOK_SECONDS:
            return web.Response(status=404, text="used_url")
        hook.uses += 1
        with suppress(TimeoutError):
            async with asyncio.timeout(SETTLE_SECONDS):
                await hook.settled.wait()
        try:
            say(self._workspace, hook, await _arguments(request))
        except SlackError as error:
            return web.Response(status=404 if error.code == "message_not_found" else 400, text=error.code)
        return web.Response(text="ok")

    async def download(self, request: web.Request) -> web.StreamResponse:
        """A file's content, for the app's token; anyone else lands on a sign-in page, as with Slack."""
        file = self._workspace.world.files.get(request.match_info["file"])
        try:
            self._authorize(request, self._options.bot_token)
        except SlackError:
            page = "<!doctype html><title>Sign in</title><p>Sign in to see this file.</p>"
            return web.Response(text=page, content_type="text/html")
        if file is None:
            return web.Response(status=404)
        disposition = {"Content-Disposition": "attachment"}
        return web.Response(body=file.content, content_type=file.mimetype, headers=disposition)


def say(workspace: Workspace, hook: Hook, body: Json) -> None:
    """What an app says through a `response_url`, or in its acknowledgement of a command.

    Raises:
        SlackError: the body is not a message, or the message to replace is gone.
    """
    world = workspace.world
    if body.get("delete_original"):
        _withdraw(workspace, _target(workspace, hook))
        return
    text, blocks = chat.content(Arguments(body))
    if body.get("replace_original") and hook.ts:
        _replace(workspace, _target(workspace, hook), text, blocks)
        return
    message = Message(hook.channel, world.clock.next_ts(), BOT_USER, text, hook.thread_ts, blocks)
    if body.get("response_type") == "in_channel":
        workspace.post(message)
    else:
        message.only_for = hook.user
        world.add(message)
    hook.ts = hook.ts or message.ts


def _withdraw(workspace: Workspace, message: Message) -> None:
    if message.only_for:
        workspace.world.remove(message)
    else:
        workspace.delete(message)


def _replace(workspace: Workspace, message: Message, text: str, blocks: list[Json]) -> None:
    message.blocks = blocks
    number_blocks(blocks)
    if message.only_for:
        message.text = text
        workspace.world.changed(message)
    else:
        workspace.edit(message, text=text)


def _target(workspace: Workspace, hook: Hook) -> Message:
    """The message that a hook replaces or deletes: the one it came from, else the first it posted."""
    key = (hook.channel, hook.ts or "")
    found = workspace.world.ephemerals.get(key) or workspace.world.messages.get(key)
    if found is None:
        raise SlackError("message_not_found")
    return found


async def _arguments(request: web.Request) -> Json:
    """JSON body, form and query together; what is in the body wins."""
    values: Json = dict(request.query)
    if request.content_type == "application/json":
        return values | _decoded(await request.text())
    return values | {name: value for name, value in (await request.post()).items() if isinstance(value, str)}


def _decoded(text: str) -> Json:
    try:
        body = json.loads(text or "{}")
    except ValueError:
        raise SlackError("invalid_json") from None
    if not isinstance(body, dict):
        raise SlackError("json_not_object")
    return body
