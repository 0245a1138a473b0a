"""When must how many people start for the capacity to be there, and what does a month of delay cost [C3].

Capacity is counted in full-rep equivalents: a fully ramped rep who sells all week is 1. People who start now
count little for months; people leave, and their successors start to ramp anew. Both are expected values in
closed form here (a renewal equation by week), so that a hiring plan needs no simulation where capacity is
asked for, and few where bookings are.
"""

from __future__ import annotations

import math
from calendar import monthrange
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from salessim.engine import HORIZON, SampledOutcome, simulate
from salessim.errors import PlanError, listed
from salessim.model import Hire, Rep, Role, Scenario
from salessim.periods import WEEKS_PER_QUARTER
from salessim.studies.sensitivity import on_same_luck, team_bookings

__all__ = ["HiringPlan", "cost_of_delay", "expected_capacity", "hiring_plan"]

FloatArray = npt.NDArray[np.float64]

#: A quarter counts as still within reach where a hire on the earliest day brings at least this part of what a
#: fully ramped rep brings in it. Below it one would hire crowds of beginners for a single quarter.
LEAST_PRODUCTIVITY = 0.5
#: Most people on one day: the limit of :class:`salessim.model.Hire`.
MOST_HIRES = 1000
#: A need counts as met within a thousandth: nobody hires one more for less, and simulated means are rough.
CLOSE_ENOUGH = 1e-3
#: Where one more full rep adds less than this part of what the average one has, more people add nothing.
NOTHING = 0.01


@dataclass(frozen=True)
class HiringPlan:
    """Who must start when, and what each quarter has then."""

    starts: pd.DataFrame
    """One row per start: start, decide_by, hires, role, fully_ramped (day on which 95 % of full productivity
    is reached). Empty: nobody needs to be, or can be, hired."""
    quarters: pd.DataFrame
    """One row per quarter: quarter, needed, without_hires, with_hires, missing (0: enough), note; in full-rep
    equivalents (mean of the quarter) or in currency. NaN in needed: nothing is asked of the quarter."""
    needed_in: Literal["capacity", "bookings"]
    """What the quarters are counted in."""
    scenario: Scenario
    """The scenario with the hires in it."""


def expected_capacity(scenario: Scenario) -> FloatArray:
    """Expected productivity of each seat by week of the horizon, shape (reps, weeks): like
    :meth:`Scenario.capacity <salessim.model.Scenario.capacity>`, with the people who leave.

    The rules are those of the simulator: whoever sits there when the scenario begins (quarters before the
    horizon included), or starts later, leaves at the beginning of each week with chance
    1 − (1 − attrition)^(1/52). The seat of a leaver is empty for backfill_weeks; then a successor starts to
    ramp, who may leave as well. That is a renewal equation, solved week by week. Without attrition the
    capacity is what the scenario says.

    >>> from salessim.library import example_scenario
    >>> bool((expected_capacity(example_scenario()) == example_scenario().capacity()).all())
    True
    """
    worked = scenario.calendar.worked_periods()
    there = scenario.headcount(worked) > 0
    selling = scenario.time_to_sell(worked) * there
    levels = scenario.capacity(worked)
    seats = {role.name: _new_seat(role, levels.shape[1]) for role in scenario.roles}
    for index, rep in enumerate(scenario.team()):
        role = scenario.role(rep.role)
        if not role.attrition_per_year or not there[index].any():
            continue
        start = int(np.flatnonzero(there[index])[0])
        stays = (1 - role.attrition_per_year) ** (1 / 52)
        present = stays ** np.arange(1, levels.shape[1] - start + 1)
        leaves = present / stays - present  # share of first holders who leave in each week since the start
        followed = np.convolve(np.append(np.zeros(_backfill_weeks(role)), leaves), seats[rep.role])
        levels[index, start:] *= present
        levels[index, start:] += followed[: len(present)] * selling[index, start:]
    return levels[:, (len(worked) - scenario.calendar.quarters) * WEEKS_PER_QUARTER :]


def _new_seat(role: Role, weeks: int) -> FloatArray:
    """Expected productivity of a seat by weeks since a successor started in it, shape (weeks,)."""
    stays = (1 - role.attrition_per_year) ** (1 / 52)
    level = np.asarray(role.ramp.productivity(np.arange(weeks)) * stays ** np.arange(weeks), dtype=np.float64)
    lag = _backfill_weeks(role)
    for week in range(weeks):
        left = np.arange(1, week - lag + 1)  # week of tenure in which the successor left
        level[week] += (1 - stays) * float(stays ** (left - 1) @ level[week - lag - left])
    return level


def _backfill_weeks(role: Role) -> int:
    return role.hiring_lead_weeks if role.backfill_weeks is None else role.backfill_weeks


