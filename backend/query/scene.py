"""Where a mention stands in a question, and whether the words around it put it to documents as a condition. Pure.

The same word may be a value or not: "rejected proposals" limits documents, "why was it rejected" does not. Each test
here looks for one construction of English in which a value limits documents, whatever the field.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from backend.query.dates import DateRange
from backend.query.lexicon import Mention
from backend.query.phrase import ANYTHING, AUTHORING, BEING, NEGATIVE, Phrase, wordset

_LINKS = wordset(
    "ended ends end up as still now currently already all both officially marked became stayed remain remains "
    "remained got labelled labeled considered deemed been being have has had get"
)
"""Words between a form of "be" and the value."""
_RELATIVE = wordset("that which who whose")
_VAGUE = wordset("a an each every my your his her")
_ASKING_HOW = wordset("how why when where who whom can could may should must do does did if whether")
_OF_FIELD = wordset("is of are was were not as equals being isn")
_OWN_WORDS = {
    "tags": ("tag", "tags", "tagged", "topic", "topics", "label", "labelled", "labeled", "labels", "category"),
    "source": ("source", "sources"),
    "doc_type": ("type", "format", "kind"),
    "language": ("language",),
}
"""How a built-in field is called in a question; a custom one is called by its name."""
_ADJECTIVES = 1
"""Unknown words that may stand between a value and its noun: "typing-related proposals"."""
_BEFORE_WORK = 4
"""Unknown words between an author's 's and the work: "Ana's new object-oriented path proposal"."""
_PLACES = wordset("in on within inside")
_PROVENANCE = wordset("from by via per")
_SAYING = AUTHORING | wordset(
    "claim claims claimed mention mentions mentioned discuss discusses discussed cover covers covered note notes "
    "noted reveal reveals indicate indicates highlight highlights detail details focus focuses attribute "
    "attributes reporting covering discussing"
)


@dataclass(frozen=True, slots=True)
class Scene:
    """A question with what was found in it."""

    phrase: Phrase
    mentions: Sequence[Mention]
    dates: Sequence[DateRange]
    covered: frozenset[int]
    """Tokens that belong to a mention or a date: modifiers of a noun stand beside each other."""

    @classmethod
    def of(cls, phrase: Phrase, mentions: Sequence[Mention], dates: Sequence[DateRange]) -> Scene:
        covered = {at for one in mentions if one.cased and one.kind != "part" for at in range(one.start, one.end)}
        for date in dates:
            covered |= set(range(*tokens_of(phrase, date.core)))
        return cls(phrase, mentions, dates, frozenset(covered))

    # ------------------------------------------------------------------------------------------------ to the right

    def noun_after(self, at: int, *, unknown: int, dated: bool = False) -> int | None:
        """Return the noun for documents that tokens from `at` on lead to, over other values and `unknown` words."""
        phrase = self.phrase
        for here in range(at, min(len(phrase), at + 12)):
            if phrase.parted(here) and not (here == at and phrase.gap(here).strip("'’\"”“ ") in ("", "s")):
                return None
            if (phrase.is_dated(here) if dated else phrase.is_document(here)) and self._is_head(here):
                return here if not dated or phrase.possessive(here + 1) == here + 1 else None
            if here in self.covered or (phrase.word(here) in ("or", "and") and here + 1 in self.covered):
                continue
            if phrase.word(here) == "s" and phrase.gap(here) in ("'", "’"):
                continue
            if phrase.is_function(here) or not unknown:
                return None
            unknown -= 1
        return None

    def _is_head(self, at: int) -> bool:
        """Whether the noun is not itself a modifier: the "documents" of "documents", not of "document store"."""
        following = self.phrase.word(at + 1)
        return (
            self.phrase.parted(at + 1) or not following or not self.phrase.is_document(at + 1) or at not in self.covered
        )

    # ------------------------------------------------------------------------------------------------- to the left

    def noun_before(self, at: int, reach: int = 8) -> int | None:
        """Return the nearest noun for documents, or word for any of them, within `reach` tokens before `at`."""
        for here in range(at - 1, max(-1, at - 1 - reach), -1):
            if self.phrase.is_document(here) or self.phrase.word(here) in ANYTHING:
                return here
        return None

    def negated(self, at: int) -> bool:
        """Whether what begins at `at` is said not to be so."""
        near = self.phrase.words(max(0, at - 4), at)
        for back, word in enumerate(reversed(near), start=1):
            if (
                word in NEGATIVE
                or (word == "than" and "other" in near)
                or (word == "but" and near[-back - 1 :] and _OTHERS & set(near))
            ):
                return True
            if self.phrase.parted(at - back + 1) or word not in _SKIPPED_BY_NOT:
                return False
        return False

    # ------------------------------------------------------------------------------------------- one per construction

    def attributive(self, one: Mention) -> bool:
        """ "rejected proposals", "the typing-related PEPs", "Final or Active PEPs"."""
        phrase = self.phrase
        if phrase.quoted(one.start, one.end) or self._general(one):
            return False
        if phrase.word(one.end) == "related":
            return self.noun_after(one.end, unknown=1) is not None or self.noun_before(one.start, 2) is not None
        return self.noun_after(one.end, unknown=_ADJECTIVES) is not None

    def _general(self, one: Mention) -> bool:
        """Whether a question after how or what things are speaks of the kind as such: "How do draft PEPs …"."""
        phrase, at = self.phrase, one.start
        while at > 0 and (at - 1 in self.covered or phrase.word(at - 1) == "s"):
            at -= 1
        if at < one.start and phrase.word(one.start - 1) == "s":
            return False
        first, second = phrase.word(0), phrase.word(1)
        if first == "what" and second in BEING:
            return phrase.word(at - 1) in _VAGUE
        explained = first in _ASKING_HOW - {"who", "whom"} | {"are", "is"} and second not in ("many", "much", "there")
        return explained and phrase.word(at - 1) not in _DETERMINED

    def stands_for_another(self, one: Mention) -> bool:
        """ "the accepted one": said in passing, of something else that is described."""
        noun = self.noun_after(one.end, unknown=0)
        return noun is not None and self.phrase.word(noun) == "one"

    def plural_head(self, one: Mention) -> bool:
        """ "which drafts", "all PDFs by Ana"."""
        word = self.phrase.word(one.end - 1)
        if not word.endswith("s") or any(str(value).casefold().endswith("s") for value in one.values):
            return False
        before = self.phrase.word(one.start - 1)
        counted = before in ANYTHING | {"the", "list", "show", "find", "our", "my", "any", "in", "from", "only", "of"}
        return not phrase_goes_on(self.phrase, one.end) and (counted or one.start == 0)

    def predicate(self, one: Mention) -> bool:
        """ "PEPs that are Final", "which … ended up Rejected", "what … isn't Final"."""
        at = one.start - 1
        if self.phrase.word(at) in ("a", "an"):
            at -= 1
        while at >= 0 and (self.phrase.word(at) in _LINKS or self.phrase.word(at) in NEGATIVE - BEING):
            at -= 1
        linked = at < one.start - 1 and bool(set(self.phrase.words(at + 1, one.start)) & _MADE)
        if self.phrase.word(at) not in BEING and not linked:
            return False
        subject = self._subject(at if self.phrase.word(at) in BEING else at + 1)
        if subject is None:
            return False
        return not phrase_goes_on(self.phrase, one.end) or self.phrase.word(subject) in _RELATIVE

    def _subject(self, at: int) -> int | None:
        """Return the noun or pronoun of which something is said at `at`, where that is a kind, not a generality."""
        if self.phrase.word(at - 1) in _RELATIVE and self.noun_before(at - 1) is not None:
            return at - 1
        noun = self.noun_before(at, 12)
        if noun is None or self.phrase.word(0) in _ASKING_HOW or self.phrase.word(noun - 1) in _VAGUE:
            return None
        if noun == at - 1 and self.phrase.word(noun) in ("what", "which", "that", "those", "all"):
            return None
        return noun

    def of_its_field(self, one: Mention) -> bool:
        """ "status: draft", "with status draft", "whose status is Final", "Python 3.8", "tagged hr"."""
        names = field_words(one.field)
        at = one.start - 1
        while at >= 0 and self.phrase.word(at) in _OF_FIELD | NEGATIVE | {"with", "the"}:
            at -= 1
        before = self.phrase.words(max(0, at - 3), at + 1)
        called = any(before[-len(name) :] == name for name in names)
        if called and one.field in _OWN_WORDS:
            return self.phrase.word(at) in ("tagged", "labelled", "labeled") or self._states(at, one)
        if called:
            return self._states(at - len(names[0]) + 1, one) or self._limits(at, one)
        following = self.phrase.words(one.end, one.end + 2)
        leads = one.start - (2 if self.phrase.word(one.start - 1) == "the" else 1)
        led = self.phrase.word(leads) in ("with", "in", "of", "for", "from", "has", "have", "having")
        return led and any(following[: len(name)] == name for name in names) and self.noun_before(one.start) is not None

    def _states(self, at: int, one: Mention) -> bool:
        """Whether the field's name at `at` begins a statement, not a question about the field."""
        if ":" in self.phrase.gap(one.start) or "=" in self.phrase.gap(one.start):
            return True
        return self.phrase.word(at - 1) in {"with", "whose", "of", "has", "have", "having", "where", "the"} and (
            self.noun_before(at) is not None
        )

    def _limits(self, at: int, one: Mention) -> bool:
        """Whether "Python 3.8" is what documents are for, not what is asked about."""
        first = at
        while first > 0 and self.phrase.word(first - 1) in ("version", "versions", "the", "python"):
            first -= 1
        if self.noun_after(one.end, unknown=_ADJECTIVES) is not None and not self._general(one):
            return True
        leads = self.phrase.word(first - 1)
        aimed = {"targeting", "targets", "targeted", "target", "aimed", "for", "at", "scheduled", "slated", "planned"}
        if leads not in aimed:
            return leads in ("in", "of") and self.phrase.is_document(first - 2)
        return self.noun_before(first - 1, 3 if leads == "for" else 6) is not None

    def behind_noun(self, one: Mention) -> bool:
        """ "documents in review", "presentations from Acme": a value of several words, or a name behind "from"."""
        if phrase_goes_on(self.phrase, one.end) or one.kind != "whole":
            return False
        if self.phrase.word(one.start - 1) == "from":
            return self.is_name(one) and self.phrase.is_document(one.start - 2)
        several = one.end - one.start > 1 and not self.phrase.parted(one.start)
        return several and self.phrase.is_document(one.start - 1, ideas=False)

    def topical(self, one: Mention) -> bool:
        """ "PEPs on Packaging": a topic written as it is, after a noun that is looked for."""
        if self.phrase.word(one.start - 1) not in ("on", "about", "regarding", "concerning") or not one.cased:
            return False
        capital = any(str(value)[:1].isupper() for value in one.values)
        looked_for = (
            self.phrase.is_document(one.start - 2, ideas=False) or self.phrase.word(one.start - 2) in _ANY_THERE
        )
        goes_on = phrase_goes_on(self.phrase, one.end) and self.phrase.word(one.end) not in AUTHORING
        return capital and looked_for and not goes_on

    def left_out(self, one: Mention) -> bool:
        """ "PEPs by Ana excluding Final"."""
        left_out = self.phrase.word(one.start - 1) in ("except", "excluding", "without")
        return left_out and not phrase_goes_on(self.phrase, one.end) and self.noun_before(one.start) is not None

    # --------------------------------------------------------------------------------------------------- provenance

    def comes_from(self, one: Mention) -> bool:
        """ "according to the handbook", "TechCrunch articles", "as reported by Fortune", "the handbook says"."""
        at = one.start - 1
        while at >= 0 and self.phrase.word(at) in ("the", "our", "both", "either"):
            at -= 1
        before = self.phrase.word(at)
        if before in _PROVENANCE or (before == "to" and self.phrase.word(at - 1) == "according"):
            return before != "from" or self._has_noun() or one.kind == "whole"
        if before in _PLACES:
            if self.phrase.word(0) in ("how", "can", "may", "should") and self.phrase.word(1) not in ("many", "much"):
                return False  # "How do I make a page in Confluence?" is about Confluence
            where = at == 0 or self.phrase.word(0) in ("where", "is")
            return where or self._has_noun() or (self.is_name(one) and self._is_long(one))
        return self._speaks(one)

    def _speaks(self, one: Mention) -> bool:
        end = self.phrase.possessive(one.end)
        asked = self.phrase.word(one.start - 1) in _AUXILIARY
        if self.noun_after(end, unknown=0 if asked else 2) is not None:
            return True
        return any(self.phrase.word(at) in _SAYING for at in range(end, end + 2)) and not self.phrase.parted(end)

    def is_name(self, one: Mention) -> bool:
        """Whether a value is written as the name that it is, and is not part of a longer one ("Fortune 500")."""
        following = one.end < len(self.phrase) and not self.phrase.gap(one.end).strip()
        longer = following and (self.phrase.word(one.end).isdigit() or self.phrase.capital(one.end))
        return one.cased and any(str(value)[:1].isupper() for value in one.values) and not longer

    def unmistakable(self, one: Mention) -> bool:
        """Whether a name has several words or capitals inside, in a question that speaks of documents or sources."""
        sources = {"source", "sources", "reporting", "reported"} & set(self.phrase.words(0, len(self.phrase)))
        spoken = self._has_noun() or bool(sources) or self.phrase.quoted(one.start, one.end)
        return one.kind == "whole" and spoken and self.is_name(one) and self._is_long(one)

    def _is_long(self, one: Mention) -> bool:
        return any(character.isupper() for character in self.phrase.raw(one.start, one.end)[1:])

    def _has_noun(self) -> bool:
        return next(self.phrase.documents(), None) is not None

    # ------------------------------------------------------------------------------------------------------- people

    def by(self, one: Mention) -> bool:
        """ "by Ana", but not "approved by Ana"; "came from Ana"; "docs from Ana"."""
        at = one.start - 1
        while self.phrase.word(at) in _OTHERS:
            at -= 1
        at = at if self.phrase.word(at) == "by" else one.start - 1
        before, verb = self.phrase.word(at), self.phrase.word(at - 1)
        if before == "by":
            return verb in AUTHORING or not (verb.endswith("ed") or verb in ("run", "led", "done", "made", "held"))
        if before == "from":
            return (
                verb in {"come", "came", "comes", "coming", "out"} | ANYTHING
                or self.phrase.is_document(one.start - 2)
                or (one.kind == "whole" and self.noun_before(one.start) is not None)
            )
        if before in ("author", "authors", "authored", "coauthor"):
            return True
        if before == "with":  # "who wrote PEPs with Ana"
            return self._has_noun() and bool(AUTHORING & set(self.phrase.words(0, one.start)))
        return before in ("is", "are", "of") and self.phrase.word(one.start - 2) in ("author", "authors")

    def writes(self, one: Mention) -> bool:
        """ "Ana wrote", "did Ana publish", "that Ana co-authored", "Ana put forward"."""
        verbs = self.phrase.words(one.end, one.end + 4)
        if verbs[:1] == ("did",) and self.phrase.word(one.start - 1) in ANYTHING:
            return True
        asked = self.phrase.word(one.start - 1) in ("did", "has", "have", "had", "does", "do", "was", "were", "by")
        for step, word in enumerate(verbs):
            if self.phrase.parted(one.end + step) or (word in ("about", "for", "in", "on", "to") and not asked):
                return False
            if word in AUTHORING or (word in ("come", "came") and "up" in verbs):
                return True
            if step >= 2 and not asked:
                return False
        return False

    def possesses(self, one: Mention) -> bool:
        """ "Ana's rejected idea about …"."""
        if not self.phrase.is_possessive(one.end):
            return False
        noun = self.noun_after(self.phrase.possessive(one.end), unknown=_BEFORE_WORK)
        if noun is None:
            return False
        return not (self.phrase.word(noun) in _ATTRIBUTES and self.phrase.parted(noun + 1))

    def heads(self, one: Mention) -> bool:
        """ "Ana Núñez: everything since May", "Ana Núñez, 2006: …", "Ana Núñez 2006 …"."""
        if one.kind != "whole" or one.start > 0:
            return False
        dated = any(self.phrase.token_at(date.span[0]) == one.end for date in self.dates)
        return dated or self.phrase.gap(one.end).lstrip()[:1] == ":"

    def named_with_documents(self, one: Mention) -> bool:
        """A full name in a question for documents, where nothing says that the person is what it is about."""
        if one.kind != "whole" or one.end - one.start < 2 or not one.cased or not self._has_noun():
            return False
        return self.phrase.word(one.start - 1) not in _ABOUT and self.phrase.word(0) not in ("who", "whom", "whose")


