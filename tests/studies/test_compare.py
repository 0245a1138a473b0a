"""Comparisons on the same luck, and the measures that they are made in."""

from __future__ import annotations

import importlib
from datetime import date

import numpy as np
import pytest

from salessim.engine import HORIZON, Outcome, SampledOutcome, simulate
from salessim.engine.flow import flow
from salessim.errors import EngineError, PlanError, ScenarioError
from salessim.model import Behaviours, Calendar, Capacity, PushBack, Scenario
from salessim.plans import QuotaPlan, with_lever
from salessim.studies import OUTCOME_MEASURES, by_trial, compare, expected
from tests.worlds import changed, one_stage_world, reference_world, with_leads

PLAN = QuotaPlan(name="flat", annual_quota=120_000.0, annual_team_plan=480_000.0)


def small_world() -> Scenario:
    return one_stage_world(
        reps=4, leads_per_week=0.5, skill_cv=0.25, shock_cv=0.2, quarters=2, dwell=3.0, conversion=0.6
    )


class Flowing(SampledOutcome):
    """Trials that carry what only the flow engine knows; axes (trial, rep, period)."""

    engine = "flow"

    def __init__(self, scenario: Scenario, *, trials: int = 2, turned_away: float = 0.0) -> None:
        shape = (trials, len(scenario.team()), scenario.calendar.quarters)
        won = np.ones((*shape, 1), dtype=np.int32)
        super().__init__(scenario, won=won, bookings=10_000.0 * won, seed=1)
        self.why = "a limit binds"
        self.turned_away = np.full(shape, turned_away)
        self.gave_up = np.ones(shape)
        self.departures = np.zeros(shape)
        self.waiting = np.full(shape, 2.0)
        self.used = np.full(shape, np.nan)


def test_a_scenario_is_exactly_as_good_as_itself() -> None:
    world = small_world()
    found = compare(world, world, plan=PLAN, trials=400)
    table = found.table.set_index("measure")
    assert list(table.index) == [
        "team_bookings",
        "won_deals",
        "bookings_per_rep",
        "share_attaining",
        "plan_made",
        "plan_attainment",
    ]
    assert (table[["difference", "difference_p10", "difference_p90", "standard_error"]] == 0).all(axis=None)
    assert (table["chance_b_beats_a"] == 0.5).all()
    assert (table["mean_a"] == table["mean_b"]).all()
    assert (table["trials"] == 400).all()
    assert found.engine == "thinning"
    assert "exact law is valid for both" in found.why


def test_the_same_luck_leaves_several_times_less_noise_than_two_seeds() -> None:
    world = reference_world(reps=8, newcomers=2)
    better = with_leads(world, 1.05)
    paired = compare(world, better, measures=["team_bookings"], trials=2_000).table.iloc[0]
    alone = [
        by_trial(simulate(w, engine="thinning", trials=2_000, seed=seed), "team_bookings", period=HORIZON)
        for w, seed in ((world, 1), (better, 2))
    ]
    independent = (alone[1] - alone[0]).std(ddof=1) / 2_000**0.5
    assert paired["standard_error"] < independent / 3
    exact = [simulate(w).expected_bookings(HORIZON).sum() for w in (world, better)]
    assert paired["difference"] == pytest.approx(exact[1] - exact[0], abs=4 * paired["standard_error"])


def test_more_leads_win_in_nearly_every_trial() -> None:
    world = small_world()
    better = compare(world, with_leads(world, 1.5), measures=["team_bookings"], trials=1_000).table.iloc[0]
    worse = compare(with_leads(world, 1.5), world, measures=["team_bookings"], trials=1_000).table.iloc[0]
    assert better["chance_b_beats_a"] > 0.99
    assert better["difference_p10"] >= 0
    assert worse["chance_b_beats_a"] == pytest.approx(1 - better["chance_b_beats_a"])
    assert worse["difference"] == -better["difference"]


def test_intervals_of_the_mean_difference_hold_the_truth_in_four_of_five_cases() -> None:
    world = small_world()
    larger = with_leads(world, 1.2)
    truth = (
        simulate(larger).expected_bookings(HORIZON).sum() - simulate(world).expected_bookings(HORIZON).sum()
    )
    held = 0
    for seed in range(40):
        row = compare(world, larger, measures=["team_bookings"], trials=300, seed=seed).table.iloc[0]
        held += row["difference_low"] <= truth <= row["difference_high"]
    assert 24 <= held <= 39  # binomial (40, 0.8), 99.9 %


