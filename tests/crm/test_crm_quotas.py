"""Quota files: layouts, cells accounted for, rules on values, roll-ups and attainment."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from salessim.crm import (
    QUOTA_RULES,
    QuotaFile,
    attainment,
    attainment_by_period,
    attainment_of,
    read,
    read_quotas,
    without_rollups,
)
from salessim.crm.columnmap import NumberFormat
from salessim.crm.quality import SEVERITIES
from salessim.errors import DataError
from salessim.measures.estimates import wilson

NORTH_AMERICA, EVERYBODY = "502097814", "112432117"

#: EmployeeID (national id) → EmployeeKey of the AdventureWorks warehouse. No file here has both. Quotas of
#: the warehouse and of the transactional database are the same series, which links their keys (tested
#: below), and Microsoft's public AdventureWorks script (HumanResources.Employee) links the latter to the
#: national id. 277 has neither quotas nor sales in the warehouse: public copies of the same data name it.
PEOPLE = {
    "502097814": "272", "112432117": "277", "841560125": "281", "191644724": "282", "615389812": "283",
    "234474252": "284", "716374314": "285", "61161660": "286", "139397894": "287", "399771412": "288",
    "987554265": "289", "982310417": "290", "668991357": "291", "134219713": "292", "90836195": "293",
    "481044938": "294", "954276278": "295", "758596752": "296",
}  # fmt: skip
#: BusinessEntityID of the same people in the transactional database, by the same public script.
ENTITY = {
    "502097814": "274", "841560125": "275", "191644724": "276", "615389812": "277", "234474252": "278",
    "716374314": "279", "61161660": "280", "139397894": "281", "399771412": "282", "987554265": "283",
    "90836195": "284", "481044938": "285", "758596752": "286", "982310417": "287", "954276278": "288",
    "668991357": "289", "134219713": "290",
}  # fmt: skip


def written(folder: Path, content: str | bytes, *, name: str = "quotas.csv") -> Path:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode("utf-8"))
    return path


def triples(found: QuotaFile) -> list[tuple[str, str, float]]:
    return [(str(r), str(p), float(q)) for r, p, q, _ in found.quotas.itertuples(index=False)]


def under(found: QuotaFile, rule: str) -> pd.DataFrame:
    return found.notes[found.notes["rule"] == rule]


def accounted(found: QuotaFile) -> bool:
    return found.cells == found.kept + found.missing + found.rejected


# --- AdventureWorks -------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def targets(real_data: Path) -> QuotaFile:
    path = real_data / "adventureworks" / "pl300_ResellerSalesTargets.csv"
    return read_quotas(path, unit=1000, currency="USD")


@pytest.fixture(scope="module")
def june(real_data: Path) -> pd.DataFrame:
    path = real_data / "adventureworks" / "pl300_ResellerSales_202006.csv"
    lines = pd.read_csv(path, encoding="utf-16", dtype=str)
    amounts = lines["SalesAmount"].astype(float)
    return pd.DataFrame({"rep": lines["EmployeeKey"], "date": lines["OrderDate"], "amount": amounts})


def test_the_wide_targets_load_to_the_last_cell(targets: QuotaFile, real_data: Path) -> None:
    assert (targets.kept, targets.missing, targets.rejected, targets.cells) == (809, 163, 0, 81 * 12)
    assert (targets.source.encoding, targets.frequency, targets.currency) == ("utf-16", "month", "USD")
    assert targets.layout.startswith("wide: one line per 'EmployeeID' and 'Year', 12 month columns")
    raw = pd.read_csv(real_data / "adventureworks" / targets.source.name, encoding="utf-16", dtype=str)
    cells = raw.filter(regex="^M").replace("-", None).astype(float)
    assert targets.quotas["quota"].sum() == pytest.approx(1000 * cells.sum().sum(), rel=1e-12)
    assert ("61161660", "2017-08", 400_000.0) in triples(targets)
    assert set(targets.quotas["rep"]) == set(raw["EmployeeID"])  # as text, exactly as written


def test_managers_are_noticed_as_roll_ups_with_the_evidence(targets: QuotaFile) -> None:
    assert targets.rollups["rep"].tolist() == [EVERYBODY, NORTH_AMERICA]
    evidence = dict(zip(targets.rollups["rep"], targets.rollups["evidence"], strict=True))
    assert "in 41 of 51 months (median deviation 7 %)" in evidence[EVERYBODY]
    assert NORTH_AMERICA in evidence[EVERYBODY]
    assert "in 44 of 53 months (median deviation 11 %)" in evidence[NORTH_AMERICA]
    assert "1 suspected slipped digit left out" in evidence[NORTH_AMERICA]
    assert under(targets, "suspected roll-up")["value"].tolist() == list(evidence.values())


def test_double_counting_is_stated(targets: QuotaFile) -> None:
    addable = without_rollups(targets)
    assert addable.left_out == (EVERYBODY, NORTH_AMERICA)
    own = targets.quotas.groupby("rep")["quota"].sum()
    assert addable.total_with_rollups == own.sum() == 676_210_000
    assert addable.total_without_rollups == own.drop(list(addable.left_out)).sum() == 344_360_000
    assert addable.by_period["without_rollups"].sum() == addable.total_without_rollups
    assert addable.note.endswith("with them they would be USD 676,210,000, 96 % more")


def test_a_hierarchy_says_how_the_managers_quotas_relate_to_their_peoples(real_data: Path) -> None:
    # reporting lines of the public AdventureWorks script
    america = (
        "61161660 90836195 139397894 191644724 234474252 399771412 615389812 716374314 841560125 987554265"
    )
    managers = dict.fromkeys(america.split(), NORTH_AMERICA)
    managers |= dict.fromkeys([NORTH_AMERICA, "982310417", "481044938"], EVERYBODY)
    path = real_data / "adventureworks" / "pl300_ResellerSalesTargets.csv"
    found = read_quotas(path, unit=1000, managers=managers).rollups.set_index("rep")
    assert set(found["basis"]) == {"hierarchy"}
    assert "100 % of their sum" in found.loc[EVERYBODY, "evidence"]
    # honest: his quota is a roll-up by rank, not the plain sum of his people's
    assert "41 % of their sum" in found.loc[NORTH_AMERICA, "evidence"]


def test_slipped_digits_stand_out_from_their_neighbours(targets: QuotaFile) -> None:
    found = {(r, p) for r, p in under(targets, "suspected slipped digit")[["rep", "period"]].to_numpy()}
    known = {
        (EVERYBODY, "2019-09"), (EVERYBODY, "2020-09"), (EVERYBODY, "2021-09"), (NORTH_AMERICA, "2019-06"),
        ("139397894", "2019-08"), ("139397894", "2020-08"), ("139397894", "2021-08"),
        ("758596752", "2020-02"),
    }  # fmt: skip
    assert known <= found
    assert len(found) == 11
    lines = under(targets, "suspected slipped digit").set_index(["rep", "period"])
    assert lines.loc[("758596752", "2020-02"), "value"] == "10,000, neighbours 100,000 (× 0.1)"
    assert lines.loc[("758596752", "2020-02"), "line"] == 60


def test_summary_has_one_line_per_rule_that_hit(targets: QuotaFile) -> None:
    summary = targets.summary()
    assert summary["rule"].tolist() == ["suspected roll-up", "suspected slipped digit", "jump"]
    assert summary["notes"].sum() == len(targets.notes)


def test_the_warehouse_file_has_no_header_and_two_quotas_for_one_quarter(real_data: Path) -> None:
    found = read_quotas(real_data / "adventureworks" / "dw_FactSalesQuota.csv")
    assert (found.cells, found.kept, found.missing, found.rejected) == (163, 153, 0, 10)
    assert found.layout.startswith("long, without header")
    assert "not used: column 1, column 3" in found.layout
    assert (found.source.delimiter, found.frequency) == ("|", "quarter")
    # 1 July 2011 was meant to be the second quarter, which nobody has
    assert ("272", "2011Q3", 140_000.0) in triples(found)
    twice = under(found, "two quotas for one period")
    assert len(twice) == 10
    assert set(twice["period"]) == {"2011Q3"}
    assert twice["value"].iat[0] == "91,000 dated 2011-07-01; line 31 stands with 140,000"
    gaps = under(found, "period missing within a run")
    assert set(gaps["period"]) == {"2011Q2"}
    assert set(gaps["rep"]) == set(twice["rep"])
    assert found.rollups.empty


def test_the_transactional_file_is_dated_by_quarters(real_data: Path) -> None:
    path = real_data / "adventureworks" / "oltp_SalesPersonQuotaHistory.csv"
    found = read_quotas(path)
    assert (found.cells, found.kept, found.rejected, found.frequency) == (163, 163, 0, "quarter")
    assert "column 2 is a date, which stands for the quarter that it lies in" in found.layout
    assert ("274", "2023Q1", 140_000.0) in triples(found)
    assert read_quotas(path, period_of_date="month").quotas["period"].iat[0] == "2022-05"


def test_both_databases_hold_the_same_quotas_which_links_their_ids(real_data: Path) -> None:
    folder = real_data / "adventureworks"
    warehouse = pd.read_csv(folder / "dw_FactSalesQuota.csv", sep="|", header=None, dtype=str)
    history = pd.read_csv(folder / "oltp_SalesPersonQuotaHistory.csv", sep="\t", header=None, dtype=str)
    by_key = warehouse.groupby(1)[5].agg(tuple)
    by_entity = history.groupby(0)[2].agg(tuple)
    assert len(set(by_key)) == len(by_key)  # no two people share a series, so the link is certain
    for person, entity in ENTITY.items():
        assert by_key[PEOPLE[person]] == by_entity[entity]
    assert set(by_key.index) == {PEOPLE[person] for person in ENTITY}


def test_attainment_of_june_2020(targets: QuotaFile, june: pd.DataFrame) -> None:
    table = attainment(targets, june, people=PEOPLE)
    month = table[table["period"] == "2020-06"].set_index("rep")
    assert len(month) == 18
    assert month["bookings"].sum() == pytest.approx(june["amount"].sum(), rel=1e-12)
    attained = month.index[month["attainment"] >= 1]
    assert sorted(attained) == ["615389812", "716374314", "758596752"]
    assert month.loc["615389812", "attainment"] == pytest.approx(1.130, abs=5e-4)
    assert month.loc["982310417", "attainment"] == 0
    assert month.loc["982310417", "note"].startswith("no sales recorded")
    assert month.loc[[EVERYBODY, NORTH_AMERICA], "attainment"].isna().all()
    assert month.loc[NORTH_AMERICA, "bookings"] == pytest.approx(38_104.50)
    assert "not judged" in month.loc[NORTH_AMERICA, "note"]
    rest = table[table["period"] != "2020-06"]
    assert rest["bookings"].isna().all()
    assert rest["note"].str.contains("no sales data for this period").all()


def test_june_2020_lies_below_the_band(targets: QuotaFile, june: pd.DataFrame) -> None:
    periods = attainment_by_period(attainment(targets, june, people=PEOPLE)).set_index("period")
    row = periods.loc["2020-06"]
    assert (row["reps"], row["attaining"], row["share"], row["in_band"]) == (16, 3, 3 / 16, False)
    assert row["note"] == (
        "below the band, the 80 % interval 9 % to 34 %; 2 more with quota not judged; 1 without any sales "
        "counted as not attaining"
    )
    assert len(periods) == 54
    assert periods.drop("2020-06")["share"].isna().all()


def test_without_a_bridge_nothing_is_made_up(targets: QuotaFile, june: pd.DataFrame) -> None:
    table = attainment(targets, june)
    month = table[table["period"] == "2020-06"]
    assert month["attainment"].isna().all()
    asked, sold = month[month["quota"].notna()], month[month["quota"].isna()]
    assert asked["bookings"].isna().all()
    assert asked["note"].str.startswith("not matched: no id of the quotas is an id of the sales").all()
    assert set(sold["rep"]) == set(june["rep"])
    assert sold["note"].str.contains("no id of the quotas is matched to").all()


def test_quotas_in_thousands_are_noticed_and_never_guessed(real_data: Path, june: pd.DataFrame) -> None:
    as_written = read_quotas(real_data / "adventureworks" / "pl300_ResellerSalesTargets.csv")
    assert as_written.quotas["quota"].max() == 36_500
    table = attainment(as_written, june, people=PEOPLE)
    month = table[table["period"] == "2020-06"]
    assert month["attainment"].isna().all()
    assert month["note"].str.contains("are the quotas in thousands").all()


def test_quotas_of_other_years_are_not_zero_attainment(real_data: Path, june: pd.DataFrame) -> None:
    quotas = read_quotas(real_data / "adventureworks" / "dw_FactSalesQuota.csv")
    table = attainment(quotas, june)
    assert table["attainment"].isna().all()
    asked = table[table["quota"].notna()]
    assert len(asked) == 153
    assert asked["bookings"].isna().all()
    assert set(asked["note"]) == {"no sales data for this period (the sales cover 2020-06-01 to 2020-06-30)"}
    sold = table[table["quota"].isna()]
    assert set(sold["period"]) == {"2020Q2"}
    assert sold["bookings"].sum() == pytest.approx(june["amount"].sum())
    assert (attainment_by_period(table)["reps"] == 0).all()


# --- layouts --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("header", "periods"),
    [
        ("2026Q1;2026Q2", ["2026Q1", "2026Q2"]),
        ("Q1 2026;q2-2026", ["2026Q1", "2026Q2"]),
        ("2026-01;2026/2", ["2026-01", "2026-02"]),
        ("01.2026;02.2026", ["2026-01", "2026-02"]),
        ("Jan 2026;February 2026", ["2026-01", "2026-02"]),
        ("sty 2026;luty 2026", ["2026-01", "2026-02"]),
        ("янв 2026;февраль 2026", ["2026-01", "2026-02"]),
        ("2026-01-01;2026-02-01", ["2026-01", "2026-02"]),
        ("2026;FY2027", ["2026", "2027"]),
    ],
)
def test_wide_headers_are_read_as_periods(tmp_path: Path, header: str, periods: list[str]) -> None:
    found = read_quotas(written(tmp_path, f"Seller;Region;{header}\nAnn;North;100;200\n"))
    assert found.quotas["period"].tolist() == periods
    assert found.quotas["quota"].tolist() == [100, 200]
    assert "not used: 'Region'" in found.layout


@pytest.mark.parametrize("names", ["Jan,Feb", "M01,M02", "m1,m2", "Q1,Q2"])
def test_periods_without_a_year_take_it_from_a_column_or_an_argument(tmp_path: Path, names: str) -> None:
    by_column = read_quotas(written(tmp_path, f"Year,Rep,{names}\n2026,Ann,1,2\n2027,Ann,3,4\n"))
    assert len(by_column.quotas) == 4
    assert by_column.quotas["period"].str[:4].tolist() == ["2026", "2026", "2027", "2027"]
    path = written(tmp_path, f"Rep,{names}\nAnn,1,2\n")
    assert read_quotas(path, calendar_year=2028).quotas["period"].str[:4].tolist() == ["2028", "2028"]
    with pytest.raises(DataError, match=r"quotas.csv: column '.*1|Jan' has no year; .*calendar_year"):
        read_quotas(path)


def test_quarter_subtotals_beside_months_are_not_counted_twice(tmp_path: Path) -> None:
    found = read_quotas(written(tmp_path, "Rep,2026-01,2026-02,2026-03,2026Q1\nAnn,1,2,3,6\n"))
    assert found.quotas["quota"].sum() == 6
    assert "not used: '2026Q1'" in found.layout


@pytest.mark.parametrize(
    "content",
    [
        "rep,period,quota\nAnn,2026Q1,100\nBo,2026Q2,200\n",
        "Salesperson;Quarter;Sales Quota\nAnn;Q1 2026;100\nBo;2026-Q2;200\n",
        "EmployeeKey\tCalendarYear\tCalendarQuarter\tSalesAmountQuota\nAnn\t2026\t1\t100\nBo\t2026\tQ2\t200\n",
        "Ann|2026Q1|100\nBo|2026Q2|200\nAnn|2026Q1|100\n",
        "1|Ann|2026|1|100.00\n2|Bo|2026|2|200.00\n3|Ann|2026|1|100.00\n",
    ],
)
def test_long_files_with_and_without_header(tmp_path: Path, content: str) -> None:
    found = read_quotas(written(tmp_path, content))
    assert triples(found) == [("Ann", "2026Q1", 100.0), ("Bo", "2026Q2", 200.0)]
    assert found.layout.startswith("long")
    assert accounted(found)


def test_dated_quotas_take_their_period_from_the_distance_of_dates(tmp_path: Path) -> None:
    months = "rep,date,quota\n" + "".join(f"Ann,2026-{m:02d}-15,{m}\n" for m in range(1, 7))
    found = read_quotas(written(tmp_path, months))
    assert found.frequency == "month"
    assert found.quotas["period"].tolist() == [f"2026-{m:02d}" for m in range(1, 7)]
    named = written(tmp_path, "rep,month,quota\nAnn,2026-01-01,1\nBo,2026-02-01,2\n")
    assert read_quotas(named).quotas["period"].tolist() == ["2026-01", "2026-02"]
    once = written(tmp_path, "rep,date,quota\nAnn,2026-01-15,1\nBo,2026-01-15,2\n")
    with pytest.raises(
        DataError, match=r"one date per rep only.*period_of_date: 'month', 'quarter' or 'year'"
    ):
        read_quotas(once)
    fiscal = read_quotas(once, period_of_date="quarter", fiscal_year_starts_in_month=4)
    assert set(fiscal.quotas["period"]) == {"2026Q4"}  # named after the year in which it ends


def test_columns_can_be_named_or_numbered(tmp_path: Path) -> None:
    path = written(tmp_path, "who,when,what,bonus\nAnn,2026Q1,100,7\n")
    with pytest.raises(DataError, match=r"no column is known as the rep.*rep='…'.*'who', 'when'"):
        read_quotas(path)
    by_name = read_quotas(path, rep="who", period="when", quota="what")
    by_number = read_quotas(path, rep=1, period=2, quota=3)
    assert triples(by_name) == triples(by_number) == [("Ann", "2026Q1", 100.0)]
    with pytest.raises(DataError, match="quota is column 9; allowed are 1 to 4"):
        read_quotas(path, rep=1, period=2, quota=9)
    with pytest.raises(DataError, match="rep is 'nobody'; allowed is one of the columns 'who'"):
        read_quotas(path, rep="nobody", period=2, quota=3)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1250"])
def test_encodings(tmp_path: Path, encoding: str) -> None:
    content = "Handlowiec;Kwartał;Kwota\nWójcik Łucja;2026Q1;1 200,50\nŻak;2026Q2;-\n".encode(encoding)
    found = read_quotas(written(tmp_path, content))
    assert triples(found) == [("Wójcik Łucja", "2026Q1", 1200.5)]
    assert found.missing == 1


def test_ids_stay_as_written(tmp_path: Path) -> None:
    found = read_quotas(
        written(tmp_path, "EmployeeID,2026Q1\n007,100\n7,200\n1e5,300\n90071992547409931,400\n")
    )
    assert found.quotas["rep"].tolist() == ["007", "7", "1e5", "90071992547409931"]


def test_a_decimal_comma_is_seen_where_it_is_certain_and_refused_where_not(tmp_path: Path) -> None:
    certain = written(tmp_path, "Rep;2026Q1;2026Q2\nAnn;1.234,50;2.000,00\n")
    assert read_quotas(certain).quotas["quota"].tolist() == [1234.5, 2000]
    unclear = written(tmp_path, "Rep;2026Q1;2026Q2\nAnn;1.234;2.000\n")
    with pytest.raises(DataError, match=r"line 2, '2026Q1': '1\.234' may be 1\.234 or 1,234; say which sign"):
        read_quotas(unclear)
    said = read_quotas(unclear, numbers=NumberFormat(decimal=",", thousands="."))
    assert said.quotas["quota"].tolist() == [1234, 2000]


# --- cells that are not taken ---------------------------------------------------------------------


def test_every_cell_is_kept_missing_or_rejected_with_a_note(tmp_path: Path) -> None:
    content = (
        "rep,period,quota,\n"
        "Ann,2026Q1,100,\n"
        "Ann,2026Q1,100,\n"  # a copy
        "Ann,2026Q1,150,\n"  # contradicts
        "Ann,2026Q2,-5,\n"
        "Bo,2026Q1,tbd,\n"
        "Bo,2026Q5,80,\n"
        ",2026Q1,90,\n"
        "Bo,2026Q2,n/a,\n"
        "Bo,2026Q3,,\n"
        "Cy,2026Q1\n"  # malformed
        "Cy,2026Q2,70,\n"
        "Cy,2026Q3,0,\n"
    )
    found = read_quotas(written(tmp_path, content))
    assert (found.cells, found.kept, found.missing, found.rejected) == (12, 3, 2, 7)
    assert triples(found) == [("Ann", "2026Q1", 100.0), ("Cy", "2026Q2", 70.0), ("Cy", "2026Q3", 0.0)]
    rejected = found.notes[found.notes["severity"] == "rejected"]
    assert {(rule, int(line)) for rule, line in rejected[["rule", "line"]].to_numpy()} == {
        ("repeated quota", 3),
        ("two quotas for one period", 4),
        ("negative quota", 5),
        ("quota not readable", 6),
        ("quota period not readable", 7),
        ("no rep", 8),
        ("malformed record", 11),
    }
    assert under(found, "quota not readable")["value"].tolist() == ["tbd"]
    assert under(found, "quota period not readable")["value"].tolist() == ["2026Q5"]
    assert under(found, "zero quota")["rep"].tolist() == ["Cy"]


def test_the_later_dated_quota_counts(tmp_path: Path) -> None:
    content = (
        "rep,date,quota\nAnn,2026-02-01,120\nAnn,2026-01-10,100\nAnn,2026-04-10,110\nAnn,2026-07-10,90\n"
    )
    found = read_quotas(written(tmp_path, content), period_of_date="quarter")
    assert ("Ann", "2026Q1", 120.0) in triples(found)
    assert under(found, "two quotas for one period")["value"].tolist() == [
        "100 dated 2026-01-10; line 2 stands with 120"
    ]


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (
            "Rep,2026Q1\nAnn,a lot\n",
            "line 2, '2026Q1': 'a lot' cannot be read, like 1 of 1 quotas; allowed is",
        ),
        ("rep,period,quota\nAnn,soon,5\n", "line 2, period: 'soon' cannot be read, like 1 of 1 periods"),
        ("Rep,2026Q1\nAnn,-\n", "no quota in 1 cells"),
        ("Rep,2026Q1\n", "no records below the header"),
        (
            "rep,period,quota\nAnn,2026Q1,5\nBo,2026-01,6\n",
            "different length .line 2: 2026Q1; line 3: 2026-01",
        ),
        ("rep,seller,period,quota\na,b,2026Q1,5\n", "'rep', 'seller' may all be the rep"),
        ("", "the file is empty"),
    ],
)
def test_files_that_cannot_be_understood_say_why(tmp_path: Path, content: str, text: str) -> None:
    with pytest.raises(DataError, match=text) as caught:
        read_quotas(written(tmp_path, content))
    assert str(caught.value).startswith("quotas.csv: ")


@pytest.mark.parametrize("unit", [0.0, -1.0, float("nan"), float("inf")])
def test_an_impossible_unit_is_refused(tmp_path: Path, unit: float) -> None:
    with pytest.raises(DataError, match="must be above 0"):
        read_quotas(written(tmp_path, "Rep,2026Q1\nAnn,1\n"), unit=unit)


quota_cells = st.one_of(st.none(), st.integers(0, 10**9), st.decimals(0, 10**6, places=2).map(str))


@settings(max_examples=15, deadline=None)
@given(
    rows=st.lists(st.lists(quota_cells, min_size=5, max_size=5), min_size=1, max_size=6),
    delimiter=st.sampled_from([";", "\t", "|"]),
    decimal=st.sampled_from([".", ","]),
)
def test_wide_and_long_files_of_the_same_quotas_agree(
    tmp_path_factory: pytest.TempPathFactory,
    rows: list[list[int | str | None]],
    delimiter: str,
    decimal: str,
) -> None:
    texts = [["-" if cell is None else str(cell).replace(".", decimal) for cell in row] for row in rows]
    periods = ["2025Q4", "2026Q1", "2026Q2", "2026Q3", "2026Q4"]
    wide = [delimiter.join(["rep", *periods])]
    wide += [delimiter.join([f"R{n}", *row]) for n, row in enumerate(texts)]
    long = [delimiter.join(["rep", "period", "quota"])]
    long += [
        delimiter.join([f"R{n}", p, t])
        for n, row in enumerate(texts)
        for p, t in zip(periods, row, strict=True)
    ]
    folder = tmp_path_factory.mktemp("same")
    numbers = NumberFormat(decimal="," if decimal == "," else ".")
    stated = {
        (f"R{n}", p): float(cell)
        for n, row in enumerate(rows)
        for p, cell in zip(periods, row, strict=True)
        if cell is not None
    }
    paths = [written(folder, "\n".join(lines), name=f"{len(lines)}.csv") for lines in (wide, long)]
    if not stated:
        with pytest.raises(DataError, match="no quota in"):
            read_quotas(paths[0], numbers=numbers)
        return
    for path in paths:
        found = read_quotas(path, numbers=numbers)
        assert {(r, p): q for r, p, q in triples(found)} == pytest.approx(stated)
        assert (found.kept, found.rejected) == (len(stated), 0)
        assert accounted(found)


# --- rules on values ------------------------------------------------------------------------------


def test_rules_are_told_apart_and_explained() -> None:
    for rule in QUOTA_RULES.values():
        assert rule.severity in SEVERITIES
        assert rule.meaning.endswith(".")
        assert rule.what_to_do.endswith(".")


def test_gaps_jumps_and_slips_of_one_person(tmp_path: Path) -> None:
    months = ",".join(f"2026-{m:02d}" for m in range(1, 13))
    ann = "100,110,1200,105,100,-,110,105,400,410,390,400"
    found = read_quotas(written(tmp_path, f"rep,{months}\nAnn,{ann}\nBo,-,-,50,50,50,50,50,50,50,50,-,-\n"))
    hits = {(rule, rep, period) for rule, rep, period in found.notes[["rule", "rep", "period"]].to_numpy()}
    assert hits == {
        ("suspected slipped digit", "Ann", "2026-03"),
        ("period missing within a run", "Ann", "2026-06"),
        ("jump", "Ann", "2026-09"),
    }


def team(
    rng: np.random.Generator, reps: int, periods: int, noise: float, *, spread: float = 0.5
) -> dict[str, np.ndarray[tuple[int], np.dtype[np.float64]]]:
    season = 1 + 0.3 * np.sin(np.arange(periods))
    return {
        f"R{n}": np.round(size * season * rng.lognormal(0, noise, periods), -3)
        for n, size in enumerate(rng.lognormal(0, spread, reps) * 100_000)
    }


def wide_file(folder: Path, quotas: Mapping[str, np.ndarray[tuple[int], np.dtype[np.float64]]]) -> Path:
    periods = len(next(iter(quotas.values())))
    header = ",".join(f"{2024 + n // 12}-{n % 12 + 1:02d}" for n in range(periods))
    lines = [f"{rep},{','.join(f'{q:.0f}' for q in row)}" for rep, row in quotas.items()]
    return written(folder, "\n".join([f"rep,{header}", *lines]))


def stand_outs(found: QuotaFile) -> list[str]:
    """Sellers suspected only because their quota is far above everybody else's, as one of the teams has."""
    return [rep for rep in found.rollups["rep"] if rep.startswith("R")]


