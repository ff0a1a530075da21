"""What an answer depends on, as one digest: two askers share one only if nothing that it is made of differs. Pure.

Retrieval is not cached: it takes milliseconds, and running it, under the asker's own audience, is what says which
documents answer *now*. An answer is kept under the exact words of the evidence that it was written from. So a document
that changed, left, came or became unreadable makes another key, at once and in every replica; all other answers live.
"""

from __future__ import annotations

import hashlib
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

import msgspec

from backend.domain import Audience, Evidence, Query, Turn
from backend.query.filters import filter_to_json

FORMAT = 1
"""To be raised by whoever changes what is kept, or how sentences are chosen and verified."""
_ENDINGS = " ?!.…"


@dataclass(frozen=True, slots=True)
class Maker:
    """Who writes: the model, the prompt's id and content hash, "" for who needs none. `recipe` stands for everything
    else that decides what is shown: the embedder, who gives second opinions, and by which prompt; `language` is the
    question's, "" where its words do not tell."""

    model: str
    prompt: str
    prompt_hash: str
    recipe: str
    language: str = ""


def normalised(text: str) -> str:
    """Return a question as it counts: case, spaces, Unicode's look-alikes and the closing mark say nothing."""
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split()).rstrip(_ENDINGS)


def drawn_on(evidence: Sequence[Evidence], audience: Audience) -> tuple[str, ...]:
    """Return the visibilities of the documents that an answer draws on: who may read all of these may share it.

    Where one is not known, the answer is for this audience only.
    """
    drawn = {one.passage.visibility for one in evidence}
    return tuple(sorted(audience.visibilities() if "" in drawn else drawn))


def answer_key(query: Query, evidence: Sequence[Evidence], maker: Maker) -> str:
    """Return the key of the answer to this query from this evidence, by this maker."""
    return f"answer:{_digest([*_place(query, evidence, maker), [_shown(one, maker) for one in evidence]])}"


def group_key(query: Query, evidence: Sequence[Evidence], maker: Maker) -> str:
    """Return what answers have in common that may stand in for one another: all but the question and the evidence."""
    return _digest(_place(query, evidence, maker)[1:])


def embedding_key(text: str, embedder: str) -> str:
    """Return the key of a query's vectors; they are the text's alone, exactly as it was given."""
    return f"vectors:{_digest([FORMAT, embedder, text])}"


def reading_key(
    question: str, history: Sequence[Turn], fields: Mapping[str, Sequence[str]], day: date, reader: Sequence[str]
) -> str:
    """Return the key of what a question is taken to mean: by all that its reader is shown, and by who reads.

    What the catalogue holds for this asker is in `fields`, so that a new author or tag makes another key.
    """
    turns = [(turn.role, turn.text) for turn in history]
    known = [(name, list(values)) for name, values in sorted(fields.items())]
    return f"reading:{_digest([FORMAT, list(reader), question, turns, known, day.isoformat()])}"


def _place(query: Query, evidence: Sequence[Evidence], maker: Maker) -> list[object]:
    filter_ = filter_to_json(query.filter) if query.filter is not None else None
    return [
        normalised(query.text),
        FORMAT,
        query.team,
        drawn_on(evidence, query.audience),
        sorted(query.audience.only_tags),
        filter_,
        query.relaxed,
        [maker.model, maker.prompt, maker.prompt_hash, maker.recipe, maker.language, query.language],
    ]


def _shown(one: Evidence, maker: Maker) -> list[object]:
    """Return all that an answer can be made of. Who answers without a prompt also weighs how well a passage was found:
    that shifts a little whenever any document changes, so it counts in hundredths."""
    passage = one.passage
    dated = passage.published_at.isoformat() if passage.published_at else None
    facts = [passage.chunk_id, passage.title, passage.url, passage.heading, passage.author, passage.source, dated]
    return [*facts, passage.page, passage.text, one.text, one.kept, 0 if maker.prompt else round(passage.score, 2)]


def _digest(parts: list[object]) -> str:
    return hashlib.sha256(msgspec.json.encode(parts)).hexdigest()
