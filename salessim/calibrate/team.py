"""The team in the history: who worked when, how much reps differ, and what quarters have in common."""

from __future__ import annotations

import math
from datetime import date

import numpy as np
import numpy.typing as npt
import pandas as pd

from salessim.calibrate.estimates import Notes, Parameter, extra_spread
from salessim.crm import Tables
from salessim.errors import DataError
from salessim.formats import percent
from salessim.model import DEFAULT_RAMP, Market, Ramp, Rep, Scenario
from salessim.periods import Quarter, quarter_of

__all__ = ["exposure_of", "focus_of", "market_of", "reps_of"]

FloatArray = npt.NDArray[np.float64]

#: Spread of demand between quarters that is assumed where the history is too short to tell.
ASSUMED_SHOCK_CV = 0.10


def exposure_of(
    tables: Tables, seen: pd.DataFrame, start: date, end: date, base: Scenario | None, notes: Notes
) -> pd.DataFrame:
    """Ramped weeks that each selling rep worked in each quarter of the window, (rep, quarter).

    ``attrs`` of the table: "whole" says which quarters the window covers in full, "gone" names the reps
    who no longer sell: by their end date, or by a silence that luck does not explain.
    """
    month = tables.fiscal_year_starts_in_month
    first, last = (quarter_of(day, fiscal_year_starts_in_month=month) for day in (start, end))
    quarters = [first]
    while quarters[-1] < last:
        quarters.append(quarters[-1].shift(1))
    begins = tables.reps.set_index("rep")["start"]
    ends = tables.reps.set_index("rep")["end"]
    made = seen.groupby("rep")["created"].agg(["min", "max", "count"])
    without = sorted(set(tables.reps["rep"]) - set(made.index))
    if without:
        notes.warnings.append(
            f"{_reps_who(len(without))} created no deal from {start} on, left out: {', '.join(without[:8])}"
            + (" …" if len(without) > 8 else "")
        )
    rows, silent = {}, []
    for rep, (_, latest, count) in made.iterrows():
        joined = begins.get(rep)
        from_day = start if joined is None or pd.isna(joined) else max(start, joined.date())
        left = ends.get(rep)
        to_day = end if left is None or pd.isna(left) else min(end, left.date())
        gap = (pd.Timestamp(to_day) - latest).days
        busy = max((latest.date() - from_day).days, 1)
        if gap > 30 and count * gap / busy > 7:  # so long a silence has a chance below 1 in 1,000
            silent.append(str(rep))
            to_day = latest.date()
        ramp = _ramp_of(tables, str(rep), base)
        rows[str(rep)] = [
            _weeks(q, from_day, to_day, None if pd.isna(joined) else joined, ramp) for q in quarters
        ]
    if silent:
        notes.warnings.append(
            f"{_reps_who(len(silent))} stopped creating deals before {end}, taken as gone: "
            + ", ".join(silent)
        )
    table = pd.DataFrame(rows, index=[str(q) for q in quarters]).T
    table.index.name = "rep"
    table.attrs["whole"] = [q.start >= start and q.end <= end for q in quarters]
    table.attrs["gone"] = silent + [str(r) for r in ends.index[ends.notna() & (ends <= pd.Timestamp(end))]]
    return table


def _reps_who(number: int) -> str:
    return "1 rep" if number == 1 else f"{number} reps"


def _ramp_of(tables: Tables, rep: str, base: Scenario | None) -> Ramp:
    if base is None:
        return DEFAULT_RAMP
    role = tables.reps.set_index("rep")["role"].get(rep)
    ramps = {one.name: one.ramp for one in base.roles}
    return ramps.get(str(role), base.roles[0].ramp)


def _weeks(quarter: Quarter, start: date, end: date, joined: pd.Timestamp | None, ramp: Ramp) -> float:
    """Ramped weeks worked within a quarter."""
    first, last = max(quarter.start, start), min(quarter.end, end)
    days = (last - first).days + 1
    if days <= 0:
        return 0.0
    if joined is None:
        return days / 7
    tenure = (np.arange(days) + (first - joined.date()).days) // 7
    return float(ramp.productivity(tenure).sum() / 7)


