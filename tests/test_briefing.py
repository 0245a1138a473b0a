"""Findings: what a quarter's report says is computed, consistent, and honest about what is missing."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from salessim import briefing
from salessim.briefing import Briefing
from salessim.briefing.prepared import MOST_DAYS_MISSING
from salessim.engine import HORIZON, simulate
from salessim.engine.rates import rates_of
from salessim.errors import DataError, ParameterError, PlanError, ScenarioError
from salessim.library import EXAMPLE
from salessim.model import Hire, Role
from salessim.plans import QuotaPlan, RampRelief, tradeoff
from tests.worlds import changed, one_stage_world

Deal = tuple[str, str, str, str, str, str]
Export = Callable[[dict[str, str]], Path]


@pytest.fixture(scope="module")
def example() -> Briefing:
    return briefing.prepare(crm_folder="example", quarter="2026Q2")


@pytest.fixture(scope="module")
def real(real_data: Path) -> Briefing:
    return briefing.prepare(crm_folder=str(real_data / "maven_crm"), quarter="2017Q3")


def cells(markdown: str) -> list[list[str]]:
    """Rows of the first table in a Markdown text, without its head."""
    lines = [line for line in markdown.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def test_the_quarter_after_the_reported_one_is_simulated(example: Briefing) -> None:
    assert (str(example.quarter), example.upcoming) == ("2026Q2", "2026Q3")
    assert example.outcome.engine == "exact"
    assert example.scenario.made_up


def test_the_recommended_plan_hits_the_middle_of_the_band(example: Briefing) -> None:
    assert example.advised.expected_share == pytest.approx(0.675, abs=1e-3)
    assert example.asked.full_quota == pytest.approx(115_000)


def test_open_deals_bring_what_their_chances_say(example: Briefing) -> None:
    frame = briefing.forecast(example)
    sizes = [segment.deal_size.moments()[0] for segment in example.scenario.segments]
    expected = sum(
        deal.deals * deal.chances * (sizes[deal.segment] if deal.amount is None else deal.amount)
        for deal in rates_of(example.scenario).open_deals
    )
    assert frame["from_open_deals"].to_numpy() == pytest.approx(expected)
    assert (frame["p10"] < frame["p50"]).all()
    assert (frame["p50"] < frame["p90"]).all()
    assert (frame["from_open_deals"] < frame["expected"]).all()


def test_the_weighted_pipeline_is_that_of_the_forecast(example: Briefing) -> None:
    by_stage = briefing.open_pipeline(example)
    forecast = briefing.forecast(example)["from_open_deals"].sum()
    assert by_stage["weighted_value"].sum() == pytest.approx(forecast, rel=1e-3)
    assert (by_stage["weighted_value"].dropna() <= by_stage["value"].dropna()).all()


def test_the_chance_to_book_an_amount_falls_with_it(example: Briefing) -> None:
    curve = briefing.team_bookings(example)
    assert (np.diff(curve["probability_at_least"]) < 0).all()
    assert curve["probability_at_least"].iloc[[0, -1]].tolist() == pytest.approx([0.995, 0.005], abs=1e-3)


def test_findings_quote_the_figures_of_the_score(example: Briefing) -> None:
    text = briefing.quota_findings(example)
    assert f"{example.asked.expected_share:.0%}".replace("%", " %") in text
    assert "too hard" in text
    assert "less than the team plan" in text
    front = briefing.key_findings(example, briefing.prepare_pay(example, trials=200))
    assert text in front
    assert briefing.pipeline_findings(example) in front


def test_better_estimates_mean_more_bookings_and_more_who_make_it(example: Briefing) -> None:
    rows = {row[0]: row[1:] for row in cells(briefing.robustness(example))}
    assert len(rows) == 7

    def share(label: str) -> int:
        return int(next(row[1] for name, row in rows.items() if name.startswith(label)).split()[0])

    for kind in ("leads", "conversion", "deal size"):
        assert share(f"{kind} -") < share("all as estimated") < share(f"{kind} +")


def test_a_hire_brings_bookings_and_a_delay_costs_some_of_them(example: Briefing) -> None:
    text = briefing.onboarding_findings(example, extra_hires=2, hire_start="2026-10-01")
    gain = re.search(r"bring EUR (\d+)k of expected bookings", text)
    cost = re.search(r"Starting three months later costs EUR (\d+)k", text)
    assert gain
    assert cost
    assert 0 < int(cost[1]) < int(gain[1])
    assert "the decision must fall by 2026-07-23" in text


def test_hires_start_when_the_lead_time_lets_them(example: Briefing) -> None:
    before = briefing.capacity(example, extra_hires=0)
    after = briefing.capacity(example, extra_hires=2)
    first = after.loc[(after["headcount"] > before["headcount"]).idxmax(), "week"]
    assert first.date() == date(2026, 10, 1)
    assert (after["productive"] >= before["productive"]).all()
    assert (after["productive"] <= after["headcount"]).all()


def test_a_hire_on_the_day_of_a_planned_one_is_one_more(example: Briefing) -> None:
    before = briefing.capacity(example)["headcount"].max()
    assert briefing.capacity(example, extra_hires=3, hire_start="2026-10-05")["headcount"].max() == before + 3


def test_newcomers_have_leads_first(example: Briefing) -> None:
    text = briefing.newcomer_quotas(example)
    assert "not in the team" in text
    assert "6 qualified leads a month" in text


def test_doubts_are_said(real: Briefing) -> None:
    text = briefing.assumptions(real)
    for doubt in (
        "cut off on the left",
        "cannot be estimated and is assumed",
        "given no chance",
        "8 won deals only",
    ):
        assert doubt in text


def test_without_a_plan_the_recommended_one_is_scored_against_the_quarter(real: Briefing) -> None:
    assert not real.plan_given
    assert real.asked.full_quota == pytest.approx(real.advised.full_quota)
    assert real.asked.team_plan == pytest.approx(2_982_255)
    assert "no plan was given" in briefing.quota_findings(real)
    assert "no start dates" in briefing.onboarding_findings(real)


def test_sampling_gives_the_same_answers() -> None:
    drawn = briefing.prepare(crm_folder="example", quarter="2026Q2", engine="thinning", trials=4_000, seed=5)
    assert drawn.outcome.trials == 4_000
    solved = briefing.prepare(crm_folder="example", quarter="2026Q2")
    assert drawn.asked.expected_share == pytest.approx(solved.asked.expected_share, abs=0.02)
    assert drawn.asked.probability_team_plan == pytest.approx(solved.asked.probability_team_plan, abs=0.03)


def test_quota_texts_leave_out_what_is_not_there(example: Briefing) -> None:
    texts = briefing.quota_texts(example)
    assert texts["recommended_quota"] == f"EUR {example.advised.full_quota:,.0f} for 2026Q3"
    assert all(isinstance(text, str) for text in texts.values())


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"quarter": "2030Q1"}, DataError, "2030Q1"),
        ({"as_of": "yesterday"}, ParameterError, "write a day like 2026-06-30"),
        ({"engine": "magic"}, ParameterError, "'auto', 'exact' or 'thinning'"),
        ({"scenario": "nowhere.yaml"}, ScenarioError, "nowhere.yaml: cannot be read"),
    ],
)
def test_wrong_words_are_refused(changes: dict[str, str], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        briefing.prepare(**{"crm_folder": "example", "quarter": "2026Q2", **changes})  # type: ignore[arg-type]


def test_negative_hires_are_refused(example: Briefing) -> None:
    with pytest.raises(ParameterError, match="extra_hires is -1"):
        briefing.capacity(example, extra_hires=-1)


# --- data sets of all kinds ------------------------------------------------------------------------------


def deals(
    *,
    reps: int = 4,
    per_week: int = 3,
    won_of_ten: int = 4,
    last: str = "2026-06-30",
    weeks: int = 78,
    still_open: int = 3,
) -> list[Deal]:
    """Deals of ``reps`` sellers that close two weeks after they were created: rep, segment, stage, created,
    closed, amount. The last ``still_open`` of them are open."""
    rows: list[Deal] = []
    end = pd.Timestamp(last)
    total = weeks * per_week
    for number in range(total):
        created = end - pd.Timedelta(days=7 * weeks * (total - 1 - number) / total + still_open).round("D")
        closed = created + pd.Timedelta(days=14)
        won = number * 7 % 10 < won_of_ten
        state = ("won", closed, 1_000 + 137 * (number % 11)) if won else ("lost", closed, "")
        if closed > end:
            state = ("closing deal", "", "")
        stage, when, amount = state
        shown = when if isinstance(when, str) else f"{when:%Y-%m-%d}"
        rows.append((f"rep {number % reps}", "all", stage, f"{created:%Y-%m-%d}", shown, str(amount)))
    return rows


def csv(rows: Sequence[Deal]) -> dict[str, str]:
    head = "opportunity_id,name,rep,account,segment,source,stage,created,closed,expected_close,amount\n"
    return {
        "opportunities.csv": head
        + "".join(
            f"D{n},D{n},{rep},Amber Ltd,{segment},web,{stage},{created},{closed},,{amount}\n"
            for n, (rep, segment, stage, created, closed, amount) in enumerate(rows)
        )
    }


def of_export(
    write_export: Export, rows: Sequence[Deal], *, quarter: str = "2026Q2", as_of: str = "2026-06-30"
) -> Briefing:
    return briefing.prepare(crm_folder=str(write_export(csv(rows))), quarter=quarter, as_of=as_of)


def everything(of: Briefing) -> str:
    """All sentences and tables of a report."""
    return "\n".join(
        [
            briefing.key_findings(of, briefing.prepare_pay(of, trials=200)),
            briefing.bookings_table(of),
            briefing.forecast_table(of),
            briefing.quotas_by_quarter(of),
            briefing.robustness(of),
            briefing.assumptions(of),
            briefing.hiring(of),
            briefing.newcomer_quotas(of),
            *(str(text) for text in briefing.quota_texts(of).values()),
        ]
    )


def test_an_export_that_misses_a_few_days_stands_for_the_whole_quarter(write_export: Export) -> None:
    of = of_export(write_export, deals(last="2026-06-24"), as_of="2026-06-24")
    assert (of.upcoming, of.quarter_is_over) == ("2026Q3", True)
    assert "6 days before the end of 2026Q2, which is taken as over" in briefing.assumptions(of)
    assert "The export ends on 2026-06-24" in briefing.pipeline_findings(of)
    assert "so far" not in briefing.pipeline_findings(of)


def test_a_quarter_under_way_is_reported_so_far_and_the_next_one_forecast(write_export: Export) -> None:
    of = of_export(write_export, deals(last="2026-05-10"), as_of="2026-05-10")
    assert (of.upcoming, of.quarter_is_over) == ("2026Q3", False)
    assert all(period > "2026Q2" for period in of.outcome.periods)
    text = briefing.pipeline_findings(of)
    assert "so far** with" in text
    assert "as of 2026-05-10" in text
    assert "the quarter before" not in text
    assert "takes today's pipeline as the one at the end of 2026Q2" in text
    assert np.isnan(of.asked.team_plan), "half a quarter's bookings are no team plan"
    assert "before 2026Q2 does" in briefing.assumptions(of)
    # days that nobody has seen yet are not weeks without leads
    whole = of_export(write_export, deals(last="2026-06-30"))
    rate = "opportunities per rep and week"
    assert of.calibration.parameter(rate, "all").value == pytest.approx(
        whole.calibration.parameter(rate, "all").value, rel=0.05
    )


@pytest.mark.parametrize("days", [MOST_DAYS_MISSING, MOST_DAYS_MISSING + 1])
def test_how_many_days_may_be_missing(example: Briefing, days: int) -> None:
    tables = replace(example.tables, as_of=date.fromordinal(date(2026, 6, 30).toordinal() - days))
    assert replace(example, tables=tables).quarter_is_over == (days == MOST_DAYS_MISSING)


def test_where_a_quarter_is_too_short_the_quota_is_for_the_year(write_export: Export) -> None:
    rows = [row for n, row in enumerate(deals(reps=5, per_week=1)) if n % 2 == 0]
    of = of_export(write_export, rows)
    assert of.quota_period == HORIZON
    assert of.quota_found
    assert of.advised.expected_share == pytest.approx(0.675, abs=0.01)
    text = briefing.quota_findings(of)
    assert "A quarter is too short for a quota that 67.5 % make: only" in text
    assert "the 4 quarters 2026Q3 to 2027Q2 together" in text
    assert "four times what 2026Q2 booked" in text
    assert "for 2026Q3 to 2027Q2" in str(briefing.quota_texts(of)["recommended_quota"])
    table = cells(briefing.quotas_by_quarter(of))
    assert "fewer than 67.5 %" in table[0][4]
    assert table[-1][0] == "2026Q3 to 2027Q2"
    assert everything(of)
    curve = tradeoff(of.outcome, of.recommended, period=of.quota_period)["quota"]
    assert curve.min() <= of.advised.full_quota <= curve.max()


def test_where_even_a_year_is_too_short_it_is_said(write_export: Export) -> None:
    rows = deals(reps=30, per_week=1, won_of_ten=1)
    of = of_export(write_export, rows)
    assert not of.quota_found
    assert "There is no quota to recommend" in briefing.quota_findings(of)
    assert of.advised.sum_of_quotas == pytest.approx(of.advised.expected_bookings)
    assert set(briefing.quota_texts(of).values()) == {None}
    assert everything(of)


def test_a_plan_that_asks_nobody_is_refused(example: Briefing) -> None:
    spare = changed(example.scenario, roles=(*example.scenario.roles, Role(name="spare")))
    plan = QuotaPlan(name="nobody", annual_quota={"spare": 1.0})
    with pytest.raises(PlanError, match="nobody carries a quota"):
        _ = replace(example, plan=plan, outcome=simulate(spare)).advised


def test_quarters_without_a_quota_have_a_reason(example: Briefing) -> None:
    # 2026Q3 and 2026Q4 are the third and fourth quarter of the plan's year
    plan = example.plan.model_copy(update={"quarter_shares": (0.5, 0.5, 0.0, 0.0)})
    of = replace(example, plan=plan)
    rows = cells(briefing.quotas_by_quarter(of))
    assert [row[1] for row in rows[:2]] == ["nobody carries a quota"] * 2
    assert rows[2][1].startswith("EUR")
    assert of.quota_period == HORIZON
    assert "Nobody carries a quota in 2026Q3" in briefing.quota_findings(of)


def test_a_quarter_without_wins_is_no_team_plan(write_export: Export) -> None:
    rows = [
        (rep, segment, "lost", created, closed, "") if closed >= "2026-04-01" else row
        for row in deals()
        for rep, segment, _, created, closed, _ in [row]
    ]
    of = of_export(write_export, rows)
    assert of.plan.annual_team_plan is None
    assert "No deal was won in 2026Q2" in briefing.pipeline_findings(of)
    assert "team plan" not in briefing.quota_findings(of)
    assert "not stated" in briefing.quotas_by_quarter(of)


def test_few_data_move_no_estimate_below_nothing(write_export: Export) -> None:
    of = of_export(write_export, deals(reps=1, per_week=1, weeks=24))
    rows = cells(briefing.robustness(of))
    changes = [int(row[0].split()[-2]) for row in rows[1:]]
    assert changes
    assert all(change > -100 for change in changes)
    shares = {row[0]: int(row[2].split()[0]) for row in rows}
    assert all(
        (shares[name] >= shares["all as estimated"]) == ("+" in name)
        for name in shares
        if name != "all as estimated" and shares[name] != shares["all as estimated"]
    )


def test_a_kind_without_an_interval_has_no_row(example: Briefing) -> None:
    parameters = tuple(
        replace(p, low=float("nan"), high=float("nan")) if p.unit == "money" else p
        for p in example.calibration.parameters
    )
    of = replace(example, calibration=replace(example.calibration, parameters=parameters))
    assert "deal size" not in briefing.robustness(of)
    assert "leads" in briefing.robustness(of)


@pytest.mark.parametrize(
    ("hires", "start", "message"),
    [
        (2000, "", "extra_hires is 2000; it must be 0 to 1,000"),
        (2, "9999-12-20", "hire_start is 9999-12-20; it must lie between 2026-06-30 and 2037-"),
        (2, "0001-01-01", "hire_start is 0001-01-01; it must lie between"),
    ],
)
def test_hires_out_of_reach_are_refused(example: Briefing, hires: int, start: str, message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        briefing.onboarding_findings(example, extra_hires=hires, hire_start=start)


def test_hires_after_the_simulated_quarters_bring_nothing_yet(example: Briefing) -> None:
    text = briefing.onboarding_findings(example, extra_hires=1, hire_start="2029-01-01")
    assert "1 more hire (account executive) on 2029-01-01 starts after the simulated quarters" in text
    assert "and brings nothing until the end of 2027Q2" in text
    assert "three months later" not in text


def test_one_hire_is_written_as_one(example: Briefing) -> None:
    text = briefing.onboarding_findings(example, extra_hires=1, hire_start="2026-07-10")
    assert re.search(r"1 more hire \(.*\) on 2026-07-10 brings", text)
    assert "the decision had to fall by" in text


def test_a_hire_in_a_segment_that_the_export_lacks_names_those_it_has(tmp_path: Path) -> None:
    shipped = (EXAMPLE / "scenario.yaml").read_text(encoding="utf-8")
    path = tmp_path / "small.yaml"
    changed_text = shipped.replace("name: SMB", "name: Small").replace(
        "start: 2026-10-05, count: 2", "start: 2026-10-05, count: 2, segments: {Small: 1.0}"
    )
    assert "segments: {Small: 1.0}" in changed_text
    path.write_text(changed_text, encoding="utf-8")
    with pytest.raises(ScenarioError, match=r"whose segments are 'SMB'.*hires\[0\]") as caught:
        briefing.prepare(crm_folder="example", quarter="2026Q2", scenario=str(path))
    assert "small.yaml" in str(caught.value)


def test_newcomers_are_judged_by_the_quota_of_their_own_role(example: Briefing) -> None:
    world = one_stage_world(reps=2, quarters=4)
    veterans = tuple(
        rep.model_copy(update={"role": role, "start": date(2019, 1, 1)})
        for rep, role in zip(world.reps, ("AE", "SMB AE"), strict=True)
    )
    roles = (*world.roles, Role(name="SMB AE"))
    plan = QuotaPlan(name="roles", annual_quota={"AE": 400_000.0, "SMB AE": 200_000.0})

    def written(world_now: object, plan_now: QuotaPlan) -> str:
        of = replace(example, plan=plan_now, calibration=replace(example.calibration, scenario=world_now))
        return briefing.newcomer_quotas(of)

    settled = changed(world, reps=veterans, roles=roles)
    assert "Nobody who carries a quota is ramping" in written(settled, plan)
    leads_first = plan.model_copy(
        update={"ramp_relief": RampRelief(leads_first_months=3, qualified_leads_per_month=5.0)}
    )
    hired = changed(settled, hires=(Hire(role="AE", start=date(2026, 4, 1)),))
    row = cells(written(hired, leads_first))[0]
    assert row[1:] == ["not in the team", "no revenue quota", "EUR 100,000", "EUR 100,000"]


def test_two_reps_cannot_land_in_the_band(write_export: Export) -> None:
    text = briefing.quota_findings(of_export(write_export, deals(reps=2)))
    assert "With 2 reps the share cannot land in 60–75 %: that takes at least 3 reps." in text
    assert "is small" not in text
    assert "of 1 rep are" not in text
    assert "1 rep on the payroll carries" in everything(of_export(write_export, deals(reps=1)))


def test_small_and_likely_are_said_of_those_that_are(example: Briefing) -> None:
    advised = example.advised
    assert f"a team of {len(advised.reps)} is small" in briefing.quota_findings(example)

    def written(**parts: object) -> str:
        of = replace(example)
        of.__dict__["advised"] = replace(advised, **parts)  # in place of the one that would be worked out
        return briefing.quota_findings(of)

    assert "is small" not in written(reps=pd.concat([advised.reps] * 20))
    likely = written(probability_band=0.93)
    assert "Even then" not in likely
    assert "with probability 93 %" in likely
    assert "more than 50–80 % can make" in written(
        band=(0.5, 0.8), over_assignment=-0.1, probability_team_plan=0.5
    )


def test_what_became_of_the_deals_of_the_quarter(write_export: Export) -> None:
    some = briefing.pipeline_findings(of_export(write_export, deals()))
    assert re.search(r"Of the \d+ \*created\* in the quarter \d+ % are won by now and \d+ % still open", some)
    assert re.search(r"are won in the end \(80 % interval .*, n = \d+\)", some)
    settled = [row for row in deals() if row[4]]
    none = briefing.pipeline_findings(of_export(write_export, settled))
    assert "none is still open" in none
    assert "in the end" not in none
    quiet = [row for row in deals() if row[4] and row[4] < "2026-04-01"]
    quiet.append(("rep 1", "all", "closing deal", "2026-06-20", "", ""))
    text = briefing.pipeline_findings(of_export(write_export, quiet))
    assert "No deal was closed in 2026Q2." in text
    assert "n = 0" not in text


@pytest.mark.parametrize("reps", [1, 3, 30])
@pytest.mark.parametrize("still_open", [0, 3])
def test_no_sentence_has_a_hole(write_export: Export, reps: int, still_open: int) -> None:
    of = of_export(write_export, deals(reps=reps, still_open=still_open, weeks=30, per_week=2))
    for sentence in briefing.key_findings(of, briefing.prepare_pay(of, trials=200)).split("\n"):
        assert not re.search(r"(^|[\s*(])–([\s*),.]|$)", sentence.removeprefix("- ")), sentence
        assert "nan" not in sentence


def test_the_method_is_tested_on_past_quarters(example: Briefing, real: Briefing) -> None:
    frame = briefing.backtest(example)
    assert frame["quarter"].tolist() == ["2026Q2", "2026Q1", "2025Q4", "2025Q3"]
    assert (frame["p10"] < frame["p50"]).all()
    assert (frame["inside"] == frame["booked"].between(frame["p10"], frame["p90"])).all()
    only = briefing.backtest(real)
    assert only["quarter"].tolist() == ["2017Q3"]  # before it there is one whole quarter, not more
    assert only["booked"].iloc[0] == 2_982_255
    assert bool(only["inside"].iloc[0])


def test_an_earlier_day_means_the_same_whether_it_comes_from_the_quarter_or_is_given(real_data: Path) -> None:
    folder = str(real_data / "maven_crm")
    by_quarter = briefing.prepare(crm_folder=folder, quarter="2017Q2")
    by_day = briefing.prepare(crm_folder=folder, quarter="2017Q2", as_of="2017-06-30")
    assert briefing.quota_findings(by_day) == briefing.quota_findings(by_quarter)


def test_every_quarter_of_the_example_can_be_reported() -> None:
    for quarter in ("2025Q2", "2025Q3", "2025Q4", "2026Q1"):
        then = briefing.prepare(crm_folder="example", quarter=quarter)
        assert "expected to book" in briefing.pipeline_findings(then)
        assert briefing.quotas_by_quarter(then)


def test_sources_and_funnel_are_counted_from_the_leads(example: Briefing) -> None:
    funnel = briefing.lead_funnel(example)
    assert funnel["number"].iloc[0] == len(example.tables.leads)
    assert (np.diff(funnel["number"]) < 0).all()
    rows = {row[0]: row for row in cells(briefing.sources_table(example))}
    assert set(rows) == {"website", "referral", "trade show", "outbound"}
    leads = sum(int(row[1].replace(",", "")) for row in rows.values())
    assert leads == len(example.tables.leads)


def test_without_leads_or_history_the_chapter_says_so(real: Briefing) -> None:
    assert briefing.lead_funnel(real).empty
    assert briefing.sources_table(real) == "The export has no lead source."
    assert "No bottleneck can be named" in briefing.bottleneck_finding(real)


def test_unequal_territories_are_named(real: Briefing) -> None:
    text = briefing.quota_findings(real)
    assert "One quota for all cannot be fair here" in text
