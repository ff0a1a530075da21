"""Slack's Web API as the bot needs it. Vendor errors are translated here: refused for good, or unavailable for now."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import IO, Any, TypeAlias
from urllib.parse import urljoin

import aiohttp
from slack_sdk.errors import SlackApiError, SlackClientError
from slack_sdk.http_retry.builtin_async_handlers import (
    AsyncConnectionErrorRetryHandler,
    AsyncRateLimitErrorRetryHandler,
)
from slack_sdk.web.async_client import AsyncWebClient
from slack_sdk.web.async_slack_response import AsyncSlackResponse

from bot.audience import Channel, Person
from bot.files import SharedFile, files_of, is_sign_in_page, may_have_token
from bot.thread import Message, position, readable_text
from bot.thread_document import ThreadMessage

Block: TypeAlias = dict[str, Any]
"""Block Kit and stream chunks, as Slack's JSON has them."""

TRANSIENT = {"ratelimited", "rate_limited", "internal_error", "fatal_error", "service_unavailable", "request_timeout"}
DOWNLOAD_TIMEOUT = aiohttp.ClientTimeout(total=300, sock_connect=10, sock_read=30)
DOWNLOAD_REDIRECTS = 3
REDIRECTS = {301, 302, 303, 307, 308}
MAX_REPLIES = 200
"""Messages of a thread that are read for its history: one call."""
MAX_THREAD = 1_000
"""Messages of a thread that becomes a document."""


