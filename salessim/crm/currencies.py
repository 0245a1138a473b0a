"""Money in several currencies: exchange rates, and every amount in the one currency that reports are in."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from salessim.crm.columnmap import word_key
from salessim.crm.convert import on_distinct, signs_pattern
from salessim.crm.textfiles import header_key, open_text, pick_delimiter, read_columns
from salessim.errors import DataError, ParameterError, listed
from salessim.formats import NO_CURRENCY

__all__ = ["Rates", "as_rates", "currency_in_cells", "currency_of_words", "read_rates", "reporting_currency"]


@dataclass(frozen=True, eq=False)
class Rates:
    """Exchange rates: what one unit of a currency is worth in the currency that reports are in.

    ``table`` has the columns currency, rate and start (the day from which the rate holds, NaT: always), in
    the order of the days. ``source`` says where they come from.

    >>> as_rates({"PLN": 0.23}).on("PLN", pd.Series(pd.to_datetime(["2026-03-01"]))).tolist()
    [0.23]
    """

    table: pd.DataFrame
    source: str

    @property
    def currencies(self) -> tuple[str, ...]:
        """The currencies that have a rate."""
        return tuple(self.table["currency"].unique())

    def on(self, currency: str, days: pd.Series[pd.Timestamp]) -> pd.Series[float]:
        """Rate of a currency on each day: the latest that holds by then; NaN where rates begin later."""
        known = self.table[self.table["currency"] == currency]
        starts = known["start"].to_numpy(dtype="datetime64[ns]")
        dated = ~np.isnat(starts)
        always = float(known["rate"][~dated].iloc[-1]) if (~dated).any() else np.nan
        rates = np.append(known["rate"].to_numpy(dtype="float64")[dated], always)
        place = np.searchsorted(starts[dated], days.to_numpy(dtype="datetime64[ns]"), side="right") - 1
        return pd.Series(rates[place], index=days.index, dtype="float64")  # -1, before all days: always


def as_rates(rates: Mapping[str, float] | Rates | None) -> Rates:
    """Return rates as :class:`Rates`; a ParameterError names a currency or rate that cannot be used.

    >>> as_rates(None).currencies, as_rates({"USD": 0.9}).currencies
    ((), ('USD',))
    """
    if isinstance(rates, Rates):
        return rates
    for currency, rate in (rates or {}).items():
        if not _is_code(currency) or not (isinstance(rate, int | float) and 0 < rate < math.inf):
            raise ParameterError(
                f"rates: {currency!r} has {rate!r}; a currency is an ISO code such as PLN, and its rate, "
                "what one unit is worth in the currency of reports, a number above 0"
            )
    lines = [(currency, float(rate), pd.NaT) for currency, rate in (rates or {}).items()]
    return Rates(_table(lines), "the rates given")


def _table(lines: Sequence[tuple[str, float, Any]]) -> pd.DataFrame:
    table = pd.DataFrame(lines, columns=["currency", "rate", "start"])
    table["start"] = pd.to_datetime(table["start"]).astype("datetime64[ns]")
    return table.sort_values(["currency", "start"], na_position="first", ignore_index=True)


def _is_code(text: object) -> bool:
    return isinstance(text, str) and len(text) == 3 and text.isascii() and text.isalpha() and text.isupper()


def read_rates(path: str | Path) -> Rates:
    """Read exchange rates from a CSV file with the columns currency, rate and, if rates change, from.

    A rate is what one unit is worth in the currency of reports; with ``from`` it holds from that day on
    (``2026-03-31``), where it is blank always. A DataError names file, row and value.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder, "rates.csv")
    ...     _ = path.write_text("currency;rate;from\\nPLN;0,23;2026-01-01\\nPLN;0,24;2026-02-01\\n")
    ...     rates = read_rates(path)
    >>> rates.on("PLN", pd.Series(pd.to_datetime(["2025-12-31", "2026-01-31", "2026-02-01"]))).tolist()
    [nan, 0.23, 0.24]
    """
    path = Path(path)
    _, header = pick_delimiter(open_text(path).text, expected=["currency", "rate", "from"])
    dated = "from" in [header_key(name) for name in header]
    cells = read_columns(path, columns=["currency", "rate", *(["from"] if dated else [])])
    lines: list[tuple[str, float, Any]] = []
    seen: dict[tuple[str, str], int] = {}
    for row, record in enumerate(cells.itertuples(index=False), start=2):
        currency, rate, *rest = (str(cell).strip() for cell in record)
        start = rest[0] if rest else ""
        where = f"{path.name}: row {row}"
        currency = currency.upper()
        if not _is_code(currency):
            raise DataError(f"{where}: currency is {currency!r}; write an ISO code such as PLN")
        number = _rate(rate)
        if not 0 < number < math.inf:
            raise DataError(
                f"{where}: rate is {rate!r}; write what one {currency} is worth in the currency of reports"
            )
        try:
            day = date.fromisoformat(start) if start else None
        except ValueError:
            raise DataError(f"{where}: from is {start!r}; write a day like 2026-03-31") from None
        if (before := seen.setdefault((currency, start), row)) != row:
            when = f"from {start}" if start else "without a day"
            raise DataError(f"{where}: {currency} {when} has a rate in row {before} already; keep one")
        lines.append((currency, number, pd.Timestamp(day) if day else pd.NaT))
    if not lines:
        raise DataError(f"{path.name}: there is a header and no rate")
    return Rates(_table(lines), path.name)


def _rate(text: str) -> float:
    try:
        return float(text.replace(",", ".") if "." not in text else text)
    except ValueError:
        return math.nan


def currency_of_words(cells: pd.Series[Any], *, words: Mapping[str, str]) -> pd.Series[Any]:
    """Read a currency column: a code, or a word that the map explains; other words stay as they are.

    >>> currency_of_words(pd.Series(["pln", "zł", "talar"], dtype="category"), words={"zł": "PLN"}).tolist()
    ['PLN', 'PLN', 'talar']
    """
    known = {word_key(word): code for word, code in words.items()}

    def read(text: str) -> str:
        code = known.get(word_key(text), text.upper())
        return code if _is_code(code) else text

    return on_distinct(cells, lambda texts: texts.map(read, na_action="ignore").astype("object"))


def currency_in_cells(cells: pd.Series[Any], *, words: Mapping[str, str]) -> pd.Series[Any]:
    """Find the currency that stands inside an amount (``1 234,56 zł``); missing where there is none.

    >>> currency_in_cells(pd.Series(["12 zł", "12"], dtype="category"), words={"zł": "PLN"}).tolist()
    ['PLN', nan]
    """
    pattern = signs_pattern(list(words))
    if pattern is None:
        return pd.Series(pd.Categorical([None] * len(cells)), index=cells.index)
    known = {word.casefold(): code for word, code in words.items()}
    grouped = f"({pattern.pattern})"

    def read(texts: pd.Series[Any]) -> pd.Series[Any]:
        found = texts.where(~texts.str.fullmatch(r"[0-9.,+-]*").astype(bool))  # most are plain numbers
        found = found.str.extract(grouped, flags=pattern.flags, expand=False)
        codes = found.str.casefold().map(
            lambda word: known.get(word, known.get(word[:-1])), na_action="ignore"
        )
        return codes.astype("object")

    return on_distinct(cells, read)


def reporting_currency(found: Mapping[str, int], *, asked: str | None, of_map: str, rates: Rates) -> str:
    """The one currency that all amounts are shown in: the one asked for, the map's, or the only one found.

    ``found`` counts the amounts in each currency of the export. A DataError refuses a mix that cannot be
    converted, with what to write.

    >>> reporting_currency({"PLN": 12}, asked=None, of_map="XXX", rates=as_rates(None))
    'PLN'
    >>> reporting_currency({"PLN": 12, "EUR": 1}, asked="EUR", of_map="XXX", rates=as_rates({"PLN": 0.23}))
    'EUR'
    """
    if asked is not None and not _is_code(asked):
        raise ParameterError(f"currency is {asked!r}; write an ISO code such as EUR")
    chosen = asked or (of_map if of_map != NO_CURRENCY else None)
    counts = ", ".join(f"{rows:,} in {code}" for code, rows in sorted(found.items(), key=lambda one: -one[1]))
    how = (
        "Give exchange rates (what one unit is worth in the currency of reports): a CSV file with the "
        "columns currency, rate and, if they change, from; or exchange_rates in the scenario"
    )
    odd = sorted(word for word in found if not _is_code(word))
    explain = (
        f" What {listed(odd)} stands for is said under 'currency_words' in the column map." if odd else ""
    )
    if chosen is None:
        if len(found) > 1:
            codes = sorted(set(found) - set(odd))
            one_of = f", one of {listed(codes)}" if codes else ""
            raise DataError(
                f"amounts are in several currencies ({counts}) and cannot be added; say which one reports "
                f"are in (currency{one_of}). {how}.{explain}"
            )
        if odd:
            raise DataError(f"amounts are in {listed(odd)}, which is no currency code such as EUR.{explain}")
        return next(iter(found), NO_CURRENCY)
    for currency, rate in zip(rates.table["currency"], rates.table["rate"], strict=True):
        if currency == chosen and rate != 1:
            raise DataError(
                f"{rates.source}: one {chosen} is worth {rate:g} {chosen}; rates must be in {chosen}, the "
                "currency of reports"
            )
    lacking = sorted(set(found) - {chosen, *rates.currencies})
    if lacking:
        if of_map in lacking:
            explain += (
                f" The column map says that amounts are in {of_map} unless they name a currency; if they are "
                f"in {chosen}, write 'currency: {chosen}' in a copy of it."
            )
        raise DataError(
            f"amounts are in other currencies than {chosen}, that of reports ({counts}), and there is no "
            f"rate for {listed(lacking)}. {how}.{explain}"
        )
    return chosen