@pytest.mark.parametrize("seed", range(6))
def test_sums_of_others_are_found_with_their_members(tmp_path: Path, seed: int) -> None:
    quotas = team(np.random.default_rng(seed), 10, 12, 0.1)
    quotas["West"] = sum(quotas[f"R{n}"] for n in range(4))  # type: ignore[assignment]
    quotas["East"] = sum(quotas[f"R{n}"] for n in range(4, 10))  # type: ignore[assignment]
    quotas["All"] = quotas["West"] + quotas["East"]
    found = read_quotas(wide_file(tmp_path, quotas))
    exact = found.rollups[found.rollups["evidence"].str.contains("within 1 % in 12 of 12 months")]
    assert set(exact["rep"]) == {"West", "East", "All"}
    members = dict(zip(exact["rep"], exact["members"], strict=True))
    assert set(members["West"]) == {f"R{n}" for n in range(4)}
    assert set(members["East"]) == {f"R{n}" for n in range(4, 10)}
    own = sum(float(quotas[f"R{n}"].sum()) for n in set(range(10)) - {int(r[1:]) for r in stand_outs(found)})
    assert without_rollups(found).total_without_rollups == pytest.approx(own)


@pytest.mark.parametrize("reps", [3, 8, 40])
def test_teams_without_managers_are_left_alone(tmp_path: Path, reps: int) -> None:
    rng = np.random.default_rng(reps)
    for noise in (0.0, 0.02, 0.2):
        for periods in (4, 24):
            found = read_quotas(wide_file(tmp_path, team(rng, reps, periods, noise, spread=0.3)))
            assert found.rollups.empty, found.rollups["evidence"].iat[0]


