"""Which deals, which period, cut by what: what a measure is asked about, and the rows of its answer."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from functools import cached_property
from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pandas as pd

from salessim import formats
from salessim.errors import ParameterError, listed
from salessim.intervals import wilson
from salessim.measures.coverage import END_GRACE_DAYS, LeftCut, after
from salessim.measures.estimates import Floats, grouped_means, grouped_medians
from salessim.measures.facts import (
    NOT_STATED,
    STILL_THERE,
    Facts,
    day_numbers,
    facts_of,
)
from salessim.measures.survival import LifeTable, life_table
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
    "PERIODS",
    "QUOTA_CUTS",
    "Selection",
    "joined",
    "noted",
    "sample_notes",
    "splits",
    "without_value",
]

Ints = npt.NDArray[np.int64]

#: What a measure can be split by, one or several together; each measure names those that make sense for it.
BY = ("quarter", "month", "rep", "manager", "region", "segment", "source", "product", "account", "stage")
#: The splits that are periods.
PERIODS = ("quarter", "month")
DEAL_CUTS = ("quarter", "month", "rep", "manager", "region", "segment", "source", "product", "account")
OPEN_CUTS = ("rep", "manager", "region", "segment", "source", "product", "account", "stage")
LEAD_CUTS = ("quarter", "month", "rep", "manager", "region", "segment", "source")
QUOTA_CUTS = ("quarter", "rep", "manager", "region")

#: Below this many observations a figure is marked as resting on few.
FEW = 10


@dataclass(frozen=True)
class Selection:
    """What a measure is asked about: the tables, the period, and what to split by.

    Estimators take one and return a frame indexed by ``groups`` with the columns value, low, high, n, note.
    A group is a number; ``labels`` says what it stands for.

    >>> from salessim.crm import read
    >>> from salessim.library import example_crm
    >>> select = Selection(read(example_crm()), by=("segment",))
    >>> select.counts(select.won)["value"].index.tolist(), select.labels["segment"].tolist()
    ([0, 1], ['SMB', 'mid-market'])
    """

    tables: Tables
    quarter: Quarter | None = None
    by: tuple[str, ...] = ()
    expected: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({}))
    """Benchmarks: name of a measure → its figure per quarter."""

    @cached_property
    def facts(self) -> Facts:
        """The tables as arrays."""
        return facts_of(self.tables)

    # periods

    @cached_property
    def now(self) -> Quarter:
        """The quarter in which the export was taken."""
        return quarter_of(
            self.tables.as_of, fiscal_year_starts_in_month=self.tables.fiscal_year_starts_in_month
        )

    @property
    def cut(self) -> LeftCut:
        """Whether, and until when, the export is cut off on the left."""
        return self.facts.left_cut

    def is_over(self, quarter: Quarter) -> bool:
        """Whether the quarter had ended when the export was taken (but for a weekend)."""
        return self.has_ended(quarter.end)

    def has_ended(self, last_day: date) -> bool:
        """Whether a period had ended when the export was taken (but for a weekend)."""
        return last_day <= self.tables.as_of + timedelta(days=END_GRACE_DAYS)

    def is_complete(self, quarter: Quarter) -> bool:
        """Whether the export covers the whole quarter."""
        return self.is_over(quarter) and quarter >= (self.cut.first_complete_quarter or quarter)

    def parse(self, label: str) -> Quarter:
        """The quarter with this label in the fiscal calendar of the tables."""
        return Quarter.parse(label, fiscal_year_starts_in_month=self.tables.fiscal_year_starts_in_month)

    def in_period(self, dates: pd.Series) -> pd.Series:
        """Which dates lie in the period (all known ones when no quarter is asked for)."""
        if self.quarter is None:
            return dates.notna()
        inside: pd.Series = dates.ge(pd.Timestamp(self.quarter.start)) & dates.lt(after(self.quarter))
        return inside

    @cached_property
    def spans(self) -> list[tuple[str, date, date]]:
        """The periods that the answer is split into: label, first and last day; one where it is not split."""
        if "month" in self.by:
            first, last = (
                (int(self.facts.months[end]) for end in (0, -1)) if len(self.facts.months) else (0, -1)
            )
            if self.quarter is not None:
                first = self.quarter.start.year * 12 + self.quarter.start.month - 1 - 1970 * 12
                last = first + 2
            known = set(self.facts.months.tolist())
            kept = [month for month in range(first, last + 1) if self.quarter is not None or month in known]
            return [_month(number) for number in kept]
        if "quarter" in self.by:
            quarters = [self.quarter] if self.quarter else self.facts.quarters
            return [(str(quarter), quarter.start, quarter.end) for quarter in quarters]
        return []

    # groups

    @cached_property
    def _static(self) -> tuple[list[str], dict[str, Ints], list[tuple[int, ...]] | None]:
        """Splits that a row of a table has by itself: their names, the code of each row by table, and what
        each code stands for (None where there is no such split)."""
        names = [cut for cut in self.by if cut not in (*PERIODS, "stage")]
        if not names:
            return names, {}, None
        cuts = [self.facts.cut(name) for name in names]
        holders = set.intersection(*(set(cut.codes) for cut in cuts))
        if len(names) == 1:
            codes = {table: own.astype(np.int64) for table, own in cuts[0].codes.items()}
            return names, codes, [(code,) for code in range(len(cuts[0].labels))]
        sizes = [len(cut.labels) for cut in cuts]
        mixed = {}
        for table in holders:
            code = np.zeros(len(cuts[0].codes[table]), dtype=np.int64)
            for cut, size in zip(cuts, sizes, strict=True):
                code = code * size + cut.codes[table]
            mixed[table] = code
        # only combinations that occur are groups
        occurring = np.unique(np.concatenate([np.unique(code) for code in mixed.values()]))
        parts = [part.tolist() for part in np.unravel_index(occurring, sizes)] if len(occurring) else []
        codes = {table: np.searchsorted(occurring, code) for table, code in mixed.items()}
        return names, codes, list(zip(*parts, strict=True))

    @cached_property
    def _sizes(self) -> tuple[int, int, int]:
        """Number of groups by the rows themselves, by stage, and by period."""
        statics = self._static[2]
        stages = len(self.facts.cut("stage").labels) if "stage" in self.by else 1
        periods = len(self.spans) if set(self.by) & set(PERIODS) else 1
        return (1 if statics is None else len(statics)), stages, periods

    @cached_property
    def groups(self) -> pd.RangeIndex:
        """Every group there is, also those without a deal in the period, as numbers."""
        return pd.RangeIndex(math.prod(self._sizes))

    @property
    def labels(self) -> pd.DataFrame:
        """What each group stands for: one column per split, in the order asked for."""
        return self.labels_of(np.arange(len(self.groups)))

    def labels_of(self, groups: Ints) -> pd.DataFrame:
        """What some groups stand for: one column per split, in the order asked for; indexed by group."""
        columns = {}
        for name, codes in self._codes_of(groups).items():
            if name in PERIODS:
                texts = [label for label, *_ in self.spans]
            else:
                texts = list(self.facts.cut(name).labels)
            columns[name] = np.array([*texts, None], dtype=object)[codes]
        return pd.DataFrame(columns, index=groups)

    def in_order(self, groups: Ints) -> Ints:
        """Groups in the order of the splits asked for."""
        if len(self.by) < 2 or not len(groups):
            return groups
        return groups[np.lexsort(list(self._codes_of(groups).values())[::-1])]

    def _codes_of(self, groups: Ints) -> dict[str, Ints]:
        """Which rep, period … each group stands for, as a number, by split."""
        names, _, statics = self._static
        if not len(groups):
            return dict.fromkeys(self.by, groups)
        own, stage, span = np.unravel_index(groups, self._sizes)
        parts = np.array(statics or [()], dtype=np.int64)
        return {
            name: span if name in PERIODS else stage if name == "stage" else parts[own, names.index(name)]
            for name in self.by
        }

    def without_stage(self) -> tuple[Selection, Ints]:
        """The same question not split by stage, and the group in it of each group here."""
        by = tuple(name for name in self.by if name != "stage")
        return Selection(self.tables, self.quarter, by, self.expected), np.asarray(
            self.groups
        ) // self._sizes[1]

    def group(
        self,
        table: str,
        places: Ints,
        *,
        dates: pd.Series | None = None,
        stages: Ints | None = None,
        spans: Ints | None = None,
    ) -> Ints:
        """The group of each row, −1 where it has none.

        Args:
            table: the table whose rows they are.
            places: place of each row in it.
            dates: decide the period where the answer is split by period.
            stages: stage of each row, where it is split by stage; left out: that of the deal.
            spans: the number of the period instead of a date.
        """
        names, codes, _ = self._static
        code = codes[table][places] if names else np.zeros(len(places), dtype=np.int64)
        if "stage" in self.by:
            own = self.facts.cut("stage").codes["opportunities"][places] if stages is None else stages
            code = np.where(own < self._sizes[1], code * self._sizes[1] + own, -1)
        if set(self.by) & set(PERIODS):
            when = spans if spans is not None else self._span_of(dates)
            code = np.where((when >= 0) & (code >= 0), code * self._sizes[2] + when, -1)
        return code

    def _span_of(self, dates: pd.Series | None) -> Ints:
        """Number of the period of each date; −1 where it lies in none of them."""
        assert dates is not None, "rows that are split by period have dates"
        if not self.spans:
            return np.full(len(dates), -1)
        starts = np.array([first for _, first, _ in self.spans], dtype="datetime64[D]").astype(np.int64)
        ends = np.array([last for *_, last in self.spans], dtype="datetime64[D]").astype(np.int64)
        day = day_numbers(dates)
        place = np.searchsorted(starts, day, side="right") - 1
        return np.where((place >= 0) & (day <= ends[place]), place, -1)

    # rows of the tables, with their group in a column `group`

    def dated(self, table: str, frame: pd.DataFrame, column: str) -> pd.DataFrame:
        """Rows of a table whose date in ``column`` lies in the period."""
        chosen = frame.loc[self.in_period(frame[column])]
        return self._grouped(chosen, self.group(table, chosen.index.to_numpy(), dates=chosen[column]))

    def _grouped(self, rows: pd.DataFrame, group: Ints) -> pd.DataFrame:
        rows = rows.assign(group=group)
        return rows if (group >= 0).all() else rows[group >= 0]

    @cached_property
    def created(self) -> pd.DataFrame:
        """Opportunities created in the period."""
        return self.dated("opportunities", self.facts.deals, "created")

    @cached_property
    def closed(self) -> pd.DataFrame:
        """Deals closed in the period, with ``cycle_days`` from first contact to close (NaN when undated)."""
        return self.dated("opportunities", self.facts.deals, "closed")

    @cached_property
    def won(self) -> pd.DataFrame:
        """Deals won in the period."""
        return self.closed.loc[self.closed["status"] == "won"]

    @cached_property
    def open(self) -> pd.DataFrame:
        """Deals open on the day of the export, dated or not, with ``age_days`` (NaN when undated)."""
        deals = self.facts.deals
        rows = deals.loc[deals["status"] == "open"]
        ages = (pd.Timestamp(self.tables.as_of) - rows["created"]).dt.days.astype(float)
        group = self.group("opportunities", rows.index.to_numpy(), dates=rows["created"])
        return rows.assign(group=group, age_days=ages)

    @cached_property
    def dated_open(self) -> pd.DataFrame:
        """Open opportunities: open deals that have a date of first contact."""
        return self.open.loc[self.open["created"].notna()]

    def leads(self, column: str) -> pd.DataFrame:
        """Leads whose date in ``column`` lies in the period."""
        return self.dated("leads", self.facts.leads, column)

    def codes(self, name: str, rows: pd.DataFrame) -> Ints:
        """Which rep, source, account … each row of deals has, as a number; −1 where it is missing."""
        cut = self.facts.cut(name)
        own = cut.codes["opportunities"][rows.index.to_numpy()].astype(np.int64)
        return np.where(own < len(cut.labels) - (cut.labels[-1:] == (NOT_STATED,)), own, -1)

    def looks(self, rows: pd.DataFrame) -> tuple[Ints, Ints, Ints, Ints]:
        """Passages or stays in stages as they were seen in the period: group, first and last age in days, and
        how they ended at the last age.

        Over all time each counts from its first day to its last. In a period counts what happened in it: a
        deal that entered before is looked at from the age that it had then on, and one that was there at the
        end as long as it was seen. So the figures of a period are those at its pace, also where it is the
        latest one.
        """
        deal, stage, begin, end, ended = (
            rows[name].to_numpy().astype(np.int64)
            for name in ("deal", "stage", "entered_day", "end_day", "ended")
        )
        if not self.by_period and self.quarter is None:
            group = self.group("opportunities", deal, stages=stage)
            return group, np.zeros_like(begin), end - begin, ended
        spans = self.spans
        if not self.by_period and self.quarter is not None:
            spans = [(str(self.quarter), self.quarter.start, self.quarter.end)]
        starts, ends = (
            np.array([span[at] for span in spans], dtype="datetime64[D]").astype(np.int64) for at in (1, 2)
        )
        first = np.searchsorted(ends, begin, side="left")
        number = np.maximum(np.searchsorted(starts, end, side="right") - first, 0)
        row = np.repeat(np.arange(len(deal)), number)
        span = first[row] + np.arange(len(row)) - np.repeat(np.cumsum(number) - number, number)
        begin, end = begin[row], end[row]
        kind = np.where(end <= ends[span], ended[row], STILL_THERE)
        group = self.group(
            "opportunities", deal[row], stages=stage[row], spans=span if self.by_period else None
        )
        return group, np.maximum(starts[span] - begin, 0), np.minimum(end, ends[span]) - begin, kind

    def times(self, rows: pd.DataFrame) -> LifeTable:
        """What happened to passages or stays in stages in the period, by group, age by age."""
        return life_table(*self.looks(rows), len(self.groups))

    @property
    def by_period(self) -> bool:
        """Whether the answer is split by period."""
        return bool(set(self.by) & set(PERIODS))

    # quotas

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
        return self._all_quotas["rep"].isin(self.facts.team_quota_holders)

    @cached_property
    def _all_quotas(self) -> pd.DataFrame:
        quotas = self.tables.quotas
        quotas = quotas.assign(place=np.arange(len(quotas))).set_index("place").dropna(subset=["quota"])
        quarters = {label: self.parse(label) for label in quotas["period"].unique()}
        deals = self.facts.deals
        won = deals[(deals["status"] == "won") & deals["closed"].notna()]
        reps = self.facts.cut("rep").codes
        rep = pd.Series(reps["opportunities"][won.index.to_numpy()], index=won.index)
        booked = won["amount"].groupby([rep, self.facts.quarter_numbers(won["closed"])]).sum()
        starts = pd.to_datetime(quotas["period"].map({label: q.start for label, q in quarters.items()}))
        own = pd.MultiIndex.from_arrays(
            [reps["quotas"][quotas.index.to_numpy()], self.facts.quarter_numbers(starts)]
        )
        rows = quotas.assign(
            label=quotas["period"].map({label: str(q) for label, q in quarters.items()}),
            bookings=booked.reindex(own).fillna(0.0).to_numpy(),
            starts=starts,
        )
        return self.dated("quotas", rows, "starts")

    def only_complete(self, rows: pd.DataFrame) -> pd.DataFrame:
        """Rows of complete quarters, by ``label``; all rows where quarters are asked for one by one."""
        if self.quarter is not None or "quarter" in self.by:
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
        rows = rows.astype({"value": float, "low": float, "high": float, "note": object}).assign(
            n=rows["n"].fillna(0).astype(int)
        )
        return sample_notes(rows, rows["n"], of) if of else rows

    def totals(self, rows: pd.DataFrame, values: pd.Series | None = None) -> pd.Series:
        """Number of rows by group, or the sum of values of theirs; 0 for a group without any."""
        weights = None if values is None else np.nan_to_num(values.to_numpy(dtype=float))
        counted = np.bincount(rows["group"].to_numpy(), weights=weights, minlength=len(self.groups))
        return pd.Series(counted, index=self.groups)

    def counts(self, rows: pd.DataFrame) -> pd.DataFrame:
        """Number of rows by group."""
        size = self.totals(rows)
        return self.result(size, size)

    def sums(self, rows: pd.DataFrame, values: pd.Series) -> pd.DataFrame:
        """Sum of known values by group; n is the number of rows."""
        return self.result(self.totals(rows, values), self.totals(rows))

    def shares(self, hits: pd.Series, groups: pd.Series, *, of: str) -> pd.DataFrame:
        """Share of true values by group, with Wilson's interval; ``of`` says what was counted."""
        codes, size = groups.to_numpy(), len(self.groups)
        n = np.bincount(codes, minlength=size)
        value, low, high = wilson(np.bincount(codes, weights=hits.to_numpy(float), minlength=size), n)
        return self.result(value, n.astype(float), low=low, high=high, of=of)

    def means(self, values: pd.Series, groups: pd.Series, *, of: str) -> pd.DataFrame:
        """Mean by group with its bootstrap interval; missing values are left out."""
        known = values.notna().to_numpy()
        mean, low, high, n = grouped_means(
            values.to_numpy(float)[known], groups.to_numpy()[known], len(self.groups)
        )
        return self.result(mean, n, low=low, high=high, of=of)

    def medians(self, values: pd.Series, groups: pd.Series, *, of: str) -> pd.DataFrame:
        """Median by group with its bootstrap interval; missing values are left out."""
        known = values.notna().to_numpy()
        median, low, high, n = grouped_medians(
            values.to_numpy(float)[known], groups.to_numpy()[known], len(self.groups)
        )
        return self.result(median, n, low=low, high=high, of=of)

    def undated(self, rows: pd.DataFrame) -> pd.DataFrame:
        """Add to the notes how many open deals have no date of first contact and do not count."""
        undated = self.totals(self.open[self.open["created"].isna()])
        return noted(rows, undated, "{} open deal(s) without a date of first contact not counted")


