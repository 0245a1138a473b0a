"""The five cases of a quota plan: each on figures that can be checked by hand, then on simulated periods."""

from __future__ import annotations

import math
from datetime import date
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from salessim.engine import HORIZON, SampledOutcome, simulate
from salessim.errors import EngineError, PlanError
from salessim.plans import QuotaPlan, plan_for_share
from salessim.plans.contrast import CASES, Thresholds, concentration, contrast, contrast_law
from tests.worlds import changed, one_stage_world, reference_world

AMOUNTS = st.lists(st.floats(0, 1e6).map(lambda x: round(x, 2)), min_size=1, max_size=12)


@pytest.mark.parametrize(
    ("bookings", "top_fifth", "gini"),
    [
        ([100.0] * 10, 0.2, 0.0),
        ([100.0] * 7, 0.2, 0.0),  # a fifth of seven is 1.4 reps
        ([0.0] * 9 + [50.0], 1.0, 0.9),
        ([0.0, 0.0, 50.0], 0.6, 2 / 3),  # a fifth of three is 0.6 reps
        ([1.0, 3.0], 0.3, 0.25),  # 0.4 · 3 ÷ 4; mean difference 1 ÷ (2 · 2)
        ([7.0], 0.2, 0.0),
    ],
)
def test_concentration_by_hand(bookings: list[float], top_fifth: float, gini: float) -> None:
    found = concentration(bookings)
    assert (found.top_fifth_share, found.gini) == pytest.approx((top_fifth, gini))
    assert found.n == len(bookings)


def test_concentration_says_what_it_left_out() -> None:
    found = concentration([3.0, 1.0, math.nan, -5.0])
    assert (found.n, found.left_out, found.negative) == (3, 1, 1)
    assert found.top_fifth_share == pytest.approx(0.6 * 3 / 4)
    for nothing in ([], [0.0, 0.0], [math.nan], [-1.0]):
        assert math.isnan(concentration(nothing).top_fifth_share)
        assert math.isnan(concentration(nothing).gini)


@given(amounts=AMOUNTS)
def test_concentration_is_what_its_definition_says(amounts: list[float]) -> None:
    found = concentration(amounts)
    n, total = len(amounts), sum(amounts)
    if total == 0:
        assert math.isnan(found.gini)
        return
    difference = sum(abs(a - b) for a in amounts for b in amounts) / n**2
    assert found.gini == pytest.approx(difference / (2 * total / n), abs=1e-9)
    left, booked = n / 5, 0.0
    for amount in sorted(amounts, reverse=True):
        booked += amount * min(left, 1)
        left -= min(left, 1)
    assert found.top_fifth_share == pytest.approx(booked / total)
    assert concentration(amounts[::-1]).gini == pytest.approx(found.gini)
    assert concentration([amount * 7 for amount in amounts]).gini == pytest.approx(found.gini)


# one team of ten with quotas of 100 each; bookings, team plan, case
TEN = [
    ("healthy", [105.0] * 7 + [90.0] * 3, 950.0),
    ("healthy", [105.0] * 6 + [90.0] * 4, 950.0),  # the band includes its ends
    ("too hard", [105.0] * 2 + [80.0] * 8, 1000.0),
    ("too hard", [0.0] * 10, 1000.0),
    ("too easy", [120.0] * 9 + [95.0], 1000.0),
    ("few carry the team", [150.0, 100.0] + [31.25] * 8, 1000.0),
    ("few carry the team", [400.0, 300.0] + [40.0] * 8, 1000.0),  # the plan is made, by two of ten
    ("quotas do not add up to the plan", [100.0] * 10, 2000.0),
    ("quotas do not add up to the plan", [105.0] * 7 + [90.0] * 3, 1500.0),
    ("quotas do not add up to the plan", [100.0] * 7 + [0.0] * 3, 1000.0),
]


