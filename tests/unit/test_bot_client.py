"""The bot's client against a real server: what is worth another attempt, what is an outcome, what it remembers."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from backend.schema import DoneEvent, FeedbackRequest, IngestRequest, QueryRequest, QueryStreamEvent
from bot.audience import Channel, Person
from bot.client import Backend, BackendProblem, BackendUnavailable
from bot.database import build_engine
from bot.directory import Directory
from bot.settings import Settings, SettingsError, load_settings
from bot.slack import SlackRefused
from bot.store import Answer, Store
from bot.welcome import corpus, ingest_welcome
from tests.fakes.backend_server import FakeBackend, open_backend


@pytest.fixture
async def server() -> AsyncIterator[FakeBackend]:
    async with open_backend() as backend:
        yield backend


@pytest.fixture
async def backend(server: FakeBackend) -> AsyncIterator[Backend]:
    async with aiohttp.ClientSession() as session:
        yield Backend(session, server.url, lambda: "key")


async def events_of(backend: Backend) -> list[QueryStreamEvent]:
    return [event async for event in backend.query(QueryRequest("leave?", stream=True))]


async def test_a_run_is_followed_to_its_last_event(backend: Backend) -> None:
    events = await events_of(backend)
    assert isinstance(events[-1], DoneEvent)
    assert [type(event).__name__ for event in events] == [
        "StatusEvent",
        "PassagesEvent",
        "DeltaEvent",
        "CitationsEvent",
        "DoneEvent",
    ]


@pytest.mark.parametrize("mode", ["down", "hang_up"])
async def test_a_backend_that_is_down_or_hangs_up_is_worth_another_attempt(
    server: FakeBackend, backend: Backend, mode: str
) -> None:
    server.mode = mode
    with pytest.raises(BackendUnavailable):
        await events_of(backend)


async def test_nobody_listening_is_worth_another_attempt() -> None:
    async with aiohttp.ClientSession() as session:
        backend = Backend(session, "http://127.0.0.1:9", lambda: None)
        with pytest.raises(BackendUnavailable):
            await events_of(backend)
        assert not await backend.is_up()


async def test_a_wrong_key_is_a_problem(server: FakeBackend) -> None:
    async with aiohttp.ClientSession() as session:
        with pytest.raises(BackendProblem) as caught:
            await events_of(Backend(session, server.url, lambda: "wrong"))
    assert caught.value.problem.status == 401


async def test_an_id_that_is_an_address_reaches_its_document(server: FakeBackend, backend: Backend) -> None:
    reply = await backend.ingest(IngestRequest(url="https://a.example/x?y=1#z"))
    assert (await backend.document("T1", reply.document_id)).document_id == "https://a.example/x?y=1#z"
    await backend.remove("T1", reply.document_id)
    with pytest.raises(BackendProblem, match="no such document"):
        await backend.document("T1", reply.document_id)


async def test_a_rating_is_given_and_taken_back(server: FakeBackend, backend: Backend) -> None:
    await backend.rate(FeedbackRequest(run_id="r", user="U1", rating=1, kind="reaction"))
    assert server.feedback == {("r", "U1", "reaction"): 1}
    await backend.unrate("r", "U1", "reaction")
    assert server.feedback == {}


async def test_the_welcome_documents_have_stable_ids(server: FakeBackend, backend: Backend, tmp_path: Path) -> None:
    (tmp_path / "docs").mkdir()
    (tmp_path / "README.md").write_text("# Footnote\n\nHello.")
    (tmp_path / "docs" / "design.md").write_text("No heading")
    assert await ingest_welcome(backend, tmp_path, "local") == 2
    assert [(r.id, r.title) for r in server.ingested] == [
        ("welcome/README.md", "Footnote"),
        ("welcome/docs/design.md", "design"),
    ]
    assert corpus(tmp_path / "nowhere") == []


# ------------------------------------------------------------------------------------------------------------- store


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    engine = build_engine(tmp_path / "bot.sqlite")
    store = Store(engine)
    await store.create_tables()
    yield store
    await engine.dispose()


async def test_a_turns_messages_are_remembered_in_order(store: Store) -> None:
    posted = await store.posted("k")
    await posted.add("1.0")
    await posted.add("2.0")
    await posted.add("3.0")
    await posted.drop_last()
    assert (await store.posted("k")).ts == ("1.0", "2.0")
    assert await store.known_ts(["2.0", "9.0"]) == {"2.0"}
    assert (await store.posted("other")).ts == ()


async def test_a_turn_begins_once(store: Store) -> None:
    assert [await store.begin_turn("k"), await store.begin_turn("k")] == [False, True]


async def test_an_answer_is_found_by_its_message(store: Store) -> None:
    await store.put_answer(Answer("T1", "C1", "2.0", "1.0", "run", "U1"))
    assert await store.run_of("T1", "C1", "2.0") == "run"
    assert await store.run_of("T2", "C1", "2.0") is None


async def test_a_thread_that_was_joined_is_ours(store: Store) -> None:
    for _ in range(2):
        await store.join_thread("T1", "C1", "1.0")
    assert await store.is_ours("T1", "C1", "1.0")
    assert not await store.is_ours("T1", "C2", "1.0")


# --------------------------------------------------------------------------------------------------------- directory


class Lookups:
    """Knows C1 only, and counts."""

    def __init__(self) -> None:
        self.asked = 0

    async def channel(self, channel: str) -> Channel:
        self.asked += 1
        if channel != "C1":
            raise SlackRefused("channel_not_found")
        return Channel(shared=False)

    async def person(self, user: str) -> Person:
        raise SlackRefused("missing_scope")

    async def channels_of(self, user: str) -> tuple[str, ...]:
        raise SlackRefused("missing_scope")

    async def members(self, channel: str) -> frozenset[str]:
        raise SlackRefused("missing_scope")

    async def guests(self) -> frozenset[str]:
        return frozenset()


async def test_what_slack_refuses_to_tell_is_unknown_and_asked_again() -> None:
    now, lookups = [0.0], Lookups()
    directory = Directory(lookups, lambda: now[0])
    assert await directory.channel("C9") is None
    assert await directory.channel("C9") is None
    assert await directory.person("U1") is None
    assert await directory.channels_of("U1") == ()
    assert lookups.asked == 2


async def test_what_slack_told_is_remembered_for_a_while() -> None:
    now, lookups = [0.0], Lookups()
    directory = Directory(lookups, lambda: now[0])
    for now[0] in (0.0, 299.0, 301.0):
        assert await directory.channel("C1") == Channel(shared=False)
    assert lookups.asked == 2


# ---------------------------------------------------------------------------------------------------------- settings


def test_a_wrong_setting_is_one_line_that_names_the_variable(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FOOTNOTE_BACKEND_URL", "backend:8700")
    with pytest.raises(SettingsError, match=r"^FOOTNOTE_BACKEND_URL: must begin with http"):
        load_settings()
    monkeypatch.delenv("FOOTNOTE_BACKEND_URL")
    monkeypatch.setenv("SLACK_APP_TOKEN", "xapp-secret")
    with pytest.raises(SettingsError, match=r"^SLACK_BOT_TOKEN: ") as caught:
        load_settings()
    assert "xapp-secret" not in str(caught.value)


def test_the_key_is_read_from_the_data_folder_once_it_is_there(tmp_path: Path) -> None:
    settings = Settings.model_validate({"data_dir": tmp_path})
    assert settings.read_api_key() is None
    (tmp_path / "api-key").write_text("secret\n")
    assert settings.read_api_key() == "secret"


def test_without_tokens_the_sandbox_is_used_and_a_signing_secret_means_http() -> None:
    assert Settings.model_validate({}).mode == "sandbox"
    http = Settings.model_validate({"SLACK_BOT_TOKEN": "xoxb", "SLACK_SIGNING_SECRET": "s"})
    assert http.mode == "http"
    assert Settings.model_validate({"host": "0.0.0.0", "port": 9}).backend == "http://127.0.0.1:9"
