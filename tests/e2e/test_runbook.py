"""Every command of the operators' pages, run as it stands there, against a backend at work."""

from __future__ import annotations

import asyncio
import os
import re
import sys
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from backend.ports import ChatMessage
from tests.e2e.processes import PROJECT
from tests.e2e.test_backend import LEAVE, started
from tests.fakes.openai_server import openai_server
from tests.programs import needs
from tests.redis_server import running_redis

pytestmark = [pytest.mark.e2e, needs("redis-server", "redis-cli", "curl", "openssl")]

PAGES = ("operations.md", "troubleshooting.md")
BLOCK = re.compile(r"^ *```sh\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)
RESTORE = "backup restore"
MEND = "doctor --mend"
ELSEWHERE = ("docker compose", "reindex --anew", RESTORE, MEND)
"""What needs Docker, and what is run with the backend stopped."""
QUESTION = {"question": "How many days of paid leave do I have?"}


def blocks() -> list[str]:
    """Return the shell blocks of the pages, in their order."""
    return [block for page in PAGES for block in BLOCK.findall((PROJECT / "docs" / page).read_text())]


def commands() -> list[str]:
    """Return those that can be run while the backend runs, and here."""
    return [block for block in blocks() if not any(word in block for word in ELSEWHERE)]


async def shell(block: str, folder: Path, environment: dict[str, str]) -> tuple[int, str]:
    """Run a block with bash; return its exit code and what it said."""
    process = await asyncio.create_subprocess_exec(
        "bash",
        "-euo",
        "pipefail",
        "-c",
        block,
        cwd=folder,
        env=environment,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said, _ = await asyncio.wait_for(process.communicate(), 90)
    assert process.returncode is not None
    return process.returncode, said.decode()


async def answered(url: str, key: str) -> dict[str, Any]:
    async with (
        aiohttp.ClientSession(url, headers={"X-API-Key": key}) as http,
        http.post("/query", json=QUESTION) as reply,
    ):
        answer: dict[str, Any] = await reply.json()
        return answer


async def ingested(url: str, key: str) -> None:
    async with (
        aiohttp.ClientSession(url, headers={"X-API-Key": key}) as http,
        http.post("/ingest?wait=true", json=LEAVE) as reply,
    ):
        assert reply.status == 200


def writer(messages: list[ChatMessage]) -> list[str]:
    """A model that says what the passage says."""
    return ["You have 25 days of paid leave per year [1]."]


async def test_every_command_of_the_operators_pages_works_and_a_copy_answers_like_the_original(tmp_path: Path) -> None:
    async with running_redis(tmp_path) as redis, openai_server(writer) as model:
        settings = {"FOOTNOTE_REDIS_URL": redis.url, "OPENAI_BASE_URL": model, "FOOTNOTE_CACHE": "off"}
        program, url = await started(tmp_path, **settings)
        key = (tmp_path / "data" / "api-key").read_text().strip()
        environment = {
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "HOME": str(tmp_path),
            "PYTHONPATH": str(PROJECT),
            "URL": url,
            "KEY": key,
            **settings,
        }
        try:
            await ingested(url, key)
            original = await answered(url, key)
            for block in commands():
                run = block.replace("URL=http://127.0.0.1:8700 ", "").replace("RUN_ID", original["run_id"])
                code, said = await shell(run, tmp_path, environment)
                assert code == 0, f"{block}\n{said}"
                assert said.strip() or "=" in block.split()[0], block
        finally:
            await program.stop()
        for name in (RESTORE, MEND):
            block = next(block for block in blocks() if name in block)
            code, said = await shell(block, tmp_path, environment)
            assert code == 0, f"{block}\n{said}"
        program, url = await started(tmp_path, **settings)
        try:
            restored = await answered(url, key)
        finally:
            await program.stop()
    assert restored["outcome"] == "answered"
    assert (restored["answer"], restored["citations"]) == (original["answer"], original["citations"])


def test_the_pages_have_commands() -> None:
    assert len(commands()) > 12
