"""Encodings, delimiters, quotes: what CRMs really write."""

from __future__ import annotations

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from salessim.crm.textfiles import decode, pick_delimiter, records
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
        (POLISH, "cp1250", "cp1250", True),
        (RUSSIAN, "cp1251", "cp1251", True),
        ("id,rep\n1,Иван\n", "cp1251", "cp1251", True),
        ("id,rep\n" + "1,Jan Nowak\n" * 5000 + "2,Zofia Łącka\n", "cp1250", "cp1250", True),
    ],
)
def test_text_survives_its_encoding(text: str, encoding: str, reported: str, guessed: bool) -> None:
    assert decode(text.encode(encoding), name="deals.csv") == (text, reported, guessed)


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


def test_nul_byte_is_refused_with_its_line() -> None:
    with pytest.raises(DataError, match=r"deals\.csv: line 2 contains a NUL byte"):
        decode(b"id,rep\n1,A\0nn\n", name="deals.csv")


@pytest.mark.parametrize(
    ("data", "encoding"), [(b"\xff\xfeabc", None), (b"\xc5\x81\xff", "utf-8"), (b"\x81\x81 caf\x98", None)]
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
