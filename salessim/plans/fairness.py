"""Is a quota fair: how much of what a rep attains is luck, territory, skill, or the market [B5]."""

from __future__ import annotations

import numpy as np
import pandas as pd

from salessim.engine import Outcome
from salessim.engine.rates import moments, rates_of
from salessim.errors import PlanError
from salessim.plans.quota import QuotaPlan, period_quotas

__all__ = ["fairness"]


def fairness(outcome: Outcome, *, plan: QuotaPlan, period: str) -> pd.DataFrame:
    """What moves each rep's attainment away from the team's average: luck, territory, skill, market.

    *Luck*: which deals are won and how large they are, when skill and market are known. *Territory*: what a
    rep of average skill would attain with this rep's leads, open deals, ramp and quota, against the team's
    average. *Skill*: what history says of this rep against the average, and what it leaves open. *Market*:
    shocks that all reps share.

    Args:
        outcome: what the team may book.
        plan: what the reps are asked for.
        period: a quarter of the scenario, or "horizon".

    Returns:
        One row per rep with a quota: rep, role, quota (currency), chance (of making it),
        expected_attainment (bookings ÷ quota), territory_effect and skill_effect (points of attainment above
        the team's average, as fractions; they add up to expected_attainment less the average),
        luck_deviation, skill_deviation, market_deviation (standard deviations of attainment), and luck,
        territory, skill, market: shares of the mean squared distance from the team's average, adding up
        to 1. The product of a rep's territory and skill effects is left out of the shares: it belongs to
        neither.

    Raises:
        PlanError: nobody carries a quota in the period.

    >>> from salessim.engine import simulate
    >>> from salessim.library import example_plan, example_scenario
    >>> table = fairness(simulate(example_scenario()), plan=example_plan(), period="2026Q3")
    >>> bool(np.allclose(table[["luck", "territory", "skill", "market"]].sum(axis=1), 1))
    True
    """
    scenario = outcome.scenario
    quarters = outcome.quarters_of(period)
    quota = period_quotas(plan, scenario, period)
    carries = np.isfinite(quota)
    if not carries.any():
        raise PlanError(f"plan '{plan.name}': nobody carries a quota in {period}")
    rates = rates_of(scenario)
    parts = moments(rates, scenario, quarters)
    attained = parts.mean / quota
    average = float(np.nanmean(attained))
    from_leads = parts.mean - parts.open_deals
    average_skill = float(np.average(rates.skill_mean[carries]))
    of_average_skill = (from_leads / rates.skill_mean * average_skill + parts.open_deals) / quota
    territory, skill = of_average_skill - average, attained - of_average_skill
    squares = np.array(
        [
            parts.luck / quota**2,
            territory**2,
            skill**2 + parts.skill / quota**2,
            parts.market / quota**2,
        ]
    )
    total = squares.sum(axis=0)
    shares = squares / np.where(total > 0, total, 1.0)
    table = pd.DataFrame(
        {
            "rep": list(outcome.reps),
            "role": [rep.role for rep in scenario.team()],
            "quota": quota,
            "chance": outcome.chance_at_least(quota, period),
            "expected_attainment": attained,
            "territory_effect": territory,
            "skill_effect": skill,
            "luck_deviation": np.sqrt(parts.luck) / quota,
            "skill_deviation": np.sqrt(parts.skill) / quota,
            "market_deviation": np.sqrt(parts.market) / quota,
            "luck": shares[0],
            "territory": shares[1],
            "skill": shares[2],
            "market": shares[3],
        }
    )
    return table[carries].reset_index(drop=True)
