"""The command line as an HTTP client: of the backend that runs, else of one that it starts for the duration."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

import aiohttp
import msgspec

from backend import schema
from backend.access import OPERATOR_HEADER
from backend.cli.recorded import operator
from backend.errors import FootnoteError
from backend.lock import owner
from backend.settings import Settings

BUSY = frozenset({429, 503})
TRIES = 5
LONGEST_PAUSE = 30.0
"""Seconds; a backend that asks for more, such as until tomorrow, is not waited for."""
START_PATIENCE = 60.0
"""Seconds to wait for a backend that is just starting."""
READ_TIMEOUT = 90.0
"""Seconds of silence on a stream, of which the backend breaks each at 15."""


class Refused(FootnoteError):
    """The backend answered with a problem; the message is its detail."""


@dataclass(frozen=True)
class Client:
    """Speaks the HTTP contract."""

    http: aiohttp.ClientSession

    async def post(self, path: str, body: Mapping[str, object]) -> bytes:
        """Return the reply to a JSON body. Refused where it is a problem; one that is busy is asked again."""
        return await self._send(path, json=dict(body))

    async def get(self, path: str, query: Mapping[str, str]) -> bytes:
        """Return the reply to a question of figures. Refused where it is a problem."""
        async with self.http.get(path, params=dict(query)) as reply:
            content = await reply.read()
            if reply.status >= 400:
                raise Refused(problem_detail(reply.status, content))
            return content

    async def delete(self, path: str, query: Mapping[str, str]) -> bytes:
        """Return the reply to a deletion. Refused where it is a problem."""
        async with self.http.delete(path, params=dict(query)) as reply:
            content = await reply.read()
            if reply.status >= 400:
                raise Refused(problem_detail(reply.status, content))
            return content

    async def upload(self, path: str, fields: Mapping[str, str], content: bytes, file_name: str) -> bytes:
        """Return the reply to a file and the fields beside it."""
        for attempt in range(TRIES):
            form = aiohttp.FormData(dict(fields))
            form.add_field("file", content, filename=file_name)
            reply = await self._try(path, attempt, data=form)
            if reply is not None:
                return reply
        raise Refused("The backend stays too busy; try again later.")

    async def events(self, body: Mapping[str, object]) -> AsyncIterator[schema.QueryStreamEvent]:
        """Yield a streamed query's events. Refused where it does not begin."""
        timeout = aiohttp.ClientTimeout(total=None, sock_read=READ_TIMEOUT)
        async with self.http.post("/query", json={**body, "stream": True}, timeout=timeout) as reply:
            if reply.status != 200:
                raise Refused(problem_detail(reply.status, await reply.read()))
            name = ""
            async for line in reply.content:
                field, _, value = line.decode().rstrip("\r\n").partition(": ")
                if field == "event":
                    name = value
                elif field == "data":
                    yield schema.decode_event(name, value)

    async def _send(self, path: str, *, json: dict[str, object]) -> bytes:
        for attempt in range(TRIES):
            reply = await self._try(path, attempt, json=json)
            if reply is not None:
                return reply
        raise Refused("The backend stays too busy; try again later.")

    async def _try(
        self, path: str, attempt: int, *, json: dict[str, object] | None = None, data: aiohttp.FormData | None = None
    ) -> bytes | None:
        """Return the reply, or None after the pause that a busy backend asks for."""
        async with self.http.post(path, json=json, data=data) as reply:
            content = await reply.read()
            pause = _pause(reply.headers.get("Retry-After"), attempt)
            if reply.status in BUSY and attempt + 1 < TRIES and pause <= LONGEST_PAUSE:
                await asyncio.sleep(pause)
                return None
            if reply.status >= 400:
                raise Refused(problem_detail(reply.status, content))
            return content


def _pause(retry_after: str | None, attempt: int) -> float:
    return float(retry_after) if retry_after and retry_after.isdigit() else 0.5 * 2**attempt


def problem_detail(status: int, content: bytes) -> str:
    """Return a problem's detail, or the status where the answer is none of ours."""
    try:
        return msgspec.json.decode(content, type=schema.Problem).detail
    except msgspec.DecodeError:
        return f"The backend answered with status {status}."


@asynccontextmanager
async def connected(settings: Settings, url: str | None) -> AsyncIterator[Client]:
    """Yield a client of the backend at `url`, of the one that owns the data folder, or of one of our own.

    Raises:
        FootnoteError, SettingsError: there is none and none can be started.
    """
    url = url or os.environ.get("FOOTNOTE_BACKEND_URL")
    async with AsyncExitStack() as stack:
        lock = settings.data_dir.resolve() / "lock"
        if url is None and owner(lock) is None:
            from backend.server import running

            url = await stack.enter_async_context(running(settings))
        elif url is None:
            url = await _announced(settings)
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=10)
        headers = {"X-API-Key": _key(settings), OPERATOR_HEADER: operator()}
        http = aiohttp.ClientSession(url, headers=headers, timeout=timeout, raise_for_status=False)
        client = Client(await stack.enter_async_context(http))
        try:
            yield client
        except aiohttp.ClientConnectionError as error:
            raise Refused(f"The backend at {url} cannot be reached: {type(error).__name__}.") from error


async def _announced(settings: Settings) -> str:
    """Return where the owner of the data folder answers, waiting for one that is starting."""
    lock = settings.data_dir.resolve() / "lock"
    for _ in range(int(START_PATIENCE / 0.2)):
        if url := owner(lock):
            return url
        await asyncio.sleep(0.2)
    raise Refused("Another Footnote backend holds the data folder, but does not get ready.")


def _key(settings: Settings) -> str:
    """Return a configured key, else the one that the backend made in the data folder."""
    if settings.api_key is not None:
        return settings.api_key.get_secret_value()
    configured = [text.partition(":") for text in settings.api_keys]
    for roles, _, key in configured:
        if "admin" in roles.split("+"):
            return key
    path = settings.data_dir.resolve() / "api-key"
    return path.read_text().strip() if path.exists() else ""


def body_of(**fields: object) -> dict[str, object]:
    """Return a request's body without what was not given."""
    return {name: value for name, value in fields.items() if value not in (None, "", [], {})}


def as_json(reply: bytes) -> str:
    """Return a reply indented, for people."""
    return json.dumps(json.loads(reply), indent=2, ensure_ascii=False)
