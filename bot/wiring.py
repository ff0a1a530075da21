"""Wires one workspace: what answers there, and which listeners hear of it."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial

import aiohttp
from slack_bolt.async_app import AsyncApp
from slack_bolt.authorization import AuthorizeResult
from tenacity import retry, retry_if_exception_type, wait_exponential

from bot.client import Backend
from bot.collection_jobs import CancelJob, CollectionJob
from bot.conversation import Conversation
from bot.directory import Directory
from bot.documents import DocsJob, Shelf
from bot.durable import Durable, Job
from bot.home_admin import AdminPart
from bot.home_jobs import Home, HomeJob, then_home
from bot.ingest import IngestJob
from bot.listeners import Listeners
from bot.listeners_audience import AudienceListeners
from bot.listeners_home import HomeListeners
from bot.listeners_install import Gone, InstallListeners
from bot.missed import Missed
from bot.notices import NoticeJob, watch_notices
from bot.pace import Pace
from bot.peers import Alone, Peers
from bot.readers import Readers
from bot.recent import Recent
from bot.records import Records
from bot.settings import Settings
from bot.slack import Slack, SlackUnavailable
from bot.status import Check
from bot.store import Store
from bot.surfaces import Surfaces
from bot.teams import Team, TeamDurable
from bot.telemetry import Telemetry
from bot.thread_jobs import ThreadChangeJob, ThreadJob, Threads
from bot.tidings import Tidings
from bot.turns import Turns, WithdrawJob
from bot.web_client import WebClient


@dataclass(frozen=True, slots=True)
class Shared:
    """What all workspaces have in common. `calling` is the session for Slack's Web API, whose calls have a deadline;
    `session` the one for the rest. `gone` is called with the team when one has thrown us out."""

    settings: Settings
    session: aiohttp.ClientSession
    calling: aiohttp.ClientSession
    backend: Backend
    store: Store
    turns: Turns
    api_url: str
    signing_secret: str | None
    gone: Gone
    telemetry: Telemetry = field(default_factory=Telemetry)
    peers: Peers = field(default_factory=Alone)
    tidings: Tidings = field(default_factory=lambda: Tidings(Alone()))
    checks: dict[str, Check] = field(default_factory=dict)
    """What must be well for us to answer, by name; filled as it opens."""

    def job_names(self) -> list[str]:
        """Return the names of a workspace's jobs, which are the same in all."""
        wired = self._wired(self._client(None), "", "")
        return [job.name for job in wired.jobs(self)]

    async def identified(self, token: str) -> tuple[str, str]:
        """Return the team that a token is of and our user id there, waiting for Slack. SlackRefused for no token."""
        bot_user, team = await introduced(Slack(self._client(token), self.session))
        return team, bot_user

    async def opened(self, token: str, durable: Durable) -> Team:
        """Open the workspace that a token is of, waiting for Slack. SlackRefused for no token."""
        client = self._client(token)
        bot_user, team = await introduced(Slack(client, self.session))
        wired = self._wired(client, team, bot_user)
        recording = TeamDurable(durable, team)
        app = build_app(client, self.signing_secret, team, bot_user)
        self.tidings.directories[team] = wired.directory
        wired.register(app, recording, self)
        notices = asyncio.create_task(watch_notices(self.backend, recording, team, self.settings.notices_every))
        jobs = {job.name: job for job in then_home(wired.jobs(self), Recent(self.store.engine), recording)}
        return Team(team, bot_user, app, client, jobs, lambda: ended(notices))

    def lobby(self) -> AsyncApp:
        """Return the app that hears what is of no workspace."""
        return build_app(self._client(None), self.signing_secret, "", "")

    def _client(self, token: str | None) -> WebClient:
        return WebClient(token, self.calling, self.api_url, self.telemetry, self.peers.sure)

    def _wired(self, client: WebClient, team: str, bot_user: str) -> Wired:
        slack = Slack(client, self.session)
        directory = Directory(slack)
        records = Records(self.store.engine)
        surfaces = Surfaces(
            self.settings,
            slack,
            self.backend,
            self.store,
            records,
            directory,
            self.turns,
            team=team,
            bot_user=bot_user,
            checks=self.checks,
        )
        return Wired(slack, directory, surfaces, team, bot_user)


