"""Dates in words → half-open ranges: "Q3 2024", "in late 2021", "since March", "the last six months". Pure.

Whether a date limits documents is decided in `backend.query.conditions`; here is only what it means.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TypeAlias

from backend.domain import And, Condition, Filter, Span
from backend.query.words import MONTHS, NUMBER_WORDS

_MONTH = r"(?:jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?|oct(?:ober)?|nov(?:ember)?|dec(?:ember)?)\.?"  # noqa: E501
_YEAR = r"(?:19|20)\d\d"
_COUNT = r"(?:\d{1,3}|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|couple\s+of|few)"
_UNIT = r"(?:day|week|month|quarter|year|decade)"
_DAY = r"\d{1,2}(?:st|nd|rd|th)?"
_WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_SEASONS = {"spring": 3, "summer": 6, "autumn": 9, "fall": 9, "winter": 12}
_PARTS = {
    "start": (1, 1),
    "beginning": (1, 1),
    "early": (1, 4),
    "mid": (5, 4),
    "late": (9, 4),
    "first half": (1, 6),
    "second half": (7, 6),
}
"""Part of a year → its first month and how many: thirds, as nobody means less by "late"."""
_POINT = "|".join(
    (
        r"\d{4}-\d{2}-\d{2}|\d{4}-\d{2}(?!\d)",
        rf"{_DAY}\s+(?:of\s+)?{_MONTH}(?:,?\s+{_YEAR})?",
        rf"{_MONTH}\s+{_DAY}(?!\d)(?:,?\s+{_YEAR})?",
        rf"{_MONTH}(?:\s+of)?(?:,?\s+{_YEAR})?",
        rf"(?:q[1-4]|h[12])(?:\s+(?:of\s+)?{_YEAR})?",
        rf"(?:the\s+)?(?:early|mid|late|(?:first\s+half|second\s+half|start|beginning)\s+of)[\s-]+{_YEAR}",
        rf"(?:the\s+)?(?:spring|summer|autumn|fall|winter)\s+(?:of\s+)?{_YEAR}",
        r"(?:the\s+)?(?:19|20)\d0s",
        rf"(?:the\s+)?(?:year\s+)?{_YEAR}",
        rf"(?:the\s+)?(?:last|past|previous)\s+{_COUNT}\s+{_UNIT}s",
        rf"(?:the\s+)?(?:last|past|previous|this|current)\s+(?:calendar\s+)?{_UNIT}",
        rf"(?:{_COUNT}|an?)\s+{_UNIT}s?\s+ago",
        rf"(?<=than )(?:{_COUNT}|an?|one)\s+{_UNIT}s?(?:\s+old)?",
        rf"(?:last|this)\s+(?:{'|'.join(_WEEKDAYS)})",
        rf"(?<=from )(?:{'|'.join(_WEEKDAYS)})(?!\s+(?:to|until|till|through)\b)(?!\s*[-–—])",
        "today|yesterday",
    )
)
_FROM = (
    r"since|starting(?:\s+(?:in|from))?|beginning\s+(?:in|with)|as\s+of|not?\s+(?:before|earlier\s+than|older\s+than)"
)
_AFTER = r"after|(?:later|newer|more\s+recent|younger)\s+than|past"
_BEFORE = r"before|prior\s+to|(?:earlier|older)\s+than|pre"
_TO = r"until|till|up\s+to|through|no(?:t)?\s+(?:later|newer)\s+than"
_WITHIN = r"(?:date[sd]?|dating)\s+(?:back\s+)?(?:to|from)|from|in|during|on|within|over|of|around|throughout|for"
_RANGE = re.compile(
    rf"\b(?:(?:between|from)\s+(?P<first>{_POINT})\s*(?:and|to|until|till|through|-|–|—)\s*(?P<last>{_POINT})|"
    rf"(?:(?:in|during|of)\s+)?(?P<years>{_YEAR})\s*[-–—]\s*(?P<through>{_YEAR})|"
    rf"(?P<low>{_POINT})\s+(?:to|through|until)\s+(?P<high>{_POINT})|"
    rf"(?:(?P<word>{_FROM}|{_AFTER}|{_BEFORE}|{_TO}|{_WITHIN})[\s-]+)?"
    rf"(?P<point>{_POINT})"
    rf"(?:\s+(?:(?P<onwards>(?:or|and)\s+(?:later|newer|after|afterwards)|onwards?|and\s+on)|"
    rf"(?P<back>(?:or|and)\s+(?:earlier|older|before)))(?!\s+(?:{_POINT})))?)"
    r"(?![\w])(?!-\w)(?!\.\d)",
    re.IGNORECASE,
)
_NOT_A_DATE = re.compile(r"(?:[#$€£.]|\bPEP[ -]|\bRFC[ -]|\bpython\s)\Z", re.IGNORECASE)

Moments: TypeAlias = tuple[datetime, datetime]


@dataclass(frozen=True, slots=True)
class DateRange:
    """From `start` until before `end`, both in UTC; None is open. `span` holds the words that say so, `core` those
    without the preposition. `word` is the kind of preposition: "", "in", "since", "after", "before", "to", "between".
    """

    span: Span
    core: Span
    start: datetime | None
    end: datetime | None
    word: str = ""

    def filter(self, field: str = "published_at") -> Filter:
        """Return the range as a condition, or two."""
        ends = [Condition("gte", field, self.start)] if self.start else []
        ends += [Condition("lt", field, self.end)] if self.end else []
        return ends[0] if len(ends) == 1 else And(tuple(ends))


def find_dates(text: str, now: datetime) -> list[DateRange]:
    """Return the dates and ranges that `text` names, in its order. `now` is in the asker's time zone."""
    found: list[DateRange] = []
    for match in _RANGE.finditer(text):
        named = not match["word"] and _NOT_A_DATE.search(text[: match.start()])
        if named or _is_modal(match):
            continue
        inner = _within(text, match.start(), found)
        one = _read(match, now, _year_of(found[-1]) if inner else None)
        if one is None:
            continue
        if inner:
            found[-1] = replace(one, span=(found[-1].span[0], match.end() + 1), core=found[-1].core)
        else:
            found.append(one)
    return found


