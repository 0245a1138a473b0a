"""Cells of an export as texts, days and numbers: worked out once for each distinct text, never row by row.

Cells come as categories of texts (see :class:`salessim.crm.sources.RawTable`) or typed. A million rows have
far fewer distinct texts, so every function here answers for those and hands the answers to the rows.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import date
from functools import partial
from typing import Any, TypeVar

import numpy as np
import pandas as pd

from salessim.crm.columnmap import NumberFormat, alternatives
from salessim.errors import DataError

__all__ = [
    "FIRST_DAY",
    "LAST_DAY",
    "as_objects",
    "as_texts",
    "decided_dates",
    "decided_numbers",
    "is_text",
    "on_distinct",
    "read_dates",
    "read_numbers",
    "row_keys",
    "shown",
    "signs_pattern",
]

#: Days outside are typing errors or stand for "never" (0001-01-01, 9999-12-31); they are not read as dates.
FIRST_DAY, LAST_DAY = date(1950, 1, 1), date(2200, 12, 31)
# A spreadsheet counts days from here. Numbers beyond these bounds (1954 to 2119) are years or something else.
_SERIAL_ORIGIN, _SERIALS = "1899-12-30", (20_000, 80_000)
_ISO = r"\d{4}-\d{2}-\d{2}(?:[T ]\d{2}:\d{2}(?::\d{2}(?:\.\d+)?)?(?:Z|[+-]\d{2}:?\d{2})?)?"

Format = TypeVar("Format")


def is_text(cells: pd.Series[Any]) -> bool:
    """Whether cells are texts (a category of str, or object) rather than typed days or numbers.

    >>> is_text(pd.Series(["a"], dtype="category")), is_text(pd.Series([1.5]))
    (True, False)
    """
    return isinstance(cells.dtype, pd.CategoricalDtype) or cells.dtype == object


def on_distinct(cells: pd.Series[Any], answer: Callable[[pd.Series[Any]], pd.Series[Any]]) -> pd.Series[Any]:
    """Answer for the distinct texts of a column, and hand each row its answer.

    ``answer`` gets the distinct texts as an object series and returns as many values; texts among them come
    back as a category again. Blank cells stay missing.

    >>> on_distinct(pd.Series(["a ", "a", None], dtype="category"), lambda texts: texts.str.strip()).tolist()
    ['a', 'a', nan]
    """
    if not isinstance(cells.dtype, pd.CategoricalDtype):
        cells = cells.astype("category")
    codes = cells.cat.codes.to_numpy()
    answers = answer(pd.Series(cells.cat.categories.to_numpy(dtype=object), dtype="object"))
    if answers.dtype == object:
        places, distinct = pd.factorize(answers.to_numpy(dtype=object), use_na_sentinel=True)
        where = np.append(places, -1)[codes]  # a blank cell has code -1: the last one
        values: Any = pd.Categorical.from_codes(where, categories=pd.Index(distinct, dtype="object"))
    else:
        values = answers.array.take(codes, allow_fill=True)
    return pd.Series(values, index=cells.index)


def row_keys(frame: pd.DataFrame, columns: Sequence[str]) -> pd.Series[int]:
    """One number for each row, the same for rows that agree in all the columns; a missing value is a value.

    >>> rows = pd.DataFrame({"a": ["x", "x", "y"], "b": [1.0, 1.0, None]})
    >>> row_keys(rows, ["a", "b"]).duplicated().tolist()
    [False, True, False]
    """
    keys, size = np.zeros(len(frame), dtype="int64"), 1
    for column in columns:
        values = frame[column]
        if isinstance(values.dtype, pd.CategoricalDtype):
            codes, number = values.cat.codes.to_numpy().astype("int64"), len(values.cat.categories)
        else:
            codes, distinct = pd.factorize(values)
            number = len(distinct)
        if size * (number + 1) >= 2**62:
            keys, seen = pd.factorize(keys)
            size = len(seen)
        keys, size = keys * (number + 1) + codes + 1, size * (number + 1)
    return pd.Series(keys, index=frame.index, dtype="int64")


def as_texts(cells: pd.Series[Any]) -> pd.Series[Any]:
    """Typed cells as texts (a category): 12.0 as ``12``, days as ``2017-09-30``; texts stay as they are.

    >>> as_texts(pd.Series([12.0, 0.5, None])).tolist()
    ['12', '0.5', nan]
    """
    if is_text(cells):
        return cells if isinstance(cells.dtype, pd.CategoricalDtype) else cells.astype("category")
    codes, distinct = pd.factorize(cells, use_na_sentinel=True)
    texts = pd.Series([_written(value) for value in distinct], dtype="object")
    numbered = pd.Series(
        pd.Categorical.from_codes(codes, categories=pd.RangeIndex(len(texts))), index=cells.index
    )
    return on_distinct(numbered, lambda _: texts)


def _written(value: Any) -> str:
    if isinstance(value, bool | np.bool_):
        return "true" if value else "false"
    if isinstance(value, pd.Timestamp | np.datetime64):
        moment = pd.Timestamp(value)
        return moment.strftime("%Y-%m-%d" if moment == moment.normalize() else "%Y-%m-%d %H:%M:%S")
    if isinstance(value, float | np.floating):
        number = float(value)
        return str(int(number)) if number.is_integer() and abs(number) < 1e15 else repr(number)
    return str(value)


def as_objects(cells: pd.Series[Any]) -> pd.Series[str]:
    """Texts of a category as an object column whose equal texts are one and the same object; None is missing.

    >>> as_objects(pd.Series(["a", None], dtype="category")).tolist()
    ['a', None]
    """
    if not isinstance(cells.dtype, pd.CategoricalDtype):
        return cells.astype("object")
    texts = np.array([*cells.cat.categories, None], dtype=object)  # a blank cell has code -1: the last one
    return pd.Series(texts[cells.cat.codes.to_numpy()], index=cells.index, dtype="object")


def shown(cells: pd.Series[Any]) -> pd.Series[str]:
    """Cells as a person reads them in a list: blank ones as ``""``, object dtype.

    >>> shown(pd.Series([1200.0, None])).tolist()
    ['1200', '']
    """
    return as_objects(as_texts(cells)).fillna("").astype("object")


def read_dates(cells: pd.Series[Any], *, formats: Sequence[str]) -> pd.Series[pd.Timestamp]:
    """Read cells as days, each by the first format that fits; NaT where none does or the cell is blank.

    ``ISO`` is ``2017-09-30``, optionally with a time; a time of day is cut off, not converted. Typed days go
    straight through, numbers are days as a spreadsheet counts them. Days before 1950 or after 2200 are NaT.

    >>> cells = pd.Series(["2017-09-30T23:10:00Z", "30.9.2017", "0001-01-01"])
    >>> read_dates(cells, formats=["ISO", "%d.%m.%Y"])
    0   2017-09-30
    1   2017-09-30
    2          NaT
    dtype: datetime64[ns]
    >>> read_dates(pd.Series([45292.75]), formats=["ISO"])[0]
    Timestamp('2024-01-01 00:00:00')
    """
    if isinstance(cells.dtype, pd.DatetimeTZDtype):
        cells = cells.dt.tz_localize(None)
    if pd.api.types.is_datetime64_any_dtype(cells):
        days = cells.dt.normalize()
    elif pd.api.types.is_bool_dtype(cells):
        days = pd.Series(pd.NaT, index=cells.index)
    elif pd.api.types.is_numeric_dtype(cells):
        written = on_distinct(as_texts(cells), lambda texts: _days(texts, formats))
        numbers = cells.astype("float64")
        serial = np.floor(numbers.where(numbers.between(*_SERIALS)))
        counted = pd.Series(pd.to_datetime(serial, unit="D", origin=_SERIAL_ORIGIN), index=cells.index)
        days = written.fillna(counted)
    else:
        days = on_distinct(cells, lambda texts: _days(texts, formats))
    inside = (days >= pd.Timestamp(FIRST_DAY)) & (days <= pd.Timestamp(LAST_DAY))
    found: pd.Series[pd.Timestamp] = days.where(inside).astype("datetime64[ns]")
    return found


def _days(texts: pd.Series[str], formats: Sequence[str]) -> pd.Series[pd.Timestamp]:
    days = pd.Series(pd.NaT, index=texts.index, dtype="datetime64[ns]")
    for form in formats:
        left = texts[days.isna() & texts.notna()]
        if form == "ISO":
            left = left[left.str.fullmatch(_ISO).astype(bool)].str[:10]
            form = "%Y-%m-%d"
        if len(left):
            found = pd.to_datetime(left, format=form, errors="coerce").dt.normalize()
            days.loc[left.index] = found.astype("datetime64[ns]")
    return days


def read_numbers(
    cells: pd.Series[Any], *, numbers: NumberFormat, signs: Sequence[str] = ()
) -> pd.Series[float]:
    """Read cells as numbers in the given format; NaN where it does not fit or the cell is blank.

    Strict, so that ``1,234`` is never taken for 1.234 or the other way round: thousands signs must stand
    where they belong. ``signs`` are removed first, as the format's own currency signs are. Typed numbers go
    straight through.

    >>> polish = NumberFormat(decimal=",", thousands=" ", currency_signs=["zł"])
    >>> read_numbers(pd.Series(["1 234,50 zł", "-7", "1.234,50", "12 34"]), numbers=polish).tolist()
    [1234.5, -7.0, nan, nan]
    """
    if not is_text(cells):
        if pd.api.types.is_numeric_dtype(cells) and not pd.api.types.is_bool_dtype(cells):
            found = cells.astype("float64")
            return found.where(np.isfinite(found))
        return pd.Series(np.nan, index=cells.index, dtype="float64")
    return on_distinct(cells, lambda texts: _numbers(texts, numbers, signs))


def _numbers(texts: pd.Series[str], numbers: NumberFormat, signs: Sequence[str]) -> pd.Series[float]:
    thousands, decimal = (f"[{sign}]" if sign else "" for sign in (numbers.thousands, numbers.decimal))
    plain = rf"[+-]?[0-9]{{1,15}}(?:{decimal}[0-9]+)?"
    values = pd.Series(np.nan, index=texts.index, dtype="float64")

    def take(found: pd.Series[str]) -> None:
        values.loc[found.index] = found.str.replace(numbers.decimal, ".", regex=False).astype("float64")

    simple = texts.str.fullmatch(plain).eq(True)  # most cells; the rest is worth the trouble below
    take(texts[simple])
    left = texts[~simple].dropna()
    if removed := signs_pattern([*numbers.currency_signs, *signs]):
        left = left.str.replace(removed, "", regex=True)
    left = left.str.replace(r"[\u00a0\u202f\u2009]", " ", regex=True).str.replace("\u2212", "-").str.strip()
    left = left.str.replace(r"^([+-])\s+", r"\1", regex=True)
    grouped = rf"[0-9]{{1,3}}(?:{thousands}[0-9]{{3}})+|" if thousands else ""
    fits = left.str.fullmatch(rf"[+-]?(?:{grouped}[0-9]+)(?:{decimal}[0-9]+)?").astype(bool)
    left = left[fits & (left.str.len() < 40)]
    if numbers.thousands:
        left = left.str.replace(numbers.thousands, "", regex=False)
    take(left)
    return values


def signs_pattern(signs: Sequence[str]) -> re.Pattern[str] | None:
    """A pattern for currency signs and words inside an amount: longest first, capitals do not matter.

    >>> pattern = signs_pattern(["zł", "PLN"])
    >>> pattern.sub("", "12 Zł."), signs_pattern([])
    ('12 ', None)
    """
    longest_first = sorted(set(signs), key=lambda sign: (-len(sign), sign))
    words = [re.escape(sign) + (r"\.?" if sign[-1:].isalpha() else "") for sign in longest_first]
    return re.compile("|".join(words), re.IGNORECASE) if words else None


def decided_dates(
    columns: Mapping[str, pd.Series[Any]], *, formats: Sequence[str], where: str, headers: Mapping[str, str]
) -> dict[str, list[str]]:
    """Settle date formats that are alternatives (``"%d/%m/%Y | %m/%d/%Y"``) for each column by its cells.

    The alternative that reads most cells is used. Where several read the same cells as different days, the
    other date columns of the table decide, else a DataError shows both readings.

    >>> cells = pd.Series(["03/04/2026", "25/04/2026"], dtype="category")
    >>> decided_dates(
    ...     {"created": cells}, formats=["ISO", "%d/%m/%Y | %m/%d/%Y"], where="deals.csv", headers={}
    ... )
    {'created': ['ISO', '%d/%m/%Y']}
    """
    chosen: dict[str, list[str]] = {column: [] for column in columns}
    for entry in formats:
        found = _decided(
            {
                column: _words(cells, partial(_not_read, formats=chosen[column]))
                for column, cells in columns.items()
            },
            alternatives(entry),
            lambda texts, form: _days(texts, [form]),
            written=lambda form, day: f"{pd.Timestamp(day).date()} by '{form}'",
            where=where,
            headers=headers,
            key="dates",
        )
        for column, form in found.items():
            chosen[column].append(form)
    return chosen


def _not_read(texts: pd.Series[str], formats: Sequence[str]) -> pd.Series[bool]:
    return _days(texts, formats).isna()


def decided_numbers(
    columns: Mapping[str, pd.Series[Any]],
    *,
    numbers: Sequence[NumberFormat],
    signs: Sequence[str] = (),
    where: str,
    headers: Mapping[str, str],
) -> dict[str, NumberFormat]:
    """Settle which of several number formats each column is written in, as :func:`decided_dates` does.

    >>> cells = pd.Series(["1,234", "12,50"], dtype="category")
    >>> english, polish = NumberFormat(thousands=","), NumberFormat(decimal=",")
    >>> found = decided_numbers({"amount": cells}, numbers=[english, polish], where="deals.csv", headers={})
    >>> found["amount"].decimal
    ','
    """
    return _decided(
        {column: _words(cells, pd.Series.notna) for column, cells in columns.items()},
        list(numbers),
        lambda texts, form: _numbers(texts, form, signs),
        written=lambda form, number: (
            f"{number:,} with decimal sign '{form.decimal}' and thousands sign '{form.thousands}'"
        ),
        where=where,
        headers=headers,
        key="numbers",
    )


def _words(cells: pd.Series[Any], wanted: Callable[[pd.Series[Any]], pd.Series[bool]]) -> pd.Series[str]:
    """The distinct texts of a column that still have to be read; none where it is typed."""
    if not is_text(cells):
        return pd.Series([], dtype="object")
    words = pd.Series(cells.dropna().unique(), dtype="object")
    return words[wanted(words).astype(bool)] if len(words) else words


def _decided(
    columns: Mapping[str, pd.Series[str]],
    forms: Sequence[Format],
    read: Callable[[pd.Series[str], Format], pd.Series[Any]],
    *,
    written: Callable[[Format, Any], str],
    where: str,
    headers: Mapping[str, str],
    key: str,
) -> dict[str, Format]:
    if len(forms) == 1:
        return dict.fromkeys(columns, forms[0])
    chosen: dict[str, Format] = {}
    open_questions: dict[str, list[tuple[Format, pd.Series[Any]]]] = {}
    for column, words in columns.items():
        readings = [(form, read(words, form)) for form in forms]
        most = max((int(values.notna().sum()) for _, values in readings), default=0)
        best = [(form, values) for form, values in readings if int(values.notna().sum()) == most]
        if not most:
            continue
        if all(values.equals(best[0][1]) for _, values in best):
            # nothing tells them apart here, unless another reading fails where this one does not
            if len(best) < len(forms) or len(columns) == 1:
                chosen[column] = best[0][0]
        else:
            open_questions[column] = best
    elsewhere = [form for form in forms if form in chosen.values()]
    for column, best in open_questions.items():
        told = [form for form, _ in best if form in elsewhere]
        if len(told) != 1:
            (one, first), (other, second) = best[:2]
            differs = (first != second) & first.notna() & second.notna()
            place = first.index[differs][0] if differs.any() else first.index[0]
            raise DataError(
                f"{where}: column '{headers.get(column, column)}' can be read in two ways, and no cell "
                f"decides: {columns[column][place]!r} is {written(one, first[place])}, and "
                f"{written(other, second[place])}. Keep the one this export uses under '{key}' in the column "
                "map"
            )
        chosen[column] = told[0]
    return {column: chosen.get(column, (elsewhere or list(forms))[0]) for column in columns}
