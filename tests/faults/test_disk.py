"""A disk that is full, and a folder that cannot be written: an error in words, and nothing is lost."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import aiohttp
import pytest

from backend.adapters.blobs import FileBlobs
from backend.errors import Unavailable
from backend.lock import FolderLock
from tests.e2e.processes import free_port, start, until_healthy

KEY = "a-key-for-tests-only"


@contextmanager
def disk(folder: Path, size: str) -> Iterator[Path]:
    """Mount a small disk of its own at `folder`; skip where that is not allowed."""
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "footnote", str(folder)], check=False)
    if mounted.returncode:
        pytest.skip("a small disk of its own takes the right to mount one")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def fill(path: Path) -> None:
    with path.open("wb", buffering=0) as file, suppress(OSError):
        while file.write(bytes(4096)):
            pass
    assert shutil.disk_usage(path.parent).free == 0


async def ingest(client: aiohttp.ClientSession, name: str) -> tuple[int, dict[str, str]]:
    body = {"id": name, "title": name, "text": f"The colour of the {name} door is green, as everybody knows."}
    async with client.post("/ingest", params={"wait": "true"}, json=body) as reply:
        return reply.status, await reply.json()


async def found(client: aiohttp.ClientSession, name: str) -> set[str]:
    async with client.post("/search", json={"question": f"What is the colour of the {name} door?"}) as reply:
        assert reply.status == 200
        return {passage["document_id"] for passage in (await reply.json())["passages"]}


@pytest.mark.e2e
async def test_a_full_disk_is_an_error_in_words_and_loses_nothing(tmp_path: Path) -> None:
    with disk(tmp_path / "data", "24m") as data:
        (tmp_path / "models").mkdir()
        (data / "models").symlink_to(tmp_path / "models")
        port = free_port()
        environment = {"FOOTNOTE_DATA_DIR": str(data), "FOOTNOTE_PORT": str(port), "FOOTNOTE_API_KEY": KEY}
        program = await start("backend", "backend", "serve", environment=environment, folder=tmp_path)
        try:
            await until_healthy(f"http://127.0.0.1:{port}/health/ready", program)
            async with aiohttp.ClientSession(f"http://127.0.0.1:{port}", headers={"X-API-Key": KEY}) as client:
                await full_and_free_again(client, data)
        finally:
            await program.stop()


async def full_and_free_again(client: aiohttp.ClientSession, data: Path) -> None:
    assert (await ingest(client, "north"))[0] == 200
    fill(data / "filler")
    status, problem = await ingest(client, "south")
    assert status == 503
    assert "cannot be stored" in problem["detail"]
    assert "north" in await found(client, "north")

    (data / "filler").unlink()
    assert (await ingest(client, "south"))[0] == 200
    assert "north" in await found(client, "north")
    assert "south" in await found(client, "south")


def test_a_data_folder_that_cannot_be_made_is_an_error_in_words() -> None:
    with pytest.raises(Unavailable, match="FOOTNOTE_DATA_DIR"), FolderLock(Path("/proc/footnote/lock")):
        pass


async def test_what_cannot_be_stored_in_a_read_only_folder_is_an_error_and_what_is_there_stays(tmp_path: Path) -> None:
    with disk(tmp_path / "blobs", "1m") as folder:
        blobs = FileBlobs(folder)
        key = await blobs.put(b"kept")
        subprocess.run(["mount", "-o", "remount,ro", str(folder)], check=True)  # noqa: ASYNC221
        with pytest.raises(Unavailable, match="Read-only"):
            await blobs.put(b"new")
        with pytest.raises(Unavailable, match="Read-only"):
            await blobs.delete(key)
        assert await blobs.get(key) == b"kept"
