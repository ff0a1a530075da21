"""`/footnote`: what is typed after it, and what is answered. Help and misuse are explained at once; the rest is looked
up by a job, whose answer only its asker sees."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from bot.admins import Admins
from bot.blocks import section
from bot.client import BackendProblem, BackendUnavailable
from bot.durable import Payload
from bot.gaps import Gaps, gap_blocks, gaps_line
from bot.slack import Block, Slack, SlackUnavailable
from bot.status import KEY_REFUSED, KEY_TOO_SMALL, Status, status_blocks, status_line

Verb: TypeAlias = Literal["help", "status", "config", "gaps"]

HELP = (
    "*What I can do*\n"
    "• Mention me with a question, or `/ask` it so that only you see the answer.\n"
    "• `/ingest` adds documents; `/docs` lists, searches, refreshes and removes them.\n"
    "• `/footnote status`: whether I am well\n"
    "• `/footnote config`: how I answer in this channel; admins change it there\n"
    "• `/footnote gaps`: what was asked and not answered (for admins)"
)
DOWN = "I can't reach my document service at the moment. `/footnote status` says how it is."
NOT_KNOWN = "I couldn't check with Slack who you are. Please try again in a minute."
ADMINS_ONLY = "Only admins of this workspace see which questions were not answered."


def read_footnote(text: str) -> Verb | None:
    """Return what is wanted; None for what is no word of ours."""
    match text.split()[:1]:
        case []:
            return "help"
        case [word]:
            known: dict[str, Verb] = {"help": "help", "status": "status", "config": "config", "gaps": "gaps"}
            return known.get(word.casefold())
    return None


def misused(text: str) -> str:
    """Return what is said to somebody who wrote something else."""
    word = text.split()[0][:40].replace("`", "").replace("<", "").replace(">", "").replace("&", "")
    return f"I don't know `{word}`.\n{HELP}" if word else HELP


@dataclass(frozen=True, slots=True)
class FootnoteJob:
    """One `/footnote status` or `/footnote gaps`."""

    slack: Slack
    admins: Admins
    status: Status
    gaps: Gaps
    name: str = "footnote"

    async def attempt(self, payload: Payload) -> None:
        if payload["verb"] == "gaps":
            await self._tell(payload, *await self._gaps(payload))
        else:
            await self._tell(payload, *await self._status(payload["user"]))

    async def _status(self, user: str) -> tuple[str, list[Block]]:
        admin, parts = await asyncio.gather(self._is_admin(user), self.status.look())
        return status_line(parts), status_blocks(parts, admin=admin)

    async def _is_admin(self, user: str) -> bool:
        try:
            return await self.admins.includes(user)
        except SlackUnavailable:
            return False

    async def _gaps(self, payload: Payload) -> tuple[str, list[Block]]:
        try:
            if not await self.admins.includes(payload["user"]):
                return ADMINS_ONLY, []
            found = await self.gaps.seen_by(payload["team"], payload["user"])
        except SlackUnavailable:
            return NOT_KNOWN, []
        except BackendUnavailable:
            return DOWN, []
        except BackendProblem as error:
            return {401: KEY_REFUSED, 403: KEY_TOO_SMALL}.get(error.problem.status, str(error)), []
        return gaps_line(found), gap_blocks(found)

    async def _tell(self, payload: Payload, text: str, content: Sequence[Block]) -> None:
        await self.slack.respond(payload["response_url"], text, content or [section(text)])

    async def give_up(self, payload: Payload) -> None:
        """Slack took no answer for an hour, and takes none any more."""

    async def fail(self, payload: Payload) -> None:
        await self._tell(payload, "Something went wrong on my side. Please run the command again.", [])
