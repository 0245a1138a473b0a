"""Folders, workbooks, Parquet and archives: the same cells, whatever they come in."""

from __future__ import annotations

import datetime as dt
import io
import zipfile
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import openpyxl
import pandas as pd
import pyarrow as pa
import pytest
import xlsxwriter
from pyarrow import parquet

from salessim.crm.sources import Export, RawTable, open_export
from salessim.errors import DataError

HEADER = ["id", "rep", "amount"]
TEXT = "id,rep,amount\nD1,Ann,5\nD2,,7.5\n"


def read(export: Export, table: str | None = None, columns: Sequence[str] = HEADER) -> RawTable:
    return export.read(table or export.tables[0], columns=columns, expected=columns, encoding=None, words=[])


def header(export: Export, expected: Sequence[str] = HEADER, **other: Any) -> tuple[str, ...]:
    return export.header(
        export.tables[0], expected=expected, encoding=other.get("encoding"), words=other.get("words", [])
    )


def values(cells: pd.Series) -> list[Any]:
    return [None if value is pd.NA or pd.isna(value) else value for value in cells.tolist()]


def workbook(sheets: Mapping[str, Sequence[Sequence[Any]]]) -> bytes:
    out = io.BytesIO()
    with xlsxwriter.Workbook(out, {"in_memory": True, "default_date_format": "dd.mm.yyyy"}) as book:
        for name, rows in sheets.items():
            sheet = book.add_worksheet(name)
            for number, row in enumerate(rows):
                for place, value in enumerate(row):
                    if isinstance(value, str) and value.startswith("#"):
                        sheet.write_formula(number, place, "=A1/0", None, value)
                    elif value is not None:
                        sheet.write(number, place, value)
    return out.getvalue()


def archive(members: Mapping[str, str | bytes], *, compression: int = zipfile.ZIP_DEFLATED) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", compression) as packed:
        for name, content in members.items():
            packed.writestr(name, content)
    return out.getvalue()


def parquet_of(table: pa.Table) -> bytes:
    out = io.BytesIO()
    parquet.write_table(table, out)
    return out.getvalue()


@pytest.fixture
def put(tmp_path: Path) -> Callable[[str, str | bytes], Path]:
    """A function that writes one file and returns its path."""

    def write(name: str, content: str | bytes) -> Path:
        path = tmp_path / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    return write


Put = Callable[[str, str | bytes], Path]


# --- text -----------------------------------------------------------------------------------------


def test_a_folder_of_text_files(write_export: Callable[[Mapping[str, str | bytes]], Path]) -> None:
    folder = write_export(
        {
            "b.TSV": "id\trep\n1\tAnn\n",
            "a.csv": "id;rep\n1;x\n2\n3;\n",
            "readme.md": "# no table",
            ".hidden.csv": "id\n",
            "~$open.xlsx": b"x",
        }
    )
    (folder / "older").mkdir()
    export = open_export(folder)
    assert (export.name, export.tables) == (str(folder), ("a.csv", "b.TSV"))
    found = read(export, "a.csv", ["Rep", "ID", "stage"])
    assert {key: values(cells) for key, cells in found.cells.items()} == {
        "rep": ["x", None],
        "id": ["1", "3"],
    }
    assert all(cells.dtype == "category" for cells in found.cells.values())
    assert (found.header, found.rows.tolist(), found.guessed) == (("id", "rep"), [2, 4], False)
    assert [(bad.row, bad.problem) for bad in found.malformed] == [(3, "1 field instead of 2: '2'")]
    assert (found.file.name, found.file.records, found.file.delimiter) == ("a.csv", 3, ";")
    assert len(found.file.sha256) == 64


def test_the_encoding_of_a_text_file(put: Put) -> None:
    export = open_export(put("d.csv", "Numer;Wartość\n1;ę\n".encode("cp852")))
    assert header(export, words=["Wartość"]) == ("Numer", "Wartość")
    assert header(export, encoding="cp852") == ("Numer", "Wartość")
    found = export.read("d.csv", columns=["Wartość"], expected=["Wartość"], encoding=None, words=["Wartość"])
    assert (values(found.cells["wartość"]), found.file.encoding) == (["ę"], "cp852")
    unsure = open_export(put("e.csv", "id;rep\n1;Zofia Łącka\n".encode("cp1250")))
    assert read(unsure).guessed


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "cp1250"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_headers_of_long_files_need_their_beginning_only(put: Put, encoding: str, end: str) -> None:
    text = f"id;rep;Wartość{end}" + f"1;Łucja Próbna;Spółka{end}" * 60_000
    export = open_export(put("d.csv", text.encode(encoding)))
    assert header(export, expected=["Wartość"]) == ("id", "rep", "Wartość")
    found = read(export, columns=["rep"])
    assert found.cells["rep"].cat.categories.tolist() == ["Łucja Próbna"]
    assert len(found.rows) == 60_000


