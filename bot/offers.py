"""Buttons that offer a way on: say what was wrong, ask a human, share with the channel. Pure."""

from __future__ import annotations

from backend.schema import DoneEvent
from bot.blocks import MAX_ASKED, button, section
from bot.slack import Block
from bot.thread import Turn

SAY_WHY = "feedback_why"
"""The action id of the button that asks what was wrong; its value is `run_id|thread_ts`."""
ASK_HUMAN = "ask_human"
"""The action id of the button that hands a question on; its value is `run_id|thread_ts`."""
SHARE = "share"
"""The action id of the button that asks a private question again for all to read; its value is `reading:question`."""

SHARE_TO = "share_to"
"""The same under an answer in a direct message: a form asks which channel."""


def unhelpful_blocks(words: str, run_id: str, thread_ts: str, *, why: bool, expert: bool) -> list[Block]:
    """Return what is said to the giver of a 👎, with what they can do now; nothing if there is nothing to do."""
    value = f"{run_id}|{thread_ts}"
    label = "Say what was wrong with this answer"
    elements = [button("Say what was wrong", SAY_WHY, value, label)] if why else []
    elements += [human_button(run_id, thread_ts)] if expert else []
    return [section(words), {"type": "actions", "elements": elements}] if elements else []


def human_button(run_id: str, thread_ts: str = "") -> Block:
    """Return the button that hands the question of a run on to the expert."""
    confirm = {
        "title": {"type": "plain_text", "text": "Ask a human?"},
        "text": {"type": "plain_text", "text": "They get your question, what I tried, and your name."},
        "confirm": {"type": "plain_text", "text": "Ask"},
        "deny": {"type": "plain_text", "text": "Not now"},
    }
    shown = button("Ask a human", ASK_HUMAN, f"{run_id}|{thread_ts}", "Ask a human this question")
    return shown | {"confirm": confirm}


def human_blocks(run_id: str, thread_ts: str = "") -> list[Block]:
    return [{"type": "actions", "elements": [human_button(run_id, thread_ts)]}]


def share_blocks(question: str, reading: str, *, here: bool) -> list[Block]:
    """Return the button under a private answer that asks its question for a channel: the one `here`, or one that is
    chosen then. None for what does not fit."""
    if len(question) > MAX_ASKED:
        return []
    words, action = ("Share to channel", SHARE) if here else ("Share to channel …", SHARE_TO)
    label = "Share to channel: ask this again for all to read"
    return [{"type": "actions", "elements": [button(words, action, f"{reading}:{question}", label)]}]


def read_run(value: str) -> tuple[str, str] | None:
    """Read `run_id|thread_ts`."""
    run_id, bar, thread_ts = value.partition("|")
    return (run_id, thread_ts) if run_id and bar else None


def offered(turn: Turn, done: DoneEvent, question: str, *, expert: bool) -> list[Block]:
    """Return the ways on from an outcome: to a human where nothing was found, to the channel where only the asker
    reads the answer."""
    private = turn.place == "ephemeral"
    here = private and not turn.channel.startswith("D")
    if done.outcome != "answered":
        return human_blocks(done.run_id, "" if private else turn.thread_ts) if expert else []
    return share_blocks(question, turn.reading, here=here) if turn.place != "channel" else []
