"""Calibration: a known company simulated deal by deal must be found back, within the stated intervals."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from salessim import crm
from salessim.calibrate import Calibration, calibrate
from salessim.engine import simulate, simulate_history, weekly_leads, win_chances
from salessim.errors import DataError
from salessim.library import example_crm, example_scenario
from salessim.model import Calendar, DealSize, Hire, Market, Rep, Role, Scenario, Segment, Source, Stage
from salessim.plans import QuotaPlan, plan_for_share, score

COMPANIES = 40


def company(*, stages: tuple[Stage, ...] | None = None) -> Scenario:
    """Eight reps, two segments, eight quarters: small, as real ones are."""
    one = (Stage(name="opportunity", conversion=0.35, dwell_weeks=5.0, lost_dwell_weeks=3.0),)
    small = Segment(
        name="small",
        stages=stages or one,
        sources=(Source(name="web", kind="self-sourced", leads_per_week=1.5),),
        deal_size=DealSize(mean=10_000.0, cv=0.6),
    )
    large = small.model_copy(
        update={
            "name": "large",
            "sources": (Source(name="web", kind="self-sourced", leads_per_week=0.5),),
            "deal_size": DealSize(mean=40_000.0, cv=0.9),
        }
    )
    return Scenario(
        name="known",
        currency="EUR",
        calendar=Calendar(first_quarter="2024Q1", quarters=8),
        segments=(small, large),
        roles=(Role(name="AE"),),
        reps=tuple(Rep(name=f"rep {k}", role="AE") for k in range(8)),
        market=Market(shock_cv=0.12, skill_cv=0.3),
    )


@pytest.fixture(scope="module")
def blank() -> crm.Tables:
    """Tables with every canonical column and no row that matters: histories are put into them."""
    return crm.read(example_crm())


def tables_of(scenario: Scenario, *, seed: int, blank: crm.Tables, with_stages: bool = False) -> crm.Tables:
    """A simulated history as canonical tables, without the way through files."""
    history = simulate_history(scenario, seed=seed)
    deals = history.deals
    closed = deals["status"] != "open"
    opportunities = pd.DataFrame(
        {
            "opportunity_id": "D" + deals["deal"].astype(str),
            "rep": deals["rep"],
            "segment": deals["segment"],
            "source": deals["source"],
            "stage": deals["status"].where(closed, deals["stage"]),
            "status": deals["status"],
            "created": deals["created"],
            "closed": deals["closed"],
            "amount": deals["amount"].where(deals["status"] == "won"),
        }
    ).reindex(columns=blank.opportunities.columns)
    reps = pd.DataFrame({"rep": [rep.name for rep in scenario.reps]}).reindex(columns=blank.reps.columns)
    for column in ("start", "end"):
        reps[column] = pd.to_datetime(reps[column])
    stages = history.stages.assign(opportunity_id="D" + history.stages["deal"].astype(str))
    stages = stages[stages["entered"] <= pd.Timestamp(history.as_of)]
    return replace(
        blank,
        opportunities=opportunities,
        reps=reps,
        stage_history=stages[["opportunity_id", "stage", "entered"]]
        if with_stages
        else blank.stage_history[:0],
        leads=blank.leads[:0],
        as_of=history.as_of,
        stages=tuple(stage.name for stage in scenario.segments[0].stages),
    )


@pytest.fixture(scope="module")
def calibrations(blank: crm.Tables) -> list[Calibration]:
    world = company()
    return [calibrate(tables_of(world, seed=seed, blank=blank)) for seed in range(COMPANIES)]


TRUTH = {
    ("opportunities per rep and week", "small"): 1.5,
    ("opportunities per rep and week", "large"): 0.5,
    ("win rate", "small"): 0.35,
    ("win rate", "large"): 0.35,
    ("mean deal size", "small"): 10_000.0,
    ("mean deal size", "large"): 40_000.0,
    ("cv of deal size", "small"): 0.6,
    ("cv of deal size", "large"): 0.9,
    ("skill spread between reps", ""): 0.3,
    ("market shock between quarters", ""): 0.12,
}


def test_estimates_are_right_on_average(calibrations: list[Calibration]) -> None:
    for key, truth in TRUTH.items():
        found = np.array([calibration.parameter(*key).value for calibration in calibrations])
        error = found.std() / np.sqrt(COMPANIES)
        # a spread estimated from eight quarters is cut at 0 and a little low: allow for that, not for more
        slack = 0.15 * truth if "spread" in key[0] or "shock" in key[0] else 0.02 * truth
        assert abs(found.mean() - truth) < 4 * error + slack, key


def test_ignoring_open_deals_would_be_wrong(blank: crm.Tables) -> None:
    """Slow wins, fast losses, a young history: of the closed deals far too few are won, the estimate is not
    fooled."""
    slow = (Stage(name="opportunity", conversion=0.5, dwell_weeks=12.0, lost_dwell_weeks=2.0),)
    world = company(stages=slow)
    world = world.model_copy(update={"calendar": Calendar(first_quarter="2024Q1", quarters=5)})
    naive, censored = [], []
    for seed in range(12):
        tables = tables_of(world, seed=seed, blank=blank)
        closed = tables.opportunities["status"].value_counts()
        naive.append(closed["won"] / (closed["won"] + closed["lost"]))
        censored.append(calibrate(tables).parameter("win rate", "small").value)
    assert np.mean(naive) < 0.46
    assert np.mean(censored) == pytest.approx(0.5, abs=0.03)


def test_stage_history_gives_a_funnel_stage_by_stage(blank: crm.Tables) -> None:
    stages = (
        Stage(name="early", conversion=0.6, dwell_weeks=3.0),
        Stage(name="late", conversion=0.7, dwell_weeks=2.0),
    )
    world = company(stages=stages)
    found = [calibrate(tables_of(world, seed=seed, blank=blank, with_stages=True)) for seed in range(20)]
    for name, truth in (("conversion of 'early'", 0.6), ("conversion of 'late'", 0.7)):
        hits = [c.parameter(name, "small").low <= truth <= c.parameter(name, "small").high for c in found]
        values = [c.parameter(name, "small").value for c in found]
        assert np.mean(values) == pytest.approx(truth, abs=0.015)
        assert 10 <= sum(hits) <= 20
    mean_weeks = [
        stage.dwell_shares() @ np.arange(len(stage.dwell_shares()))
        for stage in (c.scenario.segments[1].stages[0] for c in found)
    ]
    assert np.mean(mean_weeks) == pytest.approx(3.0, abs=0.2)


def test_skill_is_pulled_towards_the_team_and_better_for_it(blank: crm.Tables) -> None:
    """Partial pooling: smaller error than each rep's raw rate, over many companies."""
    world = company()
    world = world.model_copy(update={"calendar": Calendar(first_quarter="2024Q1", quarters=2)})
    pooled, raw = [], []
    for seed in range(30):
        reps = tuple(
            rep.model_copy(update={"skill_mean": float(skill), "skill_cv": 0.0})
            for rep, skill in zip(
                world.reps, np.random.default_rng(seed).gamma(11, 1 / 11, len(world.reps)), strict=True
            )
        )
        known = world.model_copy(update={"reps": reps})
        tables = tables_of(known, seed=seed, blank=blank)
        truth = np.array([rep.skill_mean for rep in reps])
        counts = tables.opportunities["rep"].value_counts().reindex([rep.name for rep in reps]).to_numpy()
        estimate = np.array([rep.skill_mean for rep in calibrate(tables).scenario.reps])
        pooled.append(((estimate / estimate.mean() - truth / truth.mean()) ** 2).mean())
        raw.append(((counts / counts.mean() - truth / truth.mean()) ** 2).mean())
    assert np.mean(pooled) < np.mean(raw)


