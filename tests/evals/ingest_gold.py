"""Extraction on labelled documents: what of the words and headings arrives, beside markitdown on the same bytes.

`ingest_gold` holds Office, HTML and PDF documents with the Markdown that other tools' authors keep as their regression
ground truth. Ours goes through the process pool, as in the product. Words are compared as multisets, their order by
pairs of neighbours, headings by their words, whatever their level. Links count by their text, images by what stands for
them, and Markdown's own marks are no words. A conversion that fails counts as an empty text.
"""

from __future__ import annotations

import asyncio
import html
import importlib
import re
import unicodedata
import warnings
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path
from time import perf_counter
from typing import Protocol, cast

from rich.table import Table

from backend.adapters.minilm import MiniLM
from backend.errors import Unreadable
from backend.evaluate.metrics import mean
from backend.ingest.extract_pool import ExtractPool
from backend.ports import Fetched
from tests.evals.corpora import evals_folder, rows

GOLD = "ingest_gold"
SETS: tuple[str, ...] = (GOLD,)
MEMORY = 2 * 1024**3
"""Bytes that no document may take more of."""
PEER = "markitdown"
PEER_MISSING = f"{PEER} is not installed (uv pip install --group peers), so there are our figures only."
_COMMENT = re.compile(r"<!--.*?-->", re.S)
_IMAGE = re.compile(r"!\[([^\]]*)\]\([^)]*\)")
_TARGET = re.compile(r"(?<=\])\((?:[^()\s]|\([^()\s]*\))*(?:\s+\"[^\"]*\")?\)|(?<=\])\[[^\]]*\]")
_TAG = re.compile(
    r"</?(?:b|i|u|s|p|br|sub|sup|del|ins|kbd|mark|div|span|table|t[rhd]|thead|tbody)(?:\s[^<>]*)?/?>", re.I
)
_WORD = re.compile(r"\w+")
_HEADING = re.compile(r"^ {0,3}#{1,6}[ \t]+(.+?)[ \t]*#*$", re.M)
_FENCE = re.compile(r"^[ \t]*(```|~~~).*?^[ \t]*\1[ \t]*$", re.M | re.S)


@dataclass(frozen=True, slots=True)
class Gold:
    """A document and the Markdown that is right, None where nobody has said."""

    name: str
    kind: str
    content: bytes
    expected: str | None


@dataclass(frozen=True, slots=True)
class Scores:
    """Of one document, each between 0 and 1. `headings` is None where the right Markdown has none."""

    recall: float
    precision: float
    order: float
    headings: float | None


@dataclass(frozen=True, slots=True)
class Conversion:
    """What came of a document, in how many seconds; `text` is empty and `reason` says why where it failed."""

    text: str
    seconds: float
    reason: str = ""


class Peer(Protocol):
    """What we need of a converter to compare with."""

    def convert(self, path: Path) -> str:
        """Return Markdown, "" where it fails."""


def load_gold() -> list[Gold]:
    """Return the set's documents, in its own order."""
    folder = evals_folder() / GOLD
    found = []
    for row in rows(folder / "manifest.jsonl"):
        path, expected = folder / str(row["file"]), row.get("expected")
        right = (folder / str(expected)).read_text(encoding="utf-8") if expected else None
        found.append(Gold(path.name, str(row["format"]), path.read_bytes(), right))
    return found


# -------------------------------------------------------------------------------------------------------------- scores


def words(markdown: str) -> list[str]:
    """Return the words of a Markdown text, case folded."""
    text = _TARGET.sub(" ", _IMAGE.sub(r" \1 ", _COMMENT.sub(" ", markdown)))
    text = html.unescape(_TAG.sub(" ", re.sub(r"\\(?=[!-/:-@\[-`{-~])", "", text))).replace("_", " ")
    return _WORD.findall(unicodedata.normalize("NFKC", text).casefold())


def headings(markdown: str) -> Counter[tuple[str, ...]]:
    """Return the headings outside of code, each as its words."""
    found = (tuple(words(match.group(1))) for match in _HEADING.finditer(_FENCE.sub("", markdown)))
    return Counter(heading for heading in found if heading)


def score(expected: str, text: str) -> Scores:
    """Compare a text with the right one."""
    right, ours = words(expected), words(text)
    common = (Counter(right) & Counter(ours)).total()
    pairs, our_pairs = Counter(pairwise(right)), Counter(pairwise(ours))
    titles = headings(expected)
    return Scores(
        recall=common / len(right) if right else 1.0,
        precision=common / len(ours) if ours else float(not right),
        order=(pairs & our_pairs).total() / pairs.total() if pairs else 1.0,
        headings=(titles & headings(text)).total() / titles.total() if titles else None,
    )


