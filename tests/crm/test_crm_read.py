"""Reading exports: canonical tables, every quality rule, every refusal, and that no record is lost."""

from __future__ import annotations

import csv
import io
import tempfile
import time
from collections.abc import Callable, Mapping
from datetime import date, datetime
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from salessim.crm import RULES, Tables, read, write_quality_report
from salessim.crm.canonical import SPECS
from salessim.crm.quality import SEVERITIES
from salessim.errors import DataError, ParameterError, WorkspaceError

WriteExport = Callable[[Mapping[str, str | bytes]], Path]

HEADER = "opportunity_id,rep,account,product,segment,stage,created,closed,expected_close,amount"
DEALS = f"""{HEADER}
D1,Rep Alpha,Firm One,Basic,SMB,won,2026-01-05,2026-02-20,,1200
D2,Rep Alpha,Firm Two,Basic,SMB,lost,2026-01-10,2026-03-01,,
D3,Rep Beta,Firm One,Plus,MME,warm lead,2026-03-01,,2026-05-01,800
"""
AS_OF = date(2026, 3, 31)


def deals(*lines: str) -> str:
    """The three good deals and the given lines after them, the first of which is row 5."""
    return DEALS + "".join(line + "\n" for line in lines)


def found(tables: Tables) -> list[tuple[Any, ...]]:
    issues = tables.quality.issues
    return list(issues[["rule", "severity", "row", "field", "value"]].itertuples(index=False, name=None))


def reconciled(tables: Tables) -> None:
    """Every record read is kept or listed as rejected, in the tables and in the issues alike."""
    counts, issues = tables.quality.counts, tables.quality.issues
    assert (counts["read"] == counts["kept"] + counts["rejected"]).all()
    for line in counts.itertuples():
        mine = issues[(issues["table"] == line.table) & (issues["file"] == line.file)]
        for severity in SEVERITIES:
            rows = mine.loc[mine["severity"] == severity, "row"].nunique()
            assert rows == getattr(line, severity)
    assert counts.loc[counts["table"] == "opportunities", "kept"].sum() == len(tables.opportunities)
    assert sum(file.records for file in tables.files) == counts["read"].sum()


# --- canonical tables -----------------------------------------------------------------------------


def test_deals_become_canonical(write_export: WriteExport) -> None:
    tables = read(write_export({"opportunities.csv": DEALS}))
    assert list(tables.opportunities.columns) == list(SPECS["opportunities"].canonical_columns)
    first, second, third = tables.opportunities.to_dict("records")
    assert (first["stage"], first["status"], first["amount"], first["row"]) == ("won", "won", 1200.0, 2)
    assert first["closed"] == pd.Timestamp(2026, 2, 20)
    assert (second["status"], second["row"]) == ("lost", 3)
    assert pd.isna(second["amount"])
    assert (third["stage"], third["status"], third["amount"]) == ("warm lead", "open", 800.0)
    assert pd.isna(third["closed"])
    assert tables.stages == ("cold lead", "warm lead", "potential deal", "closing deal")
    assert (tables.currency, tables.as_of) == ("EUR", date(2026, 3, 1))
    assert tables.quality.issues.empty
    assert tables.quality.summary().empty
    reconciled(tables)


def test_absent_tables_are_there_and_empty(write_export: WriteExport) -> None:
    tables = read(write_export({"opportunities.csv": DEALS}))
    for name in ("accounts", "leads", "stage_history", "quotas"):
        table = getattr(tables, name)
        assert table.empty
        assert list(table.columns) == list(SPECS[name].canonical_columns)
    assert tables.reps["rep"].tolist() == ["Rep Alpha", "Rep Beta"]  # named in the deals
    assert any("no table of evidence ('evidence.csv')" in note for note in tables.quality.notes)
    assert "leads" in tables.quality.findings["table"].tolist()


def test_all_tables_of_the_plain_format(write_export: WriteExport) -> None:
    tables = read(
        write_export(
            {
                "opportunities.csv": DEALS,
                "reps.csv": "rep,manager,region,role,start,end\n"
                "Rep Alpha,Manager Nord,North,AE,2024-01-01,\nRep Beta,Manager Nord,South,AE,2026-01-01,\n",
                "accounts.csv": "account,industry,employees\nFirm One,retail,120\nFirm Two,retail,\n",
                "leads.csv": "lead_id,source,rep,created,mql,sql,opportunity_id\n"
                "L1,web,Rep Alpha,2025-12-01,2025-12-10,2026-01-05,D1\nL2,fair,,2026-01-02,,,\n",
                "stage_history.csv": "opportunity_id,stage,entered\n"
                "D1,cold lead,2026-01-05\nD1,won,2026-02-20\n",
                "quotas.csv": "rep,period,quota\nRep Alpha,2026Q1,5000\nRep Beta,2026-q1,4000\n",
            }
        ),
        fiscal_year_starts_in_month=4,
    )
    assert tables.quality.issues.empty
    assert tables.with_rep_columns()["region"].tolist() == ["North", "North", "South"]
    assert tables.accounts["employees"].iloc[0] == 120.0
    assert tables.leads["mql"].notna().tolist() == [True, False]
    assert tables.leads["segment"].unique().tolist() == ["all"]
    assert tables.stage_history["stage"].tolist() == ["cold lead", "won"]
    assert tables.quotas["period"].tolist() == ["2026Q1", "2026Q1"]
    assert tables.fiscal_year_starts_in_month == 4
    assert [file.name for file in tables.files][:2] == ["opportunities.csv", "reps.csv"]
    reconciled(tables)