def test_amounts_that_are_a_mixture_are_kept_as_they_are(blank: crm.Tables) -> None:
    mixture = DealSize(amounts=(500.0, 5_000.0, 30_000.0), shares=(0.5, 0.4, 0.1))
    world = company()
    segments = tuple(segment.model_copy(update={"deal_size": mixture}) for segment in world.segments)
    found = calibrate(tables_of(world.model_copy(update={"segments": segments}), seed=1, blank=blank))
    size = found.scenario.segments[1].deal_size
    assert size.amounts == (500.0, 5_000.0, 30_000.0)
    assert found.parameter("mean deal size", "small").note.startswith("observed amounts")
    won = simulate_history(world.model_copy(update={"segments": segments}), seed=1).deals
    small = won[(won["status"] == "won") & (won["segment"] == "small")]
    assert size.moments()[0] == pytest.approx(small["amount"].mean(), rel=1e-6)


def test_the_forecast_covers_the_quarter_that_came(blank: crm.Tables) -> None:
    """Calibrate on six quarters, forecast the seventh, look at what it booked: 80 % ranges, many times."""
    world = company()
    inside = []
    for seed in range(40):
        tables = tables_of(world, seed=seed, blank=blank)
        booked = tables.opportunities
        seventh = booked["closed"].between("2025-07-01", "2025-09-30") & (booked["status"] == "won")
        actual = booked.loc[seventh, "amount"].sum()
        seen = crm.as_seen_on(tables, date(2025, 6, 30))
        outcome = simulate(calibrate(seen, quarters=1).scenario)
        low, high = outcome.team_quantiles([0.1, 0.9], "2025Q3")
        inside.append(low <= actual <= high)
    assert 0.62 <= np.mean(inside) <= 0.95


