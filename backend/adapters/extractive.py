"""Answers by quoting: picks the few sentences that answer and puts them in a readable order. No model call."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass

import numpy as np

from backend.domain import Evidence, Passage, Query, QueryVectors, Vector
from backend.query.compress import is_item, is_row, is_rule, support_of
from backend.query.relevance import Relevance, Terms, score_sentences, weigh
from backend.query.words import MARKER, MONTHS, NUMBER_WORDS, content_words, names, numbers, tokens

MAX_SENTENCES = 4
MAX_ITEMS = 8
"""Items of one list that are shown together: a list of steps is worth little without its end."""
NEAR_BEST = 0.78
"""A further sentence is shown when it scores at least this share of the best one."""
KIND_BONUS = 0.12
"""For a sentence that holds what the question's word asks for: a number, a date, a name, a step."""
HEADING_WEIGHT = 0.1
"""Of the question's words that stand in the title or heading rather than in the sentence."""

RUN_ON = 40
"""Words from which something without a full stop is a page's menu or debris rather than a sentence."""

_COMPLETE = re.compile(r"[.!:…][\"'”’)*_]*\Z")
_LEANS = re.compile(
    r"(?:this|that|these|those|it|its|they|their|them|he|she|his|her|however|but|otherwise|therefore|thus|also|"
    r"instead|then|so|in that case|for example|in addition|additionally|similarly|as a result|both|here)\b",
    re.IGNORECASE,
)
_IMPERATIVE = re.compile(
    r"(?:\*\*)?(?:go|open|click|select|choose|use|run|set|send|fill|submit|contact|ask|email|create|add|enter|visit|"
    r"request|follow|call|make|log|sign|install|download|report|complete|navigate|get|put|post|include|start|first|"
    r"to \w+|you (?:can|should|must|will|need))\b",
    re.IGNORECASE,
)
_DATED = re.compile(
    rf"\b(?:{'|'.join(MONTHS)}|monday|tuesday|wednesday|thursday|friday|saturday|sunday|daily|weekly|monthly|yearly|"
    r"annually|quarterly|week|day|month|year|hour|minute|deadline|\d{1,2}(?::\d\d)?\s?[ap]\.?m|(?:19|20)\d\d)s?\b",
    re.IGNORECASE,
)
_KINDS = (
    ("amount", re.compile(r"\bhow\s+(?:many|much|long|often|far|old|early|late|big|large|fast)\b", re.IGNORECASE)),
    (
        "date",
        re.compile(r"\b(?:when|what\s+(?:time|date|day|year)|which\s+(?:week)?(?:day|month|year))\b", re.IGNORECASE),
    ),
    ("name", re.compile(r"\b(?:who|whom|whose)\b", re.IGNORECASE)),
    ("steps", re.compile(r"\bhow\s+(?:do|does|can|should|would|to|is|are|did)\b|\bsteps?\b", re.IGNORECASE)),
)
_OPEN_FENCE = re.compile(r"^[ \t]*(?:```|~~~)", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Pick:
    """A sentence to show: `evidence` and the index of the sentence in its passage."""

    evidence: Evidence
    index: int


@dataclass(frozen=True, slots=True)
class ExtractiveAnswerer:
    """ports.Answerer that only quotes: every sentence it drafts stands in the passage that it cites."""

    model: str = "extractive"
    prompt: str = ""

    async def draft(
        self,
        question: str,
        query: Query,
        vectors: QueryVectors,
        evidence: Sequence[Evidence],
    ) -> AsyncIterator[str]:
        """Yield the chosen sentences one by one, each with its marker."""
        picks = choose(query.text or question, vectors, evidence)
        for piece in write(picks):
            yield piece


# ----------------------------------------------------------------------------------------------------------- choosing


def choose(question: str, vectors: QueryVectors, evidence: Sequence[Evidence]) -> list[Pick]:
    """Choose what to show: the best passage first, sentences in the order of their passage."""
    passages = [one.passage for one in evidence]
    terms = weigh(question, passages)
    scored = score_sentences(terms, vectors.sentence, passages)
    kind = asked_for(question)
    scores = [
        _answer_scores(kind, question, terms, passage, one) for passage, one in zip(passages, scored, strict=True)
    ]
    chosen = _best(evidence, scores)
    picks = [_with_context(evidence[place], indices) for place, indices in chosen.items()]
    return [pick for group in picks for pick in group]


def asked_for(question: str) -> str:
    """Return what kind of thing answers: amount, date, name, steps, or "" for anything."""
    return next((kind for kind, pattern in _KINDS if pattern.search(question)), "")


def _answer_scores(kind: str, question: str, terms: Terms, passage: Passage, one: Relevance) -> np.ndarray:
    """Score each sentence as an answer; minus infinity for what cannot be one."""
    context = terms.coverage(f"{passage.title} {passage.heading}")
    scores = one.total + HEADING_WEIGHT * context * (1 - one.lexical)
    known = names(question) | content_words(question)
    for index in range(len(scores)):
        start, end = passage.sentences[index]
        text = passage.text[start:end]
        if text.rstrip("*_ ").endswith("?"):
            _hand_on(scores, index)
        if not _may_answer(passage, index, text):
            scores[index] = -np.inf
        elif _is_kind(kind, text, known, item=is_item(passage, index)):
            scores[index] += KIND_BONUS
    return scores


def _hand_on(scores: np.ndarray, index: int) -> None:
    """What asks is answered by what follows: a question's score counts for the next sentence."""
    if index + 1 < len(scores):
        scores[index + 1] = max(float(scores[index + 1]), float(scores[index]) * 0.95)


def _may_answer(passage: Passage, index: int, text: str) -> bool:
    if is_rule(passage, index) or text.rstrip("*_ ").endswith("?") or text.lstrip().startswith("#"):
        return False
    if is_row(passage, index):
        return bool(support_of(passage, index))
    words = len(tokens(text))
    if words > RUN_ON and not _COMPLETE.search(text):
        return False
    return words >= (2 if is_item(passage, index) else 4) and "{{" not in text and not text.startswith("![")


def _is_kind(kind: str, text: str, known: frozenset[str], *, item: bool) -> bool:
    match kind:
        case "amount":
            return bool(numbers(text)) or any(word in NUMBER_WORDS and word != "one" for word in tokens(text))
        case "date":
            return bool(_DATED.search(text))
        case "name":
            return bool(names(text) - known)
        case "steps":
            return item or bool(_IMPERATIVE.match(text))
    return False


def _best(evidence: Sequence[Evidence], scores: Sequence[np.ndarray]) -> dict[int, list[int]]:
    """Return the indices chosen of each passage, the passage with the best one first."""
    ranked = sorted(
        ((float(score), place, index) for place, one in enumerate(scores) for index, score in enumerate(one)),
        key=lambda item: (-item[0], item[1], item[2]),
    )
    chosen: dict[int, list[int]] = {}
    shown: list[tuple[Vector, frozenset[str]]] = []
    for score, place, index in ranked:
        if len(shown) == MAX_SENTENCES or not np.isfinite(score) or (shown and score < NEAR_BEST * ranked[0][0]):
            break
        passage = evidence[place].passage
        vector = passage.sentence_vectors[index]
        start, end = passage.sentences[index]
        said = content_words(passage.text[start:end])
        if any(float(vector @ other) > 0.9 or said <= words for other, words in shown):
            continue
        shown.append((vector, said))
        chosen.setdefault(place, []).append(index)
    return chosen


def _with_context(evidence: Evidence, indices: Sequence[int]) -> list[Pick]:
    """Add what the chosen sentences cannot be read without, in the order of the passage."""
    passage = evidence.passage
    wanted = set(indices)
    for index in indices:
        start, end = passage.sentences[index]
        text = passage.text[start:end]
        wanted.update(support_of(passage, index))
        if text.rstrip("*_ ").endswith(":"):
            wanted.update(_items_after(passage, index))
        if _LEANS.match(text.lstrip("*_ ")) and index and _prose(passage, index) and _prose(passage, index - 1):
            wanted.add(index - 1)
    return [Pick(evidence, index) for index in sorted(wanted)]


def _items_after(passage: Passage, index: int) -> list[int]:
    """Return the items of the list that sentence `index` introduces, at most `MAX_ITEMS`."""
    items: list[int] = []
    for after in range(index + 1, min(index + 1 + MAX_ITEMS, len(passage.sentences))):
        if not is_item(passage, after):
            break
        items.append(after)
    return items


def _prose(passage: Passage, index: int) -> bool:
    return not is_item(passage, index) and not is_row(passage, index) and not _in_code(passage, index)


def _in_code(passage: Passage, index: int) -> bool:
    return len(_OPEN_FENCE.findall(passage.text, 0, passage.sentences[index][0])) % 2 == 1


# ------------------------------------------------------------------------------------------------------------ writing


def write(picks: Sequence[Pick]) -> list[str]:
    """Join the picks: prose runs on, list items and table rows keep their lines, another passage is a new paragraph."""
    pieces: list[str] = []
    before: Pick | None = None
    at = 0
    while at < len(picks):
        pick = picks[at]
        block = _block(picks, at)
        gap = _gap(before, pick) if before else ""
        last = pieces[-1] if pieces else ""
        if gap == " " and (block or not _ended(last)):
            gap = "\n"
        pieces.append(gap + (_written_block(block) if block else _written(pick)))
        before = block[-1] if block else pick
        at += len(block) or 1
    return pieces


def _gap(before: Pick, pick: Pick) -> str:
    if before.evidence is not pick.evidence:
        return "\n\n"
    passage = pick.evidence.passage
    if is_item(passage, pick.index):
        return "\n"
    if is_item(passage, before.index) or is_row(passage, before.index) or _in_code(passage, before.index):
        return "\n\n"
    return " "


def _ended(piece: str) -> bool:
    return bool(re.search(r"[.!?…][\"'”’)*_]*(?:\s*\[\d+\])+\s*\Z", piece))


def _block(picks: Sequence[Pick], at: int) -> list[Pick]:
    """Return the picks from `at` on that make one table or one stretch of code; empty for anything else."""
    first = picks[at]
    same = is_row if is_row(first.evidence.passage, first.index) else _in_code
    block: list[Pick] = []
    for pick in picks[at:]:
        if pick.evidence is not first.evidence or not same(pick.evidence.passage, pick.index):
            break
        block.append(pick)
    return block


def _written_block(block: Sequence[Pick]) -> str:
    passage, n = block[0].evidence.passage, block[0].evidence.n
    lines = [_line(passage, pick.index) for pick in block if not is_rule(passage, pick.index)]
    if is_row(passage, block[0].index):
        rule = "|" + "---|" * max(1, lines[0].strip().strip("|").count("|") + 1)
        return "\n".join((lines[0], rule, *lines[1:])) + f"\n[{n}]"
    return "\n".join(("```", *lines, "```")) + f"\n[{n}]"


def _line(passage: Passage, index: int) -> str:
    start, end = passage.sentences[index]
    return MARKER.sub("", passage.text[start:end])


def _written(pick: Pick) -> str:
    passage = pick.evidence.passage
    text = " ".join(_line(passage, pick.index).split())
    return f"{_list_marker(passage, pick.index)}{text} [{pick.evidence.n}]"


def _list_marker(passage: Passage, index: int) -> str:
    if not is_item(passage, index):
        return ""
    start = passage.sentences[index][0]
    marker = passage.text[passage.text.rfind("\n", 0, start) + 1 : start].strip()
    return f"{marker} " if marker[:1].isdigit() else "- "
