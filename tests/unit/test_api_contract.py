"""Errors, keys, documents, feedback, health and figures over HTTP."""

import io
import json
import stat
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import pytest_asyncio
from yarl import URL

from backend.access import Caller
from backend.api.envelope import routed_path
from backend.api.security import configured_keys, is_loopback, own_key, parse_key
from backend.errors import DatabaseUnavailable, IndexUnavailable
from tests.fakes.server import ADMIN, ASK, INGEST, Backend, running


@pytest.fixture
async def backend() -> AsyncIterator[Backend]:
    async with running() as started:
        yield started


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared() -> AsyncIterator[Backend]:
    """One backend for the tests that leave nothing behind."""
    async with running() as started:
        yield started


async def ask(
    backend: Backend, method: str, path: str, **how: Any
) -> tuple[int, dict[str, Any], aiohttp.ClientResponse]:
    async with backend.http.request(method, URL(backend.url + path, encoded=True), **how) as reply:
        return reply.status, json.loads(await reply.read()), reply


# ------------------------------------------------------------------------------------------------------------- errors

Q = {"question": "q"}
BAD = [
    ("POST", "/query", {"json": {"question": "x" * 50_000}}, 400, "question: 50,000 characters; at most 4,000"),
    ("POST", "/query", {"data": b'{"question": '}, 400, "not JSON"),
    ("POST", "/query", {"data": b'{"question": "\xff"}'}, 400, "not JSON"),
    ("POST", "/query", {"data": b""}, 400, "empty"),
    ("POST", "/query", {"data": b"[" * 100_000}, 400, "must be object, not array"),
    ("POST", "/query", {"json": {}}, 400, "question: missing"),
    ("POST", "/query", {"json": {"question": "   "}}, 400, "question: must not be empty"),
    ("POST", "/query", {"json": {"question": ""}}, 400, "question: must not be empty"),
    ("POST", "/query", {"json": {"question": 7}}, 400, "question: must be str, not int"),
    ("POST", "/query", {"json": {**Q, "qestion": 1}}, 400, "qestion: unknown field"),
    ("POST", "/query", {"json": {**Q, "limit": 0}}, 400, "limit: at least 1"),
    ("POST", "/query", {"json": {**Q, "limit": "5"}}, 400, "limit: must be int, not str"),
    ("POST", "/query", {"json": {**Q, "team": "a b"}}, 400, "team: letters, digits"),
    ("POST", "/query", {"json": {**Q, "audience": {"chanel": "C1"}}}, 400, "audience.chanel: unknown field"),
    ("POST", "/query", {"json": {**Q, "history": [{"role": "user", "text": "a"}] * 41}}, 400, "history: 41 items;"),
    ("POST", "/query", {"json": {**Q, "history": [{"role": "robot", "text": "a"}]}}, 400, "history[0].role"),
    ("POST", "/query", {"json": {**Q, "filter": {"op": "like"}}}, 400, "filter.op"),
    ("POST", "/query", {"data": "BIG"}, 413, "too large"),
    ("POST", "/ingest", {"json": {"title": "T"}}, 400, "url, text or file"),
    ("POST", "/ingest", {"json": {"text": "t", "visibility": "everyone"}}, 400, "visibility"),
    ("POST", "/ingest", {"json": {"url": "ftp://a.example/x"}}, 422, "http"),
    ("POST", "/ingest", {"json": {"text": "t", "metadata": {"published_at": "soon"}}}, 400, "published_at"),
    ("GET", "/documents?limit=0", {}, 400, "limit"),
    ("GET", "/documents?status=lost", {}, 400, "status"),
    ("GET", "/documents?visibility=all", {}, 400, "visibility"),
    ("GET", "/documents/none", {}, 404, "no such document"),
    ("DELETE", "/documents/none", {}, 404, "no such document"),
    ("POST", "/documents/none/refresh", {}, 404, "no such document"),
    ("POST", "/feedback", {"json": {"run_id": "r", "user": "U1", "rating": 5}}, 400, "rating"),
    ("POST", "/feedback", {"json": {"run_id": "none", "user": "U1", "rating": 1}}, 404, "no such run"),
    ("DELETE", "/feedback?run_id=r", {}, 400, "user"),
    ("GET", "/runs/none", {}, 404, "no such run"),
    ("GET", "/nothing/here", {}, 404, "nothing at this address"),
    ("PUT", "/query", {}, 405, "method"),
]  # fmt: skip


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize(("method", "path", "how", "status", "says"), BAD, ids=lambda value: str(value)[:60])
async def test_bad_input_gets_problem_details_that_say_what_to_mend(
    shared: Backend, method: str, path: str, how: dict[str, Any], status: int, says: str
) -> None:
    if how.get("data") == "BIG":
        how = {"data": io.BytesIO(b" " * 2_000_001)}
    answered, problem, reply = await ask(shared, method, path, **how)
    assert (answered, problem["status"]) == (status, status)
    assert reply.content_type == "application/problem+json"
    assert {"type", "title", "status", "detail", "request_id"} <= set(problem)
    assert says in problem["detail"]
    assert problem["request_id"] == reply.headers["X-Request-ID"]


