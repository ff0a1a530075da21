"""The bot's decisions, without I/O: what was asked, who reads it, and what Slack is made to show."""

from __future__ import annotations

from urllib.parse import unquote

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.schema import Audience, Citation, DeltaEvent, Passage, RunMetadata
from bot import blocks
from bot.audience import audience_of, may_read
from bot.client import EventParser
from bot.commands import CommandError, read_docs, read_ingest
from bot.feedback import Emoji, read_button
from bot.pages import Pages, open_fence
from bot.quotes import opened_at, shortened, text_fragment
from bot.thread import (
    Message,
    Turn,
    history_of,
    is_for_others,
    is_human,
    question_text,
    turn_of_command,
    turn_of_event,
)
from bot.turns import read_turn, write_turn
from bot.wording import place_of

TURN = Turn(team="T1", channel="C1", ts="10.5", thread_ts="10.5", user="U1", text="leave?", place="channel")


# ------------------------------------------------------------------------------------------------------------ thread


def test_a_mention_and_its_message_twin_have_one_key() -> None:
    event = {"channel": "C1", "ts": "1.2", "user": "U1", "text": "<@B> hi"}
    mention, message = event | {"type": "app_mention"}, event | {"type": "message", "channel_type": "channel"}
    assert turn_of_event(mention, "T1").key == turn_of_event(message, "T1").key


def test_a_direct_message_is_answered_in_a_thread_under_it() -> None:
    turn = turn_of_event({"channel": "D1", "ts": "1.2", "user": "U1", "text": "hi", "channel_type": "im"}, "T1")
    assert (turn.place, turn.thread_ts) == ("direct", "1.2")


def test_a_command_is_keyed_by_its_trigger() -> None:
    command = {"channel_id": "C1", "user_id": "U1", "trigger_id": "9.9", "text": "q", "response_url": "http://x"}
    assert turn_of_command(command, "T1").key == "turn:T1:C1:9.9"


@pytest.mark.parametrize(
    "event",
    [
        {"user": "U1", "bot_id": "B1"},
        {"user": "U1", "subtype": "message_changed"},
        {"user": "U1", "subtype": "message_deleted"},
        {"user": "U1", "subtype": "channel_join"},
        {"bot_id": "B1", "subtype": "bot_message"},
        {},
    ],
)
def test_bots_edits_deletions_and_notices_are_not_people(event: dict[str, object]) -> None:
    assert not is_human(event)


def test_a_file_with_a_comment_is_a_person_speaking() -> None:
    assert is_human({"user": "U1", "subtype": "file_share"})


@pytest.mark.parametrize(
    ("text", "for_others"),
    [("<@U2> can you check?", True), ("<@B> and then?", False), ("and then?", False), ("ask <@U2>", False)],
)
def test_a_reply_that_opens_with_somebody_else_is_for_them(text: str, for_others: bool) -> None:
    assert is_for_others(text, "B") is for_others


def test_a_question_is_read_without_slacks_tokens() -> None:
    text = "<@B> is <https://a.example|this> in <#C1|general> &lt;b&gt; &amp; known to <@U2>?"
    assert question_text(text, "B") == "is this in #general <b> & known to @U2?"


def test_history_holds_what_was_said_before_without_other_bots_and_markers() -> None:
    messages = [
        Message("1.0", "<@B> leave?", "U1"),
        Message("2.0", "Twenty weeks [1].", "B", is_bot=True),
        Message("2.5", "beep", "B2", is_bot=True),
        Message("3.0", "and adoption?", "U1"),
        Message("4.0", "later", "U1"),
    ]
    history = history_of(messages, bot_user="B", before="3.0")
    assert [(turn.role, turn.text) for turn in history] == [("user", "leave?"), ("assistant", "Twenty weeks.")]


def test_history_is_bounded() -> None:
    messages = [Message(f"{n}.0", "x" * 9_000, "U1") for n in range(50)]
    history = history_of(messages, bot_user="B", before="99.0")
    assert len(history) == 12
    assert all(len(turn.text) <= 4_000 for turn in history)


def test_a_turn_survives_being_recorded() -> None:
    assert read_turn(write_turn(TURN)) == TURN


# ---------------------------------------------------------------------------------------------------------- audience


def test_in_a_channel_neither_the_askers_channels_nor_documents_count() -> None:
    audience = audience_of(TURN, ("C2",))
    assert audience == Audience(channel="C1", user="U1", private=False)
    assert not may_read("user:U1", audience)
    assert not may_read("channel:C2", audience)


@pytest.mark.parametrize("place", ["direct", "ephemeral"])
def test_in_private_the_askers_channels_and_documents_count(place: str) -> None:
    audience = audience_of(msgspec.structs.replace(TURN, place=place), ("C2",))
    assert may_read("user:U1", audience)
    assert may_read("channel:C2", audience)
    assert not may_read("user:U2", audience)
    assert not may_read("channel:C3", audience)


