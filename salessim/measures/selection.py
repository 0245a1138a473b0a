"""Which deals, which period, cut by what: what a measure is asked about, and the rows of its answer."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cached_property
from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from salessim import formats
from salessim.crm.quotas import managers_with_team_quota
from salessim.intervals import wilson
from salessim.measures.coverage import (
    END_GRACE_DAYS,
    LeftCut,
    after,
    available_quarters,
    left_cut,
    quarter_labels,
)
from salessim.measures.estimates import Floats, median_rank, t_half
from salessim.periods import Quarter, quarter_of

if TYPE_CHECKING:
    from salessim.crm import Tables

__all__ = [
    "BY",
    "DEAL_CUTS",
    "FEW",
    "LEAD_CUTS",
    "NOT_STATED",
    "OPEN_CUTS",
    "QUOTA_CUTS",
    "Selection",
    "joined",
    "noted",
    "sample_notes",
    "without_value",
]

#: What a measure can be split by; each measure names the cuts that make sense for it.
BY = ("quarter", "rep", "manager", "region", "segment", "source", "product", "account", "stage")
DEAL_CUTS = ("quarter", "rep", "manager", "region", "segment", "source", "product", "account")
OPEN_CUTS = ("rep", "manager", "region", "segment", "source", "product", "account", "stage")
LEAD_CUTS = ("quarter", "rep", "manager", "region", "segment", "source")
QUOTA_CUTS = ("quarter", "rep", "manager", "region")

#: Below this many observations a figure is marked as resting on few.
FEW = 10
#: The group of rows whose rep, account, source … is missing; they are shown, so that groups add up.
NOT_STATED = "(not stated)"


@dataclass(frozen=True)
class Selection:
    """What a measure is asked about: the tables, the period, and what to split by.

    Estimators take one and return a frame indexed by ``groups`` with the columns value, low, high, n, note.

    >>> from salessim.crm import read
    >>> from salessim.library import example_crm
    >>> select = Selection(read(example_crm()), by="segment")
    >>> select.counts(select.won)["value"].index.tolist()
    ['SMB', 'mid-market']
    """

    tables: Tables
    quarter: Quarter | None = None
    by: str | None = None
    expected: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({}))
    """Benchmarks: name of a measure → its figure per quarter."""

    # periods

    @cached_property
    def now(self) -> Quarter:
        """The quarter in which the export was taken."""
        return quarter_of(
            self.tables.as_of, fiscal_year_starts_in_month=self.tables.fiscal_year_starts_in_month
        )

    @cached_property
    def cut(self) -> LeftCut:
        """Whether, and until when, the export is cut off on the left."""
        return left_cut(self.tables)

    def is_over(self, quarter: Quarter) -> bool:
        """Whether the quarter had ended when the export was taken (but for a weekend)."""
        return quarter.end <= self.tables.as_of + timedelta(days=END_GRACE_DAYS)

    def is_complete(self, quarter: Quarter) -> bool:
        """Whether the export covers the whole quarter."""
        return self.is_over(quarter) and quarter >= (self.cut.first_complete_quarter or quarter)

    def quarters_of(self, dates: pd.Series) -> pd.Series:
        """Label of the fiscal quarter of each date, such as 2017Q3; NaN where the date is missing."""
        return quarter_labels(dates, self.tables.fiscal_year_starts_in_month)

    def parse(self, label: str) -> Quarter:
        """The quarter with this label in the fiscal calendar of the tables."""
        return Quarter.parse(label, fiscal_year_starts_in_month=self.tables.fiscal_year_starts_in_month)

    def in_period(self, dates: pd.Series) -> pd.Series:
        """Which dates lie in the period (all known ones when no quarter is asked for)."""
        if self.quarter is None:
            return dates.notna()
        inside: pd.Series = dates.ge(pd.Timestamp(self.quarter.start)) & dates.lt(after(self.quarter))
        return inside

    # groups

    @cached_property
    def _rep_groups(self) -> pd.Series:
        """Manager or region of each rep."""
        reps = self.tables.reps
        return reps.set_index("rep")[self.by] if self.by and not reps.empty else pd.Series(dtype=object)

    def group(self, frame: pd.DataFrame, dates: pd.Series | None = None) -> pd.Series:
        """The group of each row of a frame; ``dates`` decide when the split is by quarter."""
        if self.by is None:
            return pd.Series("all", index=frame.index, dtype=object)
        if self.by == "quarter":
            return self.quarters_of(frame["created"] if dates is None else dates)
        if self.by in ("manager", "region"):
            return frame["rep"].map(self._rep_groups).fillna(NOT_STATED).astype(object)
        return frame[self.by].astype(object).fillna(NOT_STATED)

    @cached_property
    def groups(self) -> pd.Index:
        """Every group there is, also those without a deal in the period, in the order of the result."""
        tables = self.tables
        if self.by is None:
            return pd.Index(["all"], dtype=object)
        if self.by == "quarter":
            quarters = [self.quarter] if self.quarter else available_quarters(tables)
            return pd.Index([str(quarter) for quarter in quarters], dtype=object)
        if self.by == "stage":
            nowhere = tables.opportunities.loc[tables.opportunities["status"] == "open", "stage"].isna().any()
            return pd.Index([*tables.stages, *([NOT_STATED] if nowhere else [])], dtype=object)
        holders = [tables.opportunities]
        if self.by in LEAD_CUTS:
            holders.append(tables.leads)
        if self.by in ("rep", "manager", "region"):
            holders += [tables.reps[["rep"]], tables.quotas]
        found = pd.concat([self.group(frame) for frame in holders if not frame.empty]).unique()
        named: list[str] = sorted(str(name) for name in found if name != NOT_STATED)
        return pd.Index([*named, *([NOT_STATED] if NOT_STATED in found else [])], dtype=object)

    # rows of the tables, with their group in a column `group`

    def dated(self, frame: pd.DataFrame, column: str) -> pd.DataFrame:
        """Rows whose date in ``column`` lies in the period."""
        chosen = frame.loc[self.in_period(frame[column])]
        return chosen.assign(group=self.group(chosen, chosen[column]))

    @cached_property
    def created(self) -> pd.DataFrame:
        """Opportunities created in the period."""
        return self.dated(self.tables.opportunities, "created")

    @cached_property
    def closed(self) -> pd.DataFrame:
        """Deals closed in the period, with ``cycle_days`` from first contact to close (NaN when undated)."""
        deals = self.tables.opportunities
        rows = self.dated(deals[deals["status"] != "open"], "closed")
        return rows.assign(cycle_days=(rows["closed"] - rows["created"]).dt.days.astype(float))

    @cached_property
    def won(self) -> pd.DataFrame:
        """Deals won in the period."""
        return self.closed.loc[self.closed["status"] == "won"]

    @cached_property
    def open(self) -> pd.DataFrame:
        """Deals open on the day of the export, dated or not, with ``age_days`` (NaN when undated)."""
        deals = self.tables.opportunities
        rows = deals[deals["status"] == "open"]
        ages = (pd.Timestamp(self.tables.as_of) - rows["created"]).dt.days.astype(float)
        return rows.assign(group=self.group(rows), age_days=ages)

    def leads(self, column: str) -> pd.DataFrame:
        """Leads whose date in ``column`` lies in the period."""
        return self.dated(self.tables.leads, column)

    @cached_property
    def visits(self) -> pd.DataFrame:
        """Visits of deals to stages: stage, entered, left (NaT while there), moved_on, undecided, first."""
        columns = ["opportunity_id", "status", "closed", "rep", "segment", "source", "product", "account"]
        history = self.tables.stage_history
        rank = {stage: position for position, stage in enumerate(self.tables.stages)}
        rows = history[history["stage"].isin(list(rank))].merge(
            self.tables.opportunities[columns], on="opportunity_id"
        )
        rows = rows.assign(rank=rows["stage"].map(rank).astype(int))
        rows = rows.sort_values(["opportunity_id", "entered", "rank"], kind="stable", ignore_index=True)
        before = rows[["opportunity_id", "stage"]].shift()
        again = (rows[["opportunity_id", "stage"]] == before).all(axis=1)
        rows = rows[~again]  # entered twice in a row is one visit
        furthest = rows[::-1].groupby("opportunity_id")["rank"].cummax().reindex(rows.index)
        moved_on = (furthest > rows["rank"]) | (rows["status"] == "won")
        return rows.assign(
            left=rows.groupby("opportunity_id")["entered"].shift(-1).fillna(rows["closed"]),
            moved_on=moved_on,
            undecided=~moved_on & (rows["status"] == "open"),
            first=~rows.duplicated(["opportunity_id", "stage"]),
        )

    @cached_property
    def quotas(self) -> pd.DataFrame:
        """Quotas that fall in the period beside the bookings of their rep: rep, quota, bookings, starts.

        Without those of a team (:attr:`team_quotas`), which its reps hold already.
        """
        return self._all_quotas[~self._of_team]

    @cached_property
    def team_quotas(self) -> pd.DataFrame:
        """Quotas in the period that managers hold for their team, with the columns of :attr:`quotas`."""
        return self._all_quotas[self._of_team]

    @cached_property
    def _of_team(self) -> pd.Series:
        return self._all_quotas["rep"].isin(managers_with_team_quota(self.tables))

    @cached_property
    def _all_quotas(self) -> pd.DataFrame:
        quotas = self.tables.quotas.dropna(subset=["quota"])
        quarters = {label: self.parse(label) for label in quotas["period"].unique()}
        quotas = quotas.assign(label=quotas["period"].map({k: str(q) for k, q in quarters.items()}))
        deals = self.tables.opportunities
        won = deals[(deals["status"] == "won") & deals["closed"].notna()]
        booked = won.groupby([won["rep"], self.quarters_of(won["closed"]).rename("label")])["amount"].sum()
        rows = quotas.join(booked.rename("bookings"), on=["rep", "label"])
        rows = rows.assign(
            bookings=rows["bookings"].fillna(0.0),
            starts=pd.to_datetime(rows["period"].map({k: q.start for k, q in quarters.items()})),
        )
        return self.dated(rows, "starts")

    def only_complete(self, rows: pd.DataFrame) -> pd.DataFrame:
        """Rows of complete quarters, by ``label``; all rows where quarters are asked for one by one."""
        if self.quarter is not None or self.by == "quarter":
            return rows
        complete = {label: self.is_complete(self.parse(label)) for label in rows["label"].unique()}
        return rows[rows["label"].map(complete).astype(bool)]

    # building blocks of results

    def result(
        self,
        value: pd.Series | Floats,
        n: pd.Series | Floats,
        *,
        low: pd.Series | Floats | float = math.nan,
        high: pd.Series | Floats | float = math.nan,
        of: str = "",
    ) -> pd.DataFrame:
        """One row per group; ``of`` says what was counted, where a small sample is worth a note."""
        rows = pd.DataFrame({"value": value, "low": low, "high": high, "n": n, "note": ""}, index=self.groups)
        rows = rows.astype({"value": float, "low": float, "high": float}).assign(
            n=rows["n"].fillna(0).astype(int)
        )
        return sample_notes(rows, rows["n"], of) if of else rows

    def facts(self, value: pd.Series, n: pd.Series) -> pd.DataFrame:
        """Counts or sums by group: no interval; a group without rows is 0."""
        return self.result(value.reindex(self.groups).fillna(0.0), n)

    def counts(self, rows: pd.DataFrame) -> pd.DataFrame:
        """Number of rows by group."""
        size = rows.groupby("group").size()
        return self.facts(size, size)

    def shares(self, hits: pd.Series, groups: pd.Series, *, of: str) -> pd.DataFrame:
        """Share of true values by group, with Wilson's interval; ``of`` says what was counted."""
        counted = hits.astype(float).groupby(groups).agg(["sum", "size"]).reindex(self.groups).fillna(0.0)
        value, low, high = wilson(counted["sum"].to_numpy(), counted["size"].to_numpy())
        return self.result(value, counted["size"], low=low, high=high, of=of)

    def means(self, values: pd.Series, groups: pd.Series, *, of: str) -> pd.DataFrame:
        """Mean by group with Student's t interval; missing values are left out."""
        found = values.astype(float).groupby(groups).agg(["mean", "std", "count"]).reindex(self.groups)
        n = found["count"].fillna(0.0)
        mean, half = found["mean"].to_numpy(), t_half(n.to_numpy(), found["std"].to_numpy())
        return self.result(mean, n, low=mean - half, high=mean + half, of=of)

    def medians(self, values: pd.Series, groups: pd.Series, *, of: str) -> pd.DataFrame:
        """Median by group with an interval between order statistics; missing values are left out."""
        known = pd.DataFrame({"value": values.astype(float), "group": groups}).dropna()
        known = known.assign(code=self.groups.get_indexer(pd.Index(known["group"])))
        known = known[known["code"] >= 0].sort_values(["code", "value"])
        n = np.bincount(known["code"], minlength=len(self.groups)).astype(np.int64)
        rank = median_rank(n)
        first = np.concatenate([[0], np.cumsum(n)[:-1]])
        ordered = np.append(known["value"].to_numpy(), np.nan)  # the last entry stands for "no interval"
        low = ordered[np.where(rank > 0, first + rank - 1, -1)]
        high = ordered[np.where(rank > 0, first + n - rank, -1)]
        median = known.groupby("code")["value"].median().reindex(range(len(self.groups))).to_numpy()
        return self.result(median, n.astype(float), low=low, high=high, of=of)

    def undated(self, rows: pd.DataFrame) -> pd.DataFrame:
        """Add to the notes how many open deals have no date of first contact and do not count."""
        undated = self.open[self.open["created"].isna()].groupby("group").size()
        return noted(rows, undated, "{} open deal(s) without a date of first contact not counted")


