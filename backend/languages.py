"""Words of the languages that documents come in: which say nothing, and what is left without their endings.

Full text is stemmed and stopped as English by the index. For the other languages the stems that `light_stem` makes are
indexed beside the words and searched beside them, and their stop words are left out of a search.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

WORD = re.compile(r"[^\W\d_]+")

_STOP_WORDS = {
    "de": (
        "aber alle allem allen aller alles als also am an andere auch auf aus bei beim bin bis bist da dabei damit "
        "dann das dass dein deine dem den denn der des dich die dies diese diesem diesen dieser dieses dir doch dort "
        "du durch ein eine einem einen einer eines er es etwas euch für gegen gibt haben habe hat hatte hier ich ihm "
        "ihn ihnen ihr ihre im in ins ist ja jede jedem jeden jeder jedes kann kein keine können könnte man mein "
        "meine mich mir mit muss müssen nach nicht noch nun nur ob oder ohne sehr sein seine sich sie sind so soll "
        "sollte sollen über um und uns unser unsere unter viel viele vielen vom von vor wann war waren warum was weil "
        "welche welchem welchen welcher welches wenn wer werde werden wie wieder wieviel will wir wird wo wohin zu "
        "zum zur zwischen darf dürfen gilt"
    ),
    "fr": (
        "à afin ai au aux avec avez avoir avons c ce ces cet cette chez combien comme comment d dans de des doit "
        "doivent du elle elles en est et être eux fait faut il ils j je l la le les leur leurs lors lui ma mais me "
        "même mes moi mon n ne nos notre nous on ont ou où par pas peut peuvent plus pour pourquoi puis qu quand que "
        "quel quelle quelles quels qui quoi s sa sans se ses si son sont sous sur t ta te tes toi ton tous tout toute "
        "toutes très tu un une vos votre vous y était sera dois"
    ),
    "es": (
        "a al algo ante antes aquí cada como cómo con contra cual cuál cuales cuáles cualquier cuando cuándo cuánto "
        "cuánta cuántos cuántas de debe deben debo del desde donde dónde dos e el él ella ellas ellos en entre era es "
        "esa ese eso esta está están este esto estos fue ha hace hacer hay he la las le les lo los más me mi mis "
        "mucho muy nada ni no nos nosotros nuestra nuestro o os otra otro para pero poco por porque puede pueden "
        "puedo que qué quien quién se sea según ser si sí sin sobre son su sus también te tengo tiene tienen todo "
        "todos tu tus un una unos usted y ya yo"
    ),
    "it": (
        "a ad agli ai al alla alle allo anche c che chi ci come con cosa cui da dagli dai dal dalla dalle deve devo "
        "di dei del della delle dello devono do dove e è ed era essere fa fra gli ha hanno ho i il in io l la le lei "
        "lo loro lui ma mi mia mio ne negli nei nel nella nelle no noi non nostra nostro o ogni per perché più può "
        "possono posso prima quale quali quando quanta quante quanti quanto quel quella quelli questa queste questi "
        "questo qui se sei si sia sono su sua sue sugli sul sulla suo suoi tra tu tutti tutto un una uno vi voi"
    ),
    "pt": (
        "a à ao aos as às até cada com como da das de dela dele deles depois devo deve devem do dos e é ela elas ele "
        "eles em entre era essa esse esta está estão este eu foi há isso isto já lhe mais mas me mesmo meu minha "
        "muito na não nas nem no nos nós nossa nosso num numa o onde os ou para pela pelas pelo pelos podem pode por "
        "porque posso qual quais quando quanta quantas quanto quantos que quem se sem ser seu seus só sua suas também "
        "te tem têm tenho ter todo todos tu um uma você vocês"
    ),
    "nl": (
        "aan al alle als bij ben bent dan dat de deze die dit doe doen door dus een en er ge geen had hebben heb hebt "
        "heeft hem het hier hij hoe hoeveel hun ik in is ja je jij jouw kan kun kunnen maar me mee meer men met mij "
        "mijn moet moeten na naar niet nog nu of om omdat ons onze ook op over te tot u uit uw van veel voor waar "
        "waarom wanneer want waren was wat we wel welk welke wie wij worden wordt zal ze zich zij zijn zo zonder zou "
        "mag mogen"
    ),
    "sv": (
        "alla allt att av blev bli blir de dem den denna deras dess det detta dig din där då efter ej eller en er ett "
        "få får från för ha hade han hans har hon hur här i icke in inte ja jag kan kunna man med mellan men mig min "
        "mot mycket måste ni nu när någon något några och om oss på sedan sig sin ska skall skulle som så till under "
        "upp ut utan vad var vara varför vem vi vid vilka vilken vilket är över många mina"
    ),
}  # fmt: skip
_ENGLISH = (
    "a an and any are as at be by can did do does for from had has have how i if in is it its many much my of on or "
    "our should that the their there they this to was we were what when where which who whose why will with would you "
    "your"
)
STOP_WORDS = {language: frozenset(words.split()) for language, words in _STOP_WORDS.items()}
"""By ISO 639-1; English has its own list in `query.words`, and the index its own."""
_COMMON = STOP_WORDS | {"en": frozenset(_ENGLISH.split())}
_SPOKEN_IN = {
    word: tuple(language for language, common in _COMMON.items() if word in common)
    for word in frozenset().union(*_COMMON.values())
}

_ENDINGS = {
    "de": ("ern", "em", "en", "er", "es", "e", "s", "n"),
    "fr": ("euses", "ements", "ement", "euse", "ées", "ée", "és", "es", "er", "ez", "é", "e", "s", "x"),
    "es": ("amiento", "ciones", "ción", "aron", "ado", "ada", "ido", "ida", "ar", "er", "ir", "es", "os", "as", "s",
           "o", "a", "e"),
    "it": ("zioni", "zione", "are", "ere", "ire", "ato", "ata", "ati", "ate", "ie", "he", "hi", "ia", "io", "a", "e",
           "i", "o"),
    "pt": ("ações", "ação", "ões", "ão", "ado", "ada", "ar", "er", "ir", "es", "os", "as", "s", "o", "a", "e"),
    "nl": ("heden", "heid", "en", "e", "s"),
    "sv": ("arnas", "ernas", "ornas", "arna", "erna", "orna", "ande", "ade", "are", "ast", "or", "ar", "er", "en", "et",
           "na", "a", "e", "s", "t", "n"),
}  # fmt: skip
"""Inflections in the manner of Savoy's light stemmers (2006): number, gender and case, the longest first."""
STEM = 4
"""Letters that are left at least: shorter ones mean too many things."""


