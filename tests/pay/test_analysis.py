"""What plans cost and how they differ, checked by hand and against direct computation."""

from __future__ import annotations

import numpy as np
import pytest

from salessim.engine import Engine, simulate
from salessim.errors import PlanError
from salessim.library import example_plan, example_scenario
from salessim.pay import (
    Payout,
    PayPlan,
    RolePay,
    Tier,
    accelerator_cost,
    compare_plans,
    earnings_curve,
    field_warnings,
    has_accelerators,
    load_plan,
    pay_at,
    pay_costs,
    pay_out,
    pay_outcome,
    shipped_plans,
    without_accelerators,
)

AE = "account executive"


@pytest.fixture(scope="module")
def simulated() -> Payout:
    outcome = simulate(example_scenario(), engine="thinning", trials=400, seed=3)
    return pay_outcome(load_plan("50-50-accelerator"), outcome, example_plan())


def test_pay_at_the_attainments_everyone_asks_for() -> None:
    table = pay_at(load_plan("50-50-accelerator"), annual_quota=500_000.0)
    assert table["total"].tolist() == [75_000.0, 87_500.0, 100_000.0, 118_750.0, 143_750.0]
    assert table["effective_rate"].round(6).tolist() == [0.1, 0.1, 0.1, 0.11, 0.125]
    assert table["share_of_ote"].tolist() == [0.75, 0.875, 1.0, 1.1875, 1.4375]
    mixed = pay_at(load_plan("account-team"), annual_quota={AE: 500_000.0}, attainments=[1.0])
    assert mixed["attainment"].isna().tolist() == [False, True, True]
    assert mixed["commission"].tolist() == [50_000.0, 0.0, 0.0]
    with pytest.raises(PlanError, match="no pay for the role 'SDR'"):
        pay_at(load_plan("account-team"), annual_quota={"SDR": 1.0})


@pytest.mark.parametrize("name", list(shipped_plans()))
def test_the_earnings_curve_is_pay_out(name: str) -> None:
    plan = load_plan(name)
    curve = earnings_curve(plan, role=AE, annual_quota=480_000.0, up_to=2.0)
    assert (curve["attainment"].iloc[0], curve["attainment"].iloc[-1]) == (0.0, 2.0)
    assert curve["attainment"].is_monotonic_increasing
    between = np.array([0.013, 0.31, 0.4999, 0.77, 1.01, 1.2, 1.33, 1.49, 1.66, 1.71, 1.999])
    drawn = np.interp(between, curve["attainment"], curve["pay"])
    paid = pay_at(plan, annual_quota=480_000.0, attainments=between.tolist())
    np.testing.assert_allclose(drawn, paid[paid["role"] == AE]["total"], rtol=1e-12)
    place = np.searchsorted(curve["attainment"], between, side="right") - 1
    near = pay_at(plan, annual_quota=480_000.0, attainments=(between + 1e-6).tolist())
    slopes = (near["total"] - paid["total"])[paid["role"] == AE] / (1e-6 * 480_000.0)
    np.testing.assert_allclose(curve["marginal_rate"].to_numpy()[place], slopes, atol=1e-6)


def test_a_cliff_stands_upright_in_the_curve() -> None:
    curve = earnings_curve(load_plan("retroactive-tiers"), role=AE, annual_quota=500_000.0)
    assert curve[curve["attainment"] == 0.5]["pay"].tolist() == [62_500.0, 75_000.0]


def test_costs_by_hand() -> None:
    bookings = np.array([[[125_000.0], [125_000.0]], [[250_000.0], [0.0]]])
    paid = pay_out(load_plan("50-50-accelerator"), bookings, [[125_000.0], [125_000.0]], roles=[AE, AE])
    costs = pay_costs(paid)
    assert costs.trials == 2
    assert costs.total.mean == (50_000 + 64_062.5) / 2
    assert costs.cost_of_sales.mean == pytest.approx((50_000 + 64_062.5) / 2 / 250_000)
    assert costs.effective_rate.mean == pytest.approx((25_000 + 39_062.5) / 2 / 250_000)
    assert costs.share_at_ote.mean == 0.75
    assert costs.top_share.mean == 0.75
    assert costs.top_pay.mean == (25_000 + 51_562.5) / 2
    assert costs.reps["chance_of_ote"].tolist() == [1.0, 0.5]
    half = pay_costs(paid, bookings=[[500_000.0], [500_000.0]])
    assert half.cost_of_sales.mean == pytest.approx(costs.cost_of_sales.mean / 2)
    with pytest.raises(PlanError, match="bookings has the shape"):
        pay_costs(paid, bookings=np.ones((3, 2, 1)))


