"""Whether an export begins in the middle of the story: closes that are missing on the left."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
import pandas as pd

from salessim import formats
from salessim.crm.canonical import Tables
from salessim.periods import Quarter, quarter_of

__all__ = ["LeftCut", "left_cut"]

# A quarter counts as begun when the first close comes within its first week: days without a deal are not a
# hole in the data.
_START_GRACE_DAYS = 7
# An export is called cut off on the left when at least this many closes are missing where, judged by later
# deals, they should be: none seen with five expected has a probability under 1 %.
_MISSING_CLOSES = 5.0


@dataclass(frozen=True)
class LeftCut:
    """Whether an export begins in the middle of the story, and from which quarter it is complete.

    ``first_complete_quarter`` is the first that the export covers as a whole, as far as can be told; None
    when no deal has closed. ``missing_before`` is the day of the first close when closes before it are
    missing, else None.

    >>> LeftCut(cut=False, first_complete_quarter=None, reason="no deal has closed").cut
    False
    """

    cut: bool
    first_complete_quarter: Quarter | None
    reason: str
    missing_before: date | None = None


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
        first_close.date(),
    )
