"""The rate layer: what every engine needs to know of a scenario, as plain arrays.

Leads of rep r in week w are Poisson with mean ``arrivals · skill · shock``. A share C of them is won, after a
total time in the funnel whose law is the convolution of the stages' laws. Given skill and shock, wins by
quarter are then *independent Poisson* counts with mean ``skill · level · Σ_a shock_a · wins[r, a, q]``, where
level is one factor on everything for what estimates leave open: thinning and splitting of a Poisson stream.
That is why wins can be drawn, or solved for, without drawing a single lead.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce

import numpy as np
import numpy.typing as npt

from salessim.engine.journey import followed, lane_of, open_deal, won_by_week
from salessim.model import Scenario, Segment, Source
from salessim.periods import MONTH_OF_WEEK, WEEKS_PER_QUARTER

__all__ = [
    "Moments",
    "OpenDeals",
    "Rates",
    "leads_by_source",
    "moments",
    "month_shares",
    "rates_of",
    "shock_covariance",
    "time_to_win",
    "weekly_leads",
    "win_chances",
    "win_law",
]

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True)
class OpenDeals:
    """Deals that were open when the horizon began, alike in everything that matters to an engine."""

    rep: int
    segment: int
    amount: float | None  # None: drawn from the deal size of the segment
    deals: int
    chances: FloatArray  # (quarters,) chance that one such deal is won in each quarter
    by_month: FloatArray  # (quarters, 3) the same for each month of a quarter


@dataclass(frozen=True)
class Rates:
    """Expected wins and their ingredients; axes: rep, segment, quarter of arrival, quarter of the win."""

    wins: FloatArray  # (rep, segment, arrival quarter, quarter), before skill and shock
    worked: tuple[str, ...]  # names of the arrival quarters
    skill_mean: FloatArray  # (rep,)
    skill_cv: FloatArray  # (rep,)
    shock_cv: float
    shock_persistence: float
    level_cv: float
    open_deals: tuple[OpenDeals, ...]


def weekly_leads(scenario: Scenario) -> FloatArray:
    """Expected leads by rep, segment and week before skill and shock; shape (reps, segments, weeks).

    Weeks run over ``scenario.calendar.worked_periods()``. Inbound leads are a team total shared out by
    ramped capacity: a hire takes a share and adds none. Self-sourced leads grow with capacity. A week with
    nobody in the segment has no leads. Where stages name roles, leads go to the role of the first stage.
    """
    return np.stack([sum(sources[1:], sources[0]) for sources in leads_by_source(scenario)], axis=1)


def leads_by_source(scenario: Scenario) -> list[list[FloatArray]]:
    """Expected leads of every source before skill and shock: for each segment a list with an array (reps,
    weeks) for each of its sources (one of zeros where it has none)."""
    quarters = scenario.calendar.worked_periods()
    capacity = scenario.capacity(quarters)
    found = []
    for segment in scenario.segments:
        working = capacity * focus_of(scenario, segment)[:, None]  # (rep, week)
        everyone = working.sum(axis=0)
        share = working / np.where(everyone > 0, everyone, 1.0)
        rates = source_rates(scenario, segment)
        found.append(
            [
                rate * (working if source.kind == "self-sourced" else share)
                for source, rate in zip(segment.sources, rates, strict=True)
            ]
            or [np.zeros_like(working)]
        )
    return found


def focus_of(scenario: Scenario, segment: Segment, *, stage: int = 0) -> FloatArray:
    """Leads that each rep gets in a segment relative to an average rep, shape (reps,): 0 for those who do
    not work the stage at which leads come in."""
    worked_by = segment.stages[stage].role
    return np.array(
        [
            0.0
            if worked_by not in (None, rep.role)
            else (1.0 if rep.segments is None else rep.segments.get(segment.name, 0.0))
            for rep in scenario.team()
        ]
    )


def source_rates(scenario: Scenario, segment: Segment) -> list[FloatArray]:
    """Leads per week of each source with season, growth and customers lost, (weeks,) each: of the team, or of
    a fully ramped rep where they are self-sourced."""
    quarters = scenario.calendar.worked_periods()
    ahead = np.arange(len(quarters)) - scenario.calendar.quarters_before
    growth = (1 + segment.seasonality.growth_per_year) ** (ahead / 4)
    season = segment.seasonality.factors(quarters) * np.repeat(growth, WEEKS_PER_QUARTER)
    before = (len(quarters) - scenario.calendar.quarters) * WEEKS_PER_QUARTER
    years = np.maximum(np.arange(len(season)) - before, 0) / 52
    churn = 0.0 if segment.customers is None else segment.customers.churn_per_year
    left = (1 - churn) ** years  # customers of today who are still there
    return [
        source.leads_per_week * season * (left if source.kind == "existing customers" else 1.0)
        for source in segment.sources
    ]


def time_to_win(segment: Segment, source: Source | None = None) -> FloatArray:
    """Law of the total time from lead to win of a plain funnel, shape (weeks,): the convolution of the
    stages' laws."""
    factor = 1.0 if source is None else source.cycle_factor
    return reduce(np.convolve, [stage.dwell_shares(factor=factor) for stage in segment.stages])


