"""`prompts …`: the versions of the prompts, and what people think of the answers that they write."""

from __future__ import annotations

import argparse
import difflib
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

import msgspec
from rich.console import Console
from rich.table import Table

from backend.app import PROMPTS
from backend.cli.client import connected
from backend.evaluate.experiments import Comparison, Rate, Result, evidence_words
from backend.evaluate.insights import Overview
from backend.experiments import ANSWER, FILE, Plan, load_plan
from backend.prompts import Prompts, load_prompts
from backend.releases import FILE as LOCK
from backend.releases import drafts, read_released, violations, written
from backend.settings import Settings

SAMPLES: Mapping[str, object] = {
    "question": "How much leave do I get?",
    "history": [{"role": "user", "text": "Is leave paid?"}],
    "sources": [
        {"n": 1, "title": "Leave", "heading": "Notice", "date": "2026-01-02", "text": "Everyone has 25 days of leave."},
        {"n": 2, "title": "Old handbook", "heading": "", "date": "", "text": "Everyone has 20 days of leave."},
    ],
    "conflicts": [{"newer": 1, "older": 2}],
    "language": "",
    "settled": "",
    "fence": "0123456789abcdef",
    "title": "Leave",
    "heading": "Notice",
    "sentences": ["Everyone has 25 days of leave.", "Ask Ana."],
    "fields": [{"name": "author", "values": ["Ana", "Bob"]}, {"name": "published_at", "values": []}],
    "today": "Friday 2026-11-20",
    "sentence": "You have 25 days of leave.",
    "quotes": ["Everyone has 25 days of leave."],
}
"""Values to render a prompt with, for people to look at."""


async def prompts(settings: Settings, wanted: argparse.Namespace, folder: Path = PROMPTS) -> int:
    """Run one of the commands; return its exit code."""
    if wanted.action == "report":
        return await _report(settings, wanted, folder)
    library, plan, released = load_prompts(folder), load_plan(folder), read_released(folder)
    match wanted.action:
        case "check":
            return _check(library, plan, released)
        case "release":
            return _release(library, released, wanted.ids, folder)
        case "list":
            return _list(library, plan, released)
        case "show":
            sys.stdout.write(_content(library, wanted.id, folder))
        case "diff":
            old, new = (_content(library, id, folder) for id in (wanted.old, wanted.new))
            sys.stdout.write(_diff(old, new, wanted.old, wanted.new))
        case _:
            _render(library, wanted.id)
    return 0


# ------------------------------------------------------------------------------------------------- files and releases


def _check(library: Prompts, plan: Plan, released: Mapping[str, str]) -> int:
    wrong = violations(library, released, plan.in_use())
    for sentence in wrong:
        sys.stderr.write(f"{sentence}\n")
    if not wrong:
        waiting = drafts(library, released)
        sys.stdout.write(f"{len(released)} released prompts as they were{_and(waiting)}\n")
    return int(bool(wrong))


def _and(waiting: list[str]) -> str:
    return f"; drafts: {', '.join(waiting)}" if waiting else ""


def _release(library: Prompts, released: Mapping[str, str], ids: list[str], folder: Path) -> int:
    for id in ids:
        if released.get(id, library.get(id).hash) != library.get(id).hash:
            sys.stderr.write(f"{id} was released with other words: write the next version\n")
            return 1
    (folder / LOCK).write_text(written({**released, **{id: library.get(id).hash for id in ids}}))
    sys.stdout.write(f"released {', '.join(ids)}; commit {LOCK} with them\n")
    return 0


def _list(library: Prompts, plan: Plan, released: Mapping[str, str]) -> int:
    table = Table("prompt", "state", "used", "hash", "purpose", box=None, pad_edge=False)
    now = datetime.now(UTC)
    for id in library.ids():
        prompt = library.get(id)
        state = "draft" if id not in released else "released" if released[id] == prompt.hash else "CHANGED"
        used = [
            *(["current"] if id in plan.current.values() else []),
            *(one.name for one in plan.experiments if one.running(now) and id in dict(one.arms)),
        ]
        table.add_row(id, state, ", ".join(used), prompt.hash[:12], prompt.purpose)
    Console(highlight=False, width=max(100, Console().width)).print(table)
    return 0


