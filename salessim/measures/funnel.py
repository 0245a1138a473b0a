"""From lead to deal: what becomes of leads, and of deals from stage to stage."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from salessim.measures.coverage import INCOMPLETE
from salessim.measures.entry import Estimator, Measure
from salessim.measures.selection import DEAL_CUTS, LEAD_CUTS, Selection, noted

if TYPE_CHECKING:
    from salessim.crm import Tables

__all__ = ["FUNNEL"]


def _lead_count(column: str) -> Estimator:
    return lambda select: select.counts(select.leads(column))


def _reached(tables: Tables, leads: pd.DataFrame, step: str) -> tuple[pd.Series, pd.Series]:
    """Which leads have reached a step (mql, sql, opportunity, won) so far, and on which day."""
    if step in ("mql", "sql"):
        return leads[step].notna(), leads[step]
    deals = tables.opportunities.set_index("opportunity_id")
    if step == "opportunity":
        return leads["opportunity_id"].notna(), leads["opportunity_id"].map(deals["created"])
    won = deals[deals["status"] == "won"]
    return leads["opportunity_id"].isin(won.index), leads["opportunity_id"].map(won["closed"])


def _young_leads(
    rows: pd.DataFrame, select: Selection, leads: pd.DataFrame, column: str, step: str
) -> pd.DataFrame:
    """Note how many leads have not reached a step, and are younger than one in twenty was when it did."""
    everyone = select.tables.leads
    waits = (_reached(select.tables, everyone, step)[1] - everyone[column]).quantile(0.95)
    age = pd.Timestamp(select.tables.as_of) - leads[column]
    young = leads[~_reached(select.tables, leads, step)[0] & (age < waits)]
    return noted(
        rows, young.groupby("group").size(), f"{{}} of them are young and can still move on ({INCOMPLETE})"
    )


def _lead_share(column: str, step: str, *, of: str) -> Estimator:
    def estimate(select: Selection) -> pd.DataFrame:
        leads = select.leads(column)
        rows = select.shares(_reached(select.tables, leads, step)[0], leads["group"], of=of)
        return _young_leads(rows, select, leads, column, step)

    return estimate


def _value_per_lead(select: Selection) -> pd.DataFrame:
    leads = select.leads("created")
    deals = select.tables.opportunities
    booked = deals[deals["status"] == "won"].set_index("opportunity_id")["amount"]
    amount = leads["opportunity_id"].map(booked).astype(float).fillna(0.0)
    rows = select.means(amount, leads["group"], of="leads created")
    return _young_leads(rows, select, leads, "created", "won")


def _stage_conversion(select: Selection) -> pd.DataFrame:
    visits = select.visits
    entered = select.dated(visits[visits["first"]], "entered")
    ended = entered[~entered["undecided"]]
    rows = select.shares(ended["moved_on"], ended["group"], of="deals that left the stage")
    there = entered[entered["undecided"]].groupby("group").size()
    return noted(rows, there, "{} deal(s) still in the stage not counted")


def _stage_days(select: Selection) -> pd.DataFrame:
    visits = select.visits
    ended = select.dated(visits, "left")
    days = (ended["left"] - ended["entered"]).dt.days.astype(float)
    rows = select.medians(days.where(days >= 0), ended["group"], of="stays that ended")
    reversed_dates = (days < 0).groupby(ended["group"]).sum()
    rows = noted(rows, reversed_dates, "{} stay(s) that end before they begin left out")
    staying = visits[visits["left"].isna() & (visits["status"] == "open")]
    if select.by == "quarter":  # who is still there has left in no quarter
        return rows
    return noted(rows, select.group(staying).value_counts(), "{} deal(s) still in the stage not counted")


#: Entries of the catalogue.
FUNNEL = (
    Measure(
        name="leads",
        label="Leads",
        unit="count",
        better="higher",
        definition="Number of leads created in the period [A7].",
        needs=("leads",),
        cuts=LEAD_CUTS,
        estimator=_lead_count("created"),
    ),
    Measure(
        name="mql_count",
        label="MQL",
        unit="count",
        better="higher",
        definition="Number of leads that marketing qualified in the period, by date of MQL [A8].",
        needs=("leads", "leads.mql"),
        cuts=LEAD_CUTS,
        estimator=_lead_count("mql"),
    ),
    Measure(
        name="sql_count",
        label="SQL",
        unit="count",
        better="higher",
        definition="Number of leads that sales accepted in the period, by date of SQL [A8].",
        needs=("leads", "leads.sql"),
        cuts=LEAD_CUTS,
        estimator=_lead_count("sql"),
    ),
    Measure(
        name="lead_to_mql",
        label="Lead to MQL",
        unit="share",
        better="higher",
        definition="Of the leads created in the period, the share that has become an MQL so far [A7].",
        needs=("leads", "leads.mql"),
        cuts=LEAD_CUTS,
        estimator=_lead_share("created", "mql", of="leads created"),
    ),
    Measure(
        name="mql_to_sql",
        label="MQL to SQL",
        unit="share",
        better="higher",
        definition=(
            "Of the leads that became an MQL in the period, the share that has become an SQL so far; 100 "
            "MQL of which 50 become SQL are 50 % [A7]."
        ),
        needs=("leads", "leads.mql", "leads.sql"),
        cuts=LEAD_CUTS,
        estimator=_lead_share("mql", "sql", of="MQL"),
    ),
    Measure(
        name="sql_to_opportunity",
        label="SQL to opportunity",
        unit="share",
        better="higher",
        definition=(
            "Of the leads that became an SQL in the period, the share that has become an opportunity so "
            "far; 30 demos of 50 SQL are 60 % [A7]."
        ),
        needs=("leads", "leads.sql", "leads.opportunity_id"),
        cuts=LEAD_CUTS,
        estimator=_lead_share("sql", "opportunity", of="SQL"),
    ),
    Measure(
        name="lead_to_won",
        label="Lead to deal won",
        unit="share",
        better="higher",
        definition=(
            "Of the leads created in the period, the share that has ended in a deal won so far [A7]."
        ),
        needs=("leads", "leads.opportunity_id"),
        cuts=LEAD_CUTS,
        estimator=_lead_share("created", "won", of="leads created"),
    ),
    Measure(
        name="value_per_lead",
        label="Won value per lead",
        unit="money",
        better="higher",
        definition=(
            "Amount won so far from the leads created in the period ÷ their number; two sources with "
            "equally many leads can differ wholly in value [A7]."
        ),
        needs=("leads", "leads.opportunity_id"),
        cuts=LEAD_CUTS,
        estimator=_value_per_lead,
    ),
    Measure(
        name="stage_conversion",
        label="Stage conversion",
        unit="share",
        better="higher",
        definition=(
            "Of the deals that entered a stage in the period and have left it, the share that moved on to a "
            "later stage or was won; deals still in the stage are not counted [A7]."
        ),
        needs=("stage_history",),
        cuts=(*DEAL_CUTS, "stage"),
        estimator=_stage_conversion,
    ),
    Measure(
        name="stage_days",
        label="Median days in stage",
        unit="days",
        better="lower",
        definition="Half of the stays in a stage that ended in the period were at most this long [A8].",
        needs=("stage_history",),
        cuts=(*DEAL_CUTS, "stage"),
        estimator=_stage_days,
    ),
)
