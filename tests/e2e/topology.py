"""Several real backends that share what deploy/ has them share: PostgreSQL, an object store, Redis, behind nginx; and
several real bots, which ask through it, in one local Slack."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType

import aiohttp

from tests.e2e.nginx import nginx
from tests.e2e.processes import Program, free_port, start, until_healthy
from tests.fakes.slack_driver import SlackDriver
from tests.object_store import ObjectStore, running_object_store
from tests.postgres_server import PostgresServer, running_postgres
from tests.redis_server import RedisServer, running_redis

KEY = "topology-key-0123456789"


@dataclass
class Backend:
    """One of the backends; `http` speaks to it alone."""

    number: int
    folder: Path
    environment: dict[str, str]
    program: Program | None = None
    http: aiohttp.ClientSession = field(init=False)

    @property
    def port(self) -> int:
        return int(self.environment["FOOTNOTE_PORT"])

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def begin(self) -> None:
        """Start it without waiting until it is there."""
        self.program = await start(
            f"backend-{self.number}", "backend", "serve", environment=self.environment, folder=self.folder
        )

    async def ready(self) -> None:
        assert self.program is not None
        await until_healthy(f"{self.url}/health/ready", self.program, patience=120)

    async def stop(self, *, kill: bool = False) -> None:
        program, self.program = self.program, None
        if program is not None:
            await program.stop(kill=kill, patience=60)

    async def __aenter__(self) -> Backend:
        self.http = aiohttp.ClientSession(self.url, headers={"X-API-Key": KEY})
        await self.begin()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.http.close()
        await self.stop()


@dataclass
class Bot:
    """One of the bots, with a data folder of its own."""

    number: int
    folder: Path
    environment: dict[str, str]
    program: Program | None = None

    @property
    def name(self) -> str:
        return (self.folder / f"bot-{self.number}" / "bot-name").read_text().strip()

    async def begin(self) -> None:
        """Start it without waiting until it hears."""
        place = {
            "FOOTNOTE_DATA_DIR": str(self.folder / f"bot-{self.number}"),
            "FOOTNOTE_BOT_PORT": str(free_port()),
        }
        self.environment |= place
        self.program = await start(f"bot-{self.number}", "bot", environment=self.environment, folder=self.folder)

    async def ready(self) -> None:
        assert self.program is not None
        url = f"http://127.0.0.1:{self.environment['FOOTNOTE_BOT_PORT']}/health/ready"
        await until_healthy(url, self.program, patience=120)

    async def stop(self, *, kill: bool = False) -> None:
        program, self.program = self.program, None
        if program is not None:
            await program.stop(kill=kill, patience=60)

    async def __aenter__(self) -> Bot:
        await self.begin()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.stop(kill=True)


@dataclass
class Topology:
    """Everything, running. `http` speaks through nginx. Of the bots, the last one is there to be started."""

    backends: list[Backend]
    bots: list[Bot]
    slack: SlackDriver
    postgres: PostgresServer
    store: ObjectStore
    redis: RedisServer
    http: aiohttp.ClientSession


def settings(postgres: PostgresServer, store: ObjectStore, redis: RedisServer) -> dict[str, str]:
    """Return what the backends have in common, as deploy/ sets it."""
    return {
        "FOOTNOTE_API_KEY": KEY,
        "FOOTNOTE_DATABASE_URL": postgres.url(),
        "FOOTNOTE_REDIS_URL": redis.url,
        "FOOTNOTE_INDEX_URI": store.uri("index"),
        "FOOTNOTE_BLOBS_URI": store.uri("blobs"),
        "FOOTNOTE_RATE_USER": "off",
        "FOOTNOTE_RATE_CHANNEL": "off",
        "FOOTNOTE_RATE_TEAM": "off",
        "FOOTNOTE_INGEST_WORKERS": "1",
        "FOOTNOTE_EMBEDDING_THREADS": "1",
        "FOOTNOTE_STORAGE_OPTIONS": json.dumps({"aws_endpoint": store.url, "allow_http": "true"}),
        "AWS_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
    }


@asynccontextmanager
async def topology(folder: Path, *, backends: int, bots: int = 0, limited: bool = True) -> AsyncIterator[Topology]:
    """Run so many backends and bots, each with a data folder of its own that holds nothing the others need; nginx lets
    everything through if not `limited`."""
    async with AsyncExitStack() as stack:
        postgres = stack.enter_context(running_postgres())
        store = stack.enter_context(running_object_store())
        redis = await stack.enter_async_context(running_redis(folder))
        shared = settings(postgres, store, redis)
        await migrated(folder, shared)
        several = [
            Backend(
                number,
                folder,
                {
                    **shared,
                    "FOOTNOTE_PORT": str(free_port()),
                    "FOOTNOTE_DATA_DIR": str(folder / f"data-{number}"),
                },
            )
            for number in range(backends)
        ]
        for backend in several:
            await stack.enter_async_context(backend)
        front = folder / "nginx"
        front.mkdir()
        ports = [backend.port for backend in several]
        url, trust = await stack.enter_async_context(nginx(front, *ports, limited=limited))
        slack_url = await stack.enter_async_context(running_slack(folder))
        common = {
            "FOOTNOTE_API_KEY": KEY,
            "FOOTNOTE_DATABASE_URL": postgres.url(),
            "FOOTNOTE_BACKEND_URL": url,
            "SSL_CERT_FILE": str(front / "tls.crt"),
            "SLACK_API_URL": f"{slack_url}/api/",
            "SLACK_BOT_TOKEN": "xoxb-sandbox",
            "SLACK_APP_TOKEN": "xapp-sandbox",
        }
        talking = [Bot(number, folder, dict(common)) for number in range(bots + 1)]
        for bot in talking[:bots]:
            await stack.enter_async_context(bot)
        stack.push_async_callback(talking[bots].stop, kill=True)
        await asyncio.gather(*(backend.ready() for backend in several), *(bot.ready() for bot in talking[:bots]))
        slack = await stack.enter_async_context(SlackDriver(slack_url))
        http = await stack.enter_async_context(_session(url, trust))
        yield Topology(several, talking, slack, postgres, store, redis, http)


@asynccontextmanager
async def running_slack(folder: Path) -> AsyncIterator[str]:
    """Run the local Slack as a process of its own; yield its address."""
    url = f"http://127.0.0.1:{(port := free_port())}"
    arguments = ("bot.sandbox", "--port", str(port), "--retry", "0,1,2,4,8")
    program = await start("slack", *arguments, environment={}, folder=folder)
    try:
        await until_healthy(f"{url}/", program)
        yield url
    finally:
        await program.stop(kill=True)


async def migrated(folder: Path, shared: dict[str, str]) -> None:
    """Do what the migration job of deploy/kubernetes does."""
    environment = {**shared, "FOOTNOTE_DATA_DIR": str(folder / "migrating")}
    job = await start("migrate", "backend", "migrate", "up", environment=environment, folder=folder)
    assert await job.process.wait() == 0, job.tail()


def _session(url: str, trust: ssl.SSLContext) -> aiohttp.ClientSession:
    connector = aiohttp.TCPConnector(ssl=trust)
    return aiohttp.ClientSession(url, headers={"X-API-Key": KEY}, connector=connector)
