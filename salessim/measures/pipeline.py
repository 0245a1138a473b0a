"""What is open on the day of the export: how much, how old, and whether it is enough."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from salessim.measures.deals import deal_size
from salessim.measures.entry import CREATED, CYCLE, WON, Measure
from salessim.measures.selection import FEW, OPEN_CUTS, Selection, noted, sample_notes, without_value

if TYPE_CHECKING:
    from salessim.crm import Tables

__all__ = ["PIPELINE", "open_ages_days", "pipeline_by_stage", "slowest_close_days"]


def slowest_close_days(tables: Tables) -> float:
    """Days from first contact to close of the slowest deal that ever closed; NaN when none has both dates.

    >>> from salessim.crm import read
    >>> from salessim.library import example_crm
    >>> slowest_close_days(read(example_crm())) > 0
    True
    """
    deals = tables.opportunities
    closed = deals[deals["status"] != "open"]
    return float((closed["closed"] - closed["created"]).dt.days.max())


def open_ages_days(tables: Tables) -> pd.Series:
    """Age in days, on the day of the export, of every open deal that has a date of first contact.

    >>> from salessim.crm import read
    >>> from salessim.library import example_crm
    >>> ages = open_ages_days(read(example_crm()))
    >>> ages.name, bool((ages >= 0).all())
    ('age_days', True)
    """
    ages = Selection(tables).open["age_days"].dropna()
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


def _opportunities_open(select: Selection) -> pd.DataFrame:
    return select.undated(select.counts(select.open[select.open["created"].notna()]))


def _pipeline_value(select: Selection) -> pd.DataFrame:
    size = deal_size("mean")(select)
    rows = _opportunities_open(select)
    opportunities = rows["value"]
    rows = rows.assign(**{key: opportunities * size[key] for key in ("value", "low", "high")})
    wins = pd.Series(np.where(size["n"] >= FEW, size["n"], 0), index=size.index)
    rows = sample_notes(rows, size["n"], "deals won to take the average size from")
    return noted(rows, wins, "average size of {} deals won")


def _pipeline_amount(select: Selection) -> pd.DataFrame:
    rows = select.open[select.open["created"].notna()]
    value = rows["amount"].fillna(rows["list_price"])
    known = value.groupby(rows["group"])
    result = select.facts(known.sum(), known.count())
    unknown = known.count().eq(0)
    result.loc[result.index.isin(unknown.index[unknown]), "value"] = np.nan
    by_list = (rows["amount"].isna() & rows["list_price"].notna()).groupby(rows["group"]).sum()
    result = noted(result, by_list, "{} deal(s) valued at list price")
    result = noted(result, value.isna().groupby(rows["group"]).sum(), "{} deal(s) without any value left out")
    return select.undated(result)


def _dead_pipeline(select: Selection) -> pd.DataFrame:
    slowest = slowest_close_days(select.tables)
    dated = select.open[select.open["created"].notna()]
    rows = select.shares(dated["age_days"] > slowest, dated["group"], of="open deals with a date")
    if math.isnan(slowest):
        return without_value(rows, "no deal has closed yet, so no age is known to be too old")
    rows = noted(rows, rows["n"], f"older than {slowest:,.0f} days, the slowest close on record")
    return select.undated(rows)


def _pipeline_coverage(select: Selection) -> pd.DataFrame:
    now, over = select.now, select.is_over(select.now)
    target = now.shift(1) if over else now
    asked = Selection(select.tables, target, select.by)
    quota = asked.quotas.groupby("group")["quota"].sum().reindex(select.groups)
    booked = asked.won.groupby("group")["amount"].sum().reindex(select.groups).fillna(0.0)
    left = quota - (0.0 if over else booked)
    rows = _pipeline_value(select)
    figures = ["value", "low", "high"]
    rows[figures] = rows[figures].div(left.where(left > 0), axis="index")
    rows = noted(rows, left.gt(0).astype(int), f"against the quota {'of' if over else 'left in'} {target}")
    met, unset = f"the quota of {target} is met already", f"no quota for {target}"
    reasons = [met if known else unset for known in quota.notna()]
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
        estimator=_dead_pipeline,
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
