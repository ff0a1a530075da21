"""The catalogue's names, found in a question however they are spelt: mentions, with the values that they may mean."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from backend.domain import Catalogue, FieldValue
from backend.query.names import (
    NICKNAMES,
    is_abbreviated,
    is_misspelt,
    is_misspelt_name,
    is_part_of_name,
    is_whole_name,
    joined,
)
from backend.query.phrase import Phrase, plain, plain_words
from backend.query.words import STOP_WORDS

LONGEST = 8
"""Words of the longest value that is looked for."""
MAX_MEANT = 4
"""Values that one part of a name may mean at most: beyond that it is a common word, not a name."""
_PEOPLE = "author"
_NEVER = frozenset({"title", "document_id", "published_at", "ingested_at"})
_LANGUAGES = {
    "english": "en", "german": "de", "french": "fr", "spanish": "es", "italian": "it", "portuguese": "pt",
    "dutch": "nl", "swedish": "sv", "danish": "da", "norwegian": "no", "finnish": "fi", "polish": "pl",
    "czech": "cs", "russian": "ru", "ukrainian": "uk", "turkish": "tr", "greek": "el", "arabic": "ar",
    "hebrew": "he", "hindi": "hi", "chinese": "zh", "japanese": "ja", "korean": "ko", "vietnamese": "vi",
    "hungarian": "hu", "romanian": "ro", "indonesian": "id", "thai": "th",
}  # fmt: skip
"""English names of languages by their ISO 639-1 codes, which is what documents carry."""
_DOC_TYPES = {
    "pdf": "pdf", "slide": "pptx", "deck": "pptx", "presentation": "pptx", "powerpoint": "pptx",
    "spreadsheet": "xlsx", "excel": "xlsx", "word": "docx", "mail": "email", "email": "email", "markdown": "markdown",
    "webpage": "html",
}  # fmt: skip
"""What people call the kinds of documents that ingestion tells apart."""
_SYNONYMS = tuple(
    frozenset(line.split())
    for line in (
        "final finished finalised finalized completed done",
        "draft unfinished wip drafted",
        "rejected declined refused",
        "withdrawn retracted",
        "deferred postponed shelved",
        "superseded replaced obsolete outdated",
        "accepted approved",
        "archived retired",
        "closed resolved",
    )
)
"""Words that say the same of a document's state. A value is meant by the others where no value is one of them."""

_DIGRAPHS = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue", "å": "aa", "ø": "oe"})
"""How these letters are written where a keyboard lacks them."""

Kind: TypeAlias = Literal["whole", "alias", "part", "misspelt"]


@dataclass(frozen=True, slots=True)
class Mention:
    """Tokens `start` to `end` may name these values of `field`; several where the words do not tell them apart."""

    field: str
    values: tuple[FieldValue, ...]
    start: int
    end: int
    kind: Kind
    cased: bool = True
    """Whether it is capitalised where the value is."""


