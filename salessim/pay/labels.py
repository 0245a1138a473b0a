"""Names of pay periods: ``2026-07`` (month), ``2026Q3`` (fiscal quarter), ``2026`` (fiscal year)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from salessim.errors import PlanError
from salessim.pay.plan import MONTHS, PayPeriod
from salessim.periods import Quarter, quarter_of

__all__ = ["Period", "period_of", "periods_of"]

_MONTH = re.compile(r"^(\d{4})-(0[1-9]|1[0-2])$")
_QUARTER = re.compile(r"^\d{4}\s*-?\s*[Qq][1-4]$")
_YEAR = re.compile(r"^\d{4}$")
_EXAMPLES = {"month": "2026-07", "quarter": "2026Q3", "year": "2026"}


@dataclass(frozen=True, order=True)
class Period:
    """A month, a fiscal quarter or a fiscal year in which pay is settled.

    >>> Period.parse("2026Q3").last_day
    datetime.date(2026, 9, 30)
    >>> str(Period.parse("2026-12").shift(1)), Period.parse("2026-05").place_in("quarter")
    ('2027-01', 1)
    """

    first_day: date
    kind: PayPeriod
    fiscal_year_starts_in_month: int = 1

    @classmethod
    def parse(cls, label: str, *, fiscal_year_starts_in_month: int = 1) -> Period:
        """Read ``2026-07``, ``2026Q3`` or ``2026``; anything else is a PlanError."""
        text = str(label).strip()
        if match := _MONTH.match(text):
            return cls(date(int(match[1]), int(match[2]), 1), "month", fiscal_year_starts_in_month)
        if _QUARTER.match(text):
            quarter = Quarter.parse(text, fiscal_year_starts_in_month=fiscal_year_starts_in_month)
            return cls(quarter.start, "quarter", fiscal_year_starts_in_month)
        if _YEAR.match(text):
            quarter = Quarter(int(text), 1, fiscal_year_starts_in_month)
            return cls(quarter.start, "year", fiscal_year_starts_in_month)
        raise PlanError(f"period is {label!r}; write a month '2026-07', a quarter '2026Q3' or a year '2026'")

    def __str__(self) -> str:
        if self.kind == "month":
            return f"{self.first_day:%Y-%m}"
        quarter = quarter_of(self.first_day, fiscal_year_starts_in_month=self.fiscal_year_starts_in_month)
        return str(quarter) if self.kind == "quarter" else str(quarter.year)

    def shift(self, periods: int) -> Period:
        """The period that lies ``periods`` later (earlier when negative)."""
        months = self.first_day.year * 12 + self.first_day.month - 1 + periods * MONTHS[self.kind]
        return Period(date(months // 12, months % 12 + 1, 1), self.kind, self.fiscal_year_starts_in_month)

    @property
    def last_day(self) -> date:
        """Last day of the period."""
        return self.shift(1).first_day - timedelta(days=1)

    @property
    def days(self) -> int:
        """Number of days."""
        return (self.last_day - self.first_day).days + 1

    def place_in(self, span: PayPeriod) -> int:
        """How many periods of this kind lie between the beginning of the span and this period."""
        months = (self.first_day.month - self.fiscal_year_starts_in_month) % 12
        return months % MONTHS[span] // MONTHS[self.kind]

    def share_between(self, first_day: date | None, last_day: date | None) -> float:
        """Share of the period's days that lie between two days, both included; None: no end on that side."""
        start = max(self.first_day, first_day or self.first_day)
        end = min(self.last_day, last_day or self.last_day)
        return max((end - start).days + 1, 0) / self.days


def periods_of(
    labels: Sequence[str], kind: PayPeriod, *, plan: str, fiscal_year_starts_in_month: int = 1
) -> list[Period]:
    """Read the labels of a time axis: all of the kind that the plan pays by, each following the one before.

    Raises:
        PlanError: another kind (a monthly plan needs months), or a gap.

    >>> [str(p) for p in periods_of(["2026Q4", "2027Q1"], "quarter", plan="flat")]
    ['2026Q4', '2027Q1']
    """
    found = [Period.parse(x, fiscal_year_starts_in_month=fiscal_year_starts_in_month) for x in labels]
    for number, period in enumerate(found):
        if period.kind != kind:
            raise PlanError(
                f"plan '{plan}' pays by {kind} and needs {kind}s such as '{_EXAMPLES[kind]}'; "
                f"periods[{number}] is '{labels[number]}' (a {period.kind}); "
                f"plan.paid_by('{period.kind}') settles the same plan by {period.kind}"
            )
        if number and period != found[number - 1].shift(1):
            raise PlanError(
                f"periods[{number}] is '{labels[number]}'; '{found[number - 1].shift(1)}' follows "
                f"'{labels[number - 1]}'"
            )
    return found


def period_of(day: date, kind: PayPeriod, *, fiscal_year_starts_in_month: int = 1) -> Period:
    """The month, fiscal quarter or fiscal year that a day belongs to.

    >>> str(period_of(date(2026, 8, 15), "quarter"))
    '2026Q3'
    """
    start = fiscal_year_starts_in_month
    into = (day.month - start) % 12 % MONTHS[kind]
    months = day.year * 12 + day.month - 1 - into
    return Period(date(months // 12, months % 12 + 1, 1), kind, start)
