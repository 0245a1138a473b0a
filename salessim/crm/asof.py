"""An export as it would have looked on an earlier day, so that a past quarter can be reported as it was."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import numpy as np
import pandas as pd

from salessim.crm.canonical import Tables
from salessim.errors import DataError

__all__ = ["as_seen_on"]


def as_seen_on(tables: Tables, day: date) -> Tables:
    """The tables as they stood at the end of an earlier day.

    What was created later is left out; deals that closed later are open again, with no amount, since the
    booked amount was not known yet. Deals that were open on the day are in the stage that the stage history
    tells for it, or in the first one where it tells of later stages only; without any history, deals that are
    still open keep their stage. Deals without a date of creation stay, and so does evidence without a date.
    Amounts, owners and next steps are today's: a CRM export does not tell their past.

    Raises:
        DataError: where the day lies after the day of the export, or before its first deal.
    """
    if day > tables.as_of:
        raise DataError(f"as of {day}: the export was taken on {tables.as_of} and cannot tell of later days")
    if day == tables.as_of:
        return tables
    last = pd.Timestamp(day)
    first = tables.opportunities["created"].min()
    if last < first:
        raise DataError(f"as of {day}: the first deal of the export was created on {first.date()}")

    def until(frame: pd.DataFrame, column: str) -> pd.DataFrame:
        return frame[frame[column].isna() | (frame[column] <= last)]

    history = tables.stage_history[tables.stage_history["entered"] <= last]
    deals = until(tables.opportunities, "created").copy()
    reopened = deals["closed"] > last
    open_stages = history[history["stage"].isin(tables.stages)].sort_values("entered", kind="stable")
    latest = open_stages.groupby("opportunity_id")["stage"].last()
    stage = deals["opportunity_id"].map(latest).fillna(tables.stages[0])
    told = deals["opportunity_id"].isin(tables.stage_history["opportunity_id"])
    reset = reopened | ((deals["status"] == "open") & told)
    deals.loc[reset, "stage"] = stage[reset]
    deals.loc[reopened, "status"] = "open"
    deals.loc[reopened, "closed"] = pd.NaT
    deals.loc[reopened, "amount"] = np.nan
    deals.loc[reopened, "lost_reason"] = None
    leads = until(tables.leads, "created").copy()
    for column in ("mql", "sql"):
        leads.loc[leads[column] > last, column] = pd.NaT
    leads.loc[~leads["opportunity_id"].isin(deals["opportunity_id"]), "opportunity_id"] = None
    return replace(
        tables,
        opportunities=deals.reset_index(drop=True),
        leads=leads.reset_index(drop=True),
        stage_history=history.reset_index(drop=True),
        evidence=until(tables.evidence, "noted").reset_index(drop=True),
        as_of=day,
    )