def _month(number: int) -> tuple[str, date, date]:
    first = date(1970 + number // 12, number % 12 + 1, 1)
    following = date(1970 + (number + 1) // 12, (number + 1) % 12 + 1, 1)
    return f"{first.year}-{first.month:02d}", first, following - timedelta(days=1)


def noted(rows: pd.DataFrame, numbers: pd.Series, words: str) -> pd.DataFrame:
    """Add a note to each group with a number above 0; in the words {} is the number, (s) its plural."""
    found = numbers.reindex(rows.index).fillna(0).to_numpy(float)
    hit = np.flatnonzero(found > 0)
    if not len(hit):
        return rows
    distinct, place = np.unique(found[hit], return_inverse=True)
    texts = np.array(
        [words.format(formats.count(each)).replace("(s)", "" if each == 1 else "s") for each in distinct],
        dtype=object,
    )[place]
    notes = rows["note"].to_numpy(dtype=object, copy=True)
    notes[hit] = [joined(note, text) for note, text in zip(notes[hit], texts, strict=True)]
    return rows.assign(note=notes)


def splits(by: str | Sequence[str] | None) -> tuple[str, ...]:
    """What to split by, given as one name, several, or none.

    Raises:
        ParameterError: a name is unknown, or stands twice.

    >>> splits("rep"), splits(["rep", "source"]), splits(None)
    (('rep',), ('rep', 'source'), ())
    """
    names = () if by is None else (by,) if isinstance(by, str) else tuple(by)
    for name in names:
        if name not in BY:
            raise ParameterError(f"by is {name!r}; a measure is split by one of {listed(BY)}")
        if names.count(name) > 1:
            raise ParameterError(f"by names {name!r} twice; name each split once")
    return names


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
