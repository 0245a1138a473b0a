"""What a column map can say, by the tables that come out: headers, words, ids, dates, numbers, money."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from salessim.crm import Tables, read, read_rates
from salessim.errors import DataError, ParameterError

WriteExport = Callable[[Mapping[str, str | bytes]], Path]
Reader = Callable[..., Tables]

HEADER = "Id,Owner,Account,Source,Stage,Created,Closed,Amount"
DEALS = f"""{HEADER}
D1,u1,Firm One,Веб-сайт,Won,2026-01-05,2026-02-20,1200
D2,u2,Firm Two,fair,Lost,2026-01-10,2026-03-01,
D3,u2,Firm One,Веб-сайт,Talk,2026-03-01,,800
"""
MAP = """
name: ours
stages: {Talk: open, Offer: open, Won: won, Lost: lost}
tables:
  opportunities:
    columns: {opportunity_id: [Deal, Id], rep: [Seller, Owner], account: Account, source: Source,
              stage: Stage, created: Created, closed: Closed, amount: Amount}
    optional: [account, source]
"""


@pytest.fixture
def imported(write_export: WriteExport, tmp_path: Path) -> Reader:
    """Read files with a map: ``changes`` replace texts in MAP, ``more`` is put before its tables."""

    def run(
        files: Mapping[str, str | bytes],
        *,
        changes: Mapping[str, str] | None = None,
        more: str = "",
        **options: Any,
    ) -> Tables:
        text = MAP
        for old, new in (changes or {}).items():
            assert old in text
            text = text.replace(old, new, 1)
        path = tmp_path / "ours.yaml"
        path.write_text(text.replace("tables:", f"{more}\ntables:", 1), encoding="utf-8")
        return read(write_export(files), column_map=path, **options)

    return run


def found(tables: Tables, rule: str) -> list[tuple[str, int, str, str]]:
    issues = tables.quality.issues.query("rule == @rule")
    return list(issues[["severity", "row", "field", "value"]].itertuples(index=False, name=None))


# --- headers and files ----------------------------------------------------------------------------


def test_a_file_is_found_by_its_headers_and_a_header_by_its_alternatives(imported: Reader) -> None:
    tables = imported({"whatever.csv": DEALS, "notes.csv": "a,b\n1,2\n"})
    assert tables.opportunities["rep"].tolist() == ["u1", "u2", "u2"]
    assert any("notes.csv" in note and "not read" in note.lower() for note in tables.quality.notes)


def test_files_of_one_kind_are_one_table_in_the_order_of_their_names(imported: Reader) -> None:
    lines = DEALS.splitlines()
    tables = imported({"b.csv": "\n".join(lines[:2]), "a.csv": "\n".join([lines[0], *lines[2:]])})
    assert tables.opportunities["opportunity_id"].tolist() == ["D2", "D3", "D1"]
    assert tables.opportunities["row"].tolist() == [2, 3, 2]
    assert tables.quality.counts["read"].tolist() == [2, 1]


def test_a_file_that_fits_two_tables_is_refused(imported: Reader) -> None:
    more_tables = "tables:\n  accounts: {columns: {account: Name}}\n  products: {columns: {product: Name}}"
    with pytest.raises(
        DataError, match=r"names\.csv: its columns fit the tables '\w+' and '\w+' equally well"
    ):
        imported({"deals.csv": DEALS, "names.csv": "Name\nx\n"}, changes={"tables:": more_tables})


def test_a_missing_column_names_its_alternatives(imported: Reader) -> None:
    with pytest.raises(DataError, match=r"the nearest, deals\.csv: the header lacks 'Seller or Owner'"):
        imported({"deals.csv": DEALS.replace("Owner", "Person")})


def test_detection_says_why_and_names_the_runner_up(real_data: Path) -> None:
    reason = read(real_data / "maven_crm").column_map_reason
    assert "column map 'maven_crm' was detected: it finds 18 of its columns" in reason


# --- words ----------------------------------------------------------------------------------------


def test_stage_words_become_one_vocabulary_and_capitals_do_not_matter(imported: Reader) -> None:
    tables = imported(
        {"deals.csv": DEALS.replace("Talk", "TALK ")},
        changes={"Talk: open": "Talk: {status: open, called: qualification}"},
    )
    assert tables.stages == ("qualification",)  # the stages of this export, by the words of all
    assert tables.opportunities["stage"].tolist() == ["won", "lost", "qualification"]


def test_other_stages_are_refused_or_open_ones_of_their_own(imported: Reader) -> None:
    files = {"deals.csv": DEALS + "D4,u1,F,fair,Demo,2026-03-02,,5\nD5,u1,G,fair,Demo,2026-03-02,,5\n"}
    with pytest.raises(DataError, match="row 5 and 1 more: column 'Stage' is 'Demo'"):
        imported(files)
    tables = imported(files, more="other_stages: open")
    assert tables.stages == ("Talk", "Offer", "Demo")
    assert found(tables, "unknown stage word") == [("suspicious", 5, "stage", "Demo, taken as open (2 rows)")]


def test_other_stages_find_their_place_by_probability_or_history(imported: Reader) -> None:
    lines = [
        "D1,u1,A,fair,Talk,2026-03-02,,5,10",
        "D2,u1,B,fair,Demo,2026-03-02,,5,30",
        "D3,u1,C,fair,Offer,2026-03-02,,5,60",
        "D4,u1,D,fair,Won,2026-03-02,2026-03-05,5,100",
    ]
    deals = "\n".join([HEADER + ",P", *lines])
    with_chance = {"amount: Amount}": "amount: Amount, probability: P}"}
    assert imported({"deals.csv": deals}, changes=with_chance, more="other_stages: open").stages == (
        "Talk",
        "Demo",
        "Offer",
    )
    history = "Deal Id,To,Day\nD3,Talk,2026-01-01\nD3,Demo,2026-01-05\nD3,Offer,2026-01-09\n"
    table = "  stage_history: {columns: {opportunity_id: Deal Id, stage: To, entered: Day}}"
    tables = imported(
        {"deals.csv": deals, "history.csv": history},
        changes={"tables:": f"tables:\n{table}"},
        more="other_stages: open",
    )
    assert tables.stages == ("Talk", "Demo", "Offer")


def test_translations_are_no_fault_and_corrections_are(imported: Reader) -> None:
    tables = imported(
        {"deals.csv": DEALS},
        changes={
            "    optional:": "    translations: {source: {веб-сайт: website}}\n"
            "    corrections: {account: {Firm Two: Firm 2}}\n    optional:"
        },
    )
    assert tables.opportunities["source"].tolist() == ["website", "fair", "website"]
    assert found(tables, "misspelt value") == [("repaired", 3, "account", "Firm Two → Firm 2")]
    assert len(tables.quality.issues) == 1


def test_ids_become_names_and_unknown_ids_are_listed(imported: Reader) -> None:
    changes = {"    optional:": "    lookups: {rep: {table: users, key: Id, value: Name}}\n    optional:"}
    more = "lookup_files: {users: {headers: [Id, Name]}}"
    files = {"deals.csv": DEALS, "users.csv": "Id,Name,Mail\nu1,Rep Alpha,\n"}
    tables = imported(files, changes=changes, more=more)
    assert tables.opportunities["rep"].tolist() == ["Rep Alpha", "u2", "u2"]
    assert [row for _, row, _, _ in found(tables, "id without a name")] == [3, 4]
    assert {file.name for file in tables.files} == {"deals.csv", "users.csv"}


def test_without_the_linked_file_ids_stay_and_a_note_says_so(
    imported: Reader, write_export: WriteExport
) -> None:
    changes = {"    optional:": "    lookups: {rep: {table: users, key: Id, value: Name}}\n    optional:"}
    tables = imported({"deals.csv": DEALS}, changes=changes, more="lookup_files: {users: {file: users*}}")
    assert tables.opportunities["rep"].tolist() == ["u1", "u2", "u2"]
    assert any("'rep' may be ids" in note for note in tables.quality.notes)


def test_words_that_nobody_verified_are_named_if_used(imported: Reader) -> None:
    tables = imported({"deals.csv": DEALS}, more="unverified: [Source, Budget, lost]")
    (note,) = [note for note in tables.quality.notes if "documentation" in note]
    assert "'Source', 'lost'" in note


# --- dates and numbers ----------------------------------------------------------------------------


def slashed(first: str, second: str, third: str = "28/02/2026") -> str:
    return f"{HEADER}\nD1,u1,A,x,Won,{first},{third},5\nD2,u1,B,x,Talk,{second},,5\n"


EITHER = "dates: ['%d/%m/%Y | %m/%d/%Y']"


def test_cells_decide_between_two_date_formats(imported: Reader) -> None:
    tables = imported({"deals.csv": slashed("03/02/2026", "25/02/2026")}, more=EITHER)
    assert tables.opportunities["created"].tolist() == [pd.Timestamp(2026, 2, 3), pd.Timestamp(2026, 2, 25)]


def test_another_column_decides_where_a_column_does_not(imported: Reader) -> None:
    tables = imported({"deals.csv": slashed("03/02/2026", "05/02/2026")}, more=EITHER)
    assert tables.opportunities["created"].tolist() == [pd.Timestamp(2026, 2, 3), pd.Timestamp(2026, 2, 5)]


def test_dates_that_nothing_decides_are_refused_with_both_readings(imported: Reader) -> None:
    with pytest.raises(DataError) as refused:
        imported({"deals.csv": slashed("03/02/2026", "05/02/2026", "06/02/2026")}, more=EITHER)
    assert "'03/02/2026' is 2026-02-03 by '%d/%m/%Y', and 2026-03-02 by '%m/%d/%Y'" in str(refused.value)


def test_cells_decide_between_two_number_formats(imported: Reader) -> None:
    formats = "numbers: [{decimal: '.', thousands: ','}, {decimal: ',', thousands: '.'}]"
    amounts = DEALS.replace(",1200", ',"1,234"').replace(",800", ',"1.234,50"')
    assert imported({"deals.csv": amounts}, more=formats).opportunities["amount"].dropna().tolist() == [
        1.234,
        1234.5,
    ]
    with pytest.raises(DataError, match="column 'Amount' can be read in two ways"):
        imported({"deals.csv": DEALS.replace(",1200", ',"1,234"')}, more=formats)


@pytest.mark.parametrize("day", ["0001-01-01", "9999-12-31", "1899-12-31", "2201-01-01"])
def test_impossible_days_are_rejected_with_the_cell(imported: Reader, day: str) -> None:
    tables = imported({"deals.csv": DEALS + f"D4,u1,F,fair,Talk,{day},,5\n"})
    assert found(tables, "date not readable") == [("rejected", 5, "created", day)]


def test_workbooks_keep_their_types(write_export: WriteExport, tmp_path: Path) -> None:
    frame = pd.DataFrame(
        {
            "opportunity_id": [1.0, 2.0, 3.0],
            "rep": ["Rep Alpha"] * 3,
            "stage": ["won", "warm lead", "warm lead"],
            "created": pd.to_datetime(["2026-01-05 14:30", "2026-02-01 00:00", "2026-02-03 00:00"]),
            "closed": [46073, None, None],  # days as a spreadsheet counts them
            "amount": [1200.5, 800.0, None],
        }
    )
    frame.to_excel(tmp_path / "opportunities.xlsx", sheet_name="opportunities", index=False)
    deals = read(tmp_path / "opportunities.xlsx").opportunities
    named_by_its_file = tmp_path / "saved" / "Opportunities.xlsx"
    named_by_its_file.parent.mkdir()
    frame.to_excel(named_by_its_file, sheet_name="Sheet1", index=False)
    pd.testing.assert_frame_equal(read(named_by_its_file).opportunities, deals)
    assert deals["opportunity_id"].tolist() == ["1", "2", "3"]
    assert deals["created"].iloc[0] == pd.Timestamp(2026, 1, 5)
    assert deals["closed"].iloc[0] == pd.Timestamp(2026, 2, 20)
    assert deals["amount"].tolist()[:2] == [1200.5, 800.0]
    assert deals["row"].tolist() == [2, 3, 4]


# --- money ----------------------------------------------------------------------------------------

MIXED = f"""{HEADER}
D1,u1,A,x,Won,2026-01-05,2026-02-20,"1 000,00 zł"
D2,u1,B,x,Won,2026-01-10,2026-03-01,200 USD
D3,u1,C,x,Talk,2026-03-01,,100
D4,u1,D,x,Lost,2026-01-10,2026-03-01,
"""
MONEY = "numbers: {decimal: ',', thousands: ' '}\ncurrency_words: {zł: PLN, USD: USD}"


def test_a_mix_of_currencies_needs_rates(imported: Reader) -> None:
    with pytest.raises(DataError, match="several currencies") as refused:
        imported({"deals.csv": MIXED}, more=MONEY)
    assert "1 in PLN" in str(refused.value)
    assert "a CSV file with the columns currency, rate" in str(refused.value)
    with pytest.raises(DataError, match="no rate for 'USD'"):
        imported({"deals.csv": MIXED}, more=MONEY, currency="EUR", rates={"PLN": 0.25})


def test_amounts_are_converted_and_a_note_says_how(imported: Reader) -> None:
    tables = imported({"deals.csv": MIXED}, more=MONEY, currency="EUR", rates={"PLN": 0.25, "USD": 0.9})
    assert tables.opportunities["amount"].tolist()[:3] == [250.0, 180.0, 100.0]
    assert tables.currency == "EUR"
    notes = "\n".join(tables.quality.notes)
    assert (
        "Amounts in 1 row of opportunities were converted from PLN to EUR at 0.25 (the rates given)." in notes
    )
    assert found(tables, "amount without a currency") == []


def test_dated_rates_hold_from_their_day_and_a_day_without_one_is_rejected(
    imported: Reader, tmp_path: Path
) -> None:
    path = tmp_path / "rates.csv"
    path.write_text("currency,rate,from\nPLN,0.2,2026-01-01\nPLN,0.3,2026-02-20\nUSD,0.9,2026-04-01\n")
    tables = imported({"deals.csv": MIXED}, more=MONEY, currency="EUR", rates=read_rates(path))
    assert tables.opportunities.set_index("opportunity_id")["amount"]["D1"] == 300.0
    assert found(tables, "no exchange rate for the day") == [("rejected", 3, "amount", "USD on 2026-03-01")]
    counts = tables.quality.counts.iloc[0]
    assert (counts["read"], counts["kept"], counts["rejected"]) == (4, 3, 1)


def test_lost_deals_need_no_rate_since_their_amounts_count_nowhere(imported: Reader, tmp_path: Path) -> None:
    """A rejected loss would make the win rate too high."""
    lost = MIXED.replace(
        "D4,u1,D,x,Lost,2026-01-10,2026-03-01,", "D4,u1,D,x,Lost,2026-01-10,2026-03-01,5 USD"
    )
    path = tmp_path / "rates.csv"
    path.write_text("currency,rate,from\nPLN,0.2,\nUSD,0.9,2026-03-01\n")
    early = lost.replace("D4,u1,D,x,Lost,2026-01-10,2026-03-01", "D4,u1,D,x,Lost,2026-01-10,2026-02-28")
    tables = imported({"deals.csv": early}, more=MONEY, currency="EUR", rates=read_rates(path))
    assert tables.opportunities["opportunity_id"].tolist() == ["D1", "D2", "D3", "D4"]
    assert tables.opportunities["amount"].tolist()[:3] == [200.0, 180.0, 100.0]
    only_lost = lost.replace("200 USD", "200")
    tables = imported({"deals.csv": only_lost}, more=MONEY)
    assert (tables.currency, len(tables.opportunities)) == ("PLN", 4)


def test_a_map_that_names_another_currency_is_refused_with_what_to_write(imported: Reader) -> None:
    with pytest.raises(DataError, match="write 'currency: PLN' in a copy of it"):
        imported({"deals.csv": DEALS}, more="currency: EUR", currency="PLN")


def test_a_word_that_is_no_currency_is_asked_for_whatever_else_is_there(imported: Reader) -> None:
    lines = [f"{line},{word}" for line, word in zip(DEALS.splitlines(), ["Cur", "£", "", ""], strict=True)]
    column = {"amount: Amount}": "amount: Amount, currency: Cur}"}
    with pytest.raises(DataError, match=r"amounts are in '£'.* 'currency_words' in the column map"):
        imported({"deals.csv": "\n".join(lines)}, changes=column)
    lines[3] = lines[3] + "GBP"
    with pytest.raises(DataError, match=r"one of 'GBP'\).* What '£' stands for"):
        imported({"deals.csv": "\n".join(lines)}, changes=column)


@pytest.mark.parametrize(
    ("word", "status"),
    [
        ("Closed – Won (partner)", "won"),
        ("Zakończone sukcesem", "won"),
        ("Not won", "lost"),
        ("Zakończone niepowodzeniem", "lost"),
        ("Нереализовано", "lost"),
        ("Zakończone", "open"),
    ],
)
def test_an_unlisted_stage_is_won_only_if_its_words_say_so(imported: Reader, word: str, status: str) -> None:
    export = DEALS.replace("Talk,2026-03-01,,", f"{word},2026-03-01,2026-03-02,")
    deals = imported({"deals.csv": export}, more="other_stages: by words").opportunities
    assert deals.set_index("opportunity_id")["status"]["D3"] == status


def test_the_only_currency_of_an_export_is_that_of_reports(imported: Reader) -> None:
    lines = [
        f"{line},{word}" for line, word in zip(DEALS.splitlines(), ["Cur", "zł", "", "pln"], strict=True)
    ]
    tables = imported(
        {"deals.csv": "\n".join(lines)},
        changes={"amount: Amount}": "amount: Amount, currency: Cur}"},
        more="currency_words: {zł: PLN}",
    )
    assert tables.currency == "PLN"
    assert tables.opportunities["amount"].dropna().tolist() == [1200.0, 800.0]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("currency,rate\nzloty,0.2\n", "row 2: currency is 'ZLOTY'"),
        ("currency,rate\nPLN,free\n", "row 2: rate is 'free'"),
        ("currency,rate\nPLN,-1\n", "row 2: rate is '-1'"),
        ("currency,rate,from\nPLN,1,soon\n", "row 2: from is 'soon'"),
        ("currency,rate\nPLN,1\nPLN,2\n", "row 3: PLN without a day has a rate in row 2 already"),
        ("currency,price\nPLN,1\n", "rate"),
        ("currency,rate\n", "no rate"),
    ],
)
def test_rates_that_cannot_be_used_are_refused(tmp_path: Path, text: str, says: str) -> None:
    path = tmp_path / "rates.csv"
    path.write_text(text)
    with pytest.raises(DataError, match=r"rates\.csv") as refused:
        read_rates(path)
    assert says in str(refused.value)


def test_rates_in_another_currency_than_that_of_reports_are_refused(imported: Reader) -> None:
    with pytest.raises(DataError, match=r"one EUR is worth 4\.3 EUR"):
        imported({"deals.csv": MIXED}, more=MONEY, currency="EUR", rates={"PLN": 1, "USD": 4, "EUR": 4.3})
    with pytest.raises(ParameterError, match="currency is 'euro'"):
        imported({"deals.csv": MIXED}, more=MONEY, currency="euro")
    with pytest.raises(ParameterError, match="'PLN' has 0"):
        imported({"deals.csv": MIXED}, more=MONEY, rates={"PLN": 0})


# --- people, evidence, records without ids --------------------------------------------------------

LEADS = """lead_id,source,created,mql,company,contact,email,phone
L1,web,2026-01-02,2026-01-03,Firm One,Anna Wzór,anna@firm.example,+48 600 100 200
L2,web,2026-01-02,2026-01-03,Firm Two,,-,
L3,anna@firm.example
"""
PERSONAL = ("Anna", "anna@", "600 100")


def test_personal_data_become_a_word_unless_asked_for(write_export: WriteExport) -> None:
    deals = "opportunity_id,rep,stage,created,closed,amount\nD1,Rep Alpha,won,2026-01-05,2026-02-20,5\n"
    broken = "D2,mail anna@firm.example or +48 600 100 200\n"
    folder = write_export({"opportunities.csv": deals + broken, "leads.csv": LEADS})
    tables = read(folder)
    assert tables.leads["contact"].tolist() == ["given", None]
    assert tables.leads["email"].tolist() == ["given", "given"]  # '-' is no missing word of this map
    everything = tables.leads.to_csv() + tables.quality.issues.to_csv() + "".join(tables.quality.notes)
    assert not [text for text in PERSONAL if text in everything]
    kept = read(folder, personal_data=True)
    assert kept.leads["phone"].tolist() == ["+48 600 100 200", None]


def test_cells_shifted_to_the_side_give_nobody_away(write_export: WriteExport) -> None:
    """A contact under the header of a day or an amount is a fault to list, and still a contact."""
    deals = (
        "opportunity_id,rep,stage,created,closed,amount,Contact person\n"
        "D1,Rep Alpha,won,2026-01-05,2026-02-20,5,x\n"
        "D2,Rep Alpha,won,anna@firm.example,2026-02-20,5,x\n"
        "D3,Rep Alpha,won,2026-01-05,2026-02-20,5,x,Anna Contact\n"
    )
    leads = (
        "lead_id,created,source,contact\nL1,2026-01-02,web,Anna Contact\nL2,Anna Contact,2026-01-02,web\n"
        "L3,2026-02-31,web,\n"
    )
    tables = read(write_export({"opportunities.csv": deals, "leads.csv": leads}))
    assert found(tables, "date not readable") == [
        ("rejected", 3, "created", "given"),
        ("rejected", 3, "created", "given"),
        ("rejected", 4, "created", "2026-02-31"),
    ]
    assert found(tables, "malformed record") == [("rejected", 4, "record", "8 fields instead of 7")]
    assert "Anna" not in tables.quality.issues.to_csv() + "".join(tables.quality.notes)


def test_evidence_comes_from_fields_of_the_deals(imported: Reader) -> None:
    words = ["Pain", "they lose a day a week", "нет", "Unknown"]
    lines = [f"{line},{word}" for line, word in zip(DEALS.splitlines(), words, strict=True)]
    files = {"deals.csv": "\n".join(lines)}
    changes = {"    optional:": "    evidence: {pain: [Need, Pain], value: Worth}\n    optional:"}
    tables = imported(files, changes=changes)
    assert tables.evidence[["opportunity_id", "criterion", "evidence"]].values.tolist() == [
        ["D1", "pain", "given"]
    ]
    told = imported(files, changes=changes, personal_data=True).evidence
    assert told["evidence"].tolist() == ["they lose a day a week"]
    assert not any("Pain" in note for note in tables.quality.notes)  # the column is used


def test_real_records_without_ids_are_all_kept(real_data: Path, tmp_path: Path) -> None:
    path = tmp_path / "salvirt.yaml"
    path.write_text(
        "name: salvirt\nstages: {Open: open, Won: won, Lost: lost}\nmissing_words: [Unknown]\n"
        "tables:\n  opportunities:\n    row_ids: true\n"
        "    columns: {rep: Seller, product: Product, source: Source, stage: Status}\n"
        "    constants: {created: '2016-01-01', closed: '2016-12-31', amount: '1'}\n"
        "    evidence: {decision maker: Authority, pain: Needs_def}\n",
        encoding="utf-8",
    )
    tables = read(real_data / "salvirt_b2b", column_map=path)
    deals = tables.opportunities
    assert deals["status"].value_counts().to_dict() == {"won": 227, "lost": 221}
    won = (deals["status"] == "won").groupby(deals["rep"]).agg(["sum", "count"])
    assert won.loc[["Seller 1", "Seller 2"]].values.tolist() == [[119, 178], [16, 65]]
    by_source = (deals["status"] == "won").groupby(deals["source"]).agg(["sum", "count"])
    assert by_source.loc["Joint past"].tolist() == [208, 339]
    assert by_source.loc["Referral"].tolist() == [13, 53]
    assert by_source.loc["Media"].tolist() == [1, 23]
    assert by_source.loc["Direct mail"].tolist() == [0, 16]
    assert tables.quality.counts[["read", "kept", "rejected"]].values.tolist() == [[448, 448, 0]]
    assert any("have no id and are numbered" in note for note in tables.quality.notes)


def test_real_subscribers_as_accounts(real_data: Path, tmp_path: Path) -> None:
    path = tmp_path / "telco.yaml"
    path.write_text(
        "name: telco\nstages: {Open: open, 'No': won, 'Yes': lost}\ntables:\n"
        "  accounts: {file: 'Telco*', columns: {account: customerID, industry: InternetService}}\n"
        "  opportunities:\n    file: 'Telco*'\n"
        "    columns: {opportunity_id: customerID, account: customerID, stage: Churn,\n"
        "              amount: MonthlyCharges, list_price: MonthlyCharges}\n"
        "    constants: {rep: nobody, created: '2018-01-01', closed: '2018-12-31'}\n",
        encoding="utf-8",
    )
    tables = read(real_data / "telco_churn", column_map=path)
    assert tables.opportunities["status"].value_counts().to_dict() == {"won": 5174, "lost": 1869}
    assert tables.opportunities["list_price"].mean() == pytest.approx(64.7617, abs=5e-5)
    assert len(tables.accounts) == 7043
    counts = tables.quality.counts
    assert (counts["read"] == counts["kept"] + counts["rejected"]).all()
    assert tables.as_of == date(2018, 12, 31)


def test_a_stray_file_that_cannot_be_read_does_not_stop_the_import(
    imported: Reader, write_export: WriteExport
) -> None:
    tables = imported({"deals.csv": DEALS, "empty.csv": ""})
    assert len(tables.opportunities) == 3
    assert any("empty.csv" in note for note in tables.quality.notes)
    with pytest.raises(DataError, match=r"empty\.csv: the file is empty"):
        imported({"deals.csv": "a,b\n1,2\n"})
