"""Keys that are made while the backend runs, over HTTP; what the audit log holds of it; what browsers may do."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
import pytest_asyncio

from backend.api.envelope import SAFE
from backend.api.services import Services
from backend.errors import DatabaseUnavailable
from tests.fakes.access import FakeApiKeys, FakeAudit
from tests.fakes.server import ASK, INGEST, Backend, running

# ---------------------------------------------------------------------------------------------------------- over HTTP


@pytest.fixture
async def backend() -> AsyncIterator[Backend]:
    async with running() as started:
        yield started


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared() -> AsyncIterator[Backend]:
    """One backend for the tests that leave nothing behind."""
    async with running() as started:
        yield started


def fakes(services: Services) -> tuple[FakeApiKeys, FakeAudit]:
    keys, log = services.access.made.keys, services.audit
    assert isinstance(keys, FakeApiKeys)
    assert isinstance(log, FakeAudit)
    return keys, log


async def call(backend: Backend, method: str, path: str, key: str | None = None, **how: Any) -> tuple[int, Any]:
    headers = {"X-API-Key": key} if key else {}
    async with backend.http.request(method, path, headers=headers, **how) as reply:
        return reply.status, await reply.json()


async def test_a_key_opens_what_its_roles_open_and_nothing_once_revoked(backend: Backend) -> None:
    status, made = await call(backend, "POST", "/keys", json={"name": "wiki", "roles": ["ingest"]})
    assert status == 201
    secret = made["secret"]
    document = {"title": "T", "text": "Some text."}
    assert (await call(backend, "POST", "/ingest", secret, json=document))[0] == 202
    status, problem = await call(backend, "POST", "/query", secret, json={"question": "q"})
    assert (status, problem["title"]) == (403, "Forbidden")
    assert (await call(backend, "GET", "/keys", secret))[0] == 403
    assert (await call(backend, "DELETE", "/keys/wiki"))[0] == 200
    status, problem = await call(backend, "POST", "/ingest", secret, json=document)
    assert (status, problem["title"]) == (401, "Unauthorized")
    assert secret not in str(await call(backend, "GET", "/keys"))


async def test_a_rotated_key_is_listed_with_its_end(backend: Backend) -> None:
    _, made = await call(backend, "POST", "/keys", json={"name": "wiki", "roles": ["ask"], "days": 30})
    status, new = await call(backend, "POST", "/keys/wiki/rotate", json={"overlap_hours": 0})
    assert status == 201
    assert (await call(backend, "POST", "/query", made["secret"], json={"question": "q"}))[0] == 401
    assert (await call(backend, "POST", "/query", new["secret"], json={"question": "q"}))[0] == 200
    _, listed = await call(backend, "GET", "/keys")
    assert [key["accepted"] for key in listed["keys"]].count(True) == 1
    assert {key["last_used_at"] is None for key in listed["keys"]} == {True, False}


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize(
    "body", [{"name": "a b", "roles": ["ask"]}, {"name": "x", "roles": []}, {"name": "x", "roles": ["root"]}]
)
async def test_a_key_that_cannot_be_meant_is_bad_input(shared: Backend, body: dict[str, Any]) -> None:
    assert (await call(shared, "POST", "/keys", json=body))[0] == 400


async def test_where_keys_cannot_be_looked_up_those_of_the_settings_still_open(backend: Backend) -> None:
    fakes(backend.services)[0].error = DatabaseUnavailable("The state database cannot be reached.")
    assert (await call(backend, "GET", "/documents", f"fn_0123456789ab_{'x' * 43}"))[0] == 503
    assert (await call(backend, "GET", "/documents"))[0] == 200
    assert (await call(backend, "GET", "/documents", "no key of ours at all"))[0] == 401


ADMIN_ONLY = [
    ("POST", "/keys"),
    ("GET", "/keys"),
    ("POST", "/keys/x/rotate"),
    ("DELETE", "/keys/x"),
    ("GET", "/audit"),
    ("GET", "/insights"),
    ("GET", "/health/detailed"),
    ("POST", "/runs/x/replay"),
]


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize(("method", "path"), ADMIN_ONLY)
async def test_what_is_an_administrators_refuses_everybody_else(shared: Backend, method: str, path: str) -> None:
    async with aiohttp.ClientSession(shared.url) as stranger, stranger.request(method, path) as reply:
        assert (reply.status, (await reply.json())["status"]) == (401, 401)
    for key in (ASK, INGEST):
        assert (await call(shared, method, path, key))[0] == 403


async def test_what_is_done_is_in_the_log_with_who_did_it_and_none_of_its_words(backend: Backend) -> None:
    words = {"title": "Secret plan", "text": "Nobody may know.", "id": "plan", "team": "T1", "by": "U1"}
    await call(backend, "POST", "/ingest", INGEST, json=words)
    await call(backend, "DELETE", "/documents/plan?team=T1&by=U2", INGEST)
    await call(backend, "DELETE", "/documents/plan?team=T1", ASK)
    await call(backend, "DELETE", "/documents/none", INGEST)
    _, log = await call(backend, "GET", "/audit")
    fields = ("key", "user", "action", "team", "target", "outcome")
    assert [tuple(one[field] for field in fields) for one in log["entries"]] == [
        ("feeder", "", "document.remove", "local", "none", "refused"),
        ("asker", "", "document.remove", "T1", "plan", "refused"),
        ("feeder", "U2", "document.remove", "T1", "plan", "done"),
        ("feeder", "U1", "document.ingest", "T1", "plan", "done"),
    ]  # fmt: skip
    assert "Nobody" not in str(log)
    assert "Secret" not in str(log)
    assert all(one["request_id"] for one in log["entries"])
    _, page = await call(backend, "GET", "/audit?of=plan&limit=1")
    assert page["cursor"]
    assert (await call(backend, "GET", "/audit?since=soon"))[0] == 400


async def test_it_is_recorded_before_the_caller_hears_of_it_and_a_log_that_fails_stops_nobody(backend: Backend) -> None:
    _, log = fakes(backend.services)
    async with backend.http.post("/ingest", json={"title": "T", "text": "Text."}) as reply:
        assert [deed.action for deed in log.deeds] == ["document.ingest"]
        assert reply.status == 202
    log.error = DatabaseUnavailable("The state database cannot be reached.")
    assert (await call(backend, "POST", "/ingest", json={"title": "T", "text": "Other."}))[0] == 202


# ----------------------------------------------------------------------------------------- what browsers may do with it

ANSWERS = [
    ("GET", "/health", {}),
    ("GET", "/metrics", {}),
    ("GET", "/schema/openapi.json", {}),
    ("GET", "/nothing", {}),
    ("PUT", "/query", {}),
    ("POST", "/query", {"json": {}}),
    ("POST", "/query", {"json": {"question": "q"}}),
    ("POST", "/query", {"json": {"question": "q", "stream": True}}),
    ("POST", "/ingest", {"headers": {"Content-Type": "multipart/form-data; boundary=x"}, "data": b"no form"}),
    ("GET", "/insights/", {"headers": {"X-API-Key": "wrong"}}),
    ("GET", "/keys", {"headers": {"X-API-Key": "wrong"}}),
    ("OPTIONS", "/query", {"headers": {"Origin": "https://evil.example", "Access-Control-Request-Method": "POST"}}),
]


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize(("method", "path", "how"), ANSWERS)
async def test_every_answer_is_safe_in_a_browser_and_no_other_site_may_read_it(
    shared: Backend, method: str, path: str, how: dict[str, Any]
) -> None:
    async with shared.http.request(method, path, **how) as reply:
        await reply.read()
    for name, value in SAFE:
        assert reply.headers.getall(name.decode()) == [value.decode()] or name == b"cache-control"
    assert "no-" in reply.headers["Cache-Control"]
    assert not [name for name in reply.headers if name.lower().startswith("access-control-")]


@pytest.mark.asyncio(loop_scope="module")
async def test_the_insights_page_keeps_its_own_policy(shared: Backend) -> None:
    async with shared.http.get("/insights/") as reply:
        assert (reply.status, len(reply.headers.getall("Content-Security-Policy"))) == (200, 1)
        assert "nonce-" in reply.headers["Content-Security-Policy"]


@pytest.mark.asyncio(loop_scope="module")
async def test_a_body_without_a_length_is_cut_off_at_the_limit(shared: Backend) -> None:
    async def endless() -> AsyncIterator[bytes]:
        for _ in range(60):
            yield b" " * 1_000_000

    for path, status in (("/query", 413), ("/ingest", 413)):
        async with shared.http.post(path, data=endless()) as reply:
            assert reply.status == status
            assert (await reply.json())["title"]
