"""Each of Slack's limits that the sandbox enforces, met with the real slack_sdk client."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient

from bot.sandbox import Options, Sandbox
from bot.sandbox.world import Channel, User

GENERAL, HR, DM = "C_GENERAL", "C_HR", "D_ANA"
TO_ANA: dict[str, Any] = {"recipient_team_id": "local", "recipient_user_id": "U_ANA"}


@pytest.fixture
async def sandbox() -> AsyncIterator[Sandbox]:
    async with Sandbox(0) as sandbox:
        yield sandbox


@pytest.fixture
def slack(sandbox: Sandbox) -> AsyncWebClient:
    return AsyncWebClient(token=sandbox.bot_token, base_url=sandbox.api_url)


@pytest.fixture
async def root(sandbox: Sandbox) -> str:
    """A message of Ana's in #general."""
    return sandbox.people.write(channel=GENERAL, user="U_ANA", text="hello").ts


def refuses(code: str) -> Any:
    return pytest.raises(SlackApiError, check=lambda error: error.response["error"] == code)


def section(text: str = "x") -> dict[str, Any]:
    return {"type": "section", "text": {"type": "mrkdwn", "text": text}}


# Who may call


async def test_a_call_without_or_with_a_wrong_token_is_refused(sandbox: Sandbox) -> None:
    with refuses("not_authed"):
        await AsyncWebClient(base_url=sandbox.api_url).auth_test()
    with refuses("invalid_auth"):
        await AsyncWebClient(token="xoxb-other", base_url=sandbox.api_url).auth_test()
    with refuses("not_allowed_token_type"):
        await AsyncWebClient(token=sandbox.app_token, base_url=sandbox.api_url).auth_test()


async def test_an_unknown_method_says_so(slack: AsyncWebClient) -> None:
    with refuses("unknown_method"):
        await slack.api_call("chat.shout")


async def test_auth_test_names_the_bot_and_the_team(slack: AsyncWebClient) -> None:
    me = await slack.auth_test()
    assert (me["user_id"], me["bot_id"], me["team_id"]) == ("U_FOOTNOTE", "B_FOOTNOTE", "local")


# Streams


async def test_a_stream_in_a_channel_needs_its_recipient(slack: AsyncWebClient, root: str) -> None:
    with refuses("missing_recipient_team_id"):
        await slack.chat_startStream(channel=GENERAL, thread_ts=root)
    with refuses("missing_recipient_user_id"):
        await slack.chat_startStream(channel=GENERAL, thread_ts=root, recipient_team_id="local")
    assert (await slack.chat_startStream(channel=GENERAL, thread_ts=root, **TO_ANA))["ts"]


async def test_a_stranger_is_addressed_with_their_own_team(sandbox: Sandbox, slack: AsyncWebClient) -> None:
    sandbox.world.add_user(User("U_EVE", "Eve", "T_OTHER"))
    sandbox.world.add_channel(Channel("C_SHARED", "shared", "public", ["U_EVE", "U_FOOTNOTE"], is_shared=True))
    ts = sandbox.people.write(channel="C_SHARED", user="U_EVE", text="hello").ts
    with refuses("user_not_found"):
        await slack.chat_startStream(
            channel="C_SHARED", thread_ts=ts, recipient_team_id="local", recipient_user_id="U_EVE"
        )
    await slack.chat_startStream(
        channel="C_SHARED", thread_ts=ts, recipient_team_id="T_OTHER", recipient_user_id="U_EVE"
    )


async def test_a_stream_needs_an_existing_thread(slack: AsyncWebClient) -> None:
    with refuses("invalid_thread_ts"):
        await slack.chat_startStream(channel=GENERAL, thread_ts="1.000001", **TO_ANA)


async def start(slack: AsyncWebClient, root: str, **more: Any) -> dict[str, Any]:
    stream = await slack.chat_startStream(channel=GENERAL, thread_ts=root, **TO_ANA, **more)
    return {"channel": GENERAL, "ts": stream["ts"]}


async def test_markdown_text_and_chunks_exclude_each_other(slack: AsyncWebClient, root: str) -> None:
    chunk = {"type": "markdown_text", "text": "b"}
    with refuses("cannot_provide_both_markdown_text_and_chunks"):
        await start(slack, root, markdown_text="a", chunks=[chunk])
    stream = await start(slack, root, markdown_text="a")
    with refuses("streaming_mode_mismatch"):
        await slack.chat_appendStream(**stream, chunks=[chunk])


async def test_a_stream_holds_twelve_thousand_characters(sandbox: Sandbox, slack: AsyncWebClient, root: str) -> None:
    stream = await start(slack, root, markdown_text="a" * 11_990)
    with refuses("msg_too_long"):
        await slack.chat_appendStream(**stream, markdown_text="b" * 11)
    await slack.chat_appendStream(**stream, markdown_text="b" * 10)
    assert sandbox.world.message(GENERAL, stream["ts"]).text == "a" * 11_990 + "b" * 10