def test_one_trial_is_a_fact_without_range() -> None:
    paid = pay_out(load_plan("flat-rate"), [[125_000.0]], [[125_000.0]], roles=[AE])
    costs = pay_costs(paid)
    assert (costs.total.mean, costs.total.n) == (25_000.0, 1)
    assert np.isnan([costs.total.p10, costs.total.p90, costs.total.standard_error]).all()
    assert costs.reps["p10"].isna().all()


def test_costs_of_a_simulation_reconcile(simulated: Payout) -> None:
    costs = pay_costs(simulated)
    assert costs.reps["mean"].sum() == pytest.approx(costs.total.mean)
    assert costs.total.p10 < costs.total.p50 < costs.total.p90 < costs.total.p99
    assert costs.currency == "EUR"
    newcomer = costs.reps.set_index("rep").loc["account executive hired 2026-10-05 #1"]
    # starts on the first weekday after the fiscal quarter began: 38 of 39 weeks
    assert newcomer["on_target_earnings"] == pytest.approx(75_000.0, rel=0.03)


def test_the_same_plan_makes_no_difference_and_a_dearer_one_always_does(simulated: Payout) -> None:
    same = compare_plans(simulated, simulated.by_plan(simulated.plan))
    assert (same.difference.mean, same.probability_b_costs_more, same.gain, same.lose) == (0.0, 0.0, 0, 0)
    flat = simulated.by_plan(load_plan("flat-rate").model_copy(update={"name": "flat"}))
    there = compare_plans(simulated, flat)
    back = compare_plans(flat, simulated)
    assert there.difference.mean == pytest.approx(-back.difference.mean)
    each = flat.total.sum(axis=(1, 2)) - simulated.total.sum(axis=(1, 2))
    assert there.difference.mean == pytest.approx(each.mean())
    assert there.difference.mean_low < each.mean() < there.difference.mean_high
    assert there.probability_b_costs_more == (each >= 0.01).mean()
    assert there.gain + there.lose <= len(simulated.reps)
    # trial by trial: far narrower than the spread of either plan's cost
    assert there.difference.standard_error < pay_costs(simulated).total.standard_error


def test_only_what_was_scored_on_the_same_luck_is_compared(simulated: Payout) -> None:
    flat = load_plan("flat-rate")
    one = pay_out(flat, [[1_000.0]], [[1_000.0]], roles=[AE])
    two = pay_out(flat, [[2_000.0]], [[1_000.0]], roles=[AE])
    with pytest.raises(PlanError, match="scored on different bookings"):
        compare_plans(one, two)
    with pytest.raises(PlanError, match="different reps"):
        compare_plans(one, simulated)
    with pytest.raises(PlanError, match="1 quarters and 1 months"):
        compare_plans(one, pay_out(flat.paid_by("month"), [[1_000.0]], [[1_000.0]], roles=[AE]))


def test_accelerators_pay_for_themselves_where_the_formula_says(simulated: Payout) -> None:
    bookings = np.array([[187_500.0], [100_000.0]])
    quotas = [[125_000.0], [125_000.0]]
    paid = pay_out(load_plan("50-50-accelerator"), bookings, quotas, roles=[AE, AE])
    found = accelerator_cost(paid, gross_margin=0.6)
    assert found.cost.mean == pytest.approx(31_250 * 0.05 + 31_250 * 0.10)
    assert found.rate_above_quota == pytest.approx((31_250 * 0.15 + 31_250 * 0.20) / 62_500)
    assert found.extra_bookings_at_margin == pytest.approx(4_687.5 / (0.6 - 0.175))
    plain = (50_000 / 2 + 287_500 * 0.1) / 287_500
    assert found.extra_bookings_same_cost_of_sales == pytest.approx(4_687.5 / (plain - 0.175))
    with_extra = paid.total.sum() + found.extra_bookings_same_cost_of_sales * 0.175
    assert with_extra / (287_500 + found.extra_bookings_same_cost_of_sales) == pytest.approx(plain)
    assert accelerator_cost(paid, gross_margin=0.1).extra_bookings_at_margin == float("inf")
    free = accelerator_cost(paid.by_plan(load_plan("flat-rate")), gross_margin=0.6)
    assert (free.cost.mean, free.extra_bookings_at_margin) == (0.0, 0.0)
    assert accelerator_cost(simulated, gross_margin=0.7).cost.mean > 0
    with pytest.raises(PlanError, match="gross_margin is 70"):
        accelerator_cost(paid, gross_margin=70.0)


