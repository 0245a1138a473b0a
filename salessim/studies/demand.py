"""Demand: how many leads and open deals a plan needs, and what is normal on the way to a win [A8].

The spreadsheet's answer divides the target by deal size and win chance and moves the leads forward by the
sales cycle. It is right on average, so a team that gets exactly these leads misses its plan about every
second time. The simulated answer stands beside it: the leads that give the plan a wanted chance.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.optimize import brentq

from salessim.engine import HORIZON, Engine, ExactOutcome, Outcome, simulate
from salessim.engine.rates import Rates, leads_by_source, rates_of, win_chances, win_law
from salessim.errors import PlanError, listed
from salessim.intervals import Z
from salessim.model import Calendar, OpenDeal, Rep, Role, Scenario, Seasonality, Segment, Source
from salessim.periods import MONTH_OF_WEEK, WEEKS_PER_QUARTER, Quarter

__all__ = [
    "NEW_LEADS",
    "LeadPlan",
    "MqlNorm",
    "lead_plan",
    "leads_to_hold",
    "mql_norm",
    "stage_norms",
]

FloatArray = npt.NDArray[np.float64]


#: How far the time from lead to win is looked at.
LONGEST_CYCLE = 520
#: The largest factor on leads that is tried.
MOST = 20.0
#: A factor that is counted over trials is found to half a percent.
PRECISION = 0.005
#: Where the last doubling of the leads adds less than this share of bookings, capacity is what is short.
SATURATED = 0.10
#: More open deals than this in one stage count as out of reach of one rep.
MOST_DEALS = 10_000
#: Stage name of the row for leads that arrive during the quarter.
NEW_LEADS = "new leads per week"

#: What is counted in a lead plan, and its three columns.
COUNTED = ("leads", "mql", "sql", "opportunities", "cost")
ANSWERS = ("now", "closed_form", "simulated")
_CALLED = {"mql": "MQL", "sql": "SQL", "opportunities": "opportunity"}


@dataclass(frozen=True)
class LeadPlan:
    """Leads that a team plan needs: the spreadsheet's answer and the simulated one."""

    scenario: Scenario
    targets: tuple[float, ...]
    """Bookings planned for each quarter of the horizon, in currency."""
    chance: float
    """Wanted chance that the team books the sum of the targets within the horizon."""
    sources: tuple[str, ...]
    """Names of the sources whose leads move; the others bring what they bring today."""
    engine: str
    """Engine of the simulated answer."""
    trials: int | None
    """Simulated horizons; None: solved without sampling error."""
    seed: int | None
    """Seed of the random streams; None: no randomness was used."""
    chance_now: float
    """Chance of the plan with today's leads."""
    closed_form_factor: float
    """Bookings that the moving leads of the horizon must bring relative to what they bring today, on
    average; 0: the plan is met on average without them."""
    chance_closed_form: float
    """Chance of the plan with ``leads_closed_form``: about a half, and less where capacity or people who
    leave, which the closed form knows nothing of, take from it."""
    reachable: bool
    """Whether any factor up to ``largest_tried`` gives the wanted chance."""
    factor: float
    """Factor on all leads of ``sources`` that gives the wanted chance; below 1: fewer would do; 0: none are
    needed; NaN: not reachable."""
    factor_low: float
    """Lower end of the 80 % interval of the factor from sampling error; equals it on the exact engine."""
    factor_high: float
    """Upper end; NaN where the factor is, or where it lies beyond ``largest_tried``."""
    chance_reached: float
    """Chance of the plan at the factor; where it is not reachable, the best chance met on the way."""
    largest_tried: float
    """Largest factor that is looked at."""
    capacity_binds: bool
    """True where the chance is not reachable because the last doubling of leads hardly added bookings: the
    team cannot work on more."""
    leads: pd.DataFrame
    """One row per segment, source and month: segment, source, month, quarter, moves (whether the source is
    one of ``sources``), then for each of leads, mql, sql, opportunities and cost the columns ``…_now``,
    ``…_closed_form`` and ``…_simulated``. MQL, SQL and opportunities are counted with the month of the leads
    that become them; NaN: no stage counts as such. Cost is in currency; NaN: cost per lead not known.
    Simulated columns are NaN for moving sources where the chance is not reachable."""
    quarters: pd.DataFrame
    """One row per quarter: quarter, target, under_way (expected from open deals and from leads before the
    horizon), other_sources (expected from leads that do not move), expected_… and chance_… (of the quarter's
    target) for now, closed_form and simulated, then sums of the columns of ``leads`` (MQL, SQL and
    opportunities over the segments that have them; cost NaN unless every cost is known)."""
    by_source: pd.DataFrame
    """The decomposition, one row per segment and source: segment, source, kind, moves, deal_size (mean),
    win_chance (lead to win), mean_weeks_to_win, p90_weeks_to_win, share_of_target (of what moving leads must
    bring), wins_needed, leads_needed (wins ÷ win chance), leads_before_horizon (those of them that would have
    to arrive before the horizon begins; the leads of the horizon make up for them), then for now, closed_form
    and simulated: leads_… (of the horizon), too_late_… (leads that close, if they do, after its end), cost_….
    NaN: does not move, never wins, or (simulated) not reachable."""


@dataclass(frozen=True)
class MqlNorm:
    """What conversion a good MQL has, and how many the plan needs [A8]."""

    conversions: pd.DataFrame
    """One row per segment and source, and a last one for all: segment, source, mql_per_week (at the mean of
    today's leads over the horizon), mql_share (of leads), mql_to_sql, mql_to_opportunity, mql_to_won,
    sql_to_opportunity, sql_to_won, mql_per_win. With a plan also mql_to_won_on_average and
    mql_to_won_simulated: the conversion that today's number of MQL must have for the plan, on average and
    with its chance. NaN: no stage counts as such, none ever gets there, the source does not move, not
    reachable, or a conversion above 1 would be needed."""
    needed: pd.DataFrame
    """With a plan: one row per segment, source and quarter: segment, source, quarter, mql_now,
    mql_closed_form, mql_simulated; empty without."""


