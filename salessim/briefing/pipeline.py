"""Chapter 1: where the pipeline stands and what it will close, in sentences and tables."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from salessim import formats, measures
from salessim.briefing.backtest import backtest_sentence
from salessim.briefing.prepared import Briefing, bullets
from salessim.briefing.quality import deal_values
from salessim.calibrate import LEVEL
from salessim.crm import Tables
from salessim.engine import HORIZON, simulate
from salessim.errors import ParameterError
from salessim.periods import Quarter

__all__ = [
    "benchmarks_table",
    "bookings_table",
    "concentration_finding",
    "dead_pipeline_finding",
    "deal_concentration",
    "forecast",
    "forecast_table",
    "measured",
    "measures_frame",
    "measures_table",
    "measures_text",
    "open_pipeline",
    "pipeline_findings",
    "slipped_deals_text",
    "team_bookings",
    "team_win_rate",
    "win_rate_definitions",
    "win_rates_by_rep",
    "win_rates_text",
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
    value, weighted_value (currency). A deal without an amount counts with the average deal of its segment.
    Stages of the CRM without an open deal are left out."""
    stages = measures.pipeline_by_stage(briefing.tables)
    stages = stages[stages["deals"] > 0].reset_index(drop=True)
    deals = briefing.tables.opportunities
    is_open = deals["status"] == "open"
    value = deal_values(briefing.tables)[is_open].groupby(deals.loc[is_open, "stage"]).sum()
    stages["value"] = stages["stage"].map(value.where(value > 0))
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


def win_rate_definitions(briefing: Briefing) -> pd.DataFrame:
    """The win rate of the quarter by each definition, as :func:`salessim.measures.win_rates` gives it."""
    return measures.win_rates(briefing.tables, quarter=briefing.quarter).table


def win_rates_text(briefing: Briefing) -> str:
    """The win rates of the quarter side by side, and why they differ (Markdown)."""
    found = measures.win_rates(briefing.tables, quarter=briefing.quarter)
    rows = [
        [
            row["label"],
            row["formula"],
            formats.percent(row["value"], digits=1),
            formats.span(row["low"], row["high"], "share"),
            formats.count(row["n"]),
            "" if math.isfinite(row["value"]) else row["note"],
        ]
        for row in found.table.to_dict("records")
    ]
    header = ["win rate", "what is counted", "value", f"{formats.percent(LEVEL)} interval", "n", ""]
    reasons = found.reasons or ("The definitions agree: nothing is cut off, unfinished or out of step.",)
    return f"{formats.table(header, rows)}\n\n{bullets(list(reasons))}"


def dead_pipeline_finding(briefing: Briefing) -> str:
    """How much of the open pipeline is too old to close, by both limits, and in whose hands (Markdown)."""
    found = measures.dead_pipeline(briefing.tables)
    if found.empty:
        return "No deal has closed yet, or none is open: no age is known to be too old."
    lines = []
    for row in found.to_dict("records"):
        limit = f"{row['older_than']} took ({formats.days(row['limit_days'])})"
        if not row["deals"]:
            dated = formats.count(row["open_deals"])
            lines.append(f"None of {dated} dated open deals is older than {limit}.")
            continue
        value = f", worth {briefing.money(row['value'])}" if math.isfinite(row["value"]) else ""
        lines.append(
            f"{formats.count(row['deals'])} of {formats.count(row['open_deals'])} dated open deals "
            f"({formats.percent(row['share'])}{value}) {'is' if row['deals'] == 1 else 'are'} older than "
            f"{limit}."
        )
    by_rep = measures.dead_pipeline(briefing.tables, by="rep")
    most = by_rep[(by_rep["older_than"] == found["older_than"].iloc[0]) & (by_rep["deals"] > 0)]
    if len(most) > 1:
        first = most.sort_values("deals", ascending=False, kind="stable").head(3)
        held = ", ".join(f"{row['rep']} {formats.count(row['deals'])}" for row in first.to_dict("records"))
        others = " and others" if len(most) > len(first) else ""
        lines.append(f"Those older than {found['older_than'].iloc[0]} took are held by {held}{others}.")
    return bullets(lines)


