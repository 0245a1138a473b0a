"""The catalogue of sales measures: each is defined once, in words and as a function, with how sure it is.

One entry of :data:`CATALOGUE` feeds tables, charts, the report, the glossary and the slide. ``[A7]`` and its
like name the rule of the field that an entry carries.

Adding a measure is one block in ``_ENTRIES`` and, where no building block fits, one function from a
:class:`Selection` (which deals, which period, cut by what) to one row per group.

How sure: shares carry Wilson's interval, means Student's t, medians order statistics, all at
:data:`LEVEL` (P10 to P90). Counts and sums are facts: they have no interval, ``low`` and ``high`` are NaN.
Nothing here is random.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from functools import cached_property
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import special

from salessim import formats
from salessim.errors import DataError, ParameterError, listed
from salessim.periods import Quarter, quarter_of

if TYPE_CHECKING:
    from salessim.crm import Tables

__all__ = [
    "BY",
    "CATALOGUE",
    "INCOMPLETE",
    "LEVEL",
    "NOT_STATED",
    "Bottleneck",
    "Estimate",
    "LeftCut",
    "Measure",
    "StageNorm",
    "amount_won",
    "available_quarters",
    "bookings_by_quarter",
    "bottleneck",
    "check_quarter",
    "conversion",
    "glossary",
    "left_cut",
    "mean_estimate",
    "measure",
    "median_estimate",
    "open_ages_days",
    "overview",
    "overview_table",
    "pipeline_by_stage",
    "pipeline_value",
    "share_estimate",
    "slowest_close_days",
    "win_rate",
]

#: Every interval holds the true figure in 80 % of cases: P10 to P90.
LEVEL = 0.80
#: Below this many observations a figure is marked as resting on few.
FEW = 10
#: The group of rows whose rep, account, source … is missing; they are shown, so that groups add up.
NOT_STATED = "(not stated)"
#: Notes on figures of a quarter that the export covers only in part begin with these words.
INCOMPLETE = "incomplete data"

#: What a measure can be split by; each measure names the cuts that make sense for it.
BY = ("quarter", "rep", "manager", "region", "segment", "source", "product", "account", "stage")

_DEALS = ("quarter", "rep", "manager", "region", "segment", "source", "product", "account")
_OPEN = ("rep", "manager", "region", "segment", "source", "product", "account", "stage")
_LEADS = ("quarter", "rep", "manager", "region", "segment", "source")
_QUOTAS = ("quarter", "rep", "manager", "region")
_STAGES = (*_DEALS, "stage")

# A quarter counts as over when only its last days are missing (a weekend), and as begun when the first
# close comes within its first week: days without a deal are not a hole in the data.
_END_GRACE_DAYS = 3
_START_GRACE_DAYS = 7
# An export is called cut off on the left when at least this many closes are missing where, judged by later
# deals, they should be: none seen with five expected has a probability under 1 %.
_MISSING_CLOSES = 5.0

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

Floats = npt.NDArray[np.float64]


# --- estimates ---------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Estimate:
    """A figure with how sure it is: value, interval at :data:`LEVEL`, and sample size.

    ``low`` and ``high`` are NaN for facts (counts and sums) and for samples too small for an interval.

    >>> Estimate(value=3.0, low=2.0, high=4.0, n=12).n
    12
    """

    value: float
    low: float
    high: float
    n: int


def _wilson(successes: Floats, n: Floats) -> tuple[Floats, Floats, Floats]:
    """Share with Wilson's interval, elementwise; NaN where n is 0."""
    z = float(special.ndtri(0.5 + LEVEL / 2))
    with np.errstate(divide="ignore", invalid="ignore"):
        share = successes / n
        centre = (share + z**2 / (2 * n)) / (1 + z**2 / n)
        half = z / (1 + z**2 / n) * np.sqrt(share * (1 - share) / n + z**2 / (4 * n**2))
    # rounding must not put a share of 0 or 1 outside its own interval
    return (
        share,
        np.minimum(np.maximum(centre - half, 0), share),
        np.maximum(np.minimum(centre + half, 1), share),
    )


def _t_half(n: Floats, deviation: Floats) -> Floats:
    """Half width of the t interval of a mean, elementwise; NaN where n < 2."""
    with np.errstate(divide="ignore", invalid="ignore"):
        half = special.stdtrit(n - 1, 0.5 + LEVEL / 2) * deviation / np.sqrt(n)
    return np.where(n >= 2, half, np.nan)