@dataclass(slots=True)
class Lexicon:
    """The names of one catalogue, by their first words."""

    phrases: dict[str, list[tuple[tuple[str, ...], str, FieldValue, Kind]]] = field(
        default_factory=lambda: defaultdict(list)
    )
    people: dict[str, list[tuple[tuple[str, ...], str]]] = field(default_factory=lambda: defaultdict(list))
    single: dict[str, list[tuple[str, str, FieldValue]]] = field(default_factory=lambda: defaultdict(list))
    """One-word values by their first letter, for typing errors."""
    titles: dict[tuple[str, ...], str] = field(default_factory=dict)
    """By their words; looked up only where a question calls a document by its title."""

    @classmethod
    def of(cls, catalogue: Catalogue) -> Lexicon:
        lexicon = cls()
        for name, values in catalogue.values.items():
            if name == "title":
                lexicon.titles = {plain_words(title): title for title in values if isinstance(title, str)}
            elif name == _PEOPLE:
                lexicon._add_people(values)
            elif name not in _NEVER:
                lexicon._add_values(name, [value for value in values if isinstance(value, str)])
        return lexicon

    def _add_people(self, values: Iterable[FieldValue]) -> None:
        for value in values:
            names = {plain_words(value), plain_words(value.translate(_DIGRAPHS))} if isinstance(value, str) else set()
            for name in sorted(names - {()}):
                for key in {*name, name[0][:1], "".join(word[0] for word in name), "".join(name)}:
                    self.people[key].append((name, str(value)))

    def _add_values(self, name: str, values: list[str]) -> None:
        taken = {words for value in values if len(words := plain_words(value)) == 1}
        for value in values:
            self._add(name, plain_words(value), value, "whole")
            for alias in _aliases(name, value):
                if alias not in taken:
                    self._add(name, alias, value, "alias")

    def _add(self, name: str, words: tuple[str, ...], value: FieldValue, kind: Kind) -> None:
        if words:
            key = tuple(map(_singular, words))
            self.phrases[key[0]].append((key, name, value, kind))
            if len(words) == 1 and kind == "whole":
                self.single[words[0][:1]].append((words[0], name, value))

    # ----------------------------------------------------------------------------------------------------- finding

    def mentions(self, phrase: Phrase) -> list[Mention]:
        """Return what is named, by place; of two that overlap in one field, the longer."""
        found = [*self._phrases_in(phrase), *self._people_in(phrase)]
        found.sort(key=lambda one: (one.start - one.end, one.kind != "whole", one.start))
        kept: list[Mention] = []
        for one in found:
            if not any(one.field == other.field and one.start < other.end and other.start < one.end for other in kept):
                kept.append(one)
        return sorted(kept, key=lambda one: (one.start, one.end))

    def _phrases_in(self, phrase: Phrase) -> Iterator[Mention]:
        for start in range(len(phrase)):
            named: dict[tuple[str, int, Kind], list[FieldValue]] = defaultdict(list)
            for words, name, value, kind in self.phrases.get(_singular(phrase.word(start)), ()):
                end = start + len(words)
                if tuple(map(_singular, phrase.words(start, end))) == words and _unbroken(phrase, start, end):
                    named[name, end, kind].append(value)
            for (name, end, kind), values in named.items():
                if len(set(values)) <= MAX_MEANT:
                    yield _mention(phrase, name, tuple(dict.fromkeys(values)), start, end, kind)
            if not named:
                yield from self._misspelt(phrase, start)

    def _misspelt(self, phrase: Phrase, start: int) -> Iterator[Mention]:
        said = phrase.word(start)
        if len(said) < 5 or said in STOP_WORDS or phrase.is_document(start):
            return
        near = [one for one in self.single.get(said[:1], ()) if is_misspelt(said, one[0])]
        if len({value for _, _, value in near}) == 1:
            yield _mention(phrase, near[0][1], (near[0][2],), start, start + 1, "misspelt")

    def _people_in(self, phrase: Phrase) -> Iterator[Mention]:
        for start in range(len(phrase)):
            for end in range(min(len(phrase), start + 4), start, -1):
                if not joined(phrase.words(start, end), [phrase.gap(at) for at in range(start, end)]):
                    continue
                if (mention := self._person(phrase, start, end)) is not None:
                    yield mention
                    break

    def _person(self, phrase: Phrase, start: int, end: int) -> Mention | None:
        said = phrase.words(start, end)
        known = self._candidates(said)
        raw = phrase.raw(start, end)
        for kind, values in (
            ("whole", [value for name, value in known if is_whole_name(said, name)]),
            ("part", [value for name, value in known if is_part_of_name(said, name)] if _named(said, raw) else []),
            ("misspelt", [value for name, value in known if is_misspelt_name(said, name)]),
        ):
            values = list(dict.fromkeys(values))
            if values and len({plain_words(value) for value in values}) <= MAX_MEANT:
                return _mention(phrase, _PEOPLE, tuple(values), start, end, kind)  # type: ignore[arg-type]
        return None

    def _candidates(self, said: tuple[str, ...]) -> list[tuple[tuple[str, ...], str]]:
        keys = {said[0], said[-1], "".join(said)}
        for word in (said[0], said[-1]):
            keys |= NICKNAMES.get(word, frozenset())
        if len(said) == 1:
            keys &= {said[0], *NICKNAMES.get(said[0], ())}
        return list(dict.fromkeys(one for key in sorted(keys) for one in self.people.get(key, ())))


