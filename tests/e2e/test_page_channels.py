"""Leaving, joining and archiving on the local Slack's page: what the bot may use changes at once."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from playwright.async_api import Page, expect

from bot.app import open_bot
from bot.sandbox import Sandbox
from bot.sandbox.values import BOT_USER
from bot.sandbox.world import Channel
from tests.browser import needs_browser, page_at
from tests.e2e.slack_room import Room, eventually, settings_for
from tests.fakes.backend_server import open_backend

pytestmark = [pytest.mark.e2e, needs_browser]


@pytest.fixture
async def room(tmp_path: Path) -> AsyncIterator[Room]:
    async with (
        open_backend() as backend,
        Sandbox(0) as sandbox,
        open_bot(settings_for(sandbox, backend, tmp_path), delays=(0.2,) * 50),
    ):
        sandbox.world.add_channel(Channel("C_LAB", "lab", "public", ["U_ANA", "U_BEN", BOT_USER]))
        yield Room(sandbox, backend)


async def used(room: Room) -> set[str]:
    """Ask in a direct message; return the channels whose documents an answer may use."""
    before = len(room.backend.queries)
    await room.answer_to(room.ask("leave?", channel=room.dm))
    await eventually(lambda: len(room.backend.queries) > before, 30)
    audience = room.backend.queries[-1].audience
    assert audience
    return set(audience.channels) & {"C_HR", "C_LAB"}


async def uses(room: Room, *channels: str) -> bool:
    """Whether answers come to use these channels alone, as soon as the bot has heard what happened."""
    for _ in range(20):
        if await used(room) == set(channels):
            return True
    return False


async def choose(page: Page, channel: str, words: str) -> None:
    await page.locator("#channels .row").filter(has_text=channel).click()
    await page.get_by_label(f"Members of #{channel}, and more").click()
    await page.get_by_role("button", name=words, exact=True).click()


async def test_who_leaves_or_archives_a_channel_gets_no_more_answers_from_its_documents(room: Room) -> None:
    problems: list[str] = []
    async with page_at(room.sandbox.page_url) as page:
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.on("dialog", lambda dialog: dialog.accept())
        assert await uses(room, "C_HR", "C_LAB")

        await choose(page, "lab", "Leave")
        await expect(page.get_by_role("heading", name="general")).to_be_visible()
        assert await uses(room, "C_HR")
        await page.get_by_role("button", name="Join #lab").click()
        await expect(page.get_by_text("Channels to join")).to_be_hidden()
        assert await uses(room, "C_HR", "C_LAB")

        await choose(page, "hr", "Archive")
        await expect(page.get_by_text("This channel is archived.")).to_be_visible()
        await expect(page.get_by_label("Write a message")).to_be_hidden()
        assert await uses(room, "C_LAB")
        await choose(page, "hr", "Bring back from the archive")
        await expect(page.get_by_label("Write a message")).to_be_visible()
        assert await uses(room, "C_HR", "C_LAB")

        await choose(page, "hr", "Add Ben")
        await eventually(lambda: "U_BEN" in room.sandbox.world.channels["C_HR"].members, 30)
    assert problems == []
