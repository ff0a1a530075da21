"""A real Redis on a free port of loopback, for tests: skipped where there is none, required in CI."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from redis.asyncio import Redis
from redis.exceptions import RedisError

NAMES = ("redis-server", "valkey-server")
FLAGS = ("--save", "", "--appendonly", "no", "--bind", "127.0.0.1")


def server_path() -> str | None:
    return next((path for name in NAMES if (path := shutil.which(name))), None)


needs_redis = pytest.mark.skipif(server_path() is None and "CI" not in os.environ, reason="needs redis-server")
"""For a test that talks to Redis."""


@dataclass
class RedisServer:
    """A running server; `stop` and `start` it as you like."""

    port: int
    folder: Path
    process: asyncio.subprocess.Process | None = None

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    async def start(self) -> None:
        path = server_path()
        assert path, "redis-server is not installed"
        self.process = await asyncio.create_subprocess_exec(
            path, "--port", str(self.port), "--dir", str(self.folder), *FLAGS, stdout=asyncio.subprocess.DEVNULL
        )
        client = Redis.from_url(self.url)
        try:
            async with asyncio.timeout(10):
                while not await _answers(client):  # noqa: ASYNC110 - another process's state
                    await asyncio.sleep(0.02)
        finally:
            await client.aclose()

    async def stop(self) -> None:
        """End it at once, as a crash would."""
        process, self.process = self.process, None
        if process is not None:
            process.send_signal(signal.SIGKILL)
            await process.wait()


@asynccontextmanager
async def running_redis(folder: Path) -> AsyncIterator[RedisServer]:
    """Run an empty server until the block ends."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = RedisServer(port, folder)
    await server.start()
    try:
        yield server
    finally:
        await server.stop()


async def _answers(client: Redis) -> bool:
    try:
        return bool(await client.ping())
    except (RedisError, OSError):
        return False
