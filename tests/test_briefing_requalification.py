"""Chapter 9 in words and pictures: sentences that agree with the audit, pictures whole and readable."""

from __future__ import annotations

import dataclasses
import itertools
import re
from collections.abc import Callable
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.colors import to_hex

from salessim import briefing, charts, formats
from salessim.audit import Audit
from salessim.briefing import Briefing
from salessim.charts.style import BLUE, FAINT, ORANGE
from salessim.crm.canonical import empty
from salessim.errors import DataError
from tests.test_charts_quota_pay import LONG, figure_of, words


@pytest.fixture(scope="module")
def report() -> Briefing:
    return briefing.prepare(crm_folder="example", quarter="2026Q2")


@pytest.fixture(scope="module")
def found(report: Briefing) -> Audit:
    return briefing.audited(report)


def with_deals(found: Audit, deals: pd.DataFrame) -> Audit:
    return dataclasses.replace(found, deals=deals.reset_index(drop=True))


def test_the_answer_comes_first_and_its_figures_are_the_audits(found: Audit) -> None:
    lines = briefing.requalification_findings(found).splitlines()
    deals = found.deals
    back = deals["move"] == "back"
    share = 1 - deals.loc[back, "amount"].sum() / deals["amount"].sum()
    assert lines[0].startswith(
        f"- **{formats.percent(share)} of the open pipeline's value is where it claims"
    )
    assert f"{back.sum()} of {len(deals)} deals claim more than is evidenced" in lines[0]
    before, after = deals["claimed_weighted"].sum(), deals["evidenced_weighted"].sum()
    assert formats.money(after, "EUR", short=True) in lines[1]
    assert f"{formats.percent(1 - after / before)} less" in lines[1]
    story = next(line for line in lines if "are cold" in line)
    assert "offer under review" in story
    assert "no proof of: decision maker, pain" in story
    assert any("*signature*, which is held against no deal" in line for line in lines)


def test_chances_are_those_of_the_calibrated_scenario(report: Briefing, found: Audit) -> None:
    measured = {
        (part.name, stage.name): chance
        for part in report.scenario.segments
        for stage, chance in zip(part.stages, part.close_probabilities(), strict=True)
    }
    for row in found.deals.to_dict("records"):
        assert row["claimed_chance"] == pytest.approx(measured[row["segment"], row["claimed_stage"]])
    assert found.stages[:3] == ("new lead", "cold lead", "warm lead")  # stages that only the scenario knows


def test_tables_add_up(found: Audit) -> None:
    total = briefing.requalification_stages(found).splitlines()[-1]
    deals = found.deals
    value = formats.money(deals["amount"].sum(), "EUR", short=True)
    cells = [cell.strip() for cell in total.strip("|").split("|")]
    assert cells[1] == cells[4] == str(len(deals))
    assert cells[2] == cells[5] == value
    reps = briefing.requalification_reps(found)
    assert f"| **all reps** | {len(deals)} | {(deals['move'] == 'back').sum()} |" in reps
    assert len(reps.splitlines()) == 3 + deals["rep"].nunique()


def test_deals_to_requalify_are_listed_the_largest_first_and_cut_with_a_count(found: Audit) -> None:
    whole = briefing.requalification_deals(found, most=100)
    numbers = re.findall(r"\((O\d{5})\)", whole)
    assert numbers == found.to_requalify()["opportunity_id"].tolist()
    cut = briefing.requalification_deals(found, most=3)
    rest = found.to_requalify().iloc[3:]
    assert (
        f"… and {len(rest)} deals more, worth {formats.money(rest['amount'].sum(), 'EUR', short=True)}" in cut
    )
    typical = found.deals["amount_is_typical"] & (found.deals["move"] == "back")
    assert whole.count("≈") == typical.sum()
    fine = with_deals(found, found.deals[found.deals["move"] != "back"])
    assert briefing.requalification_deals(fine) == "No open deal claims more than is evidenced."


def test_one_deal_is_written_as_one(found: Audit) -> None:
    one = with_deals(found, found.deals.iloc[:1])
    text = briefing.requalification_findings(one)
    assert "1 of 1 deal claims more" in text
    assert "**1 deal worth" in text
    assert "is cold**" in text
    assert "deals" not in text.splitlines()[2]


def test_without_a_known_chance_nothing_is_weighted(found: Audit) -> None:
    silent = with_deals(found, found.deals.assign(claimed_weighted=np.nan, evidenced_weighted=np.nan))
    assert "cannot be said: no chance is known" in briefing.requalification_findings(silent).splitlines()[1]
    assert briefing.requalification_reps(silent).splitlines()[-1].count(formats.MISSING) == 2


