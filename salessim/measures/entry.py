"""What an entry of the catalogue is: its words, what it needs of an export, and how it answers."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date
from typing import TYPE_CHECKING, Literal

import numpy as np
import pandas as pd

from salessim.crm.canonical import NO_SEGMENTS
from salessim.errors import listed
from salessim.measures.coverage import INCOMPLETE
from salessim.measures.selection import NOT_STATED, PERIODS, Selection, joined
from salessim.periods import quarter_of

if TYPE_CHECKING:
    pass

__all__ = [
    "CLOSED",
    "CREATED",
    "CYCLE",
    "WON",
    "Estimator",
    "Measure",
]

# what measures of deals need to know of them
CREATED = ("opportunities", "opportunities.created")
CLOSED = ("opportunities", "opportunities.closed")
WON = (*CLOSED, "opportunities.amount")
CYCLE = (*CLOSED, "opportunities.created")

_MISSING_WORDS = {
    "leads": "leads",
    "stage_history": "stage history",
    "quotas": "quotas",
    "opportunities": "opportunities",
    "opportunities.source": "lead source",
    "leads.source": "lead source",
    "opportunities.amount": "deal amounts",
    "opportunities.created": "dates of first contact",
    "opportunities.closed": "closing dates",
    "opportunities.account": "accounts",
    "opportunities.product": "products",
    "opportunities.segment": "segments",
    "opportunities.rep": "reps",
    "opportunities.stage": "stages",
    "opportunities.expected_close": "expected closing dates",
    "stage_history.stage": "stage history",
    "leads.segment": "segments of leads",
    "leads.rep": "reps of leads",
    "leads.mql": "dates of MQL",
    "leads.sql": "dates of SQL",
    "leads.opportunity_id": "link from leads to opportunities",
    "reps.manager": "managers",
    "reps.region": "regions",
}

Estimator = Callable[[Selection], pd.DataFrame]


@dataclass(frozen=True, kw_only=True)
class Measure:
    """One entry of the catalogue: what a measure is called, what it means, and how it is computed.

    >>> from salessim.measures import CATALOGUE
    >>> CATALOGUE["win_rate"].label, CATALOGUE["win_rate"].unit, CATALOGUE["win_rate"].better
    ('Win rate of deals created', 'share', 'higher')
    """

    name: str
    label: str
    """How tables and charts call it."""
    unit: Literal["share", "money", "days", "count", "ratio"]
    """Shares are fractions; money is in the currency of the tables."""
    better: Literal["higher", "lower", "neither"]
    definition: str
    """The formula in words, with the rule of the field that it follows."""
    needs: tuple[str, ...]
    """Tables, or ``table.column``, that must hold something."""
    cuts: tuple[str, ...]
    """What it can be split by."""
    estimator: Estimator = field(repr=False)
    time: Literal["period", "complete_quarters", "as_of"] = "period"
    """Whether all time is one period or only its complete quarters together, or whether the measure is known
    only as of the day of the export."""

    def rows(self, select: Selection) -> pd.DataFrame:
        """One row per group with the notes that the period brings, or one row with the reason for none."""
        missing = self.why_not(select)
        if missing:
            row: dict[str, object] = dict.fromkeys(select.by, NOT_STATED)
            row |= {"value": math.nan, "low": math.nan, "high": math.nan, "n": 0, "note": missing}
            return pd.DataFrame([row])
        rows = self.estimator(select)
        kept = rows["n"].to_numpy() > 0
        if len(select.by) < 2:
            kept |= ~(select.labels == NOT_STATED).any(axis=1).to_numpy()
        order = select.in_order(np.flatnonzero(kept))
        rows, labels = rows.take(order), select.labels_of(order)
        unsplit = "segment" in select.by and set(labels["segment"]) == {NO_SEGMENTS}
        before = "the export has no segments" if unsplit else ""
        if select.by_period:
            period = next(name for name in select.by if name in PERIODS)
            told = {label: self.period_note(select, last) for label, _, last in select.spans}
            openings = [joined(told[label], before) for label in labels[period]]
        else:
            openings = [joined(self.period_note(select), before)] * len(rows)
        notes = [joined(opening, note) for opening, note in zip(openings, rows["note"], strict=True)]
        found = rows.assign(note=pd.Series(notes, index=rows.index, dtype=object))
        return pd.concat([labels, found], axis="columns").reset_index(drop=True)

    def why_not(self, select: Selection) -> str:
        """Why the tables do not allow the measure; empty when they do."""
        splits = [by for by in select.by if by in self.cuts and by not in PERIODS]
        for need in (*self.needs, *(f"{self._holder(by)}.{by}" for by in splits)):
            if not select.facts.holds(need):
                return f"the export has no {_MISSING_WORDS[need]}"
        for by in select.by:
            if by in PERIODS and self.time == "as_of":
                return f"open deals are known only as of {select.tables.as_of}"
            if by not in self.cuts:
                return f"{self.label} is not split by {by}; it is by {listed(self.cuts)}"
        return ""

    def _holder(self, by: str) -> str:
        """The table that holds what the measure is split by."""
        if by in ("manager", "region"):
            return "reps"
        if by == "stage" and self.time != "as_of":
            return "stage_history"
        return "leads" if "leads" in self.needs else "opportunities"

    def period_note(self, select: Selection, last_day: date | None = None) -> str:
        """What a reader must know of the period of a row: not over, cut off, or not the day of the export.

        ``last_day`` is that of the row's period, where the answer is split by period.
        """
        if self.time == "as_of":
            other = select.quarter is not None and select.quarter != select.now
            return f"open deals are those of {select.tables.as_of}, not of {select.quarter}" if other else ""
        quarter = select.quarter
        if last_day is not None:
            month = select.tables.fiscal_year_starts_in_month
            quarter = quarter_of(last_day, fiscal_year_starts_in_month=month)
            if "month" in select.by and not select.has_ended(last_day):
                return f"{INCOMPLETE}: {last_day:%Y-%m} was not over on {select.tables.as_of}"
            if "month" in select.by and not select.is_over(quarter):
                return ""
        # an export is cut off by the closes of its deals; its leads are all there
        cut_off = select.cut.cut and "leads" not in self.needs
        if quarter is not None and not select.is_over(quarter):
            return f"{INCOMPLETE}: {quarter} was not over on {select.tables.as_of}"
        if quarter is not None and cut_off and not select.is_complete(quarter):
            return f"{INCOMPLETE}: the export is cut off on the left, so figures of {quarter} are an artefact"
        if quarter is None and self.time == "complete_quarters":
            return "complete quarters only"
        if quarter is None and cut_off:
            begins = select.cut.first_complete_quarter
            return f"includes deals from before {begins}, where the export is cut off"
        return ""
