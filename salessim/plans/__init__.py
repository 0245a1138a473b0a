"""Quota plans: what each rep is asked for, what that means, and which quotas a wanted share of reps makes."""

from __future__ import annotations

from salessim.plans.fairness import fairness
from salessim.plans.levers import LEVERS, Lever, closing_the_gap, with_lever
from salessim.plans.quota import (
    BAND,
    MIDDLE,
    QuotaPlan,
    QuotaScore,
    RampRelief,
    monthly_quotas,
    period_quotas,
    plan_for_share,
    quota_for_share,
    quota_weights,
    quotas,
    ramping_reps,
    score,
    tradeoff,
)
from salessim.plans.solve import Solution, main_segments, solve

__all__ = [
    "BAND",
    "LEVERS",
    "MIDDLE",
    "Lever",
    "QuotaPlan",
    "QuotaScore",
    "RampRelief",
    "Solution",
    "closing_the_gap",
    "fairness",
    "main_segments",
    "monthly_quotas",
    "period_quotas",
    "plan_for_share",
    "quota_for_share",
    "quota_weights",
    "quotas",
    "ramping_reps",
    "score",
    "solve",
    "tradeoff",
    "with_lever",
]
