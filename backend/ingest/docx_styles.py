"""Which paragraphs of a Word document are headings, items, code; and the numbers that Word shows before them. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from lxml import etree

WORD = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
_MONOSPACED = re.compile(r"courier|consolas|menlo|monaco|mono\b|lucida console|source code|cascadia|fixedsys", re.I)
_HEADING_NAME = re.compile(r"(?:heading|überschrift|titre|título|titolo|kop|rubrik|标题)\s*(\d)", re.I)
_CODE_NAME = re.compile(r"\bcode\b|preformatted|macro ?text|^verbatim|listing", re.I)
_PLACE = re.compile(r"%(\d)")
_MAX_BASES = 20


@dataclass(frozen=True, slots=True)
class Style:
    """What a paragraph style says; `level` is a heading's, from 1; `numbering` is a list's id and level."""

    level: int | None = None
    code: bool = False
    list_id: str = ""
    list_level: int = 0


@dataclass(frozen=True, slots=True)
class Level:
    """One level of a list: how it counts, from which number, and what it shows, such as `%1.%2.`."""

    format: str = "decimal"
    start: int = 1
    text: str = "%1."


def value(element: etree._Element | None, path: str) -> str | None:
    """Return the `w:val` of an element below; None where it is not there."""
    found = element.find("/".join(WORD + step for step in path.split("/"))) if element is not None else None
    return None if found is None else str(found.get(WORD + "val") or "")


def is_on(element: etree._Element | None, name: str) -> bool:
    """Whether a switch such as `w:b` is there and not turned off."""
    found = value(element, name)
    return found is not None and found not in ("0", "false", "none", "off")


def is_monospaced(properties: etree._Element | None) -> bool:
    """Whether the font of a run or a style is one that code is set in."""
    fonts = properties.find(WORD + "rFonts") if properties is not None else None
    return fonts is not None and bool(_MONOSPACED.search(fonts.get(WORD + "ascii") or ""))


def number_of(text: str | None, default: int = 0) -> int:
    return int(text) if text and text.lstrip("-").isdecimal() and len(text) < 9 else default


def read_styles(root: etree._Element | None) -> Mapping[str, Style]:
    """Return paragraph styles by id, with what they inherit."""
    elements = {str(one.get(WORD + "styleId")): one for one in (root.iter(WORD + "style") if root is not None else ())}
    return {name: _style(name, elements) for name in elements}


def _style(name: str, elements: Mapping[str, etree._Element]) -> Style:
    chain: list[etree._Element] = []
    current: str | None = name
    while current is not None and current in elements and len(chain) < _MAX_BASES:
        chain.append(elements[current])
        current = value(chain[-1], "basedOn")
    found = Style()
    for element in reversed(chain):
        found = _over(element, found)
    return found


def _over(element: etree._Element, base: Style) -> Style:
    """Return a style by its own words, and by its base's where it says nothing."""
    name, properties = value(element, "name") or "", element.find(WORD + "pPr")
    named = _HEADING_NAME.match(name)
    outline = value(properties, "outlineLvl")
    if name.lower() == "title":
        base = replace(base, level=1)
    elif named:
        base = replace(base, level=int(named.group(1)) or 1)
    elif outline is not None:
        base = replace(base, level=number_of(outline) + 1 if number_of(outline) < 9 else None)
    code = bool(_CODE_NAME.search(name)) or is_monospaced(element.find(WORD + "rPr"))
    list_id, list_level = value(properties, "numPr/numId"), value(properties, "numPr/ilvl")
    return Style(
        base.level,
        code or base.code,
        base.list_id if list_id is None else list_id,
        base.list_level if list_level is None else number_of(list_level),
    )


@dataclass(slots=True)
class Numbering:
    """Counts list items as Word does: lists that share a definition go on counting together."""

    levels: Mapping[str, Mapping[int, Level]]
    abstract: Mapping[str, str]
    restarts: Mapping[str, Mapping[int, int]]
    _counts: dict[str, list[int]] = field(default_factory=dict)
    _begun: set[str] = field(default_factory=set)

    @classmethod
    def of(cls, root: etree._Element | None) -> Numbering:
        """Read `numbering.xml`."""
        if root is None:
            return cls({}, {}, {})
        defined = {
            str(one.get(WORD + "abstractNumId")): _levels(one) for one in root.iterchildren(WORD + "abstractNum")
        }
        lists = {str(one.get(WORD + "numId")): one for one in root.iterchildren(WORD + "num")}
        abstract = {name: value(one, "abstractNumId") or "" for name, one in lists.items()}
        return cls(
            {name: {**defined.get(abstract[name], {}), **_overridden(one)} for name, one in lists.items()},
            abstract,
            {name: _restarts(one) for name, one in lists.items()},
        )

    def next(self, list_id: str, level: int) -> str | None:
        """Count one item and return what Word shows before it: "" for a bullet, None if there is no such list."""
        levels = self.levels.get(list_id)
        if levels is None or list_id == "0":
            return None
        level = max(0, min(level, 8))
        counts = self._counts.setdefault(self.abstract[list_id], [0] * 9)
        if list_id not in self._begun:
            self._begun.add(list_id)
            for at, start in self.restarts[list_id].items():
                counts[at] = start - 1
        own = levels.get(level, Level())
        if not counts[level]:
            counts[level] = own.start - 1
        counts[level] += 1
        counts[level + 1 :] = [0] * (8 - level)
        if own.format in ("bullet", "none"):
            return ""
        return _PLACE.sub(lambda place: self._shown(levels, counts, int(place.group(1)) - 1), own.text).strip()

    def _shown(self, levels: Mapping[int, Level], counts: list[int], at: int) -> str:
        level = levels.get(at, Level())
        return _formatted(counts[at] or level.start, level.format) if 0 <= at < 9 else ""


def _levels(element: etree._Element) -> dict[int, Level]:
    found = {}
    for one in element.iterchildren(WORD + "lvl"):
        shown = value(one, "lvlText")
        found[number_of(one.get(WORD + "ilvl"))] = Level(
            value(one, "numFmt") or "decimal", number_of(value(one, "start"), 1), "%1." if shown is None else shown
        )
    return found


def _overridden(element: etree._Element) -> dict[int, Level]:
    return {at: level for one in element.iterchildren(WORD + "lvlOverride") for at, level in _levels(one).items()}


def _restarts(element: etree._Element) -> dict[int, int]:
    overrides = element.iterchildren(WORD + "lvlOverride")
    starts = ((one.get(WORD + "ilvl"), value(one, "startOverride")) for one in overrides)
    return {min(number_of(at), 8): number_of(start, 1) for at, start in starts if start is not None}


def _formatted(number: int, kind: str) -> str:
    if kind.endswith("Letter"):
        letter = chr(ord("a") + (number - 1) % 26) * min((number - 1) // 26 + 1, 9)
        return letter.upper() if kind.startswith("upper") else letter
    if kind.endswith("Roman"):
        return roman(number).upper() if kind.startswith("upper") else roman(number)
    return f"{number:02}" if kind == "decimalZero" else str(number)


def roman(number: int) -> str:
    """Return a number below 4000 in small Roman numerals, others in digits."""
    if not 0 < number < 4000:
        return str(number)
    found = ""
    for size, sign in zip(
        (1000, 900, 500, 400, 100, 90, 50, 40, 10, 9, 5, 4, 1),
        ("m", "cm", "d", "cd", "c", "xc", "l", "xl", "x", "ix", "v", "iv", "i"),
        strict=True,
    ):
        found += sign * (number // size)
        number %= size
    return found