def language_of(text: str) -> str:
    """Return the language whose function words a short text holds most of, "en" where it is not another's clearly:
    one word alone proves nothing ("die casting", "non compete")."""
    counts = dict.fromkeys(_COMMON, 0)
    for word in WORD.findall(text):
        for language in _SPOKEN_IN.get(word.lower(), ()):
            counts[language] += 1
    best = max(_ENDINGS, key=lambda language: counts[language])
    return best if counts[best] > max(1, counts["en"]) else "en"


def light_stem(word: str, language: str) -> str:
    """Return a lower-case word without the ending of its inflection; words of other languages unchanged."""
    for ending in _ENDINGS.get(language, ()):
        if word.endswith(ending) and len(word) - len(ending) >= STEM:
            return word[: len(word) - len(ending)]
    return word


def stems_beside(text: str, language: str) -> str:
    """Return the stems that differ from their words, in order: what is indexed beside a text that is not English."""
    if language not in _ENDINGS:
        return ""
    words = [word.lower() for word in WORD.findall(text)]
    return " ".join(stem for word in words if (stem := light_stem(word, language)) != word)


def searched(question: str) -> str:
    """Return the words to search full text for: a question without the stop words of its language, with its stems.

    English is left as it is: the index knows its stop words and endings.
    """
    language = language_of(question)
    if language == "en":
        return question
    kept = _without(question.split(), STOP_WORDS[language])
    return f"{kept} {stems_beside(kept, language)}".strip() or question


def _without(words: Sequence[str], stop_words: frozenset[str]) -> str:
    return " ".join(word for word in words if word.strip(".,;:?!¿¡\"'()«»„“”").lower() not in stop_words)
