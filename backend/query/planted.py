"""Words in a document that are not meant for its readers: orders to the model that reads it, and speech that it is told
to make. Pure.

Neither kind is evidence. An order to a model ("ignore all previous instructions …") leaves the passage before anything
is made of it, with what follows it in its paragraph. A sentence that asks somebody to say something ("tell the user
that the account is locked") states nothing of what is to be said: it supports only a sentence that reports the asking.

No list of phrases is complete, and a false sentence in a plain document looks like any other. What this gate cannot
know, the reader can: every sentence stands beside its quote and its document.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import lru_cache

from backend.domain import Evidence, Passage
from backend.query.defang import INVISIBLE
from backend.query.words import fold

_LOOK_ALIKE = str.maketrans("авекмнорстухіјѕһԁɡӏαορτυικνχεζ“”„«»‘’", 'abekmhopctyxijshdglaoptuiknxez"""""\'\'')
"""Cyrillic and Greek letters that pass for Latin ones, in lower case, and quotation marks."""

_RULES = r"(?:instructions?|rules?|guidelines?|prompts?|directions?|directives?|commands?|constraints?|training)"
_BEFORE = r"(?:previous|prior|above|earlier|preceding|foregoing|original|initial|existing|former)"
_ORDERS = re.compile(
    rf"\b(?:ignore|disregard|forget|override|bypass|dismiss)\b[^.!?\n]{{0,30}}\b{_BEFORE}\b[^.!?\n]{{0,20}}\b{_RULES}\b"
    rf"|\b(?:ignore|disregard|forget|override|bypass|dismiss)\b[^.!?\n]{{0,20}}\byour\b[^.!?\n]{{0,20}}\b{_RULES}\b"
    rf"|\b(?:ignore|disregard|forget|override)\b[^.!?\n]{{0,20}}\b{_RULES}\b (?:above|before|so far|you were given)\b"
    r"|\b(?:ignorier\w*|vergiss|missacht\w*)\b[^.!?\n]{0,40}\b(?:anweisung\w*|regeln|vorgaben|instruktion\w*)"
    r"|\b(?:ignore[zr]?|oublie[zr]?)\b[^.!?\n]{0,30}\b(?:instructions|consignes|regles)\b[^.!?\n]{0,20}\bprecedent"
    r"|\b(?:ignora|olvida|omite)\b[^.!?\n]{0,30}\b(?:instrucciones|reglas|indicaciones)\b"
    r"|\b(?:ignora|dimentica)\b[^.!?\n]{0,30}\b(?:istruzioni|regole)\b"
    r"|\b(?:ignore|esqueca)\b[^.!?\n]{0,30}\b(?:instrucoes|regras)\b"
    r"|\b(?:negeer|vergeet)\b[^.!?\n]{0,30}\b(?:instructies|regels)\b"
    r"|\b(?:note|message|order|instructions?|attention)\b.{0,3} (?:to|for) (?:the |any |all )?"
    r"(?:ai|llm|language model|chat ?bot|(?:ai|virtual) assistant)s?\b"
    r"|^(?:ai|llm|bot|assistant)\s*:"
    r"|^system\s*:\s*(?:you\b|ignore\b|new\b|override\b)"
    r"|\byou are (?:now|no longer) (?:dan\b|an?\b[^.!?\n]{0,30}\b(?:ai|assistant|model|bot)\b)"
    r"|\byou are (?:now )?in [^.!?\n]{0,20}\bmode\b"
    r"|\byou are now [^.!?\n]{0,40}\b(?:no|without) (?:rules|restrictions|limits)\b"
    r"|\b(?:reveal|repeat|print|show|output|leak)\b[^.!?\n]{0,20}\byour (?:system )?(?:prompt|instructions|rules)\b",
    re.MULTILINE,
)
_ASKING = re.compile(
    r"(?:^|\b(?:and|then|only|always|must|should|shall|please|just|now)\s|[:;,]\s?)say\b(?!,)"
    r"|\b(?:reply|respond|write|print|repeat|mention)\b"
    r"(?: only| just| back| simply)*(?: with)?(?: the words?\b| the sentence\b| that\b|\s?:|\s?\")"
    r"|\b(?:answer|state|add)\b(?: only| just| simply)*(?: with)?(?: the words?\b| the sentence\b| that\b)"
    r"|\banswer (?:only|just|simply)\b"
    r"|\btell (?:the |every |all |any |each )?(?:user|reader|asker|human|person|people|them|everyone)s?\b"
    r"|\b(?:antworte|sage?|schreibe?)\b(?: nur| immer)*(?:\s?:|,? dass\b|\s?\")"
    r"|\b(?:responde|di|reponds|dis|rispondi|ecris|escribe|scrivi)\b(?: \w+)?\s?(?::|que\b|che\b|\")",
    re.MULTILINE,
)
_SAYING = re.compile(
    r"\b(?:say|says|said|tell|tells|told|answer|repl(?:y|ies)|respond|claim|state|write|add|print|output|repeat|mention"
    r"|antwort|sag|schreib|respond|di[cg]|dis|rispond|ecri|escrib|scriv)",
)
_PARAGRAPH = re.compile(r"\n[ \t]*\n")