# --- the cut on the left, people, the base scenario ---------------------------------------------------------


def test_a_history_cut_off_on_the_left_is_noticed_and_left_out(blank: crm.Tables) -> None:
    tables = tables_of(company(), seed=3, blank=blank)
    deals = tables.opportunities
    kept = deals[deals["closed"].isna() | (deals["closed"] >= "2024-08-01")]
    found = calibrate(replace(tables, opportunities=kept))
    assert found.window[0] == date(2024, 10, 1)  # the first whole quarter after the cut
    assert "cut off on the left" in found.left_cut
    assert found.parameter("win rate", "small").value == pytest.approx(0.35, abs=0.05)
    assert calibrate(tables).left_cut == ""


def test_who_left_is_not_in_tomorrows_team(blank: crm.Tables) -> None:
    tables = tables_of(company(), seed=4, blank=blank)
    deals = tables.opportunities
    gone = (deals["rep"] == "rep 3") & (deals["created"] > "2025-03-01")
    found = calibrate(replace(tables, opportunities=deals[~gone]))
    assert "rep 3" not in [rep.name for rep in found.scenario.reps]
    assert any("1 rep stopped creating deals" in warning and "rep 3" in warning for warning in found.warnings)


def test_a_base_scenario_supplies_what_a_crm_does_not_know() -> None:
    tables = crm.read(example_crm())
    base = example_scenario()
    found = calibrate(tables, base=base).scenario
    assert found.criteria == base.criteria
    assert found.roles == base.roles
    assert found.hires == base.hires
    assert found.made_up
    kinds = {source.name: source.kind for source in found.segments[0].sources}
    assert kinds == {"website": "inbound", "referral": "inbound", "outbound": "self-sourced"}


def test_the_example_company_is_found_back() -> None:
    """The shipped export, dirt and all, against the scenario that it was made from."""
    found = calibrate(crm.read(example_crm()), base=example_scenario())
    truth = example_scenario().segments[0]
    for name, expected in (
        ("conversion of 'potential deal'", truth.conversions()[3]),
        ("conversion of 'closing deal'", truth.conversions()[4]),
        ("mean deal size", 15_000.0),
    ):
        parameter = found.parameter(name, "SMB")
        width = parameter.high - parameter.low
        assert parameter.low - width <= expected <= parameter.high + width, name


def test_too_little_history_is_refused(blank: crm.Tables) -> None:
    tables = tables_of(company(), seed=1, blank=blank)
    lost = tables.opportunities.assign(status="lost")
    with pytest.raises(DataError, match="no won deal with a date of creation"):
        calibrate(replace(tables, opportunities=lost))


def test_few_deals_look_like_few_deals(blank: crm.Tables) -> None:
    world = company()
    brief = world.model_copy(update={"calendar": Calendar(first_quarter="2024Q1", quarters=2)})
    wide = calibrate(tables_of(brief, seed=2, blank=blank)).parameter("win rate", "large")
    narrow = calibrate(tables_of(world, seed=2, blank=blank)).parameter("win rate", "large")
    assert wide.n < narrow.n
    assert wide.high - wide.low > 1.5 * (narrow.high - narrow.low)


