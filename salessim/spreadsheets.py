"""Tables as files that people open in a spreadsheet: CSV and Excel, safe to open, dates and money as such.

Every CSV and Excel file that the product writes goes through this module. An export can hold a text such as
``=cmd|…``, which a spreadsheet would run as a formula when somebody opens our list of it; such texts get an
apostrophe in front, wherever they come from.
"""

from __future__ import annotations

import io
import math
import os
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path
from typing import Any, Literal

import pandas as pd

from salessim.errors import ParameterError, WorkspaceError, listed

__all__ = [
    "CSV_ENCODING",
    "FORMULA_STARTS",
    "CellFormat",
    "Sheet",
    "csv_text",
    "neutralised",
    "restored",
    "write_csv",
    "write_workbook",
]

#: A spreadsheet may run a text that begins with one of these; the full-width ones count in some languages.
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")

#: UTF-8 with byte-order mark, by which spreadsheets know that it is UTF-8.
CSV_ENCODING = "utf-8-sig"

CellFormat = Literal["text", "number", "money", "percent", "date"]

_NUMBER_FORMATS: Mapping[CellFormat, str] = {
    "text": "@",
    "number": "#,##0.##",
    "money": "#,##0",
    "percent": "0 %",
    "date": "yyyy-mm-dd",
}
_MOST_ROWS, _MOST_COLUMNS, _LONGEST_CELL = (
    1_048_575,
    16_384,
    32_767,
)  # what an Excel sheet holds under a header
_FIRST_DAY = date(1900, 3, 1)  # Excel takes 1900 for a leap year: days before are one off
_NARROWEST, _WIDEST = 8, 48  # columns, in characters
_MADE = datetime(2000, 1, 1)  # the same table gives the same file, byte for byte
# a quiet look that prints well: dark header, tinted cells to fill in, and those where something is missing
_HEADER, _INPUT, _MISSING = "#1F3A5F", "#FFF8E1", "#F8D7DA"


def neutralised(frame: pd.DataFrame) -> pd.DataFrame:
    """Make a table safe to open in a spreadsheet: no text in it can be run as a formula.

    Texts (in cells, index, names of columns) that begin with one of :data:`FORMULA_STARTS` get a leading
    apostrophe. Numbers stay numbers, so -7 stays -7; the text "-7" does not. Missing values stay missing.
    Done twice, it changes nothing more. :func:`restored` takes the apostrophe off again.

    >>> neutralised(pd.DataFrame({"note": ["=1+1", "fine"], "-": [-7, 8]})).to_dict("list")
    {'note': ["'=1+1", 'fine'], "'-": [-7, 8]}
    """
    safe = frame.copy(deep=False)
    for place in range(frame.shape[1]):  # by place, since names may stand twice
        column = frame.iloc[:, place]
        if isinstance(column.dtype, pd.CategoricalDtype):
            words = column.cat.categories
            if any(isinstance(word, str) and word.startswith(FORMULA_STARTS) for word in words):
                safe.isetitem(place, column.astype(object).map(_safe, na_action="ignore").array)
        elif column.dtype == object or isinstance(column.dtype, pd.StringDtype):
            cells = column.astype(object).tolist()
            if any(isinstance(cell, str) and cell.startswith(FORMULA_STARTS) for cell in cells):
                texts = pd.Series([_safe(cell) for cell in cells], dtype=object)
                safe.isetitem(place, texts.array)
    safe.columns = _safe_labels(frame.columns)
    safe.index = _safe_labels(frame.index)
    return safe


def restored(text: str) -> str:
    """Return a text as it was before :func:`neutralised`; for reading back what we wrote.

    >>> restored("'=1+1"), restored("fine"), restored("'tis")
    ('=1+1', 'fine', "'tis")
    """
    return text[1:] if text.startswith("'") and text[1:].startswith(FORMULA_STARTS) else text


def csv_text(frame: pd.DataFrame, *, index: bool = False) -> str:
    """Write a table as CSV text, safe to open in a spreadsheet (see :func:`neutralised`).

    Commas, lines that end in a line feed, missing values blank. Encode it with :data:`CSV_ENCODING` where it
    becomes a file.

    Args:
        frame: the table.
        index: also write the index, as the first columns.

    >>> print(csv_text(pd.DataFrame({"rep": ["@Ann", None], "quota": [-1.5, 2.0]})), end="")
    rep,quota
    '@Ann,-1.5
    ,2.0
    """
    return str(neutralised(frame).to_csv(index=index, lineterminator="\n"))


