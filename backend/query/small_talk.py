"""Thanks, greetings and farewells: answered politely at once, without looking anything up. Pure.

Only a message that is nothing else counts. Whatever could be a question, or a reply to one, is a question.
"""

from __future__ import annotations

import re
import unicodedata

WELCOME = "You're welcome!"
HELLO = "Hello! Ask me anything about your team's documents; I answer with quotes from them."
BYE = "Goodbye!"

_THANKS = (
    "thank you|thank u|thanks|thankyou|thx|thnx|tnx|ty|tysm|cheers|much appreciated|appreciated|appreciate it|"
    "i appreciate it|danke|danke schön|danke sehr|vielen dank|dankeschön|merci|merci beaucoup|gracias|muchas gracias|"
    "grazie|grazie mille|obrigado|obrigada|muito obrigado|muito obrigada|dank je|dank je wel|dankjewel|bedankt|tack|"
    "tack så mycket|takk|tak|kiitos|dziękuję|dzięki|спасибо|谢谢|多谢|謝謝|ありがとう|ありがとうございます|감사합니다"
)
_HELLOS = (
    "hi|hello|hey|hiya|howdy|yo|good morning|good afternoon|good evening|morning|greetings|hallo|guten morgen|"
    "guten tag|guten abend|moin|servus|bonjour|salut|bonsoir|hola|buenos días|buenas|buenas tardes|ciao|buongiorno|olá|"
    "oi|bom dia|hoi|goedemorgen|hej|god morgon|привет|你好|您好|こんにちは|안녕하세요"
)
_BYES = (
    "bye|bye bye|goodbye|see you|see ya|see you later|cya|good night|tschüss|auf wiedersehen|au revoir|adiós|"
    "arrivederci"
)
_PRAISE = (
    "ok|okay|great|perfect|awesome|cool|nice|got it|very|so|a lot|a bunch|very much|so much|a million|again|all|"
    "everyone|team|folks|there|bot|footnote|for your help|for the help|for that|for this|for the answer|"
    "for the quick answer|"
    "that helps|that helped|that was helpful|very helpful|super|wonderful|excellent|brilliant|prima|parfait|perfecto|"
    "and|man|mate|works|it works|that works|good to know|will do"
)


def _phrases(*groups: str) -> re.Pattern[str]:
    words = sorted({word for group in groups for word in group.split("|")}, key=len, reverse=True)
    return re.compile(rf"(?:{'|'.join(map(re.escape, words))})(?: |\Z)")


_KINDS = ((_phrases(_THANKS), WELCOME), (_phrases(_BYES), BYE), (_phrases(_HELLOS), HELLO))
_ANY = _phrases(_THANKS, _HELLOS, _BYES, _PRAISE)
_SAID = re.compile(r"[^\w\s']+|_", re.UNICODE)
LONGEST = 80
"""Characters of a message that may be small talk."""
_THANKING = {"🙏", "👍", "❤", "🎉", "🙌", "😊", "🙂", "😀", "👏"}


def small_talk(message: str) -> str | None:
    """Return the reply to a message that is nothing but small talk; None for everything else."""
    if len(message) > LONGEST or "?" in message or "？" in message:
        return None
    said = " ".join(_SAID.sub(" ", re.sub(r":[a-z0-9_+-]+:", " ", message.casefold())).split())
    if not said:
        return WELCOME if _is_thanking_emoji(message) else None
    at, kinds = 0, []
    while at < len(said):
        known = _ANY.match(said, at)
        if known is None:
            return None
        kinds += [reply for phrases, reply in _KINDS if (one := phrases.match(said, at)) and one.end() == known.end()]
        at = known.end()
    return next((reply for _, reply in _KINDS if reply in kinds), None)


def _is_thanking_emoji(message: str) -> bool:
    """Whether a message is a few emoji of thanks, as characters or as Slack names them."""
    named = set(re.findall(r":([a-z0-9_+-]+):", message))
    if named:
        return named <= {
            "pray",
            "+1",
            "thumbsup",
            "heart",
            "tada",
            "raised_hands",
            "blush",
            "slightly_smiling_face",
            "clap",
        }
    shown = [one for one in message if not one.isspace() and unicodedata.category(one) not in ("Mn", "Sk", "Cf")]
    return bool(shown) and set(shown) <= _THANKING
