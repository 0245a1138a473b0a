"""`salessim import`, `measures`, `calibrate --check`, `audit`, `snapshot`: what a consultant types first."""

from __future__ import annotations

import shutil
from pathlib import Path

import openpyxl
import pandas as pd
import pytest

from salessim.audit import read_evidence_sheet
from salessim.library.samples import sample
from tests.test_cli import refused, salessim


def test_import_says_what_it_read_and_writes_tables_that_are_read_again(tmp_path: Path) -> None:
    clean, findings = tmp_path / "clean", tmp_path / "findings.csv"
    words = ("import", str(sample("bitrix24")), "--out", str(clean), "--findings", str(findings))
    result = salessim(*words)
    assert result.returncode == 0, result.stderr
    assert "60 opportunities as of 2026-06-30" in result.stdout
    assert "'bitrix24' was detected" in result.stdout
    assert findings.read_text(encoding="utf-8-sig").startswith("table,file,row,key,field,value,rule")
    again = salessim("measures", "--crm", str(clean), "--measure", "won_count")
    before = salessim("measures", "--crm", str(sample("bitrix24")), "--measure", "won_count")
    assert again.returncode == 0
    assert again.stdout == before.stdout


def test_the_source_can_be_named(tmp_path: Path) -> None:
    result = salessim("import", str(sample("hubspot")), "--source", "hubspot")
    assert "'hubspot' was asked for" in result.stdout
    said = refused("import", str(sample("hubspot")), "--source", "amocrm")
    assert "column map 'amocrm' does not fit" in said


def test_an_import_never_overwrites_something_else(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("keep")
    assert "is left alone" in refused("import", str(sample("livespace")), "--out", str(tmp_path))
    assert (tmp_path / "mine.txt").read_text() == "keep"
    assert "it must be csv or parquet" in refused("import", str(sample("livespace")), "--as", "json")


def test_measures_are_split_by_several_and_written(tmp_path: Path) -> None:
    out = tmp_path / "figures.csv"
    words = ("measures", "--measure", "win_rate_closed", "--by", "rep,source", "--out", str(out))
    result = salessim(*words)
    assert result.returncode == 0, result.stderr
    assert result.stdout.startswith("| rep | source | value | 80 % interval | n | note |")
    assert pd.read_csv(out).columns[:3].tolist() == ["rep", "source", "value"]
    assert "shoe_size" in refused("measures", "--measure", "win_rate_closed", "--by", "shoe_size")


def test_figures_of_the_field_stand_beside_only_when_asked_for() -> None:
    assert "the field reports" in salessim("measures", "--field").stdout
    assert "the field reports" not in salessim("measures").stdout


def test_a_calibration_is_checked_on_the_past() -> None:
    result = salessim("calibrate", "--check")
    assert result.returncode == 0, result.stderr
    assert "quarters" in result.stdout.split("| estimate |")[-1]


def test_the_audit_sheet_is_filled_in_and_read_back(tmp_path: Path) -> None:
    path = tmp_path / "audit.xlsx"
    first = salessim("audit", "--out", str(path))
    assert first.returncode == 0, first.stderr
    assert "is where it claims to be" in first.stdout
    again = salessim("audit", "--evidence", str(path))
    assert again.stdout == first.stdout.replace(f"{path}\n", "")  # untouched, it changes nothing
    book = openpyxl.load_workbook(path)
    sheet = book["Deals"]
    header = next(row for row in sheet.iter_rows() if "deal" in [cell.value for cell in row])
    column = next(cell.column for cell in header if cell.value == "decision maker")
    for row in range(header[0].row + 1, sheet.max_row + 1):
        sheet.cell(row, column).value = None
    book.save(path)
    assert not read_evidence_sheet(path).cells["criterion"].empty
    without = salessim("audit", "--evidence", str(path))
    assert without.returncode == 0, without.stderr
    assert without.stdout != first.stdout
    assert "file that ends with .xlsx" in refused("audit", "--out", "audit.csv")


def test_a_snapshot_is_kept_once_and_compared(tmp_path: Path) -> None:
    ledger, chart, out = tmp_path / "ledger.sqlite", tmp_path / "week.png", tmp_path / "changes.csv"
    export = tmp_path / "export"
    shutil.copytree(sample("generic_csv"), export)
    common = ("snapshot", "--crm", str(export), "--ledger", str(ledger))
    assert "first snapshot" in salessim(*common, "--taken-on", "2026-07-06").stdout
    assert "nothing was changed" in salessim(*common, "--taken-on", "2026-07-06").stdout
    deals = pd.read_csv(export / "opportunities.csv", dtype=str)
    open_deals = deals.index[~deals["stage"].isin(["won", "lost"])]
    deals.loc[open_deals[0], ["stage", "closed"]] = ["won", "2026-07-08"]
    deals.loc[open_deals[1], "amount"] = "123456"
    deals.to_csv(export / "opportunities.csv", index=False)
    words = ("--taken-on", "2026-07-13", "--chart", str(chart), "--out", str(out))
    result = salessim(*common, *words)
    assert result.returncode == 0, result.stderr
    assert "From 2026-07-06 to 2026-07-13 the open pipeline" in result.stdout
    assert pd.read_csv(out)["kind"].tolist() == ["resized", "won"]
    assert chart.read_bytes().startswith(b"\x89PNG")
    assert "no snapshot" in refused(*common, "--taken-on", "2026-07-13", "--since", "2020-01-01")


@pytest.mark.parametrize(
    "url", ["sqlite:///nowhere/at/all.db", "postgresql+nodriver://x:secret@localhost/crm"]
)
def test_a_database_that_cannot_be_reached_is_one_line_without_the_password(url: str) -> None:
    said = refused("import", url)
    assert "secret" not in said
