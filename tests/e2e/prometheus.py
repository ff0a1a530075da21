"""A real Prometheus with the rules that we ship, scraping a backend and a bot on loopback every second."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import yaml

from tests.e2e.processes import PROJECT, free_port
from tests.programs import needs

needs_prometheus = needs("prometheus")

SHIPPED = PROJECT / "deploy" / "prometheus"


@dataclass(frozen=True)
class Prometheus:
    """A running one."""

    http: aiohttp.ClientSession

    async def ask(self, query: str) -> list[float]:
        """Return the values that a query has now, those that are no numbers left out."""
        async with self.http.get("/api/v1/query", params={"query": query}) as reply:
            body: dict[str, Any] = await reply.json()
            assert body["status"] == "success", (query, body)
            values = [float(one["value"][1]) for one in body["data"]["result"]]
            return [value for value in values if value == value]

    async def until(self, query: str, patience: float = 20.0) -> None:
        """Wait until a query has a value."""
        async with asyncio.timeout(patience):
            while not await self.ask(query):  # noqa: ASYNC110 - another process
                await asyncio.sleep(0.2)

    async def rules(self) -> list[dict[str, Any]]:
        """Return every rule, with how its last evaluation went."""
        async with self.http.get("/api/v1/rules") as reply:
            groups = (await reply.json())["data"]["groups"]
            return [rule for group in groups for rule in group["rules"]]


def configured(folder: Path, ports: dict[str, int]) -> Path:
    """Write the shipped configuration with these ports, by job, in place of the names, and looked at every second."""
    shipped: dict[str, Any] = yaml.safe_load((SHIPPED / "prometheus.yml").read_text())
    shipped["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
    shipped["rule_files"] = [str(SHIPPED / name) for name in shipped["rule_files"]]
    assert {one["job_name"] for one in shipped["scrape_configs"]} == set(ports)
    for scraped in shipped["scrape_configs"]:
        del scraped["dns_sd_configs"]
        scraped["static_configs"] = [{"targets": [f"127.0.0.1:{ports[scraped['job_name']]}"]}]
    path = folder / "prometheus.yml"
    path.write_text(yaml.safe_dump(shipped))
    return path


@asynccontextmanager
async def prometheus(folder: Path, *, backend: int, bot: int) -> AsyncIterator[Prometheus]:
    """Run it until the block ends; yield it once it has scraped both, at these ports."""
    port, ports = free_port(), {"footnote-backend": backend, "footnote-bot": bot}
    with (folder / "prometheus.log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            "prometheus",
            f"--config.file={configured(folder, ports)}",
            f"--storage.tsdb.path={folder / 'tsdb'}",
            f"--web.listen-address=127.0.0.1:{port}",
            stdout=log,
            stderr=log,
        )
    try:
        async with aiohttp.ClientSession(f"http://127.0.0.1:{port}") as http:
            async with asyncio.timeout(20):
                while not await _ready(http):
                    assert process.returncode is None, (folder / "prometheus.log").read_text()
                    await asyncio.sleep(0.1)
            running = Prometheus(http)
            await running.until("footnote_index_up == 1")
            await running.until("footnote_sockets_up > 0")
            yield running
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()


async def _ready(http: aiohttp.ClientSession) -> bool:
    try:
        async with http.get("/-/ready") as reply:
            return reply.status == 200
    except aiohttp.ClientError:
        return False