async def test_a_method_that_is_not_allowed_names_those_that_are(backend: Backend) -> None:
    _, _, reply = await ask(backend, "PUT", "/feedback")
    assert set(reply.headers["Allow"].split(", ")) >= {"POST", "DELETE"}


@pytest.mark.parametrize(("given", "kept"), [("abc-123", True), ("a b", False), ("x" * 200, False)])
async def test_a_sane_request_id_is_kept(backend: Backend, given: str, kept: bool) -> None:
    _, _, reply = await ask(backend, "GET", "/health", headers={"X-Request-ID": given})
    assert (reply.headers["X-Request-ID"] == given) is kept


# --------------------------------------------------------------------------------------------------------------- keys

ROLES = [
    ("POST", "/query", {ADMIN, ASK}),
    ("POST", "/search", {ADMIN, ASK}),
    ("POST", "/ingest", {ADMIN, INGEST}),
    ("GET", "/documents", {ADMIN, ASK, INGEST}),
    ("GET", "/documents/x", {ADMIN, ASK, INGEST}),
    ("DELETE", "/documents/x", {ADMIN, INGEST}),
    ("POST", "/documents/x/refresh", {ADMIN, INGEST}),
    ("POST", "/feedback", {ADMIN, ASK}),
    ("DELETE", "/feedback", {ADMIN, ASK}),
    ("GET", "/runs/x", {ADMIN, ASK}),
    ("GET", "/health/detailed", {ADMIN}),
]


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize(("method", "path", "allowed"), ROLES)
async def test_each_role_reaches_its_own_addresses_only(
    shared: Backend, method: str, path: str, allowed: set[str]
) -> None:
    for key in (ADMIN, ASK, INGEST):
        status, _, _ = await ask(shared, method, path, headers={"X-API-Key": key})
        assert (status != 403) is (key in allowed)
    for headers in ({"X-API-Key": "wrong"}, {"X-API-Key": ""}):
        status, problem, reply = await ask(shared, method, path, headers=headers)
        assert (status, "X-API-Key" in problem["detail"]) == (401, True)
        assert reply.headers["WWW-Authenticate"]


@pytest.mark.parametrize("path", ["/health", "/health/ready", "/schema", "/schema/openapi.json"])
async def test_some_addresses_need_no_key(backend: Backend, path: str) -> None:
    async with aiohttp.ClientSession() as stranger, stranger.get(backend.url + path) as reply:
        assert reply.status == 200


def test_the_own_key_is_made_once_and_is_the_owners_alone(tmp_path: Path) -> None:
    path = tmp_path / "api-key"
    key = own_key(path)
    assert len(key) >= 32
    assert own_key(path) == key
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [file.name for file in tmp_path.iterdir()] == ["api-key"]


def test_configured_keys_have_the_roles_they_name() -> None:
    keys = configured_keys("the-main-key-0123456", ["ask+ingest:another-key-01234567"])
    assert keys
    assert keys.caller("the-main-key-0123456") == Caller("FOOTNOTE_API_KEY", frozenset({"admin"}))
    assert keys.caller("another-key-01234567") == Caller("FOOTNOTE_API_KEYS-1", frozenset({"ask", "ingest"}))
    assert keys.caller("something else") is None
    assert configured_keys(None, []) is None


@pytest.mark.parametrize("text", ["ask", "reader:0123456789abcdef", "ask:short", "ask+:0123456789abcdef"])
def test_a_key_that_cannot_be_meant_is_refused_without_being_repeated(text: str) -> None:
    with pytest.raises(ValueError, match="key") as caught:
        parse_key(text)
    assert "0123456789abcdef" not in str(caught.value)


def test_loopback_is_known_by_name_and_address() -> None:
    assert [is_loopback(host) for host in ("127.0.0.1", "::1", "localhost", "0.0.0.0", "backend")] == [
        True, True, True, False, False,
    ]  # fmt: skip


# ---------------------------------------------------------------------------------------------------------- documents


