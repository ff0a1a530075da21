"""Do the hard facts of a sentence agree with its evidence? Numbers, units, dates, names, negation, opposites. Pure.

Each check names the words that disagree, so that one wrong fact in an otherwise faithful sentence is found where
similarity cannot see it. All are one-sided: what the evidence says and the sentence leaves out is no disagreement.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

from backend.query.words import (
    MONTHS,
    NUMBER_WORDS,
    STOP_WORDS,
    fold,
    names,
    numbers,
    spoken_numbers,
    stem,
    tokens,
)

_UNITS = (
    "second minute hour day night week fortnight month quarter year decade century percent dollar euro pound cent "
    "kilometre kilometer km metre meter mile foot inch kilogram kg gram ton tonne litre liter gb mb tb degree"
)
UNITS = frozenset(map(stem, _UNITS.split()))
_SIGNS = {"%": "percent", "$": "dollar", "€": "euro", "£": "pound"}
_QUANTITY = re.compile(
    rf"(?P<before>[$€£])?\s?(?<![\w.])(?P<value>\d+(?:[.,]\d+)*|\b(?:{'|'.join(NUMBER_WORDS)})\b)"
    r"(?:\s?(?P<sign>%|[$€£])|(?=[\s-]+(?P<word>[a-z]+)))?"
)
_SPAN_OF_YEARS = re.compile(r"\b((?:1[89]|20)\d\d)[–—/-](\d\d)\b")

_CUES = (
    "not never no without nor neither none nobody nothing cannot except excluding unable fail fails failed failing "
    "lack lacks lacked lacking refuse refuses refused hardly forbidden prohibited"
)
CUES = frozenset(_CUES.split())
"""Words that turn what follows into its opposite, besides `n't`."""
WAIVED = frozenset({"free", "complimentary", "waived", "exempt"})
"""Words that say "no cost" without a cue."""
SCOPE = 3
"""Content words behind a cue that it turns; further off it is another statement's matter."""
_NEGATIVE_PREFIXES = ("un", "in", "im", "ir", "il", "non", "dis", "mis")
_OPPOSITES = (
    "increase/decrease raise/lower rise/fall more/less more/fewer most/least maximum/minimum above/below over/under "
    "before/after first/last early/late earliest/latest start/end begin/end open/close enable/disable allow/forbid "
    "accept/reject approve/reject include/exclude internal/external public/private optional/mandatory "
    "optional/required voluntary/mandatory temporary/permanent full/partial whole/partial complete/partial "
    "general/specific wide/narrow wide/limited broad/narrow unlimited/limited high/low long/short large/small "
    "big/small cheap/expensive easy/difficult easy/hard simple/complex quick/slow fast/slow new/old newest/oldest "
    "best/worst better/worse positive/negative success/failure succeed/fail win/lose gain/loss profit/loss "
    "buy/sell import/export arrive/leave enter/leave employer/employee lender/borrower buyer/seller senior/junior "
    "northern/southern eastern/western left/right male/female man/woman men/women mother/father son/daughter "
    "brother/sister husband/wife always/never all/none all/some every/some both/neither must/may strong/weak hot/cold "
    "dry/wet light/dark safe/dangerous rich/poor major/minor free/paid predecessor/successor previous/next past/future "
    "second/minute/hour/day/week/month/quarter/year/decade/century hourly/daily/weekly/monthly/quarterly/yearly "
    "hourly/daily/weekly/monthly/quarterly/annual/annually north/south/east/west first/second/third/fourth/fifth "
    "monday/tuesday/wednesday/thursday/friday/saturday/sunday morning/afternoon/evening/night "
    "spring/summer/autumn/winter "
)


def _grouped(groups: str) -> dict[str, frozenset[str]]:
    found: dict[str, set[str]] = {}
    for group in groups.split():
        members = {stem(word) for word in group.split("/")}
        for word in members:
            found.setdefault(word, set()).update(members - {word})
    return {word: frozenset(others) for word, others in found.items()}


OPPOSITES = _grouped(_OPPOSITES + "/".join(MONTHS))
"""Stems of common English words → the stems that exclude them in the same place."""
BESIDE = 2
"""Words on either side by which two words are taken to stand in the same place."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What of a sentence disagrees with its evidence: values that stand nowhere in it, and words it says otherwise."""

    numbers: frozenset[str] = field(default=frozenset())
    names: frozenset[str] = field(default=frozenset())
    turned: frozenset[str] = field(default=frozenset())

    @property
    def kinds(self) -> int:
        """Return how many kinds disagree: 0 means that all facts agree."""
        return sum(map(bool, (self.numbers, self.names, self.turned)))