def test_measures_of_the_flow_add_up_what_the_flow_counted() -> None:
    world = one_stage_world(reps=2, leads_per_week=6.0, dwell=4.0, quarters=2)
    role = world.roles[0].model_copy(update={"capacity": Capacity(open_deals=10), "attrition_per_year": 0.4})
    outcome = flow(changed(world, roles=[role]), trials=40, seed=1)
    lost = by_trial(outcome, "leads_lost", period=HORIZON)
    assert (lost == (outcome.turned_away + outcome.gave_up).sum(axis=(1, 2))).all()
    assert (lost > 0).any()
    quarters = [by_trial(outcome, "leads_gave_up", period=period) for period in outcome.periods]
    assert (sum(quarters) == by_trial(outcome, "leads_gave_up", period=HORIZON)).all()
    waiting = [by_trial(outcome, "mean_waiting", period=period) for period in outcome.periods]
    np.testing.assert_allclose(
        by_trial(outcome, "mean_waiting", period=HORIZON), np.mean(waiting, axis=0), rtol=1e-5
    )
    used = by_trial(outcome, "capacity_used", period="2026Q2")
    assert (used > 0.3).all()
    assert (used <= 1).all()
    assert by_trial(outcome, "departures", period=HORIZON).sum() == outcome.departures.sum() > 0


def test_the_direction_of_a_measure_decides_who_is_better(monkeypatch: pytest.MonkeyPatch) -> None:
    a, b = small_world(), changed(small_world(), name="tight")

    def simulated(scenario: Scenario, **_: object) -> Outcome:
        return Flowing(scenario, turned_away=3.0 if scenario.name == "tight" else 1.0)

    monkeypatch.setattr(importlib.import_module("salessim.studies.outcome_measures"), "simulate", simulated)
    table = compare(a, b, measures=["leads_lost", "capacity_used"], trials=2).table.set_index("measure")
    assert table.loc["leads_lost", "difference"] == 2.0 * 4 * 2
    assert table.loc["leads_lost", "chance_b_beats_a"] == 0.0
    assert np.isnan(table.loc["capacity_used", "chance_b_beats_a"])
    assert table.loc["capacity_used", "trials"] == 0


def test_both_are_simulated_by_the_flow_where_one_of_them_needs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, str]] = []

    def simulated(scenario: Scenario, *, engine: str, trials: int, **_: object) -> Outcome:
        asked.append((scenario.name, engine))
        if engine == "auto" and scenario.name != "tight":
            return simulate(scenario)
        return Flowing(scenario, trials=trials)

    monkeypatch.setattr(importlib.import_module("salessim.studies.outcome_measures"), "simulate", simulated)
    a, b = small_world(), changed(small_world(), name="tight")
    found = compare(a, b, trials=2)
    assert found.engine == "flow"
    assert "'tight' (a limit binds)" in found.why
    assert asked == [("one stage", "auto"), ("tight", "auto"), ("one stage", "flow")]
    assert "leads_lost" in set(found.table["measure"])
    assert "no other engine knows departures" in compare(a, a, measures=["departures"], trials=2).why


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"currency": "USD"}, "currency is 'EUR' in scenario 'one stage' and 'USD'"),
        ({"calendar": Calendar(first_quarter="2026Q2", quarters=2)}, "first_quarter is '2026Q1'"),
        ({"calendar": Calendar(first_quarter="2026Q1", quarters=3)}, "calendar.quarters is 2"),
    ],
)
def test_scenarios_that_cannot_be_compared_are_refused(fields: dict[str, object], text: str) -> None:
    with pytest.raises(ScenarioError, match=text):
        compare(small_world(), changed(small_world(), **fields), trials=10)


