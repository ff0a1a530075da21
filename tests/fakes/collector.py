"""An OpenTelemetry collector on loopback: takes spans over OTLP/HTTP and keeps them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from aiohttp import web
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest


@dataclass(frozen=True)
class Taken:
    """A span as it arrived. Ids are hexadecimal; `parent` is "" for the first of its trace."""

    service: str
    name: str
    trace: str
    id: str
    parent: str
    error: bool
    attributes: dict[str, str]


@dataclass
class Collector:
    url: str
    spans: list[Taken] = field(default_factory=list)

    def named(self, name: str) -> list[Taken]:
        return [span for span in self.spans if span.name == name]

    async def take(self, request: web.Request) -> web.Response:
        batch = ExportTraceServiceRequest.FromString(await request.read())
        for resource in batch.resource_spans:
            about = {one.key: one.value.string_value for one in resource.resource.attributes}
            for scope in resource.scope_spans:
                self.spans += [
                    Taken(
                        service=about["service.name"],
                        name=span.name,
                        trace=span.trace_id.hex(),
                        id=span.span_id.hex(),
                        parent=span.parent_span_id.hex(),
                        error=span.status.code == 2,
                        attributes={one.key: str(one.value) for one in span.attributes},
                    )
                    for span in scope.spans
                ]
        return web.Response(body=b"", content_type="application/x-protobuf")


@asynccontextmanager
async def collector() -> AsyncIterator[Collector]:
    """Serve until the block ends."""
    taken = Collector("")
    app = web.Application(client_max_size=64_000_000)
    app.router.add_post("/v1/traces", taken.take)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    taken.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield taken
    finally:
        await runner.cleanup()