def test_a_seller_far_above_all_others_is_suspected_until_a_hierarchy_settles_it(tmp_path: Path) -> None:
    quotas = team(np.random.default_rng(7), 8, 24, 0.02, spread=0.2)
    quotas["Star"] = np.round(1.05 * sum(quotas[f"R{n}"] for n in range(5)), -3)
    path = wide_file(tmp_path, quotas)
    assert read_quotas(path).rollups["rep"].tolist() == ["Star"]
    assert read_quotas(path, managers={rep: "Mia" for rep in quotas}).rollups.empty


def test_flat_quotas_that_happen_to_add_up_are_no_evidence(tmp_path: Path) -> None:
    flat = {"Junior A": 100.0, "Junior B": 100.0, "Senior": 200.0, "Other": 150.0}
    quotas = {rep: np.full(12, size) for rep, size in flat.items()}
    assert read_quotas(wide_file(tmp_path, quotas)).rollups.empty


def test_a_hierarchy_tells_a_roll_up_from_a_manager_who_sells(tmp_path: Path) -> None:
    path = written(tmp_path, "rep,2026Q1,2026Q2\nA,100,110\nB,90,95\nBoss,200,210\nC,80,80\nCoach,50,50\n")
    found = read_quotas(path, managers={"A": "Boss", "B": "Boss", "C": "Coach", "Coach": "Boss"})
    assert found.rollups["rep"].tolist() == ["Boss"]
    assert found.rollups["members"].tolist() == [("A", "B", "Coach")]


