"""Figures that the field quotes about pay plans, with source, year and grade: for warnings, never as truth.

Grades: P primary page or abstract read; S secondary report of a named primary; W weak, a page without source.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from salessim.errors import PlanError
from salessim.formats import percent, ratio, span
from salessim.pay.plan import PayPlan, RolePay, Tier
from salessim.pay.schedule import accelerators

__all__ = ["FIELD_NORMS", "FieldNorm", "field_warnings"]


@dataclass(frozen=True)
class FieldNorm:
    """A range that the field quotes.

    >>> FIELD_NORMS["quota_to_ote"].low, FIELD_NORMS["quota_to_ote"].high
    (4.0, 6.0)
    """

    label: str
    low: float
    high: float
    unit: Literal["ratio", "share", "days"]
    source: str
    year: int | None
    """None: the source states no year."""
    grade: Literal["P", "S", "W"]

    def cited(self) -> str:
        """The source with year and grade, for brackets behind a figure."""
        return f"{self.source}, {self.year or 'no year'}, grade {self.grade}"


#: Norms by name; each warning of :func:`field_warnings` cites the one it compares with.
FIELD_NORMS: Mapping[str, FieldNorm] = {
    "quota_to_ote": FieldNorm(
        "quota ÷ OTE", 4.0, 6.0, "ratio", "scalinggtm.com and visdum.com; thecroreport.com says 5", None, "W"
    ),
    "base_share": FieldNorm(
        "pay mix: base share of an account executive; the field's 50/50 give or take ten points",
        0.4, 0.6, "share", "vendor pages on quota and OTE", None, "W",
    ),
    "accelerator": FieldNorm(
        "highest accelerator multiple", 1.5, 2.5, "ratio",
        "pulserevops: 1.5 at 100–125 %, 2 at 125–150 %, 2.5 above", None, "W",
    ),
    "plans_with_accelerators": FieldNorm(
        "share of plans with accelerators", 0.8, 0.8, "share", "Alexander Group via prowi.io", None, "S"
    ),
    "decelerator": FieldNorm(
        "decelerator multiple below 40–60 % attainment", 0.3, 0.7, "ratio",
        "vendor pages on decelerators", None, "W",
    ),
    "plans_with_cap": FieldNorm("share of plans that cap pay", 0.0, 0.15, "share", "Bridge Group", 2024, "S"),
    "clawback_window": FieldNorm(
        "clawback window", 90.0, 180.0, "days", "vendor pages on clawbacks", None, "W"
    ),
    "cost_of_sales": FieldNorm("sales pay ÷ revenue, about", 0.098, 0.098, "share", "Xactly", 2017, "S"),
}  # fmt: skip


def field_warnings(plan: PayPlan, *, annual_quota: float | Mapping[str, float]) -> list[str]:
    """Where a plan lies outside what the field quotes: one sentence each with figure, source, year and grade.

    A warning never refuses: the figures disagree widely, and most have no source. Roles paid on the team are
    not compared by quota and pay mix: these figures are about sellers.

    Args:
        plan: the pay plan.
        annual_quota: quota per year in currency; one number, or one per role (roles left out carry none).

    >>> from salessim.pay import load_plan
    >>> field_warnings(load_plan("50-50-accelerator"), annual_quota=500_000.0)
    []
    >>> field_warnings(load_plan("50-50-accelerator"), annual_quota=250_000.0)[0]
    'account executive: quota is 2.5× OTE; the field quotes 4.0× to 6.0× (scalinggtm.com and visdum.com; \
thecroreport.com says 5, no year, grade W)'
    """
    found = []
    for role in plan.roles:
        quota = annual_quota.get(role.role) if isinstance(annual_quota, Mapping) else annual_quota
        if quota is not None and not quota > 0:
            raise PlanError(f"annual_quota of '{role.role}' is {quota:g}; it must be above zero")
        found += [f"{role.role}: {text}" for text in _role_warnings(role, quota)]
    return found


def _role_warnings(role: RolePay, quota: float | None) -> list[str]:
    found = []
    closes = role.paid_on == "own"  # a team's quota is a sum over many sellers
    if (
        closes
        and quota is not None
        and (outside := _outside("quota_to_ote", quota / role.on_target_earnings))
    ):
        found.append(f"quota is {ratio(quota / role.on_target_earnings)} OTE; {outside}")
    if closes and (outside := _outside("base_share", role.base_share)):
        found.append(f"base pay is {percent(role.base_share)} of OTE; for account executives {outside}")
    found_accelerators = accelerators(role, annual_quota=quota)
    multiples = [m for m in (_multiple(role, tier, quota) for tier in found_accelerators) if m is not None]
    if not found_accelerators:
        norm = FIELD_NORMS["plans_with_accelerators"]
        found.append(f"no accelerator; about {percent(norm.low)} of plans have them ({norm.cited()})")
    elif multiples and max(multiples) > FIELD_NORMS["accelerator"].high:
        norm = FIELD_NORMS["accelerator"]
        found.append(
            f"the highest accelerator is {ratio(max(multiples))} the base rate; the field quotes up to "
            f"{ratio(norm.high)} ({norm.cited()})"
        )
    if role.cap is not None:
        norm = FIELD_NORMS["plans_with_cap"]
        found.append(
            f"commission is capped at {ratio(role.cap)} target variable pay; under {percent(norm.high)} of "
            f"plans cap pay ({norm.cited()})"
        )
    if role.clawback is not None and (outside := _outside("clawback_window", role.clawback.window_days)):
        found.append(f"the clawback window is {role.clawback.window_days} days; {outside}")
    return found


def _multiple(role: RolePay, tier: Tier, quota: float | None) -> float | None:
    """Rate of a tier as a multiple of the base rate; None where that needs a quota."""
    if tier.multiple is not None:
        return tier.multiple
    if quota is None or role.target_variable == 0:
        return None
    return (tier.rate or 0.0) * quota / role.target_variable


def _outside(name: str, value: float) -> str:
    """The norm in words where the value lies outside, else nothing."""
    norm = FIELD_NORMS[name]
    if norm.low <= value <= norm.high:
        return ""
    if norm.unit == "ratio":
        quoted = f"{ratio(norm.low)} to {ratio(norm.high)}"
    else:
        quoted = span(norm.low, norm.high, norm.unit)
    return f"the field quotes {quoted} ({norm.cited()})"
