"""The conditions that a question puts on documents: mentions and dates, believed, joined, turned into filters. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from backend.domain import And, Catalogue, Condition, FieldValue, Not, Span
from backend.query.dated import limiting_dates
from backend.query.dates import DateRange, find_dates
from backend.query.guess import Guess, overlap
from backend.query.lexicon import Mention, lexicon_of
from backend.query.measures import read_measures
from backend.query.phrase import Phrase
from backend.query.scene import Scene
from backend.query.titles import read_titles
from backend.query.unknown import unknown_names

_LISTED = ("author", "tags")
"""Fields of which a document may have several values."""
_CERTAINTY = {"whole": 1.0, "alias": 0.9, "part": 0.85, "misspelt": 0.65}
"""What a spelling is worth beside the construction."""
_SURE = 0.8
"""Certainty of a source from which a question is taken to speak of sources."""


@dataclass(frozen=True, slots=True)
class _Believed:
    """A mention that limits documents, and whether it must not hold."""

    mention: Mention
    certainty: float
    negative: bool


def read_conditions(text: str, catalogue: Catalogue, now: datetime) -> tuple[tuple[Guess, ...], tuple[str, ...]]:
    """Return the conditions that `text` puts on documents, in its order, and notices of names that are unknown."""
    phrase = Phrase.of(text)
    dates = find_dates(text, now)
    mentions = [one for one in lexicon_of(catalogue).mentions(phrase) if not _is_date(phrase, one, dates)]
    dates = [date for date in dates if not any(_inside(phrase, date, one) for one in mentions)]
    scene = Scene.of(phrase, mentions, dates)
    believed = _believe(scene)
    guesses = [*_guesses(scene, believed)]
    for guess in (
        *read_titles(text, catalogue),
        *read_measures(text, catalogue, now, spoken=next(phrase.documents(), None) is not None),
    ):
        if not any(overlap(guess.span, other.span) for other in guesses):
            guesses.append(guess)
    guesses += limiting_dates(scene, guesses)
    ordered = sorted(guesses, key=lambda guess: guess.span)
    return tuple(ordered), tuple(dict.fromkeys(unknown_names(text, catalogue, guesses)))


def has_signs(text: str, catalogue: Catalogue, now: datetime) -> bool:
    """Whether `text` may limit documents: it names a value or a date, or uses the words for limiting."""
    phrase = Phrase.of(text)
    named = any(one.kind != "misspelt" and one.cased for one in lexicon_of(catalogue).mentions(phrase))
    return named or bool(find_dates(text, now)) or _SIGNS.search(text) is not None


_SIGNS = re.compile(
    r"\b(?:written|posted|published|created|authored|updated|tagged|labell?ed|dated)\b|\bby\s+[A-Z]|"
    r"\b(?:only|except|excluding|newer|older|latest|since|before|after)\b|\b\w+:\s*\w",
)


def _is_date(phrase: Phrase, one: Mention, dates: Sequence[DateRange]) -> bool:
    """Whether the mention is only part of a date: the "May" of "May 2024" is nobody."""
    start, end = phrase.tokens[one.start].start, phrase.tokens[one.end - 1].end
    return any(date.core[0] <= start and end <= date.core[1] for date in dates)


def _inside(phrase: Phrase, date: DateRange, one: Mention) -> bool:
    start, end = phrase.tokens[one.start].start, phrase.tokens[one.end - 1].end
    return start <= date.core[0] and date.core[1] <= end


# -------------------------------------------------------------------------------------------------------------- belief


def _believe(scene: Scene) -> list[_Believed]:
    """Return the mentions that limit documents; of those that overlap, the most certain."""
    scored = [(certainty, one) for one in scene.mentions if (certainty := _certainty(scene, one)) > 0]
    scored += _joined_to(scene, scored)
    scored += _in_company(scene, scored)
    scored.sort(key=lambda pair: (-pair[0], pair[1].start - pair[1].end))
    kept: list[_Believed] = []
    for certainty, one in scored:
        if not any(one.start < other.mention.end and other.mention.start < one.end for other in kept):
            kept.append(_Believed(one, certainty, _negative(scene, one)))
    said = {value for one in kept if not one.negative for value in one.mention.values}
    kept = [one for one in kept if not (one.negative and said & set(one.mention.values))]
    return sorted(kept, key=lambda believed: believed.mention.start)


def _certainty(scene: Scene, one: Mention) -> float:
    """Return how certain it is that the mention limits documents, 0 where nothing says so."""
    if one.field == "author":
        construction = _by_author(scene, one)
    elif one.field == "source":
        construction = _by_source(scene, one)
    else:
        construction = _by_value(scene, one)
    return construction * _CERTAINTY[one.kind]


def _by_author(scene: Scene, one: Mention) -> float:
    if one.kind == "part" and not one.cased:
        return 0.0
    if scene.by(one) or scene.possesses(one) or scene.writes(one) or scene.heads(one):
        return 0.95
    return 0.7 if scene.named_with_documents(one) else 0.0


def _by_source(scene: Scene, one: Mention) -> float:
    if scene.of_its_field(one):
        return 0.9
    if scene.comes_from(one):
        return 0.85 if one.cased and one.kind != "misspelt" else 0.6
    return 0.8 if scene.unmistakable(one) else 0.0


def _by_value(scene: Scene, one: Mention) -> float:
    if _is_count(scene, one):
        return 0.0
    if scene.of_its_field(one):
        return 0.9
    if scene.left_out(one):
        return 0.85
    if scene.attributive(one) or scene.predicate(one):
        if _is_one_document(scene, one):
            return 0.0
        loose = scene.stands_for_another(one) or (one.field in ("tags", "doc_type") and not one.cased)
        return 0.6 if loose else 0.85
    if one.field in ("status", "type", "doc_type") and scene.plural_head(one):
        return 0.6 if one.field == "doc_type" else 0.8
    if one.field == "language" and scene.phrase.word(one.start - 1) == "in" and scene.phrase.is_document(one.start - 2):
        return 0.6
    if one.field not in ("tags", "doc_type", "language") and scene.behind_noun(one):
        return 0.8
    return 0.55 if one.field == "tags" and scene.topical(one) else 0.0


def _is_one_document(scene: Scene, one: Mention) -> bool:
    """Whether "the packaging spec" names one document by its subject: a tag in small letters, and nothing else said."""
    named = one.field == "tags" and not one.cased and scene.phrase.word(one.start - 1) == "the"
    noun = scene.noun_after(one.end, unknown=1)
    alone = len(scene.mentions) + len(scene.dates) == 1
    return named and alone and noun is not None and not scene.phrase.word(noun).endswith("s")


def _is_count(scene: Scene, one: Mention) -> bool:
    """Whether a whole number would be taken for a value without its field being named."""
    return all(str(value).isdigit() for value in one.values) and not scene.of_its_field(one)


def _joined_to(scene: Scene, scored: Sequence[tuple[float, Mention]]) -> list[tuple[float, Mention]]:
    """Return mentions that "and", "or" or a comma joins to a believed one of the same field."""
    believed = {id(one): certainty for certainty, one in scored}
    found: list[tuple[float, Mention]] = []
    for around in (scene.mentions, list(reversed(scene.mentions))):
        for first, second in _neighbours(around):
            certainty = believed.get(id(first))
            if certainty and id(second) not in believed and _linked(scene, first, second):
                believed[id(second)] = certainty * 0.95
                found.append((certainty * 0.95, second))
    return found


def _neighbours(mentions: Sequence[Mention]) -> Iterator[tuple[Mention, Mention]]:
    for at, first in enumerate(mentions):
        following = [one for one in mentions[at + 1 :] if one.field == first.field]
        if following:
            yield first, following[0]


def _in_company(scene: Scene, scored: Sequence[tuple[float, Mention]]) -> list[tuple[float, Mention]]:
    """Return the other sources that a question names beside one that is believed: it speaks of sources."""
    believed = {id(one) for _, one in scored}
    if not any(one.field == "source" and certainty >= _SURE for certainty, one in scored):
        return []
    others = [one for one in scene.mentions if one.field == "source" and id(one) not in believed]
    return [(0.7, one) for one in others if one.kind == "whole" and scene.is_name(one)]


_JOIN = re.compile(
    r"['’]?s?['’\"”]?\s*(?:,|,?\s*(?:and|or|nor|but\s+not|as\s+well\s+as|&|/|and\s*/\s*or)\s*)"
    r"\s*(?:by|from|the|also)?\s*(?:the\s+)?['‘\"“]?"
)
"""What may stand between two values that belong together, quotation marks and prepositions of each included."""


def _linked(scene: Scene, first: Mention, second: Mention) -> str:
    """Return "or" or "and" where nothing but that joins the two, "" where they are apart."""
    left, right = (first, second) if first.start < second.start else (second, first)
    text = scene.phrase.text[scene.phrase.tokens[left.end - 1].end : scene.phrase.tokens[right.start].start].lower()
    if _JOIN.fullmatch(text) is None:
        return ""
    return "and" if re.search(r"\band\b(?!\s*/)|&|as well", text) else "or"


def _negative(scene: Scene, one: Mention) -> bool:
    start = one.start
    while start > 0 and scene.phrase.word(start - 1) in ("by", "from", "the", "in", "tagged", "with", "about", "on"):
        start -= 1
    return scene.negated(start) or scene.negated(one.start)


# ------------------------------------------------------------------------------------------------------------- filters


def _guesses(scene: Scene, believed: Sequence[_Believed]) -> Iterator[Guess]:
    """Yield a guess per group: values of one field that the words join, else one each."""
    rest = list(believed)
    while rest:
        group = [rest.pop(0)]
        links = []
        for other in list(rest):
            if other.mention.field == group[0].mention.field and (link := _group_link(scene, group[-1], other)):
                group.append(other)
                links.append(link)
                rest.remove(other)
        yield _guess(scene, group, "and" if "and" in links and "or" not in links else "or")


def _group_link(scene: Scene, first: _Believed, second: _Believed) -> str:
    """Return how two believed values of one field go together: several of a field that holds one are alternatives."""
    if first.negative != second.negative:
        return ""
    if link := _linked(scene, first.mention, second.mention):
        return link
    alternatives = first.mention.field not in _LISTED
    return "or" if alternatives else ""


def _guess(scene: Scene, group: Sequence[_Believed], link: str) -> Guess:
    first = group[0].mention
    values = tuple(dict.fromkeys(value for one in group for value in one.mention.values))
    either = _condition(first.field, values)
    span = _span(scene, group)
    certainty = min(one.certainty for one in group)
    if group[0].negative:
        return Guess(Not(either), span, certainty)
    if link == "and" and first.field in _LISTED and len(group) > 1:
        both = And(tuple(_condition(first.field, one.mention.values) for one in group))
        return Guess(both, span, certainty, looser=either)
    return Guess(either, span, certainty)


def _condition(field: str, values: Sequence[FieldValue]) -> Condition:
    if len(values) > 1:
        return Condition("in", field, tuple(values))
    return Condition("contains" if field == "tags" else "eq", field, values[0])


def _span(scene: Scene, group: Sequence[_Believed]) -> Span:
    """Return where the words stand, with a preposition before and a possessive after."""
    phrase = scene.phrase
    first, last = group[0].mention.start, group[-1].mention.end
    while first > 0 and phrase.word(first - 1) in ("by", "tagged") and not phrase.parted(first):
        first -= 1
    return phrase.tokens[first].start, phrase.tokens[phrase.possessive(last) - 1].end