@dataclass(frozen=True)
class _Flow:
    """Leads of one source of one segment and what becomes of them."""

    index: int  # of the segment
    segment: Segment
    source: Source
    moves: bool
    leads: FloatArray  # (rep, week worked)
    law: FloatArray  # (week,) chance to be won so many weeks after arrival
    falls_in: FloatArray  # (week worked, quarter) chance of a lead to be won in each quarter
    skill: FloatArray  # (week worked,) mean skill of those who get the leads

    @property
    def weekly(self) -> FloatArray:
        """Leads of the team, (week worked,)."""
        return np.asarray(self.leads.sum(axis=0))

    @property
    def chance(self) -> float:
        return float(self.law.sum())

    @property
    def size(self) -> float:
        return self.segment.deal_size.moments()[0]

    def brings(self, weekly: FloatArray) -> FloatArray:
        """Expected bookings by quarter from so many leads a week of the team, (quarter,)."""
        return np.asarray(self.size * (weekly * self.skill) @ self.falls_in)


@dataclass(frozen=True)
class _Decomposition:
    """The spreadsheet's answer."""

    factor: float
    under_way: FloatArray  # (quarter,)
    others: FloatArray  # (quarter,)
    weekly: list[FloatArray]  # for each flow (week worked,)
    shares: list[float]  # for each flow of what moving leads must bring
    wins: list[float]
    before: list[float]  # leads that would have to arrive before the horizon


def lead_plan(
    scenario: Scenario,
    *,
    target: float | Sequence[float],
    quarter_shares: Sequence[float] | None = None,
    chance: float = 0.80,
    sources: Sequence[str] | None = None,
    engine: Engine = "auto",
    trials: int = 10_000,
    seed: int = 1,
    threads: int | None = None,
    most: float = MOST,
) -> LeadPlan:
    """How many leads marketing must bring, per segment, source and month, for a chance of the plan [A8].

    *Closed form*: what the moving sources must bring (the target less open deals, leads from before the
    horizon and other sources) is shared over them as they bring it today; divided by deal size and win chance
    it is a number of leads, which are moved forward by the law of the time from lead to win. The plan is
    taken to go on after the horizon at its mean, so leads do not run dry at the end. The leads of the horizon
    are then raised so that what closes within it is the target on average: that makes up for leads that
    would have had to come earlier and for those that close too late.

    *Simulated*: one factor on today's leads of the moving sources, with which the chance is the wanted one.
    On the exact engine it is solved by Brent's method; else it is halved down to 0.5 % on the same seed.

    Args:
        scenario: the world as it is.
        target: planned bookings of the team in currency: one amount for the horizon, or one per quarter.
        quarter_shares: share of one amount in each quarter of the horizon; left out: equal shares.
        chance: wanted chance, between 0 and 1, that the team books the sum of the targets in the horizon.
        sources: names of the sources whose leads can be moved; left out: all that are inbound, or all where
            none is.
        engine: "auto" takes the exact engine where it is valid; see :func:`salessim.engine.simulate`.
        trials: simulated horizons where the engine is not exact.
        seed: seed of the random streams.
        threads: threads used; they do not change results.
        most: largest factor that is tried.

    Raises:
        PlanError: a target, share, chance or name that is not allowed; sources that bring no leads, or whose
            leads are never won within the horizon.

    >>> from salessim.library import example_scenario
    >>> plan = lead_plan(example_scenario(), target=5_500_000.0)
    >>> plan.engine, round(plan.chance_reached, 3), bool(plan.factor > plan.closed_form_factor)
    ('exact', 0.8, True)
    >>> 0.4 < plan.chance_closed_form < 0.6
    True
    """
    targets = _targets(scenario, target, quarter_shares)
    _check_chance(chance)
    if not (math.isfinite(most) and most > 1):
        raise PlanError(f"most is {most!r}; it must be a factor above 1, such as {MOST:g}")
    moving = _moving(scenario, sources)
    flows = _flows(scenario, moving)
    closed = _decomposed(scenario, flows, targets)

    def simulated(world: Scenario) -> Outcome:
        return simulate(world, engine=engine, trials=trials, seed=seed, threads=threads)

    def with_weekly(weekly: Sequence[FloatArray]) -> Outcome:
        if exact:
            rates = replace(rates_of(scenario), wins=_wins(scenario, flows, weekly))
            return ExactOutcome(scenario, rates=rates)
        return simulated(_world(scenario, flows, weekly))

    def with_factor(factor: float) -> Outcome:
        return with_weekly([_scaled(scenario, flow, factor) for flow in flows])

    total = float(targets.sum())
    exact = simulated(scenario).engine == "exact"
    search = _search(with_factor, total, chance, most, start=closed.factor)
    if exact and any(role.capacity is not None for role in scenario.roles):
        # more leads may fill a capacity that today's leave free; the engine says so
        most_leads = [_scaled(scenario, f, search.factor if search.reachable else most) for f in flows]
        if simulated(_world(scenario, flows, most_leads)).engine != "exact":
            exact = False
            search = _search(with_factor, total, chance, most, start=closed.factor)
    now = with_factor(1.0)
    on_average = with_weekly(closed.weekly)
    there = with_factor(search.factor) if search.reachable else None
    shown = there if there is not None else on_average
    weekly = {
        "now": [flow.weekly for flow in flows],
        "closed_form": closed.weekly,
        "simulated": [_scaled(scenario, flow, search.factor) for flow in flows],
    }
    leads = _lead_table(scenario, flows, weekly)
    outcomes = {"now": now, "closed_form": on_average, "simulated": there}
    return LeadPlan(
        scenario=scenario,
        targets=tuple(float(amount) for amount in targets),
        chance=chance,
        sources=moving,
        engine=shown.engine,
        trials=shown.trials,
        seed=shown.seed,
        chance_now=float(now.team_chance_at_least(total, HORIZON)),
        closed_form_factor=closed.factor,
        chance_closed_form=float(on_average.team_chance_at_least(total, HORIZON)),
        reachable=search.reachable,
        factor=search.factor,
        factor_low=search.low,
        factor_high=search.high,
        chance_reached=search.chance,
        largest_tried=most,
        capacity_binds=search.saturated,
        leads=leads,
        quarters=_quarter_table(leads, closed, targets, outcomes),
        by_source=_source_table(scenario, flows, closed, weekly),
    )


