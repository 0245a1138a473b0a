"""Leads that a plan needs: by hand, on average, with luck, and on fresh seeds."""

from __future__ import annotations

import math
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from salessim.engine import HORIZON, simulate
from salessim.engine.rates import rates_of
from salessim.errors import PlanError
from salessim.library import example_scenario
from salessim.model import (
    Calendar,
    Capacity,
    DealSize,
    Market,
    Nurture,
    OpenDeal,
    Qualification,
    Rep,
    Role,
    Scenario,
    Segment,
    Source,
    Stage,
)
from salessim.studies import demand
from salessim.studies.demand import NEW_LEADS, lead_plan, leads_to_hold, mql_norm, stage_norms
from tests.worlds import changed, one_stage_world, reference_world, with_leads

AT_ONCE = (1.0,)


def marketing_world(
    *,
    dwell: float | tuple[float, ...] = AT_ONCE,
    sources: tuple[Source, ...] | None = None,
    pipeline: tuple[OpenDeal, ...] = (),
    quarters: int = 4,
    quarters_before: int = 0,
    size: DealSize | None = None,
    market: Market | None = None,
    skill_mean: float = 1.0,
) -> Scenario:
    """100 MQL → 50 SQL → 20 wins of 150,000 each; closed in the week of arrival unless told otherwise."""
    stages = (
        Stage(name="MQL", conversion=0.5, dwell_weeks=dwell, counts_as="MQL"),
        Stage(name="SQL", conversion=0.4, dwell_weeks=AT_ONCE, counts_as="SQL"),
    )
    segment = Segment(
        name="all",
        stages=stages,
        sources=sources
        or (Source(name="website", kind="inbound", leads_per_week=50 / 52, cost_per_lead=30.0),),
        deal_size=size or DealSize(mean=150_000.0, cv=0.0),
    )
    return Scenario(
        name="marketing",
        currency="EUR",
        calendar=Calendar(first_quarter="2026Q1", quarters=quarters, quarters_before=quarters_before),
        segments=(segment,),
        roles=(Role(name="AE"),),
        reps=tuple(Rep(name=f"rep {k}", role="AE", skill_mean=skill_mean) for k in range(2)),
        market=market or Market(),
        pipeline=pipeline,
    )


# --- the closed form


def test_the_decomposition_is_the_one_done_by_hand() -> None:
    plan = lead_plan(marketing_world(), target=1_500_000.0)
    row = plan.by_source.iloc[0]
    assert row["wins_needed"] == pytest.approx(10)  # 1.5 million ÷ 150,000
    assert row["win_chance"] == pytest.approx(0.2)
    assert row["leads_needed"] == pytest.approx(50)
    assert row["leads_closed_form"] == pytest.approx(50)
    assert row["leads_before_horizon"] == pytest.approx(0)
    assert row["too_late_closed_form"] == pytest.approx(0)
    assert row["cost_closed_form"] == pytest.approx(1_500)
    assert plan.leads["mql_closed_form"].sum() == pytest.approx(50)
    assert plan.leads["sql_closed_form"].sum() == pytest.approx(25)  # 50 % of the MQL
    assert plan.leads["opportunities_closed_form"].isna().all()  # no stage counts as one
    # months of five, four and four weeks
    assert plan.leads["leads_closed_form"][:3].tolist() == pytest.approx([50 * w / 52 for w in (5, 4, 4)])
    assert plan.leads["month"].tolist()[:4] == ["2026-01", "2026-02", "2026-03", "2026-04"]
    # on average the plan is made, which is every second time: ten or more of a Poisson number with mean ten
    assert plan.chance_closed_form == pytest.approx(stats.poisson.sf(9, 10), abs=1e-6)
    assert plan.closed_form_factor == pytest.approx(1.0)


def test_the_closed_form_is_right_on_average_whatever_the_cycle_season_and_skill() -> None:
    world = example_scenario()
    plan = lead_plan(world, target=[1_200_000.0, 1_500_000.0, 1_300_000.0, 1_600_000.0])
    assert plan.quarters["expected_closed_form"].sum() == pytest.approx(5_600_000)
    assert 0.4 < plan.chance_closed_form < 0.55
    skilled = lead_plan(marketing_world(dwell=8.0, skill_mean=1.25), target=1_500_000.0)
    assert skilled.quarters["expected_closed_form"].sum() == pytest.approx(1_500_000)


