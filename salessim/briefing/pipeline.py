"""Chapter 1: where the pipeline stands and what it will close, in sentences and tables."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from salessim import formats, measures
from salessim.briefing.prepared import Briefing, bullets
from salessim.engine import simulate

__all__ = ["data_quality", "forecast", "measured", "pipeline_findings", "team_bookings"]


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


def data_quality(briefing: Briefing) -> str:
    """What is wrong with the export (Markdown): counts that reconcile, then one line per rule."""
    report = briefing.tables.quality
    columns = ["table", "file", "read", "kept", "rejected", "repaired", "suspicious"]
    counts = formats.table(columns, report.counts[columns].to_numpy().tolist())
    summary = report.summary()
    if summary.empty:
        return counts + "\n\nNo fault was found."
    rules = formats.table(
        ["what", "severity", "rows", "for example", "what to do"],
        summary[["rule", "severity", "rows", "example", "what_to_do"]].to_numpy().tolist(),
    )
    return f"{counts}\n\n{rules}"


def _change(now: float, before: float) -> str:
    share = now / before - 1
    return f"{formats.percent(abs(share))} {'more' if share >= 0 else 'less'} than"
