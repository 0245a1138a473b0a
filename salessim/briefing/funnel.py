"""Where leads come from, what becomes of them, and where the funnel is narrowest [A7]."""

from __future__ import annotations

import math
from collections.abc import Hashable
from typing import Any

import pandas as pd

from salessim import formats, measures
from salessim.briefing.prepared import Briefing

__all__ = [
    "bottleneck_finding",
    "cohorts_table",
    "lead_cohorts",
    "lead_funnel",
    "sources_table",
    "stage_gaps_table",
    "stage_survival",
    "stage_times_table",
]

#: A step in conversion that is worth a thought.
_FIVE_POINTS = 0.05


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
    }
    if not tables.leads.empty:
        columns = {"leads": "leads"} | columns | {"won per lead": "value_per_lead"}
    else:
        columns |= {"median deal": "median_deal_size"}
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
            if unit == "money":
                text = formats.money(float(row["value"]), briefing.currency, short=True)
            cells.append(text)
            if name == "win_rate_closed":
                cells.append(formats.span(float(row["low"]), float(row["high"]), unit))
        rows.append([source, *cells])
    header = ["source", *columns]
    header.insert(header.index("won of closed") + 1, f"{formats.percent(measures.LEVEL)} interval")
    return formats.table(header, rows)


def bottleneck_finding(briefing: Briefing) -> str:
    """The narrowest stage of the quarter against the export's own norm, and its cost (Markdown)."""
    found = measures.bottleneck(briefing.tables, quarter=briefing.quarter)
    if not found.stage:
        return f"No bottleneck can be named: {found.reason}.{_lever(briefing)}"
    unit = "share" if found.kind == "conversion" else "days"
    now = formats.figure(found.estimate.value, unit)
    spread = formats.span(found.estimate.low, found.estimate.high, unit)
    norm = formats.figure(found.norm, unit)
    verdict = "more than luck explains" if found.beyond_luck else "no more than luck explains"
    what = "moves on" if unit == "share" else "is the median stay"
    return (
        f"**The stage furthest from its norm in {briefing.quarter} is *{found.stage}***: {now} {what} "
        f"({formats.percent(measures.LEVEL)} interval {spread}, n = {formats.count(found.estimate.n)}), "
        f"against {norm} over the whole export; {verdict}.{_cost(briefing, found)}"
    )


def _cost(briefing: Briefing, found: measures.Bottleneck) -> str:
    """What the bottleneck costs, in a sentence; empty where no quarter is complete."""
    gain = found.gain
    if not math.isfinite(gain.value):
        return ""
    many = f"the mean of the last {gain.n} complete ones" if gain.n > 1 else "the only complete one"
    usual = f"a usual quarter ({briefing.money(found.usual_quarter)}, {many})"
    spread = formats.span(gain.low, gain.high, "money", briefing.currency)
    if found.kind == "conversion":
        return f" At its norm {usual} would book {briefing.money(gain.value)} more ({spread})."
    return (
        f" At its norm deals would close earlier, and {usual} would book {briefing.money(gain.value)} more "
        f"({spread}), once: those deals are then missing later."
    )


def _lever(briefing: Briefing) -> str:
    """What a little more conversion would bring where fewest move on; empty without a stage history."""
    times = measures.stage_times(briefing.tables)
    known = times[times["conversion"].between(0.0, 1.0 - _FIVE_POINTS, inclusive="right")]
    if known.empty:
        return ""
    least = known.sort_values("conversion", kind="stable").iloc[0]
    stage, share = str(least["stage"]), float(least["conversion"])
    norms = {stage: measures.StageNorm(conversion=share + _FIVE_POINTS)}
    found = measures.bottleneck(briefing.tables, norms=norms)
    if not math.isfinite(found.gain.value):
        return ""
    return (
        f" Over the whole export fewest move on from *{stage}* ({formats.percent(share, digits=1)}): five "
        f"points more there would bring a usual quarter ({briefing.money(found.usual_quarter)}) "
        f"{briefing.money(found.gain.value)} more."
    )