def win_law(segment: Segment, source: Source | None = None, *, weeks: int) -> FloatArray:
    """Chance that a lead is won so many weeks after its arrival, shape (weeks,); its sum is the chance to be
    won within that time. ``source``: whose conversions and times are used; left out: the segment's.

    >>> from salessim.library import example_scenario
    >>> segment = example_scenario().segments[0]
    >>> law = win_law(segment, weeks=200)
    >>> bool(abs(law.sum() / segment.close_probabilities()[0] - 1) < 1e-6)
    True
    """
    if not segment.is_linear:
        return won_by_week(segment, source, weeks=weeks)
    law = segment.close_probabilities(source)[0] * time_to_win(segment, source)
    return np.pad(law, (0, max(weeks - len(law), 0)))[:weeks]


def shock_covariance(rates: Rates) -> FloatArray:
    """Covariance of the market shocks of the arrival quarters, shape (arrival quarters, arrival quarters):
    lognormal factors with mean 1 whose logarithms correlate with persistence to the power of the distance."""
    quarters = np.arange(len(rates.worked))
    apart = np.abs(quarters[:, None] - quarters)
    # 0 to the power 0 is 1: without persistence only a quarter correlates with itself
    return np.asarray(np.expm1(np.log1p(rates.shock_cv**2) * rates.shock_persistence**apart))


def rates_of(scenario: Scenario) -> Rates:
    """Work out the expected wins of a scenario.

    ``wins[r, s, a, q] = C_s · Σ_{w in a} leads[r, s, w] · P(the win falls in q | arrival in w)``.
    """
    horizon = len(scenario.calendar.periods()) * WEEKS_PER_QUARTER
    wins = _expected_wins(scenario, np.arange(0, horizon + 1, WEEKS_PER_QUARTER))
    worked = scenario.calendar.worked_periods()
    team = scenario.team()
    return Rates(
        wins=wins,
        worked=tuple(str(quarter) for quarter in worked),
        skill_mean=np.array([rep.skill_mean for rep in team]),
        skill_cv=np.array(
            [scenario.market.skill_cv if rep.skill_cv is None else rep.skill_cv for rep in team]
        ),
        shock_cv=scenario.market.shock_cv,
        shock_persistence=scenario.market.shock_persistence,
        level_cv=scenario.market.level_cv,
        open_deals=_open_deals(scenario),
    )


def month_shares(scenario: Scenario) -> FloatArray:
    """Share of a quarter's expected wins from leads that falls in each of its months, shape (reps, segments,
    quarters, 3); equal shares where nothing is expected.

    Given how many deals are won in a quarter, their months are independent draws with these shares (exactly
    so where the shocks of all arrival quarters are alike).
    """
    quarters = len(scenario.calendar.periods())
    starts = [k for k in range(WEEKS_PER_QUARTER) if k == 0 or MONTH_OF_WEEK[k] != MONTH_OF_WEEK[k - 1]]
    edges = [quarter * WEEKS_PER_QUARTER + week for quarter in range(quarters) for week in starts]
    wins = _expected_wins(scenario, np.array([*edges, quarters * WEEKS_PER_QUARTER])).sum(axis=2)
    by_month = wins.reshape(*wins.shape[:2], quarters, 3)
    total = by_month.sum(axis=3, keepdims=True)
    return np.where(total > 0, by_month / np.where(total > 0, total, 1.0), 1 / 3)