def _targets(
    scenario: Scenario, target: float | Sequence[float], quarter_shares: Sequence[float] | None
) -> FloatArray:
    quarters = scenario.calendar.quarters
    if isinstance(target, int | float):
        shares = np.full(quarters, 1 / quarters) if quarter_shares is None else np.asarray(quarter_shares)
        if (
            shares.shape != (quarters,)
            or not (shares >= 0).all()
            or not math.isclose(shares.sum(), 1, abs_tol=1e-6)
        ):
            raise PlanError(
                f"quarter_shares is {list(shares)}; it must be {quarters} shares, one per quarter of the "
                "scenario, that add up to 1"
            )
        amounts = float(target) * shares
    else:
        if quarter_shares is not None:
            raise PlanError("quarter_shares goes with one target for the whole horizon, not with a list")
        amounts = np.asarray(target, dtype=np.float64)
    if amounts.shape != (quarters,):
        raise PlanError(f"target has {amounts.size} amounts; the scenario has {quarters} quarters")
    if not (np.isfinite(amounts).all() and (amounts >= 0).all() and amounts.sum() > 0):
        raise PlanError(f"target is {target!r}; it must be amounts of 0 or more, not all 0")
    return amounts


def _check_chance(chance: float) -> None:
    if not 0 < chance < 1:
        raise PlanError(f"chance is {chance!r}; it must lie between 0 and 1, such as 0.8")


def _moving(scenario: Scenario, sources: Sequence[str] | None) -> tuple[str, ...]:
    known = [source for segment in scenario.segments for source in segment.sources]
    names = tuple(dict.fromkeys(source.name for source in known))
    if not names:
        raise PlanError(f"scenario '{scenario.name}' has no source of leads; there is nothing to move")
    if sources is None:
        inbound = tuple(dict.fromkeys(source.name for source in known if source.kind == "inbound"))
        return inbound or names
    for name in sources:
        if name not in names:
            raise PlanError(f"sources names '{name}'; it must be among the sources: {listed(names)}")
    if not sources:
        raise PlanError(f"sources is empty; name at least one of {listed(names)}")
    return tuple(dict.fromkeys(sources))


def _before(scenario: Scenario) -> int:
    """Weeks worked before the horizon."""
    return scenario.calendar.quarters_before * WEEKS_PER_QUARTER


def _flows(scenario: Scenario, moving: Sequence[str]) -> list[_Flow]:
    skill = np.array([rep.skill_mean for rep in scenario.team()])
    edges = _before(scenario) + WEEKS_PER_QUARTER * np.arange(scenario.calendar.quarters + 1)
    flows = []
    for index, (segment, arrivals) in enumerate(
        zip(scenario.segments, leads_by_source(scenario), strict=True)
    ):
        for source, leads in zip(segment.sources, arrivals, strict=False):  # no source: one array of zeros
            law = win_law(segment, source, weeks=LONGEST_CYCLE)
            within = np.append(0.0, np.cumsum(law))  # [k]: won in fewer than k weeks
            waited = np.clip(edges[None, :] - np.arange(leads.shape[1])[:, None], 0, LONGEST_CYCLE)
            team = leads.sum(axis=0)
            flows.append(
                _Flow(
                    index=index,
                    segment=segment,
                    source=source,
                    moves=source.name in moving,
                    leads=leads,
                    law=law,
                    falls_in=np.diff(within[waited], axis=1),
                    skill=np.where(team > 0, skill @ leads / np.where(team > 0, team, 1.0), 1.0),
                )
            )
    return flows


def _scaled(scenario: Scenario, flow: _Flow, factor: float) -> FloatArray:
    """Leads a week with those of the horizon multiplied, where the source moves; (week worked,)."""
    weekly = flow.weekly
    if flow.moves:
        weekly[_before(scenario) :] *= factor
    return weekly


def _wins(scenario: Scenario, flows: Sequence[_Flow], weekly: Sequence[FloatArray]) -> FloatArray:
    """Expected wins by rep, segment, quarter of arrival and of the win, at so many leads a week."""
    quarters = scenario.calendar.quarters
    worked = scenario.calendar.quarters_before + quarters
    wins = np.zeros((len(scenario.team()), len(scenario.segments), worked, quarters))
    for flow, team in zip(flows, weekly, strict=True):
        now = flow.weekly
        leads = flow.leads * (team / np.where(now > 0, now, 1.0))
        by_quarter = leads.reshape(len(leads), worked, WEEKS_PER_QUARTER)
        chances = flow.falls_in.reshape(worked, WEEKS_PER_QUARTER, quarters)
        wins[:, flow.index] += np.einsum("raw,awq->raq", by_quarter, chances, optimize=True)
    return wins


class _Planned(Seasonality):
    """Season of leads that are planned week by week."""

    by_week: dict[str, tuple[float, ...]]  # quarter → factor on the leads of each of its weeks

    def factors(self, quarters: Sequence[Quarter]) -> FloatArray:
        as_they_are = (1.0,) * WEEKS_PER_QUARTER
        planned = [self.by_week.get(str(quarter), as_they_are) for quarter in quarters]
        return np.asarray(super().factors(quarters) * np.concatenate(planned))