def test_what_runs_out_next_comes_first(found: Audit) -> None:
    text = briefing.going_stale_table(found, most=5)
    days = [int(line.split("|")[5]) for line in text.splitlines()[2:7]]
    assert days == sorted(days)
    assert days[-1] <= 14
    fresh = with_deals(found, found.deals.assign(days_until_stale=np.nan))
    assert briefing.going_stale_table(fresh) == "No evidence runs out within 14 days."


def test_the_text_of_the_command_has_findings_and_all_tables(found: Audit) -> None:
    text = briefing.requalification_text(found)
    for part in (
        briefing.requalification_findings, briefing.requalification_stages,
        briefing.requalification_deals, briefing.requalification_reps,
    ):  # fmt: skip
        assert part(found) in text


def test_a_filled_sheet_and_a_scenario_of_ones_own(report: Briefing, found: Audit, tmp_path: Path) -> None:
    path = briefing.write_audit(found, tmp_path / "audit.xlsx")
    again = briefing.audited(report, evidence=str(path))
    pd.testing.assert_frame_equal(again.deals, found.deals)
    # the calibrated scenario has no exit criteria: its criteria are spread, and said so
    own = tmp_path / "own.yaml"
    own.write_text(report.scenario.to_yaml(), encoding="utf-8")
    spread = briefing.requalification_findings(briefing.audited(report, scenario=str(own)))
    assert "No stage has exit criteria of its own" in spread
    with pytest.raises(DataError, match="does not exist"):
        briefing.audited(report, evidence=str(tmp_path / "none.csv"))
    sheet = tmp_path / "more.csv"
    sheet.write_text("deal,pain\nO00001,yes\nX1,yes\n", encoding="utf-8")
    more = briefing.requalification_findings(briefing.audited(report, evidence=str(sheet)))
    assert (
        "The sheet has deals that are not open: O00001 (row 2: won by now), X1 (row 3: not in the export)."
        in more
    )


def test_an_export_without_evidence_says_so_and_is_judged_by_age(report: Briefing) -> None:
    never = np.datetime64("NaT", "ns")
    bare = report.tables.opportunities.assign(
        next_step=None, **dict.fromkeys(["next_step_date", "purchase_date", "expected_close"], never)
    )
    tables = dataclasses.replace(
        report.tables, opportunities=bare, evidence=empty("evidence"), leads=empty("leads")
    )
    without = dataclasses.replace(report, tables=tables)
    audited = briefing.audited(without)
    text = briefing.requalification_findings(audited)
    assert text.startswith("- **Judged by age alone, ")
    assert "**The export has no evidence of any criterion**" in text
    assert "as good as dead" in text
    assert set(audited.to_requalify()["dead"]) == {True}
    told = briefing.prepare_criteria(without)
    assert told.effects is None
    assert "no evidence of closed deals" in briefing.criteria_findings(told)
    assert briefing.criteria_table(told) == "There is no estimate to list."
    assert charts.criteria_changes(told.levels).get_label() == "No closed deal tells which criterion matters"
    plt.close("all")


def test_what_matters_agrees_with_the_estimate(report: Briefing) -> None:
    told = briefing.prepare_criteria(report)
    assert told.effects is not None
    closed = report.tables.opportunities["status"] != "open"
    assert told.effects.n == closed.sum()
    text = briefing.criteria_findings(told)
    top = told.effects.levels.query("level == 'evidenced'").sort_values("change").iloc[-1]
    assert f"higher for *{top['criterion']}* ({100 * top['change']:+.0f} points)" in text
    assert "better than somebody who knows only the share won" in text
    assert "not as what evidence by itself would bring" in text
    table = briefing.criteria_table(told).splitlines()
    assert len(table) == 2 + told.effects.criteria.shape[0]
    assert table[2].split("|")[1].strip() == told.effects.criteria["criterion"].iat[0]


def test_too_few_closed_deals_give_a_reason(report: Briefing) -> None:
    deals = report.tables.opportunities
    few = pd.concat([deals[deals["status"] == "open"], deals[deals["status"] == "won"].head(12)])
    tables = dataclasses.replace(report.tables, opportunities=few.reset_index(drop=True))
    told = briefing.prepare_criteria(dataclasses.replace(report, tables=tables))
    assert "12 won and 0 lost deals are too few" in briefing.criteria_findings(told)


