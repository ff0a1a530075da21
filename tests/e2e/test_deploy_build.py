"""What the image holds, built without Docker: it is small enough, and runs from a root that it cannot write to."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import aiohttp
import pytest

from tests.e2e.processes import PROJECT, Program, free_port, until_healthy

pytestmark = pytest.mark.e2e

MOST = 1100
"""Megabytes that our part of the image may have, unpacked; deploy/Dockerfile says what they are."""


def size(folder: Path) -> float:
    """Megabytes on the disk."""
    return int(subprocess.run(["du", "-sm", str(folder)], check=True, capture_output=True, text=True).stdout.split()[0])


async def mode(folder: Path, change: str) -> None:
    changing = await asyncio.create_subprocess_exec("chmod", "-R", change, str(folder))
    assert await changing.wait() == 0


async def test_the_build_script_makes_a_backend_that_serves_from_a_read_only_root(tmp_path: Path) -> None:
    prefix, data = tmp_path / "footnote", tmp_path / "data"
    data.mkdir()
    environment = {**os.environ, "PYTHON": sys.executable}
    script = [str(PROJECT / "deploy" / "build.sh"), str(prefix)]
    built = await asyncio.to_thread(subprocess.run, script, env=environment, capture_output=True, text=True)
    assert built.returncode == 0, built.stderr
    assert size(prefix) < MOST
    await mode(prefix, "a-w")

    port, log = free_port(), tmp_path / "backend.log"
    with log.open("wb") as output:
        process = await asyncio.create_subprocess_exec(
            str(prefix / "venv" / "bin" / "python"),
            *("-m", "backend", "serve"),
            cwd=prefix / "app",
            env={
                "FOOTNOTE_ENV": "production",
                "FOOTNOTE_DATA_DIR": str(data),
                "FOOTNOTE_API_KEY": "a-key-that-nobody-else-has",
                "FOOTNOTE_HOST": "0.0.0.0",
                "FOOTNOTE_PORT": str(port),
                "PYTHONDONTWRITEBYTECODE": "1",
                "HOME": "/nonexistent",
            },
            stdout=output,
            stderr=asyncio.subprocess.STDOUT,
        )
    program = Program("backend", process, log)
    try:
        await until_healthy(f"http://127.0.0.1:{port}/health/ready", program)
        async with aiohttp.ClientSession() as session, session.get(f"http://127.0.0.1:{port}/documents") as refused:
            assert refused.status == 401
    finally:
        assert await program.stop() == 0
        await mode(prefix, "u+w")
    assert not any(prefix.rglob("*.sqlite"))
