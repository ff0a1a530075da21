"""How much slower is a question while 4 large documents are being ingested? `python -m tests.bench.bench_queries`

The real backend on loopback answers over HTTP; idle and busy alternate, so that a machine shared with others is fair.
"""

from __future__ import annotations

import asyncio
import tempfile
import time
from pathlib import Path
from typing import Any

import aiohttp
import numpy as np

from tests.bench.corpus import Text, texts
from tests.e2e.processes import free_port, start, until_healthy

KEY = "a-key-for-the-bench"
INDEXED = 40
LARGE = 4
WORDS = 40_000
"""Of each large document: some 80 pages."""
ROUNDS = 3
ASKED = 30
"""Questions in each half of a round."""


class Asker:
    """Asks one question after another, none of them twice, and takes the time."""

    def __init__(self, client: aiohttp.ClientSession, url: str) -> None:
        self._client = client
        self._url = url
        self._number = 0

    async def post(self, path: str, body: dict[str, Any], *, wait: bool = False) -> None:
        params = {"wait": "true"} if wait else {}
        async with self._client.post(f"{self._url}{path}", json=body, params=params) as reply:
            assert reply.status < 300, await reply.text()

    async def ask(self) -> float:
        """Milliseconds."""
        self._number += 1
        question = f"Which members of team {self._number} have to ask in writing for leave, and when?"
        began = time.perf_counter()
        await self.post("/query", {"question": question, "stream": False})
        return (time.perf_counter() - began) * 1000

    async def under_way(self) -> bool:
        for status in ("queued", "processing"):
            async with self._client.get(f"{self._url}/documents", params={"status": status, "limit": "1"}) as reply:
                if (await reply.json())["documents"]:
                    return True
        return False


def large(found: list[Text], number: int) -> str:
    """Return some documents as one."""
    words = " ".join(f"# {one.title}\n\n{one.text}\n\n" for one in found).split(" ")
    start = number * WORDS % max(1, len(words) - WORDS)
    return f"Edition {number}. " + " ".join(words[start : start + WORDS])


async def measure(asker: Asker, found: list[Text]) -> tuple[list[float], list[float]]:
    for place, one in enumerate(found[:INDEXED]):
        await asker.post("/ingest", {"id": f"small-{place}", "title": one.title, "text": one.text}, wait=True)
    idle: list[float] = []
    busy: list[float] = []
    for number in range(ROUNDS):
        [await asker.ask() for _ in range(5)]
        idle += [await asker.ask() for _ in range(ASKED)]
        for place in range(LARGE):
            text = large(found, number * LARGE + place)
            await asker.post("/ingest", {"id": f"large-{number}-{place}", "text": text})
        await asyncio.sleep(1)
        while len(busy) < ASKED * (number + 1) and await asker.under_way():
            busy.append(await asker.ask())
        while await asker.under_way():  # noqa: ASYNC110 - what is waited for is another process
            await asyncio.sleep(0.5)
    return idle, busy


async def run(folder: Path) -> tuple[list[float], list[float]]:
    port = free_port()
    environment = {"FOOTNOTE_DATA_DIR": str(folder), "FOOTNOTE_PORT": str(port), "FOOTNOTE_API_KEY": KEY}
    program = await start("backend", "backend", "serve", environment=environment, folder=folder)
    url = f"http://127.0.0.1:{port}"
    try:
        await until_healthy(f"{url}/health/ready", program)
        timeout = aiohttp.ClientTimeout(total=300)
        async with aiohttp.ClientSession(headers={"X-API-Key": KEY}, timeout=timeout) as client:
            return await measure(Asker(client, url), texts(2000))
    finally:
        await program.stop()


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        idle, busy = asyncio.run(run(Path(folder)))
    print(f"{len(idle)} questions idle, {len(busy)} while {LARGE} documents of {WORDS:,} words are ingested; ms\n")
    print("| | idle | busy | ratio |\n|---|---|---|---|")
    for percentile in (50, 95):
        before, during = np.percentile(idle, percentile), np.percentile(busy, percentile)
        print(f"| p{percentile} | {before:.1f} | {during:.1f} | {during / before:.2f} |")


if __name__ == "__main__":
    main()
