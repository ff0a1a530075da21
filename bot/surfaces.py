"""Wires what people meet beside the conversation: feedback, shortcuts and forms, quiet threads, experts, the agent."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from slack_bolt.async_app import AsyncApp

from bot.admins import Admins
from bot.channels import Channels
from bot.client import Backend
from bot.directory import Directory
from bot.documents import Shelf
from bot.durable import Durable, Job
from bot.expert_replies import KeepJob, ReplyJob, SendJob
from bot.experts import ExpertJob, Experts
from bot.feedback import Emoji, FeedbackJob
from bot.footnote_command import FootnoteJob
from bot.gaps import Gaps
from bot.listeners_asking import AskingListeners
from bot.listeners_channel import ChannelListeners
from bot.listeners_expert import ExpertListeners
from bot.listeners_feedback import FeedbackListeners
from bot.opening import OpeningJob
from bot.quiet import ModeJob, Quiet
from bot.readers import Readers
from bot.records import Records
from bot.sessions import InSession, PromptsJob, Sessions
from bot.settings import Settings
from bot.slack import Slack
from bot.status import Check, Status
from bot.store import Store
from bot.turns import Answering, TurnJob, Turns


@dataclass(frozen=True, slots=True)
class Surfaces:
    """What the parts share. `team` and `bot_user` are ours."""

    settings: Settings
    slack: Slack
    backend: Backend
    store: Store
    records: Records
    directory: Directory
    turns: Turns
    team: str
    bot_user: str
    checks: Mapping[str, Check] = field(default_factory=dict)
    """Looks at our own parts, by name."""

    @property
    def is_agent(self) -> bool:
        """Whether Slack shows the agent view; the sandbox always does."""
        return self.settings.agent_view == "on" or self.settings.mode == "sandbox"

    @property
    def channels(self) -> Channels:
        return Channels(self.records, self.team)

    @property
    def admins(self) -> Admins:
        return Admins(self.directory, self.settings.named_admins)

    @property
    def status(self) -> Status:
        return Status(self.backend, self.checks)

    @property
    def gaps(self) -> Gaps:
        return Gaps(self.backend, self.directory)

    @property
    def experts(self) -> Experts:
        return Experts(self.channels, self.settings.expert)

    @property
    def readers(self) -> Readers:
        return Readers(self.directory, self.settings.outsiders)

    @property
    def quiet(self) -> Quiet:
        return Quiet(
            self.records,
            self.store,
            self.directory,
            self.channels,
            self.bot_user,
            self.settings.follow_ups,
            self.settings.busy_from,
        )

    def jobs(self, conversation: Answering, shelf: Shelf) -> list[Job]:
        """Return the jobs, that of turns first; a turn's session is shown while it is answered."""
        slack, backend, store, records = self.slack, self.backend, self.store, self.records
        answering = InSession(conversation, Sessions(slack, self.bot_user, self.is_agent))
        turn_job = TurnJob(answering, self.turns)
        return [
            turn_job,
            OpeningJob(slack, store, self.readers, self.channels, turn_job),
            FeedbackJob(backend, slack, store, records, self.experts),
            ModeJob(slack, store),
            ExpertJob(slack, backend, store, records, self.readers, self.directory, self.experts),
            ReplyJob(slack, records),
            SendJob(slack, store, records),
            KeepJob(slack, backend, store, records, self.directory, self.settings.allow_external),
            PromptsJob(slack, shelf),
            FootnoteJob(slack, self.admins, self.status, self.gaps),
        ]

    def register(self, app: AsyncApp, durable: Durable) -> ExpertListeners:
        """Tell Bolt of the listeners, before those who take every event; return the one that others ask."""
        good, bad = self.settings.good_emoji.split(","), self.settings.bad_emoji.split(",")
        emoji = Emoji((name.strip(" :") for name in good), (name.strip(" :") for name in bad))
        experts = ExpertListeners(durable, self.slack, self.backend, self.records, self.team, self.bot_user)
        experts.register(app)
        ChannelListeners(
            durable, self.slack, self.backend, self.records, self.channels, self.admins, self.team
        ).register(app)
        AskingListeners(durable, self.slack, self.directory, self.turns, self.team).register(app)
        FeedbackListeners(
            durable, self.slack, self.store, self.records, self.quiet, emoji, self.team, self.bot_user
        ).register(app)
        return experts
