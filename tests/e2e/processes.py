"""Start Footnote as a person would: the real backend and the real bot as processes of their own, on loopback."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import aiohttp

PROJECT = Path(__file__).resolve().parents[2]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class Program:
    """One running process; its output goes to `log`."""

    name: str
    process: asyncio.subprocess.Process
    log: Path

    async def stop(self, *, kill: bool = False, patience: float = 20.0) -> int:
        """End it by SIGTERM (or SIGKILL) and return its exit code."""
        if self.process.returncode is None:
            self.process.send_signal(signal.SIGKILL if kill else signal.SIGTERM)
            try:
                await asyncio.wait_for(self.process.wait(), patience)
            except TimeoutError:
                self.process.kill()
                await self.process.wait()
                raise AssertionError(f"{self.name} did not stop within {patience} s:\n{self.tail()}") from None
        assert self.process.returncode is not None
        return self.process.returncode

    def tail(self) -> str:
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-40:])


async def start(name: str, *arguments: str, environment: Mapping[str, str], folder: Path) -> Program:
    """Start `python -m …` in the project with a clean environment beside `environment`."""
    log = folder / f"{name}.log"
    inherited = {key: os.environ[key] for key in ("PATH", "HOME", "LANG", "CI") if key in os.environ}
    with log.open("ab") as output:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            *arguments,
            cwd=PROJECT,
            env={**inherited, "PYTHONUNBUFFERED": "1", **environment},
            stdout=output,
            stderr=asyncio.subprocess.STDOUT,
        )
    return Program(name, process, log)


async def until_healthy(url: str, program: Program, *, patience: float = 60.0) -> None:
    """Wait until `url` answers 200."""
    async with aiohttp.ClientSession() as session, asyncio.timeout(patience):
        while True:
            assert program.process.returncode is None, f"{program.name} ended:\n{program.tail()}"
            try:
                async with session.get(url) as reply:
                    if reply.status == 200:
                        return
            except aiohttp.ClientError:
                pass
            await asyncio.sleep(0.1)


@dataclass
class Footnote:
    """A running Footnote: backend, bot and the local Slack that the bot brings."""

    folder: Path
    environment: dict[str, str]
    backend: Program
    bot: Program

    @property
    def backend_url(self) -> str:
        return f"http://127.0.0.1:{self.environment['FOOTNOTE_PORT']}"

    @property
    def page_url(self) -> str:
        return f"http://127.0.0.1:{self.environment['FOOTNOTE_SANDBOX_PORT']}"

    @property
    def api_key(self) -> str:
        return (self.folder / "data" / "api-key").read_text().strip()

    async def start_backend(self) -> None:
        self.backend = await start("backend", "backend", "serve", environment=self.environment, folder=self.folder)
        await until_healthy(f"{self.backend_url}/health/ready", self.backend)


@asynccontextmanager
async def footnote(folder: Path, **environment: str) -> AsyncIterator[Footnote]:
    """Run backend and bot on free ports with a data folder of their own; stop both at the end."""
    variables = {
        "FOOTNOTE_DATA_DIR": str(folder / "data"),
        "FOOTNOTE_PORT": str(free_port()),
        "FOOTNOTE_SANDBOX_PORT": str(free_port()),
        **environment,
    }
    url = f"http://127.0.0.1:{variables['FOOTNOTE_PORT']}"
    backend = await start("backend", "backend", "serve", environment=variables, folder=folder)
    try:
        await until_healthy(f"{url}/health/ready", backend)
        bot = await start("bot", "bot", environment=variables, folder=folder)
        running = Footnote(folder, variables, backend, bot)
        try:
            await until_healthy(f"{running.page_url}/", bot)
            yield running
        finally:
            await running.bot.stop()
            backend = running.backend
    finally:
        await backend.stop()