def stage_gaps_table(briefing: Briefing) -> str:
    """Each stage of the quarter beside what it usually does, and the cost of the gap (Markdown)."""
    gaps = measures.stage_gaps(briefing.tables, quarter=briefing.quarter)
    if gaps.empty:
        return "There are no stages to compare with what is usual."
    rows = []
    for row in gaps.to_dict("records"):
        unit = "share" if row["kind"] == "conversion" else "days"
        short = row["shortfall"] > 0
        cost = formats.money(row["gain"], briefing.currency, short=True) if short else formats.MISSING
        if short and math.isfinite(row["gain_low"]):
            low, high = (formats.money(row[end], "", short=True) for end in ("gain_low", "gain_high"))
            cost += f" ({low} to {high})"
        verdict = "yes" if row["beyond_luck"] else "no"
        rows.append(
            [
                f"{row['stage']}: {'moves on' if unit == 'share' else 'median stay'}",
                formats.figure(row["value"], unit),
                formats.span(row["low"], row["high"], unit),
                formats.count(row["n"]),
                formats.figure(row["norm"], unit),
                verdict if short else formats.MISSING,
                cost,
            ]
        )
    header = ["stage", str(briefing.quarter), f"{formats.percent(measures.LEVEL)} interval", "n", "usual"]
    return formats.table([*header, "worse beyond luck", "lost per quarter"], rows)


def stage_times_table(briefing: Briefing) -> str:
    """How many move on from each stage and how long deals stay, over the whole export (Markdown table)."""
    times = measures.stage_times(briefing.tables)
    if times.empty:
        return "The export has no stage history: conversion and time by stage are not known."
    rows = []
    for row in times[times["stays"] > 0].to_dict("records"):

        def days(name: str, row: dict[Hashable, Any] = row) -> str:
            text = formats.days(row[name])
            if math.isfinite(row[f"{name}_low"]) and row[f"{name}_low"] < row[f"{name}_high"]:
                text += f" ({formats.span(row[f'{name}_low'], row[f'{name}_high'], 'days')})"
            return text

        share = formats.percent(row["conversion"], digits=1)
        if math.isfinite(row["conversion_low"]):
            share += f" ({formats.span(row['conversion_low'], row['conversion_high'], 'share')})"
        numbers = [formats.count(row[name]) for name in ("moved_on", "lost", "still_there")]
        quantiles = [days(name) for name in ("p25_days", "median_days", "p75_days")]
        rows.append([row["stage"], *numbers, share, *quantiles])
    header = ["stage", "moved on", "lost", "still there", "conversion"]
    return formats.table(
        [*header, "a quarter leave within", "half leave within", "three quarters leave within"], rows
    )


def stage_survival(briefing: Briefing) -> pd.DataFrame:
    """How long deals stay in each stage, as :func:`salessim.measures.stage_survival` gives it."""
    return measures.stage_survival(briefing.tables)


def lead_cohorts(briefing: Briefing) -> pd.DataFrame:
    """What became of the leads of each month, as :func:`salessim.measures.lead_cohorts` gives it."""
    return measures.lead_cohorts(briefing.tables, by=None)


def cohorts_table(briefing: Briefing) -> str:
    """Leads by quarter and source with what became of them so far, and whether that is settled (Markdown)."""
    by = None if briefing.tables.leads["source"].isna().all() else "source"
    found = measures.lead_cohorts(briefing.tables, by=by, period="quarter")
    if found.empty:
        return "The export has no leads."
    latest = found["quarter"].drop_duplicates().tail(4)
    steps = ["lead_to_mql", "mql_to_sql", "sql_to_opportunity", "opportunity_to_won", "lead_to_won"]
    rows = []
    for row in found[found["quarter"].isin(latest)].to_dict("records"):
        shares = [formats.percent(row[name]) for name in steps]
        shares[-1] = formats.percent(row["lead_to_won"], digits=1)
        interval = formats.span(row["lead_to_won_low"], row["lead_to_won_high"], "share")
        waiting = formats.count(row["can_still_win"]) if row["can_still_win"] else "settled"
        group = f"{row['quarter']} {row['source']}" if by else row["quarter"]
        rows.append([group, formats.count(row["leads"]), *shares, interval, waiting])
    header = ["leads of", "leads", "to MQL", "MQL to SQL", "SQL to opp.", "opp. to won", "lead to won"]
    header += [f"{formats.percent(measures.LEVEL)} interval", "can still win"]
    return formats.table(header, rows)
