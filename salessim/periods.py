"""The fiscal calendar: quarters by name, their dates, and their thirteen weeks in the simulator."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date, timedelta

from salessim.errors import ParameterError

__all__ = ["MONTH_OF_WEEK", "WEEKS_PER_QUARTER", "Quarter", "quarter_of"]

#: The simulator steps by weeks; every fiscal quarter is thirteen of them.
WEEKS_PER_QUARTER = 13

#: Which month of the quarter (0, 1, 2) each of its weeks belongs to: months of five, four and four weeks.
MONTH_OF_WEEK = tuple(week * 3 // WEEKS_PER_QUARTER for week in range(WEEKS_PER_QUARTER))

_LABEL = re.compile(r"^(\d{4})\s*-?\s*Q([1-4])$", re.IGNORECASE)


@dataclass(frozen=True, order=True)
class Quarter:
    """A fiscal quarter, the period that quotas are set and reports are written for.

    ``year`` is the calendar year in which the fiscal year ends; with ``fiscal_year_starts_in_month=1``
    fiscal and calendar year are the same.

    >>> q = Quarter.parse("2017Q3")
    >>> str(q), q.start, q.end
    ('2017Q3', datetime.date(2017, 7, 1), datetime.date(2017, 9, 30))
    >>> str(q.shift(2)), q.shift(-1) < q
    ('2018Q1', True)
    >>> Quarter.parse("2017Q1", fiscal_year_starts_in_month=4).start
    datetime.date(2016, 4, 1)
    """

    year: int
    number: int
    fiscal_year_starts_in_month: int = 1

    @classmethod
    def parse(cls, label: str, *, fiscal_year_starts_in_month: int = 1) -> Quarter:
        """Read ``2017Q3`` (also ``2017-Q3``, ``2017 q3``); anything else is a ParameterError.

        >>> Quarter.parse("Q3 2017")
        Traceback (most recent call last):
        ...
        salessim.errors.ParameterError: quarter is 'Q3 2017'; write year and quarter like '2017Q3' (Q1 to Q4)
        """
        match = _LABEL.match(str(label).strip())
        if not match or not 1 <= int(match[1]) <= 9998:
            raise ParameterError(f"quarter is {label!r}; write year and quarter like '2017Q3' (Q1 to Q4)")
        return cls(int(match[1]), int(match[2]), fiscal_year_starts_in_month)

    def __str__(self) -> str:
        return f"{self.year}Q{self.number}"

    def shift(self, quarters: int) -> Quarter:
        """Return the quarter that lies ``quarters`` later (earlier when negative)."""
        index = self.year * 4 + (self.number - 1) + quarters
        return Quarter(index // 4, index % 4 + 1, self.fiscal_year_starts_in_month)

    @property
    def start(self) -> date:
        """First day of the quarter."""
        months = self.year * 12 + (self.fiscal_year_starts_in_month - 1) + (self.number - 1) * 3
        if self.fiscal_year_starts_in_month > 1:
            months -= 12  # the fiscal year is named after the year in which it ends
        return date(months // 12, months % 12 + 1, 1)

    @property
    def end(self) -> date:
        """Last day of the quarter."""
        return self.shift(1).start - timedelta(days=1)

    def months(self) -> list[str]:
        """Names of the three calendar months of the quarter.

        >>> Quarter.parse("2026Q4").months()
        ['2026-10', '2026-11', '2026-12']
        """
        first = self.start.year * 12 + self.start.month - 1
        return [f"{month // 12}-{month % 12 + 1:02d}" for month in range(first, first + 3)]

    def week_starts(self) -> list[date]:
        """The thirteen days on which the simulator's weeks begin, evenly spread over the quarter.

        A calendar quarter has 90 to 92 days; the last week is up to a day longer, so that quarters
        neither drift nor overlap.
        """
        return [self.start + timedelta(days=7 * week) for week in range(WEEKS_PER_QUARTER)]


def quarter_of(day: date, *, fiscal_year_starts_in_month: int = 1) -> Quarter:
    """Return the fiscal quarter that a day belongs to.

    >>> str(quarter_of(date(2017, 9, 30)))
    '2017Q3'
    >>> str(quarter_of(date(2016, 4, 1), fiscal_year_starts_in_month=4))
    '2017Q1'
    """
    month = (day.month - fiscal_year_starts_in_month) % 12
    year = day.year + (
        1 if fiscal_year_starts_in_month > 1 and day.month >= fiscal_year_starts_in_month else 0
    )
    return Quarter(year, month // 3 + 1, fiscal_year_starts_in_month)
