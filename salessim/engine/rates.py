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

from salessim.model import Scenario, Segment
from salessim.periods import WEEKS_PER_QUARTER

__all__ = ["OpenDeals", "Rates", "rates_of", "weekly_leads", "win_chances"]

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True)
class OpenDeals:
    """Deals that were open when the horizon began, alike in everything that matters to an engine."""

    rep: int
    segment: int
    amount: float | None  # None: drawn from the deal size of the segment
    deals: int
    chances: FloatArray  # (quarters,) chance that one such deal is won in each quarter


@dataclass(frozen=True)
class Rates:
    """Expected wins and their ingredients; axes: rep, segment, quarter of arrival, quarter of the win."""

    wins: FloatArray  # (rep, segment, arrival quarter, quarter), before skill and shock
    worked: tuple[str, ...]  # names of the arrival quarters
    skill_mean: FloatArray  # (rep,)
    skill_cv: FloatArray  # (rep,)
    shock_cv: float
    level_cv: float
    open_deals: tuple[OpenDeals, ...]


def weekly_leads(scenario: Scenario) -> FloatArray:
    """Expected leads by rep, segment and week before skill and shock; shape (reps, segments, weeks).

    Weeks run over ``scenario.calendar.worked_periods()``. Inbound leads are a team total shared out by
    ramped capacity: a hire takes a share and adds none. Self-sourced leads grow with capacity. A week with
    nobody in the segment has no leads.
    """
    quarters = scenario.calendar.worked_periods()
    capacity = scenario.capacity(quarters)
    leads = np.zeros((len(capacity), len(scenario.segments), capacity.shape[1]))
    for index, segment in enumerate(scenario.segments):
        focus = np.array(
            [1.0 if rep.segments is None else rep.segments.get(segment.name, 0.0) for rep in scenario.team()]
        )
        working = capacity * focus[:, None]  # (rep, week)
        everyone = working.sum(axis=0)
        for source in segment.sources:
            if source.kind == "inbound":
                leads[:, index] += source.leads_per_week * working / np.where(everyone > 0, everyone, 1.0)
            else:
                leads[:, index] += source.leads_per_week * working
        leads[:, index] *= segment.seasonality.factors(quarters)
    return leads


def time_to_win(segment: Segment) -> FloatArray:
    """Law of the total time from lead to win, shape (weeks,): the convolution of the stages' laws."""
    return reduce(np.convolve, [stage.dwell_shares() for stage in segment.stages])


def rates_of(scenario: Scenario) -> Rates:
    """Work out the expected wins of a scenario.

    ``wins[r, s, a, q] = C_s · Σ_{w in a} leads[r, s, w] · P(the win falls in q | arrival in w)``.
    """
    leads = weekly_leads(scenario)
    quarters, worked = scenario.calendar.periods(), scenario.calendar.worked_periods()
    before = len(worked) - len(quarters)
    wins = np.zeros((*leads.shape[:2], len(worked), len(quarters)))
    weeks = leads.shape[2]
    for index, segment in enumerate(scenario.segments):
        won_within = np.append(0.0, np.cumsum(time_to_win(segment)))  # [k]: share won in fewer than k weeks
        edges = (before + np.arange(len(quarters) + 1)) * WEEKS_PER_QUARTER
        waited = np.clip(edges[None, :] - np.arange(weeks)[:, None], 0, len(won_within) - 1)
        falls_in = np.diff(won_within[waited], axis=1)  # (week of arrival, quarter of the win)
        by_week = leads[:, index, :, None] * falls_in
        chance = segment.close_probabilities()[0]
        wins[:, index] = chance * by_week.reshape(len(leads), len(worked), WEEKS_PER_QUARTER, -1).sum(axis=2)
    team = scenario.team()
    return Rates(
        wins=wins,
        worked=tuple(str(quarter) for quarter in worked),
        skill_mean=np.array([rep.skill_mean for rep in team]),
        skill_cv=np.array(
            [scenario.market.skill_cv if rep.skill_cv is None else rep.skill_cv for rep in team]
        ),
        shock_cv=scenario.market.shock_cv,
        level_cv=scenario.market.level_cv,
        open_deals=_open_deals(scenario),
    )


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
            chances[key] = by_week.reshape(quarters, WEEKS_PER_QUARTER).sum(axis=1)
        found.append(OpenDeals(team.index(deal.rep), segment, deal.amount, deal.deals, chances[key]))
    return tuple(found)
