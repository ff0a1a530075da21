"""The real backend as a process: a document from its arrival to its removal, and how the program starts and ends."""

import asyncio
import signal
from pathlib import Path

import aiohttp
import pytest
from yarl import URL

from tests.e2e.processes import Program, free_port, start, until_healthy
from tests.fakes.documents import scan
from tests.ocr import needs_ocr

pytestmark = pytest.mark.e2e

LEAVE = {
    "id": "https://handbook.example/leave#paid",
    "title": "Leave",
    "text": "# Paid leave\n\nEveryone has 25 days of paid leave per year. Requests go to Ana Lima in the people team.",
    "metadata": {"source": "handbook"},
}
PATH = "/documents/https%3A%2F%2Fhandbook.example%2Fleave%23paid"


async def started(folder: Path, **more: str) -> tuple[Program, str]:
    port = free_port()
    environment = {"FOOTNOTE_DATA_DIR": str(folder / "data"), "FOOTNOTE_PORT": str(port), **more}
    program = await start("backend", "backend", "serve", environment=environment, folder=folder)
    url = f"http://127.0.0.1:{port}"
    await until_healthy(f"{url}/health/ready", program)
    return program, url


async def test_what_is_ingested_is_answered_with_its_quote_until_it_is_removed(tmp_path: Path) -> None:
    program, url = await started(tmp_path)
    headers = {"X-API-Key": (tmp_path / "data" / "api-key").read_text().strip()}
    question = {"question": "How many days of paid leave do I have?"}
    try:
        async with aiohttp.ClientSession(url, headers=headers) as http:
            async with http.post("/ingest?wait=true", json=LEAVE) as reply:
                assert await reply.json() == {"document_id": LEAVE["id"], "status": "ready"}
            async with http.post("/query", json=question) as reply:
                answer = await reply.json()
            assert answer["outcome"] == "answered"
            assert answer["citations"][0]["quote"] == "Everyone has 25 days of paid leave per year."
            async with http.delete(URL(url + PATH, encoded=True)) as reply:
                assert reply.status == 200
            async with http.post("/query", json=question) as reply:
                assert (await reply.json())["outcome"] == "abstained"
    finally:
        assert await program.stop() == 0
    assert "backend stopped" in program.log.read_text()


@needs_ocr
async def test_a_scanned_page_is_read_and_answers_with_its_page(tmp_path: Path) -> None:
    program, url = await started(tmp_path)
    headers = {"X-API-Key": (tmp_path / "data" / "api-key").read_text().strip()}
    form = aiohttp.FormData()
    form.add_field("file", scan("The parental leave is twenty-six weeks for every parent."), filename="leave.pdf")
    form.add_field("id", "scan")
    try:
        async with aiohttp.ClientSession(url, headers=headers) as http:
            async with http.post("/ingest?wait=true", data=form) as reply:
                assert (await reply.json())["status"] == "ready"
            async with http.post("/query", json={"question": "How long is the parental leave?"}) as reply:
                answer = await reply.json()
            citation = answer["citations"][0]
            assert citation["quote"] == "The parental leave is twenty-six weeks for every parent."
            assert citation["page"] == 1
    finally:
        assert await program.stop() == 0


async def test_a_second_backend_on_the_same_folder_says_who_has_it(tmp_path: Path) -> None:
    program, url = await started(tmp_path)
    try:
        second = await start(
            "second",
            "backend",
            "serve",
            environment={"FOOTNOTE_DATA_DIR": str(tmp_path / "data"), "FOOTNOTE_PORT": "0"},
            folder=tmp_path,
        )
        assert await asyncio.wait_for(second.process.wait(), 60) == 1
        (line,) = second.log.read_text().splitlines()
        assert url in line
        assert "FOOTNOTE_DATA_DIR" in line
    finally:
        await program.stop()


async def test_a_port_in_use_is_one_line_and_exit_code_2(tmp_path: Path) -> None:
    taken = await asyncio.start_server(lambda reader, writer: writer.close(), "127.0.0.1", 0)
    port = taken.sockets[0].getsockname()[1]
    async with taken:
        program = await start(
            "backend",
            "backend",
            "serve",
            environment={"FOOTNOTE_DATA_DIR": str(tmp_path / "data"), "FOOTNOTE_PORT": str(port)},
            folder=tmp_path,
        )
        assert await asyncio.wait_for(program.process.wait(), 60) == 2
    (line,) = program.log.read_text().splitlines()
    assert f"127.0.0.1:{port}" in line
    assert "FOOTNOTE_PORT" in line


async def test_an_interrupt_ends_it_cleanly(tmp_path: Path) -> None:
    program, _ = await started(tmp_path)
    program.process.send_signal(signal.SIGINT)
    assert await asyncio.wait_for(program.process.wait(), 20) == 0
    assert "Traceback" not in program.log.read_text()


async def test_a_removed_document_is_purged_by_the_deadline_and_the_doctor_proves_it(tmp_path: Path) -> None:
    environment = {"FOOTNOTE_DATA_DIR": str(tmp_path / "data"), "FOOTNOTE_PURGE_AFTER": "20s"}
    program, url = await started(tmp_path, FOOTNOTE_PURGE_AFTER="20s")
    headers = {"X-API-Key": (tmp_path / "data" / "api-key").read_text().strip()}

    async def doctor(name: str) -> tuple[int, str]:
        arguments = ("backend", "doctor", "--deleted", str(LEAVE["id"]))
        examined = await start(name, *arguments, environment=environment, folder=tmp_path)
        return await asyncio.wait_for(examined.process.wait(), 60), examined.log.read_text()

    try:
        async with aiohttp.ClientSession(url, headers=headers) as http:
            async with http.post("/ingest?wait=true", json=LEAVE) as reply:
                assert reply.status == 200
            for cache in ("miss", "l1"):
                async with http.post("/query", json={"question": "How many days of paid leave do I have?"}) as reply:
                    answer = await reply.json()
                    assert answer["metadata"]["cache"] == cache
            run_id = answer["run_id"]
            async with http.get("/metrics") as reply:
                assert 'footnote_cache_lookups_total{cache="answers",result="l1"} 1.0' in await reply.text()
            async with http.delete(URL(url + PATH, encoded=True)) as reply:
                assert reply.status == 200
            async with http.get(f"/runs/{run_id}") as reply:
                assert "25 days" not in await reply.text()
        early = await doctor("early")
        assert "purged by" in early[1], early
        async with asyncio.timeout(60):
            while "removed documents purged" not in program.log.read_text():  # noqa: ASYNC110 - another process
                await asyncio.sleep(0.2)
        code, said = await doctor("late")
        assert (code, "✗" in said, "until" in said) == (0, False, False), said
        assert "all that is there was written after its erasure" in said
        assert "purged 20" in said
    finally:
        assert await program.stop() == 0
