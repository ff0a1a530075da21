"""What an outcome is in words: the decisions and the wording of bot.conversation. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from backend.schema import Citation, DoneEvent, Passage, Problem, Understood
from bot import blocks
from bot.client import BackendUnavailable
from bot.pages import Pages
from bot.rungs import POSTED_PAGE, Place
from bot.slack import Block
from bot.telemetry import Outcome
from bot.thread import Turn


@dataclass(slots=True)
class Run:
    """What the backend has told of a run so far."""

    question: str = ""
    understood: Understood | None = None
    passages: tuple[Passage, ...] = ()
    citations: tuple[Citation, ...] = ()
    done: DoneEvent | None = None
    problem: Problem | None = None


def place_of(turn: Turn) -> Place:
    """Return where the reply goes. Streams name their reader, by the reader's own team, except in direct messages."""
    if turn.place == "direct":
        return Place(turn.channel, turn.thread_ts)
    return Place(turn.channel, turn.thread_ts, team=turn.user_team or turn.team, user=turn.user)


def failed(problem: Problem) -> Problem:
    """Return a problem that is the outcome; raise BackendUnavailable for one that another attempt may not meet."""
    if problem.status in {429, 502, 503, 504}:
        raise BackendUnavailable(problem.title)
    return problem


def outcome_of(run: Run) -> Outcome:
    """Return what came of a run that was told to its end, or to where it was stopped."""
    if run.problem is not None:
        return "failed"
    if run.done is None:
        return "stopped"
    if not run.done.run_id:
        return "replied"
    return "answered" if run.done.outcome == "answered" else "abstained"


def sentence(problem: Problem, turn: Turn) -> str:
    """Return a problem in words for a person, with what to quote when they ask for help."""
    if problem.status in {401, 403}:
        words = "The document service refused my key. Someone needs to check `FOOTNOTE_API_KEY`."
    else:
        words = problem.detail or problem.title
    return f"{words} (run `{problem.run_id or turn.label}`)"


def down(turn: Turn) -> str:
    return f"I can't reach my document service; I'll answer here as soon as it is back (turn `{turn.label}`)."


def understood(turn: Turn, run: Run) -> list[Block]:
    """Return what is shown of how the question was understood."""
    if run.understood is None:
        return []
    return blocks.filter_blocks(
        run.understood.described, run.understood.notices, turn.asked_ts or turn.ts, run.question
    )


def abstained(turn: Turn) -> str:
    return blocks.ABSTAINED if turn.place == "channel" else blocks.ABSTAINED_PRIVATELY


def private_message(turn: Turn, run: Run, text: str) -> tuple[str, list[Block]]:
    """Return the one message that a private answer is: its text and its blocks."""
    if run.problem is not None or run.done is None:
        return (sentence(run.problem, turn) if run.problem else "Stopped."), []
    if not run.done.run_id:
        return text, [blocks.markdown(text)]
    if run.done.outcome == "answered":
        below = blocks.plainer(blocks.answer_blocks(run.citations, run.done.metadata, run.done.run_id))
    else:
        text = text or abstained(turn)
        below = blocks.abstention_blocks(run.passages, run.done.run_id, text)
    pages = Pages(POSTED_PAGE)
    pages.add(text)
    cut = [blocks.context("The rest did not fit here; ask in a direct message to see all of it.")]
    shown = [blocks.markdown(pages.pages[0]), *(cut if len(pages.pages) > 1 else [])]
    return blocks.fallback(text), [*shown, *understood(turn, run), *below]