def _expected_wins(scenario: Scenario, edges: npt.NDArray[np.int64]) -> FloatArray:
    """Expected wins by rep, segment, quarter of arrival, and span of weeks of the horizon between edges."""
    by_source = leads_by_source(scenario)
    weeks = np.arange(by_source[0][0].shape[1])
    worked = len(weeks) // WEEKS_PER_QUARTER
    before = (worked - len(scenario.calendar.periods())) * WEEKS_PER_QUARTER
    # [k]: weeks until an edge for a lead that arrives in a week
    waited = np.clip(before + edges[None, :] - weeks[:, None], 0, len(weeks))
    wins = np.zeros((len(scenario.team()), len(scenario.segments), worked, len(edges) - 1))
    for index, segment in enumerate(scenario.segments):
        for source, leads in zip(segment.sources, by_source[index], strict=False):
            won_within = np.append(0.0, np.cumsum(win_law(segment, source, weeks=len(weeks))))
            falls_in = np.diff(won_within[waited], axis=1)  # (week of arrival, span of the win)
            by_quarter = leads.reshape(len(leads), worked, WEEKS_PER_QUARTER)
            # not by matrix products, whose last digits may depend on how many reps there are
            wins[:, index] += np.einsum(
                "raw,awq->raq", by_quarter, falls_in.reshape(worked, WEEKS_PER_QUARTER, -1)
            )
    return wins


@dataclass(frozen=True)
class Moments:
    """Mean of each rep's bookings in a period, and what their variance is made of; (reps,) each."""

    mean: FloatArray
    """In currency."""
    open_deals: FloatArray
    """Part of the mean that comes from deals which were open when the horizon began."""
    luck: FloatArray
    """Variance, in currency squared, that is left when skill and market are known: which deals are won, and
    how large they are."""
    skill: FloatArray
    """Variance from not knowing the rep's skill."""
    market: FloatArray
    """Variance from the shocks and the level of the market that all reps share."""

    @property
    def variance(self) -> FloatArray:
        """The whole variance."""
        return self.luck + self.skill + self.market


def moments(rates: Rates, scenario: Scenario, quarters: list[int]) -> Moments:
    """Mean and parts of the variance of what each rep books in some quarters of the horizon.

    By the law of total variance: with deal-size moments (m, d) and wins L per arrival quarter, luck is
    Σ L (m² + d²), skill is (Σ L m · cv)², and the rest of the whole is the market's. Open deals are luck.
    """
    sizes = np.array([segment.deal_size.moments() for segment in scenario.segments])
    wins = rates.wins[..., quarters].sum(axis=3) * rates.skill_mean[:, None, None]  # (rep, segment, a)
    amount = (wins * sizes[None, :, :1]).sum(axis=1)  # (rep, arrival quarter)
    mean = amount.sum(axis=1)
    luck = (wins.sum(axis=2) * (sizes**2).sum(axis=1)).sum(axis=1)
    skill = mean**2 * rates.skill_cv**2
    # skill, shocks and level multiply: E[(skill · Σ shock · level)²] less the square of the mean
    square = mean**2 + ((amount @ shock_covariance(rates)) * amount).sum(axis=1)
    whole = luck + square * (1 + rates.level_cv**2) * (1 + rates.skill_cv**2) - mean**2
    market = np.maximum(whole - luck - skill, 0.0)
    opened = np.zeros_like(mean)
    for deal in rates.open_deals:
        chance = float(deal.chances[quarters].sum())
        size, spread = (deal.amount, 0.0) if deal.amount is not None else sizes[deal.segment]
        opened[deal.rep] += deal.deals * chance * size
        luck[deal.rep] += deal.deals * (chance * (size**2 + spread**2) - (chance * size) ** 2)
    return Moments(mean + opened, opened, np.maximum(luck, 0.0), skill, market)


