"""The command line with no backend running: it starts one for the moment, in the same data folder."""

import asyncio
from pathlib import Path

import pytest

from tests.e2e.processes import start

pytestmark = pytest.mark.e2e

HANDBOOK = "# Paid leave\n\nEveryone has 25 days of paid leave per year.\n"


async def command(folder: Path, *arguments: str, **environment: str) -> tuple[int, str]:
    """Run `python -m backend …` to its end; return its exit code and what it printed."""
    variables = {"FOOTNOTE_DATA_DIR": str(folder / "data"), **environment}
    (folder / "command.log").unlink(missing_ok=True)
    program = await start("command", "backend", *arguments, environment=variables, folder=folder)
    code = await asyncio.wait_for(program.process.wait(), 90)
    return code, program.log.read_text()


async def test_files_are_ingested_asked_about_and_reindexed(tmp_path: Path) -> None:
    (tmp_path / "handbook.md").write_text(HANDBOOK)
    (tmp_path / "empty.md").write_text("")

    code, printed = await command(tmp_path, "ingest", str(tmp_path / "*.md"))
    assert code == 1, printed
    assert "1 ready, 1 failed" in printed
    assert "empty.md" in printed

    question = "How many days of paid leave do I have?"
    code, printed = await command(tmp_path, "ask", question)
    assert (code, "25 days of paid leave" in printed) == (0, True), printed

    code, printed = await command(tmp_path, "reindex")
    assert "live: chunks-2; 1 documents" in printed
    code, printed = await command(tmp_path, "search", question)
    assert (code, "Everyone has 25 days" in printed) == (0, True), printed


async def test_a_wrong_setting_is_one_line_that_names_the_variable(tmp_path: Path) -> None:
    code, printed = await command(tmp_path, "serve", FOOTNOTE_PORT="many")
    assert code == 2
    (line,) = printed.splitlines()
    assert line.startswith("FOOTNOTE_PORT: ")