def disagreement(text: str, evidence: Sequence[str], *, about: str = "") -> Facts:
    """Compare a sentence with the sentences of its evidence; `about` are facts of the documents: titles, dates, …"""
    whole = "\n".join((about, *evidence))
    return Facts(missing_numbers(text, whole), missing_names(text, whole), turned(text, evidence))


# ------------------------------------------------------------------------------------------------- numbers and units


def missing_numbers(text: str, whole: str) -> frozenset[str]:
    """Return the numbers of `text`, in digits or words, that `whole` does not hold, or holds only of another unit.

    A small number in words may count what the evidence lists; it is missing only where that counts something else.
    """
    known = numbers(whole) | spoken_numbers(whole)
    units: dict[str, set[str]] = {}
    counted: dict[str, set[str]] = {}
    for one in _quantities(whole):
        units.setdefault(one.value, set()).add(one.unit)
        counted.setdefault(one.of, set()).add(one.value)
    absent = numbers(_years(text)) - known
    swapped = {
        one.value
        for one in _quantities(text)
        if (one.value in units and one.unit and not units[one.value] & {one.unit, ""})
        or (one.spoken and one.value not in known and one.of and counted.get(one.of))
    }
    return frozenset(absent | swapped)


def _years(text: str) -> str:
    """Write "2018–19" out, so that its end is a year."""
    return _SPAN_OF_YEARS.sub(lambda match: f"{match.group(1)} {match.group(1)[:2]}{match.group(2)}", text)


@dataclass(frozen=True, slots=True)
class _Quantity:
    """A value, the unit that stands with it ("" for none), and the stem of the word behind it ("" for none)."""

    value: str
    unit: str
    of: str
    spoken: bool


@lru_cache(maxsize=1_024)
def _quantities(text: str) -> frozenset[_Quantity]:
    return frozenset(found for match in _QUANTITY.finditer(fold(text)) if (found := _quantity(match)) is not None)


def _quantity(match: re.Match[str]) -> _Quantity | None:
    spoken = not match["value"][0].isdigit()
    value = NUMBER_WORDS.get(match["value"], "") if spoken else _plain_number(match["value"])
    if not value or match["value"] in ("one", "once"):
        return None
    word = match["word"] or ""
    sign = match["before"] or match["sign"]
    of = "" if word in STOP_WORDS or word in NUMBER_WORDS else stem(word)
    return _Quantity(value, _SIGNS[sign] if sign else of if of in UNITS else "", of, spoken)


def _plain_number(value: str) -> str:
    return next(iter(numbers(value)), value)


# ------------------------------------------------------------------------------------------------------------- names


def missing_names(text: str, whole: str) -> frozenset[str]:
    """Return the names of `text` that `whole` holds in no form ("Nazism" is "Nazi", "U.S." is "US")."""
    held = _forms(whole)
    squeezed = _squeeze(whole)
    return frozenset(
        name
        for name in names(text)
        if not name.isdigit() and name not in held and _squeeze(name) not in squeezed and not _kin(name, held)
    )


@lru_cache(maxsize=256)
def _forms(whole: str) -> frozenset[str]:
    words = set(tokens(whole))
    return frozenset(words | {part for word in words for part in re.split(r"['’]", word)})


@lru_cache(maxsize=256)
def _squeeze(text: str) -> str:
    return re.sub(r"[^\w]", "", fold(text))


def _kin(name: str, held: Iterable[str]) -> bool:
    return name.isalpha() and any(alike(name, word) for word in held)


def alike(one: str, other: str) -> bool:
    """Whether two words are of one family: their beginnings agree, at least four letters and 70 % of the longer."""
    longer = max(len(one), len(other))
    if one[:4] != other[:4] or min(len(one), len(other)) < 4:
        return one == other
    shared = next((at for at, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))
    return shared >= 0.7 * longer


# ------------------------------------------------------------------------------------------- negation and opposites


def turned(text: str, evidence: Sequence[str]) -> frozenset[str]:
    """Return the words of `text` that the evidence says the other way round: negated here and nowhere there, with a
    negative prefix on one side only, or replaced by their opposite."""
    return _newly_negated(text, evidence) | _no_longer_negated(text, evidence) | _opposed(text, evidence)