def test_optional_files_may_be_empty_of_records_or_wholly_rejected(write_export: WriteExport) -> None:
    tables = read(
        write_export(
            {
                "opportunities.csv": DEALS,
                "reps.csv": "rep,manager\n",
                "accounts.csv": "account,industry\nFirm One\n",
                "leads.csv": "lead_id,created\n,2026-01-01\n",
            }
        )
    )
    assert tables.accounts.empty
    assert tables.leads.empty
    assert tables.reps["rep"].tolist() == ["Rep Alpha", "Rep Beta"]
    assert tables.quality.counts.set_index("table")["rejected"].to_dict() == {
        "opportunities": 0,
        "reps": 0,
        "accounts": 1,
        "leads": 1,
    }
    reconciled(tables)


def test_segments_default_to_all_or_not_given(write_export: WriteExport) -> None:
    without = DEALS.replace(",segment,", ",team,")
    assert read(write_export({"opportunities.csv": without})).opportunities["segment"].unique() == ["all"]
    tables = read(write_export({"opportunities.csv": DEALS.replace("MME", "")}))
    assert tables.opportunities["segment"].tolist() == ["SMB", "SMB", "not given"]
    assert found(tables) == [("deal without a segment", "suspicious", 4, "segment", "")]


def test_amounts_of_lost_deals_are_not_used_and_a_note_says_so(write_export: WriteExport) -> None:
    tables = read(
        write_export({"opportunities.csv": deals("D4,Rep Beta,F,Plus,MME,lost,2026-01-01,2026-02-02,,900")})
    )
    assert tables.opportunities["amount"].isna().tolist() == [False, True, False, True]
    assert any("1 of 2 lost deals carry an amount" in note for note in tables.quality.notes)


def test_the_day_of_the_export_is_given_or_the_latest_event(write_export: WriteExport) -> None:
    folder = write_export({"opportunities.csv": DEALS})
    assert read(folder).as_of == date(2026, 3, 1)  # not the expected close in May
    assert read(folder, as_of=AS_OF).as_of == AS_OF
    assert type(read(folder, as_of=datetime(2026, 3, 31, 12)).as_of) is date
    write_export({"stage_history.csv": "opportunity_id,stage,entered\nD3,warm lead,2026-03-15\n"})
    assert read(folder).as_of == date(2026, 3, 15)


def test_one_mistyped_year_does_not_age_the_whole_pipeline(write_export: WriteExport) -> None:
    lines = [f"E{n},Rep Beta,F{n},Plus,MME,warm lead,2026-03-0{1 + n % 9},,,800" for n in range(200)]
    lines.append("X1,Rep Beta,Fx,Plus,MME,warm lead,2071-03-01,,,800")
    tables = read(write_export({"opportunities.csv": deals(*lines)}))
    assert tables.as_of == date(2026, 3, 9)
    assert found(tables) == [("created after the export", "suspicious", 205, "created", "2071-03-01")]


def test_an_old_first_date_is_no_reason_to_doubt_the_latest(write_export: WriteExport) -> None:
    tables = read(
        write_export({"opportunities.csv": deals("D0,Rep Beta,F,Plus,MME,lost,1999-01-01,1999-02-02,,")})
    )
    assert tables.as_of == date(2026, 3, 1)


# --- encodings, delimiters, user maps -------------------------------------------------------------


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1250"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_encodings_delimiters_and_line_ends(write_export: WriteExport, encoding: str, delimiter: str) -> None:
    text = DEALS.replace("Firm One", "Spółka Gęś").replace(",", delimiter).replace("\n", "\r\n")
    tables = read(write_export({"Opportunities.CSV": text.encode(encoding)}))
    assert tables.opportunities["account"].tolist() == ["Spółka Gęś", "Firm Two", "Spółka Gęś"]
    (file,) = tables.files
    assert (file.encoding, file.delimiter, file.records) == (encoding, delimiter, 3)
    assert any("not UTF-8" in note for note in tables.quality.notes) == (encoding == "cp1250")


