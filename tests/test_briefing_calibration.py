"""The chapter on calibration: the verdict first, the evidence under it, charts that say what they show."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from salessim import briefing, charts
from salessim.briefing import Briefing
from salessim.calibrate import PosteriorCheck

COLUMNS = ["quarter", "measure", "view", "p10", "p50", "p90", "actual", "percentile", "inside"]


@pytest.fixture(scope="module")
def report() -> Briefing:
    return briefing.prepare(crm_folder="example", quarter="2026Q2")


@pytest.fixture(scope="module")
def check(report: Briefing) -> PosteriorCheck:
    return briefing.check_past(report, quarters=2)


def made_up(percentiles: list[float], *, view: str = "back-test") -> PosteriorCheck:
    """A check whose back-test falls at these places of a range of 80 to 120 thousand."""
    rows = []
    for k, place in enumerate(percentiles):
        actual = 60e3 + 80e3 * place
        rows.append([f"Q{k}", "bookings", view, 80e3, 100e3, 120e3, actual, place, 80e3 <= actual <= 120e3])
    return PosteriorCheck(pd.DataFrame(rows, columns=COLUMNS), ())


def test_the_chapter_begins_with_its_answer(report: Briefing, check: PosteriorCheck) -> None:
    text = briefing.calibration_findings(report, check)
    held = check.coverage().set_index(["view", "measure"]).loc[("back-test", "bookings"), "held"]
    assert text.startswith("- **Nothing speaks against this scenario, and little can speak for it yet**")
    assert f"held in {held} of 2 past quarters" in text
    assert "So few quarters can disprove a method, not prove it." in text
    assert "**Assumed, because the data cannot tell**: weeks to full productivity" in text
    assert "growth of demand 0.0 % (6 full quarters of history, 8 are needed)" in text


@pytest.mark.parametrize(
    ("percentiles", "answer"),
    [
        ([0.3, 0.7] * 6, "**The scenario can be trusted as far as its ranges go**"),
        ([0.02, 0.99] * 5, "**Do not rely on its ranges: they are too narrow"),
        ([0.5] * 30, "**Its ranges are wider than need be**"),
    ],
)
def test_the_verdict_follows_from_how_often_ranges_held(
    report: Briefing, percentiles: list[float], answer: str
) -> None:
    assert briefing.calibration_findings(report, made_up(percentiles)).startswith(f"- {answer}")


def test_a_forecast_that_leans_to_one_side_is_named(report: Briefing) -> None:
    low = briefing.calibration_findings(report, made_up([0.3, 0.2, 0.4, 0.35, 0.45, 0.3]))
    assert "below the middle of the forecast in 6 of 6 quarters: it leans high." in low
    assert "leans" not in briefing.calibration_findings(report, made_up([0.3, 0.7, 0.4, 0.6, 0.2, 0.8]))


def test_without_a_past_nobody_can_say(report: Briefing) -> None:
    nothing = PosteriorCheck(pd.DataFrame([], columns=COLUMNS), ("2026Q2, back-test: too little",))
    assert "**Nobody can say yet whether this scenario can be trusted**" in briefing.calibration_findings(
        report, nothing
    )
    hindsight = briefing.calibration_findings(report, made_up([0.5], view="in-sample"))
    assert "nothing yet says how good its forecasts are" in hindsight


def test_each_actual_quarter_stands_beside_its_place(report: Briefing, check: PosteriorCheck) -> None:
    table = briefing.check_table(report, check).replace("\N{NO-BREAK SPACE}", " ")
    for row in check.quarters.to_dict("records"):
        line = next(line for line in table.splitlines() if line.startswith(f"| {row['quarter']} |"))
        if row["measure"] == "bookings":
            assert report.money(row["actual"]) in line
        if 0.01 <= row["percentile"] <= 0.99:
            assert f"{row['percentile'] * 100:.0f} %" in line
    assert "| bookings | back-test |" in table


def test_every_parameter_stands_in_the_table(report: Briefing) -> None:
    table = briefing.parameters_table(report)
    for parameter in report.calibration.parameters:
        assert f"| {parameter.segment or 'all'} | {parameter.name} |" in table
    size = report.calibration.parameter("mean deal size", "SMB")
    ends = f"EUR {size.low:,.0f} to {size.high:,.0f}"
    assert f"| SMB | mean deal size | EUR {size.value:,.0f} | {ends} | {size.n} | {size.note} |" in table


def test_notes_say_what_is_used_and_what_is_assumed(report: Briefing) -> None:
    assert briefing.ramp_note(report).startswith("The ramp is an assumption (25 weeks to 95 %): 2 newcomers")
    assert "Season and growth: unknown (6 full quarters of history, 8 are needed)" in briefing.demand_note(
        report
    )
    evidence = report.calibration.evidence
    furthest = (evidence.skills["pooled"] - evidence.skills["raw"]).abs().idxmax()
    assert f"towards the team: {evidence.skills['rep'][furthest]}, from" in briefing.skills_note(report)
    chance = f"{evidence.sizes['p_value'][0]:.1%}".replace("%", " %")
    assert f"this much in {chance} of cases (Lilliefors' test; refused below 5 %)" in briefing.sizes_table(
        report
    )
    website = evidence.sources.query("segment == 'SMB' and source == 'website'").iloc[0]
    row = f"| SMB | website | inbound (as the scenario writes) | {website['deals']} |"
    assert row in briefing.source_effects_table(report)
    assert len(briefing.calibration_warnings(report).splitlines()) == len(report.calibration.warnings)


def test_curves_of_deal_sizes_rise_and_keep_to_what_was_seen(report: Briefing) -> None:
    curves = briefing.deal_size_curves(report)
    assert set(curves["segment"]) == {"SMB", "mid-market"}
    for _, part in curves.groupby("segment"):
        assert part["amount"].is_monotonic_increasing
        assert part["law"].between(0, 1).all()
        assert (part["law"] - part["observed"]).abs().max() < 0.12


def test_charts_state_their_finding(report: Briefing, check: PosteriorCheck) -> None:
    evidence = report.calibration.evidence
    ranges = briefing.posterior_ranges(check)
    inside = int(ranges.loc[ranges["view"] == "back-test", "inside"].sum())
    label = charts.past_ranges(ranges, currency="EUR").get_label()
    assert label == f"The forecast range held in {inside} of 2 past quarters"
    hindsight = charts.past_ranges(ranges[ranges["view"] == "in-sample"]).get_label()
    assert str(hindsight).startswith("The scenario's range held in")
    assert charts.past_ranges(ranges[:0]).get_label() == "No past quarter is covered in full"
    skills = str(charts.skills_by_rep(evidence.skills).get_label())
    more = int((evidence.skills["low"] > 1).sum())
    assert skills.startswith(f"{more} of 10 reps")
    few = replace(evidence, skills=evidence.skills.assign(low=np.nan)).skills
    assert charts.skills_by_rep(few).get_label() == "Too few reps to tell skill from luck"
    demand = str(charts.demand_by_quarter(evidence.demand).get_label())
    ends = evidence.demand["ratio"].agg(["min", "max"]) - 1
    assert demand.startswith(
        f"Demand was {-ends['min'] * 100:.0f} % below to {ends['max'] * 100:.0f} % above a steady market"
    )
    moving = evidence.demand.assign(pattern=np.linspace(0.8, 1.2, len(evidence.demand)))
    assert "season and growth that are used" in str(charts.demand_by_quarter(moving).get_label())
    sizes = str(charts.deal_sizes(briefing.deal_size_curves(report)).get_label())
    assert sizes.startswith("The curves of deal sizes that are used lie within")
    ramp = pd.DataFrame(
        {"month": [1, 2, 3], "newcomers": [3, 3, 2], "share": [0.2, 0.5, 1.0], "low": [0.1, 0.3, 0.6],
         "high": [0.4, 0.8, 1.5]}
    )  # fmt: skip
    curve = pd.DataFrame({"month": [1, 2, 3], "share": [0.2, 0.6, 1.0]})
    assert charts.ramp_evidence(ramp, curve).get_label() == (
        "3 newcomers show a ramp to full pace in month 3; the line fits 3 of 3 months"
    )
