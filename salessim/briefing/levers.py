"""Chapter 4: which lever moves the plan most, one by one (tornado) and all in doubt at once (Sobol)."""

from __future__ import annotations

import math
from functools import cache

import pandas as pd

from salessim import formats
from salessim.briefing.prepared import bullets
from salessim.briefing.sales_year import SalesYear, chance_text
from salessim.errors import ParameterError
from salessim.studies import sobol_indices

__all__ = [
    "check_samples",
    "lever_findings",
    "lever_ranking",
    "lever_shares",
    "lever_shares_table",
    "lever_table",
]

#: Simulated horizons of each point of the Sobol sequence, where no formula holds: there are hundreds of them.
SOBOL_TRIALS = 100
#: Base points of the Sobol sequence below which nothing can be told.
LEAST_SAMPLES = 16
#: Levers whose name alone says too little.
WORDS = {"win rate": "win rate (lead to win)", "cycle": "sales cycle"}
#: Totals of all levers make up the whole spread or more; below this share of it they are sampling error.
LEAST_TOGETHER = 0.95


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
    # people can only be added: their low end is the world as it is
    frame.insert(1, "change", moved[["low_change", "high_change"]].abs().max(axis=1).to_numpy())
    return frame


def lever_findings(year: SalesYear) -> str:
    """Which lever moves the plan most, in sentences (Markdown)."""
    frame, table = lever_ranking(year), year.ranking
    if frame.empty:
        return bullets(["**No lever moves the bookings of this scenario.**"])
    change = formats.percent(float(frame["change"].max()))
    first, ends = frame.iloc[0], ["bookings_low", "bookings_high"]
    text = (
        f"**{_capital(first['name'])} {_moves(first['name'])} the plan most**: {change} worse or better "
        f"means {year.money(first[ends].min())} or {year.money(first[ends].max())} of expected "
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
        Columns of :func:`salessim.studies.sobol_indices`, with name in front, and enough: whether the base
        points suffice for a finding. They do not where the totals make up less than the whole spread, or
        where one lies below what the lever does alone: neither can be but by sampling error.

    Raises:
        ParameterError: samples is not a power of 2 of 16 or more.
    """
    if samples == 0:
        columns = ["name", "first_order", "total", "total_low", "total_high", "enough"]
        return pd.DataFrame({name: [] for name in columns})
    check_samples(samples)
    table = sobol_indices(year.scenario, samples=samples, trials=SOBOL_TRIALS, seed=max(year.seed, 1))
    table.insert(0, "name", [WORDS.get(lever, lever) for lever in table["lever"]])
    below = table["total_high"] < table["first_order_low"]
    table["enough"] = bool(table["total"].sum() >= LEAST_TOGETHER and not below.any())
    return table


def check_samples(samples: int) -> None:
    """Refuse a number of base points that Sobol indices cannot be worked out with (ParameterError).

    >>> check_samples(256)
    """
    if samples < LEAST_SAMPLES or samples & (samples - 1):
        raise ParameterError(f"samples is {samples}; it must be a power of 2 from {LEAST_SAMPLES} on")


def lever_shares_table(year: SalesYear, *, samples: int) -> str:
    """Shares of the spread by lever (Markdown table); says so where they are left out."""
    if samples == 0:
        return "Left out; set `sobol_samples` to a power of 2, such as 256, to see it."
    shares = lever_shares(year, samples=samples)
    too_few = "" if shares["enough"].all() else "**Too few points for a finding: take more samples.**\n\n"
    rows = [
        [
            row["name"], f"± {formats.percent(row['range_high'])}",
            f"{formats.percent(round(row['total'], 2) + 0.0)} "
            f"({formats.span(row['total_low'], row['total_high'], 'share')})",
            f"{formats.percent(round(row['first_order'], 2) + 0.0)} "
            f"({formats.span(row['first_order_low'], row['first_order_high'], 'share')})",
            row["note"],
        ]
        for _, row in shares.iterrows()
    ]  # fmt: skip
    header = ["lever", "in doubt by", "share of the spread, with others", "alone", "note"]
    return (
        too_few
        + formats.table(header, rows)
        + (f"\n\nIn brackets: 80 % intervals; n = {samples:,} base points. Chance may take them below 0 %.")
    )


def _moves(name: str) -> str:
    return "move" if name.endswith("leads") else "moves"


def _follows(name: str) -> str:
    return "follow" if name.endswith("leads") else "follows"


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