POLISH_MAP = """
name: polski_crm
currency: PLN
dates: ["%d.%m.%Y", "%d.%m.%Y %H:%M:%S"]
numbers: {decimal: ",", thousands: " ", currency_signs: ["zł"]}
missing_words: ["-"]
stages: {Kwalifikacja: open, Negocjacje: open, Zakończone Wygrane: won, Zakończone Przegrane: lost}
segment_from: products.segment
tables:
  opportunities:
    file: "sprzedaż*.csv"
    columns:
      opportunity_id: Numer
      rep: Handlowiec
      account: Kontrahent
      product: Produkt
      stage: Etap
      created: Utworzono
      closed: Data zamknięcia
      expected_close: Data zamknięcia
      amount: Kwota
    corrections:
      product: {Podstawowy: Basic}
  products:
    file: cennik.csv
    columns: {product: Nazwa, list_price: Cena, segment: Grupa}
    numbers: {decimal: ".", thousands: ","}
  reps:
    file: zespol.csv
    required: false
    columns: {rep: Osoba, manager: Szef}
    constants: {region: Polska}
"""
POLISH_HEADER = "Numer;Handlowiec;Kontrahent;Produkt;Etap;Utworzono;Data zamknięcia;Kwota\n"


@pytest.fixture
def polish(write_export: WriteExport, tmp_path: Path) -> Tables:
    folder = write_export(
        {
            "Sprzedaż 2025.csv": (
                POLISH_HEADER
                + "1;Zofia Wzór;Spółka Gęś;Podstawowy;Zakończone Wygrane;05.01.2026;20.02.2026 10:11:12;"
                + "1 234,50 zł\n"
            ).encode("cp1250"),
            "Sprzedaż 2026.csv": (
                POLISH_HEADER + "2;Jan Wzór;-;Plus;Negocjacje;01.03.2026;01.06.2026;12\u00a0000\n"
            ).encode(),
            "cennik.csv": 'Nazwa,Cena,Grupa\nBasic,"1,300.00",małe\nPlus,9000,duże\n',
            "zespol.csv": "Osoba|Szef\nZofia Wzór|Ewa Wzór\nJan Wzór|Ewa Wzór\n",
        }
    )
    path = tmp_path / "polski_crm.yaml"
    path.write_text(POLISH_MAP, encoding="utf-8")
    return read(folder, column_map=path)


def test_a_users_map_reads_another_crm(polish: Tables) -> None:
    first, second = polish.opportunities.to_dict("records")
    assert (first["account"], first["product"], first["amount"]) == ("Spółka Gęś", "Basic", 1234.5)
    assert (first["list_price"], first["segment"], first["stage"]) == (1300.0, "małe", "won")
    assert first["closed"] == pd.Timestamp(2026, 2, 20)
    assert (second["amount"], second["segment"], second["stage"]) == (12_000.0, "duże", "Negocjacje")
    assert second["account"] is None  # the map's word for nothing
    assert polish.reps["region"].tolist() == ["Polska", "Polska"]
    assert (polish.currency, polish.column_map) == ("PLN", "polski_crm")
    reconciled(polish)


def test_one_close_column_serves_both_dates(polish: Tables) -> None:
    """Many CRMs have one: the day it closed, or while it is open the day it is expected to."""
    second = polish.opportunities.iloc[1]
    assert pd.isna(second["closed"])
    assert second["expected_close"] == pd.Timestamp(2026, 6, 1)
    assert polish.as_of == date(2026, 3, 1)
    assert "open deal with a close date" not in set(polish.quality.issues["rule"])


def test_counts_name_each_file_of_a_pattern(polish: Tables) -> None:
    deals_read = polish.quality.counts.query("table == 'opportunities'")
    assert deals_read["file"].tolist() == ["Sprzedaż 2025.csv", "Sprzedaż 2026.csv"]
    assert deals_read["repaired"].tolist() == [1, 0]


def test_russian_export_with_a_status_column(write_export: WriteExport, tmp_path: Path) -> None:
    path = tmp_path / "our.yaml"
    path.write_text(
        "name: our\ncurrency: RUB\ndates: ['%d.%m.%Y']\n"
        "stages: {Оценка: open, Переговоры: open}\n"
        "statuses: {Открыта: open, Успех: won, Провал: lost}\n"
        "tables:\n  opportunities:\n    file: сделки.csv\n    columns: {opportunity_id: ID, "
        "rep: Ответственный, stage: Стадия, status: Статус, created: Создана, closed: Закрыта, "
        "amount: Сумма, currency: Валюта}\n",
        encoding="utf-8",
    )
    text = (
        "ID;Ответственный;Стадия;Статус;Создана;Закрыта;Сумма;Валюта\n"
        "1;Иван Пример;Переговоры;Успех;01.02.2026;03.02.2026;500;RUB\n"
        "2;Иван Пример;Оценка;Открыта;02.02.2026;;100;RUB\n"
        "3;Иван Пример;Оценка;;02.02.2026;;100;RUB\n"
        "4;Иван Пример;;Открыта;02.02.2026;;100;RUB\n"
        "5;Иван Пример;;Успех;02.02.2026;03.02.2026;100;USD\n"
    )
    folder = write_export({"сделки.csv": text.encode("cp1251")})
    assert "2 in RUB, 1 in USD" in refusal(folder, column_map=path)
    tables = read(folder, column_map=path, rates={"USD": 90})
    assert tables.opportunities["stage"].tolist() == ["won", "Оценка", "won"]
    assert tables.opportunities["amount"].tolist() == [500.0, 100.0, 9000.0]
    assert tables.opportunities["rep"].unique() == ["Иван Пример"]
    assert found(tables) == [
        ("deal without a stage", "rejected", 4, "status", ""),
        ("deal without a stage", "rejected", 5, "stage", ""),
    ]
    reconciled(tables)


