"""Which export a report is made from: a folder, a file, our own import, or a file that describes it."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from salessim import crm
from salessim.briefing import ExportSpec, import_summary, read_export, take_snapshot
from salessim.errors import DataError, ParameterError

HEADER = "opportunity_id,rep,stage,created,closed,amount,currency\n"
MAP = """
name: two_currencies
currency: EUR
stages: {open: open, won: won, lost: lost}
tables:
  opportunities:
    file: deals.csv
    columns:
      opportunity_id: opportunity_id
      rep: rep
      stage: stage
      created: created
      closed: closed
      amount: amount
      currency: currency
"""


@pytest.fixture
def client(tmp_path: Path) -> Path:
    """A client's folder: an export in two currencies, its map, rates, and a file that says it all."""
    (tmp_path / "export").mkdir()
    (tmp_path / "export" / "deals.csv").write_text(
        f"{HEADER}D1,Rep Alpha,won,2026-01-05,2026-02-20,1000,EUR\n"
        "D2,Rep Beta,won,2026-01-06,2026-03-02,1000,PLN\n"
        "D3,Rep Beta,open,2026-03-03,,400,PLN\n"
    )
    (tmp_path / "map.yaml").write_text(MAP)
    (tmp_path / "rates.csv").write_text("currency,rate\nPLN,0.25\n")
    (tmp_path / "crm.yaml").write_text("source: export\ncolumn_map: map.yaml\nrates: rates.csv\n")
    return tmp_path


def test_a_file_describes_the_export(client: Path) -> None:
    tables = read_export(str(client / "crm.yaml"))
    assert tables.opportunities["amount"].tolist() == [1000.0, 250.0, 100.0]
    assert "3 opportunities as of 2026-03-03" in import_summary(tables)
    assert any("PLN" in note and "0.25" in note for note in tables.quality.notes)


def test_a_mix_of_currencies_without_rates_is_refused(client: Path) -> None:
    (client / "crm.yaml").write_text("source: export\ncolumn_map: map.yaml\n")
    with pytest.raises(DataError, match="PLN"):
        read_export(str(client / "crm.yaml"))


def test_a_fault_in_the_file_names_field_and_value(client: Path) -> None:
    (client / "crm.yaml").write_text("source: export\ncurrency: euro\n")
    with pytest.raises(DataError, match=r"crm.yaml: currency is 'euro'"):
        read_export(str(client / "crm.yaml"))
    (client / "crm.yaml").write_text("source: export\ncolour: red\n")
    with pytest.raises(DataError, match="colour"):
        read_export(str(client / "crm.yaml"))


def test_the_command_line_goes_before_the_file(client: Path) -> None:
    spec = ExportSpec.of(str(client / "crm.yaml"), column_map="salessim_csv", as_of=date(2026, 4, 1))
    assert (spec.column_map, spec.as_of) == ("salessim_csv", date(2026, 4, 1))
    assert Path(spec.rates) == (client / "rates.csv").resolve()


def test_an_earlier_day_takes_the_export_back(client: Path) -> None:
    tables = read_export(str(client / "crm.yaml"), as_of="2026-02-28")
    assert tables.opportunities["status"].tolist() == ["won", "open"]
    with pytest.raises(ParameterError, match="no export is named"):
        read_export("")
    with pytest.raises(ParameterError, match="as_of is 'today'"):
        read_export(str(client / "crm.yaml"), as_of="today")


def test_our_own_import_is_read_with_the_map_beside_it(client: Path) -> None:
    tables = read_export(str(client / "crm.yaml"))
    crm.write_tables(tables, client / "clean")
    again = read_export(str(client / "clean"), as_of=tables.as_of.isoformat())
    assert again.opportunities["amount"].tolist() == tables.opportunities["amount"].tolist()


def test_a_stage_history_comes_from_the_ledger(client: Path) -> None:
    ledger = client / "ledger.sqlite"
    deals = client / "export" / "deals.csv"
    with (client / "crm.yaml").open("a") as file:
        file.write("ledger: ledger.sqlite\n")
    spec = (client / "crm.yaml").read_text().replace("ledger: ledger.sqlite\n", "")
    (client / "first.yaml").write_text(spec)
    first = take_snapshot(str(client / "first.yaml"), ledger=str(ledger), taken_on="2026-03-05")
    assert first.changes is None
    assert "first snapshot" in first.text
    deals.write_text(
        deals.read_text().replace("D3,Rep Beta,open,2026-03-03,,", "D3,Rep Beta,won,2026-03-03,2026-03-10,")
    )
    second = take_snapshot(str(client / "first.yaml"), ledger=str(ledger), taken_on="2026-03-12")
    assert second.changes is not None
    assert second.changes.table["kind"].tolist() == ["won"]
    assert "D3" in second.text or "EUR 100" in second.text
    with pytest.raises(DataError, match="no snapshot of 2020-01-01"):
        take_snapshot(
            str(client / "first.yaml"), ledger=str(ledger), taken_on="2026-03-19", since="2020-01-01"
        )
    again = take_snapshot(str(client / "first.yaml"), ledger=str(ledger), taken_on="2026-03-12")
    assert again.recorded.outcome == "unchanged"
    tables = read_export(str(client / "crm.yaml"))
    history = tables.stage_history
    assert history.loc[history["opportunity_id"] == "D3", "stage"].tolist()[-1] == "won"
