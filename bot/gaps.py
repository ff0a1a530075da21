"""What the documents lack, as the questions of the last weeks show it: for admins, of the channels that they read.

What was asked elsewhere, or for the asker alone, is counted and not shown.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from backend.schema import GapsReply, GapsRequest, KnowledgeGap
from bot.blocks import context, counted, escaped, section
from bot.client import Backend
from bot.directory import Directory
from bot.quotes import shortened
from bot.slack import Block

DAYS = 30
SHOWN = 10
MAX_QUESTIONS = 3
"""Questions of one gap that are shown."""
MAX_CHANNELS = 5_000


@dataclass(frozen=True, slots=True)
class Gaps:
    """Who asks must be an admin; that is the caller's to see to."""

    backend: Backend
    directory: Directory

    async def seen_by(self, team: str, user: str) -> GapsReply:
        """Return the gaps as this person may see them: their channels are looked up now.

        Raises:
            BackendUnavailable, BackendProblem, SlackUnavailable
        """
        channels = await self.directory.channels_of(user)
        return await self.backend.gaps(GapsRequest(channels=channels[:MAX_CHANNELS], team=team, days=DAYS))


def gaps_line(found: GapsReply) -> str:
    if not found.runs:
        return f"Nobody has asked anything in the last {found.days} days."
    if not found.gaps:
        asked = f"{counted(found.runs, 'question')} in the last {found.days} days"
        return f"No gaps: {asked}, none left unanswered and no answer disliked."
    return f"What the documents lack: {counted(len(found.gaps), 'subject')} in the last {found.days} days"


def gap_blocks(found: GapsReply, most: int = SHOWN) -> list[Block]:
    """Return the largest gaps, at most so many, each with what was asked, how often, and the nearest document."""
    if not found.gaps:
        return [section(gaps_line(found))]
    shown = [section(f"*{gaps_line(found)}*"), *(section(gap_text(gap)) for gap in found.gaps[:most])]
    more = len(found.gaps) - most
    hint = "Add what is missing with `/ingest`. Questions are shown from channels that you and I are both in."
    return [*shown, context(f"and {more} more. {hint}" if more > 0 else hint)]


def gap_text(gap: KnowledgeGap) -> str:
    asked = [f"“{escaped(shortened(question, 200))}”" for question in gap.questions[:MAX_QUESTIONS]]
    head = "\n".join(asked) if asked else "_Asked privately, or where you and I are not both in_"
    return f"{head}\n{' · '.join(_facts(gap))}"


def _facts(gap: KnowledgeGap) -> Sequence[str]:
    left = len(gap.questions) - MAX_QUESTIONS
    return [
        *([f"and {left} more like it"] if left > 0 else []),
        *([f"{gap.abstained} × not answered"] if gap.abstained else []),
        *([f"{gap.disliked} × answer disliked"] if gap.disliked else []),
        *([f"{gap.elsewhere} of them asked elsewhere"] if gap.elsewhere and gap.questions else []),
        *([f"closest: {escaped(shortened(gap.nearest, 80))}"] if gap.nearest else []),
    ]
