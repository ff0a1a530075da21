"""The command line: what it reads, what it sends, what it prints and how it exits."""

import argparse
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from backend.cli import main, parser
from backend.cli.ask import ask, search
from backend.cli.client import Client, Refused
from backend.cli.ingest import send_all, with_metadata
from backend.cli.sources import Item, document_of, items
from backend.errors import BadInput, LLMUnavailable
from backend.lock import FolderLock, Locked, owner
from backend.settings import Settings
from tests.fakes.server import ADMIN, ASK, Backend, running


@pytest.fixture
async def backend() -> AsyncIterator[Backend]:
    async with running() as started:
        yield started


def settings(folder: Path, key: str = ADMIN) -> Settings:
    return Settings.model_validate({"data_dir": folder, "api_key": key})


def wanted(backend: Backend, *arguments: str) -> argparse.Namespace:
    return parser().parse_args([*arguments, "--url", backend.url])


# -------------------------------------------------------------------------------------------------- ask and search


async def test_ask_prints_the_answer_and_each_quote(
    backend: Backend, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert await ask(settings(tmp_path), wanted(backend, "ask", "How much leave?", "--channel", "C1")) == 0
    printed = capsys.readouterr().out
    assert "Everyone has 25 days of leave. [1]" in printed
    assert "[1] Handbook › Leave" in printed
    assert "“Everyone has 25 days of leave.”" in printed
    assert backend.pipeline.asked[0].audience.channel == "C1"


async def test_ask_exits_with_3_where_the_documents_do_not_say(backend: Backend, tmp_path: Path) -> None:
    backend.pipeline.outcome = "abstained"
    assert await ask(settings(tmp_path), wanted(backend, "ask", "q")) == 3
    assert await ask(settings(tmp_path), wanted(backend, "ask", "q", "--json")) == 3


async def test_a_run_that_fails_is_said_with_its_run_id(backend: Backend, tmp_path: Path) -> None:
    async def fail() -> None:
        raise LLMUnavailable("The model cannot be reached.")

    backend.pipeline.before = fail
    with pytest.raises(Refused, match=r"The model cannot be reached\. \(run [0-9a-f]{16}\)"):
        await ask(settings(tmp_path), wanted(backend, "ask", "q"))


async def test_a_wrong_key_is_said_as_the_backend_says_it(backend: Backend, tmp_path: Path) -> None:
    with pytest.raises(Refused, match="X-API-Key"):
        await search(settings(tmp_path, "not-the-right-key"), wanted(backend, "search", "q"))


async def test_a_backend_that_is_not_there_is_one_plain_sentence(tmp_path: Path) -> None:
    arguments = parser().parse_args(["search", "q", "--url", "http://127.0.0.1:9"])
    with pytest.raises(Refused, match=r"http://127\.0\.0\.1:9 cannot be reached"):
        await search(settings(tmp_path), arguments)


async def test_search_prints_what_bears_on_the_question(
    backend: Backend, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert await search(settings(tmp_path, ASK), wanted(backend, "search", "leave")) == 0
    assert "1. Handbook › Leave handbook\nEveryone has 25 days of leave.\n" in capsys.readouterr().out
    assert await search(settings(tmp_path, ASK), wanted(backend, "search", "leave", "--json")) == 0
    assert json.loads(capsys.readouterr().out)["passages"][0]["chunk_id"] == "c1"


# ------------------------------------------------------------------------------------------------------------- ingest


async def test_everything_is_sent_and_every_failure_has_its_reason(backend: Backend, tmp_path: Path) -> None:
    note = tmp_path / "note.md"
    note.write_text("# Note\nText.")
    todo = [Item("a", {"text": "Text.", "id": "a"}), Item(str(note), path=note), Item("b", {"url": "ftp://x.example"})]
    arguments = parser().parse_args(["ingest", "x", "--tags", "hr, it", "--visibility", "channel:C1"])
    done: list[int] = []
    summary = await send_all(Client(backend.http), todo, arguments, lambda: done.append(1))
    assert (summary.ready, len(done)) == (2, 3)
    assert [name for name, _ in summary.failures] == ["b"]
    assert "http" in summary.failures[0][1]
    sent = {submission.document_id: submission for submission in backend.ingest.accepted}
    assert set(sent) == {"a", note.resolve().as_posix()}
    assert {str(submission.visibility) for submission in sent.values()} == {"channel:C1"}
    assert {submission.stated.tags for submission in sent.values()} == {("hr", "it")}


def test_the_command_line_adds_tags_and_overrules_the_rest() -> None:
    arguments = parser().parse_args(["ingest", "x", "--tags", "new", "--source", "wiki"])
    assert with_metadata({"tags": "old, older", "source": "hr", "team_size": 3}, arguments) == {
        "tags": ["old", "older", "new"], "source": "wiki", "team_size": 3,
    }  # fmt: skip


def test_a_line_of_documents_keeps_its_id_and_its_fields() -> None:
    row = {
        "doc_id": 7, "title": "PEP 7", "text": "Style.", "url": "https://peps.example/7", "authors": ["Guido"],
        "updated_at": "2024-01-02", "created_at": "2001-07-05", "status": "Active", "votes": 3, "topics": ["c"],
        "parent": None, "nested": {"a": 1}, "mixed": [1, "a"], "flag": True, "empty": "",
    }  # fmt: skip
    assert document_of(row) == {
        "id": "7", "title": "PEP 7", "text": "Style.",
        "metadata": {"author": ["Guido"], "published_at": "2024-01-02", "url": "https://peps.example/7",
                     "status": "Active", "votes": 3, "topics": ["c"]},
    }  # fmt: skip


def test_a_line_without_text_is_a_url_to_fetch_and_a_path_is_no_url() -> None:
    assert document_of({"url": "https://a.example/"}) == {"url": "https://a.example/"}
    assert document_of({"text": "t", "url": "file:///a"}) == {"text": "t"}


def test_sources_are_files_folders_globs_and_urls(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / ".git").mkdir()
    for name in ("a.md", "b.txt", "image.png", "sub/c.html", ".git/d.md"):
        (tmp_path / name).write_text("text")
    (tmp_path / "e.jsonl").write_text('{"id": "1", "text": "t"}\n\n{"id": "2", "text": "t"}\n')
    folder = [Path(item.name).name for item in items([str(tmp_path)])]
    assert folder == ["a.md", "b.txt", "e.jsonl:1", "e.jsonl:3", "c.html"]
    assert [item.path for item in items([f"{tmp_path}/*.txt"])] == [tmp_path / "b.txt"]
    assert [item.body for item in items(["https://a.example/x"])] == [{"url": "https://a.example/x"}]
    assert [item.path for item in items([str(tmp_path / "image.png")])] == [tmp_path / "image.png"]


@pytest.mark.parametrize("line", ["{", "[]", '{"title": "no text"}', '{"text": 3}'])
def test_a_line_that_is_no_document_is_named_by_its_number(tmp_path: Path, line: str) -> None:
    (tmp_path / "bad.jsonl").write_text(f'{{"text": "t"}}\n{line}\n')
    with pytest.raises(BadInput, match=r"bad\.jsonl:2"):
        list(items([str(tmp_path / "bad.jsonl")]))


def test_a_source_that_is_not_there_is_said() -> None:
    with pytest.raises(BadInput, match="nothing to ingest"):
        list(items(["no-such-file.md"]))


# --------------------------------------------------------------------------------------------------------------- lock


def test_a_folder_has_one_owner_who_says_where_it_answers(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    assert owner(path) is None
    with FolderLock(path) as lock:
        assert owner(path) == ""
        lock.announce("http://127.0.0.1:8700")
        assert owner(path) == "http://127.0.0.1:8700"
        with pytest.raises(Locked, match=r"answers at http://127\.0\.0\.1:8700"), FolderLock(path):
            pass
    assert owner(path) is None


# --------------------------------------------------------------------------------------------------------- exit codes


def test_a_wrong_argument_exits_with_2(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["migrate", "sideways"])
    assert ended.value.code == 2
    assert "sideways" in capsys.readouterr().err