# --- workbooks ------------------------------------------------------------------------------------


def test_a_workbook_with_titles_above_its_header(put: Put) -> None:
    day, moment = dt.date(2026, 3, 31), dt.datetime(2026, 4, 1, 17, 5)
    rows = [
        ["Deals of the year", None, None, None, None, None],
        [],
        ["id", "Rep", "rep", "closed", "when", "won"],
        [1001, "x", "Ann", day, moment, True],
        [],
        [1002, "x", None, None, day, False],
        [1003, "x", " Bo\nB ", dt.date(2025, 1, 1), None, True],
    ]
    export = open_export(put("crm.xlsx", workbook({"Deals": rows, "Empty": [], "Notes": [["nothing"]]})))
    assert export.tables == ("crm.xlsx › Deals", "crm.xlsx › Notes")
    assert header(export) == ("id", "Rep", "rep", "closed", "when", "won")
    found = read(export, columns=["id", "closed", "when", "won", "rep"])
    assert found.rows.tolist() == [4, 6, 7]
    assert (found.file.records, found.file.delimiter, found.malformed) == (3, "", ())
    assert (found.cells["id"].dtype, found.cells["id"].tolist()) == ("int64", [1001, 1002, 1003])
    assert found.cells["closed"].dtype == "datetime64[ns]"
    assert values(found.cells["closed"]) == [pd.Timestamp(day), None, pd.Timestamp(2025, 1, 1)]
    assert values(found.cells["when"]) == [pd.Timestamp(moment), pd.Timestamp(day), None]
    assert (found.cells["won"].dtype, found.cells["won"].tolist()) == ("bool", [True, False, True])
    assert values(found.cells["rep"]) == ["x", "x", "x"]  # of two headers alike the first counts
    assert header(export, expected=["nothing of this"]) == ("Deals of the year", "", "", "", "", "")


def test_odd_cells_of_a_workbook_become_text(put: Put) -> None:
    day = dt.date(2026, 3, 31)
    rows = [
        ["mixed", "dates", "amount", "count", "flag", "late"],
        [1001, day, 5, 1, True, dt.date(9999, 12, 31)],
        ["D2", "soon", "#REF!", None, None, dt.date(2020, 1, 1)],
        [1.25, dt.datetime(2026, 3, 31, 10, 20), 7.5, 3, False, dt.datetime(2020, 1, 1, 6)],
        [None, dt.time(10, 20), None, 4, True, None],
        ["#DIV/0!", "", None, None, None, None],
    ]
    export = open_export(put("crm.xlsx", workbook({"Łódź & Co": rows})))
    found = read(export, columns=rows[0])
    assert {key: values(cells) for key, cells in found.cells.items()} == {
        "mixed": ["1001", "D2", "1.25", None, "#DIV/0!"],
        "dates": ["2026-03-31", "soon", "2026-03-31 10:20:00", "10:20:00", None],
        "amount": ["5", "#REF!", "7.5", None, None],
        "count": [1, None, 3, 4, None],
        "flag": ["true", None, "false", "true", None],
        "late": ["9999-12-31", "2020-01-01", "2020-01-01 06:00:00", None, None],
    }
    assert found.cells["count"].dtype == "Int64"
    assert found.rows.tolist() == [2, 3, 4, 5, 6]


@pytest.mark.parametrize("serial", [0, 1, 59, 60, 61, -5, 2958466, 1e10, 1e300])
def test_serial_numbers_that_are_no_dates_do_no_harm(put: Put, serial: float) -> None:
    out = io.BytesIO()
    with xlsxwriter.Workbook(out, {"in_memory": True}) as book:
        sheet = book.add_worksheet()
        sheet.write_row(0, 0, ["id", "closed"])
        sheet.write_row(1, 0, ["D1"])
        sheet.write_number(1, 1, serial, book.add_format({"num_format": "yyyy-mm-dd"}))
    found = read(open_export(put("d.xlsx", out.getvalue())), columns=["id", "closed"])
    assert len(found.cells["closed"]) == 1


