"""Pay plans: what a rep earns at which attainment, what a plan costs, and where each amount comes from."""

from __future__ import annotations

from salessim.pay.analysis import (
    AcceleratorCost,
    Distribution,
    PayCosts,
    PayDifference,
    accelerator_cost,
    compare_plans,
    earnings_curve,
    has_accelerators,
    pay_at,
    pay_costs,
    without_accelerators,
)
from salessim.pay.labels import Period
from salessim.pay.norms import FIELD_NORMS, FieldNorm, field_warnings
from salessim.pay.past import PastBookings, past_bookings, past_deals, pay_outcome, pay_past, trace_past
from salessim.pay.payout import PayInputs, Payout, pay_out
from salessim.pay.plan import (
    Clawback,
    Draw,
    PayPlan,
    PlanSource,
    RolePay,
    Spif,
    Tier,
    load_plan,
    shipped_plans,
)
from salessim.pay.trace import Deal, PayRow, PayTrace, credited_amount, trace

__all__ = [
    "FIELD_NORMS",
    "AcceleratorCost",
    "Clawback",
    "Deal",
    "Distribution",
    "Draw",
    "FieldNorm",
    "PastBookings",
    "PayCosts",
    "PayDifference",
    "PayInputs",
    "PayPlan",
    "PayRow",
    "PayTrace",
    "Payout",
    "Period",
    "PlanSource",
    "RolePay",
    "Spif",
    "Tier",
    "accelerator_cost",
    "compare_plans",
    "credited_amount",
    "earnings_curve",
    "field_warnings",
    "has_accelerators",
    "load_plan",
    "past_bookings",
    "past_deals",
    "pay_at",
    "pay_costs",
    "pay_out",
    "pay_outcome",
    "pay_past",
    "shipped_plans",
    "trace",
    "trace_past",
    "without_accelerators",
]