# --- attainment -----------------------------------------------------------------------------------


def daily(rep: str, first: str, last: str, amount: float) -> pd.DataFrame:
    return pd.DataFrame({"rep": rep, "date": pd.date_range(first, last), "amount": amount})


def test_partial_periods_are_noted_and_not_judged() -> None:
    quotas = pd.DataFrame({"rep": "Ann", "period": ["2026Q1", "2026Q2", "2026Q3", "2026Q4"], "quota": 91.0})
    table = attainment(quotas, daily("Ann", "2026-02-10", "2026-07-20", 1.0)).set_index("period")
    assert (
        table["attainment"].tolist()
        == [pytest.approx(np.nan, nan_ok=True), 1.0] + [pytest.approx(np.nan, nan_ok=True)] * 2
    )
    assert table.loc["2026Q1", "bookings"] == 50
    assert "only part of this period (2026-02-10 to 2026-07-20)" in table.loc["2026Q1", "note"]
    assert "only part" in table.loc["2026Q3", "note"]
    assert "no sales data" in table.loc["2026Q4", "note"]
    assert np.isnan(table.loc["2026Q4", "bookings"])


def test_rare_sales_do_not_make_a_period_partial_unless_the_caller_says_so() -> None:
    quotas = pd.DataFrame({"rep": ["Ann"], "period": "2026-01", "quota": [10.0]})
    sales = pd.DataFrame({"rep": "Ann", "date": ["2026-01-05", "2026-01-15", "2026-01-28"], "amount": 5.0})
    assert attainment(quotas, sales)["attainment"].tolist() == [1.5]
    said = attainment(quotas, sales, covers=(date(2026, 1, 5), date(2026, 1, 28)))
    assert said["attainment"].isna().all()


