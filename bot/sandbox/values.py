"""What every part of the sandbox shares: Slack's JSON, the fixed names of the workspace, and its options."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from bot.scopes import AGENT_SCOPES, BOT_SCOPES

Json: TypeAlias = dict[str, Any]
"""One object of Slack's wire, which has no schema to hold on to: the sandbox must carry what it does not know."""

Kind: TypeAlias = Literal["events_api", "slash_commands", "interactive"]

APP_ID = "A_FOOTNOTE"
BOT_ID = "B_FOOTNOTE"
BOT_USER = "U_FOOTNOTE"
BOT_NAME = "Footnote"
GENERAL = "C_GENERAL"
"""The channel that everybody is in, which can neither be left nor archived."""

QUESTIONS = (
    "How does Footnote decide what may be shown to whom?",
    "How do I add a document?",
    "What happens when the documents do not answer?",
)


class SlackError(Exception):
    """An answer of `{"ok": false, "error": code}`; `details` are further fields of that answer."""

    def __init__(self, code: str, **details: object) -> None:
        super().__init__(code)
        self.code = code
        self.details = details


class InvalidArguments(SlackError):
    """`invalid_arguments`, with what is wrong in `response_metadata.messages`, as Slack sends it."""

    def __init__(self, *messages: str) -> None:
        super().__init__("invalid_arguments", response_metadata={"messages": [f"[ERROR] {text}" for text in messages]})


@dataclass(frozen=True)
class Command:
    """A slash command that the app's manifest declares."""

    name: str
    hint: str
    description: str


@dataclass(frozen=True)
class Shortcut:
    """A message or global shortcut that the app's manifest declares."""

    callback_id: str
    name: str
    kind: Literal["message", "global"]


COMMANDS = (
    Command("/ask", "[question]", "Ask privately: only you see the answer"),
    Command("/ingest", "[URL …] or nothing for a form", "Add documents"),
    Command("/docs", "[list | search | remove | refresh]", "See and manage documents"),
    Command("/footnote", "[help | status | config | gaps]", "Help, health, this channel's settings, gaps"),
)
SHORTCUTS = (
    Shortcut("answer_message", "Answer from docs", "message"),
    Shortcut("ingest_thread", "Ingest this thread", "message"),
    Shortcut("ask_modal", "Ask the docs", "global"),
    Shortcut("ingest_form", "Add to the docs", "global"),
)


@dataclass(frozen=True)
class Options:
    """How the local Slack behaves. Times are in seconds of the sandbox's clock.

    Attributes:
        team: id of the workspace.
        agent: whether the app is declared an agent; if not, `agents.*` answers `not_agent_app`.
        home_tab: whether the app has an App Home; if not, `views.publish` answers `not_enabled`.
        rate_limits: whether methods answer 429 beyond their tier.
        stream_seconds: life of a stream, counted from its start (SLACK.md: about 300, appending does not extend it).
        ack_seconds: how long a delivery may stay unacknowledged.
        retry_seconds: pauses before each redelivery of an event.
        retire_seconds: how long a connection lives on that was asked to go.
        questions: what the page offers a newcomer to ask.
        scopes: what the app was granted, as every answer of the Web API says.
    """

    team: str = "local"
    team_name: str = "Sandbox"
    agent: bool = True
    home_tab: bool = True
    rate_limits: bool = True
    stream_seconds: float = 300.0
    ack_seconds: float = 3.0
    retry_seconds: tuple[float, ...] = (0.0, 60.0, 300.0)
    retire_seconds: float = 10.0
    questions: tuple[str, ...] = QUESTIONS
    commands: tuple[Command, ...] = COMMANDS
    shortcuts: tuple[Shortcut, ...] = SHORTCUTS
    scopes: tuple[str, ...] = (*BOT_SCOPES, *AGENT_SCOPES)
    bot_token: str = "xoxb-sandbox"  # noqa: S105 - opens nothing but this sandbox
    app_token: str = "xapp-sandbox"  # noqa: S105
    signing_secret: str = "sandbox-signing-secret"  # noqa: S105
