"""Layouts of quota files: wide and long ones, with header or without, into one table of cells."""

from __future__ import annotations

import csv
import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

import numpy as np
import numpy.typing as npt
import pandas as pd

from salessim.crm.convert import read_dates
from salessim.crm.quotas.labels import Frequency, Label, label_of, period_of
from salessim.crm.textfiles import DELIMITERS, Records, SourceFile, header_key, open_text, records
from salessim.errors import DataError, listed

__all__ = ["Column", "Grid", "Role", "long_cells", "open_grid", "period_columns", "wide_cells"]

#: A column by name or by number, 1 being the first.
Column: TypeAlias = "str | int"

#: What a column of a quota file may hold.
Role = Literal["rep", "quota", "period", "year", "quarter", "month", "date"]
_HEADERS: Mapping[Role, str] = {
    "rep": "rep repid seller salesperson salespersonid salesrep salesrepid employee employeeid employeekey "
    "businessentityid owner person name handlowiec sprzedawca przedstawiciel pracownik менеджер продавец "
    "сотрудник",
    "quota": "quota salesquota salesamountquota target salestarget amount goal kwota cel plan план квота",
    "period": "period okres период",
    "year": "year fiscalyear calendaryear rok год",
    "quarter": "quarter fiscalquarter calendarquarter kwartał квартал",
    "month": "month miesiąc месяц",
    "date": "date quotadate data дата",
}
_ROLE_OF = {word: role for role, words in _HEADERS.items() for word in words.split()}


@dataclass(frozen=True)
class Grid:
    """A file split into fields, whether its first record is a header, and how its columns are called."""

    name: str
    source: SourceFile
    found: Records
    has_header: bool

    def column(self, given: Column, argument: str) -> int:
        """Position of a column given by name or by number (1 is the first)."""
        width = len(self.found.header)
        if isinstance(given, int):
            if 1 <= given <= width:
                return given - 1
            raise DataError(f"{self.name}: {argument} is column {given}; allowed are 1 to {width}")
        keys = [header_key(header) for header in self.found.header]
        if not self.has_header:
            raise DataError(
                f"{self.name}: {argument} is {given!r}, but the file has no header; give the number of the "
                f"column, 1 to {width}"
            )
        if keys.count(header_key(given)) != 1:
            raise DataError(
                f"{self.name}: {argument} is {given!r}; allowed is one of the columns "
                f"{listed(self.found.header, most=20)}"
            )
        return keys.index(header_key(given))

    @property
    def lines(self) -> npt.NDArray[np.int64]:
        """Record number in the file of each record."""
        # a file without header was given one to be split, which does not count
        return np.array(self.found.rows, dtype=np.int64) - (0 if self.has_header else 1)

    def called(self, position: int) -> str:
        """The column as messages name it."""
        return f"'{self.found.header[position]}'" if self.has_header else f"column {position + 1}"

    def texts(self, position: int) -> pd.Series[str]:
        """The cells of a column, without blanks around them."""
        return pd.Series([record[position].strip() for record in self.found.values], dtype="object")


def open_grid(
    path: Path, *, header: bool | None = None, delimiter: str | None = None, encoding: str | None = None
) -> Grid:
    """Split a file into fields; what is None is seen from the file.

    Raises:
        DataError: the file cannot be read, or there are no records in it.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder, "targets.csv")
    ...     _ = path.write_text("Year;EmployeeID;M01\\n2026;007;200\\n")
    ...     grid = open_grid(path)
    >>> grid.has_header, grid.column("employeeid", "rep"), grid.texts(2).tolist()
    (True, 1, ['200'])
    """
    file = open_text(path, encoding=encoding)
    text = file.text.lstrip("\r\n")
    delimiter = delimiter or _delimiter(text)
    first = next(csv.reader(text.splitlines()[:1], delimiter=delimiter))
    has_header = _looks_like_header(first) if header is None else header
    if has_header:
        found = records(text, delimiter=delimiter)
    else:
        heading = delimiter.join(f"column {number}" for number in range(1, len(first) + 1))
        found = records(f"{heading}\n{text}", delimiter=delimiter)
    if not found.values:
        raise DataError(f"{path.name}: no records {'below the header' if has_header else 'in the file'}")
    size = len(found.values) + len(found.malformed)
    source = SourceFile(file.name, file.sha256, file.bytes, file.encoding, delimiter, size)
    return Grid(path.name, source, found, has_header)