def test_ids_are_matched_only_as_the_caller_says() -> None:
    quotas = pd.DataFrame({"rep": ["1", "2"], "period": "2026-01", "quota": [31.0, 31.0]})
    sales = pd.concat(
        [daily("2", "2026-01-01", "2026-01-31", 1.0), daily("9", "2026-01-01", "2026-01-31", 2.0)]
    )
    # the 2 of the sales is somebody else than the 2 of the quotas
    table = attainment(quotas, sales, people={"1": "9"})
    rows = [tuple(row) for row in table[["rep", "quota", "bookings", "attainment"]].fillna(-1).to_numpy()]
    assert sorted(rows) == [("1", 31.0, 62.0, 2.0), ("2", -1.0, 31.0, -1.0), ("2", 31.0, -1.0, -1.0)]
    assert table["note"].str.contains("not matched").sum() == 1
    with pytest.raises(DataError, match="several quota ids map to the same sales id: '9'"):
        attainment(quotas, sales, people={"1": "9", "2": "9"})


def test_no_sales_is_zero_and_zero_quota_is_undefined() -> None:
    quotas = pd.DataFrame({"rep": ["Ann", "Bo", "Cy"], "period": "2026-01", "quota": [31.0, 31.0, 0.0]})
    sales = pd.concat(
        [daily("Ann", "2026-01-01", "2026-02-28", 1.0), daily("Bo", "2026-02-01", "2026-02-28", 1.0)]
    )
    table = attainment(quotas, sales).set_index(["rep", "period"])
    assert table.loc[("Ann", "2026-01"), "attainment"] == 1
    assert table.loc[("Bo", "2026-01"), "attainment"] == 0
    assert (
        table.loc[("Bo", "2026-01"), "note"] == "no sales recorded: not employed, not yet, or missing data?"
    )
    assert np.isnan(table.loc[("Cy", "2026-01"), "attainment"])
    assert table.loc[("Bo", "2026-02"), "note"] == "bookings without a quota in this period"


