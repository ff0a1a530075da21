"""Answers by quoting: picks the few sentences that answer and puts them in a readable order. No model call."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass

import numpy as np

from backend.domain import Evidence, Passage, Query, QueryVectors, Vector
from backend.query.compress import is_item, is_row, is_rule, led, support_of
from backend.query.conflicts import find_conflicts
from backend.query.relevance import Relevance, Terms, score_sentences, weigh
from backend.query.words import MARKER, MONTHS, NUMBER_WORDS, content_words, names, numbers, tokens
from backend.sentences import sentence_spans
from backend.turnstile import my_turn

MAX_SENTENCES = 4
MAX_ITEMS = 8
"""Items of one list that are shown together: a list of steps is worth little without its end."""
NEAR_BEST = 0.78
"""A further sentence of the best one's document is shown when it scores at least this share of the best one."""
NEAR_BEST_ELSEWHERE = 0.9
"""The same for another document: on the labelled sets this costs no answer, and side remarks stay away."""
LEXICAL_BONUS = 0.15
"""Of the question's words that a sentence holds, beside what compression counts: what is shown must be to the point."""
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
    ("steps", re.compile(r"\bhow\s+(?:do|does|can|should|would|to|is|are|did)\b", re.IGNORECASE)),
)
_ASKING = re.compile(
    r"\A\W*(?:is|are|was|were|do|does|did|can|could|may|must|shall|should|will|would|has|have|had)\b"
    r"|\b(?:how|wh(?:o|om|ose|en|at|ich|y|ere))\b",
    re.IGNORECASE,
)
_STEPS = re.compile(r"\bsteps?\b", re.IGNORECASE)
_PLACEHOLDER = re.compile(
    r"\[(?:[A-Z](?:\s[^\]\n]{1,40})?|(?i:insert|your|enter|number|amount|date|name|tbd|tbc)\b[^\]\n]{0,40})\](?![\[(])"
    r"|\bTB[DCA]\b|\bX{2,}\b|_{3,}|\{\{"
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
    prompt_hash: str = ""

    async def draft(
        self,
        question: str,
        query: Query,
        vectors: QueryVectors,
        evidence: Sequence[Evidence],
    ) -> AsyncIterator[str]:
        """Yield the chosen sentences one by one, each with its marker."""
        await my_turn()
        picks = choose(query.text or question, vectors, evidence)
        for piece in write(picks):
            yield piece


# ----------------------------------------------------------------------------------------------------------- choosing


def choose(question: str, vectors: QueryVectors, evidence: Sequence[Evidence]) -> list[Pick]:
    """Choose what to show: the passage with the best sentence first, in it the stretch with its best sentence first
    (steps keep their order), within a stretch the order of the passage."""
    passages = [one.passage for one in evidence]
    terms = weigh(question, passages)
    scored = score_sentences(terms, vectors.sentence, passages)
    kind = asked_for(question)
    scores = [
        _answer_scores(kind, question, terms, passage, one) for passage, one in zip(passages, scored, strict=True)
    ]
    best = _best(evidence, scores)
    if kind in ("amount", "date", "name") and _is_blank(best, evidence):
        return []
    chosen = with_conflicts(best, evidence)
    picks = [_with_context(evidence[place], indices) for place, indices in chosen.items()]
    ordered = (
        group if kind == "steps" else _best_stretch_first(group, chosen[place])
        for place, group in zip(chosen, picks, strict=True)
    )
    return [pick for group in ordered for pick in group]


def _is_blank(chosen: dict[int, list[int]], evidence: Sequence[Evidence]) -> bool:
    """Whether the best sentence is a form that nobody filled in: "[X days] per year" says how many to nobody."""
    place = next(iter(chosen), None)
    if place is None:
        return False
    passage = evidence[place].passage
    start, end = passage.sentences[chosen[place][0]]
    return _PLACEHOLDER.search(passage.text, start, end) is not None


def with_conflicts(chosen: dict[int, list[int]], evidence: Sequence[Evidence]) -> dict[int, list[int]]:
    """Where a chosen sentence is disagreed with by another document, show both, the newer first."""
    pairs = [
        (one.newer, one.older)
        for one in find_conflicts(evidence)
        if any(side.index in chosen.get(side.place, ()) for side in (one.newer, one.older))
    ]
    ordered: dict[int, list[int]] = {}
    for side in dict.fromkeys(side for pair in pairs[:1] for side in pair):
        ordered[side.place] = [side.index, *(index for index in chosen.get(side.place, ()) if index != side.index)]
    return ordered | {place: indices for place, indices in chosen.items() if place not in ordered}


def _best_stretch_first(picks: Sequence[Pick], best: Sequence[int]) -> list[Pick]:
    """Order the stretches of neighbouring sentences by the first of `best` (indices, best first) that each holds;
    lists, tables and code stay as they are."""
    if not all(_prose(pick.evidence.passage, pick.index) for pick in picks):
        return list(picks)
    stretches: list[list[Pick]] = []
    for pick in picks:
        if stretches and pick.index == stretches[-1][-1].index + 1:
            stretches[-1].append(pick)
        else:
            stretches.append([pick])
    rank = {index: place for place, index in enumerate(best)}
    stretches.sort(key=lambda stretch: min(rank.get(pick.index, len(rank)) for pick in stretch))
    return [pick for stretch in stretches for pick in stretch]


def asked_for(question: str) -> str:
    """Return what kind of thing answers: amount, date, name, steps, or "" for anything.

    The first question word decides; "when" and "who" behind another, or in a question for yes or no, only join clauses.
    """
    asking = _ASKING.search(question)
    start = asking.start() if asking else len(question)
    return next(
        (kind for kind, pattern in _KINDS if pattern.match(question, start)), "steps" if _STEPS.search(question) else ""
    )


def _answer_scores(kind: str, question: str, terms: Terms, passage: Passage, one: Relevance) -> np.ndarray:
    """Score each sentence as an answer; minus infinity for what cannot be one."""
    context = terms.coverage(f"{passage.title} {passage.heading}")
    scores: np.ndarray = one.total + LEXICAL_BONUS * one.lexical + HEADING_WEIGHT * context * (1 - one.lexical)
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
        return index < led(passage) or bool(support_of(passage, index))
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
    """Return the indices chosen of each passage, best first, the passage with the best one first."""
    ranked = sorted(
        ((float(score), place, index) for place, one in enumerate(scores) for index, score in enumerate(one)),
        key=lambda item: (-item[0], item[1], item[2]),
    )
    chosen: dict[int, list[int]] = {}
    shown: list[tuple[Vector, frozenset[str]]] = []
    for score, place, index in ranked:
        if len(shown) == MAX_SENTENCES or not np.isfinite(score):
            break
        if shown and score < ranked[0][0] * _share(evidence[place], evidence[ranked[0][1]]):
            continue
        passage = evidence[place].passage
        vector = passage.sentence_vectors[index]
        start, end = passage.sentences[index]
        said = content_words(passage.text[start:end])
        if any(float(vector @ other) > 0.9 or said <= words for other, words in shown):
            continue
        shown.append((vector, said))
        chosen.setdefault(place, []).append(index)
    return chosen


def _share(one: Evidence, best: Evidence) -> float:
    return NEAR_BEST if one.passage.document_id == best.passage.document_id else NEAR_BEST_ELSEWHERE


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
        if _LEANS.match(text.lstrip("*_ ")) and _prose(passage, index) and _can_be_leant_on(passage, index - 1):
            wanted.add(index - 1)
    return [Pick(evidence, index) for index in sorted(wanted)]


def _can_be_leant_on(passage: Passage, index: int) -> bool:
    """Whether there is such a sentence, and it is one rather than a heading."""
    if index < 0 or not _prose(passage, index):
        return False
    start, end = passage.sentences[index]
    return _COMPLETE.search(passage.text[start:end]) is not None


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
        piece = _written_block(block) if block else _written(pick)
        if gap == " " and (block or not _parts(last, piece)):
            gap = "\n"
        pieces.append(gap + piece)
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


def _parts(last: str, piece: str) -> bool:
    """Whether the two stay two sentences when written on one line."""
    line = f"{last.strip()} {piece}"
    return any(end == len(last.strip()) for _, end in sentence_spans(line))


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
    if block[0].index < led(passage):
        lines.insert(0, MARKER.sub("", passage.lead))
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
