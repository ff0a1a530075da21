"""Traces by OpenTelemetry, sent over OTLP/HTTP: an option (`footnote[otel]`), on where an endpoint is set."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

from loguru import logger
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter
from opentelemetry.trace import SpanKind, Status, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from backend.tracing import TRACEPARENT, Attributes, Kind, tracing_with

SEND_SECONDS = 5.0
"""The longest that sending one batch may take; spans that cannot be sent are dropped."""
PATIENCE_MS = 5_000
"""How long the end of a process waits for what is still to be sent."""

_KINDS = {kind.name.lower(): kind for kind in SpanKind}
_CONTEXT = TraceContextTextMapPropagator()


class OtelSpan:
    """tracing.OpenSpan over a span of OpenTelemetry's."""

    def __init__(self, span: trace.Span) -> None:
        self._span = span

    def note(self, attributes: Attributes) -> None:
        self._span.set_attributes(dict(attributes))

    def rename(self, name: str) -> None:
        self._span.update_name(name)

    def failed(self, kind: str) -> None:
        self._span.set_attribute("error.type", kind)
        self._span.set_status(Status(StatusCode.ERROR))

    def carried(self) -> dict[str, str]:
        return _carrier(trace.set_span_in_context(self._span))

    @contextmanager
    def current(self) -> Iterator[None]:
        with trace.use_span(self._span, record_exception=False, set_status_on_exception=False):
            yield

    def end(self) -> None:
        self._span.end()


class OtelTracer:
    """tracing.Tracer of one program."""

    def __init__(self, provider: TracerProvider) -> None:
        self._tracer = provider.get_tracer("footnote")

    def begin(self, name: str, kind: Kind, parent: str, attributes: Attributes) -> OtelSpan:
        within = _CONTEXT.extract({TRACEPARENT: parent}) if parent else None
        return OtelSpan(self._tracer.start_span(name, within, _KINDS[kind], dict(attributes)))

    def traceparent(self) -> str:
        return _carrier(None).get(TRACEPARENT, "")

    def trace_id(self) -> str:
        context = trace.get_current_span().get_span_context()
        return trace.format_trace_id(context.trace_id) if context.is_valid else ""


def _carrier(context: Context | None) -> dict[str, str]:
    """Return headers that name the span of a context, or the current one."""
    carrier: dict[str, str] = {}
    _CONTEXT.inject(carrier, context)
    return {TRACEPARENT: carrier[TRACEPARENT]} if TRACEPARENT in carrier else {}


def provider_of(service: str, exporter: SpanExporter) -> TracerProvider:
    """Return what sends the spans of a program by `exporter`, from a thread of its own."""
    provider = TracerProvider(resource=Resource.create({"service.name": service}), shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(exporter))
    return provider


@asynccontextmanager
async def sent_to(endpoint: str, service: str) -> AsyncIterator[None]:
    """Trace this process and send what is traced to an OTLP/HTTP endpoint, until the block ends."""
    exporter = OTLPSpanExporter(endpoint=f"{endpoint.rstrip('/')}/v1/traces", timeout=SEND_SECONDS)
    provider = provider_of(service, exporter)
    try:
        with tracing_with(OtelTracer(provider)):
            logger.bind(service=service).info("tracing")
            yield
    finally:
        await asyncio.to_thread(_ended, provider)


def _ended(provider: TracerProvider) -> None:
    provider.force_flush(PATIENCE_MS)
    provider.shutdown()
