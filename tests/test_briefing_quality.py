"""The chapter on data quality: whether figures can be trusted, what faults touch, what is missing."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pandas as pd
import pytest

from salessim import briefing, charts
from salessim.briefing import CheckedExport
from salessim.crm import Tables, read
from salessim.errors import SalessimError
from salessim.model import Contract

WriteExport = Callable[[Mapping[str, str | bytes]], Path]

DEALS = """opportunity_id,rep,account,segment,stage,created,closed,amount
D1,Rep Alpha,Firm One,SMB,won,2026-01-05,2026-02-20,1000
D2,Rep Alpha,Firm Two,SMB,won,2026-01-10,2026-03-01,3000
D3,Rep Beta,,SMB,warm lead,2026-03-01,,
D4,Rep Beta,,SMB,warm lead,2026-03-01,,6000
D5,Rep Beta,Firm Six,SMB,won,2026-03-05,,500
D1,Rep Alpha,Firm One,SMB,won,2026-01-05,2026-02-20,1000
D6,Rep Beta,Firm Nine,SMB,warm lead,2026-03-01,,2000
"""


@pytest.fixture
def small(write_export: WriteExport) -> Tables:
    return read(write_export({"opportunities.csv": DEALS}))


@pytest.fixture(scope="module")
def example() -> CheckedExport:
    return briefing.check_export(crm_folder="example")


def test_values_and_the_part_on_suspicious_rows(small: Tables) -> None:
    trust = briefing.quality_trust(small, quarter="2026Q1").set_index("what")
    assert trust.loc["all bookings", ["deals", "value", "suspicious_value"]].tolist() == [2, 4000.0, 0.0]
    assert trust.loc["bookings of 2026Q1", "value"] == 4000.0
    # the open deal without an amount counts with the average of its segment, 2,000
    assert trust.loc["open pipeline", ["value", "suspicious_value", "share"]].tolist() == [
        10_000.0,
        8000.0,
        0.8,
    ]


def test_repairs_are_ranked_by_the_value_they_touch(small: Tables) -> None:
    repairs = briefing.quality_repairs(small).set_index("rule")
    assert repairs.index[0] == "open deal without an account"
    assert repairs.loc["open deal without an account", ["rows", "value", "assumed"]].tolist() == [
        2,
        8000.0,
        True,
    ]
    rejected = repairs.loc["closed deal without a close date"]
    assert (rejected["severity"], rejected["value"], rejected["assumed"]) == ("rejected", 2000.0, True)
    assert "exact duplicate" not in repairs.index  # a copy costs nothing


def test_findings_answer_first(small: Tables) -> None:
    text = briefing.quality_findings(small, quarter="2026Q1")
    first, *_ = text.splitlines()
    assert first.startswith(
        "- **Bookings can be trusted: nothing of EUR 4,000 rests on suspicious rows; the open"
    )
    assert "the open pipeline cannot be trusted as it stands: 80 % of EUR 10k" in first
    assert "**5 of 7 records are kept**; 2 are rejected" in text
    assert "among them a deal that is in no figure, at the average deal worth about EUR 2,000" in text
    assert "1. *open deal without an account* (2 rows, about EUR 8,000)" in text
    assert "no stage history" in text


def test_a_clean_export_needs_no_repair(write_export: WriteExport) -> None:
    clean = "\n".join(DEALS.splitlines()[:3])
    tables = read(write_export({"opportunities.csv": clean}))
    text = briefing.quality_findings(tables)
    assert "repair" not in text
    assert "none is rejected" in text
    assert "there is no value of the open pipeline to judge" in text
    assert briefing.quality_repairs_table(tables) == "No fault was found in any row."
    assert "No fault was found" in briefing.data_quality(tables)
    assert (
        charts.value_touched(briefing.quality_repairs(tables)).get_label() == "No fault was found in any deal"
    )


def test_the_tables_of_the_example(example: CheckedExport) -> None:
    tables = example.tables
    table = briefing.quality_repairs_table(tables)
    for rule in tables.quality.summary()["rule"]:
        assert f"| {rule} |" in table
    counts = briefing.quality_counts_table(tables)
    assert all(file.name in counts for file in tables.files)
    assert tables.column_map in briefing.quality_notes(tables)
    missing = briefing.missing_table(tables)
    assert all(finding in missing for finding in tables.quality.findings["finding"])


def test_contracts_by_source_and_rep(example: CheckedExport) -> None:
    contracts = (Contract(stage="MQL", fields=("position",)),)
    by_source = briefing.quality_contracts(example.tables, contracts=contracts, by="source")
    leads = example.tables.leads
    mql = leads[leads["mql"].notna()]
    expected = mql["position"].notna().groupby(mql["source"]).mean()
    shares = by_source.set_index("source")["value"]
    pd.testing.assert_series_equal(shares, expected, check_names=False)
    assert (by_source["low"] <= by_source["value"]).all()
    assert (by_source["value"] <= by_source["high"]).all()
    ax = charts.contracts_by_group(by_source, group_label="source")
    assert ax.get_label().startswith(f"{mql['position'].notna().mean():.0%}".replace("%", " %"))
    table = briefing.contracts_table(example.tables, contracts=contracts)
    assert f"| {mql['rep'].dropna().iloc[0]}" in table
    assert "SQL" not in table


def test_without_leads_there_are_no_contracts(small: Tables) -> None:
    assert "No lead is an MQL" in briefing.contracts_table(small)
    frame = briefing.quality_contracts(small)
    assert charts.contracts_by_group(frame, group_label="source").get_label().startswith("No lead is an MQL")


def test_a_real_pipeline_rests_wholly_on_doubtful_rows(real_data: Path) -> None:
    tables = read(real_data / "maven_crm")
    trust = briefing.quality_trust(tables).set_index("what")
    assert trust["value"]["all bookings"] == 7_203_038
    assert trust["share"]["open pipeline"] == 1.0  # no open deal has an amount
    repairs = briefing.quality_repairs(tables)
    assert repairs["rule"].head(3).tolist() == [
        "open deal without an amount",
        "open deal without an account",
        "stale open deal",
    ]
    label = charts.value_touched(repairs, currency=tables.currency).get_label()
    assert label == "‘open deal without an amount’ touches most value: USD 6.82m in 2,909 deals"


def test_a_wrong_quarter_is_refused(small: Tables) -> None:
    with pytest.raises(SalessimError):
        briefing.quality_findings(small, quarter="soon")