# --- exports that are small, young, or odd ------------------------------------------------------------------


def export(blank: crm.Tables, deals: list[dict[str, object]], **changes: object) -> crm.Tables:
    """A handful of deals as canonical tables: won with an amount of 1,000 unless they say otherwise."""
    usual = {"rep": "A", "segment": "all", "stage": "won", "status": "won", "amount": 1_000.0}
    rows = [usual | {"opportunity_id": f"D{k}"} | deal for k, deal in enumerate(deals)]
    opportunities = pd.DataFrame(rows).reindex(columns=blank.opportunities.columns)
    for column in ("created", "closed"):
        opportunities[column] = pd.to_datetime(opportunities[column])
    reps = changes.pop("reps", [{"rep": rep} for rep in opportunities["rep"].unique()])
    reps = pd.DataFrame(reps).reindex(columns=blank.reps.columns)
    for column in ("start", "end"):
        reps[column] = pd.to_datetime(reps[column])
    history = pd.DataFrame(changes.pop("history", []), columns=blank.stage_history.columns)
    history["entered"] = pd.to_datetime(history["entered"])
    tables = replace(
        blank,
        opportunities=opportunities,
        reps=reps,
        stage_history=history,
        leads=blank.leads[:0],
        as_of=date(2025, 12, 31),
        stages=("potential", "closing"),
    )
    return replace(tables, **changes)  # type: ignore[arg-type]


