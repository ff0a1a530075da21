"""The backend as the bot sees it: typed requests out, typed events in. The only place that knows its HTTP."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from contextlib import aclosing, asynccontextmanager
from typing import IO, Literal, TypeVar
from urllib.parse import quote

import aiohttp
import msgspec

from backend.schema import (
    LIMITS,
    Citation,
    Collection,
    CollectionReply,
    CollectionRequest,
    Document,
    DocumentsReply,
    DoneEvent,
    FailedEvent,
    FeedbackRequest,
    GapsReply,
    GapsRequest,
    HealthReply,
    IngestReply,
    IngestRequest,
    Notice,
    NoticesReply,
    Passage,
    Problem,
    PromptsReply,
    QueryRequest,
    QueryStreamEvent,
    decode_event,
)
from backend.tracing import side_span

Reply = TypeVar("Reply")

TIMEOUT = aiohttp.ClientTimeout(total=30, connect=5, sock_connect=5)
UPLOAD_TIMEOUT = aiohttp.ClientTimeout(total=300, connect=5, sock_connect=5)
STREAM_TIMEOUT = aiohttp.ClientTimeout(total=None, connect=5, sock_connect=5, sock_read=45)
"""The backend sends a comment every 15 seconds, so three missed ones mean that it is gone."""
DOWN = {429, 502, 503, 504}


class BackendUnavailable(Exception):
    """The backend cannot be reached or cannot serve now; worth a retry."""


class BackendProblem(Exception):
    """The backend refused; the problem's `detail` is a plain sentence for a person."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.detail or problem.title)
        self.problem = problem


class EventParser:
    """Server-sent events, without I/O: feed bytes, get `(name, data)` of each event that they complete.

    Follows the WHATWG rules that matter here: LF, CRLF and CR end lines, a blank line ends an event, a leading space of
    a value is dropped, lines that begin with a colon are comments, events without data do not exist.
    """

    def __init__(self) -> None:
        self._buffer = b""
        self._name = ""
        self._data: list[str] = []

    def feed(self, received: bytes) -> list[tuple[str, str]]:
        self._buffer += received
        held = b"\r" if self._buffer.endswith(b"\r") else b""  # the LF of a CRLF may still come
        text = self._buffer.removesuffix(held).replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        *lines, rest = text.split(b"\n")
        self._buffer = rest + held
        return [event for line in lines if (event := self._line(line.decode())) is not None]

    def _line(self, line: str) -> tuple[str, str] | None:
        if not line:
            return self._finish()
        field, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if field == "event":
            self._name = value
        elif field == "data":
            self._data.append(value)
        return None

    def _finish(self) -> tuple[str, str] | None:
        name, data = self._name or "message", self._data
        self._name, self._data = "", []
        return (name, "\n".join(data)) if data else None


class Part(msgspec.Struct, frozen=True):
    """How one part of the backend does, and what to do about it."""

    status: Literal["ok", "down"]
    verdict: Literal["healthy", "degraded", "unhealthy"] = "healthy"
    advice: str = ""
    detail: str = ""


class Health(msgspec.Struct, frozen=True):
    """`verdict` is the worst of the parts'."""

    verdict: Literal["healthy", "degraded", "unhealthy"]
    components: dict[str, Part] = {}


class Share(msgspec.Struct, frozen=True):
    """`hits` of `of`."""

    hits: int
    of: int


class Figures(msgspec.Struct, frozen=True):
    """How many questions there were in some days, what came of them, and how many of the rated answers were liked."""

    days: int
    runs: int
    outcomes: dict[str, int]
    liked: Share


class Asked(msgspec.Struct, frozen=True):
    text: str


class Trace(msgspec.Struct, frozen=True):
    """What a run was asked and what came of it, as far as we read its trace."""

    run_id: str
    question: Asked
    outcome: str
    answer: str = ""
    citations: tuple[Citation, ...] = ()
    passages: tuple[Passage, ...] = ()


