"""Clean tables as files again: what an import found, in the plain format that the product reads back."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Literal

import pandas as pd

from salessim.crm.canonical import NO_SEGMENTS, SPECS, Tables
from salessim.documents import dump_yaml
from salessim.errors import ParameterError, WorkspaceError, listed
from salessim.spreadsheets import csv_text

__all__ = ["MAP_FILE", "write_tables"]

#: The column map that lies beside written tables; a folder that holds one is read with it.
MAP_FILE = "column-map.yaml"


def write_tables(
    tables: Tables, folder: str | Path, *, kind: Literal["csv", "parquet"] = "csv", replace: bool = False
) -> list[Path]:
    """Write canonical tables into a folder, one file per table that has rows, with the map that reads them.

    Deals keep the status they have: won, lost, or the name of their open stage. In CSV files a text that a
    spreadsheet would run as a formula gets a leading apostrophe; Parquet keeps every text as it is.

    Args:
        tables: what :func:`salessim.crm.read` returns.
        folder: a new or empty folder.
        kind: "csv" (UTF-8 with byte-order mark, ISO dates, decimal point) or "parquet".
        replace: True replaces an earlier import in the folder (one that holds :data:`MAP_FILE`).

    Returns:
        The files, sorted.

    Raises:
        WorkspaceError: the folder holds something else, or cannot be written; nothing is touched.

    >>> import tempfile
    >>> from salessim.crm import read
    >>> from salessim.library import example_crm
    >>> with tempfile.TemporaryDirectory() as place:
    ...     tables = read(example_crm())
    ...     files = write_tables(tables, Path(place, "clean"))
    ...     again = read(Path(place, "clean"), column_map=Path(place, "clean", MAP_FILE), as_of=tables.as_of)
    >>> again.reps.equals(tables.reps), [file.name for file in files][:2]
    (True, ['accounts.csv', 'column-map.yaml'])
    """
    if kind not in ("csv", "parquet"):
        raise ParameterError(f"kind is {kind!r}; it must be 'csv' or 'parquet'")
    target = Path(folder).expanduser().resolve()
    there = sorted(path.name for path in target.iterdir()) if target.is_dir() else []
    own = {MAP_FILE, *(f"{name}.{ending}" for name in SPECS for ending in ("csv", "parquet"))}
    strange = [name for name in there if name not in own]
    if there and (strange or not (replace and MAP_FILE in there)):
        ours = MAP_FILE in there and not strange
        advice = "say that it may be replaced (--replace)" if ours else "name a new or an empty folder"
        found = listed(strange or there, most=5)
        raise WorkspaceError(f"{target}: is not empty ({found}) and is left alone; {advice}")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=target.parent, prefix=f".{target.name}-") as scratch:
            made = Path(scratch, "tables")
            made.mkdir()
            for name, frame in _filled(tables).items():
                if kind == "csv":
                    (made / f"{name}.csv").write_text(csv_text(frame), encoding="utf-8-sig", newline="")
                else:
                    frame.to_parquet(made / f"{name}.parquet", index=False)
            (made / MAP_FILE).write_text(_map_text(tables, kind), encoding="utf-8")
            if target.exists():
                shutil.rmtree(target)
            made.rename(target)
    except OSError as failure:
        raise WorkspaceError(
            f"{target}: cannot be written ({failure.strerror}); name another folder"
        ) from None
    return sorted(target.iterdir())


def _filled(tables: Tables) -> dict[str, pd.DataFrame]:
    """Tables that have rows, with the columns that have values or that the format needs."""
    found = {}
    for name, spec in SPECS.items():
        frame = getattr(tables, name, None)
        if frame is None or (frame.empty and name != "opportunities"):
            continue
        columns = [
            column
            for column in frame.columns
            if column not in (*spec.derived, "status")
            and (column in (*spec.required, *spec.key) or frame[column].notna().any())
        ]
        if name in ("opportunities", "leads") and frame["segment"].eq(NO_SEGMENTS).all():
            columns.remove("segment")
        found[name] = _dated(frame[columns])
    return found


def _dated(frame: pd.DataFrame) -> pd.DataFrame:
    """Days as ISO texts: the same in CSV and Parquet, and for every reader."""
    days = frame.select_dtypes("datetime").columns
    return frame.assign(**{str(day): frame[day].dt.strftime("%Y-%m-%d") for day in days})


def _map_text(tables: Tables, kind: str) -> str:
    content: dict[str, object] = {
        "name": f"salessim_{kind}",
        "description": f"Tables that salessim wrote from an export read with '{tables.column_map}'",
        "currency": tables.currency,
        "stages": {**dict.fromkeys(tables.stages, "open"), "won": "won", "lost": "lost"},
        "tables": {
            name: {
                "file": f"{name}.{kind}",
                "columns": {str(column): str(column) for column in frame.columns},
            }
            for name, frame in _filled(tables).items()
        },
    }
    head = (
        "# Written by salessim beside the tables; it says which column is which when they are read again.\n"
    )
    return head + dump_yaml(content)
