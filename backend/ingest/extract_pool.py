"""Extraction in worker processes: a parser that crashes, hangs or swells costs one document, not the backend."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

import msgspec
from loguru import logger

from backend.domain import Extracted
from backend.errors import Unavailable, Unreadable
from backend.ingest.extract_worker import Job, Result
from backend.ingest.ocr import LANGUAGES
from backend.ports import Fetched

_ROOT = Path(__file__).resolve().parents[2]
_START_TIMEOUT = 60.0
_JOBS_PER_WORKER = 200
"""A worker is replaced after so many documents: native parsers leak."""
CRASHED = "The document makes the parser crash; open it, save it anew and try again."
TOO_SLOW = "The document took longer than {seconds:g} seconds to read; split it and try again."


class ExtractPool:
    """At most `workers` warm processes; open it with `async with`, then `await pool.extract(fetched)`.

    `timeout` is per document, in seconds; `memory_bytes` bounds a worker's address space; `ocr_languages` are
    tesseract's names of languages with `+` between them. Of a document's images, so many `figures` are taken out at
    most.
    """

    def __init__(
        self,
        *,
        workers: int = 2,
        timeout: float = 25.0,
        memory_bytes: int = 2 * 1024**3,
        figures: int = 0,
        ocr_languages: str = LANGUAGES,
    ) -> None:
        self._timeout = timeout
        self._figures = figures
        self._ocr_languages = ocr_languages
        self._memory_bytes = memory_bytes
        self._slots = asyncio.Semaphore(workers)
        self._idle: list[_Worker] = []

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        while self._idle:
            await self._idle.pop().close()

    async def extract(self, fetched: Fetched) -> Extracted:
        """Do what `extract.extract` does, and turn a crash or a timeout into Unreadable as well."""
        async with self._slots:
            worker = self._idle.pop() if self._idle else await _Worker.start(self._memory_bytes, self._ocr_languages)
            try:
                result = await self._ask(worker, fetched)
            except BaseException:
                await worker.close()
                raise
            await self._keep(worker)
        return result.extracted()

    async def _ask(self, worker: _Worker, fetched: Fetched) -> Result:
        try:
            async with asyncio.timeout(self._timeout):
                return await worker.ask(fetched, self._figures)
        except TimeoutError:
            logger.bind(bytes=len(fetched.content), seconds=self._timeout).warning("extraction timed out")
            raise Unreadable(TOO_SLOW.format(seconds=self._timeout)) from None
        except (OSError, EOFError):
            logger.bind(bytes=len(fetched.content)).warning("extraction worker lost")
            raise Unreadable(CRASHED) from None

    async def _keep(self, worker: _Worker) -> None:
        if worker.jobs < _JOBS_PER_WORKER:
            self._idle.append(worker)
        else:
            await worker.close()


async def extract_isolated(fetched: Fetched, *, timeout: float, memory_bytes: int) -> Extracted:  # noqa: ASYNC109
    """Extract one document in a process of its own; for single documents, since each call starts an interpreter."""
    async with ExtractPool(workers=1, timeout=timeout, memory_bytes=memory_bytes) as pool:
        return await pool.extract(fetched)


class _Worker:
    """One process of `extract_worker`, and the conversation with it."""

    def __init__(self, process: Process) -> None:
        self._process = process
        self.jobs = 0

    @classmethod
    async def start(cls, memory_bytes: int, ocr_languages: str) -> _Worker:
        """Start a process and wait until it has imported its parsers."""
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "backend.ingest.extract_worker", str(memory_bytes), ocr_languages),
            stdin=PIPE,
            stdout=PIPE,
            stderr=DEVNULL,
            cwd=_ROOT,
            env=_environment(),
            start_new_session=True,
        )
        worker = cls(process)
        try:
            async with asyncio.timeout(_START_TIMEOUT):
                await worker._receive()
        except (OSError, EOFError) as error:  # TimeoutError is an OSError
            await worker.close()
            raise Unavailable(
                "The process that reads documents does not start; is its memory limit too low?"
            ) from error
        except BaseException:
            await worker.close()
            raise
        return worker

    async def ask(self, fetched: Fetched, figures: int) -> Result:
        """Send a document and return what came of it. OSError or EOFError if the process is gone."""
        self.jobs += 1
        job = Job(fetched.url, fetched.media_type, fetched.file_name, figures)
        await self._send(msgspec.json.encode(job))
        await self._send(fetched.content)
        return msgspec.json.decode(await self._receive(), type=Result)

    async def _send(self, message: bytes) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(len(message).to_bytes(4, "big"))
        self._process.stdin.write(message)
        await self._process.stdin.drain()

    async def _receive(self) -> bytes:
        assert self._process.stdout is not None
        size = await self._process.stdout.readexactly(4)
        return await self._process.stdout.readexactly(int.from_bytes(size, "big"))

    async def close(self) -> None:
        """Kill the process, with those that it started, and wait for its end: it holds nothing worth an orderly one."""
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        if self._process.stdin is not None:
            self._process.stdin.close()
        await self._process.wait()


def _environment() -> dict[str, str]:
    """Pass on what an interpreter needs, and no secrets: a worker reads hostile files."""
    kept = (
        "PATH",
        "LANG",
        "LC_ALL",
        "LC_CTYPE",
        "TMPDIR",
        "LD_LIBRARY_PATH",
        "SYSTEMROOT",
        "VIRTUAL_ENV",
        "TESSDATA_PREFIX",
    )
    return {name: os.environ[name] for name in (*kept, "TESSDATA_PREFIX") if name in os.environ} | {
        "OMP_THREAD_LIMIT": "1",
        "HF_HUB_OFFLINE": "1",
    }