def _delimiter(text: str) -> str:
    """The delimiter under which nearly all records have the same number of fields, and the most of them."""
    lines = [line for line in text.splitlines()[:200] if line.strip()]

    def fit(sign: str) -> tuple[bool, int]:
        widths = Counter(len(fields) for fields in csv.reader(lines, delimiter=sign))
        width, often = max(widths.items(), key=lambda item: (item[1], item[0]))
        return often >= 0.9 * len(lines) and width > 1, width

    # on a tie the comma is the decimal sign, so it comes last
    return max(reversed(DELIMITERS), key=fit)


def _looks_like_header(first: Sequence[str]) -> bool:
    cells = [cell for cell in first if cell.strip()]
    data = [
        cell for cell in cells if re.fullmatch(r"\W?\d[\d\s.,:T/-]*Z?", cell.strip()) and not label_of(cell)
    ]
    return not data and any(label_of(cell) is None for cell in cells)


def period_columns(grid: Grid, roles: Mapping[Role, int]) -> dict[int, Label]:
    """Return the columns that are periods; where lengths are mixed (months, their quarters), the commonest.

    ``roles`` are the columns that the caller named, which are not looked at. Positions start at 0.
    """
    if not grid.has_header:
        return {}
    labels = {
        position: label
        for position, text in enumerate(grid.found.header)
        if position not in roles.values() and (label := label_of(text))
    }
    kinds = Counter(label.frequency for label in labels.values())
    if not kinds:
        return {}
    common = max(kinds, key=lambda kind: kinds[kind])
    return {position: label for position, label in labels.items() if label.frequency == common}


def _by_name(grid: Grid, roles: dict[Role, int], wanted: Iterable[Role], taken: Iterable[int]) -> None:
    """Fill in roles from the headers; two headers for one role are refused rather than guessed."""
    used = {*taken, *roles.values()}
    for role in wanted:
        if role in roles or not grid.has_header:
            continue
        found = [
            position
            for position, text in enumerate(grid.found.header)
            if position not in used and _ROLE_OF.get(re.sub(r"[\s_]", "", header_key(text))) == role
        ]
        if len(found) > 1:
            names = listed([grid.found.header[position] for position in found])
            raise DataError(f"{grid.name}: {names} may all be the {role}; name the column: {role}='…'")
        if found:
            roles[role] = found[0]
            used.add(found[0])


def _need(grid: Grid, roles: Mapping[Role, int], role: Role) -> int:
    if role not in roles:
        raise DataError(
            f"{grid.name}: no column is known as the {role}; name it: {role}='…' (by name or number). "
            f"Columns: {listed(grid.found.header, most=20)}"
        )
    return roles[role]


def _unused(grid: Grid, used: Iterable[int]) -> str:
    left = [grid.called(position) for position in range(len(grid.found.header)) if position not in set(used)]
    shown = ", ".join(left[:8]) + (f" and {len(left) - 8} more" if len(left) > 8 else "")
    return f"; not used: {shown}" if left else ""


def _years(grid: Grid, position: int | None, calendar_year: int | None) -> list[int | None]:
    """The year of each record: of its own column, where there is one (None: not readable), or as given."""
    if position is None:
        return [calendar_year] * len(grid.found.values)
    labels = [label_of(text) for text in grid.texts(position)]
    return [label.year if label and label.frequency == "year" else None for label in labels]


