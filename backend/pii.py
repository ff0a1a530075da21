"""Personal data in what people write: found by its form and its check digits, and blotted out. Pure.

Small recognisers of our own: presidio's analyzer brings spaCy and a language model of 400 MB to find, in the same way,
what has a form. Names have none and are not found.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Literal, TypeAlias

Pii: TypeAlias = Literal["email", "phone", "iban", "card", "ip"]
Span: TypeAlias = tuple[int, int]

_EMAIL = re.compile(
    r"(?<![\w.+%-])[\w.+%'-]{1,64}@(?:[^\W_](?:[\w-]{0,61}[^\W_])?\.){1,8}[^\W\d_]{2,24}(?![\w-])", re.UNICODE
)
_IBAN = re.compile(r"(?<![A-Za-z0-9])[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?(?![A-Za-z0-9])", re.I)
_CARD = re.compile(r"(?<![\d.,-])\d(?:[ -]?\d){12,18}(?![\d-])")
_IP4 = re.compile(r"(?<![\w.])\d{1,3}(?:\.\d{1,3}){3}(?![\w]|\.\d)")
_IP6 = re.compile(r"(?<![\w:.])(?:[0-9A-Fa-f]{0,4}:){2,7}(?:[0-9A-Fa-f]{1,4}|(?:\d{1,3}\.){3}\d{1,3})?(?![\w:])")
_PART = re.compile(r"[\w-]\Z")
"""A number right behind this is part of something longer, such as that of an invoice."""
_IBAN_LENGTHS = {
    "AD": 24, "AE": 23, "AL": 28, "AT": 20, "AZ": 28, "BA": 20, "BE": 16, "BG": 22, "BH": 22, "BR": 29, "CH": 21,
    "CR": 22, "CY": 28, "CZ": 24, "DE": 22, "DK": 18, "DO": 28, "EE": 20, "EG": 29, "ES": 24, "FI": 18, "FO": 18,
    "FR": 27, "GB": 22, "GE": 22, "GI": 23, "GL": 18, "GR": 27, "GT": 28, "HR": 21, "HU": 28, "IE": 22, "IL": 23,
    "IS": 26, "IT": 27, "JO": 30, "KW": 30, "KZ": 20, "LB": 28, "LI": 21, "LT": 20, "LU": 20, "LV": 21, "MC": 27,
    "MD": 24, "ME": 22, "MK": 19, "MR": 27, "MT": 31, "MU": 30, "NL": 18, "NO": 15, "PK": 24, "PL": 28, "PS": 29,
    "PT": 25, "QA": 29, "RO": 24, "RS": 22, "SA": 24, "SE": 24, "SI": 19, "SK": 24, "SM": 27, "TN": 24, "TR": 26,
    "UA": 29, "VG": 24, "XK": 20,
}  # fmt: skip
"""Characters of an IBAN per country (the SWIFT registry)."""


@dataclass(frozen=True, slots=True)
class Blotter:
    """Blots out some kinds of personal data. `regions` are the countries whose national numbers are known."""

    kinds: tuple[Pii, ...]
    regions: tuple[str, ...] = ()

    def blot(self, text: str) -> str:
        """Return the text with `[email]`, `[phone]` … where such a thing stood."""
        blotted, end = [], 0
        for start, stop, kind in self.found(text):
            blotted += [text[end:start], f"[{kind}]"]
            end = stop
        return "".join([*blotted, text[end:]])

    def found(self, text: str) -> list[tuple[int, int, Pii]]:
        """Return what is found, in order; where two kinds claim the same place, the surer one has it."""
        taken: list[tuple[int, int, Pii]] = []
        for kind in (one for one in SURE if one in self.kinds):
            for start, end in self._phones(text) if kind == "phone" else FINDERS[kind](text):
                if not any(start < other[1] and other[0] < end for other in taken):
                    taken.append((start, end, kind))
        return sorted(taken)

    def _phones(self, text: str) -> Iterator[Span]:
        import phonenumbers  # a tenth of a second of importing that few need

        for region in (None, *self.regions):
            matcher = phonenumbers.PhoneNumberMatcher(text, region)
            yield from ((match.start, match.end) for match in matcher if not _PART.search(text[: match.start]))


def _emails(text: str) -> Iterator[Span]:
    return (match.span() for match in _EMAIL.finditer(text))


def _ibans(text: str) -> Iterator[Span]:
    """ISO 13616: as long as its country's are, and 1 modulo 97 with the first four characters at the end. Words after
    it look like a part of it, so what fits its country's length is tried."""
    for match in _IBAN.finditer(text):
        length = _IBAN_LENGTHS.get(match[0][:2].upper(), 0)
        places = [at for at, character in enumerate(match[0]) if character != " "]
        if not 0 < length <= len(places):
            continue
        plain = "".join(match[0].split()).upper()[:length]
        if int("".join(str(int(one, 36)) for one in plain[4:] + plain[:4])) % 97 == 1:
            yield match.start(), match.start() + places[length - 1] + 1


def _cards(text: str) -> Iterator[Span]:
    """ISO/IEC 7812: 13 to 19 digits that begin as cards do, and Luhn's check digit."""
    for match in _CARD.finditer(text):
        digits = [int(one) for one in match[0] if one.isdigit()]
        doubled = [one if at % 2 == 0 else one * 2 - 9 * (one > 4) for at, one in enumerate(reversed(digits))]
        if digits[0] in (2, 3, 4, 5, 6) and sum(doubled) % 10 == 0:
            yield match.span()


def _addresses(text: str) -> Iterator[Span]:
    for pattern in (_IP4, _IP6):
        for match in pattern.finditer(text):
            try:
                address = ipaddress.ip_address(match[0])
            except ValueError:
                continue
            if not address.is_unspecified:
                yield match.span()


FINDERS: dict[Pii, Callable[[str], Iterable[Span]]] = {
    "email": _emails,
    "iban": _ibans,
    "card": _cards,
    "ip": _addresses,
}
SURE: tuple[Pii, ...] = ("email", "iban", "card", "ip", "phone")
"""The kinds, the one that errs least first."""
