"""Answers beside the catalogue: win rates explained, cohorts, slipped and dead deals, costs, the field."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import date

import numpy as np
import pandas as pd
import pytest

from salessim import crm, measures
from salessim.errors import DataError, ParameterError
from salessim.measures import StageNorm
from salessim.periods import Quarter
from tests.measures.exports import frame, random_export

Q2 = Quarter(2026, 2)


def deals_of(*rows: tuple[str, str, str | None, float]) -> crm.Tables:
    """Deals as (status, created, closed, list price); won ones for their list price."""
    status, created, closed, price = zip(*rows, strict=True)
    size = len(rows)
    amount = [value if state == "won" else math.nan for state, value in zip(status, price, strict=True)]
    columns = {
        "opportunity_id": [f"O{number}" for number in range(size)], "rep": ["Ada"] * size,
        "segment": ["all"] * size, "stage": ["warm" if state == "open" else state for state in status],
        "status": status, "created": created, "closed": closed, "amount": amount, "list_price": price,
        "row": range(2, size + 2),
    }  # fmt: skip
    base = random_export(1, deals=4)
    return replace(
        base,
        opportunities=frame("opportunities", columns),
        stage_history=base.stage_history.iloc[:0],
        leads=base.leads.iloc[:0],
    )


# --- win rates ---------------------------------------------------------------------------------------------


def test_win_rates_that_agree_need_no_words() -> None:
    half = [("won", "2026-04-02", "2026-05-01", 100.0), ("lost", "2026-04-02", "2026-05-01", 100.0)]
    found = measures.win_rates(deals_of(*half * 5), quarter=Q2)
    assert found.table["value"].tolist() == [0.5, 0.5, 0.5]
    assert found.reasons == ()


def test_win_rates_say_what_makes_them_differ() -> None:
    closed = [("won", "2026-04-02", "2026-05-01", 100.0), ("lost", "2026-04-02", "2026-05-01", 400.0)] * 5
    still_open = [("open", "2026-06-01", None, 100.0)] * 10
    found = measures.win_rates(deals_of(*closed, *still_open), quarter=Q2)
    assert found.table["value"].tolist() == [0.25, 0.5, 0.2]
    unfinished, growing, by_value = found.reasons
    assert "10 of the 20 deals created are still open (50 %)" in unfinished
    assert "Of those decided, 50 % were won" in unfinished
    assert "20 deals were created while 10 closed" in growing
    assert "the deals lost are larger than those won (EUR 400 on average, against EUR 100)" in by_value
    earlier = [("won", "2026-01-02", "2026-05-01", 100.0)] * 9 + [
        ("lost", "2026-04-02", "2026-05-01", 1.0)
    ] * 3
    reasons = measures.win_rates(deals_of(*earlier), quarter=Q2).reasons
    assert "The pipeline shrinks: 12 deals closed while 3 were created" in reasons[0]


def test_maven_win_rates_of_the_cut_quarter_are_said_to_be_an_artefact(maven: crm.Tables) -> None:
    found = measures.win_rates(maven, quarter=Quarter(2017, 1))
    assert found.table["value"].iloc[1] == pytest.approx(0.82, abs=0.005)
    assert "cut off on the left: closes before 2017-03-01 are missing" in found.reasons[0]
    whole = measures.win_rates(maven).table.set_index("name")["value"]
    assert whole["win_rate_closed"] == 3_042 / 4_726
    assert whole["win_rate"] == pytest.approx(3_042 / 7_135)


# --- cohorts -----------------------------------------------------------------------------------------------


def test_cohorts_add_up_to_the_leads_and_young_ones_are_unfinished(example: crm.Tables) -> None:
    rows = measures.lead_cohorts(example, by="source")
    deals = example.opportunities.set_index("opportunity_id")["status"]
    leads = example.leads
    assert rows["leads"].sum() == len(leads)
    assert rows["won"].sum() == (leads["opportunity_id"].map(deals) == "won").sum()
    assert rows["opportunities"].sum() == leads["opportunity_id"].notna().sum()
    assert not rows.loc[rows["month"] == rows["month"].max(), "finished"].any()
    assert rows.loc[rows["month"] == rows["month"].min(), "finished"].all()
    cell = rows[rows["leads"] > 50].iloc[5]
    own = leads[
        (leads["created"].dt.strftime("%Y-%m") == cell["month"]) & (leads["source"] == cell["source"])
    ]
    assert cell["leads"] == len(own)
    assert cell["lead_to_mql"] == pytest.approx(own["mql"].notna().mean())
    share = measures.share_estimate(int(cell["won"]), int(cell["leads"]))
    assert (cell["lead_to_won_low"], cell["lead_to_won_high"]) == pytest.approx((share.low, share.high))
    amounts = own["opportunity_id"].map(example.opportunities.set_index("opportunity_id")["amount"])
    won = own["opportunity_id"].map(deals) == "won"
    assert cell["won_value"] == pytest.approx(amounts[won].sum())
    by_quarter = measures.lead_cohorts(example, by=None, period="quarter")
    assert by_quarter["leads"].sum() == len(leads)
    chain = by_quarter["lead_to_mql"] * by_quarter["mql_to_sql"] * by_quarter["sql_to_opportunity"]
    assert (chain * by_quarter["opportunity_to_won"]).tolist() == pytest.approx(
        by_quarter["lead_to_won"].tolist()
    )


def test_cohorts_without_leads_or_without_a_step() -> None:
    tables = random_export(3)
    nothing = measures.lead_cohorts(replace(tables, leads=tables.leads.iloc[:0]))
    assert nothing.empty
    assert "lead_to_won" in nothing
    without = measures.lead_cohorts(replace(tables, leads=tables.leads.assign(mql=pd.NaT)), by=None)
    assert without["lead_to_mql"].isna().all()
    assert without["mql"].isna().all()
    assert without["lead_to_won"].notna().all()
    with pytest.raises(ParameterError, match="by is 'product'"):
        measures.lead_cohorts(tables, by="product")
    with pytest.raises(ParameterError, match="period is 'week'"):
        measures.lead_cohorts(tables, period="week")


# --- slipped and dead --------------------------------------------------------------------------------------


def test_slipped_deals_are_overdue_or_were_moved_later() -> None:
    tables = random_export(4)
    deals = tables.opportunities
    overdue = deals[(deals["status"] == "open") & (deals["expected_close"] < pd.Timestamp(tables.as_of))]
    ahead = deals[(deals["status"] == "open") & (deals["expected_close"] >= pd.Timestamp(tables.as_of))]
    found = measures.slipped_deals(tables)
    assert set(found["opportunity_id"]) == set(overdue["opportunity_id"])
    assert found["days_overdue"].is_monotonic_decreasing
    assert found["times_moved"].isna().all()
    share = measures.measure("slipped_share", tables).iloc[0]
    assert share["value"] == pytest.approx(len(overdue) / (len(overdue) + len(ahead)))
    moved = ahead.iloc[0]
    slips = pd.DataFrame(
        {
            "opportunity_id": [moved["opportunity_id"]] * 2,
            "slipped_from": pd.to_datetime(["2026-03-01", "2026-05-01"]),
            "slipped_to": pd.to_datetime(["2026-05-01", moved["expected_close"]]),
        }
    )
    row = measures.slipped_deals(tables, slips=slips).set_index("opportunity_id").loc[moved["opportunity_id"]]
    assert (row["times_moved"], row["days_overdue"]) == (2, 0)
    assert row["first_expected"] == pd.Timestamp("2026-03-01")
    assert row["reason"] == "the expected date was moved later"
    with pytest.raises(DataError, match="slips has no column 'slipped_from'"):
        measures.slipped_deals(tables, slips=slips.drop(columns="slipped_from"))


def test_dead_pipeline_by_two_limits() -> None:
    cycles = [("won", "2026-01-01", str(date(2026, 1, 1 + day)), 10.0) for day in range(1, 21)]
    slow = [("lost", "2025-01-01", "2026-05-01", 10.0)]
    open_deals = [("open", day, None, 10.0) for day in ("2026-06-29", "2026-06-01", "2025-01-01")]
    tables = deals_of(*cycles, *slow, *open_deals)
    assert measures.slowest_close_days(tables) == 485
    assert measures.close_days(tables, quantile=0.9) == 19
    rows = measures.dead_pipeline(tables, quantile=0.9)
    assert rows["older_than"].tolist() == ["90 % of the deals that closed", "any deal that closed"]
    assert rows["deals"].tolist() == [2, 1]
    assert rows["value"].tolist() == [20.0, 10.0]
    assert rows["share"].tolist() == pytest.approx([2 / 3, 1 / 3])
    assert measures.dead_pipeline(tables, by=["rep", "segment"])["rep"].tolist() == ["Ada"]
    nobody = tables.opportunities[tables.opportunities["status"] == "open"].reset_index(drop=True)
    assert measures.dead_pipeline(replace(tables, opportunities=nobody)).empty
    with pytest.raises(ParameterError, match=r"quantile is 1\.5"):
        measures.close_days(tables, quantile=1.5)


def test_maven_dead_pipeline(maven: crm.Tables) -> None:
    rows = measures.dead_pipeline(maven)
    assert rows[["limit_days", "deals", "open_deals"]].to_numpy().tolist()[1] == [138, 530, 2_409]
    assert rows["deals"].iloc[0] > 530


def test_concentration_by_deal() -> None:
    sizes = [60.0, 20.0, 10.0, 5.0, 3.0, 2.0]
    tables = deals_of(*(("won", "2026-04-02", "2026-05-01", size) for size in sizes))
    values = {
        name: measures.measure(name, tables).iloc[0]["value"]
        for name in ("largest_deal_share", "five_largest_deals_share", "effective_deals_won")
    }
    assert values["largest_deal_share"] == pytest.approx(0.6)
    assert values["five_largest_deals_share"] == pytest.approx(0.98)
    assert values["effective_deals_won"] == pytest.approx(1 / sum((size / 100) ** 2 for size in sizes))
    even = deals_of(*[("won", "2026-04-02", "2026-05-01", 50.0)] * 8)
    assert measures.measure("effective_deals_won", even).iloc[0]["value"] == pytest.approx(8)


# --- bottleneck --------------------------------------------------------------------------------------------


def test_the_cost_of_a_bottleneck_is_a_part_of_a_usual_quarter(example: crm.Tables) -> None:
    whole = measures.bookings_by_quarter(example)
    usual = whole.loc[~whole["partial"], "won_value"].tail(4).mean()
    moved = measures.measure("stage_conversion", example, by="stage").set_index("stage")["value"][
        "closing deal"
    ]
    found = measures.bottleneck(example, norms={"closing deal": StageNorm(conversion=0.9)})
    assert found.usual_quarter == pytest.approx(usual)
    assert found.gain.value == pytest.approx(usual * (0.9 / moved - 1))
    assert 0 < found.gain.low < found.gain.value < found.gain.high
    assert found.gain.n == 4
    slow = measures.bottleneck(example, norms={"potential deal": StageNorm(median_days=10)})
    assert slow.kind == "days"
    assert slow.gain.value == pytest.approx(usual * (slow.estimate.value - 10) / (365.25 / 4))
    # in a quarter the usual bookings were made at the usual conversion
    quarter = measures.bottleneck(example, quarter=Q2, norms={"closing deal": StageNorm(conversion=0.9)})
    assert quarter.gain.value == pytest.approx(usual * (0.9 - quarter.estimate.value) / moved)
    gaps = measures.stage_gaps(example, quarter=Q2)
    assert (gaps["gain"] >= 0).all()
    assert (gaps.loc[gaps["shortfall"] <= 0, "gain"] == 0).all()


# --- the field ---------------------------------------------------------------------------------------------


def test_field_benchmarks_carry_source_and_grade_and_name_measures_that_exist() -> None:
    rows = measures.field_benchmarks()
    assert set(rows["grade"]) == {"P", "S", "W"}
    assert (rows["low"] <= rows["high"]).all()
    assert (rows["source"] != "").all()
    assert set(rows["measure"]) - {""} <= set(measures.CATALOGUE)
    for row in rows[rows["measure"] != ""].to_dict("records"):
        assert measures.CATALOGUE[row["measure"]].unit == row["unit"]
    attaining = measures.field_ranges()["share_attaining"]
    assert (attaining.low, attaining.high, attaining.grades, attaining.years) == (
        0.22,
        0.66,
        "P, S, W",
        "2008–2025",
    )


def test_the_field_stands_beside_ones_own_figures_only_where_asked(example: crm.Tables) -> None:
    rows = measures.overview(example, quarter=Q2, field=True).set_index("name")
    assert (rows["field_low"]["win_rate"], rows["field_high"]["win_rate"]) == (0.15, 0.30)
    assert math.isnan(rows["field_low"]["won_value"])
    assert rows["field_grades"]["pipeline_coverage"] == "P, S"
    text = measures.overview_table(rows.reset_index(), currency="EUR")
    assert "| the field reports |" in text.splitlines()[0]
    assert "| 15.0 % to 30.0 % (3 sources, S, W) |" in text
    assert "It is no yardstick" in text
    plain = measures.overview(example, quarter=Q2)
    assert "field_low" not in plain
    assert "the field reports" not in measures.overview_table(plain, currency="EUR")


def test_a_group_of_its_own_for_each_deal_is_no_burden() -> None:
    tables = random_export(6, deals=2000)
    accounts = np.array([f"A{number}" for number in range(2000)], dtype=object)
    many = replace(tables, opportunities=tables.opportunities.assign(account=accounts))
    rows = measures.measure("won_value", many, by=["account", "rep", "quarter"])
    assert len(rows) == (tables.opportunities["status"] == "won").sum()
