"""What is told to others of a process: errors without a word of anybody's, spans, and nothing where nothing is set."""

from __future__ import annotations

import gzip
import io
import json
import sys
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager

import pytest
from aiohttp import web
from loguru import logger
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from backend import log, tracing
from backend.otel import OtelTracer, provider_of
from backend.sentry import reported_to
from backend.signals import check_installed

SECRET = "the salary of Ana Lima"


@asynccontextmanager
async def sentry() -> AsyncIterator[tuple[str, list[bytes]]]:
    """Serve as Sentry does; yield the DSN, and the envelopes as they come in."""
    taken: list[bytes] = []

    async def envelope(request: web.Request) -> web.Response:
        body = await request.read()
        taken.append(gzip.decompress(body) if body[:2] == b"\x1f\x8b" else body)
        return web.json_response({"id": "1"})

    app = web.Application()
    app.router.add_post("/api/1/envelope/", envelope)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://key@127.0.0.1:{runner.addresses[0][1]}/1", taken
    finally:
        await runner.cleanup()


def fail(question: str) -> None:
    raise ValueError(f"cannot read {question}")


async def test_an_error_is_told_to_sentry_by_its_class_and_place_without_any_words() -> None:
    async with sentry() as (dsn, taken), reported_to(dsn, "footnote-test"):
        with logger.contextualize(run_id="run-1", question=SECRET):
            try:
                fail(SECRET)
            except ValueError:
                logger.bind(url=SECRET).exception("unforeseen error")
        logger.bind(library="slack_sdk").error(f"refused {SECRET}")
        logger.warning("no error")
    told = [json.loads(line) for body in taken for line in body.splitlines() if b'"tags"' in line]
    assert SECRET.encode() not in b"".join(taken)
    error, library = told
    assert (error["tags"]["event"], error["tags"]["run_id"]) == ("unforeseen error", "run-1")
    (raised,) = error["exception"]["values"]
    assert (raised["type"], raised["value"]) == ("ValueError", "")
    assert raised["stacktrace"]["frames"][-1]["function"] == "fail"
    assert "vars" not in raised["stacktrace"]["frames"][-1]
    assert library["tags"]["library"] == "slack_sdk"
    assert not {"request", "user", "breadcrumbs", "extra", "server_name"} & set(error) | set(error) & {"modules"}


def spans(exporter: InMemorySpanExporter) -> dict[str, ReadableSpan]:
    return {span.name: span for span in exporter.get_finished_spans()}


@asynccontextmanager
async def traced() -> AsyncIterator[InMemorySpanExporter]:
    """Trace into memory until the block ends; what was traced is there afterwards."""
    exporter = InMemorySpanExporter()
    provider = provider_of("footnote-test", exporter)
    with tracing.tracing_with(OtelTracer(provider)):
        yield exporter
    provider.shutdown()


async def numbers() -> AsyncGenerator[int, None]:
    for number in range(3):
        with tracing.span(f"made {number}"):
            pass
        yield number


async def test_a_span_around_a_generator_is_current_only_while_it_makes_something() -> None:
    async with traced() as exporter, aclosing(tracing.spanned("all", numbers())) as items:
        async for number in items:
            with tracing.span(f"used {number}"):
                pass
            if number == 1:
                break
    found = spans(exporter)
    whole = found["all"].context
    assert whole is not None
    assert found["made 1"].parent is not None
    assert found["made 1"].parent.span_id == whole.span_id
    assert found["used 1"].parent is None
    assert found["all"].status.is_ok or found["all"].status.status_code.name == "UNSET"


async def test_an_error_marks_its_span_by_its_class_alone() -> None:
    async with traced() as exporter:
        with pytest.raises(ValueError, match="salary"), tracing.span("work", kind="client"):
            fail(SECRET)
    (span,) = exporter.get_finished_spans()
    assert dict(span.attributes or {}) == {"error.type": "ValueError"}
    assert not span.events
    assert SECRET not in span.to_json()


async def test_a_log_line_names_the_trace_that_it_is_part_of() -> None:
    log.configure("json", "INFO", stream := io.StringIO())
    try:
        async with traced():
            with tracing.span("work", parent=f"00-{'ab' * 16}-{'cd' * 8}-01"):
                logger.info("inside")
                assert tracing.carried()["traceparent"].split("-")[1] == "ab" * 16
        logger.info("outside")
    finally:
        logger.remove()
        logger.add(sys.stderr)
    inside, outside = (json.loads(line) for line in stream.getvalue().splitlines())
    assert inside["trace_id"] == "ab" * 16
    assert "trace_id" not in outside


async def test_without_a_tracer_there_is_nothing_to_carry_and_generators_are_left_as_they_are() -> None:
    items = numbers()
    assert tracing.spanned("all", items) is items
    with tracing.span("work") as span:
        span.note({"a": 1})
    assert (tracing.carried(), tracing.trace_id(), span) == ({}, "", tracing.UNTRACED)
    assert [number async for number in items] == [0, 1, 2]


def test_a_setting_whose_package_is_missing_says_how_to_install_it() -> None:
    with pytest.raises(ValueError, match="--extra otel"):
        check_installed("opentelemetry_of_old.sdk", "otel")