def daily(number: int, *, days: int = 3, lost: int = 2, **values: object) -> list[dict[str, object]]:
    """Deals spread over 2025 that close after so many days; one of ``lost`` is lost."""
    deals = []
    for k in range(number):
        created = date(2025, 1, 1) + timedelta(days=k * 350 // number)
        deal: dict[str, object] = {"created": created, "closed": created + timedelta(days=days), **values}
        deals.append(deal | ({"stage": "lost", "status": "lost", "amount": None} if k % lost == 0 else {}))
    return deals


def fresh(segment: str = "all", *, days: int = 4, **values: object) -> dict[str, object]:
    """An open deal, created some days before the export."""
    return {
        "segment": segment, "stage": "potential", "status": "open", "amount": None,
        "created": date(2025, 12, 31) - timedelta(days=days), "closed": None, **values,
    }  # fmt: skip


def test_won_deals_that_skip_a_stage_have_passed_it(blank: crm.Tables) -> None:
    deals = daily(200, days=20)
    history = []
    for k, deal in enumerate(deals):
        history.append((f"D{k}", "potential", deal["created"]))
        if k % 4 < 2:
            history.append((f"D{k}", "closing", pd.Timestamp(deal["created"]) + timedelta(days=9)))
    found = calibrate(export(blank, deals, history=history)).scenario.segments[0]
    assert [stage.name for stage in found.stages] == ["potential", "closing"]
    assert found.close_probabilities()[0] == pytest.approx(0.5)


def test_a_stage_that_every_deal_passes_has_an_interval(blank: crm.Tables) -> None:
    share = calibrate(export(blank, [*daily(40, lost=1000)[1:], fresh(days=1)])).parameter("win rate", "all")
    assert share.value == pytest.approx(1.0)
    assert 0.9 < share.low < 1.0


def test_a_new_segment_with_open_deals_only_borrows_the_funnel_of_all(blank: crm.Tables) -> None:
    found = calibrate(export(blank, daily(100) + [fresh("new", days=1) for _ in range(10)]))
    new = found.scenario.segment("new")
    assert new.close_probabilities()[0] == pytest.approx(0.5, abs=0.02)
    assert any("segment 'new' has 10 deals and nobody has left" in warning for warning in found.warnings)


def test_no_won_deal_with_an_amount_in_the_window_is_refused(blank: crm.Tables) -> None:
    for amount in (None, 0.0):
        with pytest.raises(DataError, match="needs won deals with amounts"):
            calibrate(export(blank, [deal | {"amount": amount} for deal in daily(50)]))


@pytest.mark.parametrize("amounts", [(300.0, 200_000.0), (5_000.0,)])
def test_a_deal_size_from_few_wins_claims_no_interval_but_doubt(
    blank: crm.Tables, amounts: tuple[float, ...]
) -> None:
    deals = daily(60, lost=1)
    for deal, amount in zip(deals, amounts, strict=False):
        deal.update(status="won", stage="won", amount=amount)
    found = calibrate(export(blank, deals))
    size = found.parameter("mean deal size", "all")
    assert (size.value, size.n) == (pytest.approx(np.mean(amounts)), len(amounts))
    assert np.isnan([size.low, size.high]).all()
    assert "too few won deals" in size.note
    many = calibrate(export(blank, [deal | {"amount": 5_000.0} for deal in daily(60)]))
    assert found.scenario.market.level_cv > 1.0 > many.scenario.market.level_cv


def test_deals_from_before_a_start_are_not_the_work_of_the_rep(blank: crm.Tables) -> None:
    deals = [deal for rep in "ABCD" for deal in daily(100, rep=rep)]
    reps: list[dict[str, object]] = [{"rep": rep} for rep in "ABC"] + [{"rep": "D", "start": "2025-07-01"}]
    found = calibrate(export(blank, deals, reps=reps))
    skill = {rep.name: rep.skill_mean for rep in found.scenario.reps}
    assert skill["D"] < 1.8  # ramping; with the deals of the first half year it would be 3
    assert any("created before their owner started" in w and "work of D" in w for w in found.warnings)
    assert found.parameter("win rate", "all").n == 400  # they still count for the funnel
    with pytest.raises(DataError, match="check the start dates"):
        calibrate(export(blank, deals, reps=[{"rep": rep, "start": "2025-12-30"} for rep in "ABCD"]))


def test_a_newcomer_without_deals_stays_in_the_team(blank: crm.Tables) -> None:
    reps = [{"rep": "A"}, {"rep": "New", "start": "2025-12-01"}, {"rep": "Idle", "start": "2024-01-01"}]
    found = calibrate(export(blank, daily(100), reps=reps))
    assert [rep.name for rep in found.scenario.reps] == ["A", "New"]
    assert found.scenario.reps[1].skill_mean == 1.0
    assert any("1 rep started lately" in w and "New" in w for w in found.warnings)
    assert any("1 rep created no deal" in w and "Idle" in w for w in found.warnings)


def test_a_planned_hire_is_found_waited_for_or_missed(blank: crm.Tables) -> None:
    hires = (Hire(role="AE", start=date(2025, 11, 3), count=2), Hire(role="AE", start=date(2026, 2, 2)))
    base = company().model_copy(update={"hires": hires})
    reps = [{"rep": "A", "role": "AE"}, {"rep": "New", "role": "AE", "start": "2025-11-10"}]
    found = calibrate(export(blank, daily(100), reps=reps), base=base)
    assert found.scenario.hires == hires[1:]
    assert any("planned hire (AE, 2025-11-03) should have started by now" in w for w in found.warnings)


def expected_by_segment(scenario: Scenario, first: str, quarters: int) -> dict[str, float]:
    """Opportunities that the scenario would have expected over a past window."""
    past = scenario.model_copy(
        update={"calendar": Calendar(first_quarter=first, quarters=quarters), "hires": (), "pipeline": ()}
    )
    skill = np.array([rep.skill_mean for rep in past.reps])
    number = (weekly_leads(past).sum(axis=2) * skill[:, None]).sum(axis=0)
    return dict(zip([segment.name for segment in past.segments], number, strict=True))


@pytest.mark.parametrize(
    "team",
    [
        {"A": {"small": 300, "large": 40}},
        {"A": {"small": 550}, "B": {"large": 55}},
        {"A": {"small": 200}, "B": {"small": 240}, "C": {"large": 10, "small": 3}, "D": {"large": 14}},
    ],
)
def test_a_specialised_team_is_expected_to_find_what_it_found(
    blank: crm.Tables, team: dict[str, dict[str, int]]
) -> None:
    deals = [
        deal
        for rep, mix in team.items()
        for name, number in mix.items()
        for deal in daily(number, rep=rep, segment=name)
    ]
    found = expected_by_segment(calibrate(export(blank, deals)).scenario, "2025Q1", 4)
    for name, number in pd.Series([str(deal["segment"]) for deal in deals]).value_counts().items():
        assert found[str(name)] == pytest.approx(number, rel=0.03), name


def test_the_example_team_is_expected_to_find_what_it_found() -> None:
    tables = crm.read(example_crm())
    calibration = calibrate(tables)
    start = calibration.window[0]
    assert start <= date(2025, 1, 7)
    found = expected_by_segment(calibration.scenario, "2025Q1", 6)
    deals = tables.opportunities
    seen = deals[(deals["created"] >= pd.Timestamp(start)) & deals["rep"].isin(tables.reps["rep"])]
    for name, number in seen["segment"].value_counts().items():
        assert found[str(name)] == pytest.approx(number, rel=0.05), name


@pytest.mark.parametrize("slowest", [0, 5, 7, 12])
def test_only_a_deal_older_than_the_slowest_move_is_dead(blank: crm.Tables, slowest: int) -> None:
    young, old = fresh(days=slowest), fresh(days=slowest + 1, rep="B")
    deals = daily(100, days=slowest) + daily(4, days=slowest, rep="B") + [young, old]
    found = calibrate(export(blank, deals))
    chance = {
        deal.rep: win_chances(
            found.scenario.segments[0], stage=deal.stage, weeks_in_stage=deal.weeks_in_stage, weeks=8
        ).sum()
        for deal in found.scenario.pipeline
    }
    assert chance["A"] > 0
    assert chance["B"] == 0
    assert any("1 of 2 open deals are older" in warning for warning in found.warnings)


def test_times_by_week_keep_the_mean_in_days(blank: crm.Tables) -> None:
    for days in (3, 10, 25):
        shares = calibrate(export(blank, daily(60, days=days))).scenario.segments[0].stages[0].dwell_shares()
        assert 7 * shares @ np.arange(len(shares)) == pytest.approx(days)


def test_a_complete_history_with_a_long_cycle_is_not_called_cut(blank: crm.Tables) -> None:
    found = calibrate(export(blank, daily(200, days=150)))
    assert found.left_cut == ""
    assert found.window[0] == date(2025, 1, 1)


def test_the_window_says_what_the_measures_say() -> None:
    tables = crm.read(example_crm())
    assert crm.left_cut(tables).cut
    assert calibrate(tables).window[0] == crm.left_cut(tables).missing_before


# --- real data ---------------------------------------------------------------------------------------------


def test_on_real_data_the_quota_for_two_thirds_is_made_by_two_thirds(real_data: Path) -> None:
    calibration = calibrate(crm.read(real_data / "maven_crm"))
    outcome = simulate(calibration.scenario)
    plan = plan_for_share(
        outcome, plan=QuotaPlan(name="flat", annual_quota=1.0), period="2017Q4", share=0.675
    )
    fresh = simulate(calibration.scenario, engine="thinning", trials=4_000, seed=2017)
    assert score(fresh, plan, period="2017Q4").expected_share == pytest.approx(0.675, abs=0.01)


def test_on_real_data_the_cut_first_quarter_and_the_dead_pipeline_are_noticed(real_data: Path) -> None:
    calibration = calibrate(crm.read(real_data / "maven_crm"))
    assert calibration.window == (date(2017, 4, 1), date(2017, 9, 30))
    assert "nothing closed before 2017-03-01" in calibration.left_cut
    warnings = "\n".join(calibration.warnings)
    assert "500 opportunities without a date of creation" in warnings
    assert "5 reps created no deal" in warnings
    assert "they are given no chance" in warnings
    assert len(calibration.scenario.reps) == 30
    # not the 82 % of the cut first quarter, nor the 64 % of closed deals: many open deals never close
    for segment in calibration.scenario.segments:
        assert 0.4 < segment.close_probabilities()[0] < 0.6
    gtx = calibration.parameter("mean deal size", "GTX Pro")
    assert gtx.value == pytest.approx(4_824, rel=0.02)