def tiers_plan(*tiers: Tier, **fields: object) -> PayPlan:
    """A plan with these tiers; 500,000 a year make a base commission rate of 10 %."""
    seller = RolePay.model_validate(
        {"role": AE, "on_target_earnings": 100_000.0, "base_share": 0.5, "tiers": tiers} | fields
    )
    return PayPlan(name="tiers", roles=(seller,))


def cost_at(plan: PayPlan, attainment: float, *, quota: float = 125_000.0) -> float:
    paid = pay_out(plan, [[attainment * quota]], [[quota]], roles=[AE])
    return accelerator_cost(paid, gross_margin=0.7).cost.mean


BASE = Tier(starts_at=0.0, multiple=1.0)


def test_a_rate_and_a_multiple_are_compared_by_the_quota() -> None:
    plan = tiers_plan(BASE, Tier(starts_at=1.0, rate=0.3))
    # at 160 %: 12,500 + 75,000 × 30 % = 35,000, and 20,000 at the base rate of 10 %
    assert cost_at(plan, 1.6) == pytest.approx(15_000.0)
    assert cost_at(tiers_plan(Tier(starts_at=0.0, rate=0.1), Tier(starts_at=1.0, multiple=3.0)), 1.6) == (
        pytest.approx(15_000.0)
    )
    assert has_accelerators(plan)
    assert has_accelerators(plan, annual_quota=500_000.0)
    # with a sixth of that quota the base rate is 60 %, and 30 % is less
    assert not has_accelerators(plan, annual_quota=500_000.0 / 6)
    assert cost_at(plan, 1.6, quota=125_000.0 / 6) == 0.0
    # two reps of one plan: an accelerator for the first and none for the second
    paid = pay_out(plan, [[200_000.0], [40_000.0]], [[125_000.0], [125_000.0 / 6]], roles=[AE, AE])
    assert accelerator_cost(paid, gross_margin=0.7).cost.mean == pytest.approx(15_000.0)
    same = tiers_plan(BASE, Tier(starts_at=1.0, rate=0.1))
    assert not has_accelerators(same, annual_quota={AE: 500_000.0})


@pytest.mark.parametrize(
    ("before", "after", "held"),
    [
        ((1.0,), (1.5, 2.0, 0.5), (1.0, 1.0, 0.5)),
        ((2.0,), (1.5,), (1.5,)),  # the rate falls at quota
        ((0.5, 1.5), (1.5,), (1.5,)),  # it stays
        ((0.5, 1.5), (2.0, 1.2), (1.5, 1.2)),
        ((0.0,), (1.0,), (0.0,)),
    ],
)
def test_an_accelerator_pays_more_than_just_below_quota(
    before: tuple[float, ...], after: tuple[float, ...], held: tuple[float, ...]
) -> None:
    steps = [Tier(starts_at=0.5 * number, multiple=multiple) for number, multiple in enumerate(before)]
    steps += [Tier(starts_at=1 + 0.25 * number, multiple=multiple) for number, multiple in enumerate(after)]
    plan = tiers_plan(*steps)
    plain = without_accelerators(plan).roles[0].tiers
    assert [tier.multiple for tier in plain] == [*before, *held]
    assert has_accelerators(plan) is (after != held)
    assert any("no accelerator" in text for text in field_warnings(plan, annual_quota=5e5)) is (after == held)
    # 12,500 pay for a quota at 1×; each tier but the last is a quarter of quota long
    lengths = [0.25] * (len(after) - 1) + [1.25 - 0.25 * len(after)]
    extra = sum((a - h) * length for a, h, length in zip(after, held, lengths, strict=True))
    assert cost_at(plan, 2.0) == pytest.approx(12_500 * extra)


def test_accelerators_may_cost_nothing_and_are_there_all_the_same() -> None:
    plan = tiers_plan(BASE, Tier(starts_at=1.0, multiple=2.0), cap=1.0)
    assert cost_at(plan, 2.0) == 0.0
    assert cost_at(load_plan("50-50-accelerator"), 0.9) == 0.0
    assert has_accelerators(plan)
    names = {name for name in shipped_plans() if has_accelerators(load_plan(name))}
    assert {"50-50-accelerator", "decelerator", "account-team"} <= names
    assert not names & {"flat-rate", "threshold-and-cap", "ramp-draw"}


