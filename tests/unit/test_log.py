"""Log lines: events with fields, never content."""

import io
import json
import logging
import sys
from collections.abc import Iterator

import pytest
from loguru import logger

from backend import log


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    logger.remove()
    logger.add(sys.stderr)
    root.handlers[:], root.level = handlers, level


def lines(stream: io.StringIO) -> list[dict[str, object]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_json_has_one_line_per_event_with_its_fields() -> None:
    log.configure("json", "INFO", stream := io.StringIO())
    with logger.contextualize(request_id="r1"):
        logger.bind(document_id="a\nb").info("document ready")
    logger.debug("not shown")
    (line,) = lines(stream)
    assert (line["event"], line["level"], line["request_id"], line["document_id"]) == (
        "document ready", "info", "r1", "a\nb",
    )  # fmt: skip


def test_a_traceback_shows_no_values() -> None:
    log.configure("json", "INFO", stream := io.StringIO())
    question = "a secret question"
    try:
        int(f"{len(question)} characters")
    except ValueError as error:
        logger.opt(exception=error).error("unforeseen error")
    (line,) = lines(stream)
    assert "ValueError" in str(line["traceback"])
    assert "secret" not in stream.getvalue()


def test_text_is_one_readable_line_with_fields() -> None:
    log.configure("text", "INFO", stream := io.StringIO())
    logger.bind(run_id="r1", note="{braces} <red>").info("run ended")
    text = stream.getvalue()
    assert text.count("\n") == 1
    assert "INFO    run ended run_id=r1 note={braces} <red>" in text


def test_a_librarys_warning_comes_through_and_its_chatter_does_not() -> None:
    log.configure("json", "INFO", stream := io.StringIO())
    logging.getLogger("uvicorn.error").info("Started server process")
    logging.getLogger("some.library").warning("disk %s", "full")
    (line,) = lines(stream)
    assert (line["event"], line["library"], line["level"]) == ("disk full", "some.library", "warning")
