"""How deals go through the stages: how long they stay, and how many move on, with open deals counted."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from salessim.measures.catalogue import CATALOGUE, measure
from salessim.measures.coverage import check_quarter
from salessim.measures.facts import MOVED_ON, STILL_THERE
from salessim.measures.selection import Selection
from salessim.measures.survival import LifeTable
from salessim.periods import Quarter

if TYPE_CHECKING:
    from salessim.crm import Tables

__all__ = ["stage_survival", "stage_times"]

_QUANTILES = {"p25_days": 0.25, "median_days": 0.5, "p75_days": 0.75}


def stage_times(tables: Tables, *, quarter: Quarter | None = None) -> pd.DataFrame:
    """How many move on from each stage, and how long they stay there [A7, A8].

    *Conversion* counts each deal once per stage: from its first entry until it first enters a later stage or
    is won (moved on), is lost, or is still there on the day of the export (censored); by Aalen and Johansen,
    since a deal can leave in two ways. Going back to an earlier stage ends nothing, and who skips a stage has
    passed it, so that the conversions of all stages multiply to the share of deals that is won; calibration
    counts in the same way. *Days* count each stay, also a second one after a return, until the deal enters
    another stage or closes; by Kaplan and Meier, so that deals which are still there count as long as they
    have been. For a quarter, both are at the pace of what happened in it.

    Args:
        tables: what :func:`salessim.crm.read` returns.
        quarter: the period; None is all time.

    Returns:
        One row per stage, in their order, also for stages without a deal: stage, moved_on, lost, still_there
        (deals), conversion, conversion_low, conversion_high, stays (that ended), p25_days, median_days,
        p75_days each with _low and _high, and moving_median_days (half of those that move on have done so by
        then). NaN: too few have left to tell. Empty where the export has no stage history.

    Raises:
        DataError: the export has no data for the quarter.

    >>> from salessim.crm import read
    >>> from salessim.library import example_crm
    >>> rows = stage_times(read(example_crm()))
    >>> rows["stage"].tolist()
    ['cold lead', 'warm lead', 'potential deal', 'closing deal']
    """
    if quarter is not None:
        check_quarter(tables, quarter)
    columns = ["stage", "moved_on", "lost", "still_there", "conversion", "conversion_low", "conversion_high"]
    columns += ["stays", *(f"{name}{end}" for name in _QUANTILES for end in ("", "_low", "_high"))]
    columns += ["moving_median_days"]
    select = Selection(tables, quarter, ("stage",))
    if CATALOGUE["stage_conversion"].why_not(select):
        return pd.DataFrame({name: pd.Series(dtype=object if name == "stage" else float) for name in columns})
    moved = measure("stage_conversion", tables, quarter=quarter, by="stage").set_index("stage")
    passages = select.looks(select.facts.passages)
    ends = np.bincount(passages[0] * 3 + passages[3], minlength=3 * len(select.groups)).reshape(-1, 3)
    moving = select.times(select.facts.passages).moved_on_quantile(0.5)
    staying = _stays(select)
    stays, days = staying.exits(), {name: staying.quantile(share) for name, share in _QUANTILES.items()}
    rows = []
    for place, stage in enumerate(tables.stages):
        row = {"stage": stage, "moved_on": ends[place, MOVED_ON], "still_there": ends[place, STILL_THERE]}
        row["lost"] = ends[place].sum() - row["moved_on"] - row["still_there"]
        row |= {f"conversion{end}": moved[key][stage] for end, key in _ENDS.items()}
        row["stays"] = int(stays[place])
        for name, found in days.items():
            row |= {f"{name}{end}": part[place] for end, part in zip(_ENDS, found, strict=True)}
        rows.append(row | {"moving_median_days": moving[place]})
    return pd.DataFrame(rows)[columns]


_ENDS = {"": "value", "_low": "low", "_high": "high"}


def stage_survival(tables: Tables, *, quarter: Quarter | None = None) -> pd.DataFrame:
    """The share of deals that are still in a stage after so many days, by Kaplan and Meier.

    Args:
        tables: what :func:`salessim.crm.read` returns.
        quarter: the period whose pace counts; None is all time.

    Returns:
        Columns stage, days, still_there, low, high: one row for each day on which something happened, from
        day 0 on, stage after stage. Empty where the export has no stage history.

    Raises:
        DataError: the export has no data for the quarter.

    >>> from salessim.crm import read
    >>> from salessim.library import example_crm
    >>> curves = stage_survival(read(example_crm()))
    >>> curves["still_there"].between(0, 1).all().item(), curves["stage"].unique().tolist()
    (True, ['potential deal', 'closing deal'])
    """
    if quarter is not None:
        check_quarter(tables, quarter)
    select = Selection(tables, quarter, ("stage",))
    parts = [pd.DataFrame({"stage": pd.Series(dtype=object)}).reindex(columns=["stage", *_CURVE])]
    if not CATALOGUE["stage_conversion"].why_not(select):
        times = _stays(select)
        for place in np.unique(times.group):
            own = (times.group == place) & (times.before > 0)
            part = pd.DataFrame(dict(zip(_CURVE, (times.age, times.survival, *times.limits()), strict=True)))
            part = part[own].astype(float)
            if part["days"].iloc[0] > 0:
                part = pd.concat([pd.DataFrame([[0.0, 1.0, 1.0, 1.0]], columns=list(_CURVE)), part])
            part["stage"] = tables.stages[place]
            parts.append(part[["stage", *_CURVE]])
    return pd.concat([part for part in parts if len(part)] or parts, ignore_index=True)


_CURVE = ("days", "still_there", "low", "high")


def _stays(select: Selection) -> LifeTable:
    """What happened to the stays in each stage; those that end before they begin are left out."""
    stays = select.facts.stays
    return select.times(stays[stays["end_day"] >= stays["entered_day"]])
