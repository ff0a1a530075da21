"""Follow-ups: whether a question leans on its thread, and what it takes from there. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable

from backend.domain import Question
from backend.query.words import STOP_WORDS, WORD, content_words, stem, tokens

MAX_INHERITED = 20
"""Words that a follow-up takes from the thread: about what two questions hold."""
MAX_QUESTIONS = 3
"""Questions of the thread from which they are taken: on `mtrag_un` more add nothing, fewer lose .01 of R@5."""
SHORT = 2
"""Content words up to which a question with history is taken for a follow-up, unless it is whole."""

_OPENING = re.compile(
    r"\s*(?:and|but|or|so|then|also|what\s+about|how\s+about|what\s+if|what\s+else|why(?:\s+not)?\s*\?|anything\s+else|"
    r"which\s+one|the\s+same|same\s+for|for\s+\w+\s*\?|really|is\s+that|are\s+those)\b",
    re.IGNORECASE,
)
_WHOLE = re.compile(
    r"\s*(?:how|what|where|when|who|which|why)\s+(?:do|does|did|can|could|should|may|must|shall|will|would|is|are|was|were)"
    r"\s+\w",
    re.IGNORECASE,
)
"""A question that is a sentence of its own, with verb and subject, however short: "How do I add a document?"."""
_POINTING = re.compile(
    r"\b(?:it|its|they|them|their|theirs|that|those|these|this|there|he|she|him|his|her|hers|ones?|same|former|latter|"
    r"above|previous|else|another|others?)\b",
    re.IGNORECASE,
)


def opens_as_follow_up(text: str) -> bool:
    """Whether the question begins by going on from the one before: "and for 2023?", "what about Ana?"."""
    return _OPENING.match(text) is not None


def follows_up(question: Question) -> bool:
    """Whether the question leans on its thread."""
    if not any(turn.role == "user" for turn in question.history):
        return False
    words = len(content_words(question.text))
    few = words < SHORT or (words == SHORT and _WHOLE.match(question.text) is None)
    return few or opens_as_follow_up(question.text) or _POINTING.search(question.text) is not None


def last_asked(question: Question) -> str:
    """Return the question before this one, "" if there is none."""
    return next((turn.text for turn in reversed(question.history) if turn.role == "user"), "")


def inherit(question: Question) -> str:
    """Return the question with the salient words of the questions before it, the nearest first, and its own once more.

    Its own words again, because they must outweigh what is inherited: on `mtrag_un` that alone is worth .035 of BM25's
    R@5, and nothing to vectors.
    """
    if not follows_up(question):
        return question.text
    earlier = [turn.text for turn in reversed(question.history) if turn.role == "user"][:MAX_QUESTIONS]
    inherited = _salient(earlier, content_words(question.text), MAX_INHERITED)
    if not inherited:
        return question.text
    return f"{question.text} ({' '.join((*inherited, *_salient([question.text], (), MAX_INHERITED)))})"


def _salient(texts: Iterable[str], held: Iterable[str], most: int) -> list[str]:
    """Return the words of the texts that carry meaning, each once, without those whose stems are held."""
    seen, found = set(held), list[str]()
    for match in (match for text in texts for match in WORD.finditer(text)):
        words = tokens(match.group())
        key = stem(words[0]) if words else ""
        if key and words[0] not in STOP_WORDS and key not in seen and len(found) < most:
            seen.add(key)
            found.append(match.group())
    return found
