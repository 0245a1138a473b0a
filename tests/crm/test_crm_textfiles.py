"""Encodings, delimiters, quotes: what CRMs really write."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from salessim.crm import textfiles
from salessim.crm.textfiles import (
    Columns,
    as_utf8,
    decode,
    open_text,
    pick_delimiter,
    read_columns,
    records,
    split_columns,
)
from salessim.errors import DataError

POLISH = "Numer;Handlowiec;Konto\n1;Zofia Przykładowa;Spółka Gęś\n2;Łucja Próbna;Śląsk Żółty\n"
RUSSIAN = "Номер;Менеджер;Компания\n1;Иван Пример;Ромашка\n"


@pytest.mark.parametrize(
    ("text", "encoding", "reported", "guessed"),
    [
        (POLISH, "utf-8", "utf-8", False),
        (POLISH, "utf-8-sig", "utf-8-sig", False),
        (POLISH, "utf-16", "utf-16", False),
        (RUSSIAN, "utf-16", "utf-16", False),
        (POLISH, "utf-32", "utf-32", False),
        (POLISH, "utf-16-le", "utf-16-le", False),
        (POLISH, "utf-16-be", "utf-16-be", False),
        (RUSSIAN, "utf-16-le", "utf-16-le", False),
        (RUSSIAN, "utf-16-be", "utf-16-be", False),
        (POLISH, "cp1250", "cp1250", True),
        (RUSSIAN, "cp1251", "cp1251", True),
        ("id,rep\n1,Иван\n", "cp1251", "cp1251", True),
        ("id,rep\n" + "1,Jan Nowak\n" * 5000 + "2,Zofia Łącka\n", "cp1250", "cp1250", True),
    ],
)
def test_text_survives_its_encoding(text: str, encoding: str, reported: str, guessed: bool) -> None:
    data = text.encode(encoding)
    assert decode(data, name="deals.csv") == (text, reported, guessed)
    assert as_utf8(data, name="deals.csv") == (text.encode(), reported, guessed)


def test_utf_16_big_endian_with_mark() -> None:
    assert decode(b"\xfe\xff" + POLISH.encode("utf-16-be"), name="deals.csv")[0] == POLISH


def test_a_declared_encoding_is_not_guessed() -> None:
    assert decode(POLISH.encode("iso8859-2"), name="d.csv", encoding="iso8859-2") == (
        POLISH,
        "iso8859-2",
        False,
    )


@pytest.mark.parametrize("encoding", ["cp1250", "iso8859_2", "cp852"])
def test_words_of_the_column_map_prove_the_encoding(encoding: str) -> None:
    text = "Numer;Wartość\n1;ę\n"
    found = decode(text.encode(encoding), name="d.csv", words=["Numer", "Wartość"])
    assert found == (text, encoding, False)


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        ("Zofia Wzór;Spółka Gęś;Zakończone Wygrane;1 234,50 zł", "cp1250"),
        ("£100;£200;Ann", "cp1252"),
    ],
)
def test_signs_inside_words_and_currency_signs_tell_polish_from_western(text: str, encoding: str) -> None:
    assert decode(text.encode(encoding), name="d.csv", words=["£"])[0] == text


def test_a_nul_byte_costs_its_record_only() -> None:
    text, encoding, _ = decode(b"id,rep\n1,A\0nn\n2,Bo\n", name="deals.csv")
    found = records(text, delimiter=",")
    assert (encoding, found.values, found.rows) == ("utf-8", (["2", "Bo"],), (3,))
    assert [(bad.row, bad.problem) for bad in found.malformed] == [(2, "contains a NUL byte: '1,A\\x00nn'")]


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (bytes(range(256)) + b"\0" * 99, "more than a tenth of it are NUL bytes"),
        (b"PK\x03\x04...", "zip archive or a workbook"),
        (b"\xd0\xcf\x11\xe0...", "workbook of old Excel"),
        (b"PAR1...", "Parquet"),
        (b"\x1f\x8b...", "gzip"),
        (b"%PDF-1.7", "PDF"),
    ],
)
def test_what_is_no_text_is_refused(data: bytes, what: str) -> None:
    with pytest.raises(DataError, match=rf"deals\.csv: .*{what}"):
        decode(data, name="deals.csv")


@pytest.mark.parametrize(
    ("data", "encoding"),
    [
        (b"\xff\xfeabc", None),
        (b"\xc5\x81\xff", "utf-8"),
        (b"\x81\x81 caf\x98", None),
        (b"\xef\xbb\xbf\xff", None),
        (b"\\ud800", "unicode_escape"),
        (b"id", "rot13"),
        (b"i\0d\0;\0r\0e\0p\0\n", None),
    ],
)
def test_undecodable_bytes_are_refused(data: bytes, encoding: str | None) -> None:
    with pytest.raises(DataError, match=r"deals\.csv: not readable as text.*UTF-8"):
        decode(data, name="deals.csv", encoding=encoding)


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|", "^"])
def test_delimiters_are_found_by_the_headers(delimiter: str) -> None:
    text = "".join(delimiter.join(line) + "\n" for line in (["id", "rep", "amount"], ["1", "Ann", "2"]))
    assert pick_delimiter(text, expected=["id", "rep", "amount"]) == (delimiter, ("id", "rep", "amount"))


def test_decimal_commas_do_not_pass_for_delimiters() -> None:
    text = "id;amount\n" + "".join(f"{n};{n},50\n" for n in range(50))
    assert pick_delimiter(text, expected=["id", "amount"])[0] == ";"


@pytest.mark.parametrize("hint", ["sep=^\r\n", '"sep=^"\n', "\n\nSEP=^\n"])
def test_the_line_in_which_excel_declares_the_delimiter(hint: str) -> None:
    text = f"{hint}id^rep,x\n1^Ann\n"
    assert pick_delimiter(text, expected=["rep,x"]) == ("^", ("id", "rep,x"))
    assert pick_delimiter(text, expected=[])[0] == "^"
    assert records(text, delimiter="^").rows == (2,)
    assert split_columns(text.encode(), delimiter="^", columns=["id"]).cells["id"].tolist() == ["1"]


@pytest.mark.parametrize("quoted", ["rep", '"rep', 'r"ep', '"rep\nname"', '"re"p'])
def test_a_quote_in_the_header_costs_no_record(quoted: str) -> None:
    text = f'id,{quoted}\n1,Ann\n2,Bo\n3,"C"\n'
    _, header = pick_delimiter(text, expected=["id", "name"])
    found = records(text, delimiter=",")
    assert header == found.header
    assert found.header[0] == "id"
    assert len(found.values) == 3


def test_quoted_newlines_delimiters_and_crlf() -> None:
    found = records('\r\nid,name\r\n1,"two\r\nlines, one ""field"""\r\n\r\n2,x\r\n', delimiter=",")
    assert found.values == (["1", 'two\r\nlines, one "field"'], ["2", "x"])
    assert found.rows == (2, 4)  # the blank line in between is a row in a spreadsheet too
    assert found.malformed == ()