def test_excel_and_text_give_the_same_cells(put: Put) -> None:
    book = openpyxl.Workbook()
    for row in (["id", "rep"], ["D1", "Łucja"], [None, None], ["D2", None]):
        book.active.append(row)
    path = put("deals.xlsx", b"")
    book.save(path)
    one = read(open_export(path), columns=["id", "rep"])
    other = read(open_export(put("deals.csv", "id,rep\nD1,Łucja\n\nD2,\n")), columns=["id", "rep"])
    assert one.header == other.header
    assert one.rows.tolist() == other.rows.tolist() == [2, 4]
    for key, cells in one.cells.items():
        pd.testing.assert_series_equal(cells, other.cells[key])


def test_an_open_document_sheet(put: Put) -> None:
    def cell(kind: str, value: str) -> str:
        typed = f'office:value-type="{kind}" office:{"" if kind == "float" else f"{kind}-"}value="{value}"'
        return f"<table:table-cell {typed}><text:p>{value}</text:p></table:table-cell>"

    rows = [
        [("string", name) for name in ("id", "closed", "amount", "won")],
        [("string", "D1"), ("date", "2026-03-31"), ("float", "5.5"), ("boolean", "true")],
        [("string", "D2"), ("date", "2026-04-01T17:05:00"), ("float", "7"), ("boolean", "false")],
    ]
    lines = "".join(
        f"<table:table-row>{''.join(cell(*content) for content in row)}</table:table-row>" for row in rows
    )
    oasis, kind = "urn:oasis:names:tc:opendocument:xmlns", "application/vnd.oasis.opendocument.spreadsheet"
    spaces = " ".join(f'xmlns:{name}="{oasis}:{name}:1.0"' for name in ("office", "table", "text"))
    members = {
        "mimetype": kind,
        "content.xml": f"<office:document-content {spaces}><office:body><office:spreadsheet>"
        f'<table:table table:name="Deals">{lines}</table:table>'
        "</office:spreadsheet></office:body></office:document-content>",
        "META-INF/manifest.xml": f'<m:manifest xmlns:m="{oasis}:manifest:1.0">'
        f'<m:file-entry m:full-path="/" m:media-type="{kind}"/></m:manifest>',
    }
    export = open_export(put("crm.ods", archive(members)))
    assert export.tables == ("crm.ods › Deals",)
    found = read(export, columns=["id", "closed", "amount", "won"])
    assert {key: values(cells) for key, cells in found.cells.items()} == {
        "id": ["D1", "D2"],
        "closed": [pd.Timestamp(2026, 3, 31), pd.Timestamp(2026, 4, 1, 17, 5)],
        "amount": [5.5, 7.0],
        "won": [True, False],
    }


# --- Parquet --------------------------------------------------------------------------------------


def test_every_type_of_parquet(put: Put) -> None:
    instant = dt.datetime(2026, 3, 31, 22, 30, tzinfo=dt.UTC)
    day = dt.date(2026, 3, 31)
    columns: dict[str, tuple[pa.Array, Any, list[Any]]] = {
        "text": (pa.array(["a", "", None, "a"]), "category", ["a", None, None, "a"]),
        "large": (pa.array(["a", None, "b", "a"], pa.large_string()), "category", ["a", None, "b", "a"]),
        "coded": (pa.array(["a", None, "b", ""]).dictionary_encode(), "category", ["a", None, "b", None]),
        "numbered": (pa.array([7, 8, 7, 7]).dictionary_encode(), "int64", [7, 8, 7, 7]),
        "none": (pa.nulls(4), "category", [None] * 4),
        "whole": (pa.array([1, 2, 3, 4], pa.int16()), "int64", [1, 2, 3, 4]),
        "gaps": (pa.array([1, None, 3, 2**53 + 1]), "Int64", [1, None, 3, 2**53 + 1]),
        "huge": (
            pa.array([2**64 - 1, 1, None, 2], pa.uint64()),
            "category",
            [str(2**64 - 1), "1", None, "2"],
        ),
        "half": (pa.array([0.5, None, 1, 2], pa.float32()), "float64", [0.5, None, 1, 2]),
        "endless": (pa.array([np.inf, 1.5, None, 2]), "category", ["inf", "1.5", None, "2"]),
        "money": (pa.array([Decimal("1.25"), None, Decimal(2), Decimal(3)]), "float64", [1.25, None, 2, 3]),
        "yes": (pa.array([True, False, True, True]), "bool", [True, False, True, True]),
        "maybe": (pa.array([True, None, False, None]), "category", ["true", None, "false", None]),
        "day": (
            pa.array([day, None, day, day]),
            "datetime64[ns]",
            [pd.Timestamp(day), None] + [pd.Timestamp(day)] * 2,
        ),
        "local": (
            pa.array([instant] * 3 + [None], pa.timestamp("us", "Europe/Warsaw")),
            "datetime64[ns]",
            [pd.Timestamp(2026, 4, 1, 0, 30)] * 3 + [None],
        ),
        "far": (
            pa.array([dt.date(1, 1, 1), dt.date(9999, 12, 31), None, day]),
            "category",
            ["0001-01-01", "9999-12-31", None, "2026-03-31"],
        ),
        "far moment": (
            pa.array([dt.datetime(9999, 12, 31, 6), None, dt.datetime(2020, 1, 1), None], pa.timestamp("ms")),
            "category",
            ["9999-12-31 06:00:00", None, "2020-01-01", None],
        ),
        "clock": (
            pa.array([dt.time(10, 20), None, None, None]),
            "category",
            ["10:20:00.000000", None, None, None],
        ),
        "list": (pa.array([[1, 2], None, [], None]), "category", ["[1, 2]", None, "[]", None]),
        "bytes": (pa.array([b"\xff", b"a", None, b""]), "category", [r"b'\xff'", "b'a'", None, "b''"]),
        "with.dot": (pa.array(["a", "b", "c", "d"]), "category", ["a", "b", "c", "d"]),
    }
    table = pa.table({name: array for name, (array, _, _) in columns.items()})
    export = open_export(put("deals.parquet", parquet_of(table)))
    assert header(export) == tuple(columns)
    found = read(export, columns=[*columns, "stage"])
    assert {key: str(cells.dtype) for key, cells in found.cells.items()} == {
        name: kind for name, (_, kind, _) in columns.items()
    }
    assert {key: values(cells) for key, cells in found.cells.items()} == {
        name: wanted for name, (_, _, wanted) in columns.items()
    }
    assert (found.rows.tolist(), found.file.records, found.file.delimiter) == ([2, 3, 4, 5], 4, "")