def hiring_plan(
    scenario: Scenario,
    *,
    needed: Mapping[str, float],
    needed_in: Literal["capacity", "bookings"] = "capacity",
    role: str | None = None,
    as_of: date | None = None,
    least_productivity: float = LEAST_PRODUCTIVITY,
    trials: int = 2_000,
    seed: int = 1,
) -> HiringPlan:
    """When must how many people start so that every quarter has what it needs: as few as possible, and these
    as late as possible.

    Everybody starts on the first of a month of the horizon. Starts are whole numbers that minimise the number
    of people, then the weeks on the payroll (an integer programme). A quarter that is too close for people
    who can still be hired is not hired for; what it will miss is stated.

    Args:
        scenario: the world as it is, with the hires that are planned already.
        needed: quarter → what it needs; quarters left out need nothing. capacity: full-rep equivalents of
            the role, the mean over the weeks of the quarter, expected leavers and backfill included
            (:func:`expected_capacity`). bookings: expected bookings of the team in currency; what a hire adds
            is then worked out by the simulator, cycle included: self-sourced leads come with each hire,
            inbound leads are only shared with more people, and with a limit on open deals or hours more
            people lose fewer of them.
        needed_in: "capacity" or "bookings".
        role: role of the hires; left out: the only role of the scenario.
        as_of: day on which can be decided; left out: the day before the horizon begins. Nobody starts before
            as_of plus the role's hiring_lead_weeks.
        least_productivity: a quarter is within reach where a hire on the earliest day brings at least this
            part of what a fully ramped rep, there from the first day, brings in it.
        trials: simulated horizons, for bookings where the exact engine is not valid.
        seed: seed of the random streams, there.

    Returns:
        The starts with the day by which each must be decided, and the quarters without and with them.

    Raises:
        PlanError: unknown quarter or role, needs that are no numbers of 0 or more, or more than 1,000 hires
            on one day.

    >>> from salessim.library import example_scenario
    >>> plan = hiring_plan(example_scenario(), needed={"2026Q4": 11.5, "2027Q2": 14.0})
    >>> plan.starts[["start", "hires"]].values.tolist()
    [[datetime.date(2027, 1, 1), 2], [datetime.date(2027, 2, 1), 1]]
    >>> plan.quarters["missing"].round(2).tolist()  # 2026Q4 is too close
    [0.0, 1.24, 0.0, 0.0]
    """
    chosen = _role(scenario, role)
    quarters = [str(quarter) for quarter in scenario.calendar.periods()]
    need = _need(needed, quarters)
    if needed_in not in ("capacity", "bookings"):
        raise PlanError(f"needed_in is {needed_in!r}; it must be 'capacity' or 'bookings'")
    if not 0 <= least_productivity <= 1:
        raise PlanError(f"least_productivity is {least_productivity!r}; it must lie between 0 and 1")
    begin = scenario.calendar.periods()[0].start
    decided = begin - timedelta(days=1) if as_of is None else as_of
    starts = _month_starts(max(begin, decided + timedelta(weeks=chosen.hiring_lead_weeks)), scenario)

    def brings(world: Scenario) -> FloatArray:
        """What the quarters have in a world, (quarters,)."""
        if needed_in == "capacity":
            own = np.array([rep.role == chosen.name for rep in world.team()])
            weekly = expected_capacity(world)[own].sum(axis=0)
            return np.asarray(weekly.reshape(-1, WEEKS_PER_QUARTER).mean(axis=1))
        outcome = simulate(world, engine=engine, trials=trials, seed=seed)
        return np.array([outcome.expected_bookings(quarter).sum() for quarter in quarters])

    def short(having: FloatArray) -> FloatArray:
        """What is missing, (quarters,)."""
        return np.asarray(np.where(need > having * (1 + CLOSE_ENOUGH), need - having, 0.0))

    engine: Literal["auto", "flow"] = "auto"
    if needed_in == "bookings":
        # one engine for all worlds, so that their differences are not luck
        tried = on_same_luck([scenario, _with_full_rep(scenario, chosen)], trials=trials, seed=seed)
        engine = "flow" if isinstance(tried[0], SampledOutcome) else "auto"
    hired = dict.fromkeys(starts, 0)
    without = having = brings(scenario)
    world, notes = scenario, [""] * len(quarters)
    while short(having).any():
        full = brings(_with_full_rep(world, chosen)) - having
        gains = np.array([brings(_with_hires(world, chosen, {start: 1})) - having for start in starts])
        people = np.maximum(world.headcount().sum(axis=0).reshape(-1, WEEKS_PER_QUARTER).mean(axis=1), 1.0)
        helps = full > NOTHING * having / people
        first = gains[0] if starts else np.zeros(len(quarters))
        soon = first > np.maximum(least_productivity - 1e-9, 1e-9) * full
        notes = [_note(*why) for why in zip(short(having) > 0, helps, soon, strict=True)]
        open_gaps = np.where(helps & soon, short(having), 0.0)
        if not open_gaps.any():
            break
        # where hires share leads each brings less than the one before: what is still short comes round again
        more = _fewest(gains, open_gaps, starts, scenario)
        hired = {start: hired[start] + number for start, number in zip(starts, more, strict=True)}
        world = _with_hires(scenario, chosen, hired)
        having, notes = brings(world), [""] * len(quarters)
    return HiringPlan(
        starts=_starts_table(hired, chosen),
        quarters=pd.DataFrame(
            {
                "quarter": quarters,
                "needed": need,
                "without_hires": without,
                "with_hires": having,
                "missing": short(having),
                "note": notes,
            }
        ),
        needed_in=needed_in,
        scenario=world,
    )