def _median_rank(n: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Rank j such that the j-th smallest and j-th largest of n bracket the median; 0 where none do (n < 4).

    j is the smallest with P(Binomial(n, ½) ≤ j) ≥ 10 %, so that the interval holds at least LEVEL.
    """
    tail = (1 - LEVEL) / 2
    # the quantile of Binomial(n, ½) lies within a step or two of its normal approximation
    guess = np.floor(n / 2 + special.ndtri(tail) * np.sqrt(n) / 2) - 2
    rank = np.maximum(guess, 0)
    for _ in range(5):
        rank = np.where(special.bdtr(rank, n, 0.5) < tail, rank + 1, rank)
    return np.where(n >= 4, rank, 0).astype(np.int64)


def share_estimate(successes: float, n: int) -> Estimate:
    """A share with Wilson's interval; NaN throughout when nothing was tried (n = 0).

    Raises:
        DataError: successes lie outside 0 … n.

    Source: Wilson, E. B. (1927), JASA 22, 209–212.

    >>> rate = share_estimate(20, 100)
    >>> rate.value, round(rate.low, 3), round(rate.high, 3), rate.n
    (0.2, 0.154, 0.256, 100)
    """
    if not 0 <= successes <= n:
        raise DataError(f"a share of {successes} out of {n} is impossible; it must be 0 to {n}")
    value, low, high = _wilson(np.array([float(successes)]), np.array([float(n)]))
    return Estimate(float(value[0]), float(low[0]), float(high[0]), int(n))


def mean_estimate(values: Sequence[float] | npt.ArrayLike) -> Estimate:
    """A mean with Student's t interval (from two values on); missing values (NaN) are left out.

    >>> size = mean_estimate([10.0, 20.0, 30.0])
    >>> size.value, round(size.low, 1), round(size.high, 1), size.n
    (20.0, 9.1, 30.9, 3)
    >>> mean_estimate([10.0])
    Estimate(value=10.0, low=nan, high=nan, n=1)
    """
    known = _known(values)
    n = known.size
    if n == 0:
        return Estimate(math.nan, math.nan, math.nan, 0)
    deviation = float(known.std(ddof=1)) if n > 1 else math.nan
    half = float(_t_half(np.array([float(n)]), np.array([deviation]))[0])
    mean = float(known.mean())
    return Estimate(mean, mean - half, mean + half, n)


def median_estimate(values: Sequence[float] | npt.ArrayLike) -> Estimate:
    """A median with an interval between order statistics (from four values on); NaN values are left out.

    The interval needs no assumption on the shape: it holds the median with at least :data:`LEVEL`.

    >>> median_estimate([1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0, 100.0])
    Estimate(value=5.5, low=3.0, high=8.0, n=10)
    """
    known = np.sort(_known(values))
    n = known.size
    if n == 0:
        return Estimate(math.nan, math.nan, math.nan, 0)
    rank = int(_median_rank(np.array([n]))[0])
    low, high = (float(known[rank - 1]), float(known[n - rank])) if rank else (math.nan, math.nan)
    return Estimate(float(np.median(known)), low, high, n)


def _known(values: Sequence[float] | npt.ArrayLike) -> Floats:
    array = np.asarray(values, dtype=np.float64).ravel()
    return array[~np.isnan(array)]


# --- worked definitions ------------------------------------------------------------------------------------


def conversion(moved_on: float, entered: float) -> float:
    """Stage conversion: how many of those that entered a stage moved on from it [A7].

    Returns a fraction; NaN when nothing entered. Raises DataError when more moved on than entered.

    >>> conversion(50, 100)  # 100 MQL became 50 SQL
    0.5
    >>> conversion(30, 50)  # 30 demos of 50 SQL
    0.6
    """
    return _fraction(moved_on, entered, "moved on of", "entered")


def win_rate(won: float, created: float) -> float:
    """Win rate: won ÷ created, of the opportunities created in the same period [A7].

    Returns a fraction; NaN when none was created. Raises DataError when more were won than created.

    >>> win_rate(20, 100)
    0.2
    """
    return _fraction(won, created, "won of", "created")


def _fraction(part: float, whole: float, *words: str) -> float:
    if not 0 <= part <= whole:
        raise DataError(f"{part:g} {words[0]} {whole:g} {words[1]} is impossible; it must be 0 to {whole:g}")
    return part / whole if whole else math.nan


def pipeline_value(open_opportunities: float, average_deal_size: float) -> float:
    """Pipeline value: open opportunities × average deal size [A7]; in the currency of the deal size.

    Count opportunities, not leads: a pipeline full of leads looks rich and is not.

    >>> pipeline_value(50, 150_000)
    7500000
    """
    return open_opportunities * average_deal_size


def amount_won(won: float, average_deal_size: float) -> float:
    """Amount won: deals won × average deal size [A7]; in the currency of the deal size.

    >>> amount_won(10, 150_000)
    1500000
    """
    return won * average_deal_size


# --- which deals, which period, cut by what ----------------------------------------------------------------


@dataclass(frozen=True)
class Selection:
    """What a measure is asked about: the tables, the period, and what to split by.

    Estimators take one and return a frame indexed by ``groups`` with the columns value, low, high, n, note.
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
        return quarter.end <= self.tables.as_of + timedelta(days=_END_GRACE_DAYS)

    def is_complete(self, quarter: Quarter) -> bool:
        """Whether the export covers the whole quarter."""
        return self.is_over(quarter) and quarter >= (self.cut.first_complete_quarter or quarter)

    def quarters_of(self, dates: pd.Series) -> pd.Series:
        """Label of the fiscal quarter of each date, such as 2017Q3; None where the date is missing."""
        return _quarter_labels(dates, self.tables.fiscal_year_starts_in_month)

    def parse(self, label: str) -> Quarter:
        """The quarter with this label in the fiscal calendar of the tables."""
        return Quarter.parse(label, fiscal_year_starts_in_month=self.tables.fiscal_year_starts_in_month)

    def in_period(self, dates: pd.Series) -> pd.Series:
        """Which dates lie in the period (all known ones when no quarter is asked for)."""
        if self.quarter is None:
            return dates.notna()
        inside: pd.Series = dates.ge(pd.Timestamp(self.quarter.start)) & dates.lt(_after(self.quarter))
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
        if self.by in _LEADS:
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
        """Quotas that fall in the period beside the bookings of their rep: rep, quota, bookings, starts."""
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

    # building blocks of results

    def facts(self, value: pd.Series, n: pd.Series) -> pd.DataFrame:
        """Counts or sums by group: no interval; a group without rows is 0."""
        return pd.DataFrame(
            {
                "value": value.reindex(self.groups).fillna(0.0).astype(float),
                "low": np.nan,
                "high": np.nan,
                "n": n.reindex(self.groups).fillna(0).astype(int),
                "note": "",
            }
        )

    def counts(self, rows: pd.DataFrame) -> pd.DataFrame:
        """Number of rows by group."""
        size = rows.groupby("group").size()
        return self.facts(size, size)

    def shares(self, hits: pd.Series, groups: pd.Series, *, of: str) -> pd.DataFrame:
        """Share of true values by group, with Wilson's interval; ``of`` says what was counted."""
        counted = hits.astype(float).groupby(groups).agg(["sum", "size"]).reindex(self.groups).fillna(0.0)
        value, low, high = _wilson(counted["sum"].to_numpy(), counted["size"].to_numpy())
        return self._estimates(value, low, high, counted["size"], of)

    def means(self, values: pd.Series, groups: pd.Series, *, of: str) -> pd.DataFrame:
        """Mean by group with Student's t interval; missing values are left out."""
        found = values.astype(float).groupby(groups).agg(["mean", "std", "count"]).reindex(self.groups)
        n = found["count"].fillna(0.0)
        mean, half = found["mean"].to_numpy(), _t_half(n.to_numpy(), found["std"].to_numpy())
        return self._estimates(mean, mean - half, mean + half, n, of)

    def medians(self, values: pd.Series, groups: pd.Series, *, of: str) -> pd.DataFrame:
        """Median by group with an interval between order statistics; missing values are left out."""
        known = pd.DataFrame({"value": values.astype(float), "group": groups}).dropna()
        known = known.assign(code=self.groups.get_indexer(pd.Index(known["group"])))
        known = known[known["code"] >= 0].sort_values(["code", "value"])
        n = np.bincount(known["code"], minlength=len(self.groups)).astype(np.int64)
        rank = _median_rank(n)
        first = np.concatenate([[0], np.cumsum(n)[:-1]])
        ordered = np.append(known["value"].to_numpy(), np.nan)  # the last entry stands for "no interval"
        low = ordered[np.where(rank > 0, first + rank - 1, -1)]
        high = ordered[np.where(rank > 0, first + n - rank, -1)]
        median = known.groupby("code")["value"].median().reindex(range(len(self.groups))).to_numpy()
        return self._estimates(median, low, high, pd.Series(n, index=self.groups), of)

    def _estimates(self, value: Floats, low: Floats, high: Floats, n: pd.Series, of: str) -> pd.DataFrame:
        rows = pd.DataFrame(
            {"value": value, "low": low, "high": high, "n": n.to_numpy().astype(int), "note": ""},
            index=self.groups,
        )
        return _sample_notes(rows, rows["n"], of)

    def undated(self, rows: pd.DataFrame) -> pd.DataFrame:
        """Add to the notes how many open deals have no date of first contact and do not count."""
        undated = self.open[self.open["created"].isna()].groupby("group").size()
        return _noted(rows, undated, "{} open deal(s) without a date of first contact not counted")


def _noted(rows: pd.DataFrame, numbers: pd.Series, words: str) -> pd.DataFrame:
    """Add a note to each group with a number above 0; in the words {} is the number, (s) its plural."""
    numbers = numbers.reindex(rows.index).fillna(0)
    texts = [
        words.format(formats.count(number)).replace("(s)", "" if number == 1 else "s") if number > 0 else ""
        for number in numbers
    ]
    return rows.assign(note=[_joined(note, text) for note, text in zip(rows["note"], texts, strict=True)])


def _joined(*notes: str) -> str:
    return "; ".join(note for note in notes if note)


def _sample_notes(rows: pd.DataFrame, n: pd.Series, of: str) -> pd.DataFrame:
    n = n.reindex(rows.index).fillna(0)
    rows = _noted(rows, n.eq(0).astype(int), f"no {of}")
    return _noted(rows, n.between(1, FEW - 1).astype(int), f"fewer than {FEW} {of}")


def _quarter_labels(dates: pd.Series, starts_in_month: int) -> pd.Series:
    """Label of the fiscal quarter of each date; None where the date is missing."""
    months = dates.dt.year * 12 + dates.dt.month - 1
    labels: dict[float, str] = {}
    for month in months.dropna().unique():
        day = date(int(month) // 12, int(month) % 12 + 1, 1)
        labels[month] = str(quarter_of(day, fiscal_year_starts_in_month=starts_in_month))
    named: pd.Series = months.map(labels).astype(object)
    return named


def _after(quarter: Quarter) -> pd.Timestamp:
    """The first moment after a quarter."""
    return pd.Timestamp(quarter.shift(1).start)


# --- quarters and coverage of the export -------------------------------------------------------------------


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
    labels = {label for column in dates for label in _quarter_labels(column, starts).dropna().unique()}
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


# --- estimators: from a selection to one row per group -----------------------------------------------------

Estimator = Callable[[Selection], pd.DataFrame]


def _won_value(select: Selection) -> pd.DataFrame:
    won = select.won.groupby("group")["amount"]
    return select.facts(won.sum(), won.size())


def _win_rate(select: Selection) -> pd.DataFrame:
    created = select.created
    rows = select.shares(created["status"].eq("won"), created["group"], of="opportunities created")
    still_open = created[created["status"] == "open"].groupby("group").size()
    return _noted(rows, still_open, f"{{}} of them still open ({INCOMPLETE}: the rate can still rise)")


def _win_rate_closed(select: Selection) -> pd.DataFrame:
    closed = select.closed
    return select.shares(closed["status"].eq("won"), closed["group"], of="deals closed")


def _win_rate_by_value(select: Selection) -> pd.DataFrame:
    closed = select.closed
    # a lost deal brought nothing; what it would have brought is known from its list price only
    value = closed["amount"].fillna(closed["list_price"])
    won_value = value.where(closed["status"] == "won", 0.0)
    valued = closed.assign(value=value, squared=value**2, won_value=won_value)
    sums = valued.dropna(subset=["value"]).groupby("group")[["value", "squared", "won_value"]].sum()
    sums = sums.reindex(select.groups)
    # Kish's effective number: a few large deals tell less than as many equal ones
    n_effective = (sums["value"] ** 2 / sums["squared"]).fillna(0.0).to_numpy()
    share = (sums["won_value"] / sums["value"]).to_numpy()
    _, low, high = _wilson(np.nan_to_num(share) * n_effective, n_effective)
    lost = valued[valued["status"] == "lost"].groupby("group")["value"]
    lost_unknown = lost.count() == 0
    hidden = lost_unknown.reindex(select.groups, fill_value=False).to_numpy(dtype=bool)
    n = valued.dropna(subset=["value"]).groupby("group").size()
    rows = select.facts(pd.Series(dtype=float), n).assign(
        value=np.where(hidden, np.nan, share),
        low=np.where(hidden, np.nan, low),
        high=np.where(hidden, np.nan, high),
    )
    rows = _sample_notes(rows, rows["n"], "deals closed with a value")
    rows = _noted(rows, lost_unknown.astype(int), "lost deals have no list price")
    rows = _noted(rows, lost.count(), "{} lost deal(s) valued at list price")
    some_unknown = (lost.size() - lost.count()).where(~lost_unknown, 0)
    return _noted(rows, some_unknown, "{} lost deal(s) without a list price left out")


def _cycle(statistic: Literal["mean", "median"], *, won_only: bool = False) -> Estimator:
    def estimate(select: Selection) -> pd.DataFrame:
        deals, of = (select.won, "deals won") if won_only else (select.closed, "deals closed")
        take = select.means if statistic == "mean" else select.medians
        rows = take(deals["cycle_days"], deals["group"], of=f"{of} with a date of first contact")
        undated = deals["created"].isna().groupby(deals["group"]).sum()
        return _noted(rows, undated, "{} deal(s) without a date of first contact left out")

    return estimate


def _deal_size(statistic: Literal["mean", "median"]) -> Estimator:
    def estimate(select: Selection) -> pd.DataFrame:
        take = select.means if statistic == "mean" else select.medians
        return take(select.won["amount"], select.won["group"], of="deals won")

    return estimate


def _deal_size_by_segment(select: Selection) -> pd.DataFrame:
    deals = select.tables.opportunities
    ever_won = deals[(deals["status"] == "won") & deals["amount"].notna()]
    mix = ever_won["segment"].value_counts(normalize=True)
    cells = select.won.groupby(["group", "segment"])["amount"].agg(["mean", "var", "count"])
    cells = cells[cells["count"] > 0].reset_index()
    weight = cells["segment"].map(mix).astype(float)
    weight = weight / weight.groupby(cells["group"]).transform("sum")
    spread = weight**2 * cells["var"] / cells["count"]
    sums = pd.DataFrame(
        {
            "group": cells["group"],
            "mean": weight * cells["mean"],
            "spread": spread,
            "freedom": spread**2 / (cells["count"] - 1),
            "n": cells["count"],
        }
    )
    found = sums.groupby("group").sum().reindex(select.groups)
    # the spread within a segment with a single win is unknown, and so is the interval
    unknown = spread.isna().groupby(cells["group"]).any().reindex(select.groups, fill_value=True)
    found["spread"] = found["spread"].mask(unknown)
    mean = found["mean"].to_numpy(dtype=float)
    with np.errstate(divide="ignore", invalid="ignore"):
        freedom = found["spread"].to_numpy(dtype=float) ** 2 / found["freedom"].to_numpy(dtype=float)
    half = special.stdtrit(freedom, 0.5 + LEVEL / 2) * np.sqrt(found["spread"].to_numpy(dtype=float))
    rows = select.facts(pd.Series(dtype=float), found["n"]).assign(
        value=mean, low=mean - half, high=mean + half
    )
    rows = _sample_notes(rows, rows["n"], "deals won")
    missing = (len(mix) - cells.groupby("group").size()).reindex(select.groups).where(rows["n"] > 0, 0)
    rows = _noted(rows, missing, "{} segment(s) without a win left out")
    if len(mix) == 1:
        rows = _noted(rows, rows["n"], "one segment only: the same as the average deal size")
    return rows


def _opportunities_open(select: Selection) -> pd.DataFrame:
    return select.undated(select.counts(select.open[select.open["created"].notna()]))


def _pipeline_value(select: Selection) -> pd.DataFrame:
    size = _deal_size("mean")(select)
    rows = _opportunities_open(select)
    opportunities = rows["value"]
    rows = rows.assign(**{key: opportunities * size[key] for key in ("value", "low", "high")})
    wins = pd.Series(np.where(size["n"] >= FEW, size["n"], 0), index=size.index)
    rows = _sample_notes(rows, size["n"], "deals won to take the average size from")
    return _noted(rows, wins, "average size of {} deals won")


def _pipeline_amount(select: Selection) -> pd.DataFrame:
    rows = select.open[select.open["created"].notna()]
    value = rows["amount"].fillna(rows["list_price"])
    known = value.groupby(rows["group"])
    result = select.facts(known.sum(), known.count())
    nothing = (known.size() > 0) & (known.count() == 0)
    hidden = nothing.reindex(result.index, fill_value=False).to_numpy(dtype=bool)
    result = result.assign(value=result["value"].mask(hidden))
    by_list = (rows["amount"].isna() & rows["list_price"].notna()).groupby(rows["group"]).sum()
    result = _noted(result, by_list, "{} deal(s) valued at list price")
    result = _noted(
        result, value.isna().groupby(rows["group"]).sum(), "{} deal(s) without any value left out"
    )
    return select.undated(result)


def _dead_pipeline(select: Selection) -> pd.DataFrame:
    slowest = slowest_close_days(select.tables)
    dated = select.open[select.open["created"].notna()]
    rows = select.shares(dated["age_days"] > slowest, dated["group"], of="open deals with a date")
    if math.isnan(slowest):
        return _without_value(rows, "no deal has closed yet, so no age is known to be too old")
    rows = _noted(rows, rows["n"], f"older than {slowest:,.0f} days, the slowest close on record")
    return select.undated(rows)


def _pipeline_coverage(select: Selection) -> pd.DataFrame:
    now, over = select.now, select.is_over(select.now)
    target = now.shift(1) if over else now
    asked = Selection(select.tables, target, select.by)
    quota = asked.quotas.groupby("group")["quota"].sum().reindex(select.groups)
    booked = asked.won.groupby("group")["amount"].sum().reindex(select.groups).fillna(0.0)
    left = quota - (0.0 if over else booked)
    rows = _pipeline_value(select)
    for key in ("value", "low", "high"):
        rows[key] = rows[key] / left.where(left > 0)
    rows = _noted(rows, left.gt(0).astype(int), f"against the quota {'of' if over else 'left in'} {target}")
    met, unset = f"the quota of {target} is met already", f"no quota for {target}"
    reasons = [met if known else unset for known in quota.notna()]
    return rows.assign(note=rows["note"].where((left > 0).to_numpy(), reasons))


def _lead_count(column: str) -> Estimator:
    return lambda select: select.counts(select.leads(column))


def _reached(tables: Tables, leads: pd.DataFrame, step: str) -> tuple[pd.Series, pd.Series]:
    """Which leads have reached a step (mql, sql, opportunity, won) so far, and on which day."""
    if step in ("mql", "sql"):
        return leads[step].notna(), leads[step]
    deals = tables.opportunities.set_index("opportunity_id")
    if step == "opportunity":
        return leads["opportunity_id"].notna(), leads["opportunity_id"].map(deals["created"])
    won = deals[deals["status"] == "won"]
    return leads["opportunity_id"].isin(won.index), leads["opportunity_id"].map(won["closed"])


def _young_leads(
    rows: pd.DataFrame, select: Selection, leads: pd.DataFrame, column: str, step: str
) -> pd.DataFrame:
    """Note how many leads have not reached a step, and are younger than one in twenty was when it did."""
    everyone = select.tables.leads
    waits = (_reached(select.tables, everyone, step)[1] - everyone[column]).quantile(0.95)
    age = pd.Timestamp(select.tables.as_of) - leads[column]
    young = leads[~_reached(select.tables, leads, step)[0] & (age < waits)]
    return _noted(
        rows, young.groupby("group").size(), f"{{}} of them are young and can follow ({INCOMPLETE})"
    )


def _lead_share(column: str, step: str, *, of: str) -> Estimator:
    def estimate(select: Selection) -> pd.DataFrame:
        leads = select.leads(column)
        rows = select.shares(_reached(select.tables, leads, step)[0], leads["group"], of=of)
        return _young_leads(rows, select, leads, column, step)

    return estimate


def _value_per_lead(select: Selection) -> pd.DataFrame:
    leads = select.leads("created")
    deals = select.tables.opportunities
    booked = deals[deals["status"] == "won"].set_index("opportunity_id")["amount"]
    amount = leads["opportunity_id"].map(booked).astype(float).fillna(0.0)
    rows = select.means(amount, leads["group"], of="leads created")
    return _young_leads(rows, select, leads, "created", "won")


def _stage_conversion(select: Selection) -> pd.DataFrame:
    visits = select.visits
    entered = select.dated(visits[visits["first"]], "entered")
    ended = entered[~entered["undecided"]]
    rows = select.shares(ended["moved_on"], ended["group"], of="deals that left the stage")
    there = entered[entered["undecided"]].groupby("group").size()
    return _noted(rows, there, "{} deal(s) still in the stage not counted")


def _stage_days(select: Selection) -> pd.DataFrame:
    visits = select.visits
    ended = select.dated(visits, "left")
    days = (ended["left"] - ended["entered"]).dt.days.astype(float)
    rows = select.medians(days.where(days >= 0), ended["group"], of="stays that ended")
    reversed_dates = (days < 0).groupby(ended["group"]).sum()
    rows = _noted(rows, reversed_dates, "{} stay(s) that end before they begin left out")
    staying = visits[visits["left"].isna() & (visits["status"] == "open")]
    if select.by == "quarter":  # who is still there has left in no quarter
        return rows
    return _noted(rows, select.group(staying).value_counts(), "{} deal(s) still in the stage not counted")


def _concentration(column: str) -> Estimator:
    def estimate(select: Selection) -> pd.DataFrame:
        won = select.won
        by_owner = won.groupby(["group", column])["amount"].sum()
        total = won.groupby("group")["amount"].sum().reindex(select.groups)
        largest = by_owner.groupby(level=0).max().reindex(select.groups)
        n = won.groupby("group").size()
        rows = select.facts(pd.Series(dtype=float), n).assign(value=largest / total.where(total > 0))
        names = by_owner.groupby(level=0).idxmax().map(lambda key: f"largest: {key[1]}")
        notes = names.reindex(select.groups).fillna(f"no value won with a known {column}")
        rows = rows.assign(note=[_joined(*pair) for pair in zip(rows["note"], notes, strict=True)])
        unknown = won[column].isna().groupby(won["group"]).sum()
        return _noted(rows, unknown, f"{{}} deal(s) won without a known {column} count in the total only")

    return estimate


def _lifetime_value(select: Selection) -> pd.DataFrame:
    deals = select.tables.opportunities
    won = deals[(deals["status"] == "won") & deals["closed"].notna()]
    if select.by == "quarter":  # the relationship so far, seen from the end of each quarter
        ends = {label: _after(select.parse(label)) for label in select.groups}
        won = pd.concat([won[won["closed"] < end].assign(group=label) for label, end in ends.items()])
    else:
        so_far = won if select.quarter is None else won[won["closed"] < _after(select.quarter)]
        won = so_far.assign(group=select.group(so_far))
    revenue = won.groupby(["group", "account"])["amount"].sum().reset_index()
    rows = select.means(revenue["amount"], revenue["group"], of="customers")
    unknown = won["account"].isna().groupby(won["group"]).sum()
    return _noted(rows, unknown, "{} deal(s) won without a known account left out")


def _counted_quotas(select: Selection) -> pd.DataFrame:
    """Quotas to judge: above zero and, unless a quarter was asked for, of complete quarters."""
    quotas = select.quotas[select.quotas["quota"] > 0]
    if select.quarter is not None or select.by == "quarter":
        return quotas
    complete = {label: select.is_complete(select.parse(label)) for label in quotas["label"].unique()}
    return quotas[quotas["label"].map(complete).astype(bool)]


def _share_attaining(select: Selection) -> pd.DataFrame:
    quotas = _counted_quotas(select)
    return select.shares(
        quotas["bookings"] >= quotas["quota"], quotas["group"], of="quotas of a rep and quarter"
    )


def _team_attainment(select: Selection) -> pd.DataFrame:
    sums = (
        _counted_quotas(select)
        .groupby("group")
        .agg(bookings=("bookings", "sum"), quota=("quota", "sum"), n=("quota", "size"))
    )
    rows = select.facts(pd.Series(dtype=float), sums["n"])
    rows = rows.assign(value=(sums["bookings"] / sums["quota"]).reindex(rows.index))
    return _noted(rows, rows["n"].eq(0).astype(int), "no quotas of a rep and quarter")


def _linearity(select: Selection) -> pd.DataFrame:
    won = select.won.assign(label=select.quarters_of(select.won["closed"]))
    if select.quarter is None and select.by != "quarter":
        complete = {label: select.is_complete(select.parse(label)) for label in won["label"].unique()}
        won = won[won["label"].map(complete).astype(bool)]
    last = (won["closed"].dt.month - select.tables.fiscal_year_starts_in_month) % 3 == 2
    total = won.groupby("group")["amount"].sum().reindex(select.groups)
    late = won[last].groupby("group")["amount"].sum().reindex(select.groups).fillna(0.0)
    rows = select.facts(pd.Series(dtype=float), won.groupby("group").size())
    rows = rows.assign(value=late / total.where(total > 0))
    return _sample_notes(rows, rows["n"], "deals won")


def _new_against_expected(select: Selection) -> pd.DataFrame:
    rows = select.counts(select.created)
    expected = select.expected.get("new_opportunities", math.nan)
    if not expected > 0:
        return _without_value(rows, "no expected number given (benchmark 'new_opportunities')")
    if select.quarter is None and select.by is None:
        return _without_value(rows, "the expected number is per quarter; ask for a quarter or by quarter")
    return rows.assign(value=rows["value"] / expected, note=f"expected {formats.count(expected)} a quarter")


def _without_value(rows: pd.DataFrame, reason: str) -> pd.DataFrame:
    return rows.assign(value=np.nan, low=np.nan, high=np.nan, note=reason)


# --- the catalogue -----------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Measure:
    """One entry of the catalogue: what a measure is called, what it means, and how it is computed.

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


_CLOSED = ("opportunities", "opportunities.closed")
_WON = (*_CLOSED, "opportunities.amount")
_CYCLE = (*_CLOSED, "opportunities.created")
_CREATED = ("opportunities", "opportunities.created")

_ENTRIES = (
    Measure(
        name="won_value",
        label="Won value",
        unit="money",
        better="higher",
        definition="Sum of the booked amounts of the deals won in the period, by closing date [A7].",
        needs=_WON,
        cuts=_DEALS,
        estimator=_won_value,
    ),
    Measure(
        name="won_count",
        label="Deals won",
        unit="count",
        better="higher",
        definition=(
            "Number of deals won in the period, by closing date; by source these are the closed "
            "opportunities per source [A7]."
        ),
        needs=_CLOSED,
        cuts=_DEALS,
        estimator=lambda select: select.counts(select.won),
    ),
    Measure(
        name="lost_count",
        label="Deals lost",
        unit="count",
        better="lower",
        definition="Number of deals lost in the period, by closing date [A7].",
        needs=_CLOSED,
        cuts=_DEALS,
        estimator=lambda select: select.counts(select.closed[select.closed["status"] == "lost"]),
    ),
    Measure(
        name="new_opportunities",
        label="New opportunities",
        unit="count",
        better="higher",
        definition="Number of opportunities created in the period, by date of first contact [A7].",
        needs=_CREATED,
        cuts=_DEALS,
        estimator=lambda select: select.counts(select.created),
    ),
    Measure(
        name="new_against_expected",
        label="New opportunities against expected",
        unit="share",
        better="higher",
        definition=(
            "Opportunities created in the quarter ÷ the number expected, which the user sets as the "
            "benchmark of 'new_opportunities' [A7]."
        ),
        needs=_CREATED,
        cuts=("quarter",),
        estimator=_new_against_expected,
    ),
    Measure(
        name="win_rate",
        label="Win rate of deals created",
        unit="share",
        better="higher",
        definition=(
            "Won ÷ created, of the opportunities created in the same period; deals still open count as not "
            "yet won, so the rate of a young period still rises [A7]."
        ),
        needs=_CREATED,
        cuts=_DEALS,
        estimator=_win_rate,
    ),
    Measure(
        name="win_rate_closed",
        label="Win rate of deals closed",
        unit="share",
        better="higher",
        definition=(
            "Won ÷ (won + lost), of the deals closed in the period, whenever they were created [A7]."
        ),
        needs=_CLOSED,
        cuts=_DEALS,
        estimator=_win_rate_closed,
    ),
    Measure(
        name="win_rate_by_value",
        label="Win rate by value",
        unit="share",
        better="higher",
        definition=(
            "Won amount ÷ value of all deals closed in the period; a deal without an amount counts at the "
            "list price of its product. Not known where lost deals have neither [A7]."
        ),
        needs=_WON,
        cuts=_DEALS,
        estimator=_win_rate_by_value,
    ),
    Measure(
        name="sales_cycle_days",
        label="Average sales cycle",
        unit="days",
        better="lower",
        definition=(
            "Total days from first contact to close of the deals closed in the period, won or lost ÷ their "
            "number [A7]."
        ),
        needs=_CYCLE,
        cuts=_DEALS,
        estimator=_cycle("mean"),
    ),
    Measure(
        name="sales_cycle_median_days",
        label="Median sales cycle",
        unit="days",
        better="lower",
        definition=(
            "Half of the deals closed in the period, won or lost, took no longer from first contact to "
            "close [A7]."
        ),
        needs=_CYCLE,
        cuts=_DEALS,
        estimator=_cycle("median"),
    ),
    Measure(
        name="sales_cycle_won_median_days",
        label="Median sales cycle of deals won",
        unit="days",
        better="lower",
        definition="Half of the deals won in the period took no longer from first contact to close [A7].",
        needs=_CYCLE,
        cuts=_DEALS,
        estimator=_cycle("median", won_only=True),
    ),
    Measure(
        name="average_deal_size",
        label="Average deal size",
        unit="money",
        better="higher",
        definition="Won value ÷ number of deals won in the period that have an amount [A7].",
        needs=_WON,
        cuts=_DEALS,
        estimator=_deal_size("mean"),
    ),
    Measure(
        name="median_deal_size",
        label="Median deal size",
        unit="money",
        better="higher",
        definition="Half of the deals won in the period were at most this large [A7].",
        needs=_WON,
        cuts=_DEALS,
        estimator=_deal_size("median"),
    ),
    Measure(
        name="deal_size_weighted_by_segment",
        label="Deal size, weighted by segment",
        unit="money",
        better="higher",
        definition=(
            "Average deal size of each segment in the period, weighted by the segment's share of all deals "
            "ever won: what the average would be at the usual mix, so that a shift between segments does "
            "not pass for larger or smaller deals [A7]."
        ),
        needs=(*_WON, "opportunities.segment"),
        cuts=tuple(cut for cut in _DEALS if cut != "segment"),
        estimator=_deal_size_by_segment,
    ),
    Measure(
        name="open_opportunities",
        label="Open opportunities",
        unit="count",
        better="neither",
        definition=(
            "Open deals with a date of first contact, on the day of the export; open deals without one are "
            "leads not yet worked, and do not count [A7]."
        ),
        needs=_CREATED,
        cuts=_OPEN,
        estimator=_opportunities_open,
        time="as_of",
    ),
    Measure(
        name="pipeline_value",
        label="Pipeline value",
        unit="money",
        better="higher",
        definition=(
            "Open opportunities × average deal size of the deals won in the period. An opportunity is an "
            "open deal with a date of first contact; leads do not count [A7]."
        ),
        needs=_WON,
        cuts=_OPEN,
        estimator=_pipeline_value,
        time="as_of",
    ),
    Measure(
        name="pipeline_amount",
        label="Pipeline amount",
        unit="money",
        better="higher",
        definition=(
            "Sum of the expected amounts of the open opportunities; where the amount is missing, the list "
            "price of the product. Not known where there is neither [A7]."
        ),
        needs=_CREATED,
        cuts=_OPEN,
        estimator=_pipeline_amount,
        time="as_of",
    ),
    Measure(
        name="dead_pipeline_share",
        label="Dead pipeline",
        unit="share",
        better="lower",
        definition=(
            "Open deals older than the slowest deal that ever closed ÷ open deals with a date of first "
            "contact [A4]."
        ),
        needs=_CYCLE,
        cuts=_OPEN,
        estimator=_dead_pipeline,
        time="as_of",
    ),
    Measure(
        name="pipeline_coverage",
        label="Pipeline coverage",
        unit="ratio",
        better="higher",
        definition=(
            "Pipeline value ÷ what is left of the quota of the current quarter; once that quarter is over, "
            "÷ the quota of the next one [B6]."
        ),
        needs=("quotas", *_WON),
        cuts=("rep", "manager", "region"),
        estimator=_pipeline_coverage,
        time="as_of",
    ),
    Measure(
        name="leads",
        label="Leads",
        unit="count",
        better="higher",
        definition="Number of leads created in the period [A7].",
        needs=("leads",),
        cuts=_LEADS,
        estimator=_lead_count("created"),
    ),
    Measure(
        name="mql_count",
        label="MQL",
        unit="count",
        better="higher",
        definition="Number of leads that marketing qualified in the period, by date of MQL [A8].",
        needs=("leads", "leads.mql"),
        cuts=_LEADS,
        estimator=_lead_count("mql"),
    ),
    Measure(
        name="sql_count",
        label="SQL",
        unit="count",
        better="higher",
        definition="Number of leads that sales accepted in the period, by date of SQL [A8].",
        needs=("leads", "leads.sql"),
        cuts=_LEADS,
        estimator=_lead_count("sql"),
    ),
    Measure(
        name="lead_to_mql",
        label="Lead to MQL",
        unit="share",
        better="higher",
        definition="Of the leads created in the period, the share that has become an MQL so far [A7].",
        needs=("leads", "leads.mql"),
        cuts=_LEADS,
        estimator=_lead_share("created", "mql", of="leads created"),
    ),
    Measure(
        name="mql_to_sql",
        label="MQL to SQL",
        unit="share",
        better="higher",
        definition=(
            "Of the leads that became an MQL in the period, the share that has become an SQL so far; 100 "
            "MQL of which 50 become SQL are 50 % [A7]."
        ),
        needs=("leads", "leads.mql", "leads.sql"),
        cuts=_LEADS,
        estimator=_lead_share("mql", "sql", of="MQL"),
    ),
    Measure(
        name="sql_to_opportunity",
        label="SQL to opportunity",
        unit="share",
        better="higher",
        definition=(
            "Of the leads that became an SQL in the period, the share that has become an opportunity so "
            "far; 30 demos of 50 SQL are 60 % [A7]."
        ),
        needs=("leads", "leads.sql", "leads.opportunity_id"),
        cuts=_LEADS,
        estimator=_lead_share("sql", "opportunity", of="SQL"),
    ),
    Measure(
        name="lead_to_won",
        label="Lead to deal won",
        unit="share",
        better="higher",
        definition=(
            "Of the leads created in the period, the share that has ended in a deal won so far [A7]."
        ),
        needs=("leads", "leads.opportunity_id"),
        cuts=_LEADS,
        estimator=_lead_share("created", "won", of="leads created"),
    ),
    Measure(
        name="value_per_lead",
        label="Won value per lead",
        unit="money",
        better="higher",
        definition=(
            "Amount won so far from the leads created in the period ÷ their number; two sources with "
            "equally many leads can differ wholly in value [A7]."
        ),
        needs=("leads", "leads.opportunity_id"),
        cuts=_LEADS,
        estimator=_value_per_lead,
    ),
    Measure(
        name="stage_conversion",
        label="Stage conversion",
        unit="share",
        better="higher",
        definition=(
            "Of the deals that entered a stage in the period and have left it, the share that moved on to a "
            "later stage or was won; deals still in the stage are not counted [A7]."
        ),
        needs=("stage_history",),
        cuts=_STAGES,
        estimator=_stage_conversion,
    ),
    Measure(
        name="stage_days",
        label="Median days in stage",
        unit="days",
        better="lower",
        definition="Half of the stays in a stage that ended in the period were at most this long [A8].",
        needs=("stage_history",),
        cuts=_STAGES,
        estimator=_stage_days,
    ),
    Measure(
        name="source_concentration",
        label="Won value from the largest source",
        unit="share",
        better="lower",
        definition=(
            "Won value of the source with most of it ÷ won value of the period: the risk of depending on "
            "one source [A7]."
        ),
        needs=(*_WON, "opportunities.source"),
        cuts=tuple(cut for cut in _DEALS if cut != "source"),
        estimator=_concentration("source"),
    ),
    Measure(
        name="account_concentration",
        label="Won value from the largest account",
        unit="share",
        better="lower",
        definition=(
            "Won value of the account with most of it ÷ won value of the period: the risk of depending on "
            "one customer [A7]."
        ),
        needs=(*_WON, "opportunities.account"),
        cuts=tuple(cut for cut in _DEALS if cut != "account"),
        estimator=_concentration("account"),
    ),
    Measure(
        name="customer_lifetime_value",
        label="Customer lifetime value to date",
        unit="money",
        better="higher",
        definition=(
            "All revenue of a customer over the relationship so far, up to the end of the period: the "
            "average over the accounts that have bought. Revenue to date, not a forecast [A7]."
        ),
        needs=(*_WON, "opportunities.account"),
        cuts=_DEALS,
        estimator=_lifetime_value,
    ),
    Measure(
        name="share_attaining",
        label="Share of reps at quota",
        unit="share",
        better="neither",
        definition=(
            "Share of the quotas of a rep and quarter that bookings reached; a plan is right at 60–75 % [B1]."
        ),
        needs=("quotas", *_WON),
        cuts=_QUOTAS,
        estimator=_share_attaining,
        time="complete_quarters",
    ),
    Measure(
        name="team_attainment",
        label="Attainment of the team",
        unit="share",
        better="higher",
        definition="Bookings of the reps who hold a quota ÷ the sum of their quotas [B2].",
        needs=("quotas", *_WON),
        cuts=_QUOTAS,
        estimator=_team_attainment,
        time="complete_quarters",
    ),
    Measure(
        name="linearity_last_month",
        label="Won value booked in the last month",
        unit="share",
        better="lower",
        definition=(
            "Won value booked in the last month of the quarter ÷ won value of the quarter; even selling "
            "gives a third [F1]."
        ),
        needs=_WON,
        cuts=_DEALS,
        estimator=_linearity,
        time="complete_quarters",
    ),
)

#: Every measure by name, in the order of reports.
CATALOGUE: Mapping[str, Measure] = MappingProxyType({entry.name: entry for entry in _ENTRIES})


def glossary() -> list[dict[str, str]]:
    """The catalogue in words, one row per measure: name, label, unit, better, definition.

    >>> glossary()[0]["label"], glossary()[0]["definition"]
    ('Won value', 'Sum of the booked amounts of the deals won in the period, by closing date [A7].')
    """
    return [
        {key: str(getattr(entry, key)) for key in ("name", "label", "unit", "better", "definition")}
        for entry in CATALOGUE.values()
    ]


# --- asking ------------------------------------------------------------------------------------------------


def measure(
    name: str,
    tables: Tables,
    *,
    quarter: Quarter | None = None,
    by: str | None = None,
    benchmarks: Mapping[str, float] | None = None,
) -> pd.DataFrame:
    """One measure of the catalogue, for a period, split by rep, source … or not at all.

    Args:
        name: a key of :data:`CATALOGUE`.
        tables: what :func:`salessim.crm.read` returns.
        quarter: the period; None is all time. Open deals are always those of the day of the export.
        by: one of :data:`BY`, or None for one row.
        benchmarks: figures per quarter that the user sets, by name of measure; only
            ``new_against_expected`` needs one.

    Returns:
        Columns [``by``], value, low, high, n, note: one row per group, also for groups without a deal. Value
        is NaN, and the note says why, where the tables do not allow it; low and high are NaN for facts.

    Raises:
        ParameterError: the catalogue has no such measure, or nothing is split by that.
        DataError: the export has no data for the quarter.

    >>> from salessim.crm import read
    >>> from salessim.library import example_crm
    >>> rows = measure("win_rate_closed", read(example_crm()), by="source")
    >>> rows.columns.tolist(), bool(rows["value"].between(rows["low"], rows["high"]).all())
    (['source', 'value', 'low', 'high', 'n', 'note'], True)
    """
    entry = _entry(name)
    if by is not None and by not in BY:
        raise ParameterError(f"by is {by!r}; a measure is split by one of {listed(BY)}")
    if quarter is not None:
        check_quarter(tables, quarter)
    rows = _measured(entry, Selection(tables, quarter, by, _checked(benchmarks)))
    if by is None:
        return rows.reset_index(drop=True)
    return rows.rename_axis(by).reset_index()


def _entry(name: str) -> Measure:
    if name not in CATALOGUE:
        raise ParameterError(f"measure is {name!r}; the catalogue has {listed(list(CATALOGUE), most=99)}")
    return CATALOGUE[name]


def _checked(benchmarks: Mapping[str, float] | None) -> Mapping[str, float]:
    for name, value in (benchmarks or {}).items():
        _entry(name)
        if not math.isfinite(value):
            raise ParameterError(f"benchmark of {name!r} is {value}; it must be a number")
    return MappingProxyType(dict(benchmarks or {}))


def _measured(entry: Measure, select: Selection) -> pd.DataFrame:
    """The rows of a measure with the notes that its period brings, or with the reason why there are none."""
    missing = _not_possible(entry, select)
    if missing:
        groups = [NOT_STATED] if select.by else ["all"]
        row = {"value": math.nan, "low": math.nan, "high": math.nan, "n": 0, "note": missing}
        return pd.DataFrame([row], index=pd.Index(groups, dtype=object))
    rows = entry.estimator(select)
    rows = rows[(rows.index != NOT_STATED) | (rows["n"] > 0)]
    unsplit = "the export has no segments" if select.by == "segment" and list(rows.index) == ["all"] else ""
    notes = [_joined(_period_note(entry, select, str(group)), unsplit) for group in rows.index]
    return rows.assign(note=[_joined(*pair) for pair in zip(notes, rows["note"], strict=True)])


def _not_possible(entry: Measure, select: Selection) -> str:
    """Why the tables do not allow a measure; empty when they do."""
    for need in entry.needs:
        if not _holds(select.tables, need):
            return f"the export has no {_MISSING_WORDS[need]}"
    if select.by is None:
        return ""
    if select.by not in entry.cuts:
        if select.by == "quarter" and entry.time == "as_of":
            return f"open deals are known only as of {select.tables.as_of}"
        return f"{entry.label} is not split by {select.by}; it is by {listed(entry.cuts)}"
    table = (
        "leads" if "leads" in entry.needs else "stage_history" if select.by == "stage" else "opportunities"
    )
    table = "reps" if select.by in ("manager", "region") else table
    if select.by == "stage" and entry.time == "as_of":
        table = "opportunities"
    if select.by != "quarter" and not _holds(select.tables, f"{table}.{select.by}"):
        return f"the export has no {_MISSING_WORDS[f'{table}.{select.by}']}"
    return ""


def _holds(tables: Tables, need: str) -> bool:
    table, _, column = need.partition(".")
    frame: pd.DataFrame = getattr(tables, table)
    return not frame.empty and (not column or bool(frame[column].notna().any()))


def _period_note(entry: Measure, select: Selection, group: str) -> str:
    """What a reader must know of the period of a row: not over, cut off, or not the day of the export."""
    if entry.time == "as_of":
        other = select.quarter is not None and select.quarter != select.now
        return f"open deals are those of {select.tables.as_of}, not of {select.quarter}" if other else ""
    quarter = select.parse(group) if select.by == "quarter" else select.quarter
    cut_off = select.cut.cut and "leads" not in entry.needs  # an export is cut off by the closes of its deals
    if quarter is not None and not select.is_over(quarter):
        return f"{INCOMPLETE}: {quarter} was not over on {select.tables.as_of}"
    if quarter is not None and cut_off and not select.is_complete(quarter):
        return f"{INCOMPLETE}: the export is cut off on the left, so figures of {quarter} are an artefact"
    if quarter is None and entry.time == "complete_quarters":
        return "complete quarters only"
    if quarter is None and cut_off:
        return f"includes deals from before {select.cut.first_complete_quarter}, where the export is cut off"
    return ""


def overview(
    tables: Tables, *, quarter: Quarter, benchmarks: Mapping[str, float] | None = None
) -> pd.DataFrame:
    """Every measure of one quarter beside its benchmark and the quarter before [A7].

    Args:
        tables: what :func:`salessim.crm.read` returns.
        quarter: the quarter; it must have data.
        benchmarks: figures that the user sets, by name of measure; ``new_against_expected`` appears only
            where ``new_opportunities`` has one.

    Returns:
        One row per measure: name, label, unit, better, value, low, high, n, note, benchmark, previous.
        ``previous`` is NaN where the quarter before has no data or only part of it, and for open deals,
        which are known only as of the day of the export. ``benchmark`` is NaN where none is set.

    Raises:
        DataError: the export has no data for the quarter.
        ParameterError: a benchmark is set for a measure that does not exist.

    >>> from salessim.crm import read
    >>> from salessim.library import example_crm
    >>> tables = read(example_crm())
    >>> rows = overview(tables, quarter=available_quarters(tables)[-1], benchmarks={"win_rate_closed": 0.5})
    >>> rows.set_index("name")["benchmark"].dropna().to_dict()
    {'win_rate_closed': 0.5}
    """
    check_quarter(tables, quarter)
    expected = _checked(benchmarks)
    here, before = (
        Selection(tables, quarter, None, expected),
        Selection(tables, quarter.shift(-1), None, expected),
    )
    has_before = before.quarter in available_quarters(tables)
    lines = []
    for entry in CATALOGUE.values():
        if entry.name == "new_against_expected" and "new_opportunities" not in expected:
            continue
        row = _measured(entry, here).iloc[0].to_dict()
        previous = math.nan
        if has_before and entry.time != "as_of" and not _period_note(entry, before, ""):
            previous = float(_measured(entry, before)["value"].iloc[0])
        lines.append(
            {key: getattr(entry, key) for key in ("name", "label", "unit", "better")}
            | row
            | {"benchmark": float(expected.get(entry.name, math.nan)), "previous": previous}
        )
    return pd.DataFrame(lines)


def overview_table(overview: pd.DataFrame, *, currency: str) -> str:
    """An overview for people (Markdown): what is known as a table, its notes, then what is missing and why.

    Args:
        overview: result of :func:`overview`.
        currency: ISO code of the tables.

    >>> from salessim.crm import read
    >>> from salessim.library import example_crm
    >>> tables = read(example_crm())
    >>> rows = overview(tables, quarter=available_quarters(tables)[-1])
    >>> overview_table(rows, currency=tables.currency).splitlines()[0]
    '| measure | value | 80 % interval | n | quarter before |'
    """
    with_benchmark = bool(overview["benchmark"].notna().any())
    known, notes = [], []
    missing: dict[str, list[str]] = {}
    for row in overview.to_dict("records"):
        unit, label, note = str(row["unit"]), str(row["label"]), _escaped(str(row["note"]))
        if not math.isfinite(row["value"]):
            missing.setdefault(note, []).append(label)
            continue
        if note:
            notes.append(f"- {label}: {note}.")
        value, previous, benchmark = (
            formats.figure(float(row[key]), unit, currency) for key in ("value", "previous", "benchmark")
        )
        # the currency stands with the value; a second time it would push the table off the page
        interval = formats.span(row["low"], row["high"], unit, currency).removeprefix(f"{currency} ")
        cells = [label, value, interval, formats.count(row["n"]), previous]
        known.append([*cells, benchmark] if with_benchmark else cells)
    header = ["measure", "value", f"{formats.percent(LEVEL)} interval", "n", "quarter before"]
    parts = [formats.table([*header, "benchmark"] if with_benchmark else header, known)]
    if notes:
        parts.append("Notes:\n\n" + "\n".join(notes))
    if missing:
        reasons = [f"- {', '.join(labels)}: {reason}." for reason, labels in missing.items()]
        parts.append("Not in this export:\n\n" + "\n".join(reasons))
    return "\n\n".join(parts)


def _escaped(text: str) -> str:
    """Text on one line with the marks escaped that Markdown would act on: notes name accounts and sources."""
    return re.sub(r"([\\`*_{}\[\]<>#&$~])", r"\\\1", " ".join(text.split()))


# --- tables that charts draw -------------------------------------------------------------------------------


def slowest_close_days(tables: Tables) -> float:
    """Days from first contact to close of the slowest deal that ever closed; NaN when none has both dates.

    >>> from salessim.crm import read
    >>> from salessim.library import example_crm
    >>> slowest_close_days(read(example_crm())) > 0
    True
    """
    deals = tables.opportunities
    closed = deals[deals["status"] != "open"]
    return float((closed["closed"] - closed["created"]).dt.days.max())


def open_ages_days(tables: Tables) -> pd.Series:
    """Age in days, on the day of the export, of every open deal that has a date of first contact.

    >>> from salessim.crm import read
    >>> from salessim.library import example_crm
    >>> ages = open_ages_days(read(example_crm()))
    >>> ages.name, bool((ages >= 0).all())
    ('age_days', True)
    """
    ages = Selection(tables).open["age_days"].dropna()
    return ages.rename("age_days").reset_index(drop=True)


def pipeline_by_stage(
    tables: Tables, *, close_probability: Mapping[str, float] | None = None
) -> pd.DataFrame:
    """What is open in each stage on the day of the export, in the order of the stages.

    All open deals are here, dated or not, so that the numbers add up to what the CRM shows.

    Args:
        tables: what :func:`salessim.crm.read` returns.
        close_probability: share of the deals in a stage that will be won, by stage; from a scenario.

    Returns:
        Columns stage, deals, value, weighted_value: value is the expected amount, or the list price where
        the amount is missing (NaN when no deal of the stage has either); weighted_value is value × close
        probability (NaN where no probability is given).

    >>> from salessim.crm import read
    >>> from salessim.library import example_crm
    >>> pipeline_by_stage(read(example_crm()))["stage"].tolist()
    ['cold lead', 'warm lead', 'potential deal', 'closing deal']
    """
    deals = tables.opportunities[tables.opportunities["status"] == "open"]
    values = deals["amount"].fillna(deals["list_price"]).groupby(deals["stage"])
    stages = list(tables.stages)
    value = values.sum(min_count=1).reindex(stages)
    chance = pd.Series(dict(close_probability or {}), dtype=float).reindex(stages)
    return pd.DataFrame(
        {
            "stage": pd.Series(stages, dtype=object),
            "deals": values.size().reindex(stages, fill_value=0).to_numpy(dtype=int),
            "value": value.to_numpy(dtype=float),
            "weighted_value": (value * chance).to_numpy(dtype=float),
        }
    )


def bookings_by_quarter(tables: Tables) -> pd.DataFrame:
    """Won value and deals won by quarter, from the first quarter in which a deal closed.

    Returns:
        Columns quarter, won_value, won_count, partial: partial quarters are those that the export covers
        only in part, cut off on the left or not yet over.

    >>> from salessim.crm import read
    >>> from salessim.library import example_crm
    >>> bookings_by_quarter(read(example_crm())).columns.tolist()
    ['quarter', 'won_value', 'won_count', 'partial']
    """
    select = Selection(tables, by="quarter")
    value, number = _won_value(select), select.counts(select.won)
    closed = select.counts(select.closed)["value"].to_numpy() > 0
    first = int(closed.argmax()) if closed.any() else len(closed)
    labels = [str(label) for label in select.groups[first:]]
    return pd.DataFrame(
        {
            "quarter": labels,
            "won_value": value["value"].to_numpy()[first:],
            "won_count": number["value"].to_numpy()[first:].astype(int),
            "partial": [not select.is_complete(select.parse(label)) for label in labels],
        }
    )


# --- the bottleneck ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class StageNorm:
    """What a stage should do: the share of deals that move on, and the median days they stay.

    >>> StageNorm(conversion=0.5, median_days=14).conversion
    0.5
    """

    conversion: float | None = None
    median_days: float | None = None


@dataclass(frozen=True)
class Bottleneck:
    """The stage that falls shortest of its norm, with the evidence; ``stage`` is None when there is none.

    ``shortfall`` is comparable between conversion and days: 0.5 is half the conversion, or double the time.
    ``beyond_luck`` tells whether the interval of the figure leaves the norm outside.

    >>> nothing = Estimate(math.nan, math.nan, math.nan, 0)
    >>> Bottleneck(None, None, nothing, math.nan, math.nan, False, "no stage falls short").stage is None
    True
    """

    stage: str | None
    kind: Literal["conversion", "days"] | None
    estimate: Estimate
    norm: float
    shortfall: float
    beyond_luck: bool
    reason: str


def bottleneck(
    tables: Tables, *, quarter: Quarter | None = None, norms: Mapping[str, StageNorm] | None = None
) -> Bottleneck:
    """The stage whose conversion or time falls shortest of its norm [A7].

    A shortfall that luck does not explain goes before a larger one that it does.

    Args:
        tables: what :func:`salessim.crm.read` returns.
        quarter: the period that is judged; None is all time when norms are given, and otherwise the quarter
            of the export.
        norms: what each stage should do; None takes the figures of all time.

    Raises:
        ParameterError: a norm is set for a stage that does not exist.
        DataError: the export has no data for the quarter.

    >>> from salessim.crm import read
    >>> from salessim.library import example_crm
    >>> found = bottleneck(read(example_crm()), norms={"closing deal": StageNorm(conversion=0.99)})
    >>> found.stage, found.kind, found.beyond_luck
    ('closing deal', 'conversion', True)
    """
    unknown = [stage for stage in norms or {} if stage not in tables.stages]
    if unknown:
        raise ParameterError(f"norm for stage {unknown[0]!r}; the stages are {listed(tables.stages)}")
    nothing = Estimate(math.nan, math.nan, math.nan, 0)
    if not _holds(tables, "stage_history"):
        reason = f"the export has no {_MISSING_WORDS['stage_history']}"
        return Bottleneck(None, None, nothing, math.nan, math.nan, False, reason)
    if norms is None and quarter is None:
        quarter = Selection(tables).now
    period = f"in {quarter}" if quarter else "over all time"
    found: list[Bottleneck] = []
    kinds: tuple[tuple[Literal["conversion", "days"], str], ...] = (
        ("conversion", "stage_conversion"),
        ("days", "stage_days"),
    )
    for kind, name in kinds:
        actual = measure(name, tables, quarter=quarter, by="stage").set_index("stage").to_dict("index")
        usual = measure(name, tables, by="stage").set_index("stage")["value"]
        for stage in tables.stages:
            norm = float(usual[stage])
            if norms is not None:
                wanted = norms.get(stage, StageNorm())
                given = wanted.conversion if kind == "conversion" else wanted.median_days
                norm = math.nan if given is None else float(given)
            row = actual[stage]
            estimate = Estimate(float(row["value"]), float(row["low"]), float(row["high"]), int(row["n"]))
            found.append(_shortfall(stage, kind, estimate, norm, period, given=norms is not None))
    short = [candidate for candidate in found if candidate.shortfall > 0]
    if not short:
        reason = f"no stage falls short of its norm {period}"
        return Bottleneck(None, None, nothing, math.nan, math.nan, False, reason)
    return max(short, key=lambda candidate: (candidate.beyond_luck, candidate.shortfall))


def _shortfall(
    stage: str,
    kind: Literal["conversion", "days"],
    estimate: Estimate,
    norm: float,
    period: str,
    *,
    given: bool,
) -> Bottleneck:
    """How far one figure of one stage lies from its norm, and in which words."""
    if kind == "conversion":
        more, less = norm, estimate.value
        beyond, unit, verb = estimate.high < norm, "share", "moved on"
    else:
        more, less = estimate.value, norm
        beyond, unit, verb = estimate.low > norm, "days", "was the median stay"
    shortfall = 1 - less / more if more > 0 else 0.0
    reason = (
        f"{stage}: {formats.figure(estimate.value, unit)} {verb} {period} against "
        f"{'a norm of' if given else 'the usual'} {formats.figure(norm, unit)} "
        f"({formats.span(estimate.low, estimate.high, unit)}, n = {formats.count(estimate.n)})"
        f"{'' if beyond else '; luck alone could explain it'}"
    )
    return Bottleneck(stage, kind, estimate, norm, shortfall, beyond, reason)