def test_parquet_without_rows(put: Put) -> None:
    table = pa.table({"id": pa.array([], pa.string()), "amount": pa.array([], pa.float64())})
    found = read(open_export(put("d.parquet", parquet_of(table))))
    assert (found.header, found.file.records) == (("id", "amount"), 0)
    assert [len(cells) for cells in found.cells.values()] == [0, 0]


# --- archives -------------------------------------------------------------------------------------


def test_an_archive_of_all_kinds(put: Put) -> None:
    table = parquet_of(pa.table({"id": ["D1", "D2"], "rep": ["Ann", None], "amount": ["5", "7.5"]}))
    book = workbook({"Deals": [HEADER, ["D1", "Ann", "5"], ["D2", None, "7.5"]]})
    members = {
        "export/deals.csv": TEXT,
        "export/deals.parquet": table,
        "export/crm.xlsx": book,
        "2025/people.csv": TEXT,
        "2026/people.csv": TEXT,
        "__MACOSX/export/._deals.csv": "x",
        "export/.hidden.csv": "x",
        "export/readme.pdf": "x",
    }
    export = open_export(put("export.zip", archive(members)))
    assert export.tables == (
        "export.zip › deals.csv",
        "export.zip › deals.parquet",
        "export.zip › crm.xlsx › Deals",
        "export.zip › 2025/people.csv",
        "export.zip › 2026/people.csv",
    )
    for name in export.tables:
        found = read(export, name)
        assert export.header(name, expected=HEADER, encoding=None, words=[]) == tuple(HEADER)
        assert {key: values(cells) for key, cells in found.cells.items()} == {
            "id": ["D1", "D2"],
            "rep": ["Ann", None],
            "amount": ["5", "7.5"],
        }
        assert found.file.name == name
        assert found.rows.tolist() == [2, 3]


