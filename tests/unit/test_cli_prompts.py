"""The `prompts` and `replay` commands, over a folder of prompts and a backend over fakes."""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from backend.cli import parser
from backend.cli.prompts import promotion, prompts
from backend.cli.replay import replay
from backend.evaluate.history import PastRun
from backend.experiments import Experiment, Plan, load_plan
from backend.prompts import load_prompts
from backend.releases import read_released, violations
from backend.settings import PROJECT, Settings
from tests.fakes.server import ADMIN, running

NOW = datetime.now(UTC)
PLAN = Plan({"answer": "answer@v1"}, (Experiment("brief", (("answer@v1", 1), ("answer@v2", 1)), 1.0, NOW),))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of the shipped prompts."""
    return Path(shutil.copytree(PROJECT / "prompts", tmp_path / "prompts"))


def wanted(*arguments: str) -> argparse.Namespace:
    return parser().parse_args(["prompts", *arguments])


def settings(folder: Path) -> Settings:
    return Settings.model_validate({"data_dir": folder, "api_key": ADMIN})


async def run(folder: Path, *arguments: str) -> int:
    return await prompts(settings(folder), wanted(*arguments), folder)


def test_the_shipped_prompts_are_as_they_were_released_and_those_in_use_are() -> None:
    shipped = PROJECT / "prompts"
    assert violations(load_prompts(shipped), read_released(shipped), load_plan(shipped).in_use()) == []


async def test_editing_a_released_prompt_is_refused_and_restoring_it_helps(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert await run(folder, "check") == 0
    path = folder / "answer" / "v1.md"
    before = path.read_text()
    path.write_text(before + "\nBe funny.\n")
    assert await run(folder, "check") == 1
    assert (
        "answer@v1 was released and is not to be edited: restore it and write answer/v4.md" in capsys.readouterr().err
    )
    assert await run(folder, "release", "answer@v1") == 1
    path.write_text(before)
    assert await run(folder, "check") == 0


async def test_a_released_prompt_that_is_gone_is_refused(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "hyde" / "v1.md").unlink()
    plan = folder / "experiments.yaml"
    plan.write_text(plan.read_text().replace("  hyde: v1\n", ""))
    assert await run(folder, "check") == 1
    assert "hyde@v1 was released and is gone" in capsys.readouterr().err


async def test_a_draft_may_be_edited_until_it_is_in_use(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    old = (folder / "answer" / "v3.md").read_text()
    (folder / "answer" / "v4.md").write_text(old.replace("version: 3", "version: 4"))
    assert await run(folder, "check") == 0
    assert "answer@v4" in capsys.readouterr().out
    plan = folder / "experiments.yaml"
    plan.write_text(plan.read_text().replace("answer: v3", "answer: v4"))
    assert await run(folder, "check") == 1
    assert "answer@v4 is in use but a draft" in capsys.readouterr().err
    assert await run(folder, "release", "answer@v4") == 0
    assert await run(folder, "check") == 0


async def test_versions_without_gaps(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    old = (folder / "answer" / "v2.md").read_text()
    (folder / "answer" / "v9.md").write_text(old.replace("version: 2", "version: 9"))
    assert await run(folder, "check") == 1
    assert "answer@v4 is missing" in capsys.readouterr().err


async def test_prompts_are_listed_shown_compared_and_rendered(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert await run(folder, "list") == 0
    assert "current" in capsys.readouterr().out
    assert await run(folder, "show", "verify@v1") == 0
    assert capsys.readouterr().out == (folder / "verify" / "v1.md").read_text()
    assert await run(folder, "diff", "answer@v1", "answer@v2") == 0
    assert "+version: 2\n" in capsys.readouterr().out
    for prompt_id in load_prompts(folder).ids():
        assert await run(folder, "render", prompt_id) == 0, prompt_id
    assert "<<0123456789abcdef sources>>" in capsys.readouterr().out


async def test_the_report_tells_the_verdict_and_the_edit_that_promotes(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with running(plan=PLAN) as backend:
        report = [*("report", "--url"), backend.url]
        assert await run(folder, *report) == 0
        assert "answer@v2 beside answer@v1: not enough data." in capsys.readouterr().out
        later = NOW + timedelta(minutes=1)
        for n in range(200):
            arm, rating = ("answer@v2", 1) if n % 2 else ("answer@v1", 1 if n % 4 else -1)
            backend.history.past.append(
                ("local", PastRun(str(n), later, "answered", "q", thread=str(n), experiment="brief", arm=arm,
                                  prompt=arm, ratings=(rating,)))
            )  # fmt: skip
        assert await run(folder, *report) == 0
        told = capsys.readouterr().out
        assert "answer@v2 beside answer@v1: better" in told
        assert "To promote answer@v2, commit this:" in told
        assert await run(folder, *report, "--json") == 0
        assert json.loads(capsys.readouterr().out)[0]["comparisons"][0]["verdict"] == "better"


def test_the_promotion_is_a_diff_that_applies(tmp_path: Path) -> None:
    content = (PROJECT / "prompts" / "experiments.yaml").read_text().replace("answer: v2", "answer: v1")
    (tmp_path / "prompts").mkdir()
    (tmp_path / "prompts" / "experiments.yaml").write_text(content)
    diff = promotion(content, "answer@v2")
    subprocess.run(["git", "apply", "-"], input=diff, text=True, cwd=tmp_path, check=True)
    assert load_plan(tmp_path / "prompts").current["answer"] == "answer@v2"


async def test_a_run_is_replayed_from_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    async with running() as backend:
        async with backend.http.post("/query", json={"question": "How much leave?"}) as reply:
            run_id = (await reply.json())["run_id"]
        arguments = parser().parse_args(["replay", run_id, "--prompt", "answer@v1", "--url", backend.url])
        assert await replay(settings(tmp_path), arguments) == 0
    assert "Everyone has 25 days of leave. [1]" in capsys.readouterr().out
    assert backend.pipeline.asked[-1].replay_of == run_id