def test_a_quote_inside_a_plain_field_is_a_letter() -> None:
    assert records('id,name\n1,5" screen\n', delimiter=",").values == (["1", '5" screen'],)


@pytest.mark.parametrize("broken", ['2,"open', '2,"open" end', "2", "2,a,b", '2,"a",b"'])
def test_a_malformed_record_costs_only_itself(broken: str) -> None:
    found = records(f"id,name\n1,a\n{broken}\n3,c\n4,d\n", delimiter=",")
    assert found.values == (["1", "a"], ["3", "c"], ["4", "d"])
    assert found.rows == (2, 4, 5)
    assert [bad.row for bad in found.malformed] == [3]


def test_a_quote_that_swallows_many_lines_costs_its_own_only() -> None:
    text = 'id,name\n1,"open\n' + "2,plain\n" * 20_000 + '3,x"\n4,d\n'
    found = records(text, delimiter=",")
    assert [bad.row for bad in found.malformed] == [2]
    assert len(found.values) == 20_002


def test_cells_of_any_length_are_read() -> None:
    long, before = "x" * 3_000_000, csv.field_size_limit()
    text = f'id,name\n1,"{long}"\n2,b\n'
    assert records(text, delimiter=",").values == (["1", long], ["2", "b"])
    found = split_columns(text.encode(), delimiter=",", columns=["name"])
    assert found.cells["name"].tolist() == [long, "b"]
    assert csv.field_size_limit() == before