_ANY_THERE = ANYTHING | {"there"}
_DETERMINED = wordset("the this that these those our any all which s")
_AUXILIARY = wordset("does do did can will is are has should could")
_ATTRIBUTES = wordset("email mail record page work thing file")
"""Nouns that, in the singular and alone after a person's 's, are more likely something about the person."""
_MADE = wordset("ended marked became stayed remain remains remained considered deemed labelled labeled got")
_OTHERS = wordset("anyone anybody everyone everybody someone other others than but except not either both")
_SKIPPED_BY_NOT = (
    AUTHORING
    | _MADE
    | wordset(
        "by the yet any a from in ones one those written actually marked being been up still all are is was were "
        "created ended published that which"
    )
)
_ABOUT = wordset("about regarding concerning with to for mention mentions mentioning mentioned and named is")


def phrase_goes_on(phrase: Phrase, at: int) -> bool:
    """Whether a content word follows without a break, so that what stands before modifies it."""
    return at < len(phrase) and not phrase.parted(at) and not phrase.is_function(at)


def field_words(field: str) -> list[tuple[str, ...]]:
    """Return how a field may be called in a question, as words."""
    if field in _OWN_WORDS:
        return [(word,) for word in _OWN_WORDS[field]]
    words = tuple(field.casefold().replace("_", " ").replace("-", " ").split())
    short = [(words[0],)] if len(words) == 2 and words[1] in ("version", "name", "id") else []
    tail = [words[1:]] if len(words) == 2 and words[1] == "version" else []
    return [words, *short, *tail]


def tokens_of(phrase: Phrase, span: tuple[int, int]) -> tuple[int, int]:
    """Return the first token of a span and the one after its last."""
    inside = [at for at, token in enumerate(phrase.tokens) if token.start < span[1] and token.end > span[0]]
    return (inside[0], inside[-1] + 1) if inside else (0, 0)
