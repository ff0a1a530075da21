"""What is handed in: parsed, named and described by pure functions."""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.codec import metadata_from_json, metadata_to_json
from backend.domain import (
    Document,
    Extracted,
    FieldValue,
    Metadata,
    Origin,
    Visibility,
)
from backend.errors import BadInput, FetchRefused
from backend.ingest.describe import describe, doc_type_of, provisional_title
from backend.ingest.language import detect_language
from backend.ingest.staging import pack_parcel, unpack_parcel
from backend.ingest.submission import Submission, Upload, derive_id, normalise_url, parse_request
from backend.ports import Fetched
from backend.schema import IngestRequest

NOW = datetime(2026, 11, 20, 12, 0, 0, 5, tzinfo=UTC)


def test_a_request_is_read_into_a_submission() -> None:
    body = {
        "title": " Leave ",
        "text": "Thirty days.",
        "visibility": "channel:C1",
        "metadata": {
            "author": "Doe, Jane",
            "tags": "hr, leave",
            "published_at": "2026-01-31",
            "url": "https://wiki.example/leave",
            "language": "en",
            "rank": 3,
            "review due": "2026-02-01T10:00:00+02:00",
            "team": "People",
            "aliases": ["a", "b", "a"],
            "empty": None,
        },
    }
    submission = parse_request(msgspec.convert(body, IngestRequest), team="T1")

    assert submission == Submission(
        team="T1",
        upload=Upload(b"Thirty days.", media_type="text/markdown"),
        title="Leave",
        shown_url="https://wiki.example/leave",
        visibility=Visibility("channel", "C1"),
        stated=Metadata(
            author=("Doe, Jane",),
            tags=("hr", "leave"),
            language="en",
            published_at=datetime(2026, 1, 31, tzinfo=UTC),
            custom={
                "rank": (3,),
                "review due": (datetime(2026, 2, 1, 8, tzinfo=UTC),),
                "team": ("People",),
                "aliases": ("a", "b"),
            },
        ),
    )


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"url": "https://e.org", "text": "Both."},
        {"text": "   "},
        {"url": "https:///nowhere"},
        {"url": "https://e.org/a b"},
        {"url": "https://e.org:99999/"},
        {"text": "x", "visibility": "everyone"},
        {"text": "x", "id": "a\nb"},
        {"text": "x", "metadata": {"published_at": "yesterday"}},
        {"text": "x", "metadata": {"document_id": "d"}},
        {"text": "x", "metadata": {"a/b": "c"}},
        {"text": "x", "metadata": {"rank": float("nan")}},
        {"text": "x", "metadata": {"source": ["a"]}},
        {"text": "x", "metadata": {"long": "x" * 1001}},
        {"text": "x", "metadata": {f"field{number}": "x" for number in range(51)}},
    ],
)
def test_a_request_that_cannot_be_meant_is_bad_input(body: dict[str, object]) -> None:
    with pytest.raises(BadInput):
        parse_request(msgspec.convert(body, IngestRequest), team="T1")


@pytest.mark.parametrize("url", ["ftp://e.org/a", "file:///etc/passwd", "javascript:alert(1)", "https://me:pw@e.org/"])
def test_a_url_that_is_never_fetched_is_refused_at_once(url: str) -> None:
    with pytest.raises(FetchRefused):
        parse_request(IngestRequest(url=url), team="T1")


def test_a_file_beside_the_request_is_what_is_ingested() -> None:
    file = Upload(b"%PDF", "leave.pdf", "application/pdf")
    assert parse_request(IngestRequest(), team="T1", file=file).upload == file
    with pytest.raises(BadInput):
        parse_request(IngestRequest(text="Both."), team="T1", file=file)
    with pytest.raises(BadInput):
        parse_request(IngestRequest(), team="T1", file=Upload(b""))


def test_urls_of_one_page_have_one_spelling() -> None:
    spellings = {
        "https://Docs.Example.org/a?b=1&utm_source=x#part",
        "https://docs.example.org:443/a?b=1",
        "https://docs.example.org./a?b=1&gclid=7",
    }
    assert {normalise_url(url) for url in spellings} == {"https://docs.example.org/a?b=1"}
    assert normalise_url("http://e.org") == "http://e.org/"
    assert normalise_url("https://e.org/A") != normalise_url("https://e.org/a")


