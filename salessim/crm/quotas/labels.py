"""How periods of quotas are written: labels as files have them, one spelling of ours, and their days.

Periods are written ``2017-07`` (calendar month), ``2017Q3`` (fiscal quarter) and ``2017`` (fiscal year).
"""

from __future__ import annotations

import calendar
import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import date
from typing import Literal

from salessim.crm.textfiles import header_key
from salessim.errors import DataError, listed
from salessim.periods import Quarter, quarter_of

__all__ = [
    "DATE_FORMATS",
    "PERIODS_ALLOWED",
    "Frequency",
    "Label",
    "days_of",
    "frequency_of",
    "label_of",
    "ordinal",
    "period_at",
    "period_of",
]

#: How long a period is. Months are calendar months, quarters and years fiscal ones.
Frequency = Literal["month", "quarter", "year"]

#: How days are read where the caller does not say how they are written.
DATE_FORMATS = ("ISO", "%d.%m.%Y")

#: What error messages offer when a period cannot be read.
PERIODS_ALLOWED = "2026-01, Jan 2026 or 01/2026 for a month, 2026Q1 or Q1 2026 for a quarter, 2026 for a year"

_PER_YEAR: dict[Frequency, int] = {"month": 12, "quarter": 4, "year": 1}
_MONTH_NAMES = (
    "jan january sty styczeń янв январь",
    "feb february lut luty фев февраль",
    "mar march marzec мар март",
    "apr april kwi kwiecień апр апрель",
    "may maj май",
    "jun june cze czerwiec июн июнь",
    "jul july lip lipiec июл июль",
    "aug august sie sierpień авг август",
    "sep sept september wrz wrzesień сен сентябрь",
    "oct october paź październik окт октябрь",
    "nov november lis listopad ноя ноябрь",
    "dec december gru grudzień дек декабрь",
)
_MONTH_OF = {word: number for number, words in enumerate(_MONTH_NAMES, start=1) for word in words.split()}
_LABELS: tuple[tuple[str, Frequency], ...] = (
    (r"(?:fy ?)?(?P<year>(?:19|20)\d\d)", "year"),
    (r"(?P<year>\d{4})[ /-]?q(?P<number>[1-4])", "quarter"),
    (r"q(?P<number>[1-4])(?:[ /-]?(?P<year>\d{4}))?", "quarter"),
    (r"(?P<year>\d{4})(?:[./-]| ?m)(?P<number>0?[1-9]|1[0-2])", "month"),
    (r"(?P<year>\d{4})-(?P<number>0[1-9]|1[0-2])-01(?:[ t]00:00.*)?", "month"),
    (r"(?P<number>0?[1-9]|1[0-2])[./-](?P<year>\d{4})", "month"),
    (r"m(?P<number>0?[1-9]|1[0-2])", "month"),
    (r"(?P<word>[^\W\d_]+)\.?(?:[ /-]?(?P<year>\d{4}))?", "month"),
    (r"(?P<year>\d{4})[ /-]?(?P<word>[^\W\d_]+)", "month"),
)


@dataclass(frozen=True)
class Label:
    """A period as a header or cell names it: of which year (None: not named) and which month or quarter.

    ``number`` is 1 to 12 for a month, 1 to 4 for a quarter; for a year it means nothing. As text it is the
    period in its one spelling.

    >>> str(Label("month", 2026, 3)), str(Label("quarter", 2026, 3)), str(Label("year", 2026, 0))
    ('2026-03', '2026Q3', '2026')
    """

    frequency: Frequency
    year: int | None
    number: int

    def __str__(self) -> str:
        if self.frequency == "month":
            return f"{self.year}-{self.number:02d}"
        return f"{self.year}Q{self.number}" if self.frequency == "quarter" else str(self.year)

    def within(self, year: int | None) -> Label:
        """Return the label with its own year, or with this one where it has none."""
        return self if self.year is not None else replace(self, year=year)


def label_of(text: str) -> Label | None:
    """Read a period from a header or cell (``M01``, ``Jan 2026``, ``Q1``, ``FY 2026``); None: it is none.

    >>> label_of("Jan 2026")
    Label(frequency='month', year=2026, number=1)
    >>> label_of("Q3"), label_of("Ann")
    (Label(frequency='quarter', year=None, number=3), None)
    """
    key = header_key(text)
    for pattern, frequency in _LABELS:
        match = re.fullmatch(pattern, key)
        if not match:
            continue
        found = match.groupdict()
        year = int(found["year"]) if found.get("year") else None
        if "word" not in found:
            return Label(frequency, year, int(found.get("number") or 0))
        if found["word"] in _MONTH_OF:
            return Label(frequency, year, _MONTH_OF[found["word"]])
    return None


def frequency_of(periods: Iterable[str], *, what: str) -> Frequency:
    """Return the one length that all periods have; ``what`` names them in errors.

    Raises:
        DataError: a period is not in its one spelling, there are none, or they differ in length.

    >>> frequency_of(["2026Q1", "2026Q2"], what="quotas")
    'quarter'
    """
    kinds: dict[Frequency, str] = {}
    for period in periods:
        label = label_of(period)
        if label is None or label.year is None or str(label) != period:
            raise DataError(f"{what}: period is {period!r}; allowed are 2026-01, 2026Q1 and 2026")
        kinds.setdefault(label.frequency, period)
    if len(kinds) != 1:
        raise DataError(f"{what}: all periods must have one length; found {listed(list(kinds.values()))}")
    return next(iter(kinds))


def _parts(period: str) -> tuple[Frequency, int, int]:
    label = label_of(period)
    if label is None or label.year is None:
        raise LookupError(f"{period!r} is no period")
    return label.frequency, label.year, label.number


def ordinal(period: str) -> int:
    """Return a number that grows by one from each period to the next.

    >>> ordinal("2027-01") - ordinal("2026-12")
    1
    """
    frequency, year, number = _parts(period)
    return year * _PER_YEAR[frequency] + max(number - 1, 0)


def period_at(place: int, frequency: Frequency) -> str:
    """Return the period of an :func:`ordinal`.

    >>> period_at(ordinal("2026Q4") + 1, "quarter")
    '2027Q1'
    """
    year, number = divmod(place, _PER_YEAR[frequency])
    return str(Label(frequency, year, number + 1))


def period_of(day: date, frequency: Frequency, fiscal_year_starts_in_month: int) -> str:
    """Return the period that a day lies in.

    >>> period_of(date(2026, 7, 31), "month", 1), period_of(date(2026, 7, 31), "year", 4)
    ('2026-07', '2027')
    """
    if frequency == "month":
        return str(Label(frequency, day.year, day.month))
    quarter = quarter_of(day, fiscal_year_starts_in_month=fiscal_year_starts_in_month)
    return str(quarter) if frequency == "quarter" else str(quarter.year)


def days_of(period: str, fiscal_year_starts_in_month: int) -> tuple[date, date]:
    """Return the first and last day of a period.

    >>> [str(day) for day in days_of("2026-02", 1)], [str(day) for day in days_of("2027Q1", 4)]
    (['2026-02-01', '2026-02-28'], ['2026-04-01', '2026-06-30'])
    """
    frequency, year, number = _parts(period)
    if frequency == "month":
        return date(year, number, 1), date(year, number, calendar.monthrange(year, number)[1])
    first, last = (number, number) if frequency == "quarter" else (1, 4)
    return (
        Quarter(year, first, fiscal_year_starts_in_month).start,
        Quarter(year, last, fiscal_year_starts_in_month).end,
    )