def _world(scenario: Scenario, flows: Sequence[_Flow], weekly: Sequence[FloatArray]) -> Scenario:
    """The scenario with so many leads a week of the team from each source, for engines that simulate it.

    Every source becomes a segment of its own with the same funnel, so that it can have a season of its own.
    """
    before = _before(scenario)
    quarters = [str(quarter) for quarter in scenario.calendar.periods()]
    parts: dict[str, list[Segment]] = {segment.name: [] for segment in scenario.segments}
    for flow, team in zip(flows, weekly, strict=True):
        now = flow.weekly
        factors = (team / np.where(now > 0, now, 1.0))[before:].reshape(-1, WEEKS_PER_QUARTER)
        by_week = {quarter: tuple(row) for quarter, row in zip(quarters, factors.tolist(), strict=True)}
        segment = flow.segment
        season = _Planned.model_validate({**dict(segment.seasonality), "by_week": by_week})
        name = f"{segment.name}: {flow.source.name}"
        update = {"name": name, "sources": (flow.source,), "seasonality": season}
        parts[segment.name].append(segment.model_copy(update=update))
    split = {segment.name: parts[segment.name] or [segment] for segment in scenario.segments}

    def shared(focus: dict[str, float] | None) -> dict[str, float] | None:
        if focus is None:
            return None
        return {part.name: share for name, share in focus.items() for part in split[name]}

    return scenario.model_copy(
        update={
            "segments": tuple(part for found in split.values() for part in found),
            "reps": tuple(rep.model_copy(update={"segments": shared(rep.segments)}) for rep in scenario.reps),
            "hires": tuple(
                hire.model_copy(update={"segments": shared(hire.segments)}) for hire in scenario.hires
            ),
            "pipeline": tuple(
                deal.model_copy(update={"segment": split[deal.segment][0].name}) for deal in scenario.pipeline
            ),
        }
    )


def _decomposed(scenario: Scenario, flows: Sequence[_Flow], targets: FloatArray) -> _Decomposition:
    before = _before(scenario)
    sizes = [segment.deal_size.moments()[0] for segment in scenario.segments]
    under_way = np.zeros(len(targets))
    others = np.zeros(len(targets))
    for deal in rates_of(scenario).open_deals:
        amount = sizes[deal.segment] if deal.amount is None else deal.amount
        under_way += deal.deals * deal.chances * amount
    today = []
    for flow in flows:
        coming = flow.weekly
        coming[:before] = 0
        under_way += flow.brings(flow.weekly - coming)
        today.append(float(flow.brings(coming).sum()) if flow.moves else 0.0)
        if not flow.moves:
            others += flow.brings(coming)
    if not any(flow.moves and flow.weekly[before:].any() for flow in flows):
        names = listed(list(dict.fromkeys(flow.source.name for flow in flows if flow.moves)))
        raise PlanError(
            f"sources {names} bring no leads in the horizon; leads_per_week must be above 0, and somebody "
            "must work the segment"
        )
    if sum(today) <= 0:
        raise PlanError(
            "no lead of the chosen sources is won for any amount within the horizon: check conversions, "
            "deal size, and whether the sales cycle is longer than the horizon"
        )
    rest = targets - under_way - others
    needed = max(float(rest.sum()), 0.0)
    by_quarter = np.maximum(rest, 0.0)
    # what one quarter has to spare is used in the others: the plan is that of the horizon
    by_quarter *= needed / by_quarter.sum() if needed > 0 else 0.0
    afterwards = max(float(targets.mean() - others[-1]), 0.0) if needed > 0 else 0.0
    shares = [value / sum(today) for value in today]
    weekly, wins, early = [], [], []
    for flow, share in zip(flows, shares, strict=True):
        if not flow.moves:
            weekly.append(flow.weekly)
            wins.append(math.nan)
            early.append(math.nan)
            continue
        planned, too_early = _moved_forward(flow, share * by_quarter, share * afterwards, before)
        weekly.append(planned)
        wins.append(share * needed / flow.size if share > 0 else 0.0)
        early.append(too_early)
    return _Decomposition(needed / sum(today), under_way, others, weekly, shares, wins, early)


def _moved_forward(
    flow: _Flow, by_quarter: FloatArray, afterwards: float, before: int
) -> tuple[FloatArray, float]:
    """Leads a week of a source that must bring so much in each quarter and in each one after the horizon, in
    currency, and how many of those for the horizon would have to arrive before it."""
    weekly = flow.weekly
    weekly[before:] = 0.0
    needed = float(by_quarter.sum())
    if needed == 0:
        return weekly, 0.0
    horizon = len(by_quarter) * WEEKS_PER_QUARTER
    law = flow.law / flow.chance
    # leads for a win in week t arrive k weeks earlier with the share law[k]
    bookings = np.repeat(by_quarter, WEEKS_PER_QUARTER) / WEEKS_PER_QUARTER
    later = np.full(len(law), afterwards / WEEKS_PER_QUARTER)
    per_win = flow.size * flow.chance
    arrive = np.convolve(bookings, law[::-1]) / per_win  # [w + len(law) - 1]
    all_of_them = np.convolve(np.append(bookings, later), law[::-1]) / per_win
    start = len(law) - 1
    present = flow.weekly[before:]
    planned = np.where(present > 0, all_of_them[start : start + horizon], 0.0)
    in_time = flow.size * flow.skill[before:] * flow.falls_in[before:].sum(axis=1)
    if planned @ in_time <= 0:  # nothing that arrives when it should can still close: as today's leads do
        planned = present
    weekly[before:] = planned * needed / (planned @ in_time)
    return weekly, float(arrive[:start].sum())


@dataclass(frozen=True)
class _Found:
    """A factor on leads that was looked for; the fields of :class:`LeadPlan`."""

    reachable: bool
    factor: float
    low: float
    high: float
    chance: float
    saturated: bool


