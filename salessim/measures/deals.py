"""Deals created, won and lost: how many, how much, how often, how fast, how large."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import special

from salessim import formats
from salessim.intervals import LEVEL, wilson
from salessim.measures.coverage import INCOMPLETE
from salessim.measures.entry import CLOSED, CREATED, CYCLE, WON, Estimator, Measure
from salessim.measures.estimates import Floats
from salessim.measures.selection import DEAL_CUTS, Selection, noted, without_value

if TYPE_CHECKING:
    from salessim.crm import Tables

__all__ = ["DEALS", "bookings_by_quarter", "deal_size"]


def bookings_by_quarter(tables: Tables) -> pd.DataFrame:
    """Won value and deals won by quarter, from the first quarter in which a deal closed.

    Returns:
        Columns quarter, won_value, won_count, partial: partial quarters are those that the export covers
        only in part, cut off on the left or not yet over.

    >>> from salessim.crm import read
    >>> from salessim.library import example_crm
    >>> bookings_by_quarter(read(example_crm())).columns.tolist()
    ['quarter', 'won_value', 'won_count', 'partial']
    """
    select = Selection(tables, by=("quarter",))
    value, number = _won_value(select), select.counts(select.won)
    closed = select.counts(select.closed)["value"].to_numpy() > 0
    first = int(closed.argmax()) if closed.any() else len(closed)
    labels = [str(label) for label in select.labels["quarter"][first:]]
    return pd.DataFrame(
        {
            "quarter": labels,
            "won_value": value["value"].to_numpy()[first:],
            "won_count": number["value"].to_numpy()[first:].astype(int),
            "partial": [not select.is_complete(select.parse(label)) for label in labels],
        }
    )


def _won_value(select: Selection) -> pd.DataFrame:
    return select.sums(select.won, select.won["amount"])


def _new_against_expected(select: Selection) -> pd.DataFrame:
    rows = select.counts(select.created)
    expected = select.expected.get("new_opportunities", math.nan)
    if not expected > 0:
        return without_value(rows, "no expected number given (benchmark 'new_opportunities')")
    if select.quarter is None and not select.by:
        return without_value(rows, "the expected number is per quarter; ask for a quarter or by quarter")
    return rows.assign(value=rows["value"] / expected, note=f"expected {formats.count(expected)} a quarter")


def _win_rate(select: Selection) -> pd.DataFrame:
    created = select.created
    rows = select.shares(created["status"].eq("won"), created["group"], of="opportunities created")
    still_open = select.totals(created[created["status"] == "open"])
    return noted(rows, still_open, f"{{}} of them still open ({INCOMPLETE}: the rate can still rise)")


def _win_rate_closed(select: Selection) -> pd.DataFrame:
    closed = select.closed
    return select.shares(closed["status"].eq("won"), closed["group"], of="deals closed")


def _win_rate_by_value(select: Selection) -> pd.DataFrame:
    # a lost deal brought nothing; what it would have brought is known from its list price only
    valued = select.closed[select.closed["value"].notna()]
    value, is_won = valued["value"], valued["status"] == "won"
    total, squares = select.totals(valued, value), select.totals(valued, value**2)
    share = select.totals(valued, value.where(is_won, 0.0)) / total.where(total > 0)
    # Kish's effective number: a few large deals tell less than as many equal ones
    n_effective = (total**2 / squares.where(squares > 0)).fillna(0.0)
    _, low, high = wilson(share.fillna(0.0) * n_effective, n_effective)
    lost = select.closed[select.closed["status"] == "lost"]
    priced = select.totals(lost[lost["value"].notna()])
    unpriced = select.totals(lost) - priced
    lost_unknown = (priced == 0) & (unpriced > 0)
    rows = select.result(share, select.totals(valued), low=low, high=high, of="deals closed with a value")
    rows.loc[lost_unknown, ["value", "low", "high"]] = np.nan
    rows = noted(rows, lost_unknown.astype(int), "lost deals have no list price")
    rows = noted(rows, priced, "{} lost deal(s) valued at list price")
    return noted(rows, unpriced.where(~lost_unknown, 0), "{} lost deal(s) without a list price left out")


def _cycle(statistic: Literal["mean", "median"], *, won_only: bool = False) -> Estimator:
    def estimate(select: Selection) -> pd.DataFrame:
        deals, of = (select.won, "deals won") if won_only else (select.closed, "deals closed")
        take = select.means if statistic == "mean" else select.medians
        rows = take(deals["cycle_days"], deals["group"], of=f"{of} with a date of first contact")
        undated = select.totals(deals[deals["created"].isna()])
        return noted(rows, undated, "{} deal(s) without a date of first contact left out")

    return estimate


def deal_size(statistic: Literal["mean", "median"]) -> Estimator:
    """Estimator of the size of the deals won in the period."""

    def estimate(select: Selection) -> pd.DataFrame:
        take = select.means if statistic == "mean" else select.medians
        return take(select.won["amount"], select.won["group"], of="deals won")

    return estimate


def _deal_size_by_segment(select: Selection) -> pd.DataFrame:
    deals = select.facts.deals
    ever_won = deals[(deals["status"] == "won") & deals["amount"].notna()]
    segments = len(select.facts.cut("segment").labels)
    mix = np.bincount(select.codes("segment", ever_won), minlength=segments) / max(len(ever_won), 1)
    won = select.won[select.won["amount"].notna()]
    cell = won["group"].to_numpy() * segments + select.codes("segment", won)
    cells = won["amount"].groupby(cell).agg(["mean", "var", "count"])
    group, segment = cells.index.to_numpy() // segments, cells.index.to_numpy() % segments

    def total(values: npt.ArrayLike) -> Floats:
        weights = np.asarray(values, dtype=float)
        return np.bincount(group, weights=weights, minlength=len(select.groups)).astype(float)

    count = cells["count"].to_numpy(float)
    weight = mix[segment] / total(mix[segment])[group]
    with np.errstate(divide="ignore", invalid="ignore"):
        spread = weight**2 * cells["var"].to_numpy() / count
        mean = np.where(total(count) > 0, total(weight * cells["mean"]), np.nan)
        # Welch and Satterthwaite; the spread within a segment with one win is unknown, and so is the interval
        variance = total(spread)
        freedom = variance**2 / total(spread**2 / (count - 1))
        half = special.stdtrit(freedom, 0.5 + LEVEL / 2) * np.sqrt(variance)
    rows = select.result(
        mean, total(count), low=np.maximum(mean - half, 0.0), high=mean + half, of="deals won"
    )
    filled = int((mix > 0).sum())
    missing = pd.Series(filled - total(np.ones(len(cells))), index=select.groups).where(rows["n"] > 0, 0)
    rows = noted(rows, missing, "{} segment(s) without a win left out")
    if filled == 1:
        rows = noted(rows, rows["n"], "one segment only: the same as the average deal size")
    return rows


#: Entries of the catalogue.
DEALS = (
    Measure(
        name="won_value",
        label="Won value",
        unit="money",
        better="higher",
        definition="Sum of the booked amounts of the deals won in the period, by closing date [A7].",
        needs=WON,
        cuts=DEAL_CUTS,
        estimator=_won_value,
    ),
    Measure(
        name="won_count",
        label="Deals won",
        unit="count",
        better="higher",
        definition="Number of deals won in the period, by closing date [A7].",
        needs=CLOSED,
        cuts=DEAL_CUTS,
        estimator=lambda select: select.counts(select.won),
    ),
    Measure(
        name="lost_count",
        label="Deals lost",
        unit="count",
        better="lower",
        definition="Number of deals lost in the period, by closing date [A7].",
        needs=CLOSED,
        cuts=DEAL_CUTS,
        estimator=lambda select: select.counts(select.closed[select.closed["status"] == "lost"]),
    ),
    Measure(
        name="closed_count",
        label="Deals closed",
        unit="count",
        better="higher",
        definition=(
            "Number of deals won or lost in the period, by closing date; by source these are the closed "
            "opportunities per source [A7]."
        ),
        needs=CLOSED,
        cuts=DEAL_CUTS,
        estimator=lambda select: select.counts(select.closed),
    ),
    Measure(
        name="new_opportunities",
        label="New opportunities",
        unit="count",
        better="higher",
        definition="Number of opportunities created in the period, by date of first contact [A7].",
        needs=CREATED,
        cuts=DEAL_CUTS,
        estimator=lambda select: select.counts(select.created),
    ),
    Measure(
        name="new_against_expected",
        label="New opportunities against expected",
        unit="share",
        better="higher",
        definition=(
            "Opportunities created in the quarter ÷ the number expected, which the user sets as the "
            "benchmark of 'new_opportunities' [A7]."
        ),
        needs=CREATED,
        cuts=("quarter",),
        estimator=_new_against_expected,
    ),
    Measure(
        name="win_rate",
        label="Win rate of deals created",
        unit="share",
        better="higher",
        definition=(
            "Won ÷ created, of the opportunities created in the same period; deals still open count as not "
            "yet won, so the rate of a young period still rises [A7]."
        ),
        needs=CREATED,
        cuts=DEAL_CUTS,
        estimator=_win_rate,
    ),
    Measure(
        name="win_rate_closed",
        label="Win rate of deals closed",
        unit="share",
        better="higher",
        definition=(
            "Won ÷ (won + lost), of the deals closed in the period, whenever they were created [A7]."
        ),
        needs=CLOSED,
        cuts=DEAL_CUTS,
        estimator=_win_rate_closed,
    ),
    Measure(
        name="win_rate_by_value",
        label="Win rate by value",
        unit="share",
        better="higher",
        definition=(
            "Won amount ÷ value of all deals closed in the period; a deal without an amount counts at the "
            "list price of its product. Not known where lost deals have neither [A7]."
        ),
        needs=WON,
        cuts=DEAL_CUTS,
        estimator=_win_rate_by_value,
    ),
    Measure(
        name="sales_cycle_days",
        label="Average sales cycle",
        unit="days",
        better="lower",
        definition=(
            "Total days from first contact to close of the deals closed in the period, won or lost ÷ their "
            "number [A7]."
        ),
        needs=CYCLE,
        cuts=DEAL_CUTS,
        estimator=_cycle("mean"),
    ),
    Measure(
        name="sales_cycle_median_days",
        label="Median sales cycle",
        unit="days",
        better="lower",
        definition=(
            "Half of the deals closed in the period, won or lost, took no longer from first contact to "
            "close [A7]."
        ),
        needs=CYCLE,
        cuts=DEAL_CUTS,
        estimator=_cycle("median"),
    ),
    Measure(
        name="sales_cycle_won_median_days",
        label="Median sales cycle of deals won",
        unit="days",
        better="lower",
        definition="Half of the deals won in the period took no longer from first contact to close [A7].",
        needs=CYCLE,
        cuts=DEAL_CUTS,
        estimator=_cycle("median", won_only=True),
    ),
    Measure(
        name="average_deal_size",
        label="Average deal size",
        unit="money",
        better="higher",
        definition="Won value ÷ number of deals won in the period that have an amount [A7].",
        needs=WON,
        cuts=DEAL_CUTS,
        estimator=deal_size("mean"),
    ),
    Measure(
        name="median_deal_size",
        label="Median deal size",
        unit="money",
        better="higher",
        definition="Half of the deals won in the period were at most this large [A7].",
        needs=WON,
        cuts=DEAL_CUTS,
        estimator=deal_size("median"),
    ),
    Measure(
        name="deal_size_weighted_by_segment",
        label="Deal size, weighted by segment",
        unit="money",
        better="higher",
        definition=(
            "Average deal size of each segment in the period, weighted by the segment's share of all deals "
            "ever won: what the average would be at the usual mix, so that a shift between segments does "
            "not pass for larger or smaller deals [A7]."
        ),
        needs=(*WON, "opportunities.segment"),
        cuts=tuple(cut for cut in DEAL_CUTS if cut != "segment"),
        estimator=_deal_size_by_segment,
    ),
)