def test_twice_the_target_takes_twice_the_leads() -> None:
    one = lead_plan(marketing_world(dwell=8.0), target=1_500_000.0)
    two = lead_plan(marketing_world(dwell=8.0), target=3_000_000.0)
    for column in ("leads_closed_form", "mql_closed_form", "cost_closed_form"):
        assert two.leads[column].to_numpy() == pytest.approx(2 * one.leads[column].to_numpy())
    assert two.closed_form_factor == pytest.approx(2 * one.closed_form_factor)
    # luck evens out: the simulated answer needs less than twice as many
    assert one.factor < two.factor < 2 * one.factor


def test_the_target_follows_the_shares_of_the_quarters() -> None:
    plan = lead_plan(marketing_world(), target=1_500_000.0, quarter_shares=[0.1, 0.2, 0.3, 0.4])
    assert plan.targets == pytest.approx((150_000, 300_000, 450_000, 600_000))
    assert plan.quarters["leads_closed_form"].tolist() == pytest.approx([5, 10, 15, 20])
    # at so many leads every quarter brings its target
    assert plan.quarters["expected_closed_form"].tolist() == pytest.approx(plan.targets)


def test_leads_come_earlier_where_the_cycle_is_longer() -> None:
    def middle(plan_leads: pd.DataFrame) -> float:
        return float(np.average(np.arange(12), weights=plan_leads["leads_closed_form"]))

    target = [0.0, 0.0, 750_000.0, 750_000.0]
    plans = [
        lead_plan(marketing_world(dwell=weeks), target=target)
        for weeks in (AT_ONCE, (0.0,) * 8 + (1.0,), 16.0)
    ]
    now, eight_weeks, sixteen = (middle(plan.leads) for plan in plans)
    assert sixteen < eight_weeks < now
    # a cycle of exactly eight weeks: the leads for the third quarter begin eight weeks before it, in month 5
    assert plans[1].leads["leads_closed_form"].gt(0).tolist() == [False] * 4 + [True] * 8
    assert plans[1].by_source["leads_before_horizon"].iloc[0] == pytest.approx(0, abs=1e-9)


def test_leads_that_come_too_late_or_should_have_come_earlier_are_stated() -> None:
    plan = lead_plan(marketing_world(dwell=(0.0,) * 13 + (1.0,)), target=1_500_000.0)
    row = plan.by_source.iloc[0]
    # a cycle of one quarter: leads of the first would have had to come before, those of the last are too late
    assert row["leads_before_horizon"] == pytest.approx(50 / 4)
    assert row["too_late_now"] == pytest.approx(50 / 4)
    assert row["mean_weeks_to_win"] == pytest.approx(13)
    assert plan.quarters["expected_closed_form"].iloc[0] == pytest.approx(0)
    assert plan.quarters["expected_closed_form"].sum() == pytest.approx(1_500_000)


def test_open_deals_and_other_sources_are_taken_off() -> None:
    sources = (
        Source(name="website", kind="inbound", leads_per_week=1.0),
        Source(name="outbound", kind="self-sourced", leads_per_week=0.5),
    )
    deal = OpenDeal(rep="rep 0", segment="all", stage="SQL", weeks_in_stage=0, amount=400_000.0)
    pipeline = (deal.model_copy(update={"deals": 2}),)
    world = marketing_world(sources=sources)
    stages = (
        world.segments[0].stages[0],
        world.segments[0].stages[1].model_copy(update={"dwell_weeks": (0.0, 1.0)}),
    )
    segment = world.segments[0].model_copy(update={"stages": stages})
    world = changed(world, segments=(segment,), pipeline=pipeline)
    plan = lead_plan(world, target=4_000_000.0)
    assert plan.sources == ("website",)
    assert plan.quarters["under_way"].tolist() == pytest.approx([2 * 0.4 * 400_000, 0, 0, 0])
    others = plan.quarters["other_sources"].sum()
    assert others == pytest.approx(51 * 0.2 * 150_000)  # two reps; the leads of the last week close too late
    assert plan.by_source["wins_needed"].iloc[0] == pytest.approx((4_000_000 - 320_000 - others) / 150_000)
    fixed = plan.leads[plan.leads["source"] == "outbound"]
    assert not fixed["moves"].any()
    assert fixed["leads_simulated"].to_numpy() == pytest.approx(fixed["leads_now"].to_numpy())
    both = lead_plan(world, target=4_000_000.0, sources=["website", "outbound"])
    assert both.leads["moves"].all()
    assert both.factor < plan.factor


