"""From lead to deal: what becomes of leads, and of deals from stage to stage."""

from __future__ import annotations

import numpy as np
import pandas as pd

from salessim.measures.coverage import INCOMPLETE
from salessim.measures.entry import Estimator, Measure
from salessim.measures.facts import Facts
from salessim.measures.selection import DEAL_CUTS, LEAD_CUTS, Selection, noted
from salessim.measures.survival import LifeTable

__all__ = ["FUNNEL", "reached", "won_amount", "young"]

#: A conversion is said to be unfinished where more than this share has neither moved on nor been lost.
_MOST_UNSETTLED = 0.05


def _lead_count(column: str) -> Estimator:
    return lambda select: select.counts(select.leads(column))


def reached(facts: Facts, leads: pd.DataFrame, step: str) -> tuple[pd.Series, pd.Series]:
    """Which leads have reached a step (mql, sql, opportunity, won) so far, and when (NaT: not known)."""
    if step in ("mql", "sql"):
        return leads[step].notna(), leads[step]
    deal, known = leads["deal"].to_numpy(), leads["deal"].to_numpy() >= 0
    column = "created" if step == "opportunity" else "closed"
    days = np.full(len(leads), np.datetime64("NaT"), dtype="datetime64[ns]")
    days[known] = facts.deals[column].to_numpy()[deal[known]]
    if step == "opportunity":
        return leads["linked"], pd.Series(days, index=leads.index)
    won = np.zeros(len(leads), dtype=bool)
    won[known] = (facts.deals["status"] == "won").to_numpy()[deal[known]]
    return pd.Series(won, index=leads.index), pd.Series(days, index=leads.index).where(won)


def young(facts: Facts, leads: pd.DataFrame, column: str, step: str) -> pd.Series:
    """Which leads have not reached a step, and are younger than one in twenty was when it did."""
    everyone = facts.leads
    waits = (reached(facts, everyone, step)[1] - everyone[column]).quantile(0.95)
    age = pd.Timestamp(facts.tables.as_of) - leads[column]
    still: pd.Series = ~reached(facts, leads, step)[0] & (age < waits)
    return still


def _young_leads(
    rows: pd.DataFrame, select: Selection, leads: pd.DataFrame, column: str, step: str
) -> pd.DataFrame:
    still = leads[young(select.facts, leads, column, step)]
    return noted(rows, select.totals(still), f"{{}} of them are young and can still move on ({INCOMPLETE})")


def _lead_share(column: str, step: str, *, of: str) -> Estimator:
    def estimate(select: Selection) -> pd.DataFrame:
        leads = select.leads(column)
        rows = select.shares(reached(select.facts, leads, step)[0], leads["group"], of=of)
        return _young_leads(rows, select, leads, column, step)

    return estimate


def won_amount(facts: Facts, leads: pd.DataFrame) -> pd.Series:
    """What each lead has brought so far, in the currency of the tables; 0 where nothing was won."""
    # the last entry stands for a lead without a deal
    amount = np.append(facts.deals["amount"].to_numpy(), 0.0)[leads["deal"].to_numpy()]
    won = reached(facts, leads, "won")[0].to_numpy()
    return pd.Series(np.where(won, np.nan_to_num(amount), 0.0), index=leads.index)


def _value_per_lead(select: Selection) -> pd.DataFrame:
    leads = select.leads("created")
    rows = select.means(won_amount(select.facts, leads), leads["group"], of="leads created")
    return _young_leads(rows, select, leads, "created", "won")


def _stage_conversion(select: Selection) -> pd.DataFrame:
    times = select.times(select.facts.passages)
    share, low, high = times.moved_on()
    rows = select.result(share, times.exits(), low=low, high=high, of="deals that left the stage")
    rows = _cut_off_noted(rows, select, times)
    unsettled = pd.Series(np.round(100 * times.still_there()), index=select.groups)
    unsettled = unsettled.where((unsettled > 100 * _MOST_UNSETTLED) & (rows["n"] > 0), 0)
    return noted(
        rows, unsettled, "{} % neither moved on nor were lost at the highest age seen: a lower bound"
    )


def _cut_off_noted(rows: pd.DataFrame, select: Selection, times: LifeTable) -> pd.DataFrame:
    later = pd.Series(times.cut_off(), index=select.groups)
    return noted(rows, later, "{} more left later than all who were seen from the start: not counted")


def _stage_days(select: Selection) -> pd.DataFrame:
    stays = select.facts.stays
    reversed_dates = stays["end_day"] < stays["entered_day"]
    times = select.times(stays[~reversed_dates])
    median, low, high = times.quantile(0.5)
    rows = select.result(median, times.exits(), low=low, high=high, of="stays that ended")
    rows = _cut_off_noted(rows, select, times)
    waiting = (np.isnan(median) & (times.exits() > 0)).astype(int)
    rows = noted(rows, pd.Series(waiting, index=select.groups), "fewer than half have left yet")
    wrong = stays[reversed_dates]
    ends = pd.Series(wrong["end_day"].to_numpy("datetime64[D]").astype("datetime64[ns]"), index=wrong.index)
    wrong, ends = wrong[select.in_period(ends)], ends[select.in_period(ends)]
    group = select.group(
        "opportunities", wrong["deal"].to_numpy(), dates=ends, stages=wrong["stage"].to_numpy()
    )
    counted = np.bincount(group[group >= 0], minlength=len(select.groups))
    return noted(
        rows, pd.Series(counted, index=select.groups), "{} stay(s) that end before they begin left out"
    )


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
        name="lead_to_opportunity",
        label="Lead to opportunity",
        unit="share",
        better="higher",
        definition=(
            "Of the leads created in the period, the share that has become an opportunity so far [A7]."
        ),
        needs=("leads", "leads.opportunity_id"),
        cuts=LEAD_CUTS,
        estimator=_lead_share("created", "opportunity", of="leads created"),
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
            "Chance that a deal in a stage moves on to a later one or is won, not lost, at the pace of the "
            "period (Aalen-Johansen): deals still in the stage count as long as they were seen, and what "
            "never settles has not moved on. Each deal passes a stage once; who skips one has passed it [A7]."
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
        definition=(
            "Half of the stays in a stage are at most this long at the pace of the period (Kaplan-Meier): "
            "deals still in the stage count as long as they were seen. Each return to a stage is a stay of "
            "its own [A8]."
        ),
        needs=("stage_history",),
        cuts=(*DEAL_CUTS, "stage"),
        estimator=_stage_days,
    ),
)
