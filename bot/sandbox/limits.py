"""Rate limits: a bucket per method and workspace, after Slack's published tiers."""

from __future__ import annotations

import math
from dataclasses import dataclass

from bot.sandbox.clock import Clock

PER_MINUTE = {
    "chat.startStream": 20,
    "chat.stopStream": 20,
    "chat.appendStream": 100,
    "chat.update": 50,
    "chat.delete": 50,
    "chat.postEphemeral": 100,
    "chat.getPermalink": 600,
    "agents.sessions.setStatus": 50,
    "agents.sessions.rename": 50,
    "assistant.threads.setStatus": 600,
    "assistant.threads.setTitle": 100,
    "assistant.threads.setSuggestedPrompts": 100,
    "conversations.replies": 50,
    "conversations.history": 50,
    "conversations.info": 50,
    "conversations.open": 50,
    "conversations.list": 20,
    "conversations.members": 100,
    "users.info": 100,
    "users.list": 20,
    "users.conversations": 50,
    "reactions.add": 50,
    "reactions.remove": 20,
    "reactions.get": 50,
    "views.open": 100,
    "views.push": 100,
    "views.update": 100,
    "views.publish": 100,
    "files.info": 100,
    "bots.info": 50,
    "blocks.validate": 100,
    "apps.connections.open": 50,
    "auth.test": 600,
}
"""Calls a minute: tier 2 is 20, tier 3 is 50, tier 4 is 100; "special" ones are a few hundred."""

POST_PER_SECOND, POST_BURST = 1.0, 10.0
"""`chat.postMessage`: about one a second per channel, with short bursts tolerated."""


@dataclass
class Bucket:
    tokens: float
    at: float


class Limits:
    """Token buckets that start full and refill steadily."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._buckets: dict[str, Bucket] = {}

    def wait(self, method: str, channel: str) -> int:
        """Take one call: 0 if it may pass, else whole seconds until the next one may (for `Retry-After`)."""
        if method == "chat.postMessage":
            return self._take(f"{method} {channel}", POST_BURST, POST_PER_SECOND)
        per_minute = PER_MINUTE.get(method)
        return self._take(method, per_minute, per_minute / 60) if per_minute else 0

    def _take(self, key: str, size: float, per_second: float) -> int:
        now = self._clock.now()
        bucket = self._buckets.setdefault(key, Bucket(size, now))
        bucket.tokens = min(size, bucket.tokens + (now - bucket.at) * per_second)
        bucket.at = now
        if bucket.tokens < 1:
            return math.ceil((1 - bucket.tokens) / per_second)
        bucket.tokens -= 1
        return 0