@given(st.text(), st.booleans())
def test_an_unknown_visibility_is_read_by_nobody(visibility: str, private: bool) -> None:
    audience = Audience(channel="C1", user="U1", private=private)
    known = {"team", "channel:C1"} | ({"user:U1"} if private else set())
    assert may_read(visibility, audience) == (visibility in known)


def test_streams_name_their_reader_by_the_readers_team_but_not_in_direct_messages() -> None:
    place = place_of(msgspec.structs.replace(TURN, user_team="T9"))
    assert (place.team, place.user) == ("T9", "U1")
    direct = place_of(msgspec.structs.replace(TURN, place="direct"))
    assert (direct.team, direct.user) == (None, None)


# ---------------------------------------------------------------------------------------------------- quotes and links


def test_a_short_quote_is_found_whole_with_its_dashes_encoded() -> None:
    opened = opened_at("https://a.example/p", "A well-known fact, & more")
    assert opened == "https://a.example/p#:~:text=A%20well%2Dknown%20fact%2C%20%26%20more"


def test_a_long_quote_is_found_by_its_ends() -> None:
    words = " ".join(f"w{n}" for n in range(40))
    assert text_fragment(words) == ":~:text=w0%20w1%20w2%20w3,w36%20w37%20w38%20w39"


def test_a_quote_over_two_lines_is_found_by_its_ends_without_markdown() -> None:
    assert text_fragment("## Parental **leave**\n- is [twenty](https://x.example) weeks") == (
        ":~:text=Parental%20leave,is%20twenty%20weeks"
    )


def test_a_pdf_opens_at_its_page() -> None:
    assert opened_at("https://a.example/p.pdf", "quote", 7) == "https://a.example/p.pdf#page=7"


def test_a_fragment_of_the_address_is_kept() -> None:
    assert opened_at("https://a.example/p#s2", "One fact") == "https://a.example/p#s2:~:text=One%20fact"


@pytest.mark.parametrize("url", ["", "javascript:alert(1)", "file:///etc/passwd", "http://", "http://[", "welcome/x"])
def test_what_is_no_web_address_is_not_linked(url: str) -> None:
    assert opened_at(url, "quote") == ""


@given(st.text(min_size=1, max_size=400))
def test_a_fragment_never_breaks_out_of_its_link(quote: str) -> None:
    fragment = text_fragment(quote)
    assert not set("|<>& -#\n") & set(fragment.removeprefix(":~:text="))
    assert unquote(fragment).isprintable() or not quote.isprintable()


@given(st.text(max_size=900), st.integers(20, 300))
def test_a_shortened_text_fits(text: str, limit: int) -> None:
    assert len(shortened(text, limit)) <= limit


# ------------------------------------------------------------------------------------------------------------ blocks


def hostile(n: int, size: int = 5_000) -> Citation:
    nasty = "<!channel> |>x<https://evil.example|click> & " * (size // 45)
    return Citation(n=n, document_id=f"d{n}", title=nasty, url="https://a.example/|x>y", quote=nasty, heading=nasty)


def test_hostile_titles_and_quotes_stay_text() -> None:
    text = blocks.source_text(hostile(1))
    assert "<!channel>" not in text
    assert text.count("<") == 1
    link = text[text.index("<") + 1 : text.index(">")]
    assert link.count("|") == 1
    assert link.startswith("https://a.example/%7Cx%3Ey#:~:text=")


@given(st.integers(0, 60))
def test_sources_stay_within_slacks_limits(count: int) -> None:
    shown = blocks.answer_blocks([hostile(n) for n in range(count)], RunMetadata(), "run")
    assert len(shown) <= 50
    assert all(len(block["text"]["text"]) <= 3_000 for block in shown if block["type"] == "section")
    assert sum(len(str(block)) for block in shown) < 13_200 - 6_500


def test_sources_that_do_not_fit_are_counted() -> None:
    citations = [Citation(n=n, document_id="d", title="T", url="", quote="q") for n in range(1, 15)]
    assert "and 4 more" in str(blocks.source_blocks(citations))


def test_the_footer_says_how_the_answer_was_made() -> None:
    citation = Citation(n=1, document_id="d", title="T", url="", quote="q")
    assert blocks.footer([citation], RunMetadata()) == "Quotes only, no model · Answered from 1 document"
    assert "Written by gpt-x" in blocks.footer([citation, citation], RunMetadata(model="gpt-x"))
    assert "gpt-x, interrupted" in blocks.footer([citation], RunMetadata(model="gpt-x", degraded="interrupted"))
    assert "no model could answer" in blocks.footer([citation], RunMetadata(degraded="quoted"))


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("see [here](https://evil.example/?q=1)", "see here"),
        ("![pixel](https://evil.example/p.png)", "pixel"),
        ("at https://evil.example/x now", "at `https://evil.example/x` now"),
        ("<https://evil.example|x>", "`https://evil.example`|x>"),
        ("<!channel> <@U1> <#C1>", "‹!channel> ‹@U1> ‹#C1>"),
        ("[x]: https://evil.example", ""),
        ("`https://a.example` stays", "`https://a.example` stays"),
        ("Twenty weeks [1]. a < b", "Twenty weeks [1]. a < b"),
    ],
)
def test_only_our_own_links_work_in_an_answer(text: str, shown: str) -> None:
    assert blocks.defanged(text) == shown


