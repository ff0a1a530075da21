"""What the sandbox decides without I/O: text, streams, buckets, who may use the page."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.sandbox import Options
from bot.sandbox.clock import Clock
from bot.sandbox.guard import admits
from bot.sandbox.http_delivery import acknowledgement, signature
from bot.sandbox.limits import Limits
from bot.sandbox.rules import block_errors
from bot.sandbox.streams import grow
from bot.sandbox.text import encode
from bot.sandbox.values import Json, SlackError
from bot.sandbox.world import Message, Stream, World

WORLD = World(Options(), Clock())


@pytest.mark.parametrize(
    ("typed", "stored"),
    [
        ("@Footnote why?", "<@U_FOOTNOTE> why?"),
        ("@footnote, why?", "<@U_FOOTNOTE>, why?"),
        ("<@U_FOOTNOTE> why?", "<@U_FOOTNOTE> why?"),
        ("a < b & c > d", "a &lt; b &amp; c &gt; d"),
        ("see https://example.com/a?b=1&c=2.", "see <https://example.com/a?b=1&amp;c=2>."),
        ("in #general", "in <#C_GENERAL|general>"),
        ("ana@footnote.example", "ana@footnote.example"),
        ("@nobody #nowhere", "@nobody #nowhere"),
        ("<script>", "&lt;script&gt;"),
    ],
)
def test_typed_text_is_stored_as_slack_stores_it(typed: str, stored: str) -> None:
    assert encode(typed, WORLD) == stored


@given(st.text(alphabet=st.characters(exclude_characters="@#")))
def test_no_bare_angle_bracket_survives_outside_a_link(text: str) -> None:
    encoded = encode(text, WORLD)
    assert encoded.count("<") == encoded.count("<http") + encoded.count("<!")


def streamed(*calls: list[Json]) -> Message:
    message, stream = Message("C", "1", "U", ""), Stream(0.0)
    for chunks in calls:
        grow(message, stream, None, chunks)
    return message


def test_text_in_pieces_reads_as_the_whole() -> None:
    pieces = [[{"type": "markdown_text", "text": part}] for part in ("One ", "two", ".")]
    assert streamed(*pieces).blocks == [{"type": "markdown", "text": "One two."}]


def test_a_task_is_brought_up_to_date_where_it_stands() -> None:
    task = {"type": "task_update", "id": "1", "title": "Search", "status": "in_progress"}
    text = {"type": "markdown_text", "text": "x"}
    message = streamed([task], [text], [{**task, "status": "complete", "output": "3"}])
    assert [(b["type"], b.get("status")) for b in message.blocks] == [("task_card", "complete"), ("markdown", None)]


def test_a_refused_piece_leaves_the_stream_as_it_was() -> None:
    message, stream = Message("C", "1", "U", ""), Stream(0.0)
    grow(message, stream, "a", None)
    with pytest.raises(SlackError, match="msg_too_long"):
        grow(message, stream, "b" * 12_000, None)
    assert (message.text, stream.length, stream.mode) == ("a", 1, "markdown_text")


def test_the_clock_gives_every_message_its_own_later_ts() -> None:
    clock = Clock()
    stamps = [clock.next_ts() for _ in range(100)]
    assert stamps == sorted(set(stamps))


def test_a_bucket_refills_with_the_clock() -> None:
    clock = Clock()
    limits = Limits(clock)
    assert [limits.wait("chat.startStream", "C") for _ in range(21)] == [0] * 20 + [3]
    clock.advance(3)
    assert limits.wait("chat.startStream", "C") == 0
    assert limits.wait("chat.appendStream", "C") == 0


def test_posts_are_counted_per_channel() -> None:
    limits = Limits(Clock())
    assert [limits.wait("chat.postMessage", "C1") for _ in range(11)][-1] == 1
    assert limits.wait("chat.postMessage", "C2") == 0


@pytest.mark.parametrize(
    ("host", "origin", "site", "admitted"),
    [
        ("127.0.0.1:8701", None, None, True),
        ("localhost:8701", "http://localhost:8701", "same-origin", True),
        ("[::1]:8701", None, None, True),
        ("127.0.0.1.evil.example", None, None, False),
        ("127.0.0.1:8701", "http://127.0.0.1:9999", None, False),
        ("127.0.0.1:8701", "null", None, False),
        ("127.0.0.1:8701", None, "cross-site", False),
        ("", None, None, False),
    ],
)
def test_only_this_machine_and_this_page_are_admitted(
    host: str, origin: str | None, site: str | None, *, admitted: bool
) -> None:
    assert admits(host, origin, site) is admitted


def test_the_signature_is_the_one_of_slacks_own_example() -> None:
    body = (
        "token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V"
        "&channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text="
        "&response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN"
        "&trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c"
    )
    assert signature("8f742231b10e8888abcd99yyyzzz85a5", "1531420618", body) == (
        "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503"
    )


def test_an_acknowledgement_is_json_or_plain_text() -> None:
    assert acknowledgement("", "") == {}
    assert acknowledgement("Looking…", "text/plain") == {"text": "Looking…"}
    assert acknowledgement('{"response_action": "clear"}', "application/json;charset=utf-8") == {
        "response_action": "clear"
    }


@given(
    st.recursive(
        st.none() | st.text() | st.integers(), lambda inner: st.dictionaries(st.text(), inner) | st.lists(inner)
    )
)
def test_any_nonsense_in_a_section_is_an_error_and_no_crash(nonsense: object) -> None:
    assert block_errors([{"type": "section", "text": nonsense}], most=50, path="/blocks")
