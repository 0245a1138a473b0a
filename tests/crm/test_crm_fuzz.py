"""Damaged exports: read with every fault listed, or refused with words; no traceback, no silent loss."""

from __future__ import annotations

import csv
import io
import random
from collections.abc import Callable
from pathlib import Path

import openpyxl
import pytest

from salessim import library
from salessim.crm import Tables, read, write_quality_report, write_tables
from salessim.errors import SalessimError
from salessim.library import example_crm

FORMULAS = ('=cmd|"/C calc"!A0', "+1+1", "-2+3", "@SUM(A1)", '=HYPERLINK("x")', "\t=1")
STARTS = ("=", "+", "-", "@", "\t", "\r")
Damage = Callable[[str, random.Random], str | bytes]


@pytest.fixture(scope="module")
def clean() -> dict[str, str]:
    """The first deals of the example export, and what belongs to them."""
    source = example_crm()
    lines = (source / "opportunities.csv").read_text(encoding="utf-8").splitlines(keepends=True)
    deals = lines[:61]
    ids = {line.split(",", 1)[0] for line in deals}
    history = (source / "stage_history.csv").read_text(encoding="utf-8").splitlines(keepends=True)
    return {
        "opportunities.csv": "".join(deals),
        "stage_history.csv": "".join(
            line for n, line in enumerate(history) if n == 0 or line.split(",", 1)[0] in ids
        ),
        "reps.csv": (source / "reps.csv").read_text(encoding="utf-8"),
    }


def lines_of(text: str) -> tuple[str, list[str]]:
    header, *rows = text.splitlines()
    return header, rows


def joined(header: str, rows: list[str]) -> str:
    return "\n".join([header, *rows]) + "\n"


def cells_changed(text: str, random_: random.Random, change: Callable[[str, str], str]) -> str:
    """Some rows with one cell each changed; ``change`` sees the column and the cell."""
    table = list(csv.reader(io.StringIO(text)))
    for row in random_.sample(range(1, len(table)), 8):
        column = random_.randrange(len(table[0]))
        table[row][column] = change(table[0][column], table[row][column])
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerows(table)
    return out.getvalue()


def cut_lines(text: str, random_: random.Random) -> str:
    header, rows = lines_of(text)
    for row in random_.sample(range(len(rows)), 6):
        rows[row] = rows[row][: random_.randrange(1, len(rows[row]))]
    return joined(header, rows)


def cut_file(text: str, random_: random.Random) -> str:
    return text[: random_.randrange(1, len(text))]


def swapped_cells(text: str, random_: random.Random) -> str:
    table = list(csv.reader(io.StringIO(text)))
    for row in random_.sample(range(1, len(table)), 8):
        one, other = random_.sample(range(len(table[0])), 2)
        table[row][one], table[row][other] = table[row][other], table[row][one]
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerows(table)
    return out.getvalue()


def swapped_headers(text: str, random_: random.Random) -> str:
    header, rows = lines_of(text)
    names = header.split(",")
    one, other = random_.sample(range(len(names)), 2)
    names[one], names[other] = names[other], names[one]
    return joined(",".join(names), rows)


def another_encoding(text: str, random_: random.Random) -> bytes:
    page = random_.choice(["cp1250", "cp1251", "utf-16", "utf-16-le", "utf-32", "cp037", "utf-7", "koi8-r"])
    return text.replace("Amber", "Ąmber Łódź").encode(page, errors="replace")


def nul_bytes(text: str, random_: random.Random) -> str:
    return cells_changed(text, random_, lambda column, cell: cell + "\0" * random_.randrange(1, 4))


def formulas(text: str, random_: random.Random) -> str:
    return cells_changed(text, random_, lambda column, cell: random_.choice(FORMULAS))


def huge_cell(text: str, random_: random.Random) -> str:
    header, rows = lines_of(text)
    rows[random_.randrange(len(rows))] = "x" * 10_000_000
    return joined(header, rows)


