"""Findings: what a quarter's report says is computed, consistent, and honest about what is missing."""

from __future__ import annotations

import re
from datetime import date
from pathlib import Path

import numpy as np
import pytest

from salessim import briefing
from salessim.briefing import Briefing
from salessim.engine.rates import rates_of
from salessim.errors import DataError, ParameterError, ScenarioError


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
    front = briefing.key_findings(example)
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
    assert "no revenue quota" in text
    assert "6 qualified leads a month" in text


def test_doubts_are_said(real: Briefing) -> None:
    text = briefing.assumptions(real)
    for doubt in (
        "cut off on the left",
        "cannot be estimated and is assumed",
        "count as dead",
        "9 won deals only",
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