class SlackRefused(Exception):
    """Slack said no, and would again; `code` is its documented error."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class SlackUnavailable(Exception):
    """Slack cannot be reached or cannot serve now; worth a retry."""


def build_web_client(token: str | None, session: aiohttp.ClientSession, api_url: str) -> AsyncWebClient:
    """Return a client on the shared session that waits when Slack says so, and retries broken connections once."""
    return AsyncWebClient(
        token=token,
        base_url=api_url if api_url.endswith("/") else api_url + "/",
        timeout=20,
        session=session,
        trust_env_in_session=False,
        retry_handlers=[AsyncConnectionErrorRetryHandler(), AsyncRateLimitErrorRetryHandler(max_retry_count=3)],
    )


@contextmanager
def translated() -> Iterator[None]:
    """Turn slack_sdk's and aiohttp's errors into ours."""
    try:
        yield
    except SlackApiError as error:
        response = error.response
        if not isinstance(response, AsyncSlackResponse) or response.status_code >= 500:
            raise SlackUnavailable("unreadable reply") from error
        code = str(response.get("error") or "unknown_error")
        raise (SlackUnavailable(code) if code in TRANSIENT else SlackRefused(code)) from error
    except (SlackClientError, aiohttp.ClientError, TimeoutError, ConnectionError) as error:
        raise SlackUnavailable(type(error).__name__) from error


class Slack:
    """Every method may raise SlackRefused or SlackUnavailable. Nothing that we post unfurls."""

    def __init__(self, client: AsyncWebClient, session: aiohttp.ClientSession) -> None:
        self._client = client
        self._session = session

    async def who_am_i(self) -> tuple[str, str]:
        """Return our own user id and the team's."""
        with translated():
            found = await self._client.auth_test()
        return str(found["user_id"]), str(found["team_id"])

    # ------------------------------------------------------------------------------------------------- messages

    async def start_stream(
        self, channel: str, thread_ts: str, chunks: Sequence[Block], *, team: str | None, user: str | None
    ) -> str:
        """Begin a streamed message and return its ts. `team` and `user` are the reader's; Slack wants none in DMs."""
        with translated():
            reply = await self._client.chat_startStream(
                channel=channel,
                thread_ts=thread_ts,
                chunks=chunks,
                recipient_team_id=team,
                recipient_user_id=user,
            )
        return str(reply["ts"])

    async def append_stream(self, channel: str, ts: str, chunks: Sequence[Block]) -> None:
        with translated():
            await self._client.chat_appendStream(channel=channel, ts=ts, chunks=chunks)

    async def stop_stream(
        self, channel: str, ts: str, chunks: Sequence[Block] = (), blocks: Sequence[Block] = ()
    ) -> None:
        with translated():
            await self._client.chat_stopStream(channel=channel, ts=ts, chunks=chunks or None, blocks=blocks or None)

    async def post(
        self, channel: str, text: str, blocks: Sequence[Block] = (), *, thread_ts: str | None = None
    ) -> tuple[str, str]:
        """Post a message; return the channel (another one when `channel` is a user) and the ts."""
        with translated():
            reply = await self._client.chat_postMessage(
                channel=channel,
                thread_ts=thread_ts,
                text=text,
                blocks=blocks or None,
                unfurl_links=False,
                unfurl_media=False,
            )
        return str(reply["channel"]), str(reply["ts"])

    async def update(self, channel: str, ts: str, text: str, blocks: Sequence[Block] = ()) -> None:
        with translated():
            await self._client.chat_update(channel=channel, ts=ts, text=text, blocks=blocks or [])

    async def delete(self, channel: str, ts: str) -> None:
        with translated():
            await self._client.chat_delete(channel=channel, ts=ts)

    async def whisper(
        self, channel: str, user: str, text: str, blocks: Sequence[Block] = (), *, thread_ts: str | None = None
    ) -> None:
        """Show a message to one person of a channel."""
        with translated():
            await self._client.chat_postEphemeral(
                channel=channel, user=user, text=text, blocks=blocks or None, thread_ts=thread_ts
            )

    async def respond(self, response_url: str, text: str, blocks: Sequence[Block] = ()) -> None:
        """Answer a command or a button privately, through the URL that came with it (30 minutes, five times)."""
        body: Block = {"response_type": "ephemeral", "replace_original": False, "text": text}
        body |= {"unfurl_links": False, "unfurl_media": False}
        if blocks:
            body["blocks"] = list(blocks)
        with translated():
            async with self._session.post(response_url, json=body, timeout=aiohttp.ClientTimeout(total=20)) as response:
                said = (await response.text())[:80]
                if response.status in {429, 500, 502, 503, 504}:
                    raise SlackUnavailable(f"status {response.status}")
                if response.status >= 400:
                    raise SlackRefused(said if said.isidentifier() else f"status_{response.status}")

    async def publish_home(self, user: str, blocks: Sequence[Block]) -> None:
        with translated():
            await self._client.views_publish(user_id=user, view={"type": "home", "blocks": list(blocks)})

    # --------------------------------------------------------------------------------------------------- files

    async def download(self, file: SharedFile, into: IO[bytes], *, limit: int) -> None:
        """Stream a file's content into `into`, at most `limit` bytes. Our token goes to Slack and to nobody else.

        Raises:
            SlackRefused: also with codes of our own: `not_on_slack`, `too_large`, and `missing_scope` where Slack
                shows its sign-in page in place of the file.
        """
        url = file.url
        for _ in range(DOWNLOAD_REDIRECTS + 1):
            if not may_have_token(url, self._client.base_url):
                raise SlackRefused("not_on_slack")
            headers = {"Authorization": f"Bearer {self._client.token}"}
            with translated():
                async with self._session.get(
                    url, headers=headers, allow_redirects=False, timeout=DOWNLOAD_TIMEOUT
                ) as response:
                    if response.status not in REDIRECTS:
                        await _receive(response, file, into, limit)
                        return
                    url = urljoin(url, response.headers.get("Location", ""))
        raise SlackRefused("too_many_redirects")

    # -------------------------------------------------------------------------------------------------- lookups

    async def message(self, channel: str, ts: str) -> tuple[str, tuple[SharedFile, ...]]:
        """Return the text and the files of the message that begins a thread, or stands alone."""
        with translated():
            found = await self._client.conversations_replies(channel=channel, ts=ts, limit=1)
        raw: Mapping[str, Any] = next(iter(found.get("messages") or ()), {})
        return str(raw.get("text") or ""), files_of(raw)

    async def replies(self, channel: str, thread_ts: str) -> list[Message]:
        """Return the thread's messages, oldest first, at most MAX_REPLIES."""
        with translated():
            found = await self._client.conversations_replies(channel=channel, ts=thread_ts, limit=MAX_REPLIES)
        return [_message(raw) for raw in found.get("messages") or ()]

    async def thread(self, channel: str, thread_ts: str) -> list[ThreadMessage]:
        """Return all messages of a thread, oldest first, at most MAX_THREAD."""
        found: dict[str, ThreadMessage] = {}
        cursor = ""
        while len(found) < MAX_THREAD:
            with translated():
                page = await self._client.conversations_replies(
                    channel=channel, ts=thread_ts, limit=MAX_REPLIES, cursor=cursor or None
                )
            for raw in page.get("messages") or ():
                if raw.get("subtype") != "tombstone":
                    found[str(raw["ts"])] = _thread_message(raw)
            cursor = str((page.get("response_metadata") or {}).get("next_cursor") or "")
            if not cursor:
                break
        return [found[ts] for ts in sorted(found, key=position)]

    async def permalink(self, channel: str, ts: str) -> str:
        """Return the address of a message."""
        with translated():
            return str((await self._client.chat_getPermalink(channel=channel, message_ts=ts))["permalink"])

    async def channel(self, channel: str) -> Channel:
        with translated():
            found = (await self._client.conversations_info(channel=channel))["channel"]
        shared = any(found.get(flag) for flag in ("is_ext_shared", "is_pending_ext_shared", "is_shared"))
        return Channel(shared=shared, name=str(found.get("name") or ""))

    async def person(self, user: str) -> Person:
        with translated():
            found = (await self._client.users_info(user=user))["user"]
        return Person(
            team=str(found.get("team_id") or ""),
            guest=bool(found.get("is_restricted") or found.get("is_ultra_restricted")),
            stranger=bool(found.get("is_stranger")),
            bot=bool(found.get("is_bot")),
            name=_name(found),
            time_zone=str(found["tz"]) if found.get("tz") else None,
        )

    async def channels_of(self, user: str) -> tuple[str, ...]:
        """Return the channels that the user is in, as far as we can see them."""
        return tuple([channel async for channel in self._channels_of(user)])

    async def _channels_of(self, user: str) -> AsyncIterator[str]:
        cursor = ""
        while True:
            with translated():
                found = await self._client.users_conversations(
                    user=user,
                    types="public_channel,private_channel",
                    exclude_archived=True,
                    limit=200,
                    cursor=cursor or None,
                )
            for channel in found.get("channels") or ():
                yield str(channel["id"])
            cursor = str((found.get("response_metadata") or {}).get("next_cursor") or "")
            if not cursor:
                return


