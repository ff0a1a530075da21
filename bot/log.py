"""Logging: event name and fields, readable on a terminal, JSON in production. Never a question's text or a token."""

from __future__ import annotations

import logging
import sys
from types import FrameType

from loguru import logger

from bot.settings import Settings

QUIET = ("dbos", "slack_bolt", "slack_sdk", "aiohttp", "asyncio", "sqlalchemy")
"""Libraries that are heard from WARNING on."""


def configure_logging(settings: Settings) -> None:
    """Send loguru's and the standard library's records to stderr, once, at the start of the program."""
    as_json = settings.log_format == "json" or (settings.log_format is None and settings.env == "production")
    logger.remove()
    if as_json:
        logger.add(sys.stderr, level=settings.log_level, serialize=True, backtrace=False, diagnose=False)
    else:
        logger.add(
            sys.stderr,
            level=settings.log_level,
            format="{time:HH:mm:ss.SSS} {level: <7} {message} {extra}",
            backtrace=False,
            diagnose=False,
        )
    logging.basicConfig(handlers=[ToLoguru()], level=logging.WARNING, force=True)
    for name in QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)


class ToLoguru(logging.Handler):
    """Pass the standard library's records on."""

    def emit(self, record: logging.LogRecord) -> None:
        frame: FrameType | None = logging.currentframe()
        depth = 2
        while frame is not None and frame.f_code.co_filename == logging.__file__:
            frame, depth = frame.f_back, depth + 1
        logger.opt(depth=depth, exception=record.exc_info).log(record.levelname, record.getMessage())
