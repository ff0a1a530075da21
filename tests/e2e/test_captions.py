"""With a model that sees, what an image shows is found, and cited as the caption that it is."""

from __future__ import annotations

import json
from pathlib import Path

import aiohttp
import pytest

from backend.ports import ChatMessage
from tests.e2e.processes import free_port, start, until_healthy
from tests.fakes.documents import pdf
from tests.fakes.openai_server import openai_server
from tests.unit.test_ingest_caption import pdf_with_image, png

pytestmark = pytest.mark.e2e
CAPTION = "A floor plan of the ground floor. The emergency exit is beside the kitchen."


def seer(messages: list[ChatMessage]) -> list[str]:
    """Describe images; answer questions with the sentence that it knows."""
    describes = "Describe this image" in messages[-1].content
    return [CAPTION if describes else "The emergency exit is beside the kitchen [1]."]


async def take_in(http: aiohttp.ClientSession, content: bytes, name: str) -> dict[str, object]:
    form = aiohttp.FormData()
    form.add_field("file", content, filename=name)
    async with http.post("/ingest?wait=true", data=form) as reply:
        accepted = await reply.json()
        assert reply.status == 200, accepted
    async with http.get(f"/documents/{accepted['document_id']}") as reply:
        document: dict[str, object] = await reply.json()
        return document


async def test_an_image_is_captioned_found_and_cited_as_a_caption(tmp_path: Path) -> None:
    port = free_port()
    async with openai_server(seer) as model_url:
        models = [{"name": "seer", "base_url": model_url, "vision": True}]
        environment = {
            "FOOTNOTE_DATA_DIR": str(tmp_path / "data"),
            "FOOTNOTE_PORT": str(port),
            "FOOTNOTE_MODELS": json.dumps(models),
        }
        program = await start("backend", "backend", "serve", environment=environment, folder=tmp_path)
        try:
            await until_healthy(f"http://127.0.0.1:{port}/health/ready", program)
            headers = {"X-API-Key": (tmp_path / "data" / "api-key").read_text().strip()}
            async with aiohttp.ClientSession(f"http://127.0.0.1:{port}", headers=headers) as http:
                plan = await take_in(http, pdf_with_image(), "plan.pdf")
                assert plan["notices"] == ["1 image described by a model"]
                assert (await take_in(http, pdf("No image here."), "plain.pdf"))["notices"] == []
                photo = await take_in(http, png(shade=7), "photo.png")
                assert (photo["status"], photo["title"]) == ("ready", "photo")
                async with http.post("/query", json={"question": "Where is the emergency exit?"}) as reply:
                    body = await reply.json()
        finally:
            await program.stop()
    assert body["outcome"] == "answered", body
    (citation,) = body["citations"]
    assert (citation["kind"], citation["heading"]) == ("caption", "Image 1")
    assert citation["quote"] == "The emergency exit is beside the kitchen."
    assert "kitchen" not in program.log.read_text()