def market_of(counts: pd.DataFrame, exposure: pd.DataFrame, notes: Notes) -> Market:
    """Spread between reps and between quarters of the opportunities created.

    ``counts`` and ``exposure`` are (rep, quarter): opportunities, and the ramped weeks they were made in.
    Quarters that the window covers only in part do not tell a spread between quarters.
    """
    n, weeks = counts.to_numpy(float), exposure.to_numpy(float)

    def by_rep(cv: float) -> FloatArray:
        # quarters differ for all reps alike: expect each rep's share of every quarter
        level = n.sum(axis=0) / np.where(weeks.sum(axis=0) > 0, weeks.sum(axis=0), 1)
        raw = weeks @ level
        weight = 1 / (1 + raw * cv**2)
        return np.asarray(raw * float((n.sum(axis=1) * weight).sum() / max((raw * weight).sum(), 1e-300)))

    reps = int((weeks.sum(axis=1) > 0).sum())
    if reps >= 3:
        skill, low, high = extra_spread(n.sum(axis=1), by_rep, reps - 1)
        note = "" if reps >= 8 else f"{reps} reps tell little about a spread"
    else:
        skill, low, high = 0.0, math.nan, math.nan
        note = f"{reps} reps cannot tell a spread; assumed 0"
    notes.parameters.append(Parameter("skill spread between reps", "", skill, low, high, reps, "cv", note))

    full = np.array(exposure.attrs["whole"])
    total, worked = n.sum(axis=0)[full], weeks.sum(axis=0)[full]

    def by_quarter(cv: float) -> FloatArray:
        rate = total.sum() / max(worked.sum(), 1e-300)
        weight = 1 / (1 + worked * rate * cv**2)
        rate = float((total * weight).sum() / max((worked * weight).sum(), 1e-300))
        return np.asarray(worked * rate)

    seen = int(full.sum())
    if seen >= 3:
        shock, low, high = extra_spread(total, by_quarter, seen - 1)
        note = "season and trend are in it" + ("" if seen >= 8 else f"; {seen} quarters tell little")
    else:
        shock, low, high = ASSUMED_SHOCK_CV, math.nan, math.nan
        note = f"{seen} full quarters cannot tell; assumed"
        notes.warnings.append(
            f"only {seen} full quarters of history: the spread of demand between quarters cannot be "
            f"estimated and is assumed to be {percent(ASSUMED_SHOCK_CV)}"
        )
    notes.parameters.append(
        Parameter("market shock between quarters", "", shock, low, high, seen, "cv", note)
    )
    return Market(shock_cv=min(shock, 2.0), skill_cv=skill)


def focus_of(seen: pd.DataFrame, reps: pd.Index, notes: Notes) -> pd.DataFrame | None:
    """Leads per segment of each rep relative to the team's mix, shrunk towards 1; None: mixes are alike.

    The shrinkage is that of a Dirichlet law whose concentration makes the chi-square statistic of the
    rep × segment table what it is.
    """
    from scipy.stats import chi2

    table = pd.crosstab(seen["rep"], seen["segment"]).reindex(reps, fill_value=0)
    if table.shape[1] < 2:
        return None
    n = table.to_numpy(float)
    share = n.sum(axis=0) / n.sum()
    expected = n.sum(axis=1, keepdims=True) * share
    free = (n.shape[0] - 1) * (n.shape[1] - 1)
    statistic = float(((n - expected) ** 2 / np.where(expected > 0, expected, 1)).sum())
    if free == 0 or chi2.sf(statistic, free) > 0.05:
        return None
    mean_size = float((n.sum(axis=1) ** 2).sum() / n.sum())
    excess = (statistic / free - 1) / max(mean_size - 1, 1e-9)
    concentration = max(1 / min(max(excess, 1e-6), 1.0) - 1, 0.0)
    shrunk = (n + concentration * share) / (n.sum(axis=1, keepdims=True) + concentration)
    notes.warnings.append(
        "reps work different mixes of segments (more than luck explains): their mixes are kept, drawn "
        "towards the team's where a rep has few deals"
    )
    return pd.DataFrame(shrunk / share, index=table.index, columns=table.columns)


def reps_of(
    tables: Tables,
    counts: pd.DataFrame,
    exposure: pd.DataFrame,
    market: Market,
    focus: pd.DataFrame | None,
    base: Scenario | None,
) -> tuple[Rep, ...]:
    """Today's team with what is known of each rep's skill (gamma prior, Poisson counts: partial pooling)."""
    known = tables.reps.set_index("rep")
    roles = {role.name for role in base.roles} if base else set()
    level = counts.sum(axis=0) / exposure.sum(axis=0).where(exposure.sum(axis=0) > 0, 1)
    expected = exposure @ level
    expected *= counts.to_numpy().sum() / expected.sum()
    team = []
    for rep in exposure.index:
        if rep in exposure.attrs["gone"]:
            continue
        number = float(counts.loc[rep].sum())
        mean, cv = 1.0, 0.0
        if market.skill_cv > 0:
            shape = 1 / market.skill_cv**2
            mean = (shape + number) / (shape + float(expected[rep]))
            cv = 1 / math.sqrt(shape + number)
        row = known.loc[rep] if rep in known.index else pd.Series(dtype=object)
        role = _text(row.get("role")) or "account executive"
        joined, left = row.get("start"), row.get("end")
        team.append(
            Rep(
                name=rep,
                role=role if role in roles or not base else base.roles[0].name,
                manager=_text(row.get("manager")),
                region=_text(row.get("region")),
                start=None if joined is None or pd.isna(joined) else joined.date(),
                end=None if left is None or pd.isna(left) else left.date(),
                segments=None
                if focus is None
                else {str(k): round(float(v), 4) for k, v in focus.loc[rep].items()},
                skill_mean=round(mean, 6),
                skill_cv=round(cv, 6),
            )
        )
    if not team:
        raise DataError("no rep is left who creates deals today; calibration needs at least one")
    return tuple(team)


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