def duplicate_ids(text: str, random_: random.Random) -> str:
    header, rows = lines_of(text)
    return joined(header, rows + random_.sample(rows, 5) + [rows[0].replace(",", ",changed ", 1)])


def impossible_dates(text: str, random_: random.Random) -> str:
    odd = [
        "0001-01-01",
        "9999-12-31",
        "2026-02-30",
        "0000-00-00",
        "1899-12-31",
        "20260101",
        "31.12.9999",
        "∞",
    ]
    dates = {"created", "closed", "expected_close", "entered", "start", "end"}
    return cells_changed(text, random_, lambda column, cell: random_.choice(odd) if column in dates else cell)


def impossible_numbers(text: str, random_: random.Random) -> str:
    odd = ["1e308", "nan", "inf", "-0", "1,000.00", "9" * 400, "0x10", "١٢٣", "1_000", "½"]
    return cells_changed(
        text, random_, lambda column, cell: random_.choice(odd) if column == "amount" else cell
    )


def stray_quotes(text: str, random_: random.Random) -> str:
    header, rows = lines_of(text)
    for row in random_.sample(range(len(rows)), 5):
        place = random_.randrange(len(rows[row]))
        rows[row] = rows[row][:place] + '"' + rows[row][place:]
    return joined(header, rows)


def flipped_bytes(text: str, random_: random.Random) -> bytes:
    data = bytearray(text.encode())
    for _ in range(20):
        data[random_.randrange(len(data))] = random_.randrange(256)
    return bytes(data)


def line_ends(text: str, random_: random.Random) -> str:
    return "".join(
        line + random_.choice(["\n", "\r\n", "\r", "\n\n", "\u2028\n", "\x0b\n"])
        for line in text.splitlines()
    )


DAMAGES: tuple[Damage, ...] = (
    cut_lines,
    cut_file,
    swapped_cells,
    swapped_headers,
    another_encoding,
    nul_bytes,
    formulas,
    duplicate_ids,
    impossible_dates,
    impossible_numbers,
    stray_quotes,
    flipped_bytes,
    line_ends,
)


def written(folder: Path, files: dict[str, str | bytes]) -> Path:
    folder.mkdir(exist_ok=True)
    for name, content in files.items():
        (folder / name).write_bytes(content.encode() if isinstance(content, str) else content)
    return folder


def check(tables: Tables, folder: Path) -> None:
    """Every record is accounted for, and nothing that we write can run as a formula."""
    counts, issues = tables.quality.counts, tables.quality.issues
    assert (counts["read"] == counts["kept"] + counts["rejected"]).all()
    rejected = issues[issues["severity"] == "rejected"]
    for line in counts.to_dict("records"):
        told = rejected[(rejected["table"] == line["table"]) & (rejected["file"] == line["file"])]
        assert told["row"].nunique() == line["rejected"]
        assert (told["rule"] != "").all()
    assert len(tables.opportunities) == counts.loc[counts["table"] == "opportunities", "kept"].sum()
    report = write_quality_report(tables.quality, folder / "findings.csv")
    files = [report, *write_tables(tables, folder / "clean")]
    for path in files:
        if path.suffix == ".csv":
            with path.open(encoding="utf-8-sig", newline="") as lines:
                for row in csv.reader(lines):
                    assert not [cell for cell in row if cell.startswith(STARTS) and not is_number(cell)], path


def is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.__name__)
def test_damaged_exports_are_read_or_refused(damage: Damage, clean: dict[str, str], tmp_path: Path) -> None:
    told = 0
    for seed in range(5):
        random_ = random.Random(f"{damage.__name__} {seed}")
        name = random_.choice(["opportunities.csv", "opportunities.csv", "stage_history.csv", "reps.csv"])
        files: dict[str, str | bytes] = {**clean, name: damage(clean[name], random_)}
        folder = written(tmp_path / str(seed), files)
        out = tmp_path / f"out-{seed}"
        out.mkdir()
        try:
            tables = read(folder)
        except SalessimError as refusal:
            told += len(str(refusal)) > 20
        else:
            check(tables, out)
            told += not tables.quality.issues.empty
    assert told  # the damage is seen


