"""Clean tables written as files and read back: the same tables."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import pandas as pd
import pytest

from salessim.crm import MAP_FILE, Tables, read, write_tables
from salessim.crm.canonical import SPECS
from salessim.errors import WorkspaceError
from salessim.library import example_crm

HEADER = "opportunity_id,name,rep,stage,created,closed,amount\n"


@pytest.fixture(scope="module")
def example() -> Tables:
    return read(example_crm())


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_what_is_written_reads_back_as_the_same_tables(
    kind: Literal["csv", "parquet"], example: Tables, tmp_path: Path
) -> None:
    target = tmp_path / "clean"
    files = write_tables(example, target, kind=kind)
    assert {file.stem for file in files} >= {"opportunities", "leads", "evidence", "column-map"}
    again = read(target, column_map=target / MAP_FILE, as_of=example.as_of)
    for name in SPECS:
        if name == "products":
            continue
        before, after = getattr(example, name), getattr(again, name)
        columns = [column for column in before.columns if column not in SPECS[name].derived]
        pd.testing.assert_frame_equal(before[columns], after[columns], check_exact=True)
    assert (again.stages, again.currency, again.as_of) == (example.stages, example.currency, example.as_of)
    assert not (again.quality.counts["rejected"] > 0).any()


def test_a_folder_with_something_else_is_left_alone(example: Tables, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(WorkspaceError, match=r"is not empty \('notes.txt'\) and is left alone"):
        write_tables(example, tmp_path, replace=True)
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


def test_an_earlier_import_is_replaced_only_when_that_is_said(example: Tables, tmp_path: Path) -> None:
    target = tmp_path / "clean"
    write_tables(example, target)
    before = (target / "opportunities.csv").read_bytes()
    with pytest.raises(WorkspaceError, match="say that it may be replaced"):
        write_tables(example, target)
    assert (target / "opportunities.csv").read_bytes() == before
    write_tables(example, target, kind="parquet", replace=True)
    assert not (target / "opportunities.csv").exists()
    assert [path.name for path in tmp_path.iterdir()] == ["clean"]  # no scratch folder stays behind
    (target / "notes.txt").write_text("mine")
    with pytest.raises(WorkspaceError, match=r"is not empty \('notes.txt'\) and is left alone"):
        write_tables(example, target, replace=True)
    assert (target / "notes.txt").read_text() == "mine"


def test_texts_that_a_spreadsheet_would_run_get_an_apostrophe(tmp_path: Path) -> None:
    export = tmp_path / "export"
    export.mkdir()
    (export / "opportunities.csv").write_text(
        f"{HEADER}D1,=cmd|'/C calc'!A0,Rep Alpha,won,2026-01-05,2026-02-20,1200\n"
    )
    tables = read(export)
    write_tables(tables, tmp_path / "clean")
    assert ",'=cmd|" in (tmp_path / "clean" / "opportunities.csv").read_text(encoding="utf-8-sig")
    write_tables(tables, tmp_path / "parquet", kind="parquet")
    assert pd.read_parquet(tmp_path / "parquet" / "opportunities.parquet")["name"][0].startswith("=cmd")
