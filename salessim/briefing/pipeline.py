"""Chapter 1: where the pipeline stands and what it will close, in sentences and tables."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from salessim import formats, measures
from salessim.briefing.prepared import Briefing, bullets
from salessim.crm import Tables
from salessim.engine import HORIZON, simulate
from salessim.periods import Quarter

__all__ = [
    "bookings_table",
    "data_quality",
    "forecast",
    "forecast_table",
    "measured",
    "measures_table",
    "measures_text",
    "open_pipeline",
    "pipeline_findings",
    "team_bookings",
    "team_win_rate",
    "win_rates_by_rep",
]


def measured(briefing: Briefing, *, benchmarks: Mapping[str, float] | None = None) -> pd.DataFrame:
    """All measures of the quarter, as :func:`salessim.measures.overview` gives them."""
    return measures.overview(briefing.tables, quarter=briefing.quarter, benchmarks=benchmarks)


def forecast(briefing: Briefing) -> pd.DataFrame:
    """What the coming quarters will book: one row per quarter with expected, p10, p50, p90 (currency), and
    from_open_deals, the expected part that comes from deals which are open today."""
    rows = []
    without = simulate(briefing.scenario.model_copy(update={"pipeline": ()}))
    for period in briefing.outcome.periods:
        p10, p50, p90 = briefing.outcome.team_quantiles([0.1, 0.5, 0.9], period)
        expected = float(briefing.outcome.expected_bookings(period).sum())
        # the exact engine's mean needs no sampling, whichever engine made the outcome
        from_new = float(without.expected_bookings(period).sum())
        known = float(simulate(briefing.scenario).expected_bookings(period).sum())
        rows.append([period, expected, p10, p50, p90, known - from_new])
    return pd.DataFrame(rows, columns=["quarter", "expected", "p10", "p50", "p90", "from_open_deals"])


def bookings_table(briefing: Briefing) -> str:
    """Deals won and their value by quarter, then the whole export in one sentence (Markdown)."""
    tables = briefing.tables
    rates = measures.measure("win_rate_closed", tables, by="quarter").set_index("quarter")
    rows = [
        [
            row["quarter"] + (" (incomplete data)" if row["partial"] else ""),
            formats.count(row["won_count"]),
            formats.money(row["won_value"], briefing.currency),
            formats.percent(float(rates["value"][row["quarter"]]), digits=1),
            formats.span(float(rates["low"][row["quarter"]]), float(rates["high"][row["quarter"]]), "share"),
        ]
        for row in measures.bookings_by_quarter(tables).to_dict("records")
    ]
    header = ["quarter", "deals won", "won value", "won of closed", "80 % interval"]
    return f"{formats.table(header, rows)}\n\n{_whole_export(briefing)}"


def _whole_export(briefing: Briefing) -> str:
    deals = briefing.tables.opportunities
    by_status = deals["status"].value_counts()
    won, lost = (int(by_status.get(status, 0)) for status in ("won", "lost"))
    value = float(deals.loc[deals["status"] == "won", "amount"].sum())
    stages = measures.pipeline_by_stage(briefing.tables).to_dict("records")
    open_deals = ", ".join(
        f"{formats.count(row['deals'])} in *{row['stage']}*" for row in stages if row["deals"]
    )
    return (
        f"The whole export holds {formats.count(len(deals))} opportunities: {formats.count(won)} won for "
        f"{formats.money(value, briefing.currency)}, {formats.count(lost)} lost, open "
        f"{open_deals or 'none'}. Of the closed ones "
        f"{formats.percent(measures.conversion(won, won + lost), digits=1)} were won."
    )


def forecast_table(briefing: Briefing) -> str:
    """The forecast of all simulated quarters (Markdown table)."""
    rows = [
        [
            row["quarter"],
            formats.money(row["expected"], briefing.currency),
            formats.span(row["p10"], row["p90"], "money", briefing.currency),
            formats.money(row["from_open_deals"], briefing.currency),
        ]
        for row in forecast(briefing).to_dict("records")
    ]
    return formats.table(["quarter", "expected bookings", "in 8 of 10 cases", "from deals open today"], rows)


def open_pipeline(briefing: Briefing) -> pd.DataFrame:
    """What is open in each stage, weighed with the chance to be won by stage and age: columns stage, deals,
    value, weighted_value (currency). Stages of the CRM without an open deal are left out."""
    stages = measures.pipeline_by_stage(briefing.tables)
    stages = stages[stages["deals"] > 0].reset_index(drop=True)
    worth = _weighted_by_stage(briefing)
    stages["weighted_value"] = stages["stage"].map(worth)
    return stages


def _weighted_by_stage(briefing: Briefing) -> dict[str, float]:
    """Expected bookings over the horizon from the deals that are open in each stage of the CRM."""
    worth: dict[str, float] = {}
    for stage in {deal.stage for deal in briefing.scenario.pipeline}:
        pipeline = tuple(deal for deal in briefing.scenario.pipeline if deal.stage == stage)
        segments = tuple(part.model_copy(update={"sources": ()}) for part in briefing.scenario.segments)
        alone = briefing.scenario.model_copy(update={"pipeline": pipeline, "segments": segments})
        worth[stage] = float(simulate(alone).expected_bookings(HORIZON).sum())
    return worth


def win_rates_by_rep(briefing: Briefing) -> pd.DataFrame:
    """Win rate of each seller among the deals closed in the quarter, as :func:`measures.measure` gives it."""
    rates = measures.measure("win_rate_closed", briefing.tables, quarter=briefing.quarter, by="rep")
    return rates[rates["n"] > 0]


def team_win_rate(briefing: Briefing) -> float:
    """Win rate of the team among the deals closed in the quarter."""
    rate = measures.measure("win_rate_closed", briefing.tables, quarter=briefing.quarter)
    return float(rate["value"].iloc[0])


def measures_table(briefing: Briefing, *, benchmarks: Mapping[str, float] | None = None) -> str:
    """All measures of the quarter with intervals, sample sizes and reasons where there is none (Markdown)."""
    return measures.overview_table(measured(briefing, benchmarks=benchmarks), currency=briefing.currency)


def team_bookings(briefing: Briefing) -> pd.DataFrame:
    """Chance that the team books at least an amount in the coming quarter: columns amount and
    probability_at_least, over the range in which the chance falls from 99.5 % to 0.5 %."""
    low, high = briefing.outcome.team_quantiles([0.005, 0.995], briefing.upcoming)
    amounts = np.linspace(low, high, 161)
    chances = briefing.outcome.team_chance_at_least(amounts, briefing.upcoming)
    return pd.DataFrame({"amount": amounts, "probability_at_least": chances})


def pipeline_findings(briefing: Briefing) -> str:
    """The pipeline in sentences (Markdown): what was booked, what is open, what it will close."""
    b, rows = briefing, measured(briefing).set_index("name")

    def found(name: str, column: str = "value") -> float:
        return float(rows[column].astype(float)[name])

    won, before = found("won_value"), found("won_value", "previous")
    lines = [
        f"**{b.quarter} booked {b.money(won)}** with {formats.count(found('won_count'))} deals won"
        + (f", {_change(won, before)} the quarter before" if before > 0 else "")
        + "."
    ]
    coming = forecast(b).iloc[0]
    lines.append(
        f"**{b.upcoming} is expected to book {b.money(coming['expected'])}**; in 8 of 10 cases between "
        f"{b.money(coming['p10'])} and {b.money(coming['p90'])}. Deals that are open today bring "
        f"{b.money(coming['from_open_deals'])} of it, the rest must still be created."
    )
    dead, dated = found("dead_pipeline_share"), found("dead_pipeline_share", "n")
    if dead > 0:
        lines.append(
            f"**{formats.count(round(dead * dated))} of {formats.count(dated)} dated open deals "
            f"({formats.percent(dead)}) are dead pipeline**: older than "
            f"{measures.slowest_close_days(b.tables):.0f} days, the time of the slowest deal that ever "
            "closed. Close them, or qualify them again."
        )
    low, high = found("win_rate_closed", "low"), found("win_rate_closed", "high")
    lines.append(
        f"**{formats.percent(found('win_rate_closed'))} of the deals closed in {b.quarter} were won** "
        f"(80 % interval {formats.span(low, high, 'share')}, n = "
        f"{formats.count(found('win_rate_closed', 'n'))}). Of the deals *created* in the quarter "
        f"{formats.percent(found('win_rate'))} are won so far, many are still open; when all are decided, "
        f"{_won_in_the_end(b)} will have been won."
    )
    return bullets(lines)


def _won_in_the_end(briefing: Briefing) -> str:
    chances = [segment.close_probabilities()[0] for segment in briefing.scenario.segments]
    low, high = formats.percent(min(chances)), formats.percent(max(chances))
    return low if low == high else f"{low} to {high}, depending on the segment,"


def data_quality(tables: Tables) -> str:
    """What is wrong with an export (Markdown): counts that reconcile, one line per rule, then remarks."""
    report = tables.quality
    columns = ["table", "file", "read", "kept", "rejected", "repaired", "suspicious"]
    counts = formats.table(columns, report.counts[columns].to_numpy().tolist())
    summary = report.summary()
    if summary.empty:
        return counts + "\n\nNo fault was found."
    rules = formats.table(
        ["what", "severity", "rows", "for example", "what to do"],
        summary[["rule", "severity", "rows", "example", "what_to_do"]].to_numpy().tolist(),
    )
    remarks = f"\n\n{bullets(report.notes)}" if report.notes else ""
    return f"{counts}\n\n{rules}{remarks}"


def measures_text(tables: Tables, *, quarter: str, measure: str = "", by: str = "") -> str:
    """All measures of a quarter, or one of them by group (Markdown table), for the command line."""
    month = tables.fiscal_year_starts_in_month
    chosen = measures.check_quarter(tables, Quarter.parse(quarter, fiscal_year_starts_in_month=month))
    if not measure:
        return measures.overview_table(measures.overview(tables, quarter=chosen), currency=tables.currency)
    found = measures.measure(measure, tables, quarter=chosen, by=by or None)
    unit = measures.CATALOGUE[measure].unit
    rows = [
        [
            *([row[by]] if by else []),
            formats.figure(row["value"], unit, tables.currency),
            formats.span(row["low"], row["high"], unit, tables.currency),
            formats.count(row["n"]),
            row["note"] or "",
        ]
        for row in found.to_dict("records")
    ]
    return formats.table([*([by] if by else []), "value", "80 % interval", "n", "note"], rows)


def _change(now: float, before: float) -> str:
    share = now / before - 1
    return f"{formats.percent(abs(share))} {'more' if share >= 0 else 'less'} than"