@pytest.mark.parametrize(("case", "bookings", "team_plan"), TEN)
def test_cases_by_hand(case: str, bookings: list[float], team_plan: float) -> None:
    found = contrast(bookings, [100.0] * 10, team_plan=team_plan)
    assert found.case == case
    assert found.team_attainment == pytest.approx(sum(bookings) / team_plan)
    assert found.over_assignment == pytest.approx(1000 / team_plan - 1)
    assert found.share_low <= found.share_attaining <= found.share_high


def test_half_the_plan_is_two_opposite_cases() -> None:
    few = contrast([150.0, 100.0] + [31.25] * 8, [100.0] * 10, team_plan=1000.0)
    all_made = contrast([50.0] * 10, [50.0] * 10, team_plan=1000.0)
    assert few.team_attainment == all_made.team_attainment == 0.5
    assert (few.share_attaining, all_made.share_attaining) == (0.2, 1.0)
    assert (few.case, all_made.case) == ("few carry the team", "quotas do not add up to the plan")
    assert few.change != all_made.change


def test_the_evidence_is_one_sentence_with_the_figures() -> None:
    found = contrast([150.0, 100.0] + [31.25] * 8, [100.0] * 10, team_plan=1000.0)
    assert found.evidence == (
        "2 of 10 reps made quota (20 %, 80 % interval 9 % to 40 %; wanted are 60 % to 75 %), the team booked "
        "50 % of its plan with quotas that add up to 100 % of it, and the top fifth of reps brought 50 % of "
        "the bookings on 20 % of the quotas (Gini 0.31)."
    )
    assert found.change.endswith(".")


def test_reps_at_quota_do_not_hide_a_missed_plan() -> None:
    above_the_band = [101.0] * 10
    assert contrast(above_the_band, [100.0] * 10, team_plan=1000.0).case == "too easy"
    assert contrast(above_the_band, [100.0] * 10).case == "too easy"
    assert contrast(above_the_band, [100.0] * 10, team_plan=2000.0).case == CASES[-1]


def test_concentration_decides_below_the_band_only() -> None:
    whale = [2000.0] + [100.0] * 6 + [50.0] * 3
    found = contrast(whale, [100.0] * 10, team_plan=1000.0)
    assert found.case == "healthy"
    assert any("hang on few reps" in remark for remark in found.remarks)
    assert contrast([2000.0] + [50.0] * 9, [100.0] * 10, team_plan=1000.0).case == "few carry the team"


def test_the_ends_of_the_thresholds() -> None:
    fifth_of_five = [100.0] + [37.5] * 4  # the top fifth holds 40 %, twenty points above its quotas
    assert contrast(fifth_of_five, [100.0] * 5).case == "few carry the team"
    assert contrast([99.0, *fifth_of_five[1:]], [100.0] * 5).case == "too hard"
    assert contrast([100.0] * 10, [100.0] * 10, team_plan=1000 / 0.9).case == "too easy"
    assert contrast([100.0] * 10, [100.0] * 10, team_plan=1001 / 0.9).case == CASES[-1]


def test_thresholds_and_band_are_settings() -> None:
    bookings, quotas = [105.0] * 2 + [80.0] * 8, [100.0] * 10
    strict = Thresholds(top_fifth_excess=0.04)
    assert contrast(bookings, quotas, thresholds=strict).case == "few carry the team"
    assert contrast(bookings, quotas, band=(0.1, 0.3)).case == "healthy"
    patient = Thresholds(plan_missed_below=0.4)
    assert contrast([50.0] * 10, [50.0] * 10, team_plan=1000.0, thresholds=patient).case == "too easy"


def test_a_large_territory_is_not_concentration() -> None:
    quotas = [1000.0] + [100.0] * 9
    found = contrast([900.0] + [80.0] * 9, quotas)
    assert found.concentration.top_fifth_share > 0.5
    assert found.top_fifth_of_quotas > 0.5
    assert found.case == "too hard"


def test_without_a_team_plan_the_sum_of_quotas_cannot_be_judged() -> None:
    found = contrast([100.0] * 10, [50.0] * 10)
    assert math.isnan(found.team_attainment)
    assert found.attainment_of_quotas == pytest.approx(2.0)
    assert "200 % of the sum of their quotas" in found.evidence
    assert any("No team plan" in remark for remark in found.remarks)