def _is_modal(match: re.Match[str]) -> bool:
    """Whether "may" or "mar" alone is meant as another word."""
    point = match["point"] or ""
    return point in ("may", "mar", "dec", "sep", "jan") or (point == "May" and not match["word"] and not match.start())


def _within(text: str, start: int, found: list[DateRange]) -> bool:
    """Whether a date stands in parentheses right after another, which it then says more exactly."""
    return bool(found) and text[found[-1].span[1] : start].strip() == "("


def _year_of(one: DateRange) -> int | None:
    moment = one.start or one.end
    return (moment + timedelta(days=1)).year if moment else None


def _read(match: re.Match[str], now: datetime, year: int | None) -> DateRange | None:
    try:
        start, end, word = _bounds(match, now, year)
        utc = [moment.astimezone(UTC) if moment else None for moment in (start, end)]
    except (ValueError, OverflowError):
        return None
    core = match.span("point") if match["point"] else match.span()
    return DateRange(match.span(), core, utc[0], utc[1], word)


def _bounds(match: re.Match[str], now: datetime, year: int | None) -> tuple[datetime | None, datetime | None, str]:
    first, last = _ends(match)
    if first and last:
        year = _said_year(last) or year
        return *_between(first, last, now, year), "between"
    word = _word(match)
    start, end = point(match["point"], now, year, rolling=word == "in")
    open_ended = not match["word"] or word in ("in", "since")
    if match["onwards"] or word == "since":
        return start, None, "since"
    if match["back"]:
        return None, end, "to"
    if word == "after":
        return end, None, word
    if word in ("before", "to"):
        return None, start if word == "before" else end, word
    until_now = timedelta(0) < end - now <= timedelta(days=1) < end - start
    if open_ended and (until_now or _lasts(match["point"])):
        return start, None, word or "in"
    return start, end, word


