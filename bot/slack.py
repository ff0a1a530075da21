"""Slack's Web API as the bot needs it. Vendor errors are translated here: refused for good, or unavailable for now."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import IO, Any, TypeAlias
from urllib.parse import urljoin

import aiohttp
from slack_sdk.errors import SlackApiError, SlackClientError
from slack_sdk.web.async_client import AsyncWebClient
from slack_sdk.web.async_slack_response import AsyncSlackResponse

from bot.audience import Channel, Person
from bot.files import SharedFile, files_of, is_sign_in_page, may_have_token
from bot.thread import Message, position, readable_text
from bot.thread_document import ThreadMessage
from bot.web_client import WebClient

Block: TypeAlias = dict[str, Any]
"""Block Kit and stream chunks, as Slack's JSON has them."""

TRANSIENT = {"ratelimited", "rate_limited", "internal_error", "fatal_error", "service_unavailable", "request_timeout"}
DOWNLOAD_TIMEOUT = aiohttp.ClientTimeout(total=300, sock_connect=10, sock_read=30)
DOWNLOAD_REDIRECTS = 3
REDIRECTS = {301, 302, 303, 307, 308}
MAX_REPLIES = 200
"""Messages of a thread that one call lists."""
MAX_THREAD = 1_000
"""Messages of a thread that are read for its history, or that become a document."""