def test_segment_from_the_accounts_industry(write_export: WriteExport, tmp_path: Path) -> None:
    path = tmp_path / "our.yaml"
    path.write_text(
        "name: our\nstages: {Talk: open, Yes: won, No: lost}\nsegment_from: accounts.industry\ntables:\n"
        "  accounts: {file: a.csv, columns: {account: A, industry: I}}\n"
        "  opportunities:\n    file: d.csv\n    columns: {opportunity_id: Id, rep: R, account: A, stage: S, "
        "created: C, closed: E, amount: V}\n",
        encoding="utf-8",
    )
    folder = write_export(
        {"a.csv": "A,I\nFirm,retail\n", "d.csv": "Id,R,A,S,C,E,V\n1,Ann,Firm,Talk,2026-01-01,,5\n"}
    )
    tables = read(folder, column_map=path)
    assert tables.opportunities["segment"].tolist() == ["retail"]
    assert tables.currency == "XXX"
    assert "no currency" in set(tables.quality.findings["rule"])


# --- quality rules --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "rule", "field", "value"),
    [
        ("D4,Rep Beta,Firm", "malformed record", "record", "3 fields instead of 10: 'D4,Rep Beta,Firm'"),
        (
            'D4,"Rep Beta,F,P,S,won,2026-01-01,2026-01-02,,1',
            "malformed record",
            "record",
            "quotes do not match: 'D4,\"Rep Beta,F,P,S,won,2026-01-01,2026-01-02,,1'",
        ),
        (",Rep Beta,F,P,S,warm lead,2026-01-01,,,5", "no id", "opportunity_id", ""),
        ("D4,Rep Beta,F,P,S,,2026-01-01,,,5", "deal without a stage", "stage", ""),
        (
            "D4,Rep Beta,F,P,S,warm lead,31.12.2025,,,5",
            "date not readable",
            "created",
            "31.12.2025",
        ),
        ("D4,Rep Beta,F,P,S,won,2026-01-01,2026-02-30,,5", "date not readable", "closed", "2026-02-30"),
        (
            'D4,Rep Beta,F,P,S,won,2026-01-01,2026-01-05,,"1,200"',
            "amount not readable",
            "amount",
            "1,200",
        ),
        ("D4,Rep Beta,F,P,S,lost,2026-01-01,,,", "closed deal without a close date", "closed", ""),
        (
            "D4,Rep Beta,F,P,S,won,2026-01-05,2026-01-04,,5",
            "closed before it was created",
            "closed",
            "2026-01-04, created 2026-01-05",
        ),
        ("D4,Rep Beta,F,P,S,won,2026-01-01,2026-01-04,,", "won deal without an amount", "amount", ""),
        ("D4,Rep Beta,F,P,S,won,2026-01-01,2026-01-04,,-5", "won deal without an amount", "amount", "-5"),
        (
            "D1,Rep Alpha,Firm One,Basic,SMB,won,2026-01-05,2026-02-20,,1200",
            "exact duplicate",
            "opportunity_id",
            "same as row 2",
        ),
        (
            "D1,Rep Beta,Firm One,Basic,SMB,won,2026-01-05,2026-02-20,,1300",
            "conflicting duplicate",
            "opportunity_id",
            "contradicts row 2 in rep, amount",
        ),
    ],
)
def test_rejected_rows(write_export: WriteExport, line: str, rule: str, field: str, value: str) -> None:
    tables = read(write_export({"opportunities.csv": deals(line)}), as_of=AS_OF)
    assert found(tables) == [(rule, "rejected", 5, field, value)]
    assert tables.opportunities["opportunity_id"].tolist() == ["D1", "D2", "D3"]
    assert tables.opportunities["rep"].iloc[0] == "Rep Alpha"
    reconciled(tables)


def test_all_unreadable_fields_of_a_row_are_listed_and_count_once(write_export: WriteExport) -> None:
    tables = read(
        write_export({"opportunities.csv": deals("D4,Rep Beta,F,P,S,won,soon,later,,5")}), as_of=AS_OF
    )
    assert [issue[3] for issue in found(tables)] == ["created", "closed"]
    assert tables.quality.counts["rejected"].tolist() == [1]
    reconciled(tables)


