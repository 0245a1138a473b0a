"""What an entry of the catalogue is: its words, what it needs of an export, and how it answers."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

import pandas as pd

from salessim.errors import listed
from salessim.measures.coverage import INCOMPLETE
from salessim.measures.selection import NOT_STATED, Selection, joined

if TYPE_CHECKING:
    from salessim.crm import Tables

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
            groups = [NOT_STATED] if select.by else ["all"]
            row = {"value": math.nan, "low": math.nan, "high": math.nan, "n": 0, "note": missing}
            return pd.DataFrame([row], index=pd.Index(groups, dtype=object))
        rows = self.estimator(select)
        rows = rows[(rows.index != NOT_STATED) | (rows["n"] > 0)]
        one_segment = select.by == "segment" and list(rows.index) == ["all"]
        unsplit = "the export has no segments" if one_segment else ""
        notes = [
            joined(self.period_note(select, str(group)), unsplit, note)
            for group, note in rows["note"].items()
        ]
        return rows.assign(note=notes)

    def why_not(self, select: Selection) -> str:
        """Why the tables do not allow the measure; empty when they do."""
        by = select.by
        needs = list(self.needs)
        if by is not None and by in self.cuts and by != "quarter":
            needs.append(f"{self._holder(by)}.{by}")
        for need in needs:
            if not _holds(select.tables, need):
                return f"the export has no {_MISSING_WORDS[need]}"
        if by is None or by in self.cuts:
            return ""
        if by == "quarter" and self.time == "as_of":
            return f"open deals are known only as of {select.tables.as_of}"
        return f"{self.label} is not split by {by}; it is by {listed(self.cuts)}"

    def _holder(self, by: str) -> str:
        """The table that holds what the measure is split by."""
        if by in ("manager", "region"):
            return "reps"
        if by == "stage" and self.time != "as_of":
            return "stage_history"
        return "leads" if "leads" in self.needs else "opportunities"

    def period_note(self, select: Selection, group: str) -> str:
        """What a reader must know of the period of a row: not over, cut off, or not the day of the export."""
        if self.time == "as_of":
            other = select.quarter is not None and select.quarter != select.now
            return f"open deals are those of {select.tables.as_of}, not of {select.quarter}" if other else ""
        quarter = select.parse(group) if select.by == "quarter" else select.quarter
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


def _holds(tables: Tables, need: str) -> bool:
    table, _, column = need.partition(".")
    frame: pd.DataFrame = getattr(tables, table)
    return not frame.empty and (not column or bool(frame[column].notna().any()))
