"""A question as tokens, and what kind of word each is. Pure; English."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from backend.query import words


def wordset(text: str) -> frozenset[str]:
    """Return the words of `text`, which spaces part."""
    return frozenset(text.split())


_LETTERS = str.maketrans(
    {"ł": "l", "Ł": "L", "ø": "o", "Ø": "O", "đ": "d", "Đ": "D", "ß": "ss", "æ": "ae", "Æ": "AE", "œ": "oe", "ı": "i"}
)
"""Letters that Unicode does not take apart into a letter and an accent."""
_WORD = re.compile(r"[^\W_]+")
_HARD = re.compile(r"[,.;:?!()\[\]\"“”—–|]")
_QUOTE = re.compile(r"[\"“”'‘’]")

DOCUMENTS = wordset(
    "document doc page note post article message memo minutes file record thread report ticket email mail entry "
    "guide paper pep rfc adr proposal announcement spec specification issue story piece blog newsletter "
    "transcript presentation deck slide spreadsheet runbook playbook wiki write-up writeup bulletin coverage "
    "editorial column essay letter manual brief recap summary update pdf publication chapter"
)
"""Nouns for one source object, in the singular."""
IDEAS = wordset(
    "idea suggestion attempt draft plan design work take submission contribution concept stuff material one thing "
    "effort initiative item pitch view opinion argument thought recommendation comment remark analysis "
    "perspective stance account portrayal position approach scheme vision"
)
"""Nouns for what an author makes, which stand for the document where something else says so too."""
ANYTHING = wordset("anything everything something all what which those any whatever nothing")
_DATED_OTHERWISE = wordset("report guide minutes plan summary update coverage")
"""Nouns before which a year is what they are about: "the 2019 report" may have come out in 2020."""
AUTHORING = wordset(
    "write wrote written writes writing author authored authors authoring publish published publishes post posted "
    "propose proposed proposes proposing suggest suggested suggests draft drafted create created creates submit "
    "submitted introduce introduced specify specified describe described describes put pen penned file filed "
    "present presented champion championed argue argued argues recommend recommended invent invented design "
    "designed define defined say said says send sent report reported reports announce announced explain explained "
    "explains document documented contribute contributed sponsor sponsored share shared record recorded outline "
    "outlined bring brought devise devised formulate formulated pitch pitched push pushed think thinks sketch "
    "sketched advocate advocated coauthored cowrote cowritten produce produced release released state stated "
    "compose composed"
)
"""What an author does, in the forms that follow a name."""
BEING = wordset("is are was were be been being isn aren wasn weren")
NEGATIVE = wordset("not t non except excluding without never nor neither isn aren wasn weren don doesn didn")
_FUNCTION = words.STOP_WORDS | wordset(
    "since before after against among without within except onto upon via per like unlike versus many much get "
    "gets make makes made use uses used mean means meant let lets say says become becomes happen happens"
)


@lru_cache(maxsize=16_384)
def plain(text: str) -> str:
    """Return `text` in lower case without accents, also those that are part of a letter."""
    return words.fold(text.translate(_LETTERS))


def plain_words(text: str) -> tuple[str, ...]:
    """Return the words of `text`, plain; "D'Aprano" and "3.8" are two each, "Ka-Ping Yee" is three."""
    return tuple(plain(match.group()) for match in _WORD.finditer(text))


@dataclass(frozen=True, slots=True)
class Token:
    """A word as it is compared (`word`) and where it stands; `gap` is what stands between it and the word before."""

    word: str
    start: int
    end: int
    gap: str


@dataclass(frozen=True, slots=True)
class Phrase:
    """A text and its tokens."""

    text: str
    tokens: tuple[Token, ...]

    @classmethod
    def of(cls, text: str) -> Phrase:
        return cls(text, tuple(_tokens(text)))

    def __len__(self) -> int:
        return len(self.tokens)

    def word(self, at: int) -> str:
        """Return the word there, "" beyond either end."""
        return self.tokens[at].word if 0 <= at < len(self.tokens) else ""

    def words(self, start: int, end: int) -> tuple[str, ...]:
        return tuple(token.word for token in self.tokens[start:end])

    def raw(self, start: int, end: int) -> str:
        """Return the tokens as they are written, with what is between them."""
        return self.text[self.tokens[start].start : self.tokens[end - 1].end]

    def gap(self, at: int) -> str:
        """Return what stands before a token; before the end of the text, what is left."""
        if at < len(self.tokens):
            return self.tokens[at].gap
        return self.text[self.tokens[-1].end :] if self.tokens else self.text

    def parted(self, at: int) -> bool:
        """Whether punctuation parts the token from the one before it, or there is none before it."""
        return at == 0 or at >= len(self.tokens) or bool(_HARD.search(self.gap(at)))

    def capital(self, at: int) -> bool:
        return self.text[self.tokens[at].start].isupper()

    def quoted(self, start: int, end: int) -> bool:
        """Whether quotation marks are around these tokens alone."""
        first, last = self.tokens[start].start, self.tokens[end - 1].end
        return bool(
            _QUOTE.match(self.text[first - 1 : first]) and _QUOTE.match(self.text[last : last + 2].lstrip("!?"))
        )

    def possessive(self, end: int) -> int:
        """Return where a possessive after token `end` - 1 ends, or `end` where there is none."""
        gap = self.gap(end)
        if self.word(end) == "s" and gap in ("'", "’"):
            return end + 1
        return end

    def is_possessive(self, end: int) -> bool:
        return self.possessive(end) > end or (self.word(end - 1).endswith("s") and self.gap(end)[:1] in ("'", "’"))

    def token_at(self, place: int) -> int:
        """Return the index of the first token that ends after `place`."""
        return next((at for at, token in enumerate(self.tokens) if token.end > place), len(self.tokens))

    def is_document(self, at: int, *, ideas: bool = True) -> bool:
        """Whether the token is a noun for a document, by itself: "PEPs", not the "PEP" of "PEP 8"."""
        word = self.word(at)
        known = {word, word.removesuffix("s")} & (DOCUMENTS | IDEAS if ideas else DOCUMENTS)
        return bool(known) and not (self.word(at + 1).isdigit() and len(self.word(at + 1)) < 4)

    def is_dated(self, at: int) -> bool:
        """Whether a year before this noun says when it was written."""
        return self.is_document(at, ideas=False) and self.word(at).removesuffix("s") not in _DATED_OTHERWISE

    def is_function(self, at: int) -> bool:
        return self.word(at) in _FUNCTION

    def documents(self, start: int = 0, end: int | None = None) -> Iterator[int]:
        """Yield where nouns for documents stand."""
        stop = len(self.tokens) if end is None else min(end, len(self.tokens))
        return (at for at in range(max(0, start), stop) if self.is_document(at, ideas=False))


def _tokens(text: str) -> Iterator[Token]:
    end = 0
    for match in _WORD.finditer(text):
        yield Token(plain(match.group()), match.start(), match.end(), text[end : match.start()])
        end = match.end()