@dataclass(frozen=True, slots=True)
class Wired:
    """The parts of one workspace."""

    slack: Slack
    directory: Directory
    surfaces: Surfaces
    team: str
    bot_user: str

    def register(self, app: AsyncApp, durable: Durable, shared: Shared) -> None:
        """Tell Bolt of all listeners; those that take every event come last."""
        home = HomeListeners(durable, self.slack, self.team)
        tell = partial(shared.tidings.tell, self.team)
        AudienceListeners(self.directory, home.left, self.surfaces.channels.moved, tell).register(app)
        home.register(app)
        InstallListeners(self.team, shared.gone).register(app)
        surfaces, turns = self.surfaces, shared.turns
        experts = surfaces.register(app, durable)
        listeners = Listeners(
            durable,
            shared.store,
            turns,
            surfaces.quiet,
            experts,
            Missed(self.slack),
            self.team,
            self.bot_user,
            is_agent=surfaces.is_agent,
        )
        listeners.register(app)

    def jobs(self, shared: Shared) -> list[Job]:
        settings, backend, store, slack = shared.settings, shared.backend, shared.store, self.slack
        directory = self.directory
        readers = Readers(directory, settings.outsiders)
        conversation = Conversation(
            slack=slack,
            backend=backend,
            store=store,
            directory=directory,
            running=shared.turns.running,
            pace=Pace(share=lambda: shared.peers.living),
            bot_user=self.bot_user,
            readers=readers,
            timeout=settings.answer_timeout,
            experts=self.surfaces.experts,
            channels=self.surfaces.channels,
            telemetry=shared.telemetry,
        )
        shelf = Shelf(backend, readers, store)
        threads = Threads(slack, directory, self.bot_user)
        surfaces = self.surfaces
        below = AdminPart(surfaces.admins, surfaces.status, surfaces.gaps, backend)
        home = Home(slack, backend, shelf, Recent(store.engine), below)
        return [
            *self.surfaces.jobs(conversation, shelf),
            WithdrawJob(conversation, shared.turns),
            IngestJob(slack, backend, store, directory, settings.allow_external),
            CollectionJob(slack, backend, store, directory, settings.allow_external),
            CancelJob(slack, backend),
            ThreadJob(slack, backend, store, threads, settings.allow_external),
            ThreadChangeJob(backend, store, threads),
            DocsJob(shelf, slack),
            HomeJob(home),
            NoticeJob(slack, backend, store),
        ]


@retry(retry=retry_if_exception_type(SlackUnavailable), wait=wait_exponential(max=30))
async def introduced(slack: Slack) -> tuple[str, str]:
    """Return our user id and the team's, waiting for Slack as long as it takes. SlackRefused for a bad token."""
    return await slack.who_am_i()


def build_app(client: WebClient, signing_secret: str | None, team: str, bot_user: str) -> AsyncApp:
    """Return a Bolt app that acknowledges an event only after its listener has returned.

    It is told who we are: left to ask Slack at the first event, Bolt acknowledges that event unheard where Slack fails.
    """
    ourselves = AuthorizeResult(enterprise_id=None, team_id=team, bot_user_id=bot_user, bot_token=client.token)

    async def authorize() -> AuthorizeResult:
        return ourselves

    return AsyncApp(
        authorize=authorize,
        client=client,
        signing_secret=signing_secret,
        process_before_response=True,
        attaching_conversation_kwargs_enabled=False,
    )


async def ended(task: asyncio.Task[object]) -> None:
    """Cancel a task and wait until it is gone."""
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


def begun(work: Coroutine[object, object, object]) -> asyncio.Task[object]:
    """Do something beside everything else; whoever begins it ends it."""
    return asyncio.create_task(work)