def encrypted() -> bytes:
    data = bytearray(archive({"deals.csv": TEXT}))
    for mark, place in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):  # the flag in both headers of the member
        data[data.index(mark) + place] |= 1
    return bytes(data)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("e.zip", archive({"a/b.zip": b"", "d.csv": TEXT}), r"e\.zip: holds another archive, 'a/b\.zip'"),
        ("e.zip", archive({"readme.pdf": "x"}), r"e\.zip: no file in it ends in .*readme\.pdf"),
        ("e.zip", encrypted(), r"e\.zip: 'deals\.csv' is protected by a password"),
        ("e.zip", archive({"deals.csv": b"0" * 150_000_000}), r"'deals\.csv' would unpack .* 150,000,000"),
        ("e.zip", archive({"deals.csv": TEXT * 100})[:100], r"e\.zip: damaged, cut off"),
        ("e.zip", b"", r"e\.zip: damaged, cut off"),
        ("d.csv", b"", r"d\.csv: the file is empty"),
        ("d.csv", "\ufeff\n\n", r"d\.csv: the file is empty"),
        ("d.csv", archive({"x": "y"}), r"d\.csv: this is a zip archive or a workbook"),
        ("d.xls", "<html><table><tr><td>id", r"d\.xls: this is a web page or XML.*\.xlsx"),
        ("d.xls", "id\trep\n1\tAnn\n", r"d\.xls: this is a text file .*\.csv"),
        ("d.xlsx", workbook({"Deals": [HEADER]})[:3000], r"d\.xlsx: damaged, cut off"),
        ("d.xlsx", b"", r"d\.xlsx: damaged, cut off"),
        ("d.xlsx", archive({"x": "y"}), r"d\.xlsx: damaged, cut off, or no workbook"),
        ("d.xlsx", workbook({"Empty": []}), r"d\.xlsx: no sheet has anything in it"),
        ("d.ods", b"\xd0\xcf\x11\xe0" + bytes(900), r"d\.ods: damaged, cut off, or no workbook"),
        ("d.parquet", parquet_of(pa.table({"id": ["D1"]}))[:-20], r"d\.parquet: damaged, cut off"),
        ("d.parquet", b"", r"d\.parquet: damaged, cut off, or no Parquet"),
        ("d.csv.gz", b"\x1f\x8b", r"d\.csv\.gz' ends in '\.gz'; what can be read ends in '\.csv'"),
    ],
    ids=lambda value: "bytes" if isinstance(value, bytes) else None,  # archives hold the time of making
)  # fmt: skip
def test_what_cannot_be_read_is_named(put: Put, name: str, content: str | bytes, message: str) -> None:
    with pytest.raises(DataError, match=message):
        header(open_export(put(name, content)))


def test_damage_inside_files_is_named(put: Put) -> None:
    members = archive({"deals.csv": TEXT * 100}, compression=zipfile.ZIP_STORED)
    export = open_export(put("e.zip", members.replace(b"Ann", b"Bob", 1)))
    with pytest.raises(DataError, match=r"e\.zip › deals\.csv: damaged"):
        read(export)
    whole = parquet_of(pa.table({"id": [f"D{number}" for number in range(5_000)]}))
    export = open_export(put("d.parquet", whole[:40] + bytes(2_000) + whole[2_040:]))
    with pytest.raises(DataError, match=r"d\.parquet: damaged"):
        read(export)


def test_folders_that_are_no_export(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"does not exist; give the folder"):
        open_export(tmp_path / "nowhere")
    (tmp_path / "deals.csv").mkdir()
    with pytest.raises(DataError, match=r"has no file that ends in .*no files are in it \(subfolders"):
        open_export(tmp_path)
    with pytest.raises(DataError, match=r"deals\.csv' has no file that ends in"):
        open_export(tmp_path / "deals.csv")
    (tmp_path / "readme.md").touch()
    with pytest.raises(DataError, match=r"found: 'readme\.md'"):
        open_export(tmp_path)


def test_what_the_operating_system_refuses(put: Put, monkeypatch: pytest.MonkeyPatch) -> None:
    path = put("deals.csv", TEXT)

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    export = open_export(path)
    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(DataError, match=r"deals\.csv: cannot be read \(Permission denied\)"):
        read(export)
    monkeypatch.setattr(Path, "iterdir", refuse)
    with pytest.raises(DataError, match=r"cannot be read \(Permission denied\)"):
        open_export(path.parent)


@pytest.mark.parametrize("name", ["d.xlsx", "d.parquet", "e.zip", "d.csv"])
def test_damaged_bytes_never_end_in_another_exception(put: Put, name: str) -> None:
    rng = np.random.default_rng(5)
    table = pa.table({"id": ["D1", "D2"], "amount": [1.5, 2]})
    whole = {
        "d.xlsx": workbook({"Deals": [HEADER, ["D1", "Ann", 5], ["D2", "#REF!", 7]]}),
        "d.parquet": parquet_of(table),
        "e.zip": archive({"deals.csv": TEXT, "d.xlsx": workbook({"Deals": [HEADER]})}),
        "d.csv": TEXT.encode(),
    }[name]
    outcomes = set()
    for _ in range(60):
        data = bytearray(whole)
        for place in rng.integers(0, len(data), rng.integers(1, 4)):
            data[place] = rng.integers(0, 256)
        cut = int(rng.integers(0, 4 * len(data)))
        try:
            outcomes.add(len(read(open_export(put(name, bytes(data[:cut])))).header))
        except DataError as error:
            outcomes.add(str(error).split(":")[0].split(" ›")[0])
    assert name in outcomes
    assert 3 in outcomes or 2 in outcomes
    assert not [text for text in outcomes if isinstance(text, str) and text != name]