def slipped_deals_text(briefing: Briefing) -> str:
    """Open deals whose expected closing date has passed: how many, and the ones most overdue (Markdown)."""
    tables = briefing.tables
    share = measures.measure("slipped_share", tables).iloc[0]
    if not math.isfinite(share["value"]):
        return f"Slipped deals are not known: {share['note']}."
    found = measures.slipped_deals(tables)
    text = (
        f"**{formats.percent(share['value'])} of the open deals with an expected closing date are past it** "
        f"({formats.count(len(found))} of {formats.count(share['n'])}; {formats.percent(LEVEL)} interval "
        f"{formats.span(share['low'], share['high'], 'share')})."
    )
    if found.empty:
        return text
    rows = [
        [
            row["opportunity_id"],
            row["account"] or formats.MISSING,
            row["rep"] or formats.MISSING,
            row["stage"],
            formats.money(row["value"], briefing.currency),
            f"{row['expected_close']:%Y-%m-%d}",
            formats.days(row["days_overdue"]),
        ]
        for row in found.head(10).where(found.notna(), None).to_dict("records")
    ]
    header = ["deal", "account", "rep", "stage", "value", "expected close", "overdue"]
    more = f"\n\nThe {len(rows)} most overdue are shown." if len(found) > len(rows) else ""
    return f"{text}\n\n{formats.table(header, rows)}{more}"


def deal_concentration(briefing: Briefing, *, deals: int = 20) -> pd.DataFrame:
    """Value in the largest deals: columns which (open today, or won in the quarter), rank, share (of the
    value in the deals up to that rank) and effective (number of equal deals that would spread it as much)."""
    opportunities, quarter = briefing.tables.opportunities, briefing.quarter
    inside = opportunities["closed"].between(pd.Timestamp(quarter.start), pd.Timestamp(quarter.end))
    is_open = (opportunities["status"] == "open") & opportunities["created"].notna()
    amount = opportunities["amount"]
    values = {
        "open": amount.fillna(opportunities["list_price"])[is_open],
        "won": amount[(opportunities["status"] == "won") & inside],
    }
    parts = []
    for which, value in values.items():
        ordered = value.dropna().sort_values(ascending=False, kind="stable").to_numpy(float)
        if ordered.sum() > 0:
            shares = ordered / ordered.sum()
            top = np.cumsum(shares)[:deals]
            effective = 1 / float((shares**2).sum())
            parts.append(
                pd.DataFrame(
                    {"which": which, "rank": np.arange(1, len(top) + 1), "share": top, "effective": effective}
                )
            )
    columns = ["which", "rank", "share", "effective"]
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=columns)


def concentration_finding(briefing: Briefing) -> str:
    """What the pipeline and the won value depend on: deals, accounts and sources (Markdown)."""
    tables, quarter = briefing.tables, briefing.quarter
    lines = []
    for name, words in (
        ("open_largest_deal_share", "of the open value stands in the largest deal"),
        ("open_five_largest_deals_share", "of the open value stands in the five largest deals"),
        ("five_largest_deals_share", f"of the won value of {quarter} came from the five largest deals"),
        ("account_concentration", f"of the won value of {quarter} came from one account"),
        ("source_concentration", f"of the won value of {quarter} came from one source"),
    ):
        row = measures.measure(name, tables, quarter=quarter).iloc[0]
        if math.isfinite(row["value"]):
            label = re.search(r"largest: ([^;]+)", row["note"])
            called = f" ({label[1]})" if label else ""
            share = formats.percent(row["value"], digits=0 if row["value"] >= 0.1 else 1)
            lines.append(f"{share} {words}{called}, n = {formats.count(row['n'])} deals.")
        else:
            lines.append(f"{measures.CATALOGUE[name].label}: not known, {row['note']}.")
    return bullets(lines)