def test_line_separators_inside_a_field_are_letters() -> None:
    assert records("id,name\n1,a\u2028b\x0cc\n", delimiter=",").values == (["1", "a\u2028b\x0cc"],)


CELL = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=8)


@given(st.lists(st.lists(CELL, min_size=2, max_size=2), max_size=8), st.sampled_from(",;\t|"))
def test_whatever_csv_writes_is_read_back(rows: list[list[str]], delimiter: str) -> None:
    out = io.StringIO(newline="")
    csv.writer(out, delimiter=delimiter, quoting=csv.QUOTE_ALL).writerows([["id", "name"], *rows])
    found = records(out.getvalue(), delimiter=delimiter)
    assert list(found.values) == rows
    assert found.malformed == ()


LINE = st.text("ab,\"'\n", max_size=12)


@given(st.lists(LINE, max_size=10))
def test_every_line_is_kept_or_listed(lines: list[str]) -> None:
    body = "\n".join(lines)
    found = records("id,name\n" + body, delimiter=",")
    numbers = sorted([*found.rows, *(bad.row for bad in found.malformed)])
    assert len(numbers) == len(set(numbers))
    kept_letters = sum(cell.count("a") for record in found.values for cell in record)
    listed_letters = sum(bad.problem.partition(": ")[2].count("a") for bad in found.malformed)
    assert kept_letters + listed_letters == body.count("a")


def same(one: Columns, other: Columns) -> bool:
    """Cell for cell and number for number."""
    return (
        one.header == other.header
        and one.rows.tolist() == other.rows.tolist()
        and one.malformed == other.malformed
        and list(one.cells) == list(other.cells)
        and all(
            one.cells[key].astype("object").equals(other.cells[key].astype("object")) for key in one.cells
        )
    )


TEXTS = {
    "plain": "id,rep,note\n1,Ann,\n2,,x\n",
    "no line end at the end": "id,rep,note\n1,Ann,x\n2,Bo,y",
    "quotes": 'id,"rep",note\n"1","Ann, ""A"" ","two\r\nlines\n"\n2,"",""""\n',
    "blank lines": "\r\nid,rep,note\r\n\r\n1,Ann,x\r\n\r\n\r\n2,Bo,y\r\n\r\n",
    "carriage returns only": "id,rep,note\r1,Ann,x\r\r2,Bo,y\r",
    "ragged": 'id,rep,note\n1,Ann\n   \n2,Bo,y\n3,"Cy",z,\n,,\n4,Di,"v\nw"\n""\n',
    "letters": "id,rep,note\n1,Łucja,Ромашка\n2,ł\u2028ł,\x0c\n3,Śląsk\n",
    "only a header": "id,rep,note\n",
    "a header without line end": "id,rep,note",
    "nothing but ragged": "id,rep,note\n1\n2\n",
    "quotes as letters": 'id,rep,note\n1,5" screen,x\n2,"a" b,x\n3,a,"y"z\n4,Di,"w"\n',
    "a quote that is never closed": 'id,rep,note\n1,Ann,x\n2,"open,x\n3,Cy,z\n4,Di,',
    "stray quotes, cells over lines": (
        'id,rep,note\n1,"a\nb",x\n2,"c\n3,d"\n4,"e\n5\n\n6,f",g\n7,"h"i,j\n8,k,"""l"\n'
    ),
    "NUL": 'id,rep,note\n1,\0,x\n2,Bo,y\n3,"\0\n",z\n4,Di,""\n',
}


