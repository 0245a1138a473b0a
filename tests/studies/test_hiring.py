"""Hiring: expected capacity against people who come and go, plans against all other plans, delays."""

from __future__ import annotations

from datetime import date, timedelta
from itertools import combinations_with_replacement

import numpy as np
import pytest
from scipy.stats import poisson

from salessim.engine import simulate
from salessim.engine.flow import FlowOutcome
from salessim.errors import EngineError, PlanError
from salessim.library import example_scenario
from salessim.model import Hire, Ramp, Rep, Role, Scenario, Training
from salessim.periods import WEEKS_PER_QUARTER
from salessim.studies import cost_of_delay, expected_capacity, hiring_plan
from tests.worlds import changed, one_stage_world, reference_world


def with_role(world: Scenario, **fields: object) -> Scenario:
    return changed(world, roles=(world.roles[0].model_copy(update=fields), *world.roles[1:]))


def inbound(world: Scenario) -> Scenario:
    source = world.segments[0].sources[0].model_copy(update={"kind": "inbound", "leads_per_week": 60.0})
    return changed(world, segments=(world.segments[0].model_copy(update={"sources": (source,)}),))


def lived(scenario: Scenario, *, trials: int, seed: int) -> np.ndarray:
    """Capacity by trial, seat and week, person by person: a slow second implementation of the rules."""
    rng = np.random.default_rng(seed)
    planned, there, selling = scenario.capacity(), scenario.headcount() > 0, scenario.time_to_sell()
    seen = np.zeros((trials, *planned.shape))
    for seat, rep in enumerate(scenario.team()):
        role = scenario.role(rep.role)
        leaving = 1 - (1 - role.attrition_per_year) ** (1 / 52)
        backfill = role.hiring_lead_weeks if role.backfill_weeks is None else role.backfill_weeks
        ramp = role.ramp.productivity(np.arange(planned.shape[1])).tolist()
        leaves = rng.random((trials, planned.shape[1])) < leaving
        for trial in range(trials):
            successor, empty = -1, 0  # week in which the present successor started; weeks still empty
            for week in np.flatnonzero(there[seat]).tolist():
                if empty:
                    empty -= 1
                    successor = successor if empty else week
                elif leaves[trial, week]:
                    empty = backfill
                    successor = successor if empty else week
                if not empty and successor < 0:
                    seen[trial, seat, week] = planned[seat, week]
                elif not empty:
                    seen[trial, seat, week] = ramp[week - successor] * selling[seat, week]
    return seen


@pytest.mark.parametrize("backfill", [0, 7])
def test_expected_capacity_is_the_mean_of_people_who_come_and_go(backfill: int) -> None:
    world = with_role(
        reference_world(reps=3, newcomers=1),
        attrition_per_year=0.6,
        hiring_lead_weeks=12,
        backfill_weeks=backfill,
        ramp=Ramp(training_weeks=2, linear_weeks=10.0),
    )
    world = changed(
        world,
        reps=(*world.reps[:2], world.reps[2].model_copy(update={"end": date(2026, 8, 31)})),
        hires=(Hire(role="AE", start=date(2026, 5, 1)),),
        trainings=(Training(start=date(2026, 6, 1), weeks=2, time_share=0.5),),
    )
    seen = lived(world, trials=4_000, seed=5)
    quarters = seen.reshape(*seen.shape[:2], -1, WEEKS_PER_QUARTER).mean(axis=3)
    expected = expected_capacity(world).reshape(4, -1, WEEKS_PER_QUARTER).mean(axis=2)
    error = quarters.std(axis=0) / np.sqrt(len(seen))
    assert (np.abs(quarters.mean(axis=0) - expected) < 4 * error + 1e-9).all()
    assert (error.max(axis=1) > 0).all()  # everybody can leave: the comparison is one


def test_without_attrition_capacity_is_what_the_scenario_says() -> None:
    world = example_scenario()
    assert np.array_equal(expected_capacity(world), world.capacity())


def test_seats_that_nobody_fills_empty_at_the_yearly_rate() -> None:
    world = with_role(one_stage_world(reps=2, quarters=4), attrition_per_year=0.3, backfill_weeks=520)
    assert expected_capacity(world)[:, -1] == pytest.approx(0.7)