def benchmarks_table(briefing: Briefing, *, benchmarks: str = "") -> str:
    """Measures of the quarter beside one's own norms and what the field reports, with source and grade.

    Markdown: first the figures, then where those of the field come from.

    Args:
        briefing: the quarter.
        benchmarks: one's own norms, such as ``"win_rate=0.25; sales_cycle_days=60"``; "" for none.

    Raises:
        ParameterError: a norm cannot be read, or names a measure that does not exist.
    """
    own = _own_norms(benchmarks)
    rows, ranges = measured(briefing, benchmarks=own), measures.field_ranges()
    cells, named = [], []
    for row in rows.to_dict("records"):
        name, unit = str(row["name"]), str(row["unit"])
        field = ranges.get(name)
        if not math.isfinite(row["value"]) or (field is None and name not in own):
            continue
        value = formats.figure(row["value"], unit, briefing.currency)
        if math.isfinite(row["low"]):
            value += f" ({formats.span(row['low'], row['high'], unit, briefing.currency)})"
        value += " so far" if measures.INCOMPLETE in row["note"] else ""
        norm = [formats.figure(own.get(name, math.nan), unit, briefing.currency)] if own else []
        cells.append([row["label"], value, *norm, field.text(unit) if field else formats.MISSING])
        named += [name] if field else []
    if not cells:
        return "The export tells none of the measures that the field reports on, and no own norm is set."
    header = ["measure", str(briefing.quarter), *(["own norm"] if own else []), "the field reports"]
    table = formats.table(header, cells)
    figures = measures.field_benchmarks()
    sources = [
        [
            measures.CATALOGUE[row["measure"]].label,
            formats.figure(row["low"], row["unit"])
            if row["low"] == row["high"]
            else formats.span(row["low"], row["high"], row["unit"]),
            row["definition"],
            ", ".join(filter(None, (row["source"], row["year"], f"grade {row['grade']}"))),
        ]
        for row in figures[figures["measure"].isin(named)].to_dict("records")
    ]
    words = (
        "Sources of the field disagree widely and count different things, so their span is no yardstick. "
        "Grade P: the primary page was read; S: a secondary report of a named primary; W: weak, no source "
        "named."
    )
    listed = formats.table(["measure", "figure", "what was counted", "source, year, grade"], sources)
    return f"{table}\n\n{words}\n\n{listed}" if sources else table


def _own_norms(text: str) -> dict[str, float]:
    """Norms written as ``name=number`` with ; between them."""
    found: dict[str, float] = {}
    for part in filter(None, (part.strip() for part in text.split(";"))):
        name, _, number = (piece.strip() for piece in part.partition("="))
        try:
            found[name] = float(number)
        except ValueError:
            raise ParameterError(
                f"benchmarks has {part!r}; write name=number with ; between, such as 'win_rate=0.25; "
                "sales_cycle_days=60'"
            ) from None
    return found


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


def measures_frame(
    tables: Tables,
    *,
    quarter: str,
    measure: str = "",
    by: str | Sequence[str] = (),
    field: bool = False,
) -> pd.DataFrame:
    """All measures of a quarter as :func:`salessim.measures.overview` gives them, or one of them by group.

    ``by`` is one split or several, also as text with commas between, such as "rep,source"; ``field`` sets
    what the field reports beside all measures.
    """
    month = tables.fiscal_year_starts_in_month
    chosen = measures.check_quarter(tables, Quarter.parse(quarter, fiscal_year_starts_in_month=month))
    if not measure:
        return measures.overview(tables, quarter=chosen, field=field)
    return measures.measure(measure, tables, quarter=chosen, by=_splits(by))


def measures_text(
    tables: Tables,
    *,
    quarter: str,
    measure: str = "",
    by: str | Sequence[str] = (),
    field: bool = False,
) -> str:
    """What :func:`measures_frame` gives as a Markdown table, for the command line."""
    found = measures_frame(tables, quarter=quarter, measure=measure, by=by, field=field)
    if not measure:
        return measures.overview_table(found, currency=tables.currency)
    unit, splits = measures.CATALOGUE[measure].unit, _splits(by)
    rows = [
        [
            *(row[name] for name in splits),
            formats.figure(row["value"], unit, tables.currency),
            formats.span(row["low"], row["high"], unit, tables.currency),
            formats.count(row["n"]),
            row["note"] or "",
        ]
        for row in found.to_dict("records")
    ]
    return formats.table([*splits, "value", f"{formats.percent(LEVEL)} interval", "n", "note"], rows)


def _splits(by: str | Sequence[str]) -> list[str]:
    names = by.split(",") if isinstance(by, str) else by
    return [name.strip() for name in names if name.strip()]


def _change(now: float, before: float) -> str:
    share = now / before - 1
    if share >= 9:  # percent of a tiny base mislead
        return f"{formats.ratio(now / before)} what it was in"
    return f"{formats.percent(abs(share))} {'more' if share >= 0 else 'less'} than"
