"""The catalogue of measures: worked figures, intervals, groups, notes, and the figures of a real export."""

from __future__ import annotations

import itertools
import math
import warnings
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, timedelta
from pathlib import Path
from typing import Any, cast

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from salessim import crm, measures
from salessim.crm.canonical import SPECS, empty
from salessim.errors import DataError, ParameterError
from salessim.measures import CATALOGUE, INCOMPLETE, LEVEL, NOT_STATED, StageNorm, measure, overview
from salessim.periods import Quarter

Q1, Q2, Q3 = (Quarter(2026, number) for number in (1, 2, 3))
STAGES = ("cold", "warm", "closing")


@pytest.fixture(autouse=True)
def _no_warnings() -> Iterator[None]:
    """A reader of a report must not see warnings of pandas or NumPy."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        # sockets and event loops that other tests left to the garbage collector are not ours to judge
        warnings.simplefilter("ignore", ResourceWarning)
        warnings.simplefilter("ignore", pytest.PytestUnraisableExceptionWarning)
        yield


def frame(table: str, rows: Sequence[Mapping[str, object]]) -> pd.DataFrame:
    """Rows as a canonical table: missing columns are filled, types are those of the import."""
    blank = empty(table)
    made = pd.DataFrame(list(rows), columns=list(blank.columns))
    dates = SPECS[table].of_kind("date")
    return made.assign(
        **{
            name: pd.to_datetime(made[name]) if name in dates else made[name].astype(blank[name].dtype)
            for name in blank.columns
        }
    )


def export(
    deals: Sequence[Mapping[str, object]] = (),
    *,
    leads: Sequence[Mapping[str, object]] = (),
    history: Sequence[Mapping[str, object]] = (),
    quotas: Sequence[Mapping[str, object]] = (),
    reps: Sequence[Mapping[str, object]] = (),
    as_of: date = date(2026, 3, 31),
    fiscal_year_starts_in_month: int = 1,
) -> crm.Tables:
    """Tables as the import makes them, without files or a quality report, which measures do not read."""
    numbered = [
        {"opportunity_id": f"O{i}", "segment": "all", "row": i + 2} | dict(d) for i, d in enumerate(deals)
    ]
    return crm.Tables(
        opportunities=frame("opportunities", numbered),
        reps=frame("reps", reps),
        accounts=empty("accounts"),
        leads=frame("leads", [{"lead_id": f"L{i}"} | dict(lead) for i, lead in enumerate(leads)]),
        stage_history=frame("stage_history", history),
        quotas=frame("quotas", quotas),
        as_of=as_of,
        currency="EUR",
        quality=cast(Any, None),
        files=(),
        column_map="test",
        stages=STAGES,
        fiscal_year_starts_in_month=fiscal_year_starts_in_month,
    )


def won(
    closed: str, amount: float = 100.0, *, created: str = "2026-01-02", **more: object
) -> dict[str, object]:
    return {"status": "won", "stage": "won", "created": created, "closed": closed, "amount": amount, **more}


def lost(closed: str, *, created: str = "2026-01-02", **more: object) -> dict[str, object]:
    return {"status": "lost", "stage": "lost", "created": created, "closed": closed, **more}


def opened(created: str | None, amount: float | None = None, **more: object) -> dict[str, object]:
    return {"status": "open", "stage": "warm", "created": created, "amount": amount, **more}


def one(name: str, tables: crm.Tables, quarter: Quarter | None = None) -> pd.Series:
    rows = measure(name, tables, quarter=quarter)
    assert len(rows) == 1
    return rows.iloc[0]


def by(name: str, tables: crm.Tables, cut: str, quarter: Quarter | None = None) -> dict[str, float]:
    rows = measure(name, tables, quarter=quarter, by=cut)
    return dict(zip(rows[cut], rows["value"], strict=True))


@pytest.fixture(scope="module")
def busy() -> crm.Tables:
    """A year of a small team with every table filled, drawn once with a fixed seed."""
    rng = np.random.default_rng(7)
    start = date(2025, 7, 1)
    deals, history, leads = [], [], []
    for i in range(400):
        created = start + timedelta(days=int(rng.integers(0, 360)))
        cycle = int(rng.integers(5, 80))
        closed = created + timedelta(days=cycle)
        common = {
            "rep": ["Ada", "Bo", "Cy"][i % 3],
            "account": None if i % 17 == 0 else f"Account {i % 23}",
            "product": ["Basic", "Plus"][i % 2],
            "segment": ["SMB", "mid-market"][i % 5 == 0],
            "source": None if i % 29 == 0 else ["web", "fair", "referral"][i % 7 % 3],
            "list_price": 120.0,
        }
        history += [{"opportunity_id": f"O{i}", "stage": "cold", "entered": str(created)}]
        if cycle > 20:
            later = created + timedelta(days=cycle // 2)
            history += [{"opportunity_id": f"O{i}", "stage": "warm", "entered": str(later)}]
        if closed > date(2026, 6, 30):
            deals.append(opened(str(created), **common))
        elif rng.random() < 0.4:
            deals.append(won(str(closed), float(rng.integers(50, 200)), created=str(created), **common))
        else:
            deals.append(lost(str(closed), created=str(created), **common))
        leads.append(
            {
                "source": common["source"],
                "segment": common["segment"],
                "rep": common["rep"],
                "created": str(created),
                "mql": str(created) if i % 2 else None,
                "sql": str(created) if i % 4 == 1 else None,
                "opportunity_id": f"O{i}" if i % 8 == 1 else None,
            }
        )
    quarters = ("2025Q3", "2025Q4", "2026Q1", "2026Q2", "2026Q3")
    return export(
        deals,
        leads=leads,
        history=history,
        quotas=[{"rep": r, "period": q, "quota": 1500.0} for r in ("Ada", "Bo", "Cy") for q in quarters],
        reps=[
            {"rep": "Ada", "manager": "Mo", "region": "North"},
            {"rep": "Bo", "manager": "Mo", "region": "South"},
            {"rep": "Cy", "manager": "Nu", "region": "South"},
            {"rep": "Di", "manager": "Nu", "region": "North"},
        ],
        as_of=date(2026, 6, 30),
    )


# --- estimates ---------------------------------------------------------------------------------------------


@given(st.integers(1, 5000), st.floats(0, 1))
def test_wilson_interval_agrees_with_scipy(n: int, part: float) -> None:
    successes = round(n * part)
    found = measures.share_estimate(successes, n)
    expected = stats.binomtest(successes, n).proportion_ci(LEVEL, method="wilson")
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high), abs=1e-9)
    assert 0 <= found.low <= found.value <= found.high <= 1


def test_a_share_of_nothing_does_not_exist_and_an_impossible_one_is_refused() -> None:
    nothing = measures.share_estimate(0, 0)
    assert [nothing.value, nothing.low, nothing.high, nothing.n] == pytest.approx(
        [math.nan] * 3 + [0], nan_ok=True
    )
    with pytest.raises(DataError, match="3 out of 2"):
        measures.share_estimate(3, 2)
    with pytest.raises(DataError, match="60 won of 50 created"):
        measures.win_rate(60, 50)
    assert math.isnan(measures.conversion(0, 0))


def test_a_mean_of_one_has_no_interval_and_of_none_no_value() -> None:
    assert math.isnan(measures.mean_estimate([5.0]).low)
    assert math.isnan(measures.mean_estimate([]).value)
    assert math.isnan(measures.median_estimate([]).value)
    assert measures.median_estimate([3.0, 1.0, 2.0]).value == 2.0
    assert math.isnan(measures.median_estimate([3.0, 1.0, 2.0]).low)


def test_groups_give_what_each_group_gives_alone(busy: crm.Tables) -> None:
    deals = busy.opportunities
    for name, status, estimate in (
        ("average_deal_size", ("won",), measures.mean_estimate),
        ("median_deal_size", ("won",), measures.median_estimate),
        ("sales_cycle_median_days", ("won", "lost"), measures.median_estimate),
        ("sales_cycle_days", ("won", "lost"), measures.mean_estimate),
    ):
        for row in measure(name, busy, by="rep").to_dict("records"):
            own = deals[(deals["rep"] == row["rep"]) & deals["status"].isin(status)]
            values = own["amount"] if "size" in name else (own["closed"] - own["created"]).dt.days
            alone = estimate(values.to_numpy(dtype=float))
            found = [row[key] for key in ("value", "low", "high", "n")]
            assert found == pytest.approx([alone.value, alone.low, alone.high, alone.n], nan_ok=True)


# --- worked figures ----------------------------------------------------------------------------------------


def test_worked_figures_of_the_definitions() -> None:
    assert measures.conversion(50, 100) == 0.5
    assert measures.conversion(30, 50) == 0.6
    assert measures.win_rate(20, 100) == 0.2
    assert measures.pipeline_value(50, 150_000) == 7_500_000
    assert measures.amount_won(10, 150_000) == 1_500_000


def test_worked_figures_of_leads_through_tables() -> None:
    day = "2026-01-10"
    leads = [
        {
            "created": day,
            "mql": day,
            "sql": day if i < 50 else None,
            "opportunity_id": f"O{i}" if i < 30 else None,
        }
        for i in range(100)
    ]
    tables = export([opened(day) for _ in range(30)], leads=leads)
    assert one("mql_count", tables, Q1)["value"] == 100
    assert one("sql_count", tables, Q1)["value"] == 50
    assert one("mql_to_sql", tables, Q1)["value"] == 0.5
    assert one("sql_to_opportunity", tables, Q1)["value"] == 0.6


def test_worked_figures_of_opportunities_through_tables() -> None:
    deals = [won("2026-02-01", 150_000.0) for _ in range(20)] + [lost("2026-02-01") for _ in range(80)]
    rate = one("win_rate", export(deals), Q1)
    assert (rate["value"], rate["n"], rate["note"]) == (0.2, 100, "")

    deals = [won("2026-02-01", 150_000.0) for _ in range(10)] + [opened("2026-03-01") for _ in range(50)]
    tables = export(deals)
    assert one("open_opportunities", tables, Q1)["value"] == 50
    assert one("pipeline_value", tables, Q1)["value"] == 7_500_000
    assert one("won_value", tables, Q1)["value"] == 1_500_000


# --- each measure on small tables --------------------------------------------------------------------------


def test_win_rate_of_a_cohort_counts_deals_by_creation_and_says_how_many_are_open() -> None:
    tables = export(
        [
            won("2026-04-20"),
            lost("2026-02-01"),
            opened("2026-03-30"),
            won("2026-04-10", created="2026-04-01"),
        ],
        as_of=date(2026, 6, 30),
    )
    cohort = one("win_rate", tables, Q1)
    assert cohort["value"] == pytest.approx(1 / 3)
    assert "1 of them still open" in cohort["note"]
    assert INCOMPLETE in cohort["note"]
    assert one("win_rate_closed", tables, Q2)["value"] == 1.0


def test_win_rate_by_value_takes_list_prices_for_lost_deals_or_says_that_there_are_none() -> None:
    deals = [won("2026-02-01", 300.0), lost("2026-02-01", list_price=100.0), lost("2026-02-02")]
    rate = one("win_rate_by_value", export(deals), Q1)
    assert rate["value"] == pytest.approx(0.75)
    assert "1 lost deal valued at list price" in rate["note"]
    assert "1 lost deal without a list price left out" in rate["note"]
    unknown = one("win_rate_by_value", export([won("2026-02-01"), lost("2026-02-01")]), Q1)
    assert math.isnan(unknown["value"])
    assert "lost deals have no list price" in unknown["note"]


def test_equal_deals_give_the_same_interval_by_value_as_by_number() -> None:
    deals = [won("2026-02-01", 100.0)] * 12 + [lost("2026-02-01", list_price=100.0)] * 18
    by_value, by_number = (one(name, export(deals), Q1) for name in ("win_rate_by_value", "win_rate_closed"))
    keys = ["value", "low", "high", "n"]
    assert by_value[keys].tolist() == pytest.approx(by_number[keys].tolist())
    skewed = [won("2026-02-01", 1000.0), *deals[1:]]
    wide, narrow = one("win_rate_by_value", export(skewed), Q1), by_value
    assert wide["high"] - wide["low"] > narrow["high"] - narrow["low"]


def test_cycles_count_days_from_first_contact_to_close() -> None:
    deals = [won("2026-01-12"), lost("2026-01-22"), won("2026-02-01", created=None)]
    tables = export(deals)
    mean = one("sales_cycle_days", tables, Q1)
    assert (mean["value"], mean["n"]) == (15.0, 2)
    assert "1 deal without a date of first contact left out" in mean["note"]
    assert one("sales_cycle_won_median_days", tables, Q1)["value"] == 10.0


def test_deal_size_weighted_by_segment_does_not_move_with_the_mix() -> None:
    small = [won("2026-01-10", 90.0, segment="SMB"), won("2026-01-10", 110.0, segment="SMB")]
    large = [won("2026-04-10", 900.0, segment="MM"), won("2026-04-10", 1100.0, segment="MM")]
    later_small = [won("2026-04-10", 90.0, segment="SMB"), won("2026-04-10", 110.0, segment="SMB")] * 3
    earlier_large = [won("2026-01-10", 900.0, segment="MM"), won("2026-01-10", 1100.0, segment="MM")] * 3
    tables = export(small + earlier_large + later_small + large, as_of=date(2026, 6, 30))
    assert one("average_deal_size", tables, Q1)["value"] == 775.0
    assert one("average_deal_size", tables, Q2)["value"] == 325.0
    both = [one("deal_size_weighted_by_segment", tables, quarter)["value"] for quarter in (Q1, Q2)]
    assert both == [550.0, 550.0]
    everything = one("deal_size_weighted_by_segment", tables)
    assert everything["value"] == one("average_deal_size", tables)["value"]
    assert everything["low"] < 550 < everything["high"]


def test_deal_size_weighted_by_segment_without_a_win_in_a_segment_or_without_segments() -> None:
    deals = [won("2026-01-10", 100.0, segment="SMB"), won("2026-04-10", 900.0, segment="MM")]
    row = one("deal_size_weighted_by_segment", export(deals, as_of=date(2026, 6, 30)), Q1)
    assert row["value"] == 100.0
    assert math.isnan(row["low"])
    assert "1 segment without a win left out" in row["note"]
    assert "one segment only" in one("deal_size_weighted_by_segment", export([won("2026-01-10")]), Q1)["note"]


def test_open_deals_without_a_date_are_leads_and_do_not_count() -> None:
    tables = export([opened("2026-03-01", 50.0), opened("2026-03-01"), opened(None, 70.0), won("2026-02-01")])
    number = one("open_opportunities", tables, Q1)
    assert number["value"] == 2
    assert "1 open deal without a date of first contact not counted" in number["note"]
    amount = one("pipeline_amount", tables, Q1)
    assert (amount["value"], amount["n"]) == (50.0, 1)
    assert "1 deal without any value left out" in amount["note"]
    priced = export([opened("2026-03-01", list_price=30.0), opened("2026-03-01", 50.0, list_price=1.0)])
    assert one("pipeline_amount", priced, Q1)["value"] == 80.0
    assert math.isnan(one("pipeline_amount", export([opened("2026-03-01")]), Q1)["value"])


def test_dead_pipeline_is_older_than_the_slowest_close() -> None:
    tables = export(
        [
            won("2026-01-31", created="2026-01-01"),
            opened("2026-03-01"),
            opened("2026-02-28"),
            opened("2025-11-01"),
        ]
    )
    row = one("dead_pipeline_share", tables)
    assert row["value"] == pytest.approx(2 / 3)  # 31 and 150 days, against 30
    assert "older than 30 days" in row["note"]
    assert measures.slowest_close_days(tables) == 30
    assert measures.open_ages_days(tables).tolist() == [30.0, 31.0, 150.0]
    undecided = export([opened("2026-03-01")])
    assert math.isnan(one("dead_pipeline_share", undecided)["value"])
    assert math.isnan(measures.slowest_close_days(undecided))


def test_open_deals_belong_to_the_day_of_the_export_only() -> None:
    tables = export([won("2026-02-01"), won("2026-05-01"), opened("2026-03-01")], as_of=date(2026, 6, 30))
    assert (
        "open deals are those of 2026-06-30, not of 2026Q1" in one("open_opportunities", tables, Q1)["note"]
    )
    assert one("open_opportunities", tables, Q2)["note"] == ""
    split = measure("open_opportunities", tables, by="quarter")
    assert math.isnan(split["value"].iloc[0])
    assert split["note"].iloc[0] == "open deals are known only as of 2026-06-30"


def test_pipeline_coverage_is_against_what_is_left_or_against_the_next_quarter() -> None:
    quotas = [
        {"rep": "Ada", "period": "2026Q1", "quota": 500.0},
        {"rep": "Bo", "period": "2026Q1", "quota": 50.0},
        {"rep": "Ada", "period": "2026Q2", "quota": 400.0},
    ]
    deals = [won("2026-02-01", 100.0, rep=rep) for rep in ("Ada", "Bo")]
    deals += [opened("2026-02-10", rep=rep) for rep in ("Ada", "Ada", "Bo")]
    midway = export(deals, quotas=quotas, as_of=date(2026, 2, 20))
    assert one("pipeline_coverage", midway)["value"] == pytest.approx(3 * 100 / (550 - 200))
    assert by("pipeline_coverage", midway, "rep")["Ada"] == pytest.approx(2 * 100 / 400)
    rows = measure("pipeline_coverage", midway, by="rep").set_index("rep")
    assert math.isnan(rows["value"]["Bo"])
    assert rows["note"]["Bo"] == "the quota of 2026Q1 is met already"
    over = export(deals, quotas=quotas, as_of=date(2026, 3, 31))
    assert one("pipeline_coverage", over)["value"] == pytest.approx(3 * 100 / 400)
    rows = measure("pipeline_coverage", over, by="rep").set_index("rep")
    assert rows["note"]["Bo"] == "no quota for 2026Q2"
    assert math.isnan(rows["value"]["Bo"])


def test_leads_by_source_show_what_became_of_them() -> None:
    deals = [won("2026-02-10", 900.0), won("2026-02-11", 100.0), lost("2026-02-12"), opened("2026-03-01")]
    leads = [
        {"source": source, "created": "2026-01-02", "opportunity_id": deal}
        for source, deal in (
            ("fair", "O0"),
            ("fair", None),
            ("web", "O1"),
            ("web", "O2"),
            ("web", "O3"),
            ("web", None),
        )
    ]
    tables = export(deals, leads=leads)
    assert by("leads", tables, "source", Q1) == {"fair": 2, "web": 4}
    assert by("lead_to_won", tables, "source", Q1) == {"fair": 0.5, "web": 0.25}
    assert by("value_per_lead", tables, "source", Q1) == {"fair": 450.0, "web": 25.0}


def test_young_leads_are_marked_as_incomplete_and_old_ones_not() -> None:
    leads = [
        {"created": "2026-01-02", "mql": "2026-01-12"},
        {"created": "2026-01-03"},
        {"created": "2026-03-29"},
    ]
    note = one("lead_to_mql", export(leads=leads, deals=[opened("2026-01-02")]), Q1)["note"]
    assert f"1 of them are young and can still move on ({INCOMPLETE})" in note
    old = export(leads=leads[:2], deals=[opened("2026-01-02")])
    assert INCOMPLETE not in one("lead_to_mql", old, Q1)["note"]


def history_of(*visits: tuple[int, str, str]) -> list[dict[str, object]]:
    return [{"opportunity_id": f"O{deal}", "stage": stage, "entered": day} for deal, stage, day in visits]


def test_stages_count_deals_that_are_still_there_and_those_that_come_again() -> None:
    tables = export(
        [won("2026-03-01"), *[lost("2026-03-01")] * 2, *[opened("2026-01-02")] * 2],
        history=history_of(
            (0, "cold", "2026-01-02"), (0, "warm", "2026-01-12"), (0, "closing", "2026-02-01"),
            # goes back, is qualified again, and is lost in the first stage
            (1, "cold", "2026-01-02"), (1, "warm", "2026-01-22"), (1, "cold", "2026-02-01"),
            (2, "cold", "2026-01-02"), (2, "cold", "2026-01-20"),
            # skips a stage
            (3, "cold", "2026-01-02"), (3, "closing", "2026-02-11"),
            (4, "cold", "2026-01-02"),
        ),
    )  # fmt: skip
    rows = measure("stage_conversion", tables, by="stage").set_index("stage")
    # cold: three move on after 10, 20 and 40 days, one is lost after 58, one is there for 88
    # warm: one moves on, one is lost, one has passed it at once; closing: one is won, one is there still
    assert rows["value"].to_dict() == pytest.approx({"cold": 0.6, "warm": 2 / 3, "closing": 0.5})
    assert rows["n"].to_dict() == {"cold": 4, "warm": 3, "closing": 1}
    assert (
        "20 % neither moved on nor were lost at the highest age seen: a lower bound" in rows["note"]["cold"]
    )
    assert "lower bound" not in rows["note"]["warm"]
    days = measure("stage_days", tables, by="stage").set_index("stage")
    # cold: 10, 20, 28 (the return until the loss), 58 (entered twice in a row is one stay), 40, 88 so far;
    # warm: 10 and 20; closing: 28, and 48 so far
    assert days["value"].to_dict() == {"cold": 28.0, "warm": 10.0, "closing": 28.0}
    assert days["n"].to_dict() == {"cold": 5, "warm": 2, "closing": 1}


def test_concentration_names_the_largest_and_counts_the_unknown_in_the_total() -> None:
    deals = [
        won("2026-02-01", 60.0, source="web"),
        won("2026-02-01", 20.0, source="fair"),
        won("2026-02-01", 20.0),
    ]
    row = one("source_concentration", export(deals), Q1)
    assert row["value"] == pytest.approx(0.6)
    assert "largest: web" in row["note"]
    assert "1 deal won without a known source" in row["note"]
    tables = export([won("2026-02-01", 1.0, account="A"), won("2026-02-01", 3.0, account="B")])
    assert one("account_concentration", tables, Q1)["value"] == 0.75
    assert math.isnan(measure("account_concentration", tables, by="account")["value"].iloc[0])


def test_customer_lifetime_value_is_revenue_to_date() -> None:
    deals = [won("2026-02-01", 100.0, account="A"), won("2026-02-01", 300.0, account="B")]
    deals += [won("2026-05-01", 200.0, account="A"), won("2026-05-01", 1.0)]
    tables = export(deals, as_of=date(2026, 6, 30))
    assert by("customer_lifetime_value", tables, "quarter") == {"2026Q1": 200.0, "2026Q2": 300.0}
    assert one("customer_lifetime_value", tables, Q1)["value"] == 200.0
    row = one("customer_lifetime_value", tables)
    assert (row["value"], row["n"]) == (300.0, 2)
    assert "1 deal won without a known account left out" in row["note"]


def test_a_quota_that_is_met_to_the_cent_is_attained() -> None:
    deals = [won("2026-02-01", 60.0, rep="Ada"), won("2026-03-31", 40.0, rep="Ada")]
    quotas = [{"rep": "Ada", "period": "2026Q1", "quota": 100.0}]
    assert one("share_attaining", export(deals, quotas=quotas), Q1)["value"] == 1.0


def test_attainment_of_reps_and_of_the_team() -> None:
    quotas = [
        {"rep": rep, "period": period, "quota": quota}
        for rep, period, quota in (
            ("Ada", "2026Q1", 100.0), ("Bo", "2026Q1", 300.0), ("Cy", "2026Q1", 0.0),
            ("Ada", "2026Q2", 100.0), ("Ada", "2026Q3", 999.0),
        )
    ]  # fmt: skip
    deals = [
        won("2026-02-01", 150.0, rep="Ada"),
        won("2026-02-01", 250.0, rep="Bo"),
        won("2026-02-01", 9.0, rep="Di"),
    ]
    tables = export([*deals, won("2026-04-01", 50.0, rep="Ada")], quotas=quotas, as_of=date(2026, 6, 30))
    attaining = one("share_attaining", tables, Q1)
    assert (attaining["value"], attaining["n"]) == (0.5, 2)  # a quota of zero is no quota
    assert one("team_attainment", tables, Q1)["value"] == 1.0
    assert by("team_attainment", tables, "quarter") == {"2026Q1": 1.0, "2026Q2": 0.5}
    assert by("share_attaining", tables, "rep")["Ada"] == 0.5  # the third quarter has not begun
    assert one("share_attaining", tables)["note"].startswith("complete quarters only")


@pytest.mark.parametrize(("starts", "quarter"), [(1, Quarter(2026, 1)), (2, Quarter(2026, 4, 2))])
def test_linearity_is_the_share_of_the_last_fiscal_month(starts: int, quarter: Quarter) -> None:
    days = [quarter.start + timedelta(days=offset) for offset in (3, 40, 85)]
    deals = [
        won(str(day), amount, created="2025-10-01")
        for day, amount in zip(days, (20.0, 30.0, 50.0), strict=True)
    ]
    tables = export(deals, as_of=quarter.end, fiscal_year_starts_in_month=starts)
    assert one("linearity_last_month", tables, quarter)["value"] == 0.5


def test_new_opportunities_against_the_expected_number() -> None:
    tables = export([opened("2026-02-01")] * 30)
    rows = measure("new_against_expected", tables, quarter=Q1, benchmarks={"new_opportunities": 40})
    assert rows["value"].iloc[0] == 0.75
    assert math.isnan(one("new_against_expected", tables, Q1)["value"])
    whole = measure("new_against_expected", tables, benchmarks={"new_opportunities": 40})
    assert "per quarter" in whole["note"].iloc[0]


# --- groups ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    [
        "won_value", "won_count", "lost_count", "new_opportunities", "open_opportunities", "pipeline_amount",
        "leads", "mql_count", "sql_count",
    ],
)  # fmt: skip
def test_counts_and_sums_of_groups_add_up(busy: crm.Tables, name: str) -> None:
    entry = CATALOGUE[name]
    total = one(name, busy)["value"]
    for cut in entry.cuts:
        assert math.fsum(by(name, busy, cut).values()) == pytest.approx(total), cut


def test_every_measure_by_every_cut_and_quarter_is_a_clean_table(busy: crm.Tables) -> None:
    asked = [(cut, quarter) for cut in (None, "month", "rep", "stage") for quarter in (None, Q2)]
    asked += [(cut, Q2) for cut in measures.BY]
    for (name, entry), (cut, quarter) in itertools.product(CATALOGUE.items(), asked):
        rows = measure(name, busy, quarter=quarter, by=cut, benchmarks={"new_opportunities": 100})
        assert list(rows.columns) == ([cut] if cut else []) + ["value", "low", "high", "n", "note"]
        assert len(rows) > 0
        assert rows["note"].map(type).eq(str).all()
        nothing = rows["value"].isna()
        assert (rows["note"][nothing] != "").all(), (name, cut)
        if cut is not None and cut not in entry.cuts:
            assert nothing.all()
        inside = rows["low"].isna() | ((rows["low"] <= rows["value"]) & (rows["value"] <= rows["high"]))
        assert inside[~nothing].all(), (name, cut)
        if entry.unit == "share" and name not in ("team_attainment", "new_against_expected"):
            assert rows["value"].dropna().between(0, 1).all()


def test_several_splits_give_the_combinations_that_hold_something(busy: crm.Tables) -> None:
    rows = measure("won_value", busy, by=["quarter", "rep", "segment", "source", "product"])
    assert list(rows.columns[:6]) == ["quarter", "rep", "segment", "source", "product", "value"]
    assert (rows["n"] > 0).all()
    assert rows["value"].sum() == pytest.approx(one("won_value", busy)["value"])
    splits = ["quarter", "rep", "segment", "source", "product"]
    assert not rows.duplicated(splits).any()
    assert rows[["quarter", "rep"]].equals(rows[["quarter", "rep"]].sort_values(["quarter", "rep"]))
    deals = busy.opportunities
    cell = rows.iloc[3]
    same = (deals["status"] == "won") & (deals["rep"] == cell["rep"]) & (deals["product"] == cell["product"])
    same &= (deals["segment"] == cell["segment"]) & (deals["source"].fillna(NOT_STATED) == cell["source"])
    quarter = Quarter.parse(cell["quarter"])
    same &= deals["closed"].between(pd.Timestamp(quarter.start), pd.Timestamp(quarter.end))
    assert cell["value"] == pytest.approx(deals.loc[same, "amount"].sum())
    pairs = measure("stage_conversion", busy, by=["stage", "rep"], quarter=Q2).set_index(["stage", "rep"])
    alone = measure("stage_conversion", busy, by="stage", quarter=Q2).set_index("stage")
    assert pairs["n"].groupby(level=0).sum().to_dict() == alone["n"][alone["n"] > 0].to_dict()
    assert (
        measure("won_count", busy, by=["rep"])["rep"].tolist()
        == measure("won_count", busy, by="rep")["rep"].tolist()
    )
    assert (
        measure("lead_to_won", busy, by=["source", "product"])["note"]
        .iloc[0]
        .startswith("Lead to deal won is not")
    )
    with pytest.raises(ParameterError, match="by names 'rep' twice"):
        measure("won_value", busy, by=["rep", "rep"])


def test_months_add_up_to_their_quarter_and_the_last_is_said_to_be_unfinished(busy: crm.Tables) -> None:
    months = measure("won_value", busy, by="month", quarter=Q2)
    assert months["month"].tolist() == ["2026-04", "2026-05", "2026-06"]
    assert months["value"].sum() == pytest.approx(one("won_value", busy, Q2)["value"])
    early = export([won("2026-02-01"), opened("2026-01-05")], as_of=date(2026, 2, 10))
    notes = measure("won_value", early, by="month").set_index("month")["note"]
    assert notes.to_dict() == {"2026-01": "", "2026-02": f"{INCOMPLETE}: 2026-02 was not over on 2026-02-10"}


def test_groups_without_a_deal_and_rows_without_a_group_are_shown(busy: crm.Tables) -> None:
    assert by("won_count", busy, "rep")["Di"] == 0
    assert by("won_count", busy, "source")[NOT_STATED] > 0
    assert list(by("open_opportunities", busy, "stage")) == list(STAGES)
    assert sum(by("won_count", busy, "manager").values()) == one("won_count", busy)["value"]
    assert measure("won_count", busy, by="quarter")["quarter"].iloc[0] == "2025Q3"
    assert by("won_count", busy, "quarter", Quarter(2025, 4)).keys() == {"2025Q4"}


def test_what_the_export_does_not_hold_is_nan_with_the_reason() -> None:
    tables = export([won("2026-02-01"), opened("2026-02-01")])
    for name, cut, reason in (
        ("won_value", "source", "the export has no lead source"),
        ("won_value", "product", "the export has no products"),
        ("won_value", "manager", "the export has no managers"),
        ("leads", None, "the export has no leads"),
        ("stage_conversion", "stage", "the export has no stage history"),
        ("pipeline_coverage", None, "the export has no quotas"),
        ("source_concentration", None, "the export has no lead source"),
        ("won_value", "stage", "Won value is not split by stage"),
    ):
        row = measure(name, tables, by=cut).iloc[0]
        assert math.isnan(row["value"])
        assert row["note"].startswith(reason)
    assert "the export has no segments" in measure("won_value", tables, by="segment")["note"].iloc[0]


def test_empty_tables_give_a_reason_for_every_measure_and_cut() -> None:
    nothing = export()
    for name, cut in itertools.product(CATALOGUE, [None, "quarter", "month", "rep", "stage"]):
        row = measure(name, nothing, by=cut).iloc[0]
        assert math.isnan(row["value"]), (name, cut)
        assert row["note"], (name, cut)


def test_few_deals_are_said_to_be_few() -> None:
    note = one("win_rate_closed", export([won("2026-02-01")] * 9), Q1)["note"]
    assert note == "fewer than 10 deals closed"
    assert one("win_rate_closed", export([won("2026-02-01")] * 10), Q1)["note"] == ""
    assert one("won_count", export([won("2026-02-01")] * 3), Q1)["note"] == ""  # a count is a fact


# --- quarters ----------------------------------------------------------------------------------------------


def test_a_quarter_without_data_is_refused_with_those_that_have_some() -> None:
    tables = export([won("2026-02-01")])
    with pytest.raises(DataError, match=r"no data for 2025Q3; quarters with data: '2026Q1'"):
        measure("won_value", tables, quarter=Quarter(2025, 3))
    with pytest.raises(DataError, match="2030Q1"):
        overview(tables, quarter=Quarter(2030, 1))
    with pytest.raises(DataError, match="from month 4"):
        measures.check_quarter(tables, Quarter(2026, 1, 4))
    assert measures.check_quarter(tables, Q1) == Q1


def test_unknown_measures_cuts_and_benchmarks_are_refused() -> None:
    tables = export([won("2026-02-01")])
    with pytest.raises(ParameterError, match="'winrate'; the catalogue has 'won_value'"):
        measure("winrate", tables)
    with pytest.raises(ParameterError, match="by is 'seller'; a measure is split by one of 'quarter'"):
        measure("won_value", tables, by="seller")
    with pytest.raises(ParameterError, match="'winrate'"):
        overview(tables, quarter=Q1, benchmarks={"winrate": 0.2})
    with pytest.raises(ParameterError, match="must be a number"):
        overview(tables, quarter=Q1, benchmarks={"win_rate": math.nan})


def test_a_quarter_that_is_not_over_is_incomplete_but_a_weekend_does_not_make_it_so() -> None:
    tables = export([won("2026-02-01")], as_of=date(2026, 2, 20))
    assert one("won_value", tables, Q1)["note"] == f"{INCOMPLETE}: 2026Q1 was not over on 2026-02-20"
    assert one("won_value", export([won("2026-02-01")], as_of=date(2026, 3, 28)), Q1)["note"] == ""


def left_cut_deals() -> list[dict[str, object]]:
    """Deals of half a year that close within four weeks; those that closed before March are not exported."""
    days = [date(2025, 10, 1) + timedelta(days=2 * k) for k in range(120)]
    deals = [
        won(str(day + timedelta(days=5 + 5 * (k % 5))), created=str(day)) for k, day in enumerate(days)
    ] + [won("2026-03-02", created=str(day)) for day in days[:30]]
    return [deal for deal in deals if str(deal["closed"]) >= "2026-03-01"]


def test_an_export_cut_off_on_the_left_is_noticed() -> None:
    found = measures.left_cut(export(left_cut_deals(), as_of=date(2026, 6, 30)))
    assert found.cut
    assert found.first_complete_quarter == Q2
    assert "created from 2025-10-01 on" in found.reason
    assert "closed before 2026-03-02" in found.reason


def test_measures_of_the_cut_quarter_carry_a_note_and_are_not_compared_with() -> None:
    tables = export(left_cut_deals(), as_of=date(2026, 6, 30))
    notes = measure("win_rate_closed", tables, by="quarter").set_index("quarter")["note"]
    assert notes["2026Q1"].startswith(f"{INCOMPLETE}: the export is cut off on the left")
    assert INCOMPLETE not in notes["2026Q2"]
    assert "includes deals from before 2026Q2" in one("won_value", tables)["note"]
    assert overview(tables, quarter=Q2).set_index("name")["previous"].isna().all()
    assert measures.bookings_by_quarter(tables)["partial"].tolist() == [True, False]


def test_a_young_company_with_slow_deals_is_not_cut_off() -> None:
    days = [date(2025, 10, 1) + timedelta(days=2 * k) for k in range(120)]
    slow = [won(str(day + timedelta(days=100 + k % 20)), created=str(day)) for k, day in enumerate(days)]
    found = measures.left_cut(export(slow, as_of=date(2026, 9, 30)))
    assert (found.cut, found.first_complete_quarter) == (False, Quarter(2025, 4))
    few = measures.left_cut(export([won("2026-03-20"), won("2026-05-01", created="2026-04-20")]))
    assert not few.cut
    assert measures.left_cut(export([opened("2026-01-02")])).first_complete_quarter is None


def test_overview_sets_each_measure_beside_benchmark_and_quarter_before(busy: crm.Tables) -> None:
    rows = overview(busy, quarter=Q2, benchmarks={"win_rate_closed": 0.5, "new_opportunities": 80})
    assert rows["name"].tolist() == list(CATALOGUE)
    table = rows.set_index("name")
    assert table["benchmark"]["win_rate_closed"] == 0.5
    assert table["value"]["new_against_expected"] == pytest.approx(table["value"]["new_opportunities"] / 80)
    assert table["previous"]["won_value"] == one("won_value", busy, Q1)["value"]
    assert math.isnan(table["previous"]["open_opportunities"])
    assert table["value"]["won_value"] == one("won_value", busy, Q2)["value"]
    assert "new_against_expected" not in set(overview(busy, quarter=Q2)["name"])
    assert overview(busy, quarter=Quarter(2025, 3))["previous"].isna().all()


def test_overview_table_sets_out_figures_notes_and_what_is_missing() -> None:
    deals = [won("2026-02-01", 150.0, account="A*B|C"), lost("2026-02-01"), opened("2026-02-10")]
    rows = overview(export(deals), quarter=Q1, benchmarks={"win_rate_closed": 0.25})
    lines = measures.overview_table(rows, currency="EUR").splitlines()
    assert lines[0] == "| measure | value | 80 % interval | n | quarter before | benchmark |"
    assert "| Won value | EUR 150 | – | 1 | – | – |" in lines
    assert "| Won value | 150 | – | 1 | – | – |" in measures.overview_table(rows, currency="XXX").splitlines()
    assert any(line.startswith("| Win rate of deals closed | 50.0 % | 16.") for line in lines)
    assert r"- Won value from the largest account: largest: A\*B|C." in lines
    assert any(
        line.startswith("- Leads, MQL, SQL, ") and line.endswith(": the export has no leads.")
        for line in lines
    )


# --- tables and bottleneck ---------------------------------------------------------------------------------


def test_pipeline_by_stage_shows_every_open_deal() -> None:
    tables = export(
        [opened(None, 10.0, stage="cold"), opened("2026-01-02", list_price=5.0), opened("2026-01-02", 20.0)]
    )
    rows = measures.pipeline_by_stage(tables, close_probability={"warm": 0.4})
    assert rows["stage"].tolist() == list(STAGES)
    assert rows["deals"].tolist() == [1, 2, 0]
    assert rows["value"].tolist() == pytest.approx([10.0, 25.0, math.nan], nan_ok=True)
    assert rows["weighted_value"].tolist() == pytest.approx([math.nan, 10.0, math.nan], nan_ok=True)


def test_bookings_by_quarter_begin_with_the_first_close() -> None:
    tables = export([won("2026-05-01", 70.0), lost("2026-07-02")], as_of=date(2026, 7, 20))
    rows = measures.bookings_by_quarter(tables)
    assert rows["quarter"].tolist() == ["2026Q2", "2026Q3"]
    assert rows["won_value"].tolist() == [70.0, 0.0]
    assert rows["partial"].tolist() == [False, True]
    assert measures.bookings_by_quarter(export([opened("2026-01-02")])).empty


def test_bottleneck_is_the_stage_furthest_behind_its_norm_beyond_luck() -> None:
    deals, visits = [], []
    for i in range(300):
        reach = 3 if i % 5 == 0 else 2 if i % 2 else 1
        day = date(2026, 1, 5)
        for stage in STAGES[:reach]:
            visits.append((i, stage, str(day)))
            day += timedelta(days=10)
        deals.append(won(str(day)) if reach == 3 else lost(str(day)))
    tables = export(deals, history=history_of(*visits))
    usual = {"cold": StageNorm(conversion=0.5), "warm": StageNorm(conversion=0.8, median_days=9)}
    found = measures.bottleneck(tables, norms=usual)
    assert (found.stage, found.kind, found.beyond_luck) == ("warm", "conversion", True)
    assert found.estimate.value < 0.4
    assert found.shortfall == pytest.approx(1 - found.estimate.value / 0.8)
    assert found.reason.startswith("warm: 33.3 % moved on over all time against a norm of 80.0 %")
    slow = measures.bottleneck(
        tables, norms={"cold": StageNorm(median_days=5), "warm": StageNorm(conversion=0.35)}
    )
    assert (slow.stage, slow.kind, slow.shortfall) == ("cold", "days", 0.5)
    fine = measures.bottleneck(tables, norms={"cold": StageNorm(conversion=0.1)})
    assert fine.stage is None
    assert fine.reason == "no stage falls short of its norm over all time"
    assert measures.bottleneck(tables).reason == "no stage falls short of its norm in 2026Q1"
    with pytest.raises(ParameterError, match="'hot'; the stages are 'cold'"):
        measures.bottleneck(tables, norms={"hot": StageNorm()})


def test_the_worst_of_many_stages_is_beyond_luck_only_where_luck_seldom_makes_it_so() -> None:
    """26 of 60 move on where 52 % should: outside the 80 % interval of one figure, but not of the worst of
    many."""
    visits = [(i, "cold", "2026-01-02") for i in range(60)] + [(i, "warm", "2026-01-12") for i in range(26)]
    tables = export([lost("2026-02-01")] * 60, history=history_of(*visits))
    alone = {"cold": StageNorm(conversion=0.52)}
    assert measures.bottleneck(tables, norms=alone).beyond_luck
    beside = alone | {"warm": StageNorm(conversion=0.0, median_days=90)}
    found = measures.bottleneck(tables, norms=beside | {"cold": StageNorm(conversion=0.52, median_days=90)})
    assert (found.stage, found.beyond_luck) == ("cold", False)


def test_where_nobody_ever_moved_on_the_bottleneck_has_no_cost() -> None:
    visits = history_of(*[(i, "cold", "2026-01-02") for i in range(9)])
    deals = [won("2026-02-01"), *[lost("2026-02-01")] * 9]
    history = [
        dict(visit, opportunity_id=f"O{int(str(visit['opportunity_id'])[1:]) + 1}") for visit in visits
    ]
    found = measures.bottleneck(export(deals, history=history), norms={"cold": StageNorm(conversion=0.5)})
    assert (found.stage, found.estimate.value) == ("cold", 0.0)
    assert math.isnan(found.gain.value)


def test_bottleneck_of_few_deals_says_that_it_may_be_luck_and_without_history_says_so() -> None:
    visits = history_of((0, "cold", "2026-01-02"), (1, "cold", "2026-01-02"), (1, "warm", "2026-01-12"))
    tables = export([lost("2026-02-01"), lost("2026-03-01")], history=visits)
    found = measures.bottleneck(tables, norms={"cold": StageNorm(conversion=0.6)})
    assert (found.stage, found.beyond_luck) == ("cold", False)
    assert "luck alone could explain it" in found.reason
    without = measures.bottleneck(export([won("2026-02-01")]))
    assert without.stage is None
    assert without.reason == "the export has no stage history"


# --- catalogue ---------------------------------------------------------------------------------------------


def test_every_entry_of_the_catalogue_is_defined_in_words() -> None:
    rows = measures.glossary()
    assert [row["name"] for row in rows] == list(CATALOGUE)
    assert len({row["label"] for row in rows}) == len(rows)
    for row in rows:
        assert row["definition"][0].isupper() or row["definition"].startswith("Won")
        assert row["definition"].endswith("].")
        assert row["unit"] in ("share", "money", "days", "count", "ratio")
    for entry in CATALOGUE.values():
        assert set(entry.cuts) <= set(measures.BY)
        with pytest.raises(AttributeError):
            entry.label = "changed"


# --- real data ---------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def maven(real_data: Path) -> crm.Tables:
    return crm.read(real_data / "maven_crm")


def test_maven_bookings_by_quarter_of_close(maven: crm.Tables) -> None:
    rows = measures.bookings_by_quarter(maven)
    assert list(rows.itertuples(index=False, name=None)) == [
        ("2017Q1", 1_134_672.0, 531, True),
        ("2017Q2", 3_086_111.0, 1_254, False),
        ("2017Q3", 2_982_255.0, 1_257, False),
    ]
    assert one("won_value", maven)["value"] == 7_203_038
    assert one("won_count", maven)["value"] == 3_042


def test_maven_win_rate_over_closed_deals_and_dead_pipeline(maven: crm.Tables) -> None:
    rate = one("win_rate_closed", maven)
    assert (rate["value"], rate["n"]) == (3_042 / 4_726, 4_726)
    dead = one("dead_pipeline_share", maven)
    assert (dead["value"], dead["n"]) == (530 / 2_409, 2_409)
    assert measures.slowest_close_days(maven) == 138
    assert "500 open deals without a date of first contact not counted" in dead["note"]
    assert int((measures.open_ages_days(maven) > 138).sum()) == 530
    assert measures.pipeline_by_stage(maven)["deals"].tolist() == [500, 2_409]


def test_maven_first_quarter_is_an_artefact(maven: crm.Tables) -> None:
    found = measures.left_cut(maven)
    assert found.cut
    assert found.first_complete_quarter == Quarter(2017, 2)
    rows = measure("win_rate_closed", maven, by="quarter").set_index("quarter")
    assert rows["value"]["2017Q1"] == pytest.approx(0.82, abs=0.005)
    assert "artefact" in rows["note"]["2017Q1"]
    assert rows["note"][["2017Q2", "2017Q3"]].tolist() == ["", ""]


def test_maven_overview_and_reps_without_deals(maven: crm.Tables) -> None:
    table = overview(maven, quarter=Quarter(2017, 3)).set_index("name")
    assert table["value"]["won_value"] == 2_982_255
    assert table["previous"]["won_count"] == 1_254
    assert table["note"]["source_concentration"] == "the export has no lead source"
    assert table["note"]["stage_conversion"] == "the export has no stage history"
    wins = by("won_count", maven, "rep")
    assert len(wins) == 35
    assert sum(number == 0 for number in wins.values()) == 5
    assert measures.bottleneck(maven).stage is None