# --- pictures ----------------------------------------------------------------------------------------------


def stages(
    names: tuple[str, ...] = ("cold lead", "warm lead", "potential deal"), deals: int = 9
) -> pd.DataFrame:
    number = len(names)
    count = np.full(number, deals)
    value = 1e5 * np.arange(1, number + 1)
    return pd.DataFrame(
        {"stage": names, "deals_before": count, "value_before": value, "weighted_before": value / 2,
         "deals_after": count[::-1], "value_after": value[::-1], "weighted_after": value[::-1] / 4}
    )  # fmt: skip


def levels(names: tuple[str, ...] = ("pain", "fit"), change: float = 0.1) -> pd.DataFrame:
    rows = [
        (name, level, 1234, sign * change, sign * change - 0.05, sign * change + 0.05)
        for name in names
        for level, sign in (("evidenced", 1), ("not evidenced", -1))
    ]
    frame = pd.DataFrame(rows, columns=["criterion", "level", "n", "change", "change_low", "change_high"])
    return frame.assign(could_be_luck=(frame["change_low"] <= 0) & (frame["change_high"] >= 0))


DRAWN: dict[str, Callable[[], Axes]] = {
    "pipeline": lambda: charts.requalified_pipeline(stages(), currency="EUR"),
    "pipeline, one stage": lambda: charts.requalified_pipeline(stages(("open",), deals=1), currency="XXX"),
    "pipeline, long names": lambda: charts.requalified_pipeline(stages(LONG), currency="PLN"),
    "pipeline, empty": lambda: charts.requalified_pipeline(stages(deals=0), currency="EUR"),
    "criteria": lambda: charts.criteria_changes(levels()),
    "criteria, long names": lambda: charts.criteria_changes(levels(LONG)),
    "criteria, many": lambda: charts.criteria_changes(levels(tuple(f"criterion {k}" for k in range(15)))),
    "criteria, luck": lambda: charts.criteria_changes(levels(change=0.02)),
    "criteria, empty": lambda: charts.criteria_changes(levels().head(0)),
}


@pytest.mark.parametrize("name", DRAWN)
def test_every_text_lies_inside_the_figure_and_none_over_another(name: str) -> None:
    ax = DRAWN[name]()
    figure = figure_of(ax)
    figure.canvas.draw()
    whole = figure.bbox.padded(1)
    boxes = [(text.get_text(), text.get_window_extent()) for text in words(ax)]
    for text, box in boxes:
        assert whole.x0 <= box.x0 <= box.x1 <= whole.x1, text
        assert whole.y0 <= box.y0 <= box.y1 <= whole.y1, text
    for (one, first), (other, second) in itertools.combinations(boxes, 2):
        assert not first.padded(-1).overlaps(second.padded(-1)), (one, other)
    assert ax.get_label()
    plt.close("all")


def title(ax: Axes) -> str:
    return str(ax.get_label())


def test_titles_say_what_the_numbers_show(tmp_path: Path) -> None:
    assert title(charts.requalified_pipeline(stages(), currency="EUR")) == (
        "The weighted pipeline is worth EUR 150k, not EUR 300k, once 27 deals stand where the audit puts them"
    )
    same = stages().assign(weighted_after=stages()["weighted_before"])
    assert "as claimed, also once 27 deals" in title(charts.requalified_pipeline(same, currency="EUR"))
    silent = stages().assign(weighted_before=np.nan, weighted_after=np.nan)
    assert title(charts.requalified_pipeline(silent, currency="EUR")).startswith("Open deals worth EUR 600k")
    assert title(DRAWN["pipeline, empty"]()) == "No deal is open on the day of the audit"
    strong = levels().replace({"change": {-0.1: -0.2}})
    assert title(charts.criteria_changes(strong)).startswith("‘pain’ not evidenced: chance to win 20 points")
    assert "by more than luck" in title(DRAWN["criteria, luck"]())
    first, second = (
        charts.save(DRAWN["pipeline"](), path=tmp_path / f"{k}.svg").read_bytes() for k in (1, 2)
    )
    assert first == second
    plt.close("all")


def test_what_could_be_luck_is_pale() -> None:
    frame = pd.concat([levels(("pain",)), levels(("fit",), change=0.02)])
    dots = charts.criteria_changes(frame).collections[1]
    shades = [to_hex(tuple(colour)).upper() for colour in np.asarray(dots.get_facecolor())]
    assert shades == [FAINT, FAINT, ORANGE, BLUE]  # from below
    plt.close("all")