def test_quarters_before_the_horizon_have_leavers_as_well() -> None:
    world = with_role(one_stage_world(quarters=2), attrition_per_year=0.3, backfill_weeks=520)
    later = changed(world, calendar=world.calendar.model_copy(update={"quarters_before": 2}))
    whole = changed(world, calendar=world.calendar.model_copy(update={"quarters": 4}))
    assert np.allclose(expected_capacity(later), expected_capacity(whole)[:, 26:])


def capacity_with(world: Scenario, starts: list[date]) -> np.ndarray:
    reps = (*world.reps, *(Rep(name=f"more {k}", role="AE", start=day) for k, day in enumerate(starts)))
    weekly = expected_capacity(changed(world, reps=reps)).sum(axis=0)
    return np.asarray(weekly.reshape(-1, WEEKS_PER_QUARTER).mean(axis=1))


def test_no_plan_has_fewer_people_or_starts_later() -> None:
    world = with_role(
        reference_world(reps=6, newcomers=0),
        hiring_lead_weeks=8,
        attrition_per_year=0.25,
        ramp=Ramp(linear_weeks=16.0),
    )
    needed = {"2026Q3": 7.0, "2026Q4": 8.0}
    plan = hiring_plan(world, needed=needed)
    starts = [day for day, hires in plan.starts[["start", "hires"]].to_numpy() for _ in range(hires)]
    assert plan.quarters["with_hires"].to_numpy() == pytest.approx(capacity_with(world, starts))
    assert (plan.quarters["missing"] == 0).all()

    months = [
        date(2026, month, 1) for month in range(3, 13)
    ]  # eight weeks after New Year's Eve is February 25

    def enough(chosen: tuple[date, ...]) -> bool:
        return bool((capacity_with(world, list(chosen))[2:] >= [7.0, 8.0]).all())

    number = len(starts)
    assert number >= 2
    assert not any(enough(chosen) for chosen in combinations_with_replacement(months, number - 1))
    latest = max(
        sum(day.toordinal() for day in chosen)
        for chosen in combinations_with_replacement(months, number)
        if enough(chosen)
    )
    assert sum(day.toordinal() for day in starts) == latest


def test_decisions_fall_before_starts_by_the_time_it_takes_to_hire() -> None:
    world = with_role(reference_world(reps=6, newcomers=0), hiring_lead_weeks=10)
    plan = hiring_plan(world, needed={"2026Q4": 7.0}, as_of=date(2026, 3, 20))
    full = timedelta(weeks=world.roles[0].ramp.weeks_to_full())
    assert not plan.starts.empty
    for start, decide_by, _, role, fully_ramped in plan.starts.to_numpy():
        assert (start.day, role) == (1, "AE")
        assert start - decide_by == timedelta(weeks=10)
        assert decide_by >= date(2026, 3, 20)
        assert fully_ramped == start + full
    hired = [(hire.start, hire.count) for hire in plan.scenario.hires]
    assert hired == list(plan.starts[["start", "hires"]].itertuples(index=False, name=None))


def test_a_quarter_that_is_too_close_is_not_hired_for() -> None:
    world = with_role(reference_world(reps=6, newcomers=0), hiring_lead_weeks=10)
    plan = hiring_plan(world, needed={"2026Q1": 7.5, "2026Q4": 6.0})
    assert plan.starts.empty
    first = plan.quarters.set_index("quarter").loc["2026Q1"]
    assert first["missing"] == pytest.approx(1.5)
    assert first["note"].startswith("too close")
    # nobody can be there in the first quarter, however little would be enough
    assert hiring_plan(world, needed={"2026Q1": 7.5}, least_productivity=0).starts.empty
    assert hiring_plan(world, needed={"2026Q4": 7.5}, as_of=date(2026, 12, 1)).starts.empty
    # whoever takes beginners as good enough gets crowds of them
    crowd = hiring_plan(world, needed={"2026Q2": 7.5}, least_productivity=0.1)
    assert crowd.starts["hires"].sum() > 3
    assert crowd.quarters.set_index("quarter").loc["2026Q2", "missing"] == 0


def test_nobody_is_hired_where_there_is_enough() -> None:
    plan = hiring_plan(reference_world(reps=6, newcomers=0), needed={"2026Q1": 6.0, "2026Q4": 5.0})
    assert plan.starts.empty
    assert plan.quarters["needed"].tolist()[:1] == [6.0]
    assert np.isnan(plan.quarters["needed"].iloc[1])
    assert plan.quarters["note"].tolist() == [""] * 4