def test_reps_without_quota_count_for_the_plan_only() -> None:
    found = contrast([100.0, 100.0, 50.0, 800.0], [100.0, 100.0, 100.0, math.nan], team_plan=1050.0)
    assert (found.reps, found.attaining) == (3, 2)
    assert found.team_attainment == 1.0
    assert found.concentration.n == 3
    assert contrast([100.0, 100.0, 50.0, 800.0], [100.0, 100.0, 100.0, 0.0], team_plan=1050.0) == found


def test_unknown_and_negative_bookings_are_said() -> None:
    found = contrast([100.0, math.nan, -20.0, 100.0], [100.0] * 4, team_plan=400.0)
    assert (found.reps, found.attaining) == (3, 2)
    assert found.team_attainment == pytest.approx(180 / 400)
    text = " ".join(found.remarks)
    assert "1 rep(s) with a quota left out" in text
    assert "1 rep(s) with negative bookings" in text


@pytest.mark.parametrize(
    ("attaining", "reps", "sure"), [(3, 7, False), (30, 70, True), (7, 10, False), (140, 200, True)]
)
def test_few_reps_cannot_be_told_from_the_band(attaining: int, reps: int, sure: bool) -> None:
    bookings = [100.0] * attaining + [90.0] * (reps - attaining)
    found = contrast(bookings, [100.0] * reps, team_plan=100.0 * attaining)
    doubts = [remark for remark in found.remarks if f"{attaining} of {reps}" in remark]
    assert (not doubts) == sure


def test_two_reps_can_never_be_in_the_band() -> None:
    assert any("no number of them" in remark for remark in contrast([1.0, 2.0], [2.0, 2.0]).remarks)
    assert not any("no number of them" in remark for remark in contrast([1.0] * 3, [2.0] * 3).remarks)


def test_series_are_matched_by_rep() -> None:
    quotas = pd.Series({"Ann": 100.0, "Bob": 50.0, "Eve": 10.0})
    bookings = pd.Series({"Bob": 50.0, "Zoe": 500.0, "Ann": 99.0})
    found = contrast(bookings, quotas, team_plan=649.0)
    assert (found.reps, found.attaining, found.team_attainment) == (2, 1, 1.0)
    assert any("1 rep(s) with a quota left out" in remark for remark in found.remarks)


@given(amounts=AMOUNTS, data=st.data())
@settings(max_examples=50)
def test_the_order_of_reps_changes_nothing(amounts: list[float], data: st.DataObject) -> None:
    quotas = data.draw(
        st.lists(st.sampled_from([1e3, 2e4, 5e5]), min_size=len(amounts), max_size=len(amounts))
    )
    order = data.draw(st.permutations(range(len(amounts))))
    first = contrast(amounts, quotas, team_plan=1e6)
    second = contrast([amounts[k] for k in order], [quotas[k] for k in order], team_plan=1e6)
    assert first.case == second.case
    assert first.top_fifth_of_quotas == pytest.approx(second.top_fifth_of_quotas)


@pytest.mark.parametrize(
    ("bookings", "quotas", "team_plan", "text"),
    [
        ([1.0], [1.0, 2.0], None, "1 bookings for 2 quotas"),
        ([1.0], [-1.0], None, "'-1' is below zero"),
        ([1.0, 2.0], [0.0, math.nan], None, "no rep has both"),
        ([math.inf], [1.0], None, "finite"),
        (["many"], [1.0], None, "numbers"),
        ([[1.0]], [1.0], None, "dimensions"),
        ([1.0], [1.0], 0.0, "team_plan is 0.0"),
        (
            pd.Series([1.0, 2.0], index=["Ann", "Ann"]),
            pd.Series({"Ann": 1.0}),
            None,
            "'Ann' stands more than once",
        ),
    ],
)
def test_what_cannot_be_judged_is_refused(
    bookings: list[float], quotas: list[float], team_plan: float | None, text: str
) -> None:
    with pytest.raises(PlanError, match=text):
        contrast(bookings, quotas, team_plan=team_plan)