@pytest.mark.parametrize("block", [1, 7, 1 << 20])
@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_the_fast_way_finds_the_same_cells(text: str, block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(textfiles, "_BLOCK", block)
    data, columns = text.encode(), ["Note", "id", "stage"]
    fast = textfiles._fast_columns(data, ",", columns)
    assert fast is not None
    assert same(fast, textfiles._columns_of_records(data, ",", columns))
    found = records(text, delimiter=",")
    assert fast.rows.tolist() == list(found.rows)
    assert fast.cells["note"].astype("object").fillna("").tolist() == [r[2] for r in found.values]


@pytest.mark.parametrize(("text", "delimiter"), [("id\n1\n\n2\n", ","), ("id¦rep\n1¦\n\n2¦\n", "¦")])
def test_single_columns_and_rare_delimiters_are_read_record_by_record(text: str, delimiter: str) -> None:
    assert textfiles._fast_columns(text.encode(), delimiter, ["id"]) is None
    found = split_columns(text.encode(), delimiter=delimiter, columns=["id"])
    assert (found.rows.tolist(), found.cells["id"].tolist()) == ([2, 4], ["1", "2"])


SNIPPETS = st.sampled_from(
    [
        "a",
        "b",
        "ł",
        ",",
        ",",
        ";",
        '"',
        '"',
        '""',
        '"a"',
        ',"',
        '",',
        "\n",
        "\n",
        "\r\n",
        "\r",
        " ",
        "1,a\n",
        '"x",y\n',
    ]
)


@given(st.lists(SNIPPETS, max_size=40), st.sampled_from([3, 16, 1 << 20]))
def test_the_fast_way_agrees_with_the_strict_one(snippets: list[str], block: int) -> None:
    data, columns = ("id,name\n" + "".join(snippets)).encode(), ["id", "name"]
    before = textfiles._BLOCK
    try:
        textfiles._BLOCK = block
        fast = textfiles._fast_columns(data, ",", columns)
    finally:
        textfiles._BLOCK = before
    assert fast is not None
    assert same(fast, textfiles._columns_of_records(data, ",", columns))


@given(
    st.lists(
        st.lists(st.text(st.sampled_from('ab ł",;\n\r'), max_size=4), min_size=1, max_size=4), max_size=12
    ),
    st.sampled_from([("\n", csv.QUOTE_ALL), ("\r\n", csv.QUOTE_MINIMAL)]),
    st.sampled_from([3, 16, 1 << 20]),
)
def test_whatever_csv_writes_is_read_the_fast_way(
    rows: list[list[str]], way: tuple[str, int], block: int
) -> None:
    out = io.StringIO(newline="")
    # with other line ends, the csv module would leave a lone carriage return without quotes
    csv.writer(out, delimiter=";", lineterminator=way[0], quoting=way[1]).writerows(
        [["id", "rep", "note"], *rows]
    )
    data, columns = out.getvalue().encode(), ["id", "rep", "note"]
    before = textfiles._BLOCK
    try:
        textfiles._BLOCK = block
        fast = textfiles._fast_columns(data, ";", columns)
    finally:
        textfiles._BLOCK = before
    assert fast is not None
    assert same(fast, textfiles._columns_of_records(data, ";", columns))
    if not any(len(row) != 3 and {"\n", "\r"} & set("".join(row)) for row in rows):
        # else a record that spans lines has the wrong number of fields: they are read one by one
        wanted = [row for row in rows if len(row) == 3]
        found = pd.DataFrame({key: cells.astype("object") for key, cells in fast.cells.items()}).fillna("")
        assert found.to_numpy().tolist() == wanted


def test_columns_of_small_files(tmp_path: Path) -> None:
    path = tmp_path / "people.csv"
    path.write_text("Name;Region\nAnn;\n", encoding="utf-16")
    assert read_columns(path, columns=["region", "name"]).to_numpy().tolist() == [["", "Ann"]]
    path.write_text("Name;Region\nAnn\nBo;x\n" + "y;a note \0\n" * 6)
    with pytest.raises(DataError, match=r"people\.csv: row 2: 1 field instead of 2(.|\n)*and 2 more"):
        read_columns(path, columns=["name"])
    with pytest.raises(DataError, match=r"people\.csv: the header lacks 'stage'"):
        read_columns(path, columns=["stage"])


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "empty.csv").write_bytes(b"\xef\xbb\xbf \r\n")
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(DataError, match=r"empty\.csv: the file is empty"):
        open_text(tmp_path / "empty.csv")
    with pytest.raises(DataError, match=r"folder\.csv: cannot be read"):
        open_text(tmp_path / "folder.csv")
