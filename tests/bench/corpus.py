"""Texts to index, from the labelled sets (FOOTNOTE_EVALS), the same in every run."""

from __future__ import annotations

import json
import os
import random
from dataclasses import dataclass
from pathlib import Path

SETS = ("scifact", "tts_handbook", "anthropic_docs", "mtrag_un", "clapnq")
PAGE = 500
"""Words that count as a page, whatever the format."""


@dataclass(frozen=True)
class Text:
    name: str
    title: str
    text: str

    @property
    def words(self) -> int:
        return len(self.text.split())


def evals() -> Path:
    return Path(os.environ.get("FOOTNOTE_EVALS", "../shared/evals"))


def texts(count: int) -> list[Text]:
    """Return so many documents of all sets, mixed."""
    found = [Text(f"{name}-{place}", *row) for name in SETS for place, row in enumerate(_rows(name))]
    random.Random(1).shuffle(found)
    return found[:count]


def _rows(name: str) -> list[tuple[str, str]]:
    path = evals() / name / "documents.jsonl"
    if not path.exists():
        return []
    rows = map(json.loads, path.read_text(encoding="utf-8").splitlines())
    return [(str(row.get("title") or ""), str(row["text"])) for row in rows]