def cost_of_delay(
    scenario: Scenario,
    *,
    hires: int,
    start: date,
    role: str | None = None,
    months: Sequence[int] = (1, 2, 3),
    period: str = HORIZON,
    trials: int = 4_000,
    seed: int = 1,
) -> pd.DataFrame:
    """What it costs in bookings when people start later than they could.

    The same people, with the same luck, start on the day or months later; all else is alike. Where the
    expected values are exact, the same luck means that wins of a quarter have the same rank among what is
    possible: a good quarter is a good one with either start. So the chance of a loss says how often a delay
    leaves less, not how often somebody could tell.

    Args:
        scenario: the world without these hires.
        hires: how many start together.
        start: first working day without delay.
        role: role of the hires; left out: the only role of the scenario.
        months: delays to look at.
        period: a quarter of the scenario, or "horizon".
        trials: simulated horizons.
        seed: seed of the random streams.

    Returns:
        One row per delay: months, start, decide_by (start less the time it takes to hire), expected_bookings
        (of the team, with that start), lost (expected; solved exactly where that is valid), lost_low,
        lost_high (P10 and P90 of the difference in a trial), chance_of_loss (share of trials in which the
        delay costs anything), engine (of the expected values), trials.

    Raises:
        PlanError: no hires, a start outside of the scenario, unknown role, or a delay of less than a month.
        EngineError: unknown period.

    >>> from salessim.library import example_scenario
    >>> table = cost_of_delay(example_scenario(), hires=2, start=date(2026, 10, 1), months=[1, 3], trials=200)
    >>> table["start"].tolist(), bool(table["lost"].is_monotonic_increasing)
    ([datetime.date(2026, 11, 1), datetime.date(2027, 1, 1)], True)
    """
    chosen = _role(scenario, role)
    if not 1 <= hires <= MOST_HIRES:
        raise PlanError(f"hires is {hires!r}; it must be 1 to {MOST_HIRES:,}")
    first, last = scenario.calendar.worked_periods()[0].start, scenario.calendar.periods()[-1].end
    if not first <= start <= last:
        raise PlanError(f"start is {start}; it must lie between {first} and {last}")
    if any(delay < 1 for delay in months):
        raise PlanError(f"months is {list(months)}; each delay must be 1 month or more")
    days = [start, *(_later(start, delay) for delay in months)]
    # as reps with names of their own, not as hires, which are named, and have their luck, by their start
    worlds = [
        scenario.model_copy(
            update={
                "reps": (
                    *scenario.reps,
                    *(
                        Rep(name=f"new {chosen.name} #{k + 1}", role=chosen.name, start=day)
                        for k in range(hires)
                    ),
                )
            }
        )
        for day in days
    ]
    outcomes = on_same_luck(worlds, trials=trials, seed=seed)
    expected = [float(outcome.expected_bookings(period).sum()) for outcome in outcomes]
    drawn = []
    for world, outcome in zip(worlds, outcomes, strict=True):
        sampled = outcome
        if not isinstance(sampled, SampledOutcome):
            sampled = simulate(world, engine="thinning", trials=trials, seed=seed)
            assert isinstance(sampled, SampledOutcome)
        drawn.append(team_bookings(sampled, period))
    rows = []
    for delay, day, bookings, later in zip(months, days[1:], expected[1:], drawn[1:], strict=True):
        lost = drawn[0] - later
        low, high = np.quantile(lost, [0.1, 0.9])
        # sums of the same amounts in another order differ in the last digits: less than a cent is nothing
        chance = float((lost >= 0.01).mean())
        decide = day - timedelta(weeks=chosen.hiring_lead_weeks)
        row = [delay, day, decide, bookings, expected[0] - bookings, float(low), float(high), chance]
        rows.append([*row, outcomes[0].engine, trials])
    columns = ["months", "start", "decide_by", "expected_bookings", "lost", "lost_low", "lost_high"]
    return pd.DataFrame(rows, columns=[*columns, "chance_of_loss", "engine", "trials"])


