"""Signed HTTP: events, commands and interactions posted to the app's request URL."""

from __future__ import annotations

import hashlib
import hmac
import json
from urllib.parse import urlencode

import aiohttp

from bot.sandbox.events import Parcel
from bot.sandbox.outbox import Attempt, NotDelivered
from bot.sandbox.values import Json
from bot.sandbox.world import World

EVENT_TYPE = "application/json"
FORM_TYPE = "application/x-www-form-urlencoded"


class ChallengeFailed(Exception):
    """The request URL did not answer Slack's `url_verification` with the challenge."""


def signature(secret: str, timestamp: str, body: str) -> str:
    """Slack's `X-Slack-Signature`: `v0=` and the HMAC-SHA256 of `v0:{timestamp}:{body}`."""
    base = f"v0:{timestamp}:{body}"
    return "v0=" + hmac.new(secret.encode(), base.encode(), hashlib.sha256).hexdigest()


def encode(parcel: Parcel) -> tuple[str, str]:
    """The body of the request and its content type."""
    if parcel.kind == "events_api":
        return json.dumps(parcel.payload), EVENT_TYPE
    if parcel.kind == "interactive":
        return urlencode({"payload": json.dumps(parcel.payload)}), FORM_TYPE
    return urlencode(parcel.payload), FORM_TYPE


class HttpDelivery:
    """The carrier over HTTP to `request_url`."""

    def __init__(self, world: World, request_url: str) -> None:
        options = world.options
        self._world = world
        self._url = request_url
        self._secret = options.signing_secret
        self._session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=options.ack_seconds))
        self._answers = True

    @property
    def is_connected(self) -> bool:
        return self._answers

    async def verify(self) -> None:
        """Do the `url_verification` handshake, as when the URL is entered on Slack's page.

        Raises:
            ChallengeFailed, NotDelivered
        """
        body = {"token": "sandbox", "challenge": "sandbox-challenge", "type": "url_verification"}
        status, text, _ = await self._post(json.dumps(body), EVENT_TYPE, {})
        if status != 200 or "sandbox-challenge" not in text:
            raise ChallengeFailed(f"{self._url} answered {status}")

    async def carry(self, parcel: Parcel, attempt: Attempt) -> Json:
        body, content_type = encode(parcel)
        retry = {"X-Slack-Retry-Num": str(attempt.number), "X-Slack-Retry-Reason": attempt.reason}
        status, text, headers = await self._post(body, content_type, retry if attempt.number else {})
        if not 200 <= status < 300:
            raise NotDelivered("http_error", may_retry=headers.get("X-Slack-No-Retry") != "1")
        return acknowledgement(text, headers.get("Content-Type", ""))

    async def _post(self, body: str, content_type: str, extra: dict[str, str]) -> tuple[int, str, dict[str, str]]:
        timestamp = str(int(self._world.clock.now()))
        headers = {
            "Content-Type": content_type,
            "X-Slack-Request-Timestamp": timestamp,
            "X-Slack-Signature": signature(self._secret, timestamp, body),
        }
        try:
            async with self._session.post(self._url, data=body.encode(), headers=headers | extra) as reply:
                self._connected(True)
                return reply.status, await reply.text(), dict(reply.headers)
        except TimeoutError:
            raise NotDelivered("http_timeout") from None
        except aiohttp.ClientError:
            self._connected(False)
            raise NotDelivered("connection_failed") from None

    def _connected(self, answers: bool) -> None:
        if answers != self._answers:
            self._answers = answers
            self._world.tell("bot", connected=answers)

    async def close(self) -> None:
        await self._session.close()


def acknowledgement(text: str, content_type: str) -> Json:
    """What the app said in its acknowledgement: JSON, or a plain text to show."""
    if not text:
        return {}
    if content_type.startswith("application/json"):
        body = json.loads(text)
        return body if isinstance(body, dict) else {}
    return {"text": text}
