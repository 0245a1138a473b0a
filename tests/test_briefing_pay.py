"""Quotas and pay in the report: figures that agree with each other, and sentences that are true."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from salessim import briefing, pay
from salessim.briefing import Briefing, PayReport
from salessim.engine import HORIZON, simulate
from salessim.model import Role
from salessim.plans import QuotaPlan, score


@pytest.fixture(scope="module")
def example() -> Briefing:
    return briefing.prepare(crm_folder="example", quarter="2026Q2")


@pytest.fixture(scope="module")
def paid(example: Briefing) -> PayReport:
    return briefing.prepare_pay(example, compare="threshold-and-cap", trials=1000)


def test_the_recommended_plan_is_made_by_the_middle_of_the_band_in_every_quarter(example: Briefing) -> None:
    for quarter in example.outcome.periods:
        found = score(example.outcome, example.recommended, period=quarter)
        assert found.expected_share == pytest.approx(0.675, abs=1e-4)
    again = QuotaPlan.model_validate(example.recommended.model_dump(mode="json"))
    assert score(example.outcome, again, period="2027Q1").expected_share == pytest.approx(0.675, abs=1e-4)
    # what the company plans with is not touched by it
    for quarter in example.outcome.periods:
        assert example.recommended.team_plan(example.scenario, quarter) == pytest.approx(
            example.plan.team_plan(example.scenario, quarter)
        )


def test_the_list_of_quotas_adds_up_to_the_score(example: Briefing) -> None:
    listed = briefing.quota_list(example)
    now = listed[listed["period"] == "2026Q3"]
    assert now["quota"].sum() == pytest.approx(example.advised.sum_of_quotas, abs=0.1)
    assert len(now) == len(example.advised.reps)


def test_ranges_of_the_company_are_those_of_the_engine(example: Briefing) -> None:
    table = briefing.reconciled(example).table.set_index("name")
    low, high = example.outcome.team_quantiles([0.1, 0.9], HORIZON)
    company = table.iloc[0]
    assert company["low"] == pytest.approx(low, rel=0.01)
    assert company["high"] == pytest.approx(high, rel=0.01)
    # a range of a team is narrower than its people's added up, and wider than if luck were all
    north = table.loc[["Anna Acorn", "Ben Birch", "Clara Cedar", "Daria Dogwood", "Emil Elm"]]
    width = table.loc["North", "high"] - table.loc["North", "low"]
    assert width < (north["high"] - north["low"]).sum()
    assert width > np.sqrt(((north["high"] - north["low"]) ** 2).sum())


def test_the_cost_of_pay_is_the_sum_over_the_reps(paid: PayReport) -> None:
    assert paid.costs.reps["mean"].sum() == pytest.approx(paid.costs.total.mean)
    curve = briefing.tradeoff_with_pay(paid)
    at = np.interp(paid.briefing.advised.full_quota, curve["quota"], curve["pay_cost_share"])
    assert at == pytest.approx(paid.costs.cost_of_sales.p50, rel=0.02)
    assert (np.diff(curve["pay_cost_share"]) < 0).all()  # the same bookings are paid less at a higher quota


def test_pay_sentences_quote_the_costs(paid: PayReport) -> None:
    text = briefing.pay_findings(paid)
    assert f"costs {paid.briefing.money(paid.costs.total.p50)} from 2026Q3 to 2027Q2" in text
    assert "“threshold and cap” would cost" in text
    assert "A quota set 10 % too low costs" in text
    assert "in one of a hundred cases" in text
    few = briefing.prepare_pay(paid.briefing, trials=200)
    assert "in one of a hundred cases" not in briefing.pay_findings(few)


def test_a_plan_without_accelerators_says_so(example: Briefing) -> None:
    text = briefing.pay_findings(briefing.prepare_pay(example, pay_plan="flat-rate", trials=200))
    assert "The plan has no accelerators" in text


def test_a_shipped_plan_is_fitted_to_each_role(example: Briefing) -> None:
    plan = pay.load_plan("spif-and-clawback")
    fitted = briefing.pay.fitted_to(plan, on_target_earnings={"AE": 50_000.0, "SDR": 25_000.0})
    assert [role.on_target_earnings for role in fitted.roles] == [50_000, 25_000]
    first, second = fitted.roles
    assert first.spifs[0].amount_per_deal == 2 * second.spifs[0].amount_per_deal


def test_what_the_plan_would_have_cost(paid: PayReport) -> None:
    text = briefing.past_costs(paid)
    past = pay.pay_past(paid.plan, paid.briefing.tables)
    quarter = past.periods.index("2025Q3")
    assert f"| 2025Q3 | {paid.briefing.money(float(past.total[:, quarter].sum()))} |" in text


def test_without_quotas_the_trace_says_what_stands_in(real_data: Path) -> None:
    real = briefing.prepare(crm_folder=str(real_data / "maven_crm"), quarter="2017Q3")
    report = briefing.prepare_pay(real, trials=100)
    assert "The export has no quotas" in briefing.past_costs(report)
    text = briefing.pay_trace(report)
    assert "Assumed: a quota of USD" in text
    assert "attainment" in text
    short = briefing.pay_trace(report, every_deal=False)
    assert " deals |" in short
    assert len(short.splitlines()) < len(text.splitlines())
    assert short.splitlines()[-1] == text.splitlines()[-1]  # the same total
    assert briefing.measured_against(real) == "forecast"
    assert "more than by chance" in briefing.luck_sentence(real)


def test_two_roles_are_not_called_one_quota(example: Briefing) -> None:
    closer = Role(name="closer")
    reps = tuple(
        rep.model_copy(update={"role": "closer"}) if k % 2 else rep
        for k, rep in enumerate(example.scenario.reps)
    )
    two = example.scenario.model_copy(update={"roles": (*example.scenario.roles, closer), "reps": reps})
    plan = QuotaPlan(
        name="two roles",
        annual_quota={"account executive": 400_000.0, "closer": 200_000.0},
        annual_team_plan=5_000_000.0,
    )
    found = replace(
        example,
        calibration=replace(example.calibration, scenario=two),
        plan=plan,
        outcome=simulate(two),
    )
    assert example.one_quota
    assert not found.one_quota
    assert "from rep to rep, are ones that" in briefing.quota_findings(found)
    assert "in the relation that the plan has" in briefing.ways_table(found)
    paid = briefing.prepare_pay(found, trials=200)
    sellers, closers = paid.plan.role("account executive"), paid.plan.role("closer")
    assert sellers.on_target_earnings == pytest.approx(2 * closers.on_target_earnings, rel=0.05)


def test_what_a_name_is_worth(example: Briefing) -> None:
    text = briefing.contrast_odds(example)
    assert "| healthy |" in text
    assert "4,000 simulated quarters" in text