def test_a_huge_cell_costs_its_own_row(clean: dict[str, str], tmp_path: Path) -> None:
    def counted(tables: Tables) -> tuple[int, int]:
        line = tables.quality.counts.set_index("table").loc["opportunities"]
        return int(line["read"]), int(line["rejected"])

    read_before, rejected_before = counted(read(written(tmp_path / "clean-export", dict(clean))))
    damaged = huge_cell(clean["opportunities.csv"], random.Random(1))
    tables = read(written(tmp_path / "export", {**clean, "opportunities.csv": damaged}))
    assert counted(tables) == (read_before, rejected_before + 1)
    check(tables, tmp_path)
    assert tables.quality.issues["value"].str.len().max() < 1_000  # the report does not repeat the cell


def test_records_are_counted_as_a_reader_of_lines_counts_them(clean: dict[str, str], tmp_path: Path) -> None:
    """Without quoted line breaks each line is a record: none may disappear, whatever its fields are."""
    for seed in range(10):
        random_ = random.Random(seed)
        text = clean["opportunities.csv"]
        damaged = cut_lines(text, random_) if seed % 2 else impossible_dates(text, random_)
        lines = len([line for line in damaged.splitlines() if line.strip()])
        tables = read(written(tmp_path / str(seed), {**clean, "opportunities.csv": damaged}))
        counts = tables.quality.counts.set_index("table").loc["opportunities"]
        assert counts["read"] == lines - 1


def test_workbooks_hold_no_formula(clean: dict[str, str], tmp_path: Path) -> None:
    """What came in as a formula comes out as text in the audit sheet."""
    from salessim.audit import audit, audit_workbook
    from salessim.library import example_scenario

    header, rows = lines_of(clean["opportunities.csv"])
    names = header.split(",")
    table = [dict(zip(names, next(csv.reader([row])), strict=True)) for row in rows]
    for row, formula in zip(table, FORMULAS * 10, strict=False):
        row.update(stage="warm lead", closed="", name=formula, account=formula, rep=formula)
    out = io.StringIO()
    writer = csv.DictWriter(out, names, lineterminator="\n")
    writer.writeheader()
    writer.writerows(table)
    tables = read(written(tmp_path / "export", {**clean, "opportunities.csv": out.getvalue()}))
    found = audit(tables, example_scenario(), on=tables.as_of)
    path = tmp_path / "audit.xlsx"
    audit_workbook(found, path)
    book = openpyxl.load_workbook(path)
    texts = [
        cell.value
        for sheet in book.worksheets
        for row in sheet.iter_rows()
        for cell in row
        if isinstance(cell.value, str)
    ]
    assert any("cmd" in text for text in texts)
    assert not [text for text in texts if text.startswith(STARTS)]


def samples() -> list[Path]:
    """One shipped sample per kind of file: text in several code pages, workbook, archive, Parquet."""
    folder = Path(library.__file__).parent / "samples"
    return [
        folder / name for name in ("pipedrive", "generic_zip", "generic_parquet", "bitrix24", "livespace")
    ]


@pytest.mark.parametrize("sample", samples(), ids=lambda sample: sample.name)
def test_damaged_bytes_of_every_kind_of_file(sample: Path, tmp_path: Path) -> None:
    told = 0
    for seed in range(6):
        random_ = random.Random(f"{sample.name} {seed}")
        files: dict[str, str | bytes] = {path.name: path.read_bytes() for path in sorted(sample.iterdir())}
        name = random_.choice(sorted(files))
        data = bytearray(files[name])
        if seed % 2:
            del data[random_.randrange(1, len(data)) :]
        else:
            for _ in range(30):
                data[random_.randrange(len(data))] = random_.randrange(256)
        files[name] = bytes(data)
        out = tmp_path / f"out-{seed}"
        out.mkdir()
        try:
            tables = read(written(tmp_path / str(seed), files))
        except SalessimError as refusal:
            told += len(str(refusal)) > 20
        else:
            check(tables, out)
    assert told