async def test_a_text_is_queued_and_its_metadata_comes_back(backend: Backend) -> None:
    body = {
        "title": "Leave",
        "text": "Everyone has 25 days.",
        "id": "leave",
        "visibility": "channel:C1",
        "metadata": {"author": "Ana", "tags": "hr, policy", "published_at": "2026-01-31", "url": "https://a.example/l",
                     "cost_center": 12, "reviewed": "2026-02-01"},
    }  # fmt: skip
    status, queued, _ = await ask(backend, "POST", "/ingest", json=body)
    assert (status, queued) == (202, {"document_id": "leave", "status": "queued"})
    _, document, _ = await ask(backend, "GET", "/documents/leave")
    assert (document["visibility"], document["url"]) == ("channel:C1", "https://a.example/l")
    assert document["metadata"] == {
        "author": ["Ana"], "tags": ["hr", "policy"], "published_at": "2026-01-31T00:00:00+00:00",
        "cost_center": 12, "reviewed": "2026-02-01T00:00:00+00:00", "language": "en",
    }  # fmt: skip


async def test_waiting_answers_with_the_final_state(backend: Backend) -> None:
    status, ended, _ = await ask(backend, "POST", "/ingest?wait=true", json={"text": "t", "id": "d"})
    assert (status, ended["status"]) == (200, "ready")
    backend.ingest.fails_with = "The page needs a login."
    status, problem, reply = await ask(backend, "POST", "/ingest?wait=true", json={"url": "https://a.example/"})
    assert (status, problem["detail"]) == (422, "The page needs a login.")
    assert reply.content_type == "application/problem+json"


async def test_a_form_carries_a_file_with_the_fields_of_the_body(backend: Backend) -> None:
    form = aiohttp.FormData()
    form.add_field("file", b"# Leave\n25 days", filename="leave.md", content_type="text/markdown")
    form.add_field("id", "leave")
    form.add_field("refresh_days", "7")
    form.add_field("metadata", '{"tags": ["hr"], "cost_center": 12}')
    status, _, _ = await ask(backend, "POST", "/ingest", data=form)
    assert status == 202
    (submission,) = backend.ingest.accepted
    assert submission.upload
    assert (submission.upload.content, submission.upload.file_name) == (b"# Leave\n25 days", "leave.md")
    assert (submission.document_id, submission.refresh_days) == ("leave", 7)
    assert (submission.stated.tags, submission.stated.custom["cost_center"]) == (("hr",), (12,))


@pytest.mark.parametrize(
    ("fields", "says"),
    [({"id": "x"}, "file: missing"), ({"metadata": "nope"}, "metadata"), ({"refresh_days": "0"}, "1")],
)
async def test_a_form_that_is_wrong_says_which_field(backend: Backend, fields: dict[str, str], says: str) -> None:
    form = aiohttp.FormData()
    if "id" not in fields:
        form.add_field("file", b"text", filename="a.txt")
    for name, value in fields.items():
        form.add_field(name, value, content_type="text/plain")
    status, problem, _ = await ask(backend, "POST", "/ingest", data=form)
    assert (status, says in problem["detail"]) == (400, True)


async def test_a_file_of_60_mb_is_refused_with_a_reason(backend: Backend) -> None:
    form = aiohttp.FormData()
    form.add_field("file", io.BytesIO(b"x" * 60_000_000), filename="big.txt")
    status, problem, _ = await ask(backend, "POST", "/ingest", data=form)
    assert (status, "too large" in problem["detail"]) == (413, True)


@pytest.mark.parametrize("document_id", ["https://docs.x/y?a=1#z", "a/refresh", "C1:171.5", "ünï cödé", "100%", "..a"])
async def test_any_document_id_can_be_addressed(backend: Backend, document_id: str) -> None:
    from urllib.parse import quote

    path = f"/documents/{quote(document_id, safe='')}"
    await ask(backend, "POST", "/ingest", json={"text": "t", "id": document_id})
    for method, suffix, wanted in (("GET", "", 200), ("POST", "/refresh", 202), ("DELETE", "", 200)):
        status, found, _ = await ask(backend, method, path + suffix)
        assert (status, found["document_id"]) == (wanted, document_id)


@pytest.mark.parametrize(
    ("method", "raw", "routed"),
    [
        ("GET", b"/documents/https://docs.x/y", "/documents/https%3A%2F%2Fdocs.x%2Fy"),
        ("GET", b"/documents/a%2Frefresh", "/documents/a%2Frefresh"),
        ("GET", b"/documents/a/refresh", "/documents/a%2Frefresh"),
        ("POST", b"/documents/a%2Fb/refresh", "/documents/a%2Fb/refresh"),
        ("GET", b"/documents/", "decoded"),
        ("GET", b"/documents", "decoded"),
        ("GET", b"/runs/a%2Fb", "decoded"),
    ],
)
def test_a_document_id_is_one_segment_however_it_was_sent(method: str, raw: bytes, routed: str) -> None:
    assert routed_path(method, "decoded", raw) == routed