def test_hires_join_those_who_are_planned_for_the_day() -> None:
    world = changed(
        reference_world(reps=6, newcomers=0), hires=(Hire(role="AE", start=date(2026, 4, 1), count=2),)
    )
    plan = hiring_plan(world, needed={"2026Q3": 9.0})
    assert plan.starts["start"].tolist() == [date(2026, 4, 1)]
    assert plan.scenario.hires[0].count == 2 + plan.starts["hires"].sum()
    names = [rep.name for rep in plan.scenario.team()]
    assert len(set(names)) == len(names)
    assert names[: len(world.team())] == [rep.name for rep in world.team()]


def test_a_bookings_target_is_met_with_the_hires_and_not_with_one_fewer() -> None:
    world = with_role(reference_world(reps=10, newcomers=0), ramp=Ramp(linear_weeks=13.0))
    now = simulate(world)
    target = 1.25 * now.expected_bookings("2026Q4").sum()
    plan = hiring_plan(world, needed={"2026Q4": target}, needed_in="bookings")
    after = simulate(plan.scenario).expected_bookings("2026Q4").sum()
    rows = plan.quarters.set_index("quarter")
    assert rows.loc["2026Q4", "with_hires"] == pytest.approx(after)
    assert rows.loc["2026Q4", "without_hires"] == pytest.approx(now.expected_bookings("2026Q4").sum())
    assert after >= target
    number = int(plan.starts["hires"].sum())
    fewer = changed(world, hires=(Hire(role="AE", start=date(2026, 1, 1), count=number - 1),))
    assert simulate(fewer).expected_bookings("2026Q4").sum() < target


def test_hires_who_share_the_leads_bring_no_bookings() -> None:
    world = inbound(reference_world(reps=6, newcomers=0))
    target = 1.2 * simulate(world).expected_bookings("2026Q4").sum()
    plan = hiring_plan(world, needed={"2026Q4": target}, needed_in="bookings")
    assert plan.starts.empty
    assert plan.quarters["note"].iloc[3] == "more people bring no more here: they share the same leads"
    assert plan.quarters["missing"].iloc[3] == pytest.approx(target / 6)


def test_what_is_not_allowed_of_a_plan_is_named() -> None:
    world = reference_world(reps=6, newcomers=0)
    with pytest.raises(PlanError, match="needed names quarter '2031Q1'; the scenario covers '2026Q1'"):
        hiring_plan(world, needed={"2031Q1": 5.0})
    with pytest.raises(PlanError, match="needed in 2026Q1 is nan"):
        hiring_plan(world, needed={"2026Q1": float("nan")})
    with pytest.raises(PlanError, match="needed_in is 'euros'"):
        hiring_plan(world, needed={"2026Q1": 5.0}, needed_in="euros")  # type: ignore[arg-type]
    with pytest.raises(PlanError, match="role is 'CEO'; it must be one of 'AE'"):
        hiring_plan(world, needed={"2026Q1": 5.0}, role="CEO")
    with pytest.raises(PlanError, match="least_productivity is 50"):
        hiring_plan(world, needed={"2026Q1": 5.0}, least_productivity=50)
    with pytest.raises(PlanError, match="more than 1,000 people would have to start on one day"):
        hiring_plan(world, needed={"2026Q4": 1e6})
    two = changed(world, roles=(*world.roles, Role(name="SDR")))
    with pytest.raises(PlanError, match="several roles; say which one to hire: 'AE', 'SDR'"):
        hiring_plan(two, needed={"2026Q1": 5.0})


def test_a_delay_costs_what_the_later_start_brings_less() -> None:
    world = reference_world(reps=5, newcomers=0)
    table = cost_of_delay(world, hires=2, start=date(2026, 1, 31), months=(1, 3), trials=2_000)
    assert table["start"].tolist() == [date(2026, 2, 28), date(2026, 4, 30)]
    on_time, late = (
        simulate(changed(world, hires=(Hire(role="AE", start=day, count=2),)))
        .expected_bookings("horizon")
        .sum()
        for day in (date(2026, 1, 31), date(2026, 4, 30))
    )
    assert table["lost"].iloc[1] == pytest.approx(on_time - late)
    assert table["expected_bookings"].iloc[1] == pytest.approx(late)
    assert set(table["engine"]) == {"exact"}