def test_leads_from_before_the_horizon_cannot_be_moved() -> None:
    world = marketing_world(dwell=6.0, quarters_before=3, market=Market(skill_cv=0.1))
    plan = lead_plan(world, target=3_000_000.0)
    table = plan.quarters
    expected_now = [float(simulate(world).expected_bookings(q).sum()) for q in table["quarter"]]
    assert table["expected_now"].tolist() == pytest.approx(expected_now)
    coming = table["expected_now"] - table["under_way"] - table["other_sources"]
    assert table["under_way"].iloc[0] > 0
    assert (table["under_way"] + plan.factor * coming).tolist() == pytest.approx(
        table["expected_simulated"].tolist()
    )
    # nor are they where trials are counted: the answer is the same
    counted = lead_plan(world, target=3_000_000.0, engine="thinning", trials=1_000, seed=5)
    assert abs(counted.factor - plan.factor) < 4 * (counted.factor_high - counted.factor_low) / 2.56


# --- the simulated answer


def test_the_solved_leads_have_the_chance_on_fresh_seeds() -> None:
    world = changed(reference_world(reps=12, newcomers=3), market=Market(shock_cv=0.15, skill_cv=0.25))
    target = 1.1 * float(simulate(world).expected_bookings(HORIZON).sum())
    plan = lead_plan(world, target=target, chance=0.8)
    assert plan.engine == "exact"
    assert plan.chance_reached == pytest.approx(0.8, abs=1e-4)
    assert plan.closed_form_factor == pytest.approx(1.1)
    assert plan.chance_closed_form < 0.6
    trials = 3_000
    fresh = simulate(with_leads(world, plan.factor), engine="thinning", trials=trials, seed=977)
    error = math.sqrt(0.8 * 0.2 / trials)
    assert float(fresh.team_chance_at_least(target, HORIZON)) == pytest.approx(0.8, abs=4 * error)


def test_by_hand_the_simulated_answer_is_the_poisson_mean_with_the_chance() -> None:
    plan = lead_plan(marketing_world(), target=1_500_000.0, chance=0.9)
    # ten deals or more with 90 %: the mean whose Poisson law gives that is half a chi-square quantile
    mean = stats.chi2.ppf(0.9, 20) / 2
    assert plan.leads["leads_simulated"].sum() == pytest.approx(mean / 0.2, rel=1e-3)


def test_counted_over_trials_the_answer_is_the_same_within_its_interval() -> None:
    world = marketing_world(
        dwell=4.0, size=DealSize(mean=15_000.0, cv=0.5), market=Market(shock_cv=0.1, skill_cv=0.2)
    )
    world = with_leads(world, 5.0)
    exact = lead_plan(world, target=900_000.0)
    counted = lead_plan(world, target=900_000.0, engine="thinning", trials=2_000, seed=3)
    assert counted.trials == 2_000
    assert counted.factor_low < counted.factor < counted.factor_high
    # an 80 % interval is 2.56 standard errors wide; four of them must hold the exact answer
    assert abs(counted.factor - exact.factor) < 4 * (counted.factor_high - counted.factor_low) / 2.56
    assert counted.chance_reached >= 0.8
    assert exact.factor_low == exact.factor == exact.factor_high


