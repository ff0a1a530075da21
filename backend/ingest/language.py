"""A document's language by its commonest words: enough to tell the languages below apart in running text."""

from __future__ import annotations

import re
from collections import Counter

WORD = re.compile(r"[^\W\d_]+")
SAMPLE = 20_000
"""Characters that are looked at."""
MIN_WORDS = 12
MIN_SHARE = 0.12
"""Share of stop words below which text is code, names or another language; running text has 0.25 to 0.5."""

STOP_WORDS = {
    "en": "the of and to in is that for it with as on are this be by you or from not at we have can will",
    "de": "der die das und ist nicht ein eine zu mit von den auf für im dem sich auch werden oder sind als wir bei",
    "fr": "le la les des et est une du que pour dans qui sur pas avec par sont au plus vous nous ce cette être ou",
    "es": "el los las del que una por con para está como más pero sus este son ser también se lo al entre y es",
    "it": "il di che è per una del con della sono non gli nel alla più anche dei le si come questo essere delle o",
    "pt": "os do da que em um uma para com não dos das por mais ao como são você no na foi ser também ou e",
    "nl": "de het een van en is dat op te zijn voor met niet aan er ook als bij worden door naar deze wij of",
    "sv": "och att det som en är för på med av inte till den har de ett om vi kan eller från ska så men",
}
_SETS = {language: frozenset(words.split()) for language, words in STOP_WORDS.items()}


def detect_language(text: str) -> str:
    """Return the ISO 639-1 code of the language, or "" where it is not clear."""
    words = [word.lower() for word in WORD.findall(text[:SAMPLE])]
    if len(words) < MIN_WORDS:
        return ""
    seen = Counter(words)
    shares = {language: sum(seen[word] for word in stop_words) / len(words) for language, stop_words in _SETS.items()}
    (best, share), (_, second) = sorted(shares.items(), key=lambda item: -item[1])[:2]
    return best if share >= MIN_SHARE and share > second * 1.2 else ""