def test_a_retroactive_accelerator_is_held_with_its_jump() -> None:
    plan = tiers_plan(BASE, Tier(starts_at=1.0, multiple=1.2, retroactive=True))
    assert cost_at(plan, 1.5) == pytest.approx(12_500 * 1.5 * 0.2)
    assert not without_accelerators(plan).warnings()


def test_a_simulation_by_quarter_by_year_and_by_month() -> None:
    outcome = simulate(example_scenario(), engine="thinning", trials=50, seed=3)
    plan = load_plan("flat-rate")
    by_quarter = pay_outcome(plan, outcome, example_plan())
    by_year = pay_outcome(plan.paid_by("year"), outcome, example_plan())
    assert by_year.total.shape == (50, 12, 1)
    np.testing.assert_allclose(by_year.total.sum(axis=-1), by_quarter.total.sum(axis=-1))
    with pytest.raises(PlanError, match="pays by month, and this simulation kept quarters only"):
        pay_outcome(plan.paid_by("month"), outcome, example_plan())
    months = simulate(example_scenario(), engine="thinning", trials=50, seed=3, by_month=True)
    by_month = pay_outcome(plan.paid_by("month"), months, example_plan())
    assert by_month.periods[:2] == ("2026-07", "2026-08")
    # a flat rate pays the same by month, but that the base rate of a month is target ÷ its own quota, and
    # months have five, four and four weeks
    np.testing.assert_allclose(by_month.base.sum(axis=-1), by_quarter.base.sum(axis=-1), rtol=0.02)
    np.testing.assert_allclose(
        by_month.commission.mean(axis=0).sum(), by_quarter.commission.mean(axis=0).sum(), rtol=0.1
    )
    with pytest.raises(PlanError, match="needs trials"):
        pay_outcome(plan, simulate(example_scenario(), engine="exact"), example_plan())
    other = PayPlan.model_validate(
        plan.model_dump() | {"roles": [plan.roles[0].model_dump() | {"role": "SDR"}]}
    )
    with pytest.raises(PlanError, match="no pay for the role 'account executive'; it pays 'SDR'"):
        pay_outcome(other, outcome, example_plan())


def test_newcomers_of_a_simulation_draw() -> None:
    outcome = simulate(example_scenario(), engine="thinning", trials=50, seed=3)
    paid = pay_outcome(load_plan("ramp-draw"), outcome, example_plan())
    hired = [name.startswith("account executive hired") for name in paid.reps]
    advanced = paid.draw_advance.mean(axis=0)
    # hired on 5 October: nothing before, two quarters of draw, hardly a week of the third
    assert (advanced[hired, 0] == 0).all()
    assert (advanced[hired, 1] > 1_000).all()
    assert (advanced[hired, 3] < 1_000).all()
    assert (advanced[0] == 0).all()


@pytest.mark.parametrize("engine", ["thinning", "flow"])
def test_mean_pay_of_trials_is_that_of_the_exact_law(engine: Engine) -> None:
    """Commission rises with bookings, so its mean is the sum over a fine grid of amounts of each small rise
    times the exact chance to book that much; trials must agree within their own error."""
    plan, world = load_plan("50-50-accelerator"), example_scenario()
    outcome = simulate(world, engine=engine, trials=6_000, seed=5)
    paid = pay_outcome(plan, outcome, example_plan())
    exact, quarter = simulate(world), 2
    period = exact.periods[quarter]
    edges = np.linspace(0.0, 1_500_000.0, 3_001)
    for rep in (0, 5):
        quota = float(paid.quota[rep, quarter] if paid.quota.ndim == 2 else paid.quota[0, rep, quarter])
        curve = pay_out(plan, edges[:, None, None], [[quota]], roles=[AE]).commission[:, 0, 0]
        middles = (edges[1:] + edges[:-1]) / 2
        reached = np.array([exact.chance_at_least(amount, period)[rep] for amount in middles])
        expected = curve[0] + (np.diff(curve) * reached).sum()
        drawn = paid.commission[:, rep, quarter]
        assert abs(drawn.mean() - expected) <= 4 * drawn.std() / np.sqrt(len(drawn)) + 1
