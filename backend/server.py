"""Serving what the composition root has opened: the socket, uvicorn, and an end that loses nothing."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, closing

import uvicorn
from loguru import logger

from backend.api.application import create
from backend.api.envelope import Envelope
from backend.api.services import Work
from backend.app import Places, keys_of, services
from backend.lock import FolderLock
from backend.settings import Settings, SettingsError
from backend.signals import opened_signals

BACKLOG = 2048
SWITCH_INTERVAL = 0.0005
"""Seconds that a thread may run Python before others get their turn. A question goes from thread to thread some dozens
of times; while documents are split in another thread, each time costs as much, by default 5 ms."""
GRACE = 5.0
"""Seconds that a server that ends gives to the runs under way."""


class Server(uvicorn.Server):
    """uvicorn that, told to end, lets runs end first, and ends by returning, so that what is open gets closed."""

    def __init__(self, application: Envelope, work: Work, *, signals: bool) -> None:
        config = uvicorn.Config(
            application,
            log_config=None,
            access_log=False,
            server_header=False,
            lifespan="off",
            timeout_graceful_shutdown=int(GRACE) + 3,
        )
        super().__init__(config)
        self._work = work
        self._signals = signals

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Listen on the loop instead of re-raising a signal at the end, which would kill what is still to be closed."""
        loop = asyncio.get_running_loop()
        listened = (signal.SIGINT, signal.SIGTERM) if self._signals else ()
        for number in listened:
            loop.add_signal_handler(number, self.handle_exit, number, None)
        try:
            yield
        finally:
            for number in listened:
                loop.remove_signal_handler(number)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        async with asyncio.TaskGroup() as ending:
            ending.create_task(self._work.drain(GRACE))
            await super().shutdown(sockets)


def listen(host: str, port: int) -> socket.socket:
    """Return a listening socket. SettingsError, naming the variable, where the address cannot be had."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # Named as TCP: asyncio turns Nagle's algorithm off only where it knows, and it costs 40 ms per answer.
    bound = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind((host, port))
        bound.listen(BACKLOG)
    except OSError as error:
        bound.close()
        reason = error.strerror or str(error)
        raise SettingsError(f"FOOTNOTE_HOST and FOOTNOTE_PORT: cannot listen on {host}:{port}: {reason}.") from None
    return bound


def url_of(bound: socket.socket) -> str:
    """Return where a client of this machine reaches it."""
    host, port = bound.getsockname()[:2]
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


async def serve(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT.

    Raises:
        SettingsError, Locked, FootnoteError: it cannot start; nothing was begun.
    """
    sys.setswitchinterval(SWITCH_INTERVAL)
    keys, places = keys_of(settings), Places.of(settings)
    with FolderLock(places.lock) as lock, closing(listen(settings.host, settings.port)) as bound:
        async with traced(settings), services(settings, keys) as opened:
            lock.announce(url_of(bound))
            key = "as configured" if keys else str(places.api_key)
            fields = {"url": url_of(bound), "key": key, "answers_with": opened.answers_with}
            logger.bind(**fields).info("backend ready")
            await Server(create(opened), opened.work, signals=True).serve([bound])
        logger.info("backend stopped")


def traced(settings: Settings) -> AbstractAsyncContextManager[None]:
    """Return what sends this process's traces and errors for as long as it is open, where settings say so."""
    dsn = settings.sentry_dsn.get_secret_value() if settings.sentry_dsn else None
    return opened_signals("footnote-backend", settings.otlp_endpoint, dsn)


@asynccontextmanager
async def running(settings: Settings) -> AsyncIterator[str]:
    """Serve on a free port of loopback for as long as the block lasts; yield the URL. For the command line."""
    with FolderLock(Places.of(settings).lock) as lock, closing(listen("127.0.0.1", 0)) as bound:
        async with services(settings, keys_of(settings)) as opened:
            server = Server(create(opened), opened.work, signals=False)
            task = asyncio.create_task(server.serve([bound]))
            lock.announce(url_of(bound))
            try:
                yield url_of(bound)
            finally:
                server.should_exit = True
                await task