@pytest.mark.parametrize(
    ("quotas", "sales", "text"),
    [
        ({"rep": ["A"], "period": ["2026Q1"]}, {}, "quotas: column 'quota' is missing"),
        ({"rep": ["A"], "period": ["Q1"], "quota": [1]}, {}, "period is 'Q1'; allowed are 2026-01, 2026Q1"),
        (
            {"rep": ["A", "A"], "period": "2026Q1", "quota": [1, 2]},
            {},
            "'A' has more than one quota in 2026Q1",
        ),
        ({"rep": [7.0], "period": ["2026Q1"], "quota": [1]}, {}, "read ids as text"),
        ({"rep": ["A"], "period": ["2026Q1"], "quota": [np.nan]}, {}, "quota of rep 'A' is nan"),
        ({}, {"amount": ["lots"]}, "sales: amount of rep 'A' is 'lots'; it must be a number"),
        ({}, {"date": ["soon"]}, "sales: date is 'soon'; write days as 2026-01-31"),
    ],
)
def test_tables_that_cannot_be_used_say_why(
    quotas: dict[str, object], sales: dict[str, object], text: str
) -> None:
    asked = pd.DataFrame(quotas or {"rep": ["A"], "period": ["2026Q1"], "quota": [1.0]})
    sold = pd.DataFrame({"rep": ["A"], "date": ["2026-01-01"], "amount": [1.0]} | sales)
    with pytest.raises(DataError, match=text):
        attainment(asked, sold)


