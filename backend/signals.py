"""What both programs tell others of themselves while they run, where settings say so: traces, and errors. Both need
packages that not everybody has; they are imported only then."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from importlib.util import find_spec

INSTALL = "install it with `uv pip install -r pyproject.toml --extra {extra}`, or leave this empty"

SIGNALS = {"otlp_endpoint": ("opentelemetry.sdk", "otel"), "sentry_dsn": ("sentry_sdk", "sentry")}
"""The package that a setting needs, and the extra that brings it."""


@asynccontextmanager
async def opened_signals(service: str, otlp_endpoint: str | None, sentry_dsn: str | None) -> AsyncIterator[None]:
    """Send traces and errors of this process until the block ends; nothing where both are None."""
    async with AsyncExitStack() as stack:
        if otlp_endpoint:
            from backend.otel import sent_to  # not everybody has OpenTelemetry

            await stack.enter_async_context(sent_to(otlp_endpoint, service))
        if sentry_dsn:
            from backend.sentry import reported_to  # nor Sentry's client

            await stack.enter_async_context(reported_to(sentry_dsn, service))
        yield


def check_installed(package: str, extra: str) -> None:
    """Raise ValueError, in words for a settings error, where a package is missing."""
    if not _is_there(package):
        raise ValueError(f"needs the package {package}: {INSTALL.format(extra=extra)}")


def _is_there(package: str) -> bool:
    try:
        return find_spec(package) is not None
    except ModuleNotFoundError:  # not even what it is a part of
        return False
