"""A backend on a real port that speaks the contract from a script: answers, failures, hang-ups, and being down."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TypeVar

import msgspec
from aiohttp import web

from backend.schema import (
    LIMIT_REACHED,
    TOO_FAST,
    Citation,
    CitationsEvent,
    Collection,
    CollectionFailure,
    CollectionReply,
    CollectionRequest,
    CollectionStatus,
    DeltaEvent,
    Document,
    DocumentsReply,
    DoneEvent,
    FeedbackReply,
    FeedbackRequest,
    GapsReply,
    GapsRequest,
    HealthReply,
    IngestReply,
    IngestRequest,
    KnowledgeGap,
    Notice,
    NoticesReply,
    Passage,
    PassagesEvent,
    Problem,
    PromptsReply,
    QueryRequest,
    QueryStreamEvent,
    RunMetadata,
    StatusEvent,
    encode_event,
)

Script = Callable[[QueryRequest], Sequence[QueryStreamEvent | float]]
"""What to send for a query; a number is a pause in seconds."""

Shape = TypeVar("Shape")

LEAVE = "https://handbook.example/leave"


def citation(n: int = 1, quote: str = "Parents get twenty weeks of paid leave.") -> Citation:
    return Citation(n=n, document_id="leave", title="Leave", url=LEAVE, quote=quote, heading="Parental leave")


def passage(document_id: str = "leave", title: str = "Leave", url: str = LEAVE) -> Passage:
    return Passage(chunk_id=f"{document_id}:0", document_id=document_id, title=title, url=url, text="…", score=0.5)


def answered(*sentences: str, run_id: str = "run-1", pause: float = 0.0) -> Script:
    """Answer with these sentences, pausing before each but the first."""

    def script(request: QueryRequest) -> Sequence[QueryStreamEvent | float]:
        events: list[QueryStreamEvent | float] = [StatusEvent("retrieve"), PassagesEvent((passage(),))]
        for number, sentence in enumerate(sentences or ("Parents get twenty weeks [1].",)):
            events += [pause] if number and pause else []
            events.append(DeltaEvent(sentence))
        return [*events, CitationsEvent((citation(),)), DoneEvent(run_id, "answered", RunMetadata())]

    return script


def abstained(run_id: str = "run-0") -> Script:
    return lambda request: [PassagesEvent((passage(),)), DoneEvent(run_id, "abstained", RunMetadata())]


@dataclass
class FakeBackend:
    """`mode`: `up`; `down` answers 503 to everything; `limited` 429 to questions; `hang_up` breaks streams off before
    their end."""

    url: str = ""
    script: Script = field(default_factory=lambda: answered())
    mode: str = "up"
    queries: list[QueryRequest] = field(default_factory=list)
    feedback: dict[tuple[str, str, str], int] = field(default_factory=dict)
    comments: dict[tuple[str, str, str], str] = field(default_factory=dict)
    runs: dict[str, dict[str, object]] = field(default_factory=dict)
    """The traces of runs, by id: each query leaves one."""
    documents: dict[str, Document] = field(default_factory=dict)
    ingested: list[IngestRequest] = field(default_factory=list)
    files: list[tuple[str, bytes]] = field(default_factory=list)
    """The name and the content of each file that was handed in."""
    collected: list[CollectionRequest] = field(default_factory=list)
    stages: tuple[Collection, ...] = ()
    """What a collection shows, one per look; the last one from then on."""
    steps: tuple[str, ...] = ("processing", "ready")
    """The statuses that a document shows, one per look."""
    notices: dict[str, Notice] = field(default_factory=dict)
    looks_for_notices: int = 0
    parts: dict[str, dict[str, str]] = field(default_factory=dict)
    """What `/health/detailed` says of the parts, by name; "refused" instead: the bot's key may not see it."""
    prompts: tuple[str, ...] = ()
    lacking: tuple[KnowledgeGap, ...] = ()
    gaps_asked: list[GapsRequest] = field(default_factory=list)
    hung_up: int = 0
    """How many streams the client left early."""

    async def query(self, request: web.Request) -> web.StreamResponse:
        question = msgspec.json.decode(await request.read(), type=QueryRequest)
        self.queries.append(question)
        if self.mode == "limited":
            return _problem(429, "You have asked a lot in a short time. Please ask again in 20 s.", TOO_FAST)
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        try:
            await self._send(response, question)
        except (ConnectionResetError, asyncio.CancelledError):
            self.hung_up += 1
            raise
        return response

    async def _send(self, response: web.StreamResponse, question: QueryRequest) -> None:
        trace: dict[str, object] = {"question": {"text": question.question}, "answer": ""}
        await response.write(b": hello\n\n")
        for event in self.script(question):
            self._note(trace, event)
            if isinstance(event, float | int):
                await asyncio.sleep(event)
            elif self.mode == "hang_up" and isinstance(event, DoneEvent):
                return
            else:
                name, data = encode_event(event)
                await response.write(f"event: {name}\ndata: ".encode() + data + b"\n\n")

    def _note(self, trace: dict[str, object], event: QueryStreamEvent | float) -> None:
        """Keep what a query does as the trace of its run."""
        match event:
            case PassagesEvent():
                trace["passages"] = msgspec.to_builtins(event.passages)
            case CitationsEvent():
                trace["citations"] = msgspec.to_builtins(event.citations)
            case DeltaEvent():
                trace["answer"] = f"{trace['answer']}{event.text}"
            case DoneEvent():
                self.runs[event.run_id] = trace | {"run_id": event.run_id, "outcome": event.outcome}
            case _:
                pass

    async def run(self, request: web.Request) -> web.Response:
        trace = self.runs.get(request.match_info["id"])
        return web.json_response(trace) if trace else _problem(404, "There is no such run.")

    async def ingest(self, request: web.Request) -> web.Response:
        asked = await self._asked(request, IngestRequest)
        self.ingested.append(asked)
        document_id = asked.id or asked.url or (self.files[-1][0] if self.files else "text")
        if "forbidden" in document_id:
            return _problem(422, "That address is private, so I do not fetch it.")
        if "one-too-many" in document_id:
            return _problem(429, "Your team has added 3 documents today.", LIMIT_REACHED)
        self.documents.setdefault(
            document_id,
            document(document_id, title=asked.title or document_id, url=asked.url or "", visibility=asked.visibility),
        )
        return _json(IngestReply(document_id, "queued"), 202)

    async def collect(self, request: web.Request) -> web.Response:
        asked = await self._asked(request, CollectionRequest)
        if "forbidden" in (asked.url or ""):
            return _problem(422, "That address is private, so I do not fetch it.")
        self.collected.append(asked)
        return _json(CollectionReply("col-1", "queued"), 202)

    async def collection(self, request: web.Request) -> web.Response:
        if request.method == "DELETE":
            self.stages = (
                msgspec.structs.replace(self.stages[0], status="cancelled", counts={"ready": 1, "deleted": 2}),
            )
            return _json(CollectionReply("col-1", "cancelled"))
        shown, *rest = self.stages
        self.stages = tuple(rest) or (shown,)
        return _json(shown)

    async def _asked(self, request: web.Request, shape: type[Shape]) -> Shape:
        if request.content_type != "multipart/form-data":
            return msgspec.json.decode(await request.read(), type=shape)
        form = dict(await request.post())
        file = form.pop("file")
        assert isinstance(file, web.FileField)
        self.files.append((file.filename, file.file.read()))
        metadata = msgspec.json.decode(str(form.pop("metadata", "{}")))
        return msgspec.convert({**form, "metadata": metadata}, shape, strict=False)

    async def one(self, request: web.Request) -> web.Response:
        document_id = request.match_info["id"]
        found = self.documents.get(document_id)
        if found is None:
            return _problem(404, "There is no such document.")
        if request.method == "DELETE":
            del self.documents[document_id]
            return web.Response(status=204)
        looks = self.steps.index(found.status) + 1 if found.status in self.steps else 0
        status = self.steps[min(looks, len(self.steps) - 1)]
        self.documents[document_id] = msgspec.structs.replace(found, status=status)
        return _json(self.documents[document_id])

    async def all(self, request: web.Request) -> web.Response:
        text = request.query.get("q", "").lower()
        found = [d for d in self.documents.values() if text in d.title.lower()]
        return _json(DocumentsReply(tuple(found)))

    async def refresh(self, request: web.Request) -> web.Response:
        return _json(IngestReply(request.match_info["id"], "queued"), 202)

    async def list_notices(self, request: web.Request) -> web.Response:
        self.looks_for_notices += 1
        return _json(NoticesReply(tuple(self.notices.values())))

    async def strike_notice(self, request: web.Request) -> web.Response:
        if self.notices.pop(request.match_info["id"], None) is None:
            return _problem(404, "There is no such notice.")
        return web.Response(status=204)

    async def rate(self, request: web.Request) -> web.Response:
        given = msgspec.json.decode(await request.read(), type=FeedbackRequest)
        self.feedback[given.run_id, given.user, given.kind] = given.rating
        self.comments[given.run_id, given.user, given.kind] = given.comment
        return _json(FeedbackReply(given.run_id, True))

    async def unrate(self, request: web.Request) -> web.Response:
        query = request.query
        self.feedback.pop((query["run_id"], query["user"], query["kind"]), None)
        return _json(FeedbackReply(query["run_id"], True))

    async def health(self, request: web.Request) -> web.Response:
        return _json(HealthReply("ok", 1.0, "1", True))

    async def detailed(self, request: web.Request) -> web.Response:
        if "refused" in self.parts:
            return _problem(403, "This needs a key with the role admin.")
        verdicts = [part.get("verdict", "healthy") for part in self.parts.values()]
        worst = next((one for one in ("unhealthy", "degraded") if one in verdicts), "healthy")
        parts = {name: {"status": "ok", **part} for name, part in self.parts.items()}
        return web.json_response({"status": "ok", "verdict": worst, "components": parts})

    async def gaps(self, request: web.Request) -> web.Response:
        asked = msgspec.json.decode(await request.read(), type=GapsRequest)
        self.gaps_asked.append(asked)
        return _json(GapsReply(asked.days, 40, self.lacking))

    async def insights(self, request: web.Request) -> web.Response:
        outcomes = {"answered": 30, "abstained": 9, "failed": 1}
        figures = {"runs": 40, "outcomes": outcomes, "liked": {"hits": 11, "of": 12, "share": 0.9}}
        return web.json_response({"team": "local", "days": int(request.query["days"]), **figures})

    async def list_prompts(self, request: web.Request) -> web.Response:
        return _json(PromptsReply(self.prompts))

    @web.middleware
    async def guard(self, request: web.Request, handler: Callable[[web.Request], object]) -> web.StreamResponse:
        if self.mode == "down":
            return _problem(503, "The index cannot be reached.")
        if request.headers.get("X-API-Key") != "key":
            return _problem(401, "Unknown key.")
        return await handler(request)  # type: ignore[misc, no-any-return]


