"""Scenarios, comparisons, sweeps and structures in words: sentences that agree with the figures."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from salessim import briefing, library, studies
from salessim.briefing import Briefing, CustomersReport, QualificationReport, StructuresReport
from salessim.engine import HORIZON, simulate, simulate_flow
from salessim.errors import EngineError, ParameterError, PlanError, ScenarioError
from salessim.model import Capacity, Role
from salessim.plans import QuotaPlan, with_lever
from salessim.studies import Grid
from tests.worlds import changed, one_stage_world, reference_world, with_leads

ACTS = tuple(name for name in library.structures() if name.startswith("act"))


@pytest.fixture(scope="module")
def example() -> Briefing:
    return briefing.prepare(crm_folder="example", quarter="2026Q2")


@pytest.fixture(scope="module")
def acts() -> StructuresReport:
    return briefing.prepare_structures(trials=60)


@pytest.fixture(scope="module")
def qualified() -> QualificationReport:
    return briefing.prepare_qualification(trials=60)


@pytest.fixture(scope="module")
def base() -> CustomersReport:
    return briefing.prepare_customers(trials=60)


# --- scenarios ---------------------------------------------------------------------------------------------


def test_a_scenario_is_found_by_path_and_by_name(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(library.example_scenario().to_yaml(), encoding="utf-8")
    assert briefing.scenario_named(str(path)) == briefing.scenario_named("example")
    assert briefing.scenario_named(ACTS[0]) == library.load_structure(ACTS[0])
    with pytest.raises(ScenarioError, match="shipped are 'example', 'act-1-generalists'"):
        briefing.scenario_named("nosuch")
    with pytest.raises(ScenarioError, match="cannot be read"):
        briefing.scenario_named("nosuch.yaml")


def test_an_exact_answer_has_no_sampling_error_and_no_roles() -> None:
    scenario, plan = library.example_scenario(), library.example_plan()
    text = briefing.simulation_text(scenario, plan=plan)
    outcome = simulate(scenario)
    mean = float(outcome.expected_bookings(HORIZON).sum())
    assert f"is expected to book EUR {mean / 1e6:.2f}m from 2026Q3 to 2027Q2** (P10 to P90: EUR" in text
    assert "taken as it is written" in text
    chance = float(outcome.team_chance_at_least(plan.team_plan(scenario, HORIZON), HORIZON))
    assert f"makes its plan of EUR 5.00m with a chance of {chance:.0%}**".replace("%", " %") in text
    assert "Engine 'exact'" in text
    assert "leads lost" not in text
    assert "The scenario is made up." in text


def test_chances_that_were_counted_come_with_their_interval() -> None:
    text = briefing.simulation_text(
        library.example_scenario(), plan=library.example_plan(), engine="thinning", trials=200
    )
    assert "Engine 'thinning'" in text
    assert "200 trials, seed 1." in text
    whole = next(line for line in text.splitlines() if line.startswith("| all quarters |"))
    assert "% to " in whole


def test_a_plan_without_a_team_plan_is_judged_by_its_quotas_alone() -> None:
    plan = QuotaPlan(name="flat", annual_quota=400_000.0)
    text = briefing.simulation_text(library.example_scenario(), plan=plan)
    assert "it states no plan of the team" in text
    assert "chance of the team plan" not in text
    wrong = QuotaPlan(name="other", annual_quota={"closer": 1.0})
    with pytest.raises(PlanError, match="closer"):
        briefing.simulation_text(library.example_scenario(), plan=wrong)


def test_an_engine_that_is_not_valid_is_refused() -> None:
    with pytest.raises(EngineError, match="people leave"):
        briefing.simulation_text(library.load_structure(ACTS[0]), engine="exact")


def test_capacity_in_use_is_measured_over_weeks_in_which_people_are_there() -> None:
    """One rep with one deal at a time and far too many leads is always busy, whenever the rep starts."""
    role = Role(name="AE", capacity=Capacity(open_deals=1, surplus="lost"))
    busy = changed(one_stage_world(leads_per_week=50.0, dwell=1.0, quarters=2), roles=(role,))
    rep = busy.reps[0]
    late = changed(busy, reps=(rep.model_copy(update={"start": busy.calendar.periods()[1].start}),))
    for scenario, people in ((busy, 1.0), (late, 0.5)):
        row = briefing.use_of_capacity(simulate_flow(scenario, trials=20)).iloc[0]
        assert row["used"] == pytest.approx(1.0, abs=0.01)
        assert row["people"] == pytest.approx(people, abs=0.05)
        assert row["lost_share"] > 0.95
        assert row["limit"] == "1 open deal"
    text = briefing.bottleneck_sentence(briefing.use_of_capacity(simulate_flow(busy, trials=20)))
    assert text.startswith("**The bottleneck is the role 'AE'**: 100 % of their capacity is in use")


def test_where_nothing_is_short_no_bottleneck_is_claimed() -> None:
    role = Role(name="AE", capacity=Capacity(open_deals=500))
    calm = changed(one_stage_world(), roles=(role,))
    roles = briefing.use_of_capacity(simulate_flow(calm, trials=20))
    assert briefing.bottleneck_sentence(roles).startswith("No role is at its limit; the busiest is 'AE'")
    free = briefing.use_of_capacity(simulate_flow(one_stage_world(), trials=5))
    assert briefing.bottleneck_sentence(free) == "No role has a limit of what its people can work on."
    assert briefing.use_of_capacity(simulate(one_stage_world())).empty


# --- comparisons and sweeps --------------------------------------------------------------------------------


def test_a_comparison_says_the_difference_with_its_range_and_chance() -> None:
    a = library.example_scenario()
    b = with_lever(a, lever="leads", change=0.1).model_copy(update={"name": "more leads"})
    found = studies.compare(a, b, plan=library.example_plan(), trials=400)
    row = found.table.set_index("measure").loc["team_bookings"]
    text = briefing.comparison_text(found)
    assert f"**'more leads' books EUR {row['difference'] / 1e3:.0f}k more than '{a.name}'**" in text
    assert f"80 % range +EUR {row['difference_p10'] / 1e3:.0f}k to" in text
    assert "of 400 simulated years on the same luck" in text
    back = briefing.comparison_text(studies.compare(b, a, trials=400))
    assert f"books EUR {row['difference'] / 1e3:.0f}k less than 'more leads'" in back
    assert "in 0 % of 400" in back
    # a plan is made or not: there is no range of that
    made = next(line for line in text.splitlines() if line.startswith("| Chance of the team plan"))
    assert made.endswith("| – | – |")


def test_equal_scenarios_are_called_equal() -> None:
    same = library.example_scenario()
    text = briefing.comparison_text(studies.compare(same, same, trials=50))
    assert "(second)' books exactly as much as" in text


def test_the_shipped_grid_is_swept_best_first() -> None:
    grid = briefing.grid_named("example")
    table = studies.sweep(grid, workers=1)
    text = briefing.sweep_text(table, grid=grid, folder="out")
    assert f"**{len(grid)} of {len(grid)} scenarios of '{grid.name}' are worked out**" in text
    assert "out/results.parquet" in text.replace("\\", "/")
    rows = [line for line in text.splitlines() if line.startswith("| ") and line[2].isdigit()]
    points = [int(row.split("|")[1]) for row in rows]
    bookings = table["team_bookings"].loc[points]
    assert bookings.is_monotonic_decreasing
    assert (bookings.iloc[0], bookings.iloc[-1]) == (
        table["team_bookings"].max(),
        table["team_bookings"].min(),
    )
    assert len(points) == 6


def test_points_that_the_model_refuses_are_explained() -> None:
    scenario = reference_world(reps=2, newcomers=0)
    grid = Grid(name="odd", scenario=scenario, dimensions={"market.shock_cv": [0.1, 9.0]})
    text = briefing.sweep_text(studies.sweep(grid, workers=1), grid=grid, folder="out")
    assert "**1 of 2 scenarios of 'odd'" in text
    assert "1 scenario was refused" in text
    assert "shock_cv is 9.0" in text
    assert "Most bookings first" in text


# --- structures --------------------------------------------------------------------------------------------


def test_the_best_structure_is_compared_with_the_next(acts: StructuresReport) -> None:
    table = acts.comparison.table.set_index("structure")
    assert acts.best == table["bookings_mean"].idxmax()
    assert acts.second == table["bookings_mean"].nlargest(2).index[1]
    assert acts.next_best is not None
    gap = table.loc[acts.best, "bookings_mean"] - table.loc[acts.second, "bookings_mean"]
    assert acts.next_best.table["difference"].iloc[-1] == pytest.approx(gap)
    assert 0.5 < acts.chance_ahead <= 1
    text = briefing.structures_findings(acts)
    pair = acts.next_best.table.iloc[-1]
    unsure = pair["difference_p10"] <= 0 <= pair["difference_p90"]
    assert f"**'{acts.best}' {'probably ' if unsure else ''}books most: EUR" in text
    clear = acts.next_best.table.assign(difference_p10=1.0)
    surely = replace(acts, next_best=replace(acts.next_best, table=clear))
    assert f"**'{acts.best}' books most: EUR" in briefing.structures_findings(surely)
    assert f"EUR {gap / 1e3:.0f}k more than '{acts.second}'" in text


def test_structures_stand_side_by_side(acts: StructuresReport) -> None:
    lines = briefing.structures_table(acts).splitlines()
    assert lines[0] == "|  | " + " | ".join(acts.comparison.table["structure"]) + " |"
    assert all(line.count("|") == 5 for line in lines)
    first = next(line for line in lines if line.startswith("| against the first |"))
    assert first.split("|")[2].strip() == "–"


def test_made_up_structures_are_called_so(acts: StructuresReport) -> None:
    text = briefing.structures_findings(acts)
    assert "**Made up are 'Act 1, generalists on inbound'" in text
    real = replace(acts, made_up=())
    assert "ade up" not in briefing.structures_findings(real)


def test_the_bottleneck_of_a_structure_is_where_most_leads_are_lost(acts: StructuresReport) -> None:
    desks = acts.comparison.by_role
    text = briefing.bottleneck_findings(acts)
    for name in acts.comparison.table["structure"]:
        own = desks[desks["structure"] == name]
        worst = own.loc[own["leads_lost"].idxmax()]
        assert f"'{name}' loses most leads at the {worst['role']} ({worst['segments']})" in text
    assert "Nobody works 520 leads of 'Act 1, generalists on inbound'" in text
    frame = briefing.bottlenecks(acts)
    assert len(frame) == len(desks)
    assert frame["lost_share"].between(0, 1).all()
    lost = briefing.bottlenecks_table(acts).splitlines()
    handing = next(line for line in lost if line.startswith("| SDR"))
    assert "| hands over | – |" in handing
    assert len(lost) == 2 + len(desks) + 3  # the name of a structure stands above its roles


def test_the_own_company_is_left_out_with_a_reason_where_its_demand_differs(example: Briefing) -> None:
    report = briefing.prepare_structures(scenarios=ACTS[0], own=example, trials=5)
    assert list(report.comparison.table["structure"]) == ["Act 1, generalists on inbound"]
    assert report.left_out == (
        f"{example.scenario.name} is not among them: it covers 2026Q3 to 2027Q2, they cover 2027Q1 to 2027Q4"
    )
    assert report.left_out in briefing.structures_findings(report)
    assert f"'{report.best}' books EUR" in briefing.structures_findings(report)
    assert math.isnan(report.chance_ahead)
    assert report.second == ""


def test_the_own_company_stands_first_beside_scenarios_of_its_own(example: Briefing, tmp_path: Path) -> None:
    path = tmp_path / "limited.yaml"
    role = example.scenario.roles[0].model_copy(update={"capacity": Capacity(open_deals=5, surplus="lost")})
    limited = changed(example.scenario, name="limited", roles=(role, *example.scenario.roles[1:]))
    path.write_text(limited.to_yaml(), encoding="utf-8")
    report = briefing.prepare_structures(scenarios=str(path), own=example, trials=20)
    assert list(report.comparison.table["structure"]) == [example.scenario.name, "limited"]
    assert report.left_out == ""
    assert report.best == example.scenario.name
    assert "'limited' loses most leads at the account executive" in briefing.structures_findings(report)


def test_structures_that_cannot_be_compared_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ParameterError, match="stands twice"):
        briefing.prepare_structures(scenarios=f"{ACTS[0]}, {ACTS[0]}", trials=5)
    richer = with_leads(library.load_structure(ACTS[0]), 2.0).model_copy(update={"name": "richer"})
    path = tmp_path / "richer.yaml"
    path.write_text(richer.to_yaml(), encoding="utf-8")
    with pytest.raises(ScenarioError, match="same demand"):
        briefing.prepare_structures(scenarios=f"{ACTS[0]},{path}", trials=5)


# --- qualification and customers ---------------------------------------------------------------------------


def test_qualification_is_worth_something_at_finite_capacity_and_nothing_without_limits(
    qualified: QualificationReport,
) -> None:
    today = qualified.table.set_index("capacity_factor").loc[1.0]
    text = briefing.qualification_findings(qualified)
    gain = f"EUR {today['difference'] / 1e3:.0f}k"
    assert f"**In the made-up example, at today's capacity qualification brings {gain}**" in text
    assert "**That turns into a cost as capacity grows: without any limit it costs EUR" in text
    assert "× today's capacity on it no longer pays" in text or "today's capacity it still pays" in text
    unclear = qualified.table.assign(difference_low=-1.0, difference_high=1.0)
    assert "**That vanishes as capacity grows: without any limit" in briefing.qualification_findings(
        replace(qualified, table=unclear)
    )
    assert "| without any limit |" in briefing.qualification_table(qualified)


def test_what_nurture_brings_back_does_not_vanish() -> None:
    report = briefing.prepare_qualification(scenario="act-3-specialists", trials=20)
    table = report.table.assign(
        difference=np.linspace(3e5, 2e5, len(report.table)), difference_low=1e5, difference_high=4e5
    )
    kept = briefing.qualification_findings(replace(report, table=table))
    assert "Without any limit it brings EUR 200k: what rests in nurture" in kept
    costs = briefing.qualification_findings(replace(report, table=table.assign(difference=-1e5)))
    assert "qualification costs EUR 100k" in costs
    assert "Capacity is not short enough" in costs
    assert "vanishes" not in costs


def test_churn_is_the_difference_of_two_worlds(base: CustomersReport) -> None:
    frame = briefing.revenue_frame(base)
    assert list(frame["quarter"]) == ["today", "2027Q1", "2027Q2", "2027Q3", "2027Q4"]
    assert frame.loc[0, "with_churn"] == frame.loc[0, "without_churn"] == 200 * 12_000
    assert (frame["without_churn"] - frame["with_churn"]).is_monotonic_increasing
    missing = frame["without_churn"].iloc[-1] - frame["with_churn"].iloc[-1]
    text = briefing.customers_findings(base)
    assert f"**In the made-up example, churn costs EUR {missing / 1e3:.0f}k of annual recurring" in text
    assert "revenue by the end of 2027Q4**" in text
    assert "64 % of their leads are won, against 6.4 % of new ones" in text
    assert "has paid for itself after" in text
    assert "cost of leads only; with pay it is longer" in text
    assert "**Made up is 'New business and existing customers'**" in text


def test_customers_in_tables(base: CustomersReport) -> None:
    table = briefing.customers_table(base)
    assert "| Customers at the beginning | 200 |" in table
    assert "| SMB | existing customers |" in briefing.base_table(base)
    assert "| SMB | inbound |" in briefing.payback_table(base)
    never = replace(base, payback=base.payback.assign(payback_months=math.inf))
    assert "never pays for itself" in briefing.customers_findings(never)
    assert "| never |" in briefing.payback_table(never)


def test_a_base_that_nothing_is_sold_to_is_named(base: CustomersReport) -> None:
    alone = replace(base, base=base.base[base.base["kind"] == "new business"])
    assert "Nothing is sold to the customers of today" in briefing.customers_findings(alone)
    unknown = replace(base, payback=base.payback.assign(payback_months=math.nan))
    assert "paid for itself" not in briefing.customers_findings(unknown)


def test_the_chapter_begins_with_its_findings(
    acts: StructuresReport, qualified: QualificationReport, base: CustomersReport
) -> None:
    text = briefing.structure_chapter_findings(acts, qualified, base)
    lines = text.splitlines()
    assert lines[0].startswith("- **Made up are")
    assert lines[0].count("'") == 2 * 5 + 1  # five scenarios, and anybody's company
    assert "'flow', week by week, with 60 simulated years" in lines[1]
    assert "books most" in lines[2]
    assert "Nobody works 520 leads" in text
    assert "qualification brings" in text
    assert "churn costs" in text
