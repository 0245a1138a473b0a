"""The parts of a calibration one by one: demand, ramp, sources, sizes, skills, draws, posterior check."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta

import numpy as np
import pandas as pd
import pytest

from benchmarks.calibration import steady_company, tables_of
from salessim.calibrate import Calibration, calibrate, forecast_with_doubt, posterior_check
from salessim.calibrate.censored import Passage, ending_of
from salessim.calibrate.check import _foreseen, _placed
from salessim.calibrate.demand import STEADY
from salessim.calibrate.estimates import Notes, weighted_fit
from salessim.calibrate.sizes import deal_size_of
from salessim.calibrate.team import skill_of
from salessim.crm import Tables, as_seen_on
from salessim.engine import simulate, weekly_leads
from salessim.errors import DataError, ParameterError
from salessim.model import Calendar, Market, Ramp, Rep, Role, Scenario, Seasonality, Source


def company(**changes: object) -> Scenario:
    """Six reps who each find three deals a week in one segment, two years, no shocks, all alike."""
    world = steady_company(4)
    segment = world.segments[0].model_copy(
        update={"sources": (Source(name="web", kind="self-sourced", leads_per_week=3.0),)}
    )
    reps = tuple(Rep(name=f"rep {k}", role="AE", skill_cv=0.0) for k in range(6))
    usual: dict[str, object] = {
        "segments": (segment,),
        "reps": reps,
        "calendar": Calendar(first_quarter="2024Q1", quarters=8),
        "market": Market(shock_cv=0.0, skill_cv=0.0),
        "roles": (Role(name="AE", ramp=Ramp(linear_weeks=30.0)),),
    }
    return world.model_copy(update=usual | changes)


def seasonal(**pattern: object) -> Scenario:
    world = company(calendar=Calendar(first_quarter="2022Q1", quarters=16), market=Market(shock_cv=0.05))
    seasonality = Seasonality.model_validate(pattern)
    return world.model_copy(
        update={"segments": (world.segments[0].model_copy(update={"seasonality": seasonality}),)}
    )


@pytest.fixture(scope="module")
def plain() -> tuple[Tables, Calibration]:
    tables = tables_of(company(market=Market(shock_cv=0.1, skill_cv=0.0)), seed=5)
    return tables, calibrate(tables)


def test_a_rep_who_left_before_he_came_is_refused(plain: tuple[Tables, Calibration]) -> None:
    reps = plain[0].reps.assign(start=pd.Timestamp("2025-06-01"), end=pd.Timestamp("2024-06-01"))
    with pytest.raises(DataError, match="rep 'rep 0': end 2024-06-01 is before start 2025-06-01"):
        calibrate(replace(plain[0], reps=reps))


def test_a_team_that_is_gone_is_said_to_be_gone(plain: tuple[Tables, Calibration]) -> None:
    reps = plain[0].reps.assign(end=pd.Timestamp("2024-12-31"))
    with pytest.raises(DataError, match="no rep is left who creates deals today"):
        calibrate(replace(plain[0], reps=reps))


# --- demand ------------------------------------------------------------------------------------------------


def test_a_season_and_growth_that_are_more_than_luck_are_used() -> None:
    world = seasonal(by_quarter=[0.7, 1.0, 1.0, 1.3], growth_per_year=0.2)
    found = calibrate(tables_of(world, seed=1))
    used = found.scenario.segments[0].seasonality
    assert used.by_quarter == pytest.approx((0.7, 1.0, 1.0, 1.3), abs=0.1)
    assert used.growth_per_year == pytest.approx(0.2, abs=0.05)
    # what is simulated next goes on where the history ended
    next_year = weekly_leads(found.scenario).sum()
    later = world.model_copy(update={"calendar": Calendar(first_quarter="2022Q1", quarters=20)})
    assert next_year == pytest.approx(weekly_leads(later)[:, :, -52:].sum(), rel=0.08)
    # what season and growth explain is no shock
    assert found.parameter("market shock between quarters").value < 0.1
    assert "beyond season and growth" in found.parameter("market shock between quarters").note


def test_no_season_is_seen_in_luck() -> None:
    used = [calibrate(tables_of(seasonal(), seed=s)).scenario.segments[0].seasonality for s in range(12)]
    seen = [u.by_quarter != STEADY.season or u.growth_per_year != 0 for u in used]
    assert sum(seen) <= 3  # two tests at 5 %


def test_less_than_two_years_tell_neither_season_nor_growth() -> None:
    found = calibrate(tables_of(company(calendar=Calendar(first_quarter="2024Q1", quarters=7)), seed=1))
    assert np.isnan(found.parameter("growth of demand").low)
    assert found.parameter("growth of demand").note == "7 full quarters of history, 8 are needed"
    assert any("season and growth of demand are unknown" in warning for warning in found.warnings)
    assert "unknown" in found.parameter("persistence of the market shock").note


def test_a_segment_that_grows_alone_has_a_pattern_of_its_own() -> None:
    world = seasonal()
    steady, growing = (
        world.segments[0].model_copy(update={"name": name, "seasonality": Seasonality(growth_per_year=g)})
        for name, g in (("steady", 0.0), ("growing", 0.5))
    )
    found = calibrate(tables_of(world.model_copy(update={"segments": (steady, growing)}), seed=2))
    growth = {s.name: s.seasonality.growth_per_year for s in found.scenario.segments}
    assert growth["growing"] == pytest.approx(0.5, abs=0.15)
    assert growth["steady"] == pytest.approx(0.0, abs=0.12)


def test_shocks_that_last_are_told_from_fresh_ones_by_a_long_history() -> None:
    calendar = Calendar(first_quarter="2018Q1", quarters=20)
    values = {}
    for persistence in (0.0, 0.9):
        market = Market(shock_cv=0.3, shock_persistence=persistence)
        values[persistence] = [
            calibrate(tables_of(company(calendar=calendar, market=market), seed=s)).scenario.market
            for s in range(4)
        ]
    assert np.mean([m.shock_persistence > 0 for m in values[0.9]]) >= 0.5
    assert np.mean([m.shock_persistence for m in values[0.0]]) < 0.3


def test_part_of_a_quarter_is_named(plain: tuple[Tables, Calibration]) -> None:
    tables, whole = plain
    seen = calibrate(as_seen_on(tables, date(2025, 11, 15)))
    assert any("only a part of 2025Q4 (2025-10-01 to 2025-11-15)" in w for w in seen.warnings)
    assert not any("only a part" in w for w in whole.warnings)
    assert seen.evidence.demand["whole"].tolist() == [True] * 7 + [False]


# --- ramp --------------------------------------------------------------------------------------------------


def with_newcomers(**changes: object) -> Scenario:
    world = company(**changes)
    new = tuple(
        Rep(name=f"new {k}", role="AE", start=date(2024, 3, 4) + timedelta(weeks=9 * k), skill_cv=0.0)
        for k in range(4)
    )
    return world.model_copy(update={"reps": world.reps + new})


def test_newcomers_with_start_dates_tell_the_ramp() -> None:
    found = calibrate(tables_of(with_newcomers(), seed=3))
    weeks = found.parameter("weeks to full productivity")
    assert weeks.low <= 30 <= weeks.high
    assert 18 < weeks.value < 45
    assert found.scenario.roles[0].ramp == Ramp(linear_weeks=weeks.value)
    ramp = found.evidence.ramp
    assert found.evidence.ramp_measured
    assert ramp["share"].iloc[0] < 0.4 < 0.7 < ramp["share"].iloc[8:14].mean() < 1.3
    assert (ramp["low"] <= ramp["share"]).all()
    assert (ramp["share"] <= ramp["high"]).all()


def test_a_written_ramp_is_used_and_contradicted() -> None:
    base = company(roles=(Role(name="AE", ramp=Ramp(linear_weeks=4.0)),))
    found = calibrate(tables_of(with_newcomers(), seed=3), base=base)
    assert found.scenario.roles[0].ramp == Ramp(linear_weeks=4.0)
    assert any("the scenario writes 3 weeks for role 'AE'" in warning for warning in found.warnings)
    right = calibrate(tables_of(with_newcomers(), seed=3), base=company())
    assert not any("the scenario writes" in warning for warning in right.warnings)


def test_without_start_dates_the_ramp_is_an_assumption(plain: tuple[Tables, Calibration]) -> None:
    found = plain[1]
    assert any("no start dates, everybody counts as ramped" in warning for warning in found.warnings)
    assert np.isnan(found.parameter("weeks to full productivity").low)
    assert found.evidence.ramp.empty


# --- sources -----------------------------------------------------------------------------------------------


def two_sources(*, good: float, bad: float, seed: int) -> Tables:
    """Two segments with conversions of their own, put together as two sources of one."""
    world = company()
    parts = tuple(
        world.segments[0].model_copy(
            update={
                "name": name,
                "stages": (world.segments[0].stages[0].model_copy(update={"conversion": share}),),
                "sources": (Source(name=name, kind="self-sourced", leads_per_week=0.5),),
            }
        )
        for name, share in (("website", good), ("outbound calls", bad))
    )
    tables = tables_of(world.model_copy(update={"segments": parts}), seed=seed)
    return replace(tables, opportunities=tables.opportunities.assign(segment="all"))


def test_sources_that_differ_keep_their_own_conversions() -> None:
    found = calibrate(two_sources(good=0.6, bad=0.3, seed=1))
    segment = found.scenario.segments[0]
    own = {source.name: segment.close_probabilities(source)[0] for source in segment.sources}
    assert own["website"] == pytest.approx(0.6, abs=0.06)
    assert own["outbound calls"] == pytest.approx(0.3, abs=0.06)
    weights = np.array([source.leads_per_week for source in segment.sources])
    mixed = float(weights @ [own[source.name] for source in segment.sources] / weights.sum())
    assert mixed == pytest.approx(segment.close_probabilities()[0], rel=0.01)
    table = found.table().set_index("parameter")
    row = table.loc["win rate of source 'website' ÷ segment"]
    assert row["low"] < 0.6 / 0.45 < row["high"]
    assert row["note"].endswith("is used")


def test_sources_that_are_alike_are_not_told_apart() -> None:
    used = [
        source.conversions or source.cycle_factor != 1
        for seed in range(8)
        for source in calibrate(two_sources(good=0.45, bad=0.45, seed=seed)).scenario.segments[0].sources
    ]
    assert sum(map(bool, used)) <= 6  # of 16; tests at 5 %, two sources each


def test_intervals_of_sources_hold_the_truth() -> None:
    """Win rate, cycle and deal size relative to the segment, where both sources are alike: the truth is 1."""
    inside = [
        row["low"] <= 1 <= row["high"]
        for seed in range(40)
        for row in calibrate(two_sources(good=0.45, bad=0.45, seed=seed))
        .evidence.sources.query("source == 'website'")
        .to_dict("records")
    ]
    assert len(inside) == 120
    assert np.mean(inside) == pytest.approx(0.8, abs=3 * np.sqrt(0.16 / 120))


def leads_of(tables: Tables, *, owned: float) -> Tables:
    """The tables with a lead for every deal from the website, a share of them with a seller."""
    deals = tables.opportunities[tables.opportunities["source"] == "website"]
    leads = pd.DataFrame({"lead_id": "L" + deals["opportunity_id"], "source": "website"})
    leads["rep"] = deals["rep"].where(np.arange(len(deals)) < owned * len(deals))
    return replace(tables, leads=leads.reindex(columns=tables.leads.columns))


def test_who_brings_the_leads_is_told_by_scenario_name_or_leads() -> None:
    tables = two_sources(good=0.4, bad=0.4, seed=1)

    def kinds(found: Calibration) -> dict[str, str]:
        return {source.name: source.kind for source in found.scenario.segments[0].sources}

    told = calibrate(leads_of(tables, owned=0.5))
    assert kinds(told) == {"outbound calls": "self-sourced", "website": "inbound"}
    assert not any("who brings the leads" in warning for warning in told.warnings)
    unclear = calibrate(leads_of(tables, owned=1.0))
    assert kinds(unclear)["website"] == "self-sourced"
    assert any("does not tell who brings the leads of 'website'" in warning for warning in unclear.warnings)
    # as many come in, whoever brings them
    expected = [weekly_leads(found.scenario).sum() for found in (told, unclear)]
    assert expected[0] == pytest.approx(expected[1], rel=0.02)


# --- sizes, skills, stages ---------------------------------------------------------------------------------


def test_a_lognormal_law_is_kept_or_refused_by_the_stated_test() -> None:
    random = np.random.default_rng(1)
    notes = Notes()
    lognormal = deal_size_of("a", np.exp(random.normal(9, 0.7, 150)), notes)
    mixture = deal_size_of("b", np.repeat([500.0, 5_000.0, 30_000.0], 50), notes)
    assert lognormal.size.mean is not None
    assert "Lilliefors' test; refused below" in lognormal.verdict
    assert mixture.size.amounts == (500.0, 5_000.0, 30_000.0)
    cv = next(p for p in notes.parameters if p.name == "cv of deal size" and p.segment == "b")
    assert cv.low < cv.value < cv.high
    assert np.isnan(deal_size_of("c", np.full(40, 900.0), Notes()).spread) or lognormal.spread > 0


def test_a_mean_that_rests_on_a_few_deals_is_called_unsure() -> None:
    notes = Notes()
    deal_size_of("SMB", np.array([1_000.0] * 38 + [1_500.0, 90_000.0]), notes)
    assert "the largest of 40 won deals makes 69 % of their value" in notes.warnings[0]
    notes = Notes()
    deal_size_of("SMB", np.array([1_000.0] * 20 + [1_500.0] * 20), notes)
    assert not notes.warnings


def test_the_interval_of_a_cv_from_observed_amounts_holds_it() -> None:
    """Amounts from a law that is not lognormal: the jackknife interval holds the true cv in about 80 %."""
    random = np.random.default_rng(4)
    true_cv = np.sqrt(1 / 3)  # of a gamma law with shape 3
    inside = []
    for _ in range(300):
        notes = Notes()
        deal_size_of("a", random.gamma(3.0, 1_000.0, 400), notes)
        cv = notes.parameters[1]
        if cv.note.startswith("observed"):
            inside.append(cv.low <= true_cv <= cv.high)
    assert len(inside) > 200
    assert np.mean(inside) == pytest.approx(0.8, abs=3 * np.sqrt(0.16 / len(inside)))


def test_skills_are_pulled_to_the_team_the_more_the_fewer_deals_tell() -> None:
    weeks = pd.DataFrame({"2025Q1": [13.0, 13.0, 13.0, 3.0]}, index=list("ABCD"))
    counts = pd.DataFrame({"2025Q1": [60.0, 40.0, 20.0, 16.0]}, index=list("ABCD"))
    skill = skill_of(counts, weeks)
    assert skill["raw"]["A"] > skill["mean"]["A"] > 1 > skill["mean"]["C"] > skill["raw"]["C"]
    kept = (skill["mean"] - 1) / (skill["raw"] - 1)
    assert kept["D"] < kept["A"]  # D worked three weeks
    assert skill["high"]["D"] - skill["low"]["D"] > skill["high"]["A"] - skill["low"]["A"]
    assert (skill["mean"] * skill["expected"]).sum() / skill["expected"].sum() == pytest.approx(1)
    two = skill_of(counts.iloc[:2], weeks.iloc[:2])
    assert two["mean"].tolist() == [1.0, 1.0]
    assert two["low"].isna().all()


def test_skills_that_luck_explains_still_have_an_interval() -> None:
    weeks = pd.DataFrame({"2025Q1": [13.0] * 5}, index=list("ABCDE"))
    skill = skill_of(pd.DataFrame({"2025Q1": [20.0] * 5}, index=weeks.index), weeks)
    assert skill["mean"].tolist() == pytest.approx([1.0] * 5)
    assert (skill["low"] < 0.97).all()
    assert (skill["high"] > 1.03).all()


def test_the_end_of_a_stage_agrees_with_another_implementation() -> None:
    from lifelines import AalenJohansenFitter

    random = np.random.default_rng(2)
    days, event = random.permutation(300) + 1, random.integers(0, 3, 300)  # no ties
    fate = ending_of(Passage("open", days, event, np.arange(300)))
    other = AalenJohansenFitter(seed=1).fit(days, event, event_of_interest=1)
    assert fate.conversion == pytest.approx(float(other.cumulative_density_.iloc[-1, 0]), abs=0.005)
    assert fate.interval[0] < fate.conversion < fate.interval[1]
    mean, low, high = fate.mean_weeks()
    assert low < mean < high


def test_a_weighted_mean_of_even_observations_has_students_interval() -> None:
    from scipy.stats import t

    values = np.array([1.0, 2.0, 4.0, 4.5, 3.0])
    fit = weighted_fit(np.ones((5, 1)), values, np.full(5, 1e-6))
    error = t.ppf(0.9, 4) * values.std(ddof=1) / np.sqrt(5)
    assert (fit.values[0], fit.half_width([1.0])) == pytest.approx((values.mean(), error))


# --- draws -------------------------------------------------------------------------------------------------


def test_drawn_parameters_have_the_spread_of_their_intervals(plain: tuple[Tables, Calibration]) -> None:
    found = plain[1]
    scenarios = found.draws(200, seed=3)
    segment = found.scenario.segments[0]
    drawn = {
        "win rate": [s.segments[0].stages[0].conversion for s in scenarios],
        "mean deal size": [s.segments[0].deal_size.moments()[0] for s in scenarios],
        "cv of deal size": [np.divide(*s.segments[0].deal_size.moments()[::-1]) for s in scenarios],
    }
    for name, values in drawn.items():
        known = found.parameter(name, segment.name)
        low, high = np.quantile(np.array(values, dtype=float), [0.1, 0.9])
        assert (low, high) == (
            pytest.approx(known.low, rel=0.03),
            pytest.approx(known.high, rel=0.03),
        ), name
    shocks = np.quantile([s.market.shock_cv for s in scenarios], [0.1, 0.9])
    known = found.parameter("market shock between quarters")
    assert shocks == pytest.approx([known.low, known.high], abs=0.01)
    skills = np.quantile([s.market.skill_cv for s in scenarios], [0.1, 0.9])
    known = found.parameter("skill spread between reps")
    assert skills == pytest.approx([known.low, known.high], abs=0.01)
    arrivals = np.array([s.segments[0].sources[0].leads_per_week for s in scenarios])
    assert arrivals.mean() == pytest.approx(segment.sources[0].leads_per_week, rel=0.02)
    assert {s.market.level_cv for s in scenarios} == {0.0}


def test_draws_are_named_by_their_seed(plain: tuple[Tables, Calibration]) -> None:
    found = plain[1]
    assert found.draws(4, seed=1) == found.draws(4, seed=1)
    assert found.draws(4, seed=1) != found.draws(4, seed=2)
    with pytest.raises(ParameterError, match="draws is 0"):
        found.draws(0)


def test_drawn_sources_keep_their_odds() -> None:
    found = calibrate(two_sources(good=0.6, bad=0.3, seed=1))
    for scenario in found.draws(5):
        segment = scenario.segments[0]
        shares = {s.name: segment.close_probabilities(s)[0] for s in segment.sources}
        assert 0.35 < shares["website"] - shares["outbound calls"] + 0.1 < 0.6


def test_a_mixed_forecast_is_as_wide_as_all_doubt(plain: tuple[Tables, Calibration]) -> None:
    _tables, found = plain
    period = found.scenario.calendar.first_quarter
    mixed = forecast_with_doubt(found, draws=24, seed=1)
    low, middle, high = mixed.quantiles([0.1, 0.5, 0.9], period=period)
    assert mixed.chance_at_least([low, high], period=period) == pytest.approx([0.9, 0.1], abs=1e-6)
    sure = found.scenario.model_copy(
        update={"market": found.scenario.market.model_copy(update={"level_cv": 0.0})}
    )
    narrow, wide = simulate(sure), simulate(found.scenario)
    widths = [np.diff(one.team_quantiles([0.1, 0.9], period))[0] for one in (narrow, wide)]
    assert widths[0] < high - low
    assert high - low == pytest.approx(widths[1], rel=0.25)
    assert middle == pytest.approx(wide.team_quantiles([0.5], period)[0], rel=0.05)
    with pytest.raises(ParameterError, match="must lie between 0 and 1"):
        mixed.quantiles([1.0], period=period)


# --- posterior check ---------------------------------------------------------------------------------------


def test_the_past_is_put_beside_what_the_scenario_says_of_it(plain: tuple[Tables, Calibration]) -> None:
    tables, found = plain
    check = posterior_check(tables, quarters=3, calibration=found)
    assert check.left_out == ()
    assert list(check.quarters["quarter"].unique()) == ["2025Q2", "2025Q3", "2025Q4"]
    assert len(check.quarters) == 3 * 3 * 2
    rows = check.quarters
    assert ((rows["p10"] <= rows["p50"]) & (rows["p50"] <= rows["p90"])).all()
    assert (rows["inside"] == rows["actual"].between(rows["p10"], rows["p90"])).all()
    assert rows["percentile"].between(0, 1).all()
    deals = tables.opportunities
    won = deals[(deals["status"] == "won") & deals["closed"].between("2025-10-01", "2025-12-31")]
    last = rows[rows["quarter"] == "2025Q4"].groupby("measure")["actual"].first()
    assert last["bookings"] == pytest.approx(won["amount"].sum())
    assert last["won deals"] == len(won)
    assert last["new opportunities"] == deals["created"].between("2025-10-01", "2025-12-31").sum()
    coverage = check.coverage()
    assert (coverage["held"] <= coverage["quarters"]).all()
    assert (coverage["low"] <= coverage["share"]).all()


def test_a_scenario_that_cannot_tell_the_past_is_seen(plain: tuple[Tables, Calibration]) -> None:
    tables, found = plain
    stages = tuple(
        stage.model_copy(update={"conversion": 0.5 * (stage.conversion or 0.0)})
        for stage in found.scenario.segments[0].stages
    )
    segment = found.scenario.segments[0].model_copy(update={"stages": stages})
    wrong = replace(found, scenario=found.scenario.model_copy(update={"segments": (segment,)}))
    rows = posterior_check(tables, quarters=3, calibration=wrong).quarters
    won = rows[rows["measure"] == "won deals"]
    in_sample = won[won["view"] == "in-sample"]
    assert not in_sample["inside"].any()
    assert (in_sample["percentile"] > 0.9).all()
    assert won.loc[won["view"] == "back-test", "percentile"].mean() < 0.9  # calibrated anew each time


def test_who_has_left_since_is_in_the_past(plain: tuple[Tables, Calibration]) -> None:
    tables = plain[0]
    deals = tables.opportunities
    gone = deals["rep"].isin(["rep 0", "rep 1"]) & (deals["created"] > "2025-06-30")
    found = calibrate(replace(tables, opportunities=deals[~gone].reset_index(drop=True)))
    assert {rep.name for rep in found.scenario.reps} == {f"rep {k}" for k in range(2, 6)}
    assert {rep.name for rep in found.beliefs.everyone if rep.end} == {"rep 0", "rep 1"}
    check = posterior_check(replace(tables, opportunities=deals[~gone]), quarters=3, calibration=found)
    rows = check.quarters[(check.quarters["measure"] == "new opportunities")]
    medians = rows[rows["view"] == "in-sample"].set_index("quarter")["p50"]
    assert medians["2025Q2"] == pytest.approx(1.5 * medians["2025Q4"], rel=0.05)


def test_the_back_test_does_not_know_who_will_leave_or_come(plain: tuple[Tables, Calibration]) -> None:
    tables = plain[0]
    asked = Calendar(first_quarter="2025Q4", quarters=1).periods()[0]
    seen = as_seen_on(tables, asked.shift(-1).end)
    reps = tables.reps.assign(end=pd.Timestamp("2025-10-15")).set_index("rep")
    reps.loc["rep new", "start"] = pd.Timestamp("2025-11-03")
    later = replace(seen, reps=reps.reset_index()[tables.reps.columns])
    assert _foreseen(later, asked, None) == _foreseen(seen, asked, None)


def test_quarters_with_nothing_won_count_half_as_ties(plain: tuple[Tables, Calibration]) -> None:
    scenario = plain[1].scenario
    nothing = tuple(part.model_copy(update={"sources": ()}) for part in scenario.segments)
    idle = scenario.model_copy(update={"segments": nothing, "pipeline": ()})
    period = scenario.calendar.first_quarter
    assert _placed(idle, 0.0, period, "bookings")[-2:] == [0.5, True]


def test_quarters_without_a_past_have_no_back_test(plain: tuple[Tables, Calibration]) -> None:
    tables, found = plain
    check = posterior_check(tables, quarters=20, calibration=found)
    assert check.quarters["quarter"].iloc[0] == "2024Q1"
    assert any(text.startswith("2024Q1, back-test") for text in check.left_out)
    with pytest.raises(ParameterError, match="quarters is 0"):
        posterior_check(tables, quarters=0)
