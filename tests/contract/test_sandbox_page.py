"""The page in a real browser, with a real Bolt app behind it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from playwright.async_api import Page, expect
from slack_bolt.adapter.socket_mode.async_handler import AsyncSocketModeHandler
from slack_bolt.async_app import AsyncApp
from slack_sdk.web.async_client import AsyncWebClient

from bot.sandbox import Sandbox
from tests.browser import needs_browser, page_at

pytestmark = needs_browser

HOSTILE = (
    "<img src=x onerror=alert(1)> [click](javascript:alert(1)) ![x](https://evil.example/x.png) "
    "<javascript:alert(1)|click> </script><script>alert(1)</script> **bold**"
)


def make_app(sandbox: Sandbox) -> AsyncApp:
    app = AsyncApp(client=AsyncWebClient(token=sandbox.bot_token, base_url=sandbox.api_url), signing_secret="x")

    @app.event("app_mention")
    async def mentioned(event: dict[str, Any], client: AsyncWebClient) -> None:
        stream = await client.chat_stream(
            channel=event["channel"],
            thread_ts=event["ts"],
            recipient_team_id=event["team"],
            recipient_user_id=event["user"],
        )
        await stream.append(markdown_text="Only what **every reader** may read [1]. " + HOSTILE, chunks=[])
        await stream.stop(blocks=[FEEDBACK])

    @app.event("message")
    async def heard() -> None:
        """Acknowledged by Bolt before it runs."""

    @app.command("/ask")
    async def ask(ack: Any) -> None:
        await ack("Thirty *days*.")

    @app.action("feedback")
    async def rated(ack: Any) -> None:
        await ack()

    @app.shortcut("ask_modal")
    async def opened_form(ack: Any, body: dict[str, Any], client: AsyncWebClient) -> None:
        await ack()
        await client.views_open(trigger_id=body["trigger_id"], view=FORM)

    @app.view("form")
    async def asked(ack: Any, view: dict[str, Any], client: AsyncWebClient) -> None:
        await ack()
        question = view["state"]["values"]["question"]["question"]["value"]
        shown = [{"type": "markdown", "text": f"You asked: {question}" if "|" not in question else question}]
        await client.chat_postMessage(channel="C_GENERAL", text=question, blocks=shown)

    @app.event("reaction_added")
    async def reacted() -> None:
        """Acknowledged by Bolt before it runs."""

    return app


@asynccontextmanager
async def opened(app: AsyncApp, sandbox: Sandbox) -> AsyncIterator[Page]:
    handler = AsyncSocketModeHandler(app, sandbox.app_token, web_client=AsyncWebClient(base_url=sandbox.api_url))
    try:
        await handler.connect_async()  # type: ignore[no-untyped-call]
        async with page_at(sandbox.page_url) as page:
            yield page
    finally:
        await handler.close_async()  # type: ignore[no-untyped-call]


async def test_a_newcomer_clicks_a_question_reads_the_answer_and_rates_it() -> None:
    async with Sandbox(0, questions=("Who may read what?",)) as sandbox, opened(make_app(sandbox), sandbox) as page:
        problems: list[str] = []
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.on("console", lambda message: problems.append(message.text) if message.type == "error" else None)
        page.on("dialog", lambda dialog: problems.append(dialog.message))

        await page.get_by_role("button", name="Who may read what?").click()
        thread = page.get_by_role("complementary")
        await expect(thread.get_by_text("every reader")).to_be_visible()
        await expect(thread.locator("strong", has_text="every reader")).to_be_visible()
        await thread.get_by_role("button", name="Good answer").click()
        await expect(thread.get_by_role("button", name="Good answer")).to_have_attribute("aria-pressed", "true")

        assert await page.locator("#replies img, #replies script, a[href^=javascript]").count() == 0
        await thread.locator("article").nth(1).hover()
        await thread.get_by_role("button", name="React with +1").nth(1).click()
        await expect(thread.locator(".pill")).to_have_text("👍1")
        await page.keyboard.press("Escape")
        await expect(thread).to_be_hidden()
        assert problems == []


async def test_everything_is_done_with_the_keyboard() -> None:
    async with Sandbox(0) as sandbox, opened(make_app(sandbox), sandbox) as page:
        await page.get_by_label("Write a message").focus()
        await page.keyboard.type("/a")
        await expect(page.get_by_role("option")).to_have_count(1)
        await page.keyboard.press("Tab")
        await page.keyboard.type("how long?")
        await page.keyboard.press("Enter")
        await expect(page.get_by_text("Only visible to you")).to_be_visible()

        await page.keyboard.type("@Foo")
        await page.keyboard.press("Enter")
        await page.keyboard.type("one")
        await page.keyboard.press("Shift+Enter")
        await page.keyboard.type("two")
        await page.keyboard.press("Enter")
        await expect(page.locator("#messages .mention")).to_have_text("@Footnote")
        texts = [message.text for message in sandbox.world.in_channel("C_GENERAL") if message.user == "U_ANA"]
        assert texts == ["<@U_FOOTNOTE> one\ntwo"]


async def test_a_form_opens_from_a_shortcut_and_what_is_filled_in_arrives() -> None:
    async with Sandbox(0) as sandbox, opened(make_app(sandbox), sandbox) as page:
        await page.get_by_role("button", name="Ask the docs").click()
        form = page.get_by_role("dialog")
        await form.get_by_label("Question").fill("How long?")
        await form.get_by_role("button", name="Ask").click()
        await expect(form).to_be_hidden()
        await expect(page.get_by_text("You asked: How long?")).to_be_visible()


async def test_the_menu_of_the_last_message_opens_where_there_is_room_and_tables_are_aligned() -> None:
    async with Sandbox(0) as sandbox, opened(make_app(sandbox), sandbox) as page:
        for number in range(20):
            sandbox.people.write(channel="C_GENERAL", user="U_ANA", text=f"message {number}")
        last = page.locator("#messages article").last
        await expect(last).to_contain_text("message 19")
        await last.hover()
        await last.get_by_label("More actions").click()
        menu = await last.get_by_role("button", name="Ingest this thread").bounding_box()
        composer = await page.locator("#composer-channel").bounding_box()
        assert menu
        assert composer
        assert menu["y"] + menu["height"] <= composer["y"]
        await page.get_by_role("button", name="Ask the docs").click()
        await page.get_by_label("Question").fill("| a | b |\n|---|--:|\n| 1 | 2 |")
        await page.locator("dialog button[type=submit]").click()
        await expect(page.locator("#messages td.right")).to_have_text("2")


async def test_ben_does_not_see_what_is_not_for_him() -> None:
    async with Sandbox(0) as sandbox, opened(make_app(sandbox), sandbox) as page:
        await expect(page.get_by_role("button", name="hr")).to_be_visible()
        await page.get_by_role("radio", name="Ben").click()
        await expect(page.get_by_role("button", name="hr")).to_have_count(0)


async def test_on_a_phone_there_is_one_pane_at_a_time() -> None:
    async with Sandbox(0) as sandbox, opened(make_app(sandbox), sandbox) as page:
        await page.set_viewport_size({"width": 390, "height": 844})
        await expect(page.locator(".sidebar")).to_be_hidden()
        await page.get_by_role("button", name="How do I add a document?").click()
        await expect(page.get_by_role("main")).to_be_hidden()
        await page.get_by_role("button", name="Back to the channel").click()
        await page.get_by_role("button", name="All channels").click()
        await expect(page.locator(".sidebar")).to_be_visible()
        assert await page.evaluate("document.documentElement.scrollWidth") <= 390


FEEDBACK = {
    "type": "context_actions",
    "elements": [
        {
            "type": "feedback_buttons",
            "action_id": "feedback",
            "positive_button": {"text": {"type": "plain_text", "text": "Good answer"}, "value": "up"},
            "negative_button": {"text": {"type": "plain_text", "text": "Bad answer"}, "value": "down"},
        }
    ],
}
FORM = {
    "type": "modal",
    "callback_id": "form",
    "title": {"type": "plain_text", "text": "Ask the docs"},
    "submit": {"type": "plain_text", "text": "Ask"},
    "blocks": [
        {
            "type": "input",
            "block_id": "question",
            "label": {"type": "plain_text", "text": "Question"},
            "element": {"type": "plain_text_input", "action_id": "question", "multiline": True},
        }
    ],
}
