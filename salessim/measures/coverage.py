"""Which quarters an export covers, and whether it covers them as a whole."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from salessim.crm.coverage import LeftCut, left_cut
from salessim.errors import DataError, listed
from salessim.measures.facts import facts_of
from salessim.periods import Quarter

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
]

#: Notes on figures of a quarter that the export covers only in part begin with these words.
INCOMPLETE = "incomplete data"

# A quarter counts as over when only its last days are missing (a weekend): days without a deal are not a hole
# in the data.
END_GRACE_DAYS = 3


def available_quarters(tables: Tables) -> list[Quarter]:
    """The quarters in which an opportunity or a lead was created, or a deal closed; earliest first.

    >>> from salessim.crm import read
    >>> from salessim.library import example_crm
    >>> quarters = available_quarters(read(example_crm()))
    >>> quarters[0] < quarters[-1]
    True
    """
    return list(facts_of(tables).quarters)


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


def after(quarter: Quarter) -> pd.Timestamp:
    """The first moment after a quarter.

    >>> after(Quarter(2026, 4))
    Timestamp('2027-01-01 00:00:00')
    """
    return pd.Timestamp(quarter.shift(1).start)
