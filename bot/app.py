"""Composition root of the bot: the only place that knows every part, and the order in which they open and close."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import aiohttp
from aiohttp import web
from loguru import logger
from pydantic import SecretStr
from slack_bolt.adapter.socket_mode.aiohttp import AsyncSocketModeHandler
from slack_bolt.async_app import AsyncApp
from slack_sdk.web.async_client import AsyncWebClient
from tenacity import retry, retry_if_exception_type, wait_exponential

from bot.client import Backend
from bot.collection_jobs import CancelJob, CollectionJob
from bot.conversation import Conversation, Running
from bot.directory import Directory
from bot.documents import DocsJob, HomeJob, Shelf
from bot.durable import DELAYS, Job, open_durable
from bot.feedback import FeedbackJob
from bot.ingest import IngestJob
from bot.listeners import Listeners
from bot.notices import NoticeJob, watch_notices
from bot.order import ThreadOrder
from bot.sandbox import Sandbox
from bot.settings import PROJECT, Settings, SettingsError
from bot.slack import Slack, SlackRefused, SlackUnavailable, build_web_client
from bot.store import Store, build_engine
from bot.stream import Pace
from bot.thread_jobs import ThreadChangeJob, ThreadJob, Threads
from bot.turns import TurnJob
from bot.welcome import ingest_welcome

EVENTS_PATH = "/slack/events"


@dataclass(frozen=True, slots=True)
class Workspace:
    """The Slack that we speak to: the real one, or the sandbox. One of `app_token` and `signing_secret` is set."""

    api_url: str
    bot_token: str
    app_token: str | None = None
    signing_secret: str | None = None


@dataclass(frozen=True, slots=True)
class Bot:
    """A running bot. `page` is the sandbox's address, or None; `events_port` is set in HTTP mode."""

    team: str
    bot_user: str
    page: str | None = None
    events_port: int | None = None


@asynccontextmanager
async def open_bot(settings: Settings, *, delays: Sequence[float] = DELAYS) -> AsyncIterator[Bot]:
    """Run the bot until the block ends; then take no more events, let answers finish, and close.

    What it remembers is in the data folder; for a sandbox of its own, which forgets everything when it ends, in a
    temporary one: its messages and command ids begin anew, and must not meet those of last time.

    Raises:
        SettingsError: Slack refuses the token.
    """
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    async with AsyncExitStack() as stack:
        session = await stack.enter_async_context(aiohttp.ClientSession())
        workspace, page = await _open_workspace(stack, settings)
        web_client = build_web_client(workspace.bot_token, session, workspace.api_url)
        slack = Slack(web_client, session)
        bot_user, team = await _introduce(slack)
        backend = Backend(session, settings.backend, settings.read_api_key)
        state = settings.data_dir if page is None else Path(stack.enter_context(TemporaryDirectory(prefix="footnote-")))
        store = await _open_store(stack, state)
        running = Running()
        jobs = _jobs(settings, slack, backend, store, running, bot_user)
        durable = await stack.enter_async_context(
            open_durable(state / "bot-dbos.sqlite", jobs, stop_timeout=settings.stop_timeout, delays=delays)
        )
        app = _build_app(web_client, workspace)
        Listeners(durable, store, running, team, bot_user).register(app)
        port = await _listen(stack, settings, workspace, app)
        _open_task(stack, watch_notices(backend, durable, team, settings.notices_every))
        if page is not None:
            _open_task(stack, ingest_welcome(backend, PROJECT, team))
        yield Bot(team, bot_user, page, port)


async def _open_workspace(stack: AsyncExitStack, settings: Settings) -> tuple[Workspace, str | None]:
    """Return the configured workspace, or a sandbox opened for want of one and its page."""
    if settings.slack_bot_token is not None:
        token = settings.slack_bot_token.get_secret_value()
        return Workspace(
            settings.slack_api_url, token, _secret(settings.slack_app_token), _secret(settings.slack_signing_secret)
        ), None
    try:
        sandbox = await stack.enter_async_context(Sandbox(settings.sandbox_port))
    except OSError as error:
        raise SettingsError(f"FOOTNOTE_SANDBOX_PORT: {settings.sandbox_port} cannot be used ({error})") from None
    return Workspace(sandbox.api_url, sandbox.bot_token, sandbox.app_token), sandbox.page_url


def _secret(value: SecretStr | None) -> str | None:
    return value.get_secret_value() if value is not None else None


@retry(retry=retry_if_exception_type(SlackUnavailable), wait=wait_exponential(max=30))
async def _introduce(slack: Slack) -> tuple[str, str]:
    """Return our user id and the team's, waiting for Slack as long as it takes."""
    try:
        return await slack.who_am_i()
    except SlackRefused as error:
        raise SettingsError(f"SLACK_BOT_TOKEN: Slack refused it ({error.code})") from None


async def _open_store(stack: AsyncExitStack, state: Path) -> Store:
    engine = build_engine(state / "bot.sqlite")
    stack.push_async_callback(engine.dispose)
    store = Store(engine)
    await store.create_tables()
    return store


def _jobs(
    settings: Settings, slack: Slack, backend: Backend, store: Store, running: Running, bot_user: str
) -> list[Job]:
    directory = Directory(slack)
    conversation = Conversation(
        slack=slack,
        backend=backend,
        store=store,
        directory=directory,
        running=running,
        pace=Pace(),
        bot_user=bot_user,
        allow_external=settings.allow_external,
        timeout=settings.answer_timeout,
    )
    shelf = Shelf(backend, directory, store)
    threads = Threads(slack, directory, bot_user)
    return [
        TurnJob(conversation, ThreadOrder(settings.concurrent_turns)),
        FeedbackJob(backend, store, ThreadOrder(settings.concurrent_turns)),
        IngestJob(slack, backend, store, directory, settings.allow_external),
        CollectionJob(slack, backend, store, directory, settings.allow_external),
        CancelJob(slack, backend),
        ThreadJob(slack, backend, store, threads, settings.allow_external),
        ThreadChangeJob(backend, store, threads),
        DocsJob(shelf, slack),
        HomeJob(shelf, slack),
        NoticeJob(slack, backend, store),
    ]


def _build_app(web_client: AsyncWebClient, workspace: Workspace) -> AsyncApp:
    """Return a Bolt app that acknowledges an event only after its listener has returned."""
    return AsyncApp(
        client=web_client,
        signing_secret=workspace.signing_secret,
        process_before_response=True,
        attaching_conversation_kwargs_enabled=False,
    )


async def _listen(stack: AsyncExitStack, settings: Settings, workspace: Workspace, app: AsyncApp) -> int | None:
    """Take events, over Socket Mode or as requests; return the port of the latter."""
    if workspace.app_token is not None:
        handler = AsyncSocketModeHandler(app, workspace.app_token, web_client=app.client)
        stack.push_async_callback(handler.close_async)
        await handler.connect_async()  # type: ignore[no-untyped-call]
        logger.bind(mode="socket").info("listening")
        return None
    runner = web.AppRunner(app.web_app(path=EVENTS_PATH), access_log=None)
    stack.push_async_callback(runner.cleanup)
    await runner.setup()
    site = web.TCPSite(runner, settings.bot_host, settings.bot_port)
    await site.start()
    port = int(runner.addresses[0][1])
    logger.bind(mode="http", port=port, path=EVENTS_PATH).info("listening")
    return port


def _open_task(stack: AsyncExitStack, work: Coroutine[object, object, object]) -> None:
    """Do something beside everything else; ended, if need be, when the bot closes."""
    task = asyncio.create_task(work)

    async def end() -> None:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task

    stack.push_async_callback(end)