def _search(
    outcome_at: Callable[[float], Outcome], total: float, chance: float, most: float, *, start: float
) -> _Found:
    """The smallest factor with the wanted chance, and its interval from sampling error."""
    chances: dict[float, float] = {}
    expected: dict[float, float] = {}
    trials: list[int] = []

    def reached(factor: float) -> float:
        if factor not in chances:
            outcome = outcome_at(factor)
            if outcome.trials is not None:
                trials.append(outcome.trials)
            chances[factor] = float(outcome.team_chance_at_least(total, HORIZON))
            expected[factor] = float(outcome.expected_bookings(HORIZON).sum())
        return chances[factor]

    def smallest(wanted: float) -> float:
        """NaN where no factor up to the most has the chance."""
        if reached(0.0) >= wanted:
            return 0.0
        high = min(max(start, 1.0), most)
        while reached(high) < wanted:
            if high >= most:
                return math.nan
            high = min(2 * high, most)
        # what was tried before narrows the range
        high = min(factor for factor, there in chances.items() if there >= wanted)
        low = max(factor for factor, there in chances.items() if there < wanted and factor < high)
        if not trials:
            return float(brentq(lambda factor: reached(factor) - wanted, low, high, xtol=1e-6, rtol=1e-9))
        while high - low > PRECISION * high:  # a step function: the end that has the chance is kept
            middle = (low + high) / 2
            low, high = (low, middle) if reached(middle) >= wanted else (middle, high)
        return high

    factor = smallest(chance)
    if math.isnan(factor):
        reached(most / 2)
        saturated = expected[most] < (1 + SATURATED) * expected[most / 2]
        return _Found(False, math.nan, math.nan, math.nan, max(chances.values()), saturated)
    low = high = factor
    if trials:
        half = Z * math.sqrt(chance * (1 - chance) / min(trials))
        low, high = smallest(chance - half), smallest(chance + half)
    return _Found(True, factor, low, high, reached(factor), False)


def _lead_table(
    scenario: Scenario, flows: Sequence[_Flow], weekly: dict[str, list[FloatArray]]
) -> pd.DataFrame:
    before = _before(scenario)
    quarters = scenario.calendar.periods()
    months = [month for quarter in quarters for month in quarter.months()]
    # (week of the horizon, month)
    month_of = np.kron(np.eye(len(quarters)), np.eye(3)[list(MONTH_OF_WEEK)])
    parts = []
    for position, flow in enumerate(flows):
        part = pd.DataFrame(
            {
                "segment": flow.segment.name,
                "source": flow.source.name,
                "month": months,
                "quarter": [str(quarter) for quarter in quarters for _ in range(3)],
                "moves": flow.moves,
            }
        )
        becoming = {what: _share_becoming(flow, called) for what, called in _CALLED.items()}
        cost = math.nan if flow.source.cost_per_lead is None else flow.source.cost_per_lead
        for what in COUNTED:
            each = {"leads": 1.0, "cost": cost, **becoming}[what]
            for answer in ANSWERS:
                part[f"{what}_{answer}"] = (weekly[answer][position][before:] @ month_of) * each
        parts.append(part)
    return pd.concat(parts, ignore_index=True)


def _share_becoming(flow: _Flow, called: str) -> float:
    """Share of leads that ever are in a stage that counts as such; NaN where none does."""
    places = _places(flow.segment, called)
    if not places.any():
        return math.nan
    return float(_first_entries(flow.segment, flow.source, places).sum())


def _quarter_table(
    leads: pd.DataFrame,
    closed: _Decomposition,
    targets: FloatArray,
    outcomes: dict[str, Outcome | None],
) -> pd.DataFrame:
    quarters = list(dict.fromkeys(leads["quarter"]))
    table = pd.DataFrame(
        {
            "quarter": quarters,
            "target": targets,
            "under_way": closed.under_way,
            "other_sources": closed.others,
        }
    )
    for answer, outcome in outcomes.items():
        table[f"expected_{answer}"] = [
            math.nan if outcome is None else float(outcome.expected_bookings(quarter).sum())
            for quarter in quarters
        ]
        table[f"chance_{answer}"] = [
            math.nan if outcome is None else float(outcome.team_chance_at_least(amount, quarter))
            for quarter, amount in zip(quarters, targets, strict=True)
        ]
    for what in COUNTED:
        for answer in ANSWERS:
            # a segment without such a stage has none; leads or a cost that are not known leave no sum
            few = what in _CALLED and not (answer == "simulated" and outcomes[answer] is None)
            sums = [
                group.sum(skipna=few, min_count=1)
                for _, group in leads.groupby("quarter", sort=False)[f"{what}_{answer}"]
            ]
            table[f"{what}_{answer}"] = sums
    return table


def _source_table(
    scenario: Scenario, flows: Sequence[_Flow], closed: _Decomposition, weekly: dict[str, list[FloatArray]]
) -> pd.DataFrame:
    before = _before(scenario)
    rows = []
    for position, flow in enumerate(flows):
        wins = closed.wins[position]
        mean_weeks, late_weeks = _mean_and_p90(flow.law)
        row: dict[str, object] = {
            "segment": flow.segment.name,
            "source": flow.source.name,
            "kind": flow.source.kind,
            "moves": flow.moves,
            "deal_size": flow.size,
            "win_chance": flow.chance,
            "mean_weeks_to_win": mean_weeks,
            "p90_weeks_to_win": late_weeks,
            "share_of_target": closed.shares[position] if flow.moves else math.nan,
            "wins_needed": wins,
            "leads_needed": wins / flow.chance if flow.chance > 0 else math.nan,
            "leads_before_horizon": closed.before[position],
        }
        in_time = flow.falls_in[before:].sum(axis=1)
        late = 1 - in_time / flow.chance if flow.chance > 0 else np.full(len(in_time), math.nan)
        for answer in ANSWERS:
            leads = weekly[answer][position][before:]
            row[f"leads_{answer}"] = leads.sum()
            row[f"too_late_{answer}"] = float(leads @ late)
            cost = flow.source.cost_per_lead
            row[f"cost_{answer}"] = math.nan if cost is None else leads.sum() * cost
        rows.append(row)
    return pd.DataFrame(rows)


def _mean_and_p90(law: FloatArray) -> tuple[float, float]:
    """Mean and 90th percentile of a time in weeks whose law may add up to less than 1; NaN: to nothing."""
    if law.sum() <= 0:
        return math.nan, math.nan
    shares = law / law.sum()
    late = int(np.searchsorted(np.cumsum(shares), 0.9 - 1e-12))
    return float(np.arange(len(law)) @ shares), float(late)