def wide_cells(
    grid: Grid, roles: dict[Role, int], columns: Mapping[int, Label], calendar_year: int | None
) -> tuple[pd.DataFrame, str]:
    """Return the cells of a file with a line per rep and a column per period, and a sentence on its layout.

    The table has rep, period (None: not readable), period_text, text (the cell), line, column (as messages
    name it) and day (NaT: a wide file has no dates). ``roles`` takes up the columns found by their headers.

    Raises:
        DataError: there is no column with a period or none with the rep, or a period lacks its year.
    """
    if not columns:
        raise DataError(
            f"{grid.name}: a wide file needs a header with periods (M01, 2026Q1, 2026-01, Jan, Q1); the "
            f"first line is {listed(grid.found.header, most=20)}"
        )
    _by_name(grid, roles, ("rep", "year"), columns)
    who = _need(grid, roles, "rep")
    without_year = [position for position, label in columns.items() if label.year is None]
    if without_year and "year" not in roles and calendar_year is None:
        raise DataError(
            f"{grid.name}: column {grid.called(without_year[0])} has no year; name the column with the year "
            "(year='…') or give calendar_year"
        )
    reps, lines = grid.texts(who), grid.lines
    years = _years(grid, roles.get("year"), calendar_year)
    parts = []
    for position, label in columns.items():
        periods = [label.within(year) for year in years]
        parts.append(
            pd.DataFrame(
                {
                    "rep": reps,
                    "period": [str(one) if one.year is not None else None for one in periods],
                    "period_text": grid.texts(roles["year"]) if "year" in roles else grid.called(position),
                    "text": grid.texts(position),
                    "line": lines,
                    "column": grid.called(position),
                    "day": pd.NaT,
                }
            )
        )
    kind = next(iter(columns.values())).frequency
    ends = [grid.called(position) for position in (min(columns), max(columns))]
    by_year = f" and {grid.called(roles['year'])}" if "year" in roles else ""
    span = (
        f"{len(columns)} {kind} columns {ends[0]} to {ends[1]}" if len(columns) > 1 else f"column {ends[0]}"
    )
    return pd.concat(parts, ignore_index=True), (
        f"wide: one line per {grid.called(who)}{by_year}, {span}" + _unused(grid, [*columns, *roles.values()])
    )


def long_cells(
    grid: Grid,
    roles: dict[Role, int],
    *,
    dates: Sequence[str],
    period_of_date: Frequency | None,
    calendar_year: int | None,
    none_words: Sequence[str],
    fiscal_year_starts_in_month: int,
) -> tuple[pd.DataFrame, str]:
    """Return the cells of a file with a line per rep and period, and a sentence on its layout.

    The table is that of :func:`wide_cells`, with the day of a quota where the file has one. ``roles`` takes
    up the columns found by their headers or, without a header, by what they hold.

    Raises:
        DataError: a column is missing or not clear, or it is not clear how long the period of a date is.
    """
    _by_name(grid, roles, ("rep", "quota", "year", "quarter", "month", "period", "date"), ())
    if not grid.has_header:
        _by_content(grid, roles, dates, none_words)
    who, amount = _need(grid, roles, "rep"), _need(grid, roles, "quota")
    tried: tuple[Role, ...] = ("period", "quarter", "month", "date", "year")
    role: Role = next((one for one in tried if one in roles), "period")
    if period_of_date and role in ("quarter", "month") and "date" in roles:
        role = "date"  # the caller says that the date decides
    when = _need(grid, roles, role)
    texts = grid.texts(when)
    labels = [label_of(text) for text in texts]
    days = read_dates(texts, formats=dates)
    frame = pd.DataFrame(
        {
            "rep": grid.texts(who),
            "period_text": texts,
            "text": grid.texts(amount),
            "line": grid.lines,
            "column": grid.called(amount),
            "day": days if role == "date" else read_dates(_dated(grid, roles), formats=dates),
        }
    )
    # the first of a month is a label of that month too, so dates go first unless there are none
    if days.notna().mean() > 0.5:
        frequency = period_of_date or _spacing(grid, role, frame["rep"], days)
        starts = fiscal_year_starts_in_month
        frame["period"] = [None if pd.isna(day) else period_of(day.date(), frequency, starts) for day in days]
        frame["day"] = days
        how = f"{grid.called(when)} is a date, which stands for the {frequency} that it lies in"
        if not period_of_date:
            how += " (seen from the header or the distance between a rep's dates)"
    else:
        year_column = roles.get("year") if role != "year" else None
        years = _years(grid, year_column, calendar_year)
        frame["period"] = [
            _long_period(text, label, year, role)
            for text, label, year in zip(texts, labels, years, strict=True)
        ]
        how = f"{grid.called(when)} is the {role}"
        how += f" of {grid.called(year_column)}" if year_column is not None else ""
        if "date" in roles and role != "date":
            how += f"; where a period has two quotas, {grid.called(roles['date'])} says which is later"
    start = "long" if grid.has_header else "long, without header"
    return frame, (
        f"{start}: one line per rep and period; {grid.called(who)} is the rep, {grid.called(amount)} the "
        f"quota, {how}" + _unused(grid, roles.values())
    )