# ------------------------------------------------------------------------------------------------------------- pages


@given(st.lists(st.text(max_size=300), max_size=30))
def test_pages_fit_and_lose_nothing(pieces: list[str]) -> None:
    pages = Pages(100)
    for piece in pieces:
        pages.add(piece.replace("`", "").replace("~", ""))
    assert all(len(page) <= 100 for page in pages.pages)
    assert "".join(pages.pages) == "".join(pieces).replace("`", "").replace("~", "")


@given(st.lists(st.text(max_size=60), max_size=20))
def test_a_page_only_ever_grows_at_its_end(pieces: list[str]) -> None:
    pages, before = Pages(80), [""]
    for piece in pieces:
        pages.add(piece)
        assert all(new.startswith(old) for new, old in zip(pages.pages, before, strict=False))
        before = list(pages.pages)


def test_a_code_block_is_closed_at_a_pages_end_and_opened_again() -> None:
    pages = Pages(60)
    for line in ["```python\n", *(f"line_{n} = {n}\n" for n in range(9)), "```\n", "done"]:
        pages.add(line)
    assert len(pages.pages) > 1
    assert all(open_fence(page) is None for page in pages.pages)
    assert pages.pages[1].startswith("```python\n")


# ------------------------------------------------------------------------------------------- events, commands, ratings


def sse(count: int) -> bytes:
    return b"".join(f': ping\r\nevent: delta\r\ndata: {{"text":"é{n}"}}\r\n\r\n'.encode() for n in range(count))


@given(st.lists(st.integers(1, 40), max_size=30))
def test_events_are_the_same_however_the_bytes_are_cut(sizes: list[int]) -> None:
    stream, parser, events = sse(5), EventParser(), []
    for size in [*sizes, len(stream)]:
        events += parser.feed(stream[:size])
        stream = stream[size:]
    assert [msgspec.json.decode(data, type=DeltaEvent, strict=False).text for _, data in _plain(events)] == [
        f"é{n}" for n in range(5)
    ]


def _plain(events: list[tuple[str, str]]) -> list[tuple[str, str]]:
    return [(name, data.replace("{", '{"event":"delta",', 1)) for name, data in events]


def test_an_event_without_data_does_not_exist_and_data_lines_are_joined() -> None:
    assert EventParser().feed(b"event: x\n\ndata: a\ndata: b\n\n") == [("message", "a\nb")]


def test_ingest_takes_addresses_and_options() -> None:
    command = read_ingest(
        "<https://a.example/x?a=1&amp;b=2|a> https://b.example tags:x,y visibility:channel refresh:2w"
    )
    assert command.urls == ("https://a.example/x?a=1&b=2", "https://b.example")
    assert (command.tags, command.visibility, command.refresh_days) == (("x", "y"), "channel", 14)


@pytest.mark.parametrize("text", ["", "hello", "https://a.example visibility:all", "https://a.example refresh:900d"])
def test_an_ingest_that_cannot_be_read_is_explained(text: str) -> None:
    with pytest.raises(CommandError, match="`"):
        read_ingest(text)


def test_docs_without_words_lists() -> None:
    assert read_docs("").verb == "list"
    assert read_docs("search parental leave").target == "parental leave"
    with pytest.raises(CommandError):
        read_docs("remove")


@pytest.mark.parametrize(
    ("name", "rating"),
    [("+1", 1), ("thumbsup", 1), ("+1::skin-tone-4", 1), ("-1", -1), ("thumbsdown::skin-tone-2", -1), ("eyes", None)],
)
def test_thumbs_rate_whatever_their_skin_tone(name: str, rating: int | None) -> None:
    assert Emoji(["+1", "thumbsup"], ["-1", "thumbsdown"]).rating_of(name) == rating


def test_a_buttons_value_is_a_run_and_a_rating() -> None:
    assert read_button("run:7:-1") == ("run:7", -1)
    assert read_button("run") is None
    assert read_button("run:5") is None


def test_an_abstention_does_not_repeat_what_its_text_names() -> None:
    named = Passage(chunk_id="a:0", document_id="a", title="Leave", url="", text="", score=0.1)
    linked = Passage(chunk_id="b:0", document_id="b", title="Pay", url="https://a.example", text="", score=0.1)
    assert "Closest" not in str(blocks.abstention_blocks([named], "r", "The closest: “Leave”."))
    assert "Closest" in str(blocks.abstention_blocks([named], "r"))
    assert "a.example" in str(blocks.abstention_blocks([linked], "r", "The closest: “Pay”."))
