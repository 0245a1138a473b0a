"""The sheet that a team fills in: written, worked in with a spreadsheet, read back."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import openpyxl
import pandas as pd
import pytest

from salessim.audit import Audit, audit, audit_workbook, read_evidence_sheet
from salessim.crm.canonical import Tables
from salessim.errors import DataError, WorkspaceError
from salessim.library import example_scenario


@pytest.fixture(scope="module")
def found(example: Tables) -> Audit:
    return audit(example, example_scenario())


@pytest.fixture
def sheet(tmp_path: Path) -> Callable[[str], Path]:
    def write(text: str) -> Path:
        path = tmp_path / "sheet.csv"
        path.write_text(text, encoding="utf-8")
        return path

    return write


def columns(page: openpyxl.worksheet.worksheet.Worksheet) -> dict[str, int]:
    return {str(cell.value): cell.column for cell in page[1]}


def test_a_copy_that_nobody_touched_changes_nothing(example: Tables, found: Audit, tmp_path: Path) -> None:
    back = read_evidence_sheet(audit_workbook(found, tmp_path / "audit.xlsx"))
    again = audit(example, example_scenario(), evidence=back)
    pd.testing.assert_frame_equal(again.deals, found.deals)
    assert again.notes == found.notes
    assert again.unchecked == found.unchecked
    assert again.unknown.empty


def test_the_workbook_is_a_list_to_work_through(found: Audit, tmp_path: Path) -> None:
    book = openpyxl.load_workbook(audit_workbook(found, tmp_path / "audit.xlsx"))
    assert book.sheetnames == ["Deals", "By rep", "Before and after", "How to"]
    page = book["Deals"]
    place = columns(page)
    assert page.max_row == len(found.deals) + 1
    for criterion in found.criteria:
        assert criterion.name in place
    assert {"next step date", "purchase date"} <= set(place)
    assert page.cell(1, place["pain"]).comment.text.startswith("Do the company and this person recognise")
    first = found.deals.iloc[0]
    assert page.cell(2, place["deal"]).value == first["opportunity_id"]
    assert page.cell(2, place["to do"]).value == first["to_do"]
    missing, there = page.cell(2, place["decision maker"]), page.cell(2, place["fit"])
    assert missing.value is None
    assert missing.fill.start_color.rgb != there.fill.start_color.rgb  # what is missing is marked
    assert there.is_date
    totals = [cell.value for cell in book["Before and after"][book["Before and after"].max_row]]
    assert totals[0] == "all stages"
    assert totals[1] == totals[4] == len(found.deals)
    assert totals[2] == pytest.approx(totals[5])


def test_a_filled_copy_moves_the_deal(example: Tables, found: Audit, tmp_path: Path) -> None:
    path = audit_workbook(found, tmp_path / "audit.xlsx")
    book = openpyxl.load_workbook(path)
    page = book["Deals"]
    place = columns(page)
    story = found.deals.iloc[0]["opportunity_id"]
    for name, value in {
        "decision maker": "board, met them on the phone",
        "pain": pd.Timestamp("2026-06-29").to_pydatetime(),
        "value": "29.06.2026: saves a shift",
        "next step date": pd.Timestamp("2026-07-06").to_pydatetime(),
        "purchase date": "2026-07-31",
    }.items():
        page.cell(2, place[name]).value = value
    emptied = next(row for row in range(3, page.max_row) if page.cell(row, place["decision maker"]).value)
    page.cell(emptied, place["decision maker"]).value = None
    page.cell(page.max_row + 1, place["deal"]).value = "O99999"
    book.save(path)
    again = audit(example, example_scenario(), evidence=read_evidence_sheet(path))
    standing = dict(zip(again.deals["opportunity_id"], again.deals["evidenced_stage"], strict=True))
    assert standing[story] == "closing deal"
    assert standing[page.cell(emptied, place["deal"]).value] == "cold lead"
    assert again.unknown[["opportunity_id", "why"]].to_numpy().tolist() == [["O99999", "not in the export"]]


def test_where_the_export_knows_nothing_the_sheet_asks_and_is_not_held_against_anybody(
    without_evidence: Tables, tmp_path: Path
) -> None:
    deals = without_evidence.opportunities
    some = pd.concat([deals[deals["status"] != "open"], deals[deals["status"] == "open"].tail(60)])
    tables = dataclasses.replace(without_evidence, opportunities=some.reset_index(drop=True))
    found = audit(tables, example_scenario())
    path = audit_workbook(found, tmp_path / "audit.xlsx")
    again = audit(tables, example_scenario(), evidence=read_evidence_sheet(path))
    pd.testing.assert_frame_equal(again.deals, found.deals)
    book = openpyxl.load_workbook(path)
    page, row = book["Deals"], int((found.deals["move"] == "stays").to_numpy().nonzero()[0][0]) + 2
    place = columns(page)
    assert page.cell(row, place["pain"]).value == "?"
    page.cell(row, place["decision maker"]).value = None  # somebody looked, and there was nothing
    book.save(path)
    looked = audit(tables, example_scenario(), evidence=read_evidence_sheet(path))
    number = page.cell(row, place["deal"]).value
    changed = looked.deals.set_index("opportunity_id")["missing"]
    assert changed[number] == ("decision maker",)
    assert (changed.drop(number).map(len) == 0).all()


def test_formulas_stay_text_and_ids_come_back(found: Audit, tmp_path: Path) -> None:
    odd = found.deals.copy()
    odd.loc[0, "opportunity_id"] = "=1+1"
    odd.loc[0, "account"] = "=cmd|' /C calc'!A0"
    evidence = found.evidence.assign(
        opportunity_id=found.evidence["opportunity_id"].replace(found.deals["opportunity_id"].iat[0], "=1+1")
    )
    path = audit_workbook(
        Audit(**(vars(found) | {"deals": odd, "evidence": evidence})), tmp_path / "audit.xlsx"
    )
    page = openpyxl.load_workbook(path)["Deals"]
    assert "f" not in {cell.data_type for row in page.iter_rows() for cell in row}
    assert page["A2"].value == "'=1+1"
    assert "=1+1" in read_evidence_sheet(path).rows.index


def test_words_dates_and_blanks(sheet: Callable[[str], Path]) -> None:
    read_back = read_evidence_sheet(
        sheet(
            "opportunity_id,pain,fit\nA,failed audit,no\nB,2026-06-01,?\n"
            "C,01.06.2026 - asked again,\nD,x,нет\n,,\n"
        )
    )
    noted = read_back.cells["noted"].dt.strftime("%Y-%m-%d")
    cells = read_back.cells.assign(noted=noted).astype(object).where(lambda cell: cell.notna(), None)
    assert cells.to_numpy().tolist() == [
        ["A", "pain", "failed audit", None],
        ["B", "pain", "yes", "2026-06-01"],
        ["C", "pain", "asked again", "2026-06-01"],
        ["D", "pain", "x", None],
        ["A", "fit", None, None],
        ["C", "fit", None, None],  # blank: somebody looked; "?" in B: nobody did
        ["D", "fit", None, None],
    ]
    assert read_back.rows.to_dict() == {"A": 2, "B": 3, "C": 4, "D": 5}
    assert read_back.criteria == ("pain", "fit")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("deal,pain\nA,yes\nA,no\n", "row 3: deal 'A' stands in row 2 already"),
        ("deal,pain\n,yes\n", "row 2, column 'deal': blank"),
        ("deal,pain,next step date\nA,yes,soon\n", "row 2, column 'next step date': 'soon' is not a date"),
        ("deal,pain,purchase date\nA,yes,2026-02-30\n", "column 'purchase date': '2026-02-30' is not a date"),
        ("deal,pain\nA,2026-13-01 asked\n", "column 'pain': '2026-13-01' is not a date"),
        ("name,pain\nA,yes\n", "no sheet with a column 'deal'"),
    ],
)
def test_what_cannot_be_read_names_row_column_and_value(
    text: str, said: str, sheet: Callable[[str], Path]
) -> None:
    with pytest.raises(DataError, match=said):
        read_evidence_sheet(sheet(text))


def test_a_number_in_a_cell_of_excel_is_no_evidence_that_one_can_read(tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    page = book.active
    assert page is not None
    for row in (["deal", "pain", "fit"], ["A", 1, 0], ["B", 7, None]):
        page.append(row)
    book.save(tmp_path / "own.xlsx")
    with pytest.raises(
        DataError, match=r"own\.xlsx › Sheet, row 3, column 'pain': 7 is neither a word nor a"
    ):
        read_evidence_sheet(tmp_path / "own.xlsx")


def test_a_missing_file_and_a_folder_that_is_not_there_are_said(found: Audit, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="give the audit sheet"):
        read_evidence_sheet(tmp_path / "none.xlsx")
    with pytest.raises(WorkspaceError, match="cannot be written"):
        audit_workbook(found, tmp_path / "none" / "audit.xlsx")
