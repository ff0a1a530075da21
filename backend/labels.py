"""Labels: metadata as `field=value` slugs over a closed alphabet, so that a query may hold them as they are.

Two values are equal when their labels are: case, accents on Latin letters and runs of white space do not count, 3 and
"3" are the same, and so are "2026-01-31" and that midnight in UTC. Numbers and dates also carry *range labels*, the
hexadecimal prefixes of an order-preserving 64-bit code: any half-open range is the union of at most 240 of them
(a trie, as in Lucene's numeric fields, https://doi.org/10.1016/j.cageo.2008.02.023).
`published_at` and `ingested_at` have none: they are columns.
"""

from __future__ import annotations

import hashlib
import math
import re
import struct
import unicodedata
from datetime import UTC, datetime

from backend.domain import BUILT_IN_FIELDS, FieldValue, IndexedDocument, Metadata

LABEL = re.compile(r"[a-z0-9_.~-]+=[a-z0-9_.~-]+")
"""What every label matches in full; it holds no quote, so it is safe between quotes."""

_LONGEST_SLUG = 120
_LATIN_ACCENTS = re.compile(r"(?<=[a-z])[\u0300-\u036f]+")
_QUOTES = str.maketrans({"'": "’", "`": "’", "\\": "⧵"})
_PLAIN = frozenset("abcdefghijklmnopqrstuvwxyz0123456789.-_")
_ISO_DATE = re.compile(r"\d{4}-\d\d-\d\d([T ]\d\d:\d\d(:\d\d(\.\d{1,6})?)?(Z|[+-]\d\d:?\d\d)?)?")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_DIGITS = 16
_SIGN = 1 << 63


def fold(text: str) -> str:
    """Return `text` for comparison: compatibility forms, case, Latin accents and runs of white space removed.

    An apostrophe becomes a typographic one and a backslash `⧵`: a folded text can stand between SQL quotes.
    """
    lowered = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", text).casefold()).translate(_QUOTES)
    return " ".join(_LATIN_ACCENTS.sub("", lowered).split())


def slug(text: str) -> str:
    """Return the folded text over `[a-z0-9_.~-]`, never empty; beyond 120 characters a digest stands for the rest."""
    folded = fold(text)
    plain = "".join(_spell(character) for character in folded) or "~"
    if len(plain) <= _LONGEST_SLUG:
        return plain
    return f"{plain[:64]}~x{hashlib.sha256(folded.encode('utf-8', 'surrogatepass')).hexdigest()[:32]}"


def _spell(character: str) -> str:
    if character in _PLAIN:
        return character
    if character == " ":
        return "_"
    return "".join(f"~{byte:02x}" for byte in character.encode("utf-8", "surrogatepass"))


def field_name(field: str) -> str:
    """Return the name under which a field is known: `Cost Center` and `cost_center` are one field."""
    return slug(field)


def label(field: str, value: FieldValue) -> str:
    """Return the label that says `field` has `value`."""
    return f"{field_name(field)}={_value_slug(value)}"


def _value_slug(value: FieldValue) -> str:
    moment = as_instant(value)
    if moment is not None:
        return _date_slug(moment)
    return slug(value) if isinstance(value, str) else slug(_number_text(value))


def _date_slug(moment: datetime) -> str:
    day = moment.date().isoformat()
    if moment.time() == moment.time().min:
        return day
    return f"{day}t{moment.time().isoformat().replace(':', '.')}"


def _number_text(value: FieldValue) -> str:
    assert not isinstance(value, str | datetime)
    number = _as_float(value)
    if number.is_integer() and abs(number) < 1e16:
        return str(int(number))
    return repr(number).replace("e+", "e")


def _as_float(value: float) -> float:
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf


def as_instant(value: FieldValue) -> datetime | None:
    """Return the UTC instant that a datetime or an ISO 8601 text means (UTC where it names no zone), or None."""
    if isinstance(value, datetime):
        return _utc(value)
    if isinstance(value, str) and _ISO_DATE.fullmatch(value):
        try:
            return _utc(datetime.fromisoformat(value))
        except ValueError:
            return None
    return None