async def test_a_stream_expires_and_can_then_be_edited(sandbox: Sandbox, slack: AsyncWebClient, root: str) -> None:
    stream = await start(slack, root, markdown_text="a")
    sandbox.advance(299)
    await slack.chat_appendStream(**stream, markdown_text="b")
    with refuses("streaming_state_conflict"):
        await slack.chat_update(**stream, text="c")
    sandbox.advance(2)
    with refuses("message_not_in_streaming_state"):
        await slack.chat_appendStream(**stream, markdown_text="b")
    with refuses("message_not_in_streaming_state"):
        await slack.chat_stopStream(**stream)
    await slack.chat_update(**stream, text="c")
    assert sandbox.world.message(GENERAL, stream["ts"]).text == "c"


async def test_a_stream_that_its_reader_stopped_takes_no_more_but_can_be_closed(
    sandbox: Sandbox, slack: AsyncWebClient, root: str
) -> None:
    stream = await start(slack, root, markdown_text="a")
    sandbox.people.stop(channel=GENERAL, user="U_ANA", thread_ts=root)
    with refuses("stopped_by_user"):
        await slack.chat_appendStream(**stream, markdown_text="b")
    await slack.chat_stopStream(**stream)


async def test_only_the_apps_own_messages_can_be_streamed_to(slack: AsyncWebClient, root: str) -> None:
    with refuses("message_not_owned_by_app"):
        await slack.chat_appendStream(channel=GENERAL, ts=root, markdown_text="a")


@pytest.mark.parametrize(
    "chunk",
    [
        {"type": "task_update", "id": "1", "title": "t" * 257, "status": "complete"},
        {"type": "task_update", "id": "1", "title": "t", "status": "done"},
        {"type": "task_update", "id": "1", "title": "t", "output": "o" * 257},
        {"type": "shout"},
        {"type": "blocks", "blocks": [{"type": "nonsense"}]},
    ],
)
async def test_a_wrong_chunk_is_refused(slack: AsyncWebClient, root: str, chunk: dict[str, Any]) -> None:
    with refuses("invalid_chunks"):
        await start(slack, root, chunks=[chunk])


async def test_blocks_of_chunks_beyond_fifty_are_dropped_with_a_warning(slack: AsyncWebClient, root: str) -> None:
    stream = await start(slack, root, chunks=[{"type": "blocks", "blocks": [section()] * 40}])
    more = await slack.chat_appendStream(**stream, chunks=[{"type": "blocks", "blocks": [section()] * 20}])
    assert more["warning"] == "blocks_dropped"
    done = await slack.chat_stopStream(**stream, blocks=[section()] * 50)
    assert len(done["message"]["blocks"]) == 100


# Messages and blocks


@pytest.mark.parametrize(
    "blocks",
    [
        [{"type": "nonsense"}],
        [{"type": "divider"}] * 51,
        [section("x" * 3_001)],
        [section("")],
        [{"type": "header", "text": {"type": "plain_text", "text": "x" * 151}}],
        [{"type": "header", "text": {"type": "mrkdwn", "text": "x"}}],
        [{"type": "context", "elements": [{"type": "mrkdwn", "text": "x"}] * 11}],
        [{"type": "markdown", "text": "x" * 7_000}, {"type": "markdown", "text": "x" * 6_000}],
        [{"type": "actions", "elements": [{"type": "button", "text": {"type": "plain_text", "text": "x" * 76}}]}],
        [{"type": "actions", "elements": []}],
        [{"type": "context_actions", "elements": [{"type": "button", "text": {"type": "plain_text", "text": "x"}}]}],
        [{"type": "container", "title": {"type": "plain_text", "text": "t"}, "child_blocks": [section()] * 11}],
        [
            {
                "type": "container",
                "title": {"type": "plain_text", "text": "t"},
                "child_blocks": [{"type": "markdown", "text": "x"}],
            }
        ],
        [{"type": "image", "image_url": "https://example.com/x.png"}],
        [{"type": "table", "rows": [[{"type": "raw_text", "text": "x"}] * 21]}],
        [section() | {"block_id": "same"}, section() | {"block_id": "same"}],
    ],
)
async def test_wrong_blocks_are_refused_with_a_reason(slack: AsyncWebClient, blocks: list[dict[str, Any]]) -> None:
    with pytest.raises(SlackApiError) as error:
        await slack.chat_postMessage(channel=GENERAL, text="t", blocks=blocks)
    assert error.value.response["error"] == "invalid_blocks"
    assert error.value.response["response_metadata"]["messages"][0].startswith("[ERROR]")
    with refuses("invalid_blocks"):
        await slack.blocks_validate(blocks=blocks)


