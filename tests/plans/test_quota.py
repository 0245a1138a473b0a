"""Quota plans: what is asked, and what it means."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import numpy as np
import pytest

from salessim.engine import HORIZON, simulate
from salessim.errors import EngineError, PlanError
from salessim.library import example_plan, example_scenario
from salessim.model import Hire, Role
from salessim.plans import (
    QuotaPlan,
    RampRelief,
    plan_for_share,
    quota_for_share,
    quotas,
    ramping_reps,
    score,
    tradeoff,
)
from tests.worlds import changed, one_stage_world, reference_world

FLAT = QuotaPlan(name="flat", annual_quota=400_000.0, annual_team_plan=16_000_000.0)


def test_quotas_are_annual_quota_times_share_of_the_quarter() -> None:
    plan = QuotaPlan(name="split", annual_quota=100_000.0, quarter_shares=(0.1, 0.2, 0.3, 0.4))
    table = quotas(plan, one_stage_world(quarters=4))
    assert table.loc["rep 0"].tolist() == pytest.approx([10_000, 20_000, 30_000, 40_000])


def test_newcomers_are_asked_in_step_with_their_ramp() -> None:
    table = quotas(FLAT, reference_world())
    # weeks 1 to 13 of a 26-week ramp: 1/26 to 13/26, on average 7/26
    assert table.loc["rep 49"].iloc[0] == pytest.approx(100_000 * 7 / 26)
    assert table.loc["rep 49"].iloc[3] == pytest.approx(100_000)
    assert table.loc["rep 0"].tolist() == pytest.approx([100_000] * 4)


def test_relief_by_month_with_leads_first() -> None:
    relief = RampRelief(
        follows="months", by_month=(0.0, 0.5), leads_first_months=1, qualified_leads_per_month=8
    )
    world = changed(one_stage_world(quarters=2), hires=(Hire(role="AE", start=date(2026, 1, 1)),))
    plan = QuotaPlan(name="months", annual_quota=400_000.0, ramp_relief=relief)
    newcomer = quotas(plan, world).iloc[1]
    # weeks 0-4 fall in month 1 (no quota), 5-8 in month 2 (half), 9-12 in month 3 (full)
    assert newcomer.iloc[0] == pytest.approx(100_000 * (4 * 0.5 + 4) / 13)
    assert newcomer.iloc[1] == pytest.approx(100_000)


def test_no_quota_before_the_start_after_the_end_and_for_other_roles() -> None:
    world = one_stage_world(reps=2, quarters=4)
    reps = (
        world.reps[0].model_copy(update={"end": date(2026, 6, 30)}),
        world.reps[1].model_copy(update={"role": "SDR"}),
    )
    world = changed(
        world,
        reps=reps,
        roles=(*world.roles, Role(name="SDR")),
        hires=(Hire(role="AE", start=date(2026, 7, 1)),),
    )
    table = quotas(QuotaPlan(name="by role", annual_quota={"AE": 400_000.0}), world)
    assert np.isfinite(table.to_numpy()).tolist() == [
        [True, True, False, False],
        [False, False, False, False],
        [False, False, True, True],
    ]


@pytest.mark.parametrize("reps", [5, 20, 200])
@pytest.mark.parametrize("share", [0.6, 0.675])
def test_the_solved_quota_is_made_by_the_wanted_share_on_a_fresh_seed(reps: int, share: float) -> None:
    world = reference_world(reps=reps, newcomers=reps // 5)
    quota = quota_for_share(simulate(world), plan=FLAT, period="2026Q3", share=share)
    fresh = simulate(world, engine="thinning", trials=max(200_000 // reps, 2_000), seed=99)
    solved = FLAT.scaled(quota / 100_000)
    assert score(fresh, solved, period="2026Q3").expected_share == pytest.approx(share, abs=0.01)


def test_both_engines_give_the_same_score() -> None:
    world = reference_world()
    exact, drawn = (
        score(outcome, FLAT, period="2026Q4")
        for outcome in (simulate(world), simulate(world, engine="thinning", trials=10_000, seed=4))
    )
    assert exact.standard_error == 0 < drawn.standard_error < 0.01
    assert drawn.expected_share == pytest.approx(exact.expected_share, abs=4 * drawn.standard_error)
    for name in ("probability_band", "probability_team_plan"):
        assert getattr(drawn, name) == pytest.approx(getattr(exact, name), abs=0.02)
    for name in ("bookings_p10", "bookings_p50", "bookings_p90"):
        assert getattr(drawn, name) == pytest.approx(getattr(exact, name), rel=0.02)
    assert np.abs(exact.reps["chance"] - drawn.reps["chance"]).max() < 0.03


def test_a_score_adds_up() -> None:
    result = score(simulate(reference_world()), FLAT, period="2026Q4")
    assert result.number_law.sum() == pytest.approx(1)
    assert result.expected_share == pytest.approx(result.reps["chance"].mean(), abs=1e-9)
    assert result.sum_of_quotas == pytest.approx(result.reps["quota"].sum())
    assert result.team_plan == pytest.approx(4_000_000)
    assert result.over_assignment == pytest.approx(result.sum_of_quotas / 4_000_000 - 1)
    assert result.share_low <= result.expected_share <= result.share_high
    assert result.bookings_p10 < result.bookings_p50 < result.bookings_p90
    assert result.expected_bookings == pytest.approx(
        simulate(reference_world()).expected_bookings("2026Q4").sum()
    )


def test_the_horizon_is_scored_as_one_period() -> None:
    result = score(simulate(reference_world()), FLAT, period=HORIZON)
    assert result.full_quota == pytest.approx(400_000)
    assert result.team_plan == pytest.approx(16_000_000)
    assert result.reps["quota"].iloc[0] == pytest.approx(400_000)


def test_without_a_team_plan_nothing_is_said_about_it() -> None:
    plan = FLAT.model_copy(update={"annual_team_plan": None})
    result = score(simulate(reference_world()), plan, period="2026Q4")
    assert np.isnan([result.team_plan, result.probability_team_plan, result.over_assignment]).all()


def test_higher_quotas_are_made_by_fewer() -> None:
    curve = tradeoff(simulate(reference_world()), FLAT, period="2026Q4")
    assert (np.diff(curve["quota"]) > 0).all()
    assert (np.diff(curve["share_attaining"]) < 0).all()
    assert (np.diff(curve["probability_sum"]) <= 0).all()
    assert curve["share_attaining"].iloc[[0, -1]].tolist() == pytest.approx([0.95, 0.15], abs=0.01)
    best = curve.loc[curve["probability_band"].idxmax(), "share_attaining"]
    assert 0.60 < best < 0.75


def test_the_trade_off_at_the_plan_itself_is_its_score() -> None:
    outcome = simulate(reference_world())
    row = tradeoff(outcome, FLAT, period="2026Q4", factors=[1.0]).iloc[0]
    result = score(outcome, FLAT, period="2026Q4")
    assert row["share_attaining"] == pytest.approx(result.expected_share)
    assert row["probability_band"] == pytest.approx(result.probability_band)
    assert row["sum_of_quotas"] == pytest.approx(result.sum_of_quotas)
    assert row["probability_sum"] == pytest.approx(
        float(outcome.team_chance_at_least(result.sum_of_quotas, "2026Q4"))
    )


def test_scaling_reaches_every_role() -> None:
    plan = QuotaPlan(name="roles", annual_quota={"AE": 100.0, "SDR": 50.0})
    assert plan.scaled(1.5).annual_quota == {"AE": 150.0, "SDR": 75.0}


def test_where_too_few_sell_anything_no_quota_is_invented() -> None:
    outcome = simulate(one_stage_world(reps=4, leads_per_week=0.05))
    with pytest.raises(PlanError, match=r"no quota above zero is made by 67\.5%.*expected to book anything"):
        quota_for_share(outcome, plan=FLAT, period="2026Q1")


@pytest.mark.parametrize("share", [0.0, 1.0, 67.5, -0.1])
def test_a_share_is_a_fraction(share: float) -> None:
    with pytest.raises(PlanError, match="must lie between 0 and 1"):
        quota_for_share(simulate(one_stage_world()), plan=FLAT, period="2026Q1", share=share)


def test_a_plan_for_roles_that_are_not_there_is_refused() -> None:
    plan = QuotaPlan(name="wrong", annual_quota={"hunter": 1.0})
    with pytest.raises(PlanError, match="names the role 'hunter'; the scenario 'one stage' has 'AE'"):
        quotas(plan, one_stage_world())


def test_a_period_in_which_nobody_carries_a_quota_is_refused() -> None:
    plan = QuotaPlan(name="late", annual_quota=1.0, quarter_shares=(0.0, 0.5, 0.5, 0.0))
    outcome = simulate(one_stage_world(quarters=2))
    with pytest.raises(PlanError, match="nobody carries a quota in 2026Q1"):
        score(outcome, plan, period="2026Q1")
    with pytest.raises(EngineError, match="period is '2030Q1'"):
        score(outcome, plan, period="2030Q1")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name: x\nannual_quota: -5\n", "annual_quota"),
        ("name: x\nannual_quota: 5\nquarter_shares: [0.3, 0.3, 0.3, 0.3]\n", "add up to 1"),
        ("name: x\nannual_quota: 5\ntarget_band: [0.75, 0.6]\n", "the band must rise"),
        ("name: x\nannual_quota: 5\ntarget_band: [60, 75]\n", "write 0.65 for 65 %"),
        ("name: x\nannual_quota: 5\nbonus: 3\n", "bonus is not a known field; allowed here: 'name'"),
        ("name: x\nannual_quota: 5\nramp_relief: {by_month: [0.5]}\n", "by_month goes with follows: months"),
        ("- 5\n", "expected a mapping"),
        ("name: [x\n", "not valid YAML"),
    ],
)
def test_a_wrong_plan_file_says_what_to_change(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "plan.yaml"
    path.write_text(text)
    with pytest.raises(PlanError, match=message) as caught:
        QuotaPlan.load(path)
    assert str(path) in str(caught.value)


def test_a_plan_survives_writing_and_reading(tmp_path: Path) -> None:
    path = tmp_path / "plan.yaml"
    path.write_text(example_plan().to_yaml())
    assert QuotaPlan.load(path) == example_plan()


def test_the_example_plan_can_be_solved_for_every_quarter() -> None:
    outcome = simulate(example_scenario())
    for period in outcome.periods:
        solved = plan_for_share(outcome, plan=example_plan(), period=period)
        assert score(outcome, solved, period=period).expected_share == pytest.approx(0.675, abs=1e-3)


def test_who_ramps_is_judged_by_the_own_role() -> None:
    world = one_stage_world(reps=2, quarters=2)
    leaving = world.reps[0].model_copy(update={"end": date(2026, 4, 30)})
    world = changed(
        world,
        reps=(leaving, world.reps[1].model_copy(update={"role": "SMB AE"})),
        roles=(*world.roles, Role(name="SMB AE")),
        hires=(Hire(role="AE", start=date(2026, 4, 1)),),
    )
    plan = QuotaPlan(name="roles", annual_quota={"AE": 400_000.0, "SMB AE": 200_000.0})
    assert ramping_reps(plan, world) == []
    slow = plan.model_copy(update={"ramp_relief": RampRelief(follows="months", by_month=(0.5,))})
    assert ramping_reps(slow, world) == ["AE hired 2026-04-01 #1"]


def test_no_quota_is_solved_where_nobody_carries_one() -> None:
    plan = QuotaPlan(name="late", annual_quota=1.0, quarter_shares=(0.0, 0.5, 0.5, 0.0))
    with pytest.raises(PlanError, match="plan 'late': nobody carries a quota in 2026Q1"):
        plan_for_share(simulate(one_stage_world(quarters=2)), plan=plan, period="2026Q1")


def test_each_quarter_can_have_a_level_of_its_own() -> None:
    world = reference_world(reps=3, newcomers=1)
    plan = QuotaPlan(
        name="x",
        annual_quota=400_000.0,
        quarter_shares=(0.1, 0.2, 0.3, 0.4),
        annual_team_plan=1_000_000.0,
        quotas_by_rep={"rep 1": {"2026Q2": 50_000.0}},
    )
    factors = {"2026Q1": 2.0, "2026Q2": 1.0, "2026Q3": 0.5, "2026Q4": 1.5}
    changed_plan = plan.scaled_by_quarter(factors)
    before, after = quotas(plan, world), quotas(changed_plan, world)
    assert (after / before).to_numpy() == pytest.approx(np.tile(list(factors.values()), (3, 1)))
    # the team plan keeps its own split
    assert changed_plan.team_plan(world, "2026Q4") == pytest.approx(400_000)
    again = QuotaPlan.model_validate(changed_plan.model_dump(mode="json"))
    assert quotas(again, world).to_numpy() == pytest.approx(after.to_numpy())
