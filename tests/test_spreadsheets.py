"""Files that people open in a spreadsheet: nothing in them runs, and everything in them is still there."""

from __future__ import annotations

import ast
from datetime import date
from io import StringIO
from pathlib import Path

import openpyxl
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

import salessim
from salessim.errors import ParameterError, WorkspaceError
from salessim.spreadsheets import (
    FORMULA_STARTS,
    Sheet,
    csv_text,
    neutralised,
    restored,
    write_csv,
    write_workbook,
)

PACKAGE = Path(salessim.__file__).parent
#: They write the inputs of the made-up company, as a CRM would, with its dirt.
INPUT_MAKERS = {PACKAGE / "library" / "company.py", PACKAGE / "library" / "samples.py"}

ATTACK = "=cmd|' /C calc'!A0"


def test_only_this_module_writes_csv_and_excel() -> None:
    wrong = []
    for path in sorted(PACKAGE.rglob("*.py")):
        if path == PACKAGE / "spreadsheets.py" or path in INPUT_MAKERS:
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                table_of_pandas = node.func.attr == "to_csv" and (node.args or node.keywords)
                if table_of_pandas or node.func.attr in ("to_excel", "ExcelWriter"):
                    wrong.append(f"{path.relative_to(PACKAGE)} line {node.lineno}")
            if isinstance(node, ast.Import | ast.ImportFrom) and "csv" in [n.name for n in node.names]:
                source = path.read_text(encoding="utf-8")
                if "csv.writer" in source or "csv.DictWriter" in source:
                    wrong.append(f"{path.relative_to(PACKAGE)} line {node.lineno}: csv writer")
    assert wrong == []


@pytest.mark.parametrize("start", FORMULA_STARTS)
def test_every_start_is_made_safe_in_cells_names_and_index(start: str) -> None:
    text = f"{start}1+1"
    frame = pd.DataFrame(
        {text: [text, "fine"], "words": pd.Categorical([text, "fine"])},
        index=pd.Index([text, "b"], name=text),
    )
    safe = neutralised(frame)
    for found in (
        safe.columns[0], safe.iloc[0, 0], safe.iloc[0, 1], safe.index[0], safe.index.name,
    ):  # fmt: skip
        assert found == f"'{text}"
        assert restored(found) == text
    assert safe.iloc[1].tolist() == ["fine", "fine"]
    assert frame.iloc[0, 0] == text  # the table that was given stays as it was


def test_only_texts_are_touched() -> None:
    frame = pd.DataFrame(
        {
            "amount": [-7.5, float("nan")],
            "mixed": [-3, "-3"],
            "day": [pd.Timestamp("2026-01-02"), pd.NaT],
            "gone": [None, "=1"],
        }
    )
    safe = neutralised(frame)
    assert safe["mixed"].tolist() == [-3, "'-3"]
    assert pd.isna(safe["gone"][0])
    pd.testing.assert_frame_equal(safe[["amount", "day"]], frame[["amount", "day"]])
    assert csv_text(frame).splitlines() == ["amount,mixed,day,gone", "-7.5,-3,2026-01-02,", ",'-3,,'=1"]


def test_names_that_stand_twice_and_tuples_of_names() -> None:
    twice = pd.DataFrame([["=a", "=b"]], columns=["x", "x"])
    assert neutralised(twice).iloc[0].tolist() == ["'=a", "'=b"]
    deep = pd.DataFrame([[1]], columns=pd.MultiIndex.from_tuples([("=a", "b")], names=["@n", None]))
    safe = neutralised(deep)
    assert safe.columns.equals(pd.MultiIndex.from_tuples([("'=a", "b")]))
    assert safe.columns.names == ["'@n", None]


@given(st.lists(st.text(max_size=12), max_size=6))
def test_whatever_is_written_stays_a_text_and_done_twice_is_done_once(texts: list[str]) -> None:
    frame = pd.DataFrame({"text": pd.Series(texts, dtype=object)})
    safe = neutralised(frame)
    assert not any(text.startswith(FORMULA_STARTS) for text in safe["text"])
    pd.testing.assert_frame_equal(neutralised(safe), safe)
    assert len(pd.read_csv(StringIO(csv_text(frame)), skip_blank_lines=False, lineterminator="\n")) >= 0


def test_a_csv_file_shows_every_alphabet_and_reads_back(tmp_path: Path) -> None:
    frame = pd.DataFrame({"rep": ["Łukasz Żuk", "Анна", ATTACK], "quota": [1.5, -2.0, 3.0]})
    path = write_csv(frame, tmp_path / "out.csv")
    assert path.read_bytes().startswith(b"\xef\xbb\xbfrep,quota\n")
    back = pd.read_csv(path)
    back["rep"] = back["rep"].map(restored)
    pd.testing.assert_frame_equal(back, frame)
    same = write_csv(csv_text(frame), tmp_path / "text.csv")
    assert same.read_bytes() == path.read_bytes()


