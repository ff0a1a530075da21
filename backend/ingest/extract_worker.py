"""`python -m backend.ingest.extract_worker`: extracts one document after another, in a process that may be lost.

Each message on stdin and stdout is its length in 4 bytes, big endian, then JSON or, for a document's content, the bytes
themselves. JSON and not pickle: what comes out of a process that reads hostile files must not be able to run code.
"""

from __future__ import annotations

import os
import resource
import sys
from typing import BinaryIO

import msgspec

from backend.codec import MetadataJson, metadata_from_json, metadata_to_json
from backend.domain import Extracted, Figure, Metadata
from backend.errors import Unreadable
from backend.ingest.extract import extract
from backend.ingest.images import images_in
from backend.ingest.ocr import LANGUAGES, Ocr, find_ocr
from backend.ingest.sniff import DAMAGED, may_be_scan
from backend.ports import Fetched

OUT_OF_MEMORY = "The document needs too much memory to read; split it and try again."


class Job(msgspec.Struct, frozen=True):
    """What precedes a document's content."""

    url: str
    media_type: str
    file_name: str
    figures: int = 0
    """How many of its images are wanted, at most."""


class Picture(msgspec.Struct, frozen=True):
    """An image of a document; JSON carries its content in base64."""

    media_type: str
    content: bytes
    page: int | None = None


class Result(msgspec.Struct, frozen=True):
    """What came of a document: a text, or the reason why there is none."""

    reason: str = ""
    text: str = ""
    title: str = ""
    metadata: MetadataJson | None = None
    pages: tuple[tuple[int, int], ...] = ()
    images: int = 0
    figures: tuple[Picture, ...] = ()

    def extracted(self) -> Extracted:
        """Return the text, or the figures of a document without any. Unreadable where there is only a reason."""
        if self.metadata is None and not self.figures:
            raise Unreadable(self.reason or DAMAGED)
        return Extracted(
            self.text,
            self.title,
            metadata_from_json(self.metadata) if self.metadata else Metadata(),
            self.pages,
            images=self.images,
            figures=tuple(Figure(one.media_type, one.content, one.page) for one in self.figures),
            reason=self.reason,
        )


def run(fetched: Fetched, figures: int = 0, ocr_languages: str = LANGUAGES) -> Result:
    """Extract a document; whatever a parser may raise becomes a reason."""
    read = _read(fetched, ocr_languages)
    if read.metadata is None and not figures:
        return read
    try:
        found = images_in(fetched, limit=figures)
    except Exception:  # noqa: BLE001 - as below: an image that cannot be had costs nothing but itself
        return read
    pictures = tuple(Picture(one.media_type, one.content, one.page) for one in found.figures)
    return msgspec.structs.replace(read, images=found.count, figures=pictures)


def _read(fetched: Fetched, ocr_languages: str) -> Result:
    try:
        found = extract(fetched, _ocr(fetched, ocr_languages))
    except Unreadable as error:
        return Result(reason=str(error))
    except MemoryError:
        return Result(reason=OUT_OF_MEMORY)
    except Exception:  # noqa: BLE001 - the rim of this process: no parser's slip may end as anything but a reason
        return Result(reason=DAMAGED)
    return Result("", found.text, found.title, metadata_to_json(found.metadata), found.pages)


def _ocr(fetched: Fetched, languages: str) -> Ocr | None:
    """Look for an OCR where the document may need one."""
    return find_ocr(languages) if may_be_scan(fetched.content) else None


def read_message(stream: BinaryIO) -> bytes | None:
    """Return the next message, None at the end."""
    size = stream.read(4)
    return stream.read(int.from_bytes(size, "big")) if len(size) == 4 else None


def write_message(stream: BinaryIO, message: bytes) -> None:
    """Write one message."""
    stream.write(len(message).to_bytes(4, "big"))
    stream.write(message)
    stream.flush()


def main(memory_bytes: int, ocr_languages: str) -> None:
    """Serve until stdin ends; `ocr_languages` is as of `ExtractPool`.

    Memory beyond the limit (address space, in bytes; 0 is none) is refused by the system.
    """
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a parser prints must not end up among the answers
    if memory_bytes:
        resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    write_message(answers, b"ready")
    while (header := read_message(sys.stdin.buffer)) is not None:
        job = msgspec.json.decode(header, type=Job)
        content = read_message(sys.stdin.buffer) or b""
        result = run(Fetched(content, job.url, job.media_type, job.file_name), job.figures, ocr_languages)
        write_message(answers, msgspec.json.encode(result))


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2])
