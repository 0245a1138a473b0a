"""Chapter 1 in sentences and tables: win rates, stages with their cost, cohorts, slipped and dead deals."""

from __future__ import annotations

from pathlib import Path

import pytest

from salessim import briefing, measures
from salessim.briefing import Briefing
from salessim.errors import ParameterError


@pytest.fixture(scope="module")
def example() -> Briefing:
    return briefing.prepare(crm_folder="example", quarter="2026Q2")


@pytest.fixture(scope="module")
def maven(real_data: Path) -> Briefing:
    return briefing.prepare(crm_folder=str(real_data / "maven_crm"), quarter="2017Q3")


def test_win_rates_stand_side_by_side_with_the_reason(example: Briefing) -> None:
    text = briefing.win_rates_text(example)
    assert "| Win rate of deals created | won ÷ created in the period |" in text
    assert "still open" in text
    assert "lost deals have no list price" in text


def test_a_bottleneck_is_named_with_its_cost_or_a_lever(example: Briefing) -> None:
    fine = briefing.bottleneck_finding(example)
    assert fine.startswith(
        "No bottleneck can be named: no stage falls short of its norm in 2026Q2. Over the whole"
    )
    assert "five points more there would bring a usual quarter" in fine
    past = briefing.prepare(crm_folder="example", quarter="2026Q1")
    found = measures.bottleneck(past.tables, quarter=past.quarter)
    assert found.stage
    text = briefing.bottleneck_finding(past)
    assert f"is *{found.stage}***" in text
    assert f"would book {past.money(found.gain.value)} more" in text
    assert f"| {found.stage}: " in briefing.stage_gaps_table(past)


def test_stages_cohorts_and_concentration_are_tables(example: Briefing) -> None:
    stages = briefing.stage_times_table(example)
    assert len(stages.splitlines()) == 4
    assert "| closing deal | 358 | 146 | 19 |" in stages
    cohorts = briefing.cohorts_table(example)
    assert "| settled |" in cohorts
    assert cohorts.count("| 2026Q2 ") == 4
    largest = briefing.deal_concentration(example)
    shares = largest[largest["which"] == "open"]["share"]
    row = measures.measure("open_five_largest_deals_share", example.tables).iloc[0]
    assert shares.iloc[4] == pytest.approx(row["value"])
    effective = measures.measure("effective_deals_won", example.tables, quarter=example.quarter).iloc[0]
    assert largest[largest["which"] == "won"]["effective"].iloc[0] == pytest.approx(effective["value"])
    assert "came from one source (website)" in briefing.concentration_finding(example)


def test_slipped_and_dead_deals_are_counted_and_listed(example: Briefing) -> None:
    slipped = briefing.slipped_deals_text(example)
    found = measures.slipped_deals(example.tables)
    assert f"({len(found)} of " in slipped
    assert f"| {found['opportunity_id'].iloc[0]} |" in slipped
    assert "older than any deal that closed took (" in briefing.dead_pipeline_finding(example)


def test_own_norms_and_the_field_stand_beside_the_figures(example: Briefing) -> None:
    plain = briefing.benchmarks_table(example)
    assert plain.splitlines()[0] == "| measure | 2026Q2 | the field reports |"
    assert "| 33.0 % | share of reps at quota in the first half of 2023 | Lightspeed, 2023 sales" in plain
    own = briefing.benchmarks_table(example, benchmarks="win_rate=0.25; sales_cycle_days = 60;")
    assert "| 25.0 % | 15.0 % to 30.0 % (3 sources, S, W) |" in own
    assert "| Average sales cycle |" in own
    with pytest.raises(ParameterError, match="benchmarks has 'win_rate'; write name=number"):
        briefing.benchmarks_table(example, benchmarks="win_rate")
    with pytest.raises(ParameterError, match="'winrate'"):
        briefing.benchmarks_table(example, benchmarks="winrate=0.2")


def test_an_export_without_history_leads_or_dates_is_told_in_sentences(maven: Briefing) -> None:
    assert briefing.stage_times_table(maven).startswith("The export has no stage history")
    assert briefing.bottleneck_finding(maven).endswith("the export has no stage history.")
    assert briefing.stage_gaps_table(maven).startswith("There are no stages to compare")
    assert briefing.cohorts_table(maven) == "The export has no leads."
    assert "no expected closing dates" in briefing.slipped_deals_text(maven)
    assert "530 of 2,409 dated open deals (22 %" in briefing.dead_pipeline_finding(maven)
    assert "the export has no lead source" in briefing.concentration_finding(maven)
    assert briefing.stage_survival(maven).empty
    assert briefing.lead_cohorts(maven).empty
    assert "The pipeline grows" in briefing.win_rates_text(maven)


def test_measures_of_the_command_line_by_several_splits_and_beside_the_field(example: Briefing) -> None:
    text = briefing.measures_text(example.tables, quarter="2026Q2", measure="won_value", by="segment, source")
    assert text.splitlines()[0] == "| segment | source | value | 80 % interval | n | note |"
    assert "| SMB | website |" in text
    assert "the field reports" in briefing.measures_text(example.tables, quarter="2026Q2", field=True)