def by_format(documents: Sequence[Gold], found: Mapping[str, Conversion]) -> dict[str, Scores]:
    """Return the mean scores of each format's labelled documents."""
    scores: dict[str, list[Scores]] = {}
    for document in documents:
        if document.expected is not None:
            scores.setdefault(document.kind, []).append(score(document.expected, found[document.name].text))
    return {kind: _mean(own) for kind, own in scores.items()}


def _mean(scores: Sequence[Scores]) -> Scores:
    with_headings = [one.headings for one in scores if one.headings is not None]
    return Scores(
        recall=mean([one.recall for one in scores]),
        precision=mean([one.precision for one in scores]),
        order=mean([one.order for one in scores]),
        headings=mean(with_headings) if with_headings else None,
    )


# ---------------------------------------------------------------------------------------------------------- converting


async def ours(documents: Sequence[Gold]) -> dict[str, Conversion]:
    """Extract as the product does: in worker processes, with its limits of time and memory."""
    async with ExtractPool(workers=1, memory_bytes=MEMORY) as pool:
        return {document.name: await _extract(pool, document) for document in documents}


async def _extract(pool: ExtractPool, document: Gold) -> Conversion:
    began = perf_counter()
    try:
        found = await pool.extract(Fetched(document.content, "", "", document.name))
    except Unreadable as error:
        return Conversion("", perf_counter() - began, str(error))
    return Conversion(found.text, perf_counter() - began)


class MarkItDown:
    """Microsoft's converter of documents to Markdown for language models."""

    def __init__(self) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            self._converter = importlib.import_module(PEER).MarkItDown()

    def convert(self, path: Path) -> str:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                return str(self._converter.convert(str(path)).text_content)
            except Exception:  # noqa: BLE001 - whatever a peer raises, it has not converted the document
                return ""


@cache
def peer() -> Peer | None:
    """Return the peer if it is installed."""
    return cast(Peer, MarkItDown()) if find_spec(PEER) else None


def theirs(documents: Sequence[Gold], converter: Peer) -> dict[str, Conversion]:
    """Convert the same documents with the peer, in this process and without limits."""
    folder, found = evals_folder() / GOLD / "files", {}
    for document in documents:
        began = perf_counter()
        text = converter.convert(folder / document.name)
        found[document.name] = Conversion(text, perf_counter() - began, "" if text else "failed")
    return found


# ----------------------------------------------------------------------------------------------------------- reporting


async def report(names: Sequence[str], embedder: MiniLM, cache: Path) -> list[Table]:
    """Measure the documents with the right Markdown by format; of the others, whether and how fast they are read."""
    documents, converter = await asyncio.to_thread(load_gold), peer()
    found = {"ours": await ours(documents)}
    if converter:
        found[PEER] = await asyncio.to_thread(theirs, documents, converter)
    return [_scores_table(documents, found), _times_table(documents, found)]


def _scores_table(documents: Sequence[Gold], found: Mapping[str, Mapping[str, Conversion]]) -> Table:
    table = Table(title=f"Extract · {GOLD}: words and headings of the right Markdown, means over documents")
    for heading in ("format", "documents", "by", "word recall", "word precision", "order (pairs)", "heading recall"):
        table.add_column(heading)
    counts = Counter(document.kind for document in documents if document.expected is not None)
    by_converter = {name: by_format(documents, own) for name, own in found.items()}
    for kind, count in sorted(counts.items()):
        for name, scores in by_converter.items():
            own = scores[kind]
            titles = "–" if own.headings is None else f"{own.headings:.3f}"
            table.add_row(
                kind, str(count), name, f"{own.recall:.3f}", f"{own.precision:.3f}", f"{own.order:.3f}", titles
            )
    table.caption = None if len(found) > 1 else PEER_MISSING
    return table


def _times_table(documents: Sequence[Gold], found: Mapping[str, Mapping[str, Conversion]]) -> Table:
    table = Table(title=f"Extract · {GOLD}: all documents, labelled or not")
    for heading in ("by", "documents", "read", "seconds in all", "slowest"):
        table.add_column(heading)
    for name, own in found.items():
        slowest = max(own, key=lambda one: own[one].seconds)
        table.add_row(
            name,
            str(len(documents)),
            str(sum(not one.reason for one in own.values())),
            f"{sum(one.seconds for one in own.values()):.1f}",
            f"{own[slowest].seconds:.1f} s, {slowest}",
        )
    return table


def floors() -> dict[str, Scores]:
    """Return floors a little under the shipped figures, for `test_ingest_gold.py`."""
    return {
        "docx": Scores(recall=0.99, precision=0.99, order=0.985, headings=0.98),
        "html": Scores(recall=0.985, precision=0.985, order=0.98, headings=0.99),
        "pdf": Scores(recall=0.99, precision=0.99, order=0.98, headings=None),
    }