def test_a_good_record_survives_an_unusable_one_with_its_id(write_export: WriteExport) -> None:
    tables = read(
        write_export(
            {
                "opportunities.csv": deals(
                    "D4,Rep Beta,F,P,S,won,2026-01-01,,,5",
                    "D4,Rep Beta,F,P,S,won,2026-01-01,2026-01-09,,5",
                )
            }
        ),
        as_of=AS_OF,
    )
    assert tables.opportunities.set_index("opportunity_id").loc["D4", "row"] == 6
    assert [issue[0] for issue in found(tables)] == ["closed deal without a close date"]


@pytest.mark.parametrize(
    ("line", "rule", "field", "value"),
    [
        ("D4,Rep Beta,,P,S,warm lead,2026-03-02,,,5", "open deal without an account", "account", ""),
        (
            "D4,Rep Beta,,P,S,lost,2026-03-02,2026-03-04,,",
            "closed deal without an account",
            "account",
            "",
        ),
        ("D4,Rep Beta,F,P,S,warm lead,,,,5", "deal without a created date", "created", ""),
        ("D4,Rep Beta,F,P,S,warm lead,2026-03-02,,,", "open deal without an amount", "amount", ""),
        ("D4,Rep Beta,F,P,S,warm lead,2026-03-02,,,0", "open deal without an amount", "amount", "0"),
        ("D4,,F,P,S,warm lead,2026-03-02,,,5", "deal without a seller", "rep", ""),
        (
            "D4,Rep Beta,F,P,S,warm lead,2025-03-02,,,5",
            "stale open deal",
            "created",
            "2025-03-02, 394 days open; no deal took longer than 50 to close",
        ),
        (
            "D4,Rep Beta,F,P,S,lost,2026-03-02,2026-04-02,,",
            "closed after the export",
            "closed",
            "2026-04-02",
        ),
        (
            "D4,Rep Beta,F,P,S,warm lead,2026-04-01,,,5",
            "created after the export",
            "created",
            "2026-04-01",
        ),
        (
            "D4,Rep Beta,F,P,S,won,2026-03-02,2026-03-09,,0",
            "won deal with amount 0",
            "amount",
            "0",
        ),
        (
            "D4,Rep Beta,F,P,S,warm lead,2026-03-02,2026-04-09,,5",
            "open deal with a close date",
            "closed",
            "2026-04-09",
        ),
        (
            "D4,Rep Beta,F,P,S,warm lead,2026-03-02,,2026-03-30,5",
            "expected close has passed",
            "expected_close",
            "2026-03-30",
        ),
        (
            "D4,Rep Alpha,Firm One,Basic,SMB,lost,2026-01-05,2026-02-21,,",
            "possible duplicate",
            "opportunity_id",
            "like D1",
        ),
    ],
)
def test_suspicious_deals_are_kept(
    write_export: WriteExport, line: str, rule: str, field: str, value: str
) -> None:
    tables = read(write_export({"opportunities.csv": deals(line)}), as_of=AS_OF)
    assert found(tables) == [(rule, "suspicious", 5, field, value)]
    assert len(tables.opportunities) == 4
    reconciled(tables)


def test_an_open_deals_close_date_is_read_as_expected(write_export: WriteExport) -> None:
    tables = read(
        write_export({"opportunities.csv": deals("D4,Rep Beta,F,P,S,warm lead,2026-03-02,2026-04-09,,-5")}),
    )
    last = tables.opportunities.iloc[-1]
    assert pd.isna(last["closed"])
    assert last["expected_close"] == pd.Timestamp(2026, 4, 9)
    assert pd.isna(last["amount"])
    assert tables.as_of == date(2026, 3, 2)


def test_blanks_are_repaired_and_listed(write_export: WriteExport) -> None:
    tables = read(
        write_export({"opportunities.csv": deals("D4, Rep Beta\u00a0,F,P,S,  ,2026-03-02,,,5")[:-1]}),
        as_of=AS_OF,
    )
    assert [issue[0] for issue in found(tables)] == ["deal without a stage"]  # nothing repaired if rejected
    tables = read(
        write_export({"opportunities.csv": deals("D4, Rep Beta\u00a0,F,P,S,warm lead ,2026-03-02,,  ,5")}),
        as_of=AS_OF,
    )
    assert found(tables) == [
        ("blanks around a value", "repaired", 5, "rep", "' Rep Beta\u00a0' → 'Rep Beta'"),
        ("blanks around a value", "repaired", 5, "stage", "'warm lead ' → 'warm lead'"),
    ]
    assert tables.quality.counts["repaired"].tolist() == [1]
    assert set(tables.reps["rep"]) == {"Rep Alpha", "Rep Beta"}
    reconciled(tables)


