"""Solve for quotas: which quotas a wanted share of reps makes, for the whole team, by role or by segment.

Three ways to set them side by side. *One quota* keeps the relation of the plan (ramp relief, roles) and moves
its level; *potential* asks every rep in proportion to expected bookings; *equal chance* gives every rep the
quota that the rep makes with the same chance. On the exact engine all are solved without sampling error.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.optimize import minimize_scalar

from salessim import formats
from salessim.engine import HORIZON, Outcome
from salessim.engine.rates import rates_of
from salessim.errors import EngineError, PlanError, listed
from salessim.model import Scenario
from salessim.plans.quota import MIDDLE, QuotaPlan, QuotaScore, period_quotas, quotas, score

__all__ = ["METHODS", "Aim", "Group", "Method", "Solution", "main_segments", "solve"]

FloatArray = npt.NDArray[np.float64]

Method = Literal["one quota", "potential", "equal chance"]
METHODS: tuple[Method, ...] = get_args(Method)
Group = Literal["team", "role", "segment"]
Aim = Literal["share", "band"]

#: A rep belongs to a segment that brings at least this share of what the rep is expected to book.
MAIN_SHARE = 0.6
#: Expected shares among which the best chance of landing in the band is looked for.
SHARES_TRIED = np.linspace(0.30, 0.95, 27)


@dataclass(frozen=True)
class Solution:
    """Quotas that were solved for, and what they mean."""

    plan: QuotaPlan
    """The plan with the solved quotas (its quotas_by_rep)."""
    score: QuotaScore
    """Score of the whole team under it."""
    method: Method
    group: Group
    aim: Aim
    groups: pd.DataFrame
    """One row per group: group, reps, quota_low, quota_median, quota_high (of its reps in the period, in
    currency), sum_of_quotas, expected_share, share_low, share_high (P10 and P90 of the share attaining),
    probability_band. NaN: nobody in the group can be given a quota."""
    notes: tuple[str, ...]
    """Who could not be given a quota, and why."""


def solve(
    outcome: Outcome,
    *,
    plan: QuotaPlan,
    period: str,
    share: float = MIDDLE,
    method: Method = "one quota",
    group: Group = "team",
    aim: Aim = "share",
) -> Solution:
    """Find the quotas that a wanted share of reps is expected to make [B1], and say what they mean [B6].

    Args:
        outcome: what the team may book; the exact engine solves without noise.
        plan: says who carries a quota, how newcomers are relieved, the team plan and the target band.
        period: a quarter of the scenario, or "horizon".
        share: expected share of reps who make quota (with aim "share").
        method: one quota: the plan's own relation between reps; potential: in proportion to expected
            bookings; equal chance: every rep makes it with the same chance.
        group: whether the aim is met by the team as a whole, by each role, or by each main segment.
        aim: "share" aims at the expected share; "band" at the highest chance that the share lands in the
            plan's target band.

    Raises:
        PlanError: nobody carries a quota, or no quota above zero is made by so many reps.

    >>> from salessim.engine import simulate
    >>> from salessim.library import example_plan, example_scenario
    >>> outcome = simulate(example_scenario())
    >>> found = solve(outcome, plan=example_plan(), period="2026Q3", method="equal chance")
    >>> found.score.reps["chance"].round(3).unique().tolist()
    [0.675]
    """
    for name, value, allowed in (
        ("method", method, get_args(Method)),
        ("group", group, get_args(Group)),
        ("aim", aim, get_args(Aim)),
    ):
        if value not in allowed:
            raise PlanError(f"{name} is {value!r}; it must be one of {listed(allowed)}")
    if not 0 < share < 1:
        raise PlanError(f"share is {share!r}; it must lie between 0 and 1, such as {MIDDLE}")
    scenario = outcome.scenario
    outcome.quarters_of(period)
    asked = period_quotas(plan, scenario, period)
    if not np.isfinite(asked).any():
        raise PlanError(f"plan '{plan.name}': nobody carries a quota in {period}")
    labels = _labels(scenario, group)
    solved = np.full(len(asked), np.nan)
    notes: list[str] = []
    for label in dict.fromkeys(labels[np.isfinite(asked)]):
        members = np.isfinite(asked) & (labels == label)
        amounts = _amounts(outcome, np.where(members, asked, np.nan), period, method)
        wanted = _best_share(outcome, amounts, plan, period) if aim == "band" else share
        found = amounts(wanted)
        short = members & ~(np.nan_to_num(found) > 0)
        solved = np.where(members & ~short, found, solved)
        if short.any():
            names = [rep for rep, missing in zip(outcome.reps, short, strict=True) if missing]
            anything = outcome.chance_at_least(np.where(short, 1e-9, np.nan), period)
            notes.append(
                f"no quota for {listed(names)}: to book anything at all in {period} has a chance of only "
                f"{formats.percent(float(np.nanmax(anything)))}, less than the "
                f"{formats.percent(wanted, digits=1)} aimed at"
            )
    if not np.isfinite(solved).any():
        raise PlanError(f"{period}: no quota above zero is made by so many reps; {'; '.join(notes)}")
    result = _with_quotas(plan, scenario, period, asked, solved)
    return Solution(
        plan=result,
        score=score(outcome, result, period=period),
        method=method,
        group=group,
        aim=aim,
        groups=_groups(outcome, plan, period, labels, np.isfinite(asked), solved),
        notes=tuple(notes),
    )


def main_segments(scenario: Scenario) -> list[str]:
    """The segment that brings each rep most of the expected bookings; "mixed" where none brings 60 %.

    >>> from salessim.library import example_scenario
    >>> sorted(set(main_segments(example_scenario())))
    ['SMB']
    """
    sizes = np.array([segment.deal_size.moments()[0] for segment in scenario.segments])
    rates = rates_of(scenario)
    amounts = rates.wins.sum(axis=(2, 3)) * sizes * rates.skill_mean[:, None]  # (rep, segment)
    for deal in rates.open_deals:
        size = sizes[deal.segment] if deal.amount is None else deal.amount
        amounts[deal.rep, deal.segment] += deal.deals * deal.chances.sum() * size
    total = amounts.sum(axis=1)
    largest = amounts.argmax(axis=1)
    clear = amounts.max(axis=1) >= MAIN_SHARE * np.where(total > 0, total, np.inf)
    return [
        scenario.segments[index].name if main else "mixed" for index, main in zip(largest, clear, strict=True)
    ]


def _labels(scenario: Scenario, group: Group) -> npt.NDArray[np.object_]:
    if group == "role":
        return np.array([rep.role for rep in scenario.team()], dtype=object)
    if group == "segment":
        return np.array(main_segments(scenario), dtype=object)
    return np.full(len(scenario.team()), "team", dtype=object)


def _amounts(
    outcome: Outcome, asked: FloatArray, period: str, method: Method
) -> Callable[[float], FloatArray]:
    """Quotas of the reps for an expected share, shape (reps,); NaN or 0: none."""
    if method == "equal chance":

        def by_chance(share: float) -> FloatArray:
            # a hair below, so that where bookings have atoms the quota is not in the jump behind one
            quantile = outcome.rep_quantiles([1 - share], period)[0] * (1 - 1e-9)
            reached = outcome.chance_at_least(np.where(quantile > 0, quantile, np.nan), period)
            made = np.nan_to_num(reached) >= share - 0.01
            return np.where(np.isfinite(asked) & made, quantile, np.nan)

        return by_chance
    weights = asked
    if method == "potential":
        expected = outcome.expected_bookings(period)
        weights = np.where(np.isfinite(asked) & (expected > 0), expected, np.nan)

    def by_level(share: float) -> FloatArray:
        try:
            level = outcome.amount_for_share(weights, share, period)
        except EngineError:  # nobody in the group has a weight
            return np.full(len(weights), np.nan)
        if level <= 0 or outcome.share_at_least(weights, 1e-9 * level, period) < share - 0.01:
            return np.full(len(weights), np.nan)
        return level * weights

    return by_level


def _best_share(
    outcome: Outcome, amounts: Callable[[float], FloatArray], plan: QuotaPlan, period: str
) -> float:
    """The expected share whose quotas land in the band most often."""

    def missed(share: float) -> float:
        quota = amounts(float(share))
        return 1.0 - (_landing(outcome, quota, plan, period)[0] if np.isfinite(quota).any() else 0.0)

    tried = [missed(share) for share in SHARES_TRIED]
    best = int(np.argmin(tried))
    low, high = SHARES_TRIED[max(best - 1, 0)], SHARES_TRIED[min(best + 1, len(SHARES_TRIED) - 1)]
    found = minimize_scalar(missed, bounds=(low, high), method="bounded", options={"xatol": 1e-3})
    return float(found.x if found.fun <= tried[best] else SHARES_TRIED[best])


def _landing(
    outcome: Outcome, amounts: FloatArray, plan: QuotaPlan, period: str
) -> tuple[float, float, float, float]:
    """Chance that the share lands in the band; expected share; its P10 and P90."""
    law = outcome.number_at_least(amounts, period)
    shares = np.arange(len(law)) / (len(law) - 1)
    inside = (shares >= plan.target_band[0] - 1e-9) & (shares <= plan.target_band[1] + 1e-9)
    below = np.cumsum(law)
    low, high = (float(shares[np.searchsorted(below, end - 1e-9)]) for end in (0.1, 0.9))
    return float(law[inside].sum()), float(law @ shares), low, high


def _groups(
    outcome: Outcome,
    plan: QuotaPlan,
    period: str,
    labels: npt.NDArray[np.object_],
    carries: npt.NDArray[np.bool_],
    solved: FloatArray,
) -> pd.DataFrame:
    rows = []
    for label in dict.fromkeys(labels[carries]):
        amounts = np.where(labels == label, solved, np.nan)
        given = amounts[np.isfinite(amounts)]
        nothing = (np.nan,) * 4
        band, expected, low, high = _landing(outcome, amounts, plan, period) if len(given) else nothing
        rows.append(
            {
                "group": label,
                "reps": len(given),
                "quota_low": given.min(initial=np.inf) if len(given) else np.nan,
                "quota_median": float(np.median(given)) if len(given) else np.nan,
                "quota_high": given.max(initial=0.0) if len(given) else np.nan,
                "sum_of_quotas": float(given.sum()),
                "expected_share": expected,
                "share_low": low,
                "share_high": high,
                "probability_band": band,
            }
        )
    return pd.DataFrame(rows)


def _with_quotas(
    plan: QuotaPlan, scenario: Scenario, period: str, asked: FloatArray, solved: FloatArray
) -> QuotaPlan:
    """The plan with the solved quotas rep by rep; over the horizon they are split like the plan's own."""
    by_quarter = quotas(plan, scenario)
    chosen = list(by_quarter.columns) if period == HORIZON else [period]
    own = {rep: dict(amounts) for rep, amounts in plan.quotas_by_rep.items()}
    for position, rep in enumerate(by_quarter.index):
        if not np.isfinite(asked[position]):
            continue
        factor = np.nan_to_num(solved[position] / asked[position])  # nothing found: no quota
        for quarter in chosen:
            amount = by_quarter.loc[rep, quarter]
            if np.isfinite(amount):
                own.setdefault(str(rep), {})[quarter] = float(amount * factor)
    return plan.model_copy(update={"quotas_by_rep": own})