def test_questions_that_have_no_answer_are_refused() -> None:
    world = small_world()
    with pytest.raises(EngineError, match="measure is 'revenue'; it must be one of 'team_bookings'"):
        compare(world, world, measures=["revenue"], trials=10)
    with pytest.raises(PlanError, match="'share_attaining' needs a quota plan"):
        compare(world, world, measures=["share_attaining"], trials=10)
    with pytest.raises(PlanError, match="states no annual_team_plan"):
        compare(world, world, measures=["plan_made"], plan=QuotaPlan(name="q", annual_quota=1.0), trials=10)
    with pytest.raises(EngineError, match="engine is 'exact'; a comparison trial by trial needs 'auto'"):
        compare(world, world, engine="exact", trials=10)  # type: ignore[arg-type]
    with pytest.raises(EngineError, match="trials is 1"):
        compare(world, world, trials=1)
    with pytest.raises(EngineError, match="must be a list of different names"):
        compare(world, world, measures=["won_deals", "won_deals"], trials=10)
    with pytest.raises(EngineError, match="known to the engine 'flow' only"):
        by_trial(simulate(world, engine="thinning", trials=4), "leads_lost", period=HORIZON)
    with pytest.raises(EngineError, match="needs simulated trials"):
        by_trial(simulate(world), "won_deals", period=HORIZON)


@pytest.mark.parametrize("measure", [m.name for m in OUTCOME_MEASURES.values() if m.mean is not None])
@pytest.mark.parametrize("period", [HORIZON, "2026Q2"])
def test_expected_values_agree_with_trials(measure: str, period: str) -> None:
    world = small_world()
    exact, none = expected(simulate(world), measure, plan=PLAN, period=period)
    sampled = simulate(world, engine="thinning", trials=4_000, seed=3)
    mean, error = expected(sampled, measure, plan=PLAN, period=period)
    assert none == 0
    assert 0 < error < abs(mean)
    assert mean == pytest.approx(exact, abs=4 * error)


def test_nobody_with_a_quota_means_no_share() -> None:
    world = small_world()
    hired_late = changed(
        world, reps=[rep.model_copy(update={"start": date(2026, 5, 1)}) for rep in world.reps]
    )
    exact, sampled = simulate(hired_late), simulate(hired_late, engine="thinning", trials=50)
    for outcome in (exact, sampled):
        found = expected(outcome, "share_attaining", plan=PLAN, period="2026Q1")
        assert np.isnan(found).all()
    row = compare(world, hired_late, measures=["share_attaining"], plan=PLAN, period="2026Q1", trials=50)
    assert row.table.loc[0, "trials"] == 0
    assert np.isnan(row.table.loc[0, "difference"])


def test_bookings_per_rep_counts_the_people_who_are_there() -> None:
    world = small_world()
    half = changed(
        world,
        reps=[
            rep.model_copy(update={"start": date(2026, 4, 1)}) if k < 2 else rep
            for k, rep in enumerate(world.reps)
        ],
    )
    outcome = simulate(half)
    team, _ = expected(outcome, "team_bookings", period=HORIZON)
    per_rep, _ = expected(outcome, "bookings_per_rep", period=HORIZON)
    assert team / per_rep == pytest.approx(3.0, abs=0.1)  # four people, two of them for half of the time


def test_levers_beat_in_the_order_that_their_size_says() -> None:
    world = small_world()
    chances = [
        compare(world, with_lever(world, lever="deal size", change=change), plan=PLAN, trials=400)
        .table.set_index("measure")
        .loc["plan_attainment", "difference"]
        for change in (-0.1, 0.1, 0.2)
    ]
    assert chances[0] < 0 < chances[1] < chances[2]


def test_a_limit_that_binds_costs_bookings_on_the_same_luck() -> None:
    """Both worlds run week by week, since one of them has to; the free one books no less in nearly all."""
    free = reference_world(reps=4, newcomers=1)
    limit = Capacity(open_deals=30, leave_per_week=0.2)
    limited = changed(free, roles=(free.roles[0].model_copy(update={"capacity": limit}),))
    found = compare(limited, free, trials=400)
    assert found.engine == "flow"
    table = found.table.set_index("measure")
    assert table.loc["team_bookings", "difference_low"] > 0
    assert table.loc["team_bookings", "chance_b_beats_a"] > 0.95
    assert table.loc["leads_lost", "mean_b"] == 0 < table.loc["leads_lost", "mean_a"]
    assert compare(limited, limited, trials=50).table["difference"].abs().sum() == 0


def test_a_scenario_with_behaviours_is_compared_with_its_quotas() -> None:
    quiet = small_world()
    restless = changed(quiet, behaviours=Behaviours(push_back=PushBack(share=1.0, below=5.0, weeks=6)))
    found = compare(quiet, restless, plan=PLAN, trials=200)
    assert found.engine == "flow"
    assert found.table.set_index("measure").loc["team_bookings", "difference"] < 0