def _between(first: str, last: str, now: datetime, year: int | None) -> Moments:
    """Return the range over both, in either order; "November to February" ends in the year after it begins."""
    start, end = point(first, now, year), point(last, now, year)
    if start[0] > end[0] and not _said_year(first) and not year:
        start = point(first, now, end[0].year - 1)
    return min(start[0], end[0]), max(start[1], end[1])


def _ends(match: re.Match[str]) -> tuple[str | None, str | None]:
    first = match["first"] or match["years"] or match["low"]
    return first, match["last"] or match["through"] or match["high"]


def _said_year(text: str) -> int | None:
    year = re.search(rf"\b{_YEAR}\b", text)
    return int(year[0]) if year else None


def _word(match: re.Match[str]) -> str:
    said = " ".join((match["word"] or "").lower().split())
    for word, pattern in (("since", _FROM), ("after", _AFTER), ("before", _BEFORE), ("to", _TO), ("in", _WITHIN)):
        if said and re.fullmatch(pattern, said):
            return word
    return ""


def _lasts(text: str) -> bool:
    """Whether a range reaches to now and is not over: "this year", "the last six months"."""
    return re.match(rf"(?:the\s+)?(?:this|current|past)\s+(?!{'|'.join(_WEEKDAYS)})|(?:the\s+)?\w+\s+{_COUNT}\s+", text, re.I) is not None  # fmt: skip # noqa: E501


def point(text: str, now: datetime, year: int | None = None, *, rolling: bool = False) -> Moments:
    """Return the range that one expression names. A month or day without a year is that of `year`, or its latest
    occurrence; "in the last year" is the year up to now where `rolling`. ValueError for a day that does not exist."""
    the = rolling and text.lower().startswith("the ")
    text = re.sub(r"[\s]+", " ", text.lower().strip()).removeprefix("the ").replace("calendar ", "")
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    if (found := _counted(text, midnight, the=the)) is not None:
        return found
    for read in (_nearby, _iso, _part_of_year):
        if (found := read(text, midnight)) is not None:
            return found
    return _by_name(text, midnight, year)


def _nearby(text: str, midnight: datetime) -> Moments | None:
    if text in ("today", "yesterday"):
        start = midnight - timedelta(days=text == "yesterday")
        return start, start + timedelta(days=1)
    named = re.match(rf"(?:(last|this) )?({'|'.join(_WEEKDAYS)})$", text)
    if named is None:
        return None
    back = (midnight.weekday() - _WEEKDAYS.index(named[2])) % 7
    start = midnight - timedelta(days=back or (7 if named[1] == "last" else 0))
    return start, start + timedelta(days=1)


def _counted(text: str, midnight: datetime, *, the: bool) -> Moments | None:
    if (ago := re.match(rf"({_COUNT}|an?) ({_UNIT})s? ago$", text)) is not None:
        start = _back(midnight, _number(ago[1]), ago[2])
        return start, _back(start, -1, ago[2]) if ago[2] != "day" else start + timedelta(days=1)
    if (age := re.match(rf"({_COUNT}|an?|one) ({_UNIT})s?(?: old)?$", text)) is not None:
        start = _back(midnight, _number(age[1]), age[2])
        return start, start
    relative = re.match(rf"(last|past|previous|this|current) (?:({_COUNT}) )?({_UNIT})s?$", text)
    if relative is None:
        return None
    word, count, unit = relative[1], relative[2], relative[3]
    if count or word == "past" or (word == "last" and the):
        return _back(midnight, _number(count or "a"), unit), midnight + timedelta(days=1)
    return _calendar_unit(midnight, unit, 0 if word in ("this", "current") else 1)


