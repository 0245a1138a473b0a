"""The tables of an export as arrays, worked out once: what all its measures share.

Texts become codes, dates days, deals and their stage history rows of numbers; a million deals are then
counted, added up and sorted in milliseconds. Everything here is private to the measures.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary, ref

import numpy as np
import numpy.typing as npt
import pandas as pd

from salessim.crm.coverage import LeftCut, left_cut
from salessim.crm.quotas import managers_with_team_quota
from salessim.periods import Quarter

if TYPE_CHECKING:
    from salessim.crm import Tables

__all__ = [
    "LOST",
    "MOVED_ON",
    "NOT_STATED",
    "STILL_THERE",
    "Cut",
    "Facts",
    "day_numbers",
    "facts_of",
    "month_numbers",
]

Ints = npt.NDArray[np.int64]

#: The group of rows whose rep, account, source … is missing; they are shown, so that groups add up.
NOT_STATED = "(not stated)"

#: How a passage of a deal through a stage ended.
STILL_THERE, MOVED_ON, LOST = 0, 1, 2

_NEVER = np.iinfo(np.int32).max


@dataclass(frozen=True, eq=False)
class Cut:
    """What rows can be split by: the names of the groups, and the group of each row of each table (−1: none).

    >>> Cut(("SMB",), {"opportunities": np.array([0, 0])}).labels
    ('SMB',)
    """

    labels: tuple[str, ...]
    codes: dict[str, npt.NDArray[np.int32]]


def day_numbers(dates: pd.Series) -> Ints:
    """Days since 1970 of each date; the smallest number there is where the date is missing.

    >>> day_numbers(pd.to_datetime(pd.Series(["1970-01-03"]))).tolist()
    [2]
    """
    return dates.to_numpy("datetime64[D]").astype(np.int64)


def month_numbers(dates: pd.Series) -> Ints:
    """Months since January 1970 of each date; the smallest number there is where the date is missing.

    >>> month_numbers(pd.to_datetime(pd.Series(["1971-02-03"]))).tolist()
    [13]
    """
    return dates.to_numpy("datetime64[M]").astype(np.int64)


class Facts:
    """An export as arrays; each is worked out when it is first asked for, and kept.

    >>> from salessim.crm import read
    >>> from salessim.library import example_crm
    >>> tables = read(example_crm())
    >>> facts_of(tables) is facts_of(tables), len(facts_of(tables).deals) == len(tables.opportunities)
    (True, True)
    """

    def __init__(self, tables: Tables) -> None:
        self._tables = ref(tables)  # what is kept by its tables must not keep them
        self._cuts: dict[str, Cut] = {}
        self._held: dict[str, bool] = {}

    @property
    def tables(self) -> Tables:
        """The tables that the arrays were made from."""
        tables = self._tables()
        assert tables is not None, "facts live as long as their tables"
        return tables

    def holds(self, need: str) -> bool:
        """Whether a table, or a column of it (``leads.source``), holds anything."""
        if need not in self._held:
            table, _, column = need.partition(".")
            frame: pd.DataFrame = getattr(self.tables, table)
            self._held[need] = not frame.empty and (not column or bool(frame[column].notna().any()))
        return self._held[need]

    # periods

    @cached_property
    def left_cut(self) -> LeftCut:
        """Whether the export is cut off on the left."""
        return left_cut(self.tables)

    @cached_property
    def quarters(self) -> list[Quarter]:
        """The quarters in which an opportunity or a lead was created, or a deal closed; earliest first."""
        starts = self.tables.fiscal_year_starts_in_month
        found = np.unique(self.months + 1 - starts) if len(self.months) else self.months
        first = sorted({int(month) // 3 for month in found})
        return [self.quarter(number) for number in first]

    @cached_property
    def months(self) -> Ints:
        """The calendar months in which something happened, as numbers; earliest first."""
        dates = [self.deals["created"], self.deals["closed"]]
        if len(self.leads):
            dates.append(self.leads["created"])
        found = [np.unique(month_numbers(each.dropna())) for each in dates]
        return np.unique(np.concatenate(found))

    def quarter_numbers(self, dates: pd.Series) -> Ints:
        """Fiscal quarters since the first of 1970 of each date; meaningless where the date is missing."""
        return (month_numbers(dates) + 1 - self.tables.fiscal_year_starts_in_month) // 3

    def quarter(self, number: int) -> Quarter:
        """The quarter with this number."""
        starts = self.tables.fiscal_year_starts_in_month
        # a fiscal year that does not begin in January has the name of the calendar year in which it ends
        base = Quarter(1970, 1) if starts == 1 else Quarter(1971, 1, starts)
        return base.shift(number)

    # rows

    @cached_property
    def deals(self) -> pd.DataFrame:
        """Opportunities in the order of their table: status, dates, amount, list_price, value (the amount, or
        the list price where it is missing), cycle_days from first contact to close (NaN when not known)."""
        deals = self.tables.opportunities
        created, closed = deals["created"], deals["closed"]
        days = (closed.to_numpy() - created.to_numpy()) / np.timedelta64(1, "D")
        amount, price = deals["amount"].to_numpy(float), deals["list_price"].to_numpy(float)
        return pd.DataFrame(
            {
                "status": pd.Categorical(deals["status"], categories=["open", "won", "lost"]),
                "created": created.to_numpy(),
                "closed": closed.to_numpy(),
                "expected_close": deals["expected_close"].to_numpy(),
                "amount": amount,
                "list_price": price,
                "value": np.where(np.isnan(amount), price, amount),
                "cycle_days": np.floor(days),
            }
        )

    @cached_property
    def _identifiers(self) -> pd.Index:
        places: pd.Index = pd.Index(self.tables.opportunities["opportunity_id"], dtype=object)
        return places

    def deal_places(self, identifiers: pd.Series) -> Ints:
        """The place of each identifier among the deals; −1 where it is not among them."""
        return self._identifiers.get_indexer(pd.Index(identifiers, dtype=object)).astype(np.int64)

    @cached_property
    def leads(self) -> pd.DataFrame:
        """Leads in the order of their table: created, mql, sql, linked (names an opportunity), deal (its
        place among the deals, −1 where it is not among them)."""
        leads = self.tables.leads
        linked = leads["opportunity_id"].notna().to_numpy()
        deal = np.full(len(leads), -1, dtype=np.int64)
        deal[linked] = self.deal_places(leads.loc[linked, "opportunity_id"])
        dates = {name: leads[name].to_numpy() for name in ("created", "mql", "sql")}
        return pd.DataFrame({**dates, "linked": linked, "deal": deal})

    @cached_property
    def as_of_day(self) -> int:
        """Day number of the day of the export."""
        return int(np.datetime64(self.tables.as_of, "D").astype(np.int64))

    # groups

    def cut(self, name: str) -> Cut:
        """The groups of one split: rep, manager, region, segment, source, product, account or stage."""
        if name not in self._cuts:
            self._cuts[name] = self._cut(name)
        return self._cuts[name]

    def _cut(self, name: str) -> Cut:
        tables = self.tables
        if name == "stage":
            return self._stage_cut()
        if name in ("manager", "region"):
            return self._of_rep(name)
        columns = {"opportunities": tables.opportunities[name]}
        if name in tables.leads:
            columns["leads"] = tables.leads[name]
        if name == "rep":
            columns |= {"reps": tables.reps["rep"], "quotas": tables.quotas["rep"]}
        parts = {table: pd.factorize(column.to_numpy(dtype=object)) for table, column in columns.items()}
        return _united(parts)

    def _of_rep(self, name: str) -> Cut:
        """The manager or region of each row by its rep."""
        reps, tables = self.cut("rep"), self.tables
        place = pd.Index(tables.reps["rep"]).get_indexer(pd.Index(reps.labels, dtype=object))
        known = tables.reps[name].to_numpy(dtype=object) if len(tables.reps) else np.array([], dtype=object)
        # the last entry stands for a rep who is not in the table
        of_rep = np.array([*known, None], dtype=object)[place]
        codes, names = pd.factorize(of_rep)
        parts = {
            table: (np.where(own >= 0, codes[own] if len(codes) else -1, -1), names)
            for table, own in reps.codes.items()
        }
        return _united(parts)

    def _stage_cut(self) -> Cut:
        deals = self.tables.opportunities
        known = pd.Index(self.tables.stages, dtype=object)
        codes = known.get_indexer(pd.Index(deals["stage"], dtype=object))
        nowhere = len(self.tables.stages)
        labels = self.tables.stages
        if (codes[(self.deals["status"] == "open").to_numpy()] < 0).any():
            labels = (*labels, NOT_STATED)
        return Cut(labels, {"opportunities": np.where(codes < 0, nowhere, codes).astype(np.int32)})

    # stages

    @cached_property
    def _entries(self) -> tuple[Ints, Ints, Ints]:
        """Entries of known deals into open stages: place of the deal, stage, day."""
        history = self.tables.stage_history
        codes, names = pd.factorize(history["stage"].to_numpy(dtype=object))
        rank = pd.Index(self.tables.stages, dtype=object).get_indexer(pd.Index(names, dtype=object))
        stage = np.append(rank, -1)[codes]
        deal = self.deal_places(history["opportunity_id"])
        kept = (stage >= 0) & (deal >= 0)
        return deal[kept], stage[kept], day_numbers(history["entered"])[kept]

    @cached_property
    def told(self) -> npt.NDArray[np.bool_]:
        """Which deals the stage history tells of."""
        known = np.zeros(len(self.deals), dtype=bool)
        known[self._entries[0]] = True
        return known

    @cached_property
    def passages(self) -> pd.DataFrame:
        """Each deal in each stage that it reached, once: deal, stage, entered_day, end_day, ended.

        A passage begins with the first entry into the stage and ends when the deal first enters a later
        one or is won (:data:`MOVED_ON`) or is lost (:data:`LOST`); else it is :data:`STILL_THERE` on the day
        of the export. Going back to an earlier stage ends nothing, and coming again begins nothing. Who
        entered a later stage, or was won, has passed the earlier ones, at the latest then; the first stage
        begins with the first contact. So the conversions of all stages multiply to the share that is won.
        Deals of which the history tells nothing are left out. Calibration counts in the same way.
        """
        deal, stage, day = self._entries
        stages = np.unique(stage)
        entered = np.full((len(self.deals), len(stages) + 1), _NEVER, dtype=np.int32)
        np.minimum.at(entered, (deal, np.searchsorted(stages, stage)), day.astype(np.int32))
        deals = self.deals
        created, closed = day_numbers(deals["created"]), day_numbers(deals["closed"])
        won, lost = ((deals["status"] == word).to_numpy() for word in ("won", "lost"))
        dated = deals["created"].notna().to_numpy()
        if len(stages):
            entered[dated, 0] = created[dated]
        entered[won, -1] = closed[won]
        entered = np.minimum.accumulate(entered[:, ::-1], axis=1)[:, ::-1]
        parts: list[dict[str, npt.NDArray[Any]]] = []
        for column, code in enumerate(stages):
            here, following = entered[:, column], entered[:, column + 1]
            place = np.flatnonzero(self.told & (here < _NEVER))
            moved = following[place] < _NEVER
            end = np.where(moved, following[place], np.where(lost[place], closed[place], self.as_of_day))
            ended = np.where(moved, MOVED_ON, np.where(lost[place], LOST, STILL_THERE))
            begin = here[place]
            parts.append(
                {
                    "deal": place.astype(np.int32),
                    "stage": np.full(len(place), code, dtype=np.int8),
                    "entered_day": begin,
                    "end_day": np.maximum(end, begin).astype(np.int32),
                    "ended": ended.astype(np.int8),
                }
            )
        return _stacked(parts, ("deal", "stage", "entered_day", "end_day", "ended"))

    @cached_property
    def stays(self) -> pd.DataFrame:
        """Each stay of a deal in a stage, also a second one: deal, stage, entered_day, end_day, ended.

        A stay ends when the deal enters another stage, forward or back, or closes (:data:`MOVED_ON` stands
        for both); else it is :data:`STILL_THERE` on the day of the export. Entered twice in a row is one
        stay.
        """
        deal, stage, day = self._entries
        order = np.argsort((deal << 34) + ((day + 2**24) << 8) + stage)
        deal, stage, day = deal[order], stage[order], day[order]
        if len(deal):
            again = np.append(False, (deal[1:] == deal[:-1]) & (stage[1:] == stage[:-1]))
            deal, stage, day = deal[~again], stage[~again], day[~again]
        last = np.append(deal[1:] != deal[:-1], True)[: len(deal)]
        following = np.append(day[1:], 0)[: len(day)]
        deals = self.deals
        closed = day_numbers(deals["closed"])[deal]
        is_open = (deals["status"] == "open").to_numpy()[deal]
        end = np.where(last, np.where(is_open, self.as_of_day, closed), following)
        return pd.DataFrame(
            {
                "deal": deal.astype(np.int32),
                "stage": stage.astype(np.int8),
                "entered_day": day.astype(np.int32),
                "end_day": end.astype(np.int32),
                "ended": np.where(last & is_open, STILL_THERE, MOVED_ON).astype(np.int8),
            }
        )

    # quotas

    @cached_property
    def team_quota_holders(self) -> tuple[str, ...]:
        """Managers whose quota is that of their team."""
        return managers_with_team_quota(self.tables)


def _stacked(parts: list[dict[str, npt.NDArray[Any]]], columns: tuple[str, ...]) -> pd.DataFrame:
    if not parts:
        return pd.DataFrame({name: np.array([], dtype=np.int32) for name in columns})
    return pd.DataFrame({name: np.concatenate([part[name] for part in parts]) for name in columns})


def _united(parts: Mapping[str, tuple[npt.NDArray[np.int64], npt.ArrayLike]]) -> Cut:
    """Codes of several tables brought to one list of names, in order; what is missing comes last."""
    texts = {
        table: [str(name) for name in np.asarray(names, dtype=object)] for table, (_, names) in parts.items()
    }
    named = sorted({name for names in texts.values() for name in names})
    place = {name: code for code, name in enumerate(named)}
    nowhere = len(named)
    codes, some_missing = {}, False
    for table, (own, _) in parts.items():
        mapped = np.array([*(place[name] for name in texts[table]), nowhere], dtype=np.int32)[own]
        some_missing |= bool((mapped == nowhere).any())
        codes[table] = mapped
    return Cut((*named, *([NOT_STATED] if some_missing else [])), codes)


_KNOWN: WeakKeyDictionary[Tables, Facts] = WeakKeyDictionary()


def facts_of(tables: Tables) -> Facts:
    """The arrays of an export, made at most once for as long as its tables are kept.

    >>> from salessim.crm import read
    >>> from salessim.library import example_crm
    >>> tables = read(example_crm())
    >>> facts_of(tables).cut("segment").labels
    ('SMB', 'mid-market')
    """
    if tables not in _KNOWN:
        _KNOWN[tables] = Facts(tables)
    return _KNOWN[tables]