def write_csv(table: pd.DataFrame | str, path: str | Path, *, index: bool = False) -> Path:
    """Write a table as a CSV file that opens in any spreadsheet in any alphabet, and return its path.

    UTF-8 with byte-order mark; safe to open (see :func:`neutralised`). The file appears whole or not at all:
    an older one stays until the new one is complete.

    Args:
        table: the table, or text that :func:`csv_text` made.
        path: where the file goes; its folder must exist.
        index: also write the index, as the first columns.

    Raises:
        WorkspaceError: the file cannot be written; names the path and why.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = write_csv(pd.DataFrame({"rep": ["Łucja"], "note": ["=1"]}), Path(folder, "out.csv"))
    ...     print(path.read_bytes()[:3], path.read_text(encoding="utf-8-sig").splitlines())
    b'\\xef\\xbb\\xbf' ['rep,note', "Łucja,'=1"]
    """
    text = table if isinstance(table, str) else csv_text(table, index=index)
    # half of a surrogate pair cannot be written as UTF-8; it is shown as what it is
    return _write(text.encode(CSV_ENCODING, errors="backslashreplace"), path)


@dataclass(frozen=True, eq=False)
class Sheet:
    """One sheet of a workbook: a table with a frozen header, formats by column, and cells to fill in.

    - ``name``: at most 31 characters, none of ``[ ] : * ? / \\``.
    - ``table``: its columns become the header, its index is not written.
    - ``formats``: column → text, number, money, percent (of a fraction) or date; left out: by the values.
    - ``choices``: column → the words that may be picked there; others are refused by the spreadsheet.
    - ``inputs``: columns that people fill in, tinted.
    - ``highlighted``: column → whether a row's cell is marked as missing something, one flag per row.
    - ``notes``: column → what it means, shown when the pointer rests on its header.
    """

    name: str
    table: pd.DataFrame
    formats: Mapping[str, CellFormat] = field(default_factory=dict)
    choices: Mapping[str, Sequence[str]] = field(default_factory=dict)
    inputs: Collection[str] = ()
    highlighted: Mapping[str, Sequence[bool]] = field(default_factory=dict)
    notes: Mapping[str, str] = field(default_factory=dict)


def write_workbook(sheets: Sequence[Sheet], path: str | Path) -> Path:
    """Write tables as an Excel workbook that people work in, and return its path.

    Nothing in it is a formula or a link, and texts are made safe as in CSV (:func:`neutralised`). Headers are
    frozen and filtered, columns as wide as their content, dates are dates and numbers numbers. A text longer
    than an Excel cell holds (32,767 characters) is cut and ends in ``…``. The same tables give the same file,
    byte for byte. The file appears whole or not at all.

    Args:
        sheets: the sheets, in order.
        path: where the file goes (``.xlsx``); its folder must exist.

    Raises:
        ParameterError: no sheets, two of one name, a name or a table that Excel does not take, or a setting
            of a sheet that names a column which its table lacks.
        WorkspaceError: the file cannot be written; names the path and why.

    >>> import tempfile
    >>> deals = pd.DataFrame({"deal": ["D1"], "amount": [1200.0]})
    >>> sheet = Sheet("Deals", deals, formats={"amount": "money"})
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = write_workbook([sheet], Path(folder, "deals.xlsx"))
    ...     pd.read_excel(path).to_dict("list")
    {'deal': ['D1'], 'amount': [1200]}
    """
    import xlsxwriter

    _check_sheets(sheets)
    content = io.BytesIO()
    options = {
        "in_memory": True,
        "strings_to_formulas": False,
        "strings_to_urls": False,
        "strings_to_numbers": False,
        "default_format_properties": {"font_name": "Calibri", "font_size": 10, "valign": "top"},
    }
    with xlsxwriter.Workbook(content, options) as book:
        book.set_properties({"created": _MADE})
        looks: dict[tuple[str, str, bool], Any] = {}
        for sheet in sheets:
            _write_sheet(book, sheet, looks)
    return _write(content.getvalue(), path)


def _safe(label: object) -> object:
    return f"'{label}" if isinstance(label, str) and label.startswith(FORMULA_STARTS) else label


def _safe_labels(labels: pd.Index) -> pd.Index:
    names = [_safe(name) for name in labels.names]
    if isinstance(labels, pd.MultiIndex):
        safe: pd.Index = pd.MultiIndex.from_tuples([tuple(map(_safe, label)) for label in labels])
    elif labels.dtype == object and any(isinstance(_safe(label), str) for label in labels):
        safe = pd.Index([_safe(label) for label in labels], dtype=object)
    else:
        safe = labels
    return safe.set_names(names)


def _write(content: bytes, path: str | Path) -> Path:
    """Write a file so that it is there whole or not at all."""
    path = Path(path)
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        part.write_bytes(content)
        part.replace(path)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise WorkspaceError(f"{str(path)!r} cannot be written ({error.strerror or error})") from None
    return path


