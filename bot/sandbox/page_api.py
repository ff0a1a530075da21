"""The page and its HTTP: act for a person, see the state, and follow it live."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

from aiohttp import WSMsgType, web

from bot.sandbox.arguments import Arguments
from bot.sandbox.outbox import NotDelivered
from bot.sandbox.people import People
from bot.sandbox.snapshot import delta, snapshot
from bot.sandbox.values import GENERAL, Json, SlackError
from bot.sandbox.workspace import Workspace

PAGE = Path(__file__).parent / "page"
MAX_UPLOAD = 100 * 1024 * 1024
RESHAPES = ("channel", "user")
"""Changes after which a follower gets everything anew."""

Action = Callable[[Arguments], Awaitable[Json]]


class PageApi:
    """Serves `/`, `/page/*` and `/sandbox/*`."""

    def __init__(self, workspace: Workspace, people: People) -> None:
        self._workspace = workspace
        self._people = people
        self._followers: set[web.WebSocketResponse] = set()

    def routes(self) -> list[web.AbstractRouteDef]:
        actions: dict[str, Action] = {
            "messages": self._write,
            "edits": self._edit,
            "deletions": self._delete,
            "commands": self._command,
            "reactions": self._react,
            "actions": self._act,
            "shortcuts": self._shortcut,
            "submissions": self._submit,
            "closings": self._close_view,
            "home": self._home,
            "stops": self._stop,
            "joins": self._join,
            "leaves": self._leave,
            "archives": self._archive,
        }
        return [
            web.get("/", self._index),
            web.static("/page", PAGE),
            web.get("/sandbox/state", self._state),
            web.get("/sandbox/live", self._live),
            web.post("/sandbox/files", self._upload),
            *(web.post(f"/sandbox/{name}", serve(action)) for name, action in actions.items()),
        ]

    async def close(self) -> None:
        for follower in list(self._followers):
            await follower.close()

    async def _index(self, _request: web.Request) -> web.StreamResponse:
        return web.FileResponse(PAGE / "index.html")

    async def _state(self, request: web.Request) -> web.Response:
        return web.json_response(self._snapshot(request.query.get("user")))

    def _snapshot(self, user: str | None) -> Json:
        connected = self._workspace.outbox.carrier.is_connected
        return snapshot(self._workspace.world, user, connected=connected)

    async def _live(self, request: web.Request) -> web.StreamResponse:
        """A WebSocket: first everything that `user` sees, then each change; a slow reader gets the latest of each."""
        socket = web.WebSocketResponse(heartbeat=30)
        await socket.prepare(request)
        changes: asyncio.Queue[Json] = asyncio.Queue()
        self._workspace.world.watchers.append(changes.put_nowait)
        self._followers.add(socket)
        feeding = asyncio.create_task(self._feed(socket, request.query.get("user"), changes))
        try:
            async for message in socket:
                if message.type is WSMsgType.ERROR:
                    break
        finally:
            self._workspace.world.watchers.remove(changes.put_nowait)
            self._followers.discard(socket)
            feeding.cancel()
            await asyncio.gather(feeding, return_exceptions=True)
        return socket

    async def _feed(self, socket: web.WebSocketResponse, user: str | None, changes: asyncio.Queue[Json]) -> None:
        await socket.send_json({"type": "snapshot", "state": self._snapshot(user)})
        while True:
            for change in await latest(changes):
                if change["type"] in RESHAPES:
                    await socket.send_json({"type": "snapshot", "state": self._snapshot(user)})
                elif (seen := delta(self._workspace.world, user, change)) is not None:
                    await socket.send_json(seen)

    async def _write(self, body: Arguments) -> Json:
        message = self._people.write(
            channel=body.need("channel"),
            user=body.need("user"),
            text=body.need("text"),
            thread_ts=body.text("thread_ts") or None,
        )
        return {"ts": message.ts, "thread_ts": message.thread_ts}

    async def _edit(self, body: Arguments) -> Json:
        place = {name: body.need(name) for name in ("channel", "user", "ts", "text")}
        return {"ts": self._people.edit(**place).ts}

    async def _delete(self, body: Arguments) -> Json:
        self._people.delete(channel=body.need("channel"), user=body.need("user"), ts=body.need("ts"))
        return {}

    async def _command(self, body: Arguments) -> Json:
        await self._people.command(
            channel=body.need("channel"),
            user=body.need("user"),
            command=body.need("command"),
            text=body.text("text"),
            thread_ts=body.text("thread_ts") or None,
        )
        return {}

    async def _react(self, body: Arguments) -> Json:
        place = {name: body.need(name) for name in ("channel", "user", "ts", "name")}
        self._people.react(**place, add=body.flag("add") is not False)
        return {}

    async def _act(self, body: Arguments) -> Json:
        await self._people.act(
            user=body.need("user"),
            action_id=body.need("action_id"),
            channel=body.text("channel"),
            ts=body.text("ts"),
            view_id=body.text("view_id"),
            block_id=body.text("block_id") or None,
            value=body.text("value") if "value" in body else None,
            chosen=body.mapping("chosen"),
        )
        return {}

    async def _shortcut(self, body: Arguments) -> Json:
        place = {"channel": body.text("channel"), "ts": body.text("ts")}
        await self._people.shortcut(user=body.need("user"), callback_id=body.need("callback_id"), **place)
        return {}

    async def _submit(self, body: Arguments) -> Json:
        values = body.mapping("values") or {}
        errors = await self._people.submit(user=body.need("user"), view_id=body.need("view_id"), values=values)
        return {"errors": errors}

    async def _close_view(self, body: Arguments) -> Json:
        await self._people.close_view(user=body.need("user"), view_id=body.need("view_id"))
        return {}

    async def _home(self, body: Arguments) -> Json:
        self._people.open_home(user=body.need("user"), tab=body.text("tab", "home"))
        return {}

    async def _join(self, body: Arguments) -> Json:
        """Join a public channel, or bring `who` into one that you are in."""
        user, channel = body.need("user"), body.need("channel")
        if "who" in body:
            self._people.invite(channel=channel, user=user, who=body.need("who"))
        else:
            self._people.join(channel=channel, user=user)
        return {}

    async def _leave(self, body: Arguments) -> Json:
        if body.need("channel") == GENERAL:
            raise SlackError("cant_leave_general")
        self._people.leave(channel=body.need("channel"), user=body.need("user"))
        return {}

    async def _archive(self, body: Arguments) -> Json:
        archived = body.flag("archived") is not False
        self._people.archive(channel=body.need("channel"), user=body.need("user"), archived=archived)
        return {}

    async def _stop(self, body: Arguments) -> Json:
        place = {name: body.need(name) for name in ("channel", "user", "thread_ts")}
        self._people.stop(**place)
        return {}

    async def _upload(self, request: web.Request) -> web.Response:
        """A multipart form: `channel`, `user`, `file`, and perhaps `text` and `thread_ts`."""
        form = await request.post()
        file = form.get("file")
        if not isinstance(file, web.FileField):
            return web.json_response({"error": "no_file"}, status=400)
        fields = Arguments({name: value for name, value in form.items() if isinstance(value, str)})
        content = file.file.read()
        try:
            message = self._people.upload(
                channel=fields.need("channel"),
                user=fields.need("user"),
                name=Path(file.filename).name,
                mimetype=file.content_type,
                content=content,
                text=fields.text("text"),
                thread_ts=fields.text("thread_ts") or None,
            )
        except SlackError as error:
            return refused(error)
        return web.json_response({"ts": message.ts})


async def latest(changes: asyncio.Queue[Json]) -> list[Json]:
    """At least one change, and what else waits, each thing that changed only once."""
    waiting = [await changes.get()]
    while not changes.empty():
        waiting.append(changes.get_nowait())
    return list({repr(sorted(change.items())): change for change in waiting}.values())


def refused(error: SlackError) -> web.Response:
    return web.json_response({"error": error.code} | error.details, status=400)


def serve(action: Action) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    """An endpoint that takes and gives JSON. 400: Slack says no. 504: the app did not answer."""

    async def handle(request: web.Request) -> web.StreamResponse:
        if request.content_type != "application/json":
            return web.json_response({"error": "send application/json"}, status=415)
        try:
            body = await request.json()
            return web.json_response(await action(Arguments(body if isinstance(body, dict) else {})))
        except ValueError:
            return web.json_response({"error": "invalid_json"}, status=400)
        except SlackError as error:
            return refused(error)
        except NotDelivered as error:
            return web.json_response({"error": "app_did_not_respond", "reason": error.reason}, status=504)

    return handle
