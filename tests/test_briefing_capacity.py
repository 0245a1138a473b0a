"""The capacity chapter: leads, limits, hires, open deals and levers agree with the studies behind them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from salessim import briefing
from salessim.briefing import Briefing, SalesYear
from salessim.briefing.leads import held_by_rep
from salessim.engine import HORIZON, chance_of_limit, simulate
from salessim.errors import ParameterError
from salessim.library import EXAMPLE
from salessim.model import Capacity, Role
from salessim.plans import quotas
from tests.test_briefing import cells
from tests.worlds import changed, one_stage_world


@pytest.fixture(scope="module")
def example() -> Briefing:
    return briefing.prepare(crm_folder="example", quarter="2026Q2")


@pytest.fixture(scope="module")
def year(example: Briefing) -> SalesYear:
    return briefing.sales_year(example, trials=100)


def small(**fields: object) -> SalesYear:
    """A year of one-stage deals without plan or target."""
    scenario = changed(one_stage_world(dwell=2.0, leads_per_week=3.0), **fields)
    return SalesYear(scenario, None, None, "", 0.8, 50, 1)


def number(text: str) -> float:
    return float(text.replace(",", ""))


# --- the year ----------------------------------------------------------------------------------------------


def test_the_target_is_the_team_plan_by_quarter(year: SalesYear, example: Briefing) -> None:
    assert year.targets == pytest.approx((1.15e6, 1.25e6, 1.35e6, 1.25e6))
    assert year.target_is == "the company's plan"
    assert (year.arrivals, year.closing_role) == ("new opportunities", "account executive")
    own = briefing.sales_year(example, target=8e6)
    assert own.targets == pytest.approx((1.84e6, 2e6, 2.16e6, 2e6))  # split as the plan splits the year
    assert own.target_is == "the given target"


def test_a_stand_in_target_is_called_so(example: Briefing) -> None:
    found = briefing.sales_year(replace(example, plan_given=False))
    assert found.target_is == "four times what 2026Q2 booked; no plan was given"


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"target": -1.0}, "target is -1.0"),
        ({"target": float("inf")}, "target is inf"),
        ({"chance": 1.0}, "chance is 1.0; it must lie between 0 and 1"),
        ({"trials": 1}, "trials is 1"),
    ],
)
def test_slips_of_the_pen_are_named(example: Briefing, wrong: dict[str, float], message: str) -> None:
    with pytest.raises(ParameterError, match=message.replace(".", r"\.")):
        briefing.sales_year(example, **wrong)  # type: ignore[arg-type]


def test_a_scenario_alone_shares_the_target_out_as_quotas(tmp_path: Path) -> None:
    found = briefing.sales_year_of(str(EXAMPLE / "scenario.yaml"), target=6e6)
    assert found.targets == pytest.approx((1.5e6,) * 4)
    assert found.plan is not None
    assert found.plan.annual_quota == {"account executive": 500_000.0}  # twelve of them
    planned = briefing.sales_year_of("example", plan=str(EXAMPLE / "plan.yaml"))
    assert sum(planned.targets or ()) == pytest.approx(5e6)
    assert briefing.sales_year_of("example").targets is None


def test_without_a_target_the_chapter_says_what_is_missing() -> None:
    year = small()
    for text in (
        briefing.lead_findings(year),
        briefing.leads_table(year),
        briefing.mql_findings(year),
        briefing.mql_table(year),
        briefing.hire_findings(year),
        briefing.hire_table(year),
        briefing.delay_table(year),
    ):
        assert "cannot be said**: there is no target" in text
        assert "--target" in text
    for text in (briefing.hold_findings(year), briefing.hold_table(year), briefing.hold_by_rep(year)):
        assert "cannot be said**: no quota plan was given" in text
    assert briefing.leads_by_month(year).empty
    assert briefing.needed_by_quarter(year).empty
    # what needs no target is answered all the same
    assert "moves the plan most" in briefing.lever_findings(year).replace("move the", "moves the")
    assert "chance of the plan" not in briefing.lever_findings(year)
    assert cells(briefing.stage_norms_table(year))


# --- leads -------------------------------------------------------------------------------------------------


def test_leads_are_those_of_the_lead_plan(year: SalesYear) -> None:
    plan = year.lead_plan
    moving = plan.by_source[plan.by_source["moves"]]
    wanted, now = moving["leads_simulated"].sum(), moving["leads_now"].sum()
    text = briefing.lead_findings(year)
    assert f"must bring {wanted:.0f} new opportunities, 8 % more than today**; today's {now:.0f}" in text
    assert "leaves a chance of 48 %" in text
    by_month = briefing.leads_by_month(year)
    assert len(by_month) == 12
    assert by_month["simulated"].sum() == pytest.approx(wanted)
    rows = cells(briefing.leads_table(year))
    assert len(rows) == 13
    assert number(rows[-1][3]) == pytest.approx(wanted, abs=0.5)
    assert sum(number(cell) for cell in rows[-1][4:]) == pytest.approx(wanted, abs=2.5)


def test_fewer_leads_would_do_where_the_plan_is_easy(example: Briefing) -> None:
    text = briefing.lead_findings(briefing.sales_year(example, target=4.5e6))
    assert text.startswith("- **Today's 429 new opportunities")
    assert "fewer (solved without sampling error)" in text


def test_a_plan_out_of_reach_of_leads_is_called_so(example: Briefing) -> None:
    far = briefing.sales_year(example, target=90e6)
    assert "No number of new opportunities up to 5 times today's" in briefing.lead_findings(far)
    assert briefing.leads_by_month(far)["simulated"].isna().all()
    head = briefing.leads_table(far).splitlines()[0]
    assert "for 80 %" not in head
    assert "of these" in head
    assert sum(far.needed.values()) == pytest.approx(90e6)


def test_mql_come_from_the_conversion_of_the_crm(year: SalesYear, example: Briefing) -> None:
    became, there = year.mql_becoming
    leads = example.tables.leads
    assert 0 < became < there < leads["mql"].notna().sum()  # the youngest are left out
    rows = cells(briefing.mql_table(year))
    plan = year.lead_plan.leads
    opportunities = plan.loc[plan["moves"], "opportunities_simulated"].sum()
    assert number(rows[-1][3]) == pytest.approx(opportunities * there / became, abs=0.5)
    assert f"n = {there:,} MQL" in briefing.mql_findings(year)
    bare = replace(year, mql_becoming=(0, 0))
    assert "MQL cannot be counted" in briefing.mql_findings(bare)
    assert briefing.mql_table(bare) == ""


def test_mql_of_a_scenario_that_counts_them() -> None:
    year = briefing.sales_year_of("example", target=5.5e6, trials=50)
    text = briefing.mql_findings(year)
    assert "**Of 100 MQL" in text
    assert "become SQL" in text
    total = year.lead_plan.quarters["mql_simulated"].sum()
    assert f"**The plan needs {total:,.0f} MQL in 2026Q3 to 2027Q2**" in text
    assert number(cells(briefing.mql_table(year))[-1][3]) == pytest.approx(total, abs=0.5)


# --- limits ------------------------------------------------------------------------------------------------


def test_a_scenario_without_limit_is_asked_what_its_average_would_mean(year: SalesYear) -> None:
    text = briefing.limit_findings(year)
    assert "states no limit on open deals or hours per rep" in text
    assert briefing.limit_asked(year) == 5  # 4.6 are held on average
    assert "What if: a limit of 5 open deals, as held on average, costs EUR" in text
    bound = int(text.split("begin to bind at ")[1].split()[0])
    for limit, binds in ((bound, True), (bound + 1, False)):
        role = year.scenario.roles[0].model_copy(update={"capacity": Capacity(open_deals=limit)})
        chances = chance_of_limit(changed(year.scenario, roles=(role,)))
        assert (np.nanmax(chances) >= 0.01) == binds


def test_a_tighter_limit_books_less_on_the_same_luck(year: SalesYear) -> None:
    frame = briefing.bookings_by_limit(year, most_open_deals=4)
    assert 4 in frame["limit"].tolist()
    assert frame["limit"].isna().tolist() == [False] * (len(frame) - 1) + [True]
    assert frame["expected"].is_monotonic_increasing
    assert frame["leads_lost"].is_monotonic_decreasing
    assert frame["leads_lost"].iloc[-1] == 0
    text = briefing.limit_findings(year, most_open_deals=4)
    row = frame[frame["limit"] == 4].iloc[0]
    cost = frame["expected"].iloc[-1] - row["expected"]
    assert f"**A limit of 4 open deals per rep costs {year.money(cost)} of expected bookings" in text
    assert "wait for a rep at any time" in text


def test_a_loose_limit_does_not_bind(year: SalesYear) -> None:
    text = briefing.limit_findings(year, most_open_deals=60)
    assert text.startswith("- **A limit of 60 open deals per rep does not bind**")
    with pytest.raises(ParameterError, match="most_open_deals is -1"):
        briefing.limit_findings(year, most_open_deals=-1)


def test_the_own_limit_of_a_scenario_is_kept() -> None:
    role = Role(name="AE", capacity=Capacity(open_deals=3, surplus="lost"))
    year = small(roles=(role,))
    assert briefing.limit_asked(year) == 0
    assert briefing.limit_findings(year).startswith("- **The scenario's limit costs")
    used = briefing.capacity_used(year)
    assert used["used"].is_monotonic_decreasing
    assert ((used["used"] > 0) & (used["used"] <= 1)).all()
    assert (used["p10"] <= used["p90"]).all()
    assert len(cells(briefing.limit_table(year))) == len(used) == len(year.scenario.team())


# --- hires -------------------------------------------------------------------------------------------------


def test_quarters_need_what_gives_the_plan_its_chance(year: SalesYear) -> None:
    frame = briefing.needed_by_quarter(year)
    assert frame["needed"].sum() == pytest.approx(year.lead_plan.quarters["expected_simulated"].sum())
    assert (frame["with_hires"] >= frame["without_hires"] - 1).all()
    text = briefing.hire_findings(year)
    total = int(year.hires.starts["hires"].sum())
    assert text.startswith(f"- **Hiring alone cannot reach a chance of 80 %: {total} starts bring EUR")
    assert len(cells(briefing.hire_table(year))) == len(year.hires.starts)
    assert "A month of delay costs EUR" in text
    assert "less than luck moves" in text  # P10 to P90 spans 0
    missing = frame["missing"].sum()
    assert missing > 0
    assert f"; {year.money(missing)} stay missing" in text.splitlines()[0]
    assert "with which the plan has a chance of about 80 %" in text
    delays = cells(briefing.delay_table(year))
    assert [row[0] for row in delays] == ["1", "2", "3"]


def test_nobody_is_hired_for_a_plan_that_is_met(example: Briefing) -> None:
    easy = briefing.sales_year(example, target=3e6, trials=50)
    text = briefing.hire_findings(easy)
    assert text.startswith("- **Nobody has to be hired**")
    assert "What if 2 more people started on" in text  # what a delay would cost all the same
    assert briefing.hire_table(easy) == "No hires."


# --- what reps hold ----------------------------------------------------------------------------------------


def test_what_is_held_and_what_comes_add_up_to_what_is_expected(year: SalesYear, example: Briefing) -> None:
    frame = held_by_rep(year)
    asked = quotas(example.plan, example.scenario)["2026Q3"].dropna()
    assert frame["rep"].tolist() == asked.index.tolist()
    expected = pd.Series(example.outcome.expected_bookings("2026Q3"), index=example.outcome.reps)
    both = (frame["covered"] + frame["from_new"]) * frame["quota"]
    np.testing.assert_allclose(both, expected[frame["rep"]], rtol=1e-9)
    held = sum(deal.deals for deal in example.scenario.pipeline if deal.rep in set(frame["rep"]))
    assert frame["open_deals"].sum() == held
    short = (both < frame["quota"]).sum()
    assert f"**{short} of 10 reps are not expected to make quota**" in briefing.hold_findings(year)
    chances = [row[-1] for row in cells(briefing.hold_by_rep(year))]
    assert [int(text.removesuffix(" %")) for text in chances] == sorted(
        int(text.removesuffix(" %")) for text in chances
    )


def test_the_norm_of_a_rep_asks_more_for_a_chance_than_on_average(year: SalesYear) -> None:
    rows = cells(briefing.hold_table(year))
    assert len(rows) == 6  # two segments with two stages and new ones
    assert all(number(row[6]) > number(row[5]) for row in rows)
    assert "(the median of 2026Q3)" in briefing.hold_table(year)


def test_sources_that_travel_alike_share_a_row() -> None:
    world = one_stage_world(dwell=2.0)
    segment = world.segments[0]
    twice = tuple(
        segment.sources[0].model_copy(update={"name": name, "cycle_factor": factor})
        for name, factor in (("web", 1.0), ("fair", 1.0), ("partner", 2.0))
    )
    alike = changed(world, segments=(segment.model_copy(update={"sources": twice[:2]}),))
    apart = changed(world, segments=(segment.model_copy(update={"sources": twice}),))
    one, three = (
        cells(briefing.stage_norms_table(replace(small(), scenario=scenario))) for scenario in (alike, apart)
    )
    assert len(one) == len(segment.stages)
    assert len(three) == 3 * len(segment.stages)
    assert len(three[0]) == len(one[0]) + 1  # the source is named


# --- levers ------------------------------------------------------------------------------------------------


def test_levers_are_ranked_and_say_what_moves_nothing(year: SalesYear) -> None:
    frame = briefing.lever_ranking(year)
    assert frame["swing"].is_monotonic_decreasing
    assert frame["name"].iloc[0] == "win rate (lead to win)"
    assert "attrition" not in frame["name"].tolist()
    base = simulate(year.scenario)
    assert frame["bookings_base"].iloc[0] == pytest.approx(base.expected_bookings(HORIZON).sum())
    text = briefing.lever_findings(year)
    assert "Left out, since it changes nothing here: attrition (the scenario states no attrition)." in text
    assert len(cells(briefing.lever_table(year))) == len(frame)


def test_the_spread_is_split_only_when_asked_for(year: SalesYear) -> None:
    assert briefing.lever_shares(year, samples=0).empty
    assert briefing.lever_shares_table(year, samples=0).startswith("Left out")
    rows = cells(briefing.lever_shares_table(year, samples=16))
    assert {row[0] for row in rows} >= {"win rate (lead to win)", "leads", "deal size"}


def test_the_chapter_opens_with_one_answer_per_question(year: SalesYear) -> None:
    lines = briefing.capacity_findings(year).splitlines()
    assert len(lines) == 5
    assert all(line.startswith("- **") for line in lines)
