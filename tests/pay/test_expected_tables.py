"""Every shipped plan pays what the table beside it says, by both implementations, to the cent."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from salessim.pay import Deal, PayPlan, load_plan, pay_out, shipped_plans, trace
from salessim.pay.trace import credited_amount, qualifies

PARTS = ["base", "commission", "spif", "draw", "clawback"]


def expected(path: Path) -> pd.DataFrame:
    table = pd.read_csv(path.with_name(f"{path.stem}.expected.csv"), comment="#", dtype={"deals": str})
    table["deals"] = table["deals"].fillna("").astype(str)
    return table


TABLES = {name: expected(path) for name, path in shipped_plans().items()}
CASES = [(name, case) for name, table in TABLES.items() for case in table["case"].unique()]


def deals_of(row: pd.Series) -> list[Deal]:
    quarter = int(str(row["period"])[-1])
    first = date(int(str(row["period"])[:4]), 3 * quarter - 2, 1)
    found = []
    for number, text in enumerate(str(row["deals"]).split()):
        closed = first + timedelta(days=number)
        found.append(
            Deal(
                deal_id=f"{row['period']}-{number}",
                rep="Rep Alpha",
                closed=closed,
                amount=Decimal(text.rstrip("xs")),
                churned=closed + timedelta(days=30) if text.endswith("x") else None,
                participants=("Rep Beta",) if text.endswith("s") else (),
            )
        )
    return [deal for deal in found if deal.amount > 0]


def test_at_least_six_plans_ship_each_with_a_table() -> None:
    assert len(TABLES) >= 6
    for name, table in TABLES.items():
        assert len(table) >= 3, name
        assert (table[PARTS].sum(axis=1) - table["total"]).abs().max() < 1e-9, name
        assert table["how"].str.len().min() > 5, name


@pytest.mark.parametrize(("name", "case"), CASES)
def test_trace_pays_the_expected_table(name: str, case: str) -> None:
    plan, table = load_plan(name), TABLES[name]
    rows = table[table["case"] == case]
    quotas = {row["period"]: None if pd.isna(row["quota"]) else row["quota"] for _, row in rows.iterrows()}
    deals = [deal for _, row in rows.iterrows() for deal in deals_of(row)]
    balance = Decimal(0)
    for _, row in rows.iterrows():
        tenure = None if pd.isna(row["tenure_months"]) else float(row["tenure_months"])
        paid = trace(
            plan,
            deals,
            # a manager is paid on what others sell
            rep="Rep Alpha" if plan.role(row["role"]).paid_on == "own" else "Manager Nord",
            role=row["role"],
            period=row["period"],
            quota=quotas if plan.cumulative_within else quotas[row["period"]],
            tenure_months=tenure,
            draw_balance=balance,
        )
        balance = paid.draw_balance
        found = {part: float(paid.paid(part)) for part in PARTS}
        assert found == {part: float(row[part]) for part in PARTS}
        assert float(paid.total) == row["total"]
        assert paid.attainment == pytest.approx(row["attainment"], nan_ok=True)


@pytest.mark.parametrize(("name", "case"), CASES)
def test_arrays_pay_the_expected_table(name: str, case: str) -> None:
    plan, table = load_plan(name), TABLES[name]
    rows = table[table["case"] == case]
    role = rows["role"].iloc[0]
    deals = [deals_of(row) for _, row in rows.iterrows()]
    credited = [
        [float(credited_amount(plan, deal, rep="Rep Alpha", role=role)) for deal in one] for one in deals
    ]
    bookings = np.array([[sum(amounts) for amounts in credited]], dtype=float)
    left = np.array([[sum(float(d.amount) for d in one if d.churned) for one in deals]], dtype=float)
    spifs = plan.role(role).spifs
    counts = {
        spif.name: np.array([[sum(qualifies(d, spif) for d in one) for one in deals]]) for spif in spifs
    }
    team = plan.role(role).paid_on == "team"
    paid = pay_out(
        plan,
        np.vstack([bookings, bookings]) if team else bookings,
        np.tile(rows["quota"].to_numpy(dtype=float), (2 if team else 1, 1)),
        roles=[role, "account executive"] if team else [role],
        periods=rows["period"].tolist(),
        spif_deals=counts,
        churned_share=np.divide(left, bookings[:1], out=np.zeros_like(left), where=bookings[:1] > 0),
        tenure_months=np.vstack([rows["tenure_months"].to_numpy(dtype=float)] * (2 if team else 1)),
    )
    found = {
        "base": paid.base,
        "commission": paid.commission,
        "spif": paid.spif,
        "draw": paid.draw_advance - paid.draw_recovered,
        "clawback": -paid.clawback,
        "total": paid.total,
        "attainment": paid.attainment,
    }
    for part, amounts in found.items():
        np.testing.assert_allclose(amounts[0], rows[part].to_numpy(dtype=float), atol=1e-8, err_msg=part)


@pytest.mark.parametrize("name", list(TABLES))
def test_plans_survive_yaml(name: str) -> None:
    plan = load_plan(name)
    assert PayPlan.from_yaml(plan.to_yaml()) == plan
    assert PayPlan.model_validate_json(plan.model_dump_json()) == plan
