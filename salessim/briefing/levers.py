"""Chapter 4: which lever moves the plan most, one by one (tornado) and all in doubt at once (Sobol)."""

from __future__ import annotations

import math
from functools import cache

import pandas as pd

from salessim import formats
from salessim.briefing.prepared import bullets
from salessim.briefing.sales_year import SalesYear, chance_text
from salessim.studies import sobol_indices

__all__ = ["lever_findings", "lever_ranking", "lever_shares", "lever_shares_table", "lever_table"]

#: Simulated horizons of each point of the Sobol sequence, where no formula holds: there are hundreds of them.
SOBOL_TRIALS = 100
#: Levers whose name alone says too little.
WORDS = {"win rate": "conversion of all stages", "cycle": "sales cycle"}


def lever_ranking(year: SalesYear) -> pd.DataFrame:
    """The levers for a chart, largest swing first; those that move nothing here are left out.

    Returns:
        Columns name (with the stage, where one is meant), bookings_low, bookings_base, bookings_high
        (expected, of the horizon), chance_low, chance_base, chance_high (of the target; NaN: none), change
        (relative, to either side), swing, swing_low, swing_high, note.
    """
    table = year.ranking
    moved = table[table["swing"] > 1e-6 * table["bookings_base"]]
    several = len(year.scenario.segments) > 1
    names = [
        lever if not stage else f"conversion of {stage}" + (f", {segment}" if several else "")
        for lever, segment, stage in zip(moved["lever"], moved["segment"], moved["stage"], strict=True)
    ]
    columns = ["bookings_low", "bookings_base", "bookings_high", "chance_low", "chance_base", "chance_high"]
    columns += ["swing", "swing_low", "swing_high", "note"]
    frame = moved[columns].reset_index(drop=True)
    frame.insert(0, "name", [WORDS.get(name, name) for name in names])
    frame.insert(1, "change", -moved["low_change"].to_numpy())
    return frame


def lever_findings(year: SalesYear) -> str:
    """Which lever moves the plan most, in sentences (Markdown)."""
    frame, table = lever_ranking(year), year.ranking
    if frame.empty:
        return bullets(["**No lever moves the bookings of this scenario.**"])
    change = formats.percent(float(frame["change"].max()))
    first = frame.iloc[0]
    text = (
        f"**{_capital(first['name'])} {_moves(first['name'])} the plan most**: {change} less or more of it "
        f"means {year.money(first['bookings_low'])} or {year.money(first['bookings_high'])} of expected "
        f"bookings in {year.span}, instead of {year.money(first['bookings_base'])}"
    )
    if first["chance_high"] >= 0.01:  # NaN: there is no plan
        text += (
            f", and a chance of the plan of {chance_text(first['chance_low'])} or "
            f"{chance_text(first['chance_high'])} instead of {chance_text(first['chance_base'])}"
        )
    trials = int(table["trials"].iloc[0])
    how = f"n = {trials:,} simulated horizons on the same luck" if trials else "solved without sampling error"
    lines = [f"{text} ({how})."]
    if len(frame) > 1:
        second = frame.iloc[1]
        lines.append(
            f"{_capital(second['name'])} {_follows(second['name'])} with a swing of "
            f"{year.money(second['swing'])} against {year.money(first['swing'])}."
        )
    still = [
        f"{WORDS.get(lever, lever)} ({note})"
        for lever, note in zip(table["lever"], table["note"], strict=True)
        if note and lever != "stage conversion"
    ]
    if still:
        lines.append(f"Left out, since it changes nothing here: {', '.join(dict.fromkeys(still))}.")
    return bullets(lines)


def lever_table(year: SalesYear) -> str:
    """Every lever with bookings and chance of the plan at both ends (Markdown table)."""
    rows = [
        [
            row["name"], f"± {formats.percent(row['change'])}",
            f"{year.money(row['bookings_low'])} to {year.money(row['bookings_high'])}",
            year.money(row["swing"])
            + (
                f" ({year.money(row['swing_low'])} to {year.money(row['swing_high'])})"
                if row["swing_high"] > row["swing"]
                else ""
            ),
            f"{formats.percent(row['chance_low'])} to {formats.percent(row['chance_high'])}"
            if math.isfinite(row["chance_base"])
            else formats.MISSING,
        ]
        for _, row in lever_ranking(year).iterrows()
    ]  # fmt: skip
    return formats.table(["lever", "change", "expected bookings", "swing", "chance of the plan"], rows)


@cache
def lever_shares(year: SalesYear, *, samples: int) -> pd.DataFrame:
    """Share of the spread of expected bookings that comes from each lever, all in doubt at once (Sobol).

    Args:
        year: scenario and target.
        samples: base points, a power of 2; 0: left out, the table is empty.

    Returns:
        Columns of :func:`salessim.studies.sobol_indices`, with name in front.
    """
    if samples == 0:
        return pd.DataFrame({"name": [], "first_order": [], "total": [], "total_low": [], "total_high": []})
    table = sobol_indices(year.scenario, samples=samples, trials=SOBOL_TRIALS, seed=max(year.seed, 1))
    table.insert(0, "name", [WORDS.get(lever, lever) for lever in table["lever"]])
    return table


def lever_shares_table(year: SalesYear, *, samples: int) -> str:
    """Shares of the spread by lever (Markdown table); says so where they are left out."""
    if samples == 0:
        return "Left out; set `sobol_samples` to a power of 2, such as 64, to see it."
    rows = [
        [
            row["name"], f"± {formats.percent(row['range_high'])}",
            f"{formats.percent(row['total'])} ({formats.span(row['total_low'], row['total_high'], 'share')})",
            f"{formats.percent(row['first_order'])} "
            f"({formats.span(row['first_order_low'], row['first_order_high'], 'share')})",
            row["note"],
        ]
        for _, row in lever_shares(year, samples=samples).iterrows()
    ]  # fmt: skip
    header = ["lever", "in doubt by", "share of the spread, with others", "alone", "note"]
    return formats.table(header, rows) + (
        f"\n\nIn brackets: 80 % intervals; n = {samples:,} base points. By chance they can reach below 0 %."
    )


def _moves(name: str) -> str:
    return "move" if name.endswith("leads") else "moves"


def _follows(name: str) -> str:
    return "follow" if name.endswith("leads") else "follows"


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
