"""Pairs of questions: the same in other words, or almost the same words for something else."""

from __future__ import annotations

import random
import re
from collections import defaultdict
from dataclasses import dataclass
from typing import Literal

from backend.query.words import STOP_WORDS
from tests.evals.corpora import Case, load_cases

Kind = Literal["polite", "keywords", "reordered", "other question", "other number", "other name", "opposite"]
_NUMBER = re.compile(r"\b\d{2,4}\b")
_NAME = re.compile(r"(?<=[a-z,] )[A-Z][a-z]{3,}\b")
_OPPOSITES = {
    "first": "last", "most": "least", "highest": "lowest", "largest": "smallest", "before": "after", "won": "lost",
    "more": "less", "maximum": "minimum", "born": "dead", "north": "south", "oldest": "youngest", "began": "ended",
}  # fmt: skip
_FRONTED = re.compile(r"(?P<head>.+?) (?P<tail>(?:in|during|at|on) [^,?]+)\?\Z")


@dataclass(frozen=True, slots=True)
class Pair:
    """The second question asks the same as the first, or it does not."""

    asked: str
    then: str
    kind: Kind

    @property
    def same(self) -> bool:
        return self.kind in ("polite", "keywords", "reordered")


def build(name: str, *, questions: int, seed: int = 11) -> list[Pair]:
    """Return every pair that can be made of `questions` questions of a set: rules make the paraphrases and the edits;
    other questions about the same document are as their authors wrote them."""
    cases = load_cases(name)
    chance = random.Random(seed)
    by_document: defaultdict[str, list[Case]] = defaultdict(list)
    for case in cases:
        by_document[case.gold[0] if case.gold else ""].append(case)
    names = sorted({found for case in cases for found in _NAME.findall(case.question)})
    pairs: list[Pair] = []
    for case in chance.sample(cases, min(questions, len(cases))):
        pairs += _paraphrases(case.question)
        pairs += _near_misses(case.question, names, chance)
        others = [one.question for one in by_document[case.gold[0] if case.gold else ""] if one.qid != case.qid]
        pairs += [Pair(case.question, other, "other question") for other in others[:2]]
    return pairs


def _paraphrases(text: str) -> list[Pair]:
    plain = text.rstrip("?")
    words = [word for word in plain.split() if word.lower() not in STOP_WORDS]
    pairs = [
        Pair(text, f"Could you please tell me: {plain[0].lower()}{plain[1:]}?", "polite"),
        Pair(text, " ".join(words), "keywords"),
    ]
    if fronted := _FRONTED.match(text):
        head, tail = fronted["head"], fronted["tail"]
        pairs.append(Pair(text, f"{tail[0].upper()}{tail[1:]}, {head[0].lower()}{head[1:]}?", "reordered"))
    return pairs


def _near_misses(text: str, names: list[str], chance: random.Random) -> list[Pair]:
    pairs: list[Pair] = []
    if number := _NUMBER.search(text):
        pairs.append(Pair(text, text.replace(number[0], str(int(number[0]) + 7), 1), "other number"))
    if name := _NAME.search(text):
        other = chance.choice([one for one in names if one != name[0]])
        pairs.append(Pair(text, text.replace(name[0], other, 1), "other name"))
    for word, opposite in _OPPOSITES.items():
        if re.search(rf"\b{word}\b", text):
            pairs.append(Pair(text, re.sub(rf"\b{word}\b", opposite, text, count=1), "opposite"))
    return pairs
