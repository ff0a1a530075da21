"""Text in images, by tesseract where it is installed: a child process with limits of time and memory of its own."""

from __future__ import annotations

import re
import resource
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from time import monotonic

from backend.errors import Unreadable
from backend.ingest.extract_text import plain_to_markdown

PROGRAM = "tesseract"
LANGUAGES = "eng"
"""Tesseract's names of the languages to read, with `+` between them; those that are not installed are left out."""
SECONDS = 18.0
"""For one document, so that what has no text in it ends within the time that a document has."""
MEMORY = 1_500_000_000
NO_DATA = "OCR has no data here for the language {languages}; install the package tesseract-ocr-{first} and try again."
NOT_INSTALLED = "The document is an image, and OCR is not installed here; upload its text instead."
NOTHING_READ = "The document is an image, and OCR finds no text in it."
TOO_LARGE = "The image could not be read in the time that there is; make it smaller and try again."
UNREADABLE_IMAGE = "The image cannot be read; save it as PNG or JPEG and try again."
_HYPHEN = re.compile(r"(?<=[^\W\d_])[-\u2010]\n(?=[a-z\u00df-\u00ff])")


class OcrTooSlow(Exception):
    """The time for reading images is used up."""


@dataclass(slots=True)
class Ocr:
    """Reads the images of one document, for at most `seconds` together."""

    languages: str
    seconds: float = SECONDS
    clock: Callable[[], float] = monotonic
    program: str = PROGRAM
    _spent: float = field(default=0.0)

    def read(self, image: bytes) -> str:
        """Return the text of an image as Markdown.

        Raises:
            OcrTooSlow: the time is used up.
            Unreadable: the image is damaged or of an unknown type.
        """
        left, began = self.seconds - self._spent, self.clock()
        if left <= 0:
            raise OcrTooSlow
        try:
            done = subprocess.run(  # noqa: S603 - fixed arguments, and no shell
                [self.program, "-", "-", "-l", self.languages, "--psm", "3"],
                input=image,
                capture_output=True,
                timeout=left,
                check=False,
                preexec_fn=_limit,
            )
        except subprocess.TimeoutExpired:
            raise OcrTooSlow from None
        finally:
            self._spent += self.clock() - began
        if done.returncode:
            raise Unreadable(UNREADABLE_IMAGE)
        return text_to_markdown(done.stdout.decode("utf-8", "replace"))


def image_text(image: bytes, ocr: Ocr | None) -> str:
    """Return the text of an image that is a document by itself. Unreadable, with the reason, where it has none."""
    if ocr is None:
        raise Unreadable(NOT_INSTALLED)
    try:
        text = ocr.read(image)
    except OcrTooSlow:
        raise Unreadable(TOO_LARGE) from None
    if not any(map(str.isalnum, text)):
        raise Unreadable(NOTHING_READ)
    return text


def _limit() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))


def text_to_markdown(text: str) -> str:
    """Return what OCR read as Markdown: words parted at a line's end are put together, pages follow each other."""
    return plain_to_markdown(_HYPHEN.sub("", text.replace("\f", "\n\n")).strip())


def find_ocr(languages: str = LANGUAGES) -> Ocr | None:
    """Return an OCR for these languages, None where none is installed. Unreadable where only their data is missing."""
    program = shutil.which(PROGRAM)
    if program is None:
        return None
    wanted = [name for name in re.split(r"[+, ]+", languages) if name]
    there = [name for name in wanted if name in _installed(program)]
    if not there:
        raise Unreadable(NO_DATA.format(languages=", ".join(wanted), first=wanted[0] if wanted else LANGUAGES))
    return Ocr("+".join(there), program=program)


@cache
def _installed(program: str) -> frozenset[str]:
    """Return the languages that there is data for."""
    done = subprocess.run(  # noqa: S603 - fixed arguments, and no shell
        [program, "--list-langs"], capture_output=True, timeout=10, check=False
    )
    return frozenset(done.stdout.decode("utf-8", "replace").split("\n")[1:])
