"""Money as whole cents: read, split without losing a cent, and written for people.

Shares of an amount are rounded by largest remainder (Hamilton's method): everybody gets the whole cents of
the exact share, and the cents left over go to the largest remainders. Equal remainders go by the order of the
rows, which the hierarchy sorts by name; so the order of a file changes nothing.
"""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal
from numbers import Real

import numpy as np
import numpy.typing as npt

from salessim.errors import PlanError
from salessim.formats import NO_CURRENCY

__all__ = [
    "LARGEST",
    "Bools",
    "Cents",
    "Floats",
    "Money",
    "add_share",
    "amount",
    "money_text",
    "split",
    "to_cents",
]

Bools = npt.NDArray[np.bool_]
Cents = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
#: What callers may pass as an amount.
Money = int | float | Decimal

#: Largest amount in cents: above it a double cannot tell one cent from the next.
LARGEST = 9_000_000_000_000_000

_PARTS = 10**9


def to_cents(value: object, *, what: str, zero: bool = False) -> tuple[int, str]:
    """Read an amount as whole cents, and say in a sentence where it had to be rounded (half up).

    Args:
        value: a number or a Decimal, in currency.
        what: how errors call it, such as "target of 'Acme'".
        zero: whether zero is allowed.

    Raises:
        PlanError: no number, NaN, infinite, negative, zero where that is no amount, or too large.

    >>> to_cents(1250000.5, what="target of 'Acme'")
    (125000050, '')
    >>> to_cents(0.125, what="pin of 'Ann'")
    (13, "The pin of 'Ann' is rounded from 0.125 to 0.13.")
    >>> to_cents(float("nan"), what="target of 'Acme'")
    Traceback (most recent call last):
    ...
    salessim.errors.PlanError: target of 'Acme' is nan; it must be an amount above zero
    """
    allowed = "an amount of zero or more" if zero else "an amount above zero"
    if isinstance(value, bool | np.bool_) or not isinstance(value, Real | Decimal):
        shown = "missing" if value is None else repr(value)
        raise PlanError(f"{what} is {shown}; it must be {allowed}")
    # through the shortest decimal text, so that 0.285 is what was typed and not 0.28499999999999998
    exact = value if isinstance(value, Decimal) else Decimal(str(value))
    if not exact.is_finite() or exact < 0 or (exact == 0 and not zero):
        raise PlanError(f"{what} is {value}; it must be {allowed}")
    if exact * 100 > LARGEST:
        raise PlanError(f"{what} is {value}; amounts above {LARGEST // 100:,} are not exact to the cent")
    cents = int((exact * 100).to_integral_value(ROUND_HALF_UP))
    if cents == 0 and not zero:
        raise PlanError(f"{what} is {value}; it must be {allowed}, at least 0.01")
    # a float that was computed is off by a hair; nobody needs to hear of that
    off = abs(exact * 100 - cents) > Decimal("0.0001")
    return cents, f"The {what} is rounded from {value} to {money_text(cents)}." if off else ""


def amount(cents: Cents) -> Floats:
    """Cents as currency, for tables and charts.

    >>> amount(np.array([12_345])).tolist()
    [123.45]
    """
    return np.asarray(cents, dtype=np.float64) / 100


def money_text(cents: int, currency: str = NO_CURRENCY) -> str:
    """Write an amount to the cent, as accounts do.

    >>> money_text(123456789, "EUR"), money_text(-5)
    ('EUR 1,234,567.89', '-0.05')
    """
    unit = "" if currency in ("", NO_CURRENCY) else f"{currency} "
    sign, size = ("-" if cents < 0 else ""), abs(int(cents))
    return f"{unit}{sign}{size // 100:,}.{size % 100:02d}"


def add_share(cents: Cents, shares: Floats) -> Cents:
    """Amounts × (1 + share), each rounded half up to the cent in whole numbers; shares to nine digits.

    >>> add_share(np.array([100, 10**15 + 1]), np.array([0.125, 0.1])).tolist()
    [113, 1100000000000001]
    """
    pairs = zip(cents.tolist(), shares.tolist(), strict=True)
    return np.array(
        [(a * (_PARTS + round(s * _PARTS)) + _PARTS // 2) // _PARTS for a, s in pairs], dtype=np.int64
    )


def split(totals: Cents, weights: Floats, family: npt.NDArray[np.intp]) -> Cents:
    """Split the total of each family among its members by weight, to the cent (largest remainder).

    Args:
        totals: cents to hand out, shape (families,).
        weights: zero or more, shape (members,); a member without weight gets nothing.
        family: number of the family of each member, shape (members,).

    Returns:
        Cents, shape (members,); those of a family add up to its total. A family without any weight gets
        nothing: callers refuse that, or see to it, before.

    >>> split(np.array([100]), np.array([1.0, 1.0, 1.0]), np.array([0, 0, 0])).tolist()
    [34, 33, 33]
    """
    if not len(weights):
        return np.zeros(0, dtype=np.int64)
    sums = np.bincount(family, weights, minlength=len(totals))[family]
    exact = np.divide(weights, sums, out=np.zeros(len(weights)), where=sums > 0) * totals[family]
    whole = np.floor(exact).astype(np.int64)
    takes = weights > 0
    handed = np.zeros(len(totals), dtype=np.int64)
    np.add.at(handed, family, whole)
    takers = np.bincount(family, takes, minlength=len(totals)).astype(np.int64)
    left = np.where(takers > 0, totals - handed, 0)
    # rounded, so that remainders which are equal on paper are equal here too, and go by name
    order = np.lexsort((np.round(whole - exact, 6), ~takes, family))
    sizes = np.bincount(family, minlength=len(totals))
    first = np.cumsum(sizes) - sizes
    rank = np.empty(len(weights), dtype=np.int64)
    rank[order] = np.arange(len(weights)) - first[family[order]]
    # one cent each to the first in rank; whole rounds only where doubles have lost cents (huge amounts)
    each, rest = np.divmod(left, np.maximum(takers, 1))
    return whole + np.where(takes, each[family] + (rank < rest[family]), 0)
