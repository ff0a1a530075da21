"""One of several bots: where its memory is, its share of Slack's budget, and what it learns of the others."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import pytest
from pydantic import SecretStr
from slack_sdk.oauth.installation_store import Bot

from bot.database import build_engine
from bot.installing import Installing, open_store
from bot.ledger import Asked
from bot.memory import shared_url, work_url
from bot.pace import A_MINUTE, Pace
from bot.running import Running
from bot.settings import Settings, SettingsError
from bot.teams import Team, Teams
from bot.thread import Turn

TOKENS = {"slack_bot_token": SecretStr("xoxb-1"), "slack_app_token": SecretStr("xapp-1")}
POSTGRES = "postgresql://u:p@db/footnote"


def settings(folder: Path, tokens: Mapping[str, SecretStr] = TOKENS, **changes: Any) -> Settings:
    return Settings.model_construct(**{"data_dir": folder, **tokens, **changes})


@pytest.mark.parametrize(
    ("given", "tokens", "shared"),
    [
        (None, TOKENS, None),
        ("sqlite:///data/footnote.db", TOKENS, None),
        (POSTGRES, TOKENS, POSTGRES),
        ("postgres://u:p@db/footnote", TOKENS, POSTGRES),
        ("postgresql+psycopg://u:p@db/footnote", TOKENS, POSTGRES),
        (POSTGRES, {}, None),
    ],
)
def test_memory_is_shared_where_the_database_is_postgresql_and_slack_is_real(
    tmp_path: Path, given: str | None, tokens: Mapping[str, SecretStr], shared: str | None
) -> None:
    chosen = settings(tmp_path, tokens, database_url=given)
    assert shared_url(chosen) == shared
    assert work_url(chosen) == (shared or f"sqlite:///{tmp_path}/bot-dbos.sqlite")


def test_a_database_that_is_none_of_ours_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="FOOTNOTE_DATABASE_URL"):
        shared_url(settings(tmp_path, database_url="mysql://db/footnote"))


async def test_bots_that_share_tokens_are_given_the_key_to_them(tmp_path: Path) -> None:
    installable = settings(tmp_path, {}, slack_client_id="1.2", database_url=POSTGRES)
    engine = build_engine(tmp_path / "bot.sqlite")
    with pytest.raises(SettingsError, match="FOOTNOTE_ENCRYPTION_KEY"):
        await open_store(installable, engine)
    await engine.dispose()


async def test_bots_share_slacks_budget() -> None:
    living = 1
    pace = Pace(lambda: 0.0, share=lambda: living)
    for _ in range(A_MINUTE["start"] // 2):
        await pace.take("start")
    assert pace.is_free("start")
    living = 2
    assert not pace.is_free("start")
    pace.live = 3
    assert pace.interval("update", 3.0) == pytest.approx(6 * 60 / A_MINUTE["update"])


@pytest.mark.parametrize(
    ("known", "pressed", "superseded"),
    [
        (Asked(ended=False, edited_ts="", withdrawn=False, stopped=False), False, False),
        (Asked(ended=False, edited_ts="", withdrawn=False, stopped=True), True, False),
        (Asked(ended=False, edited_ts="11.0", withdrawn=False, stopped=False), True, True),
        (Asked(ended=False, edited_ts="", withdrawn=True, stopped=False), True, True),
    ],
)
def test_an_answer_heeds_what_the_ledger_knows(known: Asked, pressed: bool, superseded: bool) -> None:
    turn = Turn(team="T", channel="C", ts="10.1", thread_ts="10.1", user="U", text="leave?", place="channel")
    running = Running()
    with running.entered(turn) as stop:
        running.heed({"another": known})
        assert not stop.pressed.is_set()
        running.heed({turn.key: known})
    assert (stop.pressed.is_set(), stop.superseded) == (pressed, superseded)


# ------------------------------------------------------------------------------------------------- workspaces of others


@dataclass
class Client:
    token: str


@dataclass
class Opened:
    """Opens workspaces by their tokens, `T1` by `xoxb-T1-…`."""

    closed: list[str] = field(default_factory=list)

    async def __call__(self, token: str) -> Team:
        team = token.split("-")[1]

        async def close() -> None:
            self.closed.append(team)

        return Team(team, "U", cast(Any, None), cast(Any, Client(token)), {}, close)


def installed(token: str) -> Bot:
    return Bot(team_id=token.split("-")[1], bot_token=token, bot_id="B", bot_user_id="U", installed_at=1.0)


async def test_workspaces_that_come_and_go_through_another_bot_come_and_go_here() -> None:
    teams, opened = Teams(cast(Any, None)), Opened()
    installing = Installing(teams=teams, _open=opened)
    await installing.keep_up_with([installed("xoxb-T1-a"), installed("xoxb-T2-a")])
    assert set(teams.open) == {"T1", "T2"}
    first = teams.open["T1"]
    await installing.keep_up_with([installed("xoxb-T1-b")])
    assert set(teams.open) == {"T1"}
    assert (teams.open["T1"] is first, first.client.token, opened.closed) == (True, "xoxb-T1-b", ["T2"])
