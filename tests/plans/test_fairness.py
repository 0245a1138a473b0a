"""Luck, territory, skill and market: parts that add up, and agree with whole trials."""

from __future__ import annotations

import numpy as np
import pytest

from salessim.engine import HORIZON, SampledOutcome, simulate
from salessim.errors import PlanError
from salessim.model import OpenDeal
from salessim.plans import QuotaPlan, fairness, period_quotas
from tests.worlds import changed, one_stage_world, reference_world

FLAT = QuotaPlan(name="flat", annual_quota=400_000.0)
PARTS = ["luck", "territory", "skill", "market"]


@pytest.mark.parametrize("period", ["2026Q4", HORIZON])
def test_the_variance_of_attainment_is_that_of_whole_trials(period: str) -> None:
    world = reference_world(reps=6, newcomers=2)
    level = world.market.model_copy(update={"level_cv": 0.15})
    deals = (OpenDeal(rep="rep 1", segment="all", stage="stage 3", weeks_in_stage=2, deals=5),)
    world = changed(world, market=level, pipeline=deals)
    table = fairness(simulate(world), plan=FLAT, period=period)
    spread = table[["luck_deviation", "skill_deviation", "market_deviation"]].to_numpy()
    sampled = simulate(world, engine="thinning", trials=40_000, seed=5)
    assert isinstance(sampled, SampledOutcome)
    booked = sampled.bookings[:, :, sampled.quarters_of(period)].sum(axis=2)
    attained = booked / period_quotas(FLAT, world, period)
    assert np.sqrt((spread**2).sum(axis=1)) == pytest.approx(attained.std(axis=0), rel=0.03)
    assert table["expected_attainment"].to_numpy() == pytest.approx(attained.mean(axis=0), rel=0.02)
    assert table[PARTS].sum(axis=1).tolist() == pytest.approx([1.0] * 6)


def test_where_reps_are_alike_and_known_all_is_luck() -> None:
    table = fairness(simulate(one_stage_world(reps=4)), plan=FLAT, period="2026Q1")
    assert table[PARTS].to_numpy().tolist() == [[1.0, 0.0, 0.0, 0.0]] * 4
    # wins are Poisson with mean 6.5: luck is one over the root of it
    relative = table["luck_deviation"] / table["expected_attainment"]
    assert relative.tolist() == pytest.approx([6.5**-0.5] * 4)


def test_more_leads_are_territory_and_better_closing_is_skill() -> None:
    world = one_stage_world(reps=3)
    favoured = world.reps[0].model_copy(update={"segments": {"all": 2.0}})
    skilled = world.reps[1].model_copy(update={"skill_mean": 2.0, "skill_cv": 0.0})
    world = changed(world, reps=(favoured, skilled, world.reps[2]))
    table = fairness(simulate(world), plan=FLAT, period="2026Q1")
    first, second, third = table.to_dict("records")
    assert first["expected_attainment"] == pytest.approx(second["expected_attainment"])
    assert first["territory_effect"] > 0 > first["skill_effect"]
    assert second["skill_effect"] > 0 > second["territory_effect"]
    assert second["territory_effect"] == pytest.approx(third["territory_effect"])
    assert first["territory"] > third["territory"]
    assert second["skill"] > third["skill"]
    for row in (first, second, third):
        average = table["expected_attainment"].mean()
        both = row["territory_effect"] + row["skill_effect"]
        assert both == pytest.approx(row["expected_attainment"] - average)


def test_a_higher_quota_is_a_harder_territory() -> None:
    world = one_stage_world(reps=2, quarters=1)
    plan = QuotaPlan(name="x", annual_quota=400_000.0, quotas_by_rep={"rep 0": {"2026Q1": 200_000.0}})
    table = fairness(simulate(world), plan=plan, period="2026Q1")
    assert table["territory_effect"].iloc[0] < 0 < table["territory_effect"].iloc[1]
    assert table["chance"].iloc[0] < table["chance"].iloc[1]


def test_only_reps_with_a_quota_are_judged() -> None:
    plan = QuotaPlan(name="x", annual_quota=400_000.0, quotas_by_rep={"rep 0": {"2026Q1": 0.0}})
    table = fairness(simulate(one_stage_world(reps=3)), plan=plan, period="2026Q1")
    assert table["rep"].tolist() == ["rep 1", "rep 2"]
    nobody = QuotaPlan(name="x", annual_quota={"AE": 1.0}, quotas_by_rep={"rep 0": {"2026Q1": 0.0}})
    with pytest.raises(PlanError, match="nobody carries a quota"):
        fairness(simulate(one_stage_world(reps=1)), plan=nobody, period="2026Q1")
