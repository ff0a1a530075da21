"""Keys and what they hide, connections that go deaf, requests that come again."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import cast

import pytest
from cryptography.fernet import Fernet, MultiFernet
from slack_bolt.adapter.socket_mode.aiohttp import AsyncSocketModeHandler
from slack_sdk.oauth.installation_store import Installation
from slack_sdk.web.async_client import AsyncWebClient
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from backend.schema import Document, DocumentsReply
from bot.client import Backend
from bot.database import build_engine
from bot.doors import REPLAY_SECONDS, Replays
from bot.installations import Installations, UnreadableInstallations, open_keys
from bot.links import Link, Links
from bot.purge import forget_rows, remove_documents
from bot.settings import Settings, SettingsError, load_settings
from bot.store import Store
from bot.teams import Teams

OLD, NEW = Fernet(Fernet.generate_key()), Fernet(Fernet.generate_key())
TOKEN = "xoxe.xoxb-1-" + "x" * 180


def installation(team: str = "T1", token: str = TOKEN) -> Installation:
    return Installation(
        app_id="A1",
        team_id=team,
        user_id="U1",
        bot_token=token,
        bot_id="B1",
        bot_user_id="U2",
        bot_refresh_token="xoxe-1-abc",
    )


async def opened(path: Path, *keys: Fernet) -> tuple[Installations, AsyncEngine]:
    engine = build_engine(path / "bot.sqlite")
    store = Installations("1.2", engine, MultiFernet(keys))
    await store.create_tables()  # type: ignore[no-untyped-call]
    return store, engine


async def test_tokens_are_encrypted_in_the_database_and_only_there(tmp_path: Path) -> None:
    store, engine = await opened(tmp_path, NEW)
    await store.async_save(installation())
    [bot] = await store.installed()
    assert (bot.bot_token, bot.bot_refresh_token, bot.team_id) == (TOKEN, "xoxe-1-abc", "T1")
    found = await store.async_find_installation(enterprise_id=None, team_id="T1", user_id="U1")
    assert found is not None
    assert found.bot_token == TOKEN
    async with engine.connect() as connection:
        for table in ("slack_bots", "slack_installations"):
            for row in await connection.execute(text(f"select * from {table}")):
                assert not any("xox" in str(value) for value in row)
    await engine.dispose()


async def test_a_new_key_in_front_writes_all_tokens_anew_and_the_old_one_can_go(tmp_path: Path) -> None:
    store, engine = await opened(tmp_path, OLD)
    await store.async_save(installation())
    await engine.dispose()
    store, engine = await opened(tmp_path, NEW, OLD)
    assert await store.reencrypt() == 2
    await engine.dispose()
    store, engine = await opened(tmp_path, NEW)
    assert [bot.bot_token for bot in await store.installed()] == [TOKEN]
    await engine.dispose()
    store, engine = await opened(tmp_path, OLD)
    with pytest.raises(UnreadableInstallations):
        await store.installed()
    with pytest.raises(UnreadableInstallations):
        await store.reencrypt()
    await engine.dispose()


async def test_a_workspace_that_is_forgotten_leaves_nothing_and_the_others_stay(tmp_path: Path) -> None:
    store, engine = await opened(tmp_path, NEW)
    await store.async_save(installation("T1"))
    await store.async_save(installation("T2", "xoxb-two"))
    one = next(bot for bot in await store.installed() if bot.team_id == "T1")
    await store.forget(one)
    assert [bot.team_id for bot in await store.installed()] == ["T2"]
    assert await store.async_find_installation(enterprise_id=None, team_id="T1") is None
    await engine.dispose()


def test_a_key_is_made_once_for_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "encryption-key"
    sealed = open_keys(None, path).encrypt(b"x")
    assert path.stat().st_mode & 0o777 == 0o600
    assert open_keys(None, path).decrypt(sealed) == b"x"
    with pytest.raises(ValueError, match="Fernet"):
        open_keys("not-a-key", path)


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"SLACK_CLIENT_ID": "1.2"}, "SLACK_CLIENT_SECRET"),
        ({"SLACK_CLIENT_ID": "1.2", "SLACK_CLIENT_SECRET": "s"}, "FOOTNOTE_PUBLIC_URL"),
        (
            {"SLACK_CLIENT_ID": "1.2", "SLACK_CLIENT_SECRET": "s", "FOOTNOTE_PUBLIC_URL": "https://a.example"},
            "SLACK_APP_TOKEN",
        ),
        ({"FOOTNOTE_EXTERNAL": "maybe"}, "FOOTNOTE_EXTERNAL"),
    ],
)
def test_what_is_missing_is_named(
    given: dict[str, str], named: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError, match=named):
        load_settings()


def test_an_installable_app_is_no_sandbox() -> None:
    given = {"SLACK_CLIENT_ID": "1.2", "SLACK_CLIENT_SECRET": "s", "public_url": "https://a.example"}
    assert Settings.model_validate(given | {"SLACK_APP_TOKEN": "xapp-1"}).mode == "socket"
    assert Settings.model_validate(given | {"SLACK_SIGNING_SECRET": "s"}).mode == "http"


# ------------------------------------------------------------------------------------------------------------- purge


class Documents:
    """bot.client.Backend with a list of documents."""

    def __init__(self, *ids: str) -> None:
        self.ids = list(ids)

    async def documents(self, team: str, *, limit: int) -> DocumentsReply:
        assert team == "T1"
        return DocumentsReply(tuple(document(id) for id in self.ids[:limit]))

    async def remove(self, _team: str, document_id: str) -> None:
        self.ids.remove(document_id)


def document(id: str) -> Document:
    return Document(
        document_id=id, team="T1", title=id, url="", visibility="team", status="ready", reason="",
        created_at="", updated_at="", metadata={}, chunks=1,
    )  # fmt: skip


async def test_a_workspace_that_wants_to_be_forgotten_leaves_no_document_and_no_row(tmp_path: Path) -> None:
    backend = Documents(*(f"d{number}" for number in range(120)))
    assert await remove_documents(cast(Backend, backend), "T1") == 120
    assert backend.ids == []
    engine = build_engine(tmp_path / "bot.sqlite")
    store = Store(engine)
    await store.create_tables()
    await store.join_thread("T1", "C1", "1.0")
    await store.join_thread("T2", "C1", "1.0")
    assert await forget_rows(engine, "T1") == 1
    assert not await store.is_ours("T1", "C1", "1.0")
    assert await store.is_ours("T2", "C1", "1.0")
    await engine.dispose()


# ---------------------------------------------------------------------------------------------------------- delivery


def test_a_request_is_known_once_it_was_acknowledged_and_until_slack_itself_would_refuse_it() -> None:
    now = [0.0]
    replays = Replays(lambda: now[0])
    assert not replays.is_known("v0=a")
    replays.note("v0=a")
    assert replays.is_known("v0=a")
    assert not replays.is_known("v0=b")
    now[0] = REPLAY_SECONDS + 1
    assert not replays.is_known("v0=a")


class Handler:
    """As much of Bolt's handler as the watch looks at; the reader of a `deaf` one has ended, its socket is open."""

    def __init__(self, *, deaf: bool = False) -> None:
        self.client = self
        self.closed = self.connected = False
        ended, running = asyncio.get_running_loop().create_future(), asyncio.get_running_loop().create_future()
        ended.set_result(None)
        self.message_receiver = ended if deaf else running
        self.message_processor = self.current_session_monitor = running

    async def is_connected(self) -> bool:
        return not self.closed

    async def connect_async(self) -> None:
        self.connected = True

    async def close_async(self) -> None:
        self.closed = True


class Watched(Links):
    """Links whose new connections are those that the test gives."""

    given: list[Handler]

    def _built(self) -> Link:
        return Link(cast(AsyncSocketModeHandler, self.given.pop(0)), self.clock())


async def test_a_connection_that_hears_nothing_is_built_anew_and_the_other_left_alone() -> None:
    now = [0.0]
    deaf, well, fresh = Handler(deaf=True), Handler(), Handler()
    links = Watched(cast(Teams, None), "xapp", AsyncWebClient(), deaf_after=45, check_every=0.01, clock=lambda: now[0])
    links.given = [deaf, well, fresh]
    await links.connect()
    assert await links.hearing() == 1
    watching = asyncio.create_task(links.watch())
    await asyncio.sleep(0.05)
    assert (links.rebuilt, deaf.closed) == (0, False)
    now[0] = 46.0
    await asyncio.sleep(0.05)
    assert (links.rebuilt, deaf.closed, well.closed, fresh.connected) == (1, True, False, True)
    assert await links.is_hearing()
    assert await links.hearing() == 2
    watching.cancel()
    await asyncio.wait({watching})
