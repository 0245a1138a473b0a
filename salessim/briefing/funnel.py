"""Where leads come from, what becomes of them, and where the funnel is narrowest [A7]."""

from __future__ import annotations

import math

import pandas as pd

from salessim import formats, measures
from salessim.briefing.prepared import Briefing

__all__ = ["bottleneck_finding", "lead_funnel", "sources_table"]


def lead_funnel(briefing: Briefing) -> pd.DataFrame:
    """From lead to win over the whole export: columns step, number, conversion (share of the step before;
    NaN for the first). Empty where the export has no leads."""
    leads = briefing.tables.leads
    if leads.empty:
        return pd.DataFrame({"step": [], "number": [], "conversion": []})
    won = briefing.tables.opportunities
    won_ids = set(won.loc[won["status"] == "won", "opportunity_id"])
    has_deal = leads["opportunity_id"].notna()
    numbers = {
        "leads": len(leads),
        "MQL": int(leads["mql"].notna().sum()),
        "SQL": int(leads["sql"].notna().sum()),
        "opportunities": int(has_deal.sum()),
        "won": int(leads["opportunity_id"].isin(won_ids).sum()),
    }
    frame = pd.DataFrame({"step": list(numbers), "number": list(numbers.values())})
    frame["conversion"] = frame["number"] / frame["number"].shift()
    return frame


def sources_table(briefing: Briefing) -> str:
    """What each source brought and what became of it, over the whole export (Markdown table) [A7]."""
    tables = briefing.tables
    if tables.opportunities["source"].isna().all():
        return "The export has no lead source."
    columns = {
        "deals won": "won_count",
        "won value": "won_value",
        "won of closed": "win_rate_closed",
        "median deal": "median_deal_size",
    }
    if not tables.leads.empty:
        columns = {"leads": "leads", "lead to MQL": "lead_to_mql", "MQL to SQL": "mql_to_sql"} | columns
    found = {
        label: measures.measure(name, tables, by="source").set_index("source")
        for label, name in columns.items()
    }
    sources = found["won value"]["value"].sort_values(ascending=False).index
    rows = []
    for source in sources:
        cells = []
        for label, name in columns.items():
            row = found[label].reindex([source]).iloc[0]
            unit = measures.CATALOGUE[name].unit
            text = formats.figure(float(row["value"]), unit, briefing.currency)
            if unit == "share" and math.isfinite(row["low"]):
                text += f" ({formats.span(row['low'], row['high'], unit)})"
            cells.append(text)
        rows.append([source, *cells])
    return formats.table(["source", *columns], rows)


def bottleneck_finding(briefing: Briefing) -> str:
    """The narrowest stage of the quarter against the export's own norm, in a sentence (Markdown)."""
    found = measures.bottleneck(briefing.tables, quarter=briefing.quarter)
    if not found.stage or found.estimate is None:
        return f"No bottleneck can be named: {found.reason}."
    unit = "share" if found.kind == "conversion" else "days"
    now = formats.figure(found.estimate.value, unit)
    spread = formats.span(found.estimate.low, found.estimate.high, unit)
    norm = formats.figure(found.norm, unit)
    verdict = "more than luck explains" if found.beyond_luck else "no more than luck explains"
    what = "moves on" if unit == "share" else "is the median stay"
    return (
        f"**The stage furthest from its norm in {briefing.quarter} is *{found.stage}***: {now} {what} "
        f"({formats.percent(measures.LEVEL)} interval {spread}, n = {formats.count(found.estimate.n)}), "
        f"against {norm} over the whole export; {verdict}."
    )