def test_a_plan_that_is_met_anyway_needs_fewer_leads_or_none() -> None:
    world = with_leads(marketing_world(), 10.0)
    plan = lead_plan(world, target=1_500_000.0)
    assert 0 < plan.factor < 0.2
    deal = OpenDeal(rep="rep 0", segment="all", stage="SQL", weeks_in_stage=0, amount=100_000.0, deals=100)
    stages = (
        Stage(name="MQL", conversion=0.5, dwell_weeks=AT_ONCE),
        Stage(name="SQL", conversion=0.4, dwell_weeks=(0.0, 1.0)),
    )
    full = changed(
        world, segments=(world.segments[0].model_copy(update={"stages": stages}),), pipeline=(deal,)
    )
    none = lead_plan(full, target=1_500_000.0)
    assert none.factor == none.closed_form_factor == 0
    assert none.leads["leads_closed_form"].sum() == none.leads["leads_simulated"].sum() == 0
    assert none.chance_reached > 0.99


def test_out_of_reach_is_said_not_hidden() -> None:
    plan = lead_plan(marketing_world(), target=60_000_000.0, most=4.0)
    assert not plan.reachable
    assert math.isnan(plan.factor)
    assert plan.largest_tried == 4.0
    assert 0 <= plan.chance_reached < 0.8
    assert not plan.capacity_binds  # four times the leads bring four times the bookings
    assert plan.leads["leads_simulated"].isna().all()
    assert plan.leads["leads_closed_form"].notna().all()
    assert plan.quarters["leads_simulated"].isna().all()


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({"target": 0.0}, "target is 0.0"),
        ({"target": math.nan}, "target is nan"),
        ({"target": [1.0, 2.0]}, "2 amounts; the scenario has 4 quarters"),
        ({"target": 1.0, "quarter_shares": [0.5, 0.4, 0.05, 0.0]}, "add up to 1"),
        ({"target": [1.0] * 4, "quarter_shares": [0.25] * 4}, "quarter_shares goes with one target"),
        ({"target": 1.0, "chance": 1.0}, "chance is 1.0"),
        ({"target": 1.0, "sources": ["web"]}, "sources names 'web'; it must be among the sources: 'website'"),
        ({"target": 1.0, "sources": []}, "sources is empty"),
        ({"target": 1.0, "most": 0.5}, "most is 0.5"),
    ],
)
def test_what_is_not_allowed_is_named(arguments: dict[str, object], named: str) -> None:
    with pytest.raises(PlanError, match=named):
        lead_plan(marketing_world(), **arguments)  # type: ignore[arg-type]


def test_no_leads_and_no_conversion_are_errors_that_say_so() -> None:
    with pytest.raises(PlanError, match="'website' bring no leads in the horizon"):
        lead_plan(with_leads(marketing_world(), 0.0), target=1.0)
    world = marketing_world()
    segment = world.segments[0].model_copy(update={"sources": ()})
    with pytest.raises(PlanError, match="has no source of leads"):
        lead_plan(changed(world, segments=(segment,)), target=1.0)
    with pytest.raises(PlanError, match="no lead of the chosen sources is won"):
        lead_plan(one_stage_world(conversion=0.0), target=1.0)
    with pytest.raises(PlanError, match="no lead of the chosen sources is won"):
        lead_plan(one_stage_world(dwell=(0.0,) * 13 + (1.0,)), target=1.0)


def test_a_source_that_never_wins_is_asked_for_nothing() -> None:
    sources = (
        Source(name="website", kind="inbound", leads_per_week=1.0),
        Source(name="give-away", kind="inbound", leads_per_week=5.0, conversions={"MQL": 0.0}),
    )
    plan = lead_plan(marketing_world(sources=sources), target=1_500_000.0)
    useless = plan.by_source.iloc[1]
    assert useless["wins_needed"] == useless["leads_closed_form"] == 0
    assert math.isnan(useless["leads_needed"])
    assert plan.quarters["expected_closed_form"].sum() == pytest.approx(1_500_000)
    assert np.isnan(plan.quarters["cost_now"]).all()  # not every cost is known


# --- what a rep must hold


def holding(world: Scenario, quota: float, chance: float = 0.8) -> pd.DataFrame:
    table = pd.DataFrame({"2026Q1": [quota]}, index=[world.team()[0].name])
    return leads_to_hold(world, quotas=table, chance=chance).set_index("stage")


