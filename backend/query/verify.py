"""Does the evidence support a sentence? Its facts must agree, its words be there, and its meaning be near. Pure.

A sentence that is the passage's own is supported as it stands. Otherwise no number, unit, name, negation or opposite
may disagree (`facts`), and an unweighted sum of what agrees must reach a threshold.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from backend.domain import Evidence, Passage, Span, Vector
from backend.query.facts import Facts, disagreement
from backend.query.generate import Drafted
from backend.query.words import MARKER, STOP_WORDS, content_words, names, numbers, stem, tokens

PARTS = 5
"""Cosine, coverage, order, numbers and names, at most 1 each. Their sum is unweighted: weights fitted on one labelled
set were worse on the others; see `docs/evaluation.md`."""
DISAGREEMENT_COST = 0.5
"""Off that sum for each kind of fact that disagrees, beside the share of numbers and names that is lost."""
SUPPORTED_FROM = 0.65
"""Least score; see `docs/evaluation.md` for the curve."""
DOUBTFUL_FROM = 0.55
"""From here to `DOUBTFUL_TO` a second opinion may decide, where there is one."""
DOUBTFUL_TO = 0.72
QUOTE_SENTENCES = 3
MAX_QUOTE = 600
FURTHER_QUOTES = 2
"""Besides the best one: what people marked as needed for one claim of `wice` is seldom more than three places."""
FURTHER_SHARE = 0.1
"""Of the sentence's words that a further quote must add to be worth a reader's eye."""
_UNREAD = re.compile(r"\s+|\(\s*\)")
"""What writing a sentence down may change but not its words: spaces, and the brackets of a label's lost link."""
_STOPS = (".", "!", "?")
_FENCE_OR_RULE = re.compile(r"(?:```|~~~).*\Z|\|[\s:|-]+\|?\Z")


@dataclass(frozen=True, slots=True)
class Support:
    """Passage `n` supports a sentence by the words at `quote` in its text; `score` is 0 to 1, 1 for a copy."""

    n: int
    quote: Span
    score: float


@dataclass(frozen=True, slots=True)
class Judged:
    """How well passages support a sentence together: `score` 0 to 1, the facts that disagree, and the `quotes` that
    were counted, each the place of a passage and a span in it, the best first."""

    score: float
    facts: Facts
    quotes: tuple[tuple[int, Span], ...] = ()

    @property
    def supported(self) -> bool:
        return not self.facts.kinds and self.score >= SUPPORTED_FROM

    @property
    def doubtful(self) -> bool:
        """Whether the score alone could go either way; facts that disagree leave no doubt."""
        return not self.facts.kinds and DOUBTFUL_FROM <= self.score < DOUBTFUL_TO


@dataclass(frozen=True, slots=True)
class Verdict:
    """What was found of one sentence: the `supports` that were counted, whether they suffice, and whether that is so
    near the threshold that a second opinion may decide."""

    supports: tuple[Support, ...] = ()
    supported: bool = False
    doubtful: bool = False

    @property
    def shown(self) -> tuple[Support, ...]:
        return self.supports if self.supported else ()


def verify(drafted: Drafted, vector: Vector | None, evidence: Sequence[Evidence]) -> Verdict:
    """Decide whether a sentence may be shown, and by which quotes.

    `vector` is the sentence on its own in the space of sentence vectors, None where it is known to be a copy. Markers
    that name no evidence are ignored; a sentence that its markers do not support, or that has none, is attributed to
    the evidence that supports it best.
    """
    if not content_words(drafted.text):
        return Verdict()
    cited = [one for n in drafted.markers for one in evidence if one.n == n]
    copies = copied_from(drafted, cited) or copied_from(drafted, evidence)
    if copies or vector is None:
        return Verdict(copies, supported=bool(copies))
    own = _verdict(drafted.text, vector, cited)
    if own.supported:
        return own
    others = (_verdict(drafted.text, vector, [one]) for one in evidence if [one] != cited)
    return max((own, *others), key=_rank)