class Backend:
    """`api_key` is asked before each request, because the backend may write its key after the bot has started."""

    def __init__(self, session: aiohttp.ClientSession, url: str, api_key: Callable[[], str | None]) -> None:
        self._session = session
        self._url = url
        self._api_key = api_key

    async def query(self, request: QueryRequest) -> AsyncGenerator[QueryStreamEvent, None]:
        """Yield the events of a run, the last of which is `DoneEvent` or `FailedEvent`. Closing it hangs up.

        Raises:
            BackendUnavailable: it is down, or the stream broke off.
            BackendProblem: it refused the request.
        """
        async with (
            self._request("POST", "/query", body=request, timeout=STREAM_TIMEOUT) as response,
            aclosing(_events(response)) as events,
        ):
            async for event in events:
                yield event
                if isinstance(event, DoneEvent | FailedEvent):
                    return
        raise BackendUnavailable("the stream broke off")

    async def run(self, run_id: str) -> Trace:
        return await self._call("GET", f"/runs/{_segment(run_id)}", Trace)

    async def ingest(self, request: IngestRequest) -> IngestReply:
        return await self._call("POST", "/ingest", IngestReply, body=request)

    async def ingest_file(self, request: IngestRequest, content: IO[bytes], *, name: str, mimetype: str) -> IngestReply:
        """Hand a file in, streamed, as a form with the fields of `request` beside it. Closes `content`."""
        form = _form(request, content, name, mimetype)
        async with self._request("POST", "/ingest", form=form, timeout=UPLOAD_TIMEOUT) as response:
            return await _decoded(response, IngestReply)

    async def collect(self, request: CollectionRequest) -> CollectionReply:
        return await self._call("POST", "/collections", CollectionReply, body=request)

    async def collect_file(
        self, request: CollectionRequest, content: IO[bytes], *, name: str, mimetype: str
    ) -> CollectionReply:
        """Hand an archive in, as `ingest_file` does a document. Closes `content`."""
        form = _form(request, content, name, mimetype)
        async with self._request("POST", "/collections", form=form, timeout=UPLOAD_TIMEOUT) as response:
            return await _decoded(response, CollectionReply)

    async def collection(self, team: str, collection_id: str) -> Collection:
        return await self._call("GET", f"/collections/{_segment(collection_id)}", Collection, query={"team": team})

    async def cancel_collection(self, team: str, collection_id: str, *, by: str = "") -> None:
        """Cancel a collection; `by` is who wants it, for the backend's audit log, here and below."""
        query = {"team": team, "by": by}
        async with self._request("DELETE", f"/collections/{_segment(collection_id)}", query=query):
            pass

    async def documents(
        self, team: str, *, text: str = "", limit: int = 50, cursor: str | None = None
    ) -> DocumentsReply:
        """List the team's documents, newest update first, whatever their visibility: the caller filters."""
        query = {"team": team, "q": text, "limit": str(limit), "cursor": cursor or ""}
        return await self._call("GET", "/documents", DocumentsReply, query=query)

    async def document(self, team: str, document_id: str) -> Document:
        return await self._call("GET", f"/documents/{_segment(document_id)}", Document, query={"team": team})

    async def remove(self, team: str, document_id: str, *, by: str = "") -> None:
        query = {"team": team, "by": by}
        async with self._request("DELETE", f"/documents/{_segment(document_id)}", query=query):
            pass

    async def refresh(self, team: str, document_id: str, *, by: str = "") -> IngestReply:
        path = f"/documents/{_segment(document_id)}/refresh"
        return await self._call("POST", path, IngestReply, query={"team": team, "by": by})

    async def notices(self, team: str) -> tuple[Notice, ...]:
        """Return what people are to be told."""
        return (await self._call("GET", "/notices", NoticesReply, query={"team": team})).notices

    async def strike_notice(self, team: str, notice_id: str) -> None:
        """Say that a notice was told; one that is struck off already is as good."""
        try:
            async with self._request("DELETE", f"/notices/{_segment(notice_id)}", query={"team": team}):
                pass
        except BackendProblem as error:
            if error.problem.status != 404:
                raise

    async def rate(self, feedback: FeedbackRequest) -> None:
        async with self._request("POST", "/feedback", body=feedback):
            pass

    async def unrate(self, run_id: str, user: str, kind: str) -> None:
        async with self._request("DELETE", "/feedback", query={"run_id": run_id, "user": user, "kind": kind}):
            pass

    async def health(self) -> Health:
        """Return how each part does. BackendProblem where our key has no admin role."""
        return await self._call("GET", "/health/detailed", Health)

    async def figures(self, team: str, days: int) -> Figures:
        """Return the figures of the last days. BackendProblem where our key has no admin role."""
        return await self._call("GET", "/insights", Figures, query={"team": team, "days": str(days)})

    async def gaps(self, request: GapsRequest) -> GapsReply:
        """Return what the documents lack. BackendProblem where our key has no admin role."""
        return await self._call("POST", "/gaps", GapsReply, body=request)

    async def prompts(self) -> tuple[str, ...]:
        """Return the prompts that can write answers, the default first; none where answers are only quoted."""
        return (await self._call("GET", "/prompts", PromptsReply)).prompts

    async def is_up(self) -> bool:
        try:
            return (await self._call("GET", "/health", HealthReply)).status == "ok"
        except (BackendUnavailable, BackendProblem):
            return False

    async def _call(
        self,
        method: str,
        path: str,
        shape: type[Reply],
        *,
        body: msgspec.Struct | None = None,
        query: Mapping[str, str] | None = None,
    ) -> Reply:
        async with self._request(method, path, body=body, query=query) as response:
            return await _decoded(response, shape)

    @asynccontextmanager
    async def _request(
        self,
        method: str,
        path: str,
        *,
        body: msgspec.Struct | None = None,
        form: aiohttp.FormData | None = None,
        query: Mapping[str, str] | None = None,
        timeout: aiohttp.ClientTimeout = TIMEOUT,  # noqa: ASYNC109 - handed to aiohttp, which owns the deadline
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        headers = {"X-API-Key": self._api_key() or ""}
        named = {"http.request.method": method, "server.address": self._url}
        if form is None:
            headers["Content-Type"] = "application/json"
        content = form if body is None else msgspec.json.encode(body)
        given = {name: value for name, value in (query or {}).items() if value}
        try:
            with side_span(f"{method} /{path.split('/')[1]}", named, kind="client") as span:
                headers |= span.carried()
                async with self._session.request(
                    method, self._url + path, data=content, params=given, headers=headers, timeout=timeout
                ) as response:
                    await _raise_for_status(response)
                    yield response
        except (aiohttp.ClientError, TimeoutError) as error:
            raise BackendUnavailable(type(error).__name__) from error


def _form(request: msgspec.Struct, content: IO[bytes], name: str, mimetype: str) -> aiohttp.FormData:
    form = aiohttp.FormData()
    for field, value in msgspec.structs.asdict(request).items():
        if value not in (None, {}):
            form.add_field(field, value if isinstance(value, str) else msgspec.json.encode(value).decode())
    form.add_field("file", content, filename=name, content_type=mimetype or "application/octet-stream")
    return form


async def _decoded(response: aiohttp.ClientResponse, shape: type[Reply]) -> Reply:
    try:
        return msgspec.json.decode(await response.read(), type=shape)
    except msgspec.DecodeError as error:
        raise BackendUnavailable(f"not a reply of ours: {error}") from None


async def _raise_for_status(response: aiohttp.ClientResponse) -> None:
    if response.status < 400:
        return
    content = await response.read()
    problem = _problem(response.status, content)
    if response.status in DOWN and problem.type not in LIMITS:
        raise BackendUnavailable(f"status {response.status}")
    raise BackendProblem(problem)


def _problem(status: int, content: bytes) -> Problem:
    try:
        return msgspec.json.decode(content, type=Problem)
    except msgspec.DecodeError:
        detail = f"The document service answered with status {status}."
        return Problem(title="Problem", status=status, detail=detail)


async def _events(response: aiohttp.ClientResponse) -> AsyncGenerator[QueryStreamEvent, None]:
    parser = EventParser()
    async for received in response.content.iter_any():
        for name, data in parser.feed(received):
            try:
                yield decode_event(name, data)
            except ValueError as error:
                raise BackendUnavailable(str(error)) from None


def _segment(document_id: str) -> str:
    """Escape an id for a path: it may be a URL."""
    return quote(document_id, safe="")
