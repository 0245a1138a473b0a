"""Structures on the same demand, and the value of qualification; the scenarios that ship for them."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from salessim.engine import simulate_flow
from salessim.errors import EngineError, ScenarioError
from salessim.intervals import Z
from salessim.library import example_scenario, load_structure, structures
from salessim.model import (
    Capacity,
    DealSize,
    Hire,
    Nurture,
    Qualification,
    Ramp,
    Rep,
    Role,
    Scenario,
    Source,
    Stage,
    Training,
)
from salessim.studies import compare_structures, value_of_qualification
from tests.worlds import changed, one_stage_world, with_leads

ACTS = ("act-1-generalists", "act-2-engineers-and-outbound", "act-3-specialists")


@pytest.fixture(scope="module")
def acts() -> dict[str, Scenario]:
    return {name: load_structure(name) for name in ACTS}


@pytest.fixture(scope="module")
def compared(acts: dict[str, Scenario]):
    return compare_structures(acts, trials=400)


def inbound_world(*, reps: int, leads: float, hours: float = 0.0, **role: object) -> Scenario:
    """Inbound leads that close after a week, and a role with fields of its own."""
    world = one_stage_world(reps=reps, dwell=1.0, quarters=2)
    segment = world.segments[0]
    source = Source(name="inbound", kind="inbound", leads_per_week=leads, cost_per_lead=10.0)
    stage = segment.stages[0].model_copy(update={"hours_per_week": hours})
    segment = segment.model_copy(update={"sources": (source,), "stages": (stage,)})
    return changed(world, segments=(segment,), roles=(Role(name="AE", **role),))


# the scenarios that ship


@pytest.mark.parametrize("name", structures())
def test_every_shipped_scenario_loads_runs_and_says_that_it_is_made_up(name: str) -> None:
    scenario = load_structure(name)
    assert scenario.made_up
    assert scenario.description.startswith("Made up.")
    assert scenario.currency == "EUR"
    assert Scenario.from_yaml(scenario.to_yaml()) == scenario
    outcome = simulate_flow(scenario, trials=50)
    assert np.isfinite(outcome.bookings).all()
    assert (outcome.bookings.sum(axis=(1, 2)) > 0).all()


def test_an_unknown_structure_is_refused_with_the_names_that_there_are() -> None:
    with pytest.raises(ScenarioError, match=r"'act-9'.*'act-1-generalists'"):
        load_structure("act-9")


def test_the_acts_face_the_same_demand_with_as_many_seats(acts: dict[str, Scenario]) -> None:
    first = acts[ACTS[0]]
    for act in acts.values():
        assert len(act.team()) == 16
        assert [rep.name for rep in act.team()] == [rep.name for rep in first.team()]
        for segment in act.segments:
            same = first.segment(segment.name)
            assert segment.sources[0] == same.sources[0]
            assert (
                (segment.deal_size, segment.ready_share) == (same.deal_size, same.ready_share) != (None, None)
            )
            # the journey of a ready lead after qualification does not depend on the structure
            own = {stage.name: stage.conversion for stage in segment.stages if not stage.qualification}
            assert own == {stage.name: stage.conversion for stage in same.stages}
        for role in act.roles:
            assert role.capacity is not None
            assert role.capacity.hours_per_week
            assert min(role.attrition_per_year, role.hiring_lead_weeks) > 0
            assert role.ramp.weeks_to_full() > 0


def test_the_acts_tell_the_story_of_fewer_larger_deals(compared) -> None:
    table = compared.table.set_index("structure")
    one, two, three = (table.loc[name] for name in ACTS)
    assert one["average_deal_size"] < two["average_deal_size"] < three["average_deal_size"]
    assert max(two["won_deals"], three["won_deals"]) < 0.7 * one["won_deals"]
    assert one["bookings_mean"] * 1.4 < two["bookings_mean"] < three["bookings_mean"]
    assert one["leads_nobody_works"] == pytest.approx(10 * 52)
    assert two["leads_nobody_works"] == three["leads_nobody_works"] == 0
    # the price of it: bookings that depend on a few large deals, and more small customers let go
    spread = (table["bookings_p90"] - table["bookings_p10"]) / table["bookings_mean"]
    assert spread[ACTS[0]] < spread[ACTS[1]]
    assert one["leads_lost_share"] < two["leads_lost_share"]


# comparing structures


def test_the_tables_agree_with_the_trials(acts: dict[str, Scenario], compared) -> None:
    name = ACTS[2]
    outcome = simulate_flow(acts[name], trials=400, seed=1)
    row = compared.table.set_index("structure").loc[name]
    bookings = outcome.bookings.sum(axis=(1, 2))
    first = simulate_flow(acts[ACTS[0]], trials=400, seed=1).bookings.sum(axis=(1, 2))
    assert row["bookings_mean"] == pytest.approx(bookings.mean())
    assert row["bookings_p90"] == pytest.approx(np.quantile(bookings, 0.9))
    assert row["difference"] == pytest.approx((bookings - first).mean())
    assert row["difference_p10"] == pytest.approx(np.quantile(bookings - first, 0.1))
    assert row["chance_to_beat_first"] == pytest.approx((bookings > first).mean())
    assert row["average_deal_size"] == pytest.approx(bookings.sum() / outcome.won.sum())
    assert row["leads_gave_up"] == pytest.approx(outcome.gave_up.sum() / 400)
    assert row["bookings_per_head"] == pytest.approx(bookings.mean() / row["heads"])
    desks = compared.by_role[compared.by_role["structure"] == name]
    assert list(desks["segments"][:3]) == ["SMB", "MME", "ESB"]
    assert desks["seats"].sum() == 16
    assert desks["bookings"].sum() == pytest.approx(row["bookings_mean"])
    assert desks["won_deals"].sum() == pytest.approx(row["won_deals"])
    assert desks["heads"].sum() == pytest.approx(row["heads"])
    assert desks["leads_lost"].sum() == pytest.approx(row["leads_turned_away"] + row["leads_gave_up"])
    assert desks["departures"].sum() == pytest.approx(row["departures"])
    assert desks["used"].between(0, 1.1).all()


def test_the_first_structure_has_nothing_to_be_compared_with(compared) -> None:
    columns = ["difference", "difference_p10", "difference_error", "chance_to_beat_first", "chance_low"]
    assert compared.table.loc[0, columns].isna().all()
    assert compared.table.loc[1:, columns].notna().all(axis=None)


def test_the_same_structure_twice_differs_in_nothing() -> None:
    world = inbound_world(reps=2, leads=4.0)
    table = compare_structures({"a": world, "b": world}, trials=50).table
    assert table.loc[1, ["difference", "difference_p90", "difference_error"]].tolist() == [0, 0, 0]
    assert table.loc[1, "chance_to_beat_first"] == 0.5
    assert table["capacity_used"].isna().all()  # no limits
    assert table["leads_lost_share"].tolist() == [0, 0]


def test_a_quarter_can_be_looked_at_alone() -> None:
    world = inbound_world(reps=2, leads=4.0)
    table = compare_structures({"a": world}, trials=50, period="2026Q2").table
    bookings = simulate_flow(world, trials=50).bookings[:, :, 1].sum(axis=1)
    assert table.loc[0, "bookings_mean"] == pytest.approx(bookings.mean())
    assert table.loc[0, ["new_leads", "cost_of_leads"]].tolist() == pytest.approx([52, 520])
    with pytest.raises(EngineError, match="2031Q1"):
        compare_structures({"a": world}, trials=50, period="2031Q1")


def test_heads_are_people_present_not_their_productivity() -> None:
    world = inbound_world(reps=3, leads=4.0, ramp=Ramp(linear_weeks=20.0))
    world = changed(
        world,
        hires=(Hire(role="AE", start="2026-04-01"),),
        trainings=(Training(start="2026-01-01", weeks=13),),
    )
    table = compare_structures({"a": world}, trials=10).table
    assert table.loc[0, "heads"] == pytest.approx(3.5)
    leaving = inbound_world(reps=3, leads=4.0, attrition_per_year=0.5, backfill_weeks=500)
    expected = 3 * np.mean(0.5 ** (np.arange(1, 27) / 52))
    assert compare_structures({"a": leaving}, trials=10).table.loc[0, "heads"] == pytest.approx(expected)


def test_new_leads_are_those_that_arrive() -> None:
    world = inbound_world(reps=3, leads=4.0, attrition_per_year=0.4, backfill_weeks=10)
    own = Source(name="own", kind="self-sourced", leads_per_week=2.0)
    segment = world.segments[0].model_copy(update={"sources": (*world.segments[0].sources, own)})
    team = (Rep(name="rep 0", role="AE", skill_mean=1.5), *world.reps[1:])
    world = changed(world, segments=(segment,), reps=team)
    row = compare_structures({"a": world}, trials=2_000).table.iloc[0]
    arrived = simulate_flow(world, trials=2_000).leads.sum(axis=(1, 2))
    # rep 0 leaves as often as the others, so the skill of a share is only nearly what is expected
    assert row["new_leads"] == pytest.approx(arrived.mean(), rel=0.02)
    assert np.isnan(row["cost_of_leads"])  # the cost of one source is not known


@pytest.mark.parametrize(
    ("what", "other"),
    [
        ("inbound leads", with_leads(inbound_world(reps=2, leads=4.0), 1.5)),
        ("currency", changed(inbound_world(reps=2, leads=4.0), currency="PLN")),
        ("market", changed(inbound_world(reps=2, leads=4.0), market={"shock_cv": 0.3})),
        ("calendar", changed(inbound_world(reps=2, leads=4.0), calendar={"first_quarter": "2027Q1"})),
    ],
)
def test_structures_on_another_demand_are_refused(what: str, other: Scenario) -> None:
    with pytest.raises(ScenarioError, match=what):
        compare_structures({"a": inbound_world(reps=2, leads=4.0), "b": other}, trials=10)


def test_a_missing_segment_and_too_little_to_compare_are_refused(acts: dict[str, Scenario]) -> None:
    one = acts[ACTS[0]]
    lacking = one.model_copy(update={"segments": one.segments[:2]})
    with pytest.raises(ScenarioError, match="segments differs"):
        compare_structures({"all": one, "two": lacking}, trials=10)
    with pytest.raises(ScenarioError, match="no structure"):
        compare_structures({}, trials=10)
    with pytest.raises(EngineError, match="trials is 1"):
        compare_structures({"a": one}, trials=1)


# the value of qualification


@pytest.fixture(scope="module")
def value() -> pd.DataFrame:
    return value_of_qualification(load_structure("qualification"), trials=600)


def test_qualification_pays_while_capacity_is_short_and_vanishes_as_it_grows(value: pd.DataFrame) -> None:
    found = value.set_index("capacity_factor")
    scarce = found.loc[[0.5, 0.75, 1.0]]
    assert (scarce["difference_low"] > 0).all()
    assert (scarce["chance_it_pays"] > 0.95).all()
    # relative to what is booked, the value falls at every step
    relative = found["difference"] / found["bookings_with"]
    noise = Z * (found["difference_high"] - found["difference_low"]) / found["bookings_with"]
    assert (np.diff(relative) <= noise.to_numpy()[1:]).all()
    # at infinite capacity chasing everything is at least as good
    assert found.loc[np.inf, "difference_high"] < 0
    assert found.loc[np.inf, ["leads_lost_with", "leads_lost_without"]].tolist() == [0, 0]


def test_more_capacity_never_books_less_nor_loses_more_leads(value: pd.DataFrame) -> None:
    for case in ("with", "without"):
        assert (np.diff(value[f"bookings_{case}"]) >= -0.01 * value[f"bookings_{case}"][:-1]).all()
        assert (np.diff(value[f"leads_lost_{case}"]) <= 0).all()
    assert (value["leads_lost_without"] >= value["leads_lost_with"]).all()


def test_win_rates_are_those_of_the_funnel(value: pd.DataFrame) -> None:
    ready, other = 0.27 * 0.85, 0.73 * 0.2
    won = ready * 0.5 * 0.5 * 0.7 + other * 0.125 * 0.125 * 0.175
    assert np.allclose(value["win_rate_qualified"], won / (ready + other))
    assert np.allclose(value["win_rate_all"], won)
    assert (value["win_rate_qualified"] > value["win_rate_all"]).all()
    without_end = value.iloc[-1]
    assert without_end["won_per_lead_with"] == pytest.approx(won, rel=0.05)
    everything = 0.27 * 0.175 + 0.73 * 0.25**3 * 0.175
    assert without_end["won_per_lead_without"] == pytest.approx(everything, rel=0.05)


def test_chasing_everything_is_the_funnel_without_the_step() -> None:
    """The step that lets all pass must be as good as taken out, also for the room that is asked for."""
    scenario = load_structure("qualification")
    segment = scenario.segments[0]
    taken_out = segment.model_copy(update={"stages": segment.stages[1:]})
    plain = simulate_flow(changed(scenario, segments=(taken_out,)), trials=600, seed=1)
    kept = value_of_qualification(scenario, capacity_factors=(1.0,), trials=600).iloc[0]
    bookings = plain.bookings.sum(axis=(1, 2))
    error = bookings.std(ddof=1) / np.sqrt(600)
    assert kept["bookings_without"] == pytest.approx(bookings.mean(), abs=5 * error)
    lost = (plain.turned_away + plain.gave_up).sum(axis=(1, 2))
    assert kept["leads_lost_without"] == pytest.approx(lost.mean(), abs=5 * lost.std() / np.sqrt(600))


def test_a_limit_on_open_deals_is_scaled_and_rounded() -> None:
    scenario = load_structure("qualification")
    role = scenario.roles[0].model_copy(update={"capacity": Capacity(open_deals=20)})
    found = value_of_qualification(
        changed(scenario, roles=(role,)), capacity_factors=(0.01, 0.5, 4.0), trials=100
    )
    assert (np.diff(found["bookings_with"]) > 0).all()
    assert found["leads_lost_with"].iloc[0] > 2_500


def test_leads_back_from_nurture_behind_the_step_count_as_qualified() -> None:
    scenario = load_structure("qualification")
    segment = scenario.segments[0]
    check = segment.stages[0].model_copy(
        update={"qualification": Qualification(sensitivity=0.85, specificity=0.8, stopped="nurture")}
    )
    nurture = Nurture(mean_weeks=2.0, return_share=0.5, returns_to="discovery")
    resting = segment.model_copy(update={"stages": (check, *segment.stages[1:]), "nurture": nurture})
    found = value_of_qualification(
        changed(scenario, segments=(resting,)), capacity_factors=(1.0,), trials=10
    ).iloc[0]
    sent, stopped = 0.27 * 0.85 + 0.73 * 0.2, 0.27 * 0.15 + 0.73 * 0.8
    won = 0.175 * (0.27 * 0.85 + 0.5 * stopped) + 0.73 * 0.2 * 0.125 * 0.125 * 0.175
    assert found["win_rate_qualified"] == pytest.approx(won / (sent + 0.5 * stopped))
    assert found["win_rate_all"] == pytest.approx(won)


def test_a_step_at_the_end_of_the_funnel_is_valued_as_well() -> None:
    scenario = load_structure("qualification")
    segment = scenario.segments[0]
    turned = segment.model_copy(update={"stages": (*segment.stages[1:], segment.stages[0])})
    found = value_of_qualification(
        changed(scenario, segments=(turned,)), capacity_factors=(np.inf,), trials=100
    ).iloc[0]
    assert found["win_rate_qualified"] == 1
    assert 0 < found["win_rate_all"] < 1
    assert found["difference"] < 0


def test_what_has_no_value_to_show_is_refused() -> None:
    with pytest.raises(ScenarioError, match="no stage qualifies"):
        value_of_qualification(example_scenario())
    scenario = load_structure("qualification")
    free = changed(scenario, roles=(Role(name="account executive"),))
    with pytest.raises(ScenarioError, match="no role has a capacity"):
        value_of_qualification(free)
    for factor in (0.0, -1.0, float("nan")):
        with pytest.raises(EngineError, match="above 0"):
            value_of_qualification(scenario, capacity_factors=(factor,))
    with pytest.raises(EngineError, match="trials is 1"):
        value_of_qualification(scenario, trials=1)


def test_a_team_of_two_roles_hands_on_what_an_idle_step_lets_pass() -> None:
    """SDRs who only qualify: without the step, leads go straight on to account executives and their limit."""
    stages = (
        Stage(
            name="qualification",
            qualification=Qualification(sensitivity=0.9, specificity=0.9, stopped="lost"),
            hours_per_week=1.0,
            role="SDR",
        ),
        Stage(name="talk", conversion=0.5, dwell_weeks=2.0, hours_per_week=2.0, role="AE"),
    )
    world = load_structure("qualification")
    segment = world.segments[0].model_copy(
        update={"stages": stages, "deal_size": DealSize(mean=1_000.0, cv=0.0)}
    )
    limit = Capacity(hours_per_week=20.0)
    world = changed(
        world,
        segments=(segment,),
        roles=(Role(name="SDR", capacity=limit), Role(name="AE", capacity=limit)),
        reps=(*(Rep(name=f"s{k}", role="SDR") for k in range(4)), Rep(name="a", role="AE")),
    )
    found = value_of_qualification(world, capacity_factors=(1.0, np.inf), trials=100)
    # all hours of the one account executive are in use either way; qualified leads are worth more of them
    assert found["difference"].iloc[0] > 0 > found["difference"].iloc[1]
    assert found["leads_lost_without"].iloc[0] > 2 * found["leads_lost_with"].iloc[0]
