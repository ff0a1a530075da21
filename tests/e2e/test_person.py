"""What is kept of a person, told and deleted by the real backend; a key and the audit log beside it."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.e2e.test_backend import LEAVE, started

pytestmark = pytest.mark.e2e

CANARY = "xylophone"
ASKED = f"How many days of paid leave do I have for my {CANARY} lessons? Mail ana@firm.example"
NOTE = {
    "id": "note",
    "title": "Note",
    "text": f"My {CANARY} lessons are on Tuesdays.",
    "visibility": "user:U1",
    "by": "U1",
}
ALONE = {"channel": "D1", "user": "U1", "private": True}


def holding(folder: Path, word: str) -> list[str]:
    """Return the files of a data folder that hold a word."""
    found = []
    for file in folder.rglob("*"):
        with suppress(FileNotFoundError, IsADirectoryError):  # files of the index come and go
            found += [str(file.relative_to(folder))] if word.encode() in file.read_bytes() else []
    return found


async def emptied(folder: Path, word: str) -> list[str]:
    """Return the files that hold a word still, once none does, or after two minutes."""
    for _ in range(240):
        if not holding(folder, word):
            break
        await asyncio.sleep(0.5)
    return holding(folder, word)


async def call(http: aiohttp.ClientSession, method: str, path: str, body: object = None, key: str = "") -> Any:
    async with http.request(method, path, json=body, headers={"X-API-Key": key} if key else {}) as reply:
        return {"status": reply.status, **await reply.json()}


async def lived_in(http: aiohttp.ClientSession) -> str:
    """Let U1 leave something everywhere; return the run of what U2 asked on in the same thread."""
    await call(http, "POST", "/ingest?wait=true", LEAVE)
    await call(http, "POST", "/ingest?wait=true", NOTE)
    first = await call(http, "POST", "/query", {"question": ASKED, "audience": ALONE})
    await call(http, "POST", "/query", {"question": f"When are my {CANARY} lessons?", "audience": ALONE})
    comment = {"run_id": first["run_id"], "user": "U1", "rating": -1, "comment": f"no word of my {CANARY}"}
    await call(http, "POST", "/feedback", comment)
    history = [{"role": "user", "text": ASKED}, {"role": "assistant", "text": first["answer"] or "-"}]
    later = {
        "question": "How many days of paid leave?",
        "history": history,
        "audience": {"channel": "C1", "user": "U2"},
    }
    run: str = (await call(http, "POST", "/query", later))["run_id"]
    return run


async def test_a_person_is_told_what_is_kept_and_nothing_of_it_is_left_when_they_want(tmp_path: Path) -> None:
    settings = {"FOOTNOTE_PURGE_AFTER": "2s", "FOOTNOTE_REDACT": "email"}
    program, url = await started(tmp_path, **settings)
    data = tmp_path / "data"
    admin = (data / "api-key").read_text().strip()
    try:
        async with aiohttp.ClientSession(url, headers={"X-API-Key": admin}) as http:
            secret = (await call(http, "POST", "/keys", {"name": "wiki", "roles": ["ask"]}))["secret"]
            assert (await call(http, "GET", "/documents", key=secret))["status"] == 200
            later = await lived_in(http)
            assert {name.partition("/")[0] for name in holding(data, CANARY)} >= {"index", "footnote.db-wal"}
            assert not holding(data, "ana@firm.example")

            told = await call(http, "GET", "/people/U1")
            assert (len(told["runs"]), told["documents"][0]["text"]) == (2, NOTE["text"])
            gone = await call(http, "DELETE", "/people/U1")
            assert (gone["runs"], gone["feedback"], gone["documents"], gone["mentions"]) == (2, 1, 1, 1)

            gone = await call(http, "POST", "/query", {"question": f"When are my {CANARY} lessons?", "audience": ALONE})
            assert gone["outcome"] == "abstained"
            assert (await call(http, "GET", f"/runs/{later}"))["question"]["history"] == []
            await call(http, "DELETE", "/people/U1")  # for what was asked just now
            assert await emptied(data, CANARY) == []

            await call(http, "DELETE", "/keys/wiki")
            assert (await call(http, "GET", "/documents", key=secret))["status"] == 401
            log = (await call(http, "GET", "/audit?of=U1"))["entries"]
            assert [(one["key"], one["action"]) for one in log[1:3]] == [
                ("own", "person.delete"),
                ("own", "person.export"),
            ]
    finally:
        assert await program.stop() == 0
    assert CANARY not in program.log.read_text()
    assert not holding(data, secret.rpartition("_")[2])