def test_half_a_character_is_shown_and_no_crash(tmp_path: Path) -> None:
    path = write_csv(pd.DataFrame({"a": ["x\ud800y"]}), tmp_path / "out.csv")
    assert "x\\ud800y" in path.read_text(encoding="utf-8-sig")


def test_what_cannot_be_written_is_said_and_leaves_the_old_file(tmp_path: Path) -> None:
    with pytest.raises(WorkspaceError, match=r"none/out\.csv' cannot be written \(No such file"):
        write_csv(pd.DataFrame({"a": [1]}), tmp_path / "none" / "out.csv")
    (tmp_path / "folder.xlsx").mkdir()
    with pytest.raises(WorkspaceError, match=r"folder\.xlsx' cannot be written"):
        write_workbook([Sheet("a", pd.DataFrame({"a": [1]}))], tmp_path / "folder.xlsx")
    assert [path.name for path in tmp_path.iterdir()] == ["folder.xlsx"]


def workbook(tmp_path: Path) -> Path:
    deals = pd.DataFrame(
        {
            "deal": ["D1", ATTACK, "http://example.org"],
            "amount": [1200.0, float("nan"), -7.0],
            "share": [0.25, 1.0, float("inf")],
            "noted": [pd.Timestamp("2026-05-04"), pd.NaT, pd.Timestamp("1899-01-01")],
            "day": [date(2026, 5, 4), None, date(1, 1, 1)],
            "pain": [None, "yes", "007"],
            "sure": [True, False, None],
        }
    )
    sheet = Sheet(
        "Deals",
        deals,
        formats={"amount": "money", "share": "percent"},
        choices={"pain": ["yes", "no"]},
        inputs=["pain"],
        highlighted={"pain": [True, False, False]},
        notes={"pain": "What hurts them?"},
    )
    return write_workbook([sheet, Sheet("Empty", deals.iloc[:0])], tmp_path / "deals.xlsx")


def test_a_workbook_holds_what_the_table_says(tmp_path: Path) -> None:
    book = openpyxl.load_workbook(workbook(tmp_path))
    assert book.sheetnames == ["Deals", "Empty"]
    page = book["Deals"]
    rows = list(page.iter_rows(values_only=True))
    assert rows[0] == ("deal", "amount", "share", "noted", "day", "pain", "sure")
    day = pd.Timestamp("2026-05-04").to_pydatetime()
    assert rows[1] == ("D1", 1200, 0.25, day, day, None, "yes")
    assert rows[2] == (f"'{ATTACK}", None, 1, None, None, "yes", "no")
    assert rows[3] == ("http://example.org", -7, "∞", "1899-01-01 00:00:00", "0001-01-01", "007", None)
    assert {cell.data_type for row in page.iter_rows() for cell in row} <= {"s", "n", "d"}  # never "f"
    assert page.freeze_panes == "B2"
    assert [cell.number_format for cell in page[2]][:4] == ["@", "#,##0", "0 %", "yyyy-mm-dd"]
    assert page.cell(2, 6).fill.start_color.rgb != page.cell(3, 6).fill.start_color.rgb
    assert page.cell(1, 6).comment.text == "What hurts them?"
    validation = page.data_validations.dataValidation[0]
    assert (validation.type, validation.formula1, str(validation.sqref)) == ("list", '"yes,no"', "F2:F4")


def test_the_same_table_gives_the_same_bytes(tmp_path: Path) -> None:
    first = workbook(tmp_path).read_bytes()
    assert workbook(tmp_path).read_bytes() == first


def test_a_text_too_long_for_a_cell_is_cut_and_says_so(tmp_path: Path) -> None:
    path = write_workbook([Sheet("a", pd.DataFrame({"a": ["x" * 40_000]}))], tmp_path / "a.xlsx")
    text = openpyxl.load_workbook(path)["a"]["A2"].value
    assert len(text) == 32_767
    assert text.endswith("x…")


@pytest.mark.parametrize(
    ("sheets", "said"),
    [
        ([], "at least one sheet"),
        ([Sheet("a/b", pd.DataFrame())], "sheet 'a/b': a name has 1 to 31"),
        ([Sheet("'a", pd.DataFrame())], "no apostrophe"),
        ([Sheet("", pd.DataFrame())], "1 to 31"),
        ([Sheet("a", pd.DataFrame()), Sheet("A", pd.DataFrame())], "sheet 'A': two sheets"),
        ([Sheet("a", pd.DataFrame({"x": [1]}), inputs=["y"])], "inputs names 'y'; its columns are 'x'"),
        ([Sheet("a", pd.DataFrame(index=range(1_048_576)))], "1,048,576 rows"),
    ],
)
def test_what_excel_does_not_take_is_refused(sheets: list[Sheet], said: str, tmp_path: Path) -> None:
    with pytest.raises(ParameterError, match=said):
        write_workbook(sheets, tmp_path / "a.xlsx")
    assert list(tmp_path.iterdir()) == []
