"""From a CRM's history to a scenario: every parameter with its interval, its sample size, and its doubts.

Open deals are censored, not ignored: the share won and the time to win come from the Aalen-Johansen
estimator of competing risks (a deal moves on, is lost, or is still there). Spreads between reps and between
quarters are what is left after the luck of Poisson counts (Paule and Mandel 1982; intervals by the Q-profile
of Viechtbauer 2007). Reps are partially pooled: a seller with few deals is drawn towards the team.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

import pandas as pd

from salessim.calibrate.estimates import Notes, Parameter
from salessim.calibrate.funnel import level_doubt, month_factors_of, open_deals_of, segment_of
from salessim.calibrate.team import (
    created_by_owner,
    exposure_of,
    focus_of,
    hires_of,
    market_of,
    reps_of,
    skill_of,
)
from salessim.crm import Tables, left_cut
from salessim.errors import DataError
from salessim.intervals import LEVEL
from salessim.model import DEFAULT_CRITERIA, DEFAULT_RAMP, Calendar, Market, Rep, Role, Scenario
from salessim.periods import quarter_of

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
    if not ((seen["status"] == "won") & (seen["amount"] > 0)).any():
        raise DataError(
            f"{tables.files[0].name}: none of the {len(seen):,} opportunities created from {start} on is won "
            "with an amount; calibration needs won deals with amounts"
        )
    made = created_by_owner(tables, seen, notes)
    calendar_month = tables.fiscal_year_starts_in_month
    exposure = exposure_of(tables, made, start, end, base, notes)
    quarter = pd.Series(
        [str(quarter_of(day, fiscal_year_starts_in_month=calendar_month)) for day in made["created"]],
        index=made.index,
        dtype=object,
    )
    counts = pd.crosstab(made["rep"], quarter)
    counts = counts.reindex(index=exposure.index, columns=exposure.columns, fill_value=0)
    market = market_of(counts, exposure, notes)
    skill = skill_of(counts, exposure, market)
    focus = focus_of(made, exposure.sum(axis=1), skill["mean"], notes)
    reps = reps_of(tables, exposure, skill, focus, base)
    month_factors = month_factors_of(seen, start, end, calendar_month, notes)
    window_weeks = ((end - start).days + 1) / 7
    segments = tuple(
        segment_of(tables, str(part), seen, made, exposure, window_weeks, market, month_factors, base, notes)
        for part in sorted(seen["segment"].unique())
    )
    market = Market(
        shock_cv=market.shock_cv,
        skill_cv=market.skill_cv,
        level_cv=level_doubt(segments, market, exposure, notes),
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
        hires=hires_of(tables, base, first, notes),
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
    """First day of the history that is used, and what is left out before it.

    An export that is cut off on the left counts from its first whole quarter on, if it has one: deals have a
    rhythm within the quarter, and part of a quarter would tilt every rate.
    """
    created = tables.opportunities["created"]
    closed = left_cut(tables).missing_before
    if closed is None:
        return created.min().date(), ""
    quarter = quarter_of(closed, fiscal_year_starts_in_month=tables.fiscal_year_starts_in_month)
    whole = quarter if closed == quarter.start else quarter.shift(1)
    start = whole.start if whole.end <= tables.as_of else closed
    return start, (
        f"the export is cut off on the left: nothing closed before {closed}, though deals were created from "
        f"{created.min().date()} on; history counts from {start} on, and the "
        f"{int((created < pd.Timestamp(start)).sum()):,} deals created before then are left out of rates, "
        "win rate and cycle"
    )


def _roles(base: Scenario | None, reps: tuple[Rep, ...]) -> tuple[Role, ...]:
    if base:
        return base.roles
    return tuple(Role(name=name, ramp=DEFAULT_RAMP) for name in sorted({rep.role for rep in reps}))