def _name(user: Mapping[str, Any]) -> str:
    """Return what a person is called: the name that they chose to be shown by, else their own."""
    profile = user.get("profile") or {}
    return str(
        profile.get("display_name") or profile.get("real_name") or user.get("real_name") or user.get("name") or ""
    )


def _thread_message(raw: Mapping[str, Any]) -> ThreadMessage:
    is_app = bool(raw.get("bot_id"))
    return ThreadMessage(
        ts=str(raw["ts"]),
        text=readable_text(str(raw.get("text") or ""), raw.get("blocks") or ()),
        author=str(raw.get("user") or ""),
        app=str(raw.get("username") or (raw.get("bot_profile") or {}).get("name") or "") if is_app else "",
        files=tuple(file.name for file in files_of(raw)),
    )


def _message(raw: Mapping[str, Any]) -> Message:
    return Message(
        ts=str(raw["ts"]),
        text=readable_text(str(raw.get("text") or ""), raw.get("blocks") or ()),
        user=str(raw.get("user") or ""),
        is_bot=bool(raw.get("bot_id") or raw.get("subtype") == "bot_message"),
    )


async def _receive(response: aiohttp.ClientResponse, file: SharedFile, into: IO[bytes], limit: int) -> None:
    """Write a file's content as it comes in."""
    if response.status >= 500 or response.status == 429:
        raise SlackUnavailable(f"status {response.status}")
    if response.status != 200:
        raise SlackRefused("file_not_found")
    size = 0
    async for received in response.content.iter_chunked(256 * 1024):
        size += len(received)
        if size > limit:
            raise SlackRefused("too_large")
        into.write(received)
    if is_sign_in_page(file, response.content_type, size):
        raise SlackRefused("missing_scope")
    into.seek(0)
