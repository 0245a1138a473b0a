"""The sheet that a team fills in: what it knows of each deal, criterion by criterion."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from salessim.crm.batches import NO_EVIDENCE
from salessim.crm.columnmap import word_key
from salessim.crm.sources import PART, Export, RawTable, open_export
from salessim.crm.textfiles import header_key
from salessim.errors import DataError, listed
from salessim.spreadsheets import restored

__all__ = [
    "DEAL",
    "DEALS_SHEET",
    "NEXT_STEP",
    "NEXT_STEP_DATE",
    "NOT_LOOKED_AT",
    "PURCHASE_DATE",
    "SHOWN",
    "EvidenceSheet",
    "read_evidence_sheet",
]

#: Column with the deal's number in the CRM, and the sheet of our workbook that is read back.
DEAL, DEALS_SHEET = "deal", "Deals"
#: The criterion that is proven by dates, and its two columns of dates.
NEXT_STEP, NEXT_STEP_DATE, PURCHASE_DATE = "next step", "next step date", "purchase date"
#: A cell that nobody has looked at yet: it says nothing, while a blank one says that there is no evidence.
NOT_LOOKED_AT = "?"
#: Columns that our workbook shows for information; they are not read back.
SHOWN = (
    "name", "account", "rep", "segment", "claimed stage", "evidenced stage", "missing", "missing later",
    "to do", "days until stale", "amount", "claimed chance", "evidenced chance",
)  # fmt: skip

_NUMBERS = (DEAL, "opportunity_id", "opportunity id", "deal id", "id")
_DATE_COLUMNS = (NEXT_STEP_DATE, PURCHASE_DATE)
_DATE = re.compile(r"(\d{4}-\d{1,2}-\d{1,2}|\d{1,2}\.\d{1,2}\.\d{4})(?:[ T]00:00(?::00)?)?")


@dataclass(frozen=True, eq=False)
class EvidenceSheet:
    """What a team wrote about its deals.

    - ``name``: file and sheet. ``rows``: opportunity_id (index) → row, the record number in the sheet.
    - ``cells``: opportunity_id, criterion, evidence (None: there is none), noted (the day written in the
      cell, or NaT); cells that nobody has looked at are left out.
    - ``criteria``: columns taken as criteria, as they are written.
    - ``dates``: column of dates → opportunity_id and day (NaT: blank).
    """

    name: str
    rows: pd.Series
    cells: pd.DataFrame
    criteria: tuple[str, ...]
    dates: Mapping[str, pd.Series]

    def column(self, criterion: str) -> pd.DataFrame | None:
        """Evidence and noted of one criterion, indexed by opportunity_id; None where it has no column."""
        if criterion.casefold() not in [name.casefold() for name in self.criteria]:
            return None
        own = self.cells[self.cells["criterion"].str.casefold() == criterion.casefold()]
        return own.set_index("opportunity_id")[["evidence", "noted"]]

    def days(self, column: str) -> pd.Series | None:
        """One column of dates, indexed by opportunity_id; None where the sheet does not have it."""
        return self.dates.get(column)


def read_evidence_sheet(path: str | Path) -> EvidenceSheet:
    """Read the sheet that a team filled in: our own audit workbook, or any CSV or Excel table like it.

    One row per deal, with its number in a column ``deal`` (or ``opportunity_id``), and one column per
    criterion. A word or a date in a cell is evidence (a date in front says when it was noted), a blank cell
    and words such as ``no`` say that there is none, ``?`` that nobody has looked. ``next step date`` and
    ``purchase date`` hold dates. Columns that our workbook only shows are passed over.

    Raises:
        DataError: the file cannot be read, has no such column or a deal twice, or a cell that is neither
            word nor date; names file, sheet, row, column, value and what is allowed.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder, "deals.csv")
    ...     _ = path.write_text("deal,pain,fit,purchase date\\nO1,2026-05-04 failed audit,no,2026-08-01\\n")
    ...     sheet = read_evidence_sheet(path)
    >>> sheet.cells[["criterion", "evidence"]].values.tolist(), sheet.dates["purchase date"]["O1"].day
    ([['pain', 'failed audit'], ['fit', None]], 1)
    """
    if not Path(path).exists():
        raise DataError(
            f"'{path}' does not exist; give the audit sheet (.xlsx, .csv) that the team filled in"
        )
    export = open_export(path)
    table = _table(export)
    raw = _all_columns(export, table)
    where = raw.file.name
    if raw.malformed:
        first = raw.malformed[0]
        raise DataError(f"{where}, row {first.row}: the record does not fit the header; save the sheet again")
    key = next(key for key in map(header_key, _NUMBERS) if key in raw.cells)
    named = {header_key(name): name.strip() for name in raw.header if name.strip()}
    numbers, rows = _deals(raw, key, where)
    passed_over = {*map(header_key, (*_NUMBERS, *SHOWN, *_DATE_COLUMNS))}
    cells = []
    criteria = [restored(name) for header, name in named.items() if header not in passed_over]
    for header, name in named.items():
        if header in passed_over:
            continue
        values = _values(raw, header)
        for place, number in numbers.items():
            if values[place] != NOT_LOOKED_AT:
                spot = f"{where}, row {raw.rows[place]}, column '{name}'"
                cells.append([number, restored(name), *_evidence(values[place], spot)])
    dates = {}
    for column in _DATE_COLUMNS:
        if header_key(column) in raw.cells:
            values = _values(raw, header_key(column))
            found = {
                number: _day(values[place], f"{where}, row {raw.rows[place]}, column '{column}'")
                for place, number in numbers.items()
                if values[place] != NOT_LOOKED_AT
            }
            dates[column] = pd.Series(found, dtype="datetime64[ns]")
    frame = pd.DataFrame(cells, columns=["opportunity_id", "criterion", "evidence", "noted"])
    frame["noted"] = pd.to_datetime(frame["noted"])
    return EvidenceSheet(where, rows, frame, tuple(criteria), dates)


def _table(export: Export) -> str:
    own = [name for name in export.tables if name.endswith(PART + DEALS_SHEET)]
    for table in own or export.tables:
        header = export.header(table, expected=_NUMBERS, encoding=None, words=())
        if {header_key(name) for name in header} & set(map(header_key, _NUMBERS)):
            return table
    raise DataError(
        f"'{export.name}': no sheet with a column '{DEAL}' (or 'opportunity_id'), one row per deal; "
        f"it has {listed(export.tables)}"
    )


def _all_columns(export: Export, table: str) -> RawTable:
    header = export.header(table, expected=_NUMBERS, encoding=None, words=())
    return export.read(table, columns=header, expected=_NUMBERS, encoding=None, words=())


def _values(raw: RawTable, header: str) -> list[Any]:
    """The cells of a column as Python values; texts without blanks around them, None where blank."""
    column = raw.cells[header]
    values = column.astype(object).where(column.notna(), None).tolist()
    return [value.strip() if isinstance(value, str) else value for value in values]


def _deals(raw: RawTable, key: str, where: str) -> tuple[dict[int, str], pd.Series]:
    """Numbers of the deals by place, and their rows; rows with nothing in them are passed over."""
    numbers: dict[int, str] = {}
    seen: dict[str, int] = {}
    filled = np.any([column.notna().to_numpy() for column in raw.cells.values()], axis=0)
    for place, value in enumerate(_values(raw, key)):
        row = int(raw.rows[place])
        if value is None or value == "":
            if filled[place]:
                raise DataError(
                    f"{where}, row {row}, column '{DEAL}': blank; write the deal's number in the CRM"
                )
            continue
        number = restored(str(value))
        if number in seen:
            raise DataError(
                f"{where}, row {row}: deal '{number}' stands in row {seen[number]} already; keep one of them"
            )
        seen[number] = row
        numbers[place] = number
    return numbers, pd.Series(seen, dtype="int64", name="row").rename_axis("opportunity_id")


def _evidence(value: Any, where: str) -> tuple[str | None, pd.Timestamp | None]:
    """What a cell says: the evidence, or None; and the day on which it was noted, or None."""
    if value is None or (isinstance(value, int | float) and value == 0):
        return None, None
    if isinstance(value, bool) or (isinstance(value, int | float) and value == 1):
        return "yes", None
    if isinstance(value, date):
        return "yes", pd.Timestamp(value)
    if not isinstance(value, str):
        raise DataError(
            f"{where}: {value!r} is neither a word nor a date; write what is known, or leave it blank"
        )
    text = restored(value)
    if word_key(text) in NO_EVIDENCE or not text:
        return None, None
    dated = _DATE.match(text)
    if dated is None:
        return text, None
    rest = text[dated.end() :].strip(" :,;–-")
    return rest or "yes", _day(dated.group(1), where)


def _day(value: Any, where: str) -> pd.Timestamp | None:
    if isinstance(value, date):
        return pd.Timestamp(value)
    if value is None:
        return None
    text = str(value)
    if word_key(text) in NO_EVIDENCE or not text:
        return None
    dated = _DATE.fullmatch(text)
    for form in ("%Y-%m-%d", "%d.%m.%Y") if dated else ():
        try:
            return pd.Timestamp(datetime.strptime(dated.group(1), form))  # type: ignore[union-attr]
        except ValueError:
            continue
    raise DataError(f"{where}: '{text}' is not a date; write 2026-08-31 or 31.08.2026, or leave it blank")
