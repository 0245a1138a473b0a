"""How numbers are written for people: money with its currency, shares as percent, ranges, sample sizes.

One place, so that tables, charts, sentences and book pages write the same number the same way.
NaN is written as ``–``: the figure does not exist, which is not the same as zero.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

__all__ = ["MISSING", "NO_CURRENCY", "count", "days", "figure", "money", "percent", "ratio", "span", "table"]

MISSING = "–"

#: ISO 4217: no currency; what an export has whose currency nobody stated. It is not written.
NO_CURRENCY = "XXX"


def money(amount: float, currency: str, *, short: bool = False) -> str:
    """Write an amount with its currency; ``short`` rounds to thousands or millions for a headline.

    >>> money(1134672.4, "USD")
    'USD 1,134,672'
    >>> money(7203038, "USD", short=True), money(41250, "EUR", short=True), money(310, "EUR", short=True)
    ('USD 7.20m', 'EUR 41k', 'EUR 310')
    >>> money(float("nan"), "USD"), money(1234, NO_CURRENCY)
    ('–', '1,234')
    """
    if not math.isfinite(amount):
        return MISSING
    unit = "" if currency in ("", NO_CURRENCY) else f"{currency} "
    sign, size = ("-" if amount < 0 else ""), abs(amount)
    if short and size >= 999_500:
        return f"{unit}{sign}{size / 1e6:,.2f}m"
    if short and size >= 10_000:
        return f"{unit}{sign}{size / 1e3:,.0f}k"
    return f"{unit}{sign}{size:,.0f}"


def percent(share: float, *, digits: int = 0) -> str:
    """Write a share (a fraction) as percent.

    >>> percent(0.675), percent(0.6437, digits=1), percent(float("nan"))
    ('68 %', '64.4 %', '–')
    """
    # rounded twice, so that 0.675 solved to the last bit is written like 0.675 typed
    return f"{round(share * 100, 9):.{digits}f} %" if math.isfinite(share) else MISSING


def count(number: float) -> str:
    """Write a whole number with thousands separators; expected counts keep one digit.

    >>> count(7635), count(6.13), count(float("nan"))
    ('7,635', '6.1', '–')
    """
    if not math.isfinite(number):
        return MISSING
    return f"{number:,.0f}" if float(number).is_integer() or abs(number) >= 100 else f"{number:,.1f}"


def days(number: float) -> str:
    """Write a duration in days.

    >>> days(47.62)
    '48 days'
    """
    return f"{number:,.0f} days" if math.isfinite(number) else MISSING


def ratio(number: float) -> str:
    """Write a ratio such as pipeline coverage.

    >>> ratio(2.4)
    '2.4×'
    """
    return f"{number:,.1f}×" if math.isfinite(number) else MISSING


def figure(value: float, unit: str, currency: str = "") -> str:
    """Write a value in the unit of its measure: money, share, days, count or ratio.

    >>> figure(0.2, "share"), figure(7.5e6, "money", "EUR"), figure(3.0, "ratio")
    ('20.0 %', 'EUR 7,500,000', '3.0×')
    """
    if unit == "money":
        return money(value, currency)
    return {"share": lambda v: percent(v, digits=1), "days": days, "count": count, "ratio": ratio}[unit](
        value
    )


def span(low: float, high: float, unit: str, currency: str = "") -> str:
    """Write an interval in the unit of its measure.

    >>> span(0.6, 0.75, "share"), span(1e6, 2e6, "money", "EUR")
    ('60.0 % to 75.0 %', 'EUR 1,000,000 to 2,000,000')
    >>> span(44.2, 46.1, "days")
    '44 to 46 days'
    """
    if not (math.isfinite(low) and math.isfinite(high)):
        return MISSING
    first, last = figure(low, unit, currency), figure(high, unit, currency)
    # what both ends share is said once: the currency in front, the word "days" behind
    return f"{first.removesuffix(' days')} to {last.removeprefix(currency + ' ') if currency else last}"


def table(header: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Write a Markdown table; pipes in cells are escaped so that no value can break the page.

    >>> print(table(["stage", "deals"], [["cold | new", 3]]))
    | stage | deals |
    | --- | --- |
    | cold \\| new | 3 |
    """

    def line(cells: Sequence[object]) -> str:
        texts = (str(cell).replace("|", "\\|").replace("\n", " ") for cell in cells)
        return "| " + " | ".join(texts) + " |"

    return "\n".join([line(header), "| " + " | ".join("---" for _ in header) + " |", *map(line, rows)])
