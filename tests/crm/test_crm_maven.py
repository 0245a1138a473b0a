"""The published figures of a real CRM export, through the public API."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pandas as pd
import pytest

from salessim.crm import Tables, read


@pytest.fixture(scope="module")
def maven(real_data: Path) -> Tables:
    return read(real_data / "maven_crm")


def rows_of(tables: Tables, rule: str, **where: str) -> int:
    issues = tables.quality.issues
    issues = issues[issues["rule"] == rule]
    for column, value in where.items():
        issues = issues[issues[column] == value]
    return len(issues)


def test_map_day_currency_and_stages_are_found(maven: Tables) -> None:
    assert maven.column_map == "maven_crm"
    assert "detected" in maven.column_map_reason
    assert maven.as_of == date(2017, 9, 30)
    assert maven.currency == "USD"
    assert maven.stages == ("Prospecting", "Engaging")


def test_deals_and_won_value(maven: Tables) -> None:
    deals = maven.opportunities
    assert deals["status"].value_counts().to_dict() == {"won": 3042, "open": 2909, "lost": 1684}
    assert deals["stage"].value_counts().to_dict() == {
        "won": 3042,
        "Engaging": 2409,
        "lost": 1684,
        "Prospecting": 500,
    }
    assert deals.loc[deals["status"] == "won", "amount"].sum() == 7_203_038
    assert deals.loc[deals["status"] != "won", "amount"].isna().all()


@pytest.mark.parametrize(
    ("quarter", "won", "value"), [(1, 531, 1_134_672), (2, 1254, 3_086_111), (3, 1257, 2_982_255)]
)
def test_quarters_of_close(maven: Tables, quarter: int, won: int, value: float) -> None:
    deals = maven.opportunities
    closed = deals[(deals["status"] == "won") & (deals["closed"].dt.quarter == quarter)]
    assert (len(closed), closed["amount"].sum()) == (won, value)


def test_products_and_industries_are_repaired_and_joined(maven: Tables) -> None:
    assert rows_of(maven, "misspelt value", field="product", value="GTXPro → GTX Pro") == 1285
    assert rows_of(maven, "misspelt value", field="industry", value="technolgy → technology") == 12
    deals = maven.opportunities
    assert "GTXPro" not in set(deals["product"])
    assert (deals["segment"] == deals["product"]).all()
    assert set(deals.loc[deals["product"] == "GTX Pro", "list_price"]) == {4821.0}
    assert "technology" in set(maven.accounts["industry"])
    assert "technolgy" not in set(maven.accounts["industry"])


@pytest.mark.parametrize(
    ("rule", "rows"),
    [
        ("stale open deal", 530),
        ("open deal without an account", 1345),
        ("deal without a created date", 500),
        ("open deal without an amount", 2909),
        ("seller without any deal", 5),
        ("possible duplicate", 25),
    ],
)
def test_suspicious_rows(maven: Tables, rule: str, rows: int) -> None:
    summary = maven.quality.summary().set_index("rule")
    assert summary.loc[rule, "rows"] == rows
    assert summary.loc[rule, "severity"] == "suspicious"


def test_stale_deals_are_open_longer_than_the_longest_cycle(maven: Tables) -> None:
    deals = maven.opportunities
    closed = deals[deals["status"] != "open"]
    assert (closed["closed"] - closed["created"]).dt.days.max() == 138
    stale = maven.quality.issues.query("rule == 'stale open deal'")["key"]
    ages = (pd.Timestamp(maven.as_of) - deals.set_index("opportunity_id").loc[stale, "created"]).dt.days
    assert ages.min() > 138


def test_nothing_is_rejected_and_every_record_is_accounted_for(maven: Tables) -> None:
    counts = maven.quality.counts.set_index("table")
    assert counts["rejected"].sum() == 0
    assert counts["read"].to_dict() == {"opportunities": 7635, "reps": 35, "accounts": 85, "products": 7}
    assert (counts["read"] == counts["kept"]).all()
    assert counts["repaired"].to_dict() == {"opportunities": 1285, "reps": 0, "accounts": 12, "products": 0}


def test_other_tables(maven: Tables) -> None:
    assert len(maven.reps) == 35
    assert maven.reps["manager"].nunique() == 6
    assert maven.reps["region"].nunique() == 3
    assert len(maven.accounts) == 85
    assert maven.leads.empty
    assert maven.stage_history.empty
    assert maven.quotas.empty
    assert maven.with_rep_columns()["manager"].notna().all()


def test_files_are_identified(maven: Tables) -> None:
    deals = next(file for file in maven.files if file.name == "sales_pipeline.csv")
    assert (deals.encoding, deals.delimiter, deals.records) == ("utf-8", ",", 7635)
    assert len(deals.sha256) == 64
    assert any("data_dictionary.csv" in note for note in maven.quality.notes)
