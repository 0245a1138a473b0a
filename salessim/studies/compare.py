"""Compare two scenarios on the same luck: what is left of their difference is not chance."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from salessim.engine import HORIZON, Engine, Outcome
from salessim.errors import EngineError, ScenarioError
from salessim.intervals import Z, wilson
from salessim.model import Scenario
from salessim.plans import QuotaPlan
from salessim.studies.outcome_measures import OutcomeMeasure, by_trial, measures_for, simulated

__all__ = ["Comparison", "compare"]

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Comparison:
    """What scenario b brings over scenario a; amounts in the currency of both."""

    a: str
    """Name of the first scenario."""
    b: str
    """Name of the second; differences are b − a."""
    period: str
    currency: str
    table: pd.DataFrame
    """One row per measure: measure, label, unit, better, mean_a, mean_b, difference (mean of b − a),
    difference_p10 and difference_p90 (80 % range over trials: what luck leaves of it), standard_error,
    difference_low and difference_high (80 % interval of the mean difference: what the number of trials
    leaves open), chance_b_beats_a (ties count half; NaN for measures of which neither way is better) with its
    interval chance_low and chance_high, trials. NaN: no such figure in one of the scenarios."""
    engine: str
    """Engine that simulated both."""
    why: str
    """Why this engine was taken."""
    trials: int
    seed: int


def compare(
    a: Scenario,
    b: Scenario,
    *,
    measures: Sequence[str] | None = None,
    plan: QuotaPlan | None = None,
    period: str = HORIZON,
    trials: int = 10_000,
    seed: int = 1,
    engine: Literal["auto", "thinning", "flow"] = "auto",
) -> Comparison:
    """Difference between two scenarios in any measure, with both living through the same luck.

    Both are simulated by the same engine on the same seed: the same market, the same skills, and the same
    luck of every rep that has the same name in both. Trial by trial the two are subtracted, so that chance
    which both share drops out.

    Args:
        a: the scenario compared with.
        b: the scenario looked at.
        measures: names in :data:`~salessim.studies.outcome_measures.OUTCOME_MEASURES`; None: all that plan
            and engine allow.
        plan: quotas and team plan, for the measures that need them; scored on both scenarios.
        period: a quarter of the scenarios, or "horizon".
        trials: simulated horizons, at least 2.
        seed: seed of the random streams.
        engine: "auto" draws whole trials by thinning where the exact law is valid for both scenarios, and by
            the weekly flow where one of them, or a measure, needs it.

    Raises:
        ScenarioError: the scenarios differ in currency or calendar. EngineError: unknown measure, period or
        engine. PlanError: a measure needs a plan.

    >>> from salessim.library import example_scenario
    >>> from salessim.plans import with_lever
    >>> today = example_scenario()
    >>> found = compare(today, with_lever(today, lever="leads", change=0.2), trials=500)
    >>> bool(found.table.set_index("measure").loc["team_bookings", "chance_b_beats_a"] > 0.99)
    True
    """
    _comparable(a, b)
    if trials < 2:
        raise EngineError(f"trials is {trials}; a comparison needs 2 or more")
    named = () if measures is None else measures_for(measures, plan=plan, flow=True)
    asked = [measure.name for measure in named if measure.needs == "flow"]

    def run(scenario: Scenario, by: Engine) -> Outcome:
        return simulated(scenario, plan=plan, engine=by, trials=trials, seed=seed)

    outcomes, why = _on_the_same_luck(a, b, asked=asked, engine=engine, run=run)
    chosen = named or measures_for(None, plan=plan, flow=outcomes[0].engine == "flow")
    rows = [_row(measure, outcomes, plan=plan, period=period) for measure in chosen]
    return Comparison(
        a=a.name,
        b=b.name,
        period=period,
        currency=a.currency,
        table=pd.DataFrame(rows),
        engine=outcomes[0].engine,
        why=why,
        trials=trials,
        seed=seed,
    )


def _comparable(a: Scenario, b: Scenario) -> None:
    for what, in_a, in_b in (
        ("currency", a.currency, b.currency),
        ("calendar.first_quarter", a.calendar.first_quarter, b.calendar.first_quarter),
        ("calendar.quarters", a.calendar.quarters, b.calendar.quarters),
        (
            "calendar.fiscal_year_starts_in_month",
            a.calendar.fiscal_year_starts_in_month,
            b.calendar.fiscal_year_starts_in_month,
        ),
    ):
        if in_a != in_b:
            raise ScenarioError(
                f"{what} is {in_a!r} in scenario '{a.name}' and {in_b!r} in '{b.name}'; "
                "scenarios that are compared must agree in it"
            )


def _on_the_same_luck(
    a: Scenario, b: Scenario, *, asked: list[str], engine: str, run: Callable[[Scenario, Engine], Outcome]
) -> tuple[tuple[Outcome, Outcome], str]:
    """Both outcomes by one engine on one seed, and why that engine."""
    if engine == "thinning":
        return (run(a, "thinning"), run(b, "thinning")), "by thinning, as asked for"
    if engine == "flow":
        return (run(a, "flow"), run(b, "flow")), "by the weekly flow, as asked for"
    if engine != "auto":
        raise EngineError(
            f"engine is {engine!r}; a comparison trial by trial needs 'auto', 'thinning' or 'flow'"
        )
    if asked:
        why = f"by the weekly flow: no other engine knows {', '.join(asked)}"
        return (run(a, "flow"), run(b, "flow")), why
    first, second = run(a, "auto"), run(b, "auto")
    needs_flow = [outcome for outcome in (first, second) if outcome.engine == "flow"]
    if not needs_flow:
        why = "whole trials by thinning: the exact law is valid for both scenarios"
        return (run(a, "thinning"), run(b, "thinning")), why
    # what was simulated by the flow already need not be simulated again
    both = (
        first if first.engine == "flow" else run(a, "flow"),
        second if second.engine == "flow" else run(b, "flow"),
    )
    reasons = " and ".join(f"'{outcome.scenario.name}' ({outcome.why})" for outcome in needs_flow)
    return both, f"both by the weekly flow, which is needed by {reasons}"


def _row(
    measure: OutcomeMeasure, outcomes: tuple[Outcome, Outcome], *, plan: QuotaPlan | None, period: str
) -> dict[str, object]:
    values_a, values_b = (by_trial(outcome, measure.name, plan=plan, period=period) for outcome in outcomes)
    both = np.isfinite(values_a) & np.isfinite(values_b)
    values_a, values_b = values_a[both], values_b[both]
    difference = values_b - values_a
    number = len(difference)
    mean, p10, p90, error, chance, chance_low, chance_high = [float("nan")] * 7
    if number:
        mean = float(difference.mean())
        p10, p90 = (float(value) for value in np.quantile(difference, [0.1, 0.9]))
        error = float(difference.std(ddof=1) / np.sqrt(number)) if number > 1 else float("nan")
        if measure.better != "neither":
            gains = difference if measure.better == "higher" else -difference
            beats = float((gains > 0).sum() + 0.5 * (gains == 0).sum())
            chance, chance_low, chance_high = (float(part) for part in wilson(beats, number))
    return {
        "measure": measure.name,
        "label": measure.label,
        "unit": measure.unit,
        "better": measure.better,
        "mean_a": float(values_a.mean()) if number else float("nan"),
        "mean_b": float(values_b.mean()) if number else float("nan"),
        "difference": mean,
        "difference_p10": p10,
        "difference_p90": p90,
        "standard_error": error,
        "difference_low": mean - Z * error,
        "difference_high": mean + Z * error,
        "chance_b_beats_a": chance,
        "chance_low": chance_low,
        "chance_high": chance_high,
        "trials": number,
    }