def test_open_deals_to_hold_follow_the_binomial_law() -> None:
    world = one_stage_world(conversion=0.5, dwell=(0.0, 1.0))
    deal = OpenDeal(rep="rep 0", segment="all", stage="open", weeks_in_stage=3, deals=7)
    table = holding(changed(world, pipeline=(deal,)), 50_000.0)
    row = table.loc["open"]
    assert row["close_in_quarter"] == pytest.approx(0.5)
    assert row["coverage"] == pytest.approx(2)
    assert row["value_needed"] == pytest.approx(100_000)
    assert row["needed_on_average"] == pytest.approx(10)
    smallest = next(n for n in range(5, 50) if stats.binom.sf(4, n, 0.5) >= 0.8)
    assert row["needed_for_chance"] == smallest
    assert row["held_today"] == 7
    new = table.loc[NEW_LEADS]
    # of thirteen weeks' leads those of the last close too late
    assert new["close_in_quarter"] == pytest.approx(0.5 * 12 / 13)
    assert new["needed_on_average"] == pytest.approx(5 / (0.5 * 12))
    assert new["needed_for_chance"] == pytest.approx(stats.chi2.ppf(0.8, 10) / 2 / (0.5 * 12), rel=1e-3)


def test_doubt_about_skill_takes_more_leads_but_no_more_open_deals() -> None:
    sure = holding(one_stage_world(dwell=2.0), 50_000.0)
    unsure = holding(one_stage_world(dwell=2.0, skill_cv=0.5, shock_cv=0.3), 50_000.0)
    assert unsure.loc["open", "needed_for_chance"] == sure.loc["open", "needed_for_chance"]
    assert unsure.loc[NEW_LEADS, "needed_for_chance"] > 1.05 * sure.loc[NEW_LEADS, "needed_for_chance"]


def test_what_cannot_close_in_time_is_not_reachable() -> None:
    table = holding(one_stage_world(dwell=(0.0,) * 20 + (1.0,)), 50_000.0)
    assert not table["reachable"].any()
    assert table["needed_for_chance"].isna().all()
    assert (table["close_in_quarter"] == 0).all()
    rare = holding(one_stage_world(conversion=1e-6, dwell=2.0), 50_000.0).loc["open"]
    assert not rare["reachable"]
    assert rare["needed_on_average"] > 1e6


def test_quotas_must_name_reps_and_quarters_that_are_there() -> None:
    world = example_scenario()
    name = world.team()[0].name
    with pytest.raises(PlanError, match="period is '2020Q1'"):
        leads_to_hold(world, quotas=pd.DataFrame({"2026Q3": [1.0]}, index=[name]), period="2020Q1")
    with pytest.raises(PlanError, match="quotas names 'nobody'"):
        leads_to_hold(world, quotas=pd.DataFrame({"2026Q3": [1.0]}, index=["nobody"]))
    with pytest.raises(PlanError, match="must be 0 or more"):
        leads_to_hold(world, quotas=pd.DataFrame({"2026Q3": [-1.0]}, index=[name]))
    with pytest.raises(PlanError, match="nobody carries a quota"):
        leads_to_hold(world, quotas=pd.DataFrame({"2026Q3": [math.nan]}, index=[name]))


# --- norms of stages and of MQL


def test_norms_of_a_plain_funnel() -> None:
    norms = stage_norms(reference_world(reps=1, newcomers=0))
    assert norms["mean_days"].tolist() == pytest.approx([14, 21, 28, 21, 14])
    # geometric on 1, 2, …: the first week by which 90 % have left
    assert norms["p90_days"].tolist() == [
        7 * math.ceil(math.log(0.1) / math.log(1 - 1 / weeks)) for weeks in (2, 3, 4, 3, 2)
    ]
    assert norms["mean_days_to_win"].tolist() == pytest.approx([98, 84, 63, 35, 14])
    assert norms["share_moving_on"].tolist() == pytest.approx([0.30, 0.55, 0.60, 0.65, 0.75])
    # Little's law: 12 leads a week, 47.8 open deals in all
    assert norms["open_deals"].sum() == pytest.approx(47.8, abs=0.05)
    assert norms["entries_per_week"].iloc[:2].tolist() == pytest.approx([12, 3.6])


