"""A thread as a document: what of it becomes text, who may read it, and which events change it."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from bot.database import build_engine
from bot.listeners import INGEST_THREAD
from bot.store import IngestedThread, Store
from bot.thread_document import (
    ThreadChange,
    ThreadMessage,
    change_of,
    document_id_of,
    people_in,
    rendered,
    thread_request,
    up_to,
    visibility_of,
)

NAMES = {"U1": "Ana", "U2": "Ben"}
ROOT = "1767225600.000100"
REPLY = "1767225660.000200"
MESSAGES = [
    ThreadMessage(ROOT, "How long is the notice? <@U2>", author="U1"),
    ThreadMessage(REPLY, "Three months, see <https://a.example/x|the policy>", author="U2", files=("plan.pdf",)),
]


def test_a_threads_document_keeps_authors_and_times() -> None:
    request = thread_request(
        MESSAGES, NAMES, team="T1", channel="C1", thread_ts=ROOT, user="U1", url="https://team.slack.com/archives/C1/p1"
    )
    assert request.id == f"slack/T1/C1/{ROOT}"
    assert request.title == "Thread: How long is the notice? @Ben"
    assert request.text == (
        "## Ana · 2026-01-01 00:00 UTC\n\nHow long is the notice? @Ben\n\n"
        "## Ben · 2026-01-01 00:01 UTC\n\nThree months, see [the policy](https://a.example/x)\n\n(file: plan.pdf)"
    )
    assert request.visibility == "channel:C1"
    assert request.metadata == {
        "author": ["Ana", "Ben"],
        "source": "slack",
        "published_at": "2026-01-01T00:00:00+00:00",
        "url": "https://team.slack.com/archives/C1/p1",
    }


def test_a_thread_is_for_its_readers_and_never_for_more() -> None:
    assert visibility_of("C1", "U1") == "channel:C1"
    assert visibility_of("G1", "U1") == "channel:G1"
    assert visibility_of("D1", "U1") == "user:U1"


def test_our_own_words_empty_messages_and_what_came_later_stay_out() -> None:
    later = ThreadMessage("1767225720.000300", "later", author="U1")
    ours = ThreadMessage("1767225610.000100", "Three months [1].", author="B")
    empty = ThreadMessage("1767225620.000100", " ", author="U1")
    assert up_to([*MESSAGES, ours, empty, later], "1767225700.000000", "B") == MESSAGES


def test_everybody_who_wrote_or_is_mentioned_is_looked_up_once() -> None:
    assert people_in([*MESSAGES, ThreadMessage("3.0", "alert for <@U3>", app="Pager")]) == ["U1", "U2", "U3"]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("# not a heading", "\\# not a heading"),
        ("so\n=====", "so\n\\====="),
        ("so\n---", "so\n\\---"),
        ("1 &lt; 2 &amp; 3", "1 < 2 & 3"),
        ("<!here> <#C1|general> <@U1> <@U9>", "@here #general @Ana @U9"),
        ("<!subteam^S1|@oncall> <!date^1^{date}|1 May> <!subteam^S1>", "@oncall 1 May @subteam"),
        ("```\nopen", "```\nopen\n```"),
        ("```\nclosed\n```", "```\nclosed\n```"),
    ],
)
def test_a_message_stays_within_its_section(text: str, shown: str) -> None:
    assert rendered(text, NAMES) == shown


# -------------------------------------------------------------------------------------------------------------- changes


def changed(before: dict[str, object], after: dict[str, object]) -> dict[str, object]:
    place = {"ts": REPLY, "thread_ts": ROOT, "user": "U1"}
    return {
        "channel": "C1",
        "subtype": "message_changed",
        "message": place | after,
        "previous_message": place | before,
    }


def test_an_edit_changes_its_thread() -> None:
    assert change_of(changed({"text": "a"}, {"text": "b"}), "B") == ThreadChange("C1", ROOT, REPLY)


@pytest.mark.parametrize(
    "event",
    [
        changed({"text": "a"}, {"text": "a", "attachments": [{"from_url": "https://a.example"}]}),
        changed({"text": "a", "user": "B"}, {"text": "b", "user": "B"}),
        {"channel": "C1", "ts": "1.0", "user": "U1", "text": "new"},
        {"channel": "C1", "subtype": "channel_join", "ts": "1.0"},
        {"channel": "C1", "subtype": "message_deleted"},
    ],
)
def test_what_changes_no_words_of_people_is_no_change(event: dict[str, object]) -> None:
    assert change_of(event, "B") is None


def test_the_end_of_the_first_message_ends_the_thread_however_slack_tells_it() -> None:
    gone = {"channel": "C1", "subtype": "message_deleted", "deleted_ts": ROOT, "previous_message": {"user": "U1"}}
    tombstone = {
        "channel": "C1",
        "subtype": "message_changed",
        "message": {"ts": ROOT, "thread_ts": ROOT, "subtype": "tombstone", "user": "USLACKBOT", "text": "deleted"},
        "previous_message": {"ts": ROOT, "thread_ts": ROOT, "user": "U1", "text": "a"},
    }
    assert change_of(gone, "B") == change_of(tombstone, "B") == ThreadChange("C1", ROOT, ROOT, ends=True)


def test_the_end_of_a_reply_changes_the_thread() -> None:
    previous = {"ts": REPLY, "thread_ts": ROOT, "user": "U1"}
    event = {"channel": "C1", "subtype": "message_deleted", "deleted_ts": REPLY, "previous_message": previous}
    assert change_of(event, "B") == ThreadChange("C1", ROOT, REPLY)


# --------------------------------------------------------------------------------------------------- what is remembered


async def test_the_store_knows_a_thread_its_changes_and_forgets_it(tmp_path: Path) -> None:
    engine = build_engine(tmp_path / "bot.sqlite")
    store = Store(engine)
    await store.create_tables()
    thread = IngestedThread("T1", "C1", ROOT, REPLY, "U1")
    await store.put_thread(thread)
    assert [await store.count_change(thread), await store.count_change(thread)] == [1, 2]
    await store.put_thread(IngestedThread("T1", "C1", ROOT, "9.0", "U2"))
    again = await store.thread("T1", "C1", ROOT)
    assert again == IngestedThread("T1", "C1", ROOT, "9.0", "U2", changes=2)
    assert await store.drop_thread(document_id_of("T1", "C1", ROOT)) == again
    assert await store.thread("T1", "C1", ROOT) is None
    assert await store.count_change(thread) == 0
    await engine.dispose()


def test_the_manifest_declares_what_we_listen_to_and_what_it_needs() -> None:
    manifest = yaml.safe_load((Path(__file__).parents[2] / "deploy/slack/manifest.yaml").read_text())
    assert INGEST_THREAD in [one["callback_id"] for one in manifest["features"]["shortcuts"]]
    assert {"files:read", "commands", "channels:history"} <= set(manifest["oauth_config"]["scopes"]["bot"])
