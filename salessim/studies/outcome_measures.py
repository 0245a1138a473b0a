"""What one simulated horizon is judged by: each measure of an outcome, defined once.

A measure gives one number per trial (for comparisons on the same luck and for sampling errors) and, where the
exact engine can be asked for it, its expected value without simulation.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from salessim.engine import Engine, ExactOutcome, Outcome, SampledOutcome, simulate
from salessim.errors import EngineError, PlanError, listed
from salessim.model import Scenario
from salessim.periods import WEEKS_PER_QUARTER
from salessim.plans import QuotaPlan, period_quotas, quotas

__all__ = [
    "OUTCOME_MEASURES",
    "OutcomeMeasure",
    "by_trial",
    "expected",
    "measures_for",
    "simulated",
]

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True)
class OutcomeMeasure:
    """One measure of a simulated horizon."""

    name: str
    label: str
    unit: Literal["money", "count", "share", "chance"]
    """money: in the currency of the scenario; share and chance: fractions."""
    better: Literal["higher", "lower", "neither"]
    definition: str
    needs: Literal["nothing", "quotas", "team plan", "flow"]
    """quotas, team plan: a quota plan (that states a team plan); flow: an outcome of the flow engine."""
    trials: Callable[[SampledOutcome, QuotaPlan | None, str], FloatArray]
    """Value in each trial, shape (trial,)."""
    mean: Callable[[ExactOutcome, QuotaPlan | None, str], float] | None
    """Expected value without simulation; None: the exact engine does not know it."""


def simulated(
    scenario: Scenario,
    *,
    plan: QuotaPlan | None,
    engine: Engine,
    trials: int,
    seed: int,
    threads: int | None = None,
) -> Outcome:
    """Simulate a scenario under a quota plan, which matters where people react to their quotas.

    Args:
        scenario: the world.
        plan: gives the quotas that behaviours of the scenario depend on; None: no quotas.
        engine, trials, seed, threads: as :func:`salessim.engine.simulate`.

    >>> from salessim.library import example_plan, example_scenario
    >>> simulated(example_scenario(), plan=example_plan(), engine="auto", trials=100, seed=1).engine
    'exact'
    """
    if plan is None or not scenario.behaviours.any:
        return simulate(scenario, engine=engine, trials=trials, seed=seed, threads=threads)
    return simulate(
        scenario,
        engine=engine,
        trials=trials,
        seed=seed,
        threads=threads,
        quotas=quotas(plan, scenario).to_numpy(),
    )


def by_trial(outcome: Outcome, measure: str, *, plan: QuotaPlan | None = None, period: str) -> FloatArray:
    """Value of a measure in each simulated horizon, shape (trial,); NaN: there is no such figure.

    Args:
        outcome: a simulated outcome.
        measure: name in :data:`OUTCOME_MEASURES`.
        plan: what reps and team are asked for, where the measure needs it.
        period: a quarter of the scenario, or "horizon".

    Raises:
        EngineError: unknown measure or period, or an engine that does not know the measure.
        PlanError: the measure needs a plan, or one that states a team plan.

    >>> from salessim.engine import simulate
    >>> from salessim.library import example_scenario
    >>> outcome = simulate(example_scenario(), engine="thinning", trials=100)
    >>> by_trial(outcome, "won_deals", period="2026Q3").shape
    (100,)
    """
    entry = _entry(measure)
    _check(entry, plan)
    if not isinstance(outcome, SampledOutcome):
        raise EngineError(
            f"measure '{measure}' by trial needs simulated trials; the outcome is solved exactly"
        )
    if entry.needs == "flow" and outcome.engine != "flow":
        raise EngineError(
            f"measure '{measure}' is known to the engine 'flow' only; this outcome is of '{outcome.engine}'"
        )
    return entry.trials(outcome, plan, period)


def expected(
    outcome: Outcome, measure: str, *, plan: QuotaPlan | None = None, period: str
) -> tuple[float, float]:
    """Expected value of a measure and its sampling error (one standard error; 0: solved exactly).

    Both are NaN where there is no such figure (a share attaining where nobody carries a quota).

    Raises:
        EngineError, PlanError: as :func:`by_trial`.

    >>> from salessim.engine import simulate
    >>> from salessim.library import example_plan, example_scenario
    >>> share, error = expected(
    ...     simulate(example_scenario()), "share_attaining", plan=example_plan(), period="2026Q3"
    ... )
    >>> 0 < share < 1, error
    (True, 0.0)
    """
    entry = _entry(measure)
    if isinstance(outcome, ExactOutcome) and entry.mean is not None:
        _check(entry, plan)
        value = entry.mean(outcome, plan, period)
        return value, 0.0 if np.isfinite(value) else float("nan")
    values = by_trial(outcome, measure, plan=plan, period=period)
    values = values[np.isfinite(values)]
    if not len(values):
        return float("nan"), float("nan")
    error = values.std(ddof=1) / np.sqrt(len(values)) if len(values) > 1 else np.nan
    return float(values.mean()), float(error)


def measures_for(
    names: Sequence[str] | None, *, plan: QuotaPlan | None, flow: bool
) -> tuple[OutcomeMeasure, ...]:
    """The measures with these names, or all that can be answered.

    Args:
        names: names in :data:`OUTCOME_MEASURES`; None: all that plan and engine allow.
        plan: the plan at hand.
        flow: whether measures that only the flow engine knows are taken with names None.

    Raises:
        EngineError: an unknown name, a name that stands twice, or none. PlanError: a measure needs a plan.

    >>> [measure.name for measure in measures_for(None, plan=None, flow=False)]
    ['team_bookings', 'won_deals', 'bookings_per_rep']
    """
    if names is None:
        there = {"nothing"} | ({"flow"} if flow else set())
        there |= {"quotas"} if plan is not None else set()
        there |= {"team plan"} if plan is not None and plan.annual_team_plan is not None else set()
        return tuple(measure for measure in OUTCOME_MEASURES.values() if measure.needs in there)
    if isinstance(names, str) or not names or len(set(names)) < len(names):
        raise EngineError(
            f"measures is {names!r}; it must be a list of different names out of "
            f"{listed(list(OUTCOME_MEASURES))}"
        )
    chosen = tuple(_entry(name) for name in names)
    for entry in chosen:
        _check(entry, plan)
    return chosen


def _entry(name: str) -> OutcomeMeasure:
    if name not in OUTCOME_MEASURES:
        raise EngineError(f"measure is {name!r}; it must be one of {listed(list(OUTCOME_MEASURES))}")
    return OUTCOME_MEASURES[name]


def _check(entry: OutcomeMeasure, plan: QuotaPlan | None) -> None:
    if entry.needs in ("quotas", "team plan") and plan is None:
        raise PlanError(f"measure '{entry.name}' needs a quota plan; give one")
    if entry.needs == "team plan" and plan is not None and plan.annual_team_plan is None:
        raise PlanError(
            f"measure '{entry.name}': plan '{plan.name}' states no annual_team_plan to be measured against"
        )


def _team_bookings(outcome: SampledOutcome, plan: QuotaPlan | None, period: str) -> FloatArray:
    return np.asarray(outcome.bookings[:, :, outcome.quarters_of(period)].sum(axis=(1, 2)))


def _expected_bookings(outcome: ExactOutcome, plan: QuotaPlan | None, period: str) -> float:
    return float(outcome.expected_bookings(period).sum())


def _won_deals(outcome: SampledOutcome, plan: QuotaPlan | None, period: str) -> FloatArray:
    won = outcome.won[:, :, outcome.quarters_of(period)].sum(axis=(1, 2))
    return np.asarray(won, dtype=np.float64)


def _expected_won_deals(outcome: ExactOutcome, plan: QuotaPlan | None, period: str) -> float:
    rates, quarters = outcome.rates, outcome.quarters_of(period)
    new = rates.wins[..., quarters].sum(axis=(1, 2, 3)) @ rates.skill_mean
    return float(new + sum(deal.deals * deal.chances[quarters].sum() for deal in rates.open_deals))


def _mean_headcount(scenario: Scenario, quarters: list[int]) -> float:
    """Mean number of people on the payroll over some quarters; NaN where nobody is."""
    by_week = scenario.headcount().sum(axis=0).reshape(-1, WEEKS_PER_QUARTER)
    people = float(by_week[quarters].mean())
    return people if people > 0 else float("nan")


def _bookings_per_rep(outcome: SampledOutcome, plan: QuotaPlan | None, period: str) -> FloatArray:
    people = _mean_headcount(outcome.scenario, outcome.quarters_of(period))
    return _team_bookings(outcome, plan, period) / people


def _expected_bookings_per_rep(outcome: ExactOutcome, plan: QuotaPlan | None, period: str) -> float:
    people = _mean_headcount(outcome.scenario, outcome.quarters_of(period))
    return _expected_bookings(outcome, plan, period) / people


def _share_attaining(outcome: SampledOutcome, plan: QuotaPlan | None, period: str) -> FloatArray:
    assert plan is not None  # checked by those who call
    bookings = outcome.bookings[:, :, outcome.quarters_of(period)].sum(axis=2)  # (trial, rep)
    amounts = period_quotas(plan, outcome.scenario, period)
    carries = np.isfinite(amounts)
    if not carries.any():
        return np.full(len(bookings), np.nan)
    return np.asarray((bookings[:, carries] >= amounts[carries]).mean(axis=1))


def _expected_share_attaining(outcome: ExactOutcome, plan: QuotaPlan | None, period: str) -> float:
    assert plan is not None
    chances = outcome.chance_at_least(period_quotas(plan, outcome.scenario, period), period)
    carries = np.isfinite(chances)
    return float(chances[carries].mean()) if carries.any() else float("nan")


def _plan_made(outcome: SampledOutcome, plan: QuotaPlan | None, period: str) -> FloatArray:
    assert plan is not None
    made = _team_bookings(outcome, plan, period) >= plan.team_plan(outcome.scenario, period)
    return made.astype(np.float64)


def _chance_of_plan(outcome: ExactOutcome, plan: QuotaPlan | None, period: str) -> float:
    assert plan is not None
    return float(outcome.team_chance_at_least(plan.team_plan(outcome.scenario, period), period))


def _plan_attainment(outcome: SampledOutcome, plan: QuotaPlan | None, period: str) -> FloatArray:
    assert plan is not None
    return _team_bookings(outcome, plan, period) / plan.team_plan(outcome.scenario, period)


def _expected_plan_attainment(outcome: ExactOutcome, plan: QuotaPlan | None, period: str) -> float:
    assert plan is not None
    return _expected_bookings(outcome, plan, period) / plan.team_plan(outcome.scenario, period)


def _summed(*arrays: str) -> Callable[[SampledOutcome, QuotaPlan | None, str], FloatArray]:
    """Sum over team and period of arrays that only the flow engine has, axes (trial, rep, period)."""

    def summed(outcome: SampledOutcome, plan: QuotaPlan | None, period: str) -> FloatArray:
        quarters = outcome.quarters_of(period)
        parts = [getattr(outcome, array)[:, :, quarters].sum(axis=(1, 2)) for array in arrays]
        return np.asarray(sum(parts), dtype=np.float64)

    return summed


def _mean_waiting(outcome: SampledOutcome, plan: QuotaPlan | None, period: str) -> FloatArray:
    waiting = getattr(outcome, "waiting")[:, :, outcome.quarters_of(period)]  # noqa: B009
    return np.asarray(waiting.sum(axis=1).mean(axis=1), dtype=np.float64)


def _capacity_used(outcome: SampledOutcome, plan: QuotaPlan | None, period: str) -> FloatArray:
    used = getattr(outcome, "used")[:, :, outcome.quarters_of(period)]  # noqa: B009
    used = used.reshape(len(used), -1)
    limited = np.isfinite(used)
    number = limited.sum(axis=1)
    total = np.where(limited, used, 0.0).sum(axis=1)
    return np.where(number > 0, total / np.maximum(number, 1), np.nan)


_ENTRIES = (
    OutcomeMeasure(
        name="team_bookings",
        label="Bookings of the team",
        unit="money",
        better="higher",
        definition="Sum of the amounts of all deals won in the period.",
        needs="nothing",
        trials=_team_bookings,
        mean=_expected_bookings,
    ),
    OutcomeMeasure(
        name="won_deals",
        label="Won deals",
        unit="count",
        better="higher",
        definition="Number of deals won in the period.",
        needs="nothing",
        trials=_won_deals,
        mean=_expected_won_deals,
    ),
    OutcomeMeasure(
        name="bookings_per_rep",
        label="Bookings per rep",
        unit="money",
        better="higher",
        definition="Bookings of the team ÷ mean number of people who are to be there, of all roles.",
        needs="nothing",
        trials=_bookings_per_rep,
        mean=_expected_bookings_per_rep,
    ),
    OutcomeMeasure(
        name="share_attaining",
        label="Reps who make quota",
        unit="share",
        better="higher",
        definition="Share of the reps with a quota in the period who book at least that quota [B1].",
        needs="quotas",
        trials=_share_attaining,
        mean=_expected_share_attaining,
    ),
    OutcomeMeasure(
        name="plan_made",
        label="Chance of the team plan",
        unit="chance",
        better="higher",
        definition="1 where the team books at least its plan, else 0; its mean is the chance of the plan.",
        needs="team plan",
        trials=_plan_made,
        mean=_chance_of_plan,
    ),
    OutcomeMeasure(
        name="plan_attainment",
        label="Attainment of the team plan",
        unit="share",
        better="higher",
        definition="Bookings of the team ÷ team plan of the period.",
        needs="team plan",
        trials=_plan_attainment,
        mean=_expected_plan_attainment,
    ),
    OutcomeMeasure(
        name="leads_lost",
        label="Leads lost for want of capacity",
        unit="count",
        better="lower",
        definition="Leads turned away because there was no room, and leads that gave up waiting [A6].",
        needs="flow",
        trials=_summed("turned_away", "gave_up"),
        mean=None,
    ),
    OutcomeMeasure(
        name="leads_turned_away",
        label="Leads turned away",
        unit="count",
        better="lower",
        definition="Leads that were lost at once because there was no room for them.",
        needs="flow",
        trials=_summed("turned_away"),
        mean=None,
    ),
    OutcomeMeasure(
        name="leads_gave_up",
        label="Leads that gave up waiting",
        unit="count",
        better="lower",
        definition="Leads that lost patience while they waited for a rep.",
        needs="flow",
        trials=_summed("gave_up"),
        mean=None,
    ),
    OutcomeMeasure(
        name="mean_waiting",
        label="Leads waiting",
        unit="count",
        better="lower",
        definition="Mean number of leads of the team that wait for a rep, over the weeks of the period.",
        needs="flow",
        trials=_mean_waiting,
        mean=None,
    ),
    OutcomeMeasure(
        name="capacity_used",
        label="Capacity in use",
        unit="share",
        better="neither",
        definition="Mean share of the reps' limits in use; reps without a limit do not count.",
        needs="flow",
        trials=_capacity_used,
        mean=None,
    ),
    OutcomeMeasure(
        name="departures",
        label="Reps who left",
        unit="count",
        better="lower",
        definition="Number of people who left their seat in the period.",
        needs="flow",
        trials=_summed("departures"),
        mean=None,
    ),
)

#: All measures of an outcome by name, in the order of reports.
OUTCOME_MEASURES: Mapping[str, OutcomeMeasure] = {measure.name: measure for measure in _ENTRIES}