def alike(mean: float, other: float) -> float:
    """Chance that two Poisson counts are the same when both have the same rank among what is possible."""
    edges = [np.append(0.0, poisson.cdf(np.arange(60), m)) for m in (mean, other)]
    overlap = np.minimum(edges[0][1:], edges[1][1:]) - np.maximum(edges[0][:-1], edges[1][:-1])
    return float(np.maximum(overlap, 0.0).sum())


def test_a_delay_is_judged_on_the_same_luck() -> None:
    world = one_stage_world(reps=40, quarters=2)  # a lead a week, half of them won at once, at 10,000
    table = cost_of_delay(world, hires=1, start=date(2026, 1, 1), months=(1, 2, 4), trials=4_000)
    # other reps live through the same, and a later start never wins more
    assert (table["lost_low"] >= 0).all()
    worked = np.array(
        [
            changed(world, reps=(Rep(name="new", role="AE", start=day),))
            .headcount()
            .reshape(2, -1)
            .sum(axis=1)
            for day in table["start"]
        ]
    )
    assert table["lost"].to_numpy() == pytest.approx((26 - worked.sum(axis=1)) * 5_000)
    chance = 1 - np.array([alike(6.5, first / 2) * alike(6.5, second / 2) for first, second in worked])
    error = np.sqrt(chance * (1 - chance) / 4_000)
    assert (np.abs(table["chance_of_loss"] - chance) < 4 * error + 1e-9).all()


def test_what_is_not_allowed_of_a_delay_is_named() -> None:
    world = reference_world(reps=5, newcomers=0)
    day = date(2026, 4, 1)
    with pytest.raises(PlanError, match="hires is 0"):
        cost_of_delay(world, hires=0, start=day)
    with pytest.raises(PlanError, match="start is 2031-01-01; it must lie between 2026-01-01 and 2026-12-31"):
        cost_of_delay(world, hires=1, start=date(2031, 1, 1))
    with pytest.raises(PlanError, match=r"months is \[0, 1\]; each delay must be 1 month or more"):
        cost_of_delay(world, hires=1, start=day, months=[0, 1])
    with pytest.raises(EngineError, match="period is '2030Q1'"):
        cost_of_delay(world, hires=1, start=day, period="2030Q1")


def leaving_world() -> Scenario:
    return with_role(
        reference_world(reps=6, newcomers=1),
        attrition_per_year=0.4,
        backfill_weeks=6,
        ramp=Ramp(linear_weeks=10.0),
    )


def test_expected_capacity_is_that_of_the_simulator() -> None:
    world = changed(leaving_world(), hires=(Hire(role="AE", start=date(2026, 5, 1)),))
    outcome = simulate(world, trials=1_500, seed=3)
    assert isinstance(outcome, FlowOutcome)
    leads = outcome.leads.sum(axis=1)  # (trial, quarter): twelve a week for each full rep
    expected = 12 * expected_capacity(world).sum(axis=0).reshape(4, -1).sum(axis=1)
    error = leads.std(axis=0) / np.sqrt(len(leads))
    assert (np.abs(leads.mean(axis=0) - expected) < 4 * error).all()
    # without leavers it would be something else
    assert (12 * world.capacity().sum(axis=0).reshape(4, -1).sum(axis=1) - expected > 8 * error)[1:].all()


def test_a_bookings_target_is_met_where_people_leave() -> None:
    world = leaving_world()
    now = simulate(world, trials=200).expected_bookings("2026Q4").sum()
    plan = hiring_plan(world, needed={"2026Q4": 1.3 * now}, needed_in="bookings", trials=200)
    last = plan.quarters.set_index("quarter").loc["2026Q4"]
    assert last["without_hires"] == pytest.approx(now)
    assert last["missing"] == 0
    after = simulate(plan.scenario, trials=200).expected_bookings("2026Q4").sum()
    assert last["with_hires"] == pytest.approx(after)


def test_a_delay_costs_bookings_where_people_leave() -> None:
    table = cost_of_delay(leaving_world(), hires=2, start=date(2026, 1, 1), months=(1, 4), trials=300)
    assert set(table["engine"]) == {"flow"}
    assert 0 < table["lost"].iloc[0] < table["lost"].iloc[1]
    assert table["chance_of_loss"].iloc[1] > 0.9
