"""What the backend has people told: each notice becomes one direct message, once, and is then struck off."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from loguru import logger

from backend.schema import Notice
from bot import blocks
from bot.client import Backend, BackendProblem, BackendUnavailable
from bot.durable import Durable, Payload
from bot.quotes import opened_at, shortened
from bot.slack import Block, Slack, SlackRefused
from bot.store import Store


async def watch_notices(backend: Backend, durable: Durable, team: str, every: float) -> None:
    """Look for notices every so many seconds, for ever; record the telling of each, which happens once per notice."""
    while True:
        try:
            for notice in await backend.notices(team):
                payload = {"team": team, "notice_id": notice.notice_id}
                await durable.record("notice", f"notice:{notice.notice_id}", payload)
        except BackendUnavailable:
            logger.debug("notices not looked for: the backend is away")
        except BackendProblem as error:
            logger.bind(error=str(error)).warning("notices not looked for")
        await asyncio.sleep(every)


@dataclass(frozen=True, slots=True)
class NoticeJob:
    """Tells one notice. Its words are fetched when they are needed and kept nowhere."""

    slack: Slack
    backend: Backend
    store: Store
    name: str = "notice"

    async def attempt(self, payload: Payload) -> None:
        team, notice_id = payload["team"], payload["notice_id"]
        notice = next((one for one in await self.backend.notices(team) if one.notice_id == notice_id), None)
        if notice is None:
            return
        posted = await self.store.posted(f"notice:{notice_id}")
        if not posted.ts:
            try:
                await posted.add(" ".join(await self.slack.post(notice.user, *_words(notice))))
            except SlackRefused as error:  # Such as somebody who has left: nobody else is to be told.
                logger.bind(code=error.code).warning("notice not told")
        await self.backend.strike_notice(team, notice_id)

    async def give_up(self, payload: Payload) -> None:
        logger.bind(job=self.name, notice=payload["notice_id"]).error("notice not told")

    async def fail(self, payload: Payload) -> None:
        logger.bind(job=self.name, notice=payload["notice_id"]).error("notice not told")


def _words(notice: Notice) -> tuple[str, list[Block]]:
    title = shortened(notice.title or notice.url or notice.document_id, 100)
    line = f"📭 {blocks.linked(title, opened_at(notice.url, ''))} is gone\n>{blocks.escaped(notice.reason)}"
    hint = blocks.context("You added it, so I thought you should know. `/docs` lists, refreshes and removes documents.")
    return f"{title} is gone", [blocks.section(line), hint]