def document(document_id: str, *, title: str = "", url: str = "", visibility: str = "team") -> Document:
    return Document(
        document_id=document_id,
        team="local",
        title=title or document_id,
        url=url,
        visibility=visibility,
        status="queued",
        reason="",
        chunks=3,
        created_at="2026-11-20T00:00:00Z",
        updated_at="2026-11-20T00:00:00Z",
        metadata={},
    )


def collection(status: CollectionStatus, found: int = 0, reason: str = "", **counts: int) -> Collection:
    return Collection(
        collection_id="col-1",
        team="local",
        url="https://docs.example/",
        kind="site",
        limit=50,
        visibility="team",
        status=status,
        reason=reason,
        found=found,
        counts=counts,
        failures=(CollectionFailure("d", "https://docs.example/x", "It needs a login."),) if "failed" in counts else (),
        created_at="2026-11-20T00:00:00Z",
        updated_at="2026-11-20T00:00:00Z",
    )


def _json(value: msgspec.Struct, status: int = 200) -> web.Response:
    return web.Response(body=msgspec.json.encode(value), status=status, content_type="application/json")


def _problem(status: int, detail: str, type_: str = "about:blank") -> web.Response:
    problem = Problem(title="Problem", status=status, detail=detail, run_id="run-x", type=type_)
    return web.Response(body=msgspec.json.encode(problem), status=status, content_type="application/problem+json")


