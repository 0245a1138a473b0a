"""What is open on the day of the export: how much, how old, and whether it is enough."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from salessim import formats
from salessim.errors import DataError, ParameterError, listed
from salessim.measures.deals import deal_size
from salessim.measures.entry import CREATED, CYCLE, WON, Estimator, Measure
from salessim.measures.facts import facts_of
from salessim.measures.selection import (
    FEW,
    OPEN_CUTS,
    Selection,
    joined,
    noted,
    sample_notes,
    splits,
    without_value,
)

if TYPE_CHECKING:
    from salessim.crm import Tables

__all__ = [
    "PIPELINE",
    "close_days",
    "dead_pipeline",
    "open_ages_days",
    "pipeline_by_stage",
    "slipped_deals",
    "slowest_close_days",
]


def slowest_close_days(tables: Tables) -> float:
    """Days from first contact to close of the slowest deal that ever closed; NaN when none has both dates.

    >>> from salessim.crm import read
    >>> from salessim.library import example_crm
    >>> slowest_close_days(read(example_crm())) > 0
    True
    """
    return close_days(tables, quantile=1.0)


def close_days(tables: Tables, *, quantile: float = 0.99) -> float:
    """Days from first contact to close within which a share of all closed deals did; NaN when none has both
    dates. An open deal that is older has little chance left.

    Args:
        tables: what :func:`salessim.crm.read` returns.
        quantile: the share, 0 to 1; 1 is the slowest deal that ever closed.

    Raises:
        ParameterError: the quantile is not between 0 and 1.

    >>> from salessim.crm import read
    >>> from salessim.library import example_crm
    >>> tables = read(example_crm())
    >>> 0 < close_days(tables, quantile=0.5) <= close_days(tables) <= slowest_close_days(tables)
    True
    """
    if not 0 <= quantile <= 1:
        raise ParameterError(f"quantile is {quantile:g}; a share of the closed deals lies between 0 and 1")
    cycles = facts_of(tables).deals["cycle_days"].dropna()
    # a number of days that a deal took, so that "older" is as plain as it is for the slowest one
    return float(cycles.quantile(quantile, interpolation="higher")) if len(cycles) else math.nan


def dead_pipeline(
    tables: Tables, *, quantile: float = 0.99, by: str | Sequence[str] | None = None
) -> pd.DataFrame:
    """Open deals that are too old to close, by two limits: nearly all and all deals that closed [A4].

    Args:
        tables: what :func:`salessim.crm.read` returns.
        quantile: the share of closed deals that closed faster, for the first limit.
        by: one or several of rep, manager, region, segment, source, product, account and stage.

    Returns:
        Columns [``by``], older_than, limit_days, deals, open_deals, share, low, high, value: two rows per
        group, or one where both limits are the same; ``open_deals`` have a date of first contact, ``value``
        is the expected amount (or the list price) of the dead ones, NaN where none of them has either. Empty
        when no deal has closed.

    Raises:
        ParameterError: the quantile is not between 0 and 1, or nothing is split by that.

    >>> from salessim.crm import read
    >>> from salessim.library import example_crm
    >>> dead_pipeline(read(example_crm()))["older_than"].tolist()
    ['99 % of the deals that closed', 'any deal that closed']
    """
    select = Selection(tables, by=splits(by))
    digits = 0 if (quantile * 100).is_integer() else 1
    limits = {
        f"{formats.percent(quantile, digits=digits)} of the deals that closed": close_days(
            tables, quantile=quantile
        ),
        "any deal that closed": slowest_close_days(tables),
    }
    if len(set(limits.values())) == 1:
        limits = {"any deal that closed": slowest_close_days(tables)}
    parts = []
    for words, limit in limits.items():
        old = select.dated_open[select.dated_open["age_days"] > limit]
        rows = _older_than(select, limit)
        known = select.totals(old[old["value"].notna()]) > 0
        figures = {
            "older_than": words,
            "limit_days": limit,
            "deals": select.totals(old),
            "open_deals": rows["n"],
            "share": rows["value"],
            "low": rows["low"],
            "high": rows["high"],
            "value": select.totals(old, old["value"]).where(known),
        }
        found = pd.concat([select.labels, pd.DataFrame(figures, index=select.groups)], axis="columns")
        found = found.take(select.in_order(np.asarray(select.groups)))
        parts.append(found[found["open_deals"] > 0].reset_index(drop=True))
    whole = pd.concat(parts) if math.isfinite(slowest_close_days(tables)) else parts[0].iloc[:0]
    return whole.sort_index(kind="stable").reset_index(drop=True)


def open_ages_days(tables: Tables) -> pd.Series:
    """Age in days, on the day of the export, of every open deal that has a date of first contact.

    >>> from salessim.crm import read
    >>> from salessim.library import example_crm
    >>> ages = open_ages_days(read(example_crm()))
    >>> ages.name, bool((ages >= 0).all())
    ('age_days', True)
    """
    ages = Selection(tables).dated_open["age_days"]
    return ages.rename("age_days").reset_index(drop=True)


def pipeline_by_stage(
    tables: Tables, *, close_probability: Mapping[str, float] | None = None
) -> pd.DataFrame:
    """What is open in each stage on the day of the export, in the order of the stages.

    All open deals are here, dated or not, so that the numbers add up to what the CRM shows.

    Args:
        tables: what :func:`salessim.crm.read` returns.
        close_probability: share of the deals in a stage that will be won, by stage; from a scenario.

    Returns:
        Columns stage, deals, value, weighted_value: value is the expected amount, or the list price where
        the amount is missing (NaN when no deal of the stage has either); weighted_value is value × close
        probability (NaN where no probability is given).

    >>> from salessim.crm import read
    >>> from salessim.library import example_crm
    >>> pipeline_by_stage(read(example_crm()))["stage"].tolist()
    ['cold lead', 'warm lead', 'potential deal', 'closing deal']
    """
    deals = tables.opportunities[tables.opportunities["status"] == "open"]
    values = deals["amount"].fillna(deals["list_price"]).groupby(deals["stage"])
    stages = list(tables.stages)
    value = values.sum(min_count=1).reindex(stages)
    chance = pd.Series(dict(close_probability or {}), dtype=float).reindex(stages)
    return pd.DataFrame(
        {
            "stage": pd.Series(stages, dtype=object),
            "deals": values.size().reindex(stages, fill_value=0).to_numpy(dtype=int),
            "value": value.to_numpy(dtype=float),
            "weighted_value": (value * chance).to_numpy(dtype=float),
        }
    )


def slipped_deals(tables: Tables, *, slips: pd.DataFrame | None = None) -> pd.DataFrame:
    """Open deals whose closing was put off: the expected date has passed, or moved later in the snapshots.

    Args:
        tables: what :func:`salessim.crm.read` returns.
        slips: what weekly snapshots tell, as ``slips_of`` of :mod:`salessim.crm.ledger` gives it: columns
            opportunity_id, slipped_from and slipped_to (the expected date before and after), one row per
            slip; None where only this export is known.

    Returns:
        Columns opportunity_id, name, rep, account, stage, value (expected amount or list price),
        first_expected, expected_close, times_moved (NaN without snapshots), days_overdue (0 where the date
        lies ahead), reason; most overdue first. Empty where no open deal has slipped.

    Raises:
        DataError: ``slips`` lacks a column.

    >>> from salessim.crm import read
    >>> from salessim.library import example_crm
    >>> rows = slipped_deals(read(example_crm()))
    >>> bool((rows["days_overdue"] > 0).all())
    True
    """
    facts, deals = facts_of(tables), tables.opportunities
    is_open = (facts.deals["status"] == "open").to_numpy()
    rows = deals.loc[is_open, ["opportunity_id", "name", "rep", "account", "stage"]].assign(
        value=facts.deals.loc[is_open, "value"].to_numpy(),
        first_expected=deals["expected_close"],
        expected_close=deals["expected_close"],
        times_moved=math.nan,
    )
    if slips is not None:
        lacking = sorted({"opportunity_id", "slipped_from", "slipped_to"} - set(slips.columns))
        if lacking:
            raise DataError(f"slips has no column {listed(lacking)}")
        by_deal = slips.groupby("opportunity_id")
        first = rows["opportunity_id"].map(by_deal["slipped_from"].min())
        rows = rows.assign(
            first_expected=first.fillna(rows["expected_close"]),
            times_moved=rows["opportunity_id"].map(by_deal.size()).fillna(0).astype(float),
        )
    late = (pd.Timestamp(tables.as_of) - rows["expected_close"]).dt.days
    rows = rows.assign(days_overdue=late.fillna(0).clip(lower=0).astype(int))
    passed, moved = rows["days_overdue"] > 0, rows["times_moved"].fillna(0) > 0
    both = zip(
        np.where(passed, "the expected date has passed", ""),
        np.where(moved, "the expected date was moved later", ""),
        strict=True,
    )
    reasons = pd.Series([joined(str(one), str(two)) for one, two in both], index=rows.index, dtype=object)
    rows = rows.assign(reason=reasons)[passed | moved]
    return rows.sort_values(
        ["days_overdue", "times_moved"], ascending=False, kind="stable", ignore_index=True
    )


def _opportunities_open(select: Selection) -> pd.DataFrame:
    return select.undated(select.counts(select.dated_open))


def _pipeline_value(select: Selection) -> pd.DataFrame:
    # a deal that is won has no stage: open deals of every stage are worth what deals are when they are won
    whole, place = select.without_stage()
    size = deal_size("mean")(whole).take(place).set_axis(select.groups)
    rows = _opportunities_open(select)
    opportunities = rows["value"]
    rows = rows.assign(**{key: opportunities * size[key] for key in ("value", "low", "high")})
    wins = pd.Series(np.where(size["n"] >= FEW, size["n"], 0), index=size.index)
    rows = sample_notes(rows, size["n"], "deals won to take the average size from")
    return noted(rows, wins, "average size of {} deals won")


def _pipeline_amount(select: Selection) -> pd.DataFrame:
    rows = select.dated_open
    known = rows[rows["value"].notna()]
    result = select.sums(known, known["value"])
    unknown = select.totals(rows) - result["n"]
    result["value"] = result["value"].mask((result["n"] == 0) & (unknown > 0))
    by_list = select.totals(known[known["amount"].isna()])
    result = noted(result, by_list, "{} deal(s) valued at list price")
    result = noted(result, unknown, "{} deal(s) without any value left out")
    return select.undated(result)


def _older_than(select: Selection, limit: float) -> pd.DataFrame:
    dated = select.dated_open
    return select.shares(dated["age_days"] > limit, dated["group"], of="open deals with a date")


def _dead_pipeline(quantile: float, words: str) -> Estimator:
    def estimate(select: Selection) -> pd.DataFrame:
        limit = close_days(select.tables, quantile=quantile)
        rows = _older_than(select, limit)
        if math.isnan(limit):
            return without_value(rows, "no deal has closed yet, so no age is known to be too old")
        return select.undated(noted(rows, rows["n"], f"older than {limit:,.0f} days, {words}"))

    return estimate


def _slipped(select: Selection) -> pd.DataFrame:
    """Open deals whose expected closing date has passed, of those that have one."""
    expected = select.open[select.open["expected_close"].notna()]
    late = expected["expected_close"] < pd.Timestamp(select.tables.as_of)
    rows = select.shares(late, expected["group"], of="open deals with an expected closing date")
    without = select.totals(select.open[select.open["expected_close"].isna()])
    return noted(rows, without, "{} open deal(s) without an expected closing date not counted")


def _pipeline_coverage(select: Selection) -> pd.DataFrame:
    now, over = select.now, select.is_over(select.now)
    target = now.shift(1) if over else now
    asked = Selection(select.tables, target, select.by)
    quota = asked.totals(asked.quotas, asked.quotas["quota"]).where(asked.totals(asked.quotas) > 0)
    booked = asked.totals(asked.won, asked.won["amount"])
    left = quota - (0.0 if over else booked)
    rows = _pipeline_value(select)
    figures = ["value", "low", "high"]
    rows[figures] = rows[figures].div(left.where(left > 0), axis="index")
    rows = noted(rows, left.gt(0).astype(int), f"against the quota {'of' if over else 'left in'} {target}")
    met, unset = f"the quota of {target} is met already", f"no quota for {target}"
    reasons = np.where(quota.notna(), met, unset)
    return rows.assign(note=rows["note"].where((left > 0).to_numpy(), reasons))


#: Entries of the catalogue.
PIPELINE = (
    Measure(
        name="open_opportunities",
        label="Open opportunities",
        unit="count",
        better="neither",
        definition=(
            "Open deals with a date of first contact, on the day of the export; open deals without one are "
            "leads not yet worked, and do not count [A7]."
        ),
        needs=CREATED,
        cuts=OPEN_CUTS,
        estimator=_opportunities_open,
        time="as_of",
    ),
    Measure(
        name="pipeline_value",
        label="Pipeline value",
        unit="money",
        better="higher",
        definition=(
            "Open opportunities × average deal size of the deals won in the period. An opportunity is an "
            "open deal with a date of first contact; leads do not count [A7]."
        ),
        needs=WON,
        cuts=OPEN_CUTS,
        estimator=_pipeline_value,
        time="as_of",
    ),
    Measure(
        name="pipeline_amount",
        label="Pipeline amount",
        unit="money",
        better="higher",
        definition=(
            "Sum of the expected amounts of the open opportunities; where the amount is missing, the list "
            "price of the product. Not known where there is neither [A7]."
        ),
        needs=CREATED,
        cuts=OPEN_CUTS,
        estimator=_pipeline_amount,
        time="as_of",
    ),
    Measure(
        name="dead_pipeline_share",
        label="Dead pipeline",
        unit="share",
        better="lower",
        definition=(
            "Open deals older than the slowest deal that ever closed ÷ open deals with a date of first "
            "contact [A4]."
        ),
        needs=CYCLE,
        cuts=OPEN_CUTS,
        estimator=_dead_pipeline(1.0, "the slowest close on record"),
        time="as_of",
    ),
    Measure(
        name="stale_pipeline_share",
        label="Pipeline older than nearly every close",
        unit="share",
        better="lower",
        definition=(
            "Open deals older than 99 % of the deals that ever closed took ÷ open deals with a date of first "
            "contact; one very slow close does not hide old deals here [A4]."
        ),
        needs=CYCLE,
        cuts=OPEN_CUTS,
        estimator=_dead_pipeline(0.99, "what 99 % of the deals that closed took"),
        time="as_of",
    ),
    Measure(
        name="slipped_share",
        label="Slipped deals",
        unit="share",
        better="lower",
        definition=(
            "Open deals whose expected closing date lies before the day of the export ÷ open deals that have "
            "such a date [F1]."
        ),
        needs=("opportunities", "opportunities.expected_close"),
        cuts=OPEN_CUTS,
        estimator=_slipped,
        time="as_of",
    ),
    Measure(
        name="pipeline_coverage",
        label="Pipeline coverage",
        unit="ratio",
        better="higher",
        definition=(
            "Pipeline value ÷ what is left of the quota of the current quarter; once that quarter is over, "
            "÷ the quota of the next one [B6]."
        ),
        needs=("quotas", *WON),
        cuts=("rep", "manager", "region"),
        estimator=_pipeline_coverage,
        time="as_of",
    ),
)