def test_rows_that_disagree_between_tables(write_export: WriteExport) -> None:
    tables = read(
        write_export(
            {
                "opportunities.csv": DEALS,
                "reps.csv": "rep,manager\nRep Alpha,Manager Nord\nRep Gamma,Manager Nord\n,Manager Nord\n",
                "accounts.csv": "account,employees\nFirm One,50-100\n",
                "leads.csv": "lead_id,created,mql,sql,rep,opportunity_id\n"
                "L1,2026-01-05,2026-01-04,2026-01-06,Rep Delta,D1\nL2,2026-01-05,,,,D9\n",
                "stage_history.csv": "opportunity_id,stage,entered\nD8,won,2026-01-05\nD1,won,2026-01-05\n"
                "D1,won,2026-01-05\nD1,won,2026-01-07\n",
                "quotas.csv": "rep,period,quota\nRep Alpha,January,5\nRep Alpha,2026Q1,\nRep Alpha,2026Q1,7\n"
                "Rep Alpha,2026-Q1,8\n",
            }
        )
    )
    issues = tables.quality.issues
    listed = {(issue.table, issue.rule, issue.row, issue.value) for issue in issues.itertuples(index=False)}
    assert listed == {
        ("opportunities", "seller not in the reps table", 4, "Rep Beta"),
        ("opportunities", "account not in the accounts table", 3, "Firm Two"),
        ("reps", "no id", 4, ""),
        ("reps", "seller without any deal", 3, "Rep Gamma"),
        ("accounts", "number of employees not readable", 2, "50-100"),
        ("leads", "lead dates out of order", 2, "2026-01-04, created 2026-01-05"),
        ("leads", "seller not in the reps table", 2, "Rep Delta"),
        ("leads", "refers to an unknown deal", 3, "D9"),
        ("stage_history", "refers to an unknown deal", 2, "D8"),
        ("stage_history", "exact duplicate", 4, "same as row 3"),
        ("quotas", "quota period not readable", 2, "January"),
        ("quotas", "quota without an amount", 3, ""),
        ("quotas", "conflicting duplicate", 5, "contradicts row 4 in period, quota"),
    }
    assert tables.reps["rep"].tolist() == ["Rep Alpha", "Rep Gamma", "Rep Beta", "Rep Delta"]
    assert tables.quotas["quota"].tolist() == [7.0]
    assert len(tables.stage_history) == 3
    reconciled(tables)


def test_product_missing_from_the_price_list(
    write_export: WriteExport, tmp_path: Path, polish: Tables
) -> None:
    text = POLISH_HEADER + "3;Zofia Wzór;F;Nowość;Kwalifikacja;01.03.2026;;\n"
    folder = write_export({"sprzedaż 2027.csv": text})
    tables = read(folder, column_map=tmp_path / "polski_crm.yaml")
    rules = set(tables.quality.issues.query("key == '3'")["rule"])
    assert rules == {
        "product not in the products table",
        "deal without a segment",
        "open deal without an amount",
    }


def test_rules_run_worst_first_so_that_only_kept_rows_are_repaired_or_doubted() -> None:
    steps = {"rejected": 0, "repaired": 1, "suspicious": 2}
    order = [steps[rule.severity] for rule in RULES.values()]
    assert order == sorted(order)
    for name, rule in RULES.items():
        assert rule.name == name
        assert rule.meaning.endswith(".")
        assert rule.what_to_do.endswith(".")
        assert set(rule.tables) <= set(SPECS)


def test_summary_puts_the_worst_first(write_export: WriteExport) -> None:
    tables = read(
        write_export(
            {
                "opportunities.csv": deals(
                    "D4, Rep Beta,F,P,S,warm lead,2026-03-02,,,",
                    "D5,Rep Beta,F,P,S,warm lead,2026-03-03,,,",
                    "D6,Rep Beta,F,P,S,lost,2026-03-03,,,",
                )
            }
        ),
        as_of=AS_OF,
    )
    summary = tables.quality.summary()
    assert list(summary.columns) == ["rule", "severity", "rows", "example", "what_to_do"]
    assert summary[["rule", "rows", "example"]].values.tolist() == [
        ["closed deal without a close date", 1, "opportunities.csv row 7 (D6): closed: blank"],
        ["open deal without an amount", 2, "opportunities.csv row 5 (D4): amount: blank"],
        ["blanks around a value", 1, "rep: ' Rep Beta' → 'Rep Beta' (1 row)"],
    ]


# --- the report as a file -------------------------------------------------------------------------


def test_the_written_report_cannot_run_formulas(write_export: WriteExport, tmp_path: Path) -> None:
    tables = read(
        write_export(
            {"opportunities.csv": deals('"=HYPERLINK(""x"")",Rep Łoś,F,P,S,warm lead,2026-03-02,,,-5')}
        ),
        as_of=AS_OF,
    )
    path = write_quality_report(tables.quality, tmp_path / "quality.csv")
    assert path.read_bytes().startswith(b"\xef\xbb\xbf")
    lines = list(csv.DictReader(io.StringIO(path.read_text(encoding="utf-8-sig"))))
    assert [line["rule"] for line in lines[:-1]] == tables.quality.findings["rule"].tolist()
    line = lines[-1]
    assert (line["key"], line["value"]) == ('\'=HYPERLINK("x")', "'-5")
    assert (line["row"], line["rule"]) == ("5", "open deal without an amount")