def _rank(verdict: Verdict) -> tuple[bool, bool, float]:
    score = verdict.supports[0].score if verdict.supports else 0.0
    return verdict.supported, verdict.doubtful, score


def quoted(supports: Sequence[Support], evidence: Sequence[Evidence]) -> list[str]:
    """Return the words that the supports quote."""
    texts = {one.n: one.passage.text for one in evidence}
    return [texts[one.n][slice(*one.quote)] for one in supports]


def copied_from(drafted: Drafted, evidence: Sequence[Evidence]) -> tuple[Support, ...]:
    """Return the first passage that holds the sentence, or every line of the block, word for word."""
    lines = _lines(drafted.text) if drafted.block else [_plain(drafted.text)]
    for one in evidence:
        wanted = [line for line in lines if not drafted.block or line != _plain(one.passage.lead)]
        own = {_plain(one.passage.text[start:end]): (start, end) for start, end in one.passage.sentences}
        places = [own.get(line) or _within(line, own) for line in wanted]
        found = [span for span in places if span is not None]
        if wanted and len(found) == len(wanted):
            return (Support(one.n, _quote(found), 1.0),)
    return ()


def _within(line: str, own: Mapping[str, Span]) -> Span | None:
    """Return the sentence of a passage that holds `line` whole, between full stops: odd spaces hide where one ends."""
    if not line[:1].isupper() or not line.endswith(_STOPS):  # "5 million." is no sentence of "2.5 million."
        return None
    return next((span for plain, span in own.items() if f".{plain}".find(f".{line}") >= 0), None)


def _lines(block: str) -> list[str]:
    lines = (_plain(line) for line in block.splitlines())
    return [line for line in lines if line and not _FENCE_OR_RULE.match(line)]


def _quote(spans: Sequence[Span]) -> Span:
    """Return one span over all, or the last alone (a table's row without its header) where that grows too long."""
    whole = (min(start for start, _ in spans), max(end for _, end in spans))
    return whole if whole[1] - whole[0] <= MAX_QUOTE else spans[-1]


def _plain(text: str) -> str:
    return _UNREAD.sub("", MARKER.sub("", text))


def _verdict(text: str, vector: Vector, cited: Sequence[Evidence]) -> Verdict:
    """Check a sentence against passages that it cites, all together."""
    judged = judge(text, vector, [one.passage for one in cited])
    supports = tuple(Support(cited[place].n, span, judged.score) for place, span in judged.quotes)
    return Verdict(supports, judged.supported, judged.doubtful)


def judge(text: str, vector: Vector, passages: Sequence[Passage]) -> Judged:
    """Score how well the passages support `text` together; `vector` is `text` in the space of sentence vectors."""
    words = content_words(text)
    sentences = [one for place, passage in enumerate(passages) for one in _sentences(place, passage)]
    if not words or not sentences:
        return Judged(0.0, Facts())
    about = " ".join(_about(passage) for passage in passages)
    facts = disagreement(text, [one.text for one in sentences], about=about)
    rows = [passage.sentence_vectors[: len(passage.sentences)] for passage in passages]
    cosines = np.concatenate(rows) @ vector
    known = frozenset().union(*(content_words(f"{one.title} {one.heading} {one.lead}") for one in passages))
    quotes, covered = _quotes(words, cosines, passages, sentences)
    parts = (
        max(0.0, float(cosines.max())),
        len(words & (covered | known)) / len(words),
        1 - len(facts.numbers) / max(1, len(numbers(text)), len(facts.numbers)),
        1 - len(facts.names) / max(1, len(names(text))),
        _order(text, sentences),
    )
    return Judged(max(0.0, sum(parts) - DISAGREEMENT_COST * facts.kinds) / PARTS, facts, quotes)


@dataclass(frozen=True, slots=True)
class _Sentence:
    """Sentence `index` of the passage at `place`."""

    place: int
    index: int
    text: str
    words: frozenset[str]


