"""How charts word what they find: numbers with their thing, chances, changes, names of bearable length."""

from __future__ import annotations

import math

from salessim import formats

__all__ = ["chance", "change", "in_currency", "money", "number", "shortened", "to_share", "value"]


def money(amount: float, currency: str) -> str:
    """An amount short enough for a label or a headline.

    >>> money(1_234_567, "EUR"), money(41_250, "")
    ('EUR 1.23m', '41k')
    """
    return formats.money(amount, currency, short=True)


def in_currency(currency: str) -> str:
    """The currency as the end of a description of an axis; nothing where there is none.

    >>> f"Won value{in_currency('EUR')}", f"Won value{in_currency(formats.NO_CURRENCY)}"
    ('Won value, EUR', 'Won value')
    """
    return "" if currency == formats.NO_CURRENCY else f", {currency}"


def value(amount: float, unit: str, currency: str) -> str:
    """A value in the unit of its measure, short enough for a label.

    >>> value(0.5, "share", ""), value(2.5e6, "money", "EUR")
    ('50.0 %', 'EUR 2.50m')
    """
    return money(amount, currency) if unit == "money" else formats.figure(amount, unit)


def number(count: float, thing: str) -> str:
    """How many of a thing.

    >>> number(1, "deal"), number(2409, "deal")
    ('1 deal', '2,409 deals')
    """
    return f"{formats.count(count)} {thing}{'' if count == 1 else 's'}"


def chance(probability: float) -> str:
    """A probability; no forecast is so sure of itself as to say 0 % or 100 %.

    >>> chance(0.004), chance(0.5), chance(1.0)
    ('under 1 %', '50 %', 'over 99 %')
    """
    if probability < 0.01:
        return "under 1 %"
    return "over 99 %" if probability > 0.99 else formats.percent(probability)


def to_share(band: tuple[float, float]) -> str:
    """A band of shares, from one to the other.

    >>> to_share((0.6, 0.75))
    '60–75 %'
    """
    return f"{formats.percent(band[0]).removesuffix(' %')}–{formats.percent(band[1])}"


def change(new: float, old: float, *, figure: str) -> str:
    """How a value moved, and to which figure.

    >>> change(112, 100, figure="EUR 112"), change(100.2, 100, figure="EUR 100")
    ('rose 12 % to EUR 112', 'held level at EUR 100')
    """
    part = new / old - 1 if old else math.nan
    if not math.isfinite(part):
        return f"came to {figure}"
    if abs(part) < 0.005:
        return f"held level at {figure}"
    return f"{'rose' if part > 0 else 'fell'} {formats.percent(abs(part))} to {figure}"


def shortened(name: object, *, most: int = 30) -> str:
    """A name of at most so many letters.

    >>> shortened("Antidisestablishmentarianism and Sons", most=12)
    'Antidisesta…'
    """
    text = str(name)
    return text if len(text) <= most else f"{text[: most - 1].rstrip()}…"