def leads_to_hold(
    scenario: Scenario, *, quotas: pd.DataFrame, period: str | None = None, chance: float = 0.80
) -> pd.DataFrame:
    """How many open deals, or new leads a week, a rep must hold to make the quota of a quarter [A8].

    Each row answers for one stage alone, as if nothing else helped: so many deals that have just entered it
    when the quarter begins, or so many new leads in every week of the quarter. On average, value ÷ quota is
    the coverage: one over the chance of a deal to close within the quarter. With the wanted chance it takes
    more, by the law of the sum of deals won (the exact engine), because deals are few and differ in size; for
    new leads the rep's skill and the market's shocks are in it as well.

    Args:
        scenario: its funnels, deal sizes and reps; capacities and hand-overs are left aside.
        quotas: index rep, columns quarters, in currency (:func:`salessim.plans.quotas`); NaN or 0: no quota.
        period: quarter of the scenario that is meant; left out: the first of the horizon.
        chance: wanted chance, between 0 and 1, that the rep books the quota.

    Returns:
        One row per rep with a quota, segment that the rep works, and stage (the last one ``NEW_LEADS``): rep,
        segment, stage, unit ("open deals" or "leads per week"), quota, close_in_quarter (chance of one to be
        won within the quarter; of leads the mean over its weeks), coverage (value ÷ quota), value_needed (in
        currency), needed_on_average, needed_for_chance (a whole number of deals), held_today (open deals in
        the scenario's pipeline; NaN for leads), reachable. NaN with reachable False: nothing in that stage
        closes within the quarter, or it would take more than 10,000 deals, or more than 64 times the leads
        needed on average.

    Raises:
        PlanError: an unknown rep or quarter, a negative quota, or nobody with a quota.

    >>> from salessim.library import example_plan, example_scenario
    >>> from salessim.plans import quotas
    >>> table = leads_to_hold(example_scenario(), quotas=quotas(example_plan(), example_scenario()).head(1))
    >>> row = table[table["stage"] == "closing deal"].iloc[0]
    >>> bool(row["needed_for_chance"] > row["needed_on_average"])
    True
    """
    _check_chance(chance)
    known = [str(quarter) for quarter in scenario.calendar.periods()]
    period = known[0] if period is None else period
    if period not in known or period not in quotas.columns:
        both = [name for name in known if name in quotas.columns]
        raise PlanError(f"period is {period!r}; scenario and quotas both have {listed(both)}")
    team = {rep.name: rep for rep in scenario.team()}
    solved: dict[object, list[dict[str, object]]] = {}
    rows: list[dict[str, object]] = []
    for name, quota in quotas[period].items():
        if name not in team:
            raise PlanError(f"quotas names '{name}'; it must be among the reps: {listed(list(team))}")
        if quota < 0:
            raise PlanError(f"quota of '{name}' in {period} is {quota!r}; it must be 0 or more")
        if not quota > 0:
            continue
        rep = team[str(name)]
        worked = tuple(
            segment.name
            for segment in scenario.segments
            if rep.segments is None or rep.segments.get(segment.name, 0.0) > 0
        )
        key = (quota, worked, rep.skill_mean, rep.skill_cv)
        if key not in solved:  # reps who are alike need the same
            solved[key] = [
                row
                for segment in worked
                for row in _needs(_alone(scenario, segment, rep, period), float(quota), chance)
            ]
        rows += [{"rep": rep.name, **row} for row in solved[key]]
    if not rows:
        raise PlanError(f"nobody carries a quota in {period}, in a segment that they work")
    table = pd.DataFrame(rows)
    held: dict[tuple[object, ...], int] = {}
    for deal in scenario.pipeline:
        place = (deal.rep, deal.segment, deal.stage)
        held[place] = held.get(place, 0) + deal.deals
    held_today = [
        math.nan if stage == NEW_LEADS else float(held.get((rep, segment, stage), 0))
        for rep, segment, stage in zip(table["rep"], table["segment"], table["stage"], strict=True)
    ]
    table.insert(len(table.columns) - 1, "held_today", held_today)
    return table


def _needs(alone: Scenario, quota: float, chance: float) -> list[dict[str, object]]:
    """What one rep needs in each stage, and of new leads."""
    segment, rates = alone.segments[0], rates_of(alone)
    size = segment.deal_size.moments()[0]
    rows: list[dict[str, object]] = []
    for stage in [*(stage.name for stage in segment.stages), NEW_LEADS]:
        is_new = stage == NEW_LEADS
        if is_new:
            closes = float(rates.wins.sum()) / WEEKS_PER_QUARTER
        else:
            by_week = win_chances(segment, stage=stage, weeks_in_stage=0, weeks=WEEKS_PER_QUARTER)
            closes = float(by_week.sum())
        worth = closes * size * (alone.reps[0].skill_mean if is_new else 1.0)
        needed, lucky = math.nan, math.nan
        if worth > 0 and is_new:
            needed = quota / worth / WEEKS_PER_QUARTER
            lucky = _leads_for(alone, rates, quota, chance, needed)
        elif worth > 0:
            needed = quota / worth
            lucky = _deals_for(alone, stage, quota, chance, needed)
        coverage = size / worth if worth > 0 else math.nan
        rows.append(
            {
                "segment": segment.name,
                "stage": stage,
                "unit": "leads per week" if is_new else "open deals",
                "quota": quota,
                "close_in_quarter": closes,
                "coverage": coverage,
                "value_needed": quota * coverage,
                "needed_on_average": needed,
                "needed_for_chance": lucky,
                "reachable": math.isfinite(lucky),
            }
        )
    return rows


def _alone(scenario: Scenario, name: str, rep: Rep, period: str) -> Scenario:
    """A world of one rep, fully ramped, with one segment and quarter, and one new lead a week in the mix of
    sources that the team has."""
    segment = scenario.segment(name)
    periods = [str(quarter) for quarter in scenario.calendar.periods()]
    first = _before(scenario) + WEEKS_PER_QUARTER * periods.index(period)
    arrivals = leads_by_source(scenario)[scenario.segments.index(segment)]
    mix = np.array([leads[:, first : first + WEEKS_PER_QUARTER].sum() for leads in arrivals])
    sources = tuple(
        source.model_copy(update={"kind": "self-sourced", "leads_per_week": float(share)})
        for source, share in zip(segment.sources, mix / (mix.sum() or 1.0), strict=False)
        if share > 0
    ) or (Source(name=NEW_LEADS, kind="self-sourced", leads_per_week=1.0),)
    own = segment.model_copy(
        update={
            "stages": tuple(stage.model_copy(update={"role": None}) for stage in segment.stages),
            "sources": sources,
            "seasonality": Seasonality(),
        }
    )
    return Scenario(
        name=scenario.name,
        currency=scenario.currency,
        calendar=Calendar(
            first_quarter=period,
            quarters=1,
            fiscal_year_starts_in_month=scenario.calendar.fiscal_year_starts_in_month,
        ),
        criteria=scenario.criteria,
        segments=(own,),
        roles=(Role(name=rep.role),),
        reps=(Rep(name=rep.name, role=rep.role, skill_mean=rep.skill_mean, skill_cv=rep.skill_cv),),
        market=scenario.market,
    )


