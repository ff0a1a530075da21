"""The nginx that we ship, in front of a real backend and a real stream."""

from __future__ import annotations

import asyncio
import io
import json
import time
from collections import Counter
from pathlib import Path

import aiohttp
import pytest

from backend.ports import ChatMessage
from tests.e2e.nginx import needs_nginx, nginx
from tests.e2e.processes import free_port
from tests.e2e.test_with_model import backend
from tests.fakes.openai_server import openai_server

pytestmark = [pytest.mark.e2e, needs_nginx]

PAUSE = 1.5


def slowly(messages: list[ChatMessage]) -> list[str | float]:
    """A model that pauses between two sentences."""
    return ["You have 25 days of paid leave per year [1]. ", PAUSE, "Requests go to Ana Lima in the people team [1]."]


async def moments(session: aiohttp.ClientSession) -> list[tuple[str, float]]:
    """Ask, and return each event of the stream and when it came."""
    seen = []
    ask = {"question": "How many days of paid leave do I have?", "stream": True}
    async with session.post("/query", json=ask) as reply:
        assert reply.status == 200, await reply.text()
        async for line in reply.content:
            if line.startswith(b"event: "):
                seen.append((line[7:].decode().strip(), time.monotonic()))
    return seen


async def test_streams_pass_unbuffered_limits_hold_and_a_dead_backend_is_passed_over(tmp_path: Path) -> None:
    folder = tmp_path / "nginx"
    folder.mkdir()
    async with openai_server(slowly) as model_url, backend(tmp_path, model_url) as direct:
        base = direct._base_url
        assert base is not None
        assert base.port is not None
        async with nginx(folder, free_port(), base.port) as (url, trust):
            connector = aiohttp.TCPConnector(ssl=trust)
            async with aiohttp.ClientSession(url, headers=direct.headers, connector=connector) as session:
                # the first backend of the list is not there: nobody notices
                for _ in range(3):
                    async with session.get("/health") as alive:
                        assert alive.status == 200
                        assert alive.headers["Strict-Transport-Security"]

                seen = await moments(session)
                deltas = [moment for event, moment in seen if event == "delta"]
                assert seen[-1][0] == "done"
                assert deltas[-1] - deltas[0] > PAUSE / 2

                async with session.get("/metrics") as hidden:
                    assert hidden.status == 404
                async with session.post("/ingest", data=io.BytesIO(b"x" * 53_000_000)) as large:
                    assert large.status == 413

                async def search() -> int:
                    async with session.post("/search", data=json.dumps({"question": "leave"})) as reply:
                        return reply.status

                statuses = Counter(await asyncio.gather(*(search() for _ in range(90))))
                assert set(statuses) == {200, 429}
                assert statuses[200] >= 40
