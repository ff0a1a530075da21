"""Traces of both programs: spans, and their way from one to the other. Without a tracer all of this does nothing.

A trace begins at Slack's event, goes with the bot's recorded job, over HTTP to the backend, and there with the recorded
ingestion. Spans hold names, ids and figures, never text of questions or documents. `backend.otel` brings the tracer.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import Literal, Protocol, TypeAlias, TypeVar

Value: TypeAlias = str | int | float | bool
Attributes: TypeAlias = Mapping[str, Value]
Kind: TypeAlias = Literal["internal", "server", "client", "producer", "consumer"]
T = TypeVar("T")

TRACEPARENT = "traceparent"
"""The header of W3C Trace Context, and the field of a recorded job, that name the span that something is part of."""
NONE: Attributes = {}


class Span(Protocol):
    """A piece of work that is being timed."""

    def note(self, attributes: Attributes) -> None:
        """Add attributes."""

    def rename(self, name: str) -> None:
        """Give it another name, such as once its route is known."""

    def failed(self, kind: str) -> None:
        """Mark it as failed; `kind` is the class of the error, never its message."""

    def carried(self) -> dict[str, str]:
        """Return headers that name it to another program; none where nobody traces."""


class OpenSpan(Span, Protocol):
    """A span that whoever began it makes current, and ends."""

    def current(self) -> AbstractContextManager[None]:
        """Make it the parent of what begins within the block. Never wrap a `yield` of a generator in it."""

    def end(self) -> None: ...


class Tracer(Protocol):
    """What makes spans, and sends them somewhere."""

    def begin(self, name: str, kind: Kind, parent: str, attributes: Attributes) -> OpenSpan:
        """Begin a span, part of the current one, or of `parent` (a traceparent) where that is not ""."""

    def traceparent(self) -> str:
        """Return what names the current span elsewhere, "" where there is none."""

    def trace_id(self) -> str:
        """Return the id of the current trace, "" where there is none."""


class _Nothing:
    """The span where nobody traces."""

    def note(self, attributes: Attributes) -> None: ...
    def rename(self, name: str) -> None: ...
    def failed(self, kind: str) -> None: ...
    def carried(self) -> dict[str, str]:
        return {}


UNTRACED: Span = _Nothing()
"""The span of what is not traced."""
_tracer: Tracer | None = None
"""One per process, as the logger is: set by whoever starts it."""


@contextmanager
def tracing_with(tracer: Tracer) -> Iterator[None]:
    """Trace with this for as long as the block lasts."""
    global _tracer
    before, _tracer = _tracer, tracer
    try:
        yield
    finally:
        _tracer = before


@contextmanager
def span(name: str, attributes: Attributes = NONE, *, kind: Kind = "internal", parent: str = "") -> Iterator[Span]:
    """Time the block as a span, the parent of what begins within it. Never wrap a `yield` of a generator in it."""
    if _tracer is None:
        yield UNTRACED
        return
    begun = _tracer.begin(name, kind, parent, attributes)
    try:
        with begun.current():
            yield begun
    except BaseException as error:
        begun.failed(type(error).__name__)
        raise
    finally:
        begun.end()


@contextmanager
def side_span(name: str, attributes: Attributes = NONE, *, kind: Kind = "internal") -> Iterator[Span]:
    """Time the block as a span that nothing becomes part of: it may hold a `yield` of a generator."""
    if _tracer is None:
        yield UNTRACED
        return
    begun = _tracer.begin(name, kind, "", attributes)
    try:
        yield begun
    except GeneratorExit:
        raise  # who listened had enough: no failure
    except BaseException as error:
        begun.failed(type(error).__name__)
        raise
    finally:
        begun.end()


def spanned(name: str, items: AsyncGenerator[T, None]) -> AsyncGenerator[T, None]:
    """Return the items, made within one span: it is current while they are made, not while they are used."""
    return items if _tracer is None else _spanned(_tracer.begin(name, "internal", "", NONE), items)


async def _spanned(begun: OpenSpan, items: AsyncGenerator[T, None]) -> AsyncGenerator[T, None]:
    try:
        while True:
            with begun.current():
                try:
                    item = await anext(items)
                except StopAsyncIteration:
                    return
            yield item
    except GeneratorExit:
        raise
    except BaseException as error:
        begun.failed(type(error).__name__)
        raise
    finally:
        await items.aclose()
        begun.end()


def traceparent() -> str:
    """Return what names the current span elsewhere, "" where there is none."""
    return _tracer.traceparent() if _tracer else ""


def trace_id() -> str:
    """Return the id of the current trace, "" where there is none."""
    return _tracer.trace_id() if _tracer else ""


def carried() -> dict[str, str]:
    """Return headers, or fields of a recorded job, that take the current span along; none where there is none."""
    named = traceparent()
    return {TRACEPARENT: named} if named else {}
