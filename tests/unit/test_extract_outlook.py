"""Messages as Outlook saves them: subject, people, date, body and the names of attachments."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from backend.domain import Extracted, Metadata
from backend.errors import Unreadable
from backend.ingest.extract import extract
from backend.ingest.sniff import sniff
from backend.ports import Fetched
from tests.fakes.outlook import message

ANA, BEN = ("Ana Lima", "ana@example.org"), ("Ben Okoro", "ben@example.org")
SENT = datetime(2024, 3, 5, 10, tzinfo=UTC)
BODY = "Parental leave is paid\r\nfor twenty weeks.\r\n\r\n- first week\r\n- other weeks\r\n\r\nBest, Ana <3"


def read(content: bytes, name: str = "a.msg") -> Extracted:
    return extract(Fetched(content, "", "", name))


@pytest.mark.parametrize("name", ["a.msg", "", "wrong.dat"])
def test_a_message_keeps_its_people_its_lines_and_the_names_of_its_files(name: str) -> None:
    found = read(message("Leave policy", BODY, sender=ANA, to=[BEN], sent=SENT, attached=["form.pdf"]), name)
    assert found.text == (
        '# Leave policy\n\n- From: "Ana Lima" \\<ana@example.org>\n- To: "Ben Okoro" \\<ben@example.org>\n'
        "- Date: 2024-03-05 10:00 UTC\n\nParental leave is paid\\\nfor twenty weeks.\n\n"
        "- first week\n- other weeks\n\nBest, Ana <3\n\n- Attachment: form.pdf"
    )
    assert found.title == "Leave policy"
    assert found.metadata == Metadata(author=("Ana Lima",), doc_type="email", published_at=SENT)


def test_a_message_of_many_sectors_is_read_to_its_end() -> None:
    said = " ".join(f"Rule {number} holds." for number in range(1_500))
    content = message("Rules", said, sender=ANA)
    assert len(content) > 50_000
    assert read(content).text.endswith(said)


def test_what_a_message_quotes_of_another_is_no_head_of_its_own() -> None:
    said = "Please read this.\r\n\r\nFrom: Ben\r\nDate: Monday\r\n\r\nThe gate is closed."
    assert "From: Ben\\\nDate: Monday" in read(message("Fwd", said, sender=ANA)).text
    assert read(message(body=said[21:])).text == "From: Ben\\\nDate: Monday\n\nThe gate is closed."


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (message("Only a subject", sender=ANA, attached=["form.pdf"]), "no text"),
        (message("Leave policy", BODY, sender=ANA)[:1_500], "damaged or cut off"),
        (message("Leave policy", BODY, sender=ANA)[:-600], "damaged or cut off"),
    ],
    ids=["no body", "without its directory", "without its end"],
)
def test_a_message_without_words_says_what_to_do(content: bytes, words: str) -> None:
    with pytest.raises(Unreadable, match=words):
        read(content)


def test_a_message_is_told_by_its_content() -> None:
    assert sniff(Fetched(message("S", "b"), "", "application/octet-stream", "")) == "msg"
