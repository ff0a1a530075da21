"""Images inside documents: counted, taken out, described by a model that sees, and marked as what they are."""

from __future__ import annotations

import asyncio
import base64
import io
import struct
import time
import zipfile
import zlib
from dataclasses import dataclass, field

import msgspec
import pytest

from backend.adapters.llm_captioner import LLMCaptioner
from backend.adapters.openai import OpenAILLM
from backend.domain import Caption, Extracted, Figure
from backend.errors import LLMUnavailable, Unreadable
from backend.ingest.caption import Captioning
from backend.ingest.extract_worker import Result, run
from backend.ingest.images import images_in, media_type_of, size_of
from backend.ingest.split import split
from backend.ports import Fetched
from backend.prompts import load_prompts
from backend.settings import PROJECT
from bot.blocks import source_text
from tests.fakes.backend_server import citation
from tests.fakes.documents import docx, pdf
from tests.fakes.openai_server import Journal, openai_server


def png(side: int = 100, shade: int = 0) -> bytes:
    """Draw a square of one grey."""

    def part(name: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    head = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
    pixels = zlib.compress((b"\0" + bytes([shade]) * side) * side, 0)
    return b"\x89PNG\r\n\x1a\n" + part(b"IHDR", head) + part(b"IDAT", pixels) + part(b"IEND", b"")


def office(*images: bytes) -> bytes:
    """Return a DOCX with a sentence and these images."""
    buffer = io.BytesIO(docx("The plan is below."))
    with zipfile.ZipFile(buffer, "a") as opened:
        for number, image in enumerate(images):
            opened.writestr(f"word/media/image{number}.png", image)
    return buffer.getvalue()


def pdf_with_image(side: int = 100) -> bytes:
    """Return a PDF of one page with a sentence and a grey square."""
    body = zlib.compress(bytes(side * side))
    size = f"/Width {side} /Height {side} /Length {len(body)}"
    kind = "/Type /XObject /Subtype /Image /ColorSpace /DeviceGray /BitsPerComponent 8 /Filter /FlateDecode"
    image = f"<< {kind} {size} >>\nstream\n".encode() + body + b"\nendstream"
    text = b"BT /F1 12 Tf 72 720 Td (The plan is below.) Tj ET q 100 0 0 100 72 500 cm /I1 Do Q"
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [4 0 R] /Count 1 >>",
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents 5 0 R "
        b"/Resources << /Font << /F1 3 0 R >> /XObject << /I1 6 0 R >> >> >>",
        b"<< /Length %d >>\nstream\n%s\nendstream" % (len(text), text),
        image,
    ]
    out, offsets = b"%PDF-1.4\n", []
    for number, one in enumerate(objects, 1):
        offsets.append(len(out))
        out += b"%d 0 obj\n%s\nendobj\n" % (number, one)
    table = b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    trailer = b"trailer\n<< /Size 7 /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % len(out)
    return out + b"xref\n0 7\n0000000000 65535 f \n" + table + trailer


def fetched(content: bytes | str, name: str) -> Fetched:
    return Fetched(content.encode() if isinstance(content, str) else content, "", "", name)


PAGE = "<html><body><header><img src=logo></header><p>Text.</p><img src=a><img src=b width=16></body></html>"
EMBEDDED = (
    f"# Plan\n\n![the plan](data:image/png;base64,{base64.b64encode(png()).decode()})\n\n![away](https://x/y.png)"
)


@pytest.mark.parametrize(
    ("content", "name", "count", "taken"),
    [
        (office(png(), png(shade=9)), "a.docx", 2, 2),
        (office(png(), png()), "a.docx", 2, 1),
        (office(png(side=40)), "a.docx", 1, 0),
        (docx("No image."), "a.docx", 0, 0),
        (pdf_with_image(), "a.pdf", 1, 1),
        (pdf("No image."), "a.pdf", 0, 0),
        (png(), "a.png", 1, 1),
        (PAGE, "a.html", 1, 0),
        (EMBEDDED, "a.md", 2, 1),
        ("Just text.", "a.txt", 0, 0),
        (b"PK\x03\x04 cut off", "a.docx", 0, 0),
    ],
)
def test_images_are_counted_and_those_worth_it_taken_out(
    content: bytes | str, name: str, count: int, taken: int
) -> None:
    found = images_in(fetched(content, name), limit=20)
    assert (found.count, len(found.figures)) == (count, taken)
    assert images_in(fetched(content, name), limit=0).figures == ()
    assert all(media_type_of(one.content) == one.media_type for one in found.figures)


