"""Composition root of the bot: the only place that knows every part, and the order in which they open and close."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import aiohttp
from aiohttp import web
from loguru import logger
from pydantic import SecretStr

from bot.client import Backend
from bot.database import build_engine
from bot.doors import Doors, Look, nothing_to_see
from bot.durable import DELAYS, Durable, open_durable
from bot.installing import Installing, open_installing
from bot.ledger import Ledger
from bot.links import Links
from bot.memory import shared_url
from bot.order import ThreadOrder
from bot.peers import Alone, NoPeer, Peers, PostgresPeers, own_name
from bot.relief import Relief
from bot.running import Running
from bot.sandbox import Sandbox
from bot.settings import PROJECT, Settings, SettingsError
from bot.slack import SlackRefused
from bot.store import Store
from bot.teams import TeamJob, Teams
from bot.telemetry import Telemetry
from bot.tidings import Tidings
from bot.turns import Turns
from bot.web_client import WebClient
from bot.welcome import ingest_welcome
from bot.wiring import Shared, begun, ended


@dataclass(frozen=True, slots=True)
class Workspace:
    """The Slack that we speak to: the real one, or the sandbox. `bot_token` is None where workspaces install us. One of
    `app_token` and `signing_secret` is set."""

    api_url: str
    bot_token: str | None
    app_token: str | None = None
    signing_secret: str | None = None


@dataclass(frozen=True, slots=True)
class Bot:
    """A running bot. `team` and `bot_user` are "" where workspaces install us. `page` is the sandbox's address, or
    None; `events_port` is set in HTTP mode, and `port` where health is told."""

    team: str
    bot_user: str
    page: str | None = None
    events_port: int | None = None
    port: int | None = None


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
        timeout = aiohttp.ClientTimeout(total=settings.slack_timeout)
        calling = await stack.enter_async_context(aiohttp.ClientSession(timeout=timeout))
        backend = Backend(session, settings.backend, settings.read_api_key)
        state = settings.data_dir if page is None else Path(stack.enter_context(TemporaryDirectory(prefix="footnote-")))
        url = shared_url(settings)
        peers = await _open_peers(stack, settings, url)
        async with peers.starting():
            store = await _open_store(stack, url or state / "bot.sqlite")
            installing = await open_installing(stack, settings, store.engine, calling)
        order = ThreadOrder(settings.concurrent_turns)
        turns = Turns(Ledger(store.engine), order, Running(), Telemetry(), peers)
        await turns.resume()
        shared = Shared(
            settings=settings,
            session=session,
            calling=calling,
            backend=backend,
            store=store,
            turns=turns,
            api_url=workspace.api_url,
            signing_secret=workspace.signing_secret,
            gone=installing.left,
            telemetry=turns.telemetry,
            peers=peers,
            tidings=Tidings(peers),
        )
        team, bot_user = await _introduced(shared, workspace.bot_token)
        teams = Teams(shared.lobby())
        jobs = [TeamJob(name, teams) for name in shared.job_names()]
        durable = await stack.enter_async_context(
            open_durable(
                url or state / "bot-dbos.sqlite",
                jobs,
                stop_timeout=settings.stop_timeout,
                delays=delays,
                telemetry=shared.telemetry,
                peers=peers,
            )
        )
        _relieve(stack, peers, durable, turns, shared)
        stack.push_async_callback(teams.close)
        await _open_teams(stack, shared, workspace.bot_token, installing, teams, durable)
        port = await _listen(stack, settings, workspace, teams, shared, installing)
        if page is not None:
            welcome = begun(ingest_welcome(backend, PROJECT, team))
            stack.push_async_callback(ended, welcome)
        yield Bot(team, bot_user, page, port if settings.mode == "http" else None, port)


async def _open_workspace(stack: AsyncExitStack, settings: Settings) -> tuple[Workspace, str | None]:
    """Return the configured workspace, or a sandbox opened for want of one and its page."""
    if settings.mode != "sandbox":
        tokens = (settings.slack_bot_token, settings.slack_app_token, settings.slack_signing_secret)
        return Workspace(settings.slack_api_url, *map(_secret, tokens)), None
    try:
        sandbox = await stack.enter_async_context(Sandbox(settings.sandbox_port))
    except OSError as error:
        raise SettingsError(f"FOOTNOTE_SANDBOX_PORT: {settings.sandbox_port} cannot be used ({error})") from None
    return Workspace(sandbox.api_url, sandbox.bot_token, sandbox.app_token), sandbox.page_url


def _secret(value: SecretStr | None) -> str | None:
    return value.get_secret_value() if value is not None else None


async def _introduced(shared: Shared, token: str | None) -> tuple[str, str]:
    """Return the team and our user id there, "" where there is no token."""
    if token is None:
        return "", ""
    try:
        return await shared.identified(token)
    except SlackRefused as error:
        raise SettingsError(f"SLACK_BOT_TOKEN: Slack refused it ({error.code})") from None


async def _open_peers(stack: AsyncExitStack, settings: Settings, url: str | None) -> Peers:
    """Be one of the bots over a database, or the only one over a folder."""
    if url is None:
        return Alone()
    try:
        return await stack.enter_async_context(PostgresPeers.open(url, own_name(settings.data_dir)))
    except NoPeer as error:
        raise SettingsError(str(error)) from None


def _relieve(stack: AsyncExitStack, peers: Peers, durable: Durable, turns: Turns, shared: Shared) -> None:
    """Where there are others: take over from those that are gone, and heed what those that live were told."""
    if not isinstance(peers, PostgresPeers):
        return
    peers.abandon = durable.abandon
    peers.resume = lambda: durable.take_over(peers.name)
    shared.checks["database"] = peers.is_sure
    for work in (Relief(peers, durable).watch(), turns.follow(), peers.listen(shared.tidings.hear)):
        stack.push_async_callback(ended, begun(work))


async def _open_store(stack: AsyncExitStack, database: Path | str) -> Store:
    engine = build_engine(database)
    stack.push_async_callback(engine.dispose)
    store = Store(engine)
    await store.create_tables()
    return store


async def _open_teams(
    stack: AsyncExitStack, shared: Shared, token: str | None, installing: Installing, teams: Teams, durable: Durable
) -> None:
    """Open the one workspace of the token, or all that have installed us."""
    if token is not None:
        await teams.put(await shared.opened(token, durable))
    await installing.open(stack, teams, lambda given: shared.opened(given, durable), shared.peers)
    teams.known.set()


async def _listen(
    stack: AsyncExitStack,
    settings: Settings,
    workspace: Workspace,
    teams: Teams,
    shared: Shared,
    installing: Installing,
) -> int | None:
    """Take events, over Socket Mode or as requests, and tell how we are; return the port of our own HTTP."""
    checks = shared.checks
    checks |= {"backend": shared.backend.is_up, "workspaces": installing.is_well}
    look: Look = nothing_to_see
    if workspace.app_token is not None:
        links = Links(teams, workspace.app_token, WebClient(None, shared.calling, workspace.api_url, shared.telemetry))
        stack.push_async_callback(links.close)
        await links.connect()
        stack.push_async_callback(ended, begun(links.watch()))
        checks["socket"], look = links.is_hearing, links.figures
        logger.bind(mode="socket", connections=len(links.links)).info("listening")
    signed = workspace.app_token is None
    doors = Doors(teams, checks, installing.flow, signed=signed, telemetry=shared.telemetry, look=look)
    return await _open_doors(stack, settings, doors)


async def _open_doors(stack: AsyncExitStack, settings: Settings, doors: Doors) -> int | None:
    """Open our own HTTP. Where nothing but health is told there, a port that is taken is no reason not to answer."""
    runner = web.AppRunner(doors.web_app(), access_log=None)
    stack.push_async_callback(runner.cleanup)
    await runner.setup()
    try:
        await web.TCPSite(runner, settings.bot_host, settings.bot_port).start()
    except OSError as error:
        if doors.signed or doors.flow is not None:
            raise SettingsError(f"FOOTNOTE_BOT_PORT: {settings.bot_port} cannot be used ({error})") from None
        logger.bind(port=settings.bot_port).warning("health is not told: the port is taken")
        return None
    port = int(runner.addresses[0][1])
    logger.bind(port=port, events=doors.signed, installing=doors.flow is not None).info("http open")
    return port