def test_norms_of_a_journey_that_goes_back() -> None:
    stages = (
        Stage(name="a", conversion=0.5, dwell_weeks=2.0),
        Stage(name="b", conversion=0.4, dwell_weeks=3.0, lost_dwell_weeks=1.0, back={"a": 0.2}),
    )
    world = one_stage_world(leads_per_week=10.0)
    segment = world.segments[0].model_copy(update={"stages": stages})
    norms = stage_norms(changed(world, segments=(segment,))).set_index("stage")
    # a lead visits a 1 / (1 − 0.5 · 0.2) times; from b it is won at once with 0.4, or by way of a
    visits = 1 / 0.9
    assert norms.loc["a", "entries_per_week"] == pytest.approx(10 * visits)
    assert norms.loc["b", "chance_to_win"] == pytest.approx(0.4 / 0.9)
    assert norms.loc["a", "chance_to_win"] == pytest.approx(0.2 / 0.9)
    # of those won, one in ten goes back each time: once round takes 2 + 3 weeks
    assert norms.loc["a", "mean_days_to_win"] == pytest.approx(7 * 5 / 0.9)
    assert norms.loc["b", "open_deals"] == pytest.approx(10 * 0.5 * visits * (0.6 * 3 + 0.4 * 1))


def test_norms_where_leads_are_qualified_and_nurtured() -> None:
    stages = (
        Stage(
            name="check",
            qualification=Qualification(sensitivity=0.9, specificity=0.8),
            dwell_weeks=(0.0, 1.0),
        ),
        Stage(name="sell", conversion=0.5, dwell_weeks=(0.0, 0.0, 1.0), counts_as="SQL"),
    )
    world = one_stage_world(leads_per_week=10.0)
    segment = Segment(
        name="all",
        stages=stages,
        sources=world.segments[0].sources,
        deal_size=world.segments[0].deal_size,
        ready_share=0.3,
        unready_conversion=0.0,
        nurture=Nurture(mean_weeks=4.0, return_share=0.5, returns_to="sell"),
    )
    world = changed(world, segments=(segment,))
    norms = stage_norms(world).set_index("stage")
    ready, nurtured = 0.3 * 0.9, 0.3 * 0.1 + 0.7 * 0.8
    selling = ready + 0.7 * 0.2 + 0.5 * nurtured
    assert norms.loc["sell", "entries_per_week"] == pytest.approx(10 * selling)
    won = 0.5 * (ready + 0.5 * nurtured)
    assert norms.loc["check", "chance_to_win"] == pytest.approx(won)
    direct, later = 0.5 * ready, 0.25 * nurtured
    assert norms.loc["check", "mean_days_to_win"] == pytest.approx(7 * (3 * direct + 7 * later) / won)
    shares = mql_norm(world).conversions
    assert shares["sql_to_won"].iloc[0] == pytest.approx(won / selling)
    assert shares["mql_to_sql"].isna().all()  # no stage counts as MQL


def test_what_a_good_mql_has() -> None:
    world = marketing_world()
    plan = lead_plan(world, target=1_500_000.0)
    norm = mql_norm(world, plan=plan)
    row = norm.conversions.iloc[0]
    assert (row["mql_to_sql"], row["mql_to_won"], row["sql_to_won"]) == pytest.approx((0.5, 0.2, 0.4))
    assert row["mql_per_win"] == pytest.approx(5)
    assert row["mql_per_week"] == pytest.approx(50 / 52)
    assert norm.conversions["mql_to_won"].tolist()[-1] == pytest.approx(0.2)  # all
    assert norm.needed["mql_closed_form"].tolist() == pytest.approx([12.5] * 4)
    # as many MQL as today with this conversion have the chance as well
    wanted = float(row["mql_to_won_simulated"])
    stages = (
        Stage(name="MQL", conversion=0.5, dwell_weeks=AT_ONCE),
        Stage(name="SQL", conversion=wanted / 0.5, dwell_weeks=AT_ONCE),
    )
    better = changed(world, segments=(world.segments[0].model_copy(update={"stages": stages}),))
    chance = float(simulate(better).team_chance_at_least(1_500_000.0, HORIZON))
    assert chance == pytest.approx(0.8, abs=1e-4)
    with pytest.raises(PlanError, match="belongs to"):
        mql_norm(with_leads(world, 2.0), plan=plan)