@pytest.mark.parametrize("part", ["<nav>", "<img ", "![", "![a", "data:image/png;base64,", "<img width="])
def test_hostile_pages_do_not_stall(part: str) -> None:
    began = time.process_time()
    images_in(fetched("# A\n" + part * (1_000_000 // len(part)), "a.md"), limit=5)
    assert time.process_time() - began < 3


def test_an_image_of_a_pdf_knows_its_page() -> None:
    (figure,) = images_in(fetched(pdf_with_image(), "a.pdf"), limit=5).figures
    assert (figure.page, figure.media_type, size_of(figure.content)) == (1, "image/png", (100, 100))


def test_no_more_images_are_taken_out_than_are_wanted() -> None:
    many = office(*(png(shade=shade) for shade in range(9)))
    found = images_in(fetched(many, "a.docx"), limit=3)
    assert (found.count, len(found.figures)) == (9, 3)


def test_a_worker_hands_images_on_beside_the_text_and_alone_where_there_is_none() -> None:
    result = msgspec.json.decode(msgspec.json.encode(run(fetched(office(png()), "a.docx"), 5)), type=Result)
    found = result.extracted()
    assert "The plan is below." in found.text
    assert (found.images, found.figures) == (1, (Figure("image/png", png()),))
    assert run(fetched(office(png()), "a.docx")).figures == ()
    scan = run(fetched(png(), "a.png"), 5).extracted()
    assert (scan.text, scan.images, len(scan.figures)) == ("", 1, 1)
    assert scan.reason
    with pytest.raises(Unreadable):
        run(fetched(png(), "a.png")).extracted()
    assert run(fetched(b"PK\x03\x04 cut off", "a.docx"), 5).metadata is None


# ----------------------------------------------------------------------------------------------------------- captioning


@dataclass
class Seer:
    """ports.Captioner that says what it is told by the image's content: text, an error, or nothing for ever."""

    said: dict[bytes, str | LLMUnavailable]
    name: str = "seer"
    titles: list[str] = field(default_factory=list)

    async def caption(self, figure: Figure, title: str) -> str:
        self.titles.append(title)
        text = self.said.get(figure.content)
        if text is None:
            await asyncio.Event().wait()
        if isinstance(text, LLMUnavailable):
            raise text
        return str(text)


async def captioned(found: Extracted, seer: Seer, *, deadline: float = 5) -> Extracted:
    async def extract(_: Fetched) -> Extracted:
        return found

    return await Captioning(extract, seer, deadline)(fetched(b"", "plan.pdf"))


def figures(*contents: bytes) -> tuple[Figure, ...]:
    return tuple(Figure("image/png", content, page) for page, content in enumerate(contents, start=1))


async def test_what_the_model_says_of_each_image_becomes_a_caption() -> None:
    seer = Seer({b"a": "A bar\u200b chart. Sales rise to 40.", b"b": "", b"c": "A map."})
    found = await captioned(Extracted("Text.", "Plan", images=4, figures=figures(b"a", b"b", b"c")), seer)
    assert found.captions == (Caption(1, "A bar chart. Sales rise to 40.", 1), Caption(3, "A map.", 3))
    assert (found.text, found.images, found.figures) == ("Text.", 4, ())
    assert set(seer.titles) == {"Plan"}


async def test_an_image_that_the_model_fails_at_or_hangs_on_costs_only_itself() -> None:
    seer = Seer({b"a": LLMUnavailable("It is down."), b"b": "A map."})
    found = await captioned(Extracted("Text.", images=3, figures=figures(b"a", b"b", b"c")), seer, deadline=0.2)
    assert [one.text for one in found.captions] == ["A map."]


async def test_a_document_of_nothing_but_an_image_lives_by_its_caption() -> None:
    scan = Extracted("", images=1, figures=figures(b"a"), reason="The document is an image.")
    found = await captioned(scan, Seer({b"a": "A floor plan."}))
    assert (found.captions[0].text, found.reason) == ("A floor plan.", "")
    with pytest.raises(Unreadable, match="is an image"):
        await captioned(scan, Seer({b"a": LLMUnavailable("It is down.")}))


async def test_giving_up_on_a_document_ends_its_captions() -> None:
    work = asyncio.create_task(captioned(Extracted("Text.", figures=figures(b"a")), Seer({})))
    await asyncio.sleep(0.01)
    work.cancel()
    with pytest.raises(asyncio.CancelledError):
        await work
    assert len(asyncio.all_tasks()) == 1


def test_a_caption_is_a_section_of_its_own_behind_the_text() -> None:
    captions = (Caption(1, "A bar chart. Sales rise to 40.", 2), Caption(3, "A map."))
    found = split(Extracted("# A\n\nText.", captions=captions), count_tokens=lambda text: len(text.split()))
    assert [(one.heading, one.text, one.kind, one.page) for one in found] == [
        ("A", "Text.", "text", None),
        ("Image 1", "A bar chart. Sales rise to 40.", "caption", 2),
        ("Image 3", "A map.", "caption", None),
    ]
    assert [one.section for one in found] == [0, 1, 2]
    assert [one.text[slice(*one.sentences[0])] for one in found[1:]] == ["A bar chart.", "A map."]


@pytest.mark.parametrize(("reply", "caption"), [("A floor plan.", "A floor plan."), ("Nothing.", ""), (" \n", "")])
async def test_the_model_is_shown_the_image_and_may_say_that_there_is_nothing_in_it(reply: str, caption: str) -> None:
    journal = Journal()
    async with openai_server(lambda _: [reply], journal=journal) as base_url:
        llm = OpenAILLM.open(base_url, "key", "seer", timeout=5)
        captioner = LLMCaptioner(llm, load_prompts(PROJECT / "prompts").get("caption@v1"))
        assert await captioner.caption(Figure("image/png", b"pixels"), "Plan  2026") == caption
        await llm.close()
    (body,) = journal.bodies
    text, image = body["messages"][-1]["content"]  # type: ignore[index]
    assert "Plan 2026" in text["text"]
    assert image["image_url"]["url"] == "data:image/png;base64," + base64.b64encode(b"pixels").decode()
    assert captioner.name == "seer/caption@v1"


def test_a_source_says_that_its_quote_is_a_caption_and_does_not_look_for_it_on_the_page() -> None:
    quoted = msgspec.structs.replace(citation(), url="https://d.example/plan", quote="Sales rise to 40.")
    assert ":~:text=" in source_text(quoted)
    shown = source_text(msgspec.structs.replace(quoted, kind="caption"))
    assert "caption of an image" in shown
    assert ":~:text=" not in shown
