"""Levers: what each does to the world, and the change that closes the gap."""

from __future__ import annotations

from datetime import date

import numpy as np
import pytest

from salessim.engine import simulate
from salessim.errors import PlanError
from salessim.library import example_scenario
from salessim.model import Ramp
from salessim.plans import LEVERS, Lever, closing_the_gap, with_lever
from tests.worlds import changed, one_stage_world, reference_world


@pytest.mark.parametrize("lever", ["leads", "win rate", "deal size", "reps"])
def test_ten_percent_more_of_a_lever_is_ten_percent_more_bookings(lever: Lever) -> None:
    world = reference_world(newcomers=0)
    before = simulate(world).expected_bookings("2026Q4").sum()
    after = simulate(with_lever(world, lever=lever, change=0.1)).expected_bookings("2026Q4").sum()
    assert after / before == pytest.approx(1.1)


def test_a_win_rate_ends_at_certainty() -> None:
    world = one_stage_world(conversion=0.5)
    assert with_lever(world, lever="win rate", change=2.0).segments[0].conversions().tolist() == [1.0]


def test_a_part_of_a_rep_brings_a_part_of_the_leads() -> None:
    world = one_stage_world(reps=4)
    before = simulate(world).expected_bookings("2026Q1").sum()
    after = simulate(with_lever(world, lever="reps", change=0.375)).expected_bookings("2026Q1")
    assert len(after) == 6
    assert after.sum() / before == pytest.approx(1.375)


def test_no_ramp_left_makes_newcomers_full() -> None:
    world = reference_world()
    assert with_lever(world, lever="ramp", change=1.0).capacity().min() == 1.0
    half = with_lever(world, lever="ramp", change=0.5).roles[0].ramp
    assert half.linear_weeks == 13


@pytest.mark.parametrize(
    "ramp",
    [
        Ramp(training_weeks=4, by_month=(0.2, 0.4, 0.6, 0.8)),
        Ramp(half_productive_week=10.0, fully_productive_week=24.0),
    ],
)
def test_a_shorter_ramp_is_never_slower(ramp: Ramp) -> None:
    world = reference_world()
    world = changed(world, roles=(world.roles[0].model_copy(update={"ramp": ramp}),))
    levels = [
        with_lever(world, lever="ramp", change=change).capacity()[-1] for change in (0.0, 0.3, 0.6, 1.0)
    ]
    assert np.array_equal(levels[0], world.capacity()[-1])
    assert (np.diff(levels, axis=0) >= -1e-9).all()


def test_the_change_found_gives_the_wanted_chance() -> None:
    world = reference_world(reps=20, newcomers=4)
    target = 1.15 * simulate(world).expected_bookings("2026Q3").sum()
    table = closing_the_gap(world, target=target, period="2026Q3", chance=0.6).set_index("lever")
    assert set(table.index) == set(LEVERS)
    for lever in ("leads", "win rate", "deal size"):
        change = table.loc[lever, "change_needed"]
        chance = simulate(with_lever(world, lever=lever, change=change)).team_chance_at_least(
            target, "2026Q3"
        )
        assert chance == pytest.approx(0.6, abs=0.02)
        assert chance == pytest.approx(table.loc[lever, "chance_reached"])
    assert table.loc["reps", "people_needed"] == np.ceil(20 * table.loc["reps", "change_needed"])
    # four of twenty reps at most half a ramp behind cannot bring fifteen percent
    assert np.isnan(table.loc["ramp", "change_needed"])
    assert table.loc["ramp", "chance_reached"] > table.loc["ramp", "chance_now"]


def test_a_plan_within_reach_needs_no_lever() -> None:
    world = reference_world(reps=10, newcomers=0)
    table = closing_the_gap(world, target=1_000.0, period="2026Q4")
    assert table["change_needed"].tolist() == [0.0] * len(LEVERS)


def test_levers_that_do_not_reach_say_why() -> None:
    world = one_stage_world(reps=5)
    inbound = world.segments[0].sources[0].model_copy(update={"kind": "inbound"})
    world = changed(world, segments=(world.segments[0].model_copy(update={"sources": (inbound,)}),))
    target = 2 * simulate(world).expected_bookings("2026Q1").sum()
    table = closing_the_gap(world, target=target, period="2026Q1").set_index("lever")
    assert "more reps share the same leads" in table.loc["reps", "note"]
    assert table.loc["ramp", "note"] == "nobody is ramping"
    assert "not enough alone" in closing_the_gap(world, target=100 * target, period="2026Q1")["note"].iloc[0]


def test_what_is_not_allowed_is_named() -> None:
    world = example_scenario()
    with pytest.raises(PlanError, match="lever is 'luck'; it must be one of 'leads'"):
        with_lever(world, lever="luck", change=0.1)  # type: ignore[arg-type]
    with pytest.raises(PlanError, match=r"lever 'ramp': change is 1\.5; it must be above -1 and at most 1"):
        with_lever(world, lever="ramp", change=1.5)
    with pytest.raises(PlanError, match=r"lever 'reps': change is -0\.5"):
        with_lever(world, lever="reps", change=-0.5)
    with pytest.raises(PlanError, match="target is nan"):
        closing_the_gap(world, target=float("nan"), period="2026Q3")
    with pytest.raises(PlanError, match="chance is 80"):
        closing_the_gap(world, target=1.0, period="2026Q3", chance=80)


def test_a_hire_is_not_a_rep_of_today() -> None:
    world = changed(reference_world(reps=10, newcomers=0), hires=({"role": "AE", "start": date(2026, 6, 1)},))
    after = with_lever(world, lever="reps", change=0.2)
    assert len(after.reps) == 12
    assert len(after.team()) == 13


def test_a_stage_that_cannot_rise_leaves_it_to_the_others() -> None:
    stages = tuple(
        reference_world().segments[0].stages[k].model_copy(update={"conversion": c})
        for k, c in enumerate((0.2, 0.95))
    )
    world = one_stage_world()
    world = changed(world, segments=(world.segments[0].model_copy(update={"stages": stages}),))
    raised = with_lever(world, lever="win rate", change=1.0).segments[0].conversions()
    assert raised.tolist() == pytest.approx([0.38, 1.0])
    # nothing is won more often than always: the largest change is one over the chance of today
    table = closing_the_gap(changed(one_stage_world(conversion=0.8)), target=1e9, period="2026Q1").set_index(
        "lever"
    )
    assert "not enough alone" in table.loc["win rate", "note"]


def test_inbound_leads_do_not_ramp() -> None:
    world = reference_world(reps=6, newcomers=2)
    inbound = world.segments[0].sources[0].model_copy(update={"kind": "inbound", "leads_per_week": 60.0})
    world = changed(world, segments=(world.segments[0].model_copy(update={"sources": (inbound,)}),))
    target = 1.5 * simulate(world).expected_bookings("2026Q4").sum()
    note = closing_the_gap(world, target=target, period="2026Q4").set_index("lever").loc["ramp", "note"]
    assert note == "a faster ramp moves nothing here: leads are inbound, and shared by all"
