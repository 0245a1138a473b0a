"""How fast newcomers become productive: opportunities by week of tenure, against ramped colleagues."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import date

import numpy as np
import numpy.typing as npt
import pandas as pd

from salessim.calibrate.estimates import Notes, Parameter
from salessim.crm import Tables
from salessim.intervals import LEVEL
from salessim.model import DEFAULT_RAMP, WEEKS_PER_MONTH, Ramp, Scenario

__all__ = ["Ramps", "ramps_of"]

FloatArray = npt.NDArray[np.float64]

#: Name of the parameter.
MEASURED = "weeks to full productivity"
#: Weeks of tenure after which everybody counts as ramped when the ramp itself is measured.
RAMPED_AFTER = 52
#: Weeks of tenure of newcomers that are looked at.
LOOKED_AT = 78
#: Ramps that are tried, in weeks of a straight line.
TRIED = np.arange(1.0, LOOKED_AT + 1.0, 0.5)
#: Fewer newcomers, or opportunities of theirs or of ramped colleagues, tell no ramp.
FEWEST_NEWCOMERS, FEWEST_DEALS = 2, 15
#: How much sellers differ at least (cv) when a newcomer's level is told from his ramp.
LEAST_SKILL_CV = 0.25


@dataclass(frozen=True)
class Ramps:
    """The ramp of each role, and the evidence.

    ``measured``: whether newcomers told it. ``by_month``: month of tenure, newcomers, made, full (what they
    would have made fully ramped), share, low, high; without rows where there is no evidence.
    """

    by_role: dict[str, Ramp]
    otherwise: Ramp
    measured: bool
    by_month: pd.DataFrame

    def of(self, role: object) -> Ramp:
        """The ramp of a role; that of the first role where it is not known."""
        return self.by_role.get(str(role), self.otherwise)


def ramps_of(
    tables: Tables, made: pd.DataFrame, start: date, end: date, base: Scenario | None, notes: Notes
) -> Ramps:
    """Measure the ramp from start dates, pooled over the newcomers of all roles, and choose which is used.

    A written ramp (``base``) is used where there is one, and the measured one stands beside it; else the
    measured one; else the default, with a warning.

    The ramp is a straight line over so many weeks. Given a newcomer's skill (gamma), opportunities by week of
    tenure are Poisson with mean ramped colleagues' pace of that quarter × skill × line; the skill is
    integrated out, and the interval is that of the likelihood ratio.
    """
    weeks, by_month = _measured(tables, made, start, end, base, notes)
    measured = math.isfinite(weeks)
    if base is not None:
        for role in base.roles:
            _compare(role.name, role.ramp, notes)
        return Ramps({role.name: role.ramp for role in base.roles}, base.roles[0].ramp, measured, by_month)
    if not measured:
        why = next(p.note for p in notes.parameters if p.name == MEASURED)
        notes.warnings.append(f"ramp of newcomers: {why}")
    return Ramps({}, Ramp(linear_weeks=weeks) if measured else DEFAULT_RAMP, measured, by_month)


def _compare(role: str, ramp: Ramp, notes: Notes) -> None:
    """Warn where a written ramp does not agree with what newcomers did."""
    found = next(p for p in notes.parameters if p.name == MEASURED)
    written = ramp.weeks_to_full()
    if math.isfinite(found.low) and not 0.95 * found.low - 1 <= written <= 0.95 * found.high + 1:
        notes.warnings.append(
            f"newcomers took {found.low:.0f} to {found.high:.0f} weeks to full productivity, but "
            f"the scenario writes {written} weeks for role '{role}': the written ramp is used"
        )


def _measured(
    tables: Tables, made: pd.DataFrame, start: date, end: date, base: Scenario | None, notes: Notes
) -> tuple[float, pd.DataFrame]:
    """Weeks of the straight line (NaN: no evidence), and production by month of tenure."""
    known = tables.reps[tables.reps["rep"].isin(made["rep"].unique())]
    joined, left = (known.set_index("rep")[column] for column in ("start", "end"))
    recent = joined >= pd.Timestamp(start) - pd.Timedelta(weeks=RAMPED_AFTER / 2)
    new = [str(rep) for rep in joined.index[recent]]
    deals = made[made["rep"].isin(new)]
    pace = _pace(tables, made, joined, left, start, end) if len(new) >= FEWEST_NEWCOMERS else None
    if pace is None or len(deals) < FEWEST_DEALS:
        if not joined.notna().any():
            why = "no start dates, everybody counts as ramped"
        elif len(new) < FEWEST_NEWCOMERS or len(deals) < FEWEST_DEALS:
            people = "1 newcomer" if len(new) == 1 else f"{len(new)} newcomers"
            why = f"{people} with {len(deals)} opportunities cannot tell"
        else:
            why = "too few opportunities of ramped colleagues to compare with"
        ramp = DEFAULT_RAMP if base is None else base.roles[0].ramp
        why += f"; the {'default' if base is None else 'written ramp'} is used"
        assumed = float(ramp.weeks_to_full())
        notes.parameters.append(
            Parameter(MEASURED, "", assumed, math.nan, math.nan, len(deals), "weeks", why)
        )
        return math.nan, _by_month(np.zeros((1, LOOKED_AT)), np.zeros((1, LOOKED_AT)))
    full, counts = np.zeros((2, len(new), LOOKED_AT))
    days = pd.date_range(start, end)
    for row, rep in enumerate(new):
        tenure = (days - joined[rep]).days.to_numpy() // 7
        there = (tenure >= 0) & (tenure < LOOKED_AT)
        if not pd.isna(left[rep]):
            there &= np.asarray(days <= left[rep])
        np.add.at(full[row], tenure[there], pace.by_day[there])
        own = (deals.loc[deals["rep"] == rep, "created"] - joined[rep]).dt.days.to_numpy() // 7
        np.add.at(counts[row], own[(own >= 0) & (own < LOOKED_AT)], 1.0)
    shape = 1 / (max(pace.spread, LEAST_SKILL_CV) ** 2 + pace.error**2)
    productivity = np.minimum((np.arange(LOOKED_AT) + 1) / TRIED[:, None], 1.0)  # (ramp, week)
    produced = productivity @ full.T  # (ramp, newcomer)
    likelihood = np.log(productivity) @ counts.T - (shape + counts.sum(axis=1)) * np.log(shape + produced)
    from scipy.stats import chi2

    distance = 2 * (likelihood.sum(axis=1).max() - likelihood.sum(axis=1))
    best = int(distance.argmin())
    # the colleagues' counts that newcomers are held against are luck as well
    inside = TRIED[distance <= chi2.ppf(LEVEL, 1) * (1 + len(deals) / pace.deals)]
    note = f"straight line, {len(new)} newcomers"
    if inside[-1] == TRIED[-1]:
        note += "; the end of the ramp was not seen"
    weeks = float(TRIED[best])
    notes.parameters.append(
        Parameter(MEASURED, "", weeks, float(inside[0]), float(inside[-1]), len(deals), "weeks", note)
    )
    skill = (shape + counts.sum(axis=1)) / (shape + produced[best])
    return weeks, _by_month(full * skill[:, None], counts)


@dataclass(frozen=True, eq=False)
class _Pace:
    """What ramped reps create, as newcomers are measured against it."""

    by_day: FloatArray  # (days of the window,) opportunities per day of one of them
    deals: int  # opportunities that it was counted from
    error: float  # cv of its level
    spread: float  # cv between them


def _pace(
    tables: Tables, made: pd.DataFrame, joined: pd.Series, left: pd.Series, start: date, end: date
) -> _Pace | None:
    """The pace of ramped reps quarter by quarter; None: too few opportunities of theirs."""
    days = pd.date_range(start, end)
    month = tables.fiscal_year_starts_in_month
    quarter = (days.year * 4 + (days.month - month) // 3).to_numpy()
    quarter = quarter - quarter[0]
    ramped_from = joined + pd.Timedelta(weeks=RAMPED_AFTER)
    begins = made["rep"].map(ramped_from)
    deals = made[begins.isna() | (made["created"] >= begins)]
    if len(deals) < FEWEST_DEALS:
        return None
    at_work = np.zeros(len(days))
    by_rep: list[tuple[int, float]] = []
    for rep, number in zip(*np.unique(deals["rep"].to_numpy(str), return_counts=True), strict=True):
        there = np.ones(len(days), dtype=bool)
        if not pd.isna(since := ramped_from.get(rep, pd.NaT)):
            there &= np.asarray(days >= since)
        if not pd.isna(until := left.get(rep, pd.NaT)):
            there &= np.asarray(days <= until)
        at_work += there
        by_rep.append((int(number), float(there.sum())))
    position = (deals["created"] - days[0]).dt.days.to_numpy()
    mean = len(deals) / at_work.sum()
    number_by_quarter = np.bincount(quarter[position], minlength=quarter[-1] + 1)
    days_by_quarter = np.bincount(quarter, weights=at_work)
    # a quarter with few opportunities of ramped reps tells little of its own level
    level = (number_by_quarter + FEWEST_DEALS) / (days_by_quarter + FEWEST_DEALS / mean)
    n, worked = np.array(by_rep).T
    expected = np.maximum(worked * mean, 1e-9)
    excess = float(((n - expected) ** 2 / expected).sum() - (len(n) - 1)) / float(expected.sum())
    spread = math.sqrt(max(excess, 0.0))
    error = math.sqrt(1 / len(deals) + max(spread, LEAST_SKILL_CV) ** 2 / len(n))
    return _Pace(level[quarter], len(deals), error, spread)


def _by_month(full: FloatArray, counts: FloatArray) -> pd.DataFrame:
    """Production by month of tenure with the interval of a Poisson count; without months of little to see."""
    from scipy.stats import chi2

    month = np.floor(np.arange(LOOKED_AT) / WEEKS_PER_MONTH).astype(int)
    number = int(month[-1]) + 1
    expected = np.array([full[:, month == k].sum() for k in range(number)])
    made = np.array([counts[:, month == k].sum() for k in range(number)])
    people = np.array([(full[:, month == k].sum(axis=1) > 0).sum() for k in range(number)])
    shown = expected >= 1
    low = chi2.ppf((1 - LEVEL) / 2, 2 * made) / 2
    high = chi2.ppf((1 + LEVEL) / 2, 2 * made + 2) / 2
    frame = pd.DataFrame(
        {
            "month": np.arange(1, number + 1), "newcomers": people,
            "made": made.astype(int), "full": expected,
            "share": made / np.maximum(expected, 1e-12),
            "low": np.where(made > 0, low, 0.0) / np.maximum(expected, 1e-12),
            "high": high / np.maximum(expected, 1e-12),
        }
    )[shown]  # fmt: skip
    return frame.reset_index(drop=True)
