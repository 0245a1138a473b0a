"""Which engine a scenario needs, and why: the rule that the program follows [A6].

The exact engine holds where deals do not get in each other's way: nobody works at the limit, nobody hands
deals on, nobody leaves, and nothing depends on quotas. A limit counts as not binding where the chance that a
rep would reach it, if there were none, stays below one in a hundred in every week.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.special import betainc, gammaincc, pdtrc

from salessim import formats
from salessim.engine.journey import followed_cells, lane_of, open_deal, still_open
from salessim.engine.rates import leads_by_source
from salessim.model import Scenario

__all__ = ["BINDING", "chance_of_limit", "needs_flow", "without_limits"]

FloatArray = npt.NDArray[np.float64]

NOTHING_BINDS = (
    "no limit on open deals per rep and no path-dependent rule: solved exactly, without sampling error"
)
#: Chance to reach a limit from which on it counts as binding.
BINDING = 0.01


def needs_flow(scenario: Scenario) -> tuple[bool, str]:
    """Whether a scenario has to be simulated week by week, and why (or why not), in a sentence.

    >>> from salessim.library import example_scenario
    >>> needs_flow(example_scenario())[0]
    False
    """
    if scenario.behaviours.any:
        return True, "what people do depends on how far they are from their quota: simulated week by week"
    staffed = {rep.role for rep in scenario.team()}
    if leaving := [r.name for r in scenario.roles if r.attrition_per_year > 0 and r.name in staffed]:
        return True, f"people leave ({', '.join(leaving)}) and are replaced: simulated week by week"
    for segment in scenario.segments:
        roles = dict.fromkeys(stage.role for stage in segment.stages)
        if len(roles) > 1:
            chain = " → ".join(str(role) for role in roles)
            return True, f"deals are handed over ({chain}): simulated week by week"
    chances = chance_of_limit(scenario)
    if not np.isfinite(chances).any():
        return False, NOTHING_BINDS
    highest = int(np.nanargmax(chances))
    rep, chance = scenario.team()[highest], float(chances[highest])
    limit = scenario.role(rep.role).capacity
    assert limit is not None  # only reps with a limit have a chance to reach it
    what = f"{limit.open_deals} open deals" if limit.open_deals else f"{limit.hours_per_week:g} hours a week"
    if chance >= BINDING:
        return True, (
            f"the limit of {what} binds (chance of {rep.name} to reach it: up to "
            f"{formats.percent(chance, digits=1)}): "
            "simulated week by week"
        )
    return False, (
        f"the limit of {what} does not bind (chance to reach it: at most "
        f"{formats.percent(chance, digits=1)}): "
        "solved exactly, without sampling error"
    )


def chance_of_limit(scenario: Scenario) -> FloatArray:
    """Highest chance over the weeks that each rep, working without limit, would reach the limit of the role,
    shape (reps,); NaN for reps without a limit.

    Open deals are Poisson given skill and market, so negative binomial (gamma mixed) with the mean of the
    journey: leads of the weeks before × chance to be still open. Hours are matched by a gamma law in mean and
    variance, or, where a few heavy deals fill the week, by counting every deal as the heaviest; the limit is
    reached where the next lead would not fit.
    """
    team = scenario.team()
    limits = [scenario.role(rep.role).capacity for rep in team]
    chances = np.full(len(team), np.nan)
    if not any(limits):
        return chances
    deals, hours, squares, first_hours = _work_in_progress(scenario)  # (rep, week) each; (rep,)
    heaviest = max(stage.hours_per_week for segment in scenario.segments for stage in segment.stages)
    shared = (1 + scenario.market.shock_cv**2) * (1 + scenario.market.level_cv**2)
    productivity = scenario.capacity(scenario.calendar.worked_periods())
    for r, (rep, limit) in enumerate(zip(team, limits, strict=True)):
        if limit is None:
            continue
        skill_cv = scenario.market.skill_cv if rep.skill_cv is None else rep.skill_cv
        spread = shared * (1 + skill_cv**2) - 1  # squared cv of the rate
        at_work = deals[r] > 0
        if not at_work.any():
            chances[r] = 0.0
            continue
        level = productivity[r][at_work] if limit.ramps else np.ones(int(at_work.sum()))
        if limit.open_deals is not None:
            most = np.floor(limit.open_deals * level + 1e-9)
            reached = _negative_binomial_at_least(most, deals[r][at_work], spread)
        else:
            assert limit.hours_per_week is not None  # one of the two is given
            room = np.maximum(limit.hours_per_week * level - first_hours[r], 0.0)
            mean = hours[r][at_work]
            variance = squares[r][at_work] + spread * mean**2
            shape = np.where(mean > 0, mean**2 / np.where(variance > 0, variance, 1.0), 1.0)
            reached = np.where(mean > 0, gammaincc(shape, shape * room / np.where(mean > 0, mean, 1.0)), 0.0)
            if heaviest > 0:
                count = np.floor(room / heaviest + 1e-9) + 1
                lumps = _negative_binomial_at_least(count, mean / heaviest, spread)
                reached = np.maximum(reached, np.where(mean > 0, lumps, 0.0))
        chances[r] = float(reached.max())
    return chances


def without_limits(scenario: Scenario) -> Scenario:
    """The same world with as much capacity as is wanted, at no cost [A6].

    >>> from salessim.library import example_scenario
    >>> without_limits(example_scenario()) == example_scenario()
    True
    """
    roles = tuple(role.model_copy(update={"capacity": None}) for role in scenario.roles)
    return scenario.model_copy(update={"roles": roles})


def _negative_binomial_at_least(count: FloatArray, mean: FloatArray, spread: float) -> FloatArray:
    """Chance of at least ``count`` where a Poisson mean varies with squared cv ``spread``."""
    if spread == 0:
        return np.where(count > 0, pdtrc(np.maximum(count - 1, 0), mean), 1.0)
    shape = 1 / spread
    return np.where(count > 0, betainc(np.maximum(count, 1), shape, mean / (mean + shape)), 1.0)


def _work_in_progress(scenario: Scenario) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    """Expected open deals, hours, and variance of hours of each rep by week without limits, (reps, weeks)
    each; and most hours of a stage at which leads come in, (reps,)."""
    team = [rep.name for rep in scenario.team()]
    by_source = leads_by_source(scenario)
    weeks = by_source[0][0].shape[1]
    mean_skill = np.array([rep.skill_mean for rep in scenario.team()])
    found = np.zeros((3, len(team), weeks))
    first_hours = 0.0

    def weights(stage: npt.NDArray[np.int64], segment_hours: FloatArray) -> FloatArray:
        hours = np.where(stage >= 0, segment_hours[stage], 0.0)
        return np.stack([(stage >= 0).astype(float), hours, hours**2])  # (3, cells)

    for segment, leads_of in zip(scenario.segments, by_source, strict=True):
        hours = np.array([stage.hours_per_week for stage in segment.stages])
        first_hours = max(first_hours, float(hours[0]))
        for source, leads in zip(segment.sources, leads_of, strict=False):
            lane = lane_of(segment, source, weeks=weeks)
            here = still_open(lane, weeks=weeks) @ weights(lane.stage, hours).T  # (weeks since arrival, 3)
            for kind in range(3):
                for rep in np.flatnonzero(leads.any(axis=1)):
                    found[kind, rep] += mean_skill[rep] * np.convolve(leads[rep], here[:, kind])[:weeks]
        known = [deal for deal in scenario.pipeline if deal.segment == segment.name]
        if known:
            lane = lane_of(segment, weeks=weeks + max(deal.weeks_in_stage for deal in known) + 2)
            for deal in known:
                start = open_deal(
                    segment, lane, stage=segment.stage_index(deal.stage), weeks_in_stage=deal.weeks_in_stage
                )
                later = followed_cells(lane, start, weeks=weeks) @ weights(lane.stage, hours).T
                found[:, team.index(deal.rep)] += deal.deals * later.T
    deals, hours_used, squares = found
    return deals, hours_used, squares, np.full(len(team), first_hours)
