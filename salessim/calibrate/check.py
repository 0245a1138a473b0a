"""The posterior check: simulate the past with the calibrated scenario, and see where actual quarters fall.

A scenario that is right puts the actual figure of a quarter inside its 80 % range in eight of ten quarters.
*In-sample* asks whether the scenario can tell the history that it was made from; the *back-test* whether the
method, given what was known when a quarter began, would have forecast it; owners of deals, amounts of deals
that are open to this day and a written scenario are today's, since an export does not tell their past.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date

import numpy as np
import pandas as pd

from salessim.calibrate.calibration import Calibration, calibrate
from salessim.calibrate.estimates import Notes
from salessim.calibrate.funnel import open_deals_of
from salessim.crm import Tables, as_seen_on
from salessim.engine import simulate
from salessim.errors import DataError, ParameterError
from salessim.intervals import LEVEL, wilson
from salessim.model import Calendar, DealSize, Scenario, Segment
from salessim.periods import Quarter, quarter_of

__all__ = ["MEASURES", "VIEWS", "PosteriorCheck", "posterior_check"]

#: What is checked of each quarter.
MEASURES = ("bookings", "won deals", "new opportunities")
#: How it is checked.
VIEWS = ("in-sample", "back-test")


@dataclass(frozen=True, eq=False)
class PosteriorCheck:
    """Where the past quarters fall in what the scenario would have said of them."""

    quarters: pd.DataFrame
    """One row per quarter, measure and view: quarter, measure, view, p10, p50, p90, actual, percentile (where
    the actual figure falls, 0 to 1; ties count half), inside (within p10 and p90). Oldest first."""
    left_out: tuple[str, ...]
    """Quarters that could not be checked, and why."""

    def coverage(self) -> pd.DataFrame:
        """How often the 80 % range held: measure, view, held, quarters, share, low, high (Wilson's)."""
        rows = []
        for view in VIEWS:
            for measure in MEASURES:
                part = self.quarters[(self.quarters["measure"] == measure) & (self.quarters["view"] == view)]
                held, n = int(part["inside"].sum()), len(part)
                share, low, high = (float(x) for x in wilson(held, n))
                rows.append([measure, view, held, n, share, low, high])
        return pd.DataFrame(rows, columns=["measure", "view", "held", "quarters", "share", "low", "high"])


def posterior_check(
    tables: Tables, *, base: Scenario | None = None, quarters: int = 8, calibration: Calibration | None = None
) -> PosteriorCheck:
    """Put past quarters beside what the calibrated scenario says of them.

    Args:
        tables: canonical tables of the export.
        base: as for :func:`salessim.calibrate.calibrate`.
        quarters: how many quarters to look back, at most; only those that the history covers in full.
        calibration: that of ``tables``, where it has been made already.

    Returns:
        The quarters with their ranges, and how often these held. Quarters before which the export holds no
        whole quarter of history have no back-test.

    Raises:
        ParameterError: for ``quarters`` below 1.
        DataError: where the export cannot be calibrated.

    >>> from salessim.crm import read
    >>> from salessim.library import example_crm
    >>> found = posterior_check(read(example_crm()), quarters=1)
    >>> found.quarters[["quarter", "measure", "view"]].iloc[0].tolist()
    ['2026Q2', 'bookings', 'in-sample']
    """
    if quarters < 1:
        raise ParameterError(f"quarters is {quarters}; it must be 1 or more")
    found = calibration or calibrate(tables, base=base)
    start, end = found.window
    month = tables.fiscal_year_starts_in_month
    last = quarter_of(end, fiscal_year_starts_in_month=month)
    if last.end > end:
        last = last.shift(-1)
    chosen = [q for q in (last.shift(-back) for back in range(quarters - 1, -1, -1)) if q.start >= start]
    rows, left_out = [], []
    for quarter in chosen:
        actual = _actual(tables, quarter)
        seen = _seen_on(tables, quarter.shift(-1).end)
        worlds: dict[str, Scenario | str] = {
            "in-sample": _past(found, seen, quarter), "back-test": _foreseen(seen, quarter, base)
        }  # fmt: skip
        for view in VIEWS:
            world = worlds[view]
            if isinstance(world, str):
                left_out.append(f"{quarter}, {view}: {world}")
                continue
            for measure in MEASURES:
                figures = _placed(_asking_for(measure, world), actual[measure], str(quarter), measure)
                rows.append([str(quarter), measure, view, *figures])
    columns = ["quarter", "measure", "view", "p10", "p50", "p90", "actual", "percentile", "inside"]
    return PosteriorCheck(pd.DataFrame(rows, columns=columns), tuple(left_out))


def _seen_on(tables: Tables, day: date) -> Tables:
    """The export as of an earlier day; without a deal where that lies before the first one."""
    if (tables.opportunities["created"] <= pd.Timestamp(day)).any():
        return as_seen_on(tables, day)
    none = {name: getattr(tables, name).iloc[:0] for name in ("opportunities", "stage_history", "evidence")}
    return replace(tables, as_of=day, **none)


def _actual(tables: Tables, quarter: Quarter) -> dict[str, float]:
    deals = tables.opportunities
    first, last = pd.Timestamp(quarter.start), pd.Timestamp(quarter.end)
    won = deals[(deals["status"] == "won") & deals["closed"].between(first, last)]
    return {
        "bookings": float(won["amount"].sum()),
        "won deals": float(len(won)),
        "new opportunities": float(deals["created"].between(first, last).sum()),
    }


def _past(found: Calibration, seen: Tables, quarter: Quarter) -> Scenario | str:
    """The calibrated scenario as of a past quarter: its people, its open deals, its pace of demand."""
    scenario, beliefs = found.scenario, found.beliefs
    segments = tuple(
        _moved(segment, beliefs.patterns[segment.name].growth_per_year, quarter, beliefs.pace_of)
        for segment in scenario.segments
    )
    reps = tuple(
        rep
        for rep in beliefs.everyone
        if not (rep.end and rep.end < quarter.start) and not (rep.start and rep.start > quarter.end)
    )
    if not reps:
        return "nobody was in the team"
    notes = Notes(slowest_days=dict(beliefs.slowest_days))
    names = {rep.name for rep in reps}
    deals = seen.opportunities[seen.opportunities["created"].notna()]
    roles = {role.name for role in scenario.roles}
    return scenario.model_copy(
        update={
            "calendar": Calendar(
                first_quarter=str(quarter), quarters=1,
                fiscal_year_starts_in_month=scenario.calendar.fiscal_year_starts_in_month,
            ),
            "segments": segments,
            "reps": tuple(
                rep if rep.role in roles else rep.model_copy(update={"role": scenario.roles[0].name})
                for rep in reps
            ),
            "hires": (),
            "promotions": (),
            "pipeline": open_deals_of(seen, deals, segments, names, notes),
        }
    )  # fmt: skip


def _moved(segment: Segment, growth: float, quarter: Quarter, first: Quarter) -> Segment:
    """A segment with the pace of demand of a past quarter."""
    apart = 4 * (quarter.year - first.year) + quarter.number - first.number
    factor = (1 + growth) ** (apart / 4)
    sources = tuple(
        source.model_copy(update={"leads_per_week": source.leads_per_week * factor})
        for source in segment.sources
    )
    return segment.model_copy(update={"sources": sources})


def _foreseen(seen: Tables, quarter: Quarter, base: Scenario | None) -> Scenario | str:
    """The scenario that would have been calibrated on the day before the quarter began.

    Who will leave, and who will come, was not known then. Owners, and the amounts of deals that are still
    open, are today's, and so is what ``base`` writes: nothing tells their past.
    """
    reps, day = seen.reps, pd.Timestamp(seen.as_of)
    # who owns deals by now stays, or those that were handed over would pass for the work of an old hand
    there = ~(reps["start"] > day) | reps["rep"].isin(seen.opportunities["rep"])
    reps = reps.assign(end=reps["end"].where(reps["end"] <= day))[there].reset_index(drop=True)
    try:
        known = calibrate(replace(seen, reps=reps), base=base, quarters=1)
    except DataError:
        return "too little was known before it"
    if known.window[0] > quarter.shift(-1).start:
        return "no whole quarter of history before it"
    return known.scenario


def _asking_for(measure: str, scenario: Scenario) -> Scenario:
    """A scenario whose bookings are the measure: each deal counts 1, or each lead is won at once."""
    if measure == "bookings":
        return scenario
    one = DealSize(mean=1.0, cv=0.0)
    if measure == "won deals":
        segments = tuple(segment.model_copy(update={"deal_size": one}) for segment in scenario.segments)
        deals = tuple(deal.model_copy(update={"amount": None}) for deal in scenario.pipeline)
        return scenario.model_copy(update={"segments": segments, "pipeline": deals})
    segments = tuple(
        segment.model_copy(
            update={
                "deal_size": one,
                "stages": (
                    segment.stages[0].model_copy(
                        update={
                            "conversion": 1.0, "close_probability": None, "dwell_weeks": (1.0,),
                            "lost_dwell_weeks": None, "exit_criteria": (),
                        }
                    ),
                ),
                "sources": tuple(
                    source.model_copy(update={"conversions": {}, "cycle_factor": 1.0})
                    for source in segment.sources
                ),
            }
        )
        for segment in scenario.segments
    )  # fmt: skip
    roles = tuple(role.model_copy(update={"capacity": None}) for role in scenario.roles)
    return scenario.model_copy(update={"segments": segments, "pipeline": (), "roles": roles})


def _placed(scenario: Scenario, actual: float, period: str, measure: str) -> list[float | bool]:
    """P10, P50, P90 of what the team books, the actual figure, its percentile, whether it is inside."""
    outcome = simulate(scenario)
    low, middle, high = outcome.team_quantiles([(1 - LEVEL) / 2, 0.5, (1 + LEVEL) / 2], period)
    step = 1e-6 * max(actual, 1.0)  # no deal, or deals of equal size: figures that others tie with
    if measure != "bookings":
        low, middle, high, step = *np.round([low, middle, high]), 0.5
    at_least, more = outcome.team_chance_at_least([actual, actual + step], period)
    percentile = 1 - (float(at_least) + float(more)) / 2
    return [
        float(low), float(middle), float(high), actual, percentile, bool(low <= actual <= high)
    ]  # fmt: skip