async def test_all_blocks_together_may_not_be_too_long(slack: AsyncWebClient) -> None:
    with refuses("msg_blocks_too_long"):
        await slack.chat_postMessage(channel=GENERAL, text="t", blocks=[section("x" * 3_000) for _ in range(5)])


async def test_markdown_text_excludes_text_and_blocks(slack: AsyncWebClient) -> None:
    with refuses("markdown_text_conflict"):
        await slack.chat_postMessage(channel=GENERAL, text="t", markdown_text="m")
    with refuses("no_text"):
        await slack.api_call("chat.postMessage", json={"channel": GENERAL})


async def test_an_update_holds_four_thousand_characters(slack: AsyncWebClient) -> None:
    posted = await slack.chat_postMessage(channel=GENERAL, text="x" * 5_000)
    with refuses("msg_too_long"):
        await slack.chat_update(channel=GENERAL, ts=posted["ts"], text="x" * 4_001)


async def test_the_app_changes_only_its_own_messages(slack: AsyncWebClient, root: str) -> None:
    with refuses("cant_update_message"):
        await slack.chat_update(channel=GENERAL, ts=root, text="mine now")
    with refuses("cant_delete_message"):
        await slack.chat_delete(channel=GENERAL, ts=root)
    with refuses("message_not_found"):
        await slack.chat_update(channel=GENERAL, ts="1.000001", text="x")


async def test_places_that_do_not_exist_or_are_not_joined(sandbox: Sandbox, slack: AsyncWebClient) -> None:
    sandbox.world.add_channel(Channel("C_OTHER", "other", "public", ["U_ANA"]))
    sandbox.world.add_channel(Channel("C_SECRET", "secret", "private", ["U_ANA"]))
    for channel, code in (("C_NONE", "channel_not_found"), ("C_OTHER", "not_in_channel")):
        with refuses(code):
            await slack.chat_postMessage(channel=channel, text="t")
    with refuses("channel_not_found"):
        await slack.conversations_members(channel="C_SECRET")
    with refuses("thread_not_found"):
        await slack.chat_postMessage(channel=GENERAL, text="t", thread_ts="1.000001")
    with refuses("thread_not_found"):
        await slack.conversations_replies(channel=GENERAL, ts="1.000001")
    with refuses("user_not_in_channel"):
        await slack.chat_postEphemeral(channel=HR, user="U_BEN", text="t")


async def test_unfurling_is_recorded(sandbox: Sandbox, slack: AsyncWebClient) -> None:
    posted = await slack.chat_postMessage(channel=GENERAL, text="t", unfurl_links=False, unfurl_media=False)
    message = sandbox.world.message(GENERAL, posted["ts"])
    assert (message.unfurl_links, message.unfurl_media) == (False, False)


async def test_a_reaction_is_given_once_and_taken_once(slack: AsyncWebClient, root: str) -> None:
    place = {"channel": GENERAL, "timestamp": root, "name": "eyes"}
    await slack.reactions_add(**place)
    with refuses("already_reacted"):
        await slack.reactions_add(**place)
    assert (await slack.reactions_get(channel=GENERAL, timestamp=root))["message"]["reactions"][0]["count"] == 1
    await slack.reactions_remove(**place)
    with refuses("no_reaction"):
        await slack.reactions_remove(**place)


# Reading


async def test_replies_come_in_pages_that_each_begin_with_the_root(slack: AsyncWebClient, root: str) -> None:
    for number in range(5):
        await slack.chat_postMessage(channel=GENERAL, text=str(number), thread_ts=root)
    first = await slack.conversations_replies(channel=GENERAL, ts=root, limit=2)
    assert first["messages"][0]["reply_count"] == 5
    pages = [[message["text"] for message in page["messages"]] async for page in first]
    assert pages == [["hello", "0", "1"], ["hello", "2", "3"], ["hello", "4"]]


async def test_history_is_newest_first_without_replies(slack: AsyncWebClient, root: str) -> None:
    await slack.chat_postMessage(channel=GENERAL, text="reply", thread_ts=root)
    await slack.chat_postMessage(channel=GENERAL, text="second")
    found = await slack.conversations_history(channel=GENERAL)
    assert [message["text"] for message in found["messages"]] == ["second", "hello"]


async def test_members_and_the_conversations_of_a_user(slack: AsyncWebClient) -> None:
    assert (await slack.conversations_members(channel=HR))["members"] == ["U_ANA", "U_FOOTNOTE"]
    types = "public_channel,private_channel"
    bens = await slack.users_conversations(user="U_BEN", types=types)
    anas = await slack.users_conversations(user="U_ANA", types=types)
    assert [c["id"] for c in bens["channels"]] == [GENERAL]
    assert [c["id"] for c in anas["channels"]] == [GENERAL, HR]
    assert (await slack.conversations_open(users="U_ANA"))["channel"]["id"] == DM
    assert (await slack.users_info(user="U_ANA"))["user"]["is_stranger"] is False