def test_the_id_is_the_callers_own_or_follows_from_what_is_ingested() -> None:
    url = Submission("T1", url="https://e.org/a#x")
    content = Submission("T1", upload=Upload(b"Text."), title="One")

    assert derive_id(Submission("T1", url="https://e.org/a", document_id="mine")) == "mine"
    assert derive_id(url) == derive_id(Submission("T2", url="https://E.org/a"))
    assert derive_id(content) == derive_id(Submission("T1", upload=Upload(b"Text.", "b.md"), title="Two"))
    assert derive_id(content) != derive_id(Submission("T1", upload=Upload(b"Other.")))
    assert derive_id(url) != derive_id(Submission("T1", url="https://e.org/a", visibility=Visibility("user", "U1")))


# ---------------------------------------------------------------------------------------------------------- describing


def document(**changes: str) -> Document:
    origin = Origin(url=changes.pop("origin_url", ""), file_name=changes.pop("file_name", ""))
    return Document(
        "T1",
        "d1",
        origin,
        "",
        changes.pop("url", ""),
        Visibility(),
        "queued",
        NOW,
        NOW,
        stated_title=changes.get("title", ""),
    )


@pytest.mark.parametrize(
    ("subject", "extracted", "title"),
    [
        (document(title="Stated", file_name="a.md"), Extracted("Text.", "Detected"), "Stated"),
        (document(file_name="a.md"), Extracted("Text.", " Detected\n title "), "Detected title"),
        (document(file_name="C:\\x\\Annual report.pdf"), Extracted("Text."), "Annual report"),
        (document(origin_url="https://e.org/how%20to/"), Extracted("Text."), "how to"),
        (document(origin_url="https://e.org/"), Extracted("Text."), "e.org"),
        (document(), Extracted("\n## First line\nText."), "First line"),
        (document(), Extracted(""), "d1"),
    ],
)
def test_there_is_always_a_title(subject: Document, extracted: Extracted, title: str) -> None:
    assert describe(subject, Fetched(b"", "", ""), extracted).title == title


def test_a_document_without_any_name_is_called_by_its_id_until_it_is_read() -> None:
    assert provisional_title(Origin(), "doc-1") == "doc-1"


@pytest.mark.parametrize(
    ("media_type", "name", "doc_type"),
    [
        ("text/html; charset=utf-8", "", "html"),
        ("application/pdf", "a.bin", "pdf"),
        ("text/plain", "notes.MD", "markdown"),
        ("application/octet-stream", "mail.eml", "email"),
        ("text/plain", "LICENSE", "text"),
        ("application/x-unknown", "a.xyz", ""),
    ],
)
def test_the_kind_of_document_follows_from_its_media_type_or_name(media_type: str, name: str, doc_type: str) -> None:
    assert doc_type_of(media_type, name) == doc_type


@pytest.mark.parametrize(
    ("text", "language"),
    [
        (
            "You are entitled to thirty days of leave, and you can carry over five of them to the next year.",
            "en",
        ),
        (
            "Alle haben Anspruch auf dreißig Tage Urlaub, und sie können fünf davon in das nächste Jahr mitnehmen.",
            "de",
        ),
        (
            "Vous avez droit à trente jours de congé par an, et vous pouvez en reporter cinq dans l'année qui suit.",
            "fr",
        ),
        ("def main(): return foo(bar, baz) + qux[quux] * corge / grault - garply ** waldo % fred", ""),
        ("Short.", ""),
    ],
)
def test_the_language_is_told_where_it_is_clear(text: str, language: str) -> None:
    assert detect_language(text) == language


# ------------------------------------------------------------------------------------------------------- there and back

values: st.SearchStrategy[FieldValue] = st.one_of(
    st.text(),
    st.floats(allow_nan=False, allow_infinity=False),
    st.integers(-(2**53), 2**53),
    st.datetimes(timezones=st.just(UTC)),
)
known = st.builds(
    Metadata,
    author=st.lists(st.text()).map(tuple),
    source=st.text(),
    published_at=st.none() | st.datetimes(timezones=st.just(UTC)),
    tags=st.lists(st.text()).map(tuple),
    custom=st.dictionaries(st.text(), st.lists(values).map(tuple)),
)


@given(known)
def test_metadata_survives_json(metadata: Metadata) -> None:
    packed = msgspec.json.encode(metadata_to_json(metadata))
    assert metadata_from_json(msgspec.json.decode(packed)) == metadata


@given(st.binary(), st.text(), st.text())
def test_a_parcel_survives_the_disk_and_belongs_to_its_work(content: bytes, url: str, name: str) -> None:
    fetched = Fetched(content, url, "text/html", name)
    packed = pack_parcel(fetched, team="T1", document_id="d", attempt="1")

    assert unpack_parcel(packed) == fetched
    assert packed != pack_parcel(fetched, team="T1", document_id="d", attempt="2")
