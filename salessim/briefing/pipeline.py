"""Chapter 1: where the pipeline stands and what it will close, in sentences and tables."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import pandas as pd

from salessim import formats, measures
from salessim.briefing.backtest import backtest_sentence
from salessim.briefing.prepared import Briefing, bullets
from salessim.calibrate import LEVEL
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
    header = ["quarter", "deals won", "won value", "won of closed", f"{formats.percent(LEVEL)} interval"]
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
    share = (
        f"Of the closed ones {formats.percent(measures.conversion(won, won + lost), digits=1)} were won."
        if won + lost
        else "No deal is closed yet."
    )
    return (
        f"The whole export holds {formats.count(len(deals))} opportunities: {formats.count(won)} won for "
        f"{formats.money(value, briefing.currency)}, {formats.count(lost)} lost, open "
        f"{open_deals or 'none'}. {share}"
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

    lines = [_booked(b, found("won_value"), found("won_count"), found("won_value", "previous"))]
    coming = forecast(b).iloc[0]
    text = (
        f"**{b.upcoming} is expected to book {b.money(coming['expected'])}**; in 8 of 10 cases between "
        f"{b.money(coming['p10'])} and {b.money(coming['p90'])}. Deals that are open today bring "
        f"{b.money(coming['from_open_deals'])} of it, the rest must still be created."
    )
    if not b.quarter_is_over:
        text += f" The forecast takes today's pipeline as the one at the end of {b.quarter}."
    if sentence := backtest_sentence(b):
        text += f" {sentence}"
    lines.append(text)
    dead, dated = found("dead_pipeline_share"), found("dead_pipeline_share", "n")
    if dead > 0:
        lines.append(
            f"**{formats.count(round(dead * dated))} of {formats.count(dated)} dated open deals "
            f"({formats.percent(dead)}) are dead pipeline**: older than "
            f"{measures.slowest_close_days(b.tables):.0f} days, the time of the slowest deal that ever "
            "closed. Close them, or qualify them again."
        )
    low, high = found("win_rate_closed", "low"), found("win_rate_closed", "high")
    closed = found("win_rate_closed", "n")
    lines.append(
        f"**{formats.percent(found('win_rate_closed'))} of the deals closed in {b.quarter}{_so_far(b)} were "
        f"won** ({formats.percent(LEVEL)} interval {formats.span(low, high, 'share')}, n = "
        f"{formats.count(closed)}).{_created(b)}"
        if closed > 0
        else f"No deal was closed in {b.quarter}{_so_far(b)}.{_created(b)}"
    )
    return bullets(lines)


def _so_far(briefing: Briefing) -> str:
    return "" if briefing.quarter_is_over else " so far"


def _booked(b: Briefing, won: float, number: float, before: float) -> str:
    """What the reported quarter booked: against the quarter before if it is over, else so far."""
    so_far = _so_far(b)
    deals = f"{formats.count(number)} {'deal' if number == 1 else 'deals'} won"
    if not number > 0:
        return f"**No deal was won in {b.quarter}{so_far}** (export of {b.tables.as_of})."
    if not won > 0:
        return f"**{b.quarter} has {deals}{so_far}, none with an amount** (export of {b.tables.as_of})."
    text = f"**{b.quarter} booked {b.money(won)}{so_far}** with {deals}"
    if not b.quarter_is_over:
        return f"{text}, as of {b.tables.as_of}; the quarter ends on {b.quarter.end}."
    if before > 0:
        text += f", {_change(won, before)} the quarter before"
    if b.tables.as_of < b.quarter.end:
        text += (
            f". The export ends on {b.tables.as_of}; the quarter, which ends on {b.quarter.end}, is taken as "
            "over"
        )
    return f"{text}."


def _created(briefing: Briefing) -> str:
    """What has become of the deals created in the quarter; empty: none was created."""
    deals, quarter = briefing.tables.opportunities, briefing.quarter
    first, after = pd.Timestamp(quarter.start), pd.Timestamp(quarter.shift(1).start)
    status = deals.loc[(deals["created"] >= first) & (deals["created"] < after), "status"]
    if status.empty:
        return ""
    still_open, won = int((status == "open").sum()), float((status == "won").mean())
    text = f" Of the {formats.count(len(status))} *created* in the quarter{_so_far(briefing)} "
    if not still_open:
        return f"{text}{formats.percent(won)} were won; none is still open."
    return (
        f"{text}{formats.percent(won)} are won by now and {formats.percent(still_open / len(status))} still "
        f"open. Of all deals created, {_won_in_the_end(briefing)}; a deal that never settles counts as lost."
    )


def _won_in_the_end(briefing: Briefing) -> str:
    """Share of created deals that are won in the end: with its interval where one estimate tells it."""
    rates = [p for p in briefing.calibration.parameters if p.name == "win rate"]
    segments = briefing.scenario.segments
    if len(segments) == 1 and len(rates) == 1 and math.isfinite(rates[0].low):
        rate = rates[0]
        return (
            f"{formats.percent(rate.value)} are won in the end ({formats.percent(LEVEL)} interval "
            f"{formats.span(rate.low, rate.high, 'share')}, n = {formats.count(rate.n)})"
        )
    chances = [segment.close_probabilities()[0] for segment in segments]
    low, high = formats.percent(min(chances)), formats.percent(max(chances))
    share = low if low == high else f"{low} to {high}, depending on the segment,"
    return f"by our estimate {share} are won in the end"


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
    return formats.table(
        [*([by] if by else []), "value", f"{formats.percent(LEVEL)} interval", "n", "note"], rows
    )


def _change(now: float, before: float) -> str:
    share = now / before - 1
    if share >= 9:  # percent of a tiny base mislead
        return f"{formats.ratio(now / before)} what it was in"
    return f"{formats.percent(abs(share))} {'more' if share >= 0 else 'less'} than"
