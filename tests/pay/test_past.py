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
    Draw,
    PayPlan,
    RolePay,
    Spif,
    Tier,
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


TEAM_REPS = """rep,manager,role,start,end
Manager Nord,,sales manager,2024-01-01,
Manager Sued,,sales manager,2025-02-15,
Manager Away,,sales manager,2023-01-01,2024-06-30
Rep Alpha,Manager Nord,account executive,2024-01-01,
Rep Beta,Manager Nord,account executive,2024-01-01,
Rep Gamma,Manager Sued,account executive,2024-01-01,
Rep Delta,Manager Away,account executive,2024-01-01,
"""
TEAM_DEALS = """opportunity_id,rep,product,stage,created,closed,amount
D1,Rep Alpha,basic,won,2025-01-05,2025-02-20,100000
D2,Rep Beta,basic,won,2025-01-05,2025-03-31,150000
D3,Rep Gamma,basic,won,2025-01-05,2025-01-20,80000
D4,Manager Sued,basic,won,2025-01-05,2025-02-21,40000
D5,Rep Delta,basic,won,2025-01-05,2025-02-21,10000
D6,Rep Alpha,basic,won,2025-01-05,2025-04-20,30000.50
D7,Manager Sued,basic,won,2025-01-05,2025-05-20,70000
D8,Rep Gamma,basic,won,2025-01-05,2025-06-20,170000
"""
TEAM_QUOTAS = """rep,period,quota
Rep Alpha,2025Q1,120000
Rep Beta,2025Q1,80000
Rep Gamma,2025Q1,90000
Rep Delta,2025Q1,90000
Manager Sued,2025Q1,160000
Rep Alpha,2025Q2,120000
Rep Gamma,2025Q2,90000
"""


def team_plan(**fields: object) -> PayPlan:
    """Sellers paid on their own, managers on the team, and a SPIF for everybody's own deals."""
    steps = (Tier(starts_at=0.0, multiple=1.0), Tier(starts_at=1.0, multiple=1.5))
    spif = Spif(name="large", amount_per_deal=100.0, minimum_deal_amount=50_000.0)
    seller = RolePay(role=AE, on_target_earnings=100_000.0, base_share=0.5, tiers=steps, spifs=(spif,))
    manager = RolePay(
        role="sales manager",
        on_target_earnings=160_000.0,
        base_share=0.6,
        paid_on="team",
        tiers=steps,
        spifs=(spif,),
        draw=Draw(amount_per_month=5_500.0),
    )
    return PayPlan.model_validate({"name": "teams", "roles": (seller, manager)} | fields)


@pytest.fixture
def two_teams(write_export: Export) -> Path:
    return write_export({"reps.csv": TEAM_REPS, "opportunities.csv": TEAM_DEALS, "quotas.csv": TEAM_QUOTAS})


def test_managers_are_paid_on_their_teams_deals_and_get_spifs_for_their_own(two_teams: Path) -> None:
    paid = pay_past(team_plan(), read(two_teams), periods=["2025Q1", "2025Q2"])
    nord, sued = paid.reps.index("Manager Nord"), paid.reps.index("Manager Sued")
    # no quota of her own: her reps' quotas are added up; nothing sold by herself, yet she is paid
    assert paid.quota[nord].tolist() == [200_000.0, 120_000.0]
    assert paid.bookings[nord].tolist() == [250_000.0, 30_000.5]
    assert paid.commission[nord, 0] == pytest.approx(16_000 * (1 + 1.5 * 0.25))
    # his own quota, in the second quarter the team's; his own deals count for SPIFs alone
    assert paid.quota[sued].tolist() == [160_000.0, 90_000.0]
    assert paid.bookings[sued].tolist() == [80_000.0, 170_000.0]
    assert paid.spif[nord].tolist() == [0.0, 0.0]
    assert paid.spif[sued].tolist() == [0.0, 100.0]
    assert "Manager Away" not in paid.reps
    assert "paid on the team, without a deal or quota of their own: 'Manager Nord'" in paid.notes


@pytest.mark.parametrize(
    "terms",
    [{}, {"cumulative_within": "year"}, {"period": "month", "cumulative_within": "quarter"}],
    ids=["quarters", "year to date", "months"],
)
def test_the_trace_of_every_rep_of_two_teams_is_what_was_paid(
    two_teams: Path, terms: dict[str, object]
) -> None:
    plan, tables = team_plan(**terms), read(two_teams)
    months = ["2025-01", "2025-02", "2025-03", "2025-04"]
    periods = months if plan.period == "month" else ["2025Q1", "2025Q2"]
    paid = pay_past(plan, tables, periods=periods)
    traced = 0
    for column, period in enumerate(periods):
        for rep in (*past_bookings(tables, period=plan.period, periods=[period]).reps, "Manager Nord"):
            row = paid.reps.index(rep)
            exact = trace_past(plan, tables, rep=rep, period=period)
            assert float(exact.total) == pytest.approx(paid.total[row, column], abs=0.03)
            assert float(exact.bookings) == pytest.approx(paid.bookings[row, column])
            assert float(exact.quota or "nan") == pytest.approx(
                paid.quota[row, column], nan_ok=True, abs=0.005
            )
            for part in ("commission", "spif"):
                whole = getattr(paid, part)[row, column]
                assert float(exact.paid(part)) == pytest.approx(whole, abs=0.02)
            assert float(exact.draw_balance) == pytest.approx(paid.draw_balance[row, column], abs=0.03)
            traced += 1
    assert traced >= 9
    with pytest.raises(PlanError, match="rep is 'Manager Away'"):
        trace_past(plan, tables, rep="Manager Away", period=periods[0])


def test_what_cannot_be_traced_is_named(export: Path) -> None:
    with pytest.raises(
        PlanError, match="rep is 'Nobody'; a deal won or a quota up to 2025Q1 have 'Rep Alpha'"
    ):
        trace_past(load_plan("flat-rate"), read(export), rep="Nobody", period="2025Q1")
    two = load_plan("account-team")
    if len(two.roles) > 1:
        with pytest.raises(PlanError, match="no role for 'Rep Beta'"):
            trace_past(two, read(export), rep="Rep Beta", period="2025Q2")
