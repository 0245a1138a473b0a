"""Which lever moves the plan most: each alone (tornado), and all together within our doubt (Sobol indices).

A tornado moves one lever at a time by the same share and ranks them by what that does to expected bookings.
Sobol indices let all levers vary at once, each within a range of its own, and say which share of the spread
of the answer comes from which lever: alone (first order), and with all that it does together with others
(total).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt
import pandas as pd

from salessim import formats
from salessim.engine import HORIZON, Outcome, SampledOutcome, simulate
from salessim.errors import EngineError, PlanError, listed
from salessim.intervals import LEVEL, Z
from salessim.model import Scenario
from salessim.plans import Lever, QuotaPlan, with_lever
from salessim.plans.levers import with_stage_conversion

__all__ = ["SENSITIVITY_LEVERS", "SobolMeasure", "sobol_indices", "tornado"]

FloatArray = npt.NDArray[np.float64]

#: What a sales year hangs on, of the levers that can go either way.
SENSITIVITY_LEVERS: tuple[Lever, ...] = ("win rate", "deal size", "leads", "ramp", "attrition", "cycle")

SobolMeasure = Literal["expected bookings", "chance of plan", "P10"]


def tornado(
    scenario: Scenario,
    *,
    target: float | None = None,
    plan: QuotaPlan | None = None,
    period: str = HORIZON,
    change: float = 0.10,
    levers: Sequence[Lever] = SENSITIVITY_LEVERS,
    by_stage: bool = True,
    trials: int = 4_000,
    seed: int = 1,
) -> pd.DataFrame:
    """Rank the levers by what the same relative change of each does to the team's bookings.

    All worlds are solved exactly where that is valid for every one of them; else all are simulated on the
    same seed, so that their difference is not luck.

    Args:
        scenario: the world as it is.
        target: bookings of the team in the period whose chance is asked for, in currency.
        plan: gives the target where it states a team plan.
        period: a quarter of the scenario, or "horizon".
        change: relative change to either side, between 0 and 1; what it means for each lever stands in
            :func:`salessim.plans.with_lever` (ramp, cycle: shorter by so much; attrition: more of it).
        levers: which to move; reps can only be added, so their low end is the world as it is.
        by_stage: also move the conversion of each single stage of each segment (of a stage that qualifies:
            its sensitivity).
        trials: simulated horizons, where the exact engine is not valid.
        seed: seed of the random streams, there.

    Returns:
        One row per lever and stage, largest swing first: lever, segment, stage ("" where the whole lever is
        meant), low_change, high_change (a stage's end is what is left to gain, where that is less),
        bookings_low, bookings_base, bookings_high (expected, of the team), p10_low, p90_low, p10_base,
        p90_base, p10_high, p90_high (of the team's bookings), chance_low, chance_base, chance_high (of the
        target; NaN: none given), swing (difference of expected bookings between the ends, never negative),
        swing_low, swing_high (80 % interval of its sampling error; the swing itself where it is exact),
        engine, trials (0: exact), note.

    Raises:
        PlanError: an unknown lever, or a change or target that makes no sense.
        EngineError: unknown period.

    >>> from salessim.library import example_plan, example_scenario
    >>> table = tornado(example_scenario(), plan=example_plan(), levers=["leads", "cycle"], by_stage=False)
    >>> table["lever"].tolist(), bool((table["chance_high"] > table["chance_base"]).all())
    (['leads', 'cycle'], True)
    """
    if not 0 < change < 1:
        raise PlanError(f"change is {change!r}; it must lie between 0 and 1, such as 0.1 for 10 %")
    wanted = _target(target, plan, scenario, period)
    rows: list[tuple[str, str, str, float, float]] = [
        (lever, "", "", 0.0 if lever == "reps" else -change, change) for lever in levers
    ]
    worlds = [
        (with_lever(scenario, lever=lever, change=low), with_lever(scenario, lever=lever, change=high))
        for lever, (_, _, _, low, high) in zip(levers, rows, strict=True)
    ]
    if by_stage:
        for segment in scenario.segments:
            for k, stage in enumerate(segment.stages):
                low, base, high = (
                    with_stage_conversion(scenario, segment=segment.name, stage=stage.name, change=c)
                    for c in (-change, 0.0, change)
                )
                before, after = _level(base, segment.name, k), _level(high, segment.name, k)
                reached = min(after / before - 1, change) if before > 0 else 0.0
                rows.append(("stage conversion", segment.name, stage.name, -change, reached))
                worlds.append((low, high))
    base_outcome, *outcomes = on_same_luck(
        [scenario, *(world for pair in worlds for world in pair)], trials=trials, seed=seed
    )
    table = pd.DataFrame(
        [
            [*row, *_compared(low, base_outcome, high, wanted, period)]
            for row, low, high in zip(rows, outcomes[::2], outcomes[1::2], strict=True)
        ],
        columns=["lever", "segment", "stage", "low_change", "high_change", *_COMPARED],
    )
    table["engine"] = base_outcome.engine
    table["trials"] = base_outcome.trials or 0
    table["note"] = [
        _tornado_note(lever, reached, moved, change, scenario)
        for lever, reached, moved in zip(
            table["lever"], table["high_change"], table["swing"] > 1e-9 * table["bookings_base"], strict=True
        )
    ]
    return table.sort_values("swing", ascending=False, kind="stable", ignore_index=True)


def sobol_indices(
    scenario: Scenario,
    *,
    ranges: Mapping[Lever, tuple[float, float]] | None = None,
    measure: SobolMeasure = "expected bookings",
    target: float | None = None,
    plan: QuotaPlan | None = None,
    period: str = HORIZON,
    samples: int = 256,
    trials: int = 200,
    seed: int = 1,
) -> pd.DataFrame:
    """Share of the spread of a measure that comes from each lever, when all of them are in doubt at once.

    Every lever varies evenly (uniform law) and on its own within its range. The first-order index is the
    share of the variance that knowing this lever would remove; the total index is what would be left if all
    others were known. Where the two differ, the lever works together with others. The world is worked out
    ``samples`` × (levers + 2) times: exactly where that is valid all over the ranges, else by simulation
    with few trials on one and the same seed, so that the measure is a function of the levers without noise
    of its own (a slightly uneven one: take more trials where it matters).

    Args:
        scenario: the world as it is.
        ranges: lever → lowest and highest relative change; left out: ± 10 % of conversion (win rate), deal
            size, leads, ramp, attrition and cycle. Your own doubt about each makes the answer yours.
        measure: expected bookings of the team; its chance to book the target; or the P10 of its bookings.
        target: bookings of the team in the period, in currency (for the chance).
        plan: gives the target where it states a team plan.
        period: a quarter of the scenario, or "horizon".
        samples: base points of the Sobol sequence, a power of 2.
        trials: simulated horizons of each point, where the exact engine is not valid.
        seed: seed of the sequence, the bootstrap, and the simulations; at least 1.

    Returns:
        One row per lever, largest total index first: lever, range_low, range_high, first_order,
        first_order_low, first_order_high, total, total_low, total_high (80 % intervals: bootstrap over the
        sampled points, normal law), samples, engine, note. By chance an interval can reach below 0 or above
        1. NaN: the measure does not move at all within the ranges, so there is no spread to share out.

    Raises:
        PlanError: an unknown lever, a range that does not rise, or no target where one is needed.
        EngineError: unknown measure or period, samples that are no power of 2, or a seed below 1.

    Source: Saltelli (2002) and Saltelli et al. (2010), as in the SALib library.

    >>> from salessim.library import example_scenario
    >>> table = sobol_indices(
    ...     example_scenario(), ranges={"leads": (-0.1, 0.1), "ramp": (-0.3, 0.3)}, samples=16
    ... )
    >>> table["lever"].tolist()
    ['leads', 'ramp']
    """
    from SALib.analyze import sobol as analysis
    from SALib.sample import sobol as sequence

    chosen = dict.fromkeys(SENSITIVITY_LEVERS, (-0.1, 0.1)) if ranges is None else dict(ranges)
    if not chosen:
        raise PlanError("ranges is empty; give at least one lever with its range")
    if measure not in get_args(SobolMeasure):
        raise EngineError(f"measure is {measure!r}; it must be one of {listed(get_args(SobolMeasure))}")
    if samples < 2 or samples & (samples - 1):
        raise EngineError(f"samples is {samples}; it must be a power of 2, such as 256")
    if seed < 1:
        raise EngineError(f"seed is {seed}; it must be 1 or more")
    for lever, (low, high) in chosen.items():
        if not low < high:
            raise PlanError(f"ranges: '{lever}' goes from {low!r} to {high!r}; a range must rise")
        for end in (low, high):
            with_lever(scenario, lever=lever, change=end)  # says what is wrong with an end
    wanted = _target(target, plan, scenario, period)
    if measure == "chance of plan" and math.isnan(wanted):
        raise PlanError("the chance of plan needs a target, or a plan that states a team plan")
    engine = _engine_all_over(scenario, chosen, trials=trials, seed=seed)

    def value(changes: FloatArray) -> float:
        world = _moved(scenario, dict(zip(chosen, changes.tolist(), strict=True)))
        outcome = simulate(world, engine=engine, trials=trials, seed=seed)
        if measure == "expected bookings":
            return float(outcome.expected_bookings(period).sum())
        if measure == "P10":
            return float(outcome.team_quantiles([0.1], period)[0])
        return float(outcome.team_chance_at_least(wanted, period))

    problem = {"num_vars": len(chosen), "names": list(chosen), "bounds": [list(r) for r in chosen.values()]}
    points = sequence.sample(problem, samples, calc_second_order=False, seed=seed)
    values = np.array([value(point) for point in points])
    moves = bool(np.ptp(values) > 1e-12 * np.abs(values).max())
    index = dict.fromkeys(["S1", "S1_conf", "ST", "ST_conf"], np.full(len(chosen), np.nan))
    if moves:
        index = analysis.analyze(
            problem, values, calc_second_order=False, num_resamples=1_000, conf_level=LEVEL, seed=seed
        )
    table = pd.DataFrame(
        {
            "lever": list(chosen),
            "range_low": [low for low, _ in chosen.values()],
            "range_high": [high for _, high in chosen.values()],
            "first_order": index["S1"],
            "first_order_low": index["S1"] - index["S1_conf"],
            "first_order_high": index["S1"] + index["S1_conf"],
            "total": index["ST"],
            "total_low": index["ST"] - index["ST_conf"],
            "total_high": index["ST"] + index["ST_conf"],
            "samples": samples,
            "engine": engine,
        }
    )
    table["note"] = [
        _sobol_note(first, first_low, total, total_low)
        for first, first_low, total, total_low in zip(
            table["first_order"], table["first_order_low"], table["total"], table["total_low"], strict=True
        )
    ]
    return table.sort_values("total", ascending=False, kind="stable", ignore_index=True)


def on_same_luck(scenarios: Sequence[Scenario], *, trials: int, seed: int) -> list[Outcome]:
    """Outcomes of several worlds that may be compared: all exact, or all simulated on the same seed."""
    outcomes = [simulate(scenario, trials=trials, seed=seed) for scenario in scenarios]
    sampled = [isinstance(outcome, SampledOutcome) for outcome in outcomes]
    if not any(sampled):
        return outcomes
    return [
        outcome if done else simulate(scenario, engine="flow", trials=trials, seed=seed)
        for scenario, outcome, done in zip(scenarios, outcomes, sampled, strict=True)
    ]


def team_bookings(outcome: SampledOutcome, period: str) -> FloatArray:
    """Bookings of the team in each trial, shape (trials,)."""
    return np.asarray(outcome.bookings[:, :, outcome.quarters_of(period)].sum(axis=(1, 2)))


_COMPARED = [
    *("bookings_low", "bookings_base", "bookings_high"),
    *("p10_low", "p90_low", "p10_base", "p90_base", "p10_high", "p90_high"),
    *("chance_low", "chance_base", "chance_high"),
    *("swing", "swing_low", "swing_high"),
]


def _compared(low: Outcome, base: Outcome, high: Outcome, target: float, period: str) -> list[float]:
    """The figures of one row of the tornado, in the order of ``_COMPARED``."""
    three = (low, base, high)
    expected = [float(outcome.expected_bookings(period).sum()) for outcome in three]
    ranges = [float(q) for outcome in three for q in outcome.team_quantiles([0.1, 0.9], period)]
    chances = [
        math.nan if math.isnan(target) else float(outcome.team_chance_at_least(target, period))
        for outcome in three
    ]
    swing, error = abs(expected[2] - expected[0]), 0.0
    if isinstance(low, SampledOutcome) and isinstance(high, SampledOutcome):
        difference = team_bookings(high, period) - team_bookings(low, period)
        error = Z * float(difference.std(ddof=1)) / math.sqrt(len(difference))
    return [*expected, *ranges, *chances, swing, swing - error, swing + error]


def _target(target: float | None, plan: QuotaPlan | None, scenario: Scenario, period: str) -> float:
    """Bookings whose chance is asked for; NaN: none given."""
    if target is None:
        return math.nan if plan is None else plan.team_plan(scenario, period)
    if plan is not None:
        raise PlanError("give either a target or a plan that states one, not both")
    if not (math.isfinite(target) and target > 0):
        raise PlanError(f"target is {target!r}; it must be an amount above 0")
    return target


def _level(scenario: Scenario, segment: str, stage: int) -> float:
    """What with_stage_conversion moves: the conversion, or the sensitivity of a stage that qualifies."""
    moved = scenario.segment(segment).stages[stage]
    return moved.conversion or 0.0 if moved.qualification is None else moved.qualification.sensitivity


def _tornado_note(lever: str, reached: float, moved: bool, change: float, scenario: Scenario) -> str:
    if lever == "attrition" and not any(role.attrition_per_year for role in scenario.roles):
        return "the scenario states no attrition"
    if lever == "ramp" and not (scenario.capacity() < scenario.headcount()).any():
        return "nobody is ramping"
    if not moved:
        return "moves nothing here"
    if lever == "stage conversion" and reached < change - 1e-9:
        return f"cannot rise by more than {formats.percent(reached, digits=1)}"
    return ""


def _engine_all_over(
    scenario: Scenario, ranges: Mapping[Lever, tuple[float, float]], *, trials: int, seed: int
) -> Literal["exact", "flow"]:
    """The engine that is valid at every point of the ranges.

    A limit binds first where reps hold most open deals: many leads, good conversions, a slow cycle, few reps
    (for ramps at one end or the other).
    """
    heavy = {lever: low if lever in ("cycle", "reps") else high for lever, (low, high) in ranges.items()}
    for ramp in ranges.get("ramp", (0.0,)):
        corner = _moved(scenario, {**heavy, "ramp": ramp})
        if isinstance(simulate(corner, trials=trials, seed=seed), SampledOutcome):
            return "flow"
    return "exact"


def _moved(scenario: Scenario, changes: Mapping[Lever, float]) -> Scenario:
    """The scenario with several levers moved."""
    for lever, change in changes.items():
        scenario = with_lever(scenario, lever=lever, change=change)
    return scenario


def _sobol_note(first: float, first_low: float, total: float, total_low: float) -> str:
    if math.isnan(total):
        return "the measure does not move within these ranges"
    if total == 0:
        return "moves nothing here"
    if total_low <= 0:
        return "not distinguishable from 0"
    if first_low <= 0:
        return "first order not distinguishable from 0"
    return ""
