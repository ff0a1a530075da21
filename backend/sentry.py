"""Errors told to Sentry: an option (`footnote[sentry]`), on where a DSN is set. What is sent is chosen, not filtered:
the class of an error, where in our code it arose, the event's name and a few ids. No message of an error, no value of a
variable, no request, no text."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, cast

import sentry_sdk
from loguru import logger

if TYPE_CHECKING:
    from loguru import Message
    from sentry_sdk.types import Event, Hint

FLUSH_SECONDS = 5.0
TAGS = ("run_id", "request_id", "trace_id", "job", "library", "service")
"""Fields of a log line that are ids or names of ours."""
KEPT = ("event_id", "timestamp", "level", "platform", "release", "environment")
FRAME = ("filename", "function", "module", "lineno", "in_app")


@asynccontextmanager
async def reported_to(dsn: str, service: str) -> AsyncIterator[None]:
    """Report every event of level error, and every exception in the log, until the block ends."""
    sentry_sdk.init(
        dsn=dsn,
        default_integrations=False,
        auto_enabling_integrations=False,
        include_local_variables=False,
        include_source_context=False,
        max_breadcrumbs=0,
        max_request_body_size="never",
        traces_sample_rate=None,
        auto_session_tracking=False,
        send_client_reports=False,
        before_send=scrubbed,
    )
    sink = logger.add(Reporter(service), level="ERROR", format="{message}", backtrace=False, diagnose=False)
    try:
        yield
    finally:
        logger.remove(sink)
        await asyncio.to_thread(sentry_sdk.get_client().close, timeout=FLUSH_SECONDS)


class Reporter:
    """A loguru sink."""

    def __init__(self, service: str) -> None:
        self._service = service

    def __call__(self, message: Message) -> None:
        record = message.record
        extra = record["extra"]
        with sentry_sdk.new_scope() as scope:
            # a library's line may hold anything: of those only the library's name is told
            scope.set_tag("event", "of a library" if "library" in extra else record["message"])
            for name, value in {**extra, "service": self._service}.items():
                if name in TAGS:
                    scope.set_tag(name, str(value))
            error = record["exception"].value if record["exception"] else None
            if error is not None:
                scope.capture_exception(error)
            else:
                scope.capture_message("", level="error")


def scrubbed(event: Event, _hint: Hint) -> Event:
    """Return what is sent of an event."""
    given = cast(Mapping[str, Any], event)
    kept: dict[str, Any] = {name: given[name] for name in KEPT if name in given}
    kept["tags"] = dict(given.get("tags") or {})
    kept["message"] = str(kept["tags"].get("event", ""))
    errors = [_error(one) for one in (given.get("exception") or {}).get("values") or []]
    if errors:
        kept["exception"] = {"values": errors}
    return cast("Event", kept)


def _error(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return an exception's class and where it arose, without what it says."""
    frames = (given.get("stacktrace") or {}).get("frames") or []
    shown = [{name: frame[name] for name in FRAME if name in frame} for frame in frames]
    return {"type": given.get("type"), "module": given.get("module"), "value": "", "stacktrace": {"frames": shown}}