def _aliases(name: str, value: str) -> Iterator[tuple[str, ...]]:
    """Yield shorter names of a value: without what a dash or bar sets off, without "The"; as people call it."""
    for mark in (" | ", " - ", " – ", ": ", " ("):
        head = value.partition(mark)[0]
        if head != value and len(head) > 2:
            yield plain_words(head)
    words = plain_words(value)
    if len(words) > 1 and words[0] == "the" and len(words[1]) > 3:
        yield words[1:]
    squeezed = ("".join(words),)
    if len(words) > 1 and len(squeezed[0]) > 5:
        yield squeezed
    if "_" in value or "-" in value:
        yield tuple(plain_words(value.replace("_", " ").replace("-", " ")))
    yield from _called(name, words)


def _called(name: str, words: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    if name == "language":
        yield from ((said,) for said, code in _LANGUAGES.items() if words[:1] == (code,))
    elif name == "doc_type":
        yield from ((said,) for said, kind in _DOC_TYPES.items() if words == (kind,))
    elif name != "source" and len(words) == 1:
        yield from ((said,) for group in _SYNONYMS if words[0] in group for said in sorted(group - {words[0]}))


def _mention(phrase: Phrase, name: str, values: tuple[FieldValue, ...], start: int, end: int, kind: Kind) -> Mention:
    first = end - 1 if name == _PEOPLE else start + (phrase.word(start) == "the" and end - start > 1)
    capital = any(any(character.isupper() for character in str(value)) for value in values)
    return Mention(name, values, start, end, kind, cased=phrase.capital(first) or not capital)


def _named(said: tuple[str, ...], raw: str) -> bool:
    """Whether a part of a name is written as one: capitalised, or initials written as such."""
    if not raw.split()[-1][:1].isupper() and not raw[:1].isupper() and not is_abbreviated(raw):
        return False
    return said[-1] not in STOP_WORDS


def _unbroken(phrase: Phrase, start: int, end: int) -> bool:
    """Whether nothing parts the words of a value but what may stand inside one, and it is not part of a number."""
    if any(len(phrase.gap(at)) > 3 or set(phrase.gap(at)) & set(",;:?!()") for at in range(start + 1, end)):
        return False
    if phrase.word(end - 1).isdigit() and phrase.gap(end) == "." and phrase.word(end).isdigit():
        return False
    return not (phrase.word(start).isdigit() and phrase.gap(start)[-1:] == "." and phrase.word(start - 1).isdigit())


def _singular(word: str) -> str:
    return word.removesuffix("s") if len(word) > 3 and not word.endswith("ss") else word


@dataclass(slots=True)
class Lexicons:
    """The lexicons of the catalogues seen last: making one costs some 30 ms per thousand names."""

    kept: list[tuple[Mapping[str, Mapping[FieldValue, int]], Lexicon]] = field(default_factory=list)
    most: int = 16

    def of(self, catalogue: Catalogue) -> Lexicon:
        for values, lexicon in self.kept:
            if values is catalogue.values:
                return lexicon
        lexicon = Lexicon.of(catalogue)
        self.kept[:] = [(catalogue.values, lexicon), *self.kept[: self.most - 1]]
        return lexicon


_LEXICONS = Lexicons()


def lexicon_of(catalogue: Catalogue) -> Lexicon:
    """Return the lexicon of a catalogue, made once for as long as the catalogue is the newest."""
    return _LEXICONS.of(catalogue)


def nearest(field_: str, said: str, catalogue: Catalogue) -> tuple[FieldValue, ...]:
    """Return the values of a field that `said` names as a whole, exactly, by alias, in part or misspelt; else none."""
    phrase = Phrase.of(said)
    exact = [v for v in catalogue.values.get(field_, {}) if plain(str(v)).strip() == plain(said).strip()]
    if exact:
        return tuple(exact)
    found = [m for m in lexicon_of(catalogue).mentions(phrase) if m.field == field_ and m.end - m.start == len(phrase)]
    return found[0].values if found else ()