def by_period(attainments: list[float]) -> pd.Series[object]:
    rows = [(f"R{n}", "2026Q1", 1.0, a, a, "") for n, a in enumerate(attainments)]
    table = pd.DataFrame(rows, columns=["rep", "period", "quota", "bookings", "attainment", "note"])
    return attainment_by_period(table).iloc[0]


@pytest.mark.parametrize(
    ("attaining", "reps", "note"),
    [
        (3, 5, "5 reps: too few to judge"),
        (5, 5, "5 reps: too few to judge"),
        (1, 1, "1 rep: too few to judge"),
        (40, 55, "may lie in the band or above it"),
        (5, 20, "below the band"),
        (19, 20, "above the band"),
        (680, 1000, "in the band"),
    ],
)
def test_few_reps_prove_nothing(attaining: int, reps: int, note: str) -> None:
    row = by_period([1.0] * attaining + [0.5] * (reps - attaining))
    assert str(row["note"]).startswith(note)
    share, low, high = wilson(np.array([float(attaining)]), np.array([float(reps)]))
    assert (row["share"], row["low"], row["high"]) == pytest.approx((share[0], low[0], high[0]))
    assert row["mean_attainment"] == pytest.approx(share[0] + 0.5 * (1 - share[0]))


def test_an_impossible_band_is_refused() -> None:
    with pytest.raises(DataError, match=r"band is 0\.8 to 0\.6; it must rise"):
        attainment_by_period(pd.DataFrame({"quota": []}), band=(0.8, 0.6))