# --- where capacity is limited


def limited(monkeypatch: pytest.MonkeyPatch, *, most_bookings: float, free_up_to: float = 0.0) -> None:
    """Stand in for an engine with capacity: bookings follow the leads up to a limit, spread by a tenth."""

    def simulated(world: Scenario, **_: object) -> object:
        wins = float(rates_of(world).wins.sum())
        if wins <= free_up_to:
            return simulate(world)
        mean = min(wins * 150_000, most_bookings)
        return SimpleNamespace(
            engine="flow",
            trials=1_000,
            seed=1,
            expected_bookings=lambda period: np.array([mean]),
            team_chance_at_least=lambda amount, period: stats.norm.sf(amount, mean, 0.1 * mean + 1),
        )

    monkeypatch.setattr(demand, "simulate", simulated)


def roomy_world(quarters_before: int) -> Scenario:
    """Two sources, and a role that has a capacity."""
    sources = (
        Source(name="website", kind="inbound", leads_per_week=1.0),
        Source(name="outbound", kind="self-sourced", leads_per_week=0.25),
    )
    world = marketing_world(sources=sources, dwell=6.0, quarters_before=quarters_before)
    return changed(world, roles=(Role(name="AE", capacity=Capacity(open_deals=20)),))


def test_where_more_leads_no_longer_help_capacity_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    limited(monkeypatch, most_bookings=4_000_000.0)
    plan = lead_plan(roomy_world(0), target=4_500_000.0)
    assert not plan.reachable
    assert plan.capacity_binds
    assert plan.engine == "flow"
    assert plan.chance_reached == pytest.approx(stats.norm.sf(4.5, 4.0, 0.4), abs=1e-4)
    assert plan.by_source["leads_simulated"].isna().tolist() == [True, False]


@pytest.mark.parametrize("free_up_to", [0.0, 25.0])
def test_only_leads_of_the_horizon_move_where_trials_are_counted(
    monkeypatch: pytest.MonkeyPatch, free_up_to: float
) -> None:
    limited(monkeypatch, most_bookings=9_000_000.0, free_up_to=free_up_to)
    world, target = roomy_world(2), 4_500_000.0
    plan = lead_plan(world, target=target)
    assert plan.engine == "flow"
    assert plan.trials == 1_000
    # the mean that has 80 % of a normal law, whose spread is a tenth of it, above the target
    mean = (target + stats.norm.ppf(0.8)) / (1 - 0.1 * stats.norm.ppf(0.8))
    table = plan.quarters
    fixed = table["under_way"].sum() + table["other_sources"].sum()
    website = float(rates_of(world).wins.sum()) * 150_000 - fixed
    assert plan.factor == pytest.approx((mean - fixed) / website, rel=0.006)
    assert plan.factor_low < plan.factor < plan.factor_high
    assert plan.chance_closed_form == pytest.approx(0.5, abs=0.001)


def test_leads_are_found_week_by_week_where_a_limit_binds() -> None:
    """The real engine: the factor found has the chance on other luck, and a full team cannot be helped."""
    free = reference_world(reps=4, newcomers=0)
    limit = Capacity(open_deals=45)
    world = changed(free, roles=(free.roles[0].model_copy(update={"capacity": limit}),))
    plan = lead_plan(world, target=1_300_000.0, trials=1_000)
    assert plan.engine == "flow"
    assert plan.factor_low < plan.factor < plan.factor_high
    again = simulate(with_leads(world, plan.factor), trials=2_000, seed=7)
    assert float(again.team_chance_at_least(1_300_000.0, HORIZON)) == pytest.approx(0.8, abs=0.06)
    beyond = lead_plan(world, target=3_500_000.0, trials=300)
    assert beyond.capacity_binds
    assert not beyond.reachable