def _dated(grid: Grid, roles: Mapping[Role, int]) -> pd.Series[str]:
    if "date" in roles:
        return grid.texts(roles["date"])
    return pd.Series(None, index=range(len(grid.found.values)), dtype="object")


def _long_period(text: str, label: Label | None, year: int | None, role: Role) -> str | None:
    most = {"quarter": 4, "month": 12}.get(role, 0)
    if re.fullmatch(r"\d{1,2}", text) and 1 <= int(text) <= most:
        label = Label("quarter" if role == "quarter" else "month", None, int(text))
    label = label.within(year) if label else None
    return str(label) if label and label.year is not None else None


def _by_content(grid: Grid, roles: dict[Role, int], dates: Sequence[str], none_words: Sequence[str]) -> None:
    """Fill in the roles of a long file without header from what its columns hold."""
    nothing = {word.casefold() for word in none_words}
    free = [position for position in range(len(grid.found.header)) if position not in roles.values()]
    texts = {position: grid.texts(position) for position in free}
    filled = {position: column[~column.str.casefold().isin(nothing)] for position, column in texts.items()}
    free = [position for position in free if len(filled[position])]

    def matches(position: int, pattern: str) -> bool:
        return bool(filled[position].str.fullmatch(pattern).all())

    def take(role: Role, fits: Iterable[int]) -> None:
        first = next(iter(fits), None)
        if role not in roles and first is not None:
            roles[role] = first
            free.remove(first)

    take("date", [p for p in free if read_dates(filled[p], formats=dates).notna().all()])
    if "period" not in roles:
        labelled = {p: [label_of(text) for text in filled[p]] for p in free}
        full = [p for p in free if all(one and one.year and one.frequency != "year" for one in labelled[p])]
        take("period", full)
    if "period" not in roles:
        take("year", [p for p in free if matches(p, r"(?:19|20)\d\d")])
        if "year" in roles:
            # a running number may look like quarters, too, but stands before the year
            after = sorted(free, key=lambda p: (p < roles["year"], p))
            take("quarter", [p for p in after if matches(p, r"(?i:Q?[1-4])")])
            if "quarter" not in roles:
                take("month", [p for p in after if matches(p, r"(?i:M?(?:0?[1-9]|1[0-2]))")])
    numeric = [p for p in free if matches(p, r"[-+]?\d[\d\s.,']*")]
    # amounts are written with decimals more often than ids, and are larger
    with_decimals = [p for p in numeric if filled[p].str.contains(r"[.,]\d+$").any()]
    size = {
        p: float(filled[p].str.replace(r"\D", "", regex=True).astype("float64").median()) for p in numeric
    }
    take("quota", with_decimals or sorted(numeric, key=lambda p: -size[p]))
    # a column in which nothing repeats numbers the records; a rep has several periods
    take("rep", [p for p in free if filled[p].duplicated().any()] or free)


def _spacing(grid: Grid, role: Role, reps: pd.Series[str], days: pd.Series[pd.Timestamp]) -> Frequency:
    if role == "month" or role == "quarter":
        return role
    frame = pd.DataFrame({"rep": reps, "day": days}).dropna().drop_duplicates().sort_values(["rep", "day"])
    gaps = frame.groupby("rep")["day"].diff().dt.days.dropna()
    typical = float(gaps.median()) if len(gaps) else math.nan
    usual: dict[Frequency, tuple[int, int]] = {"month": (25, 35), "quarter": (80, 100), "year": (350, 380)}
    for frequency, (low, high) in usual.items():
        if low <= typical <= high:
            return frequency
    distance = "one date per rep only" if math.isnan(typical) else f"{typical:.0f} days between a rep's dates"
    raise DataError(
        f"{grid.name}: quotas are dated, and their period is not clear ({distance}); give period_of_date: "
        "'month', 'quarter' or 'year'"
    )
