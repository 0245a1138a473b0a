"""From a CRM's history to a scenario: every parameter with its interval, its sample size, and its doubts.

Open deals are censored, not ignored: the share won and the time to win come from the Aalen-Johansen
estimator of competing risks (a deal moves on, is lost, or is still there). Spreads between reps and between
quarters are what is left after the luck of Poisson counts (Paule and Mandel 1982; intervals by the Q-profile
of Viechtbauer 2007). Reps are partially pooled: a seller with few deals is drawn towards the team.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta

import pandas as pd

from salessim.calibrate.estimates import LEVEL, Notes, Parameter
from salessim.calibrate.funnel import level_doubt, month_factors_of, open_deals_of, segment_of
from salessim.calibrate.team import exposure_of, focus_of, market_of, reps_of
from salessim.crm import Tables
from salessim.errors import DataError
from salessim.model import DEFAULT_CRITERIA, DEFAULT_RAMP, Calendar, Hire, Rep, Role, Scenario
from salessim.periods import Quarter, quarter_of

__all__ = ["LEVEL", "Calibration", "Parameter", "calibrate"]


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
    notes = Notes()
    deals = tables.opportunities[tables.opportunities["created"].notna()]
    undated = len(tables.opportunities) - len(deals)
    if undated:
        notes.warnings.append(f"{undated:,} opportunities without a date of creation: not used for rates")
    if not (deals["status"] == "won").any():
        raise DataError(
            f"{tables.files[0].name}: no won deal with a date of creation among {len(deals):,} "
            "opportunities; calibration needs a history with won deals"
        )
    start, cut = window_of(tables)
    if cut:
        notes.warnings.append(cut)
    end = tables.as_of
    # deals created before the window are known only if they lived long enough to reach it
    seen = deals[deals["created"] >= pd.Timestamp(start)]
    calendar_month = tables.fiscal_year_starts_in_month
    exposure = exposure_of(tables, seen, start, end, base, notes)
    quarter = pd.Series(
        [str(quarter_of(day, fiscal_year_starts_in_month=calendar_month)) for day in seen["created"]],
        index=seen.index,
        dtype=object,
    )
    counts = pd.crosstab(seen["rep"], quarter)
    counts = counts.reindex(index=exposure.index, columns=exposure.columns, fill_value=0)
    market = market_of(counts, exposure, notes)
    focus = focus_of(seen, exposure.index, notes)
    reps = reps_of(tables, counts, exposure, market, focus, base)
    month_factors = month_factors_of(seen, start, end, calendar_month, notes)
    window_weeks = ((end - start).days + 1) / 7
    segments = tuple(
        segment_of(tables, str(segment), group, exposure, window_weeks, market, month_factors, base, notes)
        for segment, group in seen.groupby("segment", sort=True)
    )
    market = market.model_copy(update={"level_cv": level_doubt(segments, market, exposure, notes)})
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
        pipeline=open_deals_of(tables, deals, segments, names, notes),
    )
    return Calibration(
        scenario=scenario,
        parameters=tuple(notes.parameters),
        warnings=tuple(notes.warnings),
        window=(start, end),
        left_cut=cut,
    )


def window_of(tables: Tables) -> tuple[date, str]:
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


def _roles(base: Scenario | None, reps: tuple[Rep, ...]) -> tuple[Role, ...]:
    if base:
        return base.roles
    return tuple(Role(name=name, ramp=DEFAULT_RAMP) for name in sorted({rep.role for rep in reps}))


def _hires(base: Scenario | None, first: Quarter) -> tuple[Hire, ...]:
    """Planned hires of the base scenario that start within or after the new horizon."""
    return tuple(hire for hire in base.hires if hire.start >= first.start) if base else ()