def test_a_band_must_rise() -> None:
    with pytest.raises(PlanError, match=r"band is 0\.8 to 0\.6"):
        contrast([1.0], [1.0], band=(0.8, 0.6))


PLAN = QuotaPlan(name="flat", annual_quota=200_000.0, annual_team_plan=1_500_000.0)


@pytest.mark.parametrize("period", ["2026Q2", HORIZON])
def test_the_law_judges_every_trial_like_a_real_period(period: str) -> None:
    world = one_stage_world(reps=6, quarters=2, skill_cv=0.4, shock_cv=0.3, leads_per_week=0.8)
    outcome = simulate(world, engine="thinning", trials=200, seed=3)
    assert isinstance(outcome, SampledOutcome)
    law = contrast_law(outcome, PLAN, period)
    chosen = outcome.quarters_of(period)
    cases = [
        contrast(
            outcome.bookings[trial][:, chosen].sum(axis=1),
            [50_000.0 * len(chosen)] * 6,
            team_plan=375_000.0 * len(chosen),
        ).case
        for trial in range(200)
    ]
    assert law.table["case"].tolist() == list(CASES)
    assert law.table["probability"].tolist() == [cases.count(case) / 200 for case in CASES]
    assert len(set(cases)) >= 3
    assert (
        (law.table["low"] <= law.table["probability"]) & (law.table["probability"] <= law.table["high"])
    ).all()


def test_an_exact_outcome_is_simulated_for_the_law() -> None:
    world = reference_world(reps=8, newcomers=2)
    exact = contrast_law(simulate(world), PLAN, "2026Q3", trials=300, seed=5)
    drawn = contrast_law(simulate(world, engine="thinning", trials=300, seed=5), PLAN, "2026Q3")
    pd.testing.assert_frame_equal(exact.table, drawn.table)
    assert (exact.trials, exact.seed) == (300, 5)


def test_quotas_that_are_right_are_mostly_healthy_and_wrong_ones_are_not() -> None:
    world = reference_world(reps=60, newcomers=0)
    outcome = simulate(world, engine="thinning", trials=400, seed=2)
    right = plan_for_share(outcome, plan=PLAN.model_copy(update={"annual_team_plan": None}), period="2026Q4")
    cases = [
        contrast_law(outcome, right.scaled(factor), "2026Q4").most_probable for factor in (0.5, 1.0, 2.0)
    ]
    assert cases == ["too easy", "healthy", "too hard"]
    missing = right.model_copy(update={"annual_team_plan": 1e9})
    assert contrast_law(outcome, missing, "2026Q4").most_probable == "quotas do not add up to the plan"


def test_the_law_needs_a_period_and_quotas() -> None:
    outcome = simulate(one_stage_world(), engine="thinning", trials=8, seed=1)
    with pytest.raises(EngineError, match="2031Q1"):
        contrast_law(outcome, PLAN, "2031Q1")
    world = one_stage_world()
    late = world.reps[0].model_copy(update={"start": date(2027, 1, 4)})
    later = simulate(changed(world, reps=(late,)), engine="thinning", trials=8, seed=1)
    with pytest.raises(PlanError, match="nobody carries a quota"):
        contrast_law(later, PLAN, "2026Q1")


def test_more_team_plan_only_ever_moves_cases_to_a_missed_plan() -> None:
    outcome = simulate(reference_world(reps=10, newcomers=0), engine="thinning", trials=200, seed=4)
    plans = [PLAN.model_copy(update={"annual_team_plan": amount}) for amount in (1e6, 2e6, 4e6, 1e7)]
    missed = [contrast_law(outcome, plan, "2026Q4").table["probability"].iloc[-1] for plan in plans]
    assert all(low <= high for low, high in pairwise(missed))
    assert missed[0] < missed[-1]
    assert np.isfinite(missed).all()
