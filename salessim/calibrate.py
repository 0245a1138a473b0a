"""From a CRM's history to a scenario: every parameter with its interval, its sample size, and its doubts.

Open deals are censored, not ignored: the share won and the time to win come from the Aalen-Johansen
estimator of competing risks (a deal moves on, is lost, or is still there). Spreads between reps and between
quarters are what is left after the luck of Poisson counts (Paule and Mandel 1982; intervals by the Q-profile
of Viechtbauer 2007). Reps are partially pooled: a seller with few deals is drawn towards the team.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date, timedelta

import numpy as np
import numpy.typing as npt
import pandas as pd

from salessim.crm import Tables
from salessim.errors import DataError
from salessim.formats import percent
from salessim.model import (
    DEFAULT_CRITERIA,
    DEFAULT_RAMP,
    Calendar,
    DealSize,
    Hire,
    Market,
    OpenDeal,
    Ramp,
    Rep,
    Role,
    Scenario,
    Seasonality,
    Segment,
    Source,
    Stage,
)
from salessim.periods import Quarter, quarter_of

__all__ = ["LEVEL", "Calibration", "Parameter", "calibrate"]

FloatArray = npt.NDArray[np.float64]

#: Level of all intervals, and the normal quantile that goes with it.
LEVEL = 0.80
Z = 1.2815515594457831
#: Spread of demand between quarters that is assumed where the history is too short to tell.
ASSUMED_SHOCK_CV = 0.10
#: Digits of a calibrated number: more would only make the scenario file longer.
DIGITS = 8
#: Amounts that an observed deal-size law is condensed to, each the mean of as many deals.
MOST_AMOUNTS = 100


@dataclass(frozen=True)
class Parameter:
    """An estimated parameter: value with its 80 % interval and the number of observations behind it.

    NaN in low and high: the data cannot tell, and ``value`` is an assumption that ``note`` names.
    """

    name: str
    segment: str
    value: float
    low: float
    high: float
    n: int
    unit: str
    note: str = ""


@dataclass(frozen=True)
class Calibration:
    """A scenario estimated from history, and how sure each part of it is."""

    scenario: Scenario
    parameters: tuple[Parameter, ...]
    warnings: tuple[str, ...]
    window: tuple[date, date]
    """First and last day of the history that was used for rates."""
    left_cut: str = ""
    """What was left out because the export is cut off on the left; empty: nothing."""

    def table(self) -> pd.DataFrame:
        """The parameters as a table, one row each: parameter, segment, value, low, high, n, unit, note."""
        return pd.DataFrame(
            [[p.name, p.segment, p.value, p.low, p.high, p.n, p.unit, p.note] for p in self.parameters],
            columns=["parameter", "segment", "value", "low", "high", "n", "unit", "note"],
        )

    def parameter(self, name: str, segment: str = "") -> Parameter:
        """One parameter by name (and segment where it has one)."""
        return next(p for p in self.parameters if (p.name, p.segment) == (name, segment))


@dataclass
class _Notes:
    """Parameters and warnings as they are found."""

    parameters: list[Parameter] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


def calibrate(
    tables: Tables,
    *,
    base: Scenario | None = None,
    quarters: int = 4,
    name: str = "calibrated from the CRM",
) -> Calibration:
    """Estimate a scenario from a CRM export.

    Args:
        tables: canonical tables of the export.
        base: a scenario that supplies what a CRM does not know: roles and ramps, planned hires, criteria.
            Left out: the field's criteria and ramp, no hires.
        quarters: length of the horizon, which begins with the quarter after the day of the export.
        name: name of the new scenario.

    Returns:
        The scenario with the deals that are open now, and a table of estimates with intervals.

    Raises:
        DataError: where there is too little history to estimate anything (no won deal, or no dated deal).
    """
    notes = _Notes()
    deals = tables.opportunities[tables.opportunities["created"].notna()]
    undated = len(tables.opportunities) - len(deals)
    if undated:
        notes.warnings.append(f"{undated:,} opportunities without a date of creation: not used for rates")
    if not (deals["status"] == "won").any():
        raise DataError(
            f"{tables.files[0].name}: no won deal with a date of creation among {len(deals):,} "
            "opportunities; calibration needs a history with won deals"
        )
    start, cut = _window(tables)
    if cut:
        notes.warnings.append(cut)
    end = tables.as_of
    # deals created before the window are known only if they lived long enough to reach it
    seen = deals[deals["created"] >= pd.Timestamp(start)]
    calendar_month = tables.fiscal_year_starts_in_month
    exposure = _exposure(tables, seen, start, end, base, notes)
    quarter = pd.Series(
        [str(quarter_of(day, fiscal_year_starts_in_month=calendar_month)) for day in seen["created"]],
        index=seen.index,
        dtype=object,
    )
    counts = pd.crosstab(seen["rep"], quarter)
    counts = counts.reindex(index=exposure.index, columns=exposure.columns, fill_value=0)
    market = _market(counts, exposure, notes)
    focus = _focus(seen, exposure.index, notes)
    reps = _reps(tables, counts, exposure, market, focus, base)
    month_factors = _month_factors(seen, start, end, calendar_month, notes)
    window_weeks = ((end - start).days + 1) / 7
    segments = tuple(
        _segment(tables, str(segment), group, exposure, window_weeks, market, month_factors, base, notes)
        for segment, group in seen.groupby("segment", sort=True)
    )
    first = quarter_of(end, fiscal_year_starts_in_month=calendar_month)
    if end >= first.end:
        first = first.shift(1)
    names = {rep.name for rep in reps}
    scenario = Scenario(
        name=name,
        description=f"Estimated from {len(seen):,} opportunities created from {start} to {end}.",
        made_up=bool(base and base.made_up),
        currency=tables.currency,
        calendar=Calendar(
            first_quarter=str(first), quarters=quarters, fiscal_year_starts_in_month=calendar_month
        ),
        criteria=base.criteria if base else DEFAULT_CRITERIA,
        segments=segments,
        roles=_roles(base, reps),
        reps=reps,
        hires=_hires(base, first),
        market=market,
        pipeline=_open_deals(tables, deals, segments, names, notes),
    )
    return Calibration(
        scenario=scenario,
        parameters=tuple(notes.parameters),
        warnings=tuple(notes.warnings),
        window=(start, end),
        left_cut=cut,
    )


def _window(tables: Tables) -> tuple[date, str]:
    """First day from which on the export tells of every deal, and what is left out before it."""
    deals = tables.opportunities
    created, closed = deals["created"].min(), deals["closed"].min()
    if pd.isna(closed) or created >= closed - timedelta(days=14):
        return created.date(), ""
    early = int((deals["created"] < closed).sum())
    return closed.date(), (
        f"the export is cut off on the left: nothing closed before {closed.date()}, though deals were "
        f"created from {created.date()} on; the {early:,} deals created before then are only those "
        "that stayed open long enough, and are left out of rates, win rate and cycle"
    )


def _exposure(
    tables: Tables, seen: pd.DataFrame, start: date, end: date, base: Scenario | None, notes: _Notes
) -> pd.DataFrame:
    """Ramped weeks that each selling rep worked in each quarter of the window, (rep, quarter)."""
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
            f"{len(without)} reps created no deal from {start} on and are left out: {', '.join(without[:8])}"
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
            f"{len(silent)} reps stopped creating deals before {end} and are taken as gone: "
            + ", ".join(silent)
        )
    table = pd.DataFrame(rows, index=[str(q) for q in quarters]).T
    table.index.name = "rep"
    table.attrs["gone"] = silent + [str(r) for r in ends.index[ends.notna() & (ends <= pd.Timestamp(end))]]
    return table


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


def _paule_mandel(counts: FloatArray, expected: Callable[[float], FloatArray], free: int) -> list[float]:
    """Extra spread (cv) of Poisson counts: estimate, and 80 % limits by the Q-profile; 0 where luck explains
    all of it."""
    from scipy.optimize import brentq
    from scipy.stats import chi2

    def statistic(cv: float) -> float:
        mean = expected(cv)
        used = mean > 0
        return float(((counts - mean)[used] ** 2 / (mean + (cv * mean) ** 2)[used]).sum())

    found = []
    for wanted in (free, *chi2.ppf([(1 + LEVEL) / 2, (1 - LEVEL) / 2], free)):
        highest = 3.0
        if statistic(0.0) <= wanted:
            found.append(0.0)
        elif statistic(highest) >= wanted:
            found.append(highest)
        else:
            found.append(float(brentq(lambda cv, w=wanted: statistic(cv) - w, 0.0, highest)))
    return found


def _market(counts: pd.DataFrame, exposure: pd.DataFrame, notes: _Notes) -> Market:
    """Spread between reps and between quarters of the opportunities created."""
    n, weeks = counts.to_numpy(float), exposure.to_numpy(float)

    def by_rep(cv: float) -> FloatArray:
        # quarters differ for all reps alike: expect each rep's share of every quarter
        level = n.sum(axis=0) / np.where(weeks.sum(axis=0) > 0, weeks.sum(axis=0), 1)
        raw = weeks @ level
        weight = 1 / (1 + raw * cv**2)
        return np.asarray(raw * float((n.sum(axis=1) * weight).sum() / max((raw * weight).sum(), 1e-300)))

    reps = int((weeks.sum(axis=1) > 0).sum())
    if reps >= 3:
        skill, low, high = _paule_mandel(n.sum(axis=1), by_rep, reps - 1)
        note = "" if reps >= 8 else f"{reps} reps tell little about a spread"
    else:
        skill, low, high = 0.0, math.nan, math.nan
        note = f"{reps} reps cannot tell a spread; assumed 0"
    notes.parameters.append(Parameter("skill spread between reps", "", skill, low, high, reps, "cv", note))

    full = weeks.sum(axis=0) >= 0.9 * 13 * max((weeks > 0).sum(axis=0).max(), 1) * 0.5
    total, worked = n.sum(axis=0)[full], weeks.sum(axis=0)[full]

    def by_quarter(cv: float) -> FloatArray:
        rate = total.sum() / max(worked.sum(), 1e-300)
        weight = 1 / (1 + worked * rate * cv**2)
        rate = float((total * weight).sum() / max((worked * weight).sum(), 1e-300))
        return np.asarray(worked * rate)

    seen = int(full.sum())
    if seen >= 3:
        shock, low, high = _paule_mandel(total, by_quarter, seen - 1)
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


def _focus(seen: pd.DataFrame, reps: pd.Index, notes: _Notes) -> pd.DataFrame | None:
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


def _reps(
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


def _month_factors(
    seen: pd.DataFrame, start: date, end: date, month: int, notes: _Notes
) -> tuple[float, float, float]:
    """Rhythm of creation within the quarter: leads in its months relative to the mean, if more than luck."""
    from scipy.stats import chi2

    days = pd.Series(pd.date_range(start, end))
    positions = (days.dt.month - month) % 3
    exposure = positions.value_counts().reindex(range(3), fill_value=0).to_numpy(float)
    counts = ((seen["created"].dt.month - month) % 3).value_counts().reindex(range(3), fill_value=0)
    n = counts.to_numpy(float)
    total = int(n.sum())
    if (exposure < 28).any() or total < 30:
        return (1.0, 1.0, 1.0)
    expected = total * exposure / exposure.sum()
    uneven = chi2.sf(float(((n - expected) ** 2 / expected).sum()), 2) < 0.05
    factors = n / expected
    factors = factors / factors.mean()
    for index, factor in enumerate(factors):
        error = Z * math.sqrt(max(1 / max(n[index], 1) - 1 / total, 0))
        notes.parameters.append(
            Parameter(
                f"opportunities created in month {index + 1} of a quarter ÷ mean month",
                "",
                float(factor),
                float(factor * math.exp(-error)),
                float(factor * math.exp(error)),
                int(n[index]),
                "ratio",
                "" if uneven else "no more than luck: not used",
            )
        )
    if not uneven:
        return (1.0, 1.0, 1.0)
    return (float(factors[0]), float(factors[1]), float(factors[2]))


def _segment(
    tables: Tables,
    name: str,
    seen: pd.DataFrame,
    exposure: pd.DataFrame,
    window_weeks: float,
    market: Market,
    month_factors: tuple[float, float, float],
    base: Scenario | None,
    notes: _Notes,
) -> Segment:
    working = exposure.to_numpy(float)
    weeks, n = float(working.sum()), len(seen)
    reps, quarters = int((working.sum(axis=1) > 0).sum()), int((working.sum(axis=0) > 0).sum())
    rate = n / weeks
    spread = 1 / n + market.skill_cv**2 / reps + market.shock_cv**2 / quarters
    margin = math.exp(_t(max(min(reps, 4 * quarters) - 1, 1)) * math.sqrt(spread))
    notes.parameters.append(
        Parameter(
            "opportunities per rep and week", name, rate, rate / margin, rate * margin, n, "per rep and week"
        )
    )
    stages = _stages(tables, name, seen, notes)
    won = seen.loc[(seen["status"] == "won") & seen["amount"].notna(), "amount"]
    if len(won) < 5:
        team = tables.opportunities
        everyone = team.loc[(team["status"] == "won") & team["amount"].notna(), "amount"]
        notes.warnings.append(
            f"segment '{name}' has {len(won)} won deals with an amount: too few for a deal size; "
            f"that of all {len(everyone):,} won deals is taken"
        )
        won = everyone
    return Segment(
        name=name,
        stages=stages,
        sources=_sources(name, seen, exposure, window_weeks, base),
        deal_size=_deal_size(name, won.to_numpy(float), notes),
        seasonality=Seasonality(by_month_of_quarter=month_factors),
    )


def _sources(
    segment: str, seen: pd.DataFrame, exposure: pd.DataFrame, window_weeks: float, base: Scenario | None
) -> tuple[Source, ...]:
    """Opportunities by source; the base scenario says which sources are inbound (a team total)."""
    inbound = {
        source.name
        for part in (base.segments if base else ())
        for source in part.sources
        if source.kind == "inbound" and part.name == segment
    }
    counts = seen["source"].fillna("unknown source").value_counts(sort=False).sort_index()
    if seen["source"].isna().all():
        counts = pd.Series({"all sources": len(seen)})
    return tuple(
        Source(
            name=str(name),
            kind="inbound" if name in inbound else "self-sourced",
            leads_per_week=round(
                number / (window_weeks if name in inbound else float(exposure.to_numpy().sum())), DIGITS
            ),
        )
        for name, number in counts.items()
    )


def _stages(tables: Tables, segment: str, seen: pd.DataFrame, notes: _Notes) -> tuple[Stage, ...]:
    """Stages of the segment: by stage history where there is one, else one stage for the whole cycle."""
    as_of = pd.Timestamp(tables.as_of)
    history = tables.stage_history
    history = history[history["opportunity_id"].isin(seen["opportunity_id"])]
    names = [stage for stage in tables.stages if (history["stage"] == stage).any()]
    if not names:
        claimed = seen.loc[seen["status"] == "open", "stage"].unique()
        names = [str(claimed[0])] if len(claimed) == 1 else ["opportunity"]
        entered = seen[["created"]].to_numpy()
    else:
        first = history.pivot_table(index="opportunity_id", columns="stage", values="entered", aggfunc="min")
        first = first.reindex(index=seen["opportunity_id"], columns=names)
        raw = first.to_numpy()
        raw[:, 0] = seen["created"].to_numpy()
        # who entered a later stage has passed the earlier ones, at the latest then
        entered = np.fmin.accumulate(raw[:, ::-1], axis=1)[:, ::-1]
    closed, status = seen["closed"].to_numpy(), seen["status"].to_numpy()
    stages = []
    for index, stage in enumerate(names):
        here = entered[:, index]
        following = (
            entered[:, index + 1] if index + 1 < len(names) else np.where(status == "won", closed, _NAT)
        )
        moved = ~pd.isna(following)
        lost = ~moved & (status == "lost")
        leave = np.where(moved, following, np.where(lost, closed, np.datetime64(as_of)))
        present = ~pd.isna(here)
        weeks = np.floor((leave - here)[present].astype("timedelta64[D]").astype(float) / 7)
        event = np.where(moved, 1, np.where(lost, 2, 0))[present]
        stages.append(_stage(stage, segment, weeks, event, notes, whole_cycle=len(names) == 1))
    return tuple(stages)


_NAT = np.datetime64("NaT")


def _stage(
    stage: str,
    segment: str,
    weeks: FloatArray,
    event: npt.NDArray[np.int64],
    notes: _Notes,
    *,
    whole_cycle: bool,
) -> Stage:
    """One stage by the Aalen-Johansen estimator; event 1 moved on, 2 lost, 0 still there."""
    from statsmodels.duration.survfunc import CumIncidenceRight

    weeks = np.maximum(weeks, 0)
    n, moved, lost, still = len(event), *(int((event == kind).sum()) for kind in (1, 2, 0))
    label = "win rate" if whole_cycle else f"conversion of '{stage}'"
    # the estimator wants times above 0: a deal that left within its first week stands at week 1
    with np.errstate(divide="ignore", invalid="ignore"):  # its variance where nobody is left at risk
        estimate = CumIncidenceRight(weeks + 1, event)
    grid = estimate.times.astype(int) - 1
    moving, losing = (np.zeros(int(weeks.max()) + 2) for _ in range(2))
    both = {
        kind: np.diff(curve, prepend=0.0) for kind, curve in zip(_kinds(event), estimate.cinc, strict=True)
    }
    for target, kind in ((moving, 1), (losing, 2)):
        if kind in both:
            np.add.at(target, grid, both[kind])
    conversion = float(np.clip(moving.sum(), 0.0, 1.0))
    errors = estimate.cinc_se[0][np.isfinite(estimate.cinc_se[0])]  # of moving on
    error = float(errors[-1]) if moved and len(errors) else math.nan
    # Wilson's interval with as many deals as the standard error of the censored estimate stands for
    effective = conversion * (1 - conversion) / error**2 if moved and error > 0 else float(n)
    low, high = _wilson(conversion, effective)
    unsettled = max(1 - moving.sum() - losing.sum(), 0.0)
    note = f"{moved:,} moved on, {lost:,} lost, {still:,} still there"
    last_moves = float(weeks[event == 1].max()) if moved else 0.0
    if unsettled > 0.05 and still and last_moves > 0.9 * weeks.max():
        notes.warnings.append(
            f"segment '{segment}': the history is too short to see the slowest deals of "
            f"'{stage}' ({percent(unsettled)} unsettled after {int(weeks.max())} weeks); "
            f"the {label} is a lower bound"
        )
        note += "; a lower bound"
    notes.parameters.append(Parameter(label, segment, conversion, low, high, n, "share", note))
    median = _quantile_week(moving, 0.5)
    if moved:
        half = Z / 2 / math.sqrt(moved)  # of a share around one half
        lower, upper = (_quantile_week(moving, 0.5 + sign * half) for sign in (-1, 1))
        notes.parameters.append(
            Parameter(
                f"median time {'to win' if whole_cycle else f'in {stage!r} until moving on'}",
                segment, median, lower, upper, moved, "weeks", "open deals counted as censored",
            )
        )  # fmt: skip
    # what never settles leaves after everything else: it must not look like a deal about to move on
    losing[-1] += unsettled
    return Stage(
        name=stage,
        conversion=conversion,
        dwell_weeks=_law(moving),
        lost_dwell_weeks=_law(losing),
    )


def _kinds(event: npt.NDArray[np.int64]) -> list[int]:
    """The kinds of event in the order of the estimator's curves."""
    return list(range(1, int(event.max()) + 1))


