"""What is a wish to ingest and what is a question, who gets the bot's token, and who may read what was shared."""

from __future__ import annotations

import pytest

from bot.audience import Person, refusal_to_ingest
from bot.commands import CommandError, ingest_job, read_ingest, shared_visibility, stated_visibility
from bot.files import SharedFile, files_of, is_sign_in_page, may_have_token, read_files, write_files
from bot.wish import links_in, read_wish

SLACK = "https://slack.com/api/"
LOCAL = "http://127.0.0.1:8701/api/"


@pytest.mark.parametrize(
    ("text", "wish"),
    [
        ("<@B> ingest this <https://a.example/x?a=1&amp;b=2>", "https://a.example/x?a=1&b=2"),
        ("<@B> add <https://a.example|a.example>", "https://a.example"),
        ("<@B> <https://a.example>", "https://a.example"),
        (
            "please ingest these pages: <https://a.example> and <https://b.example>!",
            "https://a.example https://b.example",
        ),
        (
            "<@B> Add this <https://a.example> tags:hr visibility:channel",
            "https://a.example tags:hr visibility:channel",
        ),
        ("<@B> can you ingest that?", ""),
        ("<@B> ingest this", ""),
        ("<@B> ingest the whole site <https://a.example/docs/> pages:9", "site https://a.example/docs/ pages:9"),
        ("<@B> add this feed: <https://a.example/rss>", "feed https://a.example/rss"),
    ],
)
def test_words_that_only_ask_to_ingest_are_a_wish(text: str, wish: str) -> None:
    assert read_wish(text, "B", has_files=False) == wish


@pytest.mark.parametrize(
    "text",
    [
        "<@B> what does <https://a.example> say about leave?",
        "<@B> is <https://a.example> still right?",
        "<@B> <https://a.example> summarise",
        "<@B> add <https://a.example> to the budget and tell me the sum",
        "<@B> how do I ingest this?",
        "<@B> <@U2> ingest this",
        "<@B> this <https://a.example>",
        "<@B> add",
        "<@B>",
        "",
    ],
)
def test_any_other_word_makes_it_a_question(text: str) -> None:
    assert read_wish(text, "B", has_files=False) is None


def test_a_file_needs_no_words_and_keeps_its_options() -> None:
    assert read_wish("<@B>", "B", has_files=True) == ""
    assert read_wish("<@B> add tags:hr", "B", has_files=True) == "tags:hr"
    assert read_wish("<@B> what does this say?", "B", has_files=True) is None


def test_a_site_a_feed_and_a_zip_are_collections() -> None:
    command = read_ingest("site <https://a.example/docs/> pages:120 tags:hr visibility:channel")
    assert (command.collection, command.urls, command.limit) == ("site", ("https://a.example/docs/",), 120)
    assert (command.tags, command.visibility) == (("hr",), "channel")
    assert (read_ingest("feed https://a.example/rss").collection, read_ingest("https://a.example").collection) == (
        "feed",
        None,
    )
    assert [ingest_job(text) for text in ("zip https://a.example/z", "https://a.example/zip")] == [
        "collection",
        "ingest",
    ]


@pytest.mark.parametrize(
    "text",
    [
        "site",
        "site https://a.example https://b.example",
        "site https://a.example pages:0",
        "site https://a.example pages:501",
        "site https://a.example pages:many",
        "https://a.example pages:9",
    ],
)
def test_a_collection_that_cannot_be_read_is_explained(text: str) -> None:
    with pytest.raises(CommandError):
        read_ingest(text)


def test_links_of_a_message_are_found_once_each() -> None:
    text = (
        "see <https://a.example/?a=1&amp;b=2|here> and <https://b.example> and <mailto:x@y.example> <https://b.example>"
    )
    assert links_in(text) == ["https://a.example/?a=1&b=2", "https://b.example"]


@pytest.mark.parametrize(
    ("url", "api"),
    [
        ("https://files.slack.com/files-pri/T1-F1/a.pdf", SLACK),
        ("https://team.slack.com/files/a.pdf", SLACK),
        ("https://FILES.SLACK.COM:443/a", SLACK),
        ("https://files.slack-gov.com/a", SLACK),
        ("http://127.0.0.1:8701/files-pri/F1/a.pdf", LOCAL),
    ],
)
def test_slack_and_the_configured_server_get_the_token(url: str, api: str) -> None:
    assert may_have_token(url, api)


@pytest.mark.parametrize(
    "url",
    [
        "http://files.slack.com/a",
        "https://files.slack.com.evil.example/a",
        "https://evil.example/files.slack.com",
        "https://evilslack.com/a",
        "https://files.slack.com@evil.example/a",
        "https://evil.example\\@files.slack.com/a",
        "https://u:p@files.slack.com/a",
        "https://files.slack.com:8443/a",
        "https://drive.google.com/a",
        "http://127.0.0.1:8702/a",
        "https://127.0.0.1:8701/a",
        "http://[bad/a",
        "file:///etc/passwd",
        "//files.slack.com/a",
        "",
    ],
)
def test_nobody_else_gets_the_token(url: str) -> None:
    assert not may_have_token(url, LOCAL)


def test_files_are_read_from_an_event_and_survive_being_recorded() -> None:
    raw = {"id": "F1", "name": "a.pdf", "title": "Leave", "mimetype": "application/pdf", "size": 3}
    (file,) = files_of({"files": [raw | {"url_private": "https://files.slack.com/a"}, raw, {"id": "F2"}, "junk"]})
    assert file == SharedFile("F1", "a.pdf", "https://files.slack.com/a", "application/pdf", "Leave", 3)
    assert read_files(write_files([file])) == (file,)
    assert read_files("") == ()
    assert files_of({}) == ()


@pytest.mark.parametrize(("title", "stated"), [("a.pdf", ""), ("a", ""), ("", ""), ("Leave 2026", "Leave 2026")])
def test_only_a_title_that_somebody_wrote_is_stated(title: str, stated: str) -> None:
    assert SharedFile("F1", "a.pdf", "https://files.slack.com/a", title=title).stated_title == stated


def test_slacks_sign_in_page_is_not_taken_for_the_file() -> None:
    pdf = SharedFile("F1", "a.pdf", "u", "application/pdf", size=9)
    page = SharedFile("F2", "a.html", "u", "text/html", size=9)
    assert is_sign_in_page(pdf, "text/html", 9)
    assert is_sign_in_page(page, "text/html", 70_000)
    assert not is_sign_in_page(page, "text/html", 9)
    assert not is_sign_in_page(pdf, "application/pdf", 9)


@pytest.mark.parametrize(
    ("text", "channel", "link", "file"),
    [
        ("", "C1", "team", "channel:C1"),
        ("", "D1", "team", "user:U1"),
        ("visibility:team", "C1", "team", "team"),
        ("visibility:channel", "C1", "channel:C1", "channel:C1"),
        ("visibility:channel", "D1", "channel:D1", "user:U1"),
        ("visibility:private", "C1", "user:U1", "user:U1"),
    ],
)
def test_what_is_shared_in_slack_stays_where_it_was_shared(text: str, channel: str, link: str, file: str) -> None:
    command = read_ingest(text, needs_url=False)
    assert stated_visibility(command, channel, "U1") == link
    assert shared_visibility(command, channel, "U1") == file


@pytest.mark.parametrize("person", [None, Person(guest=True), Person(stranger=True)])
def test_strangers_guests_and_the_unknown_add_nothing(person: Person | None) -> None:
    assert refusal_to_ingest(person)
    assert refusal_to_ingest(Person(team="T1")) is None