def _sentences(place: int, passage: Passage) -> list[_Sentence]:
    spans = passage.sentences[: len(passage.sentence_vectors)]
    return [
        _Sentence(place, index, passage.text[start:end], content_words(passage.text[start:end]))
        for index, (start, end) in enumerate(spans)
    ]


def _about(passage: Passage) -> str:
    """Return what is known of a passage besides its text: a sentence may name its document, author or date."""
    dated = f"{passage.published_at:%d %B %Y %m}" if passage.published_at else ""
    return " ".join((passage.title, passage.heading, passage.lead, passage.author or "", passage.source, dated))


def _quotes(
    words: frozenset[str], gains: np.ndarray, passages: Sequence[Passage], sentences: Sequence[_Sentence]
) -> tuple[tuple[tuple[int, Span], ...], frozenset[str]]:
    """Return the best-supporting span, further ones while they add enough words, and the words that they cover."""
    shared = [words & one.words for one in sentences]
    first = max(range(len(sentences)), key=lambda at: len(shared[at]) / len(words) + float(gains[at]))
    low, high = _window(passages, sentences, shared, gains, first)
    ranges = [(low, high)]
    covered = frozenset().union(*shared[low : high + 1])
    while len(ranges) <= FURTHER_QUOTES:
        best = max(range(len(sentences)), key=lambda at: (len(shared[at] - covered), float(gains[at])))
        if len(shared[best] - covered) < FURTHER_SHARE * len(words):
            break
        ranges.append((best, best))
        covered |= shared[best]
    return tuple(_quoted(passages, sentences[low], sentences[high]) for low, high in ranges), covered


def _quoted(passages: Sequence[Passage], first: _Sentence, last: _Sentence) -> tuple[int, Span]:
    spans = passages[first.place].sentences
    return first.place, (spans[first.index][0], spans[last.index][1])


def _window(
    passages: Sequence[Passage],
    sentences: Sequence[_Sentence],
    shared: Sequence[frozenset[str]],
    gains: np.ndarray,
    best: int,
) -> Span:
    """Widen the best sentence by neighbours, at most `QUOTE_SENTENCES` in all, while they bring new words."""
    low = high = best
    spans = passages[sentences[best].place].sentences
    while high - low + 1 < QUOTE_SENTENCES:
        held = frozenset().union(*shared[low : high + 1])
        sides = [at for at in (low - 1, high + 1) if _joins(sentences, best, at)]
        side = max(sides, key=lambda at: (len(shared[at] - held), float(gains[at])), default=None)
        if side is None or not shared[side] - held:
            break
        wider = min(low, side), max(high, side)
        if spans[sentences[wider[1]].index][1] - spans[sentences[wider[0]].index][0] > MAX_QUOTE:
            break
        low, high = wider
    return low, high


def _joins(sentences: Sequence[_Sentence], best: int, at: int) -> bool:
    return 0 <= at < len(sentences) and sentences[at].place == sentences[best].place


def _order(text: str, sentences: Sequence[_Sentence]) -> float:
    """Return the share of neighbouring content words of `text` that stand within two of each other in a sentence."""
    sequence = _sequence(text)
    pairs = list(itertools.pairwise(sequence))
    if not pairs:
        return 1.0 if any(sequence and sequence[0] in one.words for one in sentences) else 0.0
    kept = frozenset().union(*(_near_pairs(one.text) for one in sentences))
    return sum(pair in kept for pair in pairs) / len(pairs)


@lru_cache(maxsize=8_192)
def _sequence(text: str) -> tuple[str, ...]:
    return tuple(stem(word) for word in tokens(text) if word not in STOP_WORDS)


@lru_cache(maxsize=8_192)
def _near_pairs(text: str) -> frozenset[tuple[str, str]]:
    sequence = _sequence(text)
    return frozenset((*itertools.pairwise(sequence), *zip(sequence, sequence[2:], strict=False)))