class SlackRefused(Exception):
    """Slack said no, and would again; `code` is its documented error."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class SlackUnavailable(Exception):
    """Slack cannot be reached or cannot serve now; worth a retry. Whether the call took effect is not known."""


class SlackBusy(SlackUnavailable):
    """Slack wants fewer calls; this one had no effect."""


@contextmanager
def translated() -> Iterator[None]:
    """Turn slack_sdk's and aiohttp's errors into ours."""
    try:
        yield
    except SlackApiError as error:
        raise ours(error) from error
    except (SlackClientError, aiohttp.ClientError, TimeoutError, ConnectionError) as error:
        raise SlackUnavailable(type(error).__name__) from error


def ours(error: SlackApiError) -> SlackRefused | SlackUnavailable:
    """Return what an error of Slack's means."""
    response = error.response
    if isinstance(response, AsyncSlackResponse) and response.status_code == 429:
        return SlackBusy("ratelimited")
    if not isinstance(response, AsyncSlackResponse) or response.status_code >= 500:
        return SlackUnavailable("unreadable reply")
    code = str(response.get("error") or "unknown_error")
    return SlackUnavailable(code) if code in TRANSIENT else SlackRefused(code)


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
        self, channel: str, ts: str, chunks: Sequence[Block] = (), blocks: Sequence[Block] = (), *, more: bool = False
    ) -> None:
        """End a streamed message; `more`: the answer goes on in another one, so the session stays at work."""
        with translated():
            await self._client.chat_stopStream(
                channel=channel,
                ts=ts,
                chunks=chunks or None,
                blocks=blocks or None,
                session_status="processing" if more else None,
            )

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
        if isinstance(self._client, WebClient):
            await self._client.may_speak()
        with translated():
            async with self._session.post(response_url, json=body, timeout=aiohttp.ClientTimeout(total=20)) as response:
                said = (await response.text())[:80]
                if response.status in {429, 500, 502, 503, 504}:
                    raise SlackUnavailable(f"status {response.status}")
                if response.status >= 400:
                    raise SlackRefused(said if said.isidentifier() else f"status_{response.status}")

    async def open_view(self, trigger_id: str, view: Block) -> None:
        """Open a form over Slack, within three seconds of the press that the trigger came with."""
        with translated():
            await self._client.views_open(trigger_id=trigger_id, view=view)

    async def set_session(self, channel: str, thread_ts: str, status: str, *, user: str, title: str = "") -> None:
        """Set the status of an agent session (`processing` or `active`), and its title if there is one."""
        with translated():
            await self._client.agents_sessions_setStatus(
                channel_id=channel, thread_ts=thread_ts, status=status, initiator_user_id=user, title=title or None
            )

    async def suggest(
        self, channel: str, prompts: Sequence[tuple[str, str]], *, title: str, thread_ts: str = ""
    ) -> None:
        """Suggest questions to begin with, each with its name; `thread_ts` is for legacy assistant threads."""
        given = [{"title": name, "message": question} for name, question in prompts]
        with translated():
            await self._client.assistant_threads_setSuggestedPrompts(
                channel_id=channel, thread_ts=thread_ts or None, title=title, prompts=given
            )

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

    async def replies(self, channel: str, thread_ts: str, *, after: str = "") -> list[Message]:
        """Return the thread's messages, those after a ts or all, oldest first, at most MAX_THREAD."""
        return [_message(raw) for raw in await self._replies(channel, thread_ts, after)]

    async def thread(self, channel: str, thread_ts: str) -> list[ThreadMessage]:
        """Return all messages of a thread that are still there, oldest first, at most MAX_THREAD."""
        messages = await self._replies(channel, thread_ts)
        return [_thread_message(raw) for raw in messages if raw.get("subtype") != "tombstone"]

    async def _replies(self, channel: str, thread_ts: str, after: str = "") -> list[Mapping[str, Any]]:
        """Every page of a thread begins with its first message."""
        found: dict[str, Mapping[str, Any]] = {}
        given = {"channel": channel, "ts": thread_ts, "oldest": after or None}
        async for raw in self._listed(self._client.conversations_replies, "messages", limit=MAX_REPLIES, **given):
            found[str(raw["ts"])] = raw
            if len(found) >= MAX_THREAD:
                break
        return [found[ts] for ts in sorted(found, key=position)]

    async def permalink(self, channel: str, ts: str) -> str:
        """Return the address of a message."""
        with translated():
            return str((await self._client.chat_getPermalink(channel=channel, message_ts=ts))["permalink"])

    async def channel(self, channel: str) -> Channel:
        with translated():
            found = (await self._client.conversations_info(channel=channel, include_num_members=True))["channel"]
        shared = any(found.get(flag) for flag in ("is_ext_shared", "is_pending_ext_shared", "is_shared"))
        return Channel(
            shared=shared,
            name=str(found.get("name") or ""),
            members=int(found.get("num_members") or 0),
            creator=str(found.get("creator") or ""),
        )

    async def is_joined(self, channel: str) -> bool:
        """Whether we are in a conversation that we can see."""
        with translated():
            found = (await self._client.conversations_info(channel=channel))["channel"]
        return bool(found.get("is_member") or found.get("is_im"))

    async def person(self, user: str) -> Person:
        with translated():
            found = (await self._client.users_info(user=user))["user"]
        return Person(
            team=str(found.get("team_id") or ""),
            guest=_is_guest(found),
            stranger=bool(found.get("is_stranger")),
            bot=bool(found.get("is_bot")),
            name=_name(found),
            time_zone=str(found["tz"]) if found.get("tz") else None,
            gone=bool(found.get("deleted")),
            admin=bool(found.get("is_admin") or found.get("is_owner")),
        )

    async def channels_of(self, user: str) -> tuple[str, ...]:
        """Return the channels that the user is in, as far as we can see them; "" is us. Archived ones are none."""
        given = {"user": user or None, "types": "public_channel,private_channel", "exclude_archived": True}
        listed = self._listed(self._client.users_conversations, "channels", limit=200, **given)
        return tuple([str(channel["id"]) async for channel in listed])

    async def members(self, channel: str) -> frozenset[str]:
        """Return the users that are in a channel, us included."""
        listed = self._listed(self._client.conversations_members, "members", limit=1_000, channel=channel)
        return frozenset([str(user) async for user in listed])

    async def guests(self) -> frozenset[str]:
        """Return the workspace's single- and multi-channel guests."""
        listed = self._listed(self._client.users_list, "members", limit=1_000)
        return frozenset([str(user["id"]) async for user in listed if _is_guest(user)])

    async def _listed(
        self, method: Callable[..., Awaitable[AsyncSlackResponse]], name: str, **given: object
    ) -> AsyncIterator[Any]:
        """Yield what all pages of a listing hold under `name`."""
        cursor = ""
        while True:
            with translated():
                found = await method(cursor=cursor or None, **given)
            for item in found.get(name) or ():
                yield item
            cursor = str((found.get("response_metadata") or {}).get("next_cursor") or "")
            if not cursor:
                return


def _is_guest(user: Mapping[str, Any]) -> bool:
    return bool(user.get("is_restricted") or user.get("is_ultra_restricted"))


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