def win_chances(segment: Segment, *, stage: str, weeks_in_stage: int, weeks: int) -> FloatArray:
    """Chance that an open deal is won in each coming week, given how long it has been in its stage.

    The chance to move on is updated for the time already spent: where lost deals leave early, an old deal is
    a better one; where it is older than any deal that ever moved on, its chance is 0 (dead pipeline).

    Args:
        segment: its funnel.
        stage: name of the stage that the deal is in.
        weeks_in_stage: full weeks since it entered the stage; it is known not to have left by then.
        weeks: how many coming weeks to look at; entry 0 is the coming week.

    Returns:
        Array of shape (weeks,); its sum is the chance to win within those weeks.

    >>> from salessim.model import DealSize, Stage
    >>> slow = Stage(name="open", conversion=0.5, dwell_weeks=(0.0, 0.5, 0.5), lost_dwell_weeks=(0.0, 1.0))
    >>> s = Segment(name="all", stages=(slow,), sources=(), deal_size=DealSize(mean=1.0, cv=0.0))
    >>> win_chances(s, stage="open", weeks_in_stage=0, weeks=3).tolist()
    [0.25, 0.25, 0.0]
    >>> win_chances(s, stage="open", weeks_in_stage=1, weeks=3).tolist()  # only deals to be won are left
    [1.0, 0.0, 0.0]
    >>> win_chances(s, stage="open", weeks_in_stage=9, weeks=3).tolist()  # older than any deal that moved on
    [0.0, 0.0, 0.0]
    """
    index = segment.stage_index(stage)
    if not segment.is_linear:
        lane = lane_of(segment, weeks=weeks + weeks_in_stage + 2)
        return followed(
            lane, open_deal(segment, lane, stage=index, weeks_in_stage=weeks_in_stage), weeks=weeks
        )
    conversion = segment.conversions()[index]
    moving, losing = (segment.stages[index].dwell_shares(lost=lost) for lost in (False, True))
    # a deal that is w weeks old can still leave in week w+1, w+2, …: week 0 to w have passed
    still_moving, still_losing = moving[weeks_in_stage + 1 :], losing[weeks_in_stage + 1 :]
    staying = conversion * still_moving.sum() + (1 - conversion) * still_losing.sum()
    if staying <= 0 or not len(still_moving):
        return np.zeros(weeks)
    leaving = conversion * still_moving / staying
    rest = [later.dwell_shares() for later in segment.stages[index + 1 :]]
    later_chance = float(np.prod(segment.conversions()[index + 1 :]))
    won = later_chance * reduce(np.convolve, rest, leaving)
    return np.pad(won, (0, max(weeks - len(won), 0)))[:weeks]


def _open_deals(scenario: Scenario) -> tuple[OpenDeals, ...]:
    team = [rep.name for rep in scenario.team()]
    names = [segment.name for segment in scenario.segments]
    quarters = scenario.calendar.quarters
    found: list[OpenDeals] = []
    chances: dict[tuple[int, str, int], FloatArray] = {}
    weeks_of = np.eye(3)[list(MONTH_OF_WEEK)]  # (week, month)
    for deal in scenario.pipeline:
        segment = names.index(deal.segment)
        key = (segment, deal.stage, deal.weeks_in_stage)
        if key not in chances:
            by_week = win_chances(
                scenario.segments[segment],
                stage=deal.stage,
                weeks_in_stage=deal.weeks_in_stage,
                weeks=quarters * WEEKS_PER_QUARTER,
            )
            chances[key] = by_week.reshape(quarters, WEEKS_PER_QUARTER) @ weeks_of
        by_month = chances[key]
        rep = team.index(deal.rep)
        found.append(OpenDeals(rep, segment, deal.amount, deal.deals, by_month.sum(axis=1), by_month))
    return tuple(found)