@asynccontextmanager
async def open_backend(port: int = 0) -> AsyncIterator[FakeBackend]:
    backend = FakeBackend()
    app = web.Application(middlewares=[backend.guard], client_max_size=100_000_000)
    app.router.add_post("/query", backend.query)
    app.router.add_post("/ingest", backend.ingest)
    app.router.add_get("/documents", backend.all)
    app.router.add_route("*", "/documents/{id}", backend.one)
    app.router.add_post("/documents/{id}/refresh", backend.refresh)
    app.router.add_get("/notices", backend.list_notices)
    app.router.add_delete("/notices/{id}", backend.strike_notice)
    app.router.add_post("/collections", backend.collect)
    app.router.add_route("*", "/collections/{id}", backend.collection)
    app.router.add_get("/runs/{id}", backend.run)
    app.router.add_post("/feedback", backend.rate)
    app.router.add_delete("/feedback", backend.unrate)
    app.router.add_get("/health", backend.health)
    app.router.add_get("/health/detailed", backend.detailed)
    app.router.add_post("/gaps", backend.gaps)
    app.router.add_get("/prompts", backend.list_prompts)
    app.router.add_get("/insights", backend.insights)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.5, handler_cancellation=True)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", port)
        await site.start()
        backend.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        yield backend
    finally:
        await runner.cleanup()