def _deals_for(alone: Scenario, stage: str, quota: float, chance: float, needed: float) -> float:
    """Smallest number of open deals in a stage with the wanted chance of the quota; NaN: too many."""
    rep, segment = alone.reps[0].name, alone.segments[0]
    held = alone.model_copy(update={"segments": (segment.model_copy(update={"sources": ()}),)})

    def short(number: int) -> bool:
        deals = OpenDeal(rep=rep, segment=segment.name, stage=stage, weeks_in_stage=0, deals=number)
        outcome = ExactOutcome(held.model_copy(update={"pipeline": (deals,)}))
        return bool(outcome.chance_at_least([quota], HORIZON)[0] < chance)

    if needed > MOST_DEALS:
        return math.nan
    low, high = 0, math.ceil(needed)
    while short(high):
        if high == MOST_DEALS:
            return math.nan
        low, high = high, min(2 * high, MOST_DEALS)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if short(middle) else (low, middle)
    return float(high)


def _leads_for(alone: Scenario, rates: Rates, quota: float, chance: float, needed: float) -> float:
    """Smallest number of new leads a week with the wanted chance of the quota; NaN: none up to 64 times what
    is needed on average has it."""

    def missing(leads: float) -> float:
        outcome = ExactOutcome(alone, rates=replace(rates, wins=rates.wins * leads))
        return float(outcome.chance_at_least([quota], HORIZON)[0]) - chance

    most = needed
    while missing(most) < 0:
        if most > 32 * needed:
            return math.nan
        most *= 2
    return float(brentq(missing, 0.0, most, xtol=1e-6 * most, rtol=1e-9))


def _places(segment: Segment, called: str) -> npt.NDArray[np.bool_]:
    """Places of the journey whose stage counts as such, (places,)."""
    stages = [stage.counts_as == called for stage in segment.stages]
    return np.array([*stages, *stages, False])


def _first_entries(segment: Segment, source: Source | None, places: npt.NDArray[np.bool_]) -> FloatArray:
    """Chance of a lead to get to some places, by the place that it gets to first; (places,)."""
    chain = segment.journey(source)[:, : len(places)]
    start = np.zeros(len(places))
    start[0] = segment.ready_share_of(source)
    start[len(segment.stages)] = 1 - start[0]
    outside = ~places
    on_the_way = np.linalg.solve(
        np.eye(int(outside.sum())) - chain[np.ix_(outside, outside)].T, start[outside]
    )
    entries = np.where(places, start, 0.0)
    entries[places] += on_the_way @ chain[np.ix_(outside, places)]
    return entries


def _ever_reached(chain: FloatArray, places: npt.NDArray[np.bool_]) -> FloatArray:
    """Chance to get to some places sooner or later, from each place; (places,)."""
    reached = np.ones(len(places))
    outside = ~places
    inside = chain[np.ix_(outside, places)].sum(axis=1)
    reached[outside] = np.linalg.solve(np.eye(int(outside.sum())) - chain[np.ix_(outside, outside)], inside)
    return reached


def _chance_to_win(chain: FloatArray) -> FloatArray:
    """Chance to be won in the end from each place, (places,)."""
    places = len(chain)
    return np.asarray(np.linalg.solve(np.eye(places) - chain[:, :places], chain[:, places]))


def _weeks_to_win(segment: Segment, source: Source) -> FloatArray:
    """Mean weeks until the win of those that are won, from entering each place, (places,); NaN: none is."""
    chain = segment.journey(source)
    won = _chance_to_win(chain)
    stays = [_mean_and_p90(stage.dwell_shares(factor=source.cycle_factor))[0] for stage in segment.stages]
    rest = 0.0 if segment.nurture is None else segment.nurture.mean_weeks
    weeks = np.full(len(chain), math.nan)
    wins = won > 0
    # among those that will be won, a step is the more likely the better the chance where it leads
    step = chain[np.ix_(wins, wins)] * won[wins] / won[wins, None]
    weeks[wins] = np.linalg.solve(np.eye(int(wins.sum())) - step, np.array([*stays, *stays, rest])[wins])
    return weeks