def noted(rows: pd.DataFrame, numbers: pd.Series, words: str) -> pd.DataFrame:
    """Add a note to each group with a number above 0; in the words {} is the number, (s) its plural."""
    numbers = numbers.reindex(rows.index).fillna(0)
    texts = [
        words.format(formats.count(number)).replace("(s)", "" if number == 1 else "s") if number > 0 else ""
        for number in numbers
    ]
    return rows.assign(note=[joined(note, text) for note, text in zip(rows["note"], texts, strict=True)])


def joined(*notes: str) -> str:
    """Notes as one text.

    >>> joined("complete quarters only", "", "no deals won")
    'complete quarters only; no deals won'
    """
    return "; ".join(note for note in notes if note)


def sample_notes(rows: pd.DataFrame, n: pd.Series, of: str) -> pd.DataFrame:
    """Note which groups rest on nothing, or on few; ``of`` says what n counts."""
    n = n.reindex(rows.index).fillna(0)
    rows = noted(rows, n.eq(0).astype(int), f"no {of}")
    return noted(rows, n.between(1, FEW - 1).astype(int), f"fewer than {FEW} {of}")


def without_value(rows: pd.DataFrame, reason: str) -> pd.DataFrame:
    """The rows without a figure, for this reason."""
    return rows.assign(value=np.nan, low=np.nan, high=np.nan, note=reason)
