"""What of a draft is not worth verifying: what was said before, and that nothing can be said. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from backend.query.generate import Drafted

LOOP = 3
"""Repetitions in a row after which a model is taken to run in circles."""

_SOURCES = r"(?:sources?|documents?|passages?|excerpts?|context|materials?|information)\b"
_NOT = r"(?: ?not|n['’]t)"
_DENIALS = (
    # the sources do not …
    rf"\b(?:the|these|those|any|your|provided|given|available|supplied) (?:\w+ )?{_SOURCES}[^.;]{{0,40}}"
    rf"\b(?:do|does|did){_NOT} (?:\w+ ){{0,2}}(?:mention|contain|say|state|specify|provide|include|answer|cover|"
    r"address|discuss|indicate|describe|give|have|tell|explain|define|list)",
    rf"\b(?:there is|there['’]s|i (?:found|find|see|have)) (?:no|nothing|not enough|insufficient) [^.]{{0,40}}"
    rf"\b{_SOURCES}",
    r"\b(?:no|insufficient|not enough) (?:\w+ )?information\b",
    rf"\b(?:is|are|was|were){_NOT} (?:\w+ )?(?:mentioned|stated|specified|covered|provided|found|addressed|answered|"
    rf"included|given|described) (?:in|by|within|anywhere) [^.]{{0,30}}\b{_SOURCES}",
    # I cannot …
    r"^(?:sorry|i['’]m sorry|i am sorry|i apologi[sz]e|unfortunately,? i\b|as an ai\b|as a (?:large )?language model)",
    r"\bi (?:can(?:not|['’]t)|could ?n(?:ot|['’]t)|could not|(?:am|was) (?:not able|unable)|do not|don['’]t|did not|"
    r"didn['’]t) (?:\w+ ){0,2}(?:answer|find|help|assist|provide|determine|say|tell|know)\b",
    r"\bi (?:do not|don['’]t) have (?:access|(?:any |enough )?information)",
    # the same in other languages
    r"^(?:es tut mir leid|leider (?:kann|konnte|enthalten|finde)|je suis désolée?|désolée?,|lo siento|mi dispiace|"
    r"me desculpe|sinto muito|het spijt me|tyvärr kan)",
    r"\b(?:die|den) (?:\w+ )?(?:quellen|dokumenten?|texten?|unterlagen)\b[^.]{0,60}\b(?:nicht|keine[nrsm]?|nichts)\b",
    r"\b(?:les|ces) (?:sources|documents|textes|passages)\b[^.]{0,30}\bne \w+ (?:pas|rien|aucun)",
    r"\b(?:las fuentes|los documentos|los textos)\b[^.]{0,30}"
    r"\bno (?:mencionan|contienen|dicen|indican|especifican|responden)",
    r"(?:资料|文档|文件|来源|上下文)[^。]{0,12}(?:没有|未)(?:提到|提及|说明|包含|提供)",
    r"(?:資料|文書|ドキュメント|情報源)[^。]{0,20}(?:ありません|記載されていません|含まれていません)",
)
_DENIAL = re.compile("|".join(_DENIALS), re.IGNORECASE)
_WORDS = re.compile(r"\w+")


def denies(text: str) -> bool:
    """Whether a sentence says, in prose of its own, that the documents do not answer or that the model will not.

    Abstaining is the program's: it names the nearest documents. Prose that only sounds like it proves nothing.
    """
    return _DENIAL.search(text) is not None


@dataclass(slots=True, eq=False)
class Heard:
    """What an answer's draft has said so far; `looping` once it says nothing else any more, `unsupported` is how much
    of it the caller found to be so."""

    unsupported: int = 0
    _said: set[str] = field(default_factory=set)
    _repeated: int = 0

    def again(self, drafted: Drafted) -> bool:
        """Whether this was said before, in the same words; note it."""
        said = " ".join(_WORDS.findall(drafted.text.casefold()))
        known = said in self._said
        self._repeated = self._repeated + 1 if known else 0
        self._said.add(said)
        return known

    @property
    def looping(self) -> bool:
        return self._repeated >= LOOP