@lru_cache(maxsize=8_192)
def _tokens(text: str) -> tuple[str, ...]:
    return tuple(tokens(text))


@lru_cache(maxsize=8_192)
def _words(text: str) -> frozenset[str]:
    return frozenset(map(stem, _tokens(text)))


def _newly_negated(text: str, evidence: Sequence[str]) -> frozenset[str]:
    """Return the scope of each negation in `text` that no negation of the evidence shares a word with."""
    scopes = _scopes(text)
    doubted = [_words(sentence) for sentence in evidence if _cued(sentence)] if scopes else []
    return frozenset(
        word for scope in scopes if not any(held.intersection(scope) for held in doubted) for word in scope
    )


def _no_longer_negated(text: str, evidence: Sequence[str]) -> frozenset[str]:
    """Return what the evidence only ever denies and `text` says outright: at least two words of one scope, together."""
    said = _words(text)
    if _cued(text):
        return frozenset()
    scopes = (scope for sentence in evidence for scope in _scopes(sentence) if len(scope) > 1)
    denied = {scope for scope in scopes if said.issuperset(scope)}
    outright = [_words(sentence) for sentence in evidence if not _cued(sentence)] if denied else []
    return frozenset(word for scope in denied if not any(held.issuperset(scope) for held in outright) for word in scope)


@lru_cache(maxsize=8_192)
def _cued(sentence: str) -> bool:
    return any(_is_cue(word) or word in WAIVED for word in _tokens(sentence))


def _is_cue(word: str) -> bool:
    return word in CUES or word.endswith("n't")


@lru_cache(maxsize=8_192)
def _scopes(text: str) -> tuple[tuple[str, ...], ...]:
    words = _tokens(text)
    return tuple(scope for place, word in enumerate(words) if _is_cue(word) and (scope := _scope(words, place)))


def _scope(words: Sequence[str], place: int) -> tuple[str, ...]:
    behind = (stem(word) for word in words[place + 1 :] if word not in STOP_WORDS and not _is_cue(word))
    return tuple(word for word, _ in zip(behind, range(SCOPE), strict=False))


def _opposed(text: str, evidence: Sequence[str]) -> frozenset[str]:
    """Return the words of `text` that the evidence lacks while it holds their contrary in the same place."""
    held = frozenset().union(*map(_words, evidence)) if evidence else frozenset()
    found: set[str] = set()
    for word, beside in _places(text):
        against = {contrary for contrary in _contraries(word) if contrary in held} if word not in held else set()
        if against and any(
            other in against and beside & near for sentence in evidence for other, near in _places(sentence)
        ):
            found.add(word)
    return frozenset(found)


@lru_cache(maxsize=8_192)
def _places(text: str) -> tuple[tuple[str, frozenset[str]], ...]:
    """Return the words that can be turned or tell a place, each with those that stand beside it."""
    words = [stem(word) for word in _tokens(text) if word not in STOP_WORDS or stem(word) in OPPOSITES]
    return tuple(
        (word, frozenset(words[max(0, place - BESIDE) : place] + words[place + 1 : place + 1 + BESIDE]))
        for place, word in enumerate(words)
    )


@lru_cache(maxsize=16_384)
def _contraries(word: str) -> tuple[str, ...]:
    return (*OPPOSITES.get(word, ()), *_with_prefix(word))


def _with_prefix(word: str) -> Iterator[str]:
    """Yield the word without its negative prefix, and with each."""
    for prefix in _NEGATIVE_PREFIXES:
        if word.startswith(prefix) and len(word) >= len(prefix) + 4:
            yield word[len(prefix) :]
        if len(word) >= 4:
            yield prefix + word


# ------------------------------------------------------------------------------------------------ values to compare

_WEEKDAYS = "monday tuesday wednesday thursday friday saturday sunday"
_DAYS = frozenset(map(stem, _WEEKDAYS.split()))
_YEAR = re.compile(r"(?:19|20)\d\d\Z")


@lru_cache(maxsize=4_096)
def measured(text: str) -> dict[str, frozenset[str]]:
    """Return the values of `text` by what they measure: a unit, the word that they count, "weekday" or "year"."""
    found: dict[str, set[str]] = {}
    for one in _quantities(text):
        key = "year" if _YEAR.match(one.value) and not one.unit else one.unit or one.of
        if key:
            found.setdefault(key, set()).add(one.value)
    if days := _words(text) & _DAYS:
        found["weekday"] = set(days)
    return {key: frozenset(values) for key, values in found.items()}