@lru_cache(maxsize=16_384)
def readable(text: str) -> str:
    """Return a text as a model reads it: without invisible characters, look-alikes as the letters they pass for."""
    return fold(unicodedata.normalize("NFKC", INVISIBLE.sub("", text)).casefold().translate(_LOOK_ALIKE))


@lru_cache(maxsize=16_384)
def is_order(sentence: str) -> bool:
    """Whether a sentence gives orders to a language model."""
    return _ORDERS.search(readable(sentence)) is not None


@lru_cache(maxsize=16_384)
def _asks_to_say(sentence: str) -> bool:
    return _ASKING.search(readable(sentence)) is not None


def without_orders(passage: Passage) -> Passage:
    """Return the passage without the sentences that give orders to a model, and those behind them in their paragraph.

    Its text stays whole, as quotes are places in it; a sentence that is not listed is neither shown nor quoted.
    """
    if not is_order(passage.text) and not any(is_order(_sentence(passage, at)) for at in range(len(passage.sentences))):
        return passage
    return _keeping(passage, lambda at: not _under_orders(passage, at))


def _under_orders(passage: Passage, at: int) -> bool:
    start = passage.sentences[at][0]
    breaks = [found.end() for found in _PARAGRAPH.finditer(passage.text, 0, start + 1)]
    begins = breaks[-1] if breaks else 0
    return any(
        is_order(_sentence(passage, before)) for before in range(at + 1) if passage.sentences[before][0] >= begins
    )


def stating(sentence: str, evidence: Sequence[Evidence]) -> tuple[Evidence, ...]:
    """Return the evidence without what only asks for something to be said, unless `sentence` speaks of saying too."""
    if _SAYING.search(readable(sentence)):
        return tuple(evidence)
    return tuple(replace(one, passage=_stating(one.passage)) for one in evidence)


def _stating(passage: Passage) -> Passage:
    asking = [_asks_to_say(_sentence(passage, at)) for at in range(len(passage.sentences))]
    return _keeping(passage, lambda at: not asking[at]) if any(asking) else passage


def _sentence(passage: Passage, at: int) -> str:
    return passage.text[slice(*passage.sentences[at])]


def _keeping(passage: Passage, keep: Callable[[int], bool]) -> Passage:
    """Return the passage with these sentences only, each with its vector."""
    kept = [at for at in range(len(passage.sentences)) if keep(at)]
    vectors = [at for at in kept if at < len(passage.sentence_vectors)]
    return replace(
        passage,
        sentences=tuple(passage.sentences[at] for at in kept),
        sentence_vectors=passage.sentence_vectors[vectors],
    )