async def test_documents_are_listed_in_pages(backend: Backend) -> None:
    for number in range(3):
        await ask(backend, "POST", "/ingest", json={"text": "t", "id": f"d{number}", "title": f"Title {number}"})
    _, first, _ = await ask(backend, "GET", "/documents?limit=2")
    _, second, _ = await ask(backend, "GET", f"/documents?limit=2&cursor={first['cursor']}")
    assert len(first["documents"]) == 2
    assert second["cursor"] is None
    assert {row["document_id"] for row in first["documents"] + second["documents"]} == {"d0", "d1", "d2"}
    _, some, _ = await ask(backend, "GET", "/documents?q=title%201")
    assert [row["document_id"] for row in some["documents"]] == ["d1"]
    _, none, _ = await ask(backend, "GET", "/documents?visibility=channel:C1&visibility=user:U1")
    assert none["documents"] == []


# ----------------------------------------------------------------------------------------------------------- feedback


async def test_feedback_is_kept_with_its_run_and_taken_back_once(backend: Backend) -> None:
    _, answer, _ = await ask(backend, "POST", "/query", json=Q)
    run_id = answer["run_id"]
    given = {"run_id": run_id, "user": "U1", "rating": -1, "kind": "reaction", "comment": "wrong"}
    status, _, _ = await ask(backend, "POST", "/feedback", json=given)
    assert status == 200
    _, run, _ = await ask(backend, "GET", f"/runs/{run_id}")
    assert run["feedback"][0]["comment"] == "wrong"
    taken = [await ask(backend, "DELETE", f"/feedback?run_id={run_id}&user=U1&kind=reaction") for _ in range(2)]
    assert [reply["recorded"] for _, reply, _ in taken] == [True, False]


# ------------------------------------------------------------------------------------------------- health and figures


async def test_a_part_that_is_down_makes_the_backend_unready_but_alive(backend: Backend) -> None:
    backend.index.error = IndexUnavailable("The index cannot be opened.")
    status, problem, _ = await ask(backend, "GET", "/health/ready")
    assert (status, "index" in problem["detail"]) == (503, True)
    status, health, _ = await ask(backend, "GET", "/health")
    assert (status, health["status"], health["index_connected"]) == (200, "ok", False)
    status, detailed, _ = await ask(backend, "GET", "/health/detailed")
    index = detailed["components"]["index"]
    assert (status, detailed["status"], detailed["verdict"], index["status"]) == (200, "degraded", "unhealthy", "down")
    assert "doctor" in index["advice"]
    assert isinstance(backend.index.error, IndexUnavailable)
    assert not isinstance(backend.index.error, DatabaseUnavailable)


async def test_figures_name_routes_and_stages_but_no_content(backend: Backend) -> None:
    await ask(backend, "POST", "/query", json={"question": "a secret question"})
    await ask(backend, "POST", "/ingest", json={"text": "a secret text", "id": "secret"})
    await ask(backend, "GET", "/documents/secret")
    async with aiohttp.ClientSession() as prometheus, prometheus.get(backend.url + "/metrics") as reply:
        text = await reply.text()
    assert 'footnote_http_requests_total{method="GET",route="/documents/{document_id}",status="200"} 1.0' in text
    assert 'footnote_runs_total{outcome="answered"} 1.0' in text
    assert 'footnote_stage_seconds_bucket{le="0.005",stage="search"} 1.0' in text
    assert 'footnote_documents{status="ready"} 1.0' in text
    assert "footnote_index_rows 7.0" in text
    assert "secret" not in text


async def test_openapi_describes_bodies_and_the_key(backend: Backend) -> None:
    _, described, _ = await ask(backend, "GET", "/schema/openapi.json")
    assert {
        "/query",
        "/search",
        "/ingest",
        "/documents",
        "/documents/{document_id}",
        "/feedback",
        "/runs/{run_id}",
    } <= set(described["paths"])
    body = described["paths"]["/query"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    assert body["properties"]["question"]["maxLength"] == 4000
    assert set(described["paths"]["/ingest"]["post"]["requestBody"]["content"]) == {
        "application/json", "multipart/form-data",
    }  # fmt: skip
    assert described["components"]["securitySchemes"]["key"]["name"] == "X-API-Key"
