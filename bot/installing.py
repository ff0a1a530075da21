"""Workspaces come and go: by OAuth where the app is installable, else there is the one of the token."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass

import aiohttp
from loguru import logger
from slack_bolt.oauth.async_oauth_flow import AsyncOAuthFlow
from slack_sdk.oauth.installation_store import Bot
from slack_sdk.oauth.state_store.sqlalchemy import AsyncSQLAlchemyOAuthStateStore
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from bot.database import parsed
from bot.installations import Installations, UnreadableInstallations, open_keys
from bot.memory import shared_url
from bot.oauth import STATE_SECONDS, App, OAuthClient, build_flow, keep_fresh
from bot.peers import Peers
from bot.settings import Settings, SettingsError
from bot.slack import SlackRefused
from bot.teams import Team, Teams
from bot.wiring import begun, ended

KEY_FILE = "encryption-key"
RENEWING = "renewing tokens"
KEEP_UP = 15.0
"""Seconds between two looks at what other bots have installed, renewed or dropped."""

Open = Callable[[str], Awaitable[Team]]


@dataclass(slots=True)
class Installing:
    """`app`, `store` and `flow` are None where there is one workspace, by its token."""

    app: App | None = None
    store: Installations | None = None
    states: AsyncSQLAlchemyOAuthStateStore | None = None
    client: OAuthClient | None = None
    flow: AsyncOAuthFlow | None = None
    teams: Teams | None = None
    _open: Open | None = None

    async def open(self, stack: AsyncExitStack, teams: Teams, opened: Open, peers: Peers) -> None:
        """Open all workspaces that have installed us, and whatever installs us from now on, through whichever bot."""
        self.teams, self._open = teams, opened
        if self.app is None or self.store is None or self.states is None or self.client is None:
            return
        for bot in await self.store.installed():
            await self._arrived(bot)
        self.flow = build_flow(self.app, self.client, self.store, self.states, self._arrived)
        renewing = keep_fresh(self.app, self.client, self.store, self._renewed, lambda: peers.at_work(RENEWING))
        stack.push_async_callback(ended, begun(renewing))
        if not peers.alone:
            stack.push_async_callback(ended, begun(self._keep_up(self.store)))

    async def _keep_up(self, store: Installations) -> None:
        """Follow, for ever, what other bots do to the workspaces."""
        while True:
            await asyncio.sleep(KEEP_UP)
            try:
                await self.keep_up_with(await store.installed())
            except SQLAlchemyError as error:
                logger.bind(error=type(error).__name__).warning("workspaces not looked at: the database is away")

    async def keep_up_with(self, installed: Sequence[Bot]) -> None:
        """Answer these workspaces, with these tokens, and no others."""
        assert self.teams is not None
        for bot in installed:
            team = self.teams.open.get(str(bot.team_id))
            if team is None or team.client.token != bot.bot_token:
                await self._renewed(bot)
        for team_id in set(self.teams.open) - {str(bot.team_id) for bot in installed}:
            await self.teams.drop(team_id)

    async def _arrived(self, bot: Bot) -> None:
        assert self.teams is not None
        assert self._open is not None
        try:
            await self.teams.put(await self._open(str(bot.bot_token)))
        except SlackRefused as error:
            logger.bind(team=bot.team_id, code=error.code).error("workspace not opened: Slack refuses its token")

    async def _renewed(self, bot: Bot) -> None:
        """Go on with a new token, in the middle of whatever is being done."""
        assert self.teams is not None
        team = self.teams.open.get(str(bot.team_id))
        if team is None:
            await self._arrived(bot)
        else:
            team.client.token = bot.bot_token
        logger.bind(team=bot.team_id).info("token renewed")

    async def left(self, team_id: str) -> None:
        """Stop answering a workspace that threw us out, and forget its token."""
        if self.teams is not None:
            await self.teams.drop(team_id)
        if self.store is not None:
            for bot in await self.store.installed():
                if bot.team_id == team_id:
                    await self.store.forget(bot)

    async def is_well(self) -> bool:
        """Whether there is a workspace to answer, or one can install us."""
        return self.flow is not None or bool(self.teams and self.teams.open)


async def open_installing(
    stack: AsyncExitStack, settings: Settings, engine: AsyncEngine, calling: aiohttp.ClientSession
) -> Installing:
    """Open what keeps installations: on `engine`, unless the settings name another database.

    Raises:
        SettingsError: the database or a key is none, or no key fits what is stored.
    """
    if settings.slack_client_id is None:
        return Installing()
    app = _app(settings)
    if settings.database_url and shared_url(settings) is None:
        engine = create_async_engine(parsed(settings.database_url))
        stack.push_async_callback(engine.dispose)
    store = await open_store(settings, engine)
    states = AsyncSQLAlchemyOAuthStateStore(STATE_SECONDS, engine)
    await states.create_tables()  # type: ignore[no-untyped-call]
    return Installing(app, store, states, OAuthClient(None, calling, app.api_url))


async def open_store(settings: Settings, engine: AsyncEngine) -> Installations:
    """Return the installations, all of them encrypted with the newest key. SettingsError as above."""
    secret = settings.encryption_key.get_secret_value() if settings.encryption_key else None
    if secret is None and shared_url(settings) is not None:
        raise SettingsError("FOOTNOTE_ENCRYPTION_KEY: needed beside a database that several bots share")
    try:
        keys = open_keys(secret, settings.data_dir / KEY_FILE)
    except ValueError:
        raise SettingsError("FOOTNOTE_ENCRYPTION_KEY: must be Fernet keys, with commas between them") from None
    store = Installations(str(settings.slack_client_id), engine, keys)
    await store.create_tables()  # type: ignore[no-untyped-call]
    try:
        await store.reencrypt()
    except UnreadableInstallations:
        raise SettingsError("FOOTNOTE_ENCRYPTION_KEY: decrypts none of the installations that are stored") from None
    return store


def _app(settings: Settings) -> App:
    secret = settings.slack_client_secret.get_secret_value() if settings.slack_client_secret else ""
    return App(str(settings.slack_client_id), secret, settings.slack_api_url, str(settings.public_url))