def test_a_report_that_cannot_be_written_names_the_path(write_export: WriteExport, tmp_path: Path) -> None:
    tables = read(write_export({"opportunities.csv": DEALS}))
    with pytest.raises(WorkspaceError, match="nowhere"):
        write_quality_report(tables.quality, tmp_path / "nowhere" / "quality.csv")


# --- refusals -------------------------------------------------------------------------------------


def refusal(folder: Path, **options: Any) -> str:
    with pytest.raises(DataError) as caught:
        read(folder, **options)
    text = str(caught.value)
    assert len(text.splitlines()) <= 24
    return text


def test_missing_folder(tmp_path: Path) -> None:
    assert "nowhere' does not exist" in refusal(tmp_path / "nowhere")


def test_one_file_is_an_export(write_export: WriteExport) -> None:
    folder = write_export({"opportunities.csv": DEALS, "other.csv": "a,b\n1,2\n"})
    tables = read(folder / "opportunities.csv")
    assert len(tables.opportunities) == 3
    assert [file.name for file in tables.files] == ["opportunities.csv"]


def test_folder_without_files_that_can_be_read(write_export: WriteExport) -> None:
    assert "no files are in it" in refusal(write_export({}))
    assert "found: 'deals.docx'" in refusal(write_export({"deals.docx": b"PK"}))


def test_no_map_fits(write_export: WriteExport) -> None:
    text = refusal(write_export({"deals.csv": "a,b\n1,2\n"}))
    assert "maven_crm: file 'sales_pipeline.csv' is missing; the export has 'deals.csv'" in text
    assert "salessim_csv: file 'opportunities.csv' is missing" in text
    assert "write a column map" in text


def test_missing_required_file_of_a_named_map(write_export: WriteExport) -> None:
    text = refusal(write_export({"opportunities.csv": DEALS}), column_map="maven_crm")
    assert "column map 'maven_crm' does not fit" in text
    assert "file 'sales_pipeline.csv' is missing" in text


def test_empty_files(write_export: WriteExport) -> None:
    assert "opportunities.csv: the file is empty" in refusal(write_export({"opportunities.csv": ""}))
    text = refusal(write_export({"opportunities.csv": HEADER + "\n"}))
    assert "there is a header and no record" in text


def test_missing_column_lists_what_was_found_and_expected(write_export: WriteExport) -> None:
    text = refusal(write_export({"opportunities.csv": DEALS.replace("amount", "value")}))
    assert "opportunities.csv: the header lacks 'amount'. Found 10 columns: 'opportunity_id', 'rep'" in text
    assert "Expected: 'opportunity_id', 'rep', 'stage', 'created', 'closed', 'amount' (optional: " in text


def test_wrong_delimiter(write_export: WriteExport) -> None:
    text = refusal(write_export({"opportunities.csv": DEALS.replace(",", "   ")}))
    assert "the header lacks" in text
    assert "Delimiters tried: comma, semicolon, tab, vertical bar" in text


def test_a_header_that_is_there_twice(write_export: WriteExport) -> None:
    text = refusal(write_export({"opportunities.csv": DEALS.replace("account,product", "rep,product")}))
    assert "has 'rep' more than once" in text


def test_unknown_stage_names_row_value_and_known_stages(write_export: WriteExport) -> None:
    folder = write_export(
        {
            "opportunities.csv": deals(
                "D4,Rep Beta,F,P,S,demo,2026-03-02,,,5", "D5,Rep Beta,F,P,S,demo,2026-03-02,,,5"
            )
        }
    )
    text = refusal(folder)
    assert "opportunities.csv row 5 and 1 more: column 'stage' is 'demo'" in text
    assert "knows 'cold lead', 'warm lead', 'potential deal', 'closing deal', 'qualification'" in text
    assert "Add it under 'stages' in the column map" in text


def test_unknown_stage_in_the_history(write_export: WriteExport) -> None:
    folder = write_export(
        {
            "opportunities.csv": DEALS,
            "stage_history.csv": "opportunity_id,stage,entered\nD1,demo,2026-01-06\n",
        }
    )
    assert "stage_history.csv row 2: column 'stage' is 'demo'" in refusal(folder)


def test_many_unknown_stages_stay_on_one_screen(write_export: WriteExport) -> None:
    lines = [f"E{n},Rep Beta,F,P,S,stage {n},2026-03-02,,,5" for n in range(40)]
    assert "… and 32 more unknown stages" in refusal(write_export({"opportunities.csv": deals(*lines)}))


def test_dates_in_another_format(write_export: WriteExport) -> None:
    text = refusal(
        write_export({"opportunities.csv": DEALS.replace("2026-01-05", "5.1.26").replace("2026-", "26/")})
    )
    assert "opportunities.csv: in column 'created' no value can be read as a date; row 2 has '5.1.26'" in text
    assert "Tried: 'ISO'" in text
    assert "'dates' in the column map" in text


