"""The documents that a newcomer finds in the local Slack: Footnote's own."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

from loguru import logger

from backend.schema import IngestRequest
from bot.client import Backend, BackendProblem, BackendUnavailable

PATIENCE = 600.0
"""Seconds that the backend gets to come up: its first start builds the embedder."""


TABLES = frozenset({"evaluation.md", "performance.md"})
"""Figures for engineers: nothing that a newcomer asks about, and the longest page by far."""


def corpus(project: Path) -> list[Path]:
    """Return the README and the pages of `docs/`, those that exist, without the tables of figures."""
    readme = project / "README.md"
    pages = sorted(path for path in (project / "docs").glob("*.md") if path.name not in TABLES)
    return [*([readme] if readme.is_file() else []), *pages]


def request_for(path: Path, project: Path, team: str) -> IngestRequest:
    """Return one page as a document; its id is stable, so that the next start replaces it."""
    text = path.read_text(encoding="utf-8")
    heading = next((line[2:].strip() for line in text.splitlines() if line.startswith("# ")), path.stem)
    name = path.relative_to(project).as_posix()
    return IngestRequest(
        id=f"welcome/{name}", title=heading, text=text, team=team, metadata={"source": "footnote", "tags": ["welcome"]}
    )


async def ingest_welcome(backend: Backend, project: Path, team: str, *, patience: float = PATIENCE) -> int:
    """Wait for the backend and hand it the corpus; return how many documents it took."""
    paths = corpus(project)
    try:
        async with asyncio.timeout(patience):
            while not await backend.is_up():  # noqa: ASYNC110 - another process is waited for
                await asyncio.sleep(0.5)
            return await _hand_over(backend, paths, project, team)
    except TimeoutError:
        logger.warning("welcome documents not ingested: backend did not come up")
        return 0


async def _hand_over(backend: Backend, paths: Sequence[Path], project: Path, team: str) -> int:
    taken = 0
    for path in paths:
        try:
            await backend.ingest(request_for(path, project, team))
            taken += 1
        except (BackendProblem, BackendUnavailable) as error:
            logger.bind(document=path.name, error=str(error)).warning("welcome document not ingested")
    logger.bind(documents=taken).info("welcome documents handed over")
    return taken
