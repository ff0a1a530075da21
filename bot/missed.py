"""Replies that reached us before the first message of their thread: then they were nobody's, and were left alone."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from loguru import logger

from bot.slack import Slack, SlackRefused
from bot.thread import position

LATE = 2.0
"""Seconds after which a first message is late: a delivery that failed comes again after a minute."""
LOOK_SECONDS = 2.0
"""How long Slack may take to list the thread: it wants the event acknowledged within three."""


@dataclass(frozen=True, slots=True)
class Missed:
    slack: Slack
    clock: Callable[[], float] = time.time

    async def replies(self, event: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
        """Return, as `message` events, what people have replied to a thread's first message that is late.

        Raises:
            SlackUnavailable, TimeoutError: it is not known; the event is best not acknowledged.
        """
        channel, ts = str(event["channel"]), str(event["ts"])
        if event.get("thread_ts") not in (None, ts) or self.clock() - position(ts)[0] < LATE + 1:
            return ()
        try:
            async with asyncio.timeout(LOOK_SECONDS):
                messages = await self.slack.replies(channel, ts, after=ts)
        except SlackRefused as error:
            logger.bind(code=error.code).info("replies not readable")
            return ()
        place = {"type": "message", "channel": channel, "thread_ts": ts}
        return [
            place | {"ts": message.ts, "user": message.user, "text": message.text}
            for message in messages
            if message.user and not message.is_bot and position(message.ts) > position(ts)
        ]