def test_amounts_in_another_format(write_export: WriteExport) -> None:
    text = refusal(
        write_export({"opportunities.csv": DEALS.replace("1200", '"1.200,00"').replace("800", '"800,00"')})
    )
    assert "in column 'amount' no value is an amount; row 2 has '1.200,00'" in text
    assert "decimal sign '.'" in text


def test_a_nul_byte_costs_its_own_record(write_export: WriteExport) -> None:
    tables = read(write_export({"opportunities.csv": DEALS.replace("Firm", "F\0rm", 1)}))
    assert tables.opportunities["opportunity_id"].tolist() == ["D2", "D3"]
    assert [issue[:3] for issue in found(tables)] == [("malformed record", "rejected", 2)]
    reconciled(tables)


def test_undecodable_text(write_export: WriteExport) -> None:
    folder = write_export({"opportunities.csv": b"\xff\xfe" + DEALS.encode() + b"x"})
    assert "opportunities.csv: not readable as text" in refusal(folder)


def test_nothing_left(write_export: WriteExport) -> None:
    text = refusal(write_export({"opportunities.csv": HEADER + "\nD1,Rep,F,P,S,won,2026-01-01,,,5\n"}))
    assert "none of 1 deals can be used. Most often: closed deal without a close date" in text


def test_no_date_at_all_asks_for_the_day_of_the_export(write_export: WriteExport) -> None:
    folder = write_export({"opportunities.csv": HEADER + "\nD1,Rep,F,P,S,warm lead,,,,5\n"})
    assert "say when it was taken (as_of)" in refusal(folder)
    assert read(folder, as_of=AS_OF).as_of == AS_OF


def test_fiscal_year_months(write_export: WriteExport) -> None:
    with pytest.raises(ParameterError, match="is 13; allowed: 1"):
        read(write_export({"opportunities.csv": DEALS}), fiscal_year_starts_in_month=13)


# --- properties -----------------------------------------------------------------------------------

DAMAGE = [
    "",
    ",,,,,,,,,",
    "D1,half",
    'D9,"never closed,F,P,S,won,2026-01-01,2026-01-09,,5',
    'D9,"closed" early,F,P,S,won,2026-01-01,2026-01-09,,5',
    "D1,Rep Alpha,Firm One,Basic,SMB,won,2026-01-05,2026-02-20,,1200",
    "D1,Rep Beta,Firm One,Basic,SMB,won,2026-01-05,2026-02-20,,7",
    "D5,Rep Beta,F,P,S,won,2026-13-01,2026-01-09,,five",
    "D6, Rep Beta ,F,P,S,warm lead,,2026-01-09,2020-01-01,",
    "D7,Rep Beta,F,P,S,lost,2026-01-10,2026-01-09,,",
    '"D8\nD8",Rep Gamma,,P,,closing deal,2026-01-10,,,0',
    "D10,Rep Beta,F,P,S,won,2026-01-01,2026-01-09,,0",
]


@settings(max_examples=25, deadline=None)
@given(st.lists(st.sampled_from(DAMAGE), max_size=14))
def test_every_record_is_kept_or_rejected_whatever_the_damage(lines: list[str]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "opportunities.csv").write_text(deals(*lines), encoding="utf-8")
        tables = read(folder)
    reconciled(tables)
    assert {"D1", "D2", "D3"} <= set(tables.opportunities["opportunity_id"])
    assert tables.opportunities["opportunity_id"].is_unique
    assert tables.opportunities["amount"].iloc[0] == 1200.0  # the first record of an id is the one kept


@settings(max_examples=12, deadline=None)
@given(st.permutations(DEALS.splitlines()[1:]), st.sampled_from([",", ";", "\t", "|"]))
def test_order_of_rows_and_delimiter_change_nothing(lines: list[str], delimiter: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        text = "\n".join([HEADER, *lines]).replace(",", delimiter)
        Path(folder, "opportunities.csv").write_text(text, encoding="utf-8")
        deals_read = read(folder).opportunities.drop(columns="row").sort_values("opportunity_id")
        Path(folder, "opportunities.csv").write_text(DEALS, encoding="utf-8")
        expected = read(folder).opportunities.drop(columns="row")
    pd.testing.assert_frame_equal(deals_read.reset_index(drop=True), expected)


def test_a_hundred_thousand_deals_take_seconds(write_export: WriteExport) -> None:
    lines = [
        f"E{n},Rep {n % 40},Firm {n % 997},P{n},SMB,won,2025-{1 + n % 12:02d}-01,2026-01-02,,{n}"
        for n in range(100_000)
    ]
    folder = write_export({"opportunities.csv": deals(*lines)})
    started = time.process_time()  # of this process, so that a busy machine does not count
    tables = read(folder)
    assert len(tables.opportunities) == 100_003
    assert time.process_time() - started < 12
