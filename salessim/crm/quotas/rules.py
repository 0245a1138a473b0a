"""The quality rules of quotas: one function each, with what it means and what to do about it.

Cells that cannot be used are rejected while a file is read, under the first rules here. The others look at
the quotas kept; to add one, write a function here under ``@_rule``, in the style of
:mod:`salessim.crm.rules`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TypeAlias

import numpy as np
import pandas as pd

from salessim.crm.quality import Severity
from salessim.crm.quotas.files import NOTE_COLUMNS
from salessim.crm.quotas.labels import PERIODS_ALLOWED, Frequency, ordinal, period_at
from salessim.crm.quotas.rollups import MOST_SEARCHED, suspected_rollups

__all__ = [
    "CONFLICTING",
    "MALFORMED",
    "NEGATIVE",
    "NOT_READABLE",
    "NO_REP",
    "PERIOD_NOT_READABLE",
    "QUOTA_RULES",
    "REPEATED",
    "SLIPPED_DIGIT",
    "Hits",
    "QuotaRule",
    "QuotaView",
    "noted",
]


@dataclass(frozen=True, eq=False)
class QuotaView:
    """What a rule on quotas may look at: the quotas kept, as rows and as a matrix, and the hierarchy.

    ``quotas`` has rep, period, quota and line; ``matrix`` the same with every period from the first to the
    last as index and reps as columns (NaN: no quota); ``managers`` maps reps to their managers (empty when no
    hierarchy was given).
    """

    quotas: pd.DataFrame
    frequency: Frequency
    managers: Mapping[str, str]

    @cached_property
    def matrix(self) -> pd.DataFrame:
        """Quotas as period × rep, without holes in the periods."""
        wide = self.quotas.pivot(index="period", columns="rep", values="quota")
        if wide.empty:
            return wide
        ordinals = [ordinal(period) for period in wide.index]
        every = [period_at(number, self.frequency) for number in range(min(ordinals), max(ordinals) + 1)]
        return wide.reindex(every)

    @cached_property
    def slipped(self) -> pd.DataFrame:
        """Where a quota stands out from its neighbours by a power of ten: period × rep, like ``matrix``."""
        found = pd.DataFrame(False, index=self.matrix.index, columns=self.matrix.columns)
        for rep in self.matrix:
            known = self.matrix[rep].dropna()
            for period, usual in _neighbours(known).items():
                power = math.log10(known[period] / usual) if known[period] > 0 and usual > 0 else 0.0
                # half a power either way is common for a rough target; a slip comes close to a whole one
                if round(power) != 0 and abs(power - round(power)) <= _SLIP_TOLERANCE:
                    found.loc[period, rep] = True
        return found

    @cached_property
    def rollups(self) -> pd.DataFrame:
        """Suspected roll-ups with their members and the evidence, as :attr:`QuotaFile.rollups`."""
        return suspected_rollups(
            self.matrix, slipped=self.slipped, frequency=self.frequency, managers=self.managers
        )

    def line_of(self, rep: object, period: object) -> int:
        """Record number of a quota."""
        return int(self._lines[(rep, period)])

    @cached_property
    def _lines(self) -> dict[tuple[object, object], int]:
        keys = zip(self.quotas["rep"], self.quotas["period"], strict=True)
        return dict(zip(keys, self.quotas["line"], strict=True))


# log10 of √2: 7 to 14 times as much, or 70 to 140 times …
_SLIP_TOLERANCE = math.log10(math.sqrt(2)) + 1e-9
_NEIGHBOURS = 4
_NEIGHBOURS_NEEDED = 3
# Neighbours that differ more among themselves say nothing about what is usual.
_NEIGHBOURS_APART = 4.0
_JUMP = 3.0


def _neighbours(known: pd.Series[float]) -> dict[str, float]:
    """Median of the nearest quotas around each, where these agree among themselves."""
    values, periods = known.to_numpy(), list(known.index)
    usual = {}
    for position, period in enumerate(periods):
        start = min(max(position - _NEIGHBOURS // 2, 0), max(len(values) - _NEIGHBOURS - 1, 0))
        around = np.delete(values[start : start + _NEIGHBOURS + 1], position - start)
        if len(around) >= _NEIGHBOURS_NEEDED and 0 < around.max() <= _NEIGHBOURS_APART * around.min():
            usual[period] = float(np.median(around))
    return usual


#: Of one note: rep, period ("" when it concerns the person), line (None likewise), and the value shown.
Hits: TypeAlias = "Iterable[tuple[str, str, int | None, str]]"


@dataclass(frozen=True)
class QuotaRule:
    """One kind of fault in quotas: how bad it is, what it means and what to do about it.

    >>> QUOTA_RULES["suspected slipped digit"].severity
    'suspicious'
    """

    name: str
    severity: Severity
    meaning: str
    what_to_do: str
    find: Callable[[QuotaView], Hits]


#: Name of the rule whose hits :func:`salessim.crm.attainment` repeats.
SLIPPED_DIGIT = "suspected slipped digit"

_RULES: dict[str, QuotaRule] = {}


def _rule(
    name: str, *, severity: Severity = "suspicious", meaning: str, what_to_do: str
) -> Callable[[Callable[[QuotaView], Hits]], Callable[[QuotaView], Hits]]:
    def register(find: Callable[[QuotaView], Hits]) -> Callable[[QuotaView], Hits]:
        _RULES[name] = QuotaRule(name, severity, meaning, what_to_do, find)
        return find

    return register


def _while_reading(name: str, *, meaning: str, what_to_do: str) -> str:
    # rejected cells are found while the file is read: there is no quota yet for a rule to look at
    _rule(name, severity="rejected", meaning=meaning, what_to_do=what_to_do)(lambda view: ())
    return name


MALFORMED = _while_reading(
    "malformed record",
    meaning="The record has more or fewer fields than the first one, or a quote in it is not closed.",
    what_to_do="Put quotes around texts that contain the delimiter or a quote, and export again.",
)
NO_REP = _while_reading(
    "no rep", meaning="A quota that belongs to nobody.", what_to_do="Fill in whose quota it is."
)
PERIOD_NOT_READABLE = _while_reading(
    "quota period not readable",
    meaning="The period of the quota cannot be read.",
    what_to_do=f"Write {PERIODS_ALLOWED}.",
)
NOT_READABLE = _while_reading(
    "quota not readable",
    meaning="The cell is neither a number nor a sign for no quota.",
    what_to_do="Correct the number; write - or leave the cell blank where there is no quota.",
)
NEGATIVE = _while_reading(
    "negative quota",
    meaning="Nobody can be asked for less than nothing.",
    what_to_do="Correct the sign, or leave the cell blank where there is no quota.",
)
REPEATED = _while_reading(
    "repeated quota",
    meaning="The same quota of a rep in a period is there more than once; one of them is kept.",
    what_to_do="Nothing is lost; remove the copy.",
)
CONFLICTING = _while_reading(
    "two quotas for one period",
    meaning="A rep has different quotas for the same period: the later dated one counts; without dates, the "
    "first in the file.",
    what_to_do="Check whether one of them belongs to a neighbouring period that has none, or is out of date.",
)


@_rule(
    "suspected roll-up",
    meaning="A manager's quota that adds up those of others; added to theirs it would count twice. People "
    "found by search are those whose sum fits best, not a reporting line.",
    what_to_do="Confirm with a hierarchy (managers); do not add it to the quotas of the people under it.",
)
def _rollup(view: QuotaView) -> Hits:
    for rep, evidence in zip(view.rollups["rep"], view.rollups["evidence"], strict=True):
        yield rep, "", None, evidence
    if view.matrix.shape[1] > MOST_SEARCHED:
        yield "", "", None, f"not searched among {view.matrix.shape[1]:,} reps, only by the managers given"


@_rule(
    SLIPPED_DIGIT,
    meaning="The quota is about ten (or a hundred, a thousand) times its neighbours in time, or a tenth.",
    what_to_do="Check the number of zeros; correct the file and read it again.",
)
def _slipped_digit(view: QuotaView) -> Hits:
    for rep in view.matrix:
        usual = _neighbours(view.matrix[rep].dropna())
        for period in view.matrix.index[view.slipped[rep]]:
            quota = float(view.matrix[rep][period])
            value = f"{quota:,.0f}, neighbours {usual[period]:,.0f} (× {quota / usual[period]:.3g})"
            yield str(rep), period, view.line_of(rep, period), value


@_rule(
    "zero quota",
    meaning="A quota of zero: attainment is undefined then, and anything booked would be infinite.",
    what_to_do="Leave the cell blank when there was no quota; enter the quota when there was one.",
)
def _zero(view: QuotaView) -> Hits:
    zero = view.quotas[view.quotas["quota"] == 0]
    for rep, period, line in zero[["rep", "period", "line"]].itertuples(index=False, name=None):
        yield rep, period, line, "0"


@_rule(
    "period missing within a run",
    meaning="A period without a quota, between periods in which the rep had one.",
    what_to_do="Enter the quota if there was one; otherwise note why there was none (leave, change of role).",
)
def _gap(view: QuotaView) -> Hits:
    for rep in view.matrix:
        known = view.matrix[rep]
        first, last = known.first_valid_index(), known.last_valid_index()
        for period in known.loc[first:last].index[known.loc[first:last].isna()]:
            yield str(rep), period, None, "no quota"


@_rule(
    "jump",
    meaning="The quota is more than three times that of the period before, or less than a third of it.",
    what_to_do="Check for a change of role or territory, or a wrong figure.",
)
def _jumps(view: QuotaView) -> Hits:
    for rep in view.matrix:
        # a slipped digit would be two jumps of its own
        known = view.matrix[rep].mask(view.slipped[rep])
        before = known.shift(1)
        large = (known > _JUMP * before) | (known * _JUMP < before)
        for period in known.index[large & (known > 0) & (before > 0)]:
            value = f"{before[period]:,.0f} → {known[period]:,.0f}"
            yield str(rep), period, view.line_of(rep, period), value


#: All rules by name: first those that reject while the file is read, then those on the values kept.
QUOTA_RULES: Mapping[str, QuotaRule] = _RULES


def noted(rule: str, hits: Hits) -> pd.DataFrame:
    """Return the hits of a rule as lines of :attr:`salessim.crm.QuotaFile.notes`.

    >>> lines = noted("zero quota", [("Ann", "2026Q1", 2, "0")])
    >>> lines[["rep", "period", "line", "severity"]].values.tolist()
    [['Ann', '2026Q1', 2, 'suspicious']]
    """
    found = QUOTA_RULES[rule]
    lines = [
        (rep, period, pd.NA if line is None else line, value, rule, found.severity, found.what_to_do)
        for rep, period, line, value in hits
    ]
    return pd.DataFrame(lines, columns=list(NOTE_COLUMNS)).astype({"line": "Int64"})
