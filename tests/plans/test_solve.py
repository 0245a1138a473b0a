"""Solved quotas: met on a fresh seed, by every method, for the team, by role and by segment."""

from __future__ import annotations

from datetime import date

import numpy as np
import pytest

from salessim.engine import HORIZON, SampledOutcome, simulate
from salessim.errors import EngineError, PlanError
from salessim.model import DealSize, Market, Rep, Role, Scenario
from salessim.plans import METHODS, QuotaPlan, main_segments, period_quotas, quotas, score, solve
from salessim.plans.solve import Aim, Group, Method
from tests.worlds import changed, one_stage_world, reference_world

FLAT = QuotaPlan(name="flat", annual_quota=400_000.0)


def two_of_a_kind(reps: int = 12) -> Scenario:
    """Half the reps sell in a segment of small deals, half in one of large deals, where fewer leads come."""
    world = one_stage_world(leads_per_week=2.0, size=DealSize(mean=5_000.0, cv=0.5), quarters=2)
    small = world.segments[0].model_copy(update={"name": "small"})
    large = small.model_copy(
        update={
            "name": "large",
            "deal_size": DealSize(mean=60_000.0, cv=0.8),
            "sources": (small.sources[0].model_copy(update={"leads_per_week": 0.8}),),
        }
    )
    focus = [{"small": 1.0, "large": 0.0}, {"small": 0.0, "large": 1.0}]
    team = tuple(
        Rep(name=f"rep {k}", role=("SMB AE", "MME AE")[k % 2], segments=focus[k % 2]) for k in range(reps)
    )
    return changed(
        world,
        segments=(small, large),
        roles=(Role(name="SMB AE"), Role(name="MME AE")),
        reps=team,
        market=Market(shock_cv=0.1, skill_cv=0.2),
    )


def counted(scenario: Scenario, plan: QuotaPlan, period: str, trials: int = 4000) -> np.ndarray:
    """Share of the reps with a quota who make it, by trial, counted over fresh trials."""
    outcome = simulate(scenario, engine="thinning", trials=trials, seed=977)
    assert isinstance(outcome, SampledOutcome)
    booked = outcome.bookings[:, :, outcome.quarters_of(period)].sum(axis=2)
    amounts = period_quotas(plan, scenario, period)
    carries = np.isfinite(amounts)
    return (booked[:, carries] >= amounts[carries]).mean(axis=1)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(("reps", "trials"), [(5, 20_000), (40, 4000), (500, 400)])
