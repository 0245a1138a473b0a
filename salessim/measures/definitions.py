"""The worked definitions of the field [A7], as plain arithmetic on numbers that somebody has counted."""

from __future__ import annotations

import math

from salessim.errors import DataError

__all__ = ["amount_won", "conversion", "pipeline_value", "win_rate"]


def conversion(moved_on: float, entered: float) -> float:
    """Stage conversion: how many of those that entered a stage moved on from it [A7].

    Returns a fraction; NaN when nothing entered. Raises DataError when more moved on than entered.

    >>> conversion(50, 100)  # 100 MQL became 50 SQL
    0.5
    >>> conversion(30, 50)  # 30 demos of 50 SQL
    0.6
    """
    return _fraction(moved_on, entered, "moved on of", "entered")


def win_rate(won: float, created: float) -> float:
    """Win rate: won ÷ created, of the opportunities created in the same period [A7].

    Returns a fraction; NaN when none was created. Raises DataError when more were won than created.

    >>> win_rate(20, 100)
    0.2
    """
    return _fraction(won, created, "won of", "created")


def _fraction(part: float, whole: float, *words: str) -> float:
    if not 0 <= part <= whole:
        raise DataError(f"{part:g} {words[0]} {whole:g} {words[1]} is impossible; it must be 0 to {whole:g}")
    return part / whole if whole else math.nan


def pipeline_value(open_opportunities: float, average_deal_size: float) -> float:
    """Pipeline value: open opportunities × average deal size [A7]; in the currency of the deal size.

    Count opportunities, not leads: a pipeline full of leads looks rich and is not.

    >>> pipeline_value(50, 150_000)
    7500000
    """
    return open_opportunities * average_deal_size


def amount_won(won: float, average_deal_size: float) -> float:
    """Amount won: deals won × average deal size [A7]; in the currency of the deal size.

    >>> amount_won(10, 150_000)
    1500000
    """
    return won * average_deal_size
