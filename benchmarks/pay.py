"""How fast a pay plan is scored, beside the ways that a spreadsheet person would write it in Python.

    .venv/bin/python -m benchmarks.pay

Workload: 1,000,000 rep-periods (5,000 trials, 50 reps, 4 quarters) against a plan of five tiers. The slow
ways run on part of it and are scaled. Nothing here passes or fails by time.
"""

from __future__ import annotations

import platform

import numpy as np
import pandas as pd

from benchmarks.timing import seconds
from salessim.engine.streams import generator
from salessim.pay import (
    PayPlan,
    RolePay,
    Tier,
    accelerator_cost,
    compare_plans,
    load_plan,
    pay_costs,
    pay_out,
)

CELLS = (5_000, 50, 4)
QUOTA = 120_000.0
STEPS = ((0.0, 1.0), (1.0, 1.5), (1.25, 2.0), (1.5, 2.5), (1.75, 3.0))


def row_by_row(bookings: float, quota: float, target: float) -> float:
    """Commission of one rep and period, tier by tier."""
    attainment, paid = bookings / quota, 0.0
    for number, (start, multiple) in enumerate(STEPS):
        end = STEPS[number + 1][0] if number + 1 < len(STEPS) else float("inf")
        paid += max(min(attainment, end) - start, 0.0) * multiple * target
    return paid


def main() -> None:
    tiers = tuple(Tier(starts_at=start, multiple=multiple) for start, multiple in STEPS)
    seller = RolePay(role="account executive", on_target_earnings=100_000.0, base_share=0.5, tiers=tiers)
    plan = PayPlan(name="five tiers", roles=(seller,))
    bookings = generator(1, "benchmark").gamma(4.0, 32_000.0, CELLS)
    quotas = np.full(CELLS[1:], QUOTA)
    roles = ["account executive"] * CELLS[1]
    target = seller.target_variable / 4
    cells = bookings.ravel()
    few = cells[:20_000]
    scale = cells.size / few.size
    frame = pd.DataFrame({"bookings": few, "quota": QUOTA})

    paid = pay_out(plan, bookings, quotas, roles=roles)
    by_row = np.array([row_by_row(amount, QUOTA, target) for amount in few])
    np.testing.assert_allclose(paid.commission.ravel()[: few.size], by_row, rtol=1e-12)
    other = paid.by_plan(load_plan("50-50-accelerator"))

    measured = {
        "pay_out: commission, base, total": seconds(
            lambda: pay_out(plan, bookings, quotas, roles=roles), times=7
        ),
        "Python, row by row": seconds(lambda: [row_by_row(x, QUOTA, target) for x in few], times=3) * scale,
        "pandas, apply by row": seconds(
            lambda: frame.apply(lambda row: row_by_row(row["bookings"], row["quota"], target), axis=1),
            times=3,
        )
        * scale,
        "pay_costs: distribution of cost": seconds(lambda: pay_costs(paid), times=3),
        "compare_plans: two plans on the same luck": seconds(lambda: compare_plans(paid, other), times=3),
        "accelerator_cost: three scorings": seconds(
            lambda: accelerator_cost(paid, gross_margin=0.7), times=3
        ),
    }
    base = measured["pay_out: commission, base, total"]
    print(f"Python {platform.python_version()}, NumPy {np.__version__}, pandas {pd.__version__}")
    print("| what | seconds | x pay_out |\n| --- | --- | --- |")
    for name, taken in measured.items():
        print(f"| {name} | {taken:.3f} | {taken / base:,.1f} |")


if __name__ == "__main__":
    main()