def stage_norms(scenario: Scenario) -> pd.DataFrame:
    """The norm of every stage: how many move on, how long it takes, and what a deal there is worth [A8].

    Deals may go back, rest in nurture and come back, and leads may be ready or not; all of that is in the
    figures, for the mix of leads that is there.

    Returns:
        One row per segment, source and stage: segment, source, stage, counts_as, share_moving_on (of deals
        leaving the stage, those that go to the next, or are won from the last), chance_to_win, mean_days and
        p90_days (in the stage, of those that are not lost there; 7 days a week), mean_days_to_win (from
        entering the stage, of those that are won), entries_per_week and open_deals (in steady state, at the
        mean of today's leads over the horizon, with no limit of capacity; Little's law). NaN: no deal ever
        gets there, or none is won.

    >>> from salessim.library import example_scenario
    >>> norms = stage_norms(example_scenario()).set_index(["segment", "source", "stage"])
    >>> float(norms.loc[("SMB", "website", "warm lead"), "mean_days"].round(3))
    14.0
    """
    before = _before(scenario)
    rows = []
    for segment, arrivals in zip(scenario.segments, leads_by_source(scenario), strict=True):
        number = len(segment.stages)
        for source, leads in zip(segment.sources, arrivals, strict=False):
            weekly = float(leads[:, before:].sum(axis=0).mean())
            chain, visits = segment.journey(source), segment.visits(source)
            weights = visits * _chance_to_win(chain)
            to_win = np.nan_to_num(_weeks_to_win(segment, source))
            moving_on, winning = segment.conversions(source), segment.close_probabilities(source)
            for k, stage in enumerate(segment.stages):
                places = [k, number + k]
                mean, late = _mean_and_p90(stage.dwell_shares(factor=source.cycle_factor))
                mean_lost, _ = _mean_and_p90(stage.dwell_shares(lost=True, factor=source.cycle_factor))
                lost = chain[places, -1]
                there = visits[places].sum() > 0
                wins = weights[places].sum() > 0
                weeks = np.average(to_win[places], weights=weights[places]) if wins else math.nan
                rows.append(
                    {
                        "segment": segment.name,
                        "source": source.name,
                        "stage": stage.name,
                        "counts_as": stage.counts_as,
                        "share_moving_on": moving_on[k] if there else math.nan,
                        "chance_to_win": winning[k] if there else math.nan,
                        "mean_days": 7 * mean if there else math.nan,
                        "p90_days": 7 * late if there else math.nan,
                        "mean_days_to_win": 7 * float(weeks),
                        "entries_per_week": weekly * visits[places].sum(),
                        "open_deals": weekly * float(visits[places] @ ((1 - lost) * mean + lost * mean_lost)),
                    }
                )
    if not rows:
        raise PlanError(f"scenario '{scenario.name}' has no source of leads; there are no norms to work out")
    return pd.DataFrame(rows)


def mql_norm(scenario: Scenario, *, plan: LeadPlan | None = None) -> MqlNorm:
    """What conversion a good MQL has, and with a plan: how many it needs, or how good they must be [A8].

    A lead counts once as MQL, SQL or opportunity, when it first gets to a stage that counts as such. More
    leads and better conversion of the same leads are the same to the exact engine (thinning of a Poisson
    stream), so the factor of a lead plan is also the factor on the conversion of today's MQL.

    Args:
        scenario: the funnels, with stages that say what they count as.
        plan: a :func:`lead_plan` of the same scenario.

    Raises:
        PlanError: the scenario has no source of leads, or the plan belongs to another scenario.

    >>> from salessim.library import example_scenario
    >>> table = mql_norm(example_scenario()).conversions.set_index(["segment", "source"])
    >>> float(table.loc[("SMB", "website"), "mql_to_won"].round(3))
    0.1
    """
    if plan is not None and plan.scenario != scenario:
        raise PlanError(
            f"the lead plan belongs to scenario '{plan.scenario.name}', or to another state of it"
        )
    before = _before(scenario)
    rows = []
    for segment, arrivals in zip(scenario.segments, leads_by_source(scenario), strict=True):
        for source, leads in zip(segment.sources, arrivals, strict=False):
            weekly = float(leads[:, before:].sum(axis=0).mean())
            rows.append(
                {
                    "segment": segment.name,
                    "source": source.name,
                    "leads": weekly,
                    **_becoming(segment, source),
                }
            )
    if not rows:
        raise PlanError(f"scenario '{scenario.name}' has no source of leads; there is no MQL to judge")
    table = pd.DataFrame(rows)
    everything: dict[str, object] = {"segment": "all", "source": "all", "leads": table["leads"].sum()}
    of_what = {"mql": table["leads"] * table["mql_share"], "sql": table["leads"] * table["sql_share"]}
    for name in table.columns[3:]:
        weights = of_what.get(name.split("_to_")[0], table["leads"]) if "_to_" in name else table["leads"]
        everything[name] = _weighted(table[name], weights)
    table = pd.concat([table, pd.DataFrame([everything])], ignore_index=True)
    table.insert(2, "mql_per_week", table.pop("leads") * table["mql_share"])
    table.loc[len(rows), "mql_per_week"] = table["mql_per_week"].iloc[:-1].sum(min_count=1)
    table = table.drop(columns="sql_share")
    won = table["mql_to_won"]
    table["mql_per_win"] = 1 / won.where(won > 0)
    if plan is None:
        return MqlNorm(table, pd.DataFrame())
    moves = np.array([name in plan.sources for name in table["source"][:-1]] + [False])
    for column, factor in (
        ("mql_to_won_on_average", plan.closed_form_factor),
        ("mql_to_won_simulated", plan.factor),
    ):
        raised = won * factor
        table[column] = raised.where(moves & (raised <= 1))
    columns = [f"mql_{answer}" for answer in ANSWERS]
    by_quarter = plan.leads.groupby(["segment", "source", "quarter"], sort=False)[columns]
    return MqlNorm(table, by_quarter.sum(min_count=3).reset_index())


def _weighted(values: pd.Series, weights: pd.Series) -> float:
    """Mean over the rows that have a value; NaN where they weigh nothing."""
    known = values.notna() & (weights > 0)
    return float(np.average(values[known], weights=weights[known])) if known.any() else math.nan


def _becoming(segment: Segment, source: Source) -> dict[str, float]:
    """Shares of leads that become MQL and SQL, and of those that get further."""
    chain = segment.journey(source)
    inside = chain[:, : len(chain)]
    reached = {called: _places(segment, called) for called in ("SQL", "opportunity")}
    further = {
        "sql": _ever_reached(inside, reached["SQL"]) if reached["SQL"].any() else None,
        "opportunity": _ever_reached(inside, reached["opportunity"])
        if reached["opportunity"].any()
        else None,
        "won": _chance_to_win(chain),
    }
    shares = {}
    for first, called in (("mql", "MQL"), ("sql", "SQL")):
        places = _places(segment, called)
        entries = _first_entries(segment, source, places) if places.any() else np.zeros(len(places))
        shares[f"{first}_share"] = float(entries.sum()) if places.any() else math.nan
        for then, chances in further.items():
            if then != first:
                known = chances is not None and entries.sum() > 0
                shares[f"{first}_to_{then}"] = (
                    float(entries @ chances / entries.sum()) if known and chances is not None else math.nan
                )
    return shares