def _role(scenario: Scenario, name: str | None) -> Role:
    names = [role.name for role in scenario.roles]
    if name is None and len(names) > 1:
        raise PlanError(f"the scenario has several roles; say which one to hire: {listed(names)}")
    if name is not None and name not in names:
        raise PlanError(f"role is {name!r}; it must be one of {listed(names)}")
    return scenario.role(names[0] if name is None else name)


def _need(needed: Mapping[str, float], quarters: list[str]) -> FloatArray:
    """What each quarter needs, (quarters,); NaN: nothing is asked of it."""
    for quarter, amount in needed.items():
        if quarter not in quarters:
            raise PlanError(f"needed names quarter {quarter!r}; the scenario covers {listed(quarters)}")
        if not (math.isfinite(amount) and amount >= 0):
            raise PlanError(f"needed in {quarter} is {amount!r}; it must be a number of 0 or more")
    return np.array([needed.get(quarter, math.nan) for quarter in quarters])


def _month_starts(earliest: date, scenario: Scenario) -> list[date]:
    """Firsts of the months of the horizon from a day on."""
    begin, end = scenario.calendar.periods()[0].start, scenario.calendar.periods()[-1].end
    firsts = [_later(begin, month) for month in range(3 * scenario.calendar.quarters)]
    return [day for day in firsts if earliest <= day <= end]


def _later(day: date, months: int) -> date:
    """The same day so many months later; the last of the month where it is too short."""
    count = day.year * 12 + day.month - 1 + months
    year, month = count // 12, count % 12 + 1
    return date(year, month, min(day.day, monthrange(year, month)[1]))


def _with_hires(scenario: Scenario, role: Role, hires: Mapping[date, int]) -> Scenario:
    """The scenario with more hires; those who start on the day of a planned hire in the role join it, so that
    names stay unique, and the others keep theirs (and with them their luck)."""
    planned = list(scenario.hires)
    for start, number in hires.items():
        if number == 0:
            continue
        same = next(
            (k for k, hire in enumerate(planned) if (hire.role, hire.start) == (role.name, start)), None
        )
        there = 0 if same is None else planned[same].count
        if there + number > MOST_HIRES:
            raise PlanError(f"{there + number:,} hires would start on {start}; at most {MOST_HIRES:,} can")
        if same is None:
            planned.append(Hire(role=role.name, start=start, count=number))
        else:
            planned[same] = planned[same].model_copy(update={"count": there + number})
    return scenario.model_copy(update={"hires": tuple(planned)})


def _with_full_rep(scenario: Scenario, role: Role) -> Scenario:
    """The scenario with one more rep who is fully ramped from the first day."""
    more = Rep(name=f"one more {role.name}", role=role.name)
    return scenario.model_copy(update={"reps": (*scenario.reps, more)})


def _fewest(gains: FloatArray, gaps: FloatArray, starts: list[date], scenario: Scenario) -> list[int]:
    """Hires by start, as few as close all gaps, and these as late as possible.

    Args:
        gains: what one hire brings, (start, quarter).
        gaps: what is missing, (quarter,); 0: nothing.
        starts: the days.
        scenario: gives the end of the weeks on the payroll.
    """
    from scipy.optimize import Bounds, LinearConstraint, milp

    asked = gaps > 0
    closes = LinearConstraint(gains[:, asked].T / gaps[asked, None], lb=1.0)
    each = np.ones(len(starts))
    bounds = Bounds(0, MOST_HIRES)
    fewest = milp(each, constraints=closes, integrality=each, bounds=bounds)
    if not fewest.success:
        raise PlanError(f"more than {MOST_HIRES:,} people would have to start on one day; needed is too much")
    weeks = np.array([(scenario.calendar.periods()[-1].end - start).days / 7 for start in starts])
    number = round(fewest.fun)
    as_few = LinearConstraint(each, lb=number, ub=number)
    latest = milp(weeks, constraints=[closes, as_few], integrality=each, bounds=bounds)
    return [round(people) for people in (latest if latest.success else fewest).x]


def _note(short: bool, helps: bool, soon: bool) -> str:
    if not short:
        return ""
    if not helps:
        return "more people bring no more here: they share the same leads"
    if not soon:
        return "too close: nobody who can still be hired is productive enough by then"
    return ""


def _starts_table(hired: Mapping[date, int], role: Role) -> pd.DataFrame:
    ramp = timedelta(weeks=role.ramp.weeks_to_full())
    rows = [
        [start, start - timedelta(weeks=role.hiring_lead_weeks), number, role.name, start + ramp]
        for start, number in hired.items()
        if number
    ]
    return pd.DataFrame(rows, columns=["start", "decide_by", "hires", "role", "fully_ramped"])
