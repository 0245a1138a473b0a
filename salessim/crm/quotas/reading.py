"""Quotas from files: cells into quotas, one per rep and period, and every other cell into a note."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

import pandas as pd

from salessim import formats
from salessim.crm.columnmap import NumberFormat
from salessim.crm.convert import read_numbers
from salessim.crm.quotas.files import QuotaFile
from salessim.crm.quotas.labels import DATE_FORMATS, PERIODS_ALLOWED, Frequency, label_of
from salessim.crm.quotas.layouts import Column, Grid, Role, long_cells, open_grid, period_columns, wide_cells
from salessim.crm.quotas.rules import (
    CONFLICTING,
    MALFORMED,
    NEGATIVE,
    NO_REP,
    NOT_READABLE,
    PERIOD_NOT_READABLE,
    QUOTA_RULES,
    REPEATED,
    Hits,
    QuotaView,
    noted,
)
from salessim.errors import DataError

__all__ = ["read_quotas"]

#: Cells that mean "no quota", compared without regard to case and surrounding blanks.
_NONE_WORDS = ("", "-", "–", "—", "n/a", "na", "null", "none", "nan")


# The first that reads most cells is taken; two that read them all and disagree are refused.
_NUMBER_FORMATS = (
    NumberFormat(decimal=".", thousands=","),
    NumberFormat(decimal=".", thousands=" "),
    NumberFormat(decimal=",", thousands="."),
    NumberFormat(decimal=",", thousands=" "),
)


def read_quotas(
    path: str | Path,
    *,
    unit: float = 1.0,
    currency: str = formats.NO_CURRENCY,
    managers: Mapping[str, str] | None = None,
    layout: Literal["wide", "long"] | None = None,
    rep: Column | None = None,
    quota: Column | None = None,
    period: Column | None = None,
    year: Column | None = None,
    quarter: Column | None = None,
    month: Column | None = None,
    calendar_year: int | None = None,
    period_of_date: Frequency | None = None,
    header: bool | None = None,
    delimiter: str | None = None,
    encoding: str | None = None,
    numbers: NumberFormat | None = None,
    dates: Sequence[str] = DATE_FORMATS,
    none_words: Sequence[str] = _NONE_WORDS,
    fiscal_year_starts_in_month: int = 1,
) -> QuotaFile:
    """Read who was asked for how much and when, from a wide or a long file, in any usual encoding.

    Wide: a line per rep (and year), a column per period: ``M01``, ``2026Q1``, ``2026-01``, ``Jan``, ``Q1``.
    Long: a line per rep and period, with the period as a label, as year and quarter or month, or as a date.
    The layout is seen from the headers, and without a header from what the columns hold;
    :attr:`QuotaFile.layout` says how it was understood, and every choice can be overridden. A blank cell or
    ``-`` is no quota, which is not a quota of zero.

    - ``unit``: what one in the file is worth: 1000 for a file in thousands. Never guessed; when quotas look
      like thousands beside bookings, :func:`attainment` says so.
    - ``currency``: ISO code of the amounts, only written, never converted.
    - ``managers``: manager of each rep, if known; makes roll-ups more certain.
    - ``rep``, ``quota``, ``period`` (labels or dates), ``year``, ``quarter``, ``month``: columns by name or
      by number, 1 being the first; ``calendar_year``: the year of a file that names only months or quarters.
    - ``period_of_date``: how long the period of a dated quota is; the date lies in it. Seen from the
      distance between a rep's dates when left out.
    - ``header``, ``delimiter``, ``encoding``, ``numbers``, ``dates``, ``none_words``: how the file is
      written, where that is not seen or is ambiguous.
    - ``fiscal_year_starts_in_month``: for quarters and years of dates; months are calendar months.

    Raises:
        DataError: the file cannot be read or understood; names file, line, column, value and what is allowed.
            Single bad cells are no error: they are rejected with a note.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder, "targets.csv")
    ...     _ = path.write_text("Year;EmployeeID;M01;M02;M03\\n2026;007;200;-;350,5\\n")
    ...     found = read_quotas(path, unit=1000, currency="EUR")
    >>> found.quotas[["rep", "period", "quota"]].values.tolist()
    [['007', '2026-01', 200000.0], ['007', '2026-03', 350500.0]]
    >>> found.cells, found.kept, found.missing, found.rejected
    (3, 2, 1, 0)
    >>> print(found.layout.split("; ")[0])
    wide: one line per 'EmployeeID' and 'Year', 3 month columns 'M01' to 'M03'
    """
    if not (math.isfinite(unit) and unit > 0):
        raise DataError(f"unit is {unit!r}; it must be above 0, for example 1000 for a file in thousands")
    grid = open_grid(Path(path), header=header, delimiter=delimiter, encoding=encoding)
    given: dict[Role, Column | None] = {
        "rep": rep, "quota": quota, "period": period, "year": year, "quarter": quarter, "month": month,
    }  # fmt: skip
    roles: dict[Role, int] = {
        role: grid.column(column, role) for role, column in given.items() if column is not None
    }
    columns = period_columns(grid, roles)
    if layout is None:
        layout = "wide" if columns and "quota" not in roles else "long"
    if layout == "wide":
        cells, sentence = wide_cells(grid, roles, columns, calendar_year)
        per_record = len(columns)
    else:
        cells, sentence = long_cells(
            grid,
            roles,
            dates=dates,
            period_of_date=period_of_date,
            calendar_year=calendar_year,
            none_words=none_words,
            fiscal_year_starts_in_month=fiscal_year_starts_in_month,
        )
        per_record = 1
    nothing = {word.strip().casefold() for word in none_words}
    is_none = cells["text"].str.casefold().isin(nothing)
    stated = cells[~is_none].copy()
    if stated.empty:
        raise DataError(f"{grid.name}: no quota in {formats.count(len(cells))} cells; {sentence}")
    stated["quota"], how = _amounts(grid, stated, numbers)
    stated["quota"] *= unit
    _refuse_if_mostly_unreadable(grid, stated, numbers)
    frequency = _one_frequency(grid, stated)
    kept, rejected_notes = _sorted_out(stated)
    malformed = [("", "", bad.row - (not grid.has_header), bad.problem) for bad in grid.found.malformed]
    view = QuotaView(kept, frequency, dict(managers or {}))
    notes = [noted(MALFORMED, malformed), rejected_notes]
    notes += [noted(rule.name, rule.find(view)) for rule in QUOTA_RULES.values()]
    bad_cells = per_record * len(malformed)
    return QuotaFile(
        source=grid.source,
        layout=sentence + how + (f"; one in the file is {unit:,.0f}" if unit != 1 else ""),
        frequency=frequency,
        currency=currency,
        unit=unit,
        quotas=kept,
        notes=pd.concat([part for part in notes if len(part)] or notes[:1], ignore_index=True),
        rollups=view.rollups,
        cells=len(cells) + bad_cells,
        missing=int(is_none.sum()),
        rejected=len(stated) - len(kept) + bad_cells,
    )


def _amounts(grid: Grid, stated: pd.DataFrame, numbers: NumberFormat | None) -> tuple[pd.Series[float], str]:
    if numbers is not None:
        return read_numbers(stated["text"], numbers=numbers), ""
    tried = [(form, read_numbers(stated["text"], numbers=form)) for form in _NUMBER_FORMATS]
    best, values = max(tried, key=lambda one: int(one[1].notna().sum()))
    for form, others in tried:
        differs = values.notna() & others.notna() & (values != others)
        if others.notna().sum() == values.notna().sum() and differs.any():
            row = stated[differs].iloc[0]
            raise DataError(
                f"{grid.name}: line {row['line']}, {row['column']}: {row['text']!r} may be "
                f"{values[differs].iat[0]:,.10g} or {others[differs].iat[0]:,.10g}; say which sign is the "
                f"decimal one, for example numbers=NumberFormat(decimal={form.decimal!r}, "
                f"thousands={form.thousands!r})"
            )
    shown = stated["text"].str.contains(re.escape(best.decimal)).any()
    return values, f"; decimal sign {best.decimal!r}" if shown else ""


def _refuse_if_mostly_unreadable(grid: Grid, stated: pd.DataFrame, numbers: NumberFormat | None) -> None:
    for column, what, allowed in (
        ("quota", "quotas", "a number such as 1234.50 or 1 234,50, or - for none"),
        ("period", "periods", PERIODS_ALLOWED),
    ):
        bad = stated[column].isna()
        if bad.mean() > 0.5:
            row = stated[bad].iloc[0]
            text = row["text"] if column == "quota" else row["period_text"]
            where = row["column"] if column == "quota" else "period"
            raise DataError(
                f"{grid.name}: line {row['line']}, {where}: {text!r} cannot be read, like "
                f"{int(bad.sum()):,} of {len(stated):,} {what}; allowed is {allowed}"
                + (f" with numbers {numbers!r}" if numbers is not None and column == "quota" else "")
            )


def _one_frequency(grid: Grid, stated: pd.DataFrame) -> Frequency:
    first = stated.dropna(subset=["period"]).drop_duplicates("period")
    kinds: dict[Frequency, tuple[int, str]] = {}
    for line, period in zip(first["line"], first["period"], strict=True):
        label = label_of(period)
        if label:
            kinds.setdefault(label.frequency, (line, period))
    if len(kinds) > 1:
        shown = "; ".join(f"line {line}: {period}" for line, period in kinds.values())
        raise DataError(f"{grid.name}: periods of different length ({shown}); keep one length per file")
    return next(iter(kinds))


def _sorted_out(stated: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The quotas kept, one per rep and period, and notes on every other cell, one each."""
    stated = stated.assign(reason="")
    reasons = (
        (NO_REP, stated["rep"] == ""),
        (PERIOD_NOT_READABLE, stated["period"].isna()),
        (NOT_READABLE, stated["quota"].isna()),
        (NEGATIVE, stated["quota"] < 0),
    )
    for reason, mask in reasons:
        stated.loc[mask & (stated["reason"] == ""), "reason"] = reason
    good = stated[stated["reason"] == ""]
    # the later dated one stands; without dates the first in the file
    order = good.sort_values(["day", "line"], ascending=[False, True], na_position="last", kind="stable")
    standing = order.drop_duplicates(["rep", "period"])
    repeats = order.drop(standing.index).merge(
        standing[["rep", "period", "quota", "line", "day"]],
        on=["rep", "period"],
        suffixes=("", "_kept"),
    )
    notes = []
    for reason, _ in reasons:
        shown = "period_text" if reason == PERIOD_NOT_READABLE else "text"
        bad = stated[stated["reason"] == reason].fillna({"period": ""})
        notes.append(noted(reason, _cells(bad, shown)))
    # a copy with another date may well be the quota of another period
    copies = (repeats["quota"] == repeats["quota_kept"]) & (
        (repeats["day"] == repeats["day_kept"]) | repeats["day"].isna()
    )
    dated = repeats["day"].dt.strftime(" dated %Y-%m-%d").fillna("")
    repeats["value"] = [
        f"{quota:,.0f}{day}; line {line} stands with {kept:,.0f}"
        for quota, kept, line, day in zip(
            repeats["quota"], repeats["quota_kept"], repeats["line_kept"], dated, strict=True
        )
    ]
    for reason, rows in ((REPEATED, repeats[copies]), (CONFLICTING, repeats[~copies])):
        notes.append(noted(reason, _cells(rows, "value")))
    kept = standing.sort_values(["line", "period"], kind="stable")[["rep", "period", "quota", "line"]]
    filled = [part for part in notes if len(part)]
    return kept.reset_index(drop=True), pd.concat(filled or notes[:1], ignore_index=True)


def _cells(frame: pd.DataFrame, shown: str) -> Hits:
    return frame[["rep", "period", "line", shown]].itertuples(index=False, name=None)
