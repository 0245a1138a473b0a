"""Levers: what each does to the world, and the change that closes the gap."""

from __future__ import annotations

from datetime import date

import numpy as np
import pytest

from salessim.engine import simulate
from salessim.errors import PlanError
from salessim.library import example_scenario
from salessim.model import DealSize, Nurture, Qualification, Ramp, Scenario, Segment, Source, Stage
from salessim.plans import LEVERS, Lever, closing_the_gap, with_lever
from salessim.plans.levers import with_stage_conversion
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


def winding_segment() -> Segment:
    """Leads ready or not, a step that qualifies, deals that go back or rest in nurture, and a source of its
    own kind."""
    check = Qualification(sensitivity=0.9, specificity=0.8)
    return Segment(
        name="winding",
        stages=(
            Stage(name="check", qualification=check),
            Stage(name="meeting", conversion=0.5, nurture=0.2, dwell_weeks=2.0),
            Stage(name="offer", conversion=0.4, back={"meeting": 0.3}, dwell_weeks=3.0),
        ),
        sources=(
            Source(name="web", kind="inbound", leads_per_week=20.0),
            Source(name="fair", kind="inbound", leads_per_week=5.0, conversions={"offer": 0.6}),
            Source(name="friends", kind="inbound", leads_per_week=2.0, ready_share=0.8),
        ),
        deal_size=DealSize(mean=10_000.0, cv=0.0),
        ready_share=0.3,
        nurture=Nurture(mean_weeks=8.0, return_share=0.4, returns_to="meeting"),
    )


def win_chance(segment: Segment, source: Source) -> float:
    """Chance from lead to win by walking the journey a thousand steps."""
    chain = segment.journey(source)
    places = len(chain)
    where, won = np.zeros(places), 0.0
    ready = segment.ready_share_of(source)
    where[0], where[len(segment.stages)] = ready, 1 - ready
    for _ in range(1_000):
        won += float(where @ chain[:, places])
        where = where @ chain[:, :places]
    return won


def in_a_world(segment: Segment) -> Scenario:
    return changed(one_stage_world(reps=3, quarters=4), segments=(segment,))


@pytest.mark.parametrize("change", [-0.4, 0.1, 0.25])
def test_the_win_rate_of_every_source_of_a_winding_journey_moves_alike(change: float) -> None:
    before = winding_segment()
    after = with_lever(in_a_world(before), lever="win rate", change=change).segments[0]
    for old, new in zip(before.sources, after.sources, strict=True):
        assert win_chance(after, new) / win_chance(before, old) == pytest.approx(1 + change)
    assert after.stages[0] == before.stages[0]
    assert after.stages[1].nurture == 0.2
    assert after.stages[2].back == {"meeting": 0.3}


def test_a_win_rate_stops_where_back_and_nurture_leave_no_room() -> None:
    world = with_lever(in_a_world(winding_segment()), lever="win rate", change=10.0)
    assert world.segments[0].stages[1].conversion == pytest.approx(0.8)
    assert world.segments[0].stages[2].conversion == pytest.approx(0.7)
    assert world.segments[0].sources[1].conversions["offer"] == pytest.approx(0.7)
    assert Scenario.from_yaml(world.to_yaml()) == world  # still a world that can be


def test_the_win_rate_of_a_source_with_conversions_of_its_own_rises_as_much() -> None:
    stages = (Stage(name="a", conversion=0.3), Stage(name="b", conversion=0.9))
    own = Source(name="own", kind="inbound", leads_per_week=4.0, conversions={"a": 0.8})
    segment = Segment(name="x", stages=stages, sources=(own,), deal_size=DealSize(mean=1.0, cv=0.0))
    after = with_lever(in_a_world(segment), lever="win rate", change=0.2).segments[0]
    assert np.prod(after.conversions()) == pytest.approx(1.2 * 0.27)
    assert np.prod(after.conversions(after.sources[0])) == pytest.approx(1.2 * 0.72)


def test_one_stage_moves_alone() -> None:
    segment = winding_segment()
    world = in_a_world(segment)
    offer = with_stage_conversion(world, segment="winding", stage="offer", change=0.1).segments[0]
    assert [stage.conversion for stage in offer.stages] == [None, 0.5, pytest.approx(0.44)]
    assert offer.sources[1].conversions["offer"] == pytest.approx(0.66)
    check = with_stage_conversion(world, segment="winding", stage="check", change=0.1).segments[0]
    qualification = check.stages[0].qualification
    assert qualification is not None
    assert (qualification.sensitivity, qualification.specificity) == (pytest.approx(0.99), 0.8)
    assert check.stages[1:] == segment.stages[1:]
    full = with_stage_conversion(world, segment="winding", stage="offer", change=5.0).segments[0]
    assert full.stages[2].conversion == pytest.approx(0.7)


def test_the_other_stages_of_a_funnel_of_close_probabilities_stay() -> None:
    world = example_scenario()
    before = world.segments[0].conversions()
    moved = with_stage_conversion(world, segment="SMB", stage="warm lead", change=-0.2).segments[0]
    assert moved.conversions() == pytest.approx(before * [1, 1, 0.8, 1, 1])


def test_a_shorter_cycle_brings_bookings_into_the_horizon() -> None:
    world = one_stage_world(reps=5, dwell=6.0, quarters=1)
    slow, now, fast = (
        simulate(with_lever(world, lever="cycle", change=c)).expected_bookings("2026Q1").sum()
        for c in (-0.3, 0.0, 0.3)
    )
    assert slow < now < fast
    assert with_lever(world, lever="cycle", change=-0.3).segments[0].sources[0].cycle_factor == 1.3


def test_more_attrition_is_more_people_who_leave() -> None:
    world = one_stage_world()
    leaving = changed(world, roles=(world.roles[0].model_copy(update={"attrition_per_year": 0.3}),))
    after = with_lever(leaving, lever="attrition", change=0.1)
    assert after.roles[0].attrition_per_year == pytest.approx(0.33)
    assert with_lever(world, lever="attrition", change=0.1).roles == world.roles
    with pytest.raises(PlanError, match="of role 'AE' 120 % would leave a year; it must stay below 100 %"):
        with_lever(leaving, lever="attrition", change=3.0)


def test_what_is_not_allowed_of_cycle_and_stage_is_named() -> None:
    world = example_scenario()
    with pytest.raises(PlanError, match="lever 'cycle': change is 1; it must be above -1 and below 1"):
        with_lever(world, lever="cycle", change=1)
    slow = with_lever(with_lever(world, lever="cycle", change=-0.9), lever="cycle", change=-0.9)
    slow = with_lever(slow, lever="cycle", change=-0.9)
    with pytest.raises(PlanError, match=r"source 'website' would have cycle_factor 13\.0321; at most 10"):
        with_lever(slow, lever="cycle", change=-0.9)
    with pytest.raises(PlanError, match="segment 'SMB': no stage 'demo'; it has 'new lead'"):
        with_stage_conversion(world, segment="SMB", stage="demo", change=0.1)
    with pytest.raises(PlanError, match="stage 'new lead': change is -1; it must be above -1"):
        with_stage_conversion(world, segment="SMB", stage="new lead", change=-1)
