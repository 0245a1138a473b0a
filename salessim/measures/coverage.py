"""Which quarters an export covers, and whether it covers them as a whole."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from salessim import formats
from salessim.errors import DataError, listed
from salessim.periods import Quarter, quarter_of

if TYPE_CHECKING:
    from salessim.crm import Tables

__all__ = [
    "END_GRACE_DAYS",
    "INCOMPLETE",
    "LeftCut",
    "after",
    "available_quarters",
    "check_quarter",
    "left_cut",
    "quarter_labels",
]

#: Notes on figures of a quarter that the export covers only in part begin with these words.
INCOMPLETE = "incomplete data"

# A quarter counts as over when only its last days are missing (a weekend), and as begun when the first
# close comes within its first week: days without a deal are not a hole in the data.
END_GRACE_DAYS = 3
_START_GRACE_DAYS = 7
# An export is called cut off on the left when at least this many closes are missing where, judged by later
# deals, they should be: none seen with five expected has a probability under 1 %.
_MISSING_CLOSES = 5.0


def available_quarters(tables: Tables) -> list[Quarter]:
    """The quarters in which an opportunity or a lead was created, or a deal closed; earliest first.

    >>> from salessim.crm import read
    >>> from salessim.library import example_crm
    >>> quarters = available_quarters(read(example_crm()))
    >>> quarters[0] < quarters[-1]
    True
    """
    starts = tables.fiscal_year_starts_in_month
    dates = [tables.opportunities["created"], tables.opportunities["closed"]]
    if not tables.leads.empty:
        dates.append(tables.leads["created"])
    labels = {label for column in dates for label in quarter_labels(column, starts).dropna().unique()}
    return sorted(Quarter.parse(label, fiscal_year_starts_in_month=starts) for label in labels)


def check_quarter(tables: Tables, quarter: Quarter) -> Quarter:
    """Return the quarter when the tables hold anything of it.

    Raises:
        DataError: the quarter has no data (the text names those that have), or counts its fiscal year from
            another month than the tables.

    >>> from salessim.crm import read
    >>> from salessim.library import example_crm
    >>> check_quarter(read(example_crm()), Quarter.parse("1999Q1"))  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    ...
    salessim.errors.DataError: the CRM export has no data for 1999Q1; quarters with data: ...
    """
    starts = tables.fiscal_year_starts_in_month
    if quarter.fiscal_year_starts_in_month != starts:
        raise DataError(
            f"quarter {quarter} counts fiscal years from month {quarter.fiscal_year_starts_in_month}, "
            f"the CRM export from month {starts}; use the same month for both"
        )
    quarters = available_quarters(tables)
    if quarter not in quarters:
        raise DataError(f"the CRM export has no data for {quarter}; quarters with data: {listed(quarters)}")
    return quarter


@dataclass(frozen=True)
class LeftCut:
    """Whether an export begins in the middle of the story, and from which quarter it is complete.

    ``first_complete_quarter`` is the first that the export covers as a whole, as far as can be told; None
    when no deal has closed.

    >>> LeftCut(cut=False, first_complete_quarter=None, reason="no deal has closed").cut
    False
    """

    cut: bool
    first_complete_quarter: Quarter | None
    reason: str


def left_cut(tables: Tables) -> LeftCut:
    """Notice an export whose first closes are missing, so that its first quarter must not be compared.

    Some exports hold deals by closing date: those that closed earlier are left out, while deals created
    earlier that closed later are in. Win rates and cycles of the first quarter are then artefacts. Judged by
    how fast the deals created after the first close went on to close, this counts how many of the earlier
    ones should have closed before it; when five or more are missing, the export is cut.

    >>> from salessim.crm import read
    >>> from salessim.library import example_crm
    >>> found = left_cut(read(example_crm()))
    >>> found.first_complete_quarter is not None
    True
    """
    deals = tables.opportunities
    starts = tables.fiscal_year_starts_in_month
    first_close = deals.loc[deals["status"] != "open", "closed"].min()
    if pd.isna(first_close):
        return LeftCut(False, None, "no deal has closed")
    early = deals[deals["created"] < first_close]
    later = deals[deals["created"] >= first_close]
    cycles = np.sort((later["closed"] - later["created"]).dt.days.dropna().to_numpy())
    waits = (first_close - early["created"]).dt.days.to_numpy()
    missing = float(np.searchsorted(cycles, waits, side="left").sum()) / max(len(later), 1)
    if missing < _MISSING_CLOSES:
        start = min(day for day in (first_close, deals["created"].min()) if not pd.isna(day))
        begins = quarter_of(start.date(), fiscal_year_starts_in_month=starts)
        return LeftCut(False, begins, f"no closes are missing before the first, on {first_close.date()}")
    quarter = quarter_of(first_close.date(), fiscal_year_starts_in_month=starts)
    begun = first_close.date() <= quarter.start + timedelta(days=_START_GRACE_DAYS)
    complete = quarter if begun else quarter.shift(1)
    return LeftCut(
        True,
        complete,
        f"{formats.count(len(early))} deals were created from {early['created'].min().date()} on, yet none "
        f"closed before {first_close.date()}; at the pace of later deals about {missing:,.0f} would have. "
        f"The export is cut off on the left, and the first complete quarter is {complete}",
    )


def quarter_labels(dates: pd.Series, starts_in_month: int) -> pd.Series:
    """Label of the fiscal quarter of each date; NaN where the date is missing.

    >>> quarter_labels(pd.to_datetime(pd.Series(["2026-07-01", None])), 7).tolist()
    ['2027Q1', nan]
    """
    months = dates.dt.year * 12 + dates.dt.month - 1
    labels: dict[float, str] = {}
    for month in months.dropna().unique():
        day = date(int(month) // 12, int(month) % 12 + 1, 1)
        labels[month] = str(quarter_of(day, fiscal_year_starts_in_month=starts_in_month))
    named: pd.Series = months.map(labels).astype(object)
    return named


def after(quarter: Quarter) -> pd.Timestamp:
    """The first moment after a quarter.

    >>> after(Quarter(2026, 4))
    Timestamp('2027-01-01 00:00:00')
    """
    return pd.Timestamp(quarter.shift(1).start)