def test_a_fresh_seed_finds_the_share_within_a_point(reps: int, trials: int, method: Method) -> None:
    world = reference_world(reps=reps, newcomers=reps // 5)
    world = changed(world, calendar=world.calendar.model_copy(update={"quarters": 3}))
    found = solve(simulate(world), plan=FLAT, period="2026Q3", share=0.65, method=method)
    assert found.notes == ()
    share = counted(world, found.plan, "2026Q3", trials)
    # the shared shock moves all reps of a trial together: the error is that of the trials
    assert share.mean() == pytest.approx(0.65, abs=0.01)
    assert found.score.expected_share == pytest.approx(0.65, abs=1e-4)


@pytest.mark.parametrize("method", METHODS)
def test_the_chance_of_the_band_agrees_with_counting(method: Method) -> None:
    world = two_of_a_kind()
    found = solve(simulate(world), plan=FLAT, period="2026Q2", method=method)
    share = counted(world, found.plan, "2026Q2", 20_000)
    inside = ((share >= 0.60 - 1e-9) & (share <= 0.75 + 1e-9)).mean()
    assert found.score.probability_band == pytest.approx(inside, abs=0.012)


def test_one_quota_keeps_the_relation_between_reps() -> None:
    world = reference_world()
    found = solve(simulate(world), plan=FLAT, period="2026Q3")
    ratio = period_quotas(found.plan, world, "2026Q3") / period_quotas(FLAT, world, "2026Q3")
    assert np.ptp(ratio) == pytest.approx(0, abs=1e-9)
    # quarters that were not solved for stay as the plan has them
    assert quotas(found.plan, world)["2026Q1"].equals(quotas(FLAT, world)["2026Q1"])


def test_quotas_by_potential_ask_in_proportion_to_expected_bookings() -> None:
    world = two_of_a_kind()
    outcome = simulate(world)
    found = solve(outcome, plan=FLAT, period="2026Q1", method="potential")
    ratio = period_quotas(found.plan, world, "2026Q1") / outcome.expected_bookings("2026Q1")
    assert np.ptp(ratio) == pytest.approx(0, abs=1e-9)


def test_equal_chance_is_equal_where_one_quota_is_not() -> None:
    world = two_of_a_kind()
    outcome = simulate(world)
    equal = solve(outcome, plan=FLAT, period="2026Q1", method="equal chance").score.reps["chance"]
    one = solve(outcome, plan=FLAT, period="2026Q1").score.reps["chance"]
    assert np.ptp(equal.to_numpy()) < 0.001
    assert np.ptp(one.to_numpy()) > 0.3


@pytest.mark.parametrize("group", ["role", "segment"])
@pytest.mark.parametrize("method", METHODS)
def test_every_group_meets_the_aim(group: Group, method: Method) -> None:
    found = solve(simulate(two_of_a_kind()), plan=FLAT, period="2026Q1", group=group, method=method)
    assert found.groups["reps"].tolist() == [6, 6]
    assert found.groups["expected_share"].tolist() == pytest.approx([0.675, 0.675], abs=1e-3)
    small, large = found.groups["quota_median"]
    assert large > 2 * small
    total = found.groups["sum_of_quotas"].sum()
    assert found.score.sum_of_quotas == pytest.approx(total)


def test_main_segments_are_those_that_bring_the_bookings() -> None:
    world = two_of_a_kind(reps=2)
    both = (*world.reps, Rep(name="rep 2", role="SMB AE", segments={"small": 1.0, "large": 0.21}))
    assert main_segments(changed(world, reps=both)) == ["small", "large", "mixed"]


@pytest.mark.parametrize("method", METHODS)
def test_aiming_at_the_band_beats_its_neighbours(method: Method) -> None:
    world = two_of_a_kind()
    outcome = simulate(world)
    aim: Aim = "band"
    best = solve(outcome, plan=FLAT, period="2026Q1", method=method, aim=aim).score
    for share in (best.expected_share - 0.04, best.expected_share + 0.04):
        other = solve(outcome, plan=FLAT, period="2026Q1", method=method, share=share)
        assert other.score.probability_band < best.probability_band


def test_the_horizon_is_split_like_the_plan() -> None:
    world = two_of_a_kind()
    plan = FLAT.model_copy(update={"quarter_shares": (0.2, 0.3, 0.25, 0.25)})
    found = solve(simulate(world), plan=plan, period=HORIZON, method="potential")
    table = quotas(found.plan, world)
    assert (table["2026Q2"] / table["2026Q1"]).tolist() == pytest.approx([1.5] * 12)
    assert found.score.expected_share == pytest.approx(0.675, abs=1e-4)


def test_who_cannot_be_given_a_quota_is_named() -> None:
    world = two_of_a_kind()
    rare = Rep(name="rare", role="SMB AE", segments={"small": 0.001, "large": 0.0})
    world = changed(world, reps=(*world.reps, rare))
    found = solve(simulate(world), plan=FLAT, period="2026Q1", method="equal chance")
    assert len(found.notes) == 1
    assert "'rare'" in found.notes[0]
    assert np.isnan(quotas(found.plan, world).loc["rare", "2026Q1"])
    assert "rare" not in set(found.score.reps["rep"])


def test_nobody_can_be_given_a_quota() -> None:
    world = one_stage_world(reps=3, leads_per_week=0.001)
    for method in METHODS:
        with pytest.raises(PlanError, match="no quota above zero"):
            solve(simulate(world), plan=FLAT, period="2026Q1", method=method)


def test_what_is_not_allowed_is_named() -> None:
    outcome = simulate(two_of_a_kind())
    with pytest.raises(PlanError, match="share is 65; it must lie between 0 and 1"):
        solve(outcome, plan=FLAT, period="2026Q1", share=65)
    with pytest.raises(PlanError, match="method is 'fair'; it must be one of 'one quota'"):
        solve(outcome, plan=FLAT, period="2026Q1", method="fair")  # type: ignore[arg-type]
    with pytest.raises(PlanError, match="group is 'region'"):
        solve(outcome, plan=FLAT, period="2026Q1", group="region")  # type: ignore[arg-type]
    with pytest.raises(EngineError, match="2031Q1"):
        solve(outcome, plan=FLAT, period="2031Q1")
    sdr_only = QuotaPlan(name="x", annual_quota={"MME AE": 1.0})
    world = changed(two_of_a_kind(), reps=two_of_a_kind().reps[:1])
    with pytest.raises(PlanError, match="nobody carries a quota"):
        solve(simulate(world), plan=sdr_only, period="2026Q1")


def test_quotas_by_rep_stand_in_place_of_the_annual_quota() -> None:
    world = changed(reference_world(reps=3, newcomers=1), hires=())
    own = {"rep 0": {"2026Q1": 50_000.0}, "rep 2": {"2026Q2": 70_000.0, "2026-q3": 0.0}}
    plan = QuotaPlan(name="own", annual_quota=400_000.0, quotas_by_rep=own)
    table = quotas(plan, world)
    assert table.loc["rep 0"].tolist() == [50_000, 100_000, 100_000, 100_000]
    assert table.loc["rep 2", "2026Q2"] == 70_000  # no ramp relief is taken off
    assert np.isnan(table.loc["rep 2", "2026Q3"])
    assert quotas(plan.scaled(2), world).loc["rep 0", "2026Q1"] == 100_000
    again = QuotaPlan.model_validate(plan.model_dump(mode="json"))
    assert again == plan
    stranger = plan.model_copy(update={"quotas_by_rep": {"nobody": {"2026Q1": 1.0}}})
    with pytest.raises(PlanError, match="names the rep 'nobody'; the scenario 'W1' has 'rep 0'"):
        quotas(stranger, world)


def test_a_plan_of_solved_quotas_can_be_scored_and_written(tmp_path: object) -> None:
    world = two_of_a_kind()
    outcome = simulate(world)
    found = solve(outcome, plan=FLAT, period="2026Q1", method="equal chance")
    assert score(outcome, found.plan, period="2026Q1").expected_share == found.score.expected_share
    assert "quotas_by_rep:" in found.plan.to_yaml()


def test_a_rep_who_leaves_is_asked_only_while_there() -> None:
    world = two_of_a_kind()
    leaver = world.reps[0].model_copy(update={"end": date(2026, 3, 31)})
    world = changed(world, reps=(leaver, *world.reps[1:]))
    found = solve(simulate(world), plan=FLAT, period="2026Q2", method="equal chance")
    assert leaver.name not in set(found.score.reps["rep"])
