"""Installing into any workspace: Slack's OAuth pages, tokens that are renewed, and what ends it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urljoin

from loguru import logger
from slack_bolt.oauth.async_callback_options import AsyncCallbackOptions, AsyncFailureArgs, AsyncSuccessArgs
from slack_bolt.oauth.async_oauth_flow import AsyncOAuthFlow
from slack_bolt.oauth.async_oauth_settings import AsyncOAuthSettings
from slack_bolt.response import BoltResponse
from slack_sdk.errors import SlackClientError, SlackTokenRotationError
from slack_sdk.oauth.installation_store import Bot
from slack_sdk.oauth.state_store.sqlalchemy import AsyncSQLAlchemyOAuthStateStore
from slack_sdk.oauth.token_rotation.async_rotator import AsyncTokenRotator
from slack_sdk.web.async_slack_response import AsyncSlackResponse

from bot.installations import Installations
from bot.scopes import BOT_SCOPES
from bot.web_client import WebClient

INSTALL_PATH = "/slack/install"
REDIRECT_PATH = "/slack/oauth_redirect"
STATE_SECONDS = 600
RENEW_BEFORE = 120
"""Minutes before a token's end at which it is renewed; rotated tokens live for twelve hours."""
RENEW_EVERY = 300.0

Opened = Callable[[Bot], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class App:
    """The app as Slack knows it."""

    client_id: str
    client_secret: str
    api_url: str
    public_url: str


class OAuthClient(WebClient):
    """slack_sdk sends the app's secret by a part of aiohttp that is on its way out; Slack takes it in the form, too."""

    async def oauth_v2_access(
        self,
        *,
        client_id: str,
        client_secret: str,
        code: str | None = None,
        redirect_uri: str | None = None,
        grant_type: str | None = None,
        refresh_token: str | None = None,
        **given: Any,
    ) -> AsyncSlackResponse:
        form = {"client_id": client_id, "client_secret": client_secret, "code": code, "redirect_uri": redirect_uri}
        form |= {"grant_type": grant_type, "refresh_token": refresh_token} | given
        return await self.api_call("oauth.v2.access", data={name: value for name, value in form.items() if value})


def build_flow(
    app: App, client: WebClient, store: Installations, states: AsyncSQLAlchemyOAuthStateStore, opened: Opened
) -> AsyncOAuthFlow:
    """Return the two pages. `opened` is called with the bot of a workspace as soon as it has installed us."""

    async def success(done: AsyncSuccessArgs) -> BoltResponse:
        if done.installation.team_id is None or done.installation.is_enterprise_install:
            return BoltResponse(status=400, body="Footnote is installed workspace by workspace, not for a whole org.")
        await opened(done.installation.to_bot())
        return await done.default.success(done)

    async def failure(failed: AsyncFailureArgs) -> BoltResponse:
        logger.bind(reason=failed.reason).warning("not installed")
        return await failed.default.failure(failed)

    settings = AsyncOAuthSettings(
        client_id=app.client_id,
        client_secret=app.client_secret,
        scopes=list(BOT_SCOPES),
        redirect_uri=app.public_url.rstrip("/") + REDIRECT_PATH,
        install_path=INSTALL_PATH,
        redirect_uri_path=REDIRECT_PATH,
        authorization_url=urljoin(app.api_url, "/oauth/v2/authorize"),
        installation_store=store,
        state_store=states,
        state_expiration_seconds=STATE_SECONDS,
        callback_options=AsyncCallbackOptions(success=success, failure=failure),
    )
    return AsyncOAuthFlow(client=client, settings=settings)


async def keep_fresh(
    app: App,
    client: WebClient,
    store: Installations,
    renewed: Opened,
    alone: Callable[[], AbstractAsyncContextManager[None]],
) -> None:
    """Renew tokens before they end; `renewed` is called with what replaces the old one. A token can be renewed once, so
    that only one bot does it at a time: within `alone()`."""
    rotator = AsyncTokenRotator(client_id=app.client_id, client_secret=app.client_secret, client=client)
    while True:
        async with alone():
            for bot in await store.installed():
                if fresh := await renewed_bot(rotator, bot):
                    await store.async_save_bot(fresh)
                    await renewed(fresh)
        await asyncio.sleep(RENEW_EVERY)


async def renewed_bot(rotator: AsyncTokenRotator, bot: Bot) -> Bot | None:
    """Return a bot with a new token, None where the old one is good for a while, or Slack does not give one now."""
    try:
        return await rotator.perform_bot_token_rotation(bot=bot, minutes_before_expiration=RENEW_BEFORE)
    except (SlackTokenRotationError, SlackClientError, OSError, TimeoutError) as error:
        logger.bind(team=bot.team_id, error=type(error).__name__).error("token not renewed")
        return None