async def test_a_file_is_read_with_the_token_only(sandbox: Sandbox, slack: AsyncWebClient) -> None:
    message = sandbox.people.upload(
        channel=DM, user="U_ANA", name="a.txt", mimetype="text/plain", content=b"inside", text="", thread_ts=None
    )
    info = await slack.files_info(file=message.files[0]["id"])
    async with aiohttp.ClientSession() as http:
        async with http.get(info["file"]["url_private"]) as answer:
            assert "Sign in" in await answer.text()
        token = {"Authorization": f"Bearer {sandbox.bot_token}"}
        async with http.get(info["file"]["url_private"], headers=token) as answer:
            assert await answer.read() == b"inside"


# Agents and views


async def test_a_session_status_is_one_of_four(sandbox: Sandbox, slack: AsyncWebClient, root: str) -> None:
    place = {"channel_id": GENERAL, "thread_ts": root}
    with refuses("not_authorized"):
        await slack.agents_sessions_rename(**place, title="Leave")
    with refuses("invalid_arguments"):
        await slack.agents_sessions_setStatus(**place, status="is thinking")
    await slack.agents_sessions_setStatus(**place, status="processing")
    await slack.agents_sessions_rename(**place, title="Leave")
    session = sandbox.world.sessions[(GENERAL, root)]
    assert (session.status, session.title) == ("processing", "Leave")


async def test_an_app_that_is_no_agent_is_told_so() -> None:
    async with Sandbox(0, options=Options(agent=False)) as sandbox:
        slack = AsyncWebClient(token=sandbox.bot_token, base_url=sandbox.api_url)
        with refuses("not_agent_app"):
            await slack.agents_sessions_setStatus(channel_id=DM, status="processing")


async def test_a_legacy_status_goes_when_the_app_speaks(sandbox: Sandbox, slack: AsyncWebClient, root: str) -> None:
    await slack.assistant_threads_setStatus(channel_id=GENERAL, thread_ts=root, status="is reading")
    assert sandbox.world.sessions[(GENERAL, root)].note == "is reading"
    await slack.chat_postMessage(channel=GENERAL, thread_ts=root, text="done")
    assert sandbox.world.sessions[(GENERAL, root)].note == ""


async def test_a_trigger_opens_one_view_within_three_seconds(sandbox: Sandbox, slack: AsyncWebClient) -> None:
    view = {"type": "modal", "title": {"type": "plain_text", "text": "T"}, "blocks": [section()]}
    with refuses("invalid_trigger_id"):
        await slack.views_open(trigger_id="made-up", view=view)
    trigger = sandbox.world.trigger("U_ANA")
    await slack.views_open(trigger_id=trigger, view=view)
    with refuses("exchanged_trigger_id"):
        await slack.views_open(trigger_id=trigger, view=view)
    late = sandbox.world.trigger("U_ANA")
    sandbox.advance(4)
    with refuses("expired_trigger_id"):
        await slack.views_open(trigger_id=late, view=view)
    with refuses("invalid_arguments"):
        wrong = view | {"title": {"type": "plain_text", "text": "T" * 25}}
        await slack.views_open(trigger_id=sandbox.world.trigger("U_ANA"), view=wrong)


# App Home


async def test_a_home_has_limits_of_its_own(slack: AsyncWebClient, sandbox: Sandbox) -> None:
    async def publish(*blocks: dict[str, Any], **fields: Any) -> None:
        await slack.views_publish(user_id="U_ANA", view={"type": "home", "blocks": list(blocks), **fields})

    await publish(*[section()] * 100)
    for view in ([section()] * 101, [{"type": "markdown", "text": "x"}]):
        with refuses("invalid_arguments"):
            await publish(*view)
    with refuses("view_too_large"):
        await publish(*[section("x" * 3_000)] * 90)
    with refuses("user_not_found"):
        await slack.views_publish(user_id="U_NOBODY", view={"type": "home", "blocks": [section()]})
    await publish(section(), external_id="one")
    with refuses("duplicate_external_id"):
        await slack.views_publish(user_id="U_BEN", view={"type": "home", "blocks": [section()], "external_id": "one"})
    with refuses("hash_conflict"):
        await slack.views_publish(user_id="U_ANA", view={"type": "home", "blocks": [section()]}, hash="old")
    assert list(sandbox.world.homes) == ["U_ANA"]


async def test_an_app_without_a_home_tab_publishes_none() -> None:
    async with Sandbox(0, options=Options(home_tab=False)) as sandbox:
        slack = AsyncWebClient(token=sandbox.bot_token, base_url=sandbox.api_url)
        with refuses("not_enabled"):
            await slack.views_publish(user_id="U_ANA", view={"type": "home", "blocks": [section()]})