def _check_sheets(sheets: Sequence[Sheet]) -> None:
    if not sheets:
        raise ParameterError("a workbook needs at least one sheet")
    seen: set[str] = set()
    for sheet in sheets:
        where = f"sheet {sheet.name!r}"
        ends = sheet.name[:1] + sheet.name[-1:]
        if not 1 <= len(sheet.name) <= 31 or set(sheet.name) & set("[]:*?/\\") or "'" in ends:
            raise ParameterError(
                f"{where}: a name has 1 to 31 characters, none of [ ] : * ? / \\, no apostrophe at its ends"
            )
        if sheet.name.casefold() in seen:
            raise ParameterError(f"{where}: two sheets have this name (Excel does not tell A from a)")
        seen.add(sheet.name.casefold())
        rows, columns = sheet.table.shape
        if rows > _MOST_ROWS or columns > _MOST_COLUMNS:
            raise ParameterError(
                f"{where} has {rows:,} rows and {columns:,} columns; "
                f"an Excel sheet holds at most {_MOST_ROWS:,} and {_MOST_COLUMNS:,}: write it as CSV"
            )
        for setting in ("formats", "choices", "inputs", "highlighted", "notes"):
            unknown = [name for name in getattr(sheet, setting) if name not in sheet.table.columns]
            if unknown:
                raise ParameterError(
                    f"{where}: {setting} names {listed(unknown)}; "
                    f"its columns are {listed(list(sheet.table.columns))}"
                )


def _write_sheet(book: Any, sheet: Sheet, looks: dict[tuple[str, str, bool], Any]) -> None:
    page = book.add_worksheet(sheet.name)
    table = neutralised(sheet.table)
    rows = len(table)

    def look(kind: str, colour: str = "", *, wrap: bool = False) -> Any:
        if (kind, colour, wrap) not in looks:
            properties: dict[str, object] = {"num_format": kind, "text_wrap": wrap} if kind else {}
            if colour == _HEADER:
                properties |= {"bold": True, "font_color": "#FFFFFF", "text_wrap": True}
            if colour:
                properties |= {"bg_color": colour, "border": 1, "border_color": "#D9D9D9"}
            looks[kind, colour, wrap] = book.add_format(properties)
        return looks[kind, colour, wrap]

    page.freeze_panes(1, 1)
    if rows and table.shape[1]:
        page.autofilter(0, 0, rows, table.shape[1] - 1)
    page.set_row(0, 30)
    page.set_landscape()
    page.fit_to_pages(1, 0)
    page.repeat_rows(0)
    for place, (given, name) in enumerate(zip(sheet.table.columns, table.columns, strict=True)):
        values = table.iloc[:, place]
        kind = sheet.formats.get(given, _kind(values))
        written = _NUMBER_FORMATS[kind]
        base = _INPUT if given in sheet.inputs else ""
        marked = list(sheet.highlighted.get(given, ()))
        page.write_string(0, place, str(name), look("", _HEADER))
        if given in sheet.notes:
            page.write_comment(0, place, sheet.notes[given], {"x_scale": 2.5, "y_scale": 1.5})
        cells = [_cell(value) for value in values.tolist()]
        longest = max([len(str(name)), *(_width(cell, kind) for cell in cells)])
        for row, cell in enumerate(cells, start=1):
            colour = _MISSING if marked and marked[row - 1] else base
            style = look(written, colour, wrap=isinstance(cell, str) and len(cell) > _WIDEST)
            if cell is None:
                page.write_blank(row, place, None, style)
            elif isinstance(cell, datetime):
                page.write_datetime(row, place, cell, style)
            elif isinstance(cell, str):
                page.write_string(row, place, cell, style)
            else:
                page.write_number(row, place, cell, style)
        page.set_column(place, place, min(max(longest, _NARROWEST), _WIDEST) + 2)
        if given in sheet.choices and rows:
            page.data_validation(
                1, place, rows, place, {"validate": "list", "source": list(sheet.choices[given])}
            )


def _kind(values: pd.Series) -> CellFormat:
    if pd.api.types.is_datetime64_any_dtype(values):
        return "date"
    if pd.api.types.is_numeric_dtype(values) and not pd.api.types.is_bool_dtype(values):
        return "number"
    found = values.dropna()
    return "date" if len(found) and all(isinstance(value, date) for value in found) else "text"


def _cell(value: Any) -> datetime | str | float | int | None:
    """What a value is in Excel: a date, a number, a text, or nothing."""
    if value is None or value is pd.NaT or value is pd.NA:
        return None
    if isinstance(value, date):
        moment = value if isinstance(value, datetime) else datetime(value.year, value.month, value.day)
        return moment.replace(tzinfo=None) if moment.date() >= _FIRST_DAY else str(value)
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int | float):
        if math.isnan(value):
            return None
        return value if math.isfinite(value) else ("∞" if value > 0 else "−∞")
    text = str(value)
    if not text:
        return None
    return text if len(text) <= _LONGEST_CELL else text[: _LONGEST_CELL - 1] + "…"


def _width(cell: datetime | str | float | int | None, kind: CellFormat) -> int:
    if cell is None:
        return 0
    if isinstance(cell, str):
        return max(map(len, cell.splitlines()), default=0)
    return 10 if isinstance(cell, datetime) or kind == "date" else len(f"{cell:,.0f}") + 2