def _number(word: str) -> int:
    few = {"a": 1, "an": 1, "couple of": 2, "few": 3}
    return few[word] if word in few else int(NUMBER_WORDS.get(word, word))


def _back(moment: datetime, count: int, unit: str) -> datetime:
    if unit in ("day", "week"):
        return moment - timedelta(days=count * (7 if unit == "week" else 1))
    return _add_months(moment, -count * {"month": 1, "quarter": 3, "year": 12, "decade": 120}[unit])


def _calendar_unit(midnight: datetime, unit: str, back: int) -> Moments:
    """Return this unit of the calendar, or the one `back` before it. Weeks begin on Monday (ISO 8601)."""
    if unit in ("day", "week"):
        days = midnight.weekday() if unit == "week" else 0
        length = timedelta(days=7 if unit == "week" else 1)
        start = midnight - timedelta(days=days) - back * length
        return start, start + length
    months = {"month": 1, "quarter": 3, "year": 12, "decade": 120}[unit]
    year = midnight.year // 10 * 10 if unit == "decade" else midnight.year
    month = 1 if unit == "decade" else (midnight.month - 1) // months * months + 1
    first = _first(midnight, year, month)
    return _add_months(first, -back * months), _add_months(first, (1 - back) * months)


def _iso(text: str, midnight: datetime) -> Moments | None:
    iso = re.match(r"(\d{4})-(\d{2})(?:-(\d{2}))?$", text)
    return _calendar(midnight, int(iso[1]), int(iso[2]), int(iso[3]) if iso[3] else None) if iso else None


def _part_of_year(text: str, midnight: datetime) -> Moments | None:
    year = _said_year(text)
    if (decade := re.match(r"((?:19|20)\d0)s$", text)) is not None:
        start = _first(midnight, int(decade[1]), 1)
        return start, _add_months(start, 120)
    if (quarter := re.match(r"(q|h)([1-4])", text)) is not None:
        months = 3 if quarter[1] == "q" else 6
        month = months * (int(quarter[2]) - 1) + 1
        start = _first(midnight, year or midnight.year - (month > midnight.month), month)
        return start, _add_months(start, months)
    for word, month in _SEASONS.items():
        if year and text.startswith(word):
            start = _first(midnight, year, month)
            return start, _add_months(start, 3)
    for word, (month, months) in _PARTS.items():
        if year and text.startswith(word):
            start = _first(midnight, year, month)
            return start, _add_months(start, months)
    return None


def _by_name(text: str, midnight: datetime, year: int | None) -> Moments:
    year = _said_year(text) or year
    month_name = re.search(r"\b[a-z]{3}", re.sub(r"\d+(?:st|nd|rd|th)|\bof\b|\byear\b", "", text))
    if month_name is None:
        assert year is not None
        return _calendar(midnight, year, None, None)
    month = next(place for place, name in enumerate(MONTHS, start=1) if name.startswith(month_name[0]))
    day = re.search(r"\b(\d{1,2})(?:st|nd|rd|th)?\b", text)
    number = int(day[1]) if day else None
    later = (month, number or 1) > (midnight.month, midnight.day)
    return _calendar(midnight, year or midnight.year - later, month, number)


def _calendar(midnight: datetime, year: int, month: int | None, day: int | None) -> Moments:
    start = midnight.replace(year=year, month=month or 1, day=day or 1)
    if day:
        return start, start + timedelta(days=1)
    return start, _add_months(start, 1 if month else 12)


def _first(midnight: datetime, year: int, month: int) -> datetime:
    return midnight.replace(year=year, month=month, day=1)


def _add_months(moment: datetime, months: int) -> datetime:
    """Move by whole months; a day that the month lacks becomes its last."""
    count = moment.year * 12 + moment.month - 1 + months
    year, month = count // 12, count % 12 + 1
    for day in (moment.day, 30, 29, 28):
        try:
            return moment.replace(year=year, month=month, day=day)
        except ValueError:
            continue
    raise ValueError("no such month")
