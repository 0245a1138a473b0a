"""Pay on past quarters: what an export says, to the cent, and what it does not say."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest

from salessim.crm import read
from salessim.errors import PlanError
from salessim.library import example_crm
from salessim.pay import (
    Spif,
    load_plan,
    past_bookings,
    past_deals,
    pay_past,
    shipped_plans,
    trace,
    trace_past,
)

AE = "account executive"
Export = Callable[[Mapping[str, str | bytes]], Path]

REPS = "rep,role,start\nRep Alpha,account executive,2024-01-01\nRep Beta,,2025-05-16\n"
DEALS = """opportunity_id,rep,product,stage,created,closed,amount
D1,Rep Alpha,basic,won,2025-01-05,2025-02-20,100000.00
D2,Rep Alpha,analytics,won,2025-01-05,2025-03-31,50000.25
D3,Rep Beta,basic,won,2025-03-05,2025-06-01,20000
D4,Rep Beta,basic,lost,2025-03-05,2025-06-02,
D5,Rep Beta,basic,won,2025-07-01,2025-07-02,1000
"""
QUOTAS = "rep,period,quota\nRep Alpha,2025Q1,125000\nRep Alpha,2025Q2,125000\n"


@pytest.fixture
def export(write_export: Export) -> Path:
    return write_export({"reps.csv": REPS, "opportunities.csv": DEALS, "quotas.csv": QUOTAS})


def test_bookings_quotas_and_time_on_the_payroll(export: Path) -> None:
    past = past_bookings(read(export), periods=["2025Q1", "2025Q2"])
    assert past.reps == ("Rep Alpha", "Rep Beta")
    assert past.roles == (AE, None)
    np.testing.assert_allclose(past.bookings, [[150_000.25, 0.0], [0.0, 20_000.0]])
    assert past.won.tolist() == [[2.0, 0.0], [0.0, 1.0]]
    np.testing.assert_array_equal(past.quotas, [[125_000.0, 125_000.0], [np.nan, np.nan]])
    np.testing.assert_allclose(past.employed, [[1, 1], [0, 46 / 91]])
    assert past.notes == ("no quota in any of these periods: 'Rep Beta'",)


def test_quotas_are_split_over_months_and_added_up_over_years(export: Path) -> None:
    tables = read(export)
    months = past_bookings(tables, period="month", periods=["2025-02", "2025-03", "2025-04"])
    np.testing.assert_allclose(months.quotas[0], np.full(3, 125_000 / 3))
    np.testing.assert_allclose(months.bookings[0], [100_000.0, 50_000.25, 0.0])
    year = past_bookings(tables, period="year", periods=["2025"])
    assert year.quotas[0, 0] == 250_000.0
    assert "2025 is not complete" in year.notes[-1]


def test_past_pay_is_the_sum_of_its_traces(export: Path) -> None:
    tables = read(export)
    spif = Spif(name="analytics", amount_per_deal=250.0, product="analytics")
    plan = load_plan("50-50-accelerator")
    plan = plan.model_copy(update={"roles": (plan.roles[0].model_copy(update={"spifs": (spif,)}),)})
    paid = pay_past(plan, tables, periods=["2025Q1"])
    assert paid.reps == ("Rep Alpha",)
    exact = trace(plan, past_deals(tables), rep="Rep Alpha", role=AE, period="2025Q1", quota=125_000)
    assert exact.paid("spif") == Decimal("250.00")
    assert float(paid.total[0, 0]) == pytest.approx(float(exact.total), abs=0.005)
    assert exact.paid("commission") == Decimal("16250.04")  # 12,500 + 25,000.25 × 15 %


def test_reps_without_role_are_paid_by_the_only_one_and_it_is_said(export: Path) -> None:
    paid = pay_past(load_plan("50-50-accelerator"), read(export), periods=["2025Q2"])
    assert paid.roles == (AE, AE)
    assert "the export has no role for 'Rep Beta': paid as account executive" in paid.notes
    with pytest.raises(PlanError, match=r"the export has no role for 'Rep Beta'; say role=…"):
        pay_past(load_plan("account-team"), read(export), periods=["2025Q2"])


def test_complete_periods_are_found(export: Path) -> None:
    tables = read(export)
    found = past_bookings(tables)
    assert found.periods[0] == "2025Q1"
    with pytest.raises(PlanError, match="no year is complete on"):
        past_bookings(tables, period="year")
    with pytest.raises(PlanError, match="nobody has a deal won or a quota in 2020Q1 to 2020Q1"):
        past_bookings(tables, periods=["2020Q1"])


def test_the_example_company_paid_what_its_deals_say() -> None:
    tables = read(example_crm())
    plan = load_plan("year-to-date")
    paid = pay_past(plan, tables)
    deals = past_deals(tables)
    row = paid.reps.index("Ben Birch")
    quotas = dict(zip(paid.periods, paid.inputs.quotas[row].tolist(), strict=True))
    for column, period in enumerate(paid.periods):
        exact = trace(plan, deals, rep="Ben Birch", role=AE, period=period, quota=quotas)
        assert float(paid.total[row, column]) == pytest.approx(float(exact.total), abs=0.011)


def test_real_quarters_are_paid(real_data: Path) -> None:
    tables = read(real_data / "maven_crm")
    paid = pay_past(load_plan("flat-rate"), tables)
    won = tables.opportunities[tables.opportunities["status"] == "won"]
    complete = won[won["closed"] <= "2017-12-31"]
    assert paid.commission.sum() <= 0.1 * complete["amount"].sum() + 1e-6
    assert paid.commission.sum() == pytest.approx(0.1 * paid.inputs.bookings.sum())
    assert any("no role" in note for note in paid.notes)


@pytest.mark.parametrize("name", sorted(shipped_plans()))
def test_a_traced_period_is_what_the_plan_paid(export: Path, name: str) -> None:
    plan, tables = load_plan(name), read(export)
    labels = {"month": ["2025-02", "2025-03"], "quarter": ["2025Q1", "2025Q2"], "year": ["2025"]}
    if plan.period == "year" or len(plan.roles) > 1:
        plan = plan.model_copy(update={"roles": plan.roles[:1]})
    chosen = labels[plan.period]
    paid = pay_past(plan, tables, periods=chosen)
    for row, rep in enumerate(paid.reps):
        for column, label in enumerate(chosen):
            if rep == "Rep Beta" and label in ("2025Q1", "2025-02", "2025-03"):  # started in May
                continue
            traced = trace_past(plan, tables, rep=rep, period=label)
            assert float(traced.total) == pytest.approx(paid.total[row, column], abs=0.011)


def test_what_cannot_be_traced_is_named(export: Path) -> None:
    with pytest.raises(
        PlanError, match="rep is 'Nobody'; a deal won or a quota up to 2025Q1 have 'Rep Alpha'"
    ):
        trace_past(load_plan("flat-rate"), read(export), rep="Nobody", period="2025Q1")
    two = load_plan("account-team")
    if len(two.roles) > 1:
        with pytest.raises(PlanError, match="no role for 'Rep Beta'"):
            trace_past(two, read(export), rep="Rep Beta", period="2025Q2")
