"""Dates in a question that limit the documents ("notes from last week"), as half-open ranges. Pure.

A date that belongs to what is asked ("In summer 2022, how many …") is left alone: a range counts only where a word for
documents, or for writing them, governs it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from backend.domain import And, Condition, Filter, Span
from backend.query.words import MONTHS, NUMBER_WORDS

NOUNS = (
    r"(?:documents?|docs?|pages?|notes?|posts?|articles?|messages?|memos?|minutes|files?|records?|threads?|reports?|"
    r"tickets?|e-?mails?|entries|guides?|papers?|peps?|proposals?|announcements?|updates?|specs?|releases?)"
)
VERBS = (
    r"(?:written|published|created|posted|dated|authored|sent|added|uploaded|filed|issued|drafted|updated|modified|"
    r"wrote|writes?|publish|posts?|ingested|released|submitted|proposed)"
)

_MONTH = r"(?:jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?|oct(?:ober)?|nov(?:ember)?|dec(?:ember)?)\.?"  # noqa: E501
_YEAR = r"(?:19|20)\d\d"
_COUNT = r"(?:\d{1,3}|two|three|four|five|six|seven|eight|nine|ten|twelve)"
_UNIT = r"(?:day|week|month|quarter|year)"
_POINT = (
    rf"(?:\d{{4}}-\d{{2}}(?:-\d{{2}})?|\d{{1,2}}(?:st|nd|rd|th)?\s+(?:of\s+)?{_MONTH}(?:,?\s+{_YEAR})?|"
    rf"{_MONTH}\s+\d{{1,2}}(?:st|nd|rd|th)?(?!\d)(?:,?\s+{_YEAR})?|{_MONTH}(?:,?\s+{_YEAR})?|"
    rf"q[1-4](?:\s+(?:of\s+)?{_YEAR})?|{_YEAR}|(?:the\s+)?(?:last|past|previous|this)\s+{_UNIT}|today|yesterday|"
    rf"(?:the\s+)?(?:last|past|previous)\s+{_COUNT}\s+{_UNIT}s)"
)
_RANGE = re.compile(
    rf"\b(?:(?:between|from)\s+(?P<first>{_POINT})\s+(?:and|to|until|till|through)\s+(?P<last>{_POINT})|"
    rf"(?:(?P<word>since|after|before|until|till|prior\s+to|later\s+than|earlier\s+than|from|in|during|on|within|over|of)\s+)?"
    rf"(?P<point>{_POINT})(?:\s+(?P<onwards>or\s+later|onwards?))?)(?![\w-])",
    re.IGNORECASE,
)
_GOVERNED = re.compile(
    rf"\b(?:{NOUNS}(?:\s+about\s+[^,.?!]{{1,60}}?)?|{VERBS})"
    rf"(?:\s+(?:that|which|were|was|are|is|have|has|been|we|i|{VERBS}|changed|edited|revised))*"
    rf"(?:\s+(?:by|from)\s+[\w.'’-]+(?:\s+[\w.'’-]+){{0,2}})?\s*,?\s*\Z",
    re.IGNORECASE,
)
_NAMED = re.compile(r"\b(?:by|from)\b", re.IGNORECASE)
_WRITTEN = re.compile(rf"\b(?:{VERBS}|changed|edited|revised)\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class DateRange:
    """From `start` until before `end`, both in UTC; None is open. `span` holds the words that say so, with the word for
    documents or writing before them."""

    span: Span
    start: datetime | None
    end: datetime | None

    def filter(self, field: str = "published_at") -> Filter:
        """Return the range as a condition, or two."""
        ends = [Condition("gte", field, self.start)] if self.start else []
        ends += [Condition("lt", field, self.end)] if self.end else []
        return ends[0] if len(ends) == 1 else And(tuple(ends))


def document_dates(text: str, now: datetime, *, authored: bool = False) -> list[DateRange]:
    """Return the date ranges in `text` that limit documents. `now` is in the asker's time zone.

    `authored` says that the question names an author, so that "in 2019" is when that person wrote.
    """
    ranges = _RANGE.finditer(text)
    found = (_read(text, match, now) for match in ranges if _limits_documents(text, match, authored=authored))
    return [one for one in found if one is not None]


def _limits_documents(text: str, match: re.Match[str], *, authored: bool) -> bool:
    before = text[: match.start()]
    if authored and (match["word"] or match["first"] or match["onwards"]):
        return True
    if not _GOVERNED.search(before):
        return False
    if match["word"] and match["word"].lower() in ("on", "of", "over", "in", "within", "during"):
        return bool(_WRITTEN.search(before[-60:]) or re.search(rf"\b{NOUNS}\s*\Z", before.rstrip(), re.IGNORECASE))
    return bool(match["word"] or match["first"] or re.search(rf"\b(?:{VERBS})\s*\Z", before.rstrip(), re.IGNORECASE))


def _read(text: str, match: re.Match[str], now: datetime) -> DateRange | None:
    try:
        start, end = _bounds(match, now)
    except ValueError:
        return None
    utc = tuple(moment.astimezone(UTC) if moment else None for moment in (start, end))
    governed = _GOVERNED.search(text[: match.start()])
    start_at = governed.start() if governed and not _NAMED.search(governed.group()) else match.start()
    return DateRange((start_at, match.end()), utc[0], utc[1])


def _bounds(match: re.Match[str], now: datetime) -> tuple[datetime | None, datetime | None]:
    if match["first"]:
        return _point(match["first"], now)[0], _point(match["last"], now)[1]
    start, end = _point(match["point"], now)
    word = re.sub(r"\s+", " ", (match["word"] or "").lower())
    if word == "since" or match["onwards"]:
        return start, None
    if word in ("after", "later than"):
        return end, None
    if word in ("before", "prior to", "earlier than"):
        return None, start
    if word in ("until", "till"):
        return None, end
    return start, end


def _point(text: str, now: datetime) -> tuple[datetime, datetime]:
    """Return the range that one expression names; a month or day without a year is its latest occurrence."""
    text = re.sub(r"\s+", " ", text.lower().strip()).removeprefix("the ")
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    if text in ("today", "yesterday"):
        start = midnight - timedelta(days=text == "yesterday")
        return start, start + timedelta(days=1)
    if (relative := re.match(rf"(last|past|previous|this) (?:({_COUNT}) )?({_UNIT})s?$", text)) is not None:
        return _relative(relative[1], relative[2], relative[3], midnight)
    if (iso := re.match(r"(\d{4})-(\d{2})(?:-(\d{2}))?$", text)) is not None:
        return _calendar(midnight, int(iso[1]), int(iso[2]), int(iso[3]) if iso[3] else None)
    year = re.search(rf"\b({_YEAR})\b", text)
    if (quarter := re.match(r"q([1-4])", text)) is not None:
        month = 3 * int(quarter[1]) - 2
        start = _first(midnight, int(year[1]) if year else midnight.year - (month > midnight.month), month)
        return start, _add_months(start, 3)
    month_name = re.search(r"[a-z]{3}", re.sub(r"\d+(?:st|nd|rd|th)|\bof\b", "", text))
    if month_name is None:
        return _calendar(midnight, int(text), None, None)
    month = next(place for place, name in enumerate(MONTHS, start=1) if name.startswith(month_name[0]))
    day = re.search(r"\b(\d{1,2})(?:st|nd|rd|th)?\b", text)
    return _calendar(midnight, int(year[1]) if year else midnight.year - (month > midnight.month), month,
                     int(day[1]) if day else None)  # fmt: skip


def _relative(word: str, count: str | None, unit: str, midnight: datetime) -> tuple[datetime, datetime]:
    if count or word == "past":
        many = int(NUMBER_WORDS.get(count, count)) if count else 1
        end = midnight + timedelta(days=1)
        if unit in ("day", "week"):
            return end - timedelta(days=many * (7 if unit == "week" else 1)), end
        return _add_months(midnight, -many * {"month": 1, "quarter": 3, "year": 12}[unit]), end
    back = 0 if word == "this" else 1
    if unit in ("day", "week"):
        days = midnight.weekday() if unit == "week" else 0
        length = timedelta(days=7 if unit == "week" else 1)
        start = midnight - timedelta(days=days) - back * length
        return start, start + length
    months = {"month": 1, "quarter": 3, "year": 12}[unit]
    first = _first(midnight, midnight.year, (midnight.month - 1) // months * months + 1)
    return _add_months(first, -back * months), _add_months(first, (1 - back) * months)


def _calendar(midnight: datetime, year: int, month: int | None, day: int | None) -> tuple[datetime, datetime]:
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