def _content(library: Prompts, prompt_id: str, folder: Path) -> str:
    name, _, version = library.get(prompt_id).id.partition("@")
    return (folder / name / f"{version}.md").read_text()


def _diff(old: str, new: str, before: str, after: str) -> str:
    return "".join(difflib.unified_diff(old.splitlines(True), new.splitlines(True), before, after))


def _render(library: Prompts, prompt_id: str) -> None:
    for message in library.get(prompt_id).render_with(SAMPLES):
        sys.stdout.write(f"# {message.role}\n{message.content}\n")


# ---------------------------------------------------------------------------------------------------------- the report


async def _report(settings: Settings, wanted: argparse.Namespace, folder: Path) -> int:
    async with connected(settings, wanted.url) as client:
        reply = await client.get("/insights", {"team": wanted.team} if wanted.team else {})
    seen = msgspec.json.decode(reply, type=Overview)
    if wanted.json:
        sys.stdout.write(f"{msgspec.json.format(msgspec.json.encode(seen.experiments)).decode()}\n")
        return 0
    console = Console(highlight=False, width=max(120, Console().width))
    if not seen.experiments:
        console.print(f"No experiment has begun; {FILE} says which there are.")
    for result in seen.experiments:
        _print(console, result, folder)
    return 0


def _print(console: Console, result: Result, folder: Path) -> None:
    console.print(_arms(result))
    for one in result.comparisons:
        console.print(sentence(one))
    if result.winner:
        console.print(f"\nTo promote {result.winner}, commit this:\n")
        console.print(promotion((folder / FILE).read_text(), result.winner), markup=False, soft_wrap=True)


def _arms(result: Result) -> Table:
    columns = ("arm", "threads", "liked", "declined", "sentence left out", "asked again", "median ms", "tokens", "cost")
    table = Table(*columns, title=f"{result.name}: shares of threads, with what 95 % of their posterior holds")
    for arm in result.arms:
        rates = (arm.liked, arm.abstained, arm.dropped, arm.followed_up)
        figures = (f"{arm.median_ms:.0f}", f"{arm.mean_tokens:.0f}", f"{arm.mean_cost:.5f}")
        table.add_row(arm.prompt, str(arm.threads), *map(_rate, rates), *figures)
    return table


def _rate(rate: Rate) -> str:
    if not rate.of:
        return "–"
    return f"{100 * rate.share:.0f} % ({100 * rate.low:.0f}–{100 * rate.high:.0f}) of {rate.of}"


def sentence(one: Comparison) -> str:
    """Return what may be concluded of an arm, in a sentence."""
    start = f"{one.prompt} beside {one.against}: {one.verdict}"
    if one.verdict == "not enough data":
        return f"{start}."
    probable = f"liked more with a probability of {100 * one.probability:.1f} %"
    return f"{start} ({probable}; the ratings speak {evidence_words(one.evidence)})."


def promotion(content: str, winner: str) -> str:
    """Return, as a diff of `experiments.yaml`, the edit that makes `winner` current. Pure."""
    version = winner.partition("@")[2]
    lines = content.splitlines(keepends=True)
    place = next(at for at, line in enumerate(lines) if line.strip().startswith(f"{ANSWER}:"))
    indent = lines[place][: len(lines[place]) - len(lines[place].lstrip())]
    edited = [*lines[:place], f"{indent}{ANSWER}: {version}\n", *lines[place + 1 :]]
    return _diff("".join(lines), "".join(edited), f"a/prompts/{FILE}", f"b/prompts/{FILE}")