def _law(mass: FloatArray) -> tuple[float, ...]:
    if mass.sum() <= 0:
        return (0.0, 1.0)
    kept = mass[: int(np.flatnonzero(mass > 0)[-1]) + 1] / mass.sum()
    return tuple(float(share) for share in np.round(kept / kept.sum(), DIGITS))


def _quantile_week(mass: FloatArray, probability: float) -> float:
    """Week by which a share of all that move on has moved."""
    if mass.sum() <= 0:
        return math.nan
    below = np.cumsum(mass) / mass.sum()
    return float(np.minimum(np.searchsorted(below, probability - 1e-12), len(below) - 1))


def _wilson(share: float, n: float) -> tuple[float, float]:
    z = Z
    centre = (share + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z * math.sqrt(share * (1 - share) / n + z**2 / (4 * n**2)) / (1 + z**2 / n)
    return max(centre - half, 0.0), min(centre + half, 1.0)


def _t(free: int) -> float:
    from scipy.stats import t

    return float(t.ppf((1 + LEVEL) / 2, free))


def _deal_size(segment: str, won: FloatArray, notes: _Notes) -> DealSize:
    """Lognormal where it fits (Lilliefors' test on the logarithms), else the observed amounts."""
    from statsmodels.stats.diagnostic import lilliefors

    positive = won[won > 0]
    n, mean = len(won), float(won.mean())
    logs = np.log(positive)
    spread = float(logs.std(ddof=1)) if n > 1 else 0.0
    fits = len(positive) == n and (n < 8 or spread == 0 or lilliefors(logs, dist="norm")[1] >= 0.05)
    if fits:
        mean = math.exp(float(logs.mean()) + spread**2 / 2)
        # Cox's interval for the mean of a lognormal law
        error = _t(max(n - 1, 1)) * math.sqrt(spread**2 / n + spread**4 / (2 * max(n - 1, 1)))
        low, high = mean * math.exp(-error), mean * math.exp(error)
        cv = math.sqrt(math.expm1(spread**2))
        size, note = DealSize(mean=mean, cv=cv), "lognormal"
    else:
        error = _t(n - 1) * float(won.std(ddof=1)) / math.sqrt(n)
        low, high, cv = mean - error, mean + error, float(won.std(ddof=1)) / mean if mean else 0.0
        size, note = _observed(won), "observed amounts (a lognormal law does not fit)"
    notes.parameters.append(Parameter("mean deal size", segment, mean, low, high, n, "money", note))
    limits = _cv_limits(spread, n) if fits else (math.nan, math.nan)
    notes.parameters.append(Parameter("cv of deal size", segment, cv, *limits, n, "cv", note))
    if n < 10:
        notes.warnings.append(f"segment '{segment}': deal size from {n} won deals only")
    return size


def _cv_limits(spread: float, n: int) -> tuple[float, float]:
    from scipy.stats import chi2

    if n < 2:
        return math.nan, math.nan
    low, high = (spread**2 * (n - 1) / chi2.ppf(p, n - 1) for p in ((1 + LEVEL) / 2, (1 - LEVEL) / 2))
    return math.sqrt(math.expm1(low)), math.sqrt(math.expm1(high))


def _observed(won: FloatArray) -> DealSize:
    """Observed amounts with their shares; many different ones are condensed to groups that keep the mean."""
    amounts, counts = np.unique(won, return_counts=True)
    if len(amounts) > MOST_AMOUNTS:
        groups = np.array_split(np.sort(won), MOST_AMOUNTS)
        amounts, counts = np.array([group.mean() for group in groups]), np.array([len(g) for g in groups])
        amounts, where = np.unique(np.round(amounts, 4), return_inverse=True)
        counts = np.bincount(where, weights=counts)
    return DealSize(amounts=tuple(amounts.tolist()), shares=tuple((counts / counts.sum()).tolist()))


def _open_deals(
    tables: Tables,
    deals: pd.DataFrame,
    segments: tuple[Segment, ...],
    reps: set[str],
    notes: _Notes,
) -> tuple[OpenDeal, ...]:
    """Deals that are open today, alike ones together, with the time they have been in their stage."""
    open_deals = deals[deals["status"] == "open"]
    known = {segment.name: segment for segment in segments}
    orphaned = ~open_deals["rep"].isin(reps) | ~open_deals["segment"].isin(known)
    if orphaned.any():
        notes.warnings.append(
            f"{int(orphaned.sum()):,} open deals belong to nobody in today's team and are not forecast"
        )
    open_deals = open_deals[~orphaned]
    history = tables.stage_history
    entered = history.groupby(["opportunity_id", "stage"])["entered"].min()
    alike: dict[tuple[str, str, str, int, float | None], int] = {}
    dead = 0
    columns = ("opportunity_id", "rep", "segment", "stage", "created", "amount")
    for key, rep, name, claimed, created, value in zip(*(open_deals[c] for c in columns), strict=True):
        segment = known[name]
        stage = claimed if claimed in [s.name for s in segment.stages] else segment.stages[0].name
        since = entered.get((key, stage), created)
        weeks = max((pd.Timestamp(tables.as_of) - since).days // 7, 0)
        oldest = len(segment.stages[segment.stage_index(stage)].dwell_shares()) - 1
        dead += weeks >= oldest
        same = (rep, name, stage, min(weeks, oldest), None if pd.isna(value) else float(value))
        alike[same] = alike.get(same, 0) + 1
    if dead:
        notes.warnings.append(
            f"{dead:,} of {len(open_deals):,} open deals are older than any deal of their segment and stage "
            "that ever moved on: they count as dead (chance 0)"
        )
    return tuple(
        OpenDeal(rep=rep, segment=segment, stage=stage, weeks_in_stage=weeks, amount=amount, deals=number)
        for (rep, segment, stage, weeks, amount), number in alike.items()
    )


def _roles(base: Scenario | None, reps: tuple[Rep, ...]) -> tuple[Role, ...]:
    if base:
        return base.roles
    return tuple(Role(name=name, ramp=DEFAULT_RAMP) for name in sorted({rep.role for rep in reps}))


def _hires(base: Scenario | None, first: Quarter) -> tuple[Hire, ...]:
    """Planned hires of the base scenario that start within or after the new horizon."""
    return tuple(hire for hire in base.hires if hire.start >= first.start) if base else ()