def _utc(moment: datetime) -> datetime:
    if moment.tzinfo is None:
        return moment.replace(tzinfo=UTC)
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        return moment.replace(tzinfo=UTC)


# ------------------------------------------------------------------------------------------------------------- ranges


def ordinal(value: FieldValue) -> tuple[str, int] | None:
    """Return the kind of an ordered value ("n" number, "t" time) and its 64-bit code, or None where it has no order.

    Within a kind, codes compare as the values do. Text other than a date, and NaN, have no order.
    """
    moment = as_instant(value)
    if moment is not None:
        delta = moment - _EPOCH
        return "t", _SIGN + (delta.days * 86_400 + delta.seconds) * 1_000_000 + delta.microseconds
    if isinstance(value, str | datetime):
        return None
    number = _as_float(value)
    return None if math.isnan(number) else ("n", _float_code(number))


def _float_code(number: float) -> int:
    """Order-preserving bits of an IEEE 754 double: flip the sign bit of positives, every bit of negatives."""
    bits: int = struct.unpack(">Q", struct.pack(">d", number + 0.0))[0]
    return bits ^ ((1 << 64) - 1) if bits & _SIGN else bits | _SIGN


def range_labels(field: str, value: FieldValue) -> tuple[str, ...]:
    """Return the labels under which a range finds `value`: one per prefix of its code, none if it has no order."""
    order = ordinal(value)
    if order is None:
        return ()
    kind, code = order
    digits = f"{code:016x}"
    return tuple(_prefix_label(field, kind, digits[:length]) for length in range(1, _DIGITS + 1))


def at_least(field: str, bound: FieldValue) -> tuple[str, ...]:
    """Return labels such that a value is >= `bound` exactly if it carries one of them; none if `bound` has no order."""
    order = ordinal(bound)
    return () if order is None else _covering(field, order[0], order[1], up=True)


def below(field: str, bound: FieldValue) -> tuple[str, ...]:
    """Return labels such that a value is < `bound` exactly if it carries one of them; none if `bound` has no order."""
    order = ordinal(bound)
    return () if order is None else _covering(field, order[0], order[1], up=False)


def _covering(field: str, kind: str, code: int, *, up: bool) -> tuple[str, ...]:
    digits = f"{code:016x}"
    found = [digits] if up else []
    for place, digit in enumerate(digits):
        siblings = range(int(digit, 16) + 1, 16) if up else range(int(digit, 16))
        found.extend(f"{digits[:place]}{sibling:x}" for sibling in siblings)
    return tuple(_prefix_label(field, kind, prefix) for prefix in found)


def _prefix_label(field: str, kind: str, prefix: str) -> str:
    return f"{field_name(field)}~{kind}={prefix}"


# ---------------------------------------------------------------------------------------------------------- documents


def field_values(document: IndexedDocument) -> dict[str, tuple[FieldValue, ...]]:
    """Return every field of a document that labels speak of, by `field_name`; a custom field never hides a built-in."""
    metadata = document.metadata
    values: dict[str, tuple[FieldValue, ...]] = {}
    for name, members in metadata.custom.items():
        values[field_name(name)] = values.get(field_name(name), ()) + tuple(members)
    return values | _built_in_values(document.document_id, document.title, metadata)


def _built_in_values(document_id: str, title: str, metadata: Metadata) -> dict[str, tuple[FieldValue, ...]]:
    texts = {"source": metadata.source, "doc_type": metadata.doc_type, "language": metadata.language, "title": title}
    values: dict[str, tuple[FieldValue, ...]] = {name: (text,) if text else () for name, text in texts.items()}
    return values | {
        "document_id": (document_id,),
        "author": tuple(metadata.author),
        "tags": tuple(metadata.tags),
        "published_at": (),
        "ingested_at": (),
    }


def document_labels(document: IndexedDocument) -> list[str]:
    """Return every label that a document's chunks carry, sorted; never empty."""
    found: set[str] = set()
    for name, members in field_values(document).items():
        found.update(label(name, member) for member in members)
        if name not in BUILT_IN_FIELDS:
            found.update(text for member in members for text in range_labels(name, member))
    return sorted(found)
