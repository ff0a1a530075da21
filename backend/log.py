"""Logging of both programs, configured once by whoever starts one: events with fields, readable or as JSON lines.

A line is an event name and fields (`request_id`, `run_id`, `document_id` …), never the text of a question or of a
document. Values in tracebacks are left out for the same reason.
"""

from __future__ import annotations

import json
import logging
import sys
from datetime import UTC
from types import FrameType
from typing import TYPE_CHECKING, Literal, TextIO

from loguru import logger

from backend.tracing import trace_id

if TYPE_CHECKING:
    from loguru import Message, Record

Format = Literal["text", "json"]

QUIET = (
    "uvicorn", "uvicorn.error", "uvicorn.access", "litestar", "aiosqlite", "httpx", "openai", "alembic", "sqlalchemy",
    "dbos", "slack_bolt", "slack_sdk", "aiohttp",
)  # fmt: skip
"""Libraries whose own information we do not repeat; their warnings come through."""


def chosen(form: Format | None, env: str) -> Format:
    """Return how to log: as set, else JSON in production and readable lines elsewhere."""
    return form or ("json" if env == "production" else "text")


def configure(form: Format, level: str, stream: TextIO | None = None) -> None:
    """Send our own events from `level` on, and every library's warnings, to `stream` (standard error)."""
    target = stream or sys.stderr
    logger.configure(patcher=_with_trace)
    logger.remove()
    if form == "json":
        logger.add(JsonLines(target), level=level, format="", backtrace=False, diagnose=False)
    else:
        logger.add(target, level=level, format=_text, backtrace=False, diagnose=False)
    logging.basicConfig(handlers=[Intercept()], level=logging.WARNING, force=True)
    for name in QUIET:
        library = logging.getLogger(name)
        library.handlers.clear()
        library.propagate = True
        library.setLevel(logging.WARNING)


def _with_trace(record: Record) -> None:
    """Name the trace that a line is part of, where there is one."""
    if named := trace_id():
        record["extra"]["trace_id"] = named


def json_line(record: Record) -> str:
    """Return one line of JSON: time, level, event, fields, and the traceback where there is one."""
    line: dict[str, object] = {
        "time": record["time"].astimezone(UTC).isoformat(timespec="milliseconds"),
        "level": record["level"].name.lower(),
        "event": record["message"],
        "logger": record["name"],
        **record["extra"],
    }
    return json.dumps(line, ensure_ascii=False, default=str)


class JsonLines:
    """A loguru sink that writes `json_line`s; with an empty format, a message is its traceback alone."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def __call__(self, message: Message) -> None:
        record = message.record
        line = json_line(record)
        if record["exception"] is not None:
            traceback = {"traceback": str(message).strip()}
            line = f"{line[:-1]}, {json.dumps(traceback, ensure_ascii=False)[1:]}"
        self._stream.write(f"{line}\n")
        self._stream.flush()


def _text(record: Record) -> str:
    """Return loguru's template for one readable line; fields follow the event as `name=value`."""
    fields = "".join(f" <dim>{name}=</dim>{{extra[{name}]}}" for name in record["extra"])
    return f"<dim>{{time:HH:mm:ss.SSS}}</dim> <level>{{level: <7}}</level> {{message}}{fields}\n{{exception}}"


class Intercept(logging.Handler):
    """Passes the standard library's records on to loguru, from where they were logged."""

    def emit(self, record: logging.LogRecord) -> None:
        level: str | int = record.levelname if record.levelname in logging.getLevelNamesMapping() else record.levelno
        frame: FrameType | None = logging.currentframe()
        depth = 2
        while frame is not None and frame.f_code.co_filename == logging.__file__:
            frame, depth = frame.f_back, depth + 1
        bound = logger.bind(library=record.name).opt(depth=depth, exception=record.exc_info)
        bound.log(level, "{}", record.getMessage())
