"""Words as evidence: content words, numbers, names and negation, language-neutral where that costs nothing."""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

from backend.languages import STOP_WORDS as OTHER_STOP_WORDS
from backend.languages import language_of

_STOP_WORDS = (
    "a about above after again all also am an and any are as at be because been before being below between both "
    "but by can could did do does doing down during each few for from further had has have having he her here "
    "hers him his how i if in into is it its itself just may me might more most my of off on once only or other "
    "our ours out over own per please same shall she should so some such tell than that the their theirs them "
    "then there these they this those through to too under until up upon us very was we were what when where "
    "whether which while who whom whose why will with within would you your yours ask does anyone anybody know "
    "explain describe list give show want need someone s t re ve ll d m don didn doesn isn aren"
)
STOP_WORDS = frozenset(_STOP_WORDS.split())
"""Words that say nothing of what a question is about: function words, and the verbs people wrap questions in."""

WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)*")
NUMBER = re.compile(r"(?<![\w.])\d+(?:[.,:]\d+)*")
_COUNTING = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen "
    "seventeen eighteen nineteen twenty"
)
_TENS = {"thirty": "30", "forty": "40", "fifty": "50", "sixty": "60", "ninety": "90", "hundred": "100", "once": "1"}
NUMBER_WORDS = {word: str(value) for value, word in enumerate(_COUNTING.split())} | _TENS
MONTHS = (
    "january", "february", "march", "april", "may", "june",
    "july", "august", "september", "october", "november", "december",
)  # fmt: skip
NEGATION = re.compile(
    r"\b(?:not|no|never|none|nobody|nothing|neither|nor|without|cannot|unable|prohibited|forbidden|except)\b|n['’]t\b",
    re.IGNORECASE,
)
_ACCENTS = re.compile(r"[\u0300-\u036f]")
MARKER = re.compile(r"[ \t]*\[(\d{1,3}(?:\s*,\s*\d{1,3})*)\]")


def fold(text: str) -> str:
    """Lower-case and drop accents."""
    if text.isascii():
        return text.lower()
    return _ACCENTS.sub("", unicodedata.normalize("NFKD", text.lower()))


_OTHER_STOP_WORDS = {language: frozenset(map(fold, words)) for language, words in OTHER_STOP_WORDS.items()}


@lru_cache(maxsize=65_536)
def stem(word: str) -> str:
    """Cut common English endings so that inflections meet; too light to merge different words often."""
    if len(word) < 4 or not word.isalpha():
        return word
    for ending, replacement in (
        ("ies", "y"), ("sses", "ss"), ("ation", "at"), ("ations", "at"), ("ments", "ment"),
        ("ingly", ""), ("edly", ""), ("ing", ""), ("ed", ""), ("ly", ""), ("es", ""), ("s", ""),
    ):  # fmt: skip
        if word.endswith(ending) and len(word) - len(ending) >= 3 and not word.endswith("ss"):
            word = word[: len(word) - len(ending)] + replacement
            break
    if len(word) > 4 and word[-1] == word[-2] and word[-1] not in "aeiousl":
        word = word[:-1]
    return word[:-1] if len(word) > 3 and word[-1] == "e" else word


@lru_cache(maxsize=8_192)
def _folded_words(text: str) -> tuple[str, ...]:
    """Kept, because each check of a sentence begins with them."""
    return tuple(WORD.findall(fold(text)))


def tokens(text: str) -> list[str]:
    """Return the folded words of `text` in order."""
    return [word.replace("’", "'").removesuffix("'s") for word in _folded_words(text)]


@lru_cache(maxsize=16_384)
def stems(text: str) -> frozenset[str]:
    """Return the stems of all words; kept, because each step of the story asks it of the same sentences."""
    return frozenset(map(stem, _folded_words(text)))


@lru_cache(maxsize=8_192)
def content_words(text: str) -> frozenset[str]:
    """Return the stems of the words that carry meaning."""
    stop_words = STOP_WORDS | _OTHER_STOP_WORDS.get(language_of(text), frozenset())
    return frozenset(
        stem(word) for word in tokens(text) if word not in stop_words and (len(word) > 1 or word.isdigit())
    )


@lru_cache(maxsize=4_096)
def numbers(text: str) -> frozenset[str]:
    """Return the numbers written in digits, without thousands separators ("1,500" is "1500", "07" is "7")."""
    found = (re.sub(r",(?=\d{3}\b)", "", number) for number in NUMBER.findall(MARKER.sub("", text)))
    return frozenset(number.lstrip("0") or "0" for number in found)


@lru_cache(maxsize=4_096)
def spoken_numbers(text: str) -> frozenset[str]:
    """Return the values of numbers written as words, and of month names."""
    words = tokens(text)
    months = {str(MONTHS.index(word) + 1) for word in words if word in MONTHS}
    return frozenset({NUMBER_WORDS[word] for word in words if word in NUMBER_WORDS} | months)


@lru_cache(maxsize=4_096)
def names(text: str) -> frozenset[str]:
    """Return the folded capitalised words that do not begin a sentence, and words with capitals or digits inside."""
    found: set[str] = set()
    for match in WORD.finditer(text):
        word = match.group()
        before = text[: match.start()].rstrip(" \t*_\"'“‘([#>-|")
        begins = not before or before[-1] in ".!?:\n"
        inner = any(character.isupper() for character in word[1:]) or (
            any(character.isdigit() for character in word) and any(character.isalpha() for character in word)
        )
        if len(word) > 1 and (inner or (word[0].isupper() and not begins)):
            found.add(fold(word).replace("’", "'").removesuffix("'s"))
    return frozenset(found - STOP_WORDS)


def negated(text: str) -> bool:
    """Return whether the text holds a word of negation."""
    return NEGATION.search(text) is not None
