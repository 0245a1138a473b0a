"""What value depends on: the largest source, account and deals, and what a customer brings over time."""

from __future__ import annotations

from typing import Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from salessim.measures.coverage import after
from salessim.measures.entry import CREATED, WON, Estimator, Measure
from salessim.measures.estimates import Floats
from salessim.measures.selection import DEAL_CUTS, OPEN_CUTS, Selection, noted

__all__ = ["CONCENTRATION"]

Ints = npt.NDArray[np.int64]


def _of_largest(
    select: Selection, rows: pd.DataFrame, owner: Ints, values: Floats, most: int = 1
) -> pd.DataFrame:
    """Sum of the largest owners' values by group: columns value, and name (number of the largest owner)."""
    size = int(owner.max()) + 1 if len(owner) else 1
    keys, place = np.unique(rows["group"].to_numpy() * size + owner, return_inverse=True)
    sums = np.bincount(place, weights=values, minlength=len(keys))
    order = np.lexsort((keys % size, -sums, keys // size))
    group = (keys // size)[order]
    rank = np.arange(len(order)) - np.searchsorted(group, group, side="left")
    first = order[rank < most]
    found = np.bincount(group[rank < most], weights=sums[first], minlength=len(select.groups))
    name = np.full(len(select.groups), -1)
    name[group[rank == 0]] = (keys % size)[order[rank == 0]]
    return pd.DataFrame({"value": found, "name": name}, index=select.groups)


def _concentration(column: str) -> Estimator:
    def estimate(select: Selection) -> pd.DataFrame:
        won = select.won
        total = select.totals(won, won["amount"])
        code = select.codes(column, won)
        known = won[code >= 0]
        largest = _of_largest(select, known, code[code >= 0], np.nan_to_num(known["amount"].to_numpy()))
        rows = select.result(largest["value"] / total.where(total > 0), select.totals(won))
        labels = np.array(
            [*(f"largest: {name}" for name in select.facts.cut(column).labels), ""], dtype=object
        )
        notes = np.where(largest["name"] >= 0, labels[largest["name"]], f"no value won with a known {column}")
        rows = rows.assign(note=notes)
        unknown = select.totals(won[code < 0])
        return noted(rows, unknown, f"{{}} deal(s) won without a known {column} count in the total only")

    return estimate


def _largest_deals(which: Literal["won", "open"], most: int) -> Estimator:
    def estimate(select: Selection) -> pd.DataFrame:
        rows, values = _valued(select, which)
        total = select.totals(rows, values)
        largest = _of_largest(select, rows, np.arange(len(rows)), values.to_numpy(), most)
        found = select.result(largest["value"] / total.where(total > 0), select.totals(rows))
        return _without_value_noted(select, found, which)

    return estimate


def _effective_number(which: Literal["won", "open"]) -> Estimator:
    def estimate(select: Selection) -> pd.DataFrame:
        rows, values = _valued(select, which)
        squares = select.totals(rows, values**2)
        found = select.result(
            select.totals(rows, values) ** 2 / squares.where(squares > 0), select.totals(rows)
        )
        return _without_value_noted(select, found, which)

    return estimate


def _valued(select: Selection, which: Literal["won", "open"]) -> tuple[pd.DataFrame, pd.Series]:
    """Deals that have a value, and the value: what was booked, or what is expected (else the list price)."""
    if which == "won":
        rows = select.won[select.won["amount"].notna()]
        return rows, rows["amount"]
    rows = select.dated_open[select.dated_open["value"].notna()]
    return rows, rows["value"]


def _without_value_noted(
    select: Selection, found: pd.DataFrame, which: Literal["won", "open"]
) -> pd.DataFrame:
    everything = select.won if which == "won" else select.dated_open
    found = noted(found, found["value"].isna().astype(int), "no deal with a value")
    return noted(found, select.totals(everything) - found["n"], "{} deal(s) without any value left out")


def _lifetime_value(select: Selection) -> pd.DataFrame:
    deals = select.facts.deals
    won = deals[(deals["status"] == "won") & deals["closed"].notna()]
    if select.quarter is not None:  # the relationship so far, seen from the end of the period
        won = won[won["closed"] < after(select.quarter)]
    parts = []
    if select.by_period:
        for span, (_, _, last) in enumerate(select.spans):
            so_far = won[won["closed"] < pd.Timestamp(last) + pd.Timedelta(days=1)]
            places = so_far.index.to_numpy()
            parts.append(
                so_far.assign(group=select.group("opportunities", places, spans=np.full(len(places), span)))
            )
    else:
        parts.append(won.assign(group=select.group("opportunities", won.index.to_numpy())))
    won = pd.concat(parts) if parts else won.assign(group=0)
    account = select.codes("account", won)
    size = len(select.facts.cut("account").labels)
    known = account >= 0
    keys, place = np.unique(won["group"].to_numpy()[known] * size + account[known], return_inverse=True)
    revenue = np.bincount(place, weights=np.nan_to_num(won["amount"].to_numpy()[known]), minlength=len(keys))
    rows = select.means(pd.Series(revenue), pd.Series(keys // size), of="customers")
    return noted(rows, select.totals(won[~known]), "{} deal(s) won without a known account left out")


#: Entries of the catalogue.
CONCENTRATION = (
    Measure(
        name="source_concentration",
        label="Won value from the largest source",
        unit="share",
        better="lower",
        definition=(
            "Won value of the source with most of it ÷ won value of the period: the risk of depending on "
            "one source [A7]."
        ),
        needs=(*WON, "opportunities.source"),
        cuts=tuple(cut for cut in DEAL_CUTS if cut != "source"),
        estimator=_concentration("source"),
    ),
    Measure(
        name="account_concentration",
        label="Won value from the largest account",
        unit="share",
        better="lower",
        definition=(
            "Won value of the account with most of it ÷ won value of the period: the risk of depending on "
            "one customer [A7]."
        ),
        needs=(*WON, "opportunities.account"),
        cuts=tuple(cut for cut in DEAL_CUTS if cut != "account"),
        estimator=_concentration("account"),
    ),
    Measure(
        name="largest_deal_share",
        label="Won value from the largest deal",
        unit="share",
        better="lower",
        definition=(
            "Won value of the largest deal ÷ won value of the period: how much one deal decided [A7]."
        ),
        needs=WON,
        cuts=DEAL_CUTS,
        estimator=_largest_deals("won", 1),
    ),
    Measure(
        name="five_largest_deals_share",
        label="Won value from the five largest deals",
        unit="share",
        better="lower",
        definition="Won value of the five largest deals ÷ won value of the period [A7].",
        needs=WON,
        cuts=DEAL_CUTS,
        estimator=_largest_deals("won", 5),
    ),
    Measure(
        name="effective_deals_won",
        label="Effective number of deals won",
        unit="count",
        better="higher",
        definition=(
            "How many deals of equal size would spread the won value as much: 1 ÷ the sum of the squared "
            "shares of the deals (the inverse of the Herfindahl-Hirschman index) [A7]."
        ),
        needs=WON,
        cuts=DEAL_CUTS,
        estimator=_effective_number("won"),
    ),
    Measure(
        name="open_largest_deal_share",
        label="Open value in the largest deal",
        unit="share",
        better="lower",
        definition=(
            "Expected amount (or list price) of the largest open opportunity ÷ that of all: how much of the "
            "pipeline stands or falls with one deal [A7]."
        ),
        needs=CREATED,
        cuts=OPEN_CUTS,
        estimator=_largest_deals("open", 1),
        time="as_of",
    ),
    Measure(
        name="open_five_largest_deals_share",
        label="Open value in the five largest deals",
        unit="share",
        better="lower",
        definition=(
            "Expected amount (or list price) of the five largest open opportunities ÷ that of all [A7]."
        ),
        needs=CREATED,
        cuts=OPEN_CUTS,
        estimator=_largest_deals("open", 5),
        time="as_of",
    ),
    Measure(
        name="effective_open_deals",
        label="Effective number of open deals",
        unit="count",
        better="higher",
        definition=(
            "How many open opportunities of equal size would spread the open value as much: 1 ÷ the sum of "
            "the squared shares of the deals [A7]."
        ),
        needs=CREATED,
        cuts=OPEN_CUTS,
        estimator=_effective_number("open"),
        time="as_of",
    ),
    Measure(
        name="customer_lifetime_value",
        label="Customer lifetime value to date",
        unit="money",
        better="higher",
        definition=(
            "All revenue of a customer over the relationship so far, up to the end of the period: the "
            "average over the accounts that have bought. Revenue to date, not a forecast [A7]."
        ),
        needs=(*WON, "opportunities.account"),
        cuts=DEAL_CUTS,
        estimator=_lifetime_value,
    ),
)
