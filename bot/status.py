"""How we are, in words: one line for everybody; for admins each part, and what to do about it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

import msgspec

from bot.blocks import context, escaped, section
from bot.client import Backend, BackendProblem, BackendUnavailable, Health
from bot.quotes import shortened
from bot.slack import Block

Check: TypeAlias = Callable[[], Awaitable[bool]]
Verdict: TypeAlias = Literal["healthy", "degraded", "unhealthy", "unseen"]
"""`unseen`: it answers, but our key may not see how it is."""

MARKS = {"healthy": "✅", "degraded": "⚠️", "unhealthy": "⛔", "unseen": "▫️"}
LINES: Mapping[Verdict, str] = {
    "healthy": "All is well: I hear Slack, and the documents can be searched.",
    "degraded": "I can answer, but not everything is well.",
    "unhealthy": "I can't answer at the moment. I keep what you ask and answer as soon as I can.",
    "unseen": "I hear Slack, and the document service answers.",
}
NAMES: Mapping[str, str] = {
    "service": "Document service",
    "index": "Search index",
    "database": "Database",
    "ingest_queue": "Taking in documents",
    "embedder": "Embedding",
    "answers": "Writing answers",
    "models": "Language models",
    "disk": "Disk",
    "versions": "Versions",
    "cache_l1": "Kept answers in memory",
    "cache_l2": "Kept answers in Redis",
    "cache_l3": "Kept answers in the database",
    "socket": "Connection to Slack",
    "workspaces": "Workspaces",
}
OWN_ADVICE: Mapping[str, str] = {
    "socket": "No connection of Socket Mode is open. It is built anew by itself; if that lasts, run "
    "`python -m bot doctor`.",
    "workspaces": "No workspace is open. Run `python -m bot doctor`.",
}
NOT_REACHED = "It cannot be reached. Start it (`python -m backend serve`), or see its log."
KEY_REFUSED = "It refuses my key. Set `FOOTNOTE_API_KEY` to one that it knows."
KEY_TOO_SMALL = "My key may not see its parts: that takes one with the role `admin` (docs/operations.md)."
MAX_PARTS = 30


class Part(msgspec.Struct, frozen=True):
    """One part: its name for a person, how it is, and what to do about it, "" where nothing is."""

    name: str
    verdict: Verdict
    advice: str = ""


@dataclass(frozen=True, slots=True)
class Status:
    """`checks` are our own, by name; that of the backend is asked of it in detail instead."""

    backend: Backend
    checks: Mapping[str, Check] = field(default_factory=dict)

    async def look(self) -> list[Part]:
        """Return every part, ours first."""
        own = [name for name in self.checks if name != "backend"]
        *well, parts = await asyncio.gather(*(self.checks[name]() for name in own), self._backend())
        assert isinstance(parts, list)
        return [*(own_part(name, well=bool(is_well)) for name, is_well in zip(own, well, strict=True)), *parts]

    async def _backend(self) -> list[Part]:
        try:
            return parts_of(await self.backend.health())
        except BackendUnavailable:
            return [Part(NAMES["service"], "unhealthy", NOT_REACHED)]
        except BackendProblem as error:
            if error.problem.status == 403:
                return [Part(NAMES["service"], "unseen", KEY_TOO_SMALL)]
            advice = KEY_REFUSED if error.problem.status == 401 else str(error)
            return [Part(NAMES["service"], "unhealthy", advice)]


# --------------------------------------------------------------------------------------------- decisions and wording


def own_part(name: str, *, well: bool) -> Part:
    advice = "" if well else OWN_ADVICE.get(name, "See the bot's log.")
    return Part(NAMES.get(name, name), "healthy" if well else "unhealthy", advice)


def parts_of(health: Health) -> list[Part]:
    """Return the backend's parts, the worst first."""
    parts = [
        Part(NAMES.get(name, name), one.verdict, " ".join(filter(None, (one.detail, one.advice))))
        for name, one in health.components.items()
    ]
    return sorted(parts, key=lambda part: ("unhealthy", "degraded", "healthy", "unseen").index(part.verdict))


def verdict_of(parts: Sequence[Part]) -> Verdict:
    """Return how the whole is: as bad as its worst part."""
    verdicts = {part.verdict for part in parts}
    order: tuple[Verdict, ...] = ("unhealthy", "degraded", "unseen")
    return next((verdict for verdict in order if verdict in verdicts), "healthy")


def status_line(parts: Sequence[Part]) -> str:
    verdict = verdict_of(parts)
    return f"{MARKS[verdict if verdict != 'unseen' else 'healthy']} {LINES[verdict]}"


def status_blocks(parts: Sequence[Part], *, admin: bool) -> list[Block]:
    """Return the line, and for admins the parts: those that are not well with what to do, the others by name."""
    shown = [section(f"*{status_line(parts)}*")]
    if not admin:
        hint = "" if verdict_of(parts) in {"healthy", "unseen"} else "Admins see here what to do about it."
        return [*shown, *([context(hint)] if hint else [])]
    ill = [part for part in parts if part.verdict != "healthy"]
    well = [part.name for part in parts if part.verdict == "healthy"]
    shown += [section(_told(part)) for part in ill[:MAX_PARTS]]
    return [*shown, *([context(f"Well: {escaped(', '.join(well))}")] if well else [])]


def _told(part: Part) -> str:
    return f"{MARKS[part.verdict]} *{escaped(part.name)}*\n{escaped(shortened(part.advice, 1_000))}"