# --- canonical tables -----------------------------------------------------------------------------


def export(write_export: Callable[[Mapping[str, str | bytes]], Path], deals: str) -> Path:
    return write_export(
        {
            "reps.csv": "rep,manager\nAnn,Mia\nBo,Mia\nMia,\n",
            "opportunities.csv": f"opportunity_id,rep,stage,created,closed,amount\n{deals}",
            "quotas.csv": "rep,period,quota\n"
            + "".join(
                f"{rep},2026Q{q},{a}\n" for rep, a in (("Ann", 100), ("Bo", 80), ("Mia", 180)) for q in (1, 2)
            ),
        }
    )


def test_attainment_of_a_crm_export(write_export: Callable[[Mapping[str, str | bytes]], Path]) -> None:
    deals = (
        "D1,Ann,won,2026-01-02,2026-02-20,70\nD2,Ann,won,2026-01-05,2026-03-31,50\n"
        "D3,Bo,lost,2026-01-07,2026-02-01,\nD4,Ann,won,2026-03-01,2026-05-15,90\n"
    )
    table = attainment_of(read(export(write_export, deals), as_of=date(2026, 5, 20)))
    cells = table.set_index(["rep", "period"])
    assert cells.loc[("Ann", "2026Q1"), "attainment"] == pytest.approx(1.2)
    assert cells.loc[("Bo", "2026Q1"), "attainment"] == 0
    assert str(cells.loc[("Bo", "2026Q1"), "note"]).startswith("no sales recorded")
    assert np.isnan(cells.loc[("Mia", "2026Q1"), "attainment"])
    assert "roll-up" in str(cells.loc[("Mia", "2026Q1"), "note"])
    assert cells.loc[("Ann", "2026Q2"), "bookings"] == 90
    assert np.isnan(cells.loc[("Ann", "2026Q2"), "attainment"])
    assert "only part of this period" in str(cells.loc[("Ann", "2026Q2"), "note"])


def test_attainment_of_a_year_waits_for_its_end(
    write_export: Callable[[Mapping[str, str | bytes]], Path],
) -> None:
    deals = "D1,Ann,won,2026-01-02,2026-02-20,70\nD2,Ann,won,2026-01-05,2026-04-30,150\n"
    folder = export(write_export, deals)
    soon = attainment_of(read(folder, as_of=date(2026, 6, 30)), by="year").set_index("rep")
    assert soon.loc["Ann", ["quota", "bookings"]].tolist() == [200, 220]
    assert soon["attainment"].isna().all()
    assert "only part of this year" in soon.loc["Ann", "note"]
    after = attainment_of(read(folder, as_of=date(2026, 12, 31)), by="year").set_index("rep")
    assert after.loc["Ann", "attainment"] == pytest.approx(1.1)
    assert "quota in 2 of 4 quarters" in after.loc["Ann", "note"]


def test_quarters_cut_off_on_the_left_are_not_judged(real_data: Path) -> None:
    tables = read(real_data / "maven_crm")
    with pytest.raises(DataError, match="the export has no quotas"):
        attainment_of(tables)
    reps = tables.reps["rep"].tolist()
    quotas = pd.DataFrame(
        [(rep, f"2017Q{q}", 90_000.0) for rep in reps for q in (1, 2, 3)], columns=["rep", "period", "quota"]
    )
    from dataclasses import replace

    periods = attainment_by_period(attainment_of(replace(tables, quotas=quotas))).set_index("period")
    assert periods.loc["2017Q1", "reps"] == 0
    assert "no sales data" in periods.loc["2017Q1", "note"] or "part" in periods.loc["2017Q1", "note"]
    assert periods.loc["2017Q2", "reps"] == periods.loc["2017Q3", "reps"] == len(reps)
    won = tables.opportunities.query("status == 'won' and closed >= '2017-07-01'")
    expected = (won.groupby("rep")["amount"].sum() >= 90_000).sum()
    assert periods.loc["2017Q3", "attaining"] == expected
