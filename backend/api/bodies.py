"""JSON bodies → wire structs, strictly, with messages that name the field and the measure it fails."""

from __future__ import annotations

import re
from typing import TypeVar

import msgspec

from backend.errors import BadInput

T = TypeVar("T")

_AT = re.compile(r"(?P<what>.*?)(?: - at `(?:key in )?\$\.?(?P<path>[^`]*)`)?\Z", re.DOTALL)
_LENGTH = re.compile(r"Expected `(?P<type>\w+)` of length (?P<sign><=|>=) (?P<bound>\d+)")
_BOUND = re.compile(r"Expected `\w+` (?P<sign><=|>=) (?P<bound>[\d.]+)")
_FIELD = re.compile(r"Object (?:missing required|contains unknown) field `(?P<field>[^`]*)`")
_PATTERN = re.compile(r"Expected `str` matching regex")
_TYPE = re.compile(r"Expected `(?P<expected>[^`]*)`, got `(?P<got>[^`]*)`")
_STEP = re.compile(r"[^.\[\]]+")


def decode(body: bytes, type_: type[T]) -> T:
    """Read a body. BadInput, in one line, where it is not JSON or not of that shape."""
    if not body:
        raise BadInput("The body is empty; send JSON.")
    try:
        return msgspec.json.decode(body, type=type_)
    except msgspec.ValidationError as error:
        raise BadInput(explain(str(error), _plain(body))) from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BadInput(f"The body is not JSON: {error}") from None
    except RecursionError:
        raise BadInput("The body is nested too deeply.") from None


def convert(values: dict[str, object], type_: type[T]) -> T:
    """Read the fields of a form, whose numbers are text. BadInput where they are not of that shape."""
    try:
        return msgspec.convert(values, type_, strict=False)
    except msgspec.ValidationError as error:
        raise BadInput(explain(str(error), values)) from None


def _plain(body: bytes) -> object:
    """Return the body as it is, None where what comes after the error is no JSON."""
    try:
        return msgspec.json.decode(body)
    except (msgspec.DecodeError, RecursionError):
        return None


def explain(message: str, value: object) -> str:
    """Say msgspec's message in words, with the size of what was sent: `question: 50,000 characters; at most 4,000`."""
    parsed = _AT.fullmatch(message)
    what, path = (parsed["what"], parsed["path"] or "") if parsed else (message, "")
    if field := _FIELD.match(what):
        name = f"{path}.{field['field']}" if path else field["field"]
        return f"{name}: {'missing' if 'missing' in what else 'unknown field'}"
    sentence = _measure(what, _at(value, path))
    return f"{path}: {sentence}" if path else sentence


def _measure(what: str, value: object) -> str:
    if length := _LENGTH.match(what):
        return _length(length, value)
    if bound := _BOUND.match(what):
        return f"{'at most' if bound['sign'] == '<=' else 'at least'} {bound['bound']}"
    if _PATTERN.match(what):
        return "letters, digits, _ . and - only, 1 to 64 of them"
    if types := _TYPE.match(what):
        return f"must be {types['expected']}, not {types['got']}"
    return what[:1].lower() + what[1:200]


def _length(length: re.Match[str], value: object) -> str:
    unit = "characters" if length["type"] == "str" else "items"
    bound = int(length["bound"])
    if length["sign"] == ">=":
        return "must not be empty" if bound == 1 else f"at least {bound:,} {unit}"
    size = f"{len(value):,} {unit}; " if isinstance(value, str | list) else ""
    return f"{size}at most {bound:,}"


def _at(value: object, path: str) -> object:
    """Return what a path such as `history[3].text` leads to, None where it leads nowhere."""
    for step in _STEP.findall(path):
        if isinstance(value, dict):
            value = value.get(step)
        elif isinstance(value, list) and step.isdigit() and int(step) < len(value):
            value = value[int(step)]
        else:
            return None
    return value
